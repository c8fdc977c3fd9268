"""Which security rules a packet may meet on its way, and where in the space of ports their answers change.

The way of a packet does not depend on its ports, only what the NSGs on it say does. So a walk on which every NSG allows
finds all that a flow between two addresses can meet; the ports at which one of them decides by another rule are the
boundaries, and between two boundaries all ports are one class. Where something chooses between several ways, those of
all ways are. Frontends of load balancers are another matter: there the rule, and with it the way, depends on the port.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise

from msgspec import Struct, structs

from netemu.azure import resources as arm
from netemu.azure.choosing import Choosing, every_way
from netemu.azure.edge import Translations
from netemu.azure.flow import TCP, UDP, Packet
from netemu.azure.placement import Guest, Placement, Port
from netemu.azure.prefixes import EVERY_PORT, PORTS, IntervalSet
from netemu.azure.security import Classifier, EffectiveRule
from netemu.azure.steps import End
from netemu.azure.walk import Memory, Walk

Decisions = tuple[EffectiveRule | None, ...]
"""What each NSG on the way says, up to the first that denies; None when it has no rule for the packet (PLT-4).

Of several ways, one after the other.
"""


class Asked(Struct, frozen=True, eq=False):
    """An NSG that is asked, and the rules of it that the addresses and the protocol leave."""

    classifier: Classifier
    mask: int
    answering: bool
    """It is asked about the packet that answers, whose ports are the other way round."""
    ports: bool
    way: int = 0
    """Which of the ways it is on."""

    def decide(self, source_port: int, destination_port: int) -> EffectiveRule | None:
        """The first rule that matches a packet with these ports, if it has any."""
        if not self.ports:
            return self.classifier.first(self.mask)
        if self.answering:
            source_port, destination_port = destination_port, source_port
        return self.classifier.among(self.mask, source_port, destination_port)


class Survey(Walk):
    """A walk on which every NSG allows, and is noted."""

    def __init__(self, placement: Placement, memory: Memory, *, replying: bool, asked: list[Asked]) -> None:
        super().__init__(placement, memory, replying=replying)
        self.asked = asked

    def _pass_gates(self, port: Port, packet: Packet, direction: arm.Direction) -> End | None:
        key = (port.name, packet if direction == "Outbound" else packet.reversed())
        if self.replying and key in self.memory.records:
            return None
        for gate in port.outbound if direction == "Outbound" else port.inbound:
            mask = gate.classifier.candidates(packet)
            self.asked.append(Asked(gate.classifier, mask, self.replying, packet.has_ports))
        self.memory.records.add(key)
        return None

    def _taken_by_platform(self, port: Port, packet: Packet) -> End:
        for gate in port.outbound:
            mask = gate.platform.candidates(packet)
            self.asked.append(Asked(gate.platform, mask, self.replying, packet.has_ports))
        return self._end("Allow", "platform", packet, port.name, why="", receiver="platform")


def survey(placement: Placement, sender: Port | str, packet: Packet) -> list[Asked]:
    """Every NSG that the packet and its answer may be asked by, way by way; the sender is a NIC, or a host by name."""
    ways = every_way(lambda choosing: _survey(placement, sender, packet, choosing))
    if len(ways) == 1:
        return ways[0]
    return [structs.replace(asked, way=number) for number, way in enumerate(ways) for asked in way]


def _survey(placement: Placement, sender: Port | str, packet: Packet, choosing: Choosing) -> list[Asked]:
    asked: list[Asked] = []
    memory = Memory(set(), Translations(), choosing)
    walk = Survey(placement, memory, replying=False, asked=asked)
    if isinstance(sender, Port):
        end = walk.from_guest(placement.guests[sender.machine], packet, sender)
    else:
        end = walk.from_host(sender, packet)
    if end.access == "Allow" and end.stage == "delivered" and end.receiver is not None:
        back = Survey(placement, memory, replying=True, asked=asked)
        guest: Guest | None = placement.guests.get(end.receiver) if end.direction is not None else None
        if guest is None:
            back.from_host(end.receiver, end.packet.reversed())
        else:
            back.from_guest(guest, end.packet.reversed())
    return asked


class Class(Struct, frozen=True):
    """Ports that every NSG on the way answers alike, and a representative next to a boundary."""

    sourcePorts: tuple[int, int]
    """First source port, and first one after: any of them will do."""
    destinationPort: int
    decisions: Decisions

    @property
    def allowed(self) -> bool:
        """Do the NSGs let it pass?"""
        return _passes(self.decisions)


class Classes(Struct, frozen=True):
    """All classes of the flows between two addresses with one protocol."""

    members: tuple[Class, ...]
    allowed: IntervalSet
    """Destination ports that the NSGs let pass from a fresh source port; everything or nothing without ports."""


class Classifying:
    """Divides ports into classes; equal questions are answered once."""

    FRESH = (20000, 60000)
    """Where programs' own source ports are; the class that most of them are in is the one that is asked."""

    def __init__(self) -> None:
        self._known: dict[tuple[tuple[int, int, bool, int], ...], Classes] = {}
        self._kept: list[list[Asked]] = []

    def classes(self, asked: list[Asked], protocol: int) -> Classes:
        """The classes that some NSGs divide the ports into."""
        key = tuple((id(each.classifier), each.mask, each.answering, each.way) for each in asked)
        with_ports = protocol in (TCP, UDP)
        if not with_ports:
            only = Class(self.FRESH, 0, _decisions(asked, 0, 0))
            return Classes((only,), EVERY_PORT if only.allowed else IntervalSet())
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._divide(asked)
            self._kept.append(asked)  # keeps the ids of its classifiers taken
        return found

    def _divide(self, asked: list[Asked]) -> Classes:
        sources, destinations = {0}, {0}
        for each in asked:
            near, far = each.classifier.port_bounds(each.mask)
            if each.answering:
                near, far = far, near
            sources |= near
            destinations |= far
        cells = sorted(sources - {PORTS})
        columns = sorted(destinations - {PORTS})
        fresh = max(zip(cells, [*cells[1:], PORTS], strict=True), key=lambda cell: _overlap(cell, self.FRESH))
        fresh = max(fresh[0], self.FRESH[0]), min(fresh[1], self.FRESH[1])
        ends = [*columns[1:], PORTS]
        allowed = EVERY_PORT
        members: dict[tuple[int, int], Class] = {}
        for start, end in zip(cells, [*cells[1:], PORTS], strict=True):
            usual = bisect_right(cells, start) == bisect_right(cells, fresh[0])
            decided = [_decisions(asked, fresh[0] if usual else start, column) for column in columns]
            if usual:
                allowed = IntervalSet.of(
                    (first, end) for first, end, said in zip(columns, ends, decided, strict=True) if _passes(said)
                )
            chosen: set[int] = set()
            for (left, right), boundary in zip(pairwise(decided), columns[1:], strict=True):
                if left != right:
                    chosen |= {boundary - 1, boundary}
            for port in chosen or {PORTS // 2}:  # neither end of all ports, and nothing that systems listen at
                place = bisect_right(columns, port) - 1
                members[start, port] = Class(fresh if usual else (start, end), port, decided[place])
        for boundary in cells[1:]:
            # The last port before a boundary, for one destination port of every class beyond it.
            before, after = boundary - 1, boundary
            seen: set[tuple[Decisions, Decisions]] = set()
            for column in columns:
                pair = _decisions(asked, before, column), _decisions(asked, after, column)
                if pair[0] != pair[1] and pair not in seen:
                    seen.add(pair)
                    for source, decisions in zip((before, after), pair, strict=True):
                        members[source, column] = Class((source, source + 1), column, decisions)
        return Classes(tuple(members.values()), allowed)


def _overlap(cell: tuple[int, int], wish: tuple[int, int]) -> int:
    return min(cell[1], wish[1]) - max(cell[0], wish[0])


def _passes(decisions: Decisions) -> bool:
    return all(rule is None or rule.access == "Allow" for rule in decisions)


def _decisions(asked: list[Asked], source_port: int, destination_port: int) -> Decisions:
    found: list[EffectiveRule | None] = []
    denied: int | None = None
    for each in asked:
        if each.way == denied:
            continue
        rule = each.decide(source_port, destination_port)
        found.append(rule)
        if rule is not None and rule.access == "Deny":
            denied = each.way
    return tuple(found)
