"""The numbers and names that the parts of the data plane agree on.

A mark is 32 bits, set once from the ingress port: bits 0-11 route table (kernel table 1000 + id), bits 16-27 virtual
network of the port.
"""

from __future__ import annotations

import hashlib

from msgspec import Struct, field

from netemu.azure.network import Network, Nic, Subnet

FABRIC, EDGE, INTERNET = "@fabric", "@edge", "@internet"
FABRIC_MAC = bytes.fromhex("123456789abc")
"""The one MAC that every VM sees for every neighbour (ARP-1)."""
LINK_MAC = bytes.fromhex("020000000001")
"""Both ends of a link between two platform namespaces, which have no ARP."""

TABLE_BASE = 1000
TABLE_MASK = 0x1FFF
VNET_SHIFT = 16
VNET_MASK = 0x0FFF0000
NO_ADDRESS, NO_ROUTE = "void0", "none0"
"""Where packets to nobody's address, and packets with next hop None, go to be counted."""
RULE_PRIORITY = 100

NAME_LIMIT = 15
"""Longest interface name (IFNAMSIZ - 1)."""


class Numbering(Struct):
    """Names and numbers of one lab."""

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
    table: dict[tuple[str, str | None], int] = field(default_factory=dict)
    """(virtual network, route table or None) to the id of the kernel table, less 1000."""

    def table_of(self, subnet: Subnet) -> int:
        """The id of a subnet's table."""
        return self.table[subnet.virtualNetwork, subnet.routeTable]

    def mark_of(self, nic: Nic) -> int:
        """The mark of what enters the fabric by a NIC's port."""
        return self.vnet[nic.subnet.virtualNetwork] << VNET_SHIFT | self.table_of(nic.subnet)

    def platform_mark(self, virtual_network: str) -> int:
        """The mark of what enters the fabric from the edge or from 168.63.129.16."""
        return self.vnet[virtual_network] << VNET_SHIFT | self.table[virtual_network, None]


def number(network: Network) -> Numbering:
    """Number a network. The order of the scenario decides, so equal scenarios get equal numbers."""
    result = Numbering()
    taken = {"lo", "all", "default", NO_ADDRESS, NO_ROUTE}
    index = 4  # 1 is lo, 2 and 3 are the sinks
    for name in network.virtualNetworks:
        result.vnet[name] = len(result.vnet) + 1
        result.table[name, None] = len(result.table) + 1
        for links, prefix in ((result.edge_link, "e-"), (result.platform_link, "s-")):
            links[name] = interface_name(prefix + name, taken)
            result.port_index[links[name]] = index
            index += 1
        result.edge_index[name] = len(result.edge_index) + 3
    for nic in network.nics.values():
        result.port[nic.name] = interface_name(nic.name, taken)
        result.port_index[result.port[nic.name]] = index
        index += 1
    for subnet in network.subnets():
        if subnet.routeTable is not None:
            result.table.setdefault((subnet.virtualNetwork, subnet.routeTable), len(result.table) + 1)
    return result


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
