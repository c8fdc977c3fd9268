"""Tracked connections of a namespace, by the mark that our rulesets give them: told, counted, ended.

Sources: linux/netfilter/nfnetlink_conntrack.h, nf_conntrack_tcp.h, nf_conntrack_common.h.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterable, Iterator

from msgspec import Struct

from netemu.linux.namespaces import entered
from netemu.linux.nftables import netfilter_socket

SUBSYSTEM = 1 << 8
GET, DELETE = SUBSYSTEM | 1, SUBSYSTEM | 2
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 0x1, 0x4, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
CTA_TUPLE_ORIG, CTA_TUPLE_REPLY, CTA_STATUS, CTA_PROTOINFO, CTA_TIMEOUT, CTA_MARK, CTA_ZONE = 1, 2, 3, 4, 7, 8, 18
CTA_MARK_MASK = 21
CTA_TUPLE_IP, CTA_TUPLE_PROTO = 1, 2
CTA_IP_V4_SRC, CTA_IP_V4_DST = 1, 2
CTA_PROTO_NUM, CTA_PROTO_SRC_PORT, CTA_PROTO_DST_PORT = 1, 2, 3
CTA_PROTOINFO_TCP, CTA_PROTOINFO_TCP_STATE = 1, 1
TCP_ESTABLISHED, TCP_CLOSE_WAIT = 3, 5
DATAGRAM = 1 << 18

SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, NETLINK_NO_ENOBUFS = 270, 1, 5
GROUP_DESTROY = 3
"""NFNLGRP_CONNTRACK_DESTROY."""


class Way(Struct, frozen=True):
    """One direction of a connection."""

    source: int
    destination: int
    source_port: int
    destination_port: int


class Connection(Struct, frozen=True):
    """A tracked connection. What comes back has `reply`, which is `way` turned round unless it is translated."""

    protocol: int
    way: Way
    reply: Way
    mark: int
    status: int
    tcp_state: int | None
    """TCP_CONNTRACK_…; None when it is not TCP."""
    timeout: int
    """Seconds until it is forgotten."""


class Marked(Struct, frozen=True):
    """The connections whose mark, as far as the mask goes, is this."""

    mark: int
    mask: int


def forget(namespace: int, which: Iterable[Marked]) -> None:
    """Forget connections: their next packet is a new one's, or nobody's."""
    which = list(which)
    if not which:
        return
    with entered(namespace):
        netlink = netfilter_socket()
    with netlink:
        for marked in which:
            body = _filter(marked)
            flags = NLM_F_REQUEST | NLM_F_ACK
            netlink.send(struct.pack("=IHHII", 16 + len(body), DELETE, flags, 0, 0) + body)
            answer = netlink.recv(DATAGRAM)
            code = -struct.unpack_from("=i", answer, 16)[0]
            if code:
                raise OSError(code, f"forgetting connections: {os.strerror(code)}")


def connections(namespace: int, marked: Marked) -> list[Connection]:
    """The connections with a mark. Those whose time is over, but which nobody has noticed, are forgotten by this."""
    with entered(namespace):
        netlink = netfilter_socket()
    with netlink:
        body = _filter(marked)
        netlink.send(struct.pack("=IHHII", 16 + len(body), GET, NLM_F_REQUEST | NLM_F_DUMP, 0, 0) + body)
        return list(_answers(netlink))


NOBODY = Marked(0xFFFFFFFF, 0xFFFFFFFF)
"""No connection of ours has this mark."""


def notice_expiry(namespace: int) -> None:
    """Make the kernel forget at once what is due. It looks for itself only now and then; a dump looks at all."""
    connections(namespace, NOBODY)


class Endings:
    """Tells of connections that are forgotten, from now on, in one namespace."""

    def __init__(self, namespace: int) -> None:
        with entered(namespace):
            self._socket = netfilter_socket()
        self._socket.bind((0, 0))
        self._socket.setsockopt(SOL_NETLINK, NETLINK_ADD_MEMBERSHIP, GROUP_DESTROY)
        self._socket.setsockopt(SOL_NETLINK, NETLINK_NO_ENOBUFS, 1)  # what does not fit is lost, and no error
        self._socket.setblocking(False)

    def fileno(self) -> int:
        """To wait on."""
        return self._socket.fileno()

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    def read(self) -> Iterator[Connection]:
        """Those since the last reading."""
        while True:
            try:
                data = self._socket.recv(DATAGRAM)
            except BlockingIOError:
                return
            yield from _messages(data)


def _filter(marked: Marked) -> bytes:
    return (
        struct.pack("=BBH", socket.AF_INET, 0, 0)
        + _attribute(CTA_MARK, struct.pack("!I", marked.mark))
        + _attribute(CTA_MARK_MASK, struct.pack("!I", marked.mask))
    )


def _attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", len(data) + 4, kind) + data + bytes(-len(data) % 4)


def _answers(netlink: socket.socket) -> Iterator[Connection]:
    while True:
        data = netlink.recv(DATAGRAM)
        offset = 0
        while offset < len(data):
            length, kind = struct.unpack_from("=IH", data, offset)
            if kind == NLMSG_DONE:
                return
            if kind == NLMSG_ERROR:
                code = -struct.unpack_from("=i", data, offset + 16)[0]
                raise OSError(code, f"reading connections: {os.strerror(code)}")
            found = _read(data, offset + 20, offset + length)
            if found is not None:
                yield found
            offset += length + 3 & ~3


def _messages(data: bytes) -> Iterator[Connection]:
    offset = 0
    while offset + 20 <= len(data):
        length, kind = struct.unpack_from("=IH", data, offset)
        if kind >> 8 == SUBSYSTEM >> 8:
            found = _read(data, offset + 20, offset + length)
            if found is not None:
                yield found
        offset += length + 3 & ~3


def _read(data: bytes, start: int, end: int) -> Connection | None:
    told = dict(_attributes(data, start, end))
    protocol, way = _tuple(told[CTA_TUPLE_ORIG])
    if way is None:
        return None
    _, reply = _tuple(told[CTA_TUPLE_REPLY])
    state = None
    if CTA_PROTOINFO in told:
        tcp = _nested(told[CTA_PROTOINFO]).get(CTA_PROTOINFO_TCP)
        state = _nested(tcp)[CTA_PROTOINFO_TCP_STATE][0] if tcp is not None else None
    return Connection(
        protocol, way, reply or way, _be32(told.get(CTA_MARK)), _be32(told.get(CTA_STATUS)), state,
        _be32(told.get(CTA_TIMEOUT)),
    )  # fmt: skip


def _tuple(data: bytes) -> tuple[int, Way | None]:
    told = _nested(data)
    addresses, protocol = _nested(told[CTA_TUPLE_IP]), _nested(told[CTA_TUPLE_PROTO])
    if CTA_IP_V4_SRC not in addresses or CTA_PROTO_SRC_PORT not in protocol:
        return protocol[CTA_PROTO_NUM][0], None
    ports = [struct.unpack("!H", protocol[kind])[0] for kind in (CTA_PROTO_SRC_PORT, CTA_PROTO_DST_PORT)]
    return protocol[CTA_PROTO_NUM][0], Way(_be32(addresses[CTA_IP_V4_SRC]), _be32(addresses[CTA_IP_V4_DST]), *ports)


def _be32(data: bytes | None) -> int:
    return int(struct.unpack("!I", data)[0]) if data is not None else 0


def _nested(data: bytes) -> dict[int, bytes]:
    return dict(_attributes(data, 0, len(data)))


def _attributes(data: bytes, offset: int, end: int) -> Iterator[tuple[int, bytes]]:
    while offset + 4 <= end:
        size, kind = struct.unpack_from("=HH", data, offset)
        if size < 4:
            return
        yield kind & 0x3FFF, data[offset + 4 : offset + size]
        offset += size + 3 & ~3
