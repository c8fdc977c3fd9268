"""`netemu lb`: what a person, and a program, is told of load balancers."""

from __future__ import annotations

import json
import socket
import subprocess
import sys

import pytest
from backends import becomes, eventually, serving
from balancing import ENGINES
from harness import VISITOR, rule

SCENARIO = f"""
timeScale: 0.1
virtualNetworks:
  net: {{addressSpace: 10.0.0.0/16, subnets: {{web: {{addressPrefix: 10.0.1.0/24, networkSecurityGroup: nsg}}}}}}
networkSecurityGroups:
  nsg: {{securityRules: {{web: {rule(200, "Inbound", "Allow", source="Internet", port="80")}}}}}
publicIPAddresses: {{front: {{sku: Standard, ipAddress: 20.61.0.10}}}}
loadBalancers:
  lb:
    frontendIPConfigurations: {{public: {{publicIPAddress: front}}}}
    backendAddressPools: {{pool: [web1, web2]}}
    probes: {{probe: {{protocol: Tcp, port: 80, intervalInSeconds: 5}}}}
    loadBalancingRules:
      web: {{frontendIPConfiguration: public, backendAddressPool: pool, probe: probe, protocol: Tcp, frontendPort: 80, backendPort: 80}}
      names: {{frontendIPConfiguration: public, backendAddressPool: pool, protocol: Udp, frontendPort: 53, backendPort: 80}}
    inboundNatRules:
      one: {{frontendIPConfiguration: public, protocol: Tcp, frontendPort: 5000, backendPort: 22, backend: web2}}
virtualMachines:
  web1: {{subnet: net/web}}
  web2: {{subnet: net/web}}
{VISITOR}"""


def run(*argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-m", "netemu", "lb", *argv], capture_output=True, text=True, check=False)


def told(lab) -> dict:
    (balancer,) = json.loads(run(lab.name, "-o", "json").stdout)["loadBalancers"]
    return {rule["name"]: rule for rule in (*balancer["loadBalancingRules"], *balancer["inboundNatRules"])}


@pytest.fixture(scope="module", params=ENGINES)
def lab(laboratory, request):
    return laboratory(f"loadBalancerEngine: {request.param}\n{SCENARIO}")


def test_it_tells_health_connections_and_counters_of_every_rule(lab):
    with serving(lab, "web1", answer=None):
        becomes(lab, web1="up", web2="down")
        before = told(lab)
        with (
            lab.socket("visitor", socket.SOCK_STREAM) as one,
            lab.socket("visitor", socket.SOCK_STREAM) as two,
            lab.socket("visitor", socket.SOCK_DGRAM) as datagram,
        ):
            for caller in (one, two):
                caller.settimeout(5)
                caller.connect(("20.61.0.10", 80))
            datagram.sendto(b"question", ("20.61.0.10", 53))
            found = told(lab)
        web = {backend["virtualMachine"]: backend for backend in found["web"]["backends"]}
        assert (web["web1"]["health"], web["web1"]["connections"]) == ("up", 2)
        assert (web["web2"]["health"], web["web2"]["connections"]) == ("down", 0)
        assert web["web2"]["detail"] == "connection refused"
        assert found["web"]["flows"] - before["web"]["flows"] == 2
        assert sum(backend["connections"] for backend in found["names"]["backends"]) == 1
        assert {backend["health"] for backend in found["names"]["backends"]} == {"not probed"}
        assert [backend["virtualMachine"] for backend in found["one"]["backends"]] == ["web2"]
        eventually(lambda: told(lab)["web"]["backends"][0]["connections"] == 0, "they are closed")


def test_the_table_names_frontends_rules_and_backends_and_a_rule_without_any_is_the_answer_no(lab):
    becomes(lab, web1="down", web2="down")
    with lab.socket("visitor", socket.SOCK_STREAM) as caller:
        caller.setblocking(False)
        caller.connect_ex(("20.61.0.10", 80))
    done = run(lab.name)
    assert done.returncode == 1, done.stderr
    assert "public 20.61.0.10" in done.stdout
    lines = [line.split() for line in done.stdout.splitlines()]
    assert any(line[:4] == ["web", "web1", "10.0.1.4", "down"] for line in lines)
    assert told(lab)["web"]["refused"] >= 1
    with serving(lab, "web1"):
        becomes(lab, web1="up")
        assert run(lab.name).returncode == 0


def test_watching_without_a_terminal_prints_a_line_for_what_changes_and_ends_with_the_lab(single):
    lab = single(SCENARIO)
    argv = [sys.executable, "-u", "-m", "netemu", "lb", lab.name, "--watch", "--interval", "0.1"]
    watching = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        with serving(lab, "web1"):
            while " lb/web web1 up, " not in watching.stdout.readline():
                pass
        while " lb/web web1 down, 0 connections (connection refused)" not in watching.stdout.readline():
            pass
        lab.down()
        assert watching.wait(timeout=10) == 0, watching.stderr.read()
    finally:
        watching.kill()
        watching.communicate()


def test_a_lab_without_load_balancers_says_so(laboratory):
    lab = laboratory("virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {all: {addressPrefix: 10.0.1.0/24}}}}\n")
    done = run(lab.name)
    assert (done.returncode, done.stderr.strip()) == (2, f"netemu: lab {lab.name} has no load balancer")
