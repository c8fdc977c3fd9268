"""Asks a lab for the Python API, and says what came of it in the words of `answers`."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from msgspec import structs

from netemu.api.answers import Counted, Line, Matrix, Reach, Verification
from netemu.azure.flow import Flow, flow_of
from netemu.azure.network import Network
from netemu.azure.resources import Expectation
from netemu.azure.verdict import Engine, Verdict
from netemu.errors import PersonError
from netemu.lab.proof import Proof
from netemu.verify.compare import Result, decider, disagreements, title
from netemu.verify.evidence import Decision
from netemu.verify.matrix import Outcome, Plan
from netemu.verify.matrix import report as matrix_report
from netemu.verify.names import NameResult, spoken
from netemu.verify.observe import Observation, Observer
from netemu.verify.trial import attempt_by

PROTOCOLS = ("Tcp", "Udp", "Icmp")


class Asking:
    """A running lab, its taps open."""

    def __init__(self, network: Network, namespaces: Mapping[str, Path]) -> None:
        self.network, self._namespaces = network, namespaces
        self._engine = Engine(network)
        self._observer = Observer(network, namespaces)

    def close(self) -> None:
        """Close the taps."""
        self._observer.close()

    def reach(self, source: str, to: str, port: int | None, protocol: str, source_port: int | None) -> Reach:
        """Send the first packet of a flow."""
        asked, flow = self._flow(source, to, port, protocol, source_port)
        verdict = self._engine.judge(flow)
        seen = self._observer.observe(
            flow, expect_delivery=verdict.access == "Allow", expect_answer=verdict.answered
        )
        said = structs.replace(asked, access=verdict.access, reply="Allow" if verdict.answered else "Deny")
        found = tuple(disagreements(self.network, said, verdict, seen))
        return _reach(Result(1, asked, verdict, seen, found))

    def explain(self, source: str, to: str, port: int | None, protocol: str, source_port: int | None) -> str:
        """Send it and explain in sentences what became of it, and what would change that."""
        from netemu.explain import explain
        from netemu.explain.seen import seen
        from netemu.explain.text import lines

        asked, flow = self._flow(source, to, port, protocol, source_port)
        explanation = explain(self.network, flow, title(asked))
        trial = attempt_by(self._observer, self.network, self._namespaces, flow, explanation.verdict)
        return "\n".join(lines(explanation, seen(explanation, trial)))

    def _flow(
        self, source: str, to: str, port: int | None, protocol: str, source_port: int | None
    ) -> tuple[Expectation, Flow]:
        """What is asked for, with a source port of its own: an old record would let another's packet pass."""
        self._check(source, to, port, protocol, source_port)
        asked = Expectation(from_=source, to=to, access="Allow", protocol=protocol, port=port, sourcePort=source_port)  # type: ignore[arg-type]
        flow = flow_of(self.network, asked)
        if source_port is None:
            flow = structs.replace(flow, sourcePort=random.randrange(20000, 60000))
        return asked, flow

    def _check(self, source: str, to: str, port: int | None, protocol: str, source_port: int | None) -> None:
        network = self.network
        name, _, address = source.partition("/")
        if name not in network.machines and name not in network.nics and name not in network.hosts:
            known = ", ".join([*network.machines, *network.hosts])
            raise PersonError(f"lab {network.name} has no machine, NIC or internet host {name!r}; there are: {known}")
        if address:
            _address(address)
        if protocol not in PROTOCOLS:
            raise PersonError(f"{protocol!r} is no protocol to ask for; say one of {', '.join(PROTOCOLS)}")
        if protocol == "Icmp" and (port, source_port) != (None, None):
            raise PersonError("Icmp has no ports; leave them out")
        if protocol != "Icmp" and port is None:
            raise PersonError(f"{source} to {to}: which {protocol} port? say `port=`")
        for value in (port, source_port):
            if value is not None and not 0 <= value < 65536:
                raise PersonError(f"{value} is no port; they are 0 to 65535")


def _address(text: str) -> IPv4Address:
    try:
        return IPv4Address(text)
    except ValueError:
        raise PersonError(f"{text!r} is no IPv4 address") from None


def _reach(result: Result) -> Reach:
    """A flow that was asked, in full."""
    seen, verdict = result.observation, result.verdict
    stopped = result.decided_by if not seen.delivered else None
    rule = stopped if stopped is not None else _last_rule(verdict, seen)
    asked = result.expectation
    return Reach(
        source=asked.from_,
        to=asked.to,
        protocol=asked.protocol,
        port=asked.port,
        sourcePort=asked.sourcePort,
        access="Allow" if seen.delivered else "Deny",
        answered=bool(seen.answered),
        receiver=seen.receiver,
        via=seen.via,
        sourceSeenAs=str(seen.sourceSeenAs) if seen.sourceSeenAs is not None else None,
        destinationSeenAs=str(seen.destinationSeenAs) if seen.destinationSeenAs is not None else None,
        stage=stopped.stage if stopped is not None else None,
        networkSecurityGroup=rule.networkSecurityGroup if rule is not None else None,
        rule=rule.rule if rule is not None else None,
        counted=tuple(map(_counted, (*seen.decisions, *seen.answer_decisions))),
        steps=tuple(step.text for step in verdict.steps),
        disagreements=result.disagreements,
        text="\n".join(_text(result)),
    )


def _last_rule(verdict: Verdict, seen: Observation) -> Decision | None:
    """The rule that let it pass last, if it was counted."""
    if not seen.delivered or verdict.rule is None:
        return None
    name = verdict.networkSecurityGroup, verdict.rule
    return next((d for d in seen.decisions if (d.networkSecurityGroup, d.rule) == name), None)


def _counted(decision: Decision) -> Counted:
    return Counted(
        decision.networkSecurityGroup, decision.rule, decision.stage, decision.dropped, decision.packets
    )  # fmt: skip


def _text(result: Result) -> Iterator[str]:
    seen, verdict = result.observation, result.verdict
    yield f"{result.title}: {_fate(result)}"
    for words in result.disagreements:
        yield f"  {words}"
    yield "  by Azure's rules:"
    yield from (f"    {step.text}" for step in verdict.steps)
    if verdict.reply is not None and seen.delivered and not seen.answered:
        yield "  and the answer:"
        yield from (f"    {step.text}" for step in verdict.reply.steps)
    counters = [str(_counted(decision)) for decision in (*seen.decisions, *seen.answer_decisions) if decision.rule]
    counters += [str(_counted(decision)) for decision in seen.decisions if decision.dropped and not decision.rule]
    if counters:
        yield f"  counted: {', '.join(counters)}"


def _fate(result: Result) -> str:
    seen, verdict = result.observation, result.verdict
    if seen.error is not None:
        return f"was not sent: {seen.error}"
    if seen.delivered:
        answer = "and the answer came back" if seen.answered else f"but no answer came back{_lost(verdict.reply)}"
        return f"arrived at {seen.receiver}, {answer}"
    stopped = decider(seen, verdict)
    if stopped is None:
        return f"was last seen in {seen.via[-1]}" if seen.via else "was lost without a trace"
    if stopped.rule is None:
        return f"was dropped ({stopped.stage}){_why(verdict)}"
    side = "inbound" if stopped.stage == "nsg-in" else "outbound"
    last = verdict.steps[-2].rule if len(verdict.steps) > 1 else None
    if last is None or last.name != stopped.rule:
        return f"was denied by rule {stopped.rule} of {stopped.networkSecurityGroup}, {side}"
    return f"was denied by rule {last.name} ({last.priority}) of {last.networkSecurityGroup}, {side} at {verdict.nic}"


def _lost(reply: Verdict | None) -> str:
    return _why(reply) if reply is not None and reply.access == "Deny" else ""


def _why(verdict: Verdict) -> str:
    end = verdict.steps[-1].detail if verdict.steps else ""
    return f": {end}" if verdict.access == "Deny" and end else ""


def verification(proof: Proof) -> Verification:
    """Every line of `expect`."""
    return Verification(lab=proof.lab, lines=tuple(_line(result) for result in proof.results))


def _line(result: Result | NameResult) -> Line:
    if isinstance(result, NameResult):
        return Line(
            number=result.number,
            name=result.expectation.name or f"{result.title} is {spoken(result.expected)}",
            resolvesTo=tuple(sorted(result.came)),
            disagreements=result.disagreements,
            asked=result.reading,
        )
    return Line(
        number=result.number,
        name=result.expectation.name or f"{result.title} is {result.expectation.access}",
        access=result.expectation.access,
        disagreements=result.disagreements,
        reach=_reach(result),
    )


def matrix(lab: str, plan: Plan, outcome: Outcome) -> Matrix:
    """Every pair."""
    texts = [
        f"{matrix_report.title(finding)}: {'; '.join(finding.disagreements)}" for finding in outcome.findings
    ]
    data: dict[str, Any] = matrix_report.as_data(lab, plan, outcome)
    return Matrix(lab=lab, flows=outcome.judged, disagreements=tuple(texts), data=data)
