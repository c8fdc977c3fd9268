"""Spread flows, held against who may get them."""

from __future__ import annotations

from collections import Counter

import pytest

from netemu.azure.flow import flow_of
from netemu.azure.network import resolve
from netemu.azure.resources import Expectation
from netemu.azure.verdict import Engine
from netemu.scenario import read_text
from netemu.verify.spread import balancing_rule, flows_for, spread_disagreements

TEXT = """
name: unit
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}}}}
loadBalancers:
  lb:
    frontendIPConfigurations: {one: {subnet: net/web}}
    backendAddressPools: {web: [web1, web2, web3]}
    probes: {tcp: {protocol: Tcp, port: 80}}
    loadBalancingRules:
      web: {frontendIPConfiguration: one, backendAddressPool: web, probe: tcp, protocol: Tcp, frontendPort: 80, backendPort: 80, loadDistribution: %s}
virtualMachines: {web1: {subnet: net/web}, web2: {subnet: net/web}, web3: {subnet: net/web}, client: {subnet: net/web}}
"""


def asked(counts, *, backends=None, mode="Default", flows=None, down=()):
    network = resolve(read_text(TEXT % mode, "unit.yaml"))
    line = Expectation(from_="client", to="lb", access="Allow", port=80, backends=backends, flows=flows)
    targets = frozenset(("lb/tcp", f"{name}-nic/ipconfig1") for name in down)
    verdict = Engine(network).judge(flow_of(network, line), down=targets)
    assert balancing_rule(network, verdict).name == "web"
    return list(spread_disagreements(network, line, verdict, Counter(counts), sum(counts.values())))


@pytest.mark.parametrize(
    "counts", [{"web1": 34, "web2": 33, "web3": 33}, {"web1": 20, "web2": 40, "web3": 40}], ids=["even", "by chance"]
)
def test_an_even_spread_is_right(counts):
    assert asked(counts, backends=("web1", "web2-nic", "web3-nic/ipconfig1")) == []


def test_a_backend_without_any_of_many_flows_is_told():
    assert asked({"web1": 50, "web2": 50}) == ["none of 100 flows went to web3"]


def test_nothing_is_concluded_from_few_flows():
    assert asked({"web1": 2}) == []


@pytest.mark.azure("LB-6")
def test_a_part_that_chance_does_not_explain_is_told():
    assert asked({"web1": 520, "web2": 240, "web3": 240}) == [
        "520 of 1000 flows went to web1, about 333 are its part",
        "240 of 1000 flows went to web2, about 333 are its part",
        "240 of 1000 flows went to web3, about 333 are its part",
    ]


@pytest.mark.azure("LB-4")
def test_persistence_is_one_backend_whichever():
    assert asked({"web2": 100}, mode="SourceIP") == []
    assert asked({"web1": 1, "web2": 99}, mode="SourceIPProtocol") == [
        "SourceIPProtocol keeps a client at one backend, but flows went to web1 1, web2 99"
    ]


@pytest.mark.azure("LB-31")
def test_who_is_down_is_not_expected_and_not_missed():
    counts = {"web1": 50, "web2": 50}
    assert asked(counts, backends=("web1", "web2"), down=("web3",)) == []
    assert asked(counts, backends=("web1", "web2", "web3"), down=("web3",)) == [
        "expected backends web1, web2, web3; by Azure's rules, and as probes find them: web1, web2"
    ]


def test_so_many_flows_are_sent_that_hardly_ever_a_backend_is_missed():
    network = resolve(read_text(TEXT % "Default", "unit.yaml"))
    line = Expectation(from_="client", to="lb", access="Allow", port=80)
    verdict = Engine(network).judge(flow_of(network, line))
    flows = flows_for(line, verdict)
    assert 3 * (2 / 3) ** flows < 1e-9
    assert flows < 100
    assert flows_for(Expectation(from_="client", to="lb", access="Allow", port=80, flows=7), verdict) == 7
