"""A director: the namespace that spreads the flows of a virtual network's load balancers (LB-1…LB-24).

It is the same namespace that is 168.63.129.16 of that network. A packet in it goes by the link of its kind, whatever
the addresses; what becomes of a flow is decided by its ruleset (`director_rules`).
"""

from __future__ import annotations

from collections.abc import Iterator

from netemu.azure.network import PLATFORM_ADDRESS, LoadBalancer, Network
from netemu.compile import virtual_services
from netemu.compile.director_rules import director_rules
from netemu.compile.directors import FRONT, GUEST, REPLIES, REQUESTS, Director
from netemu.compile.numbering import (
    EDGE,
    FABRIC,
    LINK_MAC,
    MEMBER_MASK,
    NEXT_HOP,
    RULE_PRIORITY,
    TABLE_BASE,
    UNCHANGED,
    Numbering,
    platform_namespace,
    table_key,
)
from netemu.compile.routes import by_link
from netemu.compile.times import seconds
from netemu.compile.virtual_services import by_ipvs, group_name
from netemu.linux.slots import size_for
from netemu.linux.state import Address, Balancing, End, Group, Namespace, Neighbour, Route, Rule, Veth

PLATFORM_INDEX, PLATFORM_TABLE = 2, 100
FROM_PLATFORM, BY_REPLY_LINK, BY_REQUEST_LINK = 10, 50, 30_000
"""Priorities of rules, around those of the marks that lead to single NICs."""

DIRECTOR_SYSCTLS = {"ipv4/ip_forward": "1", "ipv4/conf/all/accept_local": "1"}
"""A guest that has a frontend's address on its loopback answers from it; with IPVS it is the director's as well."""
CONNTRACK_SETTINGS = {
    "netfilter/nf_conntrack_tcp_loose": "0",
    "netfilter/nf_conntrack_tcp_be_liberal": "1",
}
"""A packet in the middle of a TCP connection that is not known is nobody's (LB-23); windows are not the director's
matter (LB-1)."""
TIMEOUTS = (
    "netfilter/nf_conntrack_tcp_timeout_established",
    "netfilter/nf_conntrack_udp_timeout",
    "netfilter/nf_conntrack_udp_timeout_stream",
)
DEFAULT_MINUTES = 4
"""For flows whose rule has got another idle time since they began; every rule says its own."""
IPVS_SETTINGS = {"ipv4/vs/conntrack": "1", "ipv4/vs/expire_nodest_conn": "1", "ipv4/vs/snat_reroute": "0"}
"""Flows of IPVS are tracked too: idle times and marks are conntrack's. Flows of a destination that is taken away go to
another one. Replies leave by the way that they were routed."""


def link_pairs(each: Director, numbers: Numbering) -> Iterator[Veth]:
    """A director's links: to the fabric, and to the edge."""
    for key in each.links(numbers.tables_of(each.virtual_network)):
        name, index = numbers.director_link[key], numbers.director_index[key]
        near = End(platform_namespace(each.virtual_network), name, index, LINK_MAC, noarp=True)
        if key.startswith(f"{FRONT}/"):
            yield Veth(near, End(EDGE, name, numbers.edge_index[key], LINK_MAC, noarp=True))
        else:
            yield Veth(near, End(FABRIC, name, numbers.port_index[name], LINK_MAC, noarp=True))


def direct(namespace: Namespace, network: Network, each: Director, numbers: Numbering, engine: str) -> None:
    """Make a platform's namespace a director, too. `engine` is `ipvs` or `nftables`."""
    served = by_ipvs(each) if engine == "ipvs" else []
    namespace.sysctls |= DIRECTOR_SYSCTLS
    idle = {name: str(seconds(network, DEFAULT_MINUTES)) for name in TIMEOUTS}
    namespace.settings |= CONNTRACK_SETTINGS | idle | (IPVS_SETTINGS if engine == "ipvs" else {})
    namespace.routes, namespace.rules = _routing(each, numbers)
    links = each.links(numbers.tables_of(each.virtual_network))
    namespace.neighbours += [Neighbour(numbers.director_index[key], NEXT_HOP, LINK_MAC) for key in links]
    namespace.addresses += [Address(1, a, 32) for a in dict.fromkeys(int(r.frontend.address) for r in served)]
    namespace.ruleset = director_rules(network, each, numbers, served)
    namespace.balancing = Balancing(
        groups=tuple(_groups(network.loadBalancers, each, numbers, {rule.path for rule in served})),
        services=tuple(virtual_services.services(each, numbers)) if engine == "ipvs" else (),
        timeouts=virtual_services.timeouts(network, each) if engine == "ipvs" else None,
        rules=tuple(numbers.rule_of(each.virtual_network, rule) for rule in each.every_rule()),
        resets={
            numbers.rule_of(each.virtual_network, rule): seconds(network, rule.idleTimeoutInMinutes)
            for rule in each.every_rule()
            if rule.enableTcpReset and rule.frontendPort  # not for HA ports (LB-23)
        },
        ways=dict(_ways(each, numbers)),
    )


def _ways(each: Director, numbers: Numbering) -> Iterator[tuple[int, tuple[str, str]]]:
    """By which links packets get to a member, and its answers from it."""
    requests = numbers.director_link[f"{REQUESTS}/{each.virtual_network}"]
    for path, member in each.members().items():
        there = numbers.director_link.get(f"{GUEST}/{member.nic.name}", requests)
        subnet = member.nic.subnet
        back = numbers.director_link[f"{REPLIES}/{table_key(subnet.virtualNetwork, subnet.routeTable)}"]
        yield numbers.member[path], (there, back)


def _routing(each: Director, numbers: Numbering) -> tuple[list[Route], list[Rule]]:
    requests = numbers.director_index[f"{REQUESTS}/{each.virtual_network}"]
    routes = [by_link(PLATFORM_INDEX, 0, 0, PLATFORM_TABLE), by_link(requests, 0, 0)]
    rules = [Rule(FROM_PLATFORM, 0, 0, PLATFORM_TABLE, source=int(PLATFORM_ADDRESS))]
    for key in each.links(numbers.tables_of(each.virtual_network)):
        kind, _, rest = key.partition("/")
        link, index = numbers.director_link[key], numbers.director_index[key]
        routes.append(by_link(index, 0, 0, TABLE_BASE + index))
        if kind == REPLIES:
            rules.append(Rule(BY_REPLY_LINK, 0, 0, TABLE_BASE + index, iif=link))
        elif kind in (REQUESTS, FRONT):
            rules.append(Rule(BY_REQUEST_LINK, 0, 0, TABLE_BASE + requests, iif=link))
        elif kind == GUEST:
            members = [number for path, number in numbers.member.items() if path.partition("/")[0] == rest]
            rules += [
                Rule(RULE_PRIORITY + number, UNCHANGED | number, UNCHANGED | MEMBER_MASK, TABLE_BASE + index)
                for number in members
            ]
    return routes, rules


def _groups(
    balancers: dict[str, LoadBalancer], each: Director, numbers: Numbering, served: set[str]
) -> Iterator[Group]:
    """Each pool, as each probe of its rules sees it."""
    by_name: dict[str, list[int]] = {}
    for position, rule in enumerate(each.rules):
        by_name.setdefault(group_name(rule), []).append(position)
    for name, positions in by_name.items():
        rules = [each.rules[position] for position in positions]
        pool, probe = rules[0].pool, rules[0].probe
        yield Group(
            name=name,
            members=tuple(numbers.member[member.path] for member in pool.members),
            labels=tuple(member.path for member in pool.members),
            rules=tuple(numbers.rule_of(each.virtual_network, rule) for rule in rules),
            slots=size_for(len(pool.members)) if any(rule.path not in served for rule in rules) else 0,
            revives=probe is not None and probe.noHealthyBackendsBehavior == "AllProbedUp",
            lasts=balancers[pool.loadBalancer].sku == "Standard" and len(pool.members) > 1,
        )
