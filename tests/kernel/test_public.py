"""Public addresses, default outbound access, and networks with equal addresses at one edge."""

from __future__ import annotations

import socket

import pytest
from harness import VISITOR, allow, rule
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import Ether

IN, OUT = "Inbound", "Outbound"

SCENARIO = f"""
virtualNetworks:
  net:
    addressSpace: 10.0.0.0/16
    subnets:
      main: {{addressPrefix: 10.0.0.0/24}}
      no-outbound: {{addressPrefix: 10.0.1.0/24, defaultOutboundAccess: false}}
      guarded: {{addressPrefix: 10.0.2.0/24, networkSecurityGroup: subnet-nsg}}
networkSecurityGroups:
  web-nsg:
    securityRules:
      http: {rule(100, IN, "Allow", "Tcp", "Internet", "10.0.0.10", "80")}
      ping: {rule(110, IN, "Allow", "Icmp", "Internet")}
      useless: {rule(120, IN, "Allow", "Tcp", "*", "20.61.0.10", "8080")}
  subnet-nsg: {{securityRules: {{http: {allow(IN, "Tcp", port="80")}}}}}
  both-nsg: {{securityRules: {{ssh: {allow(IN, "Tcp", port="22")}}}}}
  storage-nsg:
    securityRules:
      storage: {rule(100, OUT, "Allow", "Tcp", "*", "storage", "443")}
      storage-here: {rule(110, OUT, "Allow", "Tcp", "*", "Storage.WestEurope", "80")}
      rest: {rule(200, OUT, "Deny", "*", "*", "Internet")}
publicIPAddresses:
  web-ip: {{ipAddress: 20.61.0.10}}
  shut-ip: {{ipAddress: 20.61.0.11}}
  open-ip: {{sku: Basic, ipAddress: 20.61.0.12}}
  guarded-ip: {{ipAddress: 20.61.0.13}}
  second-ip: {{ipAddress: 20.61.0.14}}
networkInterfaces:
  multi-nic:
    ipConfigurations:
      first: {{subnet: net/main, privateIPAddress: 10.0.0.30, primary: true}}
      second: {{subnet: net/main, privateIPAddress: 10.0.0.31}}
  two-nic:
    ipConfigurations:
      first: {{subnet: net/main, privateIPAddress: 10.0.0.40, primary: true}}
      second: {{subnet: net/main, privateIPAddress: 10.0.0.41, publicIPAddress: second-ip}}
virtualMachines:
  web: {{subnet: net/main, privateIPAddress: 10.0.0.10, publicIPAddress: web-ip, networkSecurityGroup: web-nsg}}
  shut: {{subnet: net/main, privateIPAddress: 10.0.0.11, publicIPAddress: shut-ip}}
  open: {{subnet: net/main, privateIPAddress: 10.0.0.12, publicIPAddress: open-ip}}
  guarded: {{subnet: net/guarded, privateIPAddress: 10.0.2.4, publicIPAddress: guarded-ip,
            networkSecurityGroup: both-nsg}}
  plain: {{subnet: net/main, privateIPAddress: 10.0.0.20}}
  caged: {{subnet: net/no-outbound}}
  multi: {{networkInterfaces: multi-nic, sysctls: {{net.ipv4.ip_nonlocal_bind: 1}}}}
  two: {{networkInterfaces: two-nic, sysctls: {{net.ipv4.ip_nonlocal_bind: 1}}}}
  archive: {{subnet: net/main, privateIPAddress: 10.0.0.50, networkSecurityGroup: storage-nsg}}
internet: {{hosts: {{visitor: {{ipAddress: 198.51.100.7}}, blobs: {{ipAddress: 20.60.26.5}},
                     other-blobs: {{ipAddress: 20.60.100.5}}}}}}
"""


@pytest.fixture(scope="module")
def lab(laboratory):
    return laboratory(SCENARIO)


@pytest.mark.azure("CT-16", "OUT-4", "OUT-19", "IP-11", "NSG-17", "PIPE-4")
def test_a_public_address_is_translated_one_to_one_in_both_directions(lab):
    inward = lab.tcp("visitor", "web-ip", 80, sport=4567)
    assert (inward.answered, inward.seen_as, inward.port) == (True, "198.51.100.7", 4567)
    outward = lab.tcp("web", "visitor", 443, sport=4568)
    assert (outward.answered, outward.seen_as, outward.port) == (True, "20.61.0.10", 4568)
    assert lab.udp("web", "visitor", 53).seen_as == "20.61.0.10"


@pytest.mark.azure("OUT-19", "CT-16")
def test_a_public_address_answers_ping_when_the_nsg_allows(lab):
    assert lab.ping("visitor", "web-ip").answered
    assert lab.ping("visitor", "guarded-ip").lost
    assert (lab.ping("shut", "visitor").answered, lab.ping("shut", "visitor").seen_as) == (True, "20.61.0.11")


@pytest.mark.azure("NSG-17", "NSG-18", "CT-11")
def test_rules_see_the_private_destination(lab):
    before = lab.counter("inbound/web-nsg/net", "useless")
    assert lab.tcp("visitor", "web-ip", 8080).lost
    assert lab.counter("inbound/web-nsg/net", "useless") == before
    assert lab.tcp("visitor", "web-ip", 80).answered


@pytest.mark.azure("NSG-15", "CT-9")
def test_from_the_internet_too_both_nsgs_must_allow(lab):
    assert lab.tcp("visitor", "guarded-ip", 80).lost
    assert lab.tcp("visitor", "guarded-ip", 22).lost


@pytest.mark.azure("OUT-17", "CT-14", "NSG-2", "PIPE-4")
@pytest.mark.parametrize("kind", ["tcp", "udp", "ping"])
def test_a_standard_address_without_nsg_is_closed_and_a_basic_one_open(lab, kind):
    port = () if kind == "ping" else (80,)
    assert getattr(lab, kind)("visitor", "shut-ip", *port).lost
    assert getattr(lab, kind)("visitor", "open-ip", *port).answered
    assert getattr(lab, kind)("shut", "visitor", *port).answered
    assert getattr(lab, kind)("plain", "shut", *port).answered


@pytest.mark.azure("ARP-4", "ARP-5")
@pytest.mark.parametrize(("protocol", "carried"), [(47, False), (4, False), (50, True)], ids=["GRE", "IP in IP", "ESP"])
def test_a_public_address_carries_no_tunnels_from_the_internet(lab, protocol, carried):
    before = lab.counter("unsolicited", "protocol", "@edge")
    with lab.socket("visitor", socket.SOCK_RAW, protocol) as sender, lab.tap("open") as tap:
        sender.sendto(b"\0\0\x08\0" + bytes(20), (lab.address("open-ip"), 0))  # IPv4 in GRE
        assert (tap.find(lambda frame: frame.haslayer(IP) and frame[IP].proto == protocol) is not None) == carried
    assert lab.counter("unsolicited", "protocol", "@edge") == before + (not carried)


@pytest.mark.azure("OUT-5", "OUT-4", "CT-15", "OUT-1")
@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_a_machine_without_a_public_address_gets_out_with_one_that_is_nobodys_resource(lab, kind):
    contact = getattr(lab, kind)("plain", "visitor", 80)
    assert contact.answered
    assert contact.seen_as == lab.default_outbound("plain")
    assert contact.seen_as not in {str(ip.address) for ip in lab.network.publicIPs.values()} | {"10.0.0.20"}


@pytest.mark.azure("OUT-7", "CT-15")
def test_default_outbound_access_is_for_tcp_and_udp_only(lab):
    assert lab.ping("plain", "visitor").lost
    packet = IP(src="10.0.0.20", dst="198.51.100.7", proto=50) / (b"\0" * 16)
    assert lab.delivered("plain", packet, at="visitor") is None


@pytest.mark.azure("OUT-5")
@pytest.mark.parametrize("layer", [TCP(dport=80, flags="S"), TCP(dport=80, flags="SA"), UDP(dport=53), ICMP()], ids=str)
def test_nobody_gets_in_by_a_default_outbound_address(lab, layer):
    assert lab.tcp("plain", "visitor", 80).answered
    mac = lab.run("visitor", "cat", "/sys/class/net/eth0/address").stdout.strip()
    frame = Ether(src=mac, dst="02:00:00:00:00:01") / IP(src="198.51.100.7", dst=lab.default_outbound("plain")) / layer
    before = lab.dropped("outbound only", "@edge")
    assert lab.delivered("visitor", frame, at="plain") is None
    assert lab.dropped("outbound only", "@edge") == before + 1


@pytest.mark.azure("OUT-1")
def test_a_private_subnet_has_no_way_out(lab):
    assert lab.tcp("caged", "visitor", 80).lost
    assert lab.tcp("caged", "plain", 80).answered


@pytest.mark.azure("OUT-6", "OUT-8")
@pytest.mark.parametrize(
    ("machine", "address", "seen_as"),
    [("multi", "10.0.0.30", "default"), ("multi", "10.0.0.31", None), ("two", "10.0.0.40", None),
     ("two", "10.0.0.41", "20.61.0.14")],
)  # fmt: skip
def test_which_addresses_of_a_machine_get_out(lab, machine, address, seen_as):
    packet = IP(src=address, dst="198.51.100.7") / UDP(sport=lab.port(), dport=9)
    arrived = lab.delivered(machine, packet, at="visitor")
    if seen_as is None:
        assert arrived is None
    else:
        assert arrived[IP].src == (lab.default_outbound(machine) if seen_as == "default" else seen_as)


@pytest.mark.azure("OUT-21", "NSG-26")
def test_a_neighbour_by_its_public_address_is_a_stranger(lab):
    contact = lab.tcp("open", "web-ip", 80)
    assert (contact.answered, contact.seen_as) == (True, "20.61.0.12")
    assert lab.tcp("plain", "web-ip", 80).seen_as == lab.default_outbound("plain")
    assert lab.tcp("plain", "web-ip", 22).lost
    assert lab.tcp("plain", "web", 22).seen_as == "10.0.0.20"


@pytest.mark.azure("OUT-21")
def test_a_machine_can_call_its_own_public_address(lab):
    contact = lab.tcp("open", "open-ip", 80)
    assert (contact.answered, contact.seen_as) == (True, "20.61.0.12")


@pytest.mark.azure("NSG-28", "NSG-26", "CT-10")
def test_a_service_tag_opens_its_addresses_and_no_other(lab):
    for host, port, works in (("blobs", 443, True), ("other-blobs", 443, True), ("blobs", 80, True),
                              ("other-blobs", 80, False), ("visitor", 443, False)):  # fmt: skip
        assert lab.tcp("archive", host, port).answered == works
    assert lab.tcp("archive", "plain", 80).answered


@pytest.mark.azure("VN-2", "OUT-9")
def test_an_address_that_nobody_has_is_nobodys(lab):
    for address in ("20.61.200.200", "198.51.100.8"):
        with lab.tap("plain") as tap:
            lab.send("plain", IP(src="10.0.0.20", dst=address) / UDP(sport=lab.port(), dport=9))
            assert list(tap.frames()) == []


# ---- equal addresses -------------------------------------------------------------------------------------------------

TWINS = f"""
virtualNetworks:
  red: {{addressSpace: 10.0.0.0/16, subnets: {{main: {{addressPrefix: 10.0.0.0/24, networkSecurityGroup: open-nsg}}}}}}
  blue: {{addressSpace: 10.0.0.0/16, subnets: {{main: {{addressPrefix: 10.0.0.0/24, networkSecurityGroup: open-nsg}}}}}}
networkSecurityGroups: {{open-nsg: {{securityRules: {{all: {allow(IN)}}}}}}}
publicIPAddresses: {{red-ip: {{ipAddress: 20.61.0.10}}, blue-ip: {{ipAddress: 20.61.0.20}}}}
virtualMachines:
  red4: {{subnet: red/main, privateIPAddress: 10.0.0.4, publicIPAddress: red-ip}}
  red5: {{subnet: red/main, privateIPAddress: 10.0.0.5}}
  blue4: {{subnet: blue/main, privateIPAddress: 10.0.0.4, publicIPAddress: blue-ip}}
  blue5: {{subnet: blue/main, privateIPAddress: 10.0.0.5}}
  blue6: {{subnet: blue/main, privateIPAddress: 10.0.0.6}}
{VISITOR}
"""


@pytest.fixture(scope="module")
def twins(laboratory):
    return laboratory(TWINS)


@pytest.mark.azure("VN-12", "CT-2")
@pytest.mark.parametrize("kind", ["tcp", "udp", "ping"])
def test_networks_with_equal_addresses_never_meet(twins, kind):
    port = () if kind == "ping" else (80,)
    for colour, other in (("red", "blue"), ("blue", "red")):
        assert getattr(twins, kind)(f"{colour}5", "10.0.0.4", *port, at=f"{colour}4").answered
        assert not getattr(twins, kind)(f"{colour}5", "10.0.0.4", *port, at=f"{other}4").arrived
    assert getattr(twins, kind)("red4", "blue6", *port).lost


@pytest.mark.azure("VN-12", "PIPE-4", "OUT-19")
def test_equal_flows_into_equal_networks_keep_their_ports_and_do_not_mix(twins):
    mac = twins.run("visitor", "cat", "/sys/class/net/eth0/address").stdout.strip()
    for port in range(30000, 30012):
        for colour, other in (("red", "blue"), ("blue", "red")):
            public = IP(src="198.51.100.7", dst=twins.address(f"{colour}-ip"))
            frame = Ether(src=mac, dst="02:00:00:00:00:01") / public / UDP(sport=port, dport=9)
            with twins.tap(f"{other}4") as wrong:
                arrived = twins.delivered("visitor", frame, at=f"{colour}4")
                assert wrong.find(lambda f: f.haslayer(UDP) and f[UDP].dport == 9) is None
            assert (arrived[IP].src, arrived[IP].dst, arrived[UDP].sport) == ("198.51.100.7", "10.0.0.4", port)
            answer = IP(src="10.0.0.4", dst="198.51.100.7") / UDP(sport=9, dport=port)
            back = twins.delivered(f"{colour}4", answer, at="visitor")
            assert (back[IP].src, back[UDP].dport) == (twins.address(f"{colour}-ip"), port)


@pytest.mark.azure("VN-12", "OUT-4", "OUT-5")
def test_equal_flows_out_of_equal_networks_keep_their_ports_and_their_answers(twins):
    for machine, seen_as in (("4", "{}-ip"), ("5", "{}5")):
        for port in range(31000, 31010):
            for colour in ("red", "blue"):
                flow = IP(src=f"10.0.0.{machine}", dst="198.51.100.7") / UDP(sport=port, dport=9)
                arrived = twins.delivered(f"{colour}{machine}", flow, at="visitor")
                name = seen_as.format(colour)
                public = twins.default_outbound(name) if machine == "5" else twins.address(name)
                assert (arrived[IP].src, arrived[UDP].sport) == (public, port)
    for colour in ("red", "blue"):
        assert twins.udp(f"{colour}5", "visitor", 53, sport=32000).answered
        assert twins.tcp(f"{colour}5", "visitor", 80, sport=32001).answered


@pytest.mark.azure("OUT-21", "VN-13")
def test_networks_with_equal_addresses_meet_in_public(twins):
    contact = twins.tcp("red4", "blue-ip", 80)
    assert (contact.answered, contact.seen_as) == (True, "20.61.0.10")
