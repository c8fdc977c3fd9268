"""What a guest sees on its wire: one MAC for everybody, and no layer 2 behind it."""

from __future__ import annotations

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
def test_neighbours_ping_each_other_and_know_each_other_by_the_fabrics_mac(lab):
    assert lab.ping("a1", "a2").answered
    assert lab.ping("a2", "a1").answered
    neighbours = lab.run("a1", "ip", "neighbour").stdout.splitlines()
    known = {line.split()[0]: line.split()[4] for line in neighbours}
    assert known["10.0.1.5"] == known["10.0.1.1"] == FABRIC_MAC


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
