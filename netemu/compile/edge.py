"""The edge: translation between virtual networks and the internet. A flow passes here once.

Each virtual network has a link and a conntrack zone of its own, in both directions: networks with equal addresses
never meet. On the internet's side a packet's zone is that of the network to which its public address belongs.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address

from netemu.azure.network import PLATFORM_ADDRESS, Network
from netemu.compile.fabric import PRIVATE, ROUTER_SYSCTLS, TABLE
from netemu.compile.numbering import (
    EDGE,
    INTERNET,
    LINK_MAC,
    NEXT_HOP,
    RULE_PRIORITY,
    TABLE_BASE,
    TABLE_MASK,
    Numbering,
)
from netemu.compile.routes import by_link
from netemu.linux.state import End, Namespace, Neighbour, Rule, Veth

UPLINK = "internet"
UPLINK_INDEX = 2

UDP_TIMEOUTS = {"netfilter/nf_conntrack_udp_timeout": "240", "netfilter/nf_conntrack_udp_timeout_stream": "240"}
"""Seconds; four minutes, as on Azure (OUT-15, OUT-30), where the kernel has 30 and 120."""


def compile_edge(network: Network, numbers: Numbering) -> tuple[Namespace, list[Veth]]:
    """The edge's namespace and its link to the internet."""
    edge = Namespace(name=EDGE, sysctls=dict(ROUTER_SYSCTLS), settings=dict(UDP_TIMEOUTS))
    edge.routes = [by_link(UPLINK_INDEX, 0, 0)]
    edge.neighbours = [Neighbour(UPLINK_INDEX, NEXT_HOP, LINK_MAC)]
    for name, number in numbers.vnet.items():
        edge.routes.append(by_link(numbers.edge_index[name], 0, 0, TABLE_BASE + number))
        edge.neighbours.append(Neighbour(numbers.edge_index[name], NEXT_HOP, LINK_MAC))
        edge.rules.append(Rule(RULE_PRIORITY + number, number, TABLE_MASK, TABLE_BASE + number))
    edge.ruleset = "\n".join([*_ruleset(network, numbers), ""])
    uplink = Veth(End(EDGE, UPLINK, UPLINK_INDEX, LINK_MAC, noarp=True), End(INTERNET, "edge", 2, LINK_MAC, noarp=True))
    return edge, [uplink]


def public_addresses(network: Network) -> Iterator[tuple[IPv4Address, str]]:
    """Every public address that is in use, and the virtual network that it belongs to."""
    for nic, config in network.addresses():
        if config.publicIP is not None:
            yield config.publicIP.address, nic.subnet.virtualNetwork
        if config.defaultOutbound is not None:
            yield config.defaultOutbound, nic.subnet.virtualNetwork


def _map(name: str, kind: str, members: list[str]) -> str:
    content = f"\n elements = {{ {', '.join(members)} }}" if members else ""
    return f"map {name} {{\n type {kind}{content}\n}}"


def _ruleset(network: Network, numbers: Numbering) -> Iterator[str]:
    owned = list(public_addresses(network))
    inbound, one_to_one, shared = [], [], []
    for nic, config in network.addresses():
        link = numbers.edge_link[nic.subnet.virtualNetwork]
        if config.publicIP is not None:
            inbound.append(f"{config.publicIP.address} : {config.address}")
            one_to_one.append(f'"{link}" . {config.address} : {config.publicIP.address}')
        elif config.defaultOutbound is not None:
            shared.append(f'"{link}" . {config.address} : {config.defaultOutbound}')
    yield f"table ip {TABLE} {{"
    yield _map("owner_mark", "ipv4_addr : mark", [f"{a} : {numbers.vnet[v]}" for a, v in owned])
    # ct zone takes its value from anonymous maps only, and those lose packets when they change: so a chain for each.
    for number in numbers.vnet.values():
        yield f"chain zone{number} {{\n ct zone set {number}\n}}"
    yield _map("zone_of", "ipv4_addr : verdict", [f"{a} : goto zone{numbers.vnet[v]}" for a, v in owned])
    links = [f'"{link}" : goto zone{numbers.vnet[name]}' for name, link in numbers.edge_link.items()]
    yield _map("zone_of_link", "ifname : verdict", links)
    yield _map("inbound", "ipv4_addr : ipv4_addr", inbound)
    yield _map("one_to_one", "ifname . ipv4_addr : ipv4_addr", one_to_one)
    yield _map("default_outbound", "ifname . ipv4_addr : ipv4_addr", shared)
    public = ", ".join(str(address) for address, _ in owned)
    public_elements = f"\n elements = {{ {public} }}" if public else ""
    yield f"""set public {{
 type ipv4_addr{public_elements}
}}
chain arrive {{
 type filter hook prerouting priority -300; policy accept;
 iifname "{UPLINK}" ip saddr {{ {PRIVATE}, {PLATFORM_ADDRESS} }} counter drop comment "private source"
 iifname "{UPLINK}" ip daddr != @public counter drop comment "nobody has this public address"
 iifname "{UPLINK}" meta mark set ip daddr map @owner_mark
 iifname != "{UPLINK}" ip daddr {{ {PRIVATE} }} counter drop comment "private destination"
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
 ct status & (dnat | seen-reply) != 0 accept
 ct state related accept
 counter drop comment "outbound only"
}}
chain outward {{
 type nat hook postrouting priority 100; policy accept;
 oifname "{UPLINK}" snat to iifname . ip saddr map @one_to_one
 oifname "{UPLINK}" meta l4proto {{ tcp, udp }} snat to iifname . ip saddr map @default_outbound
}}
chain leave {{
 type filter hook postrouting priority 300; policy accept;
 oifname "{UPLINK}" ip saddr != @public counter drop comment "no outbound translation"
 oifname != "{UPLINK}" iifname != "{UPLINK}" counter drop comment "between links"
}}
}}"""
