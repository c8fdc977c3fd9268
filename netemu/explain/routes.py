"""Flows that a route stops: next hop None, a next hop that is not there, networks that are not connected.

Sources: Azure rules RT-2, RT-4, RT-6, RT-12, RT-13, VN-7, PEER-2, PEER-5, PEER-7, PEER-9.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from ipaddress import IPv4Address
from itertools import count

from netemu.azure.edge import PRIVATE
from netemu.azure.flow import dotted
from netemu.azure.network import Nic, Subnet
from netemu.azure.prefixes import IntervalSet
from netemu.azure.routing import EffectiveRoute
from netemu.explain.case import Case
from netemu.explain.edits import GONE, Edit
from netemu.explain.explanation import Obstacle, Remedy


def dropped(case: Case) -> Obstacle:
    """Next hop type None, or a gateway that is not there."""
    step, route = case.route_step, case.last_route
    assert step is not None
    assert route is not None
    subnet = case.sender_of(step).nic.subnet
    if route.source == "Default":
        return _not_connected(case, subnet, route)
    kind = "None (RT-4)" if route.nextHopType == "None" else "VirtualNetworkGateway, and there is none (RT-13)"
    return Obstacle(
        way=case.way,
        stage=case.verdict.stage,
        what=f"is dropped by route `{route.name}` ({route.addressPrefix}) of `{subnet.routeTable}` on subnet"
        f" `{subnet.path}`: next hop {kind}",
        place=case.end.place,
        remedies=tuple(_without(subnet, route)),
        direction="Outbound",
    )


def _without(subnet: Subnet, route: EffectiveRoute) -> Iterator[Remedy]:
    path = ("routeTables", str(subnet.routeTable), "routes", str(route.name))
    yield Remedy(f"without route `{route.name}` it would get through", (Edit(path, GONE),))
    kind = "Internet" if IntervalSet.of_prefixes((route.addressPrefix,)) - PRIVATE else "VnetLocal"
    value = {"addressPrefix": str(route.addressPrefix), "nextHopType": kind}
    yield Remedy(f"next hop {kind} for route `{route.name}` would let it through", (Edit(path, value),))


def nobody(case: Case) -> Obstacle:
    """A route leads to an address that nobody has (RT-12, VN-7)."""
    step, route = case.route_step, case.last_route
    assert step is not None
    assert route is not None
    subnet = case.sender_of(step).nic.subnet
    if route.nextHopType == "VirtualAppliance":
        hop = route.nextHopIpAddress
        assert hop is not None
        return Obstacle(
            way=case.way,
            stage=case.verdict.stage,
            what=f"is dropped: route `{route.name}` ({route.addressPrefix}) of `{subnet.routeTable}` sends it to {hop},"
            f" which nobody in `{subnet.virtualNetwork}` or its peers has (RT-12)",
            place=case.end.place,
            remedies=(*_other_appliance(case, subnet, route), *_without(subnet, route)),
            direction="Outbound",
        )
    network = route.remoteVirtualNetwork or subnet.virtualNetwork
    what = f"is dropped: nobody in `{network}` has {dotted(case.packet.destination)} (VN-7)"
    if route.source == "User":
        what += (
            f", where route `{route.name}` ({route.addressPrefix} -> VnetLocal) of `{subnet.routeTable}` looks for it"
        )
    return Obstacle(
        way=case.way,
        stage=case.verdict.stage,
        what=what,
        place=case.end.place,
        hints=tuple(_neighbours(case, network)),
        remedies=tuple(_without(subnet, route)) if route.source == "User" else (),
        direction="Outbound",
    )


def _other_appliance(case: Case, subnet: Subnet, route: EffectiveRoute) -> Iterator[Remedy]:
    """NICs in reach that forward."""
    near = (subnet.virtualNetwork, *case.engine.placement.peerings[subnet.virtualNetwork])
    path = ("routeTables", str(subnet.routeTable), "routes", str(route.name), "nextHopIpAddress")
    for nic in case.network.nics.values():
        if nic.enableIPForwarding and nic.subnet.virtualNetwork in near:
            text = f"next hop {nic.address}, which is `{nic.machine}`, for route `{route.name}` would let it through"
            yield Remedy(text, (Edit(path, str(nic.address)),))


def _neighbours(case: Case, network: str) -> Iterator[str]:
    """Who is near the address that nobody has."""
    where = IPv4Address(case.packet.destination)
    near = [nic for nic in case.network.nics_of(network) if where in nic.subnet.prefix]
    if near:
        who = ", ".join(f"`{nic.machine}` ({nic.address})" for nic in near[:3])
        yield f"in its subnet `{near[0].subnet.path}` are {who}"
    elsewhere = [nic for nic in case.owners(case.packet.destination) if nic.subnet.virtualNetwork != network]
    for nic in elsewhere[:1]:
        yield f"`{nic.machine}` of `{nic.subnet.virtualNetwork}` has it, another network"


# ---- networks that are not connected ---------------------------------------------------------------------------------


def _not_connected(case: Case, subnet: Subnet, route: EffectiveRoute) -> Obstacle:
    """The system's route None for private ranges (RT-2) is what is left where no network is connected."""
    home = subnet.virtualNetwork
    targets = [nic for nic in case.owners(case.packet.destination) if nic.subnet.virtualNetwork != home]
    destination = dotted(case.packet.destination)
    begin = f"is dropped by the system's route {route.addressPrefix} -> None of subnet `{subnet.path}`"
    why = f"nothing that `{home}` is connected to has {destination} (RT-2)"
    hints: tuple[str, ...] = ()
    remedies: tuple[Remedy, ...] = ()
    if targets:
        why, hints, remedies = _between(case, home, targets[0])
    return Obstacle(
        way=case.way,
        stage=case.verdict.stage,
        what=f"{begin}: {why}",
        place=case.end.place,
        hints=hints,
        remedies=remedies,
        direction="Outbound",
    )


def _between(case: Case, home: str, target: Nic) -> tuple[str, tuple[str, ...], tuple[Remedy, ...]]:
    """Why two networks are not connected, and what would connect them."""
    there = target.subnet.virtualNetwork
    sides = case.scenario.virtualNetworks
    mine = {
        name: each for name, each in sides[home].virtualNetworkPeerings.items() if each.remoteVirtualNetwork == there
    }
    theirs = {name: p for name, p in sides[there].virtualNetworkPeerings.items() if p.remoteVirtualNetwork == home}
    if mine and theirs:
        closed = [
            (owner, name)
            for owner, peerings in ((home, mine), (there, theirs))
            for name, each in peerings.items()
            if not each.allowVirtualNetworkAccess
        ]
        spoken = " and ".join(f"`{name}` of `{owner}`" for owner, name in closed)
        edits = tuple(
            Edit(("virtualNetworks", owner, "virtualNetworkPeerings", name, "allowVirtualNetworkAccess"), value=True)
            for owner, name in closed
        )
        why = f"`{home}` and `{there}` are peered, but allowVirtualNetworkAccess of {spoken} is false (PEER-7)"
        return why, (), (Remedy(f"allowVirtualNetworkAccess: true for {spoken} would connect them", edits),)
    missing = [(owner, other) for owner, other, has in ((home, there, mine), (there, home, theirs)) if not has]
    edits = tuple(
        Edit(
            (
                "virtualNetworks",
                owner,
                "virtualNetworkPeerings",
                _free(f"to-{other}", sides[owner].virtualNetworkPeerings),
            ),
            {"remoteVirtualNetwork": other},
        )
        for owner, other in missing
    )
    if len(missing) == 1:
        owner, other = missing[0]
        (name,) = mine or theirs
        why = (
            f"peering `{name}` of `{other}` is Initiated: `{owner}` has none back to `{other}`, so it carries nothing"
            " (PEER-2)"
        )
        return why, (), (Remedy(f"a peering of `{owner}` with `{other}` would connect them", edits),)
    common = sorted(
        {p.remote for p in case.network.virtualNetworks[home].peerings if p.carries_traffic}
        & {p.remote for p in case.network.virtualNetworks[there].peerings if p.carries_traffic}
    )
    hints: tuple[str, ...] = ()
    why = f"{dotted(case.packet.destination)} is `{target.machine}` in `{there}`, with which `{home}` is not peered"
    if common:
        why += f"; that both are peered with `{common[0]}` does not connect them (PEER-5)"
        hints = (
            f"an appliance in `{common[0]}` could, with routes to it in both networks and allowForwardedTraffic on"
            " their peerings (NVA-11)",
        )
    overlapping = [
        f"{a} and {b}"
        for a in case.network.virtualNetworks[home].addressSpace
        for b in case.network.virtualNetworks[there].addressSpace
        if a.overlaps(b)
    ]
    if overlapping:
        return f"{why}, nor could be: {overlapping[0]} overlap (PEER-9)", hints, ()
    return why, hints, (Remedy(f"peerings of `{home}` and `{there}` with each other would connect them", edits),)


def _free(wish: str, taken: Container[str]) -> str:
    names = (wish if number == 1 else f"{wish}-{number}" for number in count(1))
    return next(name for name in names if name not in taken)


# ---- the way back ----------------------------------------------------------------------------------------------------


def back(case: Case) -> Iterator[Remedy]:
    """Of a reply: routes that would bring it back the way that the packet came (RT-18, RT-21, OUT-22, NVA-3)."""
    step = next((each for each in case.verdict.steps if each.route is not None), None)
    if step is None or step.route is None:
        return
    receiver = case.sender_of(step).nic.subnet
    client = step.packet.destination
    prefix = case.prefix_around(client)
    name = f"{'back' if case.request.via else 'direct'}-to-{str(prefix.network_address).replace('.', '-')}"
    if case.request.via:
        asked = [each.route for each in case.request.steps if each.route is not None]
        hops = [route.nextHopIpAddress for route in asked if route.nextHopType == "VirtualAppliance"]
        for hop in reversed(hops):
            value = {"addressPrefix": str(prefix), "nextHopType": "VirtualAppliance", "nextHopIpAddress": str(hop)}
            text = f"a route {prefix} -> {hop} for subnet `{receiver.path}` would send it back through the appliance"
            yield Remedy(text, _with_route(case, receiver, name, value))
    elif step.route.source == "User":
        kind = "Internet" if client not in PRIVATE else "VnetLocal"
        text = f"a route {prefix} -> {kind} for subnet `{receiver.path}` would send it back directly"
        yield Remedy(text, _with_route(case, receiver, name, {"addressPrefix": str(prefix), "nextHopType": kind}))


def _with_route(case: Case, subnet: Subnet, name: str, value: dict[str, str]) -> tuple[Edit, ...]:
    """A route more in the subnet's table, which may have to be made; in place of the one for the same prefix."""
    if subnet.routeTable is None:
        table = _free(f"{subnet.name}-routes", case.scenario.routeTables)
        return (
            Edit(("routeTables", table, "routes", name), value),
            Edit((*case.subnet_path(subnet), "routeTable"), table),
        )
    routes = case.scenario.routeTables[subnet.routeTable].routes
    same = [key for key, route in routes.items() if route.addressPrefix == value["addressPrefix"]]
    return (Edit(("routeTables", subnet.routeTable, "routes", same[0] if same else _free(name, routes)), value),)
