"""Packet sockets: every packet of a namespace's interfaces, both directions, with the kernel's time stamps."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import struct
import time
from collections.abc import Iterator, Mapping

from msgspec import Struct

from netemu.linux.namespaces import entered
from netemu.linux.packet_filter import compile_filter
from netemu.linux.pcapng import LINKTYPE_ETHERNET, LINKTYPE_RAW
from netemu.linux.socket_buffers import receive_up_to

SNAP_LENGTH = 262_144
"""Larger than any packet, segmentation offload included; what tcpdump takes."""
BUFFER = 32 << 20
"""Bytes that the kernel may hold for us while we write."""
BURST = 512

ETH_P_ALL = 3
PACKET_OUTGOING = 4
ARPHRD_ETHER, ARPHRD_LOOPBACK = 1, 772
SO_ATTACH_FILTER, SO_TIMESTAMPNS = 26, 35
SOL_PACKET, PACKET_STATISTICS = 263, 6

INBOUND, OUTBOUND = 1, 2
_RECEPTION = {0: 1 << 2, 1: 3 << 2, 2: 2 << 2, 3: 4 << 2}
"""PACKET_HOST, _BROADCAST, _MULTICAST, _OTHERHOST to the reception type of epb_flags."""
_timespec = struct.Struct("@ll")


class Packet(Struct, frozen=True):
    """A packet as an interface saw it."""

    interface: str
    nanoseconds: int
    data: bytes
    length: int
    """On the wire."""
    flags: int
    """pcapng's epb_flags: direction in bits 0-1, reception type in bits 2-4."""

    @property
    def is_outbound(self) -> bool:
        """Say whether it left by the interface."""
        return self.flags & 3 == OUTBOUND


def linktypes(namespace: int) -> dict[str, int]:
    """Find the interfaces of a namespace, without `lo`, in the order of their indexes, and their link types."""
    with entered(namespace), socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) as probe:
        names = [name for _, name in sorted(socket.if_nameindex()) if name != "lo"]
        return {name: LINKTYPE_ETHERNET if _is_ethernet(probe, name) else LINKTYPE_RAW for name in names}


def _is_ethernet(probe: socket.socket, name: str) -> bool:
    try:
        probe.bind((name, 0))
    except OSError as error:
        if error.errno in (errno.ENODEV, errno.ENETDOWN):  # gone in this moment, or down, in which case it is a veth
            return True
        raise
    return probe.getsockname()[3] in (ARPHRD_ETHER, ARPHRD_LOOPBACK)


class Tap:
    """Receives from some interfaces of a namespace: one socket for each link type, bound when it is one interface."""

    def __init__(self, namespace: int, interfaces: Mapping[str, int], expression: str) -> None:
        self._interfaces = interfaces
        self._buffer = bytearray(SNAP_LENGTH)
        self.sockets: dict[int, socket.socket] = {}
        codes = {
            linktype: compile_filter(expression, linktype, SNAP_LENGTH) if expression else None
            for linktype in dict.fromkeys(interfaces.values())
        }
        with entered(namespace):
            for linktype, code in codes.items():
                names = [name for name, kind in interfaces.items() if kind == linktype]
                listener = _listener(names[0] if len(interfaces) == 1 else None, code)
                self.sockets[listener.fileno()] = listener

    def __enter__(self) -> Tap:
        return self

    def __exit__(self, *exception: object) -> None:
        for listener in self.sockets.values():
            listener.close()

    def receive(self, descriptor: int) -> Iterator[Packet]:
        """Take what is waiting on one of the sockets, a burst at most: the caller has other things to look after."""
        listener = self.sockets[descriptor]
        view = memoryview(self._buffer)
        for _ in range(BURST):
            try:
                length, ancillary, _, address = listener.recvmsg_into([view], 64, socket.MSG_TRUNC)
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno == errno.ENETDOWN:  # told once, when the interface goes down; it may come up again
                    return
                raise
            if address[0] not in self._interfaces:
                continue
            yield Packet(
                interface=address[0],
                nanoseconds=_stamp(ancillary),
                data=bytes(view[: min(length, SNAP_LENGTH)]),
                length=length,
                flags=OUTBOUND if address[2] == PACKET_OUTGOING else INBOUND | _RECEPTION.get(address[2], 0),
            )

    def dropped(self) -> int:
        """How many packets the kernel could not keep for us since the last call."""
        statistics = (listener.getsockopt(SOL_PACKET, PACKET_STATISTICS, 8) for listener in self.sockets.values())
        return sum(struct.unpack("=II", counters)[1] for counters in statistics)


def _stamp(ancillary: list[tuple[int, int, bytes]]) -> int:
    for level, kind, data in ancillary:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS:
            seconds, nanoseconds = _timespec.unpack_from(data)
            return int(seconds * 1_000_000_000 + nanoseconds)
    return time.time_ns()


def _listener(interface: str | None, code: bytes | None) -> socket.socket:
    """Open a packet socket that has nothing in its queue from before its filter was in place."""
    listener = socket.socket(socket.AF_PACKET, socket.SOCK_RAW | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC, 0)
    try:
        receive_up_to(listener, BUFFER)
        listener.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
        _attach(listener, code)
        _listen(listener, interface)
    except BaseException:
        listener.close()
        raise
    return listener


def _attach(listener: socket.socket, code: bytes | None) -> None:
    if code is not None:
        kept = ctypes.create_string_buffer(code, len(code))
        listener.setsockopt(
            socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("@HP", len(code) // 8, ctypes.addressof(kept))
        )


def _listen(listener: socket.socket, interface: str | None) -> None:
    """bind(2) to one interface, or to all, which socket.bind cannot express."""
    index = socket.if_nametoindex(interface) if interface is not None else 0
    where = struct.pack("=HHiHBB8s", socket.AF_PACKET, socket.htons(ETH_P_ALL), index, 0, 0, 0, b"")
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.bind(listener.fileno(), where, len(where)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), interface)
