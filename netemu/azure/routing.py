"""Effective routes of a subnet, and which of them decides for a destination (RT-1…RT-14, RT-20, PEER-7).

Every subnet has a table: system routes (source Default) and those of its route table (source User). The longest
prefix wins; at the same length User beats Default, and the loser stays in the list as Invalid (RT-9, RT-20).
"""

from __future__ import annotations

from bisect import bisect_right
from ipaddress import IPv4Address, IPv4Network
from typing import Literal

from msgspec import Struct, structs

from netemu.azure.network import RESERVED_RANGES, Network, Subnet

EffectiveNextHopType = Literal[
    "VirtualNetworkGateway", "VnetLocal", "Internet", "VirtualAppliance", "None", "VNetPeering"
]

DEFAULT_ROUTE = IPv4Network("0.0.0.0/0")


class EffectiveRoute(Struct, frozen=True):
    """A line of the effective route table (RT-26)."""

    source: Literal["Default", "User"]
    state: Literal["Active", "Invalid"]
    addressPrefix: IPv4Network
    nextHopType: EffectiveNextHopType
    nextHopIpAddress: IPv4Address | None = None
    name: str | None = None
    """Name of the user-defined route."""
    remoteVirtualNetwork: str | None = None
    """Where a route of type VNetPeering leads."""

    def __str__(self) -> str:
        hop = f" {self.nextHopIpAddress}" if self.nextHopIpAddress is not None else ""
        who = f"{self.source} route {self.name}" if self.name else f"{self.source} route"
        return f"{who} {self.addressPrefix} -> {self.nextHopType}{hop}"


class LosingRoute(Struct, frozen=True):
    """A route that covers the destination too, and why it does not decide."""

    route: EffectiveRoute
    why: str


class NextHop(Struct, frozen=True):
    """The answer to "where does a packet to this address go?"."""

    route: EffectiveRoute
    losers: tuple[LosingRoute, ...]
    routeTable: str | None
    """The user's route table when its route decides; None is Azure's `System Route` (NW-4)."""


class RouteLookup:
    """A table in a form that answers fast: address space cut where the deciding route changes."""

    __slots__ = ("routes", "starts", "winners")

    def __init__(self, routes: tuple[EffectiveRoute, ...]) -> None:
        self.routes = routes
        self.starts: list[int] = []
        self.winners: list[EffectiveRoute] = []
        active = sorted(
            (route for route in routes if route.state == "Active"),
            key=lambda route: (int(route.addressPrefix.network_address), route.addressPrefix.prefixlen),
        )
        # Prefixes nest or are disjoint, so those open at one place form a stack whose top is the longest.
        stack: list[EffectiveRoute] = []
        for route in active:
            first = int(route.addressPrefix.network_address)
            self._close(stack, first)
            stack.append(route)
            self._cut(first, route)
        self._close(stack, 1 << 32)

    def _close(self, stack: list[EffectiveRoute], place: int) -> None:
        while stack and _end(stack[-1]) <= place:
            end = _end(stack.pop())
            if stack:
                self._cut(end, stack[-1])

    def _cut(self, place: int, winner: EffectiveRoute) -> None:
        if self.starts and self.starts[-1] == place:
            self.winners[-1] = winner
        else:
            self.starts.append(place)
            self.winners.append(winner)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RouteLookup) and self.routes == other.routes

    def __hash__(self) -> int:
        return hash(self.routes)

    def find(self, destination: int) -> EffectiveRoute:
        """The route that decides. There always is one: 0.0.0.0/0 is never absent (RT-2)."""
        return self.winners[bisect_right(self.starts, destination) - 1]

    def losers(self, destination: int) -> tuple[LosingRoute, ...]:
        """The other routes that cover the destination, and why each of them does not decide."""
        winner, address = self.find(destination), IPv4Address(destination)
        return tuple(
            LosingRoute(route, _why_it_lost(route, winner))
            for route in self.routes
            if address in route.addressPrefix and route is not winner
        )


def _end(route: EffectiveRoute) -> int:
    return int(route.addressPrefix.network_address) + route.addressPrefix.num_addresses


def effective_routes(network: Network, subnet: Subnet) -> tuple[EffectiveRoute, ...]:
    """All routes of the subnet, valid or not, sorted by prefix, the active one first."""
    user = _user_routes(network, subnet)
    overridden = {route.addressPrefix for route in user}
    system = [
        structs.replace(route, state="Invalid") if route.addressPrefix in overridden else route
        for route in _system_routes(network, subnet)
    ]
    return tuple(
        sorted(
            (*user, *system),
            key=lambda route: (
                int(route.addressPrefix.network_address),
                route.addressPrefix.prefixlen,
                route.state == "Invalid",
            ),
        )
    )


def _user_routes(network: Network, subnet: Subnet) -> list[EffectiveRoute]:
    if subnet.routeTable is None:
        return []
    return [
        EffectiveRoute(
            source="User",
            state="Active",
            addressPrefix=IPv4Network(route.addressPrefix),
            nextHopType=route.nextHopType,
            nextHopIpAddress=IPv4Address(route.nextHopIpAddress) if route.nextHopIpAddress is not None else None,
            name=name,
        )
        for name, route in network.scenario.routeTables[subnet.routeTable].routes.items()
    ]


def _system_routes(network: Network, subnet: Subnet) -> list[EffectiveRoute]:
    """RT-2, RT-3, RT-5, PEER-7."""
    home = network.virtualNetworks[subnet.virtualNetwork]
    routes = [_system(prefix, "VnetLocal") for prefix in home.addressSpace]
    for peering in home.peerings:
        if peering.carries_traffic:
            routes += [
                _system(prefix, "VNetPeering", peering.remote)
                for prefix in network.virtualNetworks[peering.remote].addressSpace
            ]
    # RT-3 speaks of the network's own prefixes. The same is done for those of its peers: a None route for a range
    # inside a peer's prefix would be longer than the peering's route and cut that part off.
    known = [route.addressPrefix for route in routes]
    routes += [
        _system(reserved, "None")
        for reserved in RESERVED_RANGES
        if not any(reserved.subnet_of(prefix) for prefix in known)
    ]
    routes.append(_system(DEFAULT_ROUTE, "Internet"))
    return routes


def _system(prefix: IPv4Network, kind: EffectiveNextHopType, remote: str | None = None) -> EffectiveRoute:
    return EffectiveRoute(
        source="Default", state="Active", addressPrefix=prefix, nextHopType=kind, remoteVirtualNetwork=remote
    )


def next_hop(network: Network, subnet: Subnet, destination: IPv4Address) -> NextHop:
    """Which route decides for a packet that leaves this subnet, and which others would have covered it.

    Platform addresses ignore routes (RT-24); that is decided before anyone asks this function.
    """
    table = RouteLookup(effective_routes(network, subnet))
    winner = table.find(int(destination))
    return NextHop(winner, table.losers(int(destination)), subnet.routeTable if winner.source == "User" else None)


def _why_it_lost(loser: EffectiveRoute, winner: EffectiveRoute) -> str:
    if loser.state == "Invalid":
        return f"a user-defined route has the same prefix {loser.addressPrefix}"
    return f"{winner.addressPrefix} is a longer prefix than {loser.addressPrefix}"
