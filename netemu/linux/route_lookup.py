"""By which interface a namespace's own routes send a packet (RTM_GETROUTE, rtnetlink(7))."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

from netemu.linux.namespaces import entered

RTM_GETROUTE, NLM_F_REQUEST, NLMSG_ERROR = 26, 1, 2
RTA_DST, RTA_OIF = 1, 4


class RouteLookup:
    """The routes of one namespace, as the kernel applies them."""

    def __init__(self, namespace: Path) -> None:
        with entered(namespace):
            self._netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
            self._names = dict(socket.if_nameindex())

    def close(self) -> None:
        """Close it."""
        self._netlink.close()

    def interface(self, destination: int) -> str:
        """The interface for an address; OSError when there is no route."""
        body = struct.pack("=BBBBBBBBI", socket.AF_INET, 32, *[0] * 7) + struct.pack("=HH", 8, RTA_DST)
        body += destination.to_bytes(4, "big")
        self._netlink.send(struct.pack("=IHHII", 16 + len(body), RTM_GETROUTE, NLM_F_REQUEST, 1, 0) + body)
        answer = self._netlink.recv(8192)
        kind = struct.unpack_from("=H", answer, 4)[0]
        if kind == NLMSG_ERROR:
            code = -struct.unpack_from("=i", answer, 16)[0]
            raise OSError(code, "no route")
        offset, end = 28, struct.unpack_from("=I", answer)[0]
        while offset + 4 <= end:
            size, attribute = struct.unpack_from("=HH", answer, offset)
            if attribute == RTA_OIF:
                return self._names[struct.unpack_from("=I", answer, offset + 4)[0]]
            offset += size + 3 & ~3
        raise OSError(101, "the route names no interface")
