"""Verdicts at the NIC: source and destination checks, blocked packets, the platform, guests with several NICs."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest
from azure_networks import FORWARDING, HOSTS, Lab, nsg, route, routes, rule, subnet, vnet

from netemu.azure.flow import Flow
from netemu.azure.network import resolve
from netemu.azure.verdict import judge
from netemu.scenario import read_text


def plain(**others):
    """Two machines in two subnets, and what a test adds."""
    return Lab(
        **{
            "virtualNetworks": {"v": vnet("10.0.0.0/16", a="10.0.1.0/24", b="10.0.2.0/24")},
            "virtualMachines": {"a": {"subnet": "v/a"}, "b": {"subnet": "v/b"}},
            "internet": HOSTS,
            **others,
        }
    )


@pytest.mark.azure("PIPE-5", "NSG-2", "VN-11")
def test_machines_of_a_network_reach_each_other_without_nsgs():
    found = plain().ask("a", "b")
    assert (found.access, found.stage, found.destination, found.receiver) == ("Allow", "delivered", "b-nic", "b")
    assert (str(found.sourceSeenAs), str(found.destinationSeenAs)) == ("10.0.1.4", "10.0.2.4")
    assert (found.rule, found.networkSecurityGroup, found.nic, found.via) == (None, None, None, ())
    assert found.answered
    assert found.reply.destination == "a-nic"


@pytest.mark.azure("PIPE-1", "NIC-7")
def test_a_foreign_source_is_dropped_at_the_nic():
    found = plain().ask("a", "b", source_address="10.0.1.99")
    assert (found.access, found.stage, found.nic, found.direction) == ("Deny", "source-check", "a-nic", "Outbound")
    assert found.reply is None
    assert not found.answered


@pytest.mark.azure("NIC-7")
def test_a_forwarding_nic_may_send_from_any_address():
    lab = plain(virtualMachines={"a": {"subnet": "v/a", "enableIPForwarding": True}, "b": {"subnet": "v/b"}})
    found = lab.ask("a", "b", source_address="10.0.1.99")
    assert (found.access, str(found.sourceSeenAs)) == ("Allow", "10.0.1.99")
    assert (found.reply.access, found.reply.stage) == ("Deny", "no-owner")
    assert not found.answered


@pytest.mark.azure("NIC-7", "PIPE-1")
def test_an_answer_that_goes_to_another_machine_is_no_answer():
    lab = plain(
        virtualMachines={
            "a": {"subnet": "v/a", "enableIPForwarding": True},
            "b": {"subnet": "v/b"},
            "c": {"subnet": "v/a", "privateIPAddress": "10.0.1.99"},
        }
    )
    found = lab.ask("a", "b", source_address="10.0.1.99")
    assert (found.reply.access, found.reply.destination) == ("Allow", "c-nic")
    assert not found.answered


@pytest.mark.azure("PLT-3")
def test_nobody_sends_from_the_platforms_address():
    lab = plain(virtualMachines={"a": {"subnet": "v/a", "enableIPForwarding": True}, "b": {"subnet": "v/b"}})
    assert lab.ask("a", "b", source_address="168.63.129.16").stage == "source-check"


@pytest.mark.azure("NIC-7", "IP-10", "CT-3")
def test_an_address_is_usable_when_an_ip_configuration_has_it():
    lab = plain(
        networkInterfaces={
            "n": {
                "ipConfigurations": {
                    "one": {"subnet": "v/a", "primary": True},
                    "two": {"subnet": "v/a", "privateIPAddress": "10.0.1.99"},
                }
            }
        },
        virtualMachines={"a": {"networkInterfaces": ["n"]}, "b": {"subnet": "v/b"}},
    )
    assert lab.ask("a", "b", source_address="10.0.1.99").answered
    assert lab.ask("a", "b", source_address="10.0.1.98").stage == "source-check"
    found = lab.ask("b", "10.0.1.99")
    assert (found.access, found.destination, str(found.destinationSeenAs)) == ("Allow", "n", "10.0.1.99")


@pytest.mark.azure("ARP-3")
@pytest.mark.parametrize("destination", ["255.255.255.255", "10.0.1.255", "224.0.0.18", "239.255.255.250"])
def test_broadcast_and_multicast_are_dropped(destination):
    found = plain().ask("a", destination, 1900, "Udp")
    assert (found.access, found.stage, found.nic) == ("Deny", "blocked", "a-nic")


@pytest.mark.azure("ARP-3", "VN-7")
def test_the_broadcast_address_of_another_subnet_is_nobodys():
    assert plain().ask("a", "10.0.2.255", protocol="Udp").stage == "no-owner"


@pytest.mark.azure("ARP-4")
@pytest.mark.parametrize("protocol", ["Gre", "IpInIp", "47", "4"])
def test_tunnels_are_blocked(protocol):
    assert plain().ask("a", "b", protocol=protocol).stage == "blocked"


@pytest.mark.azure("ARP-4", "ARP-5")
@pytest.mark.parametrize("protocol", ["Tcp", "Udp", "Icmp", "Esp", "Ah", "132"])
def test_other_protocols_pass(protocol):
    assert plain().ask("a", "b", protocol=protocol).answered


@pytest.mark.azure("ARP-4", "PLT-9")
def test_unicast_dhcp_and_port_65330_are_blocked():
    assert plain().ask("a", "b", 67, "Udp", source_port=68).stage == "blocked"
    assert plain().ask("a", "b", 53, "Udp", source_port=65330).stage == "blocked"
    assert plain().ask("a", "b", 67, "Udp", source_port=5000).access == "Allow"
    assert plain().ask("a", "b", 80, "Tcp", source_port=65330).access == "Allow"
    assert plain().ask("a", "b", 65330, "Udp").access == "Allow"


CLOSED = {"n": nsg(i=rule(100, "Deny"), o=rule(100, "Deny", "Outbound"))}


def closed(rules=None, **others):
    return plain(
        virtualNetworks={"v": vnet("10.0.0.0/16", a=subnet("10.0.1.0/24", nsg="n"), b="10.0.2.0/24")},
        networkSecurityGroups=rules or CLOSED,
        virtualMachines={"a": {"subnet": "v/a", "networkSecurityGroup": "n"}, "b": {"subnet": "v/b"}},
        **others,
    )


@pytest.mark.azure("PLT-4", "PIPE-1", "CT-13")
@pytest.mark.parametrize(
    ("destination", "port", "protocol", "source_port", "source"),
    [
        ("168.63.129.16", 53, "Udp", 5000, None),
        ("168.63.129.16", 53, "Tcp", 5000, None),
        ("168.63.129.16", 80, "Tcp", 5000, None),
        ("169.254.169.254", 80, "Tcp", 5000, None),
        ("168.63.129.16", 67, "Udp", 68, None),
        ("255.255.255.255", 67, "Udp", 68, "0.0.0.0"),
        ("255.255.255.255", 67, "Udp", 68, None),
    ],
)
def test_platform_traffic_passes_explicit_deny_all(destination, port, protocol, source_port, source):
    found = closed().ask("a", destination, port, protocol, source_port=source_port, source_address=source)
    assert (found.access, found.stage, found.destination) == ("Allow", "platform", destination)
    assert found.answered
    assert found.reply.access == "Allow"


@pytest.mark.azure("PLT-1", "PLT-2", "RT-24")
@pytest.mark.parametrize("destination", ["168.63.129.16", "169.254.169.254"])
def test_platform_addresses_ignore_routes(destination):
    lab = plain(
        virtualNetworks={"v": vnet("10.0.0.0/16", a=subnet("10.0.1.0/24", table="t"), b="10.0.2.0/24")},
        routeTables={"t": routes(route("0.0.0.0/0", "None"), route("168.63.129.16/32", "None"))},
    )
    assert lab.ask("a", destination).stage == "platform"


@pytest.mark.azure("PLT-4")
def test_only_rules_that_name_platform_tags_stop_it():
    by_address = nsg(r=rule(100, "Deny", "Outbound", destination="168.63.129.16", port=53))
    by_tag = nsg(r=rule(100, "Deny", "Outbound", destination="AzurePlatformDNS"))
    assert closed({"n": by_address}).ask("a", "168.63.129.16", 53, "Udp").access == "Allow"
    found = closed({"n": by_tag}).ask("a", "168.63.129.16", 53, "Udp")
    assert (found.access, found.stage, found.rule, found.networkSecurityGroup) == ("Deny", "platform", "r", "n")
    assert closed({"n": by_tag}).ask("a", "168.63.129.16", 80).access == "Allow"
    assert closed({"n": by_tag}).ask("a", "169.254.169.254").access == "Allow"


@pytest.mark.azure("PLT-4", "NSG-4")
def test_among_platform_rules_the_first_that_matches_decides():
    rules = nsg(
        everything=rule(100, "Allow", "Outbound"),
        deny=rule(300, "Deny", "Outbound", destination="AzurePlatformIMDS"),
    )
    assert closed({"n": rules}).ask("a", "169.254.169.254").rule == "deny"
    rules["securityRules"]["allow"] = rule(200, "Allow", "Outbound", destination="AzurePlatformIMDS")
    assert closed({"n": rules}).ask("a", "169.254.169.254").access == "Allow"


@pytest.mark.azure("PIPE-1", "IP-11")
def test_a_machine_that_speaks_to_itself_never_leaves():
    found = closed().ask("a", "a")
    assert (found.access, found.stage, found.receiver, found.rule) == ("Allow", "local", "a", None)
    assert found.answered


def two_nics(**flags):
    """A machine with NICs in both subnets, and one in a third."""
    nics = {
        "first": {"subnet": "v/a", **flags.pop("first", {})},
        "second": {"subnet": "v/b", **flags.pop("second", {})},
    }
    return plain(
        virtualNetworks={"v": vnet("10.0.0.0/16", a="10.0.1.0/24", b="10.0.2.0/24", c="10.0.3.0/24")},
        networkInterfaces=nics,
        virtualMachines={
            "multi": {"networkInterfaces": ["first", "second"]},
            "near": {"subnet": "v/b"},
            "client": {"subnet": "v/c"},
        },
        **flags,
    )


@pytest.mark.azure("NIC-4", "RT-27")
def test_the_guest_sends_by_the_nic_whose_subnet_has_the_destination_else_by_the_primary():
    assert str(two_nics().ask("multi", "near").sourceSeenAs) == "10.0.2.4"
    assert str(two_nics().ask("multi", "client").sourceSeenAs) == "10.0.1.4"


@pytest.mark.azure("NIC-4", "NIC-7", "PIPE-6")
def test_the_reply_to_a_secondary_nic_leaves_by_the_primary_and_is_dropped():
    found = two_nics().ask("client", "10.0.2.4")
    assert (found.access, found.destination) == ("Allow", "second")
    assert (found.reply.access, found.reply.stage, found.reply.nic) == ("Deny", "source-check", "first")
    assert two_nics().ask("near", "10.0.2.4").answered
    assert two_nics().ask("client", "10.0.1.4").answered


@pytest.mark.azure("NIC-4", "NIC-7", "PIPE-6")
def test_it_comes_back_asymmetrically_when_the_primary_forwards():
    found = two_nics(first={"enableIPForwarding": True}).ask("client", "10.0.2.4")
    assert found.answered
    assert found.reply.destination == "client-nic"


@pytest.mark.azure("PIPE-6", "NSG-21")
def test_flow_records_are_per_nic():
    lab = two_nics(
        first={"enableIPForwarding": True, "networkSecurityGroup": "n"},
        networkSecurityGroups={"n": nsg(o=rule(100, "Deny", "Outbound"))},
    )
    found = lab.ask("client", "10.0.2.4")
    assert (found.reply.stage, found.reply.rule, found.reply.nic) == ("nsg-out", "o", "first")


@pytest.mark.azure("NIC-4")
def test_a_flow_of_a_nic_leaves_by_that_nic():
    found = two_nics().ask("second", "client")
    assert (found.access, str(found.sourceSeenAs)) == ("Allow", "10.0.2.4")
    assert (found.reply.access, found.answered) == ("Allow", True)
    assert two_nics().ask("multi", "client", source_address="10.0.2.4").stage == "source-check"


@pytest.mark.azure("NIC-7", "NIC-9")
def test_a_guest_takes_what_is_for_its_other_nic():
    lab = plain(
        virtualNetworks={
            "v": vnet("10.0.0.0/16", a="10.0.1.0/24", b="10.0.2.0/24", c=subnet("10.0.3.0/24", table="t"))
        },
        routeTables={"t": routes(route("10.0.2.0/24", "VirtualAppliance", "10.0.1.4"))},
        networkInterfaces={"first": {"subnet": "v/a", "enableIPForwarding": True}, "second": {"subnet": "v/b"}},
        virtualMachines={"multi": {"networkInterfaces": ["first", "second"]}, "client": {"subnet": "v/c"}},
    )
    found = lab.ask("client", "10.0.2.4")
    assert (found.access, found.receiver, found.destination, found.via) == ("Allow", "multi", "second", ())


@pytest.mark.azure("PIPE-8", "NSG-24")
def test_every_step_can_be_read_by_people():
    lab = plain(
        virtualMachines={
            "a": {"subnet": "v/a"},
            "b": {"subnet": "v/b", "networkSecurityGroup": "n", "sysctls": FORWARDING},
        },
        networkSecurityGroups={"n": nsg()},
    )
    found = lab.ask("a", "b")
    assert [step.text for step in found.steps] == [
        "a-nic: 10.0.2.4 is routed by Default route 10.0.0.0/16 -> VnetLocal",
        "b-nic: n allows Tcp 10.0.1.4:49152 -> 10.0.2.4:80 inbound by rule AllowVnetInBound (priority 65000)",
        "b-nic: Tcp 10.0.1.4:49152 -> 10.0.2.4:80: delivered to the NIC",
    ]
    assert found.reply.steps[0].text == (
        "b-nic: Tcp 10.0.2.4:80 -> 10.0.1.4:49152 passes outbound as part of a flow that was allowed"
    )


@pytest.mark.azure("PLT-1")
def test_the_platform_does_not_answer_one_who_asks_in_anothers_name():
    text = """
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {s: {addressPrefix: 10.0.0.0/24}}}}
virtualMachines: {fw: {subnet: net/s, enableIPForwarding: true}}
"""
    network = resolve(read_text(f"name: unit\n{text}", "unit.yaml"))
    for source, answered in ((None, True), (IPv4Address("10.0.0.99"), False)):
        flow = Flow(source="fw", destinationAddress=IPv4Address("168.63.129.16"), protocol="Udp", destinationPort=53,
                    sourcePort=5353, sourceAddress=source)  # fmt: skip
        verdict = judge(network, flow)
        assert verdict.access == "Allow" and verdict.answered is answered
