"""What beginners trip over: each is called by its name, and following the advice makes the flow work."""

from __future__ import annotations

import pytest
from advice import verdict_after, why, works

STAR = {
    "sourceAddressPrefix": "*",
    "sourcePortRange": "*",
    "destinationAddressPrefix": "*",
    "destinationPortRange": "*",
}


def rule(priority, access, direction="Inbound", protocol="Tcp", **others):
    return {"priority": priority, "access": access, "direction": direction, "protocol": protocol, **STAR, **others}


def two_tiers(*rules, web=None, **machine):
    """web1 and db1 in two subnets; the rules are those of the database's NSG."""
    return {
        "virtualNetworks": {
            "net": {
                "addressSpace": "10.0.0.0/16",
                "subnets": {
                    "web": {"addressPrefix": "10.0.1.0/24", **(web or {})},
                    "db": {"addressPrefix": "10.0.2.0/24", "networkSecurityGroup": "db-nsg"},
                },
            }
        },
        "networkSecurityGroups": {"db-nsg": {"securityRules": {f"r{i}": each for i, each in enumerate(rules)}}},
        "virtualMachines": {"web1": {"subnet": "net/web"}, "db1": {"subnet": "net/db", **machine}},
        "internet": {"hosts": {"visitor": {"ipAddress": "198.51.100.7"}}},
    }


def advised(data, *question, obstacles=1):
    """The explanation of a flow that does not work, and does when the advice is followed."""
    found = why(data, *question)
    assert not found.works
    assert found.works_then
    assert len(found.obstacles) == obstacles
    first = [obstacle.remedies[0] for obstacle in found.obstacles]
    assert works(verdict_after(data, found, first))
    return found


def texts(obstacle):
    return [remedy.text for remedy in obstacle.remedies]


# ---- security rules --------------------------------------------------------------------------------------------------


def test_a_default_rule_that_denies_is_named_with_a_rule_that_would_help():
    deny = rule(4096, "Deny", protocol="*", sourceAddressPrefix="VirtualNetwork")
    found = advised(two_tiers(deny), "web1", "db1", 5432).obstacles[0]
    assert found.what == "is denied by rule `r0` (4096) of `db-nsg` on subnet `net/db`, inbound"
    assert (found.networkSecurityGroup, found.rule, found.direction) == ("db-nsg", "r0", "Inbound")
    assert texts(found) == [
        "a rule allowing Tcp/5432 from 10.0.1.0/24 with priority 100 (before 4096) in `db-nsg` would let it through"
    ]
    (edit,) = found.remedies[0].edits
    assert edit.path == ("networkSecurityGroups", "db-nsg", "securityRules", "allow-tcp-5432")
    assert edit.value["sourceAddressPrefix"] == "10.0.1.0/24"


def test_the_advised_priority_comes_after_rules_that_decide_about_others():
    deny = rule(200, "Deny", protocol="*")
    others = rule(150, "Allow", sourceAddressPrefix="10.0.9.0/24"), rule(190, "Deny", sourceAddressPrefix="10.0.8.0/24")
    assert "with priority 199 (before 200)" in texts(advised(two_tiers(*others, deny), "web1", "db1").obstacles[0])[0]


def test_where_no_priority_is_free_before_the_denial_the_rules_behind_make_room():
    rules = [rule(100, "Deny", protocol="*"), rule(101, "Allow", protocol="Udp"), rule(103, "Allow", "Outbound")]
    found = advised(two_tiers(*rules), "web1", "db1").obstacles[0]
    edits = {edit.path[3:]: edit.value for edit in found.remedies[0].edits}
    assert edits[("allow-tcp-80",)]["priority"] == 100
    assert edits[("r0", "priority")] == 101
    assert edits[("r1", "priority")] == 102
    assert len(edits) == 3


def test_a_priority_that_azure_has_not_is_never_advised():
    found = advised(two_tiers(rule(4096, "Deny", protocol="Udp"), rule(4095, "Deny")), "web1", "db1").obstacles[0]
    assert found.remedies[0].edits[0].value["priority"] < 4095
    public_only = public(rule(4096, "Allow", destinationPortRange=80))
    found = advised(public_only, "visitor", "db-ip", 443).obstacles[0]
    assert found.rule == "DenyAllInBound"
    assert found.remedies[0].edits[0].value["priority"] == 4095


def test_equal_addresses_in_another_network_do_not_narrow_the_advice():
    data = two_tiers(rule(4096, "Deny", protocol="*"))
    data["virtualNetworks"]["twin"] = {
        "addressSpace": "10.0.0.0/16", "subnets": {"web": {"addressPrefix": "10.0.1.0/24"}},
    }  # fmt: skip
    found = advised(data, "web1", "db1").obstacles[0]
    assert found.remedies[0].edits[0].value["sourceAddressPrefix"] == "10.0.1.0/24"


def test_addresses_that_a_lab_has_given_out_stay_while_advice_is_tried():
    from ipaddress import IPv4Address

    from advice import flow, network_of

    from netemu.azure.given import Given
    from netemu.azure.network import resolve
    from netemu.explain import explain

    scenario = network_of(two_tiers(rule(200, "Deny", protocol="*"))).scenario
    network = resolve(scenario, Given(addresses={"db1-nic/ipconfig1": IPv4Address("10.0.2.77")}))
    asked = flow(network, "web1", "db1")
    assert str(asked.destinationAddress) == "10.0.2.77"
    assert explain(network, asked).works_then


def test_what_azure_would_refuse_is_no_advice():
    from advice import network_of

    from netemu.explain.edits import Edit, edited

    scenario = network_of(two_tiers(rule(200, "Deny"))).scenario
    path = ("networkSecurityGroups", "db-nsg", "securityRules", "again")
    assert edited(scenario, (Edit(path, rule(201, "Deny")),)) is not None
    assert edited(scenario, (Edit(path, rule(200, "Deny")),)) is None
    assert edited(scenario, (Edit(("virtualMachines", "web1", "colour"), "blue"),)) is None


def test_a_denial_of_one_machine_is_answered_by_a_rule_for_that_machine_only():
    found = advised(two_tiers(rule(100, "Deny", sourceAddressPrefix="10.0.1.4")), "web1", "db1").obstacles[0]
    assert found.remedies[0].edits[0].value["sourceAddressPrefix"] == "10.0.1.4"


def test_an_outbound_denial_is_answered_by_an_outbound_rule():
    data = two_tiers(rule(100, "Deny", "Outbound", protocol="*"))
    found = advised(data, "db1", "web1", None, "Icmp").obstacles[0]
    assert found.what.endswith("on subnet `net/db`, outbound")
    assert "a rule allowing Icmp to 10.0.1.0/24" in texts(found)[0]


def test_a_shadowed_rule_is_found_and_moved():
    data = two_tiers(rule(200, "Deny", protocol="*"), rule(300, "Allow", destinationPortRange=5432))
    found = advised(data, "web1", "db1", 5432).obstacles[0]
    assert found.hints == ("`r1` (300) allows it, but `r0` (200) comes first",)
    assert texts(found)[0] == "priority 100 for `r1` (before 200) would let it through"
    assert len(found.remedies) == 2


def test_two_nsgs_that_deny_are_told_one_after_the_other():
    data = two_tiers(rule(100, "Deny", protocol="*"), networkSecurityGroup="nic-nsg")
    data["networkSecurityGroups"]["nic-nsg"] = {"securityRules": {"no": rule(100, "Deny", protocol="*")}}
    first, second = advised(data, "web1", "db1", obstacles=2).obstacles
    assert first.what.endswith("on subnet `net/db`, inbound")
    assert second.what == "is denied by rule `no` (100) of `nic-nsg` on NIC `db1-nic`, inbound"


def public(*rules, **machine):
    data = two_tiers(*rules, publicIPAddress="db-ip", **machine)
    data["publicIPAddresses"] = {"db-ip": {"ipAddress": "20.61.0.10"}}
    return data


def test_a_rule_for_the_public_address_is_told_from_one_for_the_private_one():
    data = public(rule(100, "Allow", destinationAddressPrefix="20.61.0.10", destinationPortRange=443))
    found = advised(data, "visitor", "db-ip", 443).obstacles[0]
    assert found.hints == (
        "`r0` (100) would allow it, but it names the public address 20.61.0.10, and rules see the private one behind it,"
        " 10.0.2.4 (NSG-17, NSG-18)",
    )
    assert texts(found)[0] == "destinationAddressPrefix 10.0.2.4 for `r0` would let it through"


def test_a_rule_for_the_callers_private_address_does_not_see_who_calls_a_public_one():
    data = public(
        rule(100, "Allow", sourceAddressPrefix="10.0.1.0/24", destinationPortRange=443),
        rule(200, "Deny", protocol="*"),
    )
    found = advised(data, "web1", "db-ip", 443).obstacles[0]
    assert "names the private address of `web1`" in found.hints[0]
    assert "(OUT-21)" in found.hints[0]
    assert found.remedies[0].text == "call `db1` by its private address, 10.0.2.4"
    assert found.remedies[0].to == "db1-nic"


def test_a_rule_that_names_source_ports_is_told():
    data = two_tiers(rule(100, "Allow", sourcePortRange=443), rule(200, "Deny", protocol="*"))
    found = advised(data, "web1", "db1", 443).obstacles[0]
    assert found.hints[0].startswith("`r0` (100) would allow it, but it names source ports, and clients use any port")
    assert found.remedies[0].edits[0].path[-1] == "sourcePortRange"


def test_a_machine_that_is_no_member_of_the_group_is_told():
    allow = rule(100, "Allow", sourceApplicationSecurityGroups="callers")
    del allow["sourceAddressPrefix"]
    data = two_tiers(allow, rule(200, "Deny", protocol="*"))
    data["applicationSecurityGroups"] = {"callers": {}}
    found = advised(data, "web1", "db1").obstacles[0]
    assert found.hints == ("`r0` (100) would allow it, but its source is ASG `callers`, and `web1-nic` is no member",)
    assert found.remedies[0].edits[0].path == ("virtualMachines", "web1", "applicationSecurityGroups")


def test_a_platform_tag_that_is_denied_is_answered_by_one_that_is_allowed():
    data = two_tiers(rule(100, "Deny", "Outbound", protocol="*", destinationAddressPrefix="AzurePlatformDNS"))
    found = advised(data, "db1", "168.63.129.16", 53, "Udp").obstacles[0]
    assert "a rule allowing Udp/53 to AzurePlatformDNS" in texts(found)[0]


def test_a_standard_public_ip_without_an_nsg_is_closed():
    data = public()
    del data["virtualNetworks"]["net"]["subnets"]["db"]["networkSecurityGroup"]
    found = advised(data, "visitor", "db-ip", 443).obstacles[0]
    assert found.what.startswith("is dropped: `db-ip` is Standard, which is closed while neither NIC `db1-nic` nor")
    assert texts(found) == ["an NSG on `db1-nic` with a rule allowing Tcp/443 from 198.51.100.7 would let it through"]


# ---- routes and appliances -------------------------------------------------------------------------------------------


def through(hop="10.0.9.4", prefix="10.0.2.0/24", back=True, dmz=None, **firewall):
    """web1 to db1 through fw; and back, if there is a route back."""
    data = two_tiers(web={"routeTable": "out"})
    subnets = data["virtualNetworks"]["net"]["subnets"]
    subnets["dmz"] = {"addressPrefix": "10.0.9.0/24", **(dmz or {})}
    via = {"nextHopType": "VirtualAppliance", "nextHopIpAddress": hop}
    data["routeTables"] = {"out": {"routes": {"to-db": {"addressPrefix": prefix, **via}}}}
    if back:
        subnets["db"]["routeTable"] = "in"
        data["routeTables"]["in"] = {"routes": {"to-web": {"addressPrefix": "10.0.1.0/24", **via}}}
    data["virtualMachines"]["fw"] = {"subnet": "net/dmz", **firewall}
    return data


FORWARDS = {"enableIPForwarding": True, "sysctls": {"net.ipv4.ip_forward": "1"}}


def test_through_an_appliance_that_forwards_it_works():
    found = why(through(**FORWARDS), "web1", "db1")
    assert found.works
    assert not found.notes


@pytest.mark.parametrize(
    ("switches", "what", "path"),
    [
        ({"sysctls": {"net.ipv4.ip_forward": "1"}}, "is dropped at NIC `fw-nic` of `fw`: 10.0.2.4 is not its own, and"
         " enableIPForwarding is false (NIC-7); route `to-db` of `out` sends it there", "enableIPForwarding"),
        ({"enableIPForwarding": True}, "is dropped inside `fw`, whose guest does not forward: net.ipv4.ip_forward is not"
         " 1 (NIC-9); route `to-db` of `out` sends it there", "sysctls"),
    ],
)  # fmt: skip
def test_an_appliance_that_does_not_forward_is_told(switches, what, path):
    found = advised(through(**switches), "web1", "db1").obstacles[0]
    assert found.what == what
    assert len(found.remedies) == 1, "without the route it would get there, but its answer would be lost"
    assert found.remedies[0].edits[0].path == ("virtualMachines", "fw", path)
    found = advised(through(back=False, **switches), "web1", "db1").obstacles[0]
    assert "without route `to-db` of `out` it would not go there" in texts(found)


def test_an_appliance_without_any_switch_is_told_both():
    first, second = advised(through(), "web1", "db1", obstacles=2).obstacles
    assert (first.stage, second.stage) == ("destination-check", "guest-not-forwarding")


def test_a_route_to_an_address_that_nobody_has_is_told_with_the_appliance_that_there_is():
    found = advised(through(hop="10.0.9.5", back=False, **FORWARDS), "web1", "db1").obstacles[0]
    assert "sends it to 10.0.9.5, which nobody in `net` or its peers has (RT-12)" in found.what
    assert "next hop 10.0.9.4, which is `fw`, for route `to-db` would let it through" in texts(found)


def test_answers_that_come_back_another_way_are_worth_a_note_and_a_route():
    data = through(back=False, **FORWARDS)
    found = why(data, "web1", "db1")
    assert found.works
    (note,) = found.notes
    assert note.name == "asymmetric-route"
    assert note.text.startswith("the packet goes through fw (route `to-db` of `out`), the answer directly")
    after = verdict_after(data, found, list(note.remedies))
    assert after.reply.via == after.via == ("fw",)


def test_an_answer_that_an_appliance_drops_because_it_has_not_seen_the_question_is_told():
    data = through(**FORWARDS)
    del data["virtualNetworks"]["net"]["subnets"]["web"]["routeTable"]
    data["virtualNetworks"]["net"]["subnets"]["dmz"]["networkSecurityGroup"] = "strict"
    data["networkSecurityGroups"]["strict"] = {
        "securityRules": {"only-web": rule(100, "Deny", protocol="*", sourceAddressPrefix="10.0.2.0/24")}
    }
    found = advised(data, "web1", "db1").obstacles[0]
    assert found.way == "reply"
    assert found.rule == "only-web"
    assert texts(found)[0] == "a route 10.0.1.0/24 -> VnetLocal for subnet `net/db` would send it back directly"


def test_a_route_of_the_appliances_own_subnet_is_a_loop():
    data = through(dmz={"routeTable": "out"}, **FORWARDS)
    found = advised(data, "web1", "db1").obstacles[0]
    assert "goes in circles" in found.what
    assert found.remedies[0].edits[0].path == ("virtualNetworks", "net", "subnets", "dmz", "routeTable")


@pytest.mark.parametrize(
    ("hop", "what"),
    [("None", "next hop None (RT-4)"), ("VirtualNetworkGateway", "next hop VirtualNetworkGateway, and there is none (RT-13)")],
)  # fmt: skip
def test_a_route_that_drops_is_told(hop, what):
    data = two_tiers(web={"routeTable": "out"})
    data["routeTables"] = {"out": {"routes": {"r": {"addressPrefix": "10.0.2.0/24", "nextHopType": hop}}}}
    found = advised(data, "web1", "db1").obstacles[0]
    assert found.what == f"is dropped by route `r` (10.0.2.0/24) of `out` on subnet `net/web`: {what}"


def test_an_address_that_nobody_has_is_told_with_its_neighbours():
    found = why(two_tiers(), "web1", "10.0.2.77")
    assert found.obstacles[0].what == "is dropped: nobody in `net` has 10.0.2.77 (VN-7)"
    assert found.obstacles[0].hints == ("in its subnet `net/db` are `db1` (10.0.2.4)",)
    assert not found.works_then


# ---- peerings --------------------------------------------------------------------------------------------------------


def spokes(one=None, two=None, hub=("one", "two"), routes=True):
    """Two spokes and a hub with an appliance; `one` and `two` are the flags of their sides, None for no side."""

    def side(flags):
        return {} if flags is None else {"virtualNetworkPeerings": {"to-hub": {"remoteVirtualNetwork": "hub", **flags}}}

    def network(number, **others):
        table = {"routeTable": "through-hub"} if routes and number else {}
        subnet = {"addressPrefix": f"10.{number}.0.0/24", **table}
        return {"addressSpace": f"10.{number}.0.0/16", "subnets": {"a": subnet}, **others}

    all_private = {
        "addressPrefix": "10.0.0.0/8", "nextHopType": "VirtualAppliance", "nextHopIpAddress": "10.0.0.4",
    }  # fmt: skip
    return {
        "virtualNetworks": {
            "hub": network(0, virtualNetworkPeerings={f"to-{name}": {"remoteVirtualNetwork": name} for name in hub}),
            "one": network(1, **side(one)),
            "two": network(2, **side(two)),
        },
        "routeTables": {"through-hub": {"routes": {"all": all_private}}},
        "virtualMachines": {
            "fw": {"subnet": "hub/a", **FORWARDS},
            "one1": {"subnet": "one/a"},
            "two1": {"subnet": "two/a"},
        },
    }


FLAG = {"allowForwardedTraffic": True}


def test_spoke_to_spoke_through_the_hub_works_with_all_that_it_needs():
    assert why(spokes(FLAG, FLAG), "one1", "two1").works


def test_a_peering_in_one_direction_only_is_told():
    found = advised(spokes(FLAG, None), "fw", "two1").obstacles[0]
    assert "peering `to-two` of `hub` is Initiated: `two` has none back to `hub`, so it carries nothing" in found.what
    assert texts(found) == ["a peering of `two` with `hub` would connect them"]


def test_a_peering_that_denies_access_is_told():
    found = advised(spokes(FLAG, {"allowVirtualNetworkAccess": False}), "fw", "two1").obstacles[0]
    assert "allowVirtualNetworkAccess of `to-hub` of `two` is false (PEER-7)" in found.what


def test_forwarded_traffic_that_a_spoke_refuses_is_told():
    found = advised(spokes(FLAG, {}), "one1", "two1").obstacles[0]
    assert found.what == (
        "is dropped at peering `to-hub` of `two`: `hub` only forwards what comes from 10.1.0.4, and"
        " allowForwardedTraffic is false (PEER-11)"
    )
    assert texts(found)[0] == "allowForwardedTraffic: true for `to-hub` of `two` would let it through"


def test_peering_is_not_transitive():
    found = advised(spokes(FLAG, FLAG, routes=False), "one1", "two1").obstacles[0]
    assert (
        "with which `one` is not peered; that both are peered with `hub` does not connect them (PEER-5)" in found.what
    )
    assert "an appliance in `hub` could" in found.hints[0]


def test_networks_with_equal_addresses_cannot_be_peered():
    data = spokes(routes=False, hub=())
    data["virtualNetworks"]["two"]["addressSpace"] = ["10.2.0.0/16", "10.1.128.0/17"]
    found = why(data, "one1", "two1")
    assert "nor could be: 10.1.0.0/16 and 10.1.128.0/17 overlap (PEER-9)" in found.obstacles[0].what
    assert not found.obstacles[0].remedies


# ---- the internet ----------------------------------------------------------------------------------------------------


def test_a_private_subnet_has_no_way_out():
    found = advised(two_tiers(web={"defaultOutboundAccess": False}), "web1", "visitor", 443).obstacles[0]
    assert found.what == (
        "is dropped at the internet's edge: nothing translates 10.0.1.4 of `web1-nic` in private subnet `net/web`:"
        " no public IP, and defaultOutboundAccess is false (OUT-1)"
    )
    assert texts(found) == [
        "defaultOutboundAccess: true for subnet `net/web` would let it out",
        "a public IP for `web1-nic` would let it out",
    ]


def test_default_outbound_access_carries_no_ping():
    found = advised(two_tiers(), "web1", "visitor", None, "Icmp").obstacles[0]
    assert "carries Tcp and Udp only, no Icmp (OUT-7)" in found.what
    assert texts(found) == ["a public IP for `web1-nic` would let it out"]


def test_a_public_ip_on_another_nic_takes_default_outbound_access_away():
    data = two_tiers()
    data["publicIPAddresses"] = {"ip": {}}
    data["networkInterfaces"] = {
        "nic0": {"subnet": "net/web"},
        "nic1": {"subnet": "net/web", "publicIPAddress": "ip"},
    }
    data["virtualMachines"]["web1"] = {"networkInterfaces": ["nic0", "nic1"]}
    found = advised(data, "web1", "visitor", 443).obstacles[0]
    assert "`ip` on another NIC of `web1` takes its default outbound access away (OUT-6)" in found.what
    assert found.remedies[0].edits[1].path == ("networkInterfaces", "nic0", "publicIPAddress")


def test_a_machine_with_a_basic_public_ip_gets_another_basic_one():
    data = two_tiers()
    data["publicIPAddresses"] = {"ip": {"sku": "Basic"}}
    data["networkInterfaces"] = {
        "nic0": {"subnet": "net/web"},
        "nic1": {"subnet": "net/web", "publicIPAddress": "ip"},
    }
    data["virtualMachines"]["web1"] = {"networkInterfaces": ["nic0", "nic1"]}
    found = advised(data, "web1", "visitor", 443).obstacles[0]
    assert found.remedies[0].edits[0].value == {"sku": "Basic"}


def test_an_appliance_that_does_not_translate_reaches_nobody_on_the_internet():
    found = why(through(prefix="0.0.0.0/0", back=False, **FORWARDS), "web1", "visitor", 443)
    assert (
        "`fw` sends it with the source 10.0.1.4, which is not its own, so nothing translates it (NVA-4)"
        in found.obstacles[0].what
    )
    assert "inside `fw`, for example, `nft 'add table" in found.obstacles[0].hints[0]


def test_a_private_address_is_not_reached_from_the_internet():
    data = public(rule(100, "Allow", destinationPortRange=443))
    found = advised(data, "visitor", "db1", 443).obstacles[0]
    assert found.what.endswith("10.0.2.4 is private, nobody reaches it from the internet (VN-13)")
    assert (found.remedies[0].text, found.remedies[0].to) == ("call `db1` by `db-ip`, 20.61.0.10", "db-ip")


def test_a_machine_without_a_public_address_gets_one_to_be_called_by():
    found = advised(two_tiers(), "visitor", "web1", 443, obstacles=2)
    assert found.obstacles[0].remedies[0].text == "a public IP for `web1-nic`, by which to call it"
    assert found.obstacles[1].stage == "public-closed"


def test_a_lent_address_lets_nobody_in():
    from advice import network_of

    lent = network_of(two_tiers()).nics["web1-nic"].ipConfigs[0].defaultOutbound
    found = why(two_tiers(), "visitor", str(lent), 443)
    assert found.obstacles[0].hints == (
        "it is the address that Azure lends `web1` to go out; nobody can come in by it (OUT-5)",
    )


def test_answers_that_a_default_route_diverts_are_told():
    data = public(rule(100, "Allow", destinationPortRange=443))
    data["virtualNetworks"]["net"]["subnets"]["db"]["routeTable"] = "forced"
    to_nobody = {"addressPrefix": "0.0.0.0/0", "nextHopType": "VirtualAppliance", "nextHopIpAddress": "10.0.1.4"}
    data["routeTables"] = {"forced": {"routes": {"default": to_nobody}}}
    found = advised(data, "visitor", "db-ip", 443).obstacles[0]
    assert found.way == "reply"
    assert found.what.startswith("is dropped at NIC `web1-nic` of `web1`")
    assert texts(found)[0] == ("a route 198.51.100.7/32 -> Internet for subnet `net/db` would send it back directly")


# ---- what works ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("source", "to"), [("web1", "db1"), ("web1", "web1"), ("web1", "168.63.129.16"), ("web1", "visitor")]
)
def test_a_flow_that_works_has_no_obstacle(source, to):
    found = why(two_tiers(), source, to, 53)
    assert found.works
    assert not found.obstacles
