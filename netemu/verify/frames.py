"""Packets that are sent to see what becomes of them, made of bytes: a token in each, by which it is known anywhere.

A token is 32 bits, of which the upper 11 are those of a run and the rest count. TCP carries it as sequence number, and
the answer acknowledges token + 1; all else has eight bytes of header, four of magic and then the token.

The matrix makes checksums wrong on purpose where nothing on the way looks at them (no appliance, no translation): the
guest's own system then ignores the packet, so that no program of the lab is disturbed and nobody answers but it.
"""

from __future__ import annotations

import struct

from msgspec import Struct

from netemu.azure.flow import ICMP, TCP, UDP, Packet

TTL = 64
RUN_BITS = 11
INDEX_BITS = 32 - RUN_BITS
INDEX_MASK = (1 << INDEX_BITS) - 1
ASK, ANSWER = 0x6E654101, 0x6E654102
"""The magic of what is asked, and of what answers."""

_ip = struct.Struct("!BBHHHBBHII").pack
_tcp = struct.Struct("!HHIIBBHHH").pack
_udp = struct.Struct("!HHHHII").pack
_echo = struct.Struct("!BBHHHII").pack
_plain = struct.Struct("!IIII").pack
_ends = struct.Struct("!II").unpack_from
_ports = struct.Struct("!HH").unpack_from
_two = struct.Struct("!II").unpack_from


class Seen(Struct, frozen=True, gc=False):
    """One of these packets at one place."""

    index: int
    answers: bool
    ttl: int
    source: int
    destination: int
    sourcePort: int
    destinationPort: int
    resets: bool = False
    """A system says that nobody listens (TCP)."""


def frame(packet: Packet, token: int, identity: int, *, answers: bool, valid: bool) -> bytes:
    """A packet from the IP header on. `identity` is the id of an echo."""
    protocol = packet.protocol
    if protocol == TCP:
        acknowledged = (token + 1) & 0xFFFFFFFF if answers else 0
        body = _tcp(
            packet.sourcePort, packet.destinationPort, token, acknowledged, 0x50, 0x12 if answers else 2, 64240, 0, 0
        )
        place = 16
    elif protocol == UDP:
        body = _udp(packet.sourcePort, packet.destinationPort, 16, 0, ANSWER if answers else ASK, token)
        place = 6
    elif protocol == ICMP:
        body = _echo(0 if answers else 8, 0, 0, identity, 1, ANSWER if answers else ASK, token)
        place = 2
    else:
        body = _plain(identity, 1, ANSWER if answers else ASK, token)
        place = 0
    if place:
        start = 0 if protocol == ICMP else _pseudo(packet, len(body))
        check = _checksum(body, start)
        if not valid:
            check ^= 0x5A5A  # UDP must not become 0, which is none
            check = check or 1
        body = body[:place] + check.to_bytes(2, "big") + body[place + 2 :]
    head = _ip(
        0x45, 0, 20 + len(body), token & 0xFFFF or 1, 0, TTL, protocol, 0, packet.source, packet.destination
    )  # fmt: skip
    return head[:10] + _checksum(head, 0).to_bytes(2, "big") + head[12:] + body


def _pseudo(packet: Packet, length: int) -> int:
    a, b = packet.source, packet.destination
    return (a >> 16) + (a & 0xFFFF) + (b >> 16) + (b & 0xFFFF) + packet.protocol + length


def _checksum(data: bytes, start: int) -> int:
    """RFC 1071."""
    total: int = start + sum(struct.unpack(f"!{len(data) >> 1}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def dissect(data: bytes) -> Seen | None:
    """What a tap saw; None when it is none of these packets. Which run's it is, the tap's filter has asked."""
    start = (data[0] & 15) << 2
    if len(data) < start + 16:
        return None
    protocol = data[9]
    source, destination = _ends(data, 12)
    if protocol == TCP:
        answers = bool(data[start + 13] & 0x10)
        sequence, acknowledged = _two(data, start + 4)
        token = (acknowledged - 1) & 0xFFFFFFFF if answers else sequence
        near, far = _ports(data, start)
        return Seen(token & INDEX_MASK, answers, data[8], source, destination, near, far, bool(data[start + 13] & 4))
    magic, token = _two(data, start + 8)
    ports = _ports(data, start) if protocol == UDP else (0, 0)
    # A guest that answers an echo by itself sends back what it was sent.
    answers = data[start] == 0 if protocol == ICMP else magic == ANSWER
    return Seen(token & INDEX_MASK, answers, data[8], source, destination, *ports)


LOAD_BYTE, LOAD_WORD, LOAD_X_BYTE, LOAD_X_WORD, LOAD_X_HEADER = 0x30, 0x20, 0x50, 0x40, 0xB1
AND, IF_EQUAL, RETURN = 0x54, 0x15, 0x06
PACKET_TYPE, OUTGOING = 0xFFFFF004, 4
"""SKF_AD_OFF + SKF_AD_PKTTYPE (linux/filter.h); PACKET_OUTGOING."""
SNAPSHOT = 128

Instruction = tuple[str, int, int, str, str]
"""Label, operation, value; for a comparison where to go when equal and when not, "" being the next one."""


def tap_filter(run: int, *, sent: bool = False) -> bytes:
    """A classic BPF program that takes what is a run's own: questions that come in, and answers either way.

    With `sent`, questions that go out as well. The packet begins with its IP header; the result is an array of struct
    sock_filter (linux/filter.h).
    """
    ours, mask = run << INDEX_BITS, 0xFFFFFFFF & ~INDEX_MASK
    program: list[Instruction] = [
        ("", LOAD_X_HEADER, 0, "", ""),
        ("", LOAD_BYTE, 9, "", ""),
        ("", IF_EQUAL, TCP, "tcp", ""),
        ("", LOAD_X_WORD, 12, "", ""),
        ("", AND, mask, "", ""),
        ("", IF_EQUAL, ours, "", "no"),
        ("", LOAD_BYTE, 9, "", ""),
        ("", IF_EQUAL, ICMP, "echo", ""),
        ("", LOAD_X_WORD, 8, "", ""),
        ("", IF_EQUAL, ANSWER, "yes", ""),
        ("", IF_EQUAL, ASK, "asks", "no"),
        ("echo", LOAD_X_WORD, 8, "", ""),
        ("", AND, 0xFFFFFF00, "", ""),
        ("", IF_EQUAL, ASK & 0xFFFFFF00, "", "no"),
        ("", LOAD_X_BYTE, 0, "", ""),
        ("", IF_EQUAL, 0, "yes", "asks"),
        ("tcp", LOAD_X_BYTE, 13, "", ""),
        ("", AND, 0x10, "", ""),
        ("", IF_EQUAL, 0x10, "acknowledges", ""),
        ("", LOAD_X_BYTE, 13, "", ""),
        ("", IF_EQUAL, 2, "", "no"),  # a reset follows up the answer, as a system does that has not asked
        ("", LOAD_X_WORD, 4, "", ""),
        ("", AND, mask, "", ""),
        ("", IF_EQUAL, ours, "asks", "no"),
        ("acknowledges", LOAD_X_WORD, 8, "", ""),
        ("", AND, mask, "", ""),
        ("", IF_EQUAL, ours, "yes", "no"),
        ("asks", LOAD_WORD, PACKET_TYPE, "", ""),
        ("", IF_EQUAL, OUTGOING, "yes" if sent else "no", ""),
        ("yes", RETURN, SNAPSHOT, "", ""),
        ("no", RETURN, 0, "", ""),
    ]
    labels = {label: place for place, (label, *_) in enumerate(program) if label}
    code = b""
    for place, (_, operation, value, equal, other) in enumerate(program):
        jumps = [labels[label] - place - 1 if label else 0 for label in (equal, other)]
        code += struct.pack("=HBBI", operation, *jumps, value)
    return code
