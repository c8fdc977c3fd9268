"""Rtnetlink messages: encoded here, sent in batches without acknowledgement.

The kernel handles a batch inside send(). A message that fails always queues an NLMSG_ERROR with its sequence number,
one that succeeds queues nothing, so an empty receive queue after send() means that the whole batch succeeded.

pyroute2's message classes encode the same bytes, but cost 150 µs a message and 256 ms to import, more than building
100 machines takes; docs/decisions.md has the figures, and a test decodes these bytes with pyroute2.

Sources: linux/rtnetlink.h, linux/if_link.h, linux/fib_rules.h, linux/neighbour.h.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Collection, Iterable, Iterator, Sequence

from msgspec import Struct

from netemu.linux.state import Address, End, Neighbour, Route, Rule, Veth

RTM_NEWLINK, RTM_NEWADDR, RTM_NEWROUTE, RTM_NEWNEIGH, RTM_NEWRULE, RTM_SETNEIGHTBL = 16, 20, 24, 28, 32, 67
RTM_DELLINK, RTM_DELADDR, RTM_DELROUTE, RTM_DELNEIGH, RTM_DELRULE = 17, 21, 25, 29, 33
NLM_F_REQUEST, NLM_F_DUMP, NLM_F_REPLACE, NLM_F_EXCL, NLM_F_CREATE = 0x1, 0x300, 0x100, 0x200, 0x400
NLMSG_ERROR, NLMSG_DONE = 2, 3
SOL_NETLINK, NETLINK_CAP_ACK, NETLINK_EXT_ACK, NETLINK_GET_STRICT_CHK = 270, 10, 11, 12
NLMSGERR_ATTR_MSG = 1

IFF_UP, IFF_NOARP = 0x1, 0x80
IFLA_ADDRESS, IFLA_IFNAME, IFLA_LINKINFO, IFLA_AF_SPEC, IFLA_NET_NS_FD = 1, 3, 18, 26, 28
IFLA_GROUP, IFLA_EXT_MASK, IFLA_NUM_TX_QUEUES, IFLA_NUM_RX_QUEUES = 27, 29, 31, 32
RTEXT_FILTER_SKIP_STATS = 8
IFLA_INFO_KIND, IFLA_INFO_DATA, VETH_INFO_PEER, IFLA_INET_CONF = 1, 2, 1, 1
IPV4_DEVCONF_PROXY_ARP, IPV4_DEVCONF_SEND_REDIRECTS, IPV4_DEVCONF_RP_FILTER = 3, 6, 8
IFA_ADDRESS, IFA_LOCAL, IFA_PROTO = 1, 2, 11
RTA_DST, RTA_OIF, RTA_GATEWAY, RTA_PRIORITY, RTA_TABLE = 1, 4, 5, 6, 15
RTNH_F_ONLINK, RTN_UNICAST, RT_SCOPE_UNIVERSE, RT_SCOPE_LINK = 4, 1, 0, 253
NDA_DST, NDA_LLADDR, NDA_PROTOCOL, NUD_PERMANENT = 1, 2, 12, 0x80
NDTA_NAME, NDTA_PARMS, NDTPA_IFINDEX, NDTPA_PROXY_DELAY = 1, 6, 1, 13
FRA_SRC, FRA_IIFNAME, FRA_PRIORITY, FRA_FWMARK, FRA_TABLE, FRA_FWMASK, FRA_PROTOCOL = 2, 3, 6, 10, 15, 16, 21
FR_ACT_TO_TBL = 1

OURS = 78
"""The origin ("proto") of every route, rule, address and neighbour that netemu makes; nobody else's in rt_protos. What
says `proto 78` is ours, also after a crash; everything else inside a namespace of ours is somebody else's."""
GROUP = 0x6E65746D
"""The group of every interface that netemu makes, to the same end ("netm")."""

DATAGRAM = 262_144
"""Longest answer of a dump: the kernel makes them 32 KiB long at most."""

BATCH = 60_000
"""Bytes in one send(): below the default socket buffer of every kernel."""

_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")
_header = struct.Struct("=IHHII").pack
_attribute_header = struct.Struct("=HH").pack
_length_and_kind = struct.Struct("=IH").unpack_from
_ifinfomsg = struct.Struct("=BxHiII").pack
_ifaddrmsg = struct.Struct("=BBBBi").pack
_rtmsg = struct.Struct("=BBBBBBBBI").pack
_ndmsg = struct.Struct("=BxxxiHBB").pack
_u32 = struct.Struct("=I").pack
_u64 = struct.Struct("=Q").pack
_be32 = struct.Struct("!I").pack


class Message(Struct, frozen=True):
    """One encoded request; `about` names its object in errors."""

    kind: int
    flags: int
    body: bytes
    about: object


class RtnetlinkError(OSError):
    """The kernel refused a message; `about` is the object that the message was for."""

    def __init__(self, code: int, reason: str, about: object) -> None:
        super().__init__(code, f"{os.strerror(code)}{f' ({reason})' if reason else ''}")
        self.about = about


def _attribute(kind: int, data: bytes) -> bytes:
    size = len(data)
    return _attribute_header(size + 4, kind) + data + _PADDING[size & 3]


_ONE_QUEUE = _attribute(IFLA_NUM_TX_QUEUES, _u32(1)) + _attribute(IFLA_NUM_RX_QUEUES, _u32(1))
"""More queues than one make the kernel wait for an RCU grace period under the global lock for every veth."""
_LINK = _ONE_QUEUE + _attribute(IFLA_GROUP, _u32(GROUP))
_PROTO = {kind: _attribute(kind, bytes((OURS,))) for kind in (IFA_PROTO, NDA_PROTOCOL, FRA_PROTOCOL)}


def veth(pair: Veth, far_namespace: int) -> Message:
    """Make both ends of a pair, each in its own namespace; `far_namespace` is an open descriptor.

    The far end cannot be created up (ENOTCONN): `raise_link` does that from its own namespace.
    """

    def end(side: End) -> bytes:
        return _attribute(IFLA_IFNAME, side.name.encode() + b"\0") + _attribute(IFLA_ADDRESS, side.mac) + _LINK

    peer = _ifinfomsg(0, 0, pair.far.index, 0, 0) + end(pair.far) + _attribute(IFLA_NET_NS_FD, _u32(far_namespace))
    info = _attribute(IFLA_INFO_KIND, b"veth") + _attribute(IFLA_INFO_DATA, _attribute(VETH_INFO_PEER, peer))
    flags = IFF_UP | (IFF_NOARP if pair.near.noarp else 0)
    body = _ifinfomsg(0, 0, pair.near.index, flags, flags) + end(pair.near) + _attribute(IFLA_LINKINFO, info)
    return Message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body, pair)


def loopback_up() -> Message:
    """Raise `lo`, whose index is 1 in every namespace."""
    return Message(RTM_NEWLINK, 0, _ifinfomsg(0, 0, 1, IFF_UP, IFF_UP), "lo")


_ROUTER_PORT = _attribute(IPV4_DEVCONF_SEND_REDIRECTS, _u32(0)) + _attribute(IPV4_DEVCONF_RP_FILTER, _u32(0))
_PROXY_PORT = _ROUTER_PORT + _attribute(IPV4_DEVCONF_PROXY_ARP, _u32(1))


def _inet(devconf: bytes) -> bytes:
    return _attribute(IFLA_AF_SPEC, _attribute(socket.AF_INET, _attribute(IFLA_INET_CONF, devconf)))


_ROUTER_SPEC, _PROXY_SPEC = _inet(_ROUTER_PORT), _inet(_PROXY_PORT)


def raise_link(end: End) -> Iterable[Message]:
    """Raise a router's end of a pair, with the IPv4 settings of its kind.

    A proxied ARP answer waits up to 0.8 s unless proxy_delay is 0, and that has no sysctl in a new namespace.
    """
    flags = IFF_UP | (IFF_NOARP if end.noarp else 0)
    spec = _PROXY_SPEC if end.proxy_arp else _ROUTER_SPEC
    yield Message(RTM_NEWLINK, 0, _ifinfomsg(0, 0, end.index, flags, flags) + spec, end)
    if end.proxy_arp:
        parameters = _attribute(NDTPA_IFINDEX, _u32(end.index)) + _attribute(NDTPA_PROXY_DELAY, _u64(0))
        body = bytes((socket.AF_INET, 0, 0, 0)) + _attribute(NDTA_NAME, b"arp_cache\0")
        yield Message(RTM_SETNEIGHTBL, 0, body + _attribute(NDTA_PARMS, parameters), end)


def link_request(index: int) -> bytes:
    """What to ask RTM_GETLINK about one interface, without its statistics."""
    return _ifinfomsg(0, 0, index, 0, 0) + _attribute(IFLA_EXT_MASK, _u32(RTEXT_FILTER_SKIP_STATS))


def unlink(index: int, about: object) -> Message:
    """Remove an interface, and with it its other end."""
    return Message(RTM_DELLINK, 0, _ifinfomsg(0, 0, index, 0, 0), about)


def _address(item: Address) -> bytes:
    packed = _be32(item.address)
    return (
        _ifaddrmsg(socket.AF_INET, item.prefix_length, 0, 0, item.index)
        + _attribute(IFA_LOCAL, packed)
        + _attribute(IFA_ADDRESS, packed)
    )


def address(item: Address) -> Message:
    """Add an address."""
    return Message(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, _address(item) + _PROTO[IFA_PROTO], item)


def no_address(item: Address) -> Message:
    """Remove an address."""
    return Message(RTM_DELADDR, 0, _address(item), item)


def _route(item: Route) -> bytes:
    body = _rtmsg(
        socket.AF_INET,
        item.prefix_length,
        0,
        0,
        item.table if item.table < 256 else 0,
        OURS,
        RT_SCOPE_LINK if item.gateway is None else RT_SCOPE_UNIVERSE,
        RTN_UNICAST,
        RTNH_F_ONLINK if item.onlink else 0,
    )
    if item.table >= 256:
        body += _attribute(RTA_TABLE, _u32(item.table))
    if item.prefix_length:
        body += _attribute(RTA_DST, _be32(item.destination))
    if item.gateway is not None:
        body += _attribute(RTA_GATEWAY, _be32(item.gateway))
    if item.metric:
        body += _attribute(RTA_PRIORITY, _u32(item.metric))
    return body + _attribute(RTA_OIF, _u32(item.index))


def route(item: Route, replace: bool = False) -> Message:
    """Add a route, or put it in the place of the one with the same destination: no packet finds none."""
    return Message(RTM_NEWROUTE, NLM_F_CREATE | (NLM_F_REPLACE if replace else NLM_F_EXCL), _route(item), item)


def no_route(item: Route) -> Message:
    """Remove a route of ours."""
    return Message(RTM_DELROUTE, 0, _route(item), item)


def _rule(item: Rule) -> bytes:
    source_length = 0 if item.source is None else 32
    body = struct.pack("=BBBBBBBBI", socket.AF_INET, 0, source_length, 0, 0, 0, 0, FR_ACT_TO_TBL, 0)
    body += _attribute(FRA_PRIORITY, _u32(item.priority))
    if item.mask:
        body += _attribute(FRA_FWMARK, _u32(item.mark)) + _attribute(FRA_FWMASK, _u32(item.mask))
    if item.iif is not None:
        body += _attribute(FRA_IIFNAME, item.iif.encode() + b"\0")
    if item.source is not None:
        body += _attribute(FRA_SRC, _be32(item.source))
    return body + _attribute(FRA_TABLE, _u32(item.table)) + _PROTO[FRA_PROTOCOL]


def rule(item: Rule) -> Message:
    """Add a policy routing rule."""
    return Message(RTM_NEWRULE, NLM_F_CREATE | NLM_F_EXCL, _rule(item), item)


def no_rule(item: Rule) -> Message:
    """Remove a policy routing rule of ours."""
    return Message(RTM_DELRULE, 0, _rule(item), item)


def neighbour(item: Neighbour, replace: bool = False) -> Message:
    """Add a permanent neighbour, or make what the kernel knows about that address permanent."""
    body = (
        _ndmsg(socket.AF_INET, item.index, NUD_PERMANENT, 0, 0)
        + _attribute(NDA_DST, _be32(item.address))
        + _attribute(NDA_LLADDR, item.mac)
        + _PROTO[NDA_PROTOCOL]
    )
    return Message(RTM_NEWNEIGH, NLM_F_CREATE | (NLM_F_REPLACE if replace else NLM_F_EXCL), body, item)


def no_neighbour(item: Neighbour) -> Message:
    """Remove a neighbour."""
    body = _ndmsg(socket.AF_INET, item.index, 0, 0, 0) + _attribute(NDA_DST, _be32(item.address))
    return Message(RTM_DELNEIGH, 0, body, item)


class Rtnetlink:
    """A NETLINK_ROUTE socket. It stays in the namespace that the thread was in when it was made."""

    def __init__(self, strict: bool = False) -> None:
        """`strict`: what is asked for with values in a dump's header comes filtered by them, instead of everything."""
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.NETLINK_ROUTE)
        if strict:
            self._socket.setsockopt(SOL_NETLINK, NETLINK_GET_STRICT_CHK, 1)
            return
        self._socket.setsockopt(SOL_NETLINK, NETLINK_CAP_ACK, 1)
        self._socket.setsockopt(SOL_NETLINK, NETLINK_EXT_ACK, 1)

    def __enter__(self) -> Rtnetlink:
        return self

    def __exit__(self, *exception: object) -> None:
        self._socket.close()

    def send(self, messages: Iterable[Message], tolerated: Collection[int] = ()) -> None:
        """Carry out the messages in order. Raises RtnetlinkError for the first that the kernel refused.

        Errors whose numbers are `tolerated` do not count; the messages behind one are carried out all the same.
        """
        batch: list[Message] = []
        parts: list[bytes] = []
        size = 0
        for message in messages:
            part = (
                _header(16 + len(message.body), message.kind, message.flags | NLM_F_REQUEST, len(batch), 0)
                + message.body
            )
            batch.append(message)
            parts.append(part)
            size += len(part)
            if size >= BATCH:
                self._flush(batch, parts, tolerated)
                batch, parts, size = [], [], 0
        if batch:
            self._flush(batch, parts, tolerated)

    def dump(self, kind: int, body: bytes) -> Iterator[tuple[bytes, int, int]]:
        """Ask for every object of a kind (RTM_GET…); yields each message's datagram, and where in it its body is."""
        self._socket.send(_header(16 + len(body), kind, NLM_F_REQUEST | NLM_F_DUMP, 0, 0) + body)
        while True:
            answer = self._socket.recv(DATAGRAM)
            offset, end = 0, len(answer)
            while offset < end:
                length, what = _length_and_kind(answer, offset)
                if what == NLMSG_DONE:
                    return
                if what == NLMSG_ERROR:
                    (code,) = struct.unpack_from("=i", answer, offset + 16)
                    raise RtnetlinkError(-code, "", f"asking for objects of kind {kind}")
                yield answer, offset + 16, offset + length
                offset += length + 3 & ~3

    def get(self, requests: Sequence[tuple[int, bytes]]) -> list[tuple[bytes, int, int] | None]:
        """Ask for some objects at once, by kind (RTM_GET…) and body.

        Yields each one's datagram and where in it its body is; None for what the kernel does not give.
        """
        parts: list[bytes] = []
        for kind, body in requests:
            parts += (_header(16 + len(body), kind, NLM_F_REQUEST, 0, 0), body)
        self._socket.send(b"".join(parts))
        answers: list[tuple[bytes, int, int] | None] = []
        for _ in requests:
            answer = self._socket.recv(DATAGRAM)
            length, what = _length_and_kind(answer, 0)
            answers.append(None if what == NLMSG_ERROR else (answer, 16, length))
        return answers

    def _flush(self, batch: list[Message], parts: list[bytes], tolerated: Collection[int]) -> None:
        self._socket.send(b"".join(parts))
        while True:
            try:
                answer = self._socket.recv(65536, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            length, kind, _, sequence, _ = struct.unpack_from("=IHHII", answer)
            if kind != NLMSG_ERROR:
                raise RtnetlinkError(71, f"unexpected netlink message {kind}", batch[0].about)
            (code,) = struct.unpack_from("=i", answer, 16)
            if -code not in tolerated:
                raise RtnetlinkError(-code, _extended_ack(answer[36:length]), batch[sequence].about)


def _extended_ack(attributes: bytes) -> str:
    """The kernel's own words about an error, when it has any."""
    offset = 0
    while offset + 4 <= len(attributes):
        size, kind = struct.unpack_from("=HH", attributes, offset)
        if size < 4:
            break
        if kind & 0x3FFF == NLMSGERR_ATTR_MSG:
            return attributes[offset + 4 : offset + size].rstrip(b"\0").decode(errors="replace")
        offset += size + 3 & ~3
    return ""
