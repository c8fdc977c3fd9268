"""What a hostile guest or internet host tries: false sources, forged errors, loops, poisoned tables."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from harness import Lab, deny
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPerror, UDPerror
from scapy.layers.l2 import ARP, Ether
from scapy.packet import Packet, Raw

LAB = f"""
virtualNetworks:
  net:
    addressSpace: 10.0.0.0/16
    subnets:
      open: {{addressPrefix: 10.0.1.0/24}}
      shut: {{addressPrefix: 10.0.2.0/24, networkSecurityGroup: shut-nsg}}
      defaults: {{addressPrefix: 10.0.3.0/24, networkSecurityGroup: default-nsg}}
networkSecurityGroups:
  default-nsg: {{}}
  shut-nsg: {{securityRules: {{in: {deny("Inbound")}, out: {deny("Outbound")}}}}}
publicIPAddresses:
  web-ip: {{ipAddress: 20.61.0.20}}
  other-ip: {{ipAddress: 20.61.0.21}}
virtualMachines:
  plain: {{subnet: net/open}}
  router: {{subnet: net/open, enableIPForwarding: true}}
  locked: {{subnet: net/shut}}
  web: {{subnet: net/defaults, publicIPAddress: web-ip}}
  other: {{subnet: net/defaults, publicIPAddress: other-ip}}
internet: {{hosts: {{visitor: {{ipAddress: 198.51.100.7}}, second: {{ipAddress: 198.51.100.8}}}}}}
"""


@pytest.fixture(scope="module")
def lab(laboratory: Callable[[str], Lab]) -> Lab:
    return laboratory(LAB)


def from_internet(lab: Lab, packet: Packet) -> Packet:
    """A frame as the visitor's own stack would make it, whatever its source says."""
    mac = lab.run("visitor", "cat", "/sys/class/net/eth0/address").stdout.strip()
    return Ether(src=mac, dst="02:00:00:00:00:01") / packet


@pytest.mark.azure("PLT-3", "PIPE-4")
@pytest.mark.parametrize("source", ["10.0.3.5", "168.63.129.16", "198.51.100.8", "20.61.0.21", "127.0.0.1", "0.0.0.0"])
@pytest.mark.parametrize("layer", [TCP(sport=999, dport=80, flags="S"), UDP(sport=999, dport=53)], ids=["tcp", "udp"])
def test_an_internet_host_cannot_send_as_somebody_else(lab: Lab, source: str, layer: Packet) -> None:
    packet = IP(src=source, dst="20.61.0.20") / layer
    assert lab.delivered("visitor", from_internet(lab, packet), at="web") is None


@pytest.mark.azure("NSG-15", "NSG-21")
@pytest.mark.parametrize("kind", [3, 11, 12])
def test_a_forged_icmp_error_does_not_come_in_where_nothing_may(lab: Lab, kind: int) -> None:
    forged = (
        IP(src="10.0.1.4", dst="10.0.2.4")
        / ICMP(type=kind, code=0)
        / IPerror(src="10.0.2.4", dst="10.0.1.4", proto=17)
        / UDPerror(sport=1000, dport=2000, len=8, chksum=0)
        / Raw(b"covert")
    )
    assert lab.delivered("plain", forged, at="locked") is None


@pytest.mark.azure("NSG-15", "NSG-21")
def test_nor_does_one_get_out(lab: Lab) -> None:
    forged = (
        IP(src="10.0.2.4", dst="10.0.1.4")
        / ICMP(type=3, code=3)
        / IPerror(src="10.0.1.4", dst="10.0.2.4", proto=17)
        / UDPerror(sport=1000, dport=2000, len=8, chksum=0)
        / Raw(b"covert")
    )
    assert lab.delivered("locked", forged, at="plain") is None


@pytest.mark.parametrize("flags", ["FPU", "", "A", "SA"], ids=["xmas", "null", "ack", "syn-ack"])
def test_no_packet_goes_round_between_edge_and_fabric(lab: Lab, flags: str) -> None:
    packet = IP(src="198.51.100.7", dst=str(lab.default_outbound("plain")), ttl=255) / TCP(sport=7, dport=80, flags=flags)
    with lab.tap("@edge") as tap:
        lab.send("visitor", from_internet(lab, packet))
        assert sum(1 for frame in tap.frames() if frame.haslayer(TCP) and frame[TCP].sport == 7) <= 2


@pytest.mark.azure("ARP-2")
def test_a_false_arp_sender_is_nobodys_neighbour(lab: Lab) -> None:
    for last in range(1, 20):
        false = ARP(op=1, psrc=f"10.9.0.{last}", hwsrc=lab.mac("plain"), pdst="10.0.1.1")
        lab.send("plain", Ether(dst="ff:ff:ff:ff:ff:ff", src=lab.mac("plain")) / false)
    assert "10.9.0." not in lab.run("@fabric", "ip", "neigh").stdout


@pytest.mark.azure("PLT-3", "NSG-15")
def test_a_forwarding_nic_cannot_make_the_platform_answer_somebody_else(lab: Lab) -> None:
    query = UDP(sport=4444, dport=53) / Raw(bytes.fromhex("123401000001000000000000") + b"\7visitor\0\0\1\0\1")
    with lab.tap("locked") as tap:
        lab.send("router", IP(src="10.0.2.4", dst="168.63.129.16") / query)
        answer = tap.find(lambda f: f.haslayer(UDP) and f[UDP].dport == 4444, 0.3)
    assert answer is None


@pytest.mark.azure("PLT-3")
@pytest.mark.parametrize("source", ["168.63.129.16", "169.254.169.254"])
def test_a_forwarding_nic_is_not_the_platform(lab: Lab, source: str) -> None:
    assert lab.delivered("router", IP(src=source, dst="10.0.3.4") / UDP(sport=53, dport=9), at="web") is None


@pytest.mark.azure("ARP-11")
def test_fragments_do_not_leave_by_default_outbound_access_but_by_a_public_ip(lab: Lab) -> None:
    for machine, passes in (("plain", False), ("web", True)):
        own = str(lab.address(machine))
        header = UDP(sport=5, dport=9, len=1488, chksum=0)
        first = IP(src=own, dst="198.51.100.7", id=77, flags="MF") / header / Raw(bytes(1472))
        rest = IP(src=own, dst="198.51.100.7", id=77, frag=185, proto=17) / Raw(bytes(8))
        with lab.tap("visitor") as tap:
            lab.send(machine, first)
            lab.send(machine, rest)
            assert (tap.find(lambda f: f.haslayer(IP) and f[IP].proto == 17) is not None) is passes


@pytest.mark.azure("OUT-15")
def test_the_edge_remembers_a_udp_flow_for_four_minutes(lab: Lab) -> None:
    for name in ("nf_conntrack_udp_timeout", "nf_conntrack_udp_timeout_stream"):
        assert lab.run("@edge", "cat", f"/proc/sys/net/netfilter/{name}").stdout.strip() == "240"
