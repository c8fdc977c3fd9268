"""How many there may be of each (VN-14)."""

from __future__ import annotations

from collections import Counter

from netemu.scenario import codes
from netemu.scenario.tree import Path
from netemu.scenario.validate.context import Context

VIRTUAL_NETWORKS = 1000
SUBNETS_PER_NETWORK = 3000
PEERINGS_PER_NETWORK = 500
ADDRESSES_PER_NETWORK = 65_536
PREFIXES_OF_PEERS = 20_000
"""(unverified) VN-14 has no figure; each is a route in every subnet of the network."""
DNS_SERVERS = 20
ADDRESSES_PER_NIC = 256
ADDRESSES_PER_MACHINE = 256
NETWORK_INTERFACES = 65_536
SECURITY_GROUPS = 5000
RULES_PER_GROUP = 1000
PREFIXES_PER_SIDE = 4000
APPLICATION_GROUPS = 3000
APPLICATION_GROUPS_PER_CONFIG = 20
APPLICATION_GROUPS_PER_SIDE = 10
APPLICATION_GROUPS_PER_GROUP = 100
ROUTE_TABLES = 200
ROUTES_PER_TABLE = 400
LOAD_BALANCERS = 1000
FRONTENDS = {"Standard": 600, "Basic": 200}
RULES_PER_BALANCER = {"Standard": 1500, "Basic": 250}
"""Load-balancing, inbound NAT and outbound rules together. (unverified), as the other two"""
LINKS = 1000
"""Of a private zone (DNS-10), of which so many register:"""
REGISTRATION_LINKS = 100
RECORDS_PER_SET = 20
"""(unverified)"""


def check(context: Context) -> None:
    """Count."""
    scenario = context.scenario
    if not 0 < scenario.timeScale <= 1:
        what = f"timeScale cannot be {scenario.timeScale:g}"
        context.add((), "timeScale", what, "above 0 and at most 1, such as 0.01", codes.INVALID_PARAMETER)
    limit(context, (), "virtualNetworks", len(scenario.virtualNetworks), VIRTUAL_NETWORKS)
    limit(context, (), "networkSecurityGroups", len(scenario.networkSecurityGroups), SECURITY_GROUPS)
    limit(context, (), "applicationSecurityGroups", len(scenario.applicationSecurityGroups), APPLICATION_GROUPS)
    limit(context, (), "routeTables", len(scenario.routeTables), ROUTE_TABLES)
    limit(context, (), "networkInterfaces", len(context.expanded.nics), NETWORK_INTERFACES)
    for name, network in scenario.virtualNetworks.items():
        path = ("virtualNetworks", name)
        limit(context, path, "subnets", len(network.subnets), SUBNETS_PER_NETWORK)
        limit(context, path, "virtualNetworkPeerings", len(network.virtualNetworkPeerings), PEERINGS_PER_NETWORK)
    for name, group in scenario.networkSecurityGroups.items():
        path = ("networkSecurityGroups", name)
        limit(context, path, "securityRules", len(group.securityRules), RULES_PER_GROUP)
        used = {
            asg
            for rule in group.securityRules.values()
            for asgs in (rule.sourceApplicationSecurityGroups, rule.destinationApplicationSecurityGroups)
            for asg in asgs or ()
        }
        limit(
            context, path, "securityRules", len(used), APPLICATION_GROUPS_PER_GROUP,
            "applicationSecurityGroups in its rules",
        )  # fmt: skip
    for name, table in scenario.routeTables.items():
        limit(context, ("routeTables", name), "routes", len(table.routes), ROUTES_PER_TABLE)
    limit(context, (), "loadBalancers", len(scenario.loadBalancers), LOAD_BALANCERS)
    for name, balancer in scenario.loadBalancers.items():
        path, sku = ("loadBalancers", name), balancer.sku or "Standard"
        limit(context, path, "frontendIPConfigurations", len(balancer.frontendIPConfigurations), FRONTENDS[sku])
        count = len(balancer.loadBalancingRules) + len(balancer.inboundNatRules) + len(balancer.outboundRules)
        limit(context, path, "loadBalancingRules", count, RULES_PER_BALANCER[sku], "rules")
    _addresses(context)


def _addresses(context: Context) -> None:
    nics: Counter[str] = Counter()
    machines: Counter[str] = Counter()
    networks: Counter[str] = Counter()
    for nic, _, config, _ in context.configs():
        nics[nic] += 1
        networks[config.subnet.partition("/")[0]] += 1
        if nic in context.holders:
            machines[context.holders[nic]] += 1
    for nic, count in nics.items():
        limit(context, context.nic_path(nic), "ipConfigurations", count, ADDRESSES_PER_NIC)
    for machine, count in machines.items():
        path = ("virtualMachines", machine)
        limit(context, path, "networkInterfaces", count, ADDRESSES_PER_MACHINE, "private addresses")
    for network, count in networks.items():
        if network in context.scenario.virtualNetworks:
            path = ("virtualNetworks", network)
            limit(context, path, "subnets", count, ADDRESSES_PER_NETWORK, "private addresses in use")


def limit(context: Context, path: Path, within: str, count: int, most: int, of_what: str = "") -> None:
    """Report when there are too many of something."""
    if count > most:
        context.add(path, within, f"{count} {of_what or within}", f"at most {most}", codes.RESOURCE_LIMIT_EXCEEDED)
