"""Network namespaces: made by unshare() in this process, entered by setns(), kept by a bind mount.

Nothing forks: the calling thread steps into a namespace (2 µs), opens what it needs there (a netlink socket or a file
stays with the namespace it was opened in) and steps back.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
from collections.abc import Iterator
from pathlib import Path

CLONE_NEWNS, CLONE_NEWUTS, CLONE_NEWNET = 0x00020000, 0x04000000, 0x40000000
MS_BIND, MS_REC, MS_PRIVATE, MS_SLAVE = 1 << 12, 1 << 14, 1 << 18, 1 << 19
MNT_DETACH = 2
LONGEST_HOSTNAME = 64

_libc = ctypes.CDLL(None, use_errno=True)


def _check(result: int, what: str) -> None:
    if result != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{what}: {os.strerror(code)}")


def unshare(flags: int) -> None:
    """Give the calling thread new namespaces (unshare(2))."""
    _check(_libc.unshare(flags), "unshare")


def setns(descriptor: int, kind: int) -> None:
    """Move the calling thread into a namespace (setns(2))."""
    _check(_libc.setns(descriptor, kind), "setns")


def mount(source: str | None, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    """mount(2)."""
    encoded = [None if text is None else os.fsencode(text) for text in (source, target, kind, data)]
    _check(_libc.mount(encoded[0], encoded[1], encoded[2], ctypes.c_ulong(flags), encoded[3]), f"mount {target}")


def unmount(target: str) -> None:
    """Detach a mount and all that is mounted below it (umount2(2) with MNT_DETACH)."""
    _check(_libc.umount2(os.fsencode(target), MNT_DETACH), f"umount {target}")


def set_hostname(name: str) -> None:
    """sethostname(2), in the calling thread's UTS namespace; a longer name than the kernel takes is cut."""
    encoded = name.encode()[:LONGEST_HOSTNAME]
    _check(_libc.sethostname(encoded, len(encoded)), "sethostname")


def current() -> int:
    """A descriptor of the calling thread's network namespace."""
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY | os.O_CLOEXEC)


def _return(home: int) -> None:
    """Back to the namespace we came from; twice if need be, for whatever comes next must not happen in another one."""
    try:
        setns(home, CLONE_NEWNET)
    except OSError:
        setns(home, CLONE_NEWNET)


def anonymous() -> int:
    """Make a network namespace without a name, gone with its descriptor; the thread is back where it was."""
    home = current()
    try:
        unshare(CLONE_NEWNET)
        try:
            return current()
        finally:
            _return(home)
    finally:
        os.close(home)


def create(path: Path) -> int:
    """Make a network namespace, bind it to a new file at `path`, and return a descriptor of it.

    The calling thread is back where it was, also when something fails.
    """
    home = current()
    try:
        unshare(CLONE_NEWNET)
        try:
            descriptor = current()
            try:
                os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDONLY | os.O_CLOEXEC, 0o444))
                mount("/proc/thread-self/ns/net", str(path), None, MS_BIND)
            except BaseException:
                os.close(descriptor)
                raise
        finally:
            _return(home)
    finally:
        os.close(home)
    return descriptor


def name(descriptor: int, path: Path) -> None:
    """Bind a namespace that has no name yet to a new file at `path`."""
    os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDONLY | os.O_CLOEXEC, 0o444))
    mount(f"/proc/self/fd/{descriptor}", str(path), None, MS_BIND)


@contextlib.contextmanager
def entered(namespace: int | Path) -> Iterator[None]:
    """The calling thread is inside a namespace, given by descriptor or by path, for the length of a `with`."""
    home = current()
    try:
        descriptor = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC) if isinstance(namespace, Path) else namespace
        try:
            setns(descriptor, CLONE_NEWNET)
        finally:
            if descriptor is not namespace:
                os.close(descriptor)
        try:
            yield
        finally:
            _return(home)
    finally:
        os.close(home)


def write_sysctl(name: str, value: str) -> None:
    """Write /proc/sys/net/<name> of the namespace that the calling thread is in."""
    descriptor = os.open(f"/proc/sys/net/{name}", os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(descriptor, value.encode())
    finally:
        os.close(descriptor)


def read_sysctl(name: str) -> str:
    """Read /proc/sys/net/<name> of the namespace that the calling thread is in."""
    descriptor = os.open(f"/proc/sys/net/{name}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(descriptor, 4096).decode().strip()
    finally:
        os.close(descriptor)


class Sysctls:
    """The settings below /proc/sys/net of the namespace that the calling thread is in when it first names a family.

    All namespaces' `ipv4` are entries of one directory with one name, and finding the right one among a thousand takes
    80 µs; so each is looked for once, and what is below it is opened from there.
    """

    def __init__(self) -> None:
        self._families: dict[str, int] = {}

    def __enter__(self) -> Sysctls:
        return self

    def __exit__(self, *exception: object) -> None:
        for descriptor in self._families.values():
            os.close(descriptor)
        self._families.clear()

    def read(self, name: str) -> str:
        """The value of a setting, for example `ipv4/ip_forward`."""
        descriptor = self._open(name, os.O_RDONLY)
        try:
            return os.read(descriptor, 4096).decode().strip()
        finally:
            os.close(descriptor)

    def write(self, name: str, value: str) -> None:
        """Write a setting."""
        descriptor = self._open(name, os.O_WRONLY)
        try:
            os.write(descriptor, value.encode())
        finally:
            os.close(descriptor)

    def _open(self, name: str, mode: int) -> int:
        family, _, rest = name.partition("/")
        directory = self._families.get(family)
        if directory is None:
            path = f"/proc/sys/net/{family}"
            directory = self._families[family] = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return os.open(rest, mode | os.O_CLOEXEC, dir_fd=directory)


def mounts_below(directory: Path) -> list[str]:
    """Mount points at and below a directory, as this process sees them, from /proc/self/mountinfo."""
    prefix = os.fsencode(directory)
    return [os.fsdecode(point) for point, _ in _mounts() if point == prefix or point.startswith(prefix + b"/")]


def mount_source(point: Path) -> str | None:
    """The source of what is mounted at a directory, as given to mount(2); None when nothing is."""
    sources = [source for there, source in _mounts() if there == os.fsencode(point)]
    return os.fsdecode(sources[-1]) if sources else None


def _mounts() -> Iterator[tuple[bytes, bytes]]:
    """Mount point and source of every mount, as this process sees them, the uppermost last."""
    with open("/proc/self/mountinfo", "rb") as table:
        for line in table:
            fields = line.split(b" ")
            yield _plain(fields[4]), _plain(fields[fields.index(b"-") + 2])


def _plain(field: bytes) -> bytes:
    r"""A field of mountinfo with its escapes (\040 for a blank) undone."""
    return re.sub(rb"\\([0-7]{3})", lambda found: bytes([int(found[1], 8)]), field) if b"\\" in field else field
