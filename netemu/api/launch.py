"""Starts a program in a machine for somebody outside, and attends to it until it has ended.

The one outside has the other end of a socket (SOCK_SEQPACKET): a byte that comes in is a signal for the program and
all that it has started; what goes out is `started` or `failed` with an errno, and at last `ended` with the exit status.
When the other end is closed, the program is killed.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import select
import signal
import socket
import struct
from collections.abc import Sequence
from typing import NoReturn

from msgspec import Struct

from netemu.linux import processes
from netemu.linux.processes import Surroundings

PR_SET_CHILD_SUBREAPER = 36
LAST = (signal.SIGTERM, signal.SIGKILL)
STARTED, FAILED, ENDED = 1, 2, 3
NOTE = struct.Struct("=Bi")
"""What goes out: one of these three, and an errno or exit status."""


class Program(Struct, frozen=True):
    """What is to be started."""

    argv: tuple[str, ...]
    environment: dict[str, str]
    directory: str
    around: Surroundings


def launch(program: Program, standard: Sequence[int], attendant: int) -> None:
    """Start a program with three descriptors as its standard ones, and a process that attends to it.

    `attendant` is the descriptor of the socket. All four are closed here. Returns at once.
    """
    between = os.fork()
    if between == 0:
        try:
            os.setsid()
            if os.fork() == 0:
                _attend(program, standard, attendant)
        finally:
            os._exit(0)
    for descriptor in (*standard, attendant):
        os.close(descriptor)
    os.waitpid(between, 0)


def _attend(program: Program, standard: Sequence[int], attendant: int) -> NoReturn:
    """In a process of its own: be the parent of the program."""
    try:
        with contextlib.closing(socket.socket(fileno=attendant)) as outside:
            processes.default_signals()
            ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
            answer, told = os.pipe2(os.O_CLOEXEC)
            child = os.fork()
            if child == 0:
                _become(program, standard, told)
            os.close(told)
            with contextlib.suppress(OSError):  # it has done so itself
                os.setpgid(child, child)
            failure = os.read(answer, NOTE.size)  # nothing when it has become the program
            _close_all_but(attendant)
            outside.send(failure or NOTE.pack(STARTED, 0))
            status = _wait(child, outside)
            with contextlib.suppress(OSError):
                outside.send(NOTE.pack(ENDED, os.waitstatus_to_exitcode(status)))
    finally:
        os._exit(0)


def _wait(child: int, outside: socket.socket) -> int:
    """Pass signals on until the program has ended; its wait status.

    When it has been told to end, all that it has started ends with it: we are their parent then (prctl(2), subreaper).
    """
    handle, told = os.pidfd_open(child), False
    waits_for = [handle, outside.fileno()]
    while handle not in select.select(waits_for, (), ())[0]:
        order = outside.recv(1)
        told |= not order or order[0] in LAST
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, order[0] if order else signal.SIGKILL)
        if not order:
            waits_for.remove(outside.fileno())
    status = os.waitpid(child, 0)[1]
    if told:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(child, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while True:
                os.waitpid(-child, 0)
    return status


def _close_all_but(kept: int) -> None:
    """What the worker has open is nothing to us: its taps would stay open with us."""
    os.closerange(0, kept)
    os.closerange(kept + 1, 65536)


def _become(program: Program, standard: Sequence[int], told: int) -> NoReturn:
    """In the program's own process."""
    try:
        os.setpgid(0, 0)
        processes.enter(program.around)
        with contextlib.suppress(OSError):
            os.chdir(program.directory)
        for number, descriptor in enumerate(standard):
            os.dup2(descriptor, number)
        os.execvpe(program.argv[0], program.argv, program.environment)
    except ValueError:  # an empty name, or an argument with a NUL
        os.write(told, NOTE.pack(FAILED, errno.EINVAL))
    except OSError as error:
        os.write(told, NOTE.pack(FAILED, error.errno or errno.EIO))
    finally:
        os._exit(127)
