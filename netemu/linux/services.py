"""IPVS services of a namespace, led from what they are to what they should be.

A destination that is no longer wanted keeps its connections (LB-5): it stays, with weight 0, until it has none. To be
out of the scheduler's table it is taken away and put back at once. In between its packets must not make its connections
go elsewhere, as those of a destination that is really gone.
"""

from __future__ import annotations

import contextlib
import errno
import socket
from collections.abc import Iterator

from netemu.linux import ipvs
from netemu.linux import namespaces as ns
from netemu.linux.balancing import idle, present
from netemu.linux.difference import Change
from netemu.linux.ipvs import IPVS, Command, Found
from netemu.linux.state import Balancing, Destination, Down, VirtualService

EXPIRY = "ipv4/vs/expire_nodest_conn"
MISSING = (errno.ENOENT, errno.ESRCH)


def service_changes(name: str, balancing: Balancing | None, down: Down, found: list[Found]) -> Iterator[Change]:
    """What differs, service by service."""
    there = {_key(each.service): each for each in found}
    for key, (service, destinations) in _every(balancing, down).items():
        present_now = there.pop(key, None)
        if present_now is None:
            yield Change(name, "+", service)
        elif _differs(service, destinations, present_now):
            yield Change(name, "~", service, present_now.service)
    for each in there.values():
        yield Change(name, "-", each.service)


def lead(balancing: Balancing | None, down: Down) -> None:
    """Make the services of the calling thread's namespace what they should be."""
    with IPVS() as kernel:
        if balancing is not None and balancing.timeouts is not None:
            kernel.carry_out([ipvs.set_timeouts(balancing.timeouts)])
        there = {_key(each.service): each for each in kernel.services()}
        for key, (service, destinations) in _every(balancing, down).items():
            found = there.pop(key, None)
            if found is None:
                kernel.carry_out([ipvs.add_service(service), *_additions(service, destinations)])
            else:
                _change(kernel, service, destinations, found)
        kernel.carry_out((ipvs.remove_service(each.service) for each in there.values()), MISSING)


def _change(kernel: IPVS, service: VirtualService, wanted: dict[Destination, int], found: Found) -> None:
    if (service.scheduler, service.flags) != (found.service.scheduler, found.service.flags):
        kernel.carry_out([ipvs.change_service(service)])
    there = [_place(destination) for destination in found.service.destinations]
    for destination in found.service.destinations:
        if _place(destination) not in {_place(each) for each in wanted}:
            _retire(kernel, service, destination, found)
    fresh = {destination: weight for destination, weight in wanted.items() if _place(destination) not in there}
    others = {destination: weight for destination, weight in wanted.items() if destination not in fresh}
    if _in_order(service, [*fresh, *others], wanted, there):
        kernel.carry_out(
            ipvs.weigh(service, destination, weight)
            for destination, weight in others.items()
            if found.weights[_place(destination)] != weight
        )
        kernel.carry_out(_additions(service, fresh))
        return
    with _connections_stay():
        kernel.carry_out(ipvs.remove_destination(service, destination) for destination in others)
        kernel.carry_out(_additions(service, wanted))


def _in_order(
    service: VirtualService, coming: list[Destination], wanted: dict[Destination, int], there: list[Place]
) -> bool:
    """Will the destinations be in the order that all services of a pool have, so that all choose alike (LB-7)?

    What comes is put before what is there. With UDP, health changes the order all the time.
    """
    if service.protocol != socket.IPPROTO_TCP:
        return True
    staying = [place for place in there if place in {_place(destination) for destination in wanted}]
    behind = [_place(destination) for destination in coming if _place(destination) in staying]
    return coming == list(wanted) and behind == staying


def _retire(kernel: IPVS, service: VirtualService, destination: Destination, found: Found) -> None:
    place = _place(destination)
    busy = found.connections[place]
    if not busy.active and not busy.inactive:
        kernel.carry_out([ipvs.remove_destination(service, destination)], MISSING)
    elif found.weights[place]:
        with _connections_stay():
            again = ipvs.add_destination(service, destination, 0)
            kernel.carry_out([ipvs.remove_destination(service, destination), again])


def _differs(service: VirtualService, wanted: dict[Destination, int], found: Found) -> bool:
    if (service.scheduler, service.flags) != (found.service.scheduler, found.service.flags):
        return True
    weights = {_place(destination): weight for destination, weight in wanted.items()}
    there = [_place(destination) for destination in found.service.destinations]
    for place in there:
        busy = found.connections[place]
        retired = found.weights[place] == 0 and (busy.active or busy.inactive)
        if place not in weights and not retired:
            return True
    if any(found.weights.get(place) != weight for place, weight in weights.items()):
        return True
    return not _in_order(service, list(wanted), wanted, there)


Key = tuple[int, int, int]
"""Protocol, address and port of a service."""


def _every(balancing: Balancing | None, down: Down) -> dict[Key, tuple[VirtualService, dict[Destination, int]]]:
    """The services that should be there, with their destinations and weights."""
    if balancing is None:
        return {}
    groups = {group.name: group for group in balancing.groups}
    return {_key(each): (each, present(each, idle(groups[each.group], down))) for each in balancing.services}


def _additions(service: VirtualService, destinations: dict[Destination, int]) -> Iterator[Command]:
    """The last one that comes is the first in the kernel's list."""
    for destination, weight in reversed(destinations.items()):
        yield ipvs.add_destination(service, destination, weight)


@contextlib.contextmanager
def _connections_stay() -> Iterator[None]:
    """Packets of a destination that is not there for a moment are dropped, and its connections are not."""
    ns.write_sysctl(EXPIRY, "0")
    try:
        yield
    finally:
        ns.write_sysctl(EXPIRY, "1")


Place = tuple[int, int]
"""Address and port of a destination."""


def _place(destination: Destination) -> Place:
    return destination.address, destination.port


def _key(service: VirtualService) -> Key:
    return service.protocol, service.address, service.port
