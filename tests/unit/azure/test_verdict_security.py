"""Verdicts of NSGs on the way (NSG-15…NSG-24, NSG-29, NSG-30, NSG-33)."""

from __future__ import annotations

import pytest
from azure_networks import FORWARDING, HOSTS, Lab, nsg, route, routes, rule, subnet, vnet

from netemu.azure.flow import TCP, Flow, Packet, packet_of


def layered(subnet_rules=None, nic_rules=None, **others):
    """Two machines in one subnet; NSG `s` on the subnet, `n` on the NIC of b, if given."""
    groups = {name: nsg(**rules) for name, rules in (("s", subnet_rules), ("n", nic_rules)) if rules is not None}
    return Lab(
        **{
            "virtualNetworks": {
                "v": vnet("10.0.0.0/16", x=subnet("10.0.1.0/24", nsg="s" if "s" in groups else None), y="10.0.2.0/24")
            },
            "networkSecurityGroups": groups,
            "virtualMachines": {
                "a": {"subnet": "v/x"},
                "b": {"subnet": "v/x", "networkSecurityGroup": "n" if "n" in groups else None},
                "c": {"subnet": "v/y"},
            },
            "internet": HOSTS,
            **others,
        }
    )


def gates(found):
    """(place, direction, rule) of every NSG that was asked."""
    return [(step.place, step.direction, step.rule.name) for step in found.steps if step.rule is not None]


@pytest.mark.azure("NSG-15", "NSG-16")
def test_one_subnet_is_four_evaluations():
    lab = layered(
        {},
        None,
        virtualMachines={
            "a": {"subnet": "v/x", "networkSecurityGroup": "s"},
            "b": {"subnet": "v/x", "networkSecurityGroup": "s"},
        },
    )
    assert gates(lab.ask("a", "b")) == [
        ("a-nic", "Outbound", "AllowVnetOutBound"),
        ("v/x", "Outbound", "AllowVnetOutBound"),
        ("v/x", "Inbound", "AllowVnetInBound"),
        ("b-nic", "Inbound", "AllowVnetInBound"),
    ]


@pytest.mark.azure("NSG-15")
@pytest.mark.parametrize(
    ("subnet_access", "nic_access", "group", "rule_name"),
    [
        ("Allow", "Allow", "n", "r"),
        ("Deny", "Allow", "s", "r"),
        ("Allow", "Deny", "n", "r"),
        ("Deny", "Deny", "s", "r"),
    ],
)
def test_inbound_subnet_first_and_both_must_allow(subnet_access, nic_access, group, rule_name):
    found = layered({"r": rule(100, subnet_access)}, {"r": rule(100, nic_access)}).ask("c", "b")
    assert (found.access, found.networkSecurityGroup, found.rule, found.direction) == (
        "Allow" if "Deny" not in (subnet_access, nic_access) else "Deny",
        group,
        rule_name,
        "Inbound",
    )
    assert found.stage == ("delivered" if found.access == "Allow" else "nsg-in")


@pytest.mark.azure("NSG-15")
@pytest.mark.parametrize(
    ("subnet_access", "nic_access", "group"),
    [
        ("Allow", "Allow", "s"),
        ("Deny", "Allow", "s"),
        ("Allow", "Deny", "n"),
        ("Deny", "Deny", "n"),
    ],
)
def test_outbound_nic_first_and_both_must_allow(subnet_access, nic_access, group):
    found = layered({"r": rule(100, subnet_access, "Outbound")}, {"r": rule(100, nic_access, "Outbound")}).ask("b", "c")
    assert (found.networkSecurityGroup, found.rule, found.direction, found.nic) == (group, "r", "Outbound", "b-nic")
    assert found.stage == ("nsg-out" if "Deny" in (subnet_access, nic_access) else "delivered")


@pytest.mark.azure("NSG-16", "CT-7")
def test_a_subnets_deny_is_for_neighbours_too():
    found = layered({"deny": rule(4096, "Deny")}).ask("a", "b", protocol="Icmp")
    assert (found.access, found.rule, found.nic) == ("Deny", "deny", "b-nic")


@pytest.mark.azure("NSG-4", "CT-8")
def test_swapped_priorities_swap_the_verdict():
    assert layered({"d": rule(100, "Deny"), "a": rule(4096, "Allow")}).ask("c", "b").rule == "d"
    assert layered({"d": rule(4096, "Deny"), "a": rule(100, "Allow")}).ask("c", "b").rule == "a"


@pytest.mark.azure("NSG-21", "PIPE-6")
def test_replies_need_no_rule():
    lab = layered({"in": rule(100, "Allow", port=80), "no": rule(200, "Deny"), "out": rule(100, "Deny", "Outbound")})
    assert lab.ask("c", "b").answered
    assert not lab.allowed("b", "c")
    assert not lab.allowed("c", "b", 81)


@pytest.mark.azure("NSG-21", "NSG-10")
def test_ping_needs_no_rule_back():
    lab = layered({"in": rule(100, "Allow", protocol="Icmp"), "out": rule(100, "Deny", "Outbound")})
    assert lab.ask("c", "b", protocol="Icmp").answered


@pytest.mark.azure("NSG-17", "NSG-18", "CT-11", "PIPE-4")
def test_rules_see_the_private_destination_behind_a_public_ip():
    def lab(destination):
        return Lab(
            virtualNetworks={"v": vnet("10.0.0.0/16", x="10.0.1.0/24")},
            networkSecurityGroups={"n": nsg(r=rule(100, "Allow", destination=destination, port=22))},
            publicIPAddresses={"p": {"ipAddress": "20.61.0.9"}},
            virtualMachines={"a": {"subnet": "v/x", "publicIPAddress": "p", "networkSecurityGroup": "n"}},
            internet=HOSTS,
        )

    assert lab("20.61.0.9").ask("visitor", "p", 22).rule == "DenyAllInBound"
    found = lab("10.0.1.4").ask("visitor", "p", 22)
    assert (found.rule, str(found.sourceSeenAs), str(found.destinationSeenAs)) == ("r", "198.51.100.7", "10.0.1.4")


@pytest.mark.azure("NSG-17", "PIPE-3")
def test_outbound_rules_see_the_private_source_and_the_destination_as_sent():
    lab = layered({"r": rule(100, "Deny", "Outbound", source="10.0.1.4", destination="198.51.100.7")})
    assert lab.ask("a", "visitor").rule == "r"
    assert lab.ask("b", "visitor").rule == "AllowInternetOutBound"


@pytest.mark.azure("NSG-26", "NSG-25", "CT-10")
def test_no_https_to_the_internet_but_inside():
    lab = layered(None, {"r": rule(100, "Deny", "Outbound", protocol="Tcp", destination="Internet", port=443)})
    assert lab.ask("b", "visitor", 443).rule == "r"
    assert lab.allowed("b", "visitor", 80)
    assert lab.allowed("b", "c", 443)


@pytest.mark.azure("NSG-20", "NSG-7")
def test_internet_clients_do_not_match_azureloadbalancer():
    lab = Lab(
        virtualNetworks={"v": vnet("10.0.0.0/16", x="10.0.1.0/24")},
        networkSecurityGroups={"n": nsg(r=rule(100, "Allow", source="AzureLoadBalancer"))},
        publicIPAddresses={"p": {}},
        virtualMachines={"a": {"subnet": "v/x", "publicIPAddress": "p", "networkSecurityGroup": "n"}},
        internet=HOSTS,
    )
    assert lab.ask("visitor", "p").rule == "DenyAllInBound"


def tiers():
    """The ASG example of NSG-30."""

    def asg_rule(priority, access, source, destination, port, protocol="Tcp"):
        written = rule(priority, access, protocol=protocol, port=port)
        for side, name in (("source", source), ("destination", destination)):
            if name.startswith("asg-"):
                del written[f"{side}AddressPrefix"]
                written[f"{side}ApplicationSecurityGroups"] = name
            else:
                written[f"{side}AddressPrefix"] = name
        return written

    return Lab(
        virtualNetworks={"v": vnet("10.0.0.0/16", all=subnet("10.0.1.0/24", nsg="n"))},
        networkSecurityGroups={
            "n": nsg(
                web=asg_rule(100, "Allow", "Internet", "asg-web", 80),
                logic=asg_rule(110, "Allow", "asg-logic", "asg-db", 1433),
                db=asg_rule(120, "Deny", "*", "asg-db", 1433, "*"),
            )
        },
        applicationSecurityGroups={"asg-web": {}, "asg-logic": {}, "asg-db": {}},
        publicIPAddresses={"p": {}, "q": {}},
        virtualMachines={
            "web": {"subnet": "v/all", "applicationSecurityGroups": "asg-web", "publicIPAddress": "p"},
            "logic": {"subnet": "v/all", "applicationSecurityGroups": "asg-logic", "publicIPAddress": "q"},
            "db": {"subnet": "v/all", "applicationSecurityGroups": "asg-db"},
        },
        internet=HOSTS,
    )


@pytest.mark.azure("NSG-30", "NSG-29")
@pytest.mark.parametrize(
    ("source", "to", "port", "access", "rule_name"),
    [
        ("visitor", "p", 80, "Allow", "web"),
        ("visitor", "p", 443, "Deny", "DenyAllInBound"),
        ("visitor", "q", 80, "Deny", "DenyAllInBound"),
        ("logic", "db", 1433, "Allow", "logic"),
        ("web", "db", 1433, "Deny", "db"),
        ("web", "db", 22, "Allow", "AllowVnetInBound"),
        ("web", "logic", 1433, "Allow", "AllowVnetInBound"),
        ("db", "web", 80, "Allow", "AllowVnetInBound"),
    ],
)
def test_asg_worked_example(source, to, port, access, rule_name):
    found = tiers().ask(source, to, port)
    assert (found.access, found.rule) == (access, rule_name)


@pytest.mark.azure("NSG-33", "PIPE-5")
def test_every_nic_on_the_way_is_asked_with_the_same_packet():
    lab = layered(
        {},
        None,
        virtualNetworks={
            "v": vnet(
                "10.0.0.0/16",
                x=subnet("10.0.1.0/24", nsg="s", table="t"),
                m=subnet("10.0.3.0/24", nsg="s"),
                y=subnet("10.0.2.0/24", nsg="s"),
            )
        },
        routeTables={"t": routes(route("10.0.2.0/24", "VirtualAppliance", "10.0.3.4"))},
        virtualMachines={
            "a": {"subnet": "v/x"},
            "c": {"subnet": "v/y"},
            "nva": {"subnet": "v/m", "enableIPForwarding": True, "sysctls": FORWARDING},
        },
    )
    found = lab.ask("a", "c")
    assert found.via == ("nva",)
    assert [(place, direction) for place, direction, _ in gates(found)] == [
        ("v/x", "Outbound"),
        ("v/m", "Inbound"),
        ("v/m", "Outbound"),
        ("v/y", "Inbound"),
    ]
    assert len({step.packet for step in found.steps}) == 1


@pytest.mark.azure("NSG-33")
def test_the_appliances_nsg_may_refuse():
    lab = layered(
        None,
        {"no": rule(100, "Deny", source="10.0.1.0/24", destination="10.0.2.0/24")},
        virtualNetworks={
            "v": vnet("10.0.0.0/16", x=subnet("10.0.1.0/24", table="t"), m="10.0.3.0/24", y="10.0.2.0/24")
        },
        routeTables={"t": routes(route("10.0.2.0/24", "VirtualAppliance", "10.0.3.4"))},
        virtualMachines={
            "a": {"subnet": "v/x"},
            "c": {"subnet": "v/y"},
            "nva": {"subnet": "v/m", "enableIPForwarding": True, "networkSecurityGroup": "n", "sysctls": FORWARDING},
        },
    )
    found = lab.ask("a", "c")
    assert (found.stage, found.rule, found.nic, found.via) == ("nsg-in", "no", "nva-nic", ())


@pytest.mark.azure("NSG-15", "NW-3", "CT-9")
def test_nsgs_alone_are_asked_in_order_up_to_the_first_denial():
    lab = layered({"web": rule(100, "Allow", protocol="Tcp", port=80)}, {"ssh": rule(100, "Allow", port=22)})
    nic = lab.network.nics["b-nic"]
    client, server = int(lab.network.hosts["visitor"].address), int(nic.address)
    (only,) = lab.engine.evaluate_nsgs(nic, "Inbound", Packet(client, server, TCP, 5000, 22))
    assert (only.networkSecurityGroup, only.place, only.rule.name) == ("s", "v/x", "DenyAllInBound")
    assert [each.rule.name for each in only.considered] == [
        "web",
        "AllowVnetInBound",
        "AllowAzureLoadBalancerInBound",
        "DenyAllInBound",
    ]
    both = lab.engine.evaluate_nsgs(nic, "Inbound", Packet(server, server, TCP, 5000, 22))
    assert [(each.place, each.rule.name) for each in both] == [("v/x", "AllowVnetInBound"), ("b-nic", "ssh")]
    assert lab.engine.evaluate_nsgs(lab.network.nics["c-nic"], "Inbound", Packet(1, 2, TCP)) == ()


@pytest.mark.azure("NSG-22", "NSG-23", "PIPE-9")
def test_a_packet_of_a_known_flow_passes_whatever_the_rules_say_now_and_is_new_when_the_record_has_ended():
    shut = Lab(
        virtualNetworks={"v": vnet("10.0.0.0/16", s=subnet("10.0.0.0/24", nsg="shut"))},
        networkSecurityGroups={"shut": nsg(no=rule(100, "Deny"))},
        virtualMachines={"a": {"subnet": "v/s"}, "b": {"subnet": "v/s"}},
    )
    flow = Flow("a", shut.network.machines["b"].nics[0].address, "Udp", 53, 5000)
    packet = packet_of(flow, int(shut.network.machines["a"].nics[0].address))
    records = frozenset({("a-nic", packet), ("b-nic", packet.reversed())})
    known = shut.engine.judge(flow, records)
    assert (known.access, known.answered, known.rule) == ("Allow", True, None)
    assert [step.kind for step in known.steps].count("flow-record") == 2
    assert shut.engine.judge(flow, frozenset({("a-nic", packet)})).rule == "no"
    assert shut.engine.judge(flow).rule == "no"


@pytest.mark.azure("NSG-22")
def test_a_new_connection_between_the_same_ports_is_evaluated_though_the_old_one_is_known():
    shut = Lab(
        virtualNetworks={"v": vnet("10.0.0.0/16", s=subnet("10.0.0.0/24", nsg="shut"))},
        networkSecurityGroups={"shut": nsg(no=rule(100, "Deny"))},
        virtualMachines={"a": {"subnet": "v/s"}, "b": {"subnet": "v/s"}},
    )
    flow = Flow("a", shut.network.machines["b"].nics[0].address, "Tcp", 80, 5000)
    packet = packet_of(flow, int(shut.network.machines["a"].nics[0].address))
    records = frozenset({("a-nic", packet), ("b-nic", packet.reversed())})
    assert shut.engine.judge(flow, records).rule == "no"
