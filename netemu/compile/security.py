"""NSGs to nftables chains.

One chain for each NSG, direction and context: the tags VirtualNetwork and Internet mean other addresses in another
virtual network or behind another route table (NSG-25), and ASGs have members in one network. A chain returns on allow
and drops on deny, so that the NIC's and the subnet's NSG can follow each other (NSG-15). Every rule has a counter and
its Azure name as comment. Short NSGs are one line a rule; long ones are decision trees (`stages`), which decide alike.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial
from ipaddress import IPv4Address, IPv4Network

from msgspec import Struct, field, structs

from netemu.azure import resources as arm
from netemu.azure import tags
from netemu.azure.network import PLATFORM_ADDRESS, Network, Nic
from netemu.compile import stages_chains
from netemu.compile.routes import IMDS_ADDRESS, carried_peers
from netemu.compile.stages import DESTINATION, DESTINATION_PORT, SOURCE, SOURCE_PORT
from netemu.compile.stages_chains import ANY, Match, Rule

Context = tuple[str, str | None]
"""Virtual network, and the route table of the subnet."""

Interval = tuple[int, int]
LAST = 2**32 - 1
EVERYWHERE: list[Interval] = [(0, LAST)]

PLATFORM_SERVICE = {
    tag: (IMDS_ADDRESS if tag == "AzurePlatformIMDS" else PLATFORM_ADDRESS, port)
    for tag, port in tags.PLATFORM_TAGS.items()
}
"""Where the platform's services are, by the tag that names them."""

SHORT_LIST = 50
"""Rules that an NSG may have in one direction to be written one line a rule."""

_NUMBER = {"Icmp": 1, "Tcp": 6, "Udp": 17, "Esp": 50, "Ah": 51}
_WORD = {number: name.lower() for name, number in _NUMBER.items()}


def _default(priority: int, direction: arm.Direction, access: arm.Access, source: str, to: str) -> arm.SecurityRule:
    return arm.SecurityRule(
        priority=priority, direction=direction, access=access, protocol="*",
        sourcePortRange=("*",), destinationPortRange=("*",),
        sourceAddressPrefix=(source,), destinationAddressPrefix=(to,),
    )  # fmt: skip


DEFAULT_RULES: dict[str, arm.SecurityRule] = {
    "AllowVnetInBound": _default(65000, "Inbound", "Allow", "VirtualNetwork", "VirtualNetwork"),
    "AllowAzureLoadBalancerInBound": _default(65001, "Inbound", "Allow", "AzureLoadBalancer", "*"),
    "DenyAllInBound": _default(65500, "Inbound", "Deny", "*", "*"),
    "AllowVnetOutBound": _default(65000, "Outbound", "Allow", "VirtualNetwork", "VirtualNetwork"),
    "AllowInternetOutBound": _default(65001, "Outbound", "Allow", "*", "Internet"),
    "DenyAllOutBound": _default(65500, "Outbound", "Deny", "*", "*"),
}
"""NSG-7, NSG-8."""


class Chains(Struct):
    """The chains of all NSGs, and which port jumps to which."""

    text: list[str] = field(default_factory=list)
    nic: dict[str, dict[str, str]] = field(default_factory=lambda: {"outbound": {}, "inbound": {}})
    """Direction → port → chain of the NIC's NSG."""
    subnet: dict[str, dict[str, str]] = field(default_factory=lambda: {"outbound": {}, "inbound": {}})
    """Direction → port → chain of the subnet's NSG."""
    platform: dict[str, list[str]] = field(default_factory=dict)
    """Port → chains with the rules that stop platform traffic (PLT-4)."""


def compile_security(network: Network, ports: dict[str, str]) -> Chains:
    """All chains of a network; `ports` maps NIC names to interface names."""
    chains = Chains()
    rules = _Rules(network)
    done: set[str] = set()
    contexts: set[Context] = set()
    for nic in network.nics.values():
        port = ports[nic.name]
        context = (nic.subnet.virtualNetwork, nic.subnet.routeTable)
        for group, target in ((nic.networkSecurityGroup, chains.nic), (nic.subnet.networkSecurityGroup, chains.subnet)):
            if group is None:
                continue
            if context not in contexts:
                contexts.add(context)
                chains.text.extend(_context_sets(network, context))
            for direction in ("outbound", "inbound"):
                name = chain_name(direction, group, context)
                if name not in done:
                    done.add(name)
                    chains.text.extend(_chain(rules, name, done, direction, group, context))
                target[direction][port] = name
            _platform(network, chains, done, port, group, context)
    return chains


def chain_name(direction: str, group: str, context: Context) -> str:
    """`inbound/<nsg>/<virtual network>[/<route table>]`; names of resources contain no slash."""
    return "/".join((direction, group, *(part for part in context if part is not None)))


def has_security_group(nic: Nic) -> bool:
    """Does any NSG apply to the NIC? Without one a Standard public IP stays closed (OUT-17)."""
    return nic.networkSecurityGroup is not None or nic.subnet.networkSecurityGroup is not None


# ---- addresses -------------------------------------------------------------------------------------------------------


def intervals(prefixes: Iterable[IPv4Network]) -> list[Interval]:
    """The addresses of some prefixes."""
    return merge((int(p.network_address), int(p.broadcast_address)) for p in prefixes)


def merge(pieces: Iterable[Interval]) -> list[Interval]:
    """Sorted, disjoint, with neighbours joined."""
    merged: list[Interval] = []
    for first, last in sorted(pieces):
        if merged and first <= merged[-1][1] + 1:
            merged[-1] = merged[-1][0], max(merged[-1][1], last)
        else:
            merged.append((first, last))
    return merged


def complement(covered: list[Interval]) -> list[Interval]:
    """Every address that the intervals leave out."""
    result, start = [], 0
    for first, last in covered:
        if first > start:
            result.append((start, first - 1))
        start = last + 1
    if start <= LAST:
        result.append((start, LAST))
    return result


def elements(covered: list[Interval]) -> str:
    """nftables set elements."""
    return ", ".join(
        str(IPv4Address(first)) if first == last else f"{IPv4Address(first)}-{IPv4Address(last)}"
        for first, last in covered
    )


def _virtual_network_prefixes(network: Network, context: Context) -> list[IPv4Network]:
    virtual_network, route_table = context
    prefixes = [IPv4Network(PLATFORM_ADDRESS)]
    for name in (virtual_network, *carried_peers(network, virtual_network)):
        prefixes.extend(network.virtualNetworks[name].addressSpace)
    if route_table is not None:
        routes = network.scenario.routeTables[route_table].routes.values()
        prefixes.extend(IPv4Network(route.addressPrefix) for route in routes)
    return prefixes


def _tag(network: Network, tag: str, context: Context) -> list[Interval]:
    if tag == "VirtualNetwork":
        return intervals(_virtual_network_prefixes(network, context))
    if tag == "Internet":
        return complement(intervals([*_virtual_network_prefixes(network, context), *tags.NOT_PUBLIC]))
    if tag == "AzureLoadBalancer":
        return [(int(PLATFORM_ADDRESS), int(PLATFORM_ADDRESS))]
    if tag in tags.PLATFORM_TAGS:
        return []
    return intervals(tags.service_prefixes(tag))


_SET = {"VirtualNetwork": "vnet", "Internet": "internet"}


def _set_name(tag: str, context: Context) -> str:
    return "/".join((_SET[tag], *(part for part in context if part is not None)))


def _context_sets(network: Network, context: Context) -> Iterator[str]:
    for tag in _SET:
        covered = _tag(network, tag, context)
        if covered not in ([], EVERYWHERE):
            yield (
                f"set {_set_name(tag, context)} {{\n type ipv4_addr\n flags interval\n"
                f" elements = {{ {elements(covered)} }}\n}}"
            )


def _side(
    network: Network, context: Context, written: tuple[str, ...], groups: tuple[str, ...] | None, keyword: str
) -> Match:
    """What a rule asks of one side's address."""
    if groups:
        members = [
            IPv4Network(config.address)
            for nic in network.nics_of(context[0])
            for config in nic.ipConfigs
            if config.applicationSecurityGroups & set(groups)
        ]
        return _address_match(intervals(members), keyword)
    covered: list[Interval] = []
    for text in written:
        if text == "*":
            return ANY
        tag = tags.canonical(text)
        if tag is None:
            prefix = IPv4Network(text)
            covered.append((int(prefix.network_address), int(prefix.broadcast_address)))
            continue
        part = _tag(network, tag, context)
        if len(written) == 1 and tag in _SET and part not in ([], EVERYWHERE):
            return Match(tuple(part), f"{keyword} @{_set_name(tag, context)} ")
        covered += part
    return _address_match(merge(covered), keyword)


def _address_match(covered: list[Interval], keyword: str) -> Match:
    if covered == EVERYWHERE:
        return ANY
    text = elements(covered)
    return Match(tuple(covered), f"{keyword} {text} " if len(covered) == 1 else f"{keyword} {{ {text} }} ")


# ---- rules -----------------------------------------------------------------------------------------------------------


def _ports(written: tuple[str, ...] | None, keyword: str) -> Match:
    """What a rule asks of one side's port."""
    ranges: list[Interval] = []
    for text in written or ("*",):
        if text == "*":
            return ANY
        low, _, high = text.partition("-")
        ranges.append((int(low), int(high or low)))
    merged = merge(ranges)
    if merged == [(0, 65535)]:
        return ANY
    text = ", ".join(str(a) if a == b else f"{a}-{b}" for a, b in merged)
    return Match(tuple(merged), f"{keyword} {text} " if len(merged) == 1 else f"{keyword} {{ {text} }} ")


def _both_ports(rule: arm.SecurityRule) -> tuple[Match, Match]:
    if rule.protocol in ("Icmp", "Esp", "Ah"):
        return ANY, ANY
    return (
        _ports(rule.sourcePortRange or rule.sourcePortRanges, "th sport"),
        _ports(rule.destinationPortRange or rule.destinationPortRanges, "th dport"),
    )


def _line(chain: str, rule: Rule, sets: dict[str, str], service: str = "") -> str:
    """A rule in one line; the sets that it asks come into `sets`. `service` is a test beside the rule's own.

    A rule for any protocol that names ports means TCP and UDP.
    """
    protocol = f"meta l4proto {_WORD[rule.protocol]} " if rule.protocol is not None else ""
    if not protocol and rule.names_ports():
        protocol = "meta l4proto { tcp, udp } "
    test = partial(stages_chains.named_test, chain, rule, sets=sets)
    addresses = test(SOURCE, rule.source) + test(DESTINATION, rule.destination)
    ports = test(SOURCE_PORT, rule.source_port) + test(DESTINATION_PORT, rule.destination_port)
    verdict = "return" if rule.allows else "drop"
    return f' {addresses}{service}{protocol}{ports}counter {verdict} comment "{rule.name}"'


def _in_order(network: Network, group: str, direction: str) -> Iterator[tuple[str, arm.SecurityRule]]:
    """The rules of one direction by priority, the default rules last (NSG-4)."""
    written = network.scenario.networkSecurityGroups[group].securityRules
    every = {**written, **DEFAULT_RULES}
    chosen = [(name, rule) for name, rule in every.items() if rule.direction.lower() == direction]
    return iter(sorted(chosen, key=lambda item: item[1].priority))


def _chain(known: _Rules, chain: str, done: set[str], direction: str, group: str, context: Context) -> Iterator[str]:
    """The chain of an NSG in one context."""
    rules = [known.compiled(context, name, rule) for name, rule in _in_order(known.network, group, direction)]
    # An empty ASG, or a tag without addresses here: the rule matches nothing.
    rules = [rule for rule in rules if rule.source.ranges != () != rule.destination.ranges]
    if len(rules) > SHORT_LIST + len(DEFAULT_RULES) // 2:
        targets = []
        for rule in rules:
            target = stages_chains.rule_chain(direction, group, rule.name)
            targets.append(target)
            if target not in done:
                done.add(target)
                yield from stages_chains.decision(target, rule)
        yield from stages_chains.staged(chain, rules, targets)
        return
    sets: dict[str, str] = {}
    lines = [_line(chain, rule, sets) for rule in rules]
    yield from (*sets.values(), f"chain {chain} {{", *lines, "}")


class _Rules:
    """Rules in numbers. The default rules are the same in every NSG, and people copy their own."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self._known: dict[tuple[Context, str, arm.SecurityRule], Rule] = {}

    def compiled(self, context: Context, name: str, written: arm.SecurityRule) -> Rule:
        """A rule of an NSG in one context."""
        found = self._known.get((context, name, written))
        if found is None:
            found = self._known[context, name, written] = _rule(self.network, context, name, written)
        return found


def _rule(network: Network, context: Context, name: str, rule: arm.SecurityRule) -> Rule:
    source_port, destination_port = _both_ports(rule)
    return Rule(
        name,
        rule.access == "Allow",
        _side(
            network, context, rule.sourceAddressPrefix or rule.sourceAddressPrefixes or ("*",),
            rule.sourceApplicationSecurityGroups, "ip saddr",
        ),
        _side(
            network, context, rule.destinationAddressPrefix or rule.destinationAddressPrefixes or ("*",),
            rule.destinationApplicationSecurityGroups, "ip daddr",
        ),
        _NUMBER.get(rule.protocol),
        source_port,
        destination_port,
    )  # fmt: skip


def _platform(network: Network, chains: Chains, done: set[str], port: str, group: str, context: Context) -> None:
    """Rules that name a platform tag are the only ones that stop platform traffic (PLT-4)."""
    chain = chain_name("platform", group, context)
    lines: list[str] = []
    sets: dict[str, str] = {}
    for name, written in _in_order(network, group, "outbound"):
        prefixes = written.destinationAddressPrefix or written.destinationAddressPrefixes or ()
        services = [PLATFORM_SERVICE[tag] for tag in map(tags.canonical, prefixes) if tag in PLATFORM_SERVICE]
        rule = _rule(network, context, name, written) if services else None
        if rule is None or rule.source.ranges == ():
            continue
        rule = structs.replace(rule, destination=ANY)
        for address, number in services:
            service = f"ip daddr {address} meta l4proto {{ tcp, udp }} th dport {number} "
            lines.append(_line(chain, rule, sets, service))
    if not lines:
        return
    if chain not in done:
        done.add(chain)
        chains.text.extend([*sets.values(), f"chain {chain} {{", *lines, "}"])
    chains.platform.setdefault(port, []).append(chain)
