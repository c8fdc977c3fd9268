"""The internet edge: which public address a packet leaves with, and who is behind one (OUT-1…OUT-8, OUT-21, PIPE-4).

Ports stay as they are here. What shares an address between machines may choose other source ports, and nobody can know
which; `Outside.keepsPort` says where.
"""

from __future__ import annotations

from msgspec import Struct, field

from netemu.azure import tags
from netemu.azure.choosing import Choosing
from netemu.azure.flow import TCP, UDP, Packet, protocol_name
from netemu.azure.load_balancing import Backend
from netemu.azure.placement import Placement, Port
from netemu.azure.prefixes import IntervalSet
from netemu.azure.steps import Stage

PRIVATE = IntervalSet.of_prefixes(tags.NOT_PUBLIC)
"""Destinations that never leave by the edge (VN-13, RT-14)."""


class Called(Struct, frozen=True):
    """What a client spoke to: a public IP or a frontend."""

    address: int
    port: int
    outside: bool
    """On the internet's side."""


class Translations(Struct):
    """Translations that the packets of a flow have made."""

    called: dict[tuple[str, Packet], Called] = field(default_factory=dict)
    """NIC and reply packet as the guest sends it -> what its source becomes again (OUT-3, LB-2)."""
    masqueraded: dict[Packet, tuple[Port, int]] = field(default_factory=dict)
    """Outbound: reply packet as it comes from the internet -> NIC and private address."""
    chosen: dict[tuple[str, frozenset[tuple[int, int]], int], Backend] = field(default_factory=dict)
    """Rule, both ends of a flow and protocol -> its backend, which answers that come by that rule get, too (LB-19)."""


class Refused(Struct, frozen=True):
    """The edge drops it."""

    stage: Stage
    why: str


class Outside(Struct, frozen=True):
    """A packet as the internet sees it."""

    packet: Packet
    by: str
    """What has translated it."""
    keepsPort: bool


def translate_outbound(
    placement: Placement, translations: Translations, choosing: Choosing, port: Port, packet: Packet
) -> Outside | Refused:
    """The packet as the internet sees it, in the order of OUT-1."""
    if packet.destination in PRIVATE:
        return Refused("edge-private", "a private destination does not leave by the internet edge (VN-13, RT-14)")
    config = port.addresses.get(packet.source)
    if config is None:
        return Refused("edge-untranslated", "the source is not an address of the NIC that it leaves by (NVA-4)")
    keeps_port = True
    gateway = port.nic.subnet.natGateway
    balancer = placement.balancing.members.get((port.name, packet.source))
    if gateway is not None:
        if packet.protocol not in (TCP, UDP):
            return _protocol("a NAT gateway", packet, "OUT-41")
        public = int(choosing.choose(placement.network.natGateways[gateway].addresses))
        by, keeps_port = f"NAT gateway {gateway}", False
    elif config.publicIP is not None:
        public, by = int(config.publicIP.address), f"public IP {config.publicIP.name}"
    elif (port.name, packet.source) in placement.balancing.snat and packet.protocol not in (TCP, UDP):
        return _protocol(f"load balancer {balancer}", packet, "OUT-7")
    elif (own := placement.balancing.snat.get((port.name, packet.source), {}).get(packet.protocol)) is not None:
        public, by, keeps_port = own, f"load balancer {balancer}", False
    elif config.defaultOutbound is None:
        if balancer is not None:
            why = f"load balancer {balancer} does not let {protocol_name(packet.protocol)} out (OUT-4, OUT-32, OUT-36)"
            return Refused("edge-untranslated", why)
        return Refused("edge-untranslated", "no public IP and no default outbound access (OUT-1, OUT-6, OUT-8)")
    elif packet.protocol not in (TCP, UDP):
        return _protocol("default outbound access", packet, "OUT-7")
    else:
        public, by = int(config.defaultOutbound), "default outbound access"
    outside = packet.from_address(public)
    if outside != outside.reversed():  # an echo to one's own public address looks like its answer, and is none yet
        translations.masqueraded[outside.reversed()] = (port, packet.source)
    return Outside(outside, by, keeps_port)


def _protocol(who: str, packet: Packet, rule: str) -> Refused:
    return Refused("edge-untranslated", f"{who} does not translate {protocol_name(packet.protocol)} ({rule})")


class Inside(Struct, frozen=True):
    """A packet that came from the internet, at the NIC that it is for."""

    port: Port
    packet: Packet
    standard: bool
    """Came in by a Standard public IP or frontend, which are closed without an NSG (OUT-17)."""


def translate_back(translations: Translations, packet: Packet) -> Inside | None:
    """An answer to what went out."""
    known = translations.masqueraded.get(packet)
    return None if known is None else Inside(known[0], packet.to_address(known[1]), False)


def translate_inbound(placement: Placement, translations: Translations, packet: Packet) -> Inside | Refused:
    """The NIC that has the public address, and the packet as it gets it."""
    owner = placement.public.get(packet.destination)
    if owner is None:
        if packet.destination in PRIVATE:
            return Refused("edge-private", "a private address is not reachable from the internet (VN-13)")
        # OUT-5: addresses of default outbound access are nobody's for new flows.
        return Refused("edge-unknown", "nobody has this public address")
    port, private = owner
    inside = packet.to_address(private)
    translations.called[port.name, inside.reversed()] = Called(packet.destination, packet.destinationPort, True)
    public = port.addresses[private].publicIP
    return Inside(port, inside, public is not None and public.sku == "Standard")
