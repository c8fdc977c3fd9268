"""The numbers and names that the parts of the data plane agree on.

A mark is 32 bits, set once from the ingress port: bits 0-11 route table (kernel table 1000 + id), bit 12 answer to a
load balancer's client, bits 16-27 virtual network of the port.

In a director, conntrack's mark of a flow says who got it: bits 0-13 member, bits 14-27 rule, then the bits below.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Iterable
from typing import TYPE_CHECKING

from msgspec import Struct, field

if TYPE_CHECKING:  # which this module does not need to run, and which takes longer to import than all else here
    from netemu.azure.network import InboundNatRule, LoadBalancingRule, Network, Nic, Subnet
    from netemu.compile.directors import Director

FABRIC, EDGE, INTERNET = "@fabric", "@edge", "@internet"
FABRIC_MAC = bytes.fromhex("123456789abc")
"""The one MAC that every VM sees for every neighbour (ARP-1)."""
NEXT_HOP = 0xA9FE0101
"""169.254.1.1: the next hop on every link of the platform, a permanent neighbour that nobody is. A route without next
hop makes a neighbour of every destination, and the kernel has 1024 of them for the whole machine."""

LINK_MAC = bytes.fromhex("020000000001")
"""Both ends of a link between two platform namespaces, which have no ARP."""

TABLE_BASE = 1000
TABLE_MASK = 0x1FFF
REPLY = 0x1000
"""The bit of a mark that leads to the director instead of where the route table says."""
VNET_SHIFT = 16
VNET_MASK = 0x0FFF0000
NO_ADDRESS, NO_ROUTE = "void0", "none0"
"""Where packets to nobody's address, and packets with next hop None, go to be counted."""
RULE_PRIORITY = 100

MEMBER_MASK, RULE_SHIFT, RULE_MASK = 0x3FFF, 14, 0x0FFFC000
UDP = 0x10000000
"""The flow is one of UDP."""
ANSWERED = 0x20000000
"""The backend has answered."""
UNCHANGED = 0x40000000
"""The destination address stays as it is: the packet goes to its backend by a link of that one's NIC."""

NAME_LIMIT = 15
"""Longest interface name (IFNAMSIZ - 1)."""


class Numbering(Struct):
    """Names and numbers of one lab. They are kept as long as what they belong to, whatever comes and goes beside it.

    Interface indexes are never given twice in a lab's life: the fabric's flow records go by them, and those of a NIC
    that has gone must not fit another one.
    """

    port: dict[str, str] = field(default_factory=dict)
    """NIC to its port's name in the fabric."""
    port_index: dict[str, int] = field(default_factory=dict)
    """Interface name in the fabric to its index."""
    edge_link: dict[str, str] = field(default_factory=dict)
    """Virtual network to the name of its link to the edge, the same at both ends."""
    platform_link: dict[str, str] = field(default_factory=dict)
    """Virtual network to the name of its link to 168.63.129.16."""
    edge_index: dict[str, int] = field(default_factory=dict)
    """Virtual network to the index of its link in the edge."""
    vnet: dict[str, int] = field(default_factory=dict)
    """Virtual network to its number, 1 to 4095."""
    table: dict[str, int] = field(default_factory=dict)
    """`virtual network` or `virtual network/route table` to the id of the kernel table, less 1000."""
    host: dict[str, str] = field(default_factory=dict)
    """Internet host to its interface's name in the internet."""
    host_index: dict[str, int] = field(default_factory=dict)
    """Internet host to that interface's index."""
    director_link: dict[str, str] = field(default_factory=dict)
    """Key of a director's link to its name, the same at both ends; see `directors`."""
    director_index: dict[str, int] = field(default_factory=dict)
    """The same key to the link's index in the director."""
    member: dict[str, int] = field(default_factory=dict)
    """`<NIC>/<IP configuration>` behind load balancers to its number there."""
    rule: dict[str, int] = field(default_factory=dict)
    """`<virtual network>/<load balancer>/rules/<rule>`, or `…/nat/<rule>`, to its number in that network's director."""
    joined: dict[str, list[str]] = field(default_factory=dict)
    """`<load balancer>/<pool>` to its members in the order in which they came."""
    next_index: dict[str, int] = field(default_factory=lambda: {FABRIC: 4, EDGE: 3, INTERNET: 3})
    """Namespace to the next free interface index: lo is 1, the sinks 2 and 3, the link of edge and internet 2. In a
    director, 2 is the link to the fabric for the platform's services."""

    def table_of(self, subnet: Subnet) -> int:
        """The id of a subnet's table."""
        return self.table[table_key(subnet.virtualNetwork, subnet.routeTable)]

    def mark_of(self, nic: Nic) -> int:
        """The mark of what enters the fabric by a NIC's port."""
        return self.vnet[nic.subnet.virtualNetwork] << VNET_SHIFT | self.table_of(nic.subnet)

    def platform_mark(self, virtual_network: str) -> int:
        """The mark of what enters the fabric from the edge or from 168.63.129.16."""
        return self.vnet[virtual_network] << VNET_SHIFT | self.table[virtual_network]

    def tables_of(self, virtual_network: str) -> list[str]:
        """The keys of a virtual network's tables."""
        return [key for key in self.table if key.partition("/")[0] == virtual_network]

    def rule_of(self, virtual_network: str, rule: LoadBalancingRule | InboundNatRule) -> int:
        """The number of a rule in its network's director."""
        return self.rule[self.rule_key(virtual_network, rule)]

    def rule_key(self, virtual_network: str, rule: LoadBalancingRule | InboundNatRule) -> str:
        """What the number of a rule goes by."""
        kind = "nat" if hasattr(rule, "member") else "rules"
        return f"{virtual_network}/{rule.loadBalancer}/{kind}/{rule.name}"

    def _index(self, namespace: str) -> int:
        number = self.next_index.setdefault(namespace, 3)
        self.next_index[namespace] = number + 1
        return number


def table_key(virtual_network: str, route_table: str | None) -> str:
    """What a kernel table belongs to; names of resources contain no slash."""
    return virtual_network if route_table is None else f"{virtual_network}/{route_table}"


def number(network: Network, kept: Numbering | None = None) -> Numbering:
    """Number a network. What `kept` has numbered stays, the order of the scenario decides about the rest.

    Equal scenarios get equal numbers when nothing is kept.
    """
    old = kept if kept is not None else Numbering()
    result = Numbering(next_index=dict(old.next_index))
    taken = {"lo", "all", "default", NO_ADDRESS, NO_ROUTE}
    taken |= {old.port[name] for name in old.port if name in network.nics}
    for links in (old.edge_link, old.platform_link):
        taken |= {links[name] for name in links if name in network.virtualNetworks}
    keys = dict.fromkeys(table_key(name, None) for name in network.virtualNetworks)
    keys |= dict.fromkeys(table_key(s.virtualNetwork, s.routeTable) for s in network.subnets() if s.routeTable)
    from netemu.compile.directors import directors

    busy = directors(network)
    links_of = {
        name: list(each.links([key for key in keys if key.partition("/")[0] == name])) for name, each in busy.items()
    }
    wanted = {key for links in links_of.values() for key in links}
    taken |= {name for key, name in old.director_link.items() if key in wanted}
    keys |= dict.fromkeys(guest_table(nic) for each in busy.values() for nic in each.guests())
    result.vnet = _numbers(network.virtualNetworks, old.vnet)
    result.table = _numbers(keys, old.table)
    for name in network.virtualNetworks:
        for links, before, prefix in (
            (result.edge_link, old.edge_link, "e-"),
            (result.platform_link, old.platform_link, "s-"),
        ):
            links[name] = before[name] if name in before else interface_name(prefix + name, taken)
            result.port_index[links[name]] = old.port_index[links[name]] if name in before else result._index(FABRIC)
        result.edge_index[name] = old.edge_index[name] if name in old.edge_index else result._index(EDGE)
    for nic in network.nics:
        port = result.port[nic] = old.port[nic] if nic in old.port else interface_name(nic, taken)
        result.port_index[port] = old.port_index[port] if nic in old.port else result._index(FABRIC)
    for name, each in busy.items():
        _number_director(result, old, each, links_of[name], taken)
    names = {"lo", "edge"} | {old.host[name] for name in old.host if name in network.hosts}
    for name in network.hosts:
        result.host[name] = old.host[name] if name in old.host else interface_name(name, names)
        result.host_index[name] = old.host_index[name] if name in old.host else result._index(INTERNET)
    return result


LINK_PREFIX = {"requests": "l-", "front": "f-", "replies": "r-", "hop": "h-", "guest": "g-"}


def guest_table(nic: str) -> str:
    """The key of the table that leads to one NIC, whatever the destination; names of networks are not empty."""
    return f"/{nic}"


def _number_director(result: Numbering, old: Numbering, each: Director, links: list[str], taken: set[str]) -> None:
    namespace = platform_namespace(each.virtual_network)
    for key in links:
        kind, _, rest = key.partition("/")
        kept = key in old.director_link
        name = old.director_link[key] if kept else interface_name(LINK_PREFIX[kind] + rest.replace("/", "."), taken)
        result.director_link[key] = name
        result.director_index[key] = old.director_index[key] if kept else result._index(namespace)
        if kind == "front":
            result.edge_index[key] = old.edge_index[key] if kept else result._index(EDGE)
        else:
            result.port_index[name] = old.port_index[name] if kept else result._index(FABRIC)
    for path in each.members():
        if path not in result.member:
            result.member[path] = old.member[path] if path in old.member else _next_member(result, old)
    rules = [result.rule_key(each.virtual_network, rule) for rule in each.rules]
    rules += [result.rule_key(each.virtual_network, nat) for nat in each.nat_rules]
    result.rule |= _numbers(rules, old.rule)
    for rule in each.rules:
        now = [member.path for member in rule.pool.members]
        before = [path for path in old.joined.get(rule.pool.path, ()) if path in now]
        result.joined[rule.pool.path] = [*before, *(path for path in now if path not in before)]


def _next_member(result: Numbering, old: Numbering) -> int:
    """Numbers of those who have gone come last: flows of theirs may live on."""
    number = result.next_index.setdefault("members", 1)
    if number <= MEMBER_MASK:
        result.next_index["members"] = number + 1
        return number
    used = {*result.member.values(), *old.member.values()}
    return next(number for number in range(1, MEMBER_MASK + 1) if number not in used)


def _numbers(names: Iterable[str], old: dict[str, int]) -> dict[str, int]:
    """Numbers from 1: the old ones stay, the rest get the lowest that are free."""
    names = list(names)
    result = {name: old[name] for name in names if name in old}
    used = set(result.values())
    free = (number for number in itertools.count(1) if number not in used)
    for name in names:
        if name not in result:
            result[name] = next(free)
    return {name: result[name] for name in names}


def interface_name(wish: str, taken: set[str]) -> str:
    """The wish itself if the kernel takes it and it is free, else its beginning and a digest of the whole."""
    name = wish
    attempt = 0
    while len(name) > NAME_LIMIT or name in taken:
        digest = hashlib.blake2s(f"{wish}#{attempt}".encode(), digest_size=4).hexdigest()[:5]
        name = f"{wish[: NAME_LIMIT - 6]}~{digest}"
        attempt += 1
    taken.add(name)
    return name


def platform_namespace(virtual_network: str) -> str:
    """The namespace that is 168.63.129.16 for one virtual network."""
    return f"@slb.{virtual_network}"
