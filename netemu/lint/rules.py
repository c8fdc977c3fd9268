"""Security rules that decide nothing, or nothing that would not be decided alike without them."""

from __future__ import annotations

import contextlib

from netemu.azure import resources as arm
from netemu.azure import tags
from netemu.azure.coverage import Undecided
from netemu.azure.flow import Packet
from netemu.azure.prefixes import EVERY_ADDRESS, IntervalSet
from netemu.azure.priorities import free_priority
from netemu.azure.security import EffectiveRule
from netemu.lint.deciding import PLATFORM, Gate, gates, uses
from netemu.lint.findings import Subject, listed, several
from netemu.scenario.tree import Path

DIRECTIONS: tuple[arm.Direction, ...] = ("Inbound", "Outbound")


def check(subject: Subject) -> dict[str, Packet | None]:
    """Look at every rule of every NSG that is in use; a packet for every rule that decides one.

    None stands for rules that decide nothing, and for those so entangled that the question was given up.
    """
    witnesses: dict[str, Packet | None] = {}
    for group, where in uses(subject.network).items():
        for direction in DIRECTIONS:
            found = list(gates(subject.network, group, where, direction))
            for name, rule in subject.scenario.networkSecurityGroups[group].securityRules.items():
                if rule.direction == direction:
                    path = ("networkSecurityGroups", group, "securityRules", name)
                    witnesses["/".join(path)] = _Rule(subject, path, rule, found).check()
    return witnesses


class _Rule:
    """One rule, in all places in which it is asked."""

    def __init__(self, subject: Subject, path: Path, rule: arm.SecurityRule, found: list[Gate]) -> None:
        self.subject, self.path, self.rule = subject, path, rule
        self.group, self.name = str(path[1]), str(path[3])
        self.places = [(gate, list(gate.meanings).index(self.name)) for gate in found if self.name in gate.meanings]
        self.liked = tuple(int(config.address) for _, config in subject.network.addresses()) + tuple(
            int(host.address) for host in subject.network.hosts.values()
        )

    def check(self) -> Packet | None:
        """Tell what is wrong with the rule; a packet that it decides."""
        witness = None
        with contextlib.suppress(Undecided):
            witness = next(filter(None, (gate.witness(place, self.liked) for gate, place in self.places)), None)
            if witness is None:
                self._decides_nothing()
            elif not any(gate.needed(place, self.liked) for gate, place in self.places):
                self._redundant()
        return witness

    def _decides_nothing(self) -> None:
        asked = [(gate, place) for gate, place in self.places if gate.own(place)]
        if not asked:
            why, instead = self._mistaken()
            self.subject.add(self.path, "", "matches-nothing", f"matches no packet: {why}", instead)
            return
        covering = _distinct([rule for gate, place in asked for rule in gate.covering(place)])
        free = self._free(min(rule.priority for rule in covering))
        against = any(rule.access != self.rule.access for rule in covering)
        instead = f"give it a priority before {free}, or remove it" if against and free else "remove it"
        take = "takes" if len(covering) == 1 else "together take"
        what = f"can never match: {_spoken(covering)} {take} all that it matches before it"
        self.subject.add(self.path, "priority", "shadowed-rule", what, instead)

    def _free(self, before: int) -> str:
        group = self.subject.scenario.networkSecurityGroups[self.group]
        free = free_priority(group, self.rule.direction, before)
        return f"{before} ({free} is free)" if free is not None else ""

    def _redundant(self) -> None:
        rules = _distinct([rule for gate, place in self.places for rule in gate.successors(place)])
        verb = {"Allow": "allows", "Deny": "denies"}[self.rule.access]
        if not rules:
            what = "changes nothing: the platform is reached without a rule (PLT-4)"
            self.subject.add(self.path, "", "redundant-rule", what, "remove it")
            return
        also = "does as well" if len(rules) == 1 else "do as well"
        what = f"changes nothing: what it {verb}, {_spoken(rules)} {also}"
        other = "denies" if self.rule.access == "Allow" else "allows"
        self.subject.add(
            self.path, "", "redundant-rule", what, f"remove it, or add the rule after it that {other} the rest"
        )

    def _mistaken(self) -> tuple[str, str]:
        """Why it matches no packet, and what to do."""
        for side in ("source", "destination"):
            groups: arm.Strings | None = getattr(self.rule, f"{side}ApplicationSecurityGroups")
            if groups and not any(self._addresses(side)):
                where = several(sorted({gate.context.virtualNetwork for gate, _ in self.places}))
                return f"no NIC of {where} is in {several(groups)}", "let a NIC join, or remove the rule"
        outbound = self.rule.direction == "Outbound"
        if outbound and not any(addresses - PLATFORM for addresses in self._addresses("destination")):
            return (
                "what goes to the platform passes whatever rules say of its address (PLT-4)",
                f"name {several(list(tags.PLATFORM_TAGS))}",
            )
        local = "source" if outbound else "destination"
        for public in self.subject.network.publicIPs.values():
            if all(public.address in addresses != EVERY_ADDRESS for addresses in self._addresses(local)):
                owner = self.subject.network.public_owner(public.address)
                return (
                    f"{public.address} is the public address `{public.name}`, and rules see the private one (NSG-17)",
                    f"write {owner[1].address}" if owner else "write a private address",
                )
        return (
            f"nothing that `{self.group}` is associated to has an address in its {local}",
            "correct it, or remove it",
        )

    def _addresses(self, side: str) -> list[IntervalSet]:
        """What one side of the rule means, in every place."""
        return [
            rule.sources if side == "source" else rule.destinations
            for gate, _ in self.places
            for rule in gate.meanings[self.name]
        ]


def _distinct(rules: list[EffectiveRule]) -> list[EffectiveRule]:
    return sorted({rule.name: rule for rule in rules}.values(), key=lambda rule: rule.priority)


def _spoken(rules: list[EffectiveRule]) -> str:
    """`deny-all` (100) and `allow-web` (200)."""
    return listed([f"`{rule.name}` ({rule.priority})" for rule in rules])
