"""What the tests of load balancers do: programs on several backends, and calls that tell which of them answered."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import time
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from harness import PATIENCE, Lab
from scapy.layers.inet import IP

from netemu.linux.namespaces import entered

TCP, UDP = "Tcp", "Udp"
ENGINES = ["nftables", pytest.param("ipvs", marks=pytest.mark.kernel_feature("ipvs"))]
"""Every test of what load balancers do runs on both."""
IP_PKTINFO = 8
"""linux/in.h; not in Python's socket module."""
LOST = 0.05
"""Seconds after which what has not come will not come: delivery is synchronous."""
KIND = {TCP: socket.SOCK_STREAM, UDP: socket.SOCK_DGRAM}


@dataclass
class Call:
    """A flow from one machine to a frontend."""

    caller: socket.socket
    backend: str | None = None
    """Who has it; None when nobody does."""
    seen_as: str | None = None
    """The caller's address as the backend saw it."""
    seen_port: int | None = None
    seen_at: str | None = None
    """The address that the backend was called at."""
    answered: bool = False
    """The answer came back, from the address and port that was called."""
    connection: socket.socket | None = None
    """The backend's end, for TCP."""

    @property
    def lost(self) -> bool:
        return self.backend is None and not self.answered

    def close(self) -> None:
        for each in (self.caller, self.connection):
            if each is not None:
                each.close()

    def works(self) -> bool:
        """Do bytes still go there and back, over this connection?"""
        assert self.connection is not None
        try:
            self.caller.sendall(b"there")
            self.connection.settimeout(0.3)
            if self.connection.recv(64) != b"there":
                return False
            self.connection.sendall(b"back")
            self.caller.settimeout(0.3)
            return self.caller.recv(64) == b"back"
        except (TimeoutError, ConnectionError):
            return False


class Backends:
    """Programs that listen on ports of machines."""

    def __init__(self, lab: Lab, machines: Iterable[str], ports: dict[str, Iterable[int]]) -> None:
        self.lab = lab
        self.stack = contextlib.ExitStack()
        self.calls: list[Call] = []
        self.sockets: dict[tuple[str, int], dict[socket.socket, str]] = {}
        for machine in machines:
            for protocol, numbers in ports.items():
                for number in numbers:
                    sock = self.stack.enter_context(lab.socket(machine, KIND[protocol]))
                    sock.bind(("0.0.0.0", number))
                    if protocol == TCP:
                        sock.listen(4096)
                    else:
                        sock.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
                    sock.setblocking(False)
                    self.sockets.setdefault((protocol, number), {})[sock] = machine

    def __enter__(self) -> Backends:
        return self

    def __exit__(self, *exception: object) -> None:
        for call in self.calls:
            call.close()
        self.stack.close()

    def call(
        self, source: str, to: str, port: int, protocol: str = TCP, *, at: int | None = None,
        sport: int = 0, bind: str | None = None,
    ) -> Call:  # fmt: skip
        """Open a flow from a machine. `at` is the port that backends listen at, where it is another one."""
        call = self.open(source, to, port, protocol, sport=sport, bind=bind)
        self._find(call, protocol, at or port, (to, port))
        return call

    def open(
        self, source: str, to: str, port: int, protocol: str = TCP, *, sport: int = 0, bind: str | None = None
    ) -> Call:
        """Send the first packet of a flow."""
        with entered(self.lab.namespace(source)):
            caller = socket.socket(socket.AF_INET, KIND[protocol])
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        caller.setblocking(False)
        if sport or bind:
            caller.bind((bind or "0.0.0.0", sport))
        with contextlib.suppress(OSError):
            if protocol == TCP:
                caller.connect_ex((to, port))
            else:
                caller.sendto(b"question", (to, port))
        call = Call(caller)
        self.calls.append(call)
        return call

    def _find(self, call: Call, protocol: str, port: int, called: tuple[str, int]) -> None:
        # Delivery is synchronous: what has arrived is there, and its answer is back.
        listeners = self.sockets[protocol, port]
        if protocol == TCP:
            connected = bool(select.select([], [call.caller], [], LOST)[1])
            call.answered = connected and call.caller.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
            if not call.answered:
                return
            found = select.select(list(listeners), [], [], PATIENCE)[0]
            assert len(found) == 1
            call.backend = listeners[found[0]]
            call.connection, (call.seen_as, call.seen_port) = found[0].accept()
            call.seen_at = call.connection.getsockname()[0]
            return
        found = select.select(list(listeners), [], [], LOST)[0]
        if not found:
            return
        assert len(found) == 1
        _, ancillary, _, (call.seen_as, call.seen_port) = found[0].recvmsg(64, 64)
        call.backend = listeners[found[0]]
        _, _, call.seen_at = _packet_info(ancillary)
        # From the address that was called: it may be a second one of the machine's.
        own = struct.pack("i4s4s", 0, socket.inet_aton(call.seen_at), bytes(4))
        ancillary = [(socket.IPPROTO_IP, IP_PKTINFO, own)]
        found[0].sendmsg([b"answer"], ancillary, 0, (call.seen_as, call.seen_port))
        if select.select([call.caller], [], [], LOST)[0]:
            answer, sender = call.caller.recvfrom(64)
            call.answered = answer == b"answer" and sender == called

    def again(self, call: Call, to: str, port: int, at: int | None = None) -> str | None:
        """Send another datagram of a flow; who gets it."""
        call.caller.sendto(b"question", (to, port))
        listeners = self.sockets[UDP, at or port]
        found = select.select(list(listeners), [], [], LOST)[0]
        if not found:
            return None
        found[0].recvfrom(64)
        return listeners[found[0]]

    def spread(
        self, source: str, to: str, port: int, protocol: str = TCP, *, at: int | None = None, sports: Iterable[int],
        bind: str | None = None,
    ) -> Counter[str | None]:  # fmt: skip
        """Flows from each of these ports: how many each backend gets."""
        found: Counter[str | None] = Counter()
        for sport in sports:
            call = self.call(source, to, port, protocol, at=at, sport=sport, bind=bind)
            found[call.backend] += 1
            if call.backend is not None:
                assert call.answered
            _reset(call)
        return found


def _reset(call: Call) -> None:
    """Close without leaving anything behind, so that a port can be used again."""
    for each in (call.caller, call.connection):
        if each is not None:
            if each.type == socket.SOCK_STREAM:
                each.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            each.close()


def _packet_info(ancillary: list[Any]) -> tuple[int, str, str]:
    """in_pktinfo: interface, local address, destination in the header."""
    (data,) = [data for level, kind, data in ancillary if (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO)]
    index, local, destination = struct.unpack("i4s4s", data)
    return index, socket.inet_ntoa(local), socket.inet_ntoa(destination)


def until(true: Any, patience: float = 5.0) -> bool:
    """Ask again and again until something is so, or patience ends."""
    deadline = time.monotonic() + patience
    while not true():
        if time.monotonic() > deadline:
            return False
        select.select([], [], [], 0.02)
    return True


@contextlib.contextmanager
def backends(lab: Lab, machines: Iterable[str], tcp: Iterable[int] = (), udp: Iterable[int] = ()) -> Iterator[Backends]:
    """Listen on ports of machines."""
    with Backends(lab, machines, {TCP: list(tcp), UDP: list(udp)}) as listening:
        yield listening


def is_from(packet: Any, source: str, destination: str) -> bool:
    """Is it a packet from here to there?"""
    return packet.haslayer(IP) and (packet[IP].src, packet[IP].dst) == (source, destination)
