"""The chains and maps of long NSGs: decision trees (`stages`) in nftables' words.

Every rule has a chain of its own with its counter, `<direction>/<nsg>//<rule>`; all contexts share it. The trees of a
context lead there. Their chains are named `<chain of the NSG>//<way>` after the values that lead to them, so that a
change of one rule leaves the others' names and texts alone.

A tree is left by `return` when it has no rule for the packet, which is how an allowing rule leaves it, too. Where
another stage follows, a bit of the mark tells the two apart. nftables allows 16 chains on a packet's way, so the stages
are called one after the other and do not lead on from each other.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from ipaddress import IPv4Address

from msgspec import Struct

from netemu.compile.stages import (
    DESTINATION,
    DESTINATION_PORT,
    PROTOCOL,
    SOURCE,
    SOURCE_PORT,
    Condition,
    Interval,
    Leaf,
    Node,
    bits,
    stages,
)

ALLOWED = 0x80000000
"""The bit of the mark that says that a rule has allowed the packet; routes and virtual networks have other bits."""

NAME_LIMIT = 255
"""NFT_NAME_MAXLEN (linux/netfilter/nf_tables.h), less the final zero."""

TCP, UDP = 6, 17

_WITH_PORTS = 1 << SOURCE | 1 << DESTINATION | 1 << SOURCE_PORT | 1 << DESTINATION_PORT
_WITHOUT_PORTS = 1 << SOURCE | 1 << DESTINATION | 1 << PROTOCOL

_FIELD = {
    SOURCE: ("ip saddr", "ipv4_addr", "from"),
    DESTINATION: ("ip daddr", "ipv4_addr", "to"),
    SOURCE_PORT: ("th sport", "inet_service", "sport"),
    DESTINATION_PORT: ("th dport", "inet_service", "dport"),
    PROTOCOL: ("meta l4proto", "inet_proto", "protocol"),
}
"""Property to its expression, the type of its values, and its word in names."""


class Match(Struct, frozen=True):
    """What a rule asks of one property: the values, None for any, and nftables' test of them."""

    ranges: tuple[Interval, ...] | None
    test: str


ANY = Match(None, "")


class Rule(Struct, frozen=True):
    """A security rule in numbers."""

    name: str
    allows: bool
    source: Match
    destination: Match
    protocol: int | None
    """IP protocol number; None for any."""
    source_port: Match = ANY
    destination_port: Match = ANY

    def names_ports(self) -> bool:
        """Then it is about TCP and UDP only."""
        return self.source_port.ranges is not None or self.destination_port.ranges is not None


def rule_chain(direction: str, group: str, rule: str) -> str:
    """The chain that counts what one rule decides."""
    return f"{direction}/{group}//{rule}"


def decision(chain: str, rule: Rule) -> list[str]:
    """A rule's own chain."""
    verdict = f"meta mark set meta mark | {ALLOWED:#x}" if rule.allows else "drop"
    return [f"chain {chain} {{", f' counter {verdict} comment "{rule.name}"', "}"]


def staged(chain: str, rules: list[Rule], targets: list[str]) -> Iterator[str]:
    """The chain of an NSG with everything that it needs but `targets`, the rules' own chains."""
    writer = _Writer(chain)
    lines = [_Line(rule, target) for rule, target in zip(rules, targets, strict=True)]
    ways = {}
    written: dict[tuple[str, ...], str] = {}
    for protocol, word in ((TCP, "tcp"), (UDP, "udp")):
        chosen = [line for line in lines if line.rule.protocol in (None, protocol)]
        key = tuple(line.rule.name for line in chosen)
        if key not in written:
            written[key] = writer.name(word)
            writer.chain(written[key], writer.sequence(word, chosen, _WITH_PORTS))
        ways[word] = written[key]
    portless = [line for line in lines if not line.rule.names_ports()]
    verdicts = ", ".join(f"{word} : goto {name}" for word, name in ways.items())
    protocols = writer.name("protocols")
    writer.text += [f"map {protocols} {{", " type inet_proto : verdict", f" elements = {{ {verdicts} }}", "}"]
    others = writer.sequence("other", [x for x in portless if x.rule.protocol not in (TCP, UDP)], _WITHOUT_PORTS)
    short = writer.name("short")
    writer.chain(
        chain,
        [
            f"th dport 0-65535 meta l4proto vmap @{protocols}",
            f"meta l4proto {{ tcp, udp }} goto {short}",
            *others,
        ],
    )
    # A packet of TCP that is too short to have ports is nothing that a program sends: a plain list will do.
    writer.chain(short, writer.plain([x for x in portless if x.rule.protocol in (None, TCP, UDP)], _WITHOUT_PORTS))
    yield from (*writer.sets.values(), *writer.text)


def named_test(chain: str, rule: Rule, place: int, match: Match, sets: dict[str, str]) -> str:
    """A rule's test of one property, with several values in a set that has a name; its declaration comes into `sets`.

    A set without a name is made anew with its rule, and for some microseconds of the transaction it is empty: packets
    that both versions of an NSG allow would be lost.
    """
    expression, brace, content = match.test.partition(" {")
    if not brace:
        return match.test
    _, kind, word = _FIELD[place]
    name = _name(chain, f"rules/{rule.name}/{word}")
    sets[name] = f"set {name} {{\n type {kind}\n flags interval\n elements = {{{content.rstrip()}\n}}"
    return f"{expression} @{name} "


def _name(chain: str, way: str) -> str:
    """A name for what belongs to a chain; a digest where it would be too long."""
    name = f"{chain}//{way}"
    return name if len(name) <= NAME_LIMIT else f"{chain}//{hashlib.blake2s(way.encode(), digest_size=8).hexdigest()}"


class _Line:
    """A rule, by its properties, and the chain that it leads to."""

    def __init__(self, rule: Rule, target: str) -> None:
        number = rule.protocol
        protocol = ANY if number is None else Match(((number, number),), f"meta l4proto {number} ")
        self.rule = rule
        self.target = target
        self.matches = (rule.source, rule.destination, rule.source_port, rule.destination_port, protocol)

    def condition(self, properties: int) -> Condition:
        """What it asks of some properties."""
        asked = [match if properties >> place & 1 else ANY for place, match in enumerate(self.matches)]
        return Condition(tuple(match.ranges for match in asked))

    def is_certain(self, properties: int) -> bool:
        """Does it match whatever the values of these properties are?"""
        return all(self.matches[place].ranges is None for place in bits(properties))


class _Writer:
    """Writes the trees of one NSG's chain."""

    def __init__(self, root: str) -> None:
        self.root = root
        self.text: list[str] = []
        self.sets: dict[str, str] = {}
        """Sets that the rules ask, by name. A rule stands in many lists, which share its sets."""

    def name(self, way: str) -> str:
        """The name of the chain, map or set on a way."""
        return _name(self.root, way)

    def chain(self, name: str, lines: list[str]) -> None:
        """Add a chain."""
        self.text += [f"chain {name} {{", *(f" {line}" for line in lines), "}"]

    def plain(self, lines: list[_Line], properties: int) -> list[str]:
        """Rules in their order, with the tests of the properties that no look-up has settled."""
        result = []
        for line in lines:
            tests = "".join(
                named_test(self.root, line.rule, place, line.matches[place], self.sets) for place in bits(properties)
            )
            result.append(f"{tests}goto {line.target}")
            if line.is_certain(properties):
                break
        return result

    def sequence(self, way: str, lines: list[_Line], properties: int) -> list[str]:
        """The text that asks all stages of a list of rules, the last of them in place."""
        trees = stages([line.condition(properties) for line in lines], properties)
        text = [f"meta mark set meta mark & {ALLOWED ^ 0xFFFFFFFF:#x}"] if len(trees) > 1 else []
        for number, tree in enumerate(trees, 1):
            branch = _Branch(self, lines)
            if number == len(trees):
                text += branch.content(tree, way)
            else:
                step = f"{way}/stage{number}"
                self.chain(self.name(step), branch.content(tree, step))
                text += [f"jump {self.name(step)}", f"meta mark & {ALLOWED:#x} != 0 return"]
        return text


class _Branch:
    """Writes one tree."""

    def __init__(self, writer: _Writer, lines: list[_Line]) -> None:
        self.writer = writer
        self.lines = lines
        self.known: dict[int, str] = {}
        """Nodes that have a chain, by their identity."""

    def content(self, node: Node, way: str) -> list[str]:
        """The content of a node's chain."""
        if isinstance(node, Leaf):
            return self.writer.plain([self.lines[i] for i in node.rules], node.properties)
        expression, _, word = _FIELD[node.property]
        single: list[tuple[Interval, str]] = []
        ranges: list[tuple[Interval, str]] = []
        reached = -1
        for (first, last), child in node.cells:
            there = self.verdict(child, f"{way}/{word}-{_value(node.property, first)}")
            if first == last:
                single.append(((first, last), there))
                if reached < first - 1:
                    continue
            elif ranges and reached == first - 1 and ranges[-1][1] == there:
                ranges[-1] = (ranges[-1][0][0], last), there  # across single values, which come first
            else:
                ranges.append(((first, last), there))
            reached = last
        text = []
        for cells, name in ((single, f"{way}/{word}"), (ranges, f"{way}/{word}-ranges")):
            if cells:
                text.append(f"{expression} vmap @{self._map(name, node.property, cells)}")
        if isinstance(node.otherwise, Leaf):
            return [*text, *self.content(node.otherwise, way)]
        return [*text, self.verdict(node.otherwise, f"{way}/{word}-else")]

    def _map(self, way: str, place: int, cells: list[tuple[Interval, str]]) -> str:
        """A map. Single values have one of their own: it is faster, and the change of one does not touch the others."""
        name = self.writer.name(way)
        elements = ", ".join(f"{_range(place, values)} : {there}" for values, there in cells)
        self.writer.text += [f"map {name} {{", f" type {_FIELD[place][1]} : verdict"]
        if any(first != last for (first, last), _ in cells):
            self.writer.text.append(" flags interval")
        self.writer.text += [f" elements = {{ {elements} }}", "}"]
        return name

    def verdict(self, node: Node, way: str) -> str:
        """How to go on at a node."""
        if isinstance(node, Leaf):
            if not node.rules:
                return "return"
            only = self.lines[node.rules[0]]
            if len(node.rules) == 1 and only.is_certain(node.properties):
                return f"goto {only.target}"
        name = self.known.get(id(node))
        if name is None:
            name = self.known[id(node)] = self.writer.name(way)
            self.writer.chain(name, self.content(node, way))
        return f"goto {name}"


def _value(place: int, value: int) -> str:
    return str(IPv4Address(value)) if place in (SOURCE, DESTINATION) else str(value)


def _range(place: int, values: Interval) -> str:
    first, last = values
    return _value(place, first) if first == last else f"{_value(place, first)}-{_value(place, last)}"
