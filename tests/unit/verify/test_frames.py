"""The packets that are sent to see what becomes of them: what scapy says of them, and how they are known again."""

from __future__ import annotations

import pytest
from scapy.layers.inet import ICMP as IcmpHeader
from scapy.layers.inet import IP
from scapy.layers.inet import TCP as TcpHeader
from scapy.layers.inet import UDP as UdpHeader
from scapy.packet import Raw

from netemu.azure.flow import ESP, ICMP, TCP, UDP, Packet
from netemu.verify.frames import INDEX_BITS, dissect, frame

HERE, THERE = 0x0A000004, 0x0A000005
TOKEN = 5 << INDEX_BITS | 77
EVERY_PROTOCOL = pytest.mark.parametrize("protocol", [TCP, UDP, ICMP, ESP])


def sent(protocol: int, *, answers: bool = False, valid: bool = True) -> bytes:
    ports = (50000, 80) if protocol in (TCP, UDP) else (0, 0)
    return frame(Packet(HERE, THERE, protocol, *ports), TOKEN, 9, answers=answers, valid=valid)


def checksums(data: bytes) -> list[tuple[int, int]]:
    """Those of the IP header and of what it carries: as they are, and as scapy computes them."""
    as_is, anew = IP(data), IP(data)
    for layer in (anew, anew.payload):
        if "chksum" in layer.fields:
            del layer.chksum
    anew = IP(bytes(anew))
    layers = [(as_is, anew)] + ([(as_is.payload, anew.payload)] if not isinstance(as_is.payload, Raw) else [])
    return [(one.chksum, other.chksum) for one, other in layers if "chksum" in one.fields]


@EVERY_PROTOCOL
def test_scapy_reads_what_was_meant(protocol: int) -> None:
    packet = IP(sent(protocol))
    assert (packet.src, packet.dst, packet.proto, packet.ttl) == ("10.0.0.4", "10.0.0.5", protocol, 64)
    if protocol == TCP:
        assert isinstance(packet.payload, TcpHeader)
        assert (packet.sport, packet.dport, packet.seq, str(packet.payload.flags)) == (50000, 80, TOKEN, "S")
        answer = IP(sent(protocol, answers=True))
        assert (answer.ack, str(answer.payload.flags)) == (TOKEN + 1, "SA")
    elif protocol == UDP:
        assert isinstance(packet.payload, UdpHeader)
        assert (packet.sport, packet.dport) == (50000, 80)
    elif protocol == ICMP:
        assert isinstance(packet.payload, IcmpHeader)
        assert (packet[IcmpHeader].type, packet[IcmpHeader].id) == (8, 9)
        assert IP(sent(protocol, answers=True))[IcmpHeader].type == 0


@EVERY_PROTOCOL
def test_checksums_are_right_or_wrong_as_they_should_be(protocol: int) -> None:
    assert all(found == right for found, right in checksums(sent(protocol)))
    head, *body = checksums(sent(protocol, valid=False))
    assert head[0] == head[1]
    assert all(found not in (right, 0) for found, right in body)
    assert len(body) == (protocol != ESP)


@EVERY_PROTOCOL
def test_a_packet_is_known_again_after_its_addresses_and_ports_were_translated(protocol: int) -> None:
    data = bytearray(sent(protocol))
    data[12:16] = bytes([20, 61, 0, 1])
    if protocol in (TCP, UDP):
        data[20:22] = (1024).to_bytes(2, "big")
    seen = dissect(bytes(data))
    assert seen is not None
    assert (seen.index, seen.answers, seen.source, seen.destination) == (77, False, 0x143D0001, THERE)
    assert seen.sourcePort == (1024 if protocol in (TCP, UDP) else 0)
    back = dissect(sent(protocol, answers=True))
    assert back is not None
    assert (back.index, back.answers) == (77, True)
