"""Is an element in a set? One question each (NFT_MSG_GETSETELEM), because listing 100,000 records takes seconds.

Sources: linux/netfilter/nf_tables.h; a concatenation's fields are padded to four bytes each (nft(8)).
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

from netemu.linux.namespaces import entered
from netemu.linux.nftables import netfilter_socket

NFT_MSG_GETSETELEM = 10 << 8 | 13
NFPROTO_IPV4 = 2
NLM_F_REQUEST, NLM_F_ACK, NLMSG_ERROR = 0x1, 0x4, 2
NESTED = 0x8000
ELEM_LIST_TABLE, ELEM_LIST_SET, ELEM_LIST_ELEMENTS, LIST_ELEM, ELEM_KEY, DATA_VALUE = 1, 2, 3, 1, 1, 1
RTM_GETLINK, IFLA_LINK, IFLA_IFNAME = 18, 5, 3


def present(namespace: Path, table: str, name: str, keys: Sequence[bytes]) -> list[bool]:
    """For each key, is it in the set?"""
    with entered(namespace):
        netlink = netfilter_socket()
    with netlink:
        return [_present(netlink, table, name, key) for key in keys]


def _present(netlink: socket.socket, table: str, name: str, key: bytes) -> bool:
    value = _attribute(ELEM_KEY | NESTED, _attribute(DATA_VALUE, key))
    elements = _attribute(ELEM_LIST_ELEMENTS | NESTED, _attribute(LIST_ELEM | NESTED, value))
    body = struct.pack("=BBH", NFPROTO_IPV4, 0, 0)
    body += _attribute(ELEM_LIST_TABLE, table.encode() + b"\0") + _attribute(ELEM_LIST_SET, name.encode() + b"\0")
    body += elements
    netlink.send(struct.pack("=IHHII", 16 + len(body), NFT_MSG_GETSETELEM, NLM_F_REQUEST | NLM_F_ACK, 1, 0) + body)
    found = False
    while True:
        data = netlink.recv(1 << 16)
        offset = 0
        while offset < len(data):
            size, kind = struct.unpack_from("=IH", data, offset)
            if kind == NLMSG_ERROR:
                return found and struct.unpack_from("=i", data, offset + 16)[0] == 0
            found = True
            offset += size + 3 & ~3


def _attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(data), kind) + data + bytes(-len(data) % 4)


def peers(namespace: Path) -> dict[str, int]:
    """Interface name → index of its other end, of every veth in a namespace (IFLA_LINK, rtnetlink(7))."""
    with entered(namespace):
        netlink = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, 0)
    with netlink:
        netlink.send(struct.pack("=IHHIIBxHiII", 32, RTM_GETLINK, 0x301, 1, 0, 0, 0, 0, 0, 0))
        return dict(_links(netlink))


def _links(netlink: socket.socket) -> Iterator[tuple[str, int]]:
    while True:
        data = netlink.recv(1 << 18)
        offset = 0
        while offset < len(data):
            size, kind = struct.unpack_from("=IH", data, offset)
            if kind in (NLMSG_ERROR, 3):
                return
            name, peer, place = "", None, offset + 32
            while place + 4 <= offset + size:
                length, attribute = struct.unpack_from("=HH", data, place)
                value = data[place + 4 : place + length]
                if attribute == IFLA_IFNAME:
                    name = value.rstrip(b"\0").decode()
                elif attribute == IFLA_LINK:
                    peer = struct.unpack("=I", value)[0]
                place += length + 3 & ~3
            if peer is not None:
                yield name, peer
            offset += size + 3 & ~3
