"""One flow, tried in a running lab: a real packet, the counters that it moved, and who listens where it arrives."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from msgspec import Struct, structs

from netemu.azure.flow import Flow, protocol_number
from netemu.azure.network import Network
from netemu.azure.verdict import Verdict
from netemu.linux.listeners import Listener, listeners
from netemu.verify.compare import decider
from netemu.verify.evidence import Decision
from netemu.verify.observe import Observation, Observer


class Trial(Struct, frozen=True):
    """What was seen."""

    observation: Observation
    decided: Decision | None
    """The rule that dropped the packet, or the answer to it."""
    counted: int | None
    """Packets that this rule has counted since it was loaded, this one included."""
    port: int | None
    """The port at which it arrived."""
    waiting: tuple[Listener, ...]
    """Who listens where the packet arrived, with the flow's protocol."""
    listened: bool | None
    """Does somebody listen at that port? None when nothing arrived, or it has no ports."""


def attempt(network: Network, namespaces: Mapping[str, Path], flow: Flow, verdict: Verdict) -> Trial:
    """Send the first packet of a flow and see what becomes of it. Its source port ought to be one not used lately."""
    with Observer(network, namespaces) as observer:
        seen = observer.observe(flow, expect_delivery=verdict.access == "Allow", expect_answer=verdict.answered)
        # The receiver's own system answers before anybody has looked: its answer moves counters with the packet.
        every = structs.replace(seen, decisions=(*seen.decisions, *seen.answer_decisions))
        stopped = verdict.reply if seen.delivered and verdict.reply is not None else verdict
        decided = decider(every, stopped) if not seen.answered else None
        counted = observer.total(decided) if decided is not None else None
    kind = {6: "tcp", 17: "udp"}.get(protocol_number(flow.protocol))
    waiting: tuple[Listener, ...] = ()
    listened = port = None
    if kind is not None and seen.receiver is not None and seen.receiver in namespaces:
        waiting = tuple(each for each in listeners(namespaces[seen.receiver]) if each.protocol == kind)
        arrival = next(hop for hop in seen.hops if hop.node == seen.receiver and not hop.outgoing)
        port = arrival.seen.destinationPort
        listened = any(each.port == port and each.address in (None, seen.destinationSeenAs) for each in waiting)
    return Trial(seen, decided, counted, port, waiting, listened)
