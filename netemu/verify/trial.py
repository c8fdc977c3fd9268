"""One flow, tried in a running lab: a real packet, what it moved, the kernel's routes for it, who listens for it."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, structs

from netemu.azure.flow import Flow, protocol_number
from netemu.azure.network import Network
from netemu.azure.placement import Placement
from netemu.azure.verdict import Verdict
from netemu.linux.listeners import Listener, listeners
from netemu.linux.ruleset_view import NotUnderstoodError
from netemu.verify.compare import against_rules, decider
from netemu.verify.evidence import Decision
from netemu.verify.observe import Observation, Observer
from netemu.verify.readback.beside import disagreements
from netemu.verify.readback.plane import Plane
from netemu.verify.readback.way import Ways


class Lookup(Struct, frozen=True):
    """What the kernel says of a packet that leaves a NIC."""

    nic: str
    text: str


class Trial(Struct, frozen=True):
    """What was seen."""

    observation: Observation
    decided: Decision | None
    """The rule that dropped the packet, or the answer to it."""
    counted: int | None
    """Packets that this rule has counted since it was loaded, this one included."""
    routes: tuple[Lookup, ...]
    """The kernel's own answers about where it goes (RTM_GETROUTE), of the answer's way when the packet arrived."""
    differences: tuple[str, ...]
    """Where rules and routes that are loaded are not Azure's, in words; only looked for when the packet shows it."""
    port: int | None
    """The port at which it arrived."""
    waiting: tuple[Listener, ...]
    """Who listens where the packet arrived, with the flow's protocol."""
    listened: bool | None
    """Does somebody listen at that port? None when nothing arrived, or it has no ports."""


def attempt(network: Network, namespaces: Mapping[str, Path], flow: Flow, verdict: Verdict) -> Trial:
    """Send the first packet of a flow and see what becomes of it. Its source port ought to be one not used lately."""
    with Observer(network, namespaces) as observer:
        return attempt_by(observer, network, namespaces, flow, verdict)


def attempt_by(
    observer: Observer, network: Network, namespaces: Mapping[str, Path], flow: Flow, verdict: Verdict
) -> Trial:
    """The same with an observer that is there."""
    seen = observer.observe(flow, expect_delivery=verdict.access == "Allow", expect_answer=verdict.answered)
    # The receiver's own system answers before anybody has looked: its answer moves counters with the packet.
    every = structs.replace(seen, decisions=(*seen.decisions, *seen.answer_decisions))
    stopped = verdict.reply if seen.delivered and verdict.reply is not None else verdict
    decided = decider(every, stopped) if not seen.answered else None
    counted = observer.total(decided) if decided is not None else None
    routes, differences = _read_back(network, namespaces, flow, verdict, seen)
    kind = {6: "tcp", 17: "udp"}.get(protocol_number(flow.protocol))
    waiting: tuple[Listener, ...] = ()
    listened = port = None
    if kind is not None and seen.receiver is not None and seen.receiver in namespaces:
        waiting = tuple(each for each in listeners(namespaces[seen.receiver]) if each.protocol == kind)
        arrival = next(hop for hop in seen.hops if hop.node == seen.receiver and not hop.outgoing)
        port = arrival.seen.destinationPort
        listened = any(each.port == port and each.address in (None, seen.destinationSeenAs) for each in waiting)
    return Trial(seen, decided, counted, routes, differences, port, waiting, listened)


def _read_back(
    network: Network, namespaces: Mapping[str, Path], flow: Flow, verdict: Verdict, seen: Observation
) -> tuple[tuple[Lookup, ...], tuple[str, ...]]:
    """The kernel's routes, and where it is not as Azure's rules say. Nothing where somebody's rules are beyond us."""
    with Plane(network, namespaces) as plane, contextlib.suppress(NotUnderstoodError):
        ways = Ways(plane)
        way = ways.of(flow)
        back = ways.answer(way) if seen.delivered and not seen.answered else None
        steps = (back if back is not None else way).of_kind("route")
        routes = tuple(Lookup(step.nic, step.text) for step in steps if step.nic is not None)
        parted = any(against_rules(verdict, seen))
        return routes, tuple(disagreements(Placement(network), verdict, way)) if parted else ()
    return (), ()
