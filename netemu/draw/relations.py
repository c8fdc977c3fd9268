"""What joins the parts of a network: peerings as pairs, user-defined routes to appliances, load balancers and pools."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address

from msgspec import Struct

from netemu.azure.network import IPConfig, LoadBalancer, Member, NatGateway, Network, Nic, Subnet
from netemu.azure.resources import Route


class PeeringPair(Struct, frozen=True):
    """Two virtual networks of which at least one has a peering with the other."""

    first: str
    second: str
    carries_traffic: bool
    label: str
    """`Connected`, `Initiated`, or what keeps traffic from passing."""


class Hop(Struct, frozen=True):
    """The next hop of a route: an appliance's NIC, or an internal load balancer in front of appliances (RT-7)."""

    nic: Nic | None = None
    balancer: LoadBalancer | None = None

    @property
    def key(self) -> str:
        """What its card is called."""
        return balancer_key(self.balancer) if self.balancer is not None else self.nic.name if self.nic else ""

    @property
    def name(self) -> str:
        """In a word: the machine, or the load balancer."""
        return self.balancer.name if self.balancer is not None else self.nic.machine if self.nic else ""

    @property
    def subnet(self) -> Subnet:
        """Where its card stands."""
        found = self.nic.subnet if self.nic is not None else home(self.balancer) if self.balancer is not None else None
        assert found is not None
        return found


class ApplianceRoute(Struct, frozen=True):
    """All routes of one subnet that lead to one appliance."""

    subnet: Subnet
    hop: Hop
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
    hops = _hops(network)
    for subnet in network.subnets():
        for route in routes_of(network, subnet).values():
            hop = _hop(network, hops, subnet, route)
            if hop is None:
                continue
            key = (subnet.path, hop.key)
            known = found.get(key)
            prefixes = (*known.prefixes, route.addressPrefix) if known else (route.addressPrefix,)
            found[key] = ApplianceRoute(subnet, hop, prefixes)
    return list(found.values())


def _hops(network: Network) -> dict[tuple[str, IPv4Address], Hop]:
    """What a route may name, by virtual network and address."""
    hops = {(nic.subnet.virtualNetwork, config.address): Hop(nic) for nic, config in network.addresses()}
    for balancer in network.loadBalancers.values():
        for frontend in balancer.frontends.values():
            if frontend.subnet is not None:
                hops[frontend.subnet.virtualNetwork, frontend.address] = Hop(balancer=balancer)
    return hops


def _hop(network: Network, hops: dict[tuple[str, IPv4Address], Hop], subnet: Subnet, route: Route) -> Hop | None:
    """Who a route names: in the subnet's own network, or in a peered one (RT-7, PEER-19)."""
    if route.nextHopType != "VirtualAppliance" or route.nextHopIpAddress is None:
        return None
    address = IPv4Address(route.nextHopIpAddress)
    own = network.virtualNetworks[subnet.virtualNetwork]
    reachable = (own.name, *(peering.remote for peering in own.peerings if peering.carries_traffic))
    return next((hops[name, address] for name in reachable if (name, address) in hops), None)


def balancer_key(balancer: LoadBalancer) -> str:
    """What a load balancer's card is called; no NIC has such a name."""
    return f"loadBalancers/{balancer.name}"


def home(balancer: LoadBalancer) -> Subnet | None:
    """The subnet in which an internal load balancer stands: that of its first frontend."""
    return next((frontend.subnet for frontend in balancer.frontends.values()), None)


def backends(balancer: LoadBalancer) -> list[Member]:
    """Everyone behind it, by pool or by NAT rule, each NIC once."""
    found: dict[str, Member] = {}
    for pool in balancer.pools.values():
        for member in pool.members:
            found.setdefault(member.nic.name, member)
    for rule in balancer.inboundNatRules.values():
        found.setdefault(rule.member.nic.name, rule.member)
    return list(found.values())


def pools_of(network: Network, nic: Nic) -> list[str]:
    """The pools that a NIC is in, as `lb/pool`."""
    return [
        pool.path
        for balancer in network.loadBalancers.values()
        for pool in balancer.pools.values()
        if any(member.nic.name == nic.name for member in pool.members)
    ]


def gateways_of(network: Network, virtual_network: str) -> list[NatGateway]:
    """The NAT gateways that subnets of a virtual network name."""
    names = dict.fromkeys(
        subnet.natGateway for subnet in network.virtualNetworks[virtual_network].subnets.values() if subnet.natGateway
    )
    return [network.natGateways[name] for name in names]


def gateway_addresses(network: Network, name: str) -> list[str]:
    """The public IPs and prefixes of a NAT gateway, each with its name."""
    written = network.scenario.natGateways[name]
    lines = [f"{each} {network.publicIPs[each].address}" for each in written.publicIPAddresses]
    return lines + [f"{each} {network.publicIPPrefixes[each].prefix}" for each in written.publicIPPrefixes]


def public_ips_in_use(network: Network) -> Iterator[InstancePublicIP]:
    """Every public IP that a NIC has."""
    for nic, config in network.addresses():
        if config.publicIP is not None:
            yield InstancePublicIP(nic, config)


def route_target(network: Network, subnet: Subnet, route: Route) -> str:
    """Where a route leads, in a word: the appliance's name when there is one."""
    if route.nextHopType != "VirtualAppliance":
        return route.nextHopType
    hop = _hop(network, _hops(network), subnet, route)
    return hop.name if hop is not None else str(route.nextHopIpAddress)
