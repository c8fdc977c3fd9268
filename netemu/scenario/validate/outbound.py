"""Outbound rules, NAT gateways and public IP prefixes (OUT-33…OUT-36, OUT-39)."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from netemu.azure import resources as arm
from netemu.azure.network.balancing import joined, member_of
from netemu.scenario import codes
from netemu.scenario.tree import Path
from netemu.scenario.validate.context import Context
from netemu.scenario.validate.load_balancers import idle_minutes
from netemu.scenario.validate.public_ips import explicit, public_address

PORTS_PER_ADDRESS = 64_000
"""OUT-24"""
ADDRESSES_PER_NAT_GATEWAY = 16
SHORTEST_PREFIX, LONGEST_PREFIX = 28, 31
IDLE_MINUTES = (4, 120)


def check(context: Context) -> None:
    """Check all three."""
    _prefixes(context)
    for name, gateway in context.scenario.natGateways.items():
        _gateway(context, ("natGateways", name), name, gateway)
    _attachments(context)
    for name, balancer in context.scenario.loadBalancers.items():
        for key, rule in balancer.outboundRules.items():
            _outbound_rule(context, ("loadBalancers", name, "outboundRules", key), name, balancer, rule)
        _shared_frontends(context, ("loadBalancers", name), balancer)


def _prefixes(context: Context) -> None:
    taken: list[tuple[IPv4Network, str]] = [
        (IPv4Network(address), f"publicIPAddresses/{name}") for address, name in explicit(context).items()
    ]
    for name, host in context.scenario.internet.hosts.items():
        try:
            taken.append((IPv4Network(IPv4Address(host.ipAddress)), f"internet/hosts/{name}"))
        except ValueError:
            continue  # said of the host
    for name, prefix in context.scenario.publicIPPrefixes.items():
        path = ("publicIPPrefixes", name)
        length = prefix.prefixLength
        if not SHORTEST_PREFIX <= length <= LONGEST_PREFIX:
            context.add(
                path, "prefixLength", f"prefixLength cannot be {length}", f"{SHORTEST_PREFIX} to {LONGEST_PREFIX}",
                codes.PREFIX_LENGTH,
            )  # fmt: skip
            continue
        written = context.prefix(path, "ipPrefix", prefix.ipPrefix)
        if written is None:
            continue
        if written.prefixlen != length:
            context.add(
                path, "ipPrefix", f"{written} is a /{written.prefixlen}", f"a /{length}, as prefixLength says",
                codes.PREFIX_LENGTH,
            )  # fmt: skip
        elif all(public_address(context, path, written[i], "ipPrefix") for i in range(0, written.num_addresses, 8)):
            clash = next((whose for other, whose in taken if other.overlaps(written)), None)
            if clash is not None:
                what = f"{written} overlaps {clash}"
                context.add(path, "ipPrefix", what, "another prefix", codes.ADDRESS_IN_USE)
            taken.append((written, f"publicIPPrefixes/{name}"))


def _gateway(context: Context, path: Path, name: str, gateway: arm.NatGateway) -> None:
    idle_minutes(context, path, gateway.idleTimeoutInMinutes, *IDLE_MINUTES)
    count = 0
    for index, text in enumerate(gateway.publicIPAddresses):
        within = ("publicIPAddresses", index)
        if not context.use_public_ip(path, within, text, f"natGateways/{name}"):
            continue
        count += 1
        if context.scenario.publicIPAddresses[text].sku == "Basic":
            context.add(path, within, f"{text} is Basic", "a Standard public IP", codes.NAT_GATEWAY_STANDARD)
    for index, text in enumerate(gateway.publicIPPrefixes):
        if context.use_prefix(path, ("publicIPPrefixes", index), text, f"natGateways/{name}"):
            length = context.scenario.publicIPPrefixes[text].prefixLength
            count += 1 << 32 - length if 0 <= length <= 32 else 0
    if count > ADDRESSES_PER_NAT_GATEWAY:
        context.add(
            path, "publicIPAddresses", f"{count} addresses", f"at most {ADDRESSES_PER_NAT_GATEWAY}, prefixes included",
            codes.NAT_GATEWAY_ADDRESSES,
        )  # fmt: skip


def _attachments(context: Context) -> None:
    """The subnets of a NAT gateway: of one network, with nothing Basic in them (OUT-39)."""
    basic = _basic_resources(context)
    home: dict[str, str] = {}
    for subnet_path, subnet in context.subnet_paths.items():
        gateway = context.scenario.natGateways.get(subnet.natGateway or "")
        if gateway is None or subnet.natGateway is None:
            continue
        network, _, name = subnet_path.partition("/")
        path = ("virtualNetworks", network, "subnets", name)
        first = home.setdefault(subnet.natGateway, network)
        if first != network:
            context.add(
                path, "natGateway", f"{subnet.natGateway} is in {first}", "a NAT gateway for each virtual network",
                codes.NAT_GATEWAY_IN_SEVERAL_NETWORKS,
            )  # fmt: skip
        if not gateway.publicIPAddresses and not gateway.publicIPPrefixes:
            context.add(
                path, "natGateway", f"{subnet.natGateway} has no address",
                f"publicIPAddresses or publicIPPrefixes in natGateways/{subnet.natGateway}",
                codes.NAT_GATEWAY_WITHOUT_ADDRESS,
            )  # fmt: skip
        if subnet_path in basic:
            context.add(
                path, "natGateway", f"the subnet has {basic[subnet_path]}", "Standard ones, or no natGateway",
                codes.NAT_GATEWAY_AND_BASIC,
            )  # fmt: skip


def _basic_resources(context: Context) -> dict[str, str]:
    """A Basic public IP or load balancer in each subnet that has one."""
    found: dict[str, str] = {}
    for _, _, config, _ in context.configs():
        public = context.scenario.publicIPAddresses.get(config.publicIPAddress or "")
        if public is not None and public.sku == "Basic":
            found.setdefault(config.subnet, f"the Basic public IP {config.publicIPAddress}")
    joining = joined(context.expanded, "loadBalancerBackendAddressPools")
    for name, balancer in context.scenario.loadBalancers.items():
        if balancer.sku != "Basic":
            continue
        what = f"the Basic load balancer {name}"
        for frontend in balancer.frontendIPConfigurations.values():
            if frontend.subnet is not None:
                found.setdefault(frontend.subnet, what)
        for key, members in balancer.backendAddressPools.items():
            for member in (*members, *joining.get(f"{name}/{key}", ())):
                try:
                    nic, config_name = member_of(context.expanded, member)
                    found.setdefault((context.expanded.nics[nic].ipConfigurations or {})[config_name].subnet, what)
                except (KeyError, IndexError):
                    continue  # said of the pool
    return found


def _outbound_rule(context: Context, path: Path, name: str, balancer: arm.LoadBalancer, rule: arm.OutboundRule) -> None:
    idle_minutes(context, path, rule.idleTimeoutInMinutes, *IDLE_MINUTES)
    if balancer.sku == "Basic":
        what = "Basic load balancers have no outbound rules"
        context.add(path, "", what, "sku: Standard", codes.BASIC_LACKS)
    addresses = 0
    for index, text in enumerate(rule.frontendIPConfigurations):
        within = ("frontendIPConfigurations", index)
        known = balancer.frontendIPConfigurations
        if not context.reference(path, within, text, "frontendIPConfiguration", known, "loadBalancers"):
            continue
        frontend = known[text]
        prefix = context.scenario.publicIPPrefixes.get(frontend.publicIPPrefix or "")
        addresses += 1 << 32 - prefix.prefixLength if prefix is not None and 28 <= prefix.prefixLength <= 31 else 1
        if frontend.subnet is not None:
            context.add(path, within, f"{text} is internal", "a public frontend", codes.OUTBOUND_RULE)
    if not rule.frontendIPConfigurations and not context.gap(path, "frontendIPConfigurations"):
        context.add(path, "frontendIPConfigurations", "it has no frontend", "name one", codes.OUTBOUND_RULE)
    if context.reference(
        path, "backendAddressPool", rule.backendAddressPool, "backendAddressPool", balancer.backendAddressPools,
        "loadBalancers",
    ):  # fmt: skip
        _allocated(context, path, rule, addresses, len(_members(context, name, balancer, rule.backendAddressPool)))


def _members(context: Context, name: str, balancer: arm.LoadBalancer, pool: str) -> set[tuple[str, str]]:
    joining = joined(context.expanded, "loadBalancerBackendAddressPools")
    found = set()
    for member in (*balancer.backendAddressPools[pool], *joining.get(f"{name}/{pool}", ())):
        try:
            found.add(member_of(context.expanded, member))
        except (KeyError, IndexError):
            continue  # said of the pool
    return found


def _allocated(context: Context, path: Path, rule: arm.OutboundRule, addresses: int, members: int) -> None:
    """OUT-34."""
    ports = rule.allocatedOutboundPorts
    within = "allocatedOutboundPorts"
    if ports < 0 or ports % 8:
        near = max(ports - ports % 8, 0)
        what = f"{ports} is no multiple of 8"
        context.add(path, within, what, f"{near} or {near + 8}, for example", codes.OUTBOUND_PORTS_OF_EIGHT)
    elif ports > PORTS_PER_ADDRESS:
        context.add(
            path, within, f"allocatedOutboundPorts cannot be {ports}", f"at most {PORTS_PER_ADDRESS}",
            codes.OUTBOUND_PORTS_OF_RULE,
        )  # fmt: skip
    elif addresses and ports * members > PORTS_PER_ADDRESS * addresses:
        there_are = PORTS_PER_ADDRESS * addresses
        context.add(
            path, within,
            f"{ports} ports for {members} backends are {ports * members}, and there are {there_are}",
            f"at most {there_are // members // 8 * 8}, or more frontends", codes.OUTBOUND_PORTS_IN_ALL,
        )  # fmt: skip


def _shared_frontends(context: Context, path: Path, balancer: arm.LoadBalancer) -> None:
    """A frontend serves one outbound rule for each protocol, and no load-balancing rule's implicit one (OUT-35)."""
    users: dict[str, list[tuple[str, str]]] = {}
    for key, rule in balancer.outboundRules.items():
        where = (*path, "outboundRules", key)
        for index, frontend in enumerate(rule.frontendIPConfigurations):
            for protocol, other in users.get(frontend, ()):
                if protocol == rule.protocol or "All" in (protocol, rule.protocol):
                    context.add(
                        where, ("frontendIPConfigurations", index), f"outbound rule {other} uses {frontend} for"
                        f" {protocol}", "another frontend or protocol", codes.OUTBOUND_RULES_SHARE_FRONTEND,
                    )  # fmt: skip
                    break
            users.setdefault(frontend, []).append((rule.protocol, key))
    for key, balancing in balancer.loadBalancingRules.items():
        outbound = users.get(balancing.frontendIPConfiguration)
        if outbound and not balancing.disableOutboundSnat:
            context.add(
                (*path, "loadBalancingRules", key), "disableOutboundSnat",
                f"outbound rule {outbound[0][1]} uses {balancing.frontendIPConfiguration}",
                "disableOutboundSnat: true, or another frontend", codes.SNAT_NOT_DISABLED,
            )  # fmt: skip
