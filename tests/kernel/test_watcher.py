"""Network Watcher's questions are answered from the kernel, too: what is broken behind netemu's back is said.

Each break is also tried with a real packet, which does what the kernel's answer says and not what Azure's rules say.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import random_networks
import yaml
from harness import VISITOR, Lab, rule

from netemu.azure.verdict import Engine
from netemu.cli.main import main
from netemu.lab.down import down
from netemu.lab.source import read_once
from netemu.lab.up import up
from netemu.linux import nftables, ruleset_view
from netemu.linux.namespaces import current, entered
from netemu.verify.readback import attachments, beside, routes, rules
from netemu.verify.readback.plane import Plane
from netemu.verify.readback.way import Ways

IN, OUT = "Inbound", "Outbound"
LONG = "\n".join(
    f"      r{n}: {rule(200 + n, IN, 'Deny' if n % 2 else 'Allow', 'Tcp', f'10.0.{n % 7}.0/24', port=str(1000 + 10 * n))}"
    for n in range(70)
)
NETWORK = f"""
virtualNetworks:
  net:
    addressSpace: 10.0.0.0/16
    subnets:
      front: {{addressPrefix: 10.0.1.0/24, routeTable: through-fw}}
      back: {{addressPrefix: 10.0.2.0/24, networkSecurityGroup: back-nsg}}
      far: {{addressPrefix: 10.0.3.0/24, networkSecurityGroup: long-nsg}}
      fw: {{addressPrefix: 10.0.9.0/24}}
routeTables:
  through-fw:
    routes: {{far: {{addressPrefix: 10.0.3.0/24, nextHopType: VirtualAppliance, nextHopIpAddress: 10.0.9.4}}}}
networkSecurityGroups:
  back-nsg:
    securityRules:
      web: {rule(100, IN, "Allow", "Tcp", "10.0.1.0/24", port="80")}
      rest: {rule(110, IN, "Deny", "*", "VirtualNetwork")}
  long-nsg:
    securityRules:
{LONG}
publicIPAddresses:
  client-ip: {{ipAddress: 20.61.0.10}}
virtualMachines:
  client: {{subnet: net/front, publicIPAddress: client-ip}}
  server: {{subnet: net/back}}
  distant: {{subnet: net/far}}
  fw: {{subnet: net/fw, privateIPAddress: 10.0.9.4, enableIPForwarding: true, sysctls: {{net.ipv4.ip_forward: 1}}}}
{VISITOR}
"""
AGREES = "the kernel agrees"


@dataclass
class Done:
    """What a command said, and its exit code."""

    returncode: int
    stdout: str
    stderr: str


def netemu(*words: str) -> Done:
    """Run a command in this process, which is quicker than as a program of its own."""
    out, err, argv = io.StringIO(), io.StringIO(), sys.argv
    sys.argv = ["netemu", *words]
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            main()
    except SystemExit as ended:
        return Done(int(ended.code or 0), out.getvalue(), err.getvalue())
    finally:
        sys.argv = argv
    raise AssertionError("it always exits")


def answer(*words: str) -> tuple[int, Any]:
    done = netemu(*words, "-o", "json")
    assert done.stderr == ""
    return done.returncode, json.loads(done.stdout)


@contextlib.contextmanager
def inside(lab: Lab, node: str) -> Iterator[int]:
    """A descriptor of a node's namespace."""
    with entered(lab.namespace(node)):
        descriptor = current()
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def nft(lab: Lab, node: str, text: str) -> None:
    with inside(lab, node) as descriptor:
        nftables.apply(descriptor, text)


def ip(lab: Lab, node: str, *words: str) -> None:
    done = lab.run(node, "ip", *words)
    assert done.returncode == 0, done.stderr


def handle(lab: Lab, chain: str, comment: str) -> str:
    """The handle of a rule in the fabric."""
    listed = lab.run("@fabric", "nft", "-a", "list", "chain", "ip", "netemu", chain).stdout
    found = re.search(rf'comment "{comment}" # handle (\d+)', listed)
    assert found, listed
    return found[1]


@pytest.fixture(scope="module")
def lab(laboratory: Callable[[str], Lab]) -> Lab:
    return laboratory(NETWORK)


def in_lab(lab: Lab, *words: str) -> list[str]:
    """The words of a command with the lab's name where it goes."""
    return [*words, lab.name] if words[0] == "topology" else [*words, "--lab", lab.name]


# ---- as described ----------------------------------------------------------------------------------------------------

QUESTIONS = [
    ("flow", "client", "--to", "server", "--port", "80"),
    ("flow", "client", "--to", "server", "--port", "22"),
    ("flow", "client", "--to", "distant", "--port", "1000"),
    ("flow", "client", "--to", "distant", "--protocol", "Icmp"),
    ("flow", "client", "--to", "visitor", "--port", "443"),
    ("flow", "visitor", "--to", "client-ip", "--port", "443"),
    ("flow", "server", "--from", "192.0.2.1", "--port", "80"),
    ("flow", "client/10.0.1.77", "--to", "server", "--port", "80"),
    ("flow", "server", "--to", "168.63.129.16", "--protocol", "Udp", "--port", "53"),
    ("next-hop", "client", "--to", "distant"),
    ("next-hop", "client", "--to", "8.8.8.8"),
    ("routes", "client"),
    ("routes", "distant-nic"),
    ("rules", "server"),
    ("rules", "distant-nic"),
    ("topology",),
]


@pytest.mark.parametrize("words", QUESTIONS, ids=" ".join)
def test_the_kernel_of_a_lab_as_described_agrees(lab: Lab, words: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "netemu", *in_lab(lab, *words)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == AGREES
    code, data = answer(*in_lab(lab, *words))
    assert (code, data["kernel"]["agrees"], data["kernel"]["disagreements"]) == (0, True, [])


def test_the_model_alone_is_asked_about_a_file_even_when_its_lab_is_up(lab: Lab) -> None:
    code, data = answer("routes", "client", "--file", str(lab.source))
    assert code == 0
    assert "kernel" not in data
    _, with_kernel = answer(*in_lab(lab, "routes", "client"))
    assert data["value"] == with_kernel["value"]


@pytest.mark.azure("NW-3")
def test_the_kernel_answers_in_azures_words(lab: Lab) -> None:
    _, data = answer(*in_lab(lab, "flow", "server", "--from", "client", "--port", "22"))
    assert (data["kernel"]["access"], data["kernel"]["ruleName"]) == ("Deny", "securityRules/rest")
    verdict = data["kernel"]["verdict"]
    assert (verdict["access"], verdict["stage"]) == ("Deny", "nsg-in")
    _, data = answer(*in_lab(lab, "flow", "client", "--to", "visitor", "--port", "443"))
    texts = [step["text"] for step in data["kernel"]["verdict"]["steps"]]
    assert any("becomes Tcp 20.61.0.10:49152 -> 198.51.100.7:443 in the edge" in text for text in texts)
    assert data["kernel"]["verdict"]["reply"]["receiver"] == "client"


def test_counters_are_the_kernels(lab: Lab) -> None:
    def counted() -> dict[str, int]:
        _, data = answer(*in_lab(lab, "rules", "server-nic"))
        return {each["name"]: each["packets"] for each in data["kernel"]["rules"] if each["direction"] == IN}

    before = counted()
    for _ in range(3):
        assert lab.udp("client", "server", lab.port()).lost
    assert lab.tcp("client", "server", 80).answered
    after = counted()
    moved = {name: after[name] - before[name] for name in after if after[name] != before[name]}
    assert moved == {"securityRules/rest": 3, "securityRules/web": 1}


def test_asking_changes_nothing(lab: Lab) -> None:
    def state() -> tuple[Any, ...]:
        counters = {node: lab.counters(node) for node in ("@fabric", "@edge", "@internet")}
        tables = lab.run("@fabric", "ip", "route", "show", "table", "all").stdout
        with inside(lab, "@fabric") as descriptor:
            return counters, tables, nftables.generation(descriptor)

    before = state()
    for words in QUESTIONS[:3] + QUESTIONS[-7:]:
        netemu(*in_lab(lab, *words))
    assert state() == before


# ---- networks that nobody thought of ---------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [1, 3, 11, 18, 20, 23, 29, 31])
def test_what_is_read_back_of_a_random_network_is_what_azures_rules_say(
    seed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NETEMU_STATE_DIR", str(tmp_path / "state"))
    file = tmp_path / "scenario.yaml"
    file.write_text(yaml.safe_dump(random_networks.scenario(seed, f"rb{os.getpid()}x{seed}")))
    outcome = up(read_once(file), lambda *_: None, lambda _: None)
    try:
        network, folder, engine = outcome.network, outcome.folder, Engine(outcome.network)
        wrong = []
        with Plane(network, {node: folder.namespace(node) for node in folder.nodes()}) as plane:
            for flow in random_networks.flows(seed, network, 200):
                verdict, ways = engine.judge(flow), Ways(plane)
                way = ways.of(flow)
                wrong += [(flow, text) for text in beside.disagreements(engine.placement, verdict, way)]
                reply = ways.answer(way)
                if reply is not None and verdict.reply is not None:
                    wrong += [(flow, text) for text in beside.disagreements(engine.placement, verdict.reply, reply)]
            wrong += attachments.compare(plane)[1]
            for port in list(engine.placement.ports.values())[:4]:
                wrong += routes.compare(plane, engine.placement, port)[1]
                wrong += rules.compare(plane, engine.placement, port)[1]
        assert wrong == []
    finally:
        down(outcome.folder, lambda _: None)


# ---- broken behind netemu's back -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Break:
    """Something done to a lab, which commands must notice and which a packet does notice."""

    name: str
    do: Callable[[Lab], None]
    questions: dict[tuple[str, ...], str]
    """Commands, and what they say."""
    contact: Callable[[Lab], bool]
    """A packet: does it arrive? It did, or did not, before."""
    arrives: bool
    """And afterwards it does the contrary."""


def to_server(port: int) -> Callable[[Lab], bool]:
    return lambda lab: lab.tcp("client", "server", port).arrived


def to_distant(lab: Lab) -> bool:
    return lab.tcp("client", "distant", 1000).arrived


def table_of(lab: Lab, nic: str) -> str:
    """The routing table that the mark of a NIC's packets leads to."""
    listed = lab.run("@fabric", "nft", "get", "element", "ip", "netemu", "ingress_mark", f'{{ "{nic}" }}').stdout
    found = re.search(r": (0x[0-9a-f]+)", listed)
    assert found, listed
    return str(1000 + (int(found[1], 16) & 0xFFF))


def delete_rule(lab: Lab) -> None:
    nft(
        lab,
        "@fabric",
        f"delete rule ip netemu inbound/back-nsg/net handle {handle(lab, 'inbound/back-nsg/net', 'web')}",
    )


def change_rule(verdict: str, match: str) -> Callable[[Lab], None]:
    def do(lab: Lab) -> None:
        number = handle(lab, "inbound/back-nsg/net", "web")
        nft(
            lab, "@fabric",
            f'replace rule ip netemu inbound/back-nsg/net handle {number} {match} counter {verdict} comment "web"',
        )  # fmt: skip

    return do


def detach(lab: Lab) -> None:
    nft(lab, "@fabric", 'delete element ip netemu inbound_subnet { "server-nic" }')


WEB = ("flow", "client", "--to", "server", "--port", "80")
SSH = ("flow", "client", "--to", "server", "--port", "22")
BREAKS = [
    Break(
        "a route is gone",
        lambda lab: ip(lab, "@fabric", "route", "del", "10.0.2.4", "table", table_of(lab, "client-nic")),
        {
            WEB: "dev void0, which leads to an address that nobody has",
            ("next-hop", "client", "--to", "server"): "by Azure's rules NIC server-nic, by the kernel an address that nobody has",
            ("routes", "client"): "10.0.2.4: by Azure's rules NIC server-nic",
        },
        to_server(80), arrives=True,
    ),
    Break(
        "a route leads somewhere else",
        lambda lab: ip(
            lab, "@fabric", "route", "replace", "10.0.3.0/24", "dev", "void0", "table", table_of(lab, "client-nic")
        ),
        {
            ("flow", "client", "--to", "distant", "--port", "1000"): "10.0.3.0/24 dev void0, which leads to an address that nobody has",
            ("routes", "client-nic"): "by Azure's rules NIC fw-nic, next hop 10.0.9.4",
        },
        to_distant, arrives=True,
    ),
    Break(
        "a route that nobody wrote",
        lambda lab: ip(lab, "@fabric", "route", "add", "198.51.100.0/24", "dev", "none0", "table", table_of(lab, "client-nic")),
        {
            ("routes", "client-nic"): "198.51.100.0: by Azure's rules Internet (Default route 0.0.0.0/0 -> Internet), by the kernel None",
            ("next-hop", "client", "--to", "visitor"): "by the kernel None",
        },
        lambda lab: lab.tcp("client", "visitor", 443).arrived, arrives=True,
    ),
    Break(
        "another table for one port",
        lambda lab: (
            ip(lab, "@fabric", "rule", "add", "iif", "client-nic", "lookup", "99"),
            ip(lab, "@fabric", "route", "add", "default", "dev", "void0", "table", "99"),
        )[0],
        {WEB: "table 99: 0.0.0.0/0 dev void0", ("routes", "client-nic"): "table 99: 0.0.0.0/0 dev void0"},
        to_server(80), arrives=True,
    ),
    Break(
        "a rule is gone", delete_rule,
        {
            WEB: "the kernel: back-nsg denies it by rest",
            ("rules", "server"): "is decided by web (Allow) by Azure's rules, by rest (Deny) in the kernel",
        },
        to_server(80), arrives=True,
    ),
    Break(
        "a rule drops what it ought to allow", change_rule("drop", "ip saddr 10.0.1.0/24 tcp dport 80"),
        {WEB: "the kernel: back-nsg denies it by web", ("rules", "server"): "by web (Deny) in the kernel"},
        to_server(80), arrives=True,
    ),
    Break(
        "a rule has one port more", change_rule("return", "ip saddr 10.0.1.0/24 tcp dport 80-81"),
        {("rules", "server"): ":81 is decided by rest (Deny) by Azure's rules, by web (Allow) in the kernel"},
        to_server(81), arrives=False,
    ),
    Break(
        "a rule that nobody wrote",
        lambda lab: nft(lab, "@fabric", "insert rule ip netemu inbound/back-nsg/net ip saddr 10.0.1.4 tcp dport 22 accept"),
        {
            SSH: "the kernel: back-nsg allows it by a rule that is not netemu's: ip saddr 10.0.1.4 tcp dport 22 accept",
            ("rules", "server"): "by a rule that is not netemu's: ip saddr 10.0.1.4 tcp dport 22 accept (Allow) in the kernel",
        },
        to_server(22), arrives=False,
    ),
    Break(
        "an NSG is asked no more", detach,
        {
            SSH: "the kernel: server-nic of server gets it",
            ("rules", "server-nic"): "net/back, inbound: by Azure's rules back-nsg is asked, by the kernel no NSG",
            ("topology",): "server-nic, inbound: NSGs by the model back-nsg, by the kernel none",
        },
        to_server(22), arrives=False,
    ),
    Break(
        "somebody's own table",
        lambda lab: nft(
            lab, "@fabric", "add table inet mine; add chain inet mine fw { type filter hook forward priority 3; };"
            " add rule inet mine fw tcp dport 80 drop",
        ),
        {WEB: "dropped in @fabric by chain fw: tcp dport 80 drop"},
        to_server(80), arrives=True,
    ),
    Break(
        "an appliance that forwards no more",
        lambda lab: (lab.run("fw", "sysctl", "-w", "net.ipv4.ip_forward=0"), None)[1],
        {("flow", "client", "--to", "distant", "--port", "1000"): "fw does not forward"},
        to_distant, arrives=True,
    ),
    Break(
        "a public address that is not translated",
        lambda lab: nft(lab, "@edge", 'delete element ip netemu one_to_one { "e-net" . 10.0.1.4 }'),
        {
            ("flow", "client", "--to", "visitor", "--port", "443"): 'drop comment "no outbound translation"',
            ("topology",): "client-nic: public IPs by the model 20.61.0.10, by the kernel none",
        },
        lambda lab: lab.tcp("client", "visitor", 443).arrived, arrives=True,
    ),
    Break(
        "a NIC that is down",
        lambda lab: ip(lab, "server", "link", "set", "eth0", "down"),
        {WEB: "the kernel: server-nic is down"},
        lambda lab: _reaches_wire(lab), arrives=True,
    ),
]  # fmt: skip


def _reaches_wire(lab: Lab) -> bool:
    with contextlib.suppress(OSError):
        return lab.tcp("client", "server", 80).arrived
    return False


@pytest.mark.parametrize("broken", BREAKS, ids=lambda each: each.name)
def test_what_is_broken_behind_netemus_back_is_said(single: Callable[[str], Lab], broken: Break) -> None:
    lab = single(NETWORK)
    for words in broken.questions:
        assert netemu(*in_lab(lab, *words)).returncode == 0
    assert broken.contact(lab) == broken.arrives
    broken.do(lab)
    for words, message in broken.questions.items():
        done = netemu(*in_lab(lab, *words))
        assert (done.returncode, done.stderr) == (1, ""), words
        disagreements = done.stdout.partition("the kernel disagrees:")[2]
        assert message in disagreements, (words, disagreements)
        code, data = answer(*in_lab(lab, *words))
        assert (code, data["kernel"]["agrees"]) == (1, False)
        assert any(message in text for text in data["kernel"]["disagreements"])
    assert broken.contact(lab) != broken.arrives


def test_a_long_nsgs_tree_is_followed_and_a_changed_branch_is_found(single: Callable[[str], Lab]) -> None:
    lab = single(NETWORK)
    listed = lab.run("@fabric", "nft", "list", "table", "ip", "netemu").stdout
    assert "inbound/long-nsg//r0" in listed, "the NSG is compiled to a tree"
    assert lab.tcp("server", "distant", 1020).arrived
    number = handle(lab, "inbound/long-nsg//r2", "r2")
    nft(lab, "@fabric", f'replace rule ip netemu inbound/long-nsg//r2 handle {number} counter drop comment "r2"')
    done = netemu(*in_lab(lab, "rules", "distant"))
    assert done.returncode == 1
    assert "is decided by r2 (Allow) by Azure's rules, by r2 (Deny) in the kernel" in done.stdout
    assert lab.tcp("server", "distant", 1020).lost


def test_what_cannot_be_followed_is_said_and_not_guessed(single: Callable[[str], Lab]) -> None:
    lab = single(NETWORK)
    nft(lab, "@fabric", "insert rule ip netemu inbound/back-nsg/net limit rate 1/second counter drop")
    for words in (WEB, ("rules", "server")):
        done = netemu(*in_lab(lab, *words))
        assert done.returncode == 1
        assert "cannot be followed here" in done.stdout
        assert "limit rate 1/second" in done.stdout


def test_a_machine_whose_namespace_is_gone_is_missed_by_every_command(single: Callable[[str], Lab]) -> None:
    lab = single(NETWORK)
    assert subprocess.run(["umount", str(lab.namespace("server"))], check=False).returncode == 0
    for words, message in {
        WEB: "which leads to an address that nobody has",
        ("flow", "server", "--to", "client", "--port", "80"): "there is no namespace of server",
        ("routes", "server"): "server-nic: no link leads from eth0 of server to the fabric",
        ("rules", "server"): "server-nic: no link leads from eth0 of server to the fabric",
        ("next-hop", "server", "--to", "client"): "server-nic: no link leads from eth0 of server to the fabric",
        ("topology",): "server-nic: no link with MAC",
    }.items():
        done = netemu(*in_lab(lab, *words))
        assert (done.returncode, done.stderr) == (1, ""), words
        assert message in done.stdout, (words, done.stdout)


# ---- which lab -------------------------------------------------------------------------------------------------------


def test_which_of_two_labs_is_meant_must_be_said(single: Callable[[str], Lab], lab: Lab) -> None:
    other = single("virtualNetworks: {net: {addressSpace: 10.0.0.0/16}}\n")
    done = netemu("routes", "client")
    assert done.returncode == 2
    assert f"several labs are up ({', '.join(sorted([lab.name, other.name]))}); name one" in done.stderr
    assert netemu("routes", "client", "--lab", lab.name).returncode == 0


def test_without_rights_the_kernel_is_not_read_and_a_file_can_be_asked_about(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("netemu.lab.watch.has_root", lambda: False)
    done = netemu(*in_lab(lab, "routes", "client"))
    assert (done.returncode, done.stdout) == (3, "")
    assert "run netemu with sudo, or ask about the scenario alone with --file FILE" in done.stderr
    assert netemu("routes", "client", "--file", str(lab.source)).returncode == 0


def test_a_lab_that_is_changed_while_it_is_read_is_not_said_to_disagree(
    single: Callable[[str], Lab], monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = single(NETWORK)
    read = ruleset_view.read

    def change_first(namespace: Path) -> ruleset_view.RulesetView:
        monkeypatch.setattr(ruleset_view, "read", read)
        lab.up(NETWORK.replace("destinationPortRange: '80'", "destinationPortRange: '81'"))
        return read(namespace)

    monkeypatch.setattr(ruleset_view, "read", change_first)
    done = netemu(*in_lab(lab, *WEB))
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == f"netemu: lab {lab.name} is being changed while it is read; ask again\n"
    assert netemu(*in_lab(lab, *WEB)).returncode == 0
