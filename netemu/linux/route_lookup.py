"""How a namespace's own routes and policy routing rules send a packet (RTM_GETROUTE, rtnetlink(7))."""

from __future__ import annotations

import socket
import struct
from pathlib import Path

from msgspec import Struct

from netemu.linux.namespaces import entered

RTM_GETROUTE, NLM_F_REQUEST, NLMSG_ERROR = 26, 1, 2
RTA_DST, RTA_SRC, RTA_IIF, RTA_OIF, RTA_GATEWAY, RTA_TABLE, RTA_MARK = 1, 2, 3, 4, 5, 15, 16
RTM_F_FIB_MATCH, RTM_F_LOOKUP_TABLE = 0x2000, 0x1000
"""Answer with the entry that decided, instead of with what it comes to; and with the table that it is in."""
RTN_LOCAL = 2
PASSED_ON = (1, RTN_LOCAL, 3, 5)
"""RTN_UNICAST, RTN_LOCAL, RTN_BROADCAST, RTN_MULTICAST; other types drop."""


class Entry(Struct, frozen=True):
    """The entry of a routing table that decided."""

    table: int
    destination: int
    length: int
    interface: str | None
    """None when it leads to several, or nowhere."""
    gateway: int | None
    local: bool
    """It leads to the namespace itself."""


class RouteLookup:
    """The routes of one namespace, as the kernel applies them."""

    def __init__(self, namespace: Path) -> None:
        with entered(namespace):
            self._netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
            self._names = dict(socket.if_nameindex())

    def entry(self, destination: int, *, source: int = 0, mark: int = 0, interface: int = 0) -> Entry | None:
        """The entry that decides about a packet with these ends and this mark that came in by an interface.

        `interface` is its index; 0 for a packet of the namespace's own. None when the kernel has no way for it.
        """
        ends = struct.pack("=HH", 8, RTA_DST) + destination.to_bytes(4, "big")
        if source:
            ends += struct.pack("=HH", 8, RTA_SRC) + source.to_bytes(4, "big")
        for kind, number in ((RTA_MARK, mark), (RTA_IIF, interface)):
            if number:
                ends += struct.pack("=HHI", 8, kind, number)
        flags = RTM_F_FIB_MATCH | RTM_F_LOOKUP_TABLE
        header = struct.pack("=BBBBBBBBI", socket.AF_INET, 32, 32 if source else 0, 0, 0, 0, 0, 0, flags)
        size = 16 + len(header) + len(ends)
        self._netlink.send(struct.pack("=IHHII", size, RTM_GETROUTE, NLM_F_REQUEST, 1, 0) + header + ends)
        answer = self._netlink.recv(8192)
        if struct.unpack_from("=H", answer, 4)[0] == NLMSG_ERROR:
            return None
        found: dict[int, bytes] = {}
        offset, end = 28, struct.unpack_from("=I", answer)[0]
        while offset + 4 <= end:
            length, attribute = struct.unpack_from("=HH", answer, offset)
            found[attribute] = answer[offset + 4 : offset + length]
            offset += length + 3 & ~3
        table = struct.unpack("=I", found[RTA_TABLE])[0] if RTA_TABLE in found else answer[20]
        index = struct.unpack("=I", found[RTA_OIF])[0] if RTA_OIF in found else 0
        return Entry(
            table=table,
            destination=int.from_bytes(found.get(RTA_DST, b""), "big"),
            length=answer[17],
            interface=self._names.get(index) if answer[23] in PASSED_ON else None,
            gateway=int.from_bytes(found[RTA_GATEWAY], "big") if RTA_GATEWAY in found else None,
            local=answer[23] == RTN_LOCAL,
        )

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
