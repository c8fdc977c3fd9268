"""Lint: what is valid in a scenario, but hardly meant. Pure.

rules        security rules that decide nothing, or nothing that would not be decided alike without them
exposure     management ports open to the internet, public IPs without an NSG
routes       user-defined routes that lead nowhere or never decide
ways         packets that routes send to appliances: who drops them, answers that come back another way
peerings     peerings that carry nothing
balancers    load balancers through which nothing gets
unused       resources that nobody refers to
silences     what `lint.ignore` of the scenario silences
report       findings for programs: data, GitHub, JUnit

`deciding` has the exact arithmetic behind `rules` and `exposure`.
"""

from __future__ import annotations

from msgspec import Struct

from netemu.azure.flow import Packet
from netemu.lint import balancers, exposure, peerings, routes, rules, silences, unused, ways
from netemu.lint.findings import Finding, Subject
from netemu.scenario import Document

__all__ = ["Finding", "Outcome", "lint"]


class Outcome(Struct, frozen=True):
    """What was found in one scenario, in the order of the file."""

    file: str
    findings: tuple[Finding, ...]
    silenced: tuple[Finding, ...]
    witnesses: dict[str, Packet | None]
    """For every security rule of an NSG that is in use, a packet that it decides; None when it decides none, or when
    rules are so entangled that the question was given up (nothing is told of the rule then)."""


def lint(document: Document) -> Outcome:
    """Look at a valid scenario."""
    subject = Subject(document)
    witnesses = rules.check(subject)
    for module in (exposure, routes, ways, peerings, balancers, unused):
        module.check(subject)
    told, silenced = silences.divide(subject)
    return Outcome(document.file, tuple(told), tuple(silenced), witnesses)
