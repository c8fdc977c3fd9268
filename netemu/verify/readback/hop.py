"""Where a route leads to, in Azure's words: by the model, and by the kernel."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Literal

from msgspec import Struct

from netemu.azure.edge import Translations
from netemu.azure.flow import Packet
from netemu.azure.placement import Placement, Port
from netemu.azure.routing import EffectiveRoute
from netemu.azure.walk import PLATFORM_ADDRESSES, Memory, Walk
from netemu.linux.route_lookup import Entry
from netemu.verify.readback.plane import EDGE, FABRIC, PLATFORM, Plane

SINKS = {"none0": "None", "void0": "nobody"}
"""What the fabric's sink devices stand for."""


class Hop(Struct, frozen=True):
    """Where packets go next. The kernel does not tell why nobody has an address."""

    kind: Literal["NIC", "Internet", "None", "nobody", "platform", "elsewhere"]
    nic: str | None = None
    gateway: int | None = None
    """The appliance's address, when the NIC is one's."""

    def __str__(self) -> str:
        if self.kind == "NIC":
            via = f", next hop {IPv4Address(self.gateway)}" if self.gateway is not None else ""
            return f"NIC {self.nic}{via}"
        return {
            "nobody": "an address that nobody has", "platform": "the platform", "elsewhere": "nothing that netemu knows"
        }.get(self.kind, self.kind)  # fmt: skip


def by_model(placement: Placement, port: Port, destination: int, route: EffectiveRoute) -> Hop:
    """What a route means for a packet that leaves a NIC; platform addresses ignore routes (RT-24)."""
    if destination in PLATFORM_ADDRESSES:
        return Hop("platform")
    if route.nextHopType in ("Internet", "None"):
        return Hop("Internet" if route.nextHopType == "Internet" else "None")
    if route.nextHopType == "VirtualNetworkGateway":
        return Hop("nobody")
    packet = Packet(int(port.nic.address), destination, 0)
    target = Walk(placement, Memory(set(), Translations()), replying=False).target(port, packet, route)
    if target is None:
        return Hop("nobody")
    gateway = int(route.nextHopIpAddress) if route.nextHopIpAddress is not None else None
    return Hop("NIC", target.name, gateway)


def by_kernel(plane: Plane, entry: Entry | None) -> Hop:
    """What an entry of the fabric's routing tables means."""
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
        return Hop("platform")
    return Hop("NIC", plane.nic_at(end), entry.gateway)


def entry_text(entry: Entry | None) -> str:
    """An entry as `ip route` has it."""
    if entry is None:
        return "no route"
    gateway = f" via {IPv4Address(entry.gateway)}" if entry.gateway is not None else ""
    device = f" dev {entry.interface}" if entry.interface is not None else ""
    return f"table {entry.table}: {IPv4Address(entry.destination)}/{entry.length}{gateway}{device}"
