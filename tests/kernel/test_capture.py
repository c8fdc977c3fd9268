"""`netemu capture` as a person runs it: live lines, files that other tools read, and every way in which it ends."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from harness import Lab

from netemu.linux import namespaces
from netemu.linux.capture import Tap, linktypes

PATIENCE = 30.0
"""Seconds for a program to start on a busy machine."""

NETWORK = """
virtualNetworks:
  net: {addressSpace: 10.0.0.0/16, subnets: {front: {addressPrefix: 10.0.1.0/24}, back: {addressPrefix: 10.0.2.0/24}}}
networkInterfaces:
  front-nic: {subnet: net/front}
  back-nic: {subnet: net/back}
virtualMachines:
  dual: {networkInterfaces: [front-nic, back-nic]}
  one: {subnet: net/front}
  two: {subnet: net/back}
"""


class Capture:
    """A running `netemu capture`."""

    def __init__(self, lab: Lab, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "netemu", "capture", "--lab", lab.name, *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=Path(__file__).parents[2],
        )  # fmt: skip
        assert self.process.stderr is not None
        assert self.process.stdout is not None
        self.errors = os.fdopen(os.dup(self.process.stderr.fileno()), "rb", buffering=0)
        self.output = os.fdopen(os.dup(self.process.stdout.fileno()), "rb", buffering=0)
        said = b""
        while not said.endswith(b"stops\n"):
            assert select.select([self.errors], [], [], PATIENCE)[0], said
            part = self.errors.read(1)
            assert part, said
            said += part

    def end(self, number: int | None = None) -> tuple[int, bytes, str]:
        """Wait for the end, after a signal or by itself: exit status, output, what it said."""
        if number is not None:
            self.process.send_signal(number)
        output, errors = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, output, errors.decode()

    def read(self, size: int) -> bytes:
        """Read output that has to be there while the capture goes on."""
        data = b""
        while len(data) < size:
            assert select.select([self.output], [], [], PATIENCE)[0], data
            part = self.output.read(size - len(data))
            assert part, data
            data += part
        return data

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.communicate()
        self.errors.close()
        self.output.close()


@pytest.fixture(scope="module")
def lab(laboratory: Callable[[str], Lab]) -> Lab:
    return laboratory(NETWORK)


@pytest.fixture
def start() -> Iterator[Callable[..., Capture]]:
    with contextlib.ExitStack() as stack:

        def begin(lab: Lab, *arguments: str) -> Capture:
            capture = Capture(lab, *arguments)
            stack.callback(capture.close)
            return capture

        yield begin


def tcpdump(path: Path) -> str:
    return subprocess.run(["tcpdump", "-nr", str(path)], capture_output=True, text=True, check=True).stdout


def read_by_scapy(path: Path) -> list[Any]:
    from scapy.utils import PcapNgReader

    with PcapNgReader(str(path)) as reader:
        return list(reader)


def test_lines_show_time_interface_and_direction(lab: Lab, start: Callable[..., Capture]) -> None:
    capture = start(lab, "one", "-c", "2", "icmp")
    assert lab.ping("one", "two").answered
    status, output, errors = capture.end()
    assert status == 0
    request, reply = output.decode().splitlines()
    one, two = lab.address("one"), lab.address("two")
    assert request[2] == request[5] == ":"
    assert request.split(maxsplit=1)[1].startswith(f"eth0 out IP {one} > {two}: ICMP echo request")
    assert reply.split(maxsplit=1)[1].startswith(f"eth0 in  IP {two} > {one}: ICMP echo reply")
    assert errors.endswith("2 packets\n")


def test_a_line_comes_at_once(lab: Lab, start: Callable[..., Capture]) -> None:
    capture = start(lab, "one", "icmp")
    lab.ping("one", "two")
    assert b" eth0 out IP " in capture.read(60)
    assert capture.process.poll() is None


def test_the_filter_is_the_kernels(lab: Lab, start: Callable[..., Capture], tmp_path: Path) -> None:
    port, other = lab.port(), lab.port()
    capture = start(lab, "two/two-nic", "-w", str(tmp_path / "a.pcapng"), "udp", "port", str(port))
    for wanted in (other, port, other):
        assert lab.udp("one", "two", wanted).answered
    status, _, errors = capture.end(signal.SIGINT)
    assert status == 0
    assert f"2 packets written to {tmp_path}/a.pcapng" in errors
    lines = tcpdump(tmp_path / "a.pcapng").splitlines()
    assert len(lines) == 2
    assert all(str(port) in line for line in lines)


def test_all_nics_go_into_one_file_each_with_its_name(lab: Lab, start: Callable[..., Capture], tmp_path: Path) -> None:
    path = tmp_path / "dual.pcapng"
    capture = start(lab, "dual", "-w", str(path), "icmp")
    assert lab.ping("one", "front-nic").answered
    assert lab.ping("two", "back-nic").arrived
    status, _, _ = capture.end(signal.SIGTERM)
    assert status == 0
    seen = [(packet.sniffed_on, packet.direction, packet["IP"].src) for packet in read_by_scapy(path)]
    assert ("eth0", 1, lab.address("one")) in seen
    assert ("eth0", 2, lab.address("front-nic")) in seen
    assert ("eth1", 1, lab.address("two")) in seen
    content = path.read_bytes()
    assert b"front-nic of dual in lab" in content
    assert b"back-nic of dual in lab" in content


def test_one_nic_by_either_name(lab: Lab, start: Callable[..., Capture], tmp_path: Path) -> None:
    for number, name in enumerate(("back-nic", "eth1")):
        path = tmp_path / f"{number}.pcapng"
        capture = start(lab, f"dual/{name}", "-w", str(path), "icmp")
        assert lab.ping("one", "front-nic").answered
        assert lab.ping("two", "back-nic").arrived
        assert capture.end(signal.SIGINT)[0] == 0
        packets = read_by_scapy(path)
        assert packets
        assert {packet.sniffed_on for packet in packets} == {"eth1"}


def test_a_port_of_the_fabric_by_its_nics_name(lab: Lab, start: Callable[..., Capture]) -> None:
    capture = start(lab, "@fabric/one-nic", "-c", "2", "icmp")
    assert lab.ping("one", "two").answered
    assert lab.ping("two", "back-nic").answered
    status, output, _ = capture.end()
    assert status == 0
    assert [line.split()[1:3] for line in output.decode().splitlines()] == [["one-nic", "in"], ["one-nic", "out"]]


def test_a_stream_can_be_read_while_it_is_made(lab: Lab, start: Callable[..., Capture]) -> None:
    capture = start(lab, "one", "-w", "-", "icmp")
    assert lab.ping("one", "two", size=32).answered
    content = capture.read(300)
    assert content.startswith(b"\x0a\x0d\x0d\x0a")
    assert b"x" * 32 in content
    assert capture.process.poll() is None
    assert capture.end(signal.SIGINT)[0] == 0


def test_it_ends_when_its_reader_leaves(lab: Lab, start: Callable[..., Capture]) -> None:
    for arguments in (["-w", "-"], []):
        capture = start(lab, "one", *arguments)
        assert capture.process.stdout is not None
        capture.process.stdout.close()
        capture.output.close()
        capture.process.stdout = None
        status, _, errors = capture.end()
        assert status == 0
        assert "Traceback" not in errors
        assert "Exception" not in errors


def test_it_ends_with_the_lab(single: Callable[[str], Lab], start: Callable[..., Capture], tmp_path: Path) -> None:
    lab = single(NETWORK)
    path = tmp_path / "gone.pcapng"
    captures = [start(lab, "one", "-w", str(path)), start(lab, "@fabric"), start(lab, "dual/back-nic")]
    assert lab.ping("one", "two").answered
    lab.down()
    ends = [capture.end() for capture in captures]
    assert [status for status, _, _ in ends] == [0, 0, 0]
    assert "one has gone" in ends[0][2]
    assert len(tcpdump(path).splitlines()) >= 2


def test_every_packet_of_a_burst_is_kept(lab: Lab) -> None:
    port, number = lab.port(), 5000
    descriptor = os.open(lab.namespace("two"), os.O_RDONLY)
    try:
        tap = Tap(descriptor, linktypes(descriptor), f"udp dst port {port}")
    finally:
        os.close(descriptor)
    with tap, lab.socket("one", 2) as caller:
        for _ in range(number):
            caller.sendto(b"x", (lab.address("two"), port))
        (listener,) = tap.sockets
        stamps: list[int] = []
        while burst := list(tap.receive(listener)):
            stamps += [packet.nanoseconds for packet in burst]
        assert tap.dropped() == 0
    assert len(stamps) == number
    assert stamps == sorted(stamps)
    assert abs(stamps[-1] - time.time_ns()) < 60e9


def test_an_interface_without_ethernet_is_raw(lab: Lab) -> None:
    assert lab.run("one", "ip", "tuntap", "add", "tun7", "mode", "tun").returncode == 0
    try:
        with namespaces.entered(lab.namespace("one")):
            descriptor = namespaces.current()
        try:
            assert linktypes(descriptor) == {"eth0": 1, "tun7": 101}
            Tap(descriptor, linktypes(descriptor), "tcp port 80").__exit__()
        finally:
            os.close(descriptor)
    finally:
        assert lab.run("one", "ip", "link", "del", "tun7").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["one", "tcp", "prt", "80"], "the filter 'tcp prt 80' is not tcpdump's: can't parse filter expression"),
        (["one/two-nic"], "has no NIC 'two-nic'; did you mean one/one-nic?"),
        (["@fabric/zz"], "it has front-nic, back-nic, one-nic, two-nic"),
        (["oen"], "did you mean 'one'?"),
        (["one", "-w", "/no/such/folder/x"], "cannot write /no/such/folder/x: No such file or directory"),
    ],
)
def test_mistakes_are_explained_in_one_line(lab: Lab, arguments: list[str], words: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "netemu", "capture", "--lab", lab.name, *arguments],
        capture_output=True, text=True, check=False, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    assert done.returncode == 2
    assert words in done.stderr
    assert done.stderr.count("\n") == 1
