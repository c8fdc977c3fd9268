"""Route tables of the fabric: each holds the complete effective routes of the subnets that use it (RT-1…RT-14).

Kernel tables are not merged by longest prefix, so system routes, peerings and user-defined routes are settled here.
A packet for nobody goes to a sink device with a counter, not to a blackhole route: a drop must leave evidence.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

from netemu.azure.network import PLATFORM_ADDRESS, RESERVED_RANGES, Network, Nic
from netemu.compile.directors import HOP, REQUESTS, Director, directors
from netemu.compile.numbering import NEXT_HOP, NO_ADDRESS, NO_ROUTE, TABLE_BASE, Numbering
from netemu.linux.state import Route

SINK_INDEX = {NO_ADDRESS: 2, NO_ROUTE: 3}
IMDS_ADDRESS = IPv4Address("169.254.169.254")

LOCAL, PEERING, APPLIANCE, INTERNET, NONE, NOWHERE = "local", "peering", "appliance", "internet", "none", "nowhere"
"""What a prefix leads to: LOCAL the NICs of the network itself, PEERING those of its peers; NOWHERE is
a next hop that does not exist, such as a gateway in a network without one."""

EVERYTHING = IPv4Network("0.0.0.0/0")


def carried_peers(network: Network, virtual_network: str) -> list[str]:
    """The virtual networks that a network reaches by peering: both directions exist and both allow access."""
    return [p.remote for p in network.virtualNetworks[virtual_network].peerings if p.carries_traffic]


def _policy(
    network: Network, virtual_network: str, route_table: str | None
) -> dict[IPv4Network, tuple[str, IPv4Address | None]]:
    """Prefix to what it leads to; a user-defined route replaces a system route of the same prefix (RT-9)."""
    spaces = {
        name: network.virtualNetworks[name].addressSpace
        for name in (virtual_network, *carried_peers(network, virtual_network))
    }
    policy: dict[IPv4Network, tuple[str, IPv4Address | None]] = {EVERYTHING: (INTERNET, None)}
    for reserved in RESERVED_RANGES:
        if not any(reserved.subnet_of(prefix) for space in spaces.values() for prefix in space):  # RT-3
            policy[reserved] = (NONE, None)
    for name, space in spaces.items():
        for prefix in space:
            policy[prefix] = (LOCAL if name == virtual_network else PEERING, None)
    if route_table is not None:
        for route in network.scenario.routeTables[route_table].routes.values():
            hop = IPv4Address(route.nextHopIpAddress) if route.nextHopIpAddress else None
            target = {
                "VnetLocal": LOCAL,
                "VirtualAppliance": APPLIANCE,
                "Internet": INTERNET,
                "None": NONE,
                "VirtualNetworkGateway": NOWHERE,
            }[route.nextHopType]
            policy[IPv4Network(route.addressPrefix)] = (target, hop)
    return policy


def _reachable(network: Network, virtual_network: str) -> Iterator[tuple[Nic, IPv4Address]]:
    for name in (virtual_network, *carried_peers(network, virtual_network)):
        for nic in network.nics_of(name):
            for config in nic.ipConfigs:
                yield nic, config.address


def _frontends(
    network: Network, busy: dict[str, Director], virtual_network: str
) -> Iterator[tuple[str, IPv4Address, str]]:
    """The internal frontends that a network reaches: whose, the address, the path.

    A Basic one not from another region (PEER-17).
    """
    here = network.virtualNetworks[virtual_network].location
    for name in (virtual_network, *carried_peers(network, virtual_network)):
        near = network.virtualNetworks[name].location == here
        for frontend in busy[name].frontends if name in busy else ():
            if not frontend.is_public and (near or frontend.sku == "Standard"):
                yield name, frontend.address, frontend.path


def compile_tables(network: Network, numbers: Numbering) -> list[Route]:
    """The routes of every table that subnets have."""
    reachable = {name: list(_reachable(network, name)) for name in network.virtualNetworks}
    busy = directors(network)
    routes: list[Route] = []
    for owner, number in numbers.table.items():
        virtual_network, _, written = owner.partition("/")
        if not virtual_network:  # a single NIC's
            continue
        route_table = written or None
        policy = _policy(network, virtual_network, route_table)
        table = TABLE_BASE + number
        places = {
            address: (nic.subnet.virtualNetwork, numbers.port_index[numbers.port[nic.name]])
            for nic, address in reachable[virtual_network]
        }
        hops = {address: (index, int(address)) for address, (_, index) in places.items()}
        balanced = set()
        for name, address, path in _frontends(network, busy, virtual_network):
            balanced.add(address)
            places[address] = name, numbers.port_index[numbers.director_link[f"{REQUESTS}/{name}"]]
            if path in busy[name].hops:
                hops[address] = numbers.port_index[numbers.director_link[f"{HOP}/{path}"]], NEXT_HOP
        content: dict[tuple[int, int], Route] = {}
        for prefix, (target, hop) in policy.items():
            key = int(prefix.network_address), prefix.prefixlen
            content[key] = _covering(numbers, virtual_network, hops, table, prefix, target, hop)
        longest_first = sorted(policy, key=lambda prefix: -prefix.prefixlen)
        targets = [(int(p.network_address), int(p.netmask), policy[p][0]) for p in longest_first]
        for address, (place, index) in places.items():
            value = int(address)
            delivered_by = LOCAL if place == virtual_network else PEERING
            if next(target for base, mask, target in targets if value & mask == base) == delivered_by:
                way = by_link if address in balanced else Route
                content[value, 32] = way(index, value, 32, table)
        platform = numbers.port_index[numbers.platform_link[virtual_network]]
        for address in (PLATFORM_ADDRESS, IMDS_ADDRESS):  # whatever the routes say (PLT-1, PLT-2, RT-24)
            content[int(address), 32] = by_link(platform, int(address), 32, table)
        routes.extend(content.values())
    return routes


def by_link(index: int, destination: int, length: int, table: int = 254) -> Route:
    """A route by a link of the platform."""
    return Route(index, destination, length, table, NEXT_HOP, onlink=True)


def _covering(
    numbers: Numbering,
    virtual_network: str,
    hops: dict[IPv4Address, tuple[int, int]],
    table: int,
    prefix: IPv4Network,
    target: str,
    hop: IPv4Address | None,
) -> Route:
    destination, length = int(prefix.network_address), prefix.prefixlen
    if target == INTERNET:
        return by_link(numbers.port_index[numbers.edge_link[virtual_network]], destination, length, table)
    if target == APPLIANCE and hop in hops:
        index, gateway = hops[hop]
        return Route(index, destination, length, table, gateway, onlink=True)
    sink = NO_ROUTE if target == NONE else NO_ADDRESS
    return by_link(SINK_INDEX[sink], destination, length, table)
