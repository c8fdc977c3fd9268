"""Effective security rules: defaults, tags, ASGs, lists, ports, protocols (NSG-2…NSG-29)."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest
from azure_networks import Lab, nsg, peering, route, routes, rule, subnet, vnet

from netemu.azure.flow import AH, ESP, ICMP, TCP, UDP, Packet
from netemu.azure.security import Classifier, consider


def one_network(rules, *, user_routes=None, peer_flags=None, **others):
    """One VNet with an NSG named n, and when asked for a peer 10.9.0.0/16 and a route table."""
    networks = {"v": vnet("10.0.0.0/16", s=subnet("10.0.1.0/24", nsg="n", table="t" if user_routes else None))}
    if peer_flags is not None:
        networks["v"]["virtualNetworkPeerings"] = peering("w")
        networks["w"] = vnet("10.9.0.0/16", peerings=peering("v", **peer_flags))
    return Lab(
        virtualNetworks=networks,
        networkSecurityGroups={"n": nsg(**rules)},
        routeTables={"t": routes(*user_routes)} if user_routes else {},
        **others,
    )


def effective(lab, direction="Inbound"):
    return lab.engine.effective_rules("n", lab.network.virtualNetworks["v"].subnets["s"], direction)


def addresses(lab, tag):
    (found,) = (each for each in effective(lab) if each.name == tag)
    return found.sources


def packet(source="10.0.1.4", destination="10.0.1.5", protocol=TCP, source_port=50000, port=80):
    ports = (source_port, port) if protocol in (TCP, UDP) else (0, 0)
    return Packet(int(IPv4Address(source)), int(IPv4Address(destination)), protocol, *ports)


def decides(lab, some_packet, direction="Inbound"):
    rules = effective(lab, direction)
    found = Classifier(rules).decide(some_packet)
    assert found is not None
    assert consider(rules, some_packet)[-1].rule is found, "both ways of matching agree"
    return found.name


@pytest.mark.azure("NSG-2", "NSG-7", "NSG-8", "NSG-9")
def test_every_nsg_ends_with_the_default_rules():
    lab = one_network({})
    assert [(each.name, each.priority, each.access) for each in effective(lab, "Inbound")] == [
        ("AllowVnetInBound", 65000, "Allow"),
        ("AllowAzureLoadBalancerInBound", 65001, "Allow"),
        ("DenyAllInBound", 65500, "Deny"),
    ]
    assert [(each.name, each.priority, each.access) for each in effective(lab, "Outbound")] == [
        ("AllowVnetOutBound", 65000, "Allow"),
        ("AllowInternetOutBound", 65001, "Allow"),
        ("DenyAllOutBound", 65500, "Deny"),
    ]
    assert all(each.isDefault for each in effective(lab))


@pytest.mark.azure("NSG-3", "NSG-4")
def test_the_lowest_priority_number_that_matches_decides():
    lab = one_network({"late": rule(300, "Allow"), "early": rule(200, "Deny"), "out": rule(200, "Allow", "Outbound")})
    assert [each.name for each in effective(lab)][:2] == ["early", "late"]
    assert decides(lab, packet()) == "early"


@pytest.mark.azure("NSG-4")
def test_the_considered_rules_say_why_they_did_not_match():
    lab = one_network(
        {
            "udp": rule(100, "Deny", protocol="Udp"),
            "port": rule(101, "Deny", port=443, protocol="Tcp"),
            "sport": rule(102, "Deny", sourcePort=1, protocol="Tcp"),
            "source": rule(103, "Deny", source="10.0.2.0/24"),
            "destination": rule(104, "Deny", destination="10.0.2.0/24"),
        }
    )
    considered = consider(effective(lab), packet())
    assert [each.mismatch for each in considered] == [
        "protocol Tcp is not Udp",
        "destination port 80 is not in its ports",
        "source port 50000 is not in its ports",
        "source 10.0.1.4 is not in its sources",
        "destination 10.0.1.5 is not in its destinations",
        None,
    ]
    assert considered[-1].rule.name == "AllowVnetInBound"


@pytest.mark.azure("NSG-10")
@pytest.mark.parametrize("protocol", [TCP, UDP, ICMP, ESP, 132])
def test_a_star_is_every_protocol(protocol):
    assert decides(one_network({"r": rule(100, "Deny")}), packet(protocol=protocol)) == "r"


@pytest.mark.azure("NSG-10")
@pytest.mark.parametrize(("name", "number"), [("Tcp", TCP), ("Udp", UDP), ("Icmp", ICMP), ("Esp", ESP), ("Ah", AH)])
def test_a_named_protocol_is_that_protocol_only(name, number):
    lab = one_network({"r": rule(100, "Deny", protocol=name)})
    for protocol in (TCP, UDP, ICMP, ESP, AH):
        assert (decides(lab, packet(protocol=protocol)) == "r") is (protocol == number)


@pytest.mark.azure("NSG-10")
def test_an_icmp_rule_ignores_its_ports():
    assert decides(one_network({"r": rule(100, "Deny", protocol="Icmp", port=7)}), packet(protocol=ICMP)) == "r"


@pytest.mark.azure("NSG-11")
def test_a_tcp_rule_lets_ping_pass():
    lab = one_network({"r": rule(100, "Deny", protocol="Tcp")})
    assert decides(lab, packet(protocol=ICMP)) == "AllowVnetInBound"


@pytest.mark.azure("NSG-10", "NSG-12")
def test_a_star_rule_with_ports_is_for_tcp_and_udp_only():
    lab = one_network({"r": rule(100, "Deny", port=80)})
    assert decides(lab, packet(protocol=TCP)) == "r"
    assert decides(lab, packet(protocol=UDP)) == "r"
    assert decides(lab, packet(protocol=ICMP)) == "AllowVnetInBound"
    assert decides(one_network({"r": rule(100, "Deny", port="0-65535")}), packet(protocol=ICMP)) == "r"


@pytest.mark.azure("NSG-12")
@pytest.mark.parametrize(
    ("ports", "port", "matches"),
    [
        ("80", 80, True),
        ("80", 81, False),
        ("80-90", 80, True),
        ("80-90", 90, True),
        ("80-90", 91, False),
        (["80", "8080-8090"], 8085, True),
        (["80", "8080-8090"], 443, False),
        ("*", 0, True),
        ("0-65535", 65535, True),
    ],
)
def test_ports(ports, port, matches):
    lab = one_network({"r": rule(100, "Deny", protocol="Tcp", port=ports)})
    assert (decides(lab, packet(port=port)) == "r") is matches


@pytest.mark.azure("NSG-13")
@pytest.mark.parametrize(
    ("prefix", "matches"),
    [
        ("*", True),
        ("0.0.0.0/0", True),
        ("10.0.1.4", True),
        ("10.0.1.4/32", True),
        ("10.0.1.0/24", True),
        ("10.0.1.5", False),
        (["10.0.7.0/24", "10.0.1.4"], True),
        (["10.0.7.0/24", "10.0.8.1"], False),
        ("VirtualNetwork", True),
        ("Internet", False),
        ("Storage", False),
    ],
)
def test_source_prefixes(prefix, matches):
    lab = one_network({"r": rule(100, "Deny", source=prefix)})
    assert (decides(lab, packet()) == "r") is matches


@pytest.mark.azure("NSG-14")
def test_plural_properties_mean_the_same_as_lists():
    written = {
        "priority": 100,
        "direction": "Inbound",
        "access": "Deny",
        "protocol": "Tcp",
        "sourceAddressPrefixes": ["10.0.1.4", "10.0.1.9"],
        "destinationAddressPrefixes": ["10.0.1.0/24"],
        "sourcePortRanges": ["*"],
        "destinationPortRanges": [80, "90-99"],
    }
    lab = one_network({"r": written})
    assert decides(lab, packet(port=95)) == "r"
    assert decides(lab, packet(port=100)) == "AllowVnetInBound"
    assert decides(lab, packet(source="10.0.1.8")) == "AllowVnetInBound"


@pytest.mark.azure("NSG-20")
def test_the_tag_azureloadbalancer_is_the_probes_address_only():
    lab = one_network({"r": rule(100, "Deny", source="AzureLoadBalancer")})
    assert addresses(lab, "r").cidrs() == (IPv4Network("168.63.129.16/32"),)


@pytest.mark.azure("NSG-25")
def test_virtualnetwork_is_the_network_and_the_platform():
    lab = one_network({"r": rule(100, "Deny", source="virtualNETWORK")})
    assert addresses(lab, "r").cidrs() == (IPv4Network("10.0.0.0/16"), IPv4Network("168.63.129.16/32"))


@pytest.mark.azure("NSG-25", "PEER-8")
@pytest.mark.parametrize("flags", [{"allowVirtualNetworkAccess": True}, {"allowVirtualNetworkAccess": False}])
def test_virtualnetwork_includes_peers_while_they_have_access(flags):
    lab = one_network({"r": rule(100, "Deny", source="VirtualNetwork")}, peer_flags=flags)
    assert (IPv4Address("10.9.1.1") in addresses(lab, "r")) is flags["allowVirtualNetworkAccess"]


@pytest.mark.azure("NSG-25")
def test_virtualnetwork_includes_the_prefixes_of_the_subnets_route_table():
    hop = route("172.16.5.0/24", "VirtualAppliance", "10.0.1.9")
    lab = one_network({"r": rule(100, "Deny", source="VirtualNetwork")}, user_routes=[hop])
    assert IPv4Address("172.16.5.1") in addresses(lab, "r")
    assert IPv4Address("172.16.6.1") not in addresses(lab, "r")


@pytest.mark.azure("NSG-25", "NSG-26")
def test_a_default_route_of_the_user_makes_virtualnetwork_everything_and_internet_nothing():
    hop = route("0.0.0.0/0", "VirtualAppliance", "10.0.1.9")
    lab = one_network(
        {"v": rule(100, "Deny", source="VirtualNetwork"), "i": rule(101, "Deny", source="Internet")}, user_routes=[hop]
    )
    assert addresses(lab, "v").cidrs() == (IPv4Network("0.0.0.0/0"),)
    assert not addresses(lab, "i")


@pytest.mark.azure("NSG-26")
def test_internet_is_the_public_rest():
    lab = one_network({"r": rule(100, "Deny", source="Internet")})
    prefixes = addresses(lab, "r").cidrs()
    for text in ("1.0.0.0/8", "2.0.0.0/7", "4.0.0.0/6", "32.0.0.0/3"):
        assert IPv4Network(text) in prefixes
    assert IPv4Address("20.61.0.1") in addresses(lab, "r")
    assert IPv4Address("168.63.129.16") not in addresses(lab, "r")


@pytest.mark.azure("NSG-27")
@pytest.mark.parametrize("source", ["10.7.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1"])
def test_unconnected_private_addresses_are_neither(source):
    lab = one_network({"v": rule(100, "Allow", source="VirtualNetwork"), "i": rule(101, "Allow", source="Internet")})
    assert decides(lab, packet(source=source)) == "DenyAllInBound"


@pytest.mark.azure("NSG-26", "NSG-25", "VN-2")
def test_a_public_range_inside_the_network_is_not_internet():
    lab = Lab(
        virtualNetworks={"v": vnet("52.10.0.0/16", s=subnet("52.10.1.0/24", nsg="n"))},
        networkSecurityGroups={"n": nsg(r=rule(100, "Deny", source="Internet"))},
    )
    assert IPv4Address("52.10.1.4") not in addresses(lab, "r")


@pytest.mark.azure("NSG-28")
def test_service_tags_are_some_addresses_in_any_case():
    lab = one_network({"r": rule(100, "Deny", source="storage.WestEurope")})
    assert IPv4Address("20.60.26.1") in addresses(lab, "r")
    assert IPv4Address("20.60.40.1") not in addresses(lab, "r")


def asg_lab(**rules):
    return Lab(
        virtualNetworks={
            "v": vnet("10.0.0.0/16", s=subnet("10.0.1.0/24", nsg="n")),
            "w": vnet("10.0.0.0/16", s=subnet("10.0.1.0/24", nsg="n")),
        },
        networkSecurityGroups={"n": nsg(**rules)},
        applicationSecurityGroups={"web": {}, "db": {}},
        virtualMachines={
            "web1": {"subnet": "v/s", "applicationSecurityGroups": "web"},
            "both": {"subnet": "v/s", "applicationSecurityGroups": ["web", "db"]},
            "none": {"subnet": "v/s"},
            "far": {"subnet": "w/s", "privateIPAddress": "10.0.1.99"},
        },
    )


@pytest.mark.azure("NSG-29", "NSG-13")
def test_an_asg_is_the_addresses_of_its_members():
    written = rule(100, "Deny")
    del written["sourceAddressPrefix"]
    lab = asg_lab(
        r={**written, "sourceApplicationSecurityGroups": ["web"]},
        s={**written, "priority": 101, "sourceApplicationSecurityGroups": ["db", "web"]},
    )
    first, second = effective(lab)[:2]
    assert [str(each) for each in first.sources.cidrs()] == ["10.0.1.4/31"]
    assert second.sources == first.sources
    far = lab.engine.effective_rules("n", lab.network.virtualNetworks["w"].subnets["s"], "Inbound")
    assert not far[0].sources, "members of another network are not here, even with overlapping addresses"


@pytest.mark.azure("NSG-29")
def test_an_address_outside_the_asg_ignores_the_rule():
    written = rule(100, "Deny")
    del written["destinationAddressPrefix"]
    lab = asg_lab(r={**written, "destinationApplicationSecurityGroups": ["db"]})
    assert lab.ask("web1", "both").rule == "r"
    assert lab.ask("web1", "none").rule == "AllowVnetInBound"


@pytest.mark.azure("NSG-28", "PLT-4")
def test_a_platform_tag_is_its_service_only():
    lab = one_network({"r": rule(100, "Deny", "Outbound", destination="azureplatformdns")})
    found = effective(lab, "Outbound")[0]
    assert found.platformTag == "AzurePlatformDNS"
    assert [str(each) for each in found.destinations.cidrs()] == ["168.63.129.16/32"]
    assert list(found.destinationPorts.intervals()) == [(53, 54)]


@pytest.mark.azure("NSG-28", "NSG-13")
def test_a_platform_tag_beside_prefixes_keeps_its_own_meaning():
    lab = one_network({"r": rule(100, "Deny", "Outbound", destination=["AzurePlatformIMDS", "10.0.1.5"])})
    tag, others = effective(lab, "Outbound")[:2]
    assert (tag.name, others.name) == ("r", "r")
    assert (tag.platformTag, others.platformTag) == ("AzurePlatformIMDS", None)
    assert [str(each) for each in others.destinations.cidrs()] == ["10.0.1.5/32"]
