"""The two gates of the fabric: each NIC's NSGs, with records of the flows that they have let pass.

The records are one per NIC, because Azure's state is per NIC: a flow through an appliance crosses the fabric twice with
the same addresses and ports, and conntrack has one entry for both crossings, which would let the second pass unseen. A
TCP SYN is always evaluated; any other packet passes if its record exists.
"""

from __future__ import annotations

from collections.abc import Iterator

from netemu.compile.nft_text import named_map
from netemu.compile.security import Chains


def _dispatch(name: str, targets: dict[str, str]) -> Iterator[str]:
    """A map from port to chain. It has a name, so that a NIC more or less is an element and no rule."""
    yield from named_map(name, "ifname : verdict", (f'"{port}" : jump {chain}' for port, chain in targets.items()))


def group_maps(chains: Chains) -> Iterator[str]:
    """The NSGs of each port, both ways."""
    for direction in ("outbound", "inbound"):
        yield from _dispatch(f"{direction}_nic", chains.nic[direction])
        yield from _dispatch(f"{direction}_subnet", chains.subnet[direction])


FROM_NIC = 0x10000000
"""The bit of the mark that says that a packet comes from a NIC, and not from the edge or the platform."""

HASH, RANGE = "meta mark set jhash", "mod 4294967295 seed 0x6e657465"
"""The hash of a flow goes through the mark, which is put back at once: the next chain needs it."""


def gate(direction: str, interface: str, addresses: str, ports: str, chains: Chains, passes: int = 0) -> Iterator[str]:
    """One of the two gates. `addresses` and `ports` are the NIC's own side first, whichever way the packet goes.

    What has a bit of `passes` in its mark is on its way to no NIC.
    """
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
    if passes:
        yield f" meta mark & {passes:#x} != 0 accept"
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
