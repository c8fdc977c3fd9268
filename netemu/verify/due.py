"""Which counters of the data plane a verdict says must move, and what a counter is called for that."""

from __future__ import annotations

from collections.abc import Iterator

from netemu.azure.verdict import Verdict
from netemu.verify.evidence import SAME_STAGE, Decision

Key = tuple[str, str | None, str | None]
"""Stage, NSG and rule: what a counter is, whatever chain it is in."""

WITHOUT_COUNTER = ("guest-not-forwarding", "hairpin", "loop")
"""Ends of a way inside a guest: the evidence is the tap that saw the packet come in and never leave."""

EDGE = ("edge-unknown", "edge-untranslated", "edge-private")

SAYS_NOTHING: frozenset[Key] = frozenset({("platform", None, None)})
"""Counters that say nothing: what 168.63.129.16 does not serve was delivered to it all the same."""


def to_move(verdict: Verdict) -> Iterator[Key]:
    """The counters that a flow must move: those of its first packet, then those of the answer."""
    yield from _of_one(verdict)
    if verdict.access == "Allow" and verdict.reply is not None and verdict.stage == "delivered":
        yield from _of_one(verdict.reply)


def _of_one(verdict: Verdict) -> Iterator[Key]:
    for step in verdict.steps:
        if step.rule is not None:
            stage = "nsg-out" if step.direction == "Outbound" else "nsg-in"
            yield ("platform" if step.rule.platformTag else stage), step.rule.networkSecurityGroup, step.rule.name
    if verdict.access == "Deny" and verdict.rule is None and verdict.stage not in WITHOUT_COUNTER:
        yield _stage(verdict.stage), None, None


def key_of(decision: Decision) -> Key:
    """What a counter that has moved is called."""
    return _stage(decision.stage), decision.networkSecurityGroup, decision.rule


def _stage(stage: str) -> str:
    """An answer without a question is not translated, where a question would be, and dropped for one or the other."""
    return "edge" if stage in EDGE else SAME_STAGE.get(stage, stage)
