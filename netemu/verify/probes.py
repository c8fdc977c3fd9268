"""Probes: one packet for each flow, recognisable wherever it turns up, whatever was translated on the way.

TCP carries its token as sequence number (an answer acknowledges token + 1), UDP and ICMP echo in their payload.
"""

from __future__ import annotations

import random
from ipaddress import IPv4Address
from typing import Any

from msgspec import Struct

from netemu.azure.flow import ICMP, TCP, UDP, Packet

MAGIC = b"netemu"


class Seen(Struct, frozen=True):
    """A probe as it looked at one place."""

    source: IPv4Address
    destination: IPv4Address
    sourcePort: int
    destinationPort: int


class Probe:
    """A packet with a token. `dissect` recognises it, `dissect_answer` an answer to it."""

    def __init__(self, packet: Packet, token: int) -> None:
        self.packet, self.token = packet, token & 0x7FFFFFFF
        self._payload = MAGIC + self.token.to_bytes(4, "big")

    def build(self) -> bytes:
        """The probe from the IP header on, built by scapy."""
        return bytes(_ip(self.packet) / self._transport(self.packet, answer=False))

    def build_answer(self, seen: Seen) -> bytes:
        """What the receiver answers, to the addresses and ports that it saw."""
        back = Packet(
            int(seen.destination), int(seen.source), self.packet.protocol, seen.destinationPort, seen.sourcePort
        )
        return bytes(_ip(back) / self._transport(back, answer=True))

    def _transport(self, packet: Packet, *, answer: bool) -> Any:
        from scapy.layers.inet import ICMP as IcmpHeader
        from scapy.layers.inet import TCP as TcpHeader
        from scapy.layers.inet import UDP as UdpHeader

        if packet.protocol == TCP:
            acknowledged = self.token + 1 if answer else 0
            return TcpHeader(
                sport=packet.sourcePort, dport=packet.destinationPort, seq=self.token, ack=acknowledged,
                flags="SA" if answer else "S", window=64240,
            )  # fmt: skip
        if packet.protocol == UDP:
            payload = self._payload + (b"answer" if answer else b"")
            return UdpHeader(sport=packet.sourcePort, dport=packet.destinationPort) / payload
        return IcmpHeader(type=0 if answer else 8, id=self.token & 0xFFFF, seq=1) / self._payload

    def dissect(self, data: bytes) -> Seen | None:
        """What the probe looked like, if `data` is the probe."""
        return self._dissect(data, answer=False)

    def dissect_answer(self, data: bytes) -> Seen | None:
        """What the answer looked like, if `data` is an answer to the probe."""
        return self._dissect(data, answer=True)

    def _dissect(self, data: bytes, *, answer: bool) -> Seen | None:
        if len(data) < 28 or data[9] != self.packet.protocol:
            return None
        start = (data[0] & 15) * 4
        transport = data[start:]
        if self.packet.protocol == TCP:
            number = int.from_bytes(transport[8:12] if answer else transport[4:8], "big")
            is_answer = bool(transport[13] & 0x10)
            ours = is_answer is answer and number == (self.token + 1 if answer else self.token)
        elif self.packet.protocol == UDP:
            ours = transport[8:] == self._payload + (b"answer" if answer else b"")
        else:
            ours = transport[0] == (0 if answer else 8) and transport[8:].startswith(self._payload)
        if not ours:
            return None
        ports = (0, 0)
        if self.packet.has_ports:
            ports = int.from_bytes(transport[0:2], "big"), int.from_bytes(transport[2:4], "big")
        return Seen(IPv4Address(data[12:16]), IPv4Address(data[16:20]), *ports)


def _ip(packet: Packet) -> Any:
    from scapy.layers.inet import IP

    return IP(
        src=str(IPv4Address(packet.source)), dst=str(IPv4Address(packet.destination)),
        proto={TCP: 6, UDP: 17, ICMP: 1}[packet.protocol], id=random.getrandbits(16),
    )  # fmt: skip


def fresh_port() -> int:
    """A source port that no flow of the last minutes is likely to have had: an old record would let the probe pass."""
    return random.randrange(20000, 60000)


def fresh_token() -> int:
    """A token for a probe."""
    return random.getrandbits(31)
