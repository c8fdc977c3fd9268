"""A process that does its work in a child and is, to whoever started it, as if it had done it itself.

Needed where a process cannot move: setns(2) with a process namespace moves only the children.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import resource
import select
import signal
import sys
from collections.abc import Callable

PR_SET_PDEATHSIG = 1
PASSED_ON = {signal.SIGINT, signal.SIGQUIT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2}


def go_on_in_child(afterwards: Callable[[], None]) -> None:
    """Fork, and return in the child only. It is killed should we be.

    Signals that somebody sends us reach it (the terminal's reach it anyhow: it is in our process group). When it has
    ended, `afterwards` is called, and we end as it did: with its exit status or by its signal.
    """
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):  # closed
            stream.flush()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # ignored, as some parents leave it, it would hide the child's end
    waited_for = PASSED_ON | {signal.SIGCHLD}
    before = signal.pthread_sigmask(signal.SIG_BLOCK, waited_for)
    ourselves = os.pidfd_open(os.getpid())
    child = os.fork()
    if child == 0:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
        if select.select([ourselves], (), (), 0)[0]:  # our parent was killed before we could ask for that
            os._exit(1)
        os.close(ourselves)
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return
    os.close(ourselves)
    status = _attend(child, waited_for)
    try:
        afterwards()
    finally:
        _end_as(status)


def _attend(child: int, waited_for: set[signal.Signals]) -> int:
    """Pass signals on until the child has ended; its wait status."""
    while True:
        received = signal.sigwaitinfo(waited_for)
        if received.si_signo != signal.SIGCHLD:
            if received.si_code <= 0:  # from a process, not from the kernel for the whole group
                os.kill(child, received.si_signo)
            continue
        found, status = os.waitpid(child, os.WNOHANG)
        if found:
            return status


def _end_as(status: int) -> None:
    """End with a wait status that somebody else had."""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
        if number not in (signal.SIGKILL, signal.SIGSTOP):
            signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
        os.kill(os.getpid(), number)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)
