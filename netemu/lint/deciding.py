"""Which packets each security rule decides, wherever its NSG is: exact, with a witness or with the rules that take all.

An NSG means different addresses in different places (`Context`), and at each it is asked about some packets only:
inbound about what goes to an address there, outbound about what comes from one. An appliance's NIC has every address.
The platform's addresses are exempt outbound but for rules that name a platform tag, which are asked by themselves.
Sources: Azure rules NSG-4, NSG-15, NSG-17, NSG-18, NSG-25, NSG-29, NIC-7, PLT-4, ARP-3.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Network

from msgspec import Struct

from netemu.azure import resources as arm
from netemu.azure.coverage import Region, everything, have_common, meet, packet_in, packets_in, regions_of, uncovered
from netemu.azure.flow import Packet
from netemu.azure.network import PLATFORM_ADDRESS, Frontend, Member, Network, Nic
from netemu.azure.prefixes import EVERY_ADDRESS, IntervalSet
from netemu.azure.security import METADATA_ADDRESS, Classifier, Context, EffectiveRule, effective_rules

PLATFORM = IntervalSet.of_addresses((PLATFORM_ADDRESS, METADATA_ADDRESS))
NEVER_SENT = IntervalSet.of_prefixes((IPv4Network("224.0.0.0/3"),))
"""Multicast and broadcast are dropped before any NSG is asked (ARP-3)."""


class Gate:
    """The rules of an NSG in one direction at one kind of place, and the packets that they are asked about."""

    def __init__(
        self, context: Context, rules: tuple[EffectiveRule, ...], asked: tuple[Region, ...], *, platform: bool = False
    ) -> None:
        self.context = context
        self.asked = asked
        self.platform = platform
        """Only rules that name platform tags; what none of them matches is let pass (PLT-4)."""
        self.classifier = Classifier(rules)
        # A rule that names platform tags beside other prefixes has several meanings under one name.
        self.meanings: dict[str, list[EffectiveRule]] = {}
        for rule in rules:
            self.meanings.setdefault(rule.name, []).append(rule)
        self.rules = [meanings[0] for meanings in self.meanings.values()]
        """One meaning of each rule, in order of evaluation."""
        self.regions = [
            tuple(region for meaning in meanings for region in regions_of(meaning))
            for meanings in self.meanings.values()
        ]
        """The packets that each rule matches."""

    def own(self, place: int) -> tuple[Region, ...]:
        """The packets that one rule matches and may be asked about."""
        return meet(self.regions[place], self.asked)

    def witness(self, place: int, liked: tuple[int, ...] = ()) -> Packet | None:
        """A packet that this rule decides; None when there is none. Raises Undecided."""
        for packet in self._samples(place, liked):
            return packet
        left = uncovered(self.own(place), self._regions(0, place))
        return packet_in(left, liked) if left is not None else None

    def needed(self, place: int, liked: tuple[int, ...] = ()) -> Packet | None:
        """A packet that would fare otherwise without this rule; None when there is none. Raises Undecided."""
        rule, own = self.rules[place], self.own(place)
        for packet in self._samples(place, liked):
            if self._access_without(place, packet) != rule.access:
                return packet
        before = self._regions(0, place)
        for later in range(place + 1, len(self.rules)):
            if self.rules[later].access != rule.access:
                left = uncovered(meet(own, self.regions[later]), before)
                if left is not None:
                    return packet_in(left, liked)
            before += self.regions[later]
        left = uncovered(own, before) if self.platform and rule.access == "Deny" else None
        return packet_in(left, liked) if left is not None else None

    def covering(self, place: int) -> list[EffectiveRule]:
        """Rules before one that together take all that it matches, and none of which can be left out."""
        own = self.own(place)
        near = [other for other in range(place) if have_common(own, self.regions[other])]
        for other in near:
            if uncovered(own, self.regions[other]) is None:
                return [self.rules[other]]
        kept = near
        for other in reversed(near):
            fewer = [each for each in kept if each != other]
            if uncovered(own, [region for each in fewer for region in self.regions[each]]) is None:
                kept = fewer
        return [self.rules[each] for each in kept]

    def successors(self, place: int) -> list[EffectiveRule]:
        """Later rules that would decide something of what this one decides, if it were not there."""
        own, before = self.own(place), self._regions(0, place)
        found = []
        for later in range(place + 1, len(self.rules)):
            if uncovered(meet(own, self.regions[later]), before) is not None:
                found.append(self.rules[later])
            before += self.regions[later]
        return found

    def _regions(self, start: int, end: int) -> list[Region]:
        return [region for regions in self.regions[start:end] for region in regions]

    def _samples(self, place: int, liked: tuple[int, ...]) -> Iterator[Packet]:
        """Packets that the rule decides among those that are tried at once, which is nearly always enough."""
        name = self.rules[place].name
        for region in self.own(place):
            for packet in (packet_in(region, liked), *packets_in(region)):
                decider = self.classifier.decide(packet)
                if decider is not None and decider.name == name:
                    yield packet

    def _access_without(self, place: int, packet: Packet) -> arm.Access | None:
        """What the later rules say to a packet."""
        for rule, regions in zip(self.rules[place + 1 :], self.regions[place + 1 :], strict=True):
            if any(packet in region for region in regions):
                return rule.access
        return "Allow" if self.platform else None


class Use(Struct, frozen=True):
    """Where an NSG is asked: in one context, about packets of these addresses."""

    context: Context
    addresses: IntervalSet


def uses(network: Network) -> dict[str, list[Use]]:
    """Every NSG that is associated to something, and where."""
    found: dict[str, dict[Context, IntervalSet]] = {}

    def use(group: str | None, context: Context, addresses: IntervalSet) -> None:
        if group is not None:
            places = found.setdefault(group, {})
            places[context] = places.get(context, IntervalSet()) | addresses

    for subnet in network.subnets():
        use(subnet.networkSecurityGroup, Context.of(subnet), IntervalSet.of_prefixes((subnet.prefix,)))
    for member, frontend in _floating(network):
        context = Context.of(member.nic.subnet)
        for group in (member.nic.networkSecurityGroup, member.nic.subnet.networkSecurityGroup):
            use(group, context, IntervalSet.of_addresses(frontend.addresses))
    for nic in network.nics.values():
        context = Context.of(nic.subnet)
        use(nic.networkSecurityGroup, context, _addresses(nic))
        if nic.enableIPForwarding:
            use(nic.subnet.networkSecurityGroup, context, EVERY_ADDRESS)
    return {
        group: [Use(context, addresses) for context, addresses in places.items()] for group, places in found.items()
    }


def _floating(network: Network) -> Iterator[tuple[Member, Frontend]]:
    """Backends that get packets with the frontend's address, which their NSGs see then (LB-16, NSG-19)."""
    for balancer in network.loadBalancers.values():
        for rule in balancer.loadBalancingRules.values():
            if rule.enableFloatingIP:
                yield from ((member, rule.frontend) for member in rule.pool.members)
        for nat in balancer.inboundNatRules.values():
            if nat.enableFloatingIP:
                yield nat.member, nat.frontend


def _addresses(nic: Nic) -> IntervalSet:
    if nic.enableIPForwarding:
        return EVERY_ADDRESS
    return IntervalSet.of_addresses(config.address for config in nic.ipConfigs)


def gates(network: Network, group: str, where: list[Use], direction: arm.Direction) -> Iterator[Gate]:
    """The gates that an NSG makes in one direction."""
    for use in where:
        rules = effective_rules(network, group, use.context, direction)
        if direction == "Inbound":
            yield Gate(use.context, rules, everything(destinations=use.addresses))
            continue
        ordinary = EVERY_ADDRESS - PLATFORM - NEVER_SENT
        yield Gate(use.context, rules, everything(sources=use.addresses, destinations=ordinary))
        named = tuple(rule for rule in rules if rule.platformTag is not None)
        if named:
            asked = everything(sources=use.addresses, destinations=PLATFORM)
            yield Gate(use.context, named, asked, platform=True)
