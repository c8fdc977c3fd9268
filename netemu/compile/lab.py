"""All of it: a network's desired Linux state."""

from __future__ import annotations

from netemu.azure.network import Network
from netemu.compile.edge import compile_edge
from netemu.compile.fabric import compile_fabric
from netemu.compile.health_checks import health_checks
from netemu.compile.internet import compile_internet
from netemu.compile.machines import compile_machines
from netemu.compile.numbering import Numbering, number
from netemu.compile.platform import compile_platform
from netemu.linux.state import Lab, Namespace, Veth


def compile_lab(network: Network, folder: str, numbers: Numbering | None = None, engine: str = "nftables") -> Lab:
    """Compile a resolved network; daemons will find their files in `folder`. Equal networks give equal states.

    `engine` is what spreads flows, `ipvs` or `nftables`.
    """
    numbers = numbers if numbers is not None else number(network)
    fabric, veths = compile_fabric(network, numbers)
    edge, uplink = compile_edge(network, numbers)
    internet, host_links = compile_internet(network, numbers, folder)
    machines, nics = compile_machines(network, numbers)
    namespaces: list[Namespace] = [
        fabric,
        edge,
        *internet,
        *compile_platform(network, folder, numbers, engine),
        *machines,
    ]
    every: list[Veth] = [*veths, *uplink, *host_links, *nics]
    return Lab(
        name=network.name,
        namespaces={n.name: n for n in namespaces},
        veths=every,
        checks=health_checks(network),
    )
