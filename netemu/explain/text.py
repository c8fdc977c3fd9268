"""Explanations for people: sentences, and the YAML that would change things."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from netemu.azure.steps import Verdict
from netemu.explain.edits import as_tree
from netemu.explain.explanation import Explanation, Obstacle, Remedy
from netemu.explain.seen import Seen

NAMED = 6
"""So many backends are named."""
SUBJECT = {"request": "The packet", "reply": "The packet arrives, but the answer"}


def lines(explanation: Explanation, seen: Seen | None = None) -> Iterator[str]:
    """The whole explanation; `seen` is what a packet did in a running lab."""
    works = explanation.works if seen is None else seen.works
    evidence = seen.evidence if seen is not None else ()
    yield f"{explanation.title} {'works' if works else 'does not work'}."
    if explanation.works:
        yield ""
        yield _success(explanation)
        yield from (f"  {text}" for text in evidence)
    for number, obstacle in enumerate(explanation.obstacles):
        yield ""
        yield from _obstacle(obstacle, evidence if number == 0 else (), first=number == 0)
    if explanation.obstacles and explanation.works_then:
        yield ""
        yield "Then it works."
    if seen is not None:
        yield from _seen(seen)
    for note in explanation.notes:
        yield ""
        yield f"Note: {note.text}."
        for remedy in note.remedies:
            yield from _remedy(remedy, "what would change that")


def _seen(seen: Seen) -> Iterator[str]:
    if seen.trouble is not None:
        yield ""
        yield seen.trouble
        if seen.remedy is not None:
            yield f"  what would change that: {seen.remedy}"
    if seen.parted:
        yield ""
        yield "The packet did something else than Azure's rules say:"
        yield from (f"  {text}" for text in seen.parted)


def _success(explanation: Explanation) -> str:
    verdict = explanation.verdict
    if verdict.stage == "platform":
        return "The platform takes it, and answers."
    if verdict.stage == "local":
        return f"It never leaves {verdict.receiver}."
    vias = dict.fromkeys(way.via for way in verdict.ways)
    way = " or".join(f" through {', '.join(via)}" for via in vias if via)
    rule = f"; rule `{verdict.rule}` of `{verdict.networkSecurityGroup}` is the last that is asked, and lets it pass"
    return f"The network carries it to {_receivers(verdict)}{way}, and the answer back{rule if verdict.rule else ''}."


def _receivers(verdict: Verdict) -> str:
    """Who gets it: of several backends, which load balancer chooses among whom."""
    names = list(dict.fromkeys(way.receiver for way in verdict.ways if way.receiver is not None))
    if len(names) <= 1 or not verdict.chosen:
        return str(verdict.receiver)
    balancer = verdict.chosen[-1].rule.partition("/")[0]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return f"one of {', '.join(names[:NAMED])}{more} (load balancer `{balancer}` chooses)"


def _obstacle(obstacle: Obstacle, evidence: Sequence[str], *, first: bool) -> Iterator[str]:
    subject = SUBJECT[obstacle.way]
    yield f"{subject if first else f'Then {subject[0].lower()}{subject[1:]}'} {obstacle.what}."
    yield from (f"  {text}" for text in evidence)
    for hint in obstacle.hints:
        yield f"  {hint[0].upper()}{hint[1:]}."
    for number, remedy in enumerate(obstacle.remedies):
        yield from _remedy(remedy, "or" if number else "what would change that")


def _remedy(remedy: Remedy, begin: str) -> Iterator[str]:
    yield f"  {begin}: {remedy.text}"
    if remedy.edits:
        yield from (f"      {line}" for line in yaml_of(as_tree(remedy.edits)))


def yaml_of(tree: dict[str, Any]) -> Iterator[str]:
    """YAML as people write scenarios: a resource's properties in one line."""
    for key, value in tree.items():
        if isinstance(value, dict) and any(isinstance(each, dict) or each is None for each in value.values()):
            yield f"{key}:"
            yield from (f"  {line}" for line in yaml_of(value))
        elif value is None:
            yield f"{key}:  # remove it"
        else:
            yield f"{key}: {_flow(value)}"


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(each)}" for key, each in value.items()) + "}"
    if isinstance(value, list | tuple):
        return _flow(value[0]) if len(value) == 1 else f"[{', '.join(map(_flow, value))}]"
    if isinstance(value, bool):
        return str(value).lower()
    text = str(value)
    return f'"{text}"' if text == "*" else text
