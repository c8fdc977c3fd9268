"""The fabric: one namespace that is the virtual switch of all virtual networks.

A packet meets, in the order of the hooks:

    prerouting -300  source     the NIC's own MAC and address, nothing that Azure blocks (NIC-7, NIC-10, ARP-3, ARP-4)
    prerouting -150  ingress    the mark of its port selects the routing table; a port without mark does not exist
    prerouting -140  ttl        put back what forwarding takes: the fabric is no hop (ARP-7)
    forward       0  outbound   NSGs of the NIC that sends: the NIC's, then the subnet's (NSG-15)
    forward       5  hop        what the route leads to: sinks, the internet, forwarded traffic of peers (PEER-11)
    forward      10  inbound    NSGs of the NIC that receives: the subnet's, then the NIC's; then its own destinations
                                only, unless it forwards (NIC-7)

The routing decision itself falls before all of forward, but its drops are counted where Azure's pipeline has them
(PIPE-1, PIPE-5): after the sender's NSGs.

The two gates keep flow records of their own, one per NIC, because Azure's state is per NIC: a flow through an
appliance crosses the fabric twice with the same addresses and ports, and conntrack has one entry for both crossings,
which would let the second pass unseen. A TCP SYN is always evaluated; any other packet passes if its record exists.
"""

from __future__ import annotations

from collections.abc import Iterator

from netemu.azure.network import PLATFORM_ADDRESS, RESERVED_RANGES, Network, Nic
from netemu.compile.director import link_pairs
from netemu.compile.directors import HOP, REQUESTS, Director, directors
from netemu.compile.fabric_director import (
    KNOWN,
    MAY_ANSWER,
    Link,
    director_routes,
    director_sets,
    fabric_links,
    reply_rules,
)
from netemu.compile.gates import FROM_NIC, gate, group_maps
from netemu.compile.nft_text import named_map, named_set
from netemu.compile.numbering import (
    EDGE,
    FABRIC,
    FABRIC_MAC,
    LINK_MAC,
    NEXT_HOP,
    NO_ADDRESS,
    NO_ROUTE,
    REPLY,
    RULE_PRIORITY,
    TABLE_BASE,
    TABLE_MASK,
    VNET_MASK,
    VNET_SHIFT,
    Numbering,
    platform_namespace,
)
from netemu.compile.routes import IMDS_ADDRESS, SINK_INDEX, by_link, compile_tables
from netemu.compile.security import compile_security, elements, has_security_group, intervals
from netemu.compile.times import timeout
from netemu.compile.ttl import restore_ttl
from netemu.linux.state import End, Namespace, Neighbour, Rule, Veth

TABLE = "netemu"

INTO = (REQUESTS, HOP)
"""The kinds of links by which guests' packets enter a director."""

FLOW_MINUTES = 4
"""NSG-23."""

PRIVATE = ", ".join(str(prefix) for prefix in (*RESERVED_RANGES, "169.254.0.0/16", "127.0.0.0/8"))
"""Destinations that never leave to the internet, nor come from it (VN-13, RT-14)."""

ROUTER_SYSCTLS = {
    "ipv4/ip_forward": "1",
    "ipv4/conf/all/rp_filter": "0",
    "ipv4/conf/default/rp_filter": "0",
    "ipv4/conf/all/send_redirects": "0",
    "ipv4/conf/default/send_redirects": "0",
    "ipv4/conf/all/log_martians": "0",
    "ipv6/conf/default/disable_ipv6": "1",
}
"""For every namespace of the platform; a new one may inherit other values from the host."""

FABRIC_SYSCTLS = {**ROUTER_SYSCTLS, "ipv4/conf/all/accept_local": "1"}
"""The fabric has no address that somebody could pretend to have. Saying so spares every packet a second look-up: where
there are policy rules, its source is looked for among the routes as well (net/ipv4/fib_frontend.c)."""


def compile_fabric(network: Network, numbers: Numbering) -> tuple[Namespace, list[Veth]]:
    """The fabric's namespace, and the pairs of its own (sinks, edge and platform links)."""
    fabric = Namespace(name=FABRIC, sysctls=dict(FABRIC_SYSCTLS))
    busy = directors(network)
    links = list(fabric_links(busy, numbers))
    fabric.routes = [
        by_link(SINK_INDEX[NO_ADDRESS], 0, 0),
        *compile_tables(network, numbers),
        *director_routes(network, links, numbers),
    ]
    fabric.rules = [
        *(Rule(RULE_PRIORITY + number, number, TABLE_MASK, TABLE_BASE + number) for number in numbers.table.values()),
        *reply_rules(links),
    ]
    fabric.neighbours = [
        Neighbour(
            numbers.port_index[numbers.port[nic.name]],
            int(config.address),
            bytes.fromhex(nic.macAddress.replace(":", "")),
        )
        for nic, config in network.addresses()
    ]
    platform = [numbers.port_index[x] for each in (numbers.edge_link, numbers.platform_link) for x in each.values()]
    indexes = (*SINK_INDEX.values(), *platform, *(link.index for link in links))
    fabric.neighbours += [Neighbour(index, NEXT_HOP, LINK_MAC) for index in indexes]
    fabric.ruleset = "\n".join([*_tables(network, numbers, busy, links), ""])
    return fabric, [*_links(network, numbers), *(pair for each in busy.values() for pair in link_pairs(each, numbers))]


def _links(network: Network, numbers: Numbering) -> Iterator[Veth]:
    yield Veth(
        End(FABRIC, NO_ADDRESS, SINK_INDEX[NO_ADDRESS], LINK_MAC, noarp=True),
        End(FABRIC, NO_ROUTE, SINK_INDEX[NO_ROUTE], LINK_MAC, noarp=True),
    )
    for name in network.virtualNetworks:
        link = numbers.edge_link[name]
        yield Veth(
            End(EDGE, link, numbers.edge_index[name], LINK_MAC, noarp=True),
            End(FABRIC, link, numbers.port_index[link], LINK_MAC, noarp=True),
        )
        link = numbers.platform_link[name]
        yield Veth(
            End(platform_namespace(name), "eth0", 2, LINK_MAC, noarp=True),
            End(FABRIC, link, numbers.port_index[link], LINK_MAC, noarp=True),
        )


def port_end(nic: Nic, numbers: Numbering) -> End:
    """The fabric's end of a NIC."""
    port = numbers.port[nic.name]
    return End(FABRIC, port, numbers.port_index[port], FABRIC_MAC, proxy_arp=True)


# ---- ruleset ---------------------------------------------------------------------------------------------------------


def _tables(network: Network, numbers: Numbering, busy: dict[str, Director], links: list[Link]) -> Iterator[str]:
    own = [f'"{numbers.port[nic.name]}" . {config.address}' for nic, config in network.addresses()]
    yield f"table ip {TABLE} {{"
    yield from _sets(network, numbers, own, busy, links)
    chains = compile_security(network, numbers.port)
    yield from chains.text
    yield from group_maps(chains)
    if busy:
        yield from director_sets(network, busy, links, numbers)
    yield from _prerouting(bool(busy))
    yield from _hop(network, numbers, links)
    yield from gate("outbound", "iif", "ip saddr . ip daddr", "th sport . th dport", chains)
    yield from gate("inbound", "oif", "ip daddr . ip saddr", "th dport . th sport", chains, REPLY if busy else 0)
    yield "}"
    yield from restore_ttl()
    yield from _arp(own)


def _sets(
    network: Network, numbers: Numbering, own: list[str], busy: dict[str, Director], links: list[Link]
) -> Iterator[str]:
    flow_timeout = timeout(network, FLOW_MINUTES)
    for name, key, time, size in (
        ("flows", "type iface_index . ipv4_addr . ipv4_addr . inet_proto . inet_service . inet_service",
         flow_timeout, 1_000_000),
        ("asked", "typeof meta iif . ip saddr . ip daddr . icmp id", "1m", 1_000_000),
        ("was_asked", "typeof meta iif . ip saddr . ip daddr . icmp id", "1m", 1_000_000),
        ("portless", "type iface_index . ipv4_addr . ipv4_addr . inet_proto", flow_timeout, 1_000_000),
        ("quotable", "type iface_index . mark", flow_timeout, 1_000_000),
        ("fragments", "typeof meta iif . ip saddr . ip daddr . ip protocol . ip id", "5s", 1_000_000),
    ):  # fmt: skip
        yield f"set {name} {{\n {key}\n size {size}\n flags dynamic,timeout\n timeout {time}\n}}"
    ports = numbers.port
    yield from named_set("own", "ifname . ipv4_addr", own)
    yield from named_set(
        "own_mac", "ifname . ether_addr", (f'"{ports[n.name]}" . {n.macAddress}' for n in network.nics.values())
    )
    yield from named_set(
        "forwarding", "ifname", (f'"{ports[nic.name]}"' for nic in network.nics.values() if nic.enableIPForwarding)
    )
    yield from named_set(
        "translated",
        "ifname . ipv4_addr",
        (f'"{ports[n.name]}" . {c.address}' for n, c in network.addresses() if c.publicIP is not None),
    )
    yield from named_set("edge", "ifname", (f'"{link}"' for link in numbers.edge_link.values()))
    yield from named_set("platform", "ifname", (f'"{link}"' for link in numbers.platform_link.values()))
    routers = [*numbers.edge_link.values(), *numbers.platform_link.values(), *(link.name for link in links)]
    yield from named_set("router", "ifname", (f'"{name}"' for name in routers))
    yield from named_set(
        "closed",
        "ifname . ipv4_addr",
        (
            f'"{ports[nic.name]}" . {config.address}'
            for nic, config in network.addresses()
            if config.publicIP is not None and config.publicIP.sku == "Standard" and not has_security_group(nic)
        ),
    )
    mark_of = {
        nic.name: numbers.mark_of(nic) | FROM_NIC | (MAY_ANSWER if nic.subnet.virtualNetwork in busy else 0)
        for nic in network.nics.values()
    }
    marks = [f'"{ports[nic]}" : {mark:#x}' for nic, mark in mark_of.items()]
    for name in network.virtualNetworks:
        for way in (numbers.edge_link, numbers.platform_link):
            marks.append(f'"{way[name]}" : {numbers.platform_mark(name):#x}')
    marks += [f'"{link.name}" : {link.mark:#x}' for link in links]
    yield from named_map(
        "own_source",
        "ifname . ether_addr . ipv4_addr : mark",
        (
            f'"{ports[nic.name]}" . {nic.macAddress} . {config.address} : {mark_of[nic.name]:#x}'
            for nic, config in network.addresses()
        ),
    )
    yield from named_map("ingress_mark", "ifname : mark", marks)


def _prerouting(balanced: bool) -> Iterator[str]:
    # A guest may answer with a frontend's address (LB-16); what it answers may belong to a director.
    answer = f" {KNOWN} accept\n" if balanced else ""
    ways = f" meta mark & {MAY_ANSWER:#x} != 0 goto may_answer\n" if balanced else ""
    yield f"""chain source {{
 type filter hook prerouting priority -300; policy accept;
 meta mark set iifname . ether saddr . ip saddr map @own_source goto blocked
 iifname @router accept
 iifname . ether saddr != @own_mac counter drop comment "source MAC"
 ip saddr {{ {PLATFORM_ADDRESS}, {IMDS_ADDRESS} }} counter drop comment "platform source"
 jump blocked
 iifname @forwarding accept
{answer} counter drop comment "source address"
}}
chain blocked {{
 ip daddr 224.0.0.0-255.255.255.255 counter drop comment "broadcast or multicast"
 ip protocol tcp return
 ip protocol {{ 4, 47 }} counter drop comment "protocol"
 udp sport 65330 counter drop comment "reserved port"
 udp sport 68 udp dport 67 counter drop comment "DHCP"
}}
chain ingress {{
 type filter hook prerouting priority -150; policy drop;
 meta mark 0 meta mark set iifname map @ingress_mark
{ways} meta mark != 0 accept
}}"""


def _hop(network: Network, numbers: Numbering, links: list[Link]) -> Iterator[str]:
    guarded: dict[str, str] = {}
    spaces: dict[str, str] = {}
    for name, owner in network.virtualNetworks.items():
        closed = [
            peering.remote
            for peering in owner.peerings
            if peering.carries_traffic and not peering.allowForwardedTraffic
        ]
        if not closed:
            continue
        chain = f"forwarded/{name}"
        for remote in closed:
            spaces.setdefault(remote, elements(intervals(network.virtualNetworks[remote].addressSpace)))
        yield f"chain {chain} {{"
        for remote in closed:
            yield (
                f" meta mark & {VNET_MASK:#x} == {numbers.vnet[remote] << VNET_SHIFT:#x} ip saddr != @space/{remote}"
                f' counter drop comment "{remote}"'
            )
        yield "}"
        for nic in network.nics_of(name):
            guarded[numbers.port[nic.name]] = chain
        guarded |= {link.name: chain for link in links if link.virtual_network == name and link.kind in INTO}
    for remote, space in spaces.items():
        yield f"set space/{remote} {{\n type ipv4_addr\n flags interval\n elements = {{ {space} }}\n}}"
    ports = [numbers.port[nic.name] for nic in network.nics.values()]
    ports += [link.name for link in links if link.kind in INTO]
    fragment = "ip frag-off & 0x3fff != 0 oifname @requests ip daddr != @ha_ports"  # LB-20
    fragments = f' {fragment} counter drop comment "fragment to a frontend"\n' if links else ""
    ways = [f'"{port}" : {"goto " + guarded[port] if port in guarded else "accept"}' for port in ports]
    yield from named_map("ports", "ifname : verdict", ways)
    floating = " oifname . ip daddr @floating return\n" if links else ""
    yield f"""chain hop {{
 type filter hook forward priority 5; policy accept;
{fragments} oifname vmap @ports
 oifname "{NO_ROUTE}" counter drop comment "next hop None"
 oifname "{NO_ADDRESS}" counter drop comment "no NIC"
 oifname @edge iifname @edge counter drop comment "internet to internet"
 oifname @edge iifname @router accept
 oifname @edge ip frag-off & 0x3fff != 0 iifname . ip saddr != @translated counter drop comment "fragment"
 oifname @edge ip daddr {{ {PRIVATE} }} counter drop comment "private destination"
 oifname @edge iifname . ip saddr != @own counter drop comment "foreign source to the internet"
}}
chain arrival {{
 oifname . ip daddr @own return
 oifname @forwarding return
{floating} counter drop comment "destination address"
}}"""


def _arp(own: list[str]) -> Iterator[str]:
    """A NIC that asks for its own address must hear nothing, or it would see a conflict (ARP-1).

    Nor does anybody learn a neighbour from it that it is not (ARP-2): the table of neighbours is the whole machine's.
    """
    yield "table arp netemu {"
    yield from named_set("own", "ifname . ipv4_addr", own)
    yield "chain ask {\n type filter hook input priority 0; policy accept;\n iifname . arp daddr ip @own drop\n"
    yield " arp saddr ip != 0.0.0.0 iifname . arp saddr ip != @own drop\n}"
    yield "}"
