"""The internet edge: which public address a packet leaves with, and who is behind one (OUT-1…OUT-8, OUT-21, PIPE-4).

Ports stay as they are: default outbound access may change the source port on its way, and nobody can know to what.
"""

from __future__ import annotations

from msgspec import Struct, field

from netemu.azure import tags
from netemu.azure.flow import TCP, UDP, Packet, protocol_name
from netemu.azure.placement import Placement, Port
from netemu.azure.prefixes import IntervalSet
from netemu.azure.steps import Stage

PRIVATE = IntervalSet.of_prefixes(tags.NOT_PUBLIC)
"""Destinations that never leave by the edge (VN-13, RT-14)."""


class Translations(Struct):
    """Translations that the packets of a flow have made."""

    published: dict[tuple[str, Packet], int] = field(default_factory=dict)
    """Inbound by a public IP: NIC and reply packet as the guest sends it -> the public address (OUT-3)."""
    masqueraded: dict[Packet, tuple[Port, int]] = field(default_factory=dict)
    """Outbound: reply packet as it comes from the internet -> NIC and private address."""


class Refused(Struct, frozen=True):
    """The edge drops it."""

    stage: Stage
    why: str


def translate_outbound(translations: Translations, port: Port, packet: Packet) -> Packet | Refused:
    """The packet as the internet sees it."""
    if packet.destination in PRIVATE:
        return Refused("edge-private", "a private destination does not leave by the internet edge (VN-13, RT-14)")
    config = port.addresses.get(packet.source)
    if config is None:
        return Refused("edge-untranslated", "the source is not an address of the NIC that it leaves by (NVA-4)")
    if config.publicIP is not None:
        public = config.publicIP.address
    elif config.defaultOutbound is None:
        return Refused("edge-untranslated", "no public IP and no default outbound access (OUT-1, OUT-6, OUT-8)")
    elif packet.protocol not in (TCP, UDP):
        name = protocol_name(packet.protocol)
        return Refused("edge-untranslated", f"default outbound access does not translate {name} (OUT-7)")
    else:
        public = config.defaultOutbound
    outside = packet.from_address(int(public))
    translations.masqueraded[outside.reversed()] = (port, packet.source)
    return outside


def translate_inbound(
    placement: Placement, translations: Translations, packet: Packet
) -> tuple[Port, Packet] | Refused:
    """The NIC behind the public address, and the packet as it gets it."""
    known = translations.masqueraded.get(packet)
    if known is not None:
        port, private = known
        return port, packet.to_address(private)
    owner = placement.public.get(packet.destination)
    if owner is None:
        if packet.destination in PRIVATE:
            return Refused("edge-private", "a private address is not reachable from the internet (VN-13)")
        # OUT-5: addresses of default outbound access are nobody's for new flows.
        return Refused("edge-unknown", "nobody has this public address")
    port, private = owner
    inside = packet.to_address(private)
    translations.published[port.name, inside.reversed()] = packet.destination
    return port, inside
