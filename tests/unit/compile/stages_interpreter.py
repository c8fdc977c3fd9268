"""What nftables would do with the compiler's text: enough of its language for NSG chains, and nothing of the compiler's."""

from __future__ import annotations

import random
import re
from ipaddress import IPv4Address
from itertools import pairwise
from typing import NamedTuple

Ranges = list[tuple[int, int, str]]

PROTOCOLS = {"icmp": 1, "tcp": 6, "udp": 17, "esp": 50, "ah": 51}

_PART = re.compile(
    r"(?P<field>ip saddr|ip daddr|th sport|th dport|meta l4proto) "
    r"(?P<vmap>vmap )?(?:@(?P<name>\S+)|\{ (?P<set>[^}]*) \}|(?P<value>[\w.-]+)) ?"
    r"|meta mark set meta mark (?P<operator>[&|]) (?P<operand>\S+) ?"
    r"|meta mark & (?P<bit>\S+) != 0 ?"
    r"|(?P<counter>counter) ?"
    r"|(?P<verb>goto|jump) (?P<target>\S+) ?"
    r"|(?P<end>return|drop) ?"
    r'|comment "(?P<comment>[^"]*)" ?'
)


class Packet(NamedTuple):
    protocol: int
    source: int
    destination: int
    source_port: int | None = None
    """None: it has none, or is too short for them."""
    destination_port: int | None = None

    def field(self, name: str) -> int | None:
        return {
            "ip saddr": self.source,
            "ip daddr": self.destination,
            "th sport": self.source_port,
            "th dport": self.destination_port,
            "meta l4proto": self.protocol,
        }[name]


class Ruleset:
    """Chains, sets and maps."""

    def __init__(self, text: list[str]) -> None:
        self.chains: dict[str, list[list[dict[str, str | None]]]] = {}
        self.tables: dict[str, Ranges] = {}
        self.objects: dict[tuple[str, str], list[str]] = {}
        content: list[str] = []
        for line in "\n".join(text).splitlines():
            if started := re.fullmatch(r"(chain|set|map) (\S+) \{", line):
                content = []
                assert started.groups() not in self.objects, f"{started[0]} is there twice"
                self.objects[started[1], started[2]] = content
            elif line != "}":
                content.append(line.strip())
        for (kind, name), lines in self.objects.items():
            if kind == "chain":
                self.chains[name] = [_parts(line) for line in lines]
            else:
                elements = next(line for line in lines if line.startswith("elements = "))
                self.tables[name] = _elements(elements.removeprefix("elements = { ").removesuffix(" }"))
                ordered = sorted(self.tables[name])
                assert "flags interval" in lines or all(first == last for first, last, _ in ordered)
                assert all(a[1] < b[0] for a, b in pairwise(ordered)), "nftables wants no overlap"

    def decide(self, chain: str, packet: Packet) -> tuple[bool, str | None]:
        """Does the packet pass the chain, and which rule counted it?"""
        self.mark = random.getrandbits(32)  # nothing may depend on what it was
        self.counted: list[str] = []
        self.steps = 0
        dropped = self._run(chain, packet, 1)
        assert len(self.counted) <= 1, f"one packet, several rules: {self.counted}"
        return not dropped, self.counted[0] if self.counted else None

    def _run(self, chain: str, packet: Packet, depth: int) -> bool:
        assert depth <= 12, "nftables allows 16 chains on the way, and some lead here"
        for rule in self.chains[chain]:
            self.steps += 1
            verdict = self._match(rule, packet)
            if verdict is None:
                continue
            verb, _, target = verdict.partition(" ")
            if verb == "drop":
                return True
            if verb == "return":
                return False
            dropped = self._run(target, packet, depth + 1)
            if verb == "goto" or dropped:
                return dropped
        return False

    def _match(self, rule: list[dict[str, str | None]], packet: Packet) -> str | None:
        """The verdict of a rule, if it matches; its other actions are done."""
        comment = next((part["comment"] for part in rule if part["comment"]), None)
        for part in rule:
            if part["field"]:
                found = self._find(part, packet)
                if found is None:
                    return None
                if part["vmap"]:
                    return found
            elif part["operator"]:
                operand = int(part["operand"] or "", 16)
                self.mark = self.mark & operand if part["operator"] == "&" else self.mark | operand
            elif part["bit"]:
                if not self.mark & int(part["bit"], 16):
                    return None
            elif part["counter"]:
                assert comment is not None
                self.counted.append(comment)
            elif part["verb"]:
                return f"{part['verb']} {part['target']}"
            elif part["end"]:
                return part["end"]
        return None

    def _find(self, part: dict[str, str | None], packet: Packet) -> str | None:
        value = packet.field(part["field"] or "")
        if value is None:
            return None
        ranges = self.tables[part["name"]] if part["name"] else _elements(part["set"] or part["value"] or "")
        return next((then for first, last, then in ranges if first <= value <= last), None)


def _parts(line: str) -> list[dict[str, str | None]]:
    parts, place = [], 0
    while place < len(line):
        found = _PART.match(line, place)
        assert found, f"not understood: {line[place:]!r} of {line!r}"
        parts.append(found.groupdict())
        place = found.end()
    return parts


def _elements(text: str) -> Ranges:
    result = []
    for element in text.split(", "):
        key, _, then = element.partition(" : ")
        first, _, last = key.partition("-")
        result.append((_number(first), _number(last or first), then))
    return result


def _number(text: str) -> int:
    if text in PROTOCOLS:
        return PROTOCOLS[text]
    return int(IPv4Address(text)) if "." in text else int(text)
