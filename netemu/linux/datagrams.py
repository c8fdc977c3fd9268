"""Questions to servers from inside a namespace, by UDP or TCP."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

from netemu.linux.namespaces import entered


class Asking:
    """Exchanges with one server. OSError means what it means on a socket; TimeoutError is one: silence."""

    def __init__(self, namespace: Path, server: IPv4Address, port: int, patience: float) -> None:
        self._namespace, self._server, self._patience = namespace, (str(server), port), patience

    def by_datagram(self, request: bytes) -> Iterator[bytes]:
        """Send a datagram; what comes back, as long as the caller has patience."""
        with self._socket(socket.SOCK_DGRAM) as sock:
            sock.send(request)
            deadline = time.monotonic() + self._patience
            while (remaining := deadline - time.monotonic()) > 0:
                sock.settimeout(remaining)
                yield sock.recv(65535)
        raise TimeoutError

    def by_stream(self, request: bytes) -> bytes:
        """Send a request with its length before it, and read an answer of that form (RFC 1035, 4.2.2)."""
        with self._socket(socket.SOCK_STREAM) as sock:
            sock.sendall(struct.pack("!H", len(request)) + request)
            (length,) = struct.unpack("!H", _exactly(sock, 2))
            return _exactly(sock, length)

    @contextlib.contextmanager
    def _socket(self, kind: int) -> Iterator[socket.socket]:
        with entered(self._namespace):
            sock = socket.socket(socket.AF_INET, kind)
        with sock:
            sock.settimeout(self._patience)
            sock.connect(self._server)
            yield sock


def _exactly(sock: socket.socket, length: int) -> bytes:
    content = b""
    while len(content) < length:
        more = sock.recv(length - len(content))
        if not more:
            raise ConnectionResetError("the server has closed the connection")
        content += more
    return content
