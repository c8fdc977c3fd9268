"""`verify` knows load balancers: the scenarios that teach them are right, and what is wrong is seen."""

from __future__ import annotations

import re
import socket
from pathlib import Path

import pytest
from backends import OK, becomes, eventually, kill_agent, serving, states
from balancing import ENGINES
from harness import VISITOR, Lab, rule

from netemu.lab.proof import prove
from netemu.linux import nftables
from netemu.linux.namespaces import current, entered
from netemu.verify.compare import Result

SCENARIOS = Path(__file__).parents[2] / "scenarios"

NETWORK = f"""
timeScale: 0.01
virtualNetworks:
  net: {{addressSpace: 10.0.0.0/16, subnets: {{web: {{addressPrefix: 10.0.1.0/24, networkSecurityGroup: nsg}}}}}}
networkSecurityGroups:
  nsg: {{securityRules: {{web: {rule(200, "Inbound", "Allow", "Tcp", source="Internet", port="80")}}}}}
publicIPAddresses: {{front: {{sku: Standard}}}}
loadBalancers:
  lb:
    frontendIPConfigurations: {{public: {{publicIPAddress: front}}}}
    backendAddressPools: {{pool: [web1, web2]}}
    probes: {{probe: {{protocol: Tcp, port: 80, intervalInSeconds: 5, probeThreshold: 2}}}}
    loadBalancingRules:
      web: {{frontendIPConfiguration: public, backendAddressPool: pool, probe: probe, protocol: Tcp,
             frontendPort: 80, backendPort: 80, loadDistribution: MODE}}
virtualMachines:
  web1: {{subnet: net/web}}
  web2: {{subnet: net/web}}
{VISITOR}"""


def network(*lines: str, mode: str = "Default") -> str:
    """The network, with expectations about flows of the visitor's to the load balancer."""
    expect = "".join(f"  - {{from: visitor, to: lb, port: 80, access: Allow{line}}}\n" for line in lines)
    return f"{NETWORK.replace('MODE', mode)}expect:\n{expect}"


def proven(lab: Lab) -> list[Result]:
    return prove(lab.name).results


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", ["load-balancers", "inbound-nat", "ha-ports", "session-persistence", "failover"])
def test_a_scenario_with_load_balancers_does_what_it_expects(single, name, engine):
    text = (SCENARIOS / f"{name}.yaml").read_text()
    lab = single(re.sub(r"^name: .*$", f"timeScale: 0.02\nloadBalancerEngine: {engine}", text, flags=re.MULTILINE))
    results = proven(lab)
    assert len(results) == len(lab.network.scenario.expect)
    assert [(r.title, r.disagreements) for r in results if not r.passed] == []


@pytest.fixture(scope="module")
def healthy(laboratory):
    """Two servers that are up."""
    lab = laboratory(network(", backends: [web1, web2]"))
    with serving(lab, "web1", answer=OK), serving(lab, "web2", answer=OK):
        becomes(lab, web1="up", web2="up")
        yield lab


@pytest.mark.azure("LB-3", "LB-6", "CT-20")
def test_every_backend_is_met_with_about_its_part_of_the_flows(healthy):
    healthy.up(network(", backends: [web1, web2], flows: 1000"))
    (result,) = proven(healthy)
    assert result.passed, result.disagreements
    assert sum(result.backends.values()) == 1000
    assert all(400 <= result.backends[name] <= 600 for name in ("web1", "web2"))


@pytest.mark.parametrize("names", ["web1", "[web1, web2, other]"])
def test_other_backends_than_those_that_may_be_chosen_are_not_right(healthy, names):
    healthy.up(network(f", backends: {names}").replace("virtualMachines:\n", "virtualMachines:\n  other: {subnet: net/web}\n"))
    (result,) = proven(healthy)
    assert any("by Azure's rules, and as probes find them: web1, web2" in text for text in result.disagreements)


def test_a_backend_that_no_flow_is_given_to_is_missed(healthy):
    healthy.up(network(", backends: [web1, web2]"))
    numbers = healthy.folder.kept().numbering.member
    with entered(healthy.namespace("@slb.net")):
        text = nftables.listing(current(), "ip netemu")
        name = next(entry["map"]["name"] for entry in text if entry.get("map", {}).get("name", "").startswith("slots/"))
        elements = ", ".join(f"{slot:#x} : {numbers['web1-nic/ipconfig1']:#x}" for slot in range(1021))
        nftables.apply(current(), f"flush map ip netemu {name}\nadd element ip netemu {name} {{ {elements} }}")
    (result,) = proven(healthy)
    assert result.disagreements == ("none of 44 flows went to web2",)
    healthy.up(network(", backends: [web1, web2]"))
    assert proven(healthy)[0].passed, "up has put it right"


@pytest.mark.azure("LB-4")
def test_a_client_that_is_not_kept_at_one_backend_is_noticed(healthy):
    healthy.up(network(", flows: 50", mode="SourceIP"))
    (result,) = proven(healthy)
    assert result.passed, result.disagreements
    assert len(result.backends) == 1
    spread = "jhash ip saddr . ip daddr . ip protocol . th sport . th dport mod 1021 seed 0x6e657465"
    with entered(healthy.namespace("@slb.net")):
        text = (
            f"flush chain ip netemu rule/lb/web\nadd rule ip netemu rule/lb/web meta mark set {spread}\n"
            "add rule ip netemu rule/lb/web meta mark set meta mark map @slots/lb/pool/probe goto rule/lb/web/chosen"
        )
        nftables.apply(current(), text)
    (result,) = proven(healthy)
    assert any(text.startswith("SourceIP keeps a client at one backend") for text in result.disagreements)
    healthy.up(network())


@pytest.mark.azure("LB-31")
def test_failover_is_proved_and_leaves_nothing_behind(healthy):
    healthy.up(network(", backends: [web1, web2], failover: web2"))
    (result,) = proven(healthy)
    assert result.passed, result.disagreements
    assert result.failover.out is not None and result.failover.back is not None
    assert states(healthy) == {"web1": "up", "web2": "up"}
    with healthy.socket("visitor", socket.SOCK_STREAM) as caller:
        caller.settimeout(2)
        caller.connect((healthy.address("front"), 80))
    assert healthy.up(network(", backends: [web1, web2], failover: web2")) == "unchanged"


def test_a_backend_that_nobody_takes_out_fails_its_failover(single):
    text = network(", failover: web2")
    lab = single(text)
    with serving(lab, "web1"), serving(lab, "web2"):
        becomes(lab, web1="up", web2="up")
        kill_agent(lab)
        (result,) = proven(lab)
        assert any(re.match(r"web2 still gets new flows .* after it has stopped", text) for text in result.disagreements)
        assert lab.up(text) == "repaired"


@pytest.mark.azure("LB-24", "LB-31")
def test_who_is_down_is_no_backend_and_without_any_nothing_arrives(single):
    lab = single(network(", backends: [web1, web2]"))
    with serving(lab, "web1"):
        becomes(lab, web1="up", web2="down")
        (result,) = proven(lab)
        assert result.disagreements == (
            "expected backends web1, web2; by Azure's rules, and as probes find them: web1",
        )
    eventually(lambda: set(states(lab).values()) == {"down"}, "both are down")
    (result,) = proven(lab)
    assert result.verdict.stage == "no-backend"
    assert not result.observation.delivered
    assert result.disagreements[0] == "expected Allow, but Azure's rules say Deny (no-backend)"
