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

from collections.abc import Iterable, Iterator

from netemu.azure.network import PLATFORM_ADDRESS, RESERVED_RANGES, Network, Nic
from netemu.compile.numbering import (
    EDGE,
    FABRIC,
    FABRIC_MAC,
    LINK_MAC,
    NEXT_HOP,
    NO_ADDRESS,
    NO_ROUTE,
    RULE_PRIORITY,
    TABLE_BASE,
    TABLE_MASK,
    VNET_MASK,
    VNET_SHIFT,
    Numbering,
    platform_namespace,
)
from netemu.compile.routes import IMDS_ADDRESS, SINK_INDEX, by_link, compile_tables
from netemu.compile.security import Chains, compile_security, elements, has_security_group, intervals
from netemu.linux.state import End, Namespace, Neighbour, Rule, Veth

TABLE = "netemu"

FLOW_TIMEOUT = "4m"
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
    fabric.routes = [by_link(SINK_INDEX[NO_ADDRESS], 0, 0), *compile_tables(network, numbers)]
    fabric.rules = [
        Rule(RULE_PRIORITY + number, number, TABLE_MASK, TABLE_BASE + number) for number in numbers.table.values()
    ]
    fabric.neighbours = [
        Neighbour(
            numbers.port_index[numbers.port[nic.name]],
            int(config.address),
            bytes.fromhex(nic.macAddress.replace(":", "")),
        )
        for nic, config in network.addresses()
    ]
    links = [numbers.port_index[x] for each in (numbers.edge_link, numbers.platform_link) for x in each.values()]
    fabric.neighbours += [Neighbour(index, NEXT_HOP, LINK_MAC) for index in (*SINK_INDEX.values(), *links)]
    fabric.ruleset = "\n".join([*_tables(network, numbers), ""])
    return fabric, list(_links(network, numbers))


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


def _tables(network: Network, numbers: Numbering) -> Iterator[str]:
    own = [f'"{numbers.port[nic.name]}" . {config.address}' for nic, config in network.addresses()]
    yield f"table ip {TABLE} {{"
    yield from _sets(network, numbers, own)
    chains = compile_security(network, numbers.port)
    yield from chains.text
    yield from _group_maps(chains)
    yield from _prerouting()
    yield from _hop(network, numbers)
    yield from _gate("outbound", "iif", "ip saddr . ip daddr", "th sport . th dport", chains)
    yield from _gate("inbound", "oif", "ip daddr . ip saddr", "th dport . th sport", chains)
    yield "}"
    yield from _ttl()
    yield from _arp(own)


def _set(name: str, kind: str, members: Iterable[str], word: str = "set") -> Iterator[str]:
    content = ", ".join(members)
    yield f"{word} {name} {{"
    yield f" type {kind}"
    if content:
        yield f" elements = {{ {content} }}"
    yield "}"


def _map(name: str, kind: str, members: Iterable[str]) -> Iterator[str]:
    return _set(name, kind, members, "map")


def _sets(network: Network, numbers: Numbering, own: list[str]) -> Iterator[str]:
    for name, key, timeout, size in (
        ("flows", "type iface_index . ipv4_addr . ipv4_addr . inet_proto . inet_service . inet_service",
         FLOW_TIMEOUT, 1_000_000),
        ("asked", "typeof meta iif . ip saddr . ip daddr . icmp id", "1m", 1_000_000),
        ("was_asked", "typeof meta iif . ip saddr . ip daddr . icmp id", "1m", 1_000_000),
        ("portless", "type iface_index . ipv4_addr . ipv4_addr . inet_proto", FLOW_TIMEOUT, 1_000_000),
        ("quotable", "type iface_index . mark", FLOW_TIMEOUT, 1_000_000),
        ("fragments", "typeof meta iif . ip saddr . ip daddr . ip protocol . ip id", "5s", 1_000_000),
    ):  # fmt: skip
        yield f"set {name} {{\n {key}\n size {size}\n flags dynamic,timeout\n timeout {timeout}\n}}"
    ports = numbers.port
    yield from _set("own", "ifname . ipv4_addr", own)
    yield from _set(
        "own_mac", "ifname . ether_addr", (f'"{ports[n.name]}" . {n.macAddress}' for n in network.nics.values())
    )
    yield from _set(
        "forwarding", "ifname", (f'"{ports[nic.name]}"' for nic in network.nics.values() if nic.enableIPForwarding)
    )
    yield from _set(
        "translated",
        "ifname . ipv4_addr",
        (f'"{ports[n.name]}" . {c.address}' for n, c in network.addresses() if c.publicIP is not None),
    )
    yield from _set("edge", "ifname", (f'"{link}"' for link in numbers.edge_link.values()))
    yield from _set("platform", "ifname", (f'"{link}"' for link in numbers.platform_link.values()))
    yield from _set(
        "router", "ifname", (f'"{x}"' for links in (numbers.edge_link, numbers.platform_link) for x in links.values())
    )
    yield from _set(
        "closed",
        "ifname . ipv4_addr",
        (
            f'"{ports[nic.name]}" . {config.address}'
            for nic, config in network.addresses()
            if config.publicIP is not None and config.publicIP.sku == "Standard" and not has_security_group(nic)
        ),
    )
    marks = [f'"{ports[nic.name]}" : {FROM_NIC | numbers.mark_of(nic):#x}' for nic in network.nics.values()]
    for name in network.virtualNetworks:
        for links in (numbers.edge_link, numbers.platform_link):
            marks.append(f'"{links[name]}" : {numbers.platform_mark(name):#x}')
    yield from _map(
        "own_source",
        "ifname . ether_addr . ipv4_addr : mark",
        (
            f'"{ports[nic.name]}" . {nic.macAddress} . {config.address} : {FROM_NIC | numbers.mark_of(nic):#x}'
            for nic, config in network.addresses()
        ),
    )
    yield from _map("ingress_mark", "ifname : mark", marks)


def _prerouting() -> Iterator[str]:
    yield f"""chain source {{
 type filter hook prerouting priority -300; policy accept;
 meta mark set iifname . ether saddr . ip saddr map @own_source goto blocked
 iifname @router accept
 iifname . ether saddr != @own_mac counter drop comment "source MAC"
 ip saddr {{ {PLATFORM_ADDRESS}, {IMDS_ADDRESS} }} counter drop comment "platform source"
 jump blocked
 iifname @forwarding accept
 counter drop comment "source address"
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
 meta mark != 0 accept
 meta mark set iifname map @ingress_mark accept
}}"""


def _hop(network: Network, numbers: Numbering) -> Iterator[str]:
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
    for remote, space in spaces.items():
        yield f"set space/{remote} {{\n type ipv4_addr\n flags interval\n elements = {{ {space} }}\n}}"
    ports = [numbers.port[nic.name] for nic in network.nics.values()]
    ways = [f'"{port}" : {"goto " + guarded[port] if port in guarded else "accept"}' for port in ports]
    yield from _map("ports", "ifname : verdict", ways)
    yield f"""chain hop {{
 type filter hook forward priority 5; policy accept;
 oifname vmap @ports
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
 counter drop comment "destination address"
}}"""


def _dispatch(name: str, targets: dict[str, str]) -> Iterator[str]:
    """A map from port to chain. It has a name, so that a NIC more or less is an element and no rule."""
    yield from _map(name, "ifname : verdict", (f'"{port}" : jump {chain}' for port, chain in targets.items()))


def _group_maps(chains: Chains) -> Iterator[str]:
    for direction in ("outbound", "inbound"):
        yield from _dispatch(f"{direction}_nic", chains.nic[direction])
        yield from _dispatch(f"{direction}_subnet", chains.subnet[direction])


FROM_NIC = 0x10000000
"""The bit of the mark that says that a packet comes from a NIC, and not from the edge or the platform."""

HASH, RANGE = "meta mark set jhash", "mod 4294967295 seed 0x6e657465"
"""The hash of a flow goes through the mark, which is put back at once: the next chain needs it."""


def _gate(direction: str, interface: str, addresses: str, ports: str, chains: Chains) -> Iterator[str]:
    """One of the two gates. `addresses` and `ports` are the NIC's own side first, whichever way the packet goes."""
    outbound = direction == "outbound"
    name = interface + "name"
    flow = f"meta {interface} . {addresses} . meta l4proto . {ports}"
    echo = f"meta {interface} . {addresses} . icmp id"
    portless = f"meta {interface} . {addresses} . meta l4proto"
    fragment = f"meta {interface} . {addresses} . ip protocol . ip id"
    # An echo has no ports to tell the two directions apart: a record of having asked lets answers in, never questions.
    request, reply = ("asked", "was_asked") if outbound else ("was_asked", "asked")
    # An ICMP error passes when it quotes a packet of a flow that its NIC has. The quoted header begins 64 bits into the
    # ICMP message. nftables cannot look raw payload up among typed fields, so flows are kept as hashes too.
    sides = "@th,192,32 . @th,160,32" if outbound else "@th,160,32 . @th,192,32"
    quoted = f"{HASH} {sides} . @th,136,8"
    quoted_ports = "@th,240,16 . @th,224,16" if outbound else "@th,224,16 . @th,240,16"
    remember = f" update @quotable {{ meta {interface} . meta mark }}\n meta mark set iifname map @ingress_mark"
    order = ("nic", "subnet") if outbound else ("subnet", "nic")
    evaluate = [f" {name} vmap @{direction}_{level}" for level in order]
    if not outbound:
        evaluate.insert(0, ' iifname @edge oifname . ip daddr @closed counter drop comment "Standard public IP"')
        evaluate.append(" jump arrival")
    rules = "\n".join(evaluate)
    # What is evaluated by no NSG: asked where no record has let a packet pass, because records are what most have.
    exempt = " oifname @platform goto platform_traffic" if outbound else " oifname @router accept"
    quoted_arrival = "" if outbound else " jump arrival\n"
    if outbound:
        yield from _platform_chains(chains, flow)
    yield f"""chain {direction}_pass {{
 ip frag-off & 0x2000 != 0 update @fragments {{ {fragment} }}
 accept
}}
chain {direction}_new {{
{exempt}
{rules}
 update @flows {{ {flow} }}
 {HASH} {addresses} . ip protocol . {ports} {RANGE}
{remember}
 goto {direction}_pass
}}
chain {direction}_icmp {{
{exempt}
 icmp type echo-request {echo} @{request} update @{request} {{ {echo} }} goto {direction}_pass
 icmp type echo-reply {echo} @{reply} update @{reply} {{ {echo} }} goto {direction}_pass
 icmp type {{ destination-unreachable, time-exceeded, parameter-problem }} @th,64,8 0x45 goto {direction}_error
{rules}
 icmp type echo-request update @{request} {{ {echo} }}
 {HASH} {addresses} . ip protocol {RANGE}
{remember}
 goto {direction}_pass
}}
chain {direction}_error {{
 {quoted} . {quoted_ports} {RANGE}
 @th,136,8 {{ 1, 50, 51 }} {quoted} {RANGE}
 meta {interface} . meta mark @quotable goto {direction}_quoted
 meta mark set iifname map @ingress_mark
{rules}
 goto {direction}_pass
}}
chain {direction}_quoted {{
 meta mark set iifname map @ingress_mark
{quoted_arrival} goto {direction}_pass
}}
chain {direction}_portless {{
{exempt}
 {portless} @portless update @portless {{ {portless} }} goto {direction}_pass
{rules}
 update @portless {{ {portless} }}
 {HASH} {addresses} . ip protocol {RANGE}
{remember}
 goto {direction}_pass
}}
chain {direction}_fragment {{
{exempt}
 {fragment} @fragments accept
 counter drop comment "fragment out of order"
}}
chain {direction}_known {{
 {flow} @flows update @flows {{ {flow} }} goto {direction}_pass
 goto {direction}_new
}}
chain {direction} {{
 type filter hook forward priority {0 if outbound else 10}; policy drop;"""
    if outbound:
        yield f" meta mark & {FROM_NIC:#x} == 0 accept"
    yield f""" ip frag-off & 0x1fff != 0 goto {direction}_fragment
 tcp flags & (fin|syn|rst|ack) != syn goto {direction}_known
 meta l4proto vmap {{ tcp : goto {direction}_new, udp : goto {direction}_known, icmp : goto {direction}_icmp }}
 goto {direction}_portless
}}"""


def _platform_chains(chains: Chains, flow: str) -> Iterator[str]:
    """Traffic to the platform passes unless a rule names its tag (PLT-4); the answers pass by their record."""
    merged = {}
    for index, (port, names) in enumerate(chains.platform.items()):
        merged[port] = f"platforms/{index}" if len(names) > 1 else names[0]
        if len(names) > 1:
            yield f"chain {merged[port]} {{"
            yield from (f" jump {name}" for name in names)
            yield "}"
    yield from _dispatch("platform_tags", merged)
    yield f"""chain platform_traffic {{
 iifname vmap @platform_tags
 meta l4proto {{ tcp, udp }} update @flows {{ {flow} }}
 accept
}}"""


def _ttl() -> Iterator[str]:
    """The fabric is no hop: what ip_forward() will take is added before (ARP-7, ARP-8).

    A routing loop still dies, because every appliance on it takes its own 1. There is no arithmetic on the TTL in
    nftables, so one chain for each value; 255 stays and arrives as 254.
    """
    yield "table ip netemu_ttl {"
    for value in range(1, 255):
        yield f"chain ttl{value} {{\n ip ttl set {value + 1}\n}}"
    yield "chain restore {\n type filter hook prerouting priority -140; policy accept;"
    yield " ip ttl vmap { " + ", ".join(f"{value} : goto ttl{value}" for value in range(1, 255)) + " }\n}"
    yield "}"


def _arp(own: list[str]) -> Iterator[str]:
    """A NIC that asks for its own address must hear nothing, or it would see a conflict (ARP-1).

    Nor does anybody learn a neighbour from it that it is not (ARP-2): the table of neighbours is the whole machine's.
    """
    yield "table arp netemu {"
    yield from _set("own", "ifname . ipv4_addr", own)
    yield "chain ask {\n type filter hook input priority 0; policy accept;\n iifname . arp daddr ip @own drop\n"
    yield " arp saddr ip != 0.0.0.0 iifname . arp saddr ip != @own drop\n}"
    yield "}"
