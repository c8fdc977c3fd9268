"""Many packets at once: a socket in each namespace that sends by its interfaces and sees what a filter takes.

Delivery inside one machine is synchronous but for queues and user space: when send() returns, what the packet caused
has been done. One socket does both, because closing a packet socket waits for an RCU grace period (5 to 17 ms). Those
that are closed at the same time share one, so each has a thread for that: 300 take 70 ms instead of 5 s.
"""

from __future__ import annotations

import contextlib
import ctypes
import select
import socket
import struct
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from msgspec import Struct

from netemu.linux.namespaces import entered
from netemu.linux.socket_buffers import receive_up_to

ETH_P_ALL, ETH_P_IP = 0x0003, 0x0800
PACKET_HOST, PACKET_OUTGOING = 0, 4
SO_ATTACH_FILTER = 26
SO_TIMESTAMPNS = 35
SOL_PACKET, PACKET_STATISTICS = 263, 6
INSTRUCTION_SIZE = 8
BUFFER = 1 << 24
"""Bytes of packets that a tap may hold between two reads."""
AT_ONCE = 4096
"""Packets that one read takes from one tap, so that a flood at one of them keeps nobody from the others."""
CLOSERS = 64
"""Threads that close; more make nothing faster."""


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("instructions", ctypes.c_void_p))


class Sighting(Struct, frozen=True, gc=False):
    """A packet at an interface."""

    node: str
    interface: str
    outgoing: bool
    time: int
    """Nanoseconds, by the kernel's clock."""
    packet: bytes
    """From the IP header on."""


class Volley:
    """Sends from some namespaces, and sees what their interfaces carry, as far as a filter takes it.

    `code` is a classic BPF program for packets that begin with the IP header (struct sock_filter[]). `timed`: packets
    have the time at which they were seen, for `sightings`.
    """

    def __init__(self, namespaces: Mapping[str, Path], code: bytes, *, timed: bool = False) -> None:
        self._namespaces = namespaces
        self._timed = timed
        self._names: dict[int, str] = {}
        self._taps: dict[str, socket.socket] = {}
        self._routed: dict[str, socket.socket] = {}
        self._listening: list[socket.socket] = []
        self._ready = select.epoll()
        buffer = ctypes.create_string_buffer(code, len(code))
        program = bytes(_Program(len(code) // INSTRUCTION_SIZE, ctypes.addressof(buffer)))
        try:
            for name in namespaces:
                self._open(name, program)
        except BaseException:
            self.close()
            raise

    def _open(self, name: str, program: bytes) -> None:
        with entered(self._namespaces[name]):
            kind = socket.SOCK_DGRAM | socket.SOCK_CLOEXEC
            tap = self._taps[name] = socket.socket(socket.AF_PACKET, kind, socket.htons(ETH_P_ALL))
        tap.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, program)
        if self._timed:
            tap.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        receive_up_to(tap, BUFFER)
        tap.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            while True:  # what came before the filter
                tap.recv(1)
        self._names[tap.fileno()] = name
        self._ready.register(tap.fileno(), select.EPOLLIN)

    def close(self) -> None:
        """Close everything."""
        self._ready.close()
        for opened in (*self._routed.values(), *self._listening):
            opened.close()
        with ThreadPoolExecutor(min(CLOSERS, len(self._taps) or 1)) as closers:
            for tap in self._taps.values():
                closers.submit(tap.close)

    def send_by(self, node: str, interface: str, mac: bytes, packet: bytes) -> None:
        """Send an IPv4 packet by an interface to a neighbour's MAC, from the interface's own."""
        self._taps[node].sendto(packet, (interface, ETH_P_IP, 0, 0, mac))

    def listen(self, node: str, protocol: int) -> None:
        """Have a raw socket for a protocol, so that the namespace does not answer that it is unreachable (raw(7))."""
        with entered(self._namespaces[node]):
            self._listening.append(socket.socket(socket.AF_INET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol))

    def send(self, node: str, packet: bytes) -> None:
        """Send an IPv4 packet as the namespace would route it; OSError when it has no route."""
        found = self._routed.get(node)
        if found is None:
            with entered(self._namespaces[node]):
                found = socket.socket(socket.AF_INET, socket.SOCK_RAW | socket.SOCK_CLOEXEC, socket.IPPROTO_RAW)
            found.setsockopt(socket.SOL_SOCKET, socket.SO_BROADCAST, 1)
            self._routed[node] = found
        found.sendto(packet, (socket.inet_ntoa(packet[16:20]), 0))

    def read(self, timeout: float = 0) -> Iterator[tuple[str, bool, bytes]]:
        """Namespace, whether it is going out, and the packet from its IP header on; nothing after `timeout` seconds.

        At most `AT_ONCE` packets of each tap, so that it ends whatever floods the lab.
        """
        for descriptor, _ in self._ready.poll(timeout, max(len(self._names), 1)):
            name = self._names[descriptor]
            tap = self._taps[name]
            for _ in range(AT_ONCE):
                try:
                    data, address = tap.recvfrom(2048)
                except BlockingIOError:
                    break
                except OSError:  # an interface went down, which is told once
                    continue
                if address[2] == PACKET_OUTGOING:
                    yield name, True, data
                elif address[2] == PACKET_HOST:
                    yield name, False, data

    def sightings(self, timeout: float = 0) -> Iterator[Sighting]:
        """The same with interface and time."""
        for descriptor, _ in self._ready.poll(timeout, max(len(self._names), 1)):
            name = self._names[descriptor]
            tap = self._taps[name]
            for _ in range(AT_ONCE):
                try:
                    data, ancillary, _, address = tap.recvmsg(2048, 64)
                except BlockingIOError:
                    break
                except OSError:
                    continue
                if address[2] in (PACKET_HOST, PACKET_OUTGOING):  # a frame for another MAC is not for this machine
                    seconds, nanoseconds = struct.unpack_from("=qq", ancillary[0][2]) if ancillary else (0, 0)
                    time = seconds * 1_000_000_000 + nanoseconds
                    yield Sighting(name, address[0], address[2] == PACKET_OUTGOING, time, data)

    def lost(self) -> int:
        """Packets that a tap had no room for since this was asked last (packet(7), PACKET_STATISTICS)."""
        return sum(
            struct.unpack("=II", tap.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8))[1] for tap in self._taps.values()
        )
