"""IP as guests see it: TTL, fragments, ESP, secondary and public addresses."""

from __future__ import annotations

import pytest
from harness import VISITOR, allow, rule
from scapy.layers.inet import IP, UDP, fragment
from scapy.packet import Raw

SCENARIO = f"""
virtualNetworks:
  net:
    addressSpace: 10.0.0.0/16
    subnets:
      a: {{addressPrefix: 10.0.1.0/24, routeTable: through-nva}}
      b: {{addressPrefix: 10.0.2.0/24, networkSecurityGroup: only-ipsec}}
      c: {{addressPrefix: 10.0.3.0/24}}
      looping: {{addressPrefix: 10.0.9.0/24, routeTable: loop}}
      nva: {{addressPrefix: 10.0.8.0/24}}
routeTables:
  through-nva:
    routes:
      loop: {{addressPrefix: 10.0.77.0/24, nextHopType: VirtualAppliance, nextHopIpAddress: 10.0.9.4}}
      c: {{addressPrefix: 10.0.3.0/24, nextHopType: VirtualAppliance, nextHopIpAddress: 10.0.8.4}}
  loop:
    routes:
      myself: {{addressPrefix: 10.0.77.0/24, nextHopType: VirtualAppliance, nextHopIpAddress: 10.0.9.4}}
networkSecurityGroups:
  only-ipsec:
    securityRules:
      esp: {allow("Inbound", "Esp")}
      ah: {rule(210, "Inbound", "Allow", "Ah", source="VirtualNetwork")}
      rest: {rule(300, "Inbound", "Deny")}
publicIPAddresses:
  b-ip: {{ipAddress: 20.61.0.10}}
networkInterfaces:
  a2-nic:
    ipConfigurations:
      first: {{subnet: net/a, privateIPAddress: 10.0.1.5, primary: true}}
      second: {{subnet: net/a, privateIPAddress: 10.0.1.99}}
virtualMachines:
  a1: {{subnet: net/a, privateIPAddress: 10.0.1.4}}
  a2: {{networkInterfaces: a2-nic}}
  b1: {{subnet: net/b, privateIPAddress: 10.0.2.4, publicIPAddress: b-ip}}
  c1: {{subnet: net/c, privateIPAddress: 10.0.3.4}}
  nva: {{subnet: net/nva, privateIPAddress: 10.0.8.4, enableIPForwarding: true, sysctls: {{net.ipv4.ip_forward: 1}}}}
  ring: {{subnet: net/looping, privateIPAddress: 10.0.9.4, enableIPForwarding: true,
         sysctls: {{net.ipv4.ip_forward: 1}}}}
{VISITOR}
"""


@pytest.fixture(scope="module")
def lab(laboratory):
    return laboratory(SCENARIO)


@pytest.mark.azure("ARP-7", "ARP-8")
@pytest.mark.parametrize("ttl", [1, 2, 64, 128, 254])
def test_the_fabric_is_no_hop(lab, ttl):
    arrived = lab.delivered("c1", IP(src="10.0.3.4", dst="10.0.1.4", ttl=ttl) / UDP(dport=9), at="a1")
    assert arrived is not None
    assert arrived[IP].ttl == ttl


@pytest.mark.azure("ARP-7", "NVA-2")
def test_an_appliance_takes_one_from_the_ttl(lab):
    arrived = lab.delivered("a1", IP(src="10.0.1.4", dst="10.0.3.4", ttl=64) / UDP(dport=9), at="c1")
    assert arrived is not None
    assert arrived[IP].ttl == 63
    assert lab.delivered("a1", IP(src="10.0.1.4", dst="10.0.3.4", ttl=1) / UDP(dport=9), at="c1") is None


@pytest.mark.azure("ARP-7")
@pytest.mark.parametrize(("source", "target", "hops"), [
    ("a1", "10.0.3.4", ["10.0.8.4", "10.0.3.4"]),
    ("c1", "10.0.8.4", ["10.0.8.4"]),
], ids=["through an appliance", "direct"])  # fmt: skip
def test_traceroute_shows_the_appliance_and_never_the_fabric(lab, source, target, hops):
    out = lab.run(source, "traceroute", "-n", "-q", "1", "-w", "1", "-m", "4", target).stdout
    assert [line.split()[1] for line in out.splitlines()[1:]] == hops


@pytest.mark.azure("ARP-7", "NVA-1")
def test_a_packet_in_a_routing_loop_dies_at_the_appliance(lab):
    with lab.tap("ring") as tap:
        lab.send("a1", IP(src="10.0.1.4", dst="10.0.77.7", ttl=64) / UDP(dport=4242))
        seen = [frame[IP].ttl for frame in tap.frames() if frame.haslayer(UDP) and frame[UDP].dport == 4242]
    assert seen == list(range(64, 0, -1))


@pytest.mark.azure("ARP-9")
def test_a_full_packet_of_1500_bytes_passes_unfragmented(lab):
    packet = IP(src="10.0.3.4", dst="10.0.1.4", flags="DF") / UDP(dport=9) / Raw(b"x" * 1472)
    arrived = lab.delivered("c1", packet, at="a1")
    assert arrived is not None
    assert arrived[IP].len == 1500


def fragments_at(lab, order):
    """Which of four fragments arrive at a1 when c1 sends them in this order."""
    whole = IP(src="10.0.3.4", dst="10.0.1.4", id=lab.port()) / UDP(sport=4000, dport=9) / Raw(b"x" * 1600)
    parts = fragment(whole, fragsize=480)
    assert len(parts) == 4
    with lab.tap("a1") as tap:
        for position in order:
            lab.send("c1", parts[position])
        offsets = [f[IP].frag for f in tap.frames() if f.haslayer(IP) and f[IP].id == whole.id]
    return [[part.frag for part in parts].index(offset) for offset in offsets]


@pytest.mark.azure("ARP-9")
@pytest.mark.parametrize(
    ("order", "arriving"),
    [((0, 1, 2, 3), [0, 1, 2, 3]), ((3, 2, 1, 0), [0]), ((1, 0, 2, 3), [0, 2, 3])],
    ids=["in order", "backwards", "second before first"],
)
def test_fragments_before_their_first_one_are_dropped(lab, order, arriving):
    assert fragments_at(lab, order) == arriving


@pytest.mark.azure("ARP-9")
def test_rules_are_counted_while_records_of_fragments_exist(lab):
    for _ in range(3):
        assert fragments_at(lab, (0, 1)) == [0, 1]
    # libnftables used to end the process here: it sorted the records, whose last field has no length for it.
    assert lab.counters()


@pytest.mark.azure("ARP-5", "NSG-10")
@pytest.mark.parametrize(("protocol", "passes"), [(50, True), (51, True), (132, False), (17, False)])
def test_rules_can_name_esp_and_ah(lab, protocol, passes):
    arrived = lab.delivered("c1", IP(src="10.0.3.4", dst="10.0.2.4", proto=protocol) / Raw(b"\0\0\1\1" * 6), at="b1")
    assert (arrived is not None) == passes


@pytest.mark.azure("ARP-5", "OUT-4", "OUT-19")
def test_a_public_address_carries_esp_both_ways(lab):
    spi = Raw(b"\0\0\1\1" * 6)
    inbound = IP(src="198.51.100.7", dst="20.61.0.10", proto=50) / spi
    mac = lab.run("visitor", "cat", "/sys/class/net/eth0/address").stdout.strip()
    with lab.tap("visitor") as visitor:
        arrived = delivered_from_host(lab, mac, inbound, "b1")
        assert arrived is not None
        assert (arrived[IP].src, arrived[IP].dst, arrived[IP].proto) == ("198.51.100.7", "10.0.2.4", 50)
        lab.send("b1", IP(src="10.0.2.4", dst="198.51.100.7", proto=50) / spi)
        back = visitor.find(lambda frame: frame.haslayer(IP) and frame[IP].proto == 50)
    assert back is not None
    assert back[IP].src == "20.61.0.10"


def delivered_from_host(lab, mac, packet, at):
    """A frame of a host on the internet, which has no fabric."""
    from scapy.layers.l2 import Ether

    return lab.delivered("visitor", Ether(src=mac, dst="02:00:00:00:00:01") / packet, at=at)


@pytest.mark.azure("IP-10")
def test_a_secondary_address_is_delivered_before_the_guest_knows_it_and_works_when_it_does(single):
    lab = single(SCENARIO)
    assert "10.0.1.99" not in lab.run("a2", "ip", "address").stdout
    assert lab.delivered("c1", IP(src="10.0.3.4", dst="10.0.1.99") / UDP(dport=9), at="a2")
    lab.run("a2", "ip", "address", "add", "10.0.1.99/24", "dev", "eth0")
    assert lab.tcp("c1", "10.0.1.99", 80).answered
    outward = lab.tcp("a2", "c1", 81, bind="10.0.1.99")
    assert (outward.answered, outward.seen_as) == (True, "10.0.1.99")


@pytest.mark.azure("CT-3", "NIC-7", "IP-10")
def test_an_address_added_by_hand_works_only_when_the_nic_has_it(single):
    lab = single(SCENARIO)
    for machine, address, works in (("a1", "10.0.1.98", False), ("a2", "10.0.1.99", True)):
        lab.run(machine, "ip", "address", "add", f"{address}/24", "dev", "eth0")
        assert (lab.delivered(machine, IP(src=address, dst="10.0.8.4") / UDP(dport=9), at="nva") is not None) == works
        assert lab.ping(machine, "nva", bind=address).answered == works


@pytest.mark.azure("IP-11")
def test_a_guest_never_sees_its_public_address(lab):
    assert "20.61.0.10" not in lab.run("b1", "ip", "address").stdout
    contact = lab.tcp("b1", "visitor", 80)
    assert (contact.answered, contact.seen_as) == (True, "20.61.0.10")
