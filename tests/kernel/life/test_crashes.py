"""Killed, interrupted or refused at every single step, `up` and `down` leave what the next command can finish."""

from __future__ import annotations

import os
import signal
import sys

import pytest
from host import Host, children, scenario, wait_for

SWEEP = bool(os.environ.get("NETEMU_SWEEP"))
"""Each error at every single step, as `make fuzz` has it; otherwise at every n-th, another n for each error."""


def every(stride: int) -> str:
    """At how many steps one fails."""
    return "1" if SWEEP else str(stride)


PROGRAM = "a: {subnet: net/main, run: sleep 1000}"


def test_up_killed_before_any_step_can_be_completed_or_removed(host: Host) -> None:
    answer = host.drive("kill_up", host.write(scenario("crash", PROGRAM)), "crash")
    assert answer["steps"] > 50
    assert not answer["wrong"]


def test_down_killed_before_any_step_can_be_completed_or_undone(host: Host) -> None:
    answer = host.drive("kill_down", host.write(scenario("crash", PROGRAM)), "crash")
    assert answer["steps"] > 10
    assert not answer["wrong"]


def test_an_agent_killed_before_any_step_leaves_what_up_completes_and_down_removes(host: Host) -> None:
    answer = host.drive("kill_agent", host.write(scenario("crash", PROGRAM)), "crash")
    assert answer["steps"] > 5
    assert not answer["wrong"]


OLD = """
virtualNetworks:
  net: {addressSpace: [10.0.0.0/16], subnets: {main: {addressPrefix: 10.0.0.0/24, networkSecurityGroup: nsg}},
        virtualNetworkPeerings: {p: {remoteVirtualNetwork: far}}}
  far: {addressSpace: [10.1.0.0/16], subnets: {main: {addressPrefix: 10.1.0.0/24}},
        virtualNetworkPeerings: {p: {remoteVirtualNetwork: net}}}
networkSecurityGroups:
  nsg: {securityRules: {one: {priority: 100, direction: Inbound, access: Allow, protocol: Tcp,
        sourceAddressPrefix: '*', sourcePortRange: '*', destinationAddressPrefix: '*', destinationPortRange: 80}}}
virtualMachines:
  a: {subnet: net/main, run: sleep 1000}
  b: {subnet: net/main, run: sleep 1001}
  c: {subnet: far/main}
internet: {hosts: {visitor: {ipAddress: 198.51.100.7}}}
"""
NEW = """
virtualNetworks:
  net: {addressSpace: [10.0.0.0/16], subnets: {main: {addressPrefix: 10.0.0.0/24, networkSecurityGroup: nsg},
        more: {addressPrefix: 10.0.1.0/24, routeTable: table}}}
  new: {addressSpace: [10.0.0.0/16], subnets: {main: {addressPrefix: 10.0.0.0/24}}}
networkSecurityGroups:
  nsg: {securityRules: {two: {priority: 110, direction: Inbound, access: Deny, protocol: '*',
        sourceAddressPrefix: '*', sourcePortRange: '*', destinationAddressPrefix: '*', destinationPortRange: '*'}}}
routeTables: {table: {routes: {r: {addressPrefix: 0.0.0.0/0, nextHopType: None}}}}
publicIPAddresses: {ip: {}}
virtualMachines:
  d: {subnet: net/more, run: sleep 1003}
  a: {subnet: net/main, run: sleep 1002, publicIPAddress: ip, privateIPAddress: 10.0.0.99}
  e: {subnet: new/main}
internet: {hosts: {other: {ipAddress: 198.51.100.8, run: sleep 1004}}}
"""
"""Two versions between which everything that can is added, altered or removed."""


@pytest.mark.parametrize("first", range(1, 8))
def test_a_change_killed_before_any_step_can_be_completed_undone_or_removed(host: Host, first: int) -> None:
    old, new = host.write(f"name: crash{OLD}", "old.yaml"), host.write(f"name: crash{NEW}", "new.yaml")
    answer = host.drive("kill_change", old, new, "crash", str(first), "7")
    assert answer["steps"] > 100
    assert not answer["wrong"]


@pytest.mark.parametrize(
    ("error", "stride"),
    [("ENOSPC", 7), ("EPERM", 19), ("EMFILE", 23), ("EBUSY", 29), ("ENOBUFS", 31), ("EINTR", 37)],
)
def test_steps_of_a_change_that_the_kernel_refuses_are_one_line_and_can_be_completed(
    host: Host, error: str, stride: int
) -> None:
    old, new = host.write(f"name: crash{OLD}", "old.yaml"), host.write(f"name: crash{NEW}", "new.yaml")
    answer = host.drive("fail_change", old, new, "crash", error, every(stride))
    assert answer["refused"] > 1
    assert not answer["wrong"]


@pytest.mark.parametrize(
    ("error", "stride"), [("ENOSPC", 2), ("EPERM", 9), ("EMFILE", 11), ("EBUSY", 13), ("ENOBUFS", 17)]
)
def test_steps_of_up_that_the_kernel_refuses_are_one_line_and_leave_nothing(host: Host, error: str, stride: int) -> None:
    answer = host.drive("fail_up", host.write(scenario("refused", PROGRAM)), "refused", error, every(stride))
    assert answer["refused"] > 40 / stride
    assert not answer["wrong"]
    assert any("@fabric" in words or "namespace" in words for words in answer["words"])


def test_what_the_kernel_refuses_is_named(host: Host) -> None:
    words = host.drive("clash", host.write(scenario("clash")), "clash")
    assert words.startswith("lab clash: a: address 10.0.0.4/24: File exists")
    assert words.endswith("; nothing was left behind")


@pytest.mark.parametrize(("name", "stride"), [("SIGINT", "3"), ("SIGTERM", "11"), ("SIGHUP", "17")])
def test_up_interrupted_before_any_step_leaves_nothing(host: Host, name: str, stride: str) -> None:
    answer = host.drive("interrupt_up", host.write(scenario("stop", PROGRAM)), "stop", name, stride)
    expected = 128 + signal.Signals[name]
    assert not answer["wrong"]
    assert answer["codes"].count(expected) > len(answer["codes"]) / 2
    assert set(answer["codes"]) <= {0, expected}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_ctrl_c_during_a_large_up_is_one_message_and_leaves_nothing(host: Host, number: int, code: int) -> None:
    machines = ", ".join(f"m{n}: {{subnet: net/main}}" for n in range(150))
    file = host.write(scenario("large", machines))
    before = host.digest()
    with host.start(sys.executable, "-m", "netemu", "up", file) as started:
        wait_for(lambda: (host.root() / "run/netemu/large/netns/@edge").exists(), "it begins to build")
        (pid,) = wait_for(lambda: children(started.pid), "it is entered")
        os.kill(pid, number)
        output, errors = started.communicate(timeout=20)
    assert started.returncode == code
    assert output == ""
    assert errors == f"netemu: interrupted by {signal.Signals(number).name}; nothing was left behind\n"
    assert host.digest() == before


def test_ctrl_c_during_down_does_not_stop_it_half_way(host: Host) -> None:
    before = host.digest()
    host.good("up", host.write(scenario("slow", "a: {subnet: net/main, run: \"sh -c 'trap : TERM; while :; do sleep 9; done'\"}")))
    with host.start(sys.executable, "-m", "netemu", "down") as started:
        wait_for(lambda: not host.pids("unbound -d"), "it ends processes")
        os.kill(children(started.pid)[0], signal.SIGINT)
        _, errors = started.communicate(timeout=20)
    assert started.returncode == 130
    assert "netemu: interrupted by SIGINT; lab slow is down all the same" in errors
    assert host.digest() == before
