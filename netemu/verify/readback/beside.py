"""The way by Azure's rules and the way by the kernel side by side: where they part, in words."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from netemu.azure.placement import Placement
from netemu.azure.steps import Step as ModelStep
from netemu.azure.steps import Verdict
from netemu.verify.due import EDGE
from netemu.verify.evidence import SAME_STAGE
from netemu.verify.readback import hop
from netemu.verify.readback.way import LOAD_BALANCER, Step, StepKind, Way

KINDS: tuple[StepKind, ...] = ("security-group", "route", "translation", "appliance")
"""What is compared, each kind in its own order: the kernel routes before its rules are asked, and translates where a
flow leaves and not where it began."""


BALANCED = ("no-rule", "no-backend", "hairpin")
"""Stages of verdicts at which a load balancer drops."""


class Pair(Struct, frozen=True):
    """A step by Azure's rules and the kernel's counterpart; one of them is missing where only the other has it."""

    model: ModelStep | None
    kernel: Step | None
    same: bool


def pairs(placement: Placement, verdict: Verdict, way: Way) -> list[Pair]:
    """Every step of the model with its counterpart, then what only the kernel does."""
    counterparts: dict[int, Step] = {}
    alone: list[Step] = []
    for kind in (*KINDS, "end"):
        ours = [step for step in verdict.steps if step.kind == kind]
        theirs = [step for step in way.steps if step.kind == kind]
        counterparts |= {id(step): other for step, other in zip(ours, theirs, strict=False)}
        alone += theirs[len(ours) :]
    found: list[Pair] = []
    undone = diverted = False
    for step in verdict.steps:
        other = counterparts.get(id(step))
        if diverted:
            # Azure undoes the translation of what came in by a public IP before it routes (PIPE-6), the edge when it
            # gets there. Where a route of the user's diverts it, nobody gets it, but NSGs see another source.
            same = step.kind != "end" or verdict.access == way.access
        elif way.stage == LOAD_BALANCER and _is_balanced(verdict) and (other is None or step.kind == "end"):
            same = True  # it is not followed beyond the director
        else:
            same = _is_same(placement, verdict, way, step, other)
        found.append(Pair(step, other, same))
        undone |= step.kind == "translation" and step.place in placement.ports
        diverted |= undone and step.route is not None and step.route.nextHopType != "Internet"
    return [*found, *(Pair(None, step, same=diverted) for step in alone)]


def disagreements(placement: Placement, verdict: Verdict, way: Way) -> Iterator[str]:
    """Where they part; what follows from the first difference of a kind is not said again."""
    said: set[str] = set()
    for pair in pairs(placement, verdict, way):
        step = pair.model or pair.kernel
        assert step is not None
        if pair.same or step.kind in said:
            continue
        said.add(step.kind)
        ours = pair.model.text if pair.model is not None else "nothing like it"
        theirs = pair.kernel.text if pair.kernel is not None else "nothing like it"
        yield f"Azure's rules: {ours}; the kernel: {theirs}"


def _is_same(placement: Placement, verdict: Verdict, way: Way, step: ModelStep, other: Step | None) -> bool:
    if step.kind in ("flow-record", "guest"):
        return True  # a record has no counterpart of its own: without it, rules would be asked
    if other is None:
        return step.kind == "translation" and step.place in placement.ports
    if step.kind == "end":
        return _same_end(verdict, way)
    if step.rule is not None:
        found, rule = other.decision, step.rule
        return found is not None and (
            found.networkSecurityGroup, found.rule, found.dropped, other.nic
        ) == (rule.networkSecurityGroup, rule.name, rule.access == "Deny", step.nic)  # fmt: skip
    if step.route is not None and step.nic is not None:
        wanted = hop.by_model(placement, placement.ports[step.nic], step.packet.destination, step.route)
        return (other.nic, other.hop) == (step.nic, wanted)
    if step.after is not None:
        return other.after == step.after
    return other.machine == step.place


def _is_balanced(verdict: Verdict) -> bool:
    """Does a load balancer of the model's take it, be it to drop it?"""
    return verdict.stage in BALANCED or any(str(step.kind) == LOAD_BALANCER for step in verdict.steps)


def _same_end(verdict: Verdict, way: Way) -> bool:
    if verdict.access != way.access:
        return False
    if verdict.access == "Allow":
        return (verdict.receiver, verdict.stage) == (way.receiver, way.stage)
    return _stage(verdict.stage) == _stage(way.stage)


def _stage(stage: str) -> str:
    """What the model tells apart and the data plane does not, or drops one namespace later, is the same."""
    return "edge" if stage in EDGE else SAME_STAGE.get(stage, stage)
