"""Ports that load balancers give out in advance."""

from __future__ import annotations

import itertools

import pytest
from compiling import lab_of, network_of

from netemu.compile.outbound import share_of, shares


@pytest.mark.azure("OUT-25")
@pytest.mark.parametrize(
    ("members", "ports"),
    [(1, 1024), (50, 1024), (51, 512), (100, 512), (101, 256), (200, 256), (400, 128), (401, 64), (800, 64), (801, 32), (1000, 32)],
)  # fmt: skip
def test_the_larger_the_pool_the_fewer_ports_has_each_member(members: int, ports: int) -> None:
    assert share_of(members) == ports


def text(rules: str, machines: int = 2) -> str:
    pool = ", ".join(f"vm{number}" for number in range(machines))
    vms = ", ".join(f"vm{number}: {{subnet: net/s}}" for number in range(machines))
    return f"""
virtualNetworks: {{net: {{addressSpace: 10.0.0.0/16, subnets: {{s: {{addressPrefix: 10.0.0.0/24}}}}}}}}
publicIPAddresses: {{ip: {{ipAddress: 20.61.0.1}}}}
loadBalancers:
  lb:
    frontendIPConfigurations: {{f: {{publicIPAddress: ip}}}}
    backendAddressPools: {{p: [{pool}]}}
    {rules}
virtualMachines: {{{vms}}}
"""


RULE = "protocol: Tcp, frontendIPConfiguration: f, backendAddressPool: p, backendPort: 80"


@pytest.mark.azure("OUT-27", "OUT-32")
def test_a_rule_lets_out_by_its_protocol_and_takes_its_block_of_ports_away() -> None:
    granted = shares(network_of(text(f"loadBalancingRules: {{r: {{{RULE}, frontendPort: 1500}}}}")))
    assert {key: share[1:] for key, share in granted.items()} == {
        ("vm0-nic/ipconfig1", "tcp"): (1504, 2527),
        ("vm1-nic/ipconfig1", "tcp"): (2528, 3551),
    }


@pytest.mark.azure("OUT-36")
def test_nothing_lets_out_where_all_rules_say_so() -> None:
    off = f"loadBalancingRules: {{r: {{{RULE}, frontendPort: 80, disableOutboundSnat: true}}}}"
    assert not shares(network_of(text(off)))
    assert "elements = { \"e-net\" . 10.0.0.4 . tcp" not in lab_of(text(off)).namespaces["@edge"].ruleset


def test_no_two_members_share_a_port() -> None:
    granted = shares(network_of(text(f"loadBalancingRules: {{r: {{{RULE}, frontendPort: 5000}}}}", 60)))
    ranges = sorted(share[1:] for share in granted.values())
    assert len(ranges) == 60
    assert all(last - first == 511 for first, last in ranges)
    assert all(before[1] < after[0] for before, after in itertools.pairwise(ranges))
