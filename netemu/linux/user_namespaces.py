"""User namespaces: how an ordinary user becomes root of namespaces of their own, and comes back to them.

A *household* is what holds: a user namespace with the mount, network and process namespaces that belong to it. Its
first process has id 1; when that one ends, however it ends, the kernel ends all others and everything vanishes
(pid_namespaces(7)). All of it needs a process with one thread, so it happens before any other thread exists.

Sources: user_namespaces(7), setns(2) (a process descriptor for several namespaces at once: Linux 5.8), newuidmap(1).
"""

from __future__ import annotations

import contextlib
import ctypes
import enum
import errno
import os
import shutil
import stat
import subprocess
from collections.abc import Callable, Iterable
from pathlib import Path

from netemu.linux import namespaces as ns

CLONE_NEWUSER, CLONE_NEWPID = 0x10000000, 0x20000000
HOUSEHOLD = CLONE_NEWUSER | ns.CLONE_NEWNS | ns.CLONE_NEWNET | CLONE_NEWPID
CAP_NET_ADMIN, CAP_SYS_ADMIN = 12, 21
INITIAL_USER_NAMESPACE = 0xEFFFFFFD
"""Inode of the user namespace that the machine starts with (linux/proc_ns.h, PROC_USER_INIT_INO)."""
NOBODY = 65534
PR_SET_DUMPABLE = 4


class Standing(enum.Enum):
    """What the calling process may do."""

    ROOT = "root of the machine"
    HOUSEHOLD_ROOT = "root of a user namespace"
    ORDINARY = "an ordinary user"


def standing() -> Standing:
    """By capabilities, not by the user id, which is 0 in a user namespace, too, and in containers without rights."""
    capabilities = 0
    with open("/proc/self/status", encoding="ascii") as status:
        for line in status:
            if line.startswith("CapEff:"):
                capabilities = int(line.split()[1], 16)
    if not capabilities >> CAP_SYS_ADMIN & 1 or not capabilities >> CAP_NET_ADMIN & 1:
        return Standing.ORDINARY
    initial = Path("/proc/self/ns/user").stat().st_ino == INITIAL_USER_NAMESPACE
    return Standing.ROOT if initial else Standing.HOUSEHOLD_ROOT


# ---- making one ------------------------------------------------------------------------------------------------------


def leave() -> None:
    """Move the calling process into new namespaces, as their root; what it forks next is their first process.

    Other users' ids exist inside when newuidmap(1) is installed and /etc/subuid and /etc/subgid give us some; else
    our own is the only one, and setuid(2) to another fails with EINVAL. Raises OSError when the kernel refuses.
    """
    user, group = os.getuid(), os.getgid()
    mapped = _with_helper(lambda: ns.unshare(HOUSEHOLD), user, group)
    if "uid" not in mapped:
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
    if "gid" not in mapped:
        Path("/proc/self/setgroups").write_text("deny")  # without this the kernel takes no map from us
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")


def _with_helper(unshare: Callable[[], None], user: int, group: int) -> set[str]:
    """Unshare, while a process that stays outside maps ids; says which maps, `uid` and `gid`, are written."""
    commands = {
        kind: [tool, str(os.getpid()), "0", str(own), "1", "1", str(first), str(count)]
        for kind, own in (("uid", user), ("gid", group))
        if (tool := shutil.which(f"new{kind}map")) and (found := subordinate(Path(f"/etc/sub{kind}"), user))
        for first, count in [found]
    }
    if len(commands) < 2:
        unshare()
        return set()
    reader, writer = os.pipe2(os.O_CLOEXEC)
    helper = os.fork()
    if helper == 0:
        os.close(writer)
        done = 0
        if os.read(reader, 1):
            for bit, command in enumerate(commands.values()):
                said = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
                done |= (said.returncode == 0) << bit
        os._exit(done)
    os.close(reader)
    try:
        unshare()
        os.write(writer, b"!")
    finally:
        os.close(writer)
        done = os.waitstatus_to_exitcode(os.waitpid(helper, 0)[1])
    return {kind for bit, kind in enumerate(commands) if done > 0 and done >> bit & 1}


def subordinate(table: Path, user: int) -> tuple[int, int] | None:
    """First id and count that /etc/subuid or /etc/subgid gives a user, by name or by number (subuid(5))."""
    import pwd

    names = {str(user)}
    with contextlib.suppress(KeyError):
        names.add(pwd.getpwuid(user).pw_name)
    try:
        rows = [line.split(":") for line in table.read_text().splitlines()]
    except OSError:
        return None
    for row in rows:
        if len(row) == 3 and row[0] in names and row[1].isdigit() and row[2].isdigit() and int(row[2]) > 0:
            return int(row[1]), int(row[2])
    return None


def furnish(directories: Iterable[Path]) -> None:
    """In the first process: its own /proc and /sys, and empty directories of its own where those paths are.

    Mounts of the machine still arrive from outside; none of ours goes there. Raises OSError.
    """
    ns.mount(None, "/", None, ns.MS_REC | ns.MS_SLAVE)
    ns.mount("proc", "/proc", "proc", 0)
    with contextlib.suppress(OSError):  # a container may hide parts of /sys, and then the kernel mounts no other
        ns.mount("sysfs", "/sys", "sysfs", 0)
    for directory in directories:
        if not directory.is_dir():
            _own_copy(directory.parent)
            directory.mkdir()
        ns.mount("netemu", str(directory), "tmpfs", 0, "mode=0755")


def _own_copy(directory: Path) -> None:
    """Lay a directory of our own over one that we may not write; all that was in it is in it again."""
    before = os.open("/", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.chdir(directory)  # which stays below the new mount: the sources of the bind mounts are relative to it
        entries = list(os.scandir("."))
        ns.mount("netemu", str(directory), "tmpfs", 0, "mode=0755")
        for entry in entries:
            target = directory / entry.name
            with contextlib.suppress(FileNotFoundError):  # it has gone meanwhile
                if entry.is_symlink():
                    target.symlink_to(os.readlink(entry.name))
                    continue
                if stat.S_ISDIR(entry.stat(follow_symlinks=False).st_mode):
                    target.mkdir()
                else:
                    target.touch()
                ns.mount(entry.name, str(target), None, ns.MS_BIND | ns.MS_REC)
    finally:
        os.fchdir(before)
        os.close(before)


# ---- coming back -----------------------------------------------------------------------------------------------------


def enter(process: int) -> None:
    """Move this process into the namespaces of another one, given by a process descriptor (pidfd_open(2)), as root.

    The working directory is `/` then. What is forked next is in its process namespace; this process is not. Raises
    OSError: EPERM when the process is somebody else's, ESRCH when it has ended.
    """
    ns.setns(process, HOUSEHOLD)


# ---- whether it is permitted -----------------------------------------------------------------------------------------


def why_not() -> str:
    """Why an ordinary user of this machine cannot have a household: one line with a remedy, empty when they can.

    It is really tried, in a process that takes everything with it; as root, in the name of nobody.
    """
    reader, writer = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child == 0:
        os.close(reader)
        _try(writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read().decode()
    os.waitpid(child, 0)
    if said == "ok":
        return ""
    what, _, number = said.partition(" ")
    return _explained(what, int(number or 0))


def _try(writer: int) -> None:
    """In a forked child: make a household and end with it."""
    what = "users"
    try:
        if os.geteuid() == 0 and standing() is Standing.ROOT:
            os.setgroups([])
            os.setresgid(NOBODY, NOBODY, NOBODY)
            os.setresuid(NOBODY, NOBODY, NOBODY)
            ctypes.CDLL(None).prctl(PR_SET_DUMPABLE, 1, 0, 0, 0)  # else /proc/self stays root's
        what = "namespace"
        leave()
        if os.fork() == 0:
            what = "mounts"
            furnish([])
            os.write(writer, b"ok")
        else:
            os.wait()
    except OSError as error:
        os.write(writer, f"{what} {error.errno or errno.EIO}".encode())
    finally:
        os._exit(0)


def _explained(what: str, number: int) -> str:
    """A refusal in words, with the setting that is to blame."""
    from netemu.linux.features import USER_NAMESPACE_SETTINGS

    for name, forbids in USER_NAMESPACE_SETTINGS.items():
        setting = Path("/proc/sys") / name
        with contextlib.suppress(OSError):
            value = setting.read_text().strip()
            if value == forbids:
                other = {"user/max_user_namespaces": "10000", "kernel/unprivileged_userns_clone": "1"}.get(name, "0")
                dotted = name.replace("/", ".")
                return f"{dotted}={value} forbids user namespaces; permit them with `sysctl {dotted}={other}`"
    if not Path("/proc/self/ns/user").exists():
        return "the kernel has no user namespaces (CONFIG_USER_NS)"
    reason = os.strerror(number)
    if number == errno.ENOSPC:
        return f"{reason}: more user namespaces than user.max_user_namespaces permits, or more than 32 nested ones"
    if what == "mounts":
        return f"{reason}: a container that hides parts of /proc permits no other /proc"
    return f"{reason}: a container, a seccomp filter or a security module forbids user namespaces"
