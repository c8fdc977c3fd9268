"""Namespaces made in advance by a second process, while the first one still compiles.

Making one is 0.5 ms of work for the kernel alone, and most machines have a second core. They have no names yet: when
both processes have ended, however they did, nothing is left of them.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
from collections import deque
from collections.abc import Mapping
from typing import NoReturn

from netemu.linux import namespaces as ns

PAYS_OFF = 64
"""With fewer namespaces than that the fork is not worth while."""

AT_ONCE = 16
"""Descriptors in one message; the kernel allows 253 (SCM_MAX_FD)."""

_error = struct.Struct("=i")


class Settings:
    """Writes the sysctls of new namespaces, but for those that a new namespace has anyhow: it is read once."""

    def __init__(self) -> None:
        self._inherited: dict[str, str] = {}

    def write(self, wanted: Mapping[str, str]) -> None:
        """Set up the namespace that the calling thread is in."""
        with ns.Sysctls() as sysctls:
            for name, value in wanted.items():
                inherited = self._inherited.get(name)
                if inherited is None:
                    inherited = self._inherited[name] = sysctls.read(name)
                if inherited != value:
                    sysctls.write(name, value)


class Nursery:
    """So many new namespaces, all with the same sysctls; none at all when they are too few."""

    def __init__(self, count: int, sysctls: Mapping[str, str]) -> None:
        self.sysctls = dict(sysctls)
        self.left = count if count >= PAYS_OFF else 0
        """How many can still be taken."""
        self._ready: deque[int] = deque()
        self.process: int | None = None
        """The second process, while there is one."""
        if self.left:
            self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            with theirs:
                self.process = os.fork()
                if self.process == 0:
                    _make(theirs, self._socket, count, self.sysctls)

    def __enter__(self) -> Nursery:
        return self

    def __exit__(self, *exception: object) -> None:
        for descriptor in self._ready:
            os.close(descriptor)
        if self.process is not None:
            self._socket.close()  # which ends the other process at its next message
            os.waitpid(self.process, 0)
            self.process = None

    def take(self) -> int | None:
        """A descriptor of a namespace, which is the caller's from now on; None when there is none yet, or no more.

        Who gets none makes one: two processes make them faster than one. Raises the OSError that the other one met.
        """
        if not self.left:
            return None
        if not self._ready:
            flags = socket.MSG_CMSG_CLOEXEC | socket.MSG_DONTWAIT
            try:
                answer, descriptors, _, _ = socket.recv_fds(self._socket, _error.size, AT_ONCE, flags)
            except BlockingIOError:
                return None
            if not descriptors:
                code = _error.unpack(answer)[0] if len(answer) == _error.size else 32
                raise OSError(code, os.strerror(code))
            self._ready.extend(descriptors)
        self.left -= 1
        return self._ready.popleft()


def _make(out: socket.socket, others: socket.socket, count: int, sysctls: Mapping[str, str]) -> NoReturn:
    """In the child: make them all. Where it stands meanwhile does not matter, it ends in the last one."""
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides what becomes of us
        others.close()
        settings, made = Settings(), list[int]()
        for number in range(1, count + 1):
            ns.unshare(ns.CLONE_NEWNET)
            settings.write(sysctls)
            made.append(ns.current())
            if len(made) == AT_ONCE or number == count:
                socket.send_fds(out, [b"\0"], made)
                for descriptor in made:
                    os.close(descriptor)
                made.clear()
    except OSError as error:
        with contextlib.suppress(OSError):  # nobody waits for it any more
            out.send(_error.pack(error.errno or 1))
    finally:
        os._exit(0)
