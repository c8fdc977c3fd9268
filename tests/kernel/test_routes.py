"""Routes: the system's, the user's, the five kinds of next hop."""

from __future__ import annotations

import socket

import pytest
from harness import allow, rule
from scapy.layers.inet import IP, TCP, UDP

GUEST = "table ip guest {\n"
MASQUERADE = 'chain out {\n type nat hook postrouting priority 100\n oifname "eth0" masquerade\n}\n'
FORWARDING = "enableIPForwarding: true, sysctls: {net.ipv4.ip_forward: 1}"

SCENARIO = f"""
virtualNetworks:
  net:
    addressSpace: [10.0.0.0/16, 100.64.0.0/10]
    subnets:
      plain: {{addressPrefix: 10.0.1.0/24}}
      clients: {{addressPrefix: 10.0.2.0/24, routeTable: clients-rt}}
      whole: {{addressPrefix: 10.0.3.0/24, routeTable: whole-rt}}
      none: {{addressPrefix: 10.0.4.0/24, routeTable: none-rt}}
      nvas: {{addressPrefix: 10.0.9.0/24}}
      carrier: {{addressPrefix: 100.64.1.0/24}}
      tagged: {{addressPrefix: 10.0.5.0/24, routeTable: whole-rt, networkSecurityGroup: tag-nsg}}
    virtualNetworkPeerings: {{to-hub: {{remoteVirtualNetwork: hub, allowForwardedTraffic: true}}}}
  hub:
    addressSpace: 10.5.0.0/16
    subnets: {{main: {{addressPrefix: 10.5.0.0/24}}}}
    virtualNetworkPeerings: {{to-net: {{remoteVirtualNetwork: net}}}}
  island:
    addressSpace: 10.7.0.0/16
    subnets: {{main: {{addressPrefix: 10.7.0.0/24}}}}
routeTables:
  clients-rt:
    routes:
      longer: {{addressPrefix: 10.0.1.4/32, nextHopType: VirtualAppliance, nextHopIpAddress: 10.0.9.4}}
      in-peer: {{addressPrefix: 10.0.1.5/32, nextHopType: VirtualAppliance, nextHopIpAddress: 10.5.0.4}}
      absent: {{addressPrefix: 10.0.1.6/32, nextHopType: VirtualAppliance, nextHopIpAddress: 10.0.9.99}}
      gateway: {{addressPrefix: 10.0.1.7/32, nextHopType: VirtualNetworkGateway}}
      nothing: {{addressPrefix: 10.0.1.8/32, nextHopType: None}}
      outside: {{addressPrefix: 10.0.1.9/32, nextHopType: Internet}}
      shorter: {{addressPrefix: 10.0.0.0/15, nextHopType: None}}
      island: {{addressPrefix: 10.7.0.0/16, nextHopType: Internet}}
      private: {{addressPrefix: 192.168.0.0/16, nextHopType: Internet}}
  whole-rt:
    routes:
      network: {{addressPrefix: 10.0.0.0/16, nextHopType: VirtualAppliance, nextHopIpAddress: 10.0.9.4}}
      own: {{addressPrefix: 10.0.3.0/25, nextHopType: VnetLocal}}
      default: {{addressPrefix: 0.0.0.0/0, nextHopType: VirtualAppliance, nextHopIpAddress: 10.0.9.4}}
      partner: {{addressPrefix: 203.0.113.0/24, nextHopType: Internet}}
  none-rt:
    routes: {{default: {{addressPrefix: 0.0.0.0/0, nextHopType: None}}}}
networkSecurityGroups:
  tag-nsg: {{securityRules: {{internet: {rule(100, "Inbound", "Deny", source="Internet")}}}}}
  open-nsg: {{securityRules: {{all: {allow("Inbound")}}}}}
publicIPAddresses: {{whole-ip: {{ipAddress: 20.61.0.10}}}}
virtualMachines:
  p4: {{subnet: net/plain, privateIPAddress: 10.0.1.4}}
  p5: {{subnet: net/plain, privateIPAddress: 10.0.1.5}}
  p6: {{subnet: net/plain, privateIPAddress: 10.0.1.6}}
  p7: {{subnet: net/plain, privateIPAddress: 10.0.1.7}}
  p8: {{subnet: net/plain, privateIPAddress: 10.0.1.8}}
  p9: {{subnet: net/plain, privateIPAddress: 10.0.1.9}}
  p10: {{subnet: net/plain, privateIPAddress: 10.0.1.10}}
  client: {{subnet: net/clients, privateIPAddress: 10.0.2.4}}
  mate: {{subnet: net/clients, privateIPAddress: 10.0.2.5}}
  whole: {{subnet: net/whole, privateIPAddress: 10.0.3.4, publicIPAddress: whole-ip, networkSecurityGroup: open-nsg}}
  near: {{subnet: net/whole, privateIPAddress: 10.0.3.5}}
  high: {{subnet: net/whole, privateIPAddress: 10.0.3.200}}
  none: {{subnet: net/none, privateIPAddress: 10.0.4.4}}
  nva: {{subnet: net/nvas, privateIPAddress: 10.0.9.4, {FORWARDING}}}
  hub-nva: {{subnet: hub/main, privateIPAddress: 10.5.0.4, {FORWARDING}}}
  carrier: {{subnet: net/carrier, privateIPAddress: 100.64.1.4}}
  island: {{subnet: island/main, privateIPAddress: 10.7.0.4}}
  tagged: {{subnet: net/tagged, privateIPAddress: 10.0.5.4}}
internet: {{hosts: {{visitor: {{ipAddress: 198.51.100.7}}, partner: {{ipAddress: 203.0.113.7}}}}}}
"""


@pytest.fixture(scope="module")
def lab(laboratory):
    return laboratory(SCENARIO)


def way(lab, source, to, by="nva"):
    """Is a datagram seen at the appliance, and at its destination?"""
    packet = IP(src=lab.address(source), dst=lab.address(to)) / UDP(sport=lab.port(), dport=9)
    at = lab.node(to)
    return lab.delivered(source, packet, at=by) is not None, lab.delivered(source, packet, at=at) is not None


@pytest.mark.azure("RT-1", "RT-2", "PIPE-2", "RT-3")
def test_without_routes_of_ones_own_the_network_is_local_and_the_rest_is_the_internet(lab):
    assert way(lab, "p4", "client") == (False, True)
    assert way(lab, "p4", "carrier") == (False, True)
    assert lab.tcp("p4", "visitor", 80).answered


@pytest.mark.azure("RT-2", "RT-4", "RT-29", "VN-13")
@pytest.mark.parametrize("address", ["10.7.0.4", "10.200.0.1", "172.16.0.1", "172.31.255.254", "192.168.1.1"])
def test_private_addresses_of_nobody_are_dropped_without_a_word(lab, address):
    before = lab.dropped("next hop None")
    with lab.tap("p4") as tap, lab.tap("@edge") as edge:
        lab.send("p4", IP(src="10.0.1.4", dst=address) / UDP(dport=9))
        assert list(tap.frames()) == []
        assert edge.find(lambda f: f.haslayer(IP) and f[IP].dst == address) is None
    assert lab.dropped("next hop None") == before + 1


@pytest.mark.azure("RT-3")
def test_a_reserved_range_that_the_network_covers_is_local(lab):
    before = lab.dropped("no NIC")
    lab.send("p4", IP(src="10.0.1.4", dst="100.127.0.1") / UDP(dport=9))
    assert lab.dropped("no NIC") == before + 1


@pytest.mark.azure("VN-7", "RT-29")
@pytest.mark.parametrize("address", ["10.0.1.77", "10.0.200.1"], ids=["in a subnet", "in no subnet"])
def test_an_address_of_the_network_that_nobody_has_is_dropped_inside_it(lab, address):
    before = lab.dropped("no NIC")
    with lab.tap("p4") as tap, lab.tap("@edge") as edge:
        lab.send("p4", IP(src="10.0.1.4", dst=address) / UDP(dport=9))
        assert list(tap.frames()) == []
        assert edge.find(lambda f: f.haslayer(IP) and f[IP].dst == address) is None
    assert lab.dropped("no NIC") == before + 1


@pytest.mark.azure("RT-7", "RT-9", "PIPE-2")
def test_the_longest_prefix_wins_and_leads_to_the_appliance(lab):
    assert way(lab, "client", "p4") == (True, True)
    assert way(lab, "client", "p10") == (False, True)


@pytest.mark.azure("PEER-19", "RT-7")
def test_the_appliance_may_be_in_a_peered_network(lab):
    assert way(lab, "client", "p5", by="hub-nva") == (True, True)
    assert lab.tcp("client", "p5", 80).answered


@pytest.mark.azure("RT-12")
def test_an_appliance_that_is_not_there_swallows_the_traffic(lab):
    assert lab.tcp("client", "p6", 80).lost
    assert lab.tcp("p6", "client", 80).arrived


@pytest.mark.azure("RT-13", "RT-6")
def test_a_gateway_that_is_not_there_swallows_the_traffic(lab):
    assert lab.tcp("client", "p7", 80).lost


@pytest.mark.azure("RT-4", "RT-6")
def test_next_hop_none_drops_also_inside_the_network(lab):
    before = lab.dropped("next hop None")
    assert lab.udp("client", "p8", 80).lost
    assert lab.dropped("next hop None") == before + 1


@pytest.mark.azure("RT-14", "VN-13")
@pytest.mark.parametrize("target", ["10.0.1.9", "10.7.0.4", "192.168.3.3"])
def test_a_private_destination_that_is_sent_to_the_internet_never_arrives(lab, target):
    at = "p9" if target == "10.0.1.9" else "island"
    packet = IP(src="10.0.2.4", dst=target) / UDP(sport=lab.port(), dport=9)
    before = lab.dropped("private destination")
    with lab.tap("@internet") as internet:
        assert lab.delivered("client", packet, at=at) is None
        assert internet.find(lambda f: f.haslayer(IP) and f[IP].dst == target) is None
    assert lab.dropped("private destination") == before + 1


@pytest.mark.azure("RT-9", "RT-1")
def test_a_shorter_prefix_of_ones_own_does_not_beat_the_network(lab):
    assert way(lab, "client", "p10") == (False, True)
    assert way(lab, "client", "mate") == (False, True)


@pytest.mark.azure("RT-11", "RT-9")
def test_a_route_for_the_whole_network_takes_neighbours_too_but_for_what_is_kept_local(lab):
    assert way(lab, "whole", "p4") == (True, True)
    assert way(lab, "whole", "near") == (False, True)
    assert way(lab, "whole", "high") == (True, True)


@pytest.mark.azure("RT-18")
def test_a_route_is_for_the_way_out_only(lab):
    assert way(lab, "near", "p4") == (True, True)
    assert way(lab, "p4", "near") == (False, True)


@pytest.mark.azure("RT-18", "NVA-3")
def test_an_appliance_that_keeps_state_sees_half_a_conversation_and_breaks_it(single):
    lab = single(SCENARIO)
    lab.ruleset("nva", GUEST + "chain forward {\n type filter hook forward priority 0\n ct state invalid drop\n}\n}\n")
    assert lab.tcp("high", "tagged", 80).answered
    half = lab.tcp("p4", "near", 80)
    assert (half.arrived, half.answered) == (True, False)


@pytest.mark.azure("RT-21", "OUT-22", "NVA-4", "PIPE-6")
def test_a_default_route_to_an_appliance_breaks_what_comes_in_by_a_public_address(lab):
    contact = lab.tcp("visitor", "whole-ip", 80)
    assert (contact.arrived, contact.answered) == (True, False)
    assert lab.tcp("partner", "whole-ip", 80).answered


@pytest.mark.azure("RT-21", "NVA-4", "OUT-1")
def test_what_an_appliance_forwards_with_a_foreign_address_does_not_leave(lab):
    before = lab.dropped("foreign source to the internet")
    packet = IP(src="10.0.3.4", dst="198.51.100.7") / TCP(sport=lab.port(), dport=80, flags="S")
    assert lab.delivered("whole", packet, at="visitor") is None
    assert lab.delivered("whole", packet, at="nva") is not None
    assert lab.dropped("foreign source to the internet") == before + 2
    assert lab.tcp("whole", "partner", 80).seen_as == "20.61.0.10"


@pytest.mark.azure("CT-29", "RT-4", "RT-9")
def test_a_default_route_to_nowhere_cuts_off_the_internet_and_nothing_else(lab):
    assert lab.tcp("none", "visitor", 80).lost
    assert lab.tcp("none", "p4", 80).answered


@pytest.mark.azure("NSG-25", "NSG-26")
def test_prefixes_of_the_route_table_belong_to_the_tag_virtual_network(lab):
    """With 0.0.0.0/0 in its route table, a subnet knows no Internet any more."""
    stranger = IP(src="198.51.100.99", dst="10.0.5.4") / UDP(sport=lab.port(), dport=9)
    assert lab.delivered("nva", stranger, at="tagged") is not None


@pytest.mark.azure("NVA-3", "NVA-4", "OUT-1")
@pytest.mark.parametrize("kind", ["tcp", "udp", "ping"])
def test_an_appliance_that_masquerades_works_without_a_route_back(single, kind):
    lab = single(SCENARIO)
    lab.ruleset("nva", GUEST + MASQUERADE + "}\n")
    port = () if kind == "ping" else (80,)
    for server in ("p4", "tagged"):
        inside = getattr(lab, kind)("near", server, *port)
        assert (inside.answered, inside.seen_as) == (True, "10.0.9.4")
    if kind != "ping":
        outside = getattr(lab, kind)("near", "visitor", *port)
        assert (outside.answered, outside.seen_as) == (True, lab.default_outbound("nva"))


@pytest.mark.azure("NVA-3", "NSG-33")
def test_an_appliance_that_translates_destinations_works_both_ways(single):
    lab = single(SCENARIO)
    forward = "chain in {\n type nat hook prerouting priority -100\n tcp dport 8080 dnat to 10.0.1.4:80\n}\n"
    lab.ruleset("nva", GUEST + forward + MASQUERADE + "}\n")
    with lab.socket("p4", socket.SOCK_STREAM) as server, lab.socket("p5", socket.SOCK_STREAM) as client:
        server.bind(("0.0.0.0", 80))
        server.listen()
        client.settimeout(2)
        client.connect(("10.0.9.4", 8080))
        connection, peer = server.accept()
        with connection:
            connection.sendall(b"welcome")
            assert client.recv(16) == b"welcome"
        assert peer[0] == "10.0.9.4"


@pytest.mark.azure("RT-8")
def test_one_table_serves_several_subnets_and_no_other(lab):
    assert way(lab, "high", "p10")[0]
    assert way(lab, "tagged", "p10")[0]
    assert not way(lab, "p4", "p10")[0]
    assert not way(lab, "client", "p10")[0]


def overridden(*routes: str) -> str:
    """a in a subnet with a table of these routes, b beside it, far in a peered network, and an appliance."""
    return f"""
virtualNetworks:
  net:
    addressSpace: 10.0.0.0/16
    subnets:
      s: {{addressPrefix: 10.0.1.0/24, routeTable: rt}}
      t: {{addressPrefix: 10.0.2.0/24}}
    virtualNetworkPeerings: {{to-far: {{remoteVirtualNetwork: far}}}}
  far:
    addressSpace: 10.5.0.0/16
    subnets: {{s: {{addressPrefix: 10.5.0.0/24}}}}
    virtualNetworkPeerings: {{to-net: {{remoteVirtualNetwork: net}}}}
routeTables: {{rt: {{routes: {{{", ".join(f"r{number}: {text}" for number, text in enumerate(routes))}}}}}}}
virtualMachines:
  a: {{subnet: net/s}}
  b: {{subnet: net/t}}
  far: {{subnet: far/s}}
internet: {{hosts: {{visitor: {{ipAddress: 198.51.100.7}}}}}}
"""


@pytest.mark.azure("RT-20", "RT-9")
@pytest.mark.parametrize(
    ("prefix", "to"), [("10.5.0.0/16", "far"), ("10.0.0.0/16", "b"), ("0.0.0.0/0", "visitor")],
    ids=["the peering's", "the network's", "the internet's"],
)  # fmt: skip
def test_a_system_route_that_is_overridden_is_not_used_and_is_there_again_afterwards(single, prefix, to):
    lab = single(overridden())
    assert lab.tcp("a", to, 80).answered
    assert lab.up(overridden(f"{{addressPrefix: {prefix}, nextHopType: None}}")) == "changed"
    before = lab.dropped("next hop None")
    assert lab.ping("a", to).lost
    assert lab.dropped("next hop None") == before + 1
    assert lab.up(overridden()) == "changed"
    assert lab.tcp("a", to, 81).answered


WORKED = f"""
virtualNetworks:
  net:
    addressSpace: 10.0.0.0/16
    subnets:
      subnet1: {{addressPrefix: 10.0.0.0/24, routeTable: subnet1-rt}}
      subnet2: {{addressPrefix: 10.0.1.0/24}}
      nvas: {{addressPrefix: 10.0.100.0/24}}
    virtualNetworkPeerings: {{to-one: {{remoteVirtualNetwork: one}}, to-two: {{remoteVirtualNetwork: two}}}}
  one:
    addressSpace: 10.1.0.0/16
    subnets: {{main: {{addressPrefix: 10.1.0.0/24}}}}
    virtualNetworkPeerings: {{to-net: {{remoteVirtualNetwork: net}}}}
  two:
    addressSpace: 10.2.0.0/16
    subnets: {{main: {{addressPrefix: 10.2.0.0/24}}}}
    virtualNetworkPeerings: {{to-net: {{remoteVirtualNetwork: net}}}}
routeTables:
  subnet1-rt:
    routes:
      within-vnet: {{addressPrefix: 10.0.0.0/16, nextHopType: VirtualAppliance, nextHopIpAddress: 10.0.100.4}}
      within-subnet: {{addressPrefix: 10.0.0.0/24, nextHopType: VnetLocal}}
      to-one: {{addressPrefix: 10.1.0.0/16, nextHopType: None}}
      to-two: {{addressPrefix: 10.2.0.0/16, nextHopType: None}}
      to-on-premises: {{addressPrefix: 10.10.0.0/16, nextHopType: VirtualAppliance, nextHopIpAddress: 10.0.100.4}}
      default: {{addressPrefix: 0.0.0.0/0, nextHopType: VirtualAppliance, nextHopIpAddress: 10.0.100.4}}
virtualMachines:
  a: {{subnet: net/subnet1}}
  mate: {{subnet: net/subnet1}}
  b: {{subnet: net/subnet2}}
  nva: {{subnet: net/nvas, privateIPAddress: 10.0.100.4, {FORWARDING}}}
  one: {{subnet: one/main}}
  two: {{subnet: two/main}}
internet: {{hosts: {{visitor: {{ipAddress: 198.51.100.7}}}}}}
"""


@pytest.fixture(scope="module")
def worked(laboratory):
    return laboratory(WORKED)


@pytest.mark.azure("RT-19")
@pytest.mark.parametrize(
    ("source", "to", "expected"),
    [
        ("a", "mate", (False, True)), ("a", "b", (True, True)), ("a", "nva", (True, True)),
        ("a", "one", (False, False)), ("a", "two", (False, False)),
        ("b", "a", (False, True)), ("b", "one", (False, True)), ("one", "a", (False, True)),
    ],
)  # fmt: skip
def test_the_worked_example_sends_each_packet_where_azures_table_says(worked, source, to, expected):
    assert way(worked, source, to) == expected


@pytest.mark.azure("RT-19", "RT-21")
@pytest.mark.parametrize("address", ["10.10.0.1", "198.51.100.7", "20.60.1.1"])
def test_in_the_worked_example_all_the_rest_goes_to_the_appliance(worked, address):
    packet = IP(src=worked.address("a"), dst=address) / UDP(sport=worked.port(), dport=9)
    assert worked.delivered("a", packet, at="nva") is not None
