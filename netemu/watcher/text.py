"""A verdict for people: the walk of a packet in lines, with what did not decide indented below what did."""

from __future__ import annotations

from collections.abc import Iterator

from netemu.azure.steps import Step, Verdict


def step_lines(step: Step) -> list[str]:
    """A step: the step itself, then the rules or routes that were looked at."""
    return [step.text, *_looked_at(step)]


def _looked_at(step: Step) -> Iterator[str]:
    for each in step.considered:
        rule = each.rule
        yield f"  {rule.priority} {rule.name}: {each.mismatch or f'matches, {rule.access}'}"
    for loser in step.losers:
        yield f"  not {loser.route}: {loser.why}"


def conclusion(verdict: Verdict) -> str:
    """What becomes of the packet, in one line; of all its ways where a load balancer chooses."""
    if len({way.chosen[-1].machine for way in verdict.ways if way.chosen}) > 1:
        return verdict.text
    if verdict.access == "Deny":
        rule = f" by {verdict.networkSecurityGroup}/{verdict.rule}" if verdict.rule is not None else ""
        where = f" at {verdict.nic}" if verdict.nic is not None else ""
        return f"Deny: {verdict.stage}{rule}{where}"
    via = f" via {', '.join(verdict.via)}" if verdict.via else ""
    return f"Allow: {verdict.stage}{f' to {verdict.receiver}' if verdict.receiver is not None else ''}{via}"


def answer(verdict: Verdict) -> str:
    """What becomes of the reply, in one line."""
    if verdict.reply is None:
        return "no reply: nothing arrives that could be answered"
    if verdict.answered:
        return "Allow: comes back to the sender"
    if verdict.reply.access == "Deny":
        return conclusion(verdict.reply)
    return "lost: it does not come back to the sender from the address and port that were spoken to"
