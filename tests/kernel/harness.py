"""Real labs and real packets: the few things that the kernel tests do.

Inside one machine delivery is synchronous: when send() returns, a packet has been delivered or dropped. So what did
not arrive is known at once; nothing here sleeps, and only answers of programs are waited for, with a deadline.
"""

from __future__ import annotations

import contextlib
import os
import random
import select
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from scapy.layers.inet import ICMP, IP
from scapy.layers.l2 import Ether
from scapy.packet import Packet

from netemu.azure.network import Network
from netemu.lab.down import down
from netemu.lab.folder import LabFolder
from netemu.lab.source import Order
from netemu.lab.up import up
from netemu.linux import nftables
from netemu.linux.namespaces import entered
from netemu.scenario import read_text

FABRIC_MAC = "12:34:56:78:9a:bc"
PLATFORM = "168.63.129.16"
VISITOR = "internet: {hosts: {visitor: {ipAddress: 198.51.100.7}}}\n"
PATIENCE = 2.0
"""Seconds that an answer may take when the request has arrived."""

ETH_P_ALL = 3
SOL_PACKET, PACKET_IGNORE_OUTGOING = 263, 23


def rule(
    priority: int,
    direction: str,
    access: str,
    protocol: str = "*",
    source: str = "*",
    destination: str = "*",
    port: str = "*",
    sport: str = "*",
) -> str:
    """A security rule in YAML's flow style."""
    return (
        f"{{priority: {priority}, direction: {direction}, access: {access}, protocol: '{protocol}',"
        f" sourceAddressPrefix: '{source}', sourcePortRange: '{sport}',"
        f" destinationAddressPrefix: '{destination}', destinationPortRange: '{port}'}}"
    )


def deny(direction: str, protocol: str = "*", **others: str) -> str:
    """A denial at priority 100."""
    return rule(100, direction, "Deny", protocol, **others)


def allow(direction: str, protocol: str = "*", **others: str) -> str:
    """An allowance at priority 200."""
    return rule(200, direction, "Allow", protocol, **others)


@dataclass(frozen=True)
class Contact:
    """What became of one attempt."""

    arrived: bool
    """The first packet reached the other side."""
    answered: bool = False
    """The answer came back."""
    seen_as: str | None = None
    """The caller's address as the other side saw it."""
    port: int | None = None
    """The caller's port as the other side saw it."""

    @property
    def lost(self) -> bool:
        """Nothing arrived, and nothing came back to say so."""
        return not self.arrived and not self.answered


class Tap:
    """What arrives in a namespace from now on, on any interface."""

    def __init__(self, namespace: Path) -> None:
        with entered(namespace):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        self._socket.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)

    def close(self) -> None:
        self._socket.close()

    def frames(self) -> Iterator[Packet]:
        """The frames that have arrived since the last call."""
        while True:
            try:
                data, _ = self._socket.recvfrom(65535, socket.MSG_DONTWAIT)
            except BlockingIOError:
                return
            yield Ether(data)

    def find(self, wanted: Callable[[Packet], bool], patience: float = 0.0) -> Packet | None:
        """The first frame that is wanted; waits for it only when told to."""
        deadline = time.monotonic() + patience
        while True:
            for frame in self.frames():
                if wanted(frame):
                    return frame
            remaining = deadline - time.monotonic()
            if remaining <= 0 or not select.select([self._socket], [], [], remaining)[0]:
                return None


def wait_for(sock: socket.socket, patience: float) -> bool:
    """Is there something to read within so many seconds?"""
    return bool(select.select([sock], [], [], patience)[0])


class Lab:
    """A lab that is up."""

    def __init__(self, text: str, name: str, directory: Path) -> None:
        self.name = name
        self.source = directory / f"{name}.yaml"
        self.folder: LabFolder
        self.network: Network
        self.up(text)
        self._ports = random.Random(name).sample(range(20000, 60000), 20000)

    def up(self, text: str) -> str:
        """Bring it up, or lead it to another version; what `up` says that it did."""
        self.source.write_text(f"name: {self.name}\n{text}")
        scenario = read_text(self.source.read_text(), str(self.source))
        outcome = up(Order(scenario, self.source, self.source.read_bytes()), lambda *_: None, lambda _: None)
        self.folder, self.network = outcome.folder, outcome.network
        return outcome.did

    def down(self) -> None:
        """Take it down; nothing may be left."""
        down(self.folder, lambda _: None)
        left = (
            [entry for entry in os.listdir("/run/netns") if entry.startswith(f"{self.name}.")]
            if os.path.isdir("/run/netns")
            else []
        )
        assert not left
        assert not self.folder.exists()

    # ---- names -------------------------------------------------------------------------------------------------------

    def namespace(self, node: str) -> Path:
        """A node's namespace."""
        return self.folder.namespace(node)

    def address(self, name: str) -> str:
        """The address that a name means: of a VM, a NIC, a host of the internet or a public IP; else the text itself."""
        if name in self.network.machines:
            return str(self.network.machines[name].nics[0].address)
        if name in self.network.nics:
            return str(self.network.nics[name].address)
        if name in self.network.hosts:
            return str(self.network.hosts[name].address)
        if name in self.network.publicIPs:
            return str(self.network.publicIPs[name].address)
        return str(IPv4Address(name))

    def node(self, name: str) -> str:
        """The machine that a name leads to."""
        if name in self.network.machines or name in self.network.hosts:
            return name
        if name in self.network.nics:
            return self.network.nics[name].machine
        wanted = self.address(name)
        owners = {
            nic.machine
            for nic, config in self.network.addresses()
            if str(config.address) == wanted or (config.publicIP and str(config.publicIP.address) == wanted)
        } | {host.name for host in self.network.hosts.values() if str(host.address) == wanted}
        assert len(owners) == 1, f"{name} is at {owners}; say `at=`"
        return owners.pop()

    def mac(self, machine: str, device: str = "eth0") -> str:
        """The MAC of a machine's NIC."""
        return self.network.machines[machine].nics[int(device[3:])].macAddress

    def default_outbound(self, machine: str) -> str:
        """The address of its default outbound access, which no scenario names."""
        found = self.network.machines[machine].nics[0].ipConfigs[0].defaultOutbound
        assert found is not None
        return str(found)

    def port(self) -> int:
        """A port that no other test of this lab has used."""
        return self._ports.pop()

    # ---- inside ------------------------------------------------------------------------------------------------------

    def run(self, node: str, *argv: str) -> subprocess.CompletedProcess[str]:
        """Run a program in a node, with the files in /etc and the host name that it has there."""
        return subprocess.run(
            ["ip", "netns", "exec", f"{self.name}.{node}", *argv],
            capture_output=True,
            text=True,
            check=False,
            timeout=20,
        )

    @contextlib.contextmanager
    def socket(self, node: str, kind: int, protocol: int = 0) -> Iterator[socket.socket]:
        """A socket of a node."""
        with entered(self.namespace(node)):
            sock = socket.socket(socket.AF_INET, kind, protocol)
        with sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            yield sock

    @contextlib.contextmanager
    def tap(self, node: str) -> Iterator[Tap]:
        """Sniff what arrives at a node."""
        tap = Tap(self.namespace(node))
        try:
            yield tap
        finally:
            tap.close()

    def ruleset(self, node: str, text: str) -> None:
        """Load nftables text in a node."""
        descriptor = os.open(self.namespace(node), os.O_RDONLY | os.O_CLOEXEC)
        try:
            nftables.apply(descriptor, text)
        finally:
            os.close(descriptor)

    def counters(self, node: str = "@fabric") -> dict[tuple[str, str], int]:
        """Packets that each rule has counted, by its chain and comment."""
        descriptor = os.open(self.namespace(node), os.O_RDONLY | os.O_CLOEXEC)
        try:
            objects: list[dict[str, Any]] = nftables.listing(descriptor, "ip netemu")
        finally:
            os.close(descriptor)
        lines = [entry["rule"] for entry in objects if "comment" in entry.get("rule", {})]
        return {
            (line["chain"], line["comment"]): part["counter"]["packets"]
            for line in lines
            for part in line["expr"]
            if "counter" in part
        }

    def counter(self, chain: str, comment: str, node: str = "@fabric") -> int:
        """Packets that one rule has counted."""
        return self.counters(node)[chain, comment]

    def dropped(self, comment: str, node: str = "@fabric") -> int:
        """Packets that rules of this comment have dropped, in whatever chain they are."""
        found = [count for (_, name), count in self.counters(node).items() if name == comment]
        assert found, f"no rule has the comment {comment!r}"
        return sum(found)

    # ---- conversations -----------------------------------------------------------------------------------------------

    def tcp(
        self, source: str, to: str, port: int, *, at: str | None = None, bind: str | None = None, sport: int = 0
    ) -> Contact:
        """Open a connection from one machine to a server that listens where `to` leads (or at `at`)."""
        server = at or self.node(to)
        with (
            self.socket(server, socket.SOCK_STREAM) as listener,
            self.socket(source, socket.SOCK_STREAM) as caller,
            self.tap(server) as tap,
        ):
            listener.bind(("0.0.0.0", port))
            listener.listen()
            _bind(caller, bind, sport)
            caller.setblocking(False)
            caller.connect_ex((self.address(to), port))
            own_port = caller.getsockname()[1]
            syn = tap.find(lambda f: f.haslayer("TCP") and f["TCP"].dport == port and str(f["TCP"].flags) == "S")
            if syn is None:
                return Contact(arrived=False, answered=_connected(caller, 0.0))
            where = syn["IP"].src, syn["TCP"].sport
            # The answer is back as well by now, if it will ever be: both kernels answer at once.
            answered = _connected(caller, 0.05)
            if answered:
                assert wait_for(listener, PATIENCE)
                connection, seen = listener.accept()
                with connection:
                    assert seen == where
                    caller.sendall(b"question")
                    connection.settimeout(PATIENCE)
                    assert connection.recv(64) == b"question"
            assert own_port
            return Contact(arrived=True, answered=answered, seen_as=where[0], port=where[1])

    def udp(
        self, source: str, to: str, port: int, *, at: str | None = None, bind: str | None = None, sport: int = 0
    ) -> Contact:
        """Send a datagram to a server, which answers."""
        with (
            self.socket(at or self.node(to), socket.SOCK_DGRAM) as server,
            self.socket(source, socket.SOCK_DGRAM) as caller,
        ):
            server.bind(("0.0.0.0", port))
            server.setblocking(False)
            _bind(caller, bind, sport)
            with contextlib.suppress(OSError):
                caller.sendto(b"question", (self.address(to), port))
            try:
                _, seen = server.recvfrom(64)
            except BlockingIOError:
                return Contact(arrived=False)
            server.sendto(b"answer", seen)
            return Contact(arrived=True, answered=wait_for(caller, 0), seen_as=seen[0], port=seen[1])

    def ping(self, source: str, to: str, *, at: str | None = None, bind: str | None = None, size: int = 16) -> Contact:
        """Send an ICMP echo request, which the kernel there answers."""
        token = random.randrange(1, 65536)
        request = ICMP(type=8, id=token, seq=1) / (b"x" * size)

        def ours(frame: Packet, kind: int) -> bool:
            return bool(frame.haslayer(ICMP) and frame[ICMP].type == kind and frame[ICMP].id == token)

        with (
            self.socket(source, socket.SOCK_RAW, socket.IPPROTO_ICMP) as caller,
            self.tap(at or self.node(to)) as there,
            self.tap(source) as here,
        ):
            if bind is not None:
                caller.bind((bind, 0))
            with contextlib.suppress(OSError):
                caller.sendto(bytes(request), (self.address(to), 0))
            seen = there.find(lambda frame: ours(frame, 8))
            back = here.find(lambda frame: ours(frame, 0))
            return Contact(seen is not None, back is not None, seen["IP"].src if seen is not None else None)

    # ---- single packets ----------------------------------------------------------------------------------------------

    def send(self, source: str, packet: Packet, device: str = "eth0") -> None:
        """Put a packet on the wire of a machine: with its MAC and to the fabric, unless it is a frame already."""
        if not packet.haslayer(Ether):
            packet = Ether(src=self.mac(source, device), dst=FABRIC_MAC) / packet
        with entered(self.namespace(source)):
            sock = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETH_P_ALL))
        with sock:
            sock.bind((device, 0))
            sock.send(bytes(packet))

    def delivered(self, source: str, packet: Packet, at: str, device: str = "eth0") -> Packet | None:
        """Send a packet from one machine, and return it as it arrives at another one; None when it does not.

        It is known by its IP id, which nothing on the way changes.
        """
        token = random.randrange(1, 65536)
        packet = packet.copy()
        packet[IP].id = token
        protocol = IP(bytes(packet[IP])).proto
        with self.tap(at) as tap:
            self.send(source, packet, device)
            return tap.find(lambda f: f.haslayer(IP) and f[IP].id == token and f[IP].proto == protocol)


def _bind(sock: socket.socket, address: str | None, port: int) -> None:
    if address is not None or port:
        sock.bind((address or "0.0.0.0", port))


def _connected(sock: socket.socket, patience: float) -> bool:
    writable = select.select([], [sock], [], patience)[1]
    return bool(writable) and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
