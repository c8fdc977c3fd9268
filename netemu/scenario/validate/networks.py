"""Virtual networks and subnets (VN-1…VN-6, VN-16, DNS-6)."""

from __future__ import annotations

from ipaddress import IPv4Network

from netemu.azure import resources as arm
from netemu.scenario import codes
from netemu.scenario.tree import Path
from netemu.scenario.validate.context import PREFIXES_PER_NETWORK, Context
from netemu.scenario.validate.limits import DNS_SERVERS, limit
from netemu.scenario.validate.spaces import Space

FORBIDDEN = tuple(
    IPv4Network(text)
    for text in ("224.0.0.0/4", "255.255.255.255/32", "127.0.0.0/8", "169.254.0.0/16", "168.63.129.16/32")
)
"""What no virtual network may contain (VN-3)."""

SHORTEST, LONGEST = 2, 29
"""The largest and the smallest prefix (VN-4)."""

GATEWAY_SUBNET = "GatewaySubnet"

RESERVED_SUBNETS = (GATEWAY_SUBNET, "AzureFirewallSubnet", "AzureBastionSubnet", "RouteServerSubnet")
"""Subnets that only Azure's own appliances may use (VN-16)."""


def check(context: Context) -> None:
    """Check every virtual network."""
    for name, network in context.scenario.virtualNetworks.items():
        path = ("virtualNetworks", name)
        space = _address_space(context, path, network)
        _subnets(context, path, network, space)
        if network.dhcpOptions is not None:
            dns_servers(context, (*path, "dhcpOptions"), network.dhcpOptions.dnsServers)


def dns_servers(context: Context, path: Path, servers: arm.Strings) -> None:
    """Check a list of DNS servers, of a network (DNS-6) or of a NIC (NIC-11)."""
    limit(context, path, "dnsServers", len(servers), DNS_SERVERS)
    for index, text in enumerate(servers):
        context.address(path, ("dnsServers", index), text)


def _address_space(context: Context, path: Path, network: arm.VirtualNetwork) -> Space:
    """Check the prefixes of a network, and return those that are usable."""
    if not network.addressSpace:
        context.add(
            path, "addressSpace", "addressSpace is empty", "at least one prefix, such as 10.0.0.0/16",
            codes.INVALID_ADDRESS_SPACE,
        )  # fmt: skip
    good = Space()
    limit(context, path, "addressSpace", len(network.addressSpace), PREFIXES_PER_NETWORK, "prefixes")
    if len(network.addressSpace) > PREFIXES_PER_NETWORK:
        return good
    for index, text in enumerate(network.addressSpace):
        within = ("addressSpace", index)
        prefix = context.prefix(path, within, text)
        if prefix is None or not _usable(context, path, within, prefix, codes.INVALID_ADDRESS_SPACE):
            continue
        clash = good.add(prefix)
        if clash is not None:
            context.add(
                path, within, f"{prefix} overlaps {clash} of the same network", "prefixes that do not overlap",
                codes.INVALID_ADDRESS_SPACE,
            )  # fmt: skip
    return good


def _usable(context: Context, path: Path, within: str | Path, prefix: IPv4Network, code: str) -> bool:
    if not SHORTEST <= prefix.prefixlen <= LONGEST:
        size = "small" if prefix.prefixlen > LONGEST else "large"
        context.add(path, within, f"{prefix} is too {size}", f"a /{SHORTEST} to /{LONGEST}", code)
        return False
    forbidden = next((other for other in FORBIDDEN if other.overlaps(prefix)), None)
    if forbidden is not None:
        context.add(path, within, f"{prefix} overlaps {forbidden}, which no network may use", "another prefix", code)
        return False
    return True


def _subnets(context: Context, path: Path, network: arm.VirtualNetwork, space: Space) -> None:
    ranges: list[tuple[int, int, str, IPv4Network]] = []
    order = {name: number for number, name in enumerate(network.subnets)}
    for name, subnet in network.subnets.items():
        where = (*path, "subnets", name)
        _references(context, where, name, subnet)
        prefix = context.prefix(where, "addressPrefix", subnet.addressPrefix)
        if prefix is None or not _usable(context, where, "addressPrefix", prefix, codes.INVALID_SUBNET):
            continue
        if len(space.prefixes) == len(network.addressSpace) and not space.covers(prefix):
            inside = ", ".join(map(str, space.prefixes[:6]))
            context.add(
                where, "addressPrefix", f"{prefix} is outside the network's address space", f"a prefix within {inside}",
                codes.INVALID_SUBNET,
            )  # fmt: skip
        ranges.append((int(prefix[0]), int(prefix[-1]), name, prefix))
    ranges.sort()
    open_ones: list[tuple[int, int, str, IPv4Network]] = []
    for current in ranges:
        open_ones = [earlier for earlier in open_ones if earlier[1] >= current[0]]
        for earlier in open_ones:
            (_, _, first, prefix), (_, _, name, own) = sorted((earlier, current), key=lambda item: order[item[2]])
            context.add(
                (*path, "subnets", name), "addressPrefix", f"{own} overlaps subnet {first} ({prefix})",
                "subnets that do not overlap", codes.SUBNET_RANGES_OVERLAP,
            )  # fmt: skip
        open_ones.append(current)


def _references(context: Context, path: Path, name: str, subnet: arm.Subnet) -> None:
    scenario = context.scenario
    context.reference(
        path, "networkSecurityGroup", subnet.networkSecurityGroup, "networkSecurityGroup",
        scenario.networkSecurityGroups, "networkSecurityGroups",
    )  # fmt: skip
    context.reference(path, "routeTable", subnet.routeTable, "routeTable", scenario.routeTables, "routeTables")
    context.reference(path, "natGateway", subnet.natGateway, "natGateway", scenario.natGateways, "natGateways")
    if name.lower() == GATEWAY_SUBNET.lower() and subnet.natGateway:
        context.add(
            path, "natGateway", f"{GATEWAY_SUBNET} cannot have a natGateway", "remove it", codes.RESERVED_SUBNET
        )
    if name.lower() == GATEWAY_SUBNET.lower() and subnet.networkSecurityGroup:
        context.add(
            path, "networkSecurityGroup", f"{GATEWAY_SUBNET} cannot have a networkSecurityGroup", "remove it",
            codes.RESERVED_SUBNET,
        )  # fmt: skip
