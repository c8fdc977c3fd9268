"""What an explanation is made of."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from netemu.azure import resources as arm
from netemu.azure.flow import Flow
from netemu.azure.steps import Verdict
from netemu.explain.edits import Edit

Way = Literal["request", "reply"]


class Remedy(Struct, frozen=True):
    """What would get a packet past an obstacle. It has been tried on a copy of the scenario."""

    text: str
    edits: tuple[Edit, ...] = ()
    to: str | None = None
    """Whom to speak to instead."""


class Obstacle(Struct, frozen=True):
    """What stops a flow."""

    way: Way
    stage: str
    """A stage of a verdict, or `answer` when the reply arrives from elsewhere."""
    what: str
    """A sentence about the packet, or the answer, without its subject: `is denied by rule …`."""
    place: str
    """NIC, virtual machine, internet host, or the edge."""
    hints: tuple[str, ...] = ()
    """Sentences about what was probably meant."""
    remedies: tuple[Remedy, ...] = ()
    """The best one first."""
    networkSecurityGroup: str | None = None
    rule: str | None = None
    direction: arm.Direction | None = None


class Note(Struct, frozen=True):
    """What does not stop the flow, but is worth knowing."""

    name: str
    """As `netemu lint` calls it, where it does."""
    text: str
    remedies: tuple[Remedy, ...] = ()


class Explanation(Struct, frozen=True):
    """Why a flow works or not, from the scenario alone."""

    flow: Flow
    title: str
    """The flow in a line."""
    verdict: Verdict
    obstacles: tuple[Obstacle, ...]
    """The first one, then what would stop the flow next if the remedy of each before were applied."""
    works_then: bool
    """With the first remedy of every obstacle the flow works."""
    notes: tuple[Note, ...] = ()

    @property
    def works(self) -> bool:
        """Does the packet arrive, and its answer come back?"""
        return self.verdict.access == "Allow" and self.verdict.answered
