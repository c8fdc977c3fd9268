"""Questions at the limits of addresses: both sides of every prefix of a rule or a route, and what is not carried.

Such a boundary is the same for all NICs with the same NSGs and routes; the first of them is asked. Addresses that
nobody has are worth asking, too: the rule and the route that decide are counted all the same.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from netemu.azure.blocked import BROADCAST, HOST_RESERVED_PORT, MULTICAST, PLATFORM_ADDRESSES
from netemu.azure.flow import TCP, UDP
from netemu.azure.network import PLATFORM_ADDRESS
from netemu.azure.placement import Port
from netemu.azure.prefixes import ADDRESSES, IntervalSet
from netemu.azure.security import Classifier
from netemu.azure.survey import Class, Classes

if TYPE_CHECKING:
    from netemu.verify.matrix.plan import Place, Planner, Question

PLATFORM = int(PLATFORM_ADDRESS)
UNROUTABLE = ((-1, 1 << 24), (127 << 24, 128 << 24), (MULTICAST, ADDRESSES + 1))
"""0.0.0.0/8 and 127.0.0.0/8 are on no wire (RFC 1122, 3.2.1.3); 224.0.0.0/3 is asked by itself."""
BLOCKED = ("Gre", "IpInIp")


def limits(planner: Planner, source: Place) -> Iterator[Question]:
    """What one sender is asked beyond its pairs."""
    sender = planner.sender(source)
    if not isinstance(sender, Port):
        yield from _from_outside(planner, source)
        return
    yield from _destinations(planner, source, sender)
    if sender.addresses[source.address].primary:
        yield from _blocked(planner, source, sender)
        yield from _platform(planner, source)
        if sender.nic.enableIPForwarding:
            yield from _forwarded(planner, source, sender)


def _destinations(planner: Planner, source: Place, sender: Port) -> Iterator[Question]:
    """Both sides of the prefixes of routes, and of destinations of outbound rules."""
    own = planner.placement.guests[sender.machine]
    mine = {address for port in own.ports for address in port.addresses}
    bounds = [("route", id(sender.routes), sender.routes.starts)]
    bounds += [("rule", id(gate.classifier), gate.classifier.destination_bounds()) for gate in sender.outbound]
    for what, key, starts in bounds:
        for sides in _sides(planner, (what, key), starts):
            ends = [(source.address, address) for address in sides if address not in mine]
            yield from _each(planner, source, ends, f"destination of a {what}")


def _from_outside(planner: Planner, source: Place) -> Iterator[Question]:
    """A host's false source, and public addresses: those of default outbound access (OUT-5), and next to all others."""
    network = planner.network
    mine = {int(config.defaultOutbound) for _, config in network.addresses() if config.defaultOutbound is not None}
    public = {int(ip.address) for ip in network.publicIPs.values()}
    known = mine | public | set(planner.placement.hosts)
    for address in sorted(mine):
        yield from _each(planner, source, [(source.address, address)], "address of default outbound access")
    for address in sorted({near for each in known for near in (each - 1, each + 1)} - known):
        yield from _each(planner, source, [(source.address, address)], "public address of nobody")
    for destination in sorted(planner.placement.public):
        for protocol in BLOCKED:
            yield _plain(planner, source, destination, protocol, 0, "protocol that no public address carries")
    for destination in sorted(planner.placement.public)[:1] or sorted(known - {source.address})[:1]:
        yield _plain(planner, source, destination, "Tcp", 9, "foreign source", address=source.address ^ 1)


def _forwarded(planner: Planner, source: Place, sender: Port) -> Iterator[Question]:
    """A NIC that forwards may send from any address: both sides of the prefixes that rules and networks begin at."""
    mine = {address for port in planner.placement.guests[sender.machine].ports for address in port.addresses}
    for target in planner.placement.ports.values():
        if int(target.nic.address) in mine:
            continue
        gates: tuple[Classifier, ...] = tuple(g.classifier for g in (*sender.outbound, *target.inbound))
        home = planner.placement.spaces[sender.virtualNetwork].bounds
        starts = sorted({*home, *(start for classifier in gates for start in classifier.source_bounds())})
        key = ("source", id(sender.routes), target.virtualNetwork, *map(id, gates))
        destination = int(target.nic.address)
        for sides in _sides(planner, key, starts):
            ends = [(address, destination) for address in sides if address != destination]
            yield from _each(planner, source, ends, "source of a rule")


def _sides(planner: Planner, key: tuple[object, ...], starts: list[int]) -> Iterator[list[int]]:
    """The addresses on both sides of each boundary, if nobody has asked there."""
    if key in planner.seen:
        return
    planner.seen.add(key)
    # What is for a subnet's broadcast address goes to all, and no router passes that on.
    left_out = PLATFORM_ADDRESSES | {port.broadcast for port in planner.placement.ports.values()}
    for start in starts:
        sides = (start - 1, start)
        yield [x for x in sides if x not in left_out and not any(first <= x < end for first, end in UNROUTABLE)]


def _each(planner: Planner, source: Place, ends: list[tuple[int, int]], why: str) -> Iterator[Question]:
    """One flow of each outcome on either side, and the same ports on the other: there they may mean something else."""
    ports: dict[tuple[tuple[int, int], int], None] = {}
    for address, destination in ends:
        for each in planner.outcomes(planner.classes(source, address, destination, TCP)):
            ports[each.sourcePorts, each.destinationPort] = None
    for address, destination in ends:
        for source_ports, port in ports:
            yield _plain(planner, source, destination, "Tcp", port, why, ports=source_ports, address=address)


def _blocked(planner: Planner, source: Place, sender: Port) -> Iterator[Question]:
    """What no NIC may send (ARP-3, ARP-4, NIC-7); and the neighbours of the port that is the host's."""
    ports = planner.placement.ports.values()
    near = (port for port in ports if port.virtualNetwork == sender.virtualNetwork)
    neighbour = next((port for port in near if port.machine != sender.machine), None)
    for address in (MULTICAST + 1, BROADCAST):
        yield _plain(planner, source, address, "Udp", 9, "broadcast or multicast")
    if neighbour is None:
        return
    destination = int(neighbour.nic.address)
    for protocol in BLOCKED:
        yield _plain(planner, source, destination, protocol, 0, "protocol that is not carried")
    for port in (HOST_RESERVED_PORT - 1, HOST_RESERVED_PORT, HOST_RESERVED_PORT + 1):
        yield _plain(planner, source, destination, "Udp", 9, "reserved source port", ports=(port, port + 1))
    for address in (PLATFORM, destination ^ 1):
        if address not in sender.addresses:
            yield _plain(planner, source, destination, "Tcp", 9, "foreign source", address=address)


def _platform(planner: Planner, source: Place) -> Iterator[Question]:
    """DNS, and the ports around every service that a platform tag means (PLT-4)."""
    for protocol, number in (("Tcp", TCP), ("Udp", UDP)):
        classes = planner.classes(source, source.address, PLATFORM, number)
        for each in classes.members:
            yield planner.question(source, PLATFORM, protocol, classes, each, why="platform")


def _plain(
    planner: Planner, source: Place, destination: int, protocol: str, port: int, why: str,
    *, ports: tuple[int, int] = (20000, 60000), address: int | None = None,
) -> Question:  # fmt: skip
    only = Class(ports, port, ())
    return planner.question(source, destination, protocol, NO_CLASSES, only, why=why, address=address)


NO_CLASSES = Classes((), IntervalSet())
