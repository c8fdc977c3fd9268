"""Resets TCP connections at both ends, of which we know nothing but their addresses and ports.

A reset counts only when it has the sequence number that the other end expects next. So each end is asked first: a
segment out of its window makes it acknowledge what it has (RFC 9293, 3.10.7.4), and the reset takes its number from
there.

Delivery inside one machine is synchronous, so the answers are there when the questions have been sent.
"""

from __future__ import annotations

import contextlib
import ctypes
import select
import socket
import struct
import time
from collections.abc import Iterable

from msgspec import Struct

from netemu.linux.namespaces import entered

ETH_P_IP = 0x0800
SO_ATTACH_FILTER = 26
SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23
ACK, RST = 0x10, 0x04
PATIENCE = 0.05
"""Seconds to wait for answers that are not there at once: the machine is busy."""
AT_ONCE = 64
"""Connections that are asked before answers are read: an end may have little room for them."""

FILTER = (
    (0x30, 0, 0, 23),          # A = protocol
    (0x15, 0, 11, 6),          # TCP
    (0xB1, 0, 0, 14),          # X = length of the IP header
    (0x50, 0, 0, 27),          # A = flags
    (0x54, 0, 0, 0x17),        # FIN, SYN, RST, ACK
    (0x15, 0, 7, 0x10),        # ACK alone
    (0x50, 0, 0, 26),          # A = data offset
    (0x54, 0, 0, 0xF0),
    (0x74, 0, 0, 2),           # in bytes
    (0x0C, 0, 0, 0),           # with the IP header
    (0x07, 0, 0, 0),           # X = length of both headers
    (0x28, 0, 0, 16),          # A = length of the packet
    (0x1D, 1, 0, 0),           # no data
    (0x06, 0, 0, 0),
    (0x06, 0, 0, 128),
)  # fmt: skip
"""Classic BPF: acknowledgements without data, as the answers are."""

_ip = struct.Struct("!BBHHHBBHII").pack
_tcp = struct.Struct("!HHIIBBHHH").pack


class Peer(Struct, frozen=True):
    """One end of a connection, and how a segment gets there that seems to come from the other end."""

    link: str
    source: int
    source_port: int
    destination: int
    destination_port: int


def reset(namespace: int, peers: Iterable[Peer], mac: bytes) -> int:
    """Reset connections at these ends; `mac` is what links between routers have at both ends. How many were reset."""
    waiting = list(peers)
    with entered(namespace):
        tap = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.htons(ETH_P_IP))
    with tap:
        tap.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        _attach(tap)
        frame = mac + mac + struct.pack("!H", ETH_P_IP)
        return sum(_some(tap, waiting[i : i + AT_ONCE], frame) for i in range(0, len(waiting), AT_ONCE))


def _some(tap: socket.socket, peers: list[Peer], frame: bytes) -> int:
    asked = {(p.destination, p.destination_port, p.source, p.source_port): p for p in peers}
    for peer in peers:
        with contextlib.suppress(OSError):  # the link has gone
            tap.sendto(frame + segment(peer, 0, ACK), (peer.link, ETH_P_IP))
    done, deadline = 0, time.monotonic() + PATIENCE
    while asked and select.select([tap], [], [], max(0.0, deadline - time.monotonic()))[0]:
        answer = tap.recv(256)[14:]
        key, expected = _read(answer)
        answering = asked.pop(key, None)
        if answering is not None:
            tap.sendto(frame + segment(answering, expected, RST), (answering.link, ETH_P_IP))
            done += 1
    return done


def segment(peer: Peer, sequence: int, flags: int) -> bytes:
    """An IP packet with a TCP segment without data."""
    head = _tcp(peer.source_port, peer.destination_port, sequence, 0, 5 << 4, flags, 0, 0, 0)
    pseudo = struct.pack("!IIHH", peer.source, peer.destination, socket.IPPROTO_TCP, len(head))
    head = head[:16] + _checksum(pseudo + head) + head[18:]
    packet = _ip(0x45, 0, 20 + len(head), 0, 0x4000, 64, socket.IPPROTO_TCP, 0, peer.source, peer.destination)
    return packet[:10] + _checksum(packet) + packet[12:] + head


def _checksum(data: bytes) -> bytes:
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    total = (total & 0xFFFF) + (total >> 16)
    return struct.pack("!H", ~(total + (total >> 16)) & 0xFFFF)


def _read(packet: bytes) -> tuple[tuple[int, int, int, int], int]:
    """Source, its port, destination, its port; and the number that is expected next."""
    size = (packet[0] & 15) * 4
    source, destination = struct.unpack_from("!II", packet, 12)
    source_port, destination_port, _, acknowledged = struct.unpack_from("!HHII", packet, size)
    return (source, source_port, destination, destination_port), acknowledged


def _attach(tap: socket.socket) -> None:
    code = b"".join(struct.pack("=HBBI", *line) for line in FILTER)
    buffer = ctypes.create_string_buffer(code)
    tap.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("=HxxxxxxQ", len(FILTER), ctypes.addressof(buffer)))
