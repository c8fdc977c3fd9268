"""Packets that tell an NSG's rules and the chain that was made of them apart, if anything does.

Both sides of every boundary that one of them draws. What the chain has and the rules have not (somebody has changed it)
is asked about with packets of its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import Struct, structs

from netemu.azure.flow import ESP, ICMP, PROTOCOLS, TCP, UDP, Packet
from netemu.azure.prefixes import ADDRESSES, PORTS
from netemu.azure.security import EffectiveRule
from netemu.linux.ruleset_view import NotUnderstoodError, ReadRule, RulesetView, range_of, value_of
from netemu.verify.readback.gates import FAMILY, TABLE

OTHER_PROTOCOL = 132
"""One that no rule names."""
MANY = 5_000
"""So many packets are asked about beyond those of each rule's own boundaries."""

Dimension = str
FIELDS: dict[Dimension, int] = {
    "source": ADDRESSES, "destination": ADDRESSES, "sourcePort": PORTS, "destinationPort": PORTS
}  # fmt: skip
"""What of a packet rules ask about, and the first value that it cannot have."""
_EXPRESSIONS = {
    ("ip", "saddr"): ("source", "ipv4_addr"), ("ip", "daddr"): ("destination", "ipv4_addr"),
    **{(header, "sport"): ("sourcePort", "inet_service") for header in ("th", "tcp", "udp")},
    **{(header, "dport"): ("destinationPort", "inet_service") for header in ("th", "tcp", "udp")},
}  # fmt: skip


class _Line(Struct, frozen=True):
    """What a rule of the chain asks for."""

    ranges: dict[Dimension, list[tuple[int, int]]]
    protocols: tuple[int, ...]
    known: bool
    """It has the name of one of the NSG's rules, or is one of those that lead there."""


def samples(rules: list[EffectiveRule], view: RulesetView, chain: str) -> Iterator[Packet]:
    """The packets, some of them more than once."""
    ours = _boundaries(rules)
    lines = [_line(view, rule, {each.name for each in rules}) for rule in _rules(view, chain)]
    bases = [base for rule in rules for base in _base(rule)]
    few = len(rules) * sum(map(len, ours.values())) <= MANY
    for rule in rules:
        for base in _base(rule):
            for protocol in (base.protocol, TCP, UDP, ICMP, ESP, OTHER_PROTOCOL):
                yield _with(base, "protocol", protocol)
            own = {
                "source": rule.sources, "destination": rule.destinations, "sourcePort": rule.sourcePorts,
                "destinationPort": rule.destinationPorts,
            }  # fmt: skip
            for dimension, bounds in {each: members.bounds for each, members in own.items()}.items():
                yield from _along(base, dimension, ours[dimension] if few else bounds)
    for line in lines:
        foreign = (_ends(ranges) - ours[dimension] for dimension, ranges in line.ranges.items())
        if not line.known or any(foreign):
            for base in bases[:: max(1, len(bases) // 50)]:
                yield from _of_line(base, line)


def _of_line(base: Packet, line: _Line) -> Iterator[Packet]:
    """Packets that a rule of the chain matches, and those just beyond."""
    for protocol in line.protocols:
        packet = _with(base, "protocol", protocol)
        for dimension, ranges in line.ranges.items():
            packet = _with(packet, dimension, ranges[0][0])
        yield packet
        for dimension, ranges in line.ranges.items():
            yield from _along(packet, dimension, _ends(ranges))


def _along(base: Packet, dimension: Dimension, bounds: Iterable[int]) -> Iterator[Packet]:
    """The packet with both sides of each boundary in one dimension."""
    for bound in bounds:
        for value in (bound - 1, bound):
            if 0 <= value < FIELDS[dimension]:
                yield _with(base, dimension, value)


def _with(packet: Packet, dimension: Dimension, value: int) -> Packet:
    changed = structs.replace(packet, **{dimension: value})
    return changed if changed.has_ports else structs.replace(changed, sourcePort=0, destinationPort=0)


def _base(rule: EffectiveRule) -> Iterator[Packet]:
    """A packet that matches a rule; none when nothing does."""
    sets = (rule.sources, rule.destinations, rule.sourcePorts, rule.destinationPorts)
    if all(sets):
        source, destination, source_port, port = (members.bounds[0] for members in sets)
        number = TCP if rule.protocol == "*" else PROTOCOLS[rule.protocol]
        yield _with(Packet(source, destination, TCP, source_port, port), "protocol", number)


def _boundaries(rules: list[EffectiveRule]) -> dict[Dimension, set[int]]:
    """Where the NSG's rules begin and end to match."""
    found: dict[Dimension, set[int]] = {dimension: {0, end} for dimension, end in FIELDS.items()}
    for rule in rules:
        found["source"].update(rule.sources.bounds)
        found["destination"].update(rule.destinations.bounds)
        found["sourcePort"].update(rule.sourcePorts.bounds)
        found["destinationPort"].update(rule.destinationPorts.bounds)
    return found


# ---- what the chain says ---------------------------------------------------------------------------------------------


def _rules(view: RulesetView, chain: str) -> Iterator[ReadRule]:
    """The rules of an NSG's chain, and of the chains below it."""
    for (family, table, name), content in view.chains.items():
        if (family, table) == (FAMILY, TABLE) and (name == chain or name.startswith(f"{chain}//")):
            yield from content.rules


def _line(view: RulesetView, rule: ReadRule, names: set[str]) -> _Line:
    ranges: dict[Dimension, list[tuple[int, int]]] = {}
    protocols: tuple[int, ...] = (TCP, UDP, ICMP)
    leads_on = False
    for statement in rule.expressions:
        (word, content), *_ = statement.items()
        leads_on |= word in ("goto", "jump", "vmap", "mangle") or (word == "return" and not ranges)
        left, right = (content.get("left"), content.get("right")) if word == "match" else (None, None)
        if word == "vmap":
            left, right = content["key"], content["data"]
        dimension, kind = _dimension(left)
        if dimension:
            found = _ranges(view, kind, right)
            if found:
                ranges[dimension] = found
        named = _protocols(left, right)
        protocols = named or protocols
    return _Line(ranges, protocols, rule.comment in names or (leads_on and not rule.comment))


def _dimension(left: Any) -> tuple[Dimension, str]:
    payload = left.get("payload", {}) if isinstance(left, dict) else {}
    return _EXPRESSIONS.get((payload.get("protocol", ""), payload.get("field", "")), ("", ""))


def _protocols(left: Any, right: Any) -> tuple[int, ...]:
    """The protocols that a match is about, if it says any."""
    if not isinstance(left, dict):
        return ()
    header = left.get("payload", {}).get("protocol")
    if header in ("tcp", "udp", "icmp"):
        return ({"tcp": TCP, "udp": UDP, "icmp": ICMP}[header],)
    if left == {"meta": {"key": "l4proto"}} or left == {"payload": {"protocol": "ip", "field": "protocol"}}:
        try:
            return tuple(int(value_of("inet_proto", each)) for each in _elements(right))
        except (NotUnderstoodError, ValueError):
            return ()
    return ()


def _elements(right: Any) -> list[Any]:
    elements = right["set"] if isinstance(right, dict) and "set" in right else [right]
    return [element[0] if isinstance(element, list) else element for element in elements]


def _ranges(view: RulesetView, kind: str, right: Any) -> list[tuple[int, int]]:
    try:
        if isinstance(right, str) and right.startswith("@"):
            return list(view.members(FAMILY, TABLE, right[1:]).ranges())
        return [(int(first), int(last)) for first, last in (range_of(kind, each) for each in _elements(right))]
    except (NotUnderstoodError, ValueError):
        return []


def _ends(ranges: list[tuple[int, int]]) -> set[int]:
    return {end for first, last in ranges for end in (first, last + 1)}
