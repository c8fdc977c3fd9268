"""What is only done in labs that are large enough for it: work in a second process, or beside other work."""

from __future__ import annotations

import itertools
import os
import resource
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import Lab

from netemu.lab.unchanged import unchanged
from netemu.linux import build, nursery
from netemu.linux import namespaces as ns
from netemu.linux.nursery import Nursery

MACHINES = 3 * nursery.PAYS_OFF
TEXT = "virtualNetworks: {net: {addressSpace: 10.0.0.0/8, subnets: {s: {addressPrefix: 10.0.0.0/16}}}}\n" + "".join(
    ("networkSecurityGroups:\n  long:\n    securityRules:\n",
     *(f"      r{i}: {{priority: {100 + i}, direction: Inbound, access: Deny, protocol: Tcp, sourcePortRange: '*', "
       f"sourceAddressPrefix: 9.{i % 250}.0.0/16, destinationAddressPrefix: '*', destinationPortRange: {i + 1}}}\n"
       for i in range(990)),
     "virtualMachines:\n",
     *(f"  vm{i}: {{subnet: net/s{', networkSecurityGroup: long' if i == 0 else ''}}}\n" for i in range(MACHINES)))
)  # fmt: skip
SETTINGS = {"ipv4/ip_forward": "1", "ipv6/conf/default/disable_ipv6": "1"}


@pytest.fixture(scope="module")
def lab(laboratory: Callable[[str], Lab]) -> Lab:
    return laboratory(TEXT)


def test_a_large_lab_is_as_described_and_its_machines_reach_each_other(lab: Lab) -> None:
    assert len(lab.folder.applied().rulesets["@fabric"]) > build.LONG  # loaded in a thread of its own
    assert lab.up(TEXT) == "unchanged"
    assert lab.udp("vm1", f"vm{MACHINES - 1}", 7000).answered


@pytest.mark.parametrize("number", [1, MACHINES - 1])
def test_both_processes_of_a_quick_look_see_what_is_broken(lab: Lab, number: int) -> None:
    assert unchanged(lab.source.read_bytes()) is not None
    assert lab.run(f"vm{number}", "ip", "route", "del", "default").returncode == 0
    assert unchanged(lab.source.read_bytes()) is None
    assert lab.up(TEXT) == "repaired"


def test_namespaces_made_in_advance_are_all_different_and_set_up_as_asked() -> None:
    with Nursery(MACHINES, SETTINGS) as made:
        taken = list(iter(lambda: _wait(made), None))
    assert len({os.fstat(descriptor).st_ino for descriptor in taken}) == MACHINES
    for descriptor in taken:
        with ns.entered(descriptor):
            assert {name: ns.read_sysctl(name) for name in SETTINGS} == SETTINGS
        os.close(descriptor)


def _wait(made: Nursery) -> int | None:
    """The next namespace; None when there are no more."""
    while made.left:
        descriptor = made.take()
        if descriptor is not None:
            return descriptor
    return None


def test_what_refuses_the_second_process_is_told_by_the_first() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = set(map(int, os.listdir("/proc/self/fd")))
    free = (number for number in itertools.count() if number not in used)
    resource.setrlimit(resource.RLIMIT_NOFILE, (next(itertools.islice(free, nursery.AT_ONCE // 2, None)), hard))
    try:
        with Nursery(MACHINES, SETTINGS) as made, pytest.raises(OSError, match="Too many open files"):
            while _wait(made) is not None:
                pass
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_the_second_process_ends_with_the_first_however_that_ends() -> None:
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        Nursery(100_000, SETTINGS)  # its process has the pipe, too
        os.kill(os.getpid(), signal.SIGKILL)
    os.close(writer)
    assert os.WTERMSIG(os.waitpid(child, 0)[1]) == signal.SIGKILL
    with open(reader, "rb") as pipe:
        assert pipe.read() == b""  # which comes when nobody has the other end any more


def test_what_is_not_taken_is_gone_afterwards(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with Nursery(MACHINES, SETTINGS) as made:
        first = _wait(made)
        assert first is not None
        os.close(first)
        child = made.process
        assert child is not None
    assert len(os.listdir("/proc/self/fd")) == before
    assert not Path(f"/proc/{child}").exists()
