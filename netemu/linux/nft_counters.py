"""The counters of a table's rules, read often: one dump (NFT_MSG_GETRULE), of which only numbers are looked at.

libnftables takes 260 ms to list a table of 1000 rules in decision trees, a dump takes 5. What the rules are called is
worked out once and again when the generation of the ruleset changes: till then dumps have the same order.

Sources: linux/netfilter/nf_tables.h; libnftnl's udata.h for the comment.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from netemu.linux.namespaces import current, entered
from netemu.linux.nftables import generation, netfilter_socket

NFT_MSG_GETRULE = 10 << 8 | 7
NFPROTO_IPV4 = 2
NLM_F_REQUEST, NLM_F_DUMP, NLM_F_DUMP_INTR = 0x1, 0x300, 0x10
NLMSG_ERROR, NLMSG_DONE = 2, 3
NFTA_RULE_TABLE, NFTA_RULE_CHAIN, NFTA_RULE_EXPRESSIONS, NFTA_RULE_USERDATA = 1, 2, 4, 7
NFTNL_UDATA_RULE_COMMENT = 0
NF_DROP = b"\x00\x00\x00\x00"
DATAGRAM = 1 << 18

_COUNTER = re.compile(rb"\x0c\x00\x01\x00counter\x00.{4}.{4}.{8}.{4}(.{8})", re.DOTALL)
"""The counter's name; its attributes' header; bytes with header; the header of packets, and packets."""
_DROP = re.compile(rb"\x0c\x00\x02[\x00\x80]\x08\x00\x01\x00" + re.escape(NF_DROP), re.DOTALL)
"""NFTA_DATA_VERDICT, nested: NFTA_VERDICT_CODE, which is NF_DROP."""
_packets = struct.Struct("!Q").unpack


class CountedRule(Struct, frozen=True):
    """A rule with a counter."""

    chain: str
    comment: str
    drops: bool


class RuleCounters:
    """The counters of one table in one namespace."""

    def __init__(self, namespace: Path, table: str) -> None:
        self._namespace, self._table = namespace, table
        self._generation: int | None = None
        self.rules: list[CountedRule] = []
        """Those with counters, in the order of `read`."""
        with entered(namespace):
            self._socket = netfilter_socket()

    def close(self) -> None:
        """Close it."""
        self._socket.close()

    def read(self) -> list[int]:
        """The packets of every counter, in the order of `rules`."""
        with entered(self._namespace):
            descriptor = current()
        with open(descriptor, closefd=True):
            now = generation(descriptor)
        messages = list(self._dump())
        if now != self._generation:
            self.rules = [rule for body in messages for rule in _named(body)]
            self._generation = now
        numbers = [_packets(found[1])[0] for body in messages for found in _COUNTER.finditer(body)]
        assert len(numbers) == len(self.rules), "a counter without a name"
        return numbers

    def _dump(self) -> Iterator[bytes]:
        name = self._table.encode() + b"\0"
        attribute = struct.pack("=HH", 4 + len(name), NFTA_RULE_TABLE) + name + bytes(-len(name) % 4)
        body = struct.pack("=BBH", NFPROTO_IPV4, 0, 0) + attribute
        flags = NLM_F_REQUEST | NLM_F_DUMP
        self._socket.send(struct.pack("=IHHII", 16 + len(body), NFT_MSG_GETRULE, flags, 1, 0) + body)
        while True:
            data = self._socket.recv(DATAGRAM)
            offset = 0
            while offset < len(data):
                size, kind = struct.unpack_from("=IH", data, offset)
                if kind == NLMSG_DONE:
                    return
                if kind == NLMSG_ERROR:
                    code = -struct.unpack_from("=i", data, offset + 16)[0]
                    if code:
                        raise OSError(code, f"cannot read the counters of table {self._table}")
                else:
                    yield data[offset + 20 : offset + size]
                offset += size + 3 & ~3


def _named(body: bytes) -> Iterator[CountedRule]:
    counters = len(_COUNTER.findall(body))
    if not counters:
        return
    attributes = dict(_attributes(body))
    chain = attributes[NFTA_RULE_CHAIN].rstrip(b"\0").decode()
    comment = _comment(attributes.get(NFTA_RULE_USERDATA, b""))
    for _ in range(counters):
        yield CountedRule(chain, comment, bool(_DROP.search(attributes[NFTA_RULE_EXPRESSIONS])))


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    offset = 0
    while offset + 4 <= len(data):
        size, kind = struct.unpack_from("=HH", data, offset)
        yield kind & 0x3FFF, data[offset + 4 : offset + size]
        offset += size + 3 & ~3


def _comment(data: bytes) -> str:
    """Userdata is a list of type, length and value."""
    offset = 0
    while offset + 2 <= len(data):
        kind, size = data[offset], data[offset + 1]
        if kind == NFTNL_UDATA_RULE_COMMENT:
            return data[offset + 2 : offset + 2 + size].rstrip(b"\0").decode()
        offset += 2 + size
    return ""
