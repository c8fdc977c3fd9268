"""Results for programs: JSON-able data and JUnit XML; and the cells of the table for people."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from netemu.azure.resources import Expectation
from netemu.azure.verdict import Verdict
from netemu.verify.compare import Result
from netemu.verify.evidence import Decision
from netemu.verify.names import NameResult, spoken
from netemu.verify.observe import Observation
from netemu.verify.spread import told


def as_data(lab: str, results: Sequence[Result | NameResult], unproved: int = 0) -> dict[str, Any]:
    """Everything that is known of every probe, in plain types. `unproved` lines were not come to."""
    return {
        "lab": lab,
        "passed": sum(result.passed for result in results),
        "failed": sum(not result.passed for result in results),
        "notProved": unproved,
        "results": [_name(result) if isinstance(result, NameResult) else _result(result) for result in results],
    }


def _written(expectation: Expectation, without: tuple[str, ...]) -> dict[str, Any]:
    return {
        ("from" if name == "from_" else name): _plain(getattr(expectation, name))
        for name in expectation.__struct_fields__
        if getattr(expectation, name) is not None and name not in without
    }


def _name(result: NameResult) -> dict[str, Any]:
    return {
        "number": result.number,
        "flow": result.title,
        "passed": result.passed,
        "disagreements": list(result.disagreements),
        "expected": _written(result.expectation, ("protocol",)),
        "azure": {
            "resolvesTo": sorted(result.answered),
            "server": _plain(result.resolution.server),
            "guest": result.resolution.guest,
            "chain": list(result.resolution.answer.chain) if result.resolution.answer is not None else [],
        },
        "heard": {
            "resolvesTo": sorted(result.came),
            "server": _plain(result.heard.server),
            "name": result.heard.name,
            "error": result.heard.error or None,
            "records": [
                {"name": record.name, "type": record.type, "ttl": record.ttl, "data": list(record.data)}
                for record in (result.heard.message.records if result.heard.message is not None else ())
            ],
        },
    }


def _result(result: Result) -> dict[str, Any]:
    expectation, observation = result.expectation, result.observation
    written = _written(expectation, ("recordType",))
    decided = result.decided_by
    return {
        "number": result.number,
        "flow": result.title,
        "passed": result.passed,
        "disagreements": list(result.disagreements),
        "backends": result.backends,
        "failover": {"out": result.failover.out, "back": result.failover.back} if result.failover else None,
        "expected": written,
        "verdict": verdict_data(result.verdict),
        "packet": packet_data(observation, decided),
    }


def packet_data(observation: Observation, decided: Decision | None) -> dict[str, Any]:
    """What became of a packet, in plain types."""
    return {
        "access": "Allow" if observation.delivered else "Deny",
        "droppedBy": decision_data(decided) if decided is not None and not observation.delivered else None,
        "receiver": observation.receiver,
        "via": list(observation.via),
        "sourceSeenAs": _plain(observation.sourceSeenAs),
        "destinationSeenAs": _plain(observation.destinationSeenAs),
        "answered": observation.answered,
        "counted": [decision_data(decision) for decision in observation.decisions],
        "answerCounted": [decision_data(decision) for decision in observation.answer_decisions],
        "hops": [
            {
                "node": hop.node,
                "interface": hop.interface,
                "direction": "out" if hop.outgoing else "in",
                "source": str(hop.seen.source),
                "destination": str(hop.seen.destination),
            }
            for hop in observation.hops
        ],
        "error": observation.error,
    }


def verdict_data(verdict: Verdict) -> dict[str, Any]:
    """A verdict in plain types."""
    return {
        "access": verdict.access,
        "stage": verdict.stage,
        "networkSecurityGroup": verdict.networkSecurityGroup,
        "rule": verdict.rule,
        "nic": verdict.nic,
        "direction": verdict.direction,
        "receiver": verdict.receiver,
        "via": list(verdict.via),
        "sourceSeenAs": _plain(verdict.sourceSeenAs),
        "destinationSeenAs": _plain(verdict.destinationSeenAs),
        "answered": verdict.answered,
        **({"ways": [way_data(way) for way in verdict.choices]} if verdict.choices else {}),
        "steps": [step.text for step in verdict.steps],
        "reply": [step.text for step in verdict.reply.steps] if verdict.reply is not None else None,
    }


def way_data(way: Verdict) -> dict[str, Any]:
    """One of several ways, in plain types: what has been chosen on it, and what becomes of the packet then."""
    return {
        "backends": [chosen.backend for chosen in way.chosen],
        "access": way.access,
        "stage": way.stage,
        "receiver": way.receiver,
        "via": list(way.via),
        "sourceSeenAs": _plain(way.sourceSeenAs),
        "answered": way.answered,
    }


def decision_data(decision: Decision) -> dict[str, Any]:
    """A decision in plain types."""
    return {name: getattr(decision, name) for name in decision.__struct_fields__}


def _plain(value: object) -> Any:
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return list(value) if isinstance(value, tuple) else str(value)


def cells(result: Result | NameResult) -> list[str]:
    """The row of a result: flow, expected, Azure's rules, the packet, and what decided."""
    return _name_cells(result) if isinstance(result, NameResult) else _flow_cells(result)


def _name_cells(result: NameResult) -> list[str]:
    heard, guest = result.heard, result.resolution.guest
    seen = heard.error if heard.message is None else f"from {heard.server}{f' ({guest})' if guest else ''}"
    azure = "up to the guest" if guest and result.answered != result.came else spoken(result.answered)
    return [result.title, spoken(result.expected), azure, spoken(result.came), seen]


def _flow_cells(result: Result) -> list[str]:
    observation, verdict = result.observation, result.verdict
    if result.failover is not None and result.failover.out is not None:
        back = f", back after {result.failover.back:.1f} s" if result.failover.back is not None else ""
        where = f"{told(Counter(result.backends))}; out after {result.failover.out:.1f} s{back}"
        return [result.title, result.expectation.access or "", verdict.access, "Allow", where]
    decided = result.decided_by if not observation.delivered else None
    if observation.error is not None:
        where = observation.error
    elif decided is not None:
        where = f"dropped by {decided}" if decided.rule else f"dropped: {decided.stage}"
    elif not observation.delivered:
        where = f"ended in {observation.via[-1]}" if observation.via else "lost without a trace"
    else:
        parts = [told(Counter(result.backends))] if result.backends else []
        parts += [f"via {', '.join(observation.via)}"] if observation.via else []
        if observation.sourceSeenAs is not None and observation.hops[0].seen.source != observation.sourceSeenAs:
            parts.append(f"as {observation.sourceSeenAs}")
        if not observation.answered:
            parts.append("no answer")
        where = ", ".join(parts)
    return [
        result.title,
        result.expectation.access or "",
        verdict.access,
        "Allow" if observation.delivered else "Deny",
        where,
    ]


def as_junit(lab: str, results: Sequence[Result | NameResult], unproved: int = 0) -> str:
    """JUnit XML, as CI systems read it. Lines that were not come to are one case that was skipped."""
    from xml.etree import ElementTree

    suite = ElementTree.Element(
        "testsuite", name=f"netemu verify {lab}", tests=str(len(results) + bool(unproved)),
        failures=str(sum(not result.passed for result in results)), errors="0", skipped=str(int(bool(unproved))),
    )  # fmt: skip
    for result in results:
        what = result.expectation.access or spoken(frozenset(result.expectation.resolvesTo or ()))
        name = result.expectation.name or f"{result.title} is {what}"
        case = ElementTree.SubElement(suite, "testcase", classname=f"netemu.{lab}", name=f"{result.number}. {name}")
        if not result.passed:
            failure = ElementTree.SubElement(case, "failure", message=xml_text(result.disagreements[0]))
            failure.text = xml_text("\n".join(result.disagreements))
    if unproved:
        case = ElementTree.SubElement(suite, "testcase", classname=f"netemu.{lab}", name=f"{unproved} more lines")
        ElementTree.SubElement(case, "skipped", message="interrupted")
    ElementTree.indent(suite)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ElementTree.tostring(suite, encoding="unicode") + "\n"


def xml_text(text: str) -> str:
    """Without the control characters that XML cannot carry."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else "?" for letter in text)
