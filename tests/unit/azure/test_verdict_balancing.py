"""Flows to load balancers: who may get them, what the NSGs see, and how answers come back."""

from __future__ import annotations

from typing import Any

import pytest
from azure_networks import FORWARDING, HOSTS, Lab, nsg, peering, route, routes, rule, subnet, vnet

from netemu.azure.flow import Flow, address_of
from netemu.azure.verdict import Verdict

OPEN = nsg(all=rule(100, "Allow"))
HTTP = {"protocol": "Tcp", "frontendPort": 80, "backendPort": 8080}


def balancer(frontend: dict[str, Any], members: list[str], *, sku: str = "Standard", **rules: Any) -> dict[str, Any]:
    """A load balancer with one frontend called front, one pool called pool, and these load-balancing rules."""
    common = {"frontendIPConfiguration": "front", "backendAddressPool": "pool"}
    return {
        "sku": sku,
        "frontendIPConfigurations": {"front": frontend},
        "backendAddressPools": {"pool": members},
        "loadBalancingRules": {name: {**common, **each} for name, each in rules.items()},
    }


INTERNAL = {"subnet": "net/front", "privateIPAddress": "10.0.9.9"}
PUBLIC = {"publicIPAddress": "ip"}


def network(lb: dict[str, Any], *, backends: str | None = "open", sku: str = "Standard", **others: Any) -> Lab:
    """web1…web3 behind `lb`, a client in another subnet, a visitor outside; `backends` is their subnet's NSG."""
    resources: dict[str, Any] = {
        "virtualNetworks": {
            "net": vnet(
                "10.0.0.0/16", web=subnet("10.0.1.0/24", nsg=backends), client="10.0.2.0/24", front="10.0.9.0/24"
            )
        },
        "networkSecurityGroups": {"open": OPEN, **others.pop("nsgs", {})},
        "publicIPAddresses": {"ip": {"sku": sku}, **others.pop("ips", {})},
        "loadBalancers": {"lb": lb, **others.pop("more", {})},
        "virtualMachines": {
            **{f"web{i}": {"subnet": "net/web", "privateIPAddress": f"10.0.1.{i + 3}"} for i in (1, 2, 3)},
            "client": {"subnet": "net/client"},
        },
        "internet": HOSTS,
    }
    machines = others.pop("machines", {})
    resources["virtualMachines"] |= machines
    return Lab(**{**resources, **others})


def ends(verdict: Verdict) -> set[tuple[str, str, str | None]]:
    """What becomes of it by backend: access, stage, machine that was chosen."""
    return {(way.access, way.stage, way.chosen[-1].machine if way.chosen else None) for way in verdict.ways}


THREE = ["web1", "web2", "web3"]


@pytest.mark.azure("LB-1", "LB-2", "LB-4", "LB-22", "OUT-18")
def test_any_backend_may_get_it_with_the_clients_address_and_port() -> None:
    lab = network(balancer(INTERNAL, THREE, http=HTTP), backends=None)
    verdict = lab.ask("client", "10.0.9.9", source_port=50123)
    assert verdict.access == "Allow"
    assert verdict.is_uniform
    assert verdict.answered
    assert verdict.backends == ("web1", "web2", "web3")
    assert verdict.text == "Allow to one of web1, web2, web3"
    assert verdict.goes_to(["web3", "web1", "web2-nic/ipconfig1"])
    assert not verdict.goes_to(["web1", "web2"])
    for way in verdict.ways:
        assert str(way.sourceSeenAs) == "10.0.2.4"
        assert str(way.destinationSeenAs) == f"10.0.1.{int(way.receiver[-1]) + 3}"
        assert way.destinationPortSeenAs == 8080
        assert way.keepsPort
        assert [(each.rule, each.backend) for each in way.chosen] == [("lb/http", f"{way.receiver}-nic/ipconfig1")]


@pytest.mark.azure("LB-8", "LB-9", "OUT-20")
@pytest.mark.parametrize(("port", "protocol"), [(81, "Tcp"), (80, "Udp"), (8080, "Tcp"), (0, "Icmp"), (0, "Esp")])
@pytest.mark.parametrize("kind", ["internal", "public"])
def test_what_has_no_rule_is_dropped(kind: str, port: int, protocol: str) -> None:
    lab = network(balancer(INTERNAL if kind == "internal" else PUBLIC, THREE, http=HTTP))
    verdict = lab.ask("client" if kind == "internal" else "visitor", "lb", port, protocol)
    assert (verdict.access, verdict.stage, verdict.reply) == ("Deny", "no-rule", None)


@pytest.mark.azure("LB-24")
@pytest.mark.parametrize("kind", ["internal", "public"])
def test_an_empty_pool_answers_nobody(kind: str) -> None:
    lab = network(balancer(INTERNAL if kind == "internal" else PUBLIC, [], http=HTTP))
    verdict = lab.ask("client" if kind == "internal" else "visitor", "lb")
    assert (verdict.access, verdict.stage) == ("Deny", "no-backend")


@pytest.mark.azure("NSG-17", "NSG-18", "NSG-20", "PIPE-4", "CT-12")
def test_inbound_rules_see_the_clients_address_and_the_backends_port() -> None:
    def with_rule(**what: Any) -> Verdict:
        rules = {"in": nsg(it=rule(100, "Allow", **what))}
        lab = network(balancer(PUBLIC, THREE, http=HTTP), backends="in", nsgs=rules)
        return lab.ask("visitor", "ip")

    assert with_rule(source="198.51.100.7", destination="10.0.1.0/24", port=8080).access == "Allow"
    assert with_rule(source="Internet", port=8080).backends == ("web1", "web2", "web3")
    for wrong in (
        {"port": 80},
        {"source": "AzureLoadBalancer"},
        {"destination": "20.61.0.0/16"},
        {"source": "VirtualNetwork"},
    ):
        verdict = with_rule(**wrong)
        assert (verdict.access, verdict.stage, verdict.rule) == ("Deny", "nsg-in", "DenyAllInBound"), wrong


@pytest.mark.azure("PIPE-3", "NSG-17")
def test_outbound_rules_of_the_caller_see_the_frontend() -> None:
    lab = network(
        balancer(INTERNAL, THREE, http=HTTP),
        nsgs={
            "out": nsg(front=rule(100, "Allow", "Outbound", destination="10.0.9.9", port=80), no=rule(200, "Deny", "Outbound")),
            "out2": nsg(back=rule(100, "Allow", "Outbound", destination="10.0.1.0/24", port=8080), no=rule(200, "Deny", "Outbound")),
        },
        machines={
            "one": {"subnet": "net/client", "networkSecurityGroup": "out"},
            "two": {"subnet": "net/client", "networkSecurityGroup": "out2"},
        },
    )  # fmt: skip
    assert lab.ask("one", "10.0.9.9").backends == ("web1", "web2", "web3")
    assert lab.ask("two", "10.0.9.9").stage == "nsg-out"


@pytest.mark.azure("OUT-17", "OUT-18", "LB-38")
def test_standard_public_is_closed_without_an_nsg_and_internal_and_basic_are_open() -> None:
    http = {"http": HTTP}
    closed = network(balancer(PUBLIC, THREE, **http), backends=None).ask("visitor", "ip")
    assert (closed.access, closed.stage) == ("Deny", "public-closed")
    assert network(balancer(PUBLIC, THREE, **http)).ask("visitor", "ip").access == "Allow"
    basic = balancer(PUBLIC, THREE, sku="Basic", **http)
    assert network(basic, backends=None, sku="Basic").ask("visitor", "ip").answered
    assert network(balancer(INTERNAL, THREE, **http), backends=None).ask("client", "lb").answered


def test_a_backend_with_an_nsg_of_its_own_is_judged_by_itself() -> None:
    lab = network(
        balancer(PUBLIC, THREE, http=HTTP),
        backends=None,
        nsgs={"shut": nsg(no=rule(100, "Deny"))},
        virtualMachines={
            "web1": {"subnet": "net/web", "networkSecurityGroup": "open"},
            "web2": {"subnet": "net/web", "networkSecurityGroup": "shut"},
            "web3": {"subnet": "net/web"},
        },
    )
    verdict = lab.ask("visitor", "ip")
    assert ends(verdict) == {
        ("Allow", "delivered", "web1"), ("Deny", "nsg-in", "web2"), ("Deny", "public-closed", "web3")
    }  # fmt: skip
    assert not verdict.is_uniform
    assert verdict.access == "Deny"
    assert verdict.backends == ("web1",)
    assert verdict.text == "Allow to web1; Deny (nsg-in) at web2; Deny (public-closed) at web3"
    assert [way.stage for way in verdict.ways_to("web2")] == ["nsg-in"]
    assert verdict.ways_to("web2-nic") == verdict.ways_to("web2") == verdict.ways_to("web2-nic/ipconfig1")
    assert verdict.ways_to("client") == ()
    assert verdict.goes_to(["web1"])
    assert verdict.goes_to(["web1-nic"])
    assert not verdict.goes_to(["web1", "web2"])
    assert not verdict.goes_to(["web2"])
    assert not verdict.goes_to([])


@pytest.mark.azure("LB-21", "PIPE-10", "CT-24")
def test_a_backend_that_calls_its_own_internal_frontend_gets_nothing_when_it_is_chosen_itself() -> None:
    verdict = network(balancer(INTERNAL, THREE, http=HTTP)).ask("web2", "lb")
    assert ends(verdict) == {
        ("Allow", "delivered", "web1"), ("Deny", "hairpin", "web2"), ("Allow", "delivered", "web3")
    }  # fmt: skip
    assert all(way.answered for way in verdict.ways if way.access == "Allow")
    alone = network(balancer(INTERNAL, ["web2"], http=HTTP)).ask("web2", "lb")
    assert (alone.access, alone.stage, alone.choices) == ("Deny", "hairpin", ())


def test_a_backend_reaches_itself_through_its_public_frontend() -> None:
    verdict = network(balancer(PUBLIC, ["web2"], http=HTTP)).ask("web2", "ip")
    assert (verdict.access, verdict.receiver, verdict.answered) == ("Allow", "web2", True)
    assert verdict.sourceSeenAs == address_of(network(balancer(PUBLIC, ["web2"], http=HTTP)).network, "ip")


@pytest.mark.azure("LB-14", "PEER-17")
@pytest.mark.parametrize(
    ("sku", "location", "outcome"),
    [
        ("Standard", "westeurope", "delivered"), ("Standard", "eastus", "delivered"),
        ("Basic", "West Europe", "delivered"), ("Basic", "eastus", "global-peering"),
    ],
)  # fmt: skip
def test_an_internal_frontend_is_reached_from_peers(sku: str, location: str, outcome: str) -> None:
    lab = network(
        balancer(INTERNAL, THREE, sku=sku, http=HTTP),
        virtualNetworks={
            "net": vnet("10.0.0.0/16", web=subnet("10.0.1.0/24", nsg="open"), client="10.0.2.0/24", front="10.0.9.0/24",
                        peerings=peering("far")),
            "far": {**vnet("10.1.0.0/16", all="10.1.0.0/24", peerings=peering("net")), "location": location},
            "alone": vnet("10.2.0.0/16", all="10.2.0.0/24"),
        },
        machines={"peer": {"subnet": "far/all"}, "stranger": {"subnet": "alone/all"}},
    )  # fmt: skip
    verdict = lab.ask("peer", "10.0.9.9")
    assert {way.stage for way in verdict.ways} == {outcome}
    assert verdict.answered == (outcome == "delivered")
    assert lab.ask("stranger", "10.0.9.9").stage == "route-none"
    assert lab.ask("visitor", "10.0.9.9").stage == "edge-private"


@pytest.mark.azure("LB-16", "NSG-19", "CT-26")
def test_with_floating_ip_the_destination_stays_and_rules_see_it() -> None:
    floating = {"protocol": "Tcp", "frontendPort": 80, "backendPort": 80, "enableFloatingIP": True}
    by_frontend = {"in": nsg(it=rule(100, "Allow", destination="10.0.9.9", port=80), no=rule(200, "Deny"))}
    lab = network(balancer(INTERNAL, THREE, sql=floating), backends="in", nsgs=by_frontend)
    verdict = lab.ask("client", "lb")
    assert verdict.backends == ("web1", "web2", "web3")
    assert verdict.answered
    assert all(str(way.destinationSeenAs) == "10.0.9.9" for way in verdict.ways)
    by_backend = {"in": nsg(it=rule(100, "Allow", destination="10.0.1.0/24", port=80), no=rule(200, "Deny"))}
    assert (
        network(balancer(INTERNAL, THREE, sql=floating), backends="in", nsgs=by_backend).ask("client", "lb").stage
        == "nsg-in"
    )
    assert lab.ask("web1", "lb").stage == "local"


@pytest.mark.azure("LB-16")
def test_floating_ip_may_translate_the_port_and_the_answer_has_the_frontends_again() -> None:
    floating = {"protocol": "Udp", "frontendPort": 80, "backendPort": 8080, "enableFloatingIP": True}
    verdict = network(balancer(PUBLIC, THREE, it=floating)).ask("visitor", "ip", 80, "Udp")
    assert verdict.answered
    assert {way.destinationPortSeenAs for way in verdict.ways} == {8080}


@pytest.mark.azure("NIC-7", "LB-16")
def test_a_backend_sends_from_a_floating_frontend_only_to_answer() -> None:
    floating = {"protocol": "Tcp", "frontendPort": 80, "backendPort": 80, "enableFloatingIP": True}
    lab = network(balancer(INTERNAL, THREE, it=floating))
    assert lab.ask("web1", "client", 9, source_address="10.0.9.9").stage == "source-check"


@pytest.mark.azure("LB-17", "NSG-18")
def test_a_nat_rule_leads_to_one_backend_and_another_port() -> None:
    lb = balancer(PUBLIC, THREE, http=HTTP)
    common = {"frontendIPConfiguration": "front", "backendPort": 22}
    lb["inboundNatRules"] = {
        "ssh2": {**common, "protocol": "Tcp", "frontendPort": 50002, "backend": "web2"},
        "both": {**common, "protocol": "All", "frontendPort": 50003, "backendPort": 53, "backend": "web3"},
        "each": {**common, "protocol": "Tcp", "frontendPortRangeStart": 51000, "frontendPortRangeEnd": 51009,
                 "backendPort": 23, "backendAddressPool": "pool"},
    }  # fmt: skip
    lab = network(lb, backends="ssh", nsgs={"ssh": nsg(it=rule(100, "Allow", port=["22-23", 53]))})
    verdict = lab.ask("visitor", "ip", 50002)
    assert (verdict.receiver, verdict.destinationPortSeenAs, verdict.answered) == ("web2", 22, True)
    assert [each.rule for each in verdict.chosen] == ["lb/ssh2"]
    assert lab.ask("visitor", "ip", 50002, "Udp").stage == "no-rule"
    assert {lab.ask("visitor", "ip", 50003, protocol).receiver for protocol in ("Tcp", "Udp")} == {"web3"}
    assert [lab.ask("visitor", "ip", port).receiver for port in (51000, 51001, 51002)] == THREE
    assert lab.ask("visitor", "ip", 51003).stage == "no-rule"


@pytest.mark.azure("LB-17")
def test_a_nat_pool_gives_each_that_joins_a_port() -> None:
    lb = balancer(PUBLIC, [])
    lb["inboundNatPools"] = {
        "ssh": {"frontendIPConfiguration": "front", "protocol": "Tcp", "frontendPortRangeStart": 50000,
                "frontendPortRangeEnd": 50009, "backendPort": 22}
    }  # fmt: skip
    lab = network(
        lb,
        virtualMachines={
            "web1": {"subnet": "net/web", "loadBalancerInboundNatPools": ["lb/ssh"]},
            "web2": {"subnet": "net/web"},
            "web3": {"subnet": "net/web", "loadBalancerInboundNatPools": ["lb/ssh"]},
        },
    )
    assert [lab.ask("visitor", "ip", port).receiver for port in (50000, 50001, 50002)] == ["web1", "web3", None]


HA = {"protocol": "All", "frontendPort": 0, "backendPort": 0}


def appliances(**others: Any) -> Lab:
    """Two forwarding appliances behind HA ports, through which a client's subnet and a server's subnet are routed."""
    forwarding = {"subnet": "net/web", "enableIPForwarding": True, "sysctls": FORWARDING}
    return Lab(
        virtualNetworks={
            "net": vnet(
                "10.0.0.0/16",
                web=subnet("10.0.1.0/24"), front="10.0.9.0/24",
                client=subnet("10.0.2.0/24", table="through"), server=subnet("10.0.3.0/24", table=others.get("back", "through")),
            )
        },
        routeTables={"through": routes(
            route("10.0.2.0/24", "VirtualAppliance", "10.0.9.9"), route("10.0.3.0/24", "VirtualAppliance", "10.0.9.9"),
            route("0.0.0.0/0", "VirtualAppliance", "10.0.9.9"),
        ), "none": routes()},
        loadBalancers={"lb": balancer(INTERNAL, ["fw1", "fw2"], ha=others.get("rule", HA))},
        virtualMachines={
            "fw1": forwarding | others.get("fw1", {}), "fw2": forwarding,
            "client": {"subnet": "net/client"}, "server": {"subnet": "net/server"},
        },
        publicIPAddresses={},
    )  # fmt: skip


@pytest.mark.azure("LB-18", "LB-19", "RT-7", "NVA-6")
def test_ha_ports_as_next_hop_send_both_directions_through_one_appliance() -> None:
    verdict = appliances().ask("client", "server", 443)
    assert {way.via for way in verdict.ways} == {("fw1",), ("fw2",)}
    assert all(way.answered and way.receiver == "server" for way in verdict.ways)
    for way in verdict.ways:
        assert way.reply is not None
        assert way.reply.via == way.via
        assert str(way.destinationSeenAs) == "10.0.3.4"
    assert appliances().ask("client", "server", 53, "Udp").is_uniform


@pytest.mark.azure("LB-9", "LB-18")
def test_ha_ports_take_no_icmp_and_ordinary_rules_no_packets_of_others() -> None:
    assert network(balancer(INTERNAL, THREE, ha=HA)).ask("client", "lb", 0, "Icmp").stage == "no-rule"
    assert appliances().ask("client", "server", 0, "Icmp").stage == "no-rule"
    assert appliances(rule=HTTP).ask("client", "server", 80).stage == "no-rule"


@pytest.mark.azure("LB-18", "NIC-8")
def test_an_appliance_behind_ha_ports_that_does_not_forward_loses_its_share() -> None:
    verdict = appliances(fw1={"enableIPForwarding": False}).ask("client", "server", 443)
    assert ends(verdict) == {("Deny", "destination-check", "fw1"), ("Allow", "delivered", "fw2")}


@pytest.mark.azure("LB-18")
def test_ha_ports_take_every_port_of_the_frontend_itself_unchanged() -> None:
    lab = network(balancer(INTERNAL, THREE, ha=HA))
    for port, protocol in ((1, "Tcp"), (65535, "Udp")):
        verdict = lab.ask("client", "lb", port, protocol)
        assert verdict.backends == ("web1", "web2", "web3")
        assert {way.destinationPortSeenAs for way in verdict.ways} == {port}


@pytest.mark.azure("PIPE-6", "OUT-22")
def test_a_default_route_of_the_user_diverts_the_answers_of_backends() -> None:
    diverted = subnet("10.0.1.0/24", nsg="open", table="divert")
    lab = network(
        balancer(PUBLIC, THREE, http=HTTP),
        virtualNetworks={"net": vnet("10.0.0.0/16", web=diverted, client="10.0.2.0/24", front="10.0.9.0/24")},
        routeTables={"divert": routes(route("0.0.0.0/0", "None"))},
    )
    verdict = lab.ask("visitor", "ip")
    assert verdict.access == "Allow"
    assert not verdict.answered
    assert {way.reply.stage for way in verdict.ways if way.reply} == {"route-none"}


@pytest.mark.azure("PIPE-6")
def test_the_answer_is_translated_before_it_is_routed_and_its_appliance_sees_the_frontend() -> None:
    diverted = subnet("10.0.1.0/24", nsg="open", table="divert")
    lab = network(
        balancer(INTERNAL, ["web1"], http=HTTP),
        virtualNetworks={
            "net": vnet("10.0.0.0/16", web=diverted, client="10.0.2.0/24", front="10.0.9.0/24", fw="10.0.4.0/24")
        },
        routeTables={"divert": routes(route("10.0.2.0/24", "VirtualAppliance", "10.0.4.4"))},
        machines={"fw": {"subnet": "net/fw", "enableIPForwarding": True, "sysctls": FORWARDING}},
    )
    verdict = lab.ask("client", "lb")
    assert verdict.answered
    assert verdict.reply is not None
    assert verdict.reply.via == ("fw",)
    forwarded = next(step.packet for step in verdict.reply.steps if step.kind == "appliance")
    assert (forwarded.source, forwarded.sourcePort) == (int(address_of(lab.network, "lb")), 80)


# ---- health ----------------------------------------------------------------------------------------------------------


def probed(lb: dict[str, Any], **settings: Any) -> dict[str, Any]:
    """With a probe for every rule."""
    lb["probes"] = {"p": {"protocol": "Tcp", "port": 8080, **settings}}
    for each in lb["loadBalancingRules"].values():
        each["probe"] = "p"
    return lb


def down(*names: str) -> frozenset[tuple[str, str]]:
    return frozenset(("lb/p", f"{name}-nic/ipconfig1") for name in names)


def judge(
    lab: Lab, *, protocol: str = "Tcp", gone: frozenset[tuple[str, str]], established: str | None = None
) -> Verdict:
    flow = Flow("visitor", address_of(lab.network, "ip"), protocol, 80)
    return lab.engine.judge(flow, down=gone, established=established)


BOTH = {"http": HTTP, "dns": {**HTTP, "protocol": "Udp"}}


@pytest.mark.azure("LB-5", "LB-24", "LB-25", "LB-31")
def test_new_flows_go_to_those_that_are_up() -> None:
    lab = network(probed(balancer(PUBLIC, THREE, **BOTH)))
    assert judge(lab, gone=frozenset()).backends == ("web1", "web2", "web3")
    assert judge(lab, gone=down("web2")).backends == ("web1", "web3")
    assert judge(lab, gone=down(*THREE)).stage == "no-backend"
    unprobed = network(balancer(PUBLIC, THREE, **BOTH))
    assert judge(unprobed, gone=down(*THREE)).backends == ("web1", "web2", "web3")


@pytest.mark.azure("LB-29")
def test_when_all_are_down_they_may_count_as_up() -> None:
    lab = network(probed(balancer(PUBLIC, THREE, **BOTH), noHealthyBackendsBehavior="AllProbedUp"))
    assert judge(lab, gone=down(*THREE)).backends == ("web1", "web2", "web3")
    assert judge(lab, gone=down("web1")).backends == ("web2", "web3")


@pytest.mark.azure("LB-4", "LB-5", "LB-31", "LB-32", "LB-38", "CT-23")
@pytest.mark.parametrize(
    ("sku", "members", "protocol", "gone", "gets"),
    [
        ("Standard", THREE, "Tcp", [], ("web1",)),
        ("Standard", THREE, "Udp", [], ("web1",)),
        ("Standard", THREE, "Tcp", ["web2"], ("web1",)),
        ("Standard", THREE, "Tcp", ["web1"], ("web1",)),
        ("Basic", THREE, "Tcp", ["web1"], ("web1",)),
        ("Standard", THREE, "Udp", ["web1"], ("web2", "web3")),
        ("Basic", THREE, "Udp", ["web1"], ("web2", "web3")),
        ("Standard", THREE, "Tcp", THREE, ("web1",)),
        ("Standard", ["web1"], "Tcp", THREE, ()),
        ("Basic", THREE, "Tcp", THREE, ()),
        ("Standard", THREE, "Udp", THREE, ()),
        ("Basic", THREE, "Udp", THREE, ()),
    ],
)
def test_what_becomes_of_an_open_flow_when_backends_go_down(
    sku: str, members: list[str], protocol: str, gone: list[str], gets: tuple[str, ...]
) -> None:
    lab = network(probed(balancer(PUBLIC, members, sku=sku, **BOTH)), sku=sku)
    verdict = judge(lab, protocol=protocol, gone=down(*gone), established="web1")
    assert verdict.backends == gets
    assert verdict.stage == ("delivered" if gets else "no-backend")


@pytest.mark.azure("LB-26", "LB-33", "CT-22", "NSG-20")
def test_an_nsg_that_denies_the_probe_takes_the_backend_out() -> None:
    shut = {
        "tag": nsg(no=rule(100, "Deny", source="AzureLoadBalancer"), yes=rule(200, "Allow")),
        "address": nsg(no=rule(100, "Deny", source="168.63.129.16"), yes=rule(200, "Allow")),
        "port": nsg(no=rule(100, "Deny", port=9000), yes=rule(200, "Allow")),
        "other": nsg(no=rule(100, "Deny", port=8080), last=rule(4096, "Deny", source="Internet")),
    }
    lab = network(
        probed(balancer(INTERNAL, ["tag", "address", "port", "other", "web3"], http=HTTP), port=9000),
        nsgs=shut,
        backends=None,
        machines={name: {"subnet": "net/web", "networkSecurityGroup": name} for name in shut},
    )
    assert lab.engine.stopped_probes() == down("tag", "address", "port")


@pytest.mark.azure("LB-10", "LB-11")
def test_both_sides_name_members_and_a_secondary_address_can_be_one() -> None:
    lab = network(
        balancer(INTERNAL, ["web1", "many/b"], http=HTTP),
        networkInterfaces={
            "many": {
                "ipConfigurations": {
                    "a": {"subnet": "net/web", "primary": True, "loadBalancerBackendAddressPools": ["lb/pool"]},
                    "b": {"subnet": "net/web", "privateIPAddress": "10.0.1.99"},
                }
            }
        },
        virtualMachines={
            "web1": {"subnet": "net/web", "loadBalancerBackendAddressPools": ["lb/pool"]},
            "two": {"networkInterfaces": ["many"]},
            "client": {"subnet": "net/client"},
        },
    )
    verdict = lab.ask("client", "lb")
    assert [way.chosen[0].backend for way in verdict.ways] == ["web1-nic/ipconfig1", "many/b", "many/a"]
    assert "10.0.1.99" in {str(way.destinationSeenAs) for way in verdict.ways}


@pytest.mark.azure("LB-35")
def test_a_member_without_a_vm_gets_nothing() -> None:
    lab = network(balancer(INTERNAL, ["web1", "lone"], http=HTTP), networkInterfaces={"lone": {"subnet": "net/web"}})
    assert lab.ask("client", "lb").backends == ("web1",)


def test_two_hundred_backends_are_two_hundred_ways() -> None:
    names = [f"b{i}" for i in range(200)]
    lab = network(balancer(INTERNAL, names, http=HTTP), machines={name: {"subnet": "net/web"} for name in names})
    assert lab.ask("client", "lb").backends == tuple(names)
