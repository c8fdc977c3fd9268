"""168.63.129.16 of each virtual network: a namespace that answers DNS (PLT-1, DNS-1…DNS-17).

One server for each virtual network, because names of one network do not resolve in another (DNS-3), private zones are
visible where they are linked (DNS-9), and networks may have equal addresses.
"""

from __future__ import annotations

from netemu.azure.network import PLATFORM_ADDRESS, Network
from netemu.compile.director import direct
from netemu.compile.directors import directors
from netemu.compile.fabric import ROUTER_SYSCTLS, TABLE
from netemu.compile.nft_text import chain
from netemu.compile.numbering import LINK_MAC, NEXT_HOP, Numbering, platform_namespace
from netemu.compile.resolvers import add_resolver
from netemu.compile.routes import by_link
from netemu.compile.services import INPUT, LAST_RULE, RULES, SETS
from netemu.compile.zone_files import platform_files
from netemu.linux.state import Address, Namespace, Neighbour

LINK_INDEX = 2

def compile_platform(network: Network, folder: str, numbers: Numbering, engine: str) -> list[Namespace]:
    """One namespace for each virtual network; their daemons' files lie in `folder`.

    Where the network has load balancers it is their director, too.
    """
    busy = directors(network)
    result = []
    for name in network.virtualNetworks:
        namespace = _platform(network, name, folder)
        if name in busy:
            direct(namespace, network, busy[name], numbers, engine)
        result.append(namespace)
    return result


def _platform(network: Network, virtual_network: str, folder: str) -> Namespace:
    namespace = Namespace(
        name=platform_namespace(virtual_network),
        sysctls={**ROUTER_SYSCTLS, "ipv4/ip_forward": "0"},
        addresses=[Address(LINK_INDEX, int(PLATFORM_ADDRESS), 32)],
        routes=[by_link(LINK_INDEX, 0, 0)],
        neighbours=[Neighbour(LINK_INDEX, NEXT_HOP, LINK_MAC)],
        ruleset="\n".join(
            (f"table ip {TABLE} {{", *SETS, *chain("services", (*RULES, LAST_RULE), INPUT), "}", "")
        ),
    )
    zones = platform_files(network, virtual_network)
    add_resolver(namespace, virtual_network, folder, [PLATFORM_ADDRESS], zones, authoritative=False)
    return namespace
