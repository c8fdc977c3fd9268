"""One question to one backend, on a socket that never blocks (LB-27, LB-28).

The same as Azure's: a TCP probe is answered by a handshake; an HTTP probe by the status 200 and no other; an HTTPS
probe likewise, whatever certificate there is. The connection is closed in peace, so that no server complains of it.
"""

from __future__ import annotations

import errno
import os
import re
import select
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from netemu.linux.state import Check

if TYPE_CHECKING:  # 4 MB, for those who have an HTTPS probe
    import ssl

REQUEST = "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: Load Balancer Agent\r\nAccept: */*\r\nConnection: close\r\n\r\n"
STATUS = re.compile(rb"HTTP/[0-9.]+ +([0-9]{3})(?:[ \r\n]|$)")
STATUS_LINE = 4096
"""Bytes in which there must be a status line."""
PIECE = 65536
MOST = 1 << 20
"""Bytes of an answer that are read; nobody wants them."""
IP_BIND_ADDRESS_NO_PORT = 24


def open_socket(check: Check) -> socket.socket:
    """A socket for a question, in the namespace that the calling thread is in. Asks already."""
    opened = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
    try:
        opened.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
        opened.bind((_dotted(check.source), 0))
        opened.connect_ex((_dotted(check.address), check.port))
    except BaseException:
        opened.close()
        raise
    return opened


class Attempt:
    """A question that is on its way."""

    def __init__(self, check: Check, opened: socket.socket, context: ssl.SSLContext | None = None) -> None:
        self.check = check
        self.descriptor = opened.fileno()
        self._socket = opened
        self._context = context
        """For `https`."""
        self._step: Callable[[], None] = self._connected
        self._heard = bytearray()
        self._read = 0
        self.wants = select.EPOLLOUT
        """What it waits for."""
        self.good: bool | None = None
        """The answer; None until there is one."""
        self.detail = ""
        """Why the answer is not good."""
        self.finished = False
        """Nothing more will come of it."""

    def close(self) -> None:
        """End it, at whatever point."""
        self.finished = True
        self._socket.close()

    def proceed(self) -> None:
        """Something is ready."""
        try:
            self._step()
        except BlockingIOError:
            pass
        except OSError as error:  # ssl's errors are among them
            self._fail(error)

    def expire(self) -> None:
        """The time for an answer is over."""
        if self.good is None:
            self._answer(False, f"no answer in {self.check.timeout:g} s")
        self.finished = True

    # ---- the steps -----------------------------------------------------------------------------------------------

    def _connected(self) -> None:
        code = self._socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if code:
            raise OSError(code, os.strerror(code))
        if self.check.kind == "tcp":
            self._answer(True)
            self.finished = True
        elif self._context is not None:
            self._socket = self._context.wrap_socket(self._socket, do_handshake_on_connect=False)
            self._step = self._handshake
            self.proceed()
        else:
            self._ask()

    def _handshake(self) -> None:
        if self._encrypted(lambda: self._socket.do_handshake()) is not None:  # type: ignore[attr-defined]
            self._ask()

    def _ask(self) -> None:
        request = REQUEST.format(self.check.path, _dotted(self.check.address))
        self._socket.send(request.encode())  # the first bytes of a connection always fit
        self._step, self.wants = self._listen, select.EPOLLIN
        if self._context is not None:
            self.proceed()

    def _listen(self) -> None:
        while True:
            data = self._encrypted(lambda: self._socket.recv(PIECE))
            if data is None:
                return
            self._read += len(data)
            if self.good is None:
                self._heard += data
                self._judge(ended=not data)
            if not data or self._read > MOST or self.good is False:
                self.finished = True
                return

    def _judge(self, ended: bool) -> None:
        if not ended and b"\n" not in self._heard and len(self._heard) < STATUS_LINE:
            return
        found = STATUS.match(self._heard)
        if found is not None:
            self._answer(found[1] == b"200", f"status {found[1].decode()}")
        else:
            self._answer(False, "no HTTP in the answer" if self._heard else "closed without an answer")

    def _encrypted(self, call: Callable[[], bytes | None]) -> bytes | None:
        """Do something that may have to wait for either direction; None when it has to. A handshake gives b""."""
        if self._context is None:
            return call()
        import ssl

        try:
            return call() or b""
        except ssl.SSLWantReadError:
            self.wants = select.EPOLLIN
        except ssl.SSLWantWriteError:
            self.wants = select.EPOLLOUT
        return None

    # ---- the end -------------------------------------------------------------------------------------------------

    def _answer(self, good: bool, detail: str = "") -> None:
        self.good, self.detail = good, "" if good else detail

    def _fail(self, error: OSError) -> None:
        self.finished = True
        if self.good is not None:
            return
        if error.errno == errno.ECONNREFUSED:
            self._answer(False, "connection refused")
        elif self._step == self._handshake:
            self._answer(False, f"no TLS: {getattr(error, 'reason', None) or error.strerror or error}")
        else:
            self._answer(False, (error.strerror or str(error)).lower())


def _dotted(address: int) -> str:
    return socket.inet_ntoa(address.to_bytes(4, "big"))
