"""What a finding is, and what the modules that look for some share."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from msgspec import Struct

from netemu.azure import resources as arm
from netemu.azure.allocation import Expanded, expand
from netemu.azure.network import Network, Nic, resolve
from netemu.azure.placement import Placement
from netemu.scenario import Document
from netemu.scenario.report import clean
from netemu.scenario.tree import Path


class Finding(Struct, frozen=True, order=True):
    """One thing in a valid scenario that hardly anybody means.

    `line` and `column` count from 1. `finding` is the kind of thing; with the resource it is the name by which a
    scenario silences it.
    """

    file: str
    line: int
    column: int
    resource: str
    finding: str
    what: str
    instead: str

    @property
    def name(self) -> str:
        """`resource/finding`, as in `lint.ignore`."""
        return f"{self.resource}/{self.finding}"

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}"
        return f"{place}: {self.resource}: {self.what}; {self.instead} ({self.finding})"


class Subject:
    """A scenario that is looked at, and what is found in it."""

    def __init__(self, document: Document) -> None:
        self.document = document
        self.scenario: arm.Scenario = document.scenario
        self.network: Network = resolve(document.scenario)
        self.findings: list[Finding] = []

    @cached_property
    def placement(self) -> Placement:
        """What is where, for those who follow packets."""
        return Placement(self.network)

    @cached_property
    def expanded(self) -> Expanded:
        """The NICs with their short forms written out, those of no virtual machine included."""
        return expand(self.scenario)

    def nic(self, name: str) -> Path:
        """Where a NIC is written: in `networkInterfaces`, or as the short form of a VM."""
        if name in self.scenario.networkInterfaces:
            return ("networkInterfaces", name)
        return ("virtualMachines", self.network.nics[name].machine)

    def add(self, resource: Path, within: str, finding: str, what: str, instead: str) -> None:
        """Tell something about a resource, at the place of one of its properties (itself, when that is empty)."""
        line, column = self.document.position(*resource, *((within,) if within else ()))
        name = "/".join(clean(str(step)) for step in resource)
        self.findings.append(Finding(self.document.file, line, column, name, finding, what, instead))


def has_security_group(nic: Nic) -> bool:
    """Does any NSG apply to the NIC?"""
    return nic.networkSecurityGroup is not None or nic.subnet.networkSecurityGroup is not None


def several(names: Sequence[str], most: int = 4) -> str:
    """`a`, `b` and `c`; or `a`, `b`, `c` and 2 more."""
    return listed([f"`{name}`" for name in names], most)


def listed(texts: Sequence[str], most: int = 4) -> str:
    """The texts as a sentence has them."""
    shown = list(texts) if len(texts) <= most else [*texts[: most - 1], f"{len(texts) - most + 1} more"]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} and {shown[-1]}"
