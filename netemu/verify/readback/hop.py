"""Where a route leads to, in Azure's words: by the model, and by the kernel."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Literal

from msgspec import Struct

from netemu.azure.blocked import PLATFORM_ADDRESSES
from netemu.azure.placement import Placement, Port
from netemu.azure.routing import EffectiveRoute
from netemu.linux.route_lookup import Entry
from netemu.verify.readback.plane import EDGE, FABRIC, PLATFORM, Plane

SINKS = {"none0": "None", "void0": "nobody"}
"""What the fabric's sink devices stand for."""


WORDS = {
    "load balancer": "a load balancer",
    "nobody": "an address that nobody has",
    "platform": "the platform",
    "elsewhere": "nothing that netemu knows",
}


class Hop(Struct, frozen=True):
    """Where packets go next. The kernel does not tell why nobody has an address."""

    kind: Literal["NIC", "Internet", "None", "nobody", "platform", "load balancer", "elsewhere"]
    nic: str | None = None
    gateway: int | None = None
    """The appliance's address, when the NIC is one's."""

    def __str__(self) -> str:
        if self.kind == "NIC":
            via = f", next hop {IPv4Address(self.gateway)}" if self.gateway is not None else ""
            return f"NIC {self.nic}{via}"
        return WORDS.get(self.kind, self.kind)


def by_model(placement: Placement, port: Port, destination: int, route: EffectiveRoute) -> Hop:
    """What a route means for a packet that leaves a NIC; platform addresses ignore routes (RT-24)."""
    if destination in PLATFORM_ADDRESSES:
        return Hop("platform")
    if route.nextHopType in ("Internet", "None"):
        return Hop("Internet" if route.nextHopType == "Internet" else "None")
    if route.nextHopType == "VirtualNetworkGateway":
        return Hop("nobody")
    gateway = route.nextHopIpAddress
    if gateway is not None:
        # RT-7, PEER-19: the appliance, or the load balancer before it, is in this network or in a peered one.
        networks = [port.virtualNetwork, *placement.peerings[port.virtualNetwork]]
        found = (_owner(placement, port, name, int(gateway)) for name in networks)
        hop = next((each for each in found if each.kind != "nobody"), Hop("nobody"))
        return Hop("NIC", hop.nic, int(gateway)) if hop.kind == "NIC" else hop
    peer = route.remoteVirtualNetwork if route.nextHopType == "VNetPeering" else None
    return _owner(placement, port, peer or port.virtualNetwork, destination)


def _owner(placement: Placement, port: Port, network: str, address: int) -> Hop:
    """Who has an address in a virtual network: a NIC, or a frontend; a Basic one not for another region (PEER-17)."""
    if address in placement.owners[network]:
        return Hop("NIC", placement.owners[network][address].name)
    networks = placement.network.virtualNetworks
    near = networks[network].location == networks[port.virtualNetwork].location
    for frontend in placement.network.frontends():
        inside = frontend.subnet is not None and frontend.subnet.virtualNetwork == network
        if inside and int(frontend.address) == address and (near or frontend.sku == "Standard"):
            return Hop("load balancer")
    return Hop("nobody")


def by_kernel(plane: Plane, entry: Entry | None, destination: int) -> Hop:
    """What an entry of the fabric's routing tables means for a packet to this destination."""
    if entry is None or entry.interface is None:
        return Hop("elsewhere")
    if entry.interface in SINKS:
        return Hop("None" if SINKS[entry.interface] == "None" else "nobody")
    end = plane.behind(FABRIC, entry.interface)
    if end is None:
        return Hop("elsewhere")
    if end[0] == EDGE:
        return Hop("Internet")
    if end[0].startswith(PLATFORM):
        return Hop("platform" if destination in PLATFORM_ADDRESSES else "load balancer")
    return Hop("NIC", plane.nic_at(end), entry.gateway)


def entry_text(entry: Entry | None) -> str:
    """An entry as `ip route` has it."""
    if entry is None:
        return "no route"
    gateway = f" via {IPv4Address(entry.gateway)}" if entry.gateway is not None else ""
    device = f" dev {entry.interface}" if entry.interface is not None else ""
    return f"table {entry.table}: {IPv4Address(entry.destination)}/{entry.length}{gateway}{device}"
