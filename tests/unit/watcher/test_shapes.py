"""Answers that no recording holds: user's rules and routes, ASGs, tags, peerings, appliances."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import IPv4Address
from typing import Any

import pytest
from azure_networks import FORWARDING, HOSTS, Lab, nsg, peering, route, routes, rule, subnet, vnet

from netemu.watcher import question
from netemu.watcher.connectivity import connectivity_check
from netemu.watcher.flow import configuration_diagnostic, ip_flow_verify
from netemu.watcher.routes import effective_route_table, next_hop
from netemu.watcher.rules import effective_security_groups, security_group_view
from netemu.watcher.topology import topology
from netemu.watcher.walk import verdict_data

GROUP = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/lab/providers"
NETWORK = f"{GROUP}/Microsoft.Network"


@pytest.fixture(scope="module")
def lab() -> Lab:
    """A hub with an appliance and a spoke with a web server and a database, and a visitor."""
    web = rule(100, "Allow", protocol="Tcp", source="198.51.100.0/24", port=["80", "8000-8080"])
    storage = rule(110, "Allow", "Outbound", protocol="Tcp", destination="Storage.westeurope", port="443")
    several = rule(120, "Deny", protocol="Udp", source=["10.9.0.0/16", "192.0.2.7"])
    asg = rule(130, "Allow", protocol="Icmp")
    asg["sourceApplicationSecurityGroups"], asg["destinationApplicationSecurityGroups"] = ["web"], ["db"]
    del asg["sourceAddressPrefix"], asg["destinationAddressPrefix"]
    table = routes(
        route("10.1.0.0/16", "VirtualAppliance", "10.0.9.4"),
        route("203.0.113.0/24", "None"),
        route("0.0.0.0/0", "VirtualAppliance", "10.0.9.4"),
    )
    return Lab(
        virtualNetworks={
            "hub": vnet("10.0.0.0/16", peerings=peering("spoke", allowForwardedTraffic=True), fw="10.0.9.0/24"),
            "spoke": vnet(
                "10.1.0.0/16",
                peerings=peering("hub", allowForwardedTraffic=True),
                web=subnet("10.1.1.0/24", nsg="web-nsg", table="through-fw"),
                db=subnet("10.1.2.0/24"),
            ),
        },
        routeTables={"through-fw": {**table, "disableBgpRoutePropagation": True}},
        networkSecurityGroups={
            "web-nsg": nsg(**{"allow-web": web, "to-storage": storage, "no-udp": several, "ping-db": asg}),
            "db-nsg": nsg(none=rule(100, "Deny", port="1433")),
        },
        applicationSecurityGroups={"web": {}, "db": {}, "empty": {}},
        publicIPAddresses={"web-ip": {"ipAddress": "20.61.0.10"}, "spare": {}},
        virtualMachines={
            "fw": {
                "subnet": "hub/fw", "privateIPAddress": "10.0.9.4", "enableIPForwarding": True, "sysctls": FORWARDING
            },
            "web1": {"subnet": "spoke/web", "publicIPAddress": "web-ip", "applicationSecurityGroups": ["web"]},
            "db1": {
                "subnet": "spoke/db", "networkSecurityGroup": "db-nsg", "applicationSecurityGroups": ["db"],
                "location": "northeurope",
            },
        },
        internet=HOSTS,
    )  # fmt: skip


def verified(lab: Lab, asked: question.Question) -> dict[str, Any]:
    assert asked.nic is not None
    return ip_flow_verify(lab.engine, asked.nic, asked.direction, asked.packet)


# ---- IP flow verify --------------------------------------------------------------------------------------------------


@pytest.mark.azure("NW-2", "NSG-35")
def test_a_rule_of_the_users_has_an_id_and_a_default_rule_has_none(lab: Lab) -> None:
    asked = question.inbound(lab.engine, "web1", "visitor", question.Ports("Tcp", 8000))
    rule_id = f"{NETWORK}/networkSecurityGroups/web-nsg/securityRules/allow-web"
    assert verified(lab, asked) == {"access": "Allow", "ruleName": "securityRules/allow-web", "ruleId": rule_id}


@pytest.mark.azure("NW-3", "NSG-15", "CT-9")
def test_the_first_nsg_that_denies_is_named_and_otherwise_the_last_one_asked(lab: Lab) -> None:
    ask = question.outbound(lab.engine, "web1", "db1", question.Ports("Tcp", 1433))
    assert verified(lab, ask)["ruleName"] == "defaultSecurityRules/AllowVnetOutBound"
    denied = question.inbound(lab.engine, "db1", "web1", question.Ports("Tcp", 1433))
    assert verified(lab, denied)["access"] == "Deny"
    assert verified(lab, denied)["ruleName"] == "securityRules/none"


def test_without_an_nsg_everything_passes_by_no_rule(lab: Lab) -> None:
    asked = question.inbound(lab.engine, "fw", "web1", question.Ports("Udp", 53))
    assert verified(lab, asked) == {"access": "Allow", "ruleName": "", "ruleId": ""}
    answer = configuration_diagnostic(lab.engine, lab.network.nics["fw-nic"], "Inbound", asked.packet)
    assert answer["results"][0]["networkSecurityGroupResult"] == {
        "securityRuleAccessResult": "Allow",
        "evaluatedNetworkSecurityGroups": [],
    }


@pytest.mark.azure("NSG-10", "NSG-36")
def test_icmp_has_no_ports_and_does_not_fit_a_rule_that_names_some(lab: Lab) -> None:
    asked = question.inbound(lab.engine, "web1", "visitor", question.Ports("icmp"))
    assert asked.nic is not None
    answer = configuration_diagnostic(lab.engine, asked.nic, asked.direction, asked.packet)["results"][0]
    assert "destinationPort" not in answer["profile"]
    (group,) = answer["networkSecurityGroupResult"]["evaluatedNetworkSecurityGroups"]
    assert group["appliedTo"] == f"{NETWORK}/virtualNetworks/spoke/subnets/web"
    first = group["rulesEvaluationResult"][0]
    assert first == {
        "name": "UserRule_allow-web",
        "protocolMatched": False,
        "sourceMatched": True,
        "sourcePortMatched": False,
        "destinationMatched": True,
        "destinationPortMatched": False,
    }


# ---- rules -----------------------------------------------------------------------------------------------------------


@pytest.mark.azure("NSG-12", "NSG-13", "NSG-28", "NSG-29", "NSG-35")
def test_lists_tags_and_asgs_are_written_out(lab: Lab) -> None:
    (group,) = effective_security_groups(lab.engine, lab.network.nics["web1-nic"])["value"]
    assert group["association"] == {"subnet": {"id": f"{NETWORK}/virtualNetworks/spoke/subnets/web"}}
    rules = {each["name"].removeprefix("securityRules/"): each for each in group["effectiveSecurityRules"]}
    assert list(rules)[:4] == ["allow-web", "no-udp", "ping-db", "to-storage"]  # inbound first, by priority
    assert rules["allow-web"]["destinationPortRanges"] == ["80-80", "8000-8080"]
    assert "destinationPortRange" not in rules["allow-web"]
    assert rules["no-udp"]["sourceAddressPrefixes"] == ["10.9.0.0/16", "192.0.2.7/32"]
    assert "sourceAddressPrefix" not in rules["no-udp"]
    assert rules["ping-db"]["protocol"] == "Icmp"
    assert rules["ping-db"]["sourceAddressPrefixes"] == ["10.1.1.4/32"]
    assert rules["ping-db"]["destinationAddressPrefixes"] == ["10.1.2.4/32"]
    assert rules["to-storage"]["destinationAddressPrefix"] == "Storage.westeurope"
    assert rules["to-storage"]["expandedDestinationAddressPrefix"] == group["tagMap"]["Storage.westeurope"]
    # The route table's 0.0.0.0/0 makes everything VirtualNetwork (NSG-25).
    assert group["tagMap"]["VirtualNetwork"] == [
        "10.1.0.0/16", "10.0.0.0/16", "203.0.113.0/24", "0.0.0.0/0", "168.63.129.16/32"
    ]  # fmt: skip
    assert group["tagMap"]["Internet"] == []


@pytest.mark.azure("NW-5", "NSG-15")
def test_a_nic_with_two_nsgs_has_two_answers() -> None:
    lab = Lab(
        virtualNetworks={"net": vnet("10.0.0.0/16", front=subnet("10.0.1.0/24", nsg="a"))},
        networkSecurityGroups={"a": nsg(), "b": nsg()},
        virtualMachines={"vm": {"subnet": "net/front", "networkSecurityGroup": "b"}},
    )
    answer = effective_security_groups(lab.engine, lab.network.nics["vm-nic"])["value"]
    assert [(list(each["association"]), each["networkSecurityGroup"]["id"][-2:]) for each in answer] == [
        (["networkInterface"], "/b"), (["subnet"], "/a")
    ]  # fmt: skip


@pytest.mark.azure("NW-6")
def test_the_security_group_view_has_rules_as_written_and_as_they_apply(lab: Lab) -> None:
    (interface,) = security_group_view(lab.engine, lab.network.machines["db1"])["networkInterfaces"]
    assert interface["id"] == f"{NETWORK}/networkInterfaces/db1-nic"
    view = interface["securityRuleAssociations"]
    assert list(view) == ["networkInterfaceAssociation", "defaultSecurityRules", "effectiveSecurityRules"]
    assert view["networkInterfaceAssociation"] == {
        "id": f"{NETWORK}/networkInterfaces/db1-nic",
        "securityRules": [
            {
                "name": "none",
                "id": f"{NETWORK}/networkSecurityGroups/db-nsg/securityRules/none",
                "protocol": "*",
                "sourcePortRange": "*",
                "sourceAddressPrefix": "*",
                "destinationPortRange": "1433",
                "destinationAddressPrefix": "*",
                "access": "Deny",
                "priority": 100,
                "direction": "Inbound",
            }
        ],
    }
    assert len(view["defaultSecurityRules"]) == 6
    assert view["effectiveSecurityRules"][0]["name"] == "securityRules/none"
    web = security_group_view(lab.engine, lab.network.machines["web1"])["networkInterfaces"][0]
    written = web["securityRuleAssociations"]["subnetAssociation"]["securityRules"]
    asg = next(each for each in written if each["name"] == "ping-db")
    assert asg["sourceApplicationSecurityGroups"] == [{"id": f"{NETWORK}/applicationSecurityGroups/web"}]
    assert "sourceAddressPrefix" not in asg


# ---- routes ----------------------------------------------------------------------------------------------------------


@pytest.mark.azure("RT-9", "RT-19", "RT-20", "RT-26", "PEER-7")
def test_effective_routes_have_the_invalid_ones_in_their_place_and_the_users_at_the_end(lab: Lab) -> None:
    rows = [
        (
            each["source"], each["state"], *each["addressPrefix"], each["nextHopType"], *each["nextHopIpAddress"],
            each.get("name", "-"),
        )
        for each in effective_route_table(lab.engine, lab.network.nics["web1-nic"])["value"]
    ]  # fmt: skip
    assert rows == [
        ("Default", "Invalid", "10.1.0.0/16", "VnetLocal", "-"),
        ("Default", "Active", "10.0.0.0/16", "VNetPeering", "-"),
        ("Default", "Invalid", "0.0.0.0/0", "Internet", "-"),
        ("Default", "Active", "10.0.0.0/8", "None", "-"),
        ("Default", "Active", "100.64.0.0/10", "None", "-"),
        ("Default", "Active", "172.16.0.0/12", "None", "-"),
        ("Default", "Active", "192.168.0.0/16", "None", "-"),
        ("User", "Active", "0.0.0.0/0", "VirtualAppliance", "10.0.9.4", "r2"),
        ("User", "Active", "10.1.0.0/16", "VirtualAppliance", "10.0.9.4", "r0"),
        ("User", "Active", "203.0.113.0/24", "None", "r1"),
    ]
    answer = effective_route_table(lab.engine, lab.network.nics["web1-nic"])["value"]
    assert all(each["disableBgpRoutePropagation"] for each in answer)


@pytest.mark.azure("NW-4", "CT-52")
@pytest.mark.parametrize(
    ("vm", "to", "answer"),
    [
        (
            "web1", "8.8.8.8",
            {
                "nextHopType": "VirtualAppliance", "nextHopIpAddress": "10.0.9.4",
                "routeTableId": f"{NETWORK}/routeTables/through-fw",
            },
        ),
        ("web1", "203.0.113.9", {"nextHopType": "None", "routeTableId": f"{NETWORK}/routeTables/through-fw"}),
        ("web1", "fw", {"nextHopType": "VNetPeering", "routeTableId": "System Route"}),
        ("db1", "web1", {"nextHopType": "VnetLocal", "routeTableId": "System Route"}),
        ("db1", "192.168.0.1", {"nextHopType": "None", "routeTableId": "System Route"}),
    ],
)  # fmt: skip
def test_the_next_hop_has_an_address_and_a_route_table_only_where_the_users_route_has(
    lab: Lab, vm: str, to: str, answer: dict[str, str]
) -> None:
    assert next_hop(lab.engine, *question.towards(lab.engine, vm, to)) == answer


# ---- the walk --------------------------------------------------------------------------------------------------------


def test_a_walk_as_data_has_every_rule_and_route_that_was_looked_at(lab: Lab) -> None:
    asked = question.outbound(lab.engine, "web1", "db1", question.Ports("Tcp", 5432))
    assert asked.flow is not None
    data = verdict_data(lab.engine, lab.engine.judge(asked.flow))
    assert (data["access"], data["via"], data["receiver"], data["answered"]) == ("Allow", ["fw"], "db1", True)
    kinds = [step["kind"] for step in data["steps"]]
    assert kinds == ["security-group", "route", "appliance", "route", "security-group", "end"]
    first = data["steps"][0]
    assert first["packet"] == {
        "protocol": "Tcp", "source": "10.1.1.4", "destination": "10.1.2.4", "sourcePort": 49152, "destinationPort": 5432,
    }  # fmt: skip
    assert [(each["name"], each["matched"], each.get("why")) for each in first["rules"]] == [
        (
            "securityRules/to-storage", False,
            "destination port 5432 is not in its ports",
        ),
        ("defaultSecurityRules/AllowVnetOutBound", True, None),
    ]  # fmt: skip
    second = data["steps"][1]
    assert second["route"]["name"] == "r0"
    assert [(each["source"], *each["addressPrefix"], each["why"]) for each in second["losers"]] == [
        ("User", "0.0.0.0/0", "10.1.0.0/16 is a longer prefix than 0.0.0.0/0"),
        ("Default", "0.0.0.0/0", "a user-defined route has the same prefix 0.0.0.0/0"),
        ("Default", "10.0.0.0/8", "10.1.0.0/16 is a longer prefix than 10.0.0.0/8"),
        ("Default", "10.1.0.0/16", "a user-defined route has the same prefix 10.1.0.0/16"),
    ]
    assert [step["kind"] for step in data["reply"]["steps"]] == ["flow-record", "route", "flow-record", "end"]


# ---- connectivity ----------------------------------------------------------------------------------------------------


def checked(lab: Lab, source: str, to: str, port: int) -> dict[str, Any]:
    asked = question.outbound(lab.engine, source, to, question.Ports("Tcp", port))
    assert asked.flow is not None
    return connectivity_check(lab.engine, asked.flow, lab.engine.judge(asked.flow))


def issues(answer: dict[str, Any]) -> list[list[tuple[str, str, dict[str, str]]]]:
    return [
        [(each["origin"], each["type"], {x["key"]: x["value"] for x in each["context"]}) for each in hop["issues"]]
        for hop in answer["hops"]
    ]


@pytest.mark.azure("NW-12")
def test_appliances_are_hops_and_a_denial_is_an_issue_of_the_hop_where_it_falls(lab: Lab) -> None:
    reachable = checked(lab, "web1", "db1", 5432)
    assert reachable["connectionStatus"] == "Reachable"
    assert [(hop["type"], hop["address"], hop["resourceId"].rpartition("/")[2]) for hop in reachable["hops"]] == [
        ("Source", "10.1.1.4", "web1"), ("VirtualAppliance", "10.0.9.4", "fw"), ("Destination", "10.1.2.4", "db1")
    ]  # fmt: skip
    assert issues(reachable) == [[], [], []]
    ids = [hop["id"] for hop in reachable["hops"]]
    assert [hop["nextHopIds"] for hop in reachable["hops"]] == [[ids[1]], [ids[2]], []]
    denied = checked(lab, "web1", "db1", 1433)
    assert denied["connectionStatus"] == "Unreachable"
    assert issues(denied) == [[], [], [("Inbound", "NetworkSecurityRule", {"RuleName": "UserRule_none"})]]


@pytest.mark.azure("NW-12", "RT-4")
def test_a_route_of_the_users_that_drops_is_told_from_azures_own(lab: Lab) -> None:
    answer = checked(lab, "web1", "other", 80)
    user = ("Outbound", "UserDefinedRoute", {"RouteType": "User"})
    assert issues(answer) == [[("Local", "RouteMissing", {}), user], []]
    assert "resourceId" not in answer["hops"][-1]


@pytest.mark.azure("NW-12", "NIC-7")
def test_an_appliance_that_does_not_forward_is_a_hop_with_an_issue() -> None:
    lab = Lab(
        virtualNetworks={
            "net": vnet("10.0.0.0/16", a=subnet("10.0.1.0/24", table="rt"), b="10.0.2.0/24", c="10.0.3.0/24")
        },
        routeTables={"rt": routes(route("10.0.2.0/24", "VirtualAppliance", "10.0.3.4"))},
        virtualMachines={"x": {"subnet": "net/a"}, "y": {"subnet": "net/b"}, "fw": {"subnet": "net/c"}},
    )
    answer = checked(lab, "x", "y", 80)
    assert [hop["type"] for hop in answer["hops"]] == ["Source", "VirtualAppliance", "Destination"]
    assert issues(answer) == [[], [("Inbound", "Platform", {})], []]


def test_the_way_to_the_internet_is_an_internet_link(lab: Lab) -> None:
    answer = checked(lab, "db1", "visitor", 80)
    assert answer["connectionStatus"] == "Reachable"
    assert [link["linkType"] for link in answer["hops"][0]["links"]] == ["Internet"]


# ---- topology --------------------------------------------------------------------------------------------------------


@pytest.mark.azure("NW-14", "CT-53")
def test_nsgs_route_tables_and_public_ips_are_part_of_the_topology(lab: Lab) -> None:
    answer = topology(lab.network, datetime(2024, 5, 1, tzinfo=UTC), datetime(2024, 4, 1, 12, 30, tzinfo=UTC))
    assert (answer["createdDateTime"], answer["lastModified"]) == (
        "2024-05-01T00:00:00.000000Z", "2024-04-01T12:30:00.000000Z"
    )  # fmt: skip
    found = {
        each["id"].removeprefix(f"{GROUP}/"): [
            (other["associationType"], other["resourceId"].removeprefix(f"{GROUP}/")) for other in each["associations"]
        ]
        for each in answer["resources"]
    }
    assert found["Microsoft.Network/networkInterfaces/web1-nic"] == [
        ("Associated", "Microsoft.Compute/virtualMachines/web1"),
        ("Associated", "Microsoft.Network/virtualNetworks/spoke/subnets/web"),
        ("Associated", "Microsoft.Network/publicIPAddresses/web-ip"),
    ]
    assert found["Microsoft.Network/virtualNetworks/spoke/subnets/web"] == [
        ("Associated", "Microsoft.Network/networkSecurityGroups/web-nsg"),
        ("Associated", "Microsoft.Network/routeTables/through-fw"),
    ]
    assert found["Microsoft.Network/networkSecurityGroups/db-nsg"] == [
        ("Contains", "Microsoft.Network/networkSecurityGroups/db-nsg/securityRules/none")
    ]
    assert found["Microsoft.Network/publicIPAddresses/web-ip"] == [
        ("Associated", "Microsoft.Network/networkInterfaces/web1-nic")
    ]
    assert found["Microsoft.Network/publicIPAddresses/spare"] == []
    # Whatever is associated with something is itself there.
    assert {there for associations in found.values() for _, there in associations} <= found.keys()
    locations = {each["name"]: each["location"] for each in answer["resources"]}
    assert (locations["db1"], locations["web1"]) == ("northeurope", "westeurope")
    assert topology(lab.network, datetime.now(UTC), datetime.now(UTC))["id"] == answer["id"]


@pytest.mark.azure("NW-14")
def test_load_balancers_and_nat_gateways_are_part_of_the_topology() -> None:
    lab = Lab(
        virtualNetworks={
            "net": {
                "addressSpace": "10.0.0.0/16",
                "subnets": {"web": {"addressPrefix": "10.0.1.0/24", "natGateway": "out"}},
            }
        },
        publicIPAddresses={"lb-ip": {}, "out-ip": {}},
        natGateways={"out": {"publicIPAddresses": ["out-ip"]}},
        loadBalancers={
            "lb": {
                "frontendIPConfigurations": {"front": {"publicIPAddress": "lb-ip"}},
                "backendAddressPools": {"pool": ["web1"]},
            },
            "inner": {"frontendIPConfigurations": {"front": {"subnet": "net/web"}}},
        },
        virtualMachines={"web1": {"subnet": "net/web"}},
    )
    answer = topology(lab.network, datetime.now(UTC), datetime.now(UTC))
    found = {
        each["id"].removeprefix(f"{NETWORK}/"): [
            (other["associationType"], other["resourceId"].removeprefix(f"{NETWORK}/"))
            for other in each["associations"]
        ]
        for each in answer["resources"]
    }
    front = "loadBalancers/lb/frontendIPConfigurations/front"
    assert found["loadBalancers/lb"] == [("Contains", front), ("Contains", "loadBalancers/lb/backendAddressPools/pool")]
    assert found[front] == [("Associated", "publicIPAddresses/lb-ip")]
    assert found["publicIPAddresses/lb-ip"] == [("Associated", front)]
    assert found["loadBalancers/lb/backendAddressPools/pool"] == [("Associated", "networkInterfaces/web1-nic")]
    assert found["loadBalancers/inner/frontendIPConfigurations/front"] == [
        ("Associated", "virtualNetworks/net/subnets/web")
    ]
    assert found["virtualNetworks/net/subnets/web"] == [("Associated", "natGateways/out")]
    assert found["natGateways/out"] == [("Associated", "publicIPAddresses/out-ip")]
    assert found["publicIPAddresses/out-ip"] == [("Associated", "natGateways/out")]
    there = {each["id"] for each in answer["resources"]}
    assert all(other["resourceId"] in there for each in answer["resources"] for other in each["associations"])


def test_every_address_of_an_answer_is_one(lab: Lab) -> None:
    for hop in checked(lab, "web1", "db1", 5432)["hops"]:
        IPv4Address(hop["address"])
