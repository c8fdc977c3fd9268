"""The effective routes of a NIC by the kernel: asked on both sides of every boundary that either knows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address

from msgspec import Struct

from netemu.azure.blocked import MULTICAST, PLATFORM_ADDRESSES
from netemu.azure.flow import TCP, Packet
from netemu.azure.placement import Placement, Port
from netemu.azure.prefixes import ADDRESSES
from netemu.azure.routing import EffectiveRoute
from netemu.linux.observe import table_routes
from netemu.linux.route_lookup import Entry
from netemu.linux.ruleset_follow import Follower
from netemu.verify.readback.gates import state_of
from netemu.verify.readback.hop import Hop, by_kernel, by_model, entry_text
from netemu.verify.readback.plane import FABRIC, Plane

ON_NO_WIRE = ((-1, 1 << 24), (127 << 24, 128 << 24), (MULTICAST, ADDRESSES + 1))
"""0.0.0.0/8, 127.0.0.0/8 and multicast are never routed (RFC 1122, 3.2.1.3)."""


class RouteRow(Struct, frozen=True):
    """A route of the model, and what the kernel does with the addresses that it decides about."""

    route: EffectiveRoute
    kernel: str
    """Empty for an Invalid one, and for one that decides about no address."""
    difference: str | None


class FabricRoutes:
    """How the fabric routes what one NIC sends."""

    def __init__(self, plane: Plane, port: Port) -> None:
        self._plane, self._source = plane, int(port.nic.address)
        link, near = plane.port(port.nic), plane.links(port.machine).get(f"eth{port.nic.index}")
        assert link is not None, "only NICs with a link are asked about"
        assert near is not None, "a link has two ends"
        state = state_of(Packet(self._source, self._source, TCP))
        state.in_interface, state.in_index, state.mac = link.name, link.index, near.mac.hex(":")
        Follower(plane.view(FABRIC)).hook("prerouting", state)
        self._mark, self._index = state.mark, link.index

    def find(self, destination: int) -> tuple[Hop, Entry | None]:
        """Where a packet to an address goes; the mark is the one that the fabric's ruleset gives the NIC's packets."""
        lookup = self._plane.lookup(FABRIC)
        entry = lookup.entry(destination, source=self._source, mark=self._mark, interface=self._index)
        return by_kernel(self._plane, entry, destination), entry


def compare(plane: Plane, placement: Placement, port: Port) -> tuple[list[RouteRow], list[str]]:
    """Every route of the model with the kernel's answer, and every disagreement in words."""
    fabric = FabricRoutes(plane, port)
    seen: dict[EffectiveRoute, dict[Hop, Entry | None]] = {route: {} for route in port.routes.routes}
    differences: dict[EffectiveRoute, str] = {}
    asked: set[int] = set()
    tables: set[int] = set()

    def ask(addresses: Iterable[int]) -> None:
        for address in sorted(set(addresses) - asked):
            asked.add(address)
            if any(first <= address < end for first, end in ON_NO_WIRE):
                continue
            route = port.routes.find(address)
            wanted = by_model(placement, port, address, route)
            found, entry = fabric.find(address)
            if entry is not None:
                tables.add(entry.table)
            if address not in PLATFORM_ADDRESSES:
                seen[route].setdefault(found, entry)
            if found != wanted:
                text = f"{IPv4Address(address)}: by Azure's rules {wanted} ({route}), by the kernel {found}"
                differences.setdefault(route, f"{text} ({entry_text(entry)})")

    ask(_model_boundaries(placement, port))
    known: set[int] = set()
    while tables - known:  # what is found there may lead to other tables
        new = tables - known
        known |= new
        ask(address for table in new for address in _kernel_boundaries(plane, table))
    rows = [RouteRow(route, _summary(seen[route]), differences.get(route)) for route in port.routes.routes]
    return rows, list(differences.values())


def compare_one(plane: Plane, placement: Placement, port: Port, destination: int) -> tuple[str, str | None]:
    """The kernel's next hop for one address, and how it differs from the model's."""
    found, entry = FabricRoutes(plane, port).find(destination)
    text = f"{found} ({entry_text(entry)})"
    wanted = by_model(placement, port, destination, port.routes.find(destination))
    return text, None if found == wanted else f"by Azure's rules {wanted}, by the kernel {text}"


def _model_boundaries(placement: Placement, port: Port) -> Iterator[int]:
    for start in port.routes.starts:
        yield from (start - 1, start)
    yield ADDRESSES - 1
    for network in (port.virtualNetwork, *placement.peerings[port.virtualNetwork]):
        yield from placement.owners[network]
    yield from (int(frontend.address) for frontend in placement.network.frontends())
    yield from PLATFORM_ADDRESSES


def _kernel_boundaries(plane: Plane, table: int) -> Iterator[int]:
    for route in table_routes(plane.netlink(FABRIC), table):
        end = route.destination + (1 << 32 - route.prefix_length)
        yield from (route.destination - 1, route.destination, end - 1, end)


def _summary(hops: dict[Hop, Entry | None]) -> str:
    """What the kernel does with the addresses that a route decides about, in few words."""
    nics = [hop for hop in hops if hop.kind == "NIC" and hop.gateway is None]
    texts = [entry_text(entry) for hop, entry in hops.items() if hop.kind not in ("NIC", "nobody", "load balancer")]
    texts += [entry_text(entry) for hop, entry in hops.items() if hop.gateway is not None]
    if nics:
        texts.append(f"{len(nics)} NIC{'' if len(nics) == 1 else 's'}")
    texts += ["load balancers" for hop in hops if hop.kind == "load balancer"]
    if any(hop.kind == "nobody" for hop in hops):
        texts.append("else nobody" if texts else "nobody has them")
    return ", ".join(texts)
