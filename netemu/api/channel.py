"""Messages between a Lab and its worker: msgpack with its length before it, and descriptors beside it.

A request is `[what, arguments]`. An answer is `["is", value]` or `["error", kind, text, problems]`, where the kind is
the name of a class in netemu.errors, or `Bug` with a traceback.
"""

from __future__ import annotations

import contextlib
import socket
import struct
from collections.abc import Sequence
from typing import Any

import msgspec

from netemu import errors
from netemu.errors import NetemuError, Problem, ScenarioError

_LENGTH = struct.Struct("!I")
_DESCRIPTORS = 4
"""Most that come with one message."""


class Ended(ConnectionError):
    """The other side is gone."""


class Channel:
    """One end of the connection."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end

    def close(self) -> None:
        """End the connection: the other side sees that."""
        self._end.close()

    def send(self, message: object, descriptors: Sequence[int] = ()) -> None:
        """Send a message of plain data. Raises Ended."""
        body = msgspec.msgpack.encode(message, enc_hook=str)
        try:
            socket.send_fds(self._end, [_LENGTH.pack(len(body))], list(descriptors))
            self._end.sendall(body)
        except OSError as error:
            raise Ended from error

    def receive(self) -> tuple[Any, list[int]]:
        """The next message and the descriptors that came with it. Raises Ended."""
        try:
            head, descriptors, _, _ = socket.recv_fds(
                self._end, _LENGTH.size, _DESCRIPTORS, socket.MSG_CMSG_CLOEXEC
            )
            while head and len(head) < _LENGTH.size:
                head += self._some(_LENGTH.size - len(head))
            if not head:
                raise Ended
            size, body = _LENGTH.unpack(head)[0], bytearray()
            while len(body) < size:
                body += self._some(size - len(body))
        except OSError as error:
            raise Ended from error
        return msgspec.msgpack.decode(bytes(body)), descriptors

    def _some(self, most: int) -> bytes:
        data = self._end.recv(min(most, 1 << 20))
        if not data:
            raise Ended
        return data

    def wait_for_end(self) -> None:
        """Until the other side is gone; what it still says is thrown away."""
        with contextlib.suppress(OSError):
            while self._end.recv(1 << 16):
                pass


def error_message(error: NetemuError) -> list[Any]:
    """An error as an answer."""
    problems = error.problems if isinstance(error, ScenarioError) else ()
    return ["error", type(error).__name__, str(error), problems]


def raised(kind: str, text: str, problems: Sequence[Any]) -> Exception:
    """The exception that an answer speaks of."""
    if kind == "ScenarioError":
        return ScenarioError([msgspec.convert(problem, Problem) for problem in problems])
    found = getattr(errors, kind, None)
    if isinstance(found, type) and issubclass(found, NetemuError):
        return found(text)
    return RuntimeError(text) if kind == "Bug" else NetemuError(text)
