"""Load balancers and NAT gateways resolved: what follows when nothing is written, and what stays when others change."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest
from azure_networks import network as resolved
from azure_networks import vnet
from hypothesis import given
from hypothesis import strategies as st

from netemu.azure.given import Given
from netemu.azure.network import Network, resolve
from netemu.scenario import read_text

NET = {"net": vnet("10.0.0.0/16", a="10.0.1.0/24")}
RULE = {"frontendIPConfiguration": "f", "backendAddressPool": "p", "protocol": "Tcp", "frontendPort": 80}


def balancer(**parts: Any) -> Network:
    lb = {"frontendIPConfigurations": {"f": {"subnet": "net/a"}}, "backendAddressPools": {"p": ["vm"]}, **parts}
    return resolved(virtualNetworks=NET, virtualMachines={"vm": {"subnet": "net/a"}}, loadBalancers={"lb": lb})


@pytest.mark.azure("LB-29")
@pytest.mark.parametrize(
    ("written", "down_after", "up_after"),
    [
        ({}, 1, 1), ({"numberOfProbes": 2}, 2, 1), ({"probeThreshold": 3}, 3, 3),
        ({"numberOfProbes": 2, "probeThreshold": 1}, 1, 1),
    ],
)  # fmt: skip
def test_thresholds_count_both_ways_and_the_older_number_only_failures(
    written: dict[str, int], down_after: int, up_after: int
) -> None:
    probe = balancer(probes={"h": {"protocol": "Tcp", "port": 80, **written}}).loadBalancers["lb"].probes["h"]
    assert (probe.downAfter, probe.upAfter, probe.intervalInSeconds) == (down_after, up_after, 15)


def test_a_backend_port_that_is_not_written_is_the_frontends() -> None:
    rules = balancer(loadBalancingRules={"r": RULE, "s": {**RULE, "frontendPort": 81, "backendPort": 8080}})
    assert [rule.backendPort for rule in rules.loadBalancers["lb"].loadBalancingRules.values()] == [80, 8080]


def scenario(machines: str, *, frontend: str = "{subnet: net/a}", more: str = "") -> str:
    return f"""\
name: lab
virtualNetworks: {{net: {{addressSpace: 10.0.0.0/16, subnets: {{a: {{addressPrefix: 10.0.1.0/24}}}}}}}}
loadBalancers:
  lb:
    frontendIPConfigurations: {{f: {frontend}}}
    backendAddressPools: {{p: [{", ".join(machines)}]}}
    inboundNatRules:
      ssh: {{frontendIPConfiguration: f, protocol: Tcp, frontendPortRangeStart: 50000, frontendPortRangeEnd: 50009, backendPort: 22, backendAddressPool: p}}
virtualMachines: {{{", ".join(f"{name}: {{subnet: net/a}}" for name in machines)}}}
{more}"""


def address(network: Network) -> IPv4Address:
    return network.loadBalancers["lb"].frontends["f"].address


def ports(network: Network) -> dict[str, int]:
    return {rule.member.nic.machine: rule.frontendPort for rule in network.loadBalancers["lb"].inboundNatRules.values()}


@pytest.mark.azure("IP-12", "IP-4")
def test_frontends_come_after_nics_and_share_their_addresses() -> None:
    network = resolve(read_text(scenario("ab")))
    assert [str(network.nics[f"{name}-nic"].address) for name in "ab"] == ["10.0.1.4", "10.0.1.5"]
    assert str(address(network)) == "10.0.1.6"


@pytest.mark.azure("IP-5", "IP-12")
def test_a_frontend_keeps_its_address_while_others_come_and_go() -> None:
    old = resolve(read_text(scenario("ab")))
    for machines in ("abc", "b", "cab"):
        new = resolve(read_text(scenario(machines)), old.given())
        assert address(new) == address(old)
        assert str(address(new)) not in {str(nic.address) for nic in new.nics.values()}
    static = resolve(read_text(scenario("ab", frontend="{subnet: net/a, privateIPAddress: 10.0.1.77}")), old.given())
    assert str(address(static)) == "10.0.1.77"


@pytest.mark.azure("IP-12")
def test_a_frontend_and_a_nic_of_the_same_name_are_two() -> None:
    text = scenario("a", more="networkInterfaces: {lb: {ipConfigurations: {f: {subnet: net/a}}}}\n")
    first = resolve(read_text(text))
    kept = resolve(read_text(text), Given(frontends=first.given().frontends))
    assert address(kept) == address(first)


@pytest.mark.azure("LB-17")
def test_members_of_a_range_keep_their_ports_while_others_come_and_go() -> None:
    old = resolve(read_text(scenario("abc")))
    assert ports(old) == {"a": 50000, "b": 50001, "c": 50002}
    new = resolve(read_text(scenario("dcb")), old.given())
    assert ports(new) == {"b": 50001, "c": 50002, "d": 50000}


@given(st.lists(st.lists(st.sampled_from("abcdefgh"), unique=True, min_size=1), min_size=2, max_size=5))
def test_whatever_changes_ports_are_unique_in_range_and_stay(versions: list[list[str]]) -> None:
    given_out = Given()
    before: dict[str, int] = {}
    for machines in versions:
        network = resolve(read_text(scenario("".join(machines))), given_out)
        now = ports(network)
        assert len(set(now.values())) == len(now) == len(machines)
        assert set(now.values()) <= set(range(50000, 50010))
        assert all(now[name] == port for name, port in before.items() if name in now)
        assert resolve(network.scenario, network.given()) == network
        given_out, before = network.given(), now


PREFIXES = """\
name: lab
publicIPPrefixes: {{{prefixes}}}
publicIPAddresses: {{{addresses}}}
"""


@pytest.mark.azure("OUT-39")
@given(
    st.dictionaries(st.sampled_from("abcd"), st.integers(28, 31), min_size=1),
    st.sets(st.sampled_from("stuvwxyz")), st.sets(st.sampled_from("stuvwxyz")),
)  # fmt: skip
def test_prefixes_overlap_nothing_and_stay(lengths: dict[str, int], first: set[str], then: set[str]) -> None:
    prefixes = ", ".join(f"p{name}: {{prefixLength: {length}}}" for name, length in lengths.items())
    before: Network | None = None
    for names in (first, then):
        text = PREFIXES.format(prefixes=prefixes, addresses=", ".join(f"i{name}: {{}}" for name in sorted(names)))
        network = resolve(read_text(text), before.given() if before else Given())
        taken = [IPv4Network(ip.address) for ip in network.publicIPs.values()]
        taken += [each.prefix for each in network.publicIPPrefixes.values()]
        assert sum(each.num_addresses for each in taken) == len({str(a) for each in taken for a in each})
        assert [network.publicIPPrefixes[f"p{name}"].prefix.prefixlen for name in lengths] == list(lengths.values())
        if before is not None:
            assert network.publicIPPrefixes == before.publicIPPrefixes
            assert all(
                ip == before.publicIPs[name] for name, ip in network.publicIPs.items() if name in before.publicIPs
            )
        before = network


def test_a_kept_prefix_is_nobody_elses() -> None:
    fresh = resolve(read_text(PREFIXES.format(prefixes="new: {prefixLength: 28}", addresses="")))
    wanted = fresh.publicIPPrefixes["new"].prefix
    both = PREFIXES.format(prefixes="new: {prefixLength: 28}, old: {prefixLength: 28}", addresses="")
    network = resolve(read_text(both), Given(publicIPPrefixes={"old": wanted}))
    assert network.publicIPPrefixes["old"].prefix == wanted
    assert not network.publicIPPrefixes["new"].prefix.overlaps(wanted)


@pytest.mark.azure("OUT-1", "OUT-6")
def test_in_a_subnet_with_a_nat_gateway_nobody_has_default_outbound_access() -> None:
    network = resolved(
        virtualNetworks={
            "net": vnet("10.0.0.0/16", a={"addressPrefix": "10.0.1.0/24", "natGateway": "gw"}, b="10.0.2.0/24")
        },
        publicIPAddresses={"ip": {}},
        natGateways={"gw": {"publicIPAddresses": ["ip"]}},
        virtualMachines={"one": {"subnet": "net/a"}, "two": {"subnet": "net/b"}},
    )
    assert network.nics["one-nic"].ipConfigs[0].defaultOutbound is None
    assert network.nics["two-nic"].ipConfigs[0].defaultOutbound is not None


@pytest.mark.azure("LB-10", "LB-12")
def test_a_pool_has_those_that_it_names_first_then_those_that_name_it_each_once() -> None:
    network = resolved(
        virtualNetworks=NET,
        virtualMachines={
            name: {"subnet": "net/a", "loadBalancerBackendAddressPools": ["lb/p"]} for name in ("x", "y", "z")
        },
        loadBalancers={
            "lb": {"frontendIPConfigurations": {"f": {"subnet": "net/a"}}, "backendAddressPools": {"p": ["z-nic", "y"]}}
        },
    )
    balancer = network.loadBalancers["lb"]
    assert [member.path for member in balancer.pools["p"].members] == [f"{n}-nic/ipconfig1" for n in ("z", "y", "x")]
    assert not balancer.is_public
