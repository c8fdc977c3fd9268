"""Raw packets into a namespace, and taps that see what its interfaces carry.

Inside one machine delivery is synchronous: when send() returns, a packet has been delivered or dropped, with all that
forwarding it caused; reading a tap afterwards needs no waiting. Only user space or a queue on the way takes time.
"""

from __future__ import annotations

import select
import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path

from msgspec import Struct

from netemu.linux.namespaces import entered
from netemu.linux.socket_buffers import receive_up_to

ETH_P_ALL, ETH_P_IP = 0x0003, 0x0800
PACKET_HOST, PACKET_OUTGOING = 0, 4
SO_TIMESTAMPNS = 35
SNAPSHOT = 2048
AT_ONCE = 20_000


class Sighting(Struct, frozen=True):
    """An IPv4 packet at an interface."""

    time: int
    """Nanoseconds, by the kernel's clock."""
    interface: str
    outgoing: bool
    packet: bytes
    """From the IP header on."""


class Tap:
    """Everything that the interfaces of a namespace carry, from the moment it is made."""

    def __init__(self, namespace: Path) -> None:
        with entered(namespace):
            kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
            self._socket = socket.socket(socket.AF_PACKET, kind, socket.htons(ETH_P_ALL))
        self._socket.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        receive_up_to(self._socket, 1 << 22)
        self._socket.setblocking(False)

    def close(self) -> None:
        """Stop seeing."""
        self._socket.close()

    def fileno(self) -> int:
        """For select and poll."""
        return self._socket.fileno()

    def read(self) -> Iterator[Sighting]:
        """What was carried since the last read; at most `AT_ONCE` packets, so that it ends whatever floods the lab."""
        for _ in range(AT_ONCE):
            try:
                data, ancillary, _, address = self._socket.recvmsg(SNAPSHOT, 64)
            except BlockingIOError:
                return
            interface, protocol, kind = address[0], address[1], address[2]
            if protocol != ETH_P_IP or kind not in (PACKET_HOST, PACKET_OUTGOING):
                continue  # a frame for somebody else's MAC is not for this machine
            seconds, nanoseconds = struct.unpack("=qq", ancillary[0][2][:16]) if ancillary else (0, 0)
            yield Sighting(seconds * 1_000_000_000 + nanoseconds, interface, kind == PACKET_OUTGOING, data)


def wait(taps: list[Tap], deadline: float) -> bool:
    """Until a tap has something to read, or the deadline (time.monotonic()) has passed."""
    remaining = deadline - time.monotonic()
    return remaining > 0 and bool(select.select(taps, (), (), remaining)[0])


def inject(namespace: Path, packet: bytes, interface: str | None = None) -> None:
    """Send an IPv4 packet from a namespace as its own stack would route it, whatever its source address says.

    With an interface, by that one. Raises OSError when the namespace has no route.
    """
    with (
        entered(namespace),
        socket.socket(socket.AF_INET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.IPPROTO_RAW) as raw,
    ):
        if interface is not None:
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode() + b"\0")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
        raw.sendto(packet, (socket.inet_ntoa(packet[16:20]), 0))
