"""Effective routes of a NIC and the next hop of a destination, as Azure answers (RT-26, NW-4)."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

from netemu.azure.network import Nic
from netemu.azure.routing import EffectiveRoute
from netemu.azure.verdict import Engine
from netemu.watcher.ids import Ids

SYSTEM_ROUTE = "System Route"
"""What the route table is called when no route of the user's decides."""

_ORDER = ("VnetLocal", "VNetPeering", "Internet", "None")
"""Azure lists system routes by their next hop, and the user's own after them."""


def effective_route_table(engine: Engine, nic: Nic) -> dict[str, Any]:
    """The answer to effectiveRouteTable: every route of the NIC's subnet, Invalid ones too."""
    return {"value": [route_data(engine, nic, route) for route in in_azures_order(engine.effective_routes(nic.subnet))]}


def in_azures_order(routes: tuple[EffectiveRoute, ...]) -> list[EffectiveRoute]:
    """System routes first, the network's own prefixes before all."""
    return sorted(routes, key=lambda route: (route.source == "User", route.source == "Default" and _place(route)))


def _place(route: EffectiveRoute) -> int:
    return _ORDER.index(route.nextHopType)


def route_data(engine: Engine, nic: Nic, route: EffectiveRoute) -> dict[str, Any]:
    """One effective route."""
    table = nic.subnet.routeTable
    disabled = table is not None and engine.network.scenario.routeTables[table].disableBgpRoutePropagation
    name = {"name": route.name} if route.name is not None else {}
    return {
        **name,
        "disableBgpRoutePropagation": disabled,
        "source": route.source,
        "state": route.state,
        "hasBgpOverride": False,
        "addressPrefix": [str(route.addressPrefix)],
        "nextHopType": route.nextHopType,
        "nextHopIpAddress": [str(route.nextHopIpAddress)] if route.nextHopIpAddress is not None else [],
        "destinationServiceTags": [],
        "tagMap": {},
    }


def next_hop(engine: Engine, nic: Nic, destination: IPv4Address) -> dict[str, Any]:
    """The answer to nextHop. It is about routes only, also for addresses that ignore them (RT-24)."""
    found = engine.next_hop(nic.subnet, destination)
    hop = found.route.nextHopIpAddress
    table = found.routeTable
    return {
        "nextHopType": found.route.nextHopType,
        **({"nextHopIpAddress": str(hop)} if hop is not None else {}),
        "routeTableId": Ids(engine.network.name).route_table(table) if table is not None else SYSTEM_ROUTE,
    }
