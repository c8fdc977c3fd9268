"""The effective security rules of a NIC by the kernel: asked on both sides of every boundary that either knows.

A rule is the same when the loaded ruleset decides by it wherever Azure's rules do. Its counter is that of all NICs with
the same NSG in the same virtual network behind the same route table.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from netemu.azure import resources as arm
from netemu.azure.flow import Packet
from netemu.azure.placement import Gate, Placement, Port
from netemu.azure.security import Classifier, EffectiveRule
from netemu.linux.ruleset_follow import Follower
from netemu.linux.ruleset_view import NotUnderstoodError
from netemu.verify.readback.gates import FAMILY, LEVELS, TABLE, Said, asked, say
from netemu.verify.readback.plane import FABRIC, Plane
from netemu.verify.readback.samples import samples

DIRECTIONS: tuple[arm.Direction, ...] = ("Inbound", "Outbound")


class RuleRow(Struct, frozen=True):
    """A rule of the model, and what the kernel has of it."""

    networkSecurityGroup: str
    place: str
    direction: arm.Direction
    name: str
    packets: int | None
    """What its counter says; None when it has none: it matches nothing here, or is not there."""
    difference: str | None


def compare(plane: Plane, placement: Placement, port: Port) -> tuple[list[RuleRow], list[str]]:
    """Every effective rule with the kernel's counterpart, and every disagreement in words."""
    rows: list[RuleRow] = []
    found: list[str] = []
    for direction in DIRECTIONS:
        gates = {
            ("nic" if gate.place == port.name else "subnet"): gate for gate in placement.gates(port.nic, direction)
        }
        chains = dict(asked(plane, port.nic, direction))
        for level in LEVELS[direction]:
            gate, chain = gates.get(level), chains.get(level)
            if gate is not None and chain is not None and chain.split("/")[1] == gate.networkSecurityGroup:
                comparison = _Comparison(plane, gate, chain, direction)
                rows += comparison.rows()
                found += comparison.found
            elif gate is not None or chain is not None:
                place = port.name if level == "nic" else port.nic.subnet.path
                ours = gate.networkSecurityGroup if gate is not None else "no NSG"
                theirs = chain.split("/")[1] if chain is not None else "no NSG"
                found.append(f"{place}, {direction.lower()}: by Azure's rules {ours} is asked, by the kernel {theirs}")
    return rows, found


class _Line(Struct, frozen=True):
    """A rule of the kernel's."""

    packets: int
    drops: bool


class _Comparison:
    """One NSG at one NIC in one direction."""

    def __init__(self, plane: Plane, gate: Gate, chain: str, direction: arm.Direction) -> None:
        self.plane, self.gate, self.chain, self.direction = plane, gate, chain, direction
        self.view = plane.view(FABRIC)
        self.rules = [rule for rule in gate.classifier.rules if rule.platformTag is None]
        """Those with platform tags are asked about traffic to the platform, which nothing else is (PLT-4)."""
        self.found: list[str] = []

    def rows(self) -> Iterator[RuleRow]:
        """Every rule once, in order."""
        differences = self._differences()
        lines = self._lines()
        where = f"{self.gate.networkSecurityGroup}, {self.direction.lower()}"
        for rule in {rule.name: rule for rule in reversed(self.gate.classifier.rules)}.values():
            line = lines.get(rule.name)
            if line is None and rule in self.rules and rule.sources and rule.destinations:
                differences.setdefault(rule.name, f"{where}: the kernel has no rule {rule.name}")
            if line is not None and line.drops != (rule.access == "Deny"):
                verb = "drops" if line.drops else "lets pass"
                differences.setdefault(rule.name, f"{where}: {rule.name} ({rule.access}) {verb} in the kernel")
        self.found += dict.fromkeys(differences.values())
        for name in dict.fromkeys(rule.name for rule in self.gate.classifier.rules):
            group, place, line = self.gate.networkSecurityGroup, self.gate.place, lines.get(name)
            packets = line.packets if line is not None else None
            yield RuleRow(group, place, self.direction, name, packets, differences.get(name))

    def _lines(self) -> dict[str, _Line]:
        """The rules of the NSG's chain, or of the chains of its rules when it is a long one, by Azure's name."""
        long = f"{self.direction.lower()}/{self.gate.networkSecurityGroup}//"
        found: dict[str, _Line] = {}
        for (family, table, chain), content in self.view.chains.items():
            if (family, table) == (FAMILY, TABLE) and (chain == self.chain or chain.startswith(long)):
                for rule in content.rules:
                    counter = next((each["counter"] for each in rule.expressions if "counter" in each), None)
                    if rule.comment and isinstance(counter, dict):
                        drops = any("drop" in each for each in rule.expressions)
                        found.setdefault(rule.comment, _Line(counter["packets"], drops))
        return found

    def _differences(self) -> dict[str, str]:
        """The rules by which the kernel does not decide where Azure's rules do, with an example each."""
        follower = Follower(self.view)
        classifier = Classifier(tuple(self.rules))
        found: dict[str, str] = {}
        for packet in dict.fromkeys(samples(self.rules, self.view, self.chain)):
            rule = classifier.decide(packet)
            assert rule is not None, "the default rules match everything"
            if rule.name in found:
                continue
            try:
                said = say(follower, self.chain, packet)
            except NotUnderstoodError as error:
                found[rule.name] = f"a rule of the kernel's cannot be followed here: {error}"
                continue
            if (said.rule, said.access) != (rule.name, rule.access):
                found[rule.name] = self._difference(packet, rule, said)
        return found

    def _difference(self, packet: Packet, rule: EffectiveRule, said: Said) -> str:
        line = self.view.text(said.line) if said.line is not None else "one without a counter, or the chain's end"
        theirs = said.rule or f"a rule that is not netemu's: {line}"
        return (
            f"{self.gate.networkSecurityGroup}, {self.direction.lower()}: {packet} is decided by {rule.name} "
            f"({rule.access}) by Azure's rules, by {theirs} ({said.access}) in the kernel"
        )
