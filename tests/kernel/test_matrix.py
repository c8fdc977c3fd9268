"""The matrix sees every pair at once, and what is wrong with the data plane, whatever it is."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from harness import Lab

from netemu.azure.verdict import Engine
from netemu.lab.folder import LabFolder
from netemu.linux import nftables
from netemu.linux.namespaces import current, entered
from netemu.linux.nft_counters import RuleCounters
from netemu.verify import evidence, matrix
from netemu.verify.matrix.plan import Planner
from netemu.verify.matrix.reach import grid, reach

NETWORK = """
virtualNetworks:
  net:
    addressSpace: 10.0.0.0/16
    subnets:
      front: {addressPrefix: 10.0.1.0/24}
      back: {addressPrefix: 10.0.2.0/24, networkSecurityGroup: back-nsg}
networkSecurityGroups:
  back-nsg:
    securityRules:
      web: {priority: 100, direction: Inbound, access: Allow, protocol: Tcp, sourceAddressPrefix: "*",
            sourcePortRange: "*", destinationAddressPrefix: "*", destinationPortRange: 80}
      no-old-ports: {priority: 105, direction: Inbound, access: Deny, protocol: Udp, sourceAddressPrefix: "*",
                     sourcePortRange: 1000-2000, destinationAddressPrefix: "*", destinationPortRange: "*"}
      esp: {priority: 106, direction: Inbound, access: Allow, protocol: Esp, sourceAddressPrefix: "*",
            sourcePortRange: "*", destinationAddressPrefix: "*", destinationPortRange: "*"}
      from-far: {priority: 107, direction: Inbound, access: Allow, protocol: Udp, sourceAddressPrefix: "*",
                 sourcePortRange: "*", destinationAddressPrefix: "*", destinationPortRange: 53}
      nothing-else: {priority: 110, direction: Inbound, access: Deny, protocol: "*", sourceAddressPrefix: "*",
                     sourcePortRange: "*", destinationAddressPrefix: "*", destinationPortRange: "*"}
virtualMachines:
  client: {subnet: net/front, publicIPAddress: client-ip}
  server: {subnet: net/back}
publicIPAddresses: {client-ip: {sku: Basic}}
internet: {hosts: {visitor: {ipAddress: 198.51.100.7}}}
"""


def namespaces(lab: Lab) -> dict[str, Path]:
    folder = LabFolder(lab.network.name)
    return {node: folder.namespace(node) for node in folder.nodes()}


def asked(lab: Lab) -> tuple[matrix.Plan, matrix.Outcome]:
    return matrix.run(lab.network, namespaces(lab))


def told(lab: Lab) -> str:
    return "\n".join(line for finding in asked(lab)[1].findings for line in finding.disagreements)


def change(lab: Lab, node: str, ruleset: str) -> None:
    """Change a ruleset behind netemu's back."""
    with entered(LabFolder(lab.network.name).namespace(node)):
        nftables.apply(current(), ruleset)


@pytest.fixture
def lab(single: Callable[[str], Lab]) -> Lab:
    return single(NETWORK)


def test_a_lab_that_is_right_agrees_again_and_again_though_flows_leave_records(lab: Lab) -> None:
    for _ in range(3):
        plan, outcome = asked(lab)
        assert [finding.disagreements for finding in outcome.findings] == []
        assert outcome.judged == len(plan.questions)


def test_the_grid_says_who_reaches_whom_on_what(lab: Lab) -> None:
    plan, _ = asked(lab)
    said = {(pair.source.name, pair.target.name): reach(pair) for pair in plan.pairs}
    assert said["client-nic", "server-nic"] == "Tcp 80; Udp 53"
    assert said["server-nic", "client-nic"] == "everything"
    assert said["visitor", "client-ip"] == "everything"
    assert said["visitor", "client-nic"] == "nothing"
    shown = grid(plan.pairs)
    assert shown.cells[shown.rows.index("client-nic")][shown.columns.index("server-nic")].mark in shown.legend


def test_every_boundary_is_asked_on_both_sides(lab: Lab) -> None:
    engine = Engine(lab.network)
    plan = Planner(engine).plan()
    ports = {
        q.destinationPort
        for q in plan.questions
        if q.pair is not None and q.pair.target.name == "server-nic" and q.protocol == "Tcp"
    }
    assert {79, 80, 81} <= ports
    narrow = {q.sourcePorts[0] for q in plan.questions if q.sourcePorts[1] == q.sourcePorts[0] + 1}
    assert {999, 1000, 2000, 2001} <= narrow


@pytest.mark.parametrize(
    ("node", "ruleset", "words"),
    [
        ("@fabric", "flush chain ip netemu inbound/back-nsg/net", "but the packet arrived at server"),
        ("@fabric", "insert rule ip netemu source tcp dport 81 drop", "no counter saw it"),
        ("@fabric", "insert rule ip netemu source udp sport 53 drop", "the answer: Azure's rules say came back"),
        ("@fabric", "insert rule ip netemu inbound/back-nsg/net tcp dport 80 counter return comment \"web\"", "packets to count"),
        ("@edge", "insert rule ip netemu outward oifname internet meta l4proto udp snat to 20.61.0.9;"
                  "add element ip netemu public { 20.61.0.9 }", "20.61.0.9 in the packet"),
        ("@internet", "insert rule ip netemu route icmp type echo-request drop", "Azure's rules say Allow"),
    ],
)  # fmt: skip
def test_whatever_breaks_behind_netemus_back_is_found(lab: Lab, node: str, ruleset: str, words: str) -> None:
    if "comment" in ruleset:
        # The rule decides the same, but another one with its name counts the packet as well: only sums can tell.
        ruleset = ruleset.replace("counter return", "counter")
    change(lab, node, ruleset)
    assert words in told(lab)


def test_counters_are_read_as_nftables_lists_them(lab: Lab) -> None:
    for node, path in namespaces(lab).items():
        if not node.startswith("@"):
            continue
        listed, drops = evidence.read({node: path})
        counters = RuleCounters(path, "netemu")
        try:
            numbers = counters.read()
        finally:
            counters.close()
        ours = {(node, rule.chain, rule.comment) for rule in counters.rules if rule.comment}
        assert ours == set(listed)
        assert len(numbers) == len(counters.rules)
        assert {
            key: rule.drops for rule in counters.rules for key in [(node, rule.chain, rule.comment)] if rule.comment
        } == drops


def test_a_flood_does_not_keep_it(lab: Lab) -> None:
    stop = threading.Event()
    with lab.socket("client", 2) as sender:  # SOCK_DGRAM

        def flood() -> None:
            while not stop.is_set():
                sender.sendto(b"x", (lab.address("server"), 53))

        thread = threading.Thread(target=flood)
        thread.start()
        try:
            _, outcome = asked(lab)
        finally:
            stop.set()
            thread.join()
    assert outcome.seconds < 20
    assert not [
        line
        for finding in outcome.findings
        for line in finding.disagreements
        if "packet" in line and "count" not in line
    ]


def test_the_command_shows_writes_and_says_no(lab: Lab, tmp_path: Path) -> None:
    def run(*argv: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "netemu", "verify", lab.network.name, "--matrix", *argv],
            capture_output=True,
            text=True,
            check=False,
        )

    page, junit = tmp_path / "matrix.html", tmp_path / "matrix.xml"
    fine = run("--html", str(page), "--junit", str(junit))
    assert (fine.returncode, fine.stderr) == (0, "")
    assert "flows agree" in fine.stdout
    assert "Tcp 80; Udp 53" in page.read_text()
    assert ElementTree.parse(junit).getroot().get("failures") == "0"
    change(lab, "@fabric", "flush chain ip netemu inbound/back-nsg/net")
    wrong = run("-o", "json")
    assert wrong.returncode == 1
    assert json.loads(wrong.stdout)["disagreements"][0]["packet"]["receiver"] == "server"
    assert "please open an issue" in run().stdout
