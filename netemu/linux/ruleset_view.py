"""The rulesets of a namespace, read back from the kernel: chains in the order in which packets meet them, and sets.

Every table of the families ip and inet is read, whoever made it. Elements of sets are read when they are asked for;
those of dynamic sets, which packets write, never: there may be a million.
"""

from __future__ import annotations

import contextlib
import os
import socket
from bisect import bisect_right
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address, IPv4Network
from pathlib import Path
from typing import Any

from msgspec import Struct

from netemu.linux import nftables
from netemu.linux.namespaces import current, entered

FAMILIES = ("ip", "inet")
"""The families whose chains IPv4 packets meet above the link."""

Value = int | str
Kind = str | tuple[str, ...]
"""The type of an expression, as nft calls it; of a concatenation, the types of its parts."""

ICMP_TYPES = {
    "echo-reply": 0, "destination-unreachable": 3, "source-quench": 4, "redirect": 5, "echo-request": 8,
    "time-exceeded": 11, "parameter-problem": 12, "timestamp-request": 13, "timestamp-reply": 14,
}  # fmt: skip
TCP_FLAGS = {"fin": 1, "syn": 2, "rst": 4, "psh": 8, "ack": 16, "urg": 32, "ecn": 64, "cwr": 128}


class NotUnderstoodError(Exception):
    """Something in a ruleset that cannot be followed here."""


class ReadRule(Struct, frozen=True):
    """A rule as libnftables' JSON has it."""

    family: str
    table: str
    chain: str
    handle: int
    comment: str
    expressions: list[Any]


class ReadChain(Struct):
    """A chain; a base chain has a hook."""

    family: str
    table: str
    name: str
    rules: list[ReadRule]
    kind: str = ""
    """`filter`, `nat` or `route`; of base chains."""
    hook: str = ""
    priority: int = 0
    drops: bool = False
    """Its policy is to drop."""


class ReadSet(Struct, frozen=True):
    """A set or map."""

    family: str
    table: str
    name: str
    word: str
    """`set` or `map`."""
    kind: Kind
    data: str | None
    dynamic: bool
    """Packets write it."""


class RulesetView:
    """What is loaded in one namespace, as libnftables' JSON objects."""

    def __init__(
        self,
        objects: list[dict[str, Any]],
        content: Callable[[ReadSet], list[Any]],
        text: Callable[[ReadRule], dict[int, str]],
    ) -> None:
        """`content` reads the elements of a set, `text` the rules of a rule's chain as nft writes them, by handle."""
        self.chains: dict[tuple[str, str, str], ReadChain] = {}
        self.sets: dict[tuple[str, str, str], ReadSet] = {}
        self._members: dict[tuple[str, str, str], Members] = {}
        self._texts: dict[tuple[str, str, str], dict[int, str]] = {}
        self._content, self._text = content, text
        self._read(objects)

    def _read(self, objects: list[dict[str, Any]]) -> None:
        for entry in objects:
            for word, content in entry.items():
                if word == "chain":
                    key = (content["family"], content["table"], content["name"])
                    self.chains[key] = ReadChain(
                        *key, [], content.get("type", ""), content.get("hook", ""), content.get("prio", 0),
                        content.get("policy") == "drop",
                    )  # fmt: skip
                elif word == "rule":
                    key = (content["family"], content["table"], content["chain"])
                    rule = ReadRule(*key, content["handle"], content.get("comment", ""), content["expr"])
                    self.chains[key].rules.append(rule)
                elif word in ("set", "map"):
                    key = (content["family"], content["table"], content["name"])
                    kind = content["type"]
                    dynamic = bool({"dynamic", "timeout"} & set(content.get("flags", ())))
                    self.sets[key] = ReadSet(
                        *key, word, tuple(kind) if isinstance(kind, list) else kind, content.get("map"), dynamic
                    )

    def hook(self, name: str) -> list[ReadChain]:
        """The base chains of a hook, in the order in which they are run."""
        found = [chain for chain in self.chains.values() if chain.hook == name]
        return sorted(found, key=lambda chain: chain.priority)

    def members(self, family: str, table: str, name: str) -> Members:
        """The elements of a set or map that packets do not write."""
        key = (family, table, name)
        found = self._members.get(key)
        if found is None:
            what = self.sets.get(key)
            if what is None:
                raise NotUnderstoodError(f"there is no set {name}")
            elements = self._content(what)
            found = self._members[key] = Members(what.kind, elements, is_map=what.word == "map", data=what.data)
        return found

    def text(self, rule: ReadRule) -> str:
        """A rule as nft writes it."""
        key = (rule.family, rule.table, rule.chain)
        if key not in self._texts:
            self._texts[key] = self._text(rule)
        return self._texts[key].get(rule.handle, f"rule {rule.handle}")


def read(namespace: Path) -> RulesetView:
    """Read what is loaded in a namespace."""

    def content(what: ReadSet) -> list[Any]:
        with _open(namespace) as descriptor:
            return nftables.content(descriptor, f"{what.family} {what.table}", what.word, what.name)

    def text(rule: ReadRule) -> dict[int, str]:
        with _open(namespace) as descriptor:
            return nftables.chain_text(descriptor, f"{rule.family} {rule.table}", rule.chain)

    objects: list[dict[str, Any]] = []
    with _open(namespace) as descriptor:
        for table in nftables.tables(descriptor):
            if table.partition(" ")[0] in FAMILIES:
                objects += nftables.listing(descriptor, table)
    return RulesetView(objects, content, text)


@contextlib.contextmanager
def _open(namespace: Path) -> Iterator[int]:
    """A descriptor of a namespace."""
    with entered(namespace):
        descriptor = current()
    try:
        yield descriptor
    finally:
        os.close(descriptor)


# ---- values and sets -------------------------------------------------------------------------------------------------


def value_of(kind: str, raw: Any) -> Value:
    """A constant as a number, or as text where it is a name or a MAC."""
    if kind in ("ifname", "ether_addr"):
        return str(raw)
    if isinstance(raw, bool) or not isinstance(raw, int | str):
        raise NotUnderstoodError(f"the constant {raw!r}")
    if isinstance(raw, int):
        return raw
    if kind == "ipv4_addr":
        try:
            return int(IPv4Address(raw))
        except ValueError:
            raise NotUnderstoodError(f"the address {raw!r}") from None
    names: dict[str, int] = {"icmp_type": ICMP_TYPES, "tcp_flag": TCP_FLAGS}.get(kind, {})
    if raw in names:
        return names[raw]
    if kind in ("inet_proto", "inet_service"):
        try:
            return socket.getprotobyname(raw) if kind == "inet_proto" else socket.getservbyname(raw)
        except OSError:
            pass
    raise NotUnderstoodError(f"the constant {raw!r}")


def range_of(kind: str, raw: Any) -> tuple[Value, Value]:
    """A constant, range or prefix as its first and last value."""
    if isinstance(raw, dict) and "range" in raw:
        first, last = raw["range"]
        return value_of(kind, first), value_of(kind, last)
    if isinstance(raw, dict) and "prefix" in raw:
        network = IPv4Network(f"{raw['prefix']['addr']}/{raw['prefix']['len']}")
        return int(network.network_address), int(network.broadcast_address)
    value = value_of(kind, raw)
    return value, value


class Members:
    """The elements of a set or map, for look-ups."""

    def __init__(self, kind: Kind, content: list[Any], *, is_map: bool, data: str | None = None) -> None:
        self.kind = kind
        self.data = data
        self._exact: dict[Any, Any] = {}
        self._ranges: list[tuple[int, int, Any]] = []
        for raw in content:
            key, data_value = (raw[0], raw[1]) if is_map else (raw, True)
            self._add(_plain(key), data_value)
        self._ranges.sort(key=lambda each: each[:2])
        self._starts = [first for first, _, _ in self._ranges]

    def _add(self, raw: Any, data: Any) -> None:
        if isinstance(self.kind, tuple):
            parts = raw["concat"]
            self._exact[tuple(value_of(kind, part) for kind, part in zip(self.kind, parts, strict=True))] = data
            return
        first, last = range_of(self.kind, raw)
        if first == last:
            self._exact[first] = data
        elif isinstance(first, int) and isinstance(last, int):
            self._ranges.append((first, last, data))

    def find(self, key: Any) -> Any:
        """The data of an element, True for one of a set; None when there is none."""
        found = self._exact.get(key)
        if found is None and self._ranges and isinstance(key, int):
            place = bisect_right(self._starts, key) - 1
            if place >= 0 and key <= self._ranges[place][1]:
                return self._ranges[place][2]
        return found

    def ranges(self) -> Iterator[tuple[int, int]]:
        """First and last value of every element that is a number or a range of numbers."""
        for key in self._exact:
            if isinstance(key, int):
                yield key, key
        yield from ((first, last) for first, last, _ in self._ranges)


def _plain(raw: Any) -> Any:
    """An element without its counter, comment or time."""
    return raw["elem"]["val"] if isinstance(raw, dict) and "elem" in raw else raw
