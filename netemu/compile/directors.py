"""What the load balancers of each virtual network ask of its director, the namespace that spreads their flows.

A director has links of several kinds, each a veth pair with the same name at both ends:

    requests/<network>      what clients send to internal frontends comes in, what is for backends goes out
    front/<network>         from the edge: what clients send to public frontends
    replies/<table key>     what backends answer, one link for each route table of the network: translated back, it
                            leaves by the link that it came in by, and is routed as that subnet routes (PIPE-6, OUT-22)
    hop/<lb>/<frontend>     what routes send to a frontend as their next hop (RT-7, NVA-6)
    guest/<nic>             to one NIC, whatever the destination address: what is not translated goes out (LB-16, LB-18)
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address

from msgspec import Struct, field

from netemu.azure.network import Frontend, InboundNatRule, LoadBalancer, LoadBalancingRule, Member, Network

REQUESTS, FRONT, REPLIES, HOP, GUEST = "requests", "front", "replies", "hop", "guest"


class Director(Struct):
    """One virtual network's share of the load balancers."""

    virtual_network: str
    frontends: list[Frontend] = field(default_factory=list)
    """The internal ones of this network, and the public ones that lead into it."""
    rules: list[LoadBalancingRule] = field(default_factory=list)
    nat_rules: list[InboundNatRule] = field(default_factory=list)
    hops: dict[str, LoadBalancingRule] = field(default_factory=dict)
    """HA ports rules by the path of the frontend that is some route's next hop."""

    @property
    def is_public(self) -> bool:
        """Is anything of it on the internet?"""
        return any(frontend.is_public for frontend in self.frontends)

    def every_rule(self) -> list[LoadBalancingRule | InboundNatRule]:
        """Both kinds."""
        return [*self.rules, *self.nat_rules]

    def members(self) -> dict[str, Member]:
        """Everyone who may get packets, by path."""
        found = {member.path: member for rule in self.rules for member in rule.pool.members}
        return found | {rule.member.path: rule.member for rule in self.nat_rules}

    def guests(self) -> list[str]:
        """The NICs that get packets which are not for their own addresses."""
        rules = [rule for rule in self.rules if rule.enableFloatingIP or rule.frontend.path in self.hops]
        found = dict.fromkeys(member.nic.name for rule in rules for member in rule.pool.members)
        return list(found | dict.fromkeys(rule.member.nic.name for rule in self.nat_rules if rule.enableFloatingIP))

    def links(self, tables: list[str]) -> Iterator[str]:
        """The keys of its links; `tables` are the keys of its network's route tables."""
        yield f"{REQUESTS}/{self.virtual_network}"
        if self.is_public:
            yield f"{FRONT}/{self.virtual_network}"
        yield from (f"{REPLIES}/{key}" for key in tables)
        yield from (f"{HOP}/{path}" for path in self.hops)
        yield from (f"{GUEST}/{nic}" for nic in self.guests())


def home(balancer: LoadBalancer) -> str | None:
    """The virtual network of a load balancer: its internal frontends', or its backends'. None while it has neither."""
    for frontend in balancer.frontends.values():
        if frontend.subnet is not None:
            return frontend.subnet.virtualNetwork
    members = [member for pool in balancer.pools.values() for member in pool.members]
    members += [rule.member for rule in balancer.inboundNatRules.values()]
    return members[0].nic.subnet.virtualNetwork if members else None


def directors(network: Network) -> dict[str, Director]:
    """The directors, by virtual network; only those that there is work for."""
    hops = {
        IPv4Address(route.nextHopIpAddress)
        for table in network.scenario.routeTables.values()
        for route in table.routes.values()
        if route.nextHopIpAddress is not None
    }
    result: dict[str, Director] = {}
    for balancer in network.loadBalancers.values():
        where = home(balancer)
        rules, nat_rules = balancer.loadBalancingRules.values(), balancer.inboundNatRules.values()
        if where is None or (balancer.is_public and not rules and not nat_rules):
            continue
        director = result.setdefault(where, Director(where))
        director.frontends += [f for f in balancer.frontends.values() if f.publicIPPrefix is None]
        director.rules += rules
        director.nat_rules += nat_rules
        for rule in rules:
            if rule.is_ha_ports and rule.frontend.address in hops:
                director.hops.setdefault(rule.frontend.path, rule)
    return {name: result[name] for name in network.virtualNetworks if name in result}
