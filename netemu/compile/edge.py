"""The edge: translation between virtual networks and the internet. A flow passes here once.

Each virtual network has a link and a conntrack zone of its own, in both directions: networks with equal addresses
never meet. On the internet's side a packet's zone is that of the network to which its public address belongs.

What is for a public frontend of a load balancer goes to the director of its network as it is, and comes back from the
fabric as the director has made it: untracked, because both ends keep their ports, and a port of a frontend may also be
what a backend's own flow is translated to.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address

from netemu.azure.network import PLATFORM_ADDRESS, Network
from netemu.compile.directors import FRONT, Director, directors, home
from netemu.compile.fabric import PRIVATE, ROUTER_SYSCTLS, TABLE
from netemu.compile.nft_text import named_map, named_set
from netemu.compile.numbering import (
    EDGE,
    INTERNET,
    LINK_MAC,
    NEXT_HOP,
    REPLY,
    RULE_PRIORITY,
    TABLE_BASE,
    TABLE_MASK,
    Numbering,
)
from netemu.compile.outbound import compile_outbound, gateway_addresses
from netemu.compile.routes import by_link
from netemu.compile.times import seconds
from netemu.linux.state import End, Namespace, Neighbour, Rule, Veth

UPLINK = "internet"
UPLINK_INDEX = 2

PROTOCOLS = {"Tcp": ("tcp",), "Udp": ("udp",), "All": ("tcp", "udp")}
UDP_TIMEOUTS = ("netfilter/nf_conntrack_udp_timeout", "netfilter/nf_conntrack_udp_timeout_stream")
UDP_MINUTES = 4
"""OUT-15, OUT-30; the kernel has 30 and 120 seconds."""


def compile_edge(network: Network, numbers: Numbering) -> tuple[Namespace, list[Veth]]:
    """The edge's namespace and its link to the internet."""
    settings = dict.fromkeys(UDP_TIMEOUTS, str(seconds(network, UDP_MINUTES)))
    edge = Namespace(name=EDGE, sysctls=dict(ROUTER_SYSCTLS), settings=settings)
    edge.routes = [by_link(UPLINK_INDEX, 0, 0)]
    edge.neighbours = [Neighbour(UPLINK_INDEX, NEXT_HOP, LINK_MAC)]
    for name, number in numbers.vnet.items():
        edge.routes.append(by_link(numbers.edge_index[name], 0, 0, TABLE_BASE + number))
        edge.neighbours.append(Neighbour(numbers.edge_index[name], NEXT_HOP, LINK_MAC))
        edge.rules.append(Rule(RULE_PRIORITY + number, number, TABLE_MASK, TABLE_BASE + number))
    busy = {name: each for name, each in directors(network).items() if each.is_public}
    for name in busy:
        number = REPLY | numbers.vnet[name]
        index = numbers.edge_index[f"{FRONT}/{name}"]
        edge.routes.append(by_link(index, 0, 0, TABLE_BASE + number))
        edge.neighbours.append(Neighbour(index, NEXT_HOP, LINK_MAC))
        edge.rules.append(Rule(RULE_PRIORITY + number, number, TABLE_MASK, TABLE_BASE + number))
    edge.ruleset = "\n".join([*_ruleset(network, numbers, busy), ""])
    uplink = Veth(End(EDGE, UPLINK, UPLINK_INDEX, LINK_MAC, noarp=True), End(INTERNET, "edge", 2, LINK_MAC, noarp=True))
    return edge, [uplink]


def public_addresses(network: Network) -> Iterator[tuple[IPv4Address, str]]:
    """Every public address that is in use, and the virtual network that it belongs to."""
    for nic, config in network.addresses():
        if config.publicIP is not None:
            yield config.publicIP.address, nic.subnet.virtualNetwork
        if config.defaultOutbound is not None:
            yield config.defaultOutbound, nic.subnet.virtualNetwork
    for balancer in network.loadBalancers.values():
        owner = home(balancer)
        for frontend in balancer.frontends.values():
            if frontend.is_public and owner is not None:
                for address in frontend.addresses:
                    yield address, owner
    yield from gateway_addresses(network)


def _balanced(network: Network, numbers: Numbering, busy: dict[str, Director]) -> Iterator[str]:
    """Frontend, protocol and port to the mark that leads to the director; those that lead to nobody."""
    ways = {
        f"{rule.frontend.address} . {protocol} . {rule.frontendPort} : {REPLY | numbers.vnet[name]:#x}": None
        for name, each in busy.items()
        for rule in each.every_rule()
        if rule.frontend.is_public
        for protocol in PROTOCOLS[rule.protocol]
    }
    lonely = {
        f"{rule.frontend.address} . {protocol} . {rule.frontendPort}": None
        for balancer in network.loadBalancers.values()
        if balancer.is_public and home(balancer) is None
        for rule in balancer.loadBalancingRules.values()
        for protocol in PROTOCOLS[rule.protocol]
    }
    addresses = (f.address for b in network.loadBalancers.values() for f in b.frontends.values() if f.publicIP)
    yield from named_map("balanced", "ipv4_addr . inet_proto . inet_service : mark", ways)
    yield from named_set("deserted", "ipv4_addr . inet_proto . inet_service", lonely)
    yield from named_set("frontends", "ipv4_addr", dict.fromkeys(map(str, addresses)))


def _ruleset(network: Network, numbers: Numbering, busy: dict[str, Director]) -> Iterator[str]:
    owned = list(dict.fromkeys(public_addresses(network)))
    inbound, one_to_one, shared = [], [], []
    for nic, config in network.addresses():
        link = numbers.edge_link[nic.subnet.virtualNetwork]
        if config.publicIP is not None:
            inbound.append(f"{config.publicIP.address} : {config.address}")
            one_to_one.append(f'"{link}" . {config.address} : {config.publicIP.address}')
        elif config.defaultOutbound is not None:
            shared.append(f'"{link}" . {config.address} : {config.defaultOutbound}')
    yield f"table ip {TABLE} {{"
    yield from named_map("owner_mark", "ipv4_addr : mark", [f"{a} : {numbers.vnet[v]}" for a, v in owned])
    # ct zone takes its value from anonymous maps only, and those lose packets when they change: so a chain for each.
    for number in numbers.vnet.values():
        yield f"chain zone{number} {{\n ct zone set {number}\n}}"
    yield from named_map("zone_of", "ipv4_addr : verdict", [f"{a} : goto zone{numbers.vnet[v]}" for a, v in owned])
    links = [f'"{link}" : goto zone{numbers.vnet[name]}' for name, link in numbers.edge_link.items()]
    yield from named_map("zone_of_link", "ifname : verdict", links)
    yield from named_map("inbound", "ipv4_addr : ipv4_addr", inbound)
    yield from named_map("one_to_one", "ifname . ipv4_addr : ipv4_addr", one_to_one)
    yield from named_map("default_outbound", "ifname . ipv4_addr : ipv4_addr", shared)
    yield from compile_outbound(network, numbers)
    yield from named_set("public", "ipv4_addr", (str(address) for address, _ in owned))
    if any(frontend.publicIP for frontend in network.frontends()):
        yield from _balanced(network, numbers, busy)
        yield f"""chain whole {{
 type filter hook prerouting priority -450; policy accept;
 iifname "{UPLINK}" ip daddr @frontends ip frag-off & 0x3fff != 0 counter drop comment "fragment to a frontend"
}}
chain from_director {{
 meta mark set 0
}}
chain frontend {{
 type filter hook prerouting priority -305; policy accept;
 iifname "{UPLINK}" ip saddr != {{ {PRIVATE}, {PLATFORM_ADDRESS} }} jump to_frontend
 iifname != "{UPLINK}" meta mark set ip saddr . ip protocol . th sport map @balanced notrack goto from_director
}}
chain to_frontend {{
 meta mark set ip daddr . ip protocol . th dport map @balanced notrack return
 ip daddr . ip protocol . th dport @deserted counter drop comment "no healthy backend"
}}
chain no_rule {{
 type filter hook forward priority -5; policy accept;
 iifname "{UPLINK}" ct state new ip daddr @frontends counter drop comment "no load-balancing rule"
}}"""
    yield f"""chain arrive {{
 type filter hook prerouting priority -300; policy accept;
 iifname "{UPLINK}" ip saddr {{ {PRIVATE}, {PLATFORM_ADDRESS} }} counter drop comment "private source"
 meta mark != 0 accept
 iifname "{UPLINK}" ip daddr != @public counter drop comment "nobody has this public address"
 iifname "{UPLINK}" meta mark set ip daddr map @owner_mark
 iifname != "{UPLINK}" ip daddr {{ {PRIVATE} }} counter drop comment "private destination"
 ct state untracked accept
 iifname "{UPLINK}" ip daddr vmap @zone_of
 iifname vmap @zone_of_link
}}
chain inward {{
 type nat hook prerouting priority -100; policy accept;
 iifname "{UPLINK}" dnat to ip daddr map @inbound
}}
chain unsolicited {{
 type filter hook forward priority 0; policy accept;
 iifname != "{UPLINK}" accept
 ct state untracked accept
 ip protocol {{ 4, 47 }} ct status & dnat != 0 counter drop comment "protocol"
 ct status & (dnat | seen-reply) != 0 accept
 ct state related accept
 counter drop comment "outbound only"
}}
chain outward {{
 type nat hook postrouting priority 100; policy accept;
 oifname "{UPLINK}" iifname . ip saddr vmap @gateways
 oifname "{UPLINK}" snat to iifname . ip saddr map @one_to_one
 oifname "{UPLINK}" snat ip to iifname . ip saddr . ip protocol map @shares
 oifname "{UPLINK}" meta l4proto {{ tcp, udp }} snat to iifname . ip saddr map @default_outbound
}}
chain leave {{
 type filter hook postrouting priority 300; policy accept;
 oifname "{UPLINK}" ip saddr != @public counter drop comment "no outbound translation"
 oifname != "{UPLINK}" iifname != "{UPLINK}" counter drop comment "between links"
}}
}}"""
