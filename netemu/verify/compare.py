"""Expectation, verdict and packet, side by side. Any disagreement fails."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from netemu.azure.flow import sources_of
from netemu.azure.network import Network
from netemu.azure.resources import Expectation
from netemu.azure.verdict import Verdict
from netemu.verify.due import WITHOUT_COUNTER
from netemu.verify.evidence import SAME_STAGE, Decision
from netemu.verify.failover import Failover
from netemu.verify.observe import Observation


class Result(Struct, frozen=True):
    """One expectation, what Azure's rules say, what the packet did, and where they part."""

    number: int
    """Position in `expect`, from 1."""
    expectation: Expectation
    verdict: Verdict
    observation: Observation
    disagreements: tuple[str, ...]
    backends: dict[str, int] = {}
    """Flows by the backend that a load balancer has given them to, as far as they arrived."""
    failover: Failover | None = None

    @property
    def passed(self) -> bool:
        """Do all three agree?"""
        return not self.disagreements

    @property
    def title(self) -> str:
        """The flow in a line."""
        return title(self.expectation)

    @property
    def reading(self) -> tuple[str, ...]:
        """How the verdict comes about."""
        return tuple(step.text for step in self.verdict.steps)

    @property
    def decided_by(self) -> Decision | None:
        """The rule that dropped the probe, as counted; when several rules dropped something, the one of the verdict."""
        return decider(self.observation, self.verdict)


def title(expectation: Expectation) -> str:
    """The flow of an expectation in a line."""
    port = f"/{expectation.port}" if expectation.port is not None else ""
    return f"{expectation.from_} → {expectation.to} {expectation.protocol}{port}"


def decider(observation: Observation, verdict: Verdict) -> Decision | None:
    """The rule that dropped the probe. Other traffic of the lab may have moved other counters meanwhile."""
    dropped = [decision for decision in observation.decisions if decision.dropped]
    return next((decision for decision in dropped if _is_of(decision, verdict)), dropped[0] if dropped else None)


def _is_of(decision: Decision, verdict: Verdict) -> bool:
    if decision.stage != SAME_STAGE.get(verdict.stage, verdict.stage):
        return False
    return verdict.rule is None or (decision.networkSecurityGroup, decision.rule) == (
        verdict.networkSecurityGroup, verdict.rule
    )  # fmt: skip


def disagreements(
    network: Network, expectation: Expectation, verdict: Verdict, observation: Observation
) -> Iterator[str]:
    """Where expectation, verdict and packet part, in words."""
    if expectation.access != verdict.access:
        yield f"expected {expectation.access}, but Azure's rules say {verdict.access}{_why(verdict)}"
    yield from against_rules(verdict, observation)
    yield from _expected_details(network, expectation, verdict, observation)


def against_rules(verdict: Verdict, observation: Observation) -> Iterator[str]:
    """Where verdict and packet part, the rule that dropped it included."""
    yield from parted(verdict, observation)
    if verdict.access == "Deny" and not observation.delivered and observation.error is None:
        yield from _drop(verdict, observation)


def parted(verdict: Verdict, observation: Observation) -> Iterator[str]:
    """Where the packet's fate is not the verdict's, whatever was counted on its way."""
    packet = "Allow" if observation.delivered else "Deny"
    if verdict.access != packet:
        yield f"Azure's rules say {verdict.access}{_why(verdict)}, but the packet {_fate(observation)}"
    elif packet == "Allow":
        yield from _delivery(verdict, observation)


def _drop(verdict: Verdict, observation: Observation) -> Iterator[str]:
    dropped = [decision for decision in observation.decisions if decision.dropped]
    if verdict.stage in WITHOUT_COUNTER:
        if not observation.via:
            yield f"Azure's rules say that it ends in the guest ({verdict.stage}), but no guest saw it"
    elif not any(_is_of(decision, verdict) for decision in dropped):
        where = ", ".join(map(str, dropped)) or "no counter saw it"
        yield f"Azure's rules drop it at {verdict.stage}{_why(verdict)}, the data plane at: {where}"


def _delivery(verdict: Verdict, observation: Observation) -> Iterator[str]:
    if verdict.receiver not in (None, observation.receiver):
        yield f"Azure's rules deliver it to {verdict.receiver}, it arrived at {observation.receiver}"
    if verdict.via != observation.via:
        yield f"Azure's rules send it via {_path(verdict.via)}, it went via {_path(observation.via)}"
    for name in ("sourceSeenAs", "destinationSeenAs"):
        ours, seen = getattr(verdict, name), getattr(observation, name)
        if ours != seen:
            yield f"{name}: {ours} by Azure's rules, {seen} in the packet"
    if verdict.answered != observation.answered:
        yield (
            f"the answer: Azure's rules say {_came(verdict.answered)}"
            f"{_why(verdict.reply) if verdict.reply else ''}, it {_came(bool(observation.answered))}"
        )


def _expected_details(
    network: Network, expectation: Expectation, verdict: Verdict, observation: Observation
) -> Iterator[str]:
    if expectation.rule is not None:
        group, _, name = expectation.rule.rpartition("/")
        wrong = wrong_rule(expectation, verdict)
        if wrong is not None:
            yield wrong
        if not any(d.rule == name and group in ("", d.networkSecurityGroup) for d in observation.decisions):
            counted = ", ".join(str(d) for d in observation.decisions if d.rule) or "none"
            yield f"expected rule {expectation.rule}, but its counter did not move (moved: {counted})"
    wanted = _receiver(network, expectation.to)
    if wanted is not None and observation.delivered and observation.receiver != wanted:
        yield f"expected at {wanted}, it arrived at {observation.receiver}"
    if expectation.via is not None and expectation.via not in (verdict.via, observation.via):
        yield f"expected via {_path(expectation.via)}, it went via {_path(observation.via)}"
    if expectation.sourceSeenAs is not None and expectation.access == "Allow":
        sources = sources_of(network, expectation.sourceSeenAs)
        if observation.sourceSeenAs not in sources:
            wanted = " or ".join(map(str, sorted(sources)))
            yield f"expected source {wanted}, the receiver saw {observation.sourceSeenAs}"
    wanted_reply = expectation.reply or ("Allow" if expectation.access == "Allow" else None)
    if wanted_reply is not None and observation.delivered:
        came = "Allow" if observation.answered else "Deny"
        if came != wanted_reply:
            why = f"{_why(verdict.reply)}" if verdict.reply is not None else ""
            yield f"expected reply {wanted_reply}, but the answer {_came(bool(observation.answered))}{why}"


def wrong_rule(expectation: Expectation, verdict: Verdict) -> str | None:
    """That another rule than the expected one decides by Azure's rules, in words; None when it is that one, or any."""
    if expectation.rule is None:
        return None
    group, _, name = expectation.rule.rpartition("/")
    asked = [step.rule for step in verdict.steps if step.rule is not None]
    if any(rule.name == name and group in ("", rule.networkSecurityGroup) for rule in asked):
        return None
    return f"expected rule {expectation.rule}, but by Azure's rules it is {verdict.rule or 'none'}"


def _receiver(network: Network, to: str) -> str | None:
    """Who is meant by name; networks with equal address spaces have the same address twice."""
    if to in network.machines or to in network.hosts:
        return to
    return network.nics[to].machine if to in network.nics else None


def _came(answered: bool) -> str:
    return "came back" if answered else "did not come back"


def _path(via: tuple[str, ...]) -> str:
    return ", ".join(via) or "nothing"


def _why(verdict: Verdict) -> str:
    if verdict.rule is not None:
        return f" ({verdict.networkSecurityGroup}/{verdict.rule})"
    return f" ({verdict.stage})" if verdict.access == "Deny" else ""


def _fate(observation: Observation) -> str:
    if observation.error is not None:
        return f"was not sent: {observation.error}"
    if observation.delivered:
        return f"arrived at {observation.receiver}"
    dropped = ", ".join(str(decision) for decision in observation.decisions if decision.dropped)
    last = f"was last seen at {observation.via[-1]}" if observation.via else "was seen nowhere"
    return f"was dropped by {dropped}" if dropped else last
