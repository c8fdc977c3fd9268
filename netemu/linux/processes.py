"""Programs in a namespace: started there, found there, ended there.

A program belongs to a namespace because /proc says that it is in it, whoever started it: none can escape by forking.
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import struct
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import Struct

from netemu.linux import namespaces as ns


class Surroundings(Struct, frozen=True):
    """What a program finds around it: the namespace, the host name, and the files that lie over /etc."""

    namespace: Path
    hostname: str | None = None
    etc: Path | None = None
    ignored: tuple[int, ...] = ()
    """Signals that are ignored until the program says otherwise: they may come before it can."""
    own_mounts: bool = True
    """Whether it has a mount namespace of its own: without one it sees what is mounted later."""
    unconfined: bool = False
    """Whether it leaves the AppArmor profile that its package has for its ordinary place in the system: with that it
    could not read files of ours."""


class StartError(OSError):
    """A program could not be started; `argv` is what was tried."""


def enter(surroundings: Surroundings) -> None:
    """Move this process (which must have one thread) into the surroundings, as a preparation for exec."""
    descriptor = os.open(surroundings.namespace, os.O_RDONLY | os.O_CLOEXEC)
    ns.setns(descriptor, ns.CLONE_NEWNET)
    os.close(descriptor)
    if not surroundings.own_mounts:
        return
    ns.unshare(ns.CLONE_NEWNS | ns.CLONE_NEWUTS)
    ns.mount(None, "/", None, ns.MS_REC | ns.MS_SLAVE)
    if surroundings.hostname is not None:
        ns.set_hostname(surroundings.hostname)
    with contextlib.suppress(OSError):  # /sys shows the interfaces of the namespace in which it was mounted
        ns.unmount("/sys")
        ns.mount("sysfs", "/sys", "sysfs", 0)
    if surroundings.etc is not None:
        for name in os.listdir(surroundings.etc):
            target = os.path.realpath(f"/etc/{name}")
            if os.path.exists(target):
                ns.mount(str(surroundings.etc / name), target, None, ns.MS_BIND)


def start(argv: tuple[str, ...], surroundings: Surroundings, log: Path, cwd: Path, extra: Mapping[str, str]) -> int:
    """Start a program that outlives us and return its process id.

    Its output goes to `log`. Raises StartError when it cannot be started, for example because there is no such
    program; the new process tells us so through a pipe that closes when exec succeeds.
    """
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        child = os.fork()
    except OSError:
        os.close(reader)
        os.close(writer)
        raise
    if child == 0:
        _become(argv, surroundings, log, cwd, extra, writer)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    pid, *failure = struct.unpack_from("=ii" if len(answer) > PID else "=i", answer)
    if failure:
        raise StartError(failure[0], os.strerror(failure[0]))
    return int(pid)


PID = struct.calcsize("=i")


def default_signals() -> None:
    """Undo what Python and we have set, before an exec: what is ignored stays ignored in the new program."""
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)


def _leave_profile() -> None:
    """Let the next exec be outside of AppArmor's profiles, where there are any (aa_change_onexec(2))."""
    with contextlib.suppress(OSError):
        if Path("/sys/module/apparmor/parameters/enabled").read_text().startswith("Y"):
            Path("/proc/thread-self/attr/exec").write_text("exec unconfined")


def _become(
    argv: tuple[str, ...], surroundings: Surroundings, log: Path, cwd: Path, extra: Mapping[str, str], writer: int
) -> None:
    """In a forked child: fork again, so that nobody has to wait for the program, and become it.

    Answers by the pipe with the program's id and, when that fails, the error.
    """
    try:
        if os.fork() != 0:
            os._exit(0)
        os.write(writer, struct.pack("=i", os.getpid()))
    except OSError as error:
        os.write(writer, struct.pack("=ii", 0, error.errno or 1))
        os._exit(127)
    try:
        os.setsid()
        default_signals()
        for number in surroundings.ignored:
            signal.signal(number, signal.SIG_IGN)
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        null = os.open("/dev/null", os.O_RDONLY)
        enter(surroundings)
        if surroundings.unconfined:
            _leave_profile()
        os.chdir(cwd)
        os.dup2(null, 0)
        os.dup2(output, 1)
        os.dup2(output, 2)
        os.closerange(3, writer)
        os.closerange(writer + 1, 65536)
        os.execvpe(argv[0], argv, {**os.environ, **extra})
    except BaseException as error:
        code = error.errno if isinstance(error, OSError) and error.errno else 1
        os.write(writer, struct.pack("=i", code))
    finally:
        os._exit(127)


# ---- finding ---------------------------------------------------------------------------------------------------------


def identity(namespace: Path) -> tuple[int, int]:
    """What tells one namespace from another: device and inode of its file."""
    status = namespace.stat()
    return status.st_dev, status.st_ino


def namespace_of(pid: int) -> tuple[int, int] | None:
    """Identity of the network namespace that a process is in; None when it is gone or not ours to see."""
    try:
        return identity(Path(f"/proc/{pid}/ns/net"))
    except OSError:
        return None


def inside(identities: set[tuple[int, int]]) -> Iterator[tuple[int, tuple[int, int]]]:
    """Every process that is in one of the namespaces, and which one."""
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        found = namespace_of(int(entry))
        if found is not None and found in identities:
            yield int(entry), found


def environment(pid: int) -> dict[str, str]:
    """What a process was started with; nothing when it is gone."""
    try:
        with open(f"/proc/{pid}/environ", "rb") as environ:
            pairs = (entry.partition(b"=") for entry in environ.read().split(b"\0") if entry)
            return {os.fsdecode(name): os.fsdecode(value) for name, _, value in pairs}
    except OSError:
        return {}


def start_time(pid: int) -> int | None:
    """When a process started, in clock ticks since boot; with the id it names a process for ever. None when gone."""
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as stat:
            fields = stat.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] == "Z" else int(fields[19])


def session(leader: int) -> dict[int, int]:
    """The processes of a session, by id, with their start times: a program that we started, and what it has begun."""
    result = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            if os.getsid(int(entry)) != leader:
                continue
        except OSError:
            continue
        started = start_time(int(entry))
        if started is not None:
            result[int(entry)] = started
    return result


def signal_one(pid: int, started: int, number: int) -> None:
    """Send a signal to the very process that started then; nothing happens when it has ended."""
    with contextlib.suppress(ProcessLookupError):
        handle = os.pidfd_open(pid)
        try:
            if start_time(pid) == started:
                signal.pidfd_send_signal(handle, number)
        finally:
            os.close(handle)


def command_line(pid: int) -> str:
    """What a process was started as."""
    try:
        with open(f"/proc/{pid}/cmdline", "rb") as cmdline:
            return cmdline.read().replace(b"\0", b" ").decode(errors="replace").strip()
    except OSError:
        return ""


GRACE = 2.0
"""Seconds that a process has to end by itself after SIGTERM."""


def end_all(identities: set[tuple[int, int]], started: Mapping[int, int]) -> int:
    """End every process in the namespaces, and those that are named by id and start time.

    First kindly; returns how many. Ourselves excepted.
    """
    ended: set[int] = set()
    for number, patience in ((signal.SIGTERM, GRACE), (signal.SIGKILL, 10.0)):
        deadline = time.monotonic() + patience
        while True:
            handles = []
            alive = {pid for pid, time_then in started.items() if start_time(pid) == time_then}
            for pid in {*alive, *(pid for pid, _ in inside(identities))} - {os.getpid()}:
                with contextlib.suppress(ProcessLookupError):
                    handle = os.pidfd_open(pid)
                    handles.append(handle)
                    if number == signal.SIGKILL or pid not in ended:
                        signal.pidfd_send_signal(handle, number)
                    ended.add(pid)
            try:
                if not handles:
                    return len(ended)
                _wait(handles, deadline)
            finally:
                for handle in handles:
                    os.close(handle)
            if time.monotonic() >= deadline:
                break
    return len(ended)


def _wait(handles: list[int], deadline: float) -> None:
    """Until all processes have ended, or the deadline."""
    poll = select.poll()
    for handle in handles:
        poll.register(handle, select.POLLIN)
    left = len(handles)
    while left and (remaining := deadline - time.monotonic()) > 0:
        for handle, _ in poll.poll(remaining * 1000):
            poll.unregister(handle)
            left -= 1
