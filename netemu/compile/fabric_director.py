"""The fabric's side of the directors: what leads to them, and what backends answer through them.

A reply has to go back the way that the request came, to be translated back, and only then is it routed (PIPE-6). So
what a director sends to a NIC is remembered, and what that NIC sends back belongs to it: bit 12 of its mark leads to
the director, by the link of the NIC's own route table.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from netemu.azure.network import Network
from netemu.compile.directors import FRONT, GUEST, HOP, REPLIES, REQUESTS, Director
from netemu.compile.nft_text import chain, named_set
from netemu.compile.numbering import (
    REPLY,
    RULE_PRIORITY,
    TABLE_BASE,
    TABLE_MASK,
    VNET_SHIFT,
    Numbering,
    guest_table,
)
from netemu.compile.routes import by_link
from netemu.compile.times import timeout
from netemu.linux.state import Route, Rule

FROM_DIRECTOR = 0x40000000
"""The bit of a mark that says that a packet is a director's, on its way to a backend."""
MAY_ANSWER = 0x20000000
"""The bit of a mark that says that the packet may be a reply that belongs to a director."""
FRAGMENT = "iif . ip saddr . ip daddr . ip protocol . ip id"
FLOW = "iif . ip saddr . ip daddr . meta l4proto . th sport . th dport"
KNOWN = f"{FLOW} @balanced"


class Link(Struct, frozen=True):
    """A director's link in the fabric."""

    kind: str
    rest: str
    """What is behind the kind in its key."""
    name: str
    index: int
    mark: int
    """Of what comes in by it."""
    virtual_network: str


def fabric_links(busy: dict[str, Director], numbers: Numbering) -> Iterator[Link]:
    """Every director's links that end in the fabric."""
    for name, each in busy.items():
        network = numbers.vnet[name] << VNET_SHIFT
        for key in each.links(numbers.tables_of(name)):
            kind, _, rest = key.partition("/")
            if kind == FRONT:
                continue
            table = {REPLIES: rest, GUEST: guest_table(rest)}.get(kind, name)
            link = numbers.director_link[key]
            mark = network | numbers.table[table] | (FROM_DIRECTOR if kind in (REQUESTS, GUEST) else 0)
            yield Link(kind, rest, link, numbers.port_index[link], mark, name)


def reply_rules(links: list[Link]) -> Iterator[Rule]:
    """Replies to the director, by the link of their route table."""
    for link in links:
        if link.kind == REPLIES:
            number = REPLY | link.mark & TABLE_MASK
            yield Rule(RULE_PRIORITY + number, number, TABLE_MASK, TABLE_BASE + number)


def director_routes(network: Network, links: list[Link], numbers: Numbering) -> Iterator[Route]:
    """The tables of replies, and those that lead to one NIC whatever the destination."""
    for link in links:
        if link.kind == REPLIES:
            yield by_link(link.index, 0, 0, TABLE_BASE + (REPLY | link.mark & TABLE_MASK))
        elif link.kind == GUEST:
            nic = network.nics[link.rest]
            port = numbers.port_index[numbers.port[nic.name]]
            table = TABLE_BASE + numbers.table[guest_table(nic.name)]
            yield Route(port, 0, 0, table, gateway=int(nic.address), onlink=True)


def director_sets(network: Network, busy: dict[str, Director], links: list[Link], numbers: Numbering) -> Iterator[str]:
    """What the chains below ask."""
    of_kind = {
        kind: [f'"{link.name}"' for link in links if link.kind == kind] for kind in (REQUESTS, HOP, GUEST, REPLIES)
    }
    yield from named_set("director", "ifname", (f'"{link.name}"' for link in links))
    yield from named_set("requests", "ifname", of_kind[REQUESTS])
    yield from named_set("guests", "ifname", of_kind[GUEST])
    floating: dict[str, None] = {}
    whole: dict[str, None] = {}
    for each in busy.values():
        for rule in each.rules:
            if rule.is_ha_ports:
                whole[str(rule.frontend.address)] = None
            if rule.enableFloatingIP:
                ports = (numbers.port[member.nic.name] for member in rule.pool.members)
                floating |= dict.fromkeys(f'"{port}" . {rule.frontend.address}' for port in ports)
        floating |= dict.fromkeys(
            f'"{numbers.port[rule.member.nic.name]}" . {rule.frontend.address}'
            for rule in each.nat_rules
            if rule.enableFloatingIP
        )
    yield from named_set("floating", "ifname . ipv4_addr", floating)
    yield from named_set("ha_ports", "ipv4_addr", whole)
    for name, key, time in (
        ("balanced", "type iface_index . ipv4_addr . ipv4_addr . inet_proto . inet_service . inet_service", "4m"),
        ("reply_fragments", "typeof meta iif . ip saddr . ip daddr . ip protocol . ip id", "5s"),
    ):
        yield f"set {name} {{\n {key}\n size 1000000\n flags dynamic,timeout\n timeout {time}\n}}"
    yield from _chains(network, busy)


def _chains(network: Network, busy: dict[str, Director]) -> Iterator[str]:
    longest = max((rule.idleTimeoutInMinutes for each in busy.values() for rule in each.every_rule()), default=4)
    time = timeout(network, longest)
    flow = f"{FLOW} timeout {time}"
    yield from chain(
        "reply",
        [
            f"ip frag-off & 0x2000 != 0 update @reply_fragments {{ {FRAGMENT} }}",
            f"meta l4proto udp update @balanced {{ {flow} }}",  # of TCP, the client's acknowledgements do it
            f"meta mark set meta mark | {REPLY:#x} accept",
        ],
    )
    yield from chain(
        "reply_fragment", [f"{FRAGMENT} @reply_fragments meta mark set meta mark | {REPLY:#x} accept", "accept"]
    )
    yield from chain("may_answer", ["ip frag-off & 0x1fff != 0 goto reply_fragment", f"{KNOWN} goto reply", "accept"])
    request = "meta oif . ip daddr . ip saddr . meta l4proto . th dport . th sport"
    # A flow that comes by another way, with addresses and ports that a director has sent before, is not the director's.
    yield from chain(
        "from_director",
        [
            f"iifname @requests update @balanced {{ {request} timeout {time} }} accept",
            f"iifname @guests oifname . ip daddr @floating update @balanced {{ {request} timeout {time} }} accept",
        ],
    )
    yield from chain(
        "remember",
        [
            f"meta mark & {FROM_DIRECTOR:#x} != 0 goto from_director",
            f"tcp flags & (fin | syn | rst | ack) == syn delete @balanced {{ {request} }}",
            f"meta l4proto udp delete @balanced {{ {request} }}",
        ],
        "type filter hook forward priority 20; policy accept;",
    )
