"""The edge: a packet's way through it, with what conntrack would know of earlier packets of the flow."""

from __future__ import annotations

from msgspec import Struct

from netemu.azure.flow import Packet
from netemu.linux.route_lookup import Entry
from netemu.linux.ruleset_expressions import PacketState
from netemu.linux.ruleset_follow import Follower, Passage
from netemu.verify.readback.plane import EDGE, Plane

DESTINATION_TRANSLATION, SOURCE_TRANSLATION = -100, 100
"""Priorities at which conntrack translates what it knows (NF_IP_PRI_NAT_DST, NF_IP_PRI_NAT_SRC)."""

Known = dict[tuple[int, Packet], Packet]
"""What conntrack would know: zone and answering packet → the answering packet translated back."""


class Crossing(Struct, frozen=True):
    """What came of it: the packet as it leaves, by which interface; or what dropped it."""

    packet: Packet
    entry: Entry | None = None
    dropped: Passage | None = None


class EdgeCrossing:
    """One packet through the edge."""

    def __init__(self, plane: Plane, follower: Follower, known: Known, state: PacketState) -> None:
        self._plane, self._follower, self._known, self._state = plane, follower, known, state
        self._packet = packet_of(state)
        """As it came in."""
        self._back: Packet | None = None
        """As it is to be when it is part of a known connection."""

    def follow(self) -> Crossing:
        """Through all hooks. A connection that it begins is known from then on."""
        state = self._state
        before = self._hook("prerouting", DESTINATION_TRANSLATION)
        if before.dropped:
            return self._stopped(before)
        if before.translated:
            state.status = frozenset({"dnat"})
        lookup = self._plane.lookup(EDGE)
        entry = lookup.entry(state.destination, source=state.source, mark=state.mark, interface=state.in_index)
        if entry is None or entry.interface is None:
            return Crossing(packet_of(state), entry)
        state.out_interface = entry.interface
        forward = self._follower.hook("forward", state)
        if forward.dropped:
            return self._stopped(forward)
        after = self._hook("postrouting", SOURCE_TRANSLATION)
        if after.dropped:
            return self._stopped(after)
        outside = packet_of(state)
        if self._back is None:
            self._known[state.zone, outside.reversed()] = self._packet.reversed()
        return Crossing(outside, entry)

    def _stopped(self, passage: Passage) -> Crossing:
        return Crossing(packet_of(self._state), dropped=passage)

    def _hook(self, name: str, translation: int) -> Passage:
        """Run a hook's chains; what is known is translated between them, where conntrack does it."""
        chains = self._plane.view(EDGE).hook(name)
        passage = self._follower.hook(name, self._state, [each for each in chains if each.priority < translation])
        if passage.dropped:
            return passage
        state = self._state
        if self._back is None:
            self._back = self._known.get((state.zone, self._packet))
        if self._back is not None:
            state.status, state.state = frozenset({"seen-reply", "dnat", "snat"}), "established"
            if translation == DESTINATION_TRANSLATION:
                state.destination = self._back.destination
            else:
                state.source = self._back.source
        return self._follower.hook(name, state, [each for each in chains if each.priority >= translation])


def packet_of(state: PacketState) -> Packet:
    """A packet as Azure's rules know it."""
    return Packet(state.source, state.destination, state.protocol, state.source_port, state.destination_port)
