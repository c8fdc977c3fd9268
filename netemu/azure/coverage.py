"""Sets of packets that security rules match, and whether some rules leave nothing of another one. Exact, and pure.

A rule matches a product: protocols × sources × destinations × source ports × destination ports. What is left of such
a product when others are taken away is found by splitting it where they end, property by property, until a part meets
none of them (a packet of it is a witness) or nothing is left.
Sources: Azure rules NSG-4, NSG-10, NSG-12.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import product

from msgspec import Struct, structs

from netemu.azure.flow import EPHEMERAL_PORT, PROTOCOLS, TCP, UDP, Packet
from netemu.azure.prefixes import EVERY_ADDRESS, EVERY_PORT, IntervalSet
from netemu.azure.security import EffectiveRule

WITH_PORTS = IntervalSet.of(((TCP, TCP + 1), (UDP, UDP + 1)))
WITHOUT_PORTS = IntervalSet((0, 256)) - WITH_PORTS
NO_PORT = IntervalSet((0, 1))
"""The port of packets that have none, so that a region is a set of packets and nothing else."""

MOST_SPLITS = 100_000
"""So many times a region is split before the question is given up: rules that people write need a few hundred."""

PROPERTIES = ("protocols", "sources", "destinations", "sourcePorts", "destinationPorts")


class Region(Struct, frozen=True):
    """Every packet whose properties are all in these sets."""

    protocols: IntervalSet
    sources: IntervalSet
    destinations: IntervalSet
    sourcePorts: IntervalSet
    destinationPorts: IntervalSet

    def __bool__(self) -> bool:
        return all(getattr(self, name) for name in PROPERTIES)

    def __contains__(self, packet: object) -> bool:
        return isinstance(packet, Packet) and (
            packet.protocol in self.protocols
            and packet.source in self.sources
            and packet.destination in self.destinations
            and packet.sourcePort in self.sourcePorts
            and packet.destinationPort in self.destinationPorts
        )


class Undecided(Exception):
    """The regions are so entangled that the search was given up."""


def everything(
    *, sources: IntervalSet = EVERY_ADDRESS, destinations: IntervalSet = EVERY_ADDRESS
) -> tuple[Region, Region]:
    """Every packet between some addresses."""
    return (
        Region(WITH_PORTS, sources, destinations, EVERY_PORT, EVERY_PORT),
        Region(WITHOUT_PORTS, sources, destinations, NO_PORT, NO_PORT),
    )


def regions_of(rule: EffectiveRule) -> tuple[Region, ...]:
    """The packets that a rule matches: at most one region with ports and one without."""
    protocols = IntervalSet((0, 256)) if rule.protocol == "*" else _one(PROTOCOLS[rule.protocol])
    found = [Region(protocols & WITH_PORTS, rule.sources, rule.destinations, rule.sourcePorts, rule.destinationPorts)]
    if rule.applies_without_ports():
        found.append(Region(protocols & WITHOUT_PORTS, rule.sources, rule.destinations, NO_PORT, NO_PORT))
    return tuple(region for region in found if region)


def meet(left: Iterable[Region], right: Sequence[Region]) -> tuple[Region, ...]:
    """The packets that are in both."""
    return tuple(common for one in left for other in right if (common := _common(one, other)) is not None)


def have_common(left: Iterable[Region], right: Sequence[Region]) -> bool:
    """Is any packet in both?"""
    return any(_beyond(one, other) is not None for one in left for other in right)


def _common(one: Region, other: Region) -> Region | None:
    parts = []
    for name in PROPERTIES:
        mine, theirs = getattr(one, name), getattr(other, name)
        relation = _relation(mine, theirs)
        if relation is None:
            return None
        parts.append(mine if relation else mine & theirs)
    return Region(*parts)


def uncovered(regions: Iterable[Region], covers: Sequence[Region]) -> Region | None:
    """Part of the regions that is in none of the covers; None when they leave nothing. Raises Undecided."""
    splits = 0
    open_parts = [(region, covers) for region in regions]
    while open_parts:
        region, near = open_parts.pop()
        cut = _cut(region, near)
        if cut is None:
            continue
        region, chosen, near = cut
        if chosen is None:
            return region
        splits += 1
        if splits > MOST_SPLITS:
            raise Undecided
        parts = []
        for name in _beyond(region, chosen) or ():
            mine, theirs = getattr(region, name), getattr(chosen, name)
            parts.append((structs.replace(region, **{name: mine - theirs}), near))
            region = structs.replace(region, **{name: mine & theirs})
        open_parts += reversed(parts)  # the first is the largest, and the likeliest to be in no cover
    return None


def _cut(region: Region, covers: Sequence[Region]) -> tuple[Region, Region | None, list[Region]] | None:
    """What is left when all covers are taken away that leave one piece: the cover to split it by next, and the others.

    None when nothing is left; no cover when none of them has a packet of it.
    """
    while True:
        single: dict[str, list[IntervalSet]] = {}
        near: list[Region] = []
        best, fewest = -1, len(PROPERTIES) + 1
        for cover in covers:
            beyond = _beyond(region, cover)
            if beyond is None:
                continue
            if not beyond:
                return None
            if len(beyond) == 1:
                single.setdefault(beyond[0], []).append(getattr(cover, beyond[0]))
                continue
            if len(beyond) < fewest:
                best, fewest = len(near), len(beyond)
            near.append(cover)
        if not single:
            return region, near.pop(best) if near else None, near
        for name, members in single.items():
            taken = IntervalSet.of(interval for each in members for interval in each.intervals())
            region = structs.replace(region, **{name: getattr(region, name) - taken})
        if not region:
            return None
        covers = near


def _beyond(region: Region, cover: Region) -> list[str] | None:
    """Properties in which the region has values that the cover has not; None when they have no packet in common."""
    beyond = []
    for name in PROPERTIES:
        relation = _relation(getattr(region, name), getattr(cover, name))
        if relation is None:
            return None
        if not relation:
            beyond.append(name)
    return beyond


def _relation(mine: IntervalSet, theirs: IntervalSet) -> bool | None:
    """Whether one set is in another; None when they have nothing in common."""
    if len(theirs.bounds) == 2:  # mostly, and much faster
        start, end = theirs.bounds
        first, last = mine.bounds[0], mine.bounds[-1]
        if start <= first and last <= end:
            return True
        if last <= start or end <= first:
            return None
        if len(mine.bounds) == 2:
            return False
    common = mine & theirs
    return common == mine if common else None


def packet_in(region: Region, liked: Iterable[int] = ()) -> Packet:
    """A packet of a region that is not empty, with usual values where they are possible; `liked` are addresses."""
    addresses = tuple(liked)
    return Packet(
        source=_member(region.sources, addresses),
        destination=_member(region.destinations, addresses),
        protocol=_member(region.protocols, (TCP, UDP, PROTOCOLS["Icmp"])),
        sourcePort=_member(region.sourcePorts, (EPHEMERAL_PORT,)),
        destinationPort=_member(region.destinationPorts, (80, 443, 22)),
    )


def packets_in(region: Region) -> Iterator[Packet]:
    """Some packets at the region's corners: first and last value of every property."""
    ends = [sorted({getattr(region, name).bounds[0], getattr(region, name).bounds[-1] - 1}) for name in PROPERTIES]
    for protocol, source, destination, source_port, destination_port in product(*ends):
        yield Packet(source, destination, protocol, source_port, destination_port)


def _member(members: IntervalSet, liked: Iterable[int]) -> int:
    return next((number for number in liked if number in members), members.bounds[0])


def _one(number: int) -> IntervalSet:
    return IntervalSet((number, number + 1))
