"""A network from YAML, compiled."""

from __future__ import annotations

from ipaddress import IPv4Address

from netemu.azure.network import Network, resolve
from netemu.compile.lab import compile_lab
from netemu.compile.numbering import FABRIC, NEXT_HOP, TABLE_BASE, number, table_key
from netemu.linux.state import Lab
from netemu.scenario import read_text


def network_of(text: str) -> Network:
    """A valid scenario without a name, resolved."""
    return resolve(read_text("name: unit\n" + text, "unit.yaml"))


def lab_of(text: str) -> Lab:
    """The same, compiled."""
    return compile_lab(network_of(text), "/run/netemu/unit/daemons")


def table(text: str, virtual_network: str, route_table: str | None = None) -> dict[str, str]:
    """A route table of the fabric: prefix to where it leads, in words."""
    network = network_of(text)
    numbers = number(network)
    names = {index: name for name, index in numbers.port_index.items()} | {2: "nobody", 3: "none"}
    wanted = TABLE_BASE + numbers.table[table_key(virtual_network, route_table)]
    fabric = compile_lab(network, "/f").namespaces[FABRIC]
    return {
        f"{IPv4Address(route.destination)}/{route.prefix_length}": names[route.index]
        + (f" via {IPv4Address(route.gateway)}" if route.gateway not in (None, NEXT_HOP) else "")
        for route in fabric.routes
        if route.table == wanted
    }


def chain(lab: Lab, name: str) -> list[str]:
    """The rules of a chain of the fabric."""
    lines = lab.namespaces[FABRIC].ruleset.splitlines()
    start = lines.index(f"chain {name} {{")
    return [line.strip() for line in lines[start + 1 : lines.index("}", start)]]
