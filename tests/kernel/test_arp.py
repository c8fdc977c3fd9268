"""What a guest sees on its wire: one MAC for everybody, and no layer 2 behind it."""

from __future__ import annotations

import socket

import pytest
from harness import FABRIC_MAC, Lab
from scapy.layers.inet import GRE, ICMP, IP, TCP, UDP
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet

SCENARIO = """
virtualNetworks:
  net:
    addressSpace: 10.0.0.0/16
    subnets: {a: {addressPrefix: 10.0.1.0/24}, b: {addressPrefix: 10.0.2.0/24}}
virtualMachines:
  a1: {subnet: net/a, privateIPAddress: 10.0.1.4}
  a2: {subnet: net/a, privateIPAddress: 10.0.1.5}
  b1: {subnet: net/b, privateIPAddress: 10.0.2.4}
"""


@pytest.fixture(scope="module")
def lab(laboratory):
    return laboratory(SCENARIO)


def asked(lab: Lab, machine: str, target: str, sender: str) -> Packet | None:
    """The answer to an ARP request."""
    request = Ether(src=lab.mac(machine), dst="ff:ff:ff:ff:ff:ff") / ARP(
        op=1, hwsrc=lab.mac(machine), psrc=sender, pdst=target
    )
    with lab.tap(machine) as tap:
        lab.send(machine, request)
        return tap.find(lambda frame: frame.haslayer(ARP) and frame[ARP].op == 2)


@pytest.mark.azure("ARP-1", "VN-11")
@pytest.mark.parametrize("target", ["10.0.1.1", "10.0.1.5", "10.0.1.77", "10.0.1.255"])
def test_gateway_neighbour_and_nobody_all_have_the_one_mac_of_the_fabric(lab, target):
    answer = asked(lab, "a1", target, "10.0.1.4")
    assert answer is not None
    assert answer[ARP].hwsrc == answer.src == FABRIC_MAC
    assert answer[ARP].psrc == target


@pytest.mark.azure("ARP-1")
@pytest.mark.parametrize("sender", ["10.0.1.4", "0.0.0.0"], ids=["gratuitous", "duplicate detection"])
def test_nobody_answers_for_the_asking_guests_own_address(lab, sender):
    assert asked(lab, "a1", "10.0.1.4", sender) is None


@pytest.mark.azure("CT-1", "ARP-1", "ARP-6")
def test_neighbours_ping_each_other_and_see_only_the_fabrics_mac(lab):
    with lab.tap("@fabric") as switch, lab.tap("a2") as there:
        assert lab.ping("a1", "a2").answered
        sent = switch.find(lambda frame: frame.haslayer(ICMP) and frame[IP].src == "10.0.1.4")
        seen = there.find(lambda frame: frame.haslayer(ICMP) and frame[IP].src == "10.0.1.4")
    assert (sent.src, sent.dst) == (lab.mac("a1"), FABRIC_MAC)
    assert (seen.src, seen.dst) == (FABRIC_MAC, lab.mac("a2"))
    assert lab.ping("a2", "a1").answered


def test_no_traffic_takes_entries_from_the_machines_one_table_of_neighbours(lab):
    """It has 1024 for everybody: one VM that scans would stop the traffic of other VMs, and of other labs."""
    prefixes = ("10.0.1.", "10.0.2.", "10.77.3.", "198.51.100.", "203.0.113.", "168.63.129.")
    with lab.socket("a1", socket.SOCK_DGRAM) as scanner, lab.socket("a1", socket.SOCK_RAW, socket.IPPROTO_ICMP) as ping:
        for destination in (f"{prefix}{last}" for prefix in prefixes for last in range(1, 255)):
            scanner.sendto(b"x", (destination, 53))
            ping.sendto(bytes(ICMP(id=1)), (destination, 0))
    assert lab.udp("a2", "b1", 9000).answered
    for node in lab.folder.nodes():
        entries = lab.run(node, "ip", "neighbour", "show", "nud", "all").stdout.splitlines()
        assert [entry for entry in entries if "PERMANENT" not in entry and "lo lladdr" not in entry] == []


@pytest.mark.azure("ARP-6")
def test_the_default_gateway_does_not_answer_ping(lab):
    assert not lab.ping("a1", "10.0.1.1", at="a2").answered


@pytest.mark.azure("ARP-2", "NVA-6")
def test_arp_cannot_take_over_an_address(lab):
    thief = lab.mac("a2")
    for operation, target in ((1, "10.0.1.4"), (2, "10.0.1.4"), (2, "10.0.1.1")):
        claim = Ether(src=thief, dst="ff:ff:ff:ff:ff:ff") / ARP(
            op=operation, hwsrc=thief, psrc="10.0.1.4", hwdst="ff:ff:ff:ff:ff:ff", pdst=target
        )
        with lab.tap("a1") as victim, lab.tap("b1") as other:
            lab.send("a2", claim)
            assert victim.find(lambda frame: frame.haslayer(ARP)) is None
            assert other.find(lambda frame: frame.haslayer(ARP)) is None
    for source in ("a2", "b1"):
        assert lab.delivered(source, IP(src=lab.address(source), dst="10.0.1.4") / UDP(dport=9), at="a1")
    assert lab.delivered("b1", IP(src="10.0.2.4", dst="10.0.1.4") / UDP(dport=9), at="a2") is None
    assert lab.ping("b1", "a1").answered


@pytest.mark.azure("ARP-3", "CT-6", "PLT-9")
@pytest.mark.parametrize("destination", ["255.255.255.255", "10.0.1.255", "10.0.255.255", "224.0.0.251", "239.1.2.3"])
@pytest.mark.parametrize("mac", ["ff:ff:ff:ff:ff:ff", "01:00:5e:00:00:fb", FABRIC_MAC])
def test_broadcast_and_multicast_reach_nobody(lab, destination, mac):
    packet = Ether(src=lab.mac("a1"), dst=mac) / IP(src="10.0.1.4", dst=destination) / UDP(sport=5353, dport=5353)
    before = lab.dropped("broadcast or multicast"), lab.dropped("no NIC")
    for other in ("a2", "b1"):
        assert lab.delivered("a1", packet, at=other) is None
    grown = lab.dropped("broadcast or multicast") - before[0], lab.dropped("no NIC") - before[1]
    if destination.startswith("10."):  # to the subnet's or the network's last address: nobody's, if it gets so far
        assert grown == (0, 2 if mac == FABRIC_MAC else 0)
    else:
        assert grown == (2, 0)


@pytest.mark.azure("ARP-3")
def test_a_frame_to_a_neighbours_own_mac_is_not_switched(lab):
    packet = Ether(src=lab.mac("a1"), dst=lab.mac("a2")) / IP(src="10.0.1.4", dst="10.0.1.5") / UDP(dport=9)
    assert lab.delivered("a1", packet, at="a2") is None


@pytest.mark.azure("ARP-4")
@pytest.mark.parametrize("payload", [TCP(dport=9), UDP(dport=9), ICMP(), UDP(dport=65330)], ids=lambda p: p.summary())
def test_tcp_udp_and_icmp_work_within_a_network(lab, payload):
    arrived = lab.delivered("a1", IP(src="10.0.1.4", dst="10.0.2.4") / payload, at="b1")
    assert arrived is not None
    assert (arrived.src, arrived.dst) == (FABRIC_MAC, lab.mac("b1"))


@pytest.mark.azure("ARP-4", "CT-6", "PLT-9")
@pytest.mark.parametrize(
    "payload",
    [
        GRE() / IP(src="1.1.1.1", dst="2.2.2.2"),
        IP(src="1.1.1.1", dst="2.2.2.2"),
        UDP(sport=68, dport=67),
        UDP(sport=65330, dport=9),
    ],
    ids=["GRE", "IP in IP", "DHCP", "source port 65330"],
)
def test_tunnels_dhcp_and_the_hosts_reserved_port_are_blocked(lab, payload):
    assert lab.delivered("a1", IP(src="10.0.1.4", dst="10.0.2.4") / payload, at="b1") is None
