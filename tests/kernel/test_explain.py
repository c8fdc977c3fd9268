"""What beginners trip over, in real labs: it is broken, explained with evidence, the advice is applied, and it works."""

from __future__ import annotations

import contextlib
import copy
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from harness import Contact, Lab

from netemu.azure.flow import Flow, address_of
from netemu.explain import Explanation, Remedy
from netemu.explain.seen import Seen, seen
from netemu.explain.text import lines
from netemu.lab.explain import explain_in_lab
from netemu.verify.trial import Trial

Data = dict[str, Any]
STAR = {
    "sourceAddressPrefix": "*",
    "sourcePortRange": "*",
    "destinationAddressPrefix": "*",
    "destinationPortRange": "*",
}
FORWARDS = {"enableIPForwarding": True, "sysctls": {"net.ipv4.ip_forward": "1"}}


class Case:
    """A lab, the data that it is made of, and one flow in it."""

    def __init__(self, laboratory: Callable[[str], Lab], data: Data, source: str, to: str, port: int = 443) -> None:
        self.data, self.source, self.to, self.port = data, source, to, port
        self.lab = laboratory(yaml.safe_dump(data))

    def contact(self) -> Contact:
        """Really open a connection; a server listens where it leads."""
        return self.lab.tcp(self.source, self.to, self.port)

    def explain(self, protocol: str = "Tcp") -> tuple[Explanation, Trial, Seen]:
        """Why it works or not."""
        network = self.lab.network
        asked = Flow(self.source, address_of(network, self.to), protocol, self.port if protocol != "Icmp" else 0)
        explanation, trial = explain_in_lab(self.lab.name, asked, "it")
        return explanation, trial, seen(explanation, trial)

    def follow(self, remedy: Remedy) -> None:
        """Write the advice into the scenario, and bring the lab to it."""
        data = copy.deepcopy(self.data)
        for edit in remedy.edits:
            place = data
            for step in edit.path[:-1]:
                if place.get(step) is None:
                    place[step] = {}
                place = place[step]
            if edit.value is None:
                del place[edit.path[-1]]
            else:
                place[edit.path[-1]] = edit.value
        self.data = data
        self.to = remedy.to or self.to
        self.lab.up(yaml.safe_dump(data))


def rule(priority: int, access: str, direction: str = "Inbound", protocol: str = "Tcp", **others: object) -> Data:
    return {"priority": priority, "access": access, "direction": direction, "protocol": protocol, **STAR, **others}


def tiers(*rules: Data, web: Data | None = None, db: Data | None = None, **machine: object) -> Data:
    """web1 and db1 in two subnets; the rules are those of the database's NSG."""
    return {
        "virtualNetworks": {
            "net": {
                "addressSpace": "10.0.0.0/16",
                "subnets": {
                    "web": {"addressPrefix": "10.0.1.0/24", **(web or {})},
                    "db": {
                        "addressPrefix": "10.0.2.0/24",
                        **({"networkSecurityGroup": "nsg"} if rules else {}),
                        **(db or {}),
                    },
                    "dmz": {"addressPrefix": "10.0.9.0/24"},
                },
            }
        },
        "networkSecurityGroups": {"nsg": {"securityRules": {f"r{i}": each for i, each in enumerate(rules)}}},
        "virtualMachines": {"web1": {"subnet": "net/web"}, "db1": {"subnet": "net/db", **machine}},
        "internet": {"hosts": {"visitor": {"ipAddress": "198.51.100.7"}}},
    }


def public(*rules: Data, **machine: object) -> Data:
    return tiers(*rules, publicIPAddress="ip", **machine) | {"publicIPAddresses": {"ip": {"ipAddress": "20.61.0.10"}}}


def routed(*, back: bool = True, dmz: Data | None = None, **firewall: object) -> Data:
    """web1 to db1 through fw; and back, if there is a route back."""
    via = {"nextHopType": "VirtualAppliance", "nextHopIpAddress": "10.0.9.4"}
    data = tiers(web={"routeTable": "out"}, db={"routeTable": "in"} if back else None)
    data["virtualNetworks"]["net"]["subnets"]["dmz"] |= dmz or {}
    data["virtualMachines"]["fw"] = {"subnet": "net/dmz", **firewall}
    data["routeTables"] = {
        "out": {"routes": {"to-db": {"addressPrefix": "10.0.2.0/24", **via}}},
        "in": {"routes": {"to-web": {"addressPrefix": "10.0.1.0/24", **via}}},
    }
    return data


def spokes(one: Data | None, two: Data | None, *, routes: bool = True) -> Data:
    """Two spokes and a hub with an appliance; flags of their sides, None for no side."""

    def network(number: int, peerings: Data) -> Data:
        table = {"routeTable": "rt"} if routes and number else {}
        subnets = {"a": {"addressPrefix": f"10.{number}.0.0/24", **table}}
        return {"addressSpace": f"10.{number}.0.0/16", "subnets": subnets, "virtualNetworkPeerings": peerings}

    def side(flags: Data | None) -> Data:
        return {} if flags is None else {"hub": {"remoteVirtualNetwork": "hub", **flags}}

    route = {"addressPrefix": "10.0.0.0/8", "nextHopType": "VirtualAppliance", "nextHopIpAddress": "10.0.0.4"}
    return {
        "virtualNetworks": {
            "hub": network(0, {name: {"remoteVirtualNetwork": name} for name in ("one", "two")}),
            "one": network(1, side(one)),
            "two": network(2, side(two)),
        },
        "routeTables": {"rt": {"routes": {"all": route}}},
        "virtualMachines": {
            "fw": {"subnet": "hub/a", **FORWARDS},
            "one1": {"subnet": "one/a"},
            "two1": {"subnet": "two/a"},
        },
    }


FLAG = {"allowForwardedTraffic": True}
DENY = rule(200, "Deny", protocol="*")

TRIP_UPS = {
    "a rule that denies": (tiers(DENY), "web1", "db1", "nsg-in"),
    "a default rule that denies": (public(rule(100, "Allow", destinationPortRange=80)), "visitor", "ip", "nsg-in"),
    "no priority free before the rule that denies": (tiers(rule(100, "Deny"), rule(101, "Deny")), "web1", "db1", "nsg-in"),
    "an outbound rule that denies": (tiers(rule(200, "Deny", "Outbound")), "db1", "web1", "nsg-out"),
    "a shadowed rule": (tiers(DENY, rule(300, "Allow")), "web1", "db1", "nsg-in"),
    "a rule for the public address": (public(rule(100, "Allow", destinationAddressPrefix="20.61.0.10")), "visitor", "ip", "nsg-in"),
    "a Standard public IP without an NSG": (public(), "visitor", "ip", "public-closed"),
    "a route to a machine without IP forwarding": (routed(sysctls=FORWARDS["sysctls"]), "web1", "db1", "destination-check"),
    "a route to a machine whose guest does not forward": (routed(enableIPForwarding=True), "web1", "db1", "guest-not-forwarding"),
    "a route of the appliance's own subnet": (routed(dmz={"routeTable": "out"}, **FORWARDS), "web1", "db1", "loop"),
    "a peering in one direction only": (spokes(FLAG, None), "fw", "two1", "route-none"),
    "forwarded traffic that a spoke refuses": (spokes(FLAG, {}), "one1", "two1", "forwarded-traffic"),
    "peerings that are not transitive": (spokes(FLAG, FLAG, routes=False), "one1", "two1", "route-none"),
    "a private subnet": (tiers(web={"defaultOutboundAccess": False}), "web1", "visitor", "edge-untranslated"),
}  # fmt: skip


@pytest.mark.parametrize("name", TRIP_UPS)
def test_it_is_broken_explained_and_works_when_the_advice_is_applied(
    laboratory: Callable[[str], Lab], name: str
) -> None:
    data, source, to, stage = TRIP_UPS[name]
    case = Case(laboratory, data, source, to)
    assert not case.contact().answered
    explanation, trial, said = case.explain()
    assert not said.works
    assert not said.parted
    assert explanation.obstacles[0].stage == stage
    assert explanation.works_then
    if stage in ("guest-not-forwarding", "loop"):
        assert trial.observation.via, "a tap saw it where it ended"
    else:
        assert trial.decided is not None
        assert trial.counted
    for obstacle in explanation.obstacles:
        case.follow(obstacle.remedies[0])
    assert case.contact().answered
    _, _, said = case.explain()
    assert said.trouble is not None, "nobody listens any more"
    assert not said.parted


def test_the_counter_is_the_kernels_and_counts_whoever_was_denied(single: Callable[[str], Lab]) -> None:
    case = Case(single, tiers(DENY), "web1", "db1")
    for _ in range(2):
        assert not case.contact().arrived
    explanation, trial, said = case.explain()
    assert trial.counted == case.lab.counter("inbound/nsg/net", "r0")
    assert trial.counted >= 3
    assert said.evidence[0] == f"The kernel dropped a probe by rule `r0` in @fabric; {trial.counted} packets counted."
    assert said.evidence[0] in "\n".join(lines(explanation, said))


def test_an_answer_that_an_appliance_drops_is_explained(single: Callable[[str], Lab]) -> None:
    data = routed(dmz={"networkSecurityGroup": "strict"}, **FORWARDS)
    del data["virtualNetworks"]["net"]["subnets"]["web"]["routeTable"]
    data["networkSecurityGroups"]["strict"] = {
        "securityRules": {"not-from-db": rule(100, "Deny", protocol="*", sourceAddressPrefix="10.0.2.0/24")}
    }
    case = Case(single, data, "web1", "db1")
    contact = case.contact()
    assert contact.arrived
    assert not contact.answered
    explanation, trial, said = case.explain()
    assert explanation.obstacles[0].way == "reply"
    assert trial.observation.delivered
    assert trial.decided is not None
    assert trial.decided.rule == "not-from-db"
    assert any("dropped its answer by rule `not-from-db`" in text for text in said.evidence)
    case.follow(explanation.obstacles[0].remedies[0])
    assert case.contact().answered


def test_a_stateful_firewall_that_sees_one_direction_only_is_what_the_note_is_about(
    single: Callable[[str], Lab],
) -> None:
    case = Case(single, routed(back=False, **FORWARDS), "web1", "db1")
    case.lab.ruleset(
        "fw",
        "table ip own { chain forward { type filter hook forward priority 0; policy drop;"
        " ct state established accept; ct state new tcp flags & (syn|ack) == syn accept; }; }\n",
    )
    with pytest.raises(AssertionError):  # connected, but what it sends then never arrives
        case.contact()
    explanation, _, _ = case.explain()
    (note,) = explanation.notes
    assert note.name == "asymmetric-route"
    case.follow(note.remedies[0])
    assert case.contact().answered


# ---- programs --------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def program(lab: Lab, node: str, code: str) -> Iterator[None]:
    """A Python program in a node that says when it is ready."""
    running = subprocess.Popen(
        ["ip", "netns", "exec", f"{lab.name}.{node}", sys.executable, "-c", code], stdout=subprocess.PIPE
    )
    try:
        assert running.stdout is not None
        assert running.stdout.readline() == b"ready\n"
        yield
    finally:
        running.kill()
        running.communicate()


def listening(address: str, port: int, kind: str = "STREAM") -> str:
    listen = "s.listen();" if kind == "STREAM" else ""
    return (
        f"import socket,time; s=socket.socket(socket.AF_INET, socket.SOCK_{kind}); s.bind(({address!r},{port}));"
        f" {listen} print('ready', flush=True); time.sleep(600)"
    )


def test_where_no_program_listens_the_packet_arrives_and_nothing_answers(single: Callable[[str], Lab]) -> None:
    case = Case(single, tiers(), "web1", "db1", 5432)
    with program(case.lab, "db1", listening("0.0.0.0", 8080)):
        explanation, trial, said = case.explain()
        assert explanation.works
        assert not said.works
        assert trial.observation.own_answer == "refused"
        assert said.trouble is not None
        assert said.trouble.startswith("But nothing in db1 listens at Tcp/5432, and its system refuses the connection.")
        assert "It listens at Tcp/8080 (python" in said.trouble
    case.data["virtualMachines"]["db1"]["run"] = f"{sys.executable} -m http.server 5432"
    case.lab.up(yaml.safe_dump(case.data))
    until_listening(case, "db1", 5432)
    _, trial, said = case.explain()
    assert said.works
    assert trial.listened
    assert trial.observation.own_answer == "accepted"


def until_listening(case: Case, node: str, port: int) -> None:
    """A program takes a moment to begin."""
    from netemu.linux.listeners import listeners

    timer = threading.Event()
    for _ in range(500):
        if any(each.port == port for each in listeners(case.lab.namespace(node))):
            return
        timer.wait(0.02)
    raise AssertionError(f"nothing listens at {port} in {node}")


def test_a_program_that_listens_at_its_own_machine_only_is_told(single: Callable[[str], Lab]) -> None:
    case = Case(single, tiers(), "web1", "db1", 5432)
    with program(case.lab, "db1", listening("127.0.0.1", 5432)):
        _, _, said = case.explain()
        assert not said.works
        assert said.trouble is not None
        assert "listens at 127.0.0.1:5432 only, and the packet is for 10.0.2.4" in said.trouble
        assert said.remedy == "let it listen at 0.0.0.0:5432, or at 10.0.2.4:5432"


def test_a_firewall_inside_the_machine_is_suspected(single: Callable[[str], Lab]) -> None:
    case = Case(single, tiers(), "web1", "db1", 5432)
    case.lab.ruleset(
        "db1", "table ip own { chain input { type filter hook input priority 0; tcp dport 5432 drop; }; }\n"
    )
    with program(case.lab, "db1", listening("0.0.0.0", 5432)):
        _, trial, said = case.explain()
        assert trial.listened
        assert not said.works
        assert said.trouble is not None
        assert said.trouble.startswith("But db1 itself does not answer, though python")


def test_udp_has_a_listener_or_has_not(single: Callable[[str], Lab]) -> None:
    case = Case(single, tiers(), "web1", "db1", 53)
    _, _, said = case.explain("Udp")
    assert said.trouble == "But nothing in db1 listens at Udp/53."
    with program(case.lab, "db1", listening("0.0.0.0", 53, "DGRAM")):
        _, _, said = case.explain("Udp")
        assert said.works


def test_a_ping_needs_nobody_who_listens_but_the_guest_may_be_silent(single: Callable[[str], Lab]) -> None:
    case = Case(single, tiers(), "web1", "db1")
    _, _, said = case.explain("Icmp")
    assert said.works
    case.lab.ruleset(
        "db1", "table ip own { chain input { type filter hook input priority 0; ip protocol icmp drop; }; }\n"
    )
    _, _, said = case.explain("Icmp")
    assert not said.works
    assert said.trouble == "But db1 itself does not answer."


# ---- where the packet does something else ----------------------------------------------------------------------------


def test_what_an_appliances_own_programs_do_is_seen(single: Callable[[str], Lab]) -> None:
    data = routed(**FORWARDS)
    data["routeTables"]["out"]["routes"]["default"] = {
        "addressPrefix": "0.0.0.0/0", "nextHopType": "VirtualAppliance", "nextHopIpAddress": "10.0.9.4",
    }  # fmt: skip
    case = Case(single, data, "web1", "visitor")
    explanation, _, said = case.explain()
    assert explanation.obstacles[0].stage == "edge-untranslated"
    assert not said.works
    assert not said.parted
    (hint,) = explanation.obstacles[0].hints
    case.lab.ruleset("fw", hint.partition("`nft '")[2].partition("'")[0])
    assert case.contact().answered
    _, trial, said = case.explain()
    assert trial.observation.delivered
    assert "Programs in `fw` may do what the scenario does not tell, such as translating addresses." in said.parted


def test_a_rule_that_somebody_took_out_of_the_kernel_is_seen(single: Callable[[str], Lab]) -> None:
    case = Case(single, tiers(DENY), "web1", "db1")
    case.lab.ruleset("@fabric", "flush chain ip netemu inbound/nsg/net")
    explanation, _, said = case.explain()
    assert not explanation.works
    assert said.parted[0] == "Azure's rules say Deny (nsg/r0), but the packet arrived at db1."
    assert any("nsg denies" in text and text.endswith("the kernel: nothing like it.") for text in said.parted[1:])


def test_the_kernels_own_routes_are_evidence_and_a_wrong_one_is_seen(single: Callable[[str], Lab]) -> None:
    case = Case(single, routed(**FORWARDS), "web1", "db1")
    _, trial, said = case.explain()
    assert [lookup.nic for lookup in trial.routes] == ["web1-nic", "fw-nic"]
    assert "via 10.0.9.4 dev" in trial.routes[0].text
    assert any(text.endswith("which leads to NIC fw-nic, next hop 10.0.9.4.") for text in said.evidence)
    route = next(
        line
        for line in case.lab.run("@fabric", "ip", "route", "show", "table", "all").stdout.splitlines()
        if line.startswith("10.0.2.0/24 via 10.0.9.4")
    )
    words = route.split()
    table = words[words.index("table") + 1]
    assert not case.lab.run("@fabric", "ip", "route", "replace", "blackhole", "10.0.2.0/24", "table", table).returncode
    explanation, trial, said = case.explain()
    assert explanation.works
    assert not said.works
    assert said.parted[0].startswith("Azure's rules say Allow, but the packet")
    assert any("routed by User route to-db" in text for text in said.parted[1:])


def test_the_command_tries_a_lab_and_says_the_same_as_data(single: Callable[[str], Lab]) -> None:
    import json
    import os

    case = Case(single, tiers(DENY), "web1", "db1")
    words = ["explain", "web1", "--to", "db1", "--port", "443", "--lab", case.lab.name]
    command = [sys.executable, "-m", "netemu", *words]
    told = subprocess.run(command, capture_output=True, text=True, env=dict(os.environ), timeout=60, check=False)
    assert told.returncode == 1, told.stderr
    assert "The kernel dropped a probe by rule `r0` in @fabric; 1 packet counted." in told.stdout
    data = json.loads(subprocess.run([*command, "-o", "json"], capture_output=True, timeout=60, check=False).stdout)
    assert (data["works"], data["seen"]["counted"]) == (False, 2)
    assert data["seen"]["packet"]["droppedBy"]["rule"] == "r0"


def test_who_listens_is_read_of_the_namespace_and_not_of_the_machine(single: Callable[[str], Lab]) -> None:
    from netemu.linux.listeners import listeners

    lab = single(yaml.safe_dump(tiers()))
    with socket.socket() as ours, program(lab, "db1", listening("0.0.0.0", 4321)):
        ours.bind(("127.0.0.1", 0))
        ours.listen()
        own = ours.getsockname()[1]
        found = {(each.protocol, each.port, each.address) for each in listeners(lab.namespace("db1"))}
        assert ("tcp", 4321, None) in found
        assert own not in {port for _, port, _ in found}
        assert not listeners(lab.namespace("web1"))
