"""What is said of flows. Names of fields are those of `expect` and of `verify -o json`."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Struct


class Counted(Struct, frozen=True):
    """A rule of the data plane that counted the flow's packets."""

    networkSecurityGroup: str | None
    rule: str | None
    stage: str
    """Where it is: `nsg-in`, `nsg-out`, `source-check`… (netemu/azure/steps.py has them all)."""
    dropped: bool
    packets: int

    def __str__(self) -> str:
        name = f"{self.networkSecurityGroup}/{self.rule}" if self.rule is not None else self.stage
        return f"{name}: {self.packets} {'dropped' if self.dropped else 'passed'}"


class Reach(Struct, frozen=True, kw_only=True):
    """What became of a flow's first packet and of the answer to it; true when both arrived.

    `str()` of it is its way by Azure's rules and what was counted; the first line of that is its `repr()`, which pytest
    shows. `Lab.explain` says what would change it.
    """

    source: str
    to: str
    protocol: Literal["Tcp", "Udp", "Icmp"]
    port: int | None = None
    sourcePort: int | None = None
    """As it was asked for."""
    access: str
    """Allow or Deny: did the packet arrive?"""
    answered: bool
    """Did an answer come back?"""
    receiver: str | None = None
    """The machine or internet host that has it."""
    via: tuple[str, ...] = ()
    """Machines that forwarded it, in order."""
    sourceSeenAs: str | None = None
    destinationSeenAs: str | None = None
    stage: str | None = None
    """Where it was dropped, by what counted it."""
    networkSecurityGroup: str | None = None
    rule: str | None = None
    """The security rule that dropped it, by its counter; for Allow the last one that let it pass."""
    counted: tuple[Counted, ...] = ()
    """Everything that counted it, and the answer."""
    steps: tuple[str, ...] = ()
    """The way by Azure's rules, with every rule and route that decides."""
    disagreements: tuple[str, ...] = ()
    """Where packet and Azure's rules part: a bug in netemu, or what a program in a machine did to the packet."""
    text: str = ""

    def __bool__(self) -> bool:
        return self.access == "Allow" and self.answered

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<{self.text.partition(chr(10))[0]}>"


class Line(Struct, frozen=True, kw_only=True):
    """A line of `expect`, proved."""

    number: int
    """Its place in `expect`, from 1."""
    name: str
    access: str | None = None
    """As expected of a flow."""
    resolvesTo: tuple[str, ...] | None = None
    """What was heard when the line is about a name: records, or NXDOMAIN, NODATA, SERVFAIL, TIMEOUT."""
    disagreements: tuple[str, ...]
    """Where expectation, Azure's rules and packet part; nothing when it is as expected."""
    reach: Reach | None = None
    """What became of a flow."""
    asked: tuple[str, ...] = ()
    """How Azure's DNS comes to its answer, when the line is about a name."""

    @property
    def passed(self) -> bool:
        """Do all three agree?"""
        return not self.disagreements


class Verification(Struct, frozen=True, kw_only=True):
    """Every line of `expect`, proved; true when all pass."""

    lab: str
    lines: tuple[Line, ...]

    def __bool__(self) -> bool:
        return not self.failed

    @property
    def failed(self) -> tuple[Line, ...]:
        """The lines that did not pass."""
        return tuple(line for line in self.lines if not line.passed)

    def __str__(self) -> str:
        text = [self._summary()]
        for line in self.failed:
            text += ["", f"{line.number}. {line.name}", *(f"  {words}" for words in line.disagreements)]
            steps = line.asked if line.reach is None else line.reach.steps
            text += [f"    by Azure's rules: {step}" for step in steps]
        return "\n".join(text)

    def _summary(self) -> str:
        agree = len(self.lines) - len(self.failed)
        return f"{self.lab}: {agree} of {len(self.lines)} lines of expect are so"

    def __repr__(self) -> str:
        first = f": {self.failed[0].name}: {self.failed[0].disagreements[0]}" if self.failed else ""
        return f"<{self._summary()}{first}>"


class Matrix(Struct, frozen=True, kw_only=True):
    """Every pair of machines asked everything that any rule or route decides; true when nothing disagrees."""

    lab: str
    flows: int
    disagreements: tuple[str, ...]
    """Flows that do something else than Azure's rules say, each with the reasons: bugs in netemu."""
    data: dict[str, Any]
    """As `netemu verify --matrix -o json` prints it."""

    def __bool__(self) -> bool:
        return not self.disagreements

    def __str__(self) -> str:
        said = f"{len(self.disagreements)} disagree" if self.disagreements else "all agree"
        return "\n".join([f"{self.lab}: {self.flows} flows: {said}", *self.disagreements])

    def __repr__(self) -> str:
        return f"<{str(self).partition(chr(10))[0]}>"

    def reach(self, source: str, to: str) -> dict[str, Any]:
        """What arrives from one place at another: protocol → ranges of ports; KeyError when they are no pair."""
        for pair in self.data["pairs"]:
            if pair["from"] == source and pair["to"] == to:
                found: dict[str, Any] = pair["reach"]
                return found
        raise KeyError((source, to))
