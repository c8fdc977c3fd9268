"""Which public address a flow to the internet gets: NAT gateways, outbound rules, frontends, default outbound access."""

from __future__ import annotations

from typing import Any

import pytest
from azure_networks import HOSTS, Lab, nsg, route, routes, rule, subnet, vnet

from netemu.azure.flow import Flow, address_of
from netemu.azure.verdict import Verdict

OPEN = nsg(all=rule(100, "Allow"))
IPS = {
    name: {"ipAddress": f"52.0.0.{number}"}
    for number, name in enumerate(("one", "two", "three", "own", "gw", "gw2"), 1)
}
ONE, TWO, OWN, GW, GW2 = "52.0.0.1", "52.0.0.2", "52.0.0.4", "52.0.0.5", "52.0.0.6"


def lab(lb: dict[str, Any] | None = None, *, web: dict[str, Any] | None = None, **others: Any) -> Lab:
    """web1 and web2 in a subnet with an NSG that lets all in; `web` has more properties of the subnet."""
    resources: dict[str, Any] = {
        "virtualNetworks": {"net": vnet("10.0.0.0/16", web=subnet("10.0.1.0/24", nsg="open", **(web or {})))},
        "networkSecurityGroups": {"open": OPEN},
        "publicIPAddresses": IPS,
        "loadBalancers": {"lb": lb} if lb else {},
        "virtualMachines": {name: {"subnet": "net/web"} for name in ("web1", "web2")},
        "internet": HOSTS,
    }
    return Lab(**{**resources, **others})


def balancer(rules: dict[str, Any], *, sku: str = "Standard", **parts: Any) -> dict[str, Any]:
    """Frontends one and two, the pool of both machines."""
    return {
        "sku": sku,
        "frontendIPConfigurations": {"one": {"publicIPAddress": "one"}, "two": {"publicIPAddress": "two"}},
        "backendAddressPools": {"pool": ["web1", "web2"]},
        "loadBalancingRules": {
            name: {
                "frontendIPConfiguration": "one",
                "backendAddressPool": "pool",
                "protocol": "Tcp",
                "frontendPort": 80,
                **each,
            }
            for name, each in rules.items()
        },
        **parts,
    }


def seen(verdict: Verdict) -> str | None:
    return str(verdict.sourceSeenAs) if verdict.sourceSeenAs is not None else None


def refused(verdict: Verdict) -> bool:
    return (verdict.access, verdict.stage) == ("Deny", "edge-untranslated")


@pytest.mark.azure("OUT-4", "OUT-32")
def test_a_rule_of_a_standard_frontend_lets_its_protocol_out() -> None:
    there = lab(balancer({"http": {}}))
    verdict = there.ask("web1", "visitor")
    assert (seen(verdict), verdict.answered, verdict.keepsPort) == (ONE, True, False)
    assert refused(there.ask("web1", "visitor", 53, "Udp"))
    both = lab(balancer({"http": {}, "dns": {"protocol": "Udp", "frontendIPConfiguration": "two"}}))
    assert (seen(both.ask("web1", "visitor")), seen(both.ask("web1", "visitor", 53, "Udp"))) == (ONE, TWO)


@pytest.mark.azure("OUT-4", "OUT-32", "LB-38")
def test_a_rule_of_a_basic_frontend_lets_both_protocols_out() -> None:
    basic = {name: {**ip, "sku": "Basic"} for name, ip in IPS.items()}
    there = lab(balancer({"http": {}}, sku="Basic"), publicIPAddresses=basic)
    assert [seen(there.ask("web1", "visitor", 53, protocol)) for protocol in ("Tcp", "Udp")] == [ONE, ONE]


@pytest.mark.azure("OUT-7")
def test_load_balancers_let_no_icmp_out() -> None:
    assert refused(lab(balancer({"http": {}})).ask("web1", "visitor", 0, "Icmp"))


@pytest.mark.azure("OUT-31")
def test_of_several_frontends_the_first_is_used() -> None:
    there = lab(balancer({"a": {"frontendIPConfiguration": "two"}, "b": {"frontendPort": 81, "backendPort": 81}}))
    assert seen(there.ask("web1", "visitor")) == TWO


@pytest.mark.azure("OUT-32")
def test_nat_rules_alone_let_nothing_out_by_the_frontend_and_leave_default_outbound_access() -> None:
    nat = {
        "ssh": {
            "frontendIPConfiguration": "one",
            "protocol": "Tcp",
            "frontendPort": 50001,
            "backendPort": 22,
            "backend": "web1",
        }
    }
    there = lab(balancer({}, backendAddressPools={}, inboundNatRules=nat))
    assert seen(there.ask("web1", "visitor")) == str(there.network.nics["web1-nic"].ipConfigs[0].defaultOutbound)


@pytest.mark.azure("OUT-36")
def test_without_any_snat_the_pool_has_no_way_out() -> None:
    there = lab(balancer({"http": {"disableOutboundSnat": True}}))
    assert refused(there.ask("web1", "visitor"))
    assert "lb" in there.ask("web1", "visitor").steps[-1].text


@pytest.mark.azure("OUT-4", "CT-17")
def test_behind_an_internal_load_balancer_standard_has_no_way_out_and_basic_has_the_default() -> None:
    def inside(sku: str) -> Lab:
        return lab(balancer({"http": {}}, sku=sku, frontendIPConfigurations={"one": {"subnet": "net/web"}}))

    assert refused(inside("Standard").ask("web1", "visitor"))
    basic = inside("Basic")
    assert seen(basic.ask("web1", "visitor")) == str(basic.network.nics["web1-nic"].ipConfigs[0].defaultOutbound)


@pytest.mark.azure("OUT-33", "OUT-35")
@pytest.mark.parametrize(("protocol", "tcp", "udp"), [("All", TWO, TWO), ("Tcp", TWO, None), ("Udp", None, TWO)])
def test_an_outbound_rule_lets_its_protocols_out(protocol: str, tcp: str | None, udp: str | None) -> None:
    out = {"out": {"frontendIPConfigurations": ["two"], "backendAddressPool": "pool", "protocol": protocol}}
    there = lab(balancer({"http": {"disableOutboundSnat": True}}, outboundRules=out))
    assert seen(there.ask("web1", "visitor")) == tcp
    assert seen(there.ask("web2", "visitor", 53, "Udp")) == udp


@pytest.mark.azure("OUT-33")
def test_an_outbound_rule_goes_before_what_another_frontend_would_do_by_the_way() -> None:
    out = {"out": {"frontendIPConfigurations": ["two"], "backendAddressPool": "pool", "protocol": "Tcp"}}
    there = lab(balancer({"http": {}, "dns": {"protocol": "Udp", "frontendPort": 53}}, outboundRules=out))
    assert [seen(there.ask("web1", "visitor", 9, protocol)) for protocol in ("Tcp", "Udp")] == [TWO, ONE]


@pytest.mark.azure("OUT-37")
def test_probes_do_not_matter_for_what_goes_out() -> None:
    there = lab(balancer({"http": {"probe": "p"}}, probes={"p": {"protocol": "Tcp", "port": 80}}))
    gone = frozenset(("lb/p", f"{name}-nic/ipconfig1") for name in ("web1", "web2"))
    verdict = there.engine.judge(Flow("web1", address_of(there.network, "visitor"), destinationPort=80), down=gone)
    assert seen(verdict) == ONE


@pytest.mark.azure("OUT-1", "OUT-2")
def test_an_address_of_its_own_beats_the_load_balancer() -> None:
    machines = {"web1": {"subnet": "net/web", "publicIPAddress": "own"}, "web2": {"subnet": "net/web"}}
    there = lab(balancer({"http": {}}), virtualMachines=machines)
    assert (seen(there.ask("web1", "visitor")), seen(there.ask("web2", "visitor"))) == (OWN, ONE)
    assert seen(there.ask("web1", "visitor", 0, "Icmp")) == OWN


@pytest.mark.azure("OUT-8")
def test_secondary_addresses_are_not_let_out() -> None:
    there = lab(
        balancer({"http": {}}, backendAddressPools={"pool": ["many/a", "many/b"]}),
        networkInterfaces={"many": {"ipConfigurations": {
            "a": {"subnet": "net/web", "privateIPAddress": "10.0.1.10", "primary": True},
            "b": {"subnet": "net/web", "privateIPAddress": "10.0.1.11"},
        }}},
        virtualMachines={"web1": {"networkInterfaces": ["many"]}},
    )  # fmt: skip
    assert seen(there.ask("web1", "visitor")) == ONE
    assert refused(there.ask("web1", "visitor", source_address="10.0.1.11"))


GATEWAY: dict[str, Any] = {"natGateways": {"gw": {"publicIPAddresses": ["gw"]}}, "web": {"natGateway": "gw"}}


@pytest.mark.azure("OUT-1", "OUT-39")
def test_a_nat_gateway_goes_before_everything_but_routes() -> None:
    machines = {"web1": {"subnet": "net/web", "publicIPAddress": "own"}, "web2": {"subnet": "net/web"}}
    there = lab(balancer({"http": {}}), virtualMachines=machines, **GATEWAY)
    for name in machines:
        verdict = there.ask(name, "visitor")
        assert (seen(verdict), verdict.answered, verdict.keepsPort) == (GW, True, False)
    assert there.network.nics["web2-nic"].ipConfigs[0].defaultOutbound is None
    diverted = lab(
        natGateways=GATEWAY["natGateways"], web={"natGateway": "gw", "table": "no"},
        routeTables={"no": routes(route("0.0.0.0/0", "None"))},
    )  # fmt: skip
    assert diverted.ask("web1", "visitor").stage == "route-none"


@pytest.mark.azure("OUT-8", "OUT-39")
def test_a_nat_gateway_serves_secondary_addresses_too() -> None:
    there = lab(
        networkInterfaces={"many": {"ipConfigurations": {
            "a": {"subnet": "net/web", "primary": True}, "b": {"subnet": "net/web", "privateIPAddress": "10.0.1.11"}
        }}},
        virtualMachines={"web1": {"networkInterfaces": ["many"]}}, **GATEWAY,
    )  # fmt: skip
    assert seen(there.ask("web1", "visitor", source_address="10.0.1.11")) == GW


@pytest.mark.azure("OUT-41")
def test_a_nat_gateway_is_tcp_and_udp_only_and_lets_nobody_in() -> None:
    there = lab(**GATEWAY)
    assert seen(there.ask("web1", "visitor", 53, "Udp")) == GW
    assert refused(there.ask("web1", "visitor", 0, "Icmp"))
    assert there.ask("visitor", "gw").stage == "edge-unknown"


@pytest.mark.azure("OUT-39")
def test_of_the_addresses_of_a_nat_gateway_any_may_be_taken() -> None:
    there = lab(
        natGateways={"gw": {"publicIPAddresses": ["gw", "gw2"], "publicIPPrefixes": ["range"]}}, web={"natGateway": "gw"},
        publicIPPrefixes={"range": {"prefixLength": 31, "ipPrefix": "52.0.1.2/31"}},
    )  # fmt: skip
    verdict = there.ask("web1", "visitor")
    assert [seen(way) for way in verdict.ways] == [GW, GW2, "52.0.1.2", "52.0.1.3"]
    assert verdict.is_uniform
    assert verdict.answered
    assert verdict.text == "Allow to visitor"


@pytest.mark.azure("OUT-3")
def test_answers_leave_by_what_was_called_even_with_a_nat_gateway() -> None:
    machines = {"web1": {"subnet": "net/web", "publicIPAddress": "own"}, "web2": {"subnet": "net/web"}}
    there = lab(balancer({"http": {}}), virtualMachines=machines, **GATEWAY)
    for called in ("own", "one"):
        verdict = there.ask("visitor", called)
        assert verdict.answered
        assert {seen(way.reply) for way in verdict.ways if way.reply} == {str(there.network.publicIPs[called].address)}


@pytest.mark.azure("OUT-21", "NSG-17")
def test_a_backend_that_calls_another_by_its_public_address_comes_as_the_frontend() -> None:
    machines = {"web1": {"subnet": "net/web"}, "web2": {"subnet": "net/web", "publicIPAddress": "own"}}
    there = lab(balancer({"http": {}}), virtualMachines=machines)
    verdict = there.ask("web1", "own", 8080)
    assert (verdict.receiver, seen(verdict), verdict.answered) == ("web2", ONE, True)
