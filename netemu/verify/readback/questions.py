"""Network Watcher's questions, answered from the kernel and held against the model's answers."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from msgspec import Struct

from netemu.azure.network import Nic
from netemu.azure.steps import Verdict
from netemu.azure.verdict import Engine
from netemu.linux.ruleset_view import NotUnderstoodError
from netemu.verify.readback import attachments, beside, gates, routes, rules
from netemu.verify.readback.attachments import Attachment
from netemu.verify.readback.gates import Said
from netemu.verify.readback.plane import Plane
from netemu.verify.readback.routes import RouteRow
from netemu.verify.readback.rules import RuleRow
from netemu.verify.readback.way import Way, Ways
from netemu.watcher.question import Question

Answer = TypeVar("Answer")


class FlowAnswer(Struct, frozen=True):
    """A flow by the kernel."""

    said: tuple[Said, ...] | None
    """What the NSGs at the NIC that was asked about say; None without a NIC."""
    way: Way | None
    """None when nobody in the scenario sends such a flow."""
    reply: Way | None
    disagreements: list[str]


def flow(plane: Plane, engine: Engine, question: Question, verdict: Verdict | None) -> FlowAnswer:
    """What NSGs say to it, its way, and the way of the reply."""
    said: tuple[Said, ...] | None = None
    way = reply = None
    found: list[str] = []
    try:
        if question.nic is not None:
            said = gates.ask(plane, question.nic, question.direction, question.packet)
            model = engine.evaluate_nsgs(question.nic, question.direction, question.packet)
            different = gates.disagreement(model, said)
            found += [different] if different is not None else []
        if question.flow is not None and verdict is not None:
            ways = Ways(plane)
            way = ways.of(question.flow)
            found += beside.disagreements(engine.placement, verdict, way)
            reply = ways.answer(way)
            found += _reply(engine, verdict, reply)
    except NotUnderstoodError as error:
        found.append(_beyond(error))
    return FlowAnswer(said, way, reply, found)


def _reply(engine: Engine, verdict: Verdict, reply: Way | None) -> list[str]:
    """Where the ways of the answer part; when the first packet's ways have parted, there may be only one."""
    if verdict.reply is None or verdict.stage != "delivered" or reply is None:
        return []
    return [f"the reply: {each}" for each in beside.disagreements(engine.placement, verdict.reply, reply)]


def effective_routes(plane: Plane, engine: Engine, nic: Nic) -> tuple[list[RouteRow], list[str]]:
    """Every route of a NIC, and every disagreement."""
    if plane.port(nic) is None:
        return [], [_unconnected(nic)]
    return _followed(lambda: routes.compare(plane, engine.placement, engine.placement.ports[nic.name]))


def next_hop(plane: Plane, engine: Engine, nic: Nic, destination: int) -> tuple[str, list[str]]:
    """The kernel's next hop of an address."""
    if plane.port(nic) is None:
        return "", [_unconnected(nic)]
    try:
        text, different = routes.compare_one(plane, engine.placement, engine.placement.ports[nic.name], destination)
    except NotUnderstoodError as error:
        return "", [_beyond(error)]
    return text, [different] if different is not None else []


def effective_rules(plane: Plane, engine: Engine, nic: Nic) -> tuple[list[RuleRow], list[str]]:
    """Every rule that applies at a NIC, and every disagreement."""
    if plane.port(nic) is None:
        return [], [_unconnected(nic)]
    return _followed(lambda: rules.compare(plane, engine.placement, engine.placement.ports[nic.name]))


def topology(plane: Plane) -> tuple[list[Attachment], list[str]]:
    """What hangs on each NIC."""
    return _followed(lambda: attachments.compare(plane))


def _followed(ask: Callable[[], tuple[list[Answer], list[str]]]) -> tuple[list[Answer], list[str]]:
    try:
        return ask()
    except NotUnderstoodError as error:
        return [], [_beyond(error)]


def _unconnected(nic: Nic) -> str:
    return f"{nic.name}: no link leads from eth{nic.index} of {nic.machine} to the fabric"


def _beyond(error: NotUnderstoodError) -> str:
    return f"the kernel's rules cannot be followed here, so nothing is sure: {error}"
