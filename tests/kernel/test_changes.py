"""A lab that is changed while it runs: the change takes effect, and no other packet is lost meanwhile.

Steady flows of numbered packets run through every change. Delivery inside one machine is synchronous, so a packet
that is not there after its send() is lost; it is waited for a little nevertheless, for the kernel may be busy.
"""

from __future__ import annotations

import contextlib
import copy
import itertools
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import random_networks
import yaml
from harness import Lab, rule, wait_for
from test_random_networks import every_flow_agrees

from netemu.lab.folder import LabFolder
from netemu.lab.source import read_once
from netemu.lab.survey import desire, survey
from netemu.lab.unchanged import unchanged

BASE = f"""
virtualNetworks:
  net:
    addressSpace: [10.1.0.0/16]
    subnets:
      front: {{addressPrefix: 10.1.1.0/24, networkSecurityGroup: front-nsg}}
      back: {{addressPrefix: 10.1.2.0/24, routeTable: back-routes}}
      appliances: {{addressPrefix: 10.1.3.0/24}}
    virtualNetworkPeerings:
      to-hub: {{remoteVirtualNetwork: hub}}
  hub:
    addressSpace: [10.2.0.0/16]
    subnets:
      main: {{addressPrefix: 10.2.1.0/24}}
    virtualNetworkPeerings:
      to-net: {{remoteVirtualNetwork: net}}
networkSecurityGroups:
  front-nsg:
    securityRules:
      seven: {rule(100, "Inbound", "Allow", "Udp", port="7000-7099", destination="10.1.1.0/24")}
      eight: {rule(110, "Inbound", "Allow", "Tcp", port="8000-8099")}
      rest: {rule(200, "Inbound", "Deny")}
routeTables:
  back-routes: {{routes: {{to-hub: {{addressPrefix: 10.2.0.0/16, nextHopType: VnetLocal}}}}}}
  by-appliance:
    routes:
      default: {{addressPrefix: 10.1.1.0/24, nextHopType: VirtualAppliance, nextHopIpAddress: 10.1.3.4}}
publicIPAddresses: {{spare: {{}}}}
virtualMachines:
  a: {{subnet: net/front}}
  b: {{subnet: net/front, run: sleep 7301}}
  c: {{subnet: net/back}}
  fw: {{subnet: net/appliances, enableIPForwarding: true, sysctls: {{net.ipv4.ip_forward: 1}}}}
  d: {{subnet: hub/main}}
internet: {{hosts: {{visitor: {{ipAddress: 198.51.100.7}}}}}}
"""

Scenario = dict[str, Any]


class Flow:
    """Numbered datagrams from one machine to another and back, as fast as they go."""

    def __init__(self, lab: Lab, source: str, to: str, port: int) -> None:
        self.name, self.sent, self.lost = f"{source} → {to}", 0, list[int]()
        self._stop = threading.Event()
        self._sockets = contextlib.ExitStack()
        self._here = self._sockets.enter_context(lab.socket(source, socket.SOCK_DGRAM))
        self._there = self._sockets.enter_context(lab.socket(to, socket.SOCK_DGRAM))
        self._there.bind(("0.0.0.0", port))
        self._here.connect((lab.address(to), port))
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Flow:
        self._thread.start()
        return self

    def __exit__(self, *exception: object) -> None:
        self._stop.set()
        self._thread.join()
        self._sockets.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            self.sent += 1
            number = str(self.sent).encode()
            self._here.send(number)
            if not wait_for(self._there, 0.5):
                self.lost.append(self.sent)
                continue
            content, peer = self._there.recvfrom(64)
            self._there.sendto(content, peer)
            if not wait_for(self._here, 0.5) or self._here.recv(64) != number:
                self.lost.append(self.sent)


@contextlib.contextmanager
def steady(lab: Lab) -> Iterator[list[Flow]]:
    """Flows that no change of these tests is about: in a subnet, to the internet; some packets before and after."""
    with (
        Flow(lab, "a", "b", 7001) as inside,
        Flow(lab, "a", "visitor", 7002) as out,
    ):
        flows = [inside, out]
        _more(flows)
        yield flows
        _more(flows)
    for flow in flows:
        assert not flow.lost, f"{flow.name}: lost {flow.lost[:10]} of {flow.sent}"


def _more(flows: list[Flow]) -> None:
    for flow in flows:
        target = flow.sent + 20
        while flow.sent < target and not flow.lost:
            threading.Event().wait(0.001)


def added_rule(s: Scenario) -> None:
    s["networkSecurityGroups"]["front-nsg"]["securityRules"]["nine"] = yaml.safe_load(
        rule(120, "Inbound", "Allow", "Tcp", port="9000")
    )


def removed_rule(s: Scenario) -> None:
    del s["networkSecurityGroups"]["front-nsg"]["securityRules"]["eight"]


def attached_group(s: Scenario) -> None:
    s["networkSecurityGroups"]["closed"] = {"securityRules": {"no": yaml.safe_load(rule(100, "Inbound", "Deny"))}}
    s["virtualNetworks"]["net"]["subnets"]["back"]["networkSecurityGroup"] = "closed"


def group_of_the_running_subnet(s: Scenario) -> None:
    s["virtualNetworks"]["net"]["subnets"]["front"]["networkSecurityGroup"] = "other"
    s["networkSecurityGroups"]["other"] = copy.deepcopy(s["networkSecurityGroups"]["front-nsg"])


def attached_table(s: Scenario) -> None:
    s["virtualNetworks"]["net"]["subnets"]["back"]["routeTable"] = "by-appliance"


def changed_route(s: Scenario) -> None:
    s["routeTables"]["back-routes"]["routes"]["to-hub"]["nextHopType"] = "None"


def added_subnet(s: Scenario) -> None:
    s["virtualNetworks"]["net"]["subnets"]["new"] = {"addressPrefix": "10.1.9.0/24"}
    s["virtualMachines"]["e"] = {"subnet": "net/new"}


def added_machine(s: Scenario) -> None:
    s["virtualMachines"] = {"e": {"subnet": "net/front"}, **s["virtualMachines"]}


def removed_machine(s: Scenario) -> None:
    del s["virtualMachines"]["c"]


def added_network(s: Scenario) -> None:
    s["virtualNetworks"] = {
        "third": {"addressSpace": ["10.1.0.0/16"], "subnets": {"main": {"addressPrefix": "10.1.1.0/24"}}},
        **s["virtualNetworks"],
    }
    s["virtualMachines"] = {"e": {"subnet": "third/main"}, **s["virtualMachines"]}


def changed_address(s: Scenario) -> None:
    s["virtualMachines"]["c"]["privateIPAddress"] = "10.1.2.77"


def cut_peering(s: Scenario) -> None:
    del s["virtualNetworks"]["hub"]["virtualNetworkPeerings"]


def replaced_program(s: Scenario) -> None:
    s["virtualMachines"]["b"]["run"] = "sleep 7302"


def public_address(s: Scenario) -> None:
    s["virtualMachines"]["c"]["publicIPAddress"] = "spare"


def added_host(s: Scenario) -> None:
    s["internet"]["hosts"] = {"other": {"ipAddress": "198.51.100.9"}, **s["internet"]["hosts"]}


CHANGES = [
    added_rule, removed_rule, attached_group, group_of_the_running_subnet, attached_table, changed_route, added_subnet,
    added_machine, removed_machine, added_network, changed_address, cut_peering, replaced_program, public_address,
    added_host,
]  # fmt: skip


@pytest.fixture(scope="module")
def lab(laboratory: Callable[[str], Lab]) -> Lab:
    return laboratory(BASE)


def version(change: Callable[[Scenario], None]) -> str:
    """The scenario after a change."""
    result = yaml.safe_load(BASE)
    change(result)
    return str(yaml.safe_dump(result, sort_keys=False))


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_a_change_and_its_undoing_take_effect_and_lose_no_other_packet(
    lab: Lab, change: Callable[[Scenario], None]
) -> None:
    assert lab.up(BASE) in ("unchanged", "changed")
    namespaces = {node: lab.namespace(node).stat().st_ino for node in lab.folder.nodes()}
    with steady(lab):
        assert lab.up(version(change)) == "changed"
        assert lab.up(version(change)) == "unchanged"
        nothing_differs(lab)
        assert all(lab.namespace(node).stat().st_ino == inode for node, inode in namespaces.items()
                   if lab.namespace(node).exists())  # fmt: skip
    flows_agree(lab)
    with steady(lab):
        assert lab.up(BASE) == "changed"
        nothing_differs(lab)
    flows_agree(lab)


_seeds = itertools.count(1)


def flows_agree(lab: Lab) -> None:
    """Verdict and packet, for flows that have never been before: an old one would have a record."""
    every_flow_agrees(next(_seeds), lab.network, {node: lab.namespace(node) for node in lab.folder.nodes()})


def nothing_differs(lab: Lab) -> None:
    """The kernel has what the scenario says, and nothing else of ours, and nothing of anybody's."""
    record = lab.folder.read()
    assert record is not None
    found = survey(desire(read_once(lab.source).scenario, lab.folder), lab.folder, record)
    assert not found.changes
    assert not found.foreign


@pytest.mark.azure("NSG-22")
def test_a_connection_lives_on_when_its_rule_goes_and_no_new_one_is_made(lab: Lab) -> None:
    assert lab.up(BASE) in ("unchanged", "changed")
    with lab.socket("a", socket.SOCK_STREAM) as caller, lab.socket("b", socket.SOCK_STREAM) as listener:
        listener.bind(("0.0.0.0", 8001))
        listener.listen()
        caller.connect((lab.address("b"), 8001))
        connection, _ = listener.accept()
        with connection, steady(lab):
            assert lab.up(version(removed_rule)) == "changed"
            for sender, receiver in ((caller, connection), (connection, caller)):
                receiver.settimeout(2)
                sender.sendall(b"still here")
                assert receiver.recv(64) == b"still here"
    assert not lab.tcp("a", "b", 8002).arrived


def test_no_name_is_unknown_for_a_moment_while_others_come_and_go(single: Callable[[str], Lab]) -> None:
    """DNS-2."""
    lab = single(BASE)
    stop, failures, asked = threading.Event(), list[str](), [0]

    def ask() -> None:
        query = "7301 0100 0001 0000 0000 0000".replace(" ", "")
        name = "".join(f"{len(part):02x}{part.encode().hex()}" for part in _fully(lab, "b").split("."))
        packet = bytes.fromhex(f"{query}{name}0000010001")
        with lab.socket("a", socket.SOCK_DGRAM) as resolver:
            resolver.connect(("168.63.129.16", 53))
            while not stop.wait(0.002):  # more than 1000 a second would be too many (DNS-7)
                asked[0] += 1
                resolver.send(packet)
                answer = resolver.recv(512) if wait_for(resolver, 1.0) else b""
                if answer[-4:] != socket.inet_aton(lab.address("b")):
                    failures.append(answer.hex())

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        for change in (added_machine, removed_machine, added_host):
            assert lab.up(version(change)) == "changed"
            assert lab.up(BASE) == "changed"
    finally:
        stop.set()
        thread.join()
    assert asked[0] > 50
    assert not failures


def _fully(lab: Lab, machine: str) -> str:
    """A machine's full name."""
    return f"{machine}.{lab.network.virtualNetworks['net'].internalDomainNameSuffix}"


def test_dynamic_addresses_stay_when_machines_come_and_go_before_them(single: Callable[[str], Lab]) -> None:
    """IP-5."""
    lab = single(BASE)
    before = {nic.name: (nic.address, nic.macAddress) for nic in lab.network.nics.values()}
    outbound = lab.default_outbound("c")
    assert lab.up(version(added_machine)) == "changed"
    after = {nic.name: (nic.address, nic.macAddress) for nic in lab.network.nics.values()}
    assert {name: after[name] for name in before} == before
    assert lab.default_outbound("c") == outbound
    removed = yaml.safe_load(version(added_machine))
    del removed["virtualMachines"]["a"]
    assert lab.up(yaml.safe_dump(removed, sort_keys=False)) == "changed"
    assert lab.network.nics["b-nic"].address == before["b-nic"][0]
    assert lab.network.nics["e-nic"].address == after["e-nic"][0]


@pytest.mark.parametrize("seed", range(4))
def test_any_network_can_become_any_other(single: Callable[[str], Lab], tmp_path: Path, seed: int) -> None:
    lab = single(_random(2 * seed))
    for step in (2 * seed + 1, 2 * seed):
        assert lab.up(_random(step)) == "changed"
        nothing_differs(lab)
        flows_agree(lab)


def _random(seed: int) -> str:
    content = random_networks.scenario(9000 + seed, "x")
    del content["name"]
    return str(yaml.safe_dump(content, sort_keys=False))


DAMAGE: dict[str, tuple[str, list[str]]] = {
    "a route": ("a", ["ip", "route", "del", "default"]),
    "another route in its place": ("a", ["ip", "route", "replace", "default", "via", "10.1.1.1", "metric", "0", "mtu", "1400"]),
    "an address": ("a", ["ip", "address", "flush", "dev", "eth0"]),
    "the loopback": ("a", ["ip", "link", "set", "lo", "down"]),
    "a neighbour": ("a", ["ip", "neighbour", "del", "10.1.1.1", "dev", "eth0"]),
    "a link that is down": ("b", ["ip", "link", "set", "eth0", "down"]),
    "a NIC": ("c", ["ip", "link", "del", "eth0"]),
    "a port": ("@fabric", ["ip", "link", "del", "d-nic"]),
    "a port that is down": ("@fabric", ["ip", "link", "set", "d-nic", "down"]),
    "a rule of policy routing": ("@fabric", ["ip", "rule", "del", "table", "1001"]),
    "a whole table": ("@fabric", ["ip", "route", "flush", "table", "1001"]),
    "a setting of a port": ("@fabric", ["sysctl", "-q", "net.ipv4.conf.a-nic.proxy_arp=0"]),
    "a setting": ("@fabric", ["sysctl", "-q", "net.ipv4.ip_forward=0"]),
    "a machine's setting": ("fw", ["sysctl", "-q", "net.ipv4.ip_forward=0"]),
    "a chain": ("@fabric", ["nft", "flush", "chain", "ip", "netemu", "inbound/front-nsg/net"]),
    "a foreign rule in a chain of ours": ("@fabric", ["nft", "insert", "rule", "ip", "netemu", "hop", "drop"]),
    "an element": ("@fabric", ["nft", "flush", "set", "ip", "netemu", "own"]),
    "the whole ruleset": ("@fabric", ["nft", "flush", "ruleset"]),
    "the edge's ruleset": ("@edge", ["nft", "flush", "ruleset"]),
    "a table": ("@internet", ["nft", "delete", "table", "ip", "netemu"]),
}


@pytest.mark.parametrize("what", DAMAGE)
def test_what_somebody_has_broken_is_put_right_and_is_told(lab: Lab, what: str) -> None:
    assert lab.up(BASE) in ("unchanged", "changed")
    same = unchanged(lab.source.read_bytes())
    assert same is not None and same.name == lab.name
    node, command = DAMAGE[what]
    done = lab.run(node, *command)
    assert done.returncode == 0, done.stderr
    record = lab.folder.read()
    assert record is not None
    assert survey(desire(read_once(lab.source).scenario, lab.folder), lab.folder, record).changes
    assert unchanged(lab.source.read_bytes()) is None  # the quick look sees it, too
    assert lab.up(BASE) == "repaired"
    nothing_differs(lab)
    flows_agree(lab)


FOREIGN: dict[str, tuple[str, list[str], list[str], str]] = {
    "route": ("a", ["ip", "route", "add", "9.9.9.0/24", "via", "10.1.1.1"], ["ip", "route"], "9.9.9.0/24 via"),
    "address": ("a", ["ip", "address", "add", "10.1.1.99/32", "dev", "eth0"], ["ip", "address"], "10.1.1.99/32"),
    "rule": ("@fabric", ["ip", "rule", "add", "pref", "7", "fwmark", "9", "table", "77"], ["ip", "rule"], "lookup 77"),
    "neighbour": (
        "a", ["ip", "neigh", "add", "10.1.1.200", "lladdr", "02:00:00:00:00:77", "dev", "eth0", "nud", "permanent"],
        ["ip", "neigh"], "10.1.1.200 dev eth0",
    ),
    "interface": ("a", ["ip", "link", "add", "mine", "type", "veth", "peer", "name", "mine2"], ["ip", "link"], "mine"),
    "nft table": ("@fabric", ["nft", "add", "table", "ip", "mine"], ["nft", "list", "tables"], "table ip mine"),
}  # fmt: skip


@pytest.mark.parametrize("what", FOREIGN)
def test_what_a_person_adds_inside_is_left_alone_and_shown(single: Callable[[str], Lab], what: str) -> None:
    lab = single(BASE)
    node, command, listing, words = FOREIGN[what]
    done = lab.run(node, *command)
    assert done.returncode == 0, done.stderr
    record = lab.folder.read()
    assert record is not None
    found = survey(desire(read_once(lab.source).scenario, lab.folder), lab.folder, record)
    assert not found.changes
    assert found.foreign.get(node)
    assert lab.up(BASE) == "unchanged"
    assert lab.up(version(added_machine)) == "changed"
    assert words in lab.run(node, *listing).stdout
    assert LabFolder(lab.name).exists()


def test_a_new_name_is_known_as_soon_as_up_returns(single: Callable[[str], Lab]) -> None:
    lab = single(BASE)
    for number in range(5):
        text = BASE.replace("internet: {hosts", f"  new{number}: {{subnet: net/front}}\ninternet: {{hosts")
        assert lab.up(text) == "changed"
        asked = lab.run("a", "dig", "+tries=1", "+search", "+short", f"new{number}")
        assert asked.stdout.strip() == str(lab.network.machines[f"new{number}"].nics[0].address)


def test_a_route_of_ours_with_another_metric_is_none_of_the_scenarios(single: Callable[[str], Lab]) -> None:
    lab = single(BASE)
    again = ["ip", "route", "add", "default", "via", "10.1.1.1", "proto", "78", "metric", "7"]
    assert lab.run("a", *again).returncode == 0
    assert unchanged(lab.source.read_bytes()) is None
    assert lab.up(BASE) == "repaired"
    assert "metric 7" not in lab.run("a", "ip", "route").stdout
    assert "default via 10.1.1.1" in lab.run("a", "ip", "route").stdout
    nothing_differs(lab)
