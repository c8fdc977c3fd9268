"""What is in a namespace: read from the kernel, in the words of `state`.

An object is ours when it carries our mark (`rtnetlink.OURS`, `rtnetlink.GROUP`); what others have put there is told
apart, and what the kernel makes by itself (local routes, learnt neighbours, lo) is nobody's.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator

from msgspec import Struct, field

from netemu.linux.rtnetlink import (
    FRA_FWMARK,
    FRA_FWMASK,
    FRA_IIFNAME,
    FRA_PRIORITY,
    FRA_PROTOCOL,
    FRA_SRC,
    FRA_TABLE,
    GROUP,
    IFA_LOCAL,
    IFA_PROTO,
    IFF_NOARP,
    IFF_UP,
    IFLA_ADDRESS,
    IFLA_AF_SPEC,
    IFLA_GROUP,
    IFLA_IFNAME,
    IFLA_INET_CONF,
    IPV4_DEVCONF_PROXY_ARP,
    IPV4_DEVCONF_RP_FILTER,
    IPV4_DEVCONF_SEND_REDIRECTS,
    NDA_DST,
    NDA_LLADDR,
    NDA_PROTOCOL,
    NUD_PERMANENT,
    OURS,
    RTA_DST,
    RTA_GATEWAY,
    RTA_OIF,
    RTA_PRIORITY,
    RTA_TABLE,
    RTNH_F_ONLINK,
    Rtnetlink,
    link_request,
)  # fmt: skip
from netemu.linux.state import Address, Neighbour, Route, Rule

RTM_GETLINK, RTM_GETADDR, RTM_GETROUTE, RTM_GETNEIGH, RTM_GETRULE = 18, 22, 26, 30, 34
IFLA_LINK = 5
RTPROT_KERNEL, RT_TABLE_LOCAL = 2, 255
LOOPBACK = 1
"""Index of `lo` in every namespace (linux/net/core/dev.c)."""
DEFAULT_RULES = {(0, RT_TABLE_LOCAL), (32766, 254), (32767, 253)}
"""Priority and table of the rules that every namespace has."""

_u16x2 = struct.Struct("=HH").unpack_from
_u32 = struct.Struct("=I").unpack_from
_be32 = struct.Struct("!I").unpack_from
_ifinfomsg = struct.Struct("=BxHiII").unpack_from
_rtmsg = struct.Struct("=BBBBBBBBI").unpack_from
_ndmsg = struct.Struct("=BxxxiHBB").unpack_from


class Link(Struct, frozen=True):
    """An interface."""

    index: int
    name: str
    mac: bytes
    up: bool
    noarp: bool
    peer: int
    """Index of a veth's other end, in its own namespace."""
    proxy_arp: bool
    router: bool
    """Neither filters by reverse path nor sends redirects."""
    ours: bool


class Observed(Struct):
    """A namespace as it is. Routes by (table, destination, length, metric): there can be one of each."""

    loopback: bool = False
    """Is `lo` up?"""
    links: dict[int, Link] = field(default_factory=dict)
    addresses: set[Address] = field(default_factory=set)
    routes: dict[tuple[int, int, int, int], Route] = field(default_factory=dict)
    rules: set[Rule] = field(default_factory=set)
    neighbours: dict[tuple[int, int], bytes] = field(default_factory=dict)
    """(index, address) to MAC, of the permanent ones."""
    foreign: list[Link | Address | Route | Rule | Neighbour] = field(default_factory=list)
    """What somebody else has put there."""


def observe(netlink: Rtnetlink, rules: bool = True) -> Observed:
    """Read the namespace that a socket belongs to; its policy routing rules only when asked to."""
    found = Observed()
    _links(netlink, found)
    _addresses(netlink, found)
    _routes(netlink, found)
    _neighbours(netlink, found)
    if rules:
        _rules(netlink, found)
    return found


def _attributes(buffer: bytes, offset: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Kind, start and length of the attributes of a message."""
    while offset + 4 <= end:
        size, kind = _u16x2(buffer, offset)
        if size < 4:
            return
        yield kind & 0x3FFF, offset + 4, size - 4
        offset += size + 3 & ~3


def _links(netlink: Rtnetlink, found: Observed) -> None:
    links = LinkReader()
    for message in netlink.dump(RTM_GETLINK, link_request(0)):
        there = links.read(*message)
        if there.index == LOOPBACK:
            found.loopback = there.up
            continue
        if there.ours:
            found.links[there.index] = there
        else:
            found.foreign.append(there)


class LinkReader:
    """Reads RTM_NEWLINK messages.

    A link has forty attributes and we want five. Messages of one length are mostly built alike: if the five are where
    they were in the last one, the others need not be looked at.
    """

    def __init__(self) -> None:
        self._places: dict[int, tuple[tuple[int, int, int], ...]] = {}

    def read(self, buffer: bytes, start: int, end: int) -> Link:
        """One message, given by the datagram and where in it the body is."""
        _, _, index, flags, _ = _ifinfomsg(buffer, start)
        places = self._places.get(end - start, ())
        for kind, offset, size in places:
            if _u16x2(buffer, start + offset - 4) != (size + 4, kind):
                places = ()
                break
        if not places:
            places = self._places[end - start] = tuple(
                (_u16x2(buffer, at - 4)[1], at - start, size)
                for kind, at, size in _attributes(buffer, start + 16, end)
                if kind in _WANTED
            )
        name, mac, peer, group, conf = "", b"", 0, 0, None
        for kind, offset, size in places:
            at = start + offset
            if kind == IFLA_IFNAME:
                name = buffer[at : at + size - 1].decode(errors="replace")
            elif kind == IFLA_ADDRESS:
                mac = buffer[at : at + size]
            elif kind == IFLA_LINK:
                (peer,) = _u32(buffer, at)
            elif kind == IFLA_GROUP:
                (group,) = _u32(buffer, at)
            else:
                conf = _inet_conf(buffer, at, at + size)

        def on(number: int) -> bool:
            return conf is not None and _u32(buffer, conf + 4 * (number - 1))[0] != 0

        return Link(
            index, name, mac, bool(flags & IFF_UP), bool(flags & IFF_NOARP), peer, on(IPV4_DEVCONF_PROXY_ARP),
            not on(IPV4_DEVCONF_RP_FILTER) and not on(IPV4_DEVCONF_SEND_REDIRECTS), group == GROUP,
        )  # fmt: skip


_WANTED = (IFLA_IFNAME, IFLA_ADDRESS, IFLA_LINK, IFLA_GROUP, IFLA_AF_SPEC)


def _inet_conf(buffer: bytes, start: int, end: int) -> int | None:
    """Where the IPv4 settings of an interface lie: one u32 each, in the order of IPV4_DEVCONF_*, from 1."""
    for family, at, size in _attributes(buffer, start, end):
        if family == socket.AF_INET:
            for kind, inner, _ in _attributes(buffer, at, at + size):
                if kind == IFLA_INET_CONF:
                    return inner
    return None


def _addresses(netlink: Rtnetlink, found: Observed) -> None:
    for message in netlink.dump(RTM_GETADDR, struct.pack("=BBBBi", socket.AF_INET, 0, 0, 0, 0)):
        item, ours = address(*message)
        if ours:
            found.addresses.add(item)
        elif item.index != LOOPBACK or item.address >> 24 != 127:
            found.foreign.append(item)


def is_up(buffer: bytes, start: int, _: int) -> bool:
    """Does an RTM_NEWLINK say that the interface is up?"""
    flags: int = _ifinfomsg(buffer, start)[3]
    return bool(flags & IFF_UP)


def address(buffer: bytes, start: int, end: int) -> tuple[Address, bool]:
    """Read an RTM_NEWADDR: the address, and whether it is ours."""
    value, proto = 0, 0
    for kind, at, _ in _attributes(buffer, start + 8, end):
        if kind == IFA_LOCAL:
            (value,) = _be32(buffer, at)
        elif kind == IFA_PROTO:
            proto = buffer[at]
    return Address(_u32(buffer, start + 4)[0], value, buffer[start + 1]), proto == OURS


def _routes(netlink: Rtnetlink, found: Observed) -> None:
    for message in netlink.dump(RTM_GETROUTE, struct.pack("=BBBBBBBBI", socket.AF_INET, *[0] * 8)):
        _, _, _, _, table, proto, _, _, _ = _rtmsg(message[0], message[1])
        if proto == RTPROT_KERNEL or table == RT_TABLE_LOCAL:
            continue
        item = route(*message)
        if proto == OURS:
            found.routes[item.table, item.destination, item.prefix_length, item.metric] = item
        else:
            found.foreign.append(item)


def table_routes(netlink: Rtnetlink, table: int) -> Iterator[Route]:
    """The routes of one table, whoever made them; the socket must be a strict one."""
    body = struct.pack("=BBBBBBBBI", socket.AF_INET, *[0] * 8) + struct.pack("=HHI", 8, RTA_TABLE, table)
    return (route(*message) for message in netlink.dump(RTM_GETROUTE, body))


def route(buffer: bytes, start: int, end: int) -> Route:
    """Read an RTM_NEWROUTE."""
    _, length, _, _, table, _, _, _, flags = _rtmsg(buffer, start)
    index, destination, gateway, metric = 0, 0, None, 0
    for kind, at, _ in _attributes(buffer, start + 12, end):
        if kind == RTA_OIF:
            (index,) = _u32(buffer, at)
        elif kind == RTA_DST:
            (destination,) = _be32(buffer, at)
        elif kind == RTA_GATEWAY:
            (gateway,) = _be32(buffer, at)
        elif kind == RTA_PRIORITY:
            (metric,) = _u32(buffer, at)
        elif kind == RTA_TABLE:
            (table,) = _u32(buffer, at)
    return Route(index, destination, length, table, gateway, bool(flags & RTNH_F_ONLINK), metric)


def _rules(netlink: Rtnetlink, found: Observed) -> None:
    for buffer, start, end in netlink.dump(RTM_GETRULE, struct.pack("=BBBBBBBBI", socket.AF_INET, *[0] * 8)):
        table = buffer[start + 4]
        priority, mark, mask, proto = 0, 0, 0, 0
        iif: str | None = None
        source: int | None = None
        for kind, at, size in _attributes(buffer, start + 12, end):
            if kind == FRA_PRIORITY:
                (priority,) = _u32(buffer, at)
            elif kind == FRA_FWMARK:
                (mark,) = _u32(buffer, at)
            elif kind == FRA_FWMASK:
                (mask,) = _u32(buffer, at)
            elif kind == FRA_TABLE:
                (table,) = _u32(buffer, at)
            elif kind == FRA_PROTOCOL:
                proto = buffer[at]
            elif kind == FRA_IIFNAME:
                iif = buffer[at : at + size - 1].decode(errors="replace")
            elif kind == FRA_SRC:
                (source,) = _be32(buffer, at)
        item = Rule(priority, mark, mask, table, iif, source)
        if proto == OURS:
            found.rules.add(item)
        elif (priority, table) not in DEFAULT_RULES:
            found.foreign.append(item)


def _neighbours(netlink: Rtnetlink, found: Observed) -> None:
    for message in netlink.dump(RTM_GETNEIGH, struct.pack("=BxxxiHBB", socket.AF_INET, 0, 0, 0, 0)):
        if not _ndmsg(message[0], message[1])[2] & NUD_PERMANENT:
            continue
        item, ours = neighbour(*message)
        if ours:
            found.neighbours[item.index, item.address] = item.mac
        else:
            found.foreign.append(item)


def neighbour(buffer: bytes, start: int, end: int) -> tuple[Neighbour, bool]:
    """Read an RTM_NEWNEIGH: the neighbour, and whether it is ours: permanent and with our mark."""
    _, index, state, _, _ = _ndmsg(buffer, start)
    value, mac, proto = 0, b"", 0
    for kind, at, size in _attributes(buffer, start + 12, end):
        if kind == NDA_DST:
            (value,) = _be32(buffer, at)
        elif kind == NDA_LLADDR:
            mac = buffer[at : at + size]
        elif kind == NDA_PROTOCOL:
            proto = buffer[at]
    return Neighbour(index, value, mac), proto == OURS and bool(state & NUD_PERMANENT)
