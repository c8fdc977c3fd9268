"""Two readings of Azure's rules and real packets agree on networks that nobody thought of; and nothing is left of them."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import FrameType

import pytest
import random_networks
import yaml

from netemu.azure.flow import Flow
from netemu.azure.network import Network
from netemu.azure.resources import Expectation
from netemu.azure.verdict import Engine, Verdict
from netemu.lab.down import down
from netemu.lab.folder import LabFolder
from netemu.lab.source import read_once
from netemu.lab.up import up
from netemu.linux import processes
from netemu.scenario import read_text
from netemu.verify.compare import disagreements
from netemu.verify.observe import Observer

SEEDS = range(int(os.environ.get("NETEMU_RANDOM_FIRST", "0")), int(os.environ.get("NETEMU_RANDOM_LAST", "12")))
FLOWS = 60
SECONDS = 120
"""What a network may take from up to down; it takes a few."""


def quiet(*_: object) -> None:
    """Progress of no interest."""


@pytest.fixture(params=SEEDS)
def lab(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[int, Network, dict[str, Path]]]:
    monkeypatch.setenv("NETEMU_STATE_DIR", str(tmp_path / "state"))
    name = f"rnd{os.getpid()}x{request.param}"
    file = tmp_path / "scenario.yaml"
    file.write_text(yaml.safe_dump(random_networks.scenario(request.param, name)))
    before = ours()
    with limited(SECONDS):
        outcome = up(read_once(file), quiet, quiet)
        inodes = {processes.identity(outcome.folder.namespace(node)) for node in outcome.folder.nodes()}
        try:
            assert up(read_once(file), quiet, quiet).did == "unchanged"
            yield request.param, outcome.network, {n: outcome.folder.namespace(n) for n in outcome.folder.nodes()}
        finally:
            down(outcome.folder, quiet)
    assert traces(outcome.folder, inodes) == []
    assert ours() == before


@contextlib.contextmanager
def limited(seconds: int) -> Iterator[None]:
    """End what hangs."""

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise TimeoutError(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def ours() -> tuple[int, int]:
    """Open files and threads of this process."""
    return len(os.listdir("/proc/self/fd")), threading.active_count()


def traces(folder: LabFolder, inodes: set[tuple[int, int]]) -> list[str]:
    """Whatever is left of a lab on the machine."""
    found = [str(folder.path.parent)] if folder.path.parent.exists() else []
    for directory in (Path("/run/netns"), Path("/etc/netns")):
        if directory.is_dir():
            found += [entry.name for entry in directory.iterdir() if entry.name.startswith(f"{folder.name}.")]
    found += [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if folder.name in line]
    found += [f"process {pid}" for pid, _ in processes.inside(inodes)]
    return found


def test_every_flow_of_a_random_network_does_what_azures_rules_say(
    lab: tuple[int, Network, dict[str, Path]],
) -> None:
    every_flow_agrees(*lab)


def every_flow_agrees(seed: int, network: Network, namespaces: dict[str, Path]) -> None:
    """Send many flows through a lab, and hold what becomes of each against the verdict."""
    engine = Engine(network)
    wrong = []
    with Observer(network, namespaces) as observer:
        for flow in random_networks.flows(seed, network, FLOWS):
            verdict = engine.judge(flow)
            if _cannot_be_told(network, flow, verdict):
                continue
            seen = observer.observe(flow, expect_delivery=verdict.access == "Allow", expect_answer=verdict.answered)
            found = list(disagreements(network, _as_expected(flow, verdict), verdict, seen))
            if found:
                wrong.append((flow, found, [step.text for step in verdict.steps]))
    assert not wrong, "\n\n".join(f"{flow}\n  {found}\n  " + "\n  ".join(steps) for flow, found, steps in wrong)


def _cannot_be_told(network: Network, flow: Flow, verdict: Verdict) -> bool:
    """Does a machine forward what is for itself, because it knows nothing of its secondary address?

    Passing through and arriving look alike then: the packet is at the machine that has the address.
    """
    receivers = {nic.machine for nic, config in network.addresses() if config.address == flow.destinationAddress}
    return not receivers.isdisjoint(verdict.via)


def _as_expected(flow: Flow, verdict: Verdict) -> Expectation:
    """An expectation that says what the verdict says, so that only verdict and packet are compared."""
    return Expectation(
        from_=flow.source,
        to=str(flow.destinationAddress),
        access=verdict.access,
        reply="Allow" if verdict.answered else "Deny",
    )


def test_two_hundred_random_networks_have_everything_that_there_is() -> None:
    """What the generator never makes is never tested."""
    seen: Counter[str] = Counter()
    for seed in range(200):
        scenario = read_text(yaml.safe_dump(random_networks.scenario(seed, "lab")))
        nets, nics = scenario.virtualNetworks, scenario.networkInterfaces
        seen[f"{len(scenario.virtualMachines)} VMs"] += 1
        seen["equal address spaces"] += len({net.addressSpace[0] for net in nets.values()}) < len(nets)
        for net in nets.values():
            for peering in net.virtualNetworkPeerings.values():
                seen[f"peering, forwarded traffic {peering.allowForwardedTraffic}"] += 1
                seen[f"peering, access {peering.allowVirtualNetworkAccess}"] += 1
            seen["a subnet without default outbound access"] += any(
                not s.defaultOutboundAccess for s in net.subnets.values()
            )
        for table in scenario.routeTables.values():
            seen.update(f"next hop {route.nextHopType}" for route in table.routes.values())
        for group in scenario.networkSecurityGroups.values():
            seen["a long NSG"] += len(group.securityRules) >= random_networks.LONG
            for rule in group.securityRules.values():
                seen[f"protocol {rule.protocol}"] += 1
                seen["a rule with ASGs"] += rule.sourceApplicationSecurityGroups is not None
                seen["a rule with several prefixes"] += rule.sourceAddressPrefixes is not None
                seen["a rule with several ports"] += rule.destinationPortRanges is not None
                seen["a rule with a tag"] += rule.sourceAddressPrefix == ("VirtualNetwork",)
        for machine in scenario.virtualMachines.values():
            seen["an appliance"] += machine.enableIPForwarding and bool(machine.sysctls)
            seen["several NICs"] += len(machine.networkInterfaces or ()) > 1
        for nic in nics.values():
            seen["secondary IP configurations"] += len(nic.ipConfigurations or {}) > 1
            seen["a member of an ASG"] += any(
                c.applicationSecurityGroups for c in (nic.ipConfigurations or {}).values()
            )
        seen.update(f"public IP {ip.sku}" for ip in scenario.publicIPAddresses.values())
    wanted = {
        *(f"{n} VMs" for n in range(3, 13)), "equal address spaces", "a subnet without default outbound access",
        *(f"peering, {what} {yes}" for what in ("forwarded traffic", "access") for yes in (True, False)),
        *(f"next hop {kind}" for kind in ("VirtualNetworkGateway", "VnetLocal", "Internet", "VirtualAppliance", "None")),
        *(f"protocol {protocol}" for protocol in ("Tcp", "Udp", "Icmp", "Esp", "Ah", "*")), "a long NSG",
        "a rule with ASGs", "a rule with several prefixes", "a rule with several ports", "a rule with a tag",
        "an appliance", "several NICs", "secondary IP configurations", "a member of an ASG",
        "public IP Basic", "public IP Standard",
    }  # fmt: skip
    assert {what for what in wanted if seen[what] < 5} == set()
