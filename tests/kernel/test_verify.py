"""`verify` sees what is wrong: with a scenario, with the data plane, and when a lab is not what it was."""

from __future__ import annotations

import contextlib
import json
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from harness import Lab

from netemu.lab.folder import LabFolder
from netemu.lab.proof import prove
from netemu.linux import nftables
from netemu.linux.namespaces import current, entered
from netemu.verify.compare import Result
from netemu.verify.prove import verify
from netemu.verify.report import as_junit

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
      only-web: {priority: 100, direction: Inbound, access: Allow, protocol: Tcp, sourceAddressPrefix: "*",
                 sourcePortRange: "*", destinationAddressPrefix: "*", destinationPortRange: 80}
      nothing-else: {priority: 110, direction: Inbound, access: Deny, protocol: "*", sourceAddressPrefix: "*",
                     sourcePortRange: "*", destinationAddressPrefix: "*", destinationPortRange: "*"}
virtualMachines:
  client: {subnet: net/front}
  server: {subnet: net/back}
internet: {hosts: {visitor: {ipAddress: 198.51.100.7}}}
"""
RIGHT = """
expect:
  - {from: client, to: server, port: 80, access: Allow, rule: only-web}
  - {from: client, to: server, port: 22, access: Deny, rule: back-nsg/nothing-else}
  - {from: client, to: server, protocol: Icmp, access: Deny, rule: nothing-else}
  - {from: client, to: visitor, protocol: Udp, port: 53, access: Allow}
"""


def proven(lab: Lab) -> list[Result]:
    folder = LabFolder(lab.network.name)
    found = verify(lab.network, {node: folder.namespace(node) for node in folder.nodes()})
    return sorted(found, key=lambda result: result.number)


def change(lab: Lab, node: str, ruleset: str) -> None:
    """Change a ruleset behind netemu's back."""
    with entered(LabFolder(lab.network.name).namespace(node)):
        nftables.apply(current(), ruleset)


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "netemu", *argv], capture_output=True, text=True, check=False)


@pytest.fixture
def lab(single: Callable[[str], Lab]) -> Lab:
    return single(NETWORK + RIGHT)


def test_what_is_right_agrees_and_names_the_rules(lab: Lab) -> None:
    results = proven(lab)
    assert [result.disagreements for result in results] == [()] * 4
    assert str(results[1].decided_by) == "back-nsg/nothing-else"
    assert results[3].observation.sourceSeenAs not in (None, lab.network.machines["client"].nics[0].address)


def test_it_can_be_run_again_at_once(lab: Lab) -> None:
    assert all(result.passed for result in proven(lab) + proven(lab))


def test_a_rule_that_is_gone_from_the_kernel_is_found(lab: Lab) -> None:
    change(lab, "@fabric", "flush chain ip netemu inbound/back-nsg/net")
    wrong = [result for result in proven(lab) if not result.passed]
    assert [result.number for result in wrong] == [1, 2, 3]
    assert "but the packet arrived at server" in wrong[1].disagreements[0]


def test_a_packet_that_is_lost_at_the_wrong_place_is_found_though_it_is_denied_as_expected(lab: Lab) -> None:
    change(lab, "@fabric", "insert rule ip netemu source tcp dport 22 drop")
    wrong = [result for result in proven(lab) if not result.passed]
    assert [result.number for result in wrong] == [2]
    assert "no counter saw it" in wrong[0].disagreements[0]


def test_an_answer_that_is_lost_is_found(lab: Lab) -> None:
    change(lab, "@fabric", "insert rule ip netemu source tcp sport 80 drop")
    wrong = [result for result in proven(lab) if not result.passed]
    assert [result.number for result in wrong] == [1]
    assert "did not come back" in wrong[0].disagreements[0]


def test_a_wrong_translation_is_found(lab: Lab) -> None:
    change(lab, "@edge", "insert rule ip netemu outward oifname internet meta l4proto udp snat to 20.62.0.9")
    change(lab, "@edge", "add element ip netemu public { 20.62.0.9 }")
    wrong = [result for result in proven(lab) if not result.passed]
    assert [result.number for result in wrong] == [4]
    assert "20.62.0.9 in the packet" in wrong[0].disagreements[0]


def test_a_frame_for_another_mac_is_no_delivery(lab: Lab) -> None:
    done = lab.run(
        "@fabric", "ip", "neigh", "replace", "10.0.2.4", "lladdr", "02:00:00:00:00:99", "dev", "server-nic", "nud", "permanent"
    )
    assert done.returncode == 0, done.stderr
    wrong = [result for result in proven(lab) if not result.passed]
    assert [result.number for result in wrong] == [1]


def test_a_server_that_echoes_the_probe_does_not_confuse(lab: Lab) -> None:
    stop = threading.Event()
    with lab.socket("visitor", socket.SOCK_DGRAM) as server:
        server.bind(("0.0.0.0", 53))
        server.settimeout(0.05)

        def echo() -> None:
            while not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    data, peer = server.recvfrom(2048)
                    server.sendto(data, peer)

        thread = threading.Thread(target=echo)
        thread.start()
        try:
            results = [proven(lab) for _ in range(5)]
        finally:
            stop.set()
            thread.join()
    assert [result.disagreements for some in results for result in some] == [()] * 20


MANY = NETWORK.replace(
    "only-web:",
    """no-ssh: {priority: 90, direction: Inbound, access: Deny, protocol: Tcp, sourceAddressPrefix: "*",
               sourcePortRange: "*", destinationAddressPrefix: "*", destinationPortRange: 22}
      no-telnet: {priority: 91, direction: Inbound, access: Deny, protocol: Tcp, sourceAddressPrefix: "*",
                  sourcePortRange: "*", destinationAddressPrefix: "*", destinationPortRange: 23}
      only-web:""",
).replace("priority: 90", "priority: 102").replace("priority: 91", "priority: 101")


def test_many_lines_are_sent_together_and_each_has_what_it_has_moved(single: Callable[[str], Lab]) -> None:
    lines = [
        f"{{from: client, to: server, port: {port}, access: {access}, rule: {rule}}}"
        for port, access, rule in ((22, "Deny", "no-ssh"), (80, "Allow", "only-web"), (81, "Deny", "nothing-else"))
        for _ in range(50)
    ]
    lab = single(MANY + f"expect: [{', '.join(lines)}]\n")
    before = lab.counters()
    results = proven(lab)
    assert [result.disagreements for result in results] == [()] * 150
    for result in results:
        assert [(d.rule, d.packets) for d in result.observation.decisions] == [(result.expectation.rule, 1)]
    after = lab.counters()
    chain = "inbound/back-nsg/net"
    moved = {rule: after[chain, rule] - before[chain, rule] for rule in ("no-ssh", "only-web", "nothing-else")}
    assert moved == {"no-ssh": 50, "only-web": 50, "nothing-else": 50}


def test_counters_of_two_rules_that_were_exchanged_are_found_among_many(single: Callable[[str], Lab]) -> None:
    lines = [f"{{from: client, to: server, port: {port}, access: Deny}}" for port in (22, 23) for _ in range(5)]
    lab = single(MANY + f"expect: [{', '.join(lines)}]\n")
    chain = "ip netemu inbound/back-nsg/net"
    change(lab, "@fabric", f'insert rule {chain} tcp dport 22 counter drop comment "no-telnet"')
    change(lab, "@fabric", f'insert rule {chain} tcp dport 23 counter drop comment "no-ssh"')
    results = proven(lab)
    assert [result.passed for result in results] == [False] * 10
    assert "the data plane at: back-nsg/no-telnet" in results[0].disagreements[0]
    assert "the data plane at: back-nsg/no-ssh" in results[9].disagreements[0]


@pytest.mark.azure("NSG-23")
def test_a_flow_with_all_ports_given_can_be_proved_again_though_it_passes_by_its_record(
    single: Callable[[str], Lab],
) -> None:
    rules = NETWORK.replace("protocol: Tcp", "protocol: Udp")
    line = "{from: client, to: server, protocol: Udp, sourcePort: 7000, port: 80, access: Allow, rule: only-web}"
    lab = single(rules + f"expect: [{line}]\n")
    (first,), (second,) = proven(lab), proven(lab)
    assert (first.disagreements, second.disagreements) == ((), ())
    assert [d.rule for d in first.observation.decisions] == ["only-web"]
    assert [d.rule for d in second.observation.decisions] == []


def test_ctrl_c_ends_it_with_what_was_found(lab: Lab) -> None:
    def press(_done: int, _steps: int, _what: str) -> None:
        raise KeyboardInterrupt

    proof = prove(lab.network.name, press)
    assert (len(proof.results), proof.unproved) == (0, 4)
    pressed = iter((None, KeyboardInterrupt))

    def press_later(_done: int, _steps: int, _what: str) -> None:
        key = next(pressed)
        if key is not None:
            raise key

    proof = prove(lab.network.name, press_later)
    assert (len(proof.results), proof.unproved, proof.failed) == (1, 3, [])
    suite = ElementTree.fromstring(as_junit(proof.lab, proof.results, proof.unproved).split("\n", 1)[1])
    assert (suite.get("tests"), suite.get("skipped")) == ("2", "1")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{from: client, to: server, port: 22, access: Allow}", "expected Allow, but Azure's rules say Deny"),
        ("{from: client, to: server, port: 80, access: Deny}", "expected Deny, but Azure's rules say Allow"),
        ("{from: client, to: server, port: 22, access: Deny, rule: DenyAllInBound}", "expected rule DenyAllInBound"),
        ("{from: client, to: visitor, port: 80, access: Allow, sourceSeenAs: 20.61.0.1}", "expected source 20.61.0.1"),
        ("{from: client, to: server, port: 80, access: Allow, via: client}", "expected via client"),
        ("{from: client, to: server, port: 80, access: Allow, reply: Deny}", "expected reply Deny"),
    ],
)
def test_an_expectation_that_is_wrong_fails(single: Callable[[str], Lab], line: str, words: str) -> None:
    (result,) = proven(single(NETWORK + f"expect: [{line}]\n"))
    assert not result.passed
    assert words in "\n".join(result.disagreements)


def test_the_command_says_no_with_exit_code_1_and_writes_junit(lab: Lab, tmp_path: Path) -> None:
    name = lab.network.name
    fine = run("verify", name)
    assert (fine.returncode, fine.stderr) == (0, "")
    assert "4 of 4 agree" in fine.stdout
    change(lab, "@fabric", "flush chain ip netemu inbound/back-nsg/net")
    report = tmp_path / "report.xml"
    wrong = run("verify", name, "-o", "json", "--junit", str(report))
    assert wrong.returncode == 1
    data = json.loads(wrong.stdout)
    assert (data["passed"], data["failed"]) == (1, 3)
    assert ElementTree.parse(report).getroot().get("failures") == "3"


def test_a_file_that_is_not_what_runs_is_refused(lab: Lab, tmp_path: Path) -> None:
    name = lab.network.name
    file = tmp_path / "other.yaml"
    file.write_text(f"name: {name}\n" + NETWORK.replace("destinationPortRange: 80", "destinationPortRange: 81") + RIGHT)
    refused = run("verify", str(file))
    assert refused.returncode == 2
    assert "is not what is running" in refused.stderr
    file.write_text(f"name: {name}\n" + NETWORK + "expect: [{from: client, to: server, port: 80, access: Allow}]\n")
    only_expectations_differ = run("verify", str(file))
    assert only_expectations_differ.returncode == 0, only_expectations_differ.stderr
    assert "1 of 1 agree" in only_expectations_differ.stdout
    again = run("up", str(file))
    assert "nothing to do" in again.stdout
    assert "1 of 1 agree" in run("verify", name).stdout


def test_a_lab_that_is_not_up_cannot_be_verified(tmp_path: Path) -> None:
    file = tmp_path / "down.yaml"
    file.write_text("name: never-up\n" + NETWORK)
    refused = run("verify", str(file))
    assert refused.returncode == 2
    assert "is not up; bring it up with" in refused.stderr
