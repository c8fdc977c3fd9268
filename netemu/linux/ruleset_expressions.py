"""The expressions of nftables rules, evaluated for one packet.

Source: libnftables-json(5), nft(8).
"""

from __future__ import annotations

import zlib
from typing import Any

from msgspec import Struct

from netemu.linux.ruleset_view import (
    TCP_FLAGS,
    Kind,
    Members,
    NotUnderstoodError,
    ReadRule,
    RulesetView,
    range_of,
    value_of,
)

TCP, UDP, ICMP = 6, 17, 1
TTL = 64
HEADER = 60 * 8
"""Bits of the longest header."""


class PacketState(Struct):
    """A packet on its way through a namespace."""

    source: int
    destination: int
    protocol: int
    source_port: int = 0
    destination_port: int = 0
    in_interface: str = ""
    in_index: int = 0
    out_interface: str = ""
    out_index: int = 0
    mac: str = ""
    """Of whoever sent the frame."""
    mark: int = 0
    tcp_flags: int = TCP_FLAGS["syn"]
    icmp_type: int = 8
    icmp_id: int = 1
    zone: int = 0
    """Of conntrack."""
    status: frozenset[str] = frozenset()
    """Of its connection."""
    state: str = "new"
    """Of its connection, or `untracked`."""


class MissError(Exception):
    """An expression has no value for this packet: the rule does not match, and the next one is asked."""


_META: dict[str, tuple[Kind, str]] = {
    "iifname": ("ifname", "in_interface"), "oifname": ("ifname", "out_interface"), "iif": ("iface_index", "in_index"),
    "oif": ("iface_index", "out_index"), "mark": ("mark", "mark"), "l4proto": ("inet_proto", "protocol"),
}  # fmt: skip
_HEADER: dict[tuple[str, str], tuple[Kind, str]] = {
    ("ip", "saddr"): ("ipv4_addr", "source"), ("ip", "daddr"): ("ipv4_addr", "destination"),
    ("ip", "protocol"): ("inet_proto", "protocol"), ("ether", "saddr"): ("ether_addr", "mac"),
    ("tcp", "flags"): ("tcp_flag", "tcp_flags"), ("icmp", "type"): ("icmp_type", "icmp_type"),
    ("icmp", "id"): ("integer", "icmp_id"),
    **{(header, "sport"): ("inet_service", "source_port") for header in ("th", "tcp", "udp")},
    **{(header, "dport"): ("inet_service", "destination_port") for header in ("th", "tcp", "udp")},
}  # fmt: skip
_FIXED = {("ip", "frag-off"): 0, ("ip", "id"): 1, ("ip", "ttl"): TTL, ("ip", "version"): 4, ("ip", "hdrlength"): 5}
_CT: dict[str, tuple[Kind, str]] = {
    "zone": ("integer", "zone"),
    "status": ("status", "status"),
    "state": ("state", "state"),
}
_NEEDS = {"tcp": TCP, "udp": UDP, "icmp": ICMP}
"""Headers that only packets of one protocol have; nft tests that, and does not show it."""


class Asking:
    """Evaluates the expressions of one rule for one packet."""

    def __init__(
        self, view: RulesetView, written: dict[tuple[str, str, str], set[Any]], rule: ReadRule, packet: PacketState
    ) -> None:
        self.view, self.written, self.rule, self.packet = view, written, rule, packet
        self.recorded = False
        """A record that an earlier packet left was found."""

    # ---- expressions -------------------------------------------------------------------------------------------------

    def value(self, expression: Any) -> tuple[Kind, Any]:
        """Type and value of an expression."""
        if not isinstance(expression, dict):
            return ("integer" if isinstance(expression, int) else "text"), expression
        (word, content), *_ = expression.items()
        if word == "meta" and content["key"] in _META:
            kind, name = _META[content["key"]]
            return kind, getattr(self.packet, name)
        if word == "payload":
            return self._payload(content)
        if word == "ct" and content["key"] in _CT:
            kind, name = _CT[content["key"]]
            return kind, getattr(self.packet, name)
        if word == "concat":
            parts = [self.value(part) for part in content]
            return tuple(str(kind) for kind, _ in parts), tuple(value for _, value in parts)
        if word in ("&", "|", "^"):
            return self._calculate(word, content)
        if word == "map":
            found = self.look_up(content)
            if found is None:
                raise MissError
            return self._datum(content["data"], found)
        if word == "jhash":  # any function of its parts will do: only records that rules write are compared with it
            _, parts = self.value(content["expr"])
            return "mark", zlib.crc32(repr(parts).encode()) + content.get("offset", 0)
        raise NotUnderstoodError(f"the expression {word}")

    def _payload(self, content: dict[str, Any]) -> tuple[Kind, Any]:
        if "base" in content:
            return "integer", self._raw(content)
        key = (content["protocol"], content["field"])
        needed = _NEEDS.get(key[0])
        if needed is not None and self.packet.protocol != needed:
            raise MissError
        if key in _FIXED:
            return "integer", _FIXED[key]
        if key not in _HEADER:
            raise NotUnderstoodError(f"{key[0]} {key[1]}")
        kind, name = _HEADER[key]
        return kind, getattr(self.packet, name)

    def _raw(self, content: dict[str, Any]) -> int:
        """Bits by their place, which is how nft shows neighbouring fields that it has put into one test."""
        packet = self.packet
        fields: tuple[tuple[int, int], ...]
        if content["base"] == "th":
            if packet.protocol == ICMP:
                fields = (packet.icmp_type, 8), (0, 24), (packet.icmp_id, 16)
            else:
                fields = (packet.source_port, 16), (packet.destination_port, 16)
        elif content["base"] == "nh":
            before = (0x45, 8), (0, 56), (TTL, 8), (packet.protocol, 8), (0, 16)
            fields = *before, (packet.source, 32), (packet.destination, 32)
        else:
            raise NotUnderstoodError(f"bits of the {content['base']} header")
        number, size = 0, 0
        for value, bits in (*fields, (0, HEADER)):  # what follows is zero: no packet here quotes another
            number, size = number << bits | value, size + bits
        first, length = int(content["offset"]), int(content["len"])
        return number >> size - first - length & (1 << length) - 1

    def _calculate(self, word: str, content: list[Any]) -> tuple[Kind, Any]:
        kind, left = self.value(content[0])
        right = self._number(kind, content[1])
        if not isinstance(left, int):
            raise NotUnderstoodError(f"{word} of what is no number")
        return kind, {"&": left & right, "|": left | right, "^": left ^ right}[word]

    def _number(self, kind: Kind, raw: Any) -> int:
        if isinstance(raw, dict):
            _, value = self.value(raw)
            return int(value)
        values = [value_of(str(kind), each) for each in (raw if isinstance(raw, list) else [raw])]
        number = 0
        for value in values:
            if not isinstance(value, int):
                raise NotUnderstoodError(f"the constant {value!r}")
            number |= value
        return number

    # ---- sets and matches --------------------------------------------------------------------------------------------

    def _set(self, name: str) -> Members | set[Any]:
        key = (self.rule.family, self.rule.table, name)
        what = self.view.sets.get(key)
        if what is not None and what.dynamic:
            return self.written.setdefault(key, set())
        return self.view.members(*key)

    def _datum(self, data: Any, found: Any) -> tuple[Kind, Any]:
        """What a map gives, with its type; an anonymous one does not say it: then it is a number or an address."""
        members = self._set(data.removeprefix("@")) if isinstance(data, str) else None
        kind = members.data if isinstance(members, Members) else None
        if kind is None:
            kind = "integer" if isinstance(found, int) else "ipv4_addr"
        return kind, value_of(kind, found)

    def look_up(self, content: dict[str, Any]) -> Any:
        """What a map gives for its key; None when nothing."""
        kind, value = self.value(content["key"])
        data = content["data"]
        if isinstance(data, str):
            members = self._set(data.removeprefix("@"))
            return members.find(value) if isinstance(members, Members) else None
        return Members(kind, data["set"], is_map=True).find(value)

    def matches(self, content: dict[str, Any]) -> bool:
        """Is a condition true of the packet?"""
        operator: str = content["op"]
        right = content["right"]
        kind, left = self.value(content["left"])
        if kind in ("status", "state"):
            wanted = set(right if isinstance(right, list) else [right])
            there = left if isinstance(left, frozenset) else {left}
            return bool(wanted & there) != (operator == "!=")
        if operator in ("==", "!=", "in"):
            if operator == "in" and isinstance(left, int) and not _is_set(right):
                return bool(left & self._number(kind, right))
            return self._equals(kind, left, right) != (operator == "!=")
        number = self._number(kind, right)
        return bool({"<": left < number, ">": left > number, "<=": left <= number, ">=": left >= number}[operator])

    def _equals(self, kind: Kind, left: Any, right: Any) -> bool:
        if isinstance(right, str) and right.startswith("@"):
            members = self._set(right[1:])
            if isinstance(members, Members):
                return members.find(left) is not None
            self.recorded |= left in members
            return left in members
        if isinstance(right, dict) and "set" in right:
            return any(self._equals(kind, left, each) for each in right["set"])
        if isinstance(right, dict) and "concat" in right and isinstance(kind, tuple):
            parts = zip(kind, left, right["concat"], strict=True)
            return all(self._equals(part, value, wanted) for part, value, wanted in parts)
        if isinstance(right, list):
            return bool(left == self._number(kind, right))
        if isinstance(kind, str) and kind == "ifname" and isinstance(right, str) and right.endswith("*"):
            return str(left).startswith(right[:-1])
        if isinstance(right, dict) and not {"range", "prefix"} & right.keys():
            _, value = self.value(right)
            return bool(left == value)
        first, last = range_of(str(kind), right)
        return bool(first <= left <= last)

    # ---- statements --------------------------------------------------------------------------------------------------

    def act(self, word: str, content: Any) -> None:
        """Do what a statement that gives no verdict does."""
        if word == "mangle":
            self._mangle(content)
        elif word == "set":
            self._write(content)
        elif word == "notrack":
            self.packet.state = "untracked"
        elif word not in ("log", "comment"):
            raise NotUnderstoodError(f"the statement {word}")

    def _mangle(self, content: dict[str, Any]) -> None:
        (word, target), *_ = content["key"].items()
        where = {("meta", "mark"): "mark", ("ct", "zone"): "zone"}.get((word, target.get("key")))
        if where is not None:
            _, value = self.value(content["value"])
            setattr(self.packet, where, int(value))
        elif (word, target.get("field")) != ("payload", "ttl"):
            raise NotUnderstoodError(f"it changes {word}")

    def _write(self, content: dict[str, Any]) -> None:
        key = (self.rule.family, self.rule.table, content["set"].removeprefix("@"))
        what = self.view.sets.get(key)
        if what is None or not what.dynamic:
            raise NotUnderstoodError(f"it writes {content['set']}")
        element = content["elem"]
        element = element["elem"]["val"] if isinstance(element, dict) and "elem" in element else element
        _, value = self.value(element)
        members = self.written.setdefault(key, set())
        if content["op"] == "delete":
            members.discard(value)
        else:
            members.add(value)

    def translate(self, word: str, content: Any) -> None:
        """Change the packet's source or destination."""
        if not isinstance(content, dict) or content.get("addr") is None or content.get("port") is not None:
            raise NotUnderstoodError(f"{word} to a port or to no address")
        _, value = self.value(content["addr"])
        address = value if isinstance(value, int) else value_of("ipv4_addr", value)
        setattr(self.packet, "source" if word == "snat" else "destination", address)


def _is_set(right: Any) -> bool:
    return (isinstance(right, str) and right.startswith("@")) or (isinstance(right, dict) and "set" in right)
