"""What joins the parts of a network: peerings, seen as pairs, and user-defined routes that lead to an appliance."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address

from msgspec import Struct

from netemu.azure.network import IPConfig, Network, Nic, Subnet
from netemu.azure.resources import Route


class PeeringPair(Struct, frozen=True):
    """Two virtual networks of which at least one has a peering with the other."""

    first: str
    second: str
    carries_traffic: bool
    label: str
    """`Connected`, `Initiated`, or what keeps traffic from passing."""


class ApplianceRoute(Struct, frozen=True):
    """All routes of one subnet that lead to one appliance."""

    subnet: Subnet
    nic: Nic
    prefixes: tuple[str, ...]


class InstancePublicIP(Struct, frozen=True):
    """A public IP, and the NIC and IP configuration that have it."""

    nic: Nic
    config: IPConfig


def peering_pairs(network: Network) -> list[PeeringPair]:
    """Each pair of peered virtual networks once, in the order of the scenario."""
    pairs: dict[frozenset[str], PeeringPair] = {}
    for owner in network.virtualNetworks.values():
        for peering in owner.peerings:
            key = frozenset((owner.name, peering.remote))
            if key in pairs:
                continue
            label = peering.peeringState
            if label == "Connected" and not peering.carries_traffic:
                label = "no access"
            pairs[key] = PeeringPair(owner.name, peering.remote, peering.carries_traffic, label)
    return list(pairs.values())


def routes_of(network: Network, subnet: Subnet) -> dict[str, Route]:
    """The user-defined routes of a subnet, by name."""
    if subnet.routeTable is None:
        return {}
    return network.scenario.routeTables[subnet.routeTable].routes


def appliance_routes(network: Network) -> list[ApplianceRoute]:
    """Routes to appliances that exist; a route to an address that nobody has leads nowhere (RT-12)."""
    found: dict[tuple[str, str], ApplianceRoute] = {}
    owners = {(nic.subnet.virtualNetwork, config.address): nic for nic, config in network.addresses()}
    for subnet in network.subnets():
        for route in routes_of(network, subnet).values():
            nic = appliance(network, owners, subnet, route)
            if nic is None:
                continue
            key = (subnet.path, nic.name)
            known = found.get(key)
            prefixes = (*known.prefixes, route.addressPrefix) if known else (route.addressPrefix,)
            found[key] = ApplianceRoute(subnet, nic, prefixes)
    return list(found.values())


def appliance(network: Network, owners: dict[tuple[str, IPv4Address], Nic], subnet: Subnet, route: Route) -> Nic | None:
    """The NIC that a route names: in the subnet's own network, or in a peered one (RT-7, PEER-19)."""
    if route.nextHopType != "VirtualAppliance" or route.nextHopIpAddress is None:
        return None
    address = IPv4Address(route.nextHopIpAddress)
    own = network.virtualNetworks[subnet.virtualNetwork]
    reachable = (own.name, *(peering.remote for peering in own.peerings if peering.carries_traffic))
    return next((owners[name, address] for name in reachable if (name, address) in owners), None)


def public_ips_in_use(network: Network) -> Iterator[InstancePublicIP]:
    """Every public IP that a NIC has."""
    for nic, config in network.addresses():
        if config.publicIP is not None:
            yield InstancePublicIP(nic, config)


def route_target(network: Network, subnet: Subnet, route: Route) -> str:
    """Where a route leads, in a word: the appliance's name when there is one."""
    if route.nextHopType != "VirtualAppliance":
        return route.nextHopType
    owners = {(nic.subnet.virtualNetwork, config.address): nic for nic, config in network.addresses()}
    nic = appliance(network, owners, subnet, route)
    return nic.machine if nic else str(route.nextHopIpAddress)
