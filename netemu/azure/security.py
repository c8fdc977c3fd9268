"""Effective security rules: what an NSG means at one place of the network (NSG-2…NSG-29).

The same NSG means different addresses in different places: `VirtualNetwork` depends on the virtual network, its peers
and the subnet's route table (NSG-25), an application security group on who its members are (NSG-29). A `Context` is
such a place; `effective_rules` gives the rules of an NSG there, defaults included, every tag replaced by addresses.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv4Network

from msgspec import Struct

from netemu.azure import resources as arm
from netemu.azure import tags
from netemu.azure.flow import PROTOCOLS, TCP, UDP, Packet, dotted, protocol_name
from netemu.azure.network import PLATFORM_ADDRESS, Network, Subnet
from netemu.azure.prefixes import EVERY_ADDRESS, EVERY_PORT, IntervalSet

METADATA_ADDRESS = IPv4Address("169.254.169.254")
"""The instance metadata service (PLT-2)."""

PLATFORM_TAG_ADDRESS = {
    "AzurePlatformDNS": PLATFORM_ADDRESS,
    "AzurePlatformIMDS": METADATA_ADDRESS,
    "AzurePlatformLKM": PLATFORM_ADDRESS,
}

_NOT_PUBLIC = IntervalSet.of_prefixes(tags.NOT_PUBLIC)

_DEFAULTS: tuple[tuple[str, int, arm.Direction, arm.Access, str, str], ...] = (
    ("AllowVnetInBound", 65000, "Inbound", "Allow", "VirtualNetwork", "VirtualNetwork"),
    ("AllowAzureLoadBalancerInBound", 65001, "Inbound", "Allow", "AzureLoadBalancer", "*"),
    ("DenyAllInBound", 65500, "Inbound", "Deny", "*", "*"),
    ("AllowVnetOutBound", 65000, "Outbound", "Allow", "VirtualNetwork", "VirtualNetwork"),
    ("AllowInternetOutBound", 65001, "Outbound", "Allow", "*", "Internet"),
    ("DenyAllOutBound", 65500, "Outbound", "Deny", "*", "*"),
)

DEFAULT_RULES: dict[str, arm.SecurityRule] = {
    name: arm.SecurityRule(
        priority=priority,
        direction=direction,
        access=access,
        protocol="*",
        sourcePortRange=("*",),
        destinationPortRange=("*",),
        sourceAddressPrefix=(source,),
        destinationAddressPrefix=(destination,),
    )
    for name, priority, direction, access, source, destination in _DEFAULTS
}
"""The six rules that every NSG ends with (NSG-7, NSG-8, NSG-9)."""


class Context(Struct, frozen=True):
    """Where rules are applied: a virtual network, and the route table of the subnet (NSG-25)."""

    virtualNetwork: str
    routeTable: str | None

    @classmethod
    def of(cls, subnet: Subnet) -> Context:
        """The context of a subnet; NSGs of its NICs are read in it too."""
        return cls(subnet.virtualNetwork, subnet.routeTable)


class EffectiveRule(Struct, frozen=True):
    """One security rule with everything expanded."""

    networkSecurityGroup: str
    name: str
    priority: int
    direction: arm.Direction
    access: arm.Access
    protocol: arm.SecurityRuleProtocol
    sources: IntervalSet
    destinations: IntervalSet
    sourcePorts: IntervalSet
    destinationPorts: IntervalSet
    isDefault: bool
    platformTag: str | None = None
    """The rule names a platform tag: it applies to traffic to the platform, which no other rule does (PLT-4)."""

    def applies_without_ports(self) -> bool:
        """Can it match a packet that has no ports, such as ICMP? (NSG-10, NSG-12)."""
        if self.protocol in ("Icmp", "Esp", "Ah"):
            return True
        return self.sourcePorts == EVERY_PORT and self.destinationPorts == EVERY_PORT

    def mismatch(self, packet: Packet) -> str | None:
        """Why the rule does not match the packet, in plain words; None when it matches."""
        if self.protocol != "*" and PROTOCOLS[self.protocol] != packet.protocol:
            return f"protocol {protocol_name(packet.protocol)} is not {self.protocol}"
        if packet.has_ports:
            if packet.sourcePort not in self.sourcePorts:
                return f"source port {packet.sourcePort} is not in its ports"
            if packet.destinationPort not in self.destinationPorts:
                return f"destination port {packet.destinationPort} is not in its ports"
        elif not self.applies_without_ports():
            return f"it names ports, which {protocol_name(packet.protocol)} does not have"
        if packet.source not in self.sources:
            return f"source {dotted(packet.source)} is not in its sources"
        if packet.destination not in self.destinations:
            return f"destination {dotted(packet.destination)} is not in its destinations"
        return None


class Consideration(Struct, frozen=True):
    """A rule that was looked at, and why it did not match; None for the one that decided."""

    rule: EffectiveRule
    mismatch: str | None


def consider(rules: Iterable[EffectiveRule], packet: Packet) -> tuple[Consideration, ...]:
    """The rules in order of priority up to and including the one that decides (NSG-4)."""
    considered = []
    for rule in rules:
        mismatch = rule.mismatch(packet)
        considered.append(Consideration(rule, mismatch))
        if mismatch is None:
            break
    return tuple(considered)


def effective_rules(
    network: Network, security_group: str, context: Context, direction: arm.Direction
) -> tuple[EffectiveRule, ...]:
    """The rules of an NSG for one direction in one context, in the order of evaluation.

    A rule that names a platform tag beside other prefixes appears once for each meaning, under the same name.
    """
    written = network.scenario.networkSecurityGroups[security_group].securityRules
    found: list[EffectiveRule] = []
    expansion = Expansion(network, context)
    for group, default in ((written, False), (DEFAULT_RULES, True)):
        for name, rule in group.items():
            if rule.direction == direction:
                found += expansion.expand(security_group, name, rule, default=default)
    return tuple(sorted(found, key=lambda rule: rule.priority))


class Expansion:
    """Turns the words of rules into addresses and ports, in one context."""

    def __init__(self, network: Network, context: Context) -> None:
        self.network = network
        self.context = context
        self.virtual_network = IntervalSet.of_prefixes(virtual_network_prefixes(network, context))
        self.internet = EVERY_ADDRESS - self.virtual_network - _NOT_PUBLIC

    def expand(
        self, security_group: str, name: str, rule: arm.SecurityRule, *, default: bool
    ) -> Iterator[EffectiveRule]:
        """One rule; two when it has both platform tags and other prefixes."""
        sources = (*(rule.sourceAddressPrefix or ()), *(rule.sourceAddressPrefixes or ()))
        destinations = (*(rule.destinationAddressPrefix or ()), *(rule.destinationAddressPrefixes or ()))
        source_ports = _ports((*(rule.sourcePortRange or ()), *(rule.sourcePortRanges or ())))
        destination_ports = _ports((*(rule.destinationPortRange or ()), *(rule.destinationPortRanges or ())))
        source_groups = rule.sourceApplicationSecurityGroups or ()
        destination_groups = rule.destinationApplicationSecurityGroups or ()
        for source_tag, source_set in self._side(sources, source_groups):
            for destination_tag, destination_set in self._side(destinations, destination_groups):
                yield EffectiveRule(
                    networkSecurityGroup=security_group,
                    name=name,
                    priority=rule.priority,
                    direction=rule.direction,
                    access=rule.access,
                    protocol=rule.protocol,
                    sources=source_set,
                    destinations=destination_set,
                    sourcePorts=source_ports & _tag_ports(source_tag),
                    destinationPorts=destination_ports & _tag_ports(destination_tag),
                    isDefault=default,
                    platformTag=destination_tag or source_tag,
                )

    def _side(self, prefixes: tuple[str, ...], groups: tuple[str, ...]) -> Iterator[tuple[str | None, IntervalSet]]:
        """The addresses of one side of a rule, those of each platform tag apart."""
        if groups:
            yield None, self.members(groups)
            return
        platform = [tag for tag in map(tags.canonical, prefixes) if tag in tags.PLATFORM_TAGS]
        for tag in platform:
            assert tag is not None
            yield tag, IntervalSet.of_addresses((PLATFORM_TAG_ADDRESS[tag],))
        others = [text for text in prefixes if tags.canonical(text) not in tags.PLATFORM_TAGS]
        if others or not platform:
            # A side that the person left out is any address, as `*` is.
            addresses = IntervalSet() if others else EVERY_ADDRESS
            for text in others:
                addresses = addresses | self._addresses(text)
            yield None, addresses

    def _addresses(self, text: str) -> IntervalSet:
        if text == "*":
            return EVERY_ADDRESS
        tag = tags.canonical(text)
        if tag is None:
            return IntervalSet.of_prefixes((IPv4Network(text),))
        if tag == "VirtualNetwork":
            return self.virtual_network
        if tag == "Internet":
            return self.internet
        if tag == "AzureLoadBalancer":
            return IntervalSet.of_addresses((PLATFORM_ADDRESS,))
        return IntervalSet.of_prefixes(tags.service_prefixes(tag))

    def members(self, groups: tuple[str, ...]) -> IntervalSet:
        """Addresses of the members of ASGs, which are in one virtual network: only the context's own count (NSG-29)."""
        return IntervalSet.of_addresses(
            config.address
            for nic in self.network.nics_of(self.context.virtualNetwork)
            for config in nic.ipConfigs
            if not config.applicationSecurityGroups.isdisjoint(groups)
        )


def virtual_network_prefixes(network: Network, context: Context) -> list[IPv4Network]:
    """The tag VirtualNetwork: the network, its peers, whatever the route table names, and the platform (NSG-25)."""
    home = network.virtualNetworks[context.virtualNetwork]
    prefixes = list(home.addressSpace)
    for peering in home.peerings:
        if peering.carries_traffic:
            prefixes += network.virtualNetworks[peering.remote].addressSpace
    if context.routeTable is not None:
        routes = network.scenario.routeTables[context.routeTable].routes.values()
        prefixes += [IPv4Network(route.addressPrefix) for route in routes]
    return [*prefixes, IPv4Network(PLATFORM_ADDRESS)]


def _ports(texts: tuple[str, ...]) -> IntervalSet:
    if not texts or "*" in texts:
        return EVERY_PORT
    ranges = (text.partition("-") for text in texts)
    return IntervalSet.of((int(first), int(last or first) + 1) for first, _, last in ranges)


def _tag_ports(platform_tag: str | None) -> IntervalSet:
    if platform_tag is None:
        return EVERY_PORT
    port = tags.PLATFORM_TAGS[platform_tag]
    return IntervalSet((port, port + 1))


class Classifier:
    """Finds the deciding rule among many in time that hardly grows with their number.

    For each property of a packet (source, destination, ports, protocol) the rules that accept its value form a bit
    mask, one bit a rule in order of evaluation. The lowest bit that all masks have in common is the first match.
    """

    __slots__ = ("_destination_ports", "_destinations", "_portless", "_protocols", "_source_ports", "_sources", "rules")

    def __init__(self, rules: tuple[EffectiveRule, ...]) -> None:
        self.rules = rules
        self._sources = _Masks([rule.sources for rule in rules])
        self._destinations = _Masks([rule.destinations for rule in rules])
        self._source_ports = _Masks([rule.sourcePorts for rule in rules])
        self._destination_ports = _Masks([rule.destinationPorts for rule in rules])
        self._portless = sum(1 << bit for bit, rule in enumerate(rules) if rule.applies_without_ports())
        any_protocol = sum(1 << bit for bit, rule in enumerate(rules) if rule.protocol == "*")
        self._protocols = [any_protocol] * 256
        for bit, rule in enumerate(rules):
            if rule.protocol != "*":
                self._protocols[PROTOCOLS[rule.protocol]] |= 1 << bit

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Classifier) and self.rules == other.rules

    def __hash__(self) -> int:
        return hash(self.rules)

    def decide(self, packet: Packet) -> EffectiveRule | None:
        """The first rule that matches; None only when the rules do not end with the defaults."""
        protocol = packet.protocol
        mask = (
            self._protocols[protocol] & self._sources.find(packet.source) & self._destinations.find(packet.destination)
        )
        if protocol in (TCP, UDP):
            mask &= self._source_ports.find(packet.sourcePort) & self._destination_ports.find(packet.destinationPort)
        else:
            mask &= self._portless
        return self.rules[(mask & -mask).bit_length() - 1] if mask else None

    def candidates(self, packet: Packet) -> int:
        """The rules that match the packet but for its ports, as a bit mask."""
        mask = (
            self._protocols[packet.protocol]
            & self._sources.find(packet.source)
            & self._destinations.find(packet.destination)
        )
        return mask if packet.has_ports else mask & self._portless

    def among(self, candidates: int, source_port: int, destination_port: int) -> EffectiveRule | None:
        """The first of some rules that matches these ports."""
        return self.first(
            candidates & self._source_ports.find(source_port) & self._destination_ports.find(destination_port)
        )

    def first(self, candidates: int) -> EffectiveRule | None:
        """The first of some rules, if there is one."""
        return self.rules[(candidates & -candidates).bit_length() - 1] if candidates else None

    def port_bounds(self, candidates: int) -> tuple[set[int], set[int]]:
        """Source and destination ports at which one of some rules begins or ends to match."""
        sources: set[int] = set()
        destinations: set[int] = set()
        while candidates:
            low = candidates & -candidates
            candidates ^= low
            rule = self.rules[low.bit_length() - 1]
            sources.update(rule.sourcePorts.bounds)
            destinations.update(rule.destinationPorts.bounds)
            if rule.sourcePorts == EVERY_PORT and rule.destinationPorts == EVERY_PORT:
                break  # no rule after it is ever asked
        return sources, destinations

    def source_bounds(self) -> list[int]:
        """Source addresses at which other rules begin to match."""
        return self._sources.starts

    def destination_bounds(self) -> list[int]:
        """Destination addresses at which other rules begin to match."""
        return self._destinations.starts


class _Masks:
    """For every number, which of several sets contain it."""

    __slots__ = ("masks", "starts")

    def __init__(self, sets: list[IntervalSet]) -> None:
        toggles: dict[int, int] = {0: 0}
        for bit, members in enumerate(sets):
            for place in members.bounds:
                toggles[place] = toggles.get(place, 0) ^ 1 << bit
        self.starts = sorted(toggles)
        self.masks: list[int] = []
        mask = 0
        for place in self.starts:
            mask ^= toggles[place]
            self.masks.append(mask)

    def find(self, number: int) -> int:
        return self.masks[bisect_right(self.starts, number) - 1]
