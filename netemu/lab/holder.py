"""The holder of an ordinary user's lab: the first process of a household, which does nothing but be there.

Outside the household, <lab>.netemu-holder names it by its id and start time. It is not the lab's agent: that one may be
killed and started again, while the lab stays; with the holder the lab ends, whatever is killed and however.
"""

from __future__ import annotations

import os
import struct
import sys
from pathlib import Path

import msgspec
from msgspec import Struct

from netemu.errors import SystemRefusal
from netemu.lab.names import ETC_NETNS, NETNS
from netemu.linux import processes
from netemu.linux import user_namespaces as users

HOLDER = ".netemu-holder"
PID = struct.Struct("=i")
HOLD = (
    "import os,signal as s,sys;"
    "s.signal(s.SIGCHLD,s.SIG_IGN);"  # the kernel reaps orphans, then
    "s.pthread_sigmask(s.SIG_BLOCK,[s.SIGTERM])\n"  # a first process gets no signal that it has not asked for
    "while os.path.exists(sys.argv[1]) and not s.sigtimedwait([s.SIGTERM],30):pass"
)
"""The holder's program: until SIGTERM, or until its record is gone. Python alone, without packages, takes 9 MB."""


class Holder(Struct, frozen=True):
    """The process that holds a lab, as its record names it."""

    pid: int
    started: int
    """In clock ticks since boot; with the id it names a process for ever."""

    def open(self) -> int | None:
        """A descriptor of the very process; None when it has ended."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except (OSError, OverflowError):  # ended, or a number that is no process's
            return None
        if processes.start_time(self.pid) == self.started:
            return descriptor
        os.close(descriptor)
        return None


def alive(base: Path, name: str) -> int | None:
    """A descriptor of the lab's holder, if it lives."""
    try:
        return msgspec.json.decode((base / f"{name}{HOLDER}").read_bytes(), type=Holder).open()
    except (OSError, msgspec.MsgspecError):
        return None


def make(base: Path, name: str) -> int:
    """Make a household, and its holder's record; a descriptor of the holder. Killed half way, it leaves no process."""
    answers, told = os.pipe2(os.O_CLOEXEC)
    orders, go = os.pipe2(os.O_CLOEXEC)
    record = base / f"{name}{HOLDER}"
    middle = os.fork()
    if middle == 0:
        os.close(go)  # so that the holder-to-be sees our end
        _found(told, orders, record)
    os.close(told)
    os.close(orders)
    try:
        with os.fdopen(answers, "rb") as pipe:
            said = pipe.read()
        os.waitpid(middle, 0)
        if said[PID.size :] != b"ready":
            reason = users.why_not() or said[PID.size :].decode(errors="replace") or "its first process ended at once"
            raise SystemRefusal(f"lab {name} needs root, or a user namespace, which cannot be had: {reason}")
        pid = PID.unpack_from(said)[0]
        process = os.pidfd_open(pid)
        draft = base / f"{name}{HOLDER}.new"
        draft.write_bytes(msgspec.json.encode(Holder(pid, processes.start_time(pid) or 0)))
        draft.rename(record)
        os.write(go, b"!")
        return process
    finally:
        os.close(go)


def _found(told: int, orders: int, record: Path) -> None:
    """In a forked child: make a household whose first process becomes the holder once the record is written.

    Answers by the pipe `told`: the id of the first process, and `ready` or what went wrong.
    """
    said, first = b"", 0
    try:
        users.leave()
        answers, heard = os.pipe2(os.O_CLOEXEC)
        first = os.fork()
        if first == 0:
            os.close(told)
            os.close(answers)
            _hold(heard, orders, record)
        os.close(heard)
        said = os.read(answers, 4096)
    except OSError as error:
        said = (error.strerror or "").encode()
    finally:
        os.write(told, PID.pack(first) + said)
        os._exit(0)


def _hold(heard: int, orders: int, record: Path) -> None:
    """In the first process of a household: furnish it, and become the holder when we are told to."""
    try:
        os.setsid()
        users.furnish((NETNS, ETC_NETNS))
        os.chdir("/")
        null = os.open("/dev/null", os.O_RDWR)
        for standard in range(3):
            os.dup2(null, standard)
        os.write(heard, b"ready")
        if os.read(orders, 1):  # else who made us was killed
            os.execve(sys.executable, [sys.executable, "-I", "-S", "-c", HOLD, str(record)], {})
    except OSError as error:
        os.write(heard, (error.strerror or "").encode())
    finally:
        os._exit(1)
