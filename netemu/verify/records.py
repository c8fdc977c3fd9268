"""Flow records that the fabric has of earlier flows, as far as they touch a flow that is to be asked.

A flow whose ports are given passes by the record of an earlier one, its own answer included, for four minutes (NSG-23),
on Azure as well: a verdict that is to be right has to know them.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

from netemu.azure.flow import Packet
from netemu.azure.placement import Placement
from netemu.azure.steps import Verdict
from netemu.azure.walk import Record
from netemu.linux import nft_elements

FABRIC, TABLE = "@fabric", "netemu"
_ends = struct.Struct("!II").pack


class Records:
    """Asks the kernel."""

    def __init__(self, placement: Placement, namespaces: Mapping[str, Path]) -> None:
        self._placement, self._namespaces = placement, namespaces

    @cached_property
    def _ports(self) -> dict[str, int]:
        """NIC → index of its interface in the fabric."""
        found: dict[str, int] = {}
        for machine in self._placement.guests.values():
            peers = nft_elements.peers(self._namespaces[machine.name])
            found |= {port.name: peers[f"eth{port.nic.index}"] for port in machine.ports}
        return found

    def of(self, sender: str, packet: Packet, verdict: Verdict) -> frozenset[Record]:
        """Those that may let the packet, or the answer to it, pass. The sender is a virtual machine or a host."""
        ways = (verdict, verdict.reply) if verdict.reply is not None else (verdict,)
        packets = {each for way in ways for step in way.steps for each in (step.packet, step.packet.reversed())}
        machines = {sender, *(name for way in ways for name in (*way.via, way.receiver))}
        ends = {each.destination for each in packets}
        machines |= {x[end].machine for x in self._placement.owners.values() for end in ends if end in x}
        machines |= {
            self._placement.ports[step.place].machine
            for way in ways
            for step in way.steps
            if step.place in self._placement.ports
        }
        ports = [port for name in machines for guest in [self._placement.guests.get(name or "")] if guest
                 for port in guest.ports]  # fmt: skip
        asked = [(port.name, each) for port in ports for each in packets]
        keys = [_key(self._ports[name], each) for name, each in asked]
        kept = "flows" if packet.has_ports else "portless"
        known = nft_elements.present(self._namespaces[FABRIC], TABLE, kept, keys)
        return frozenset(record for record, there in zip(asked, known, strict=True) if there)


def _key(index: int, packet: Packet) -> bytes:
    """As the fabric's sets have it: interface, near and far address, protocol, and near and far port if there are."""
    key = struct.pack("=I", index) + _ends(packet.source, packet.destination) + bytes([packet.protocol, 0, 0, 0])
    if packet.has_ports:
        key += struct.pack("!HxxHxx", packet.sourcePort, packet.destinationPort)
    return key
