"""The checks at a NIC: own addresses, own MAC, IP forwarding; and machines with two NICs."""

from __future__ import annotations

import pytest
from harness import FABRIC_MAC, PLATFORM
from scapy.layers.inet import IP, UDP
from scapy.layers.l2 import Ether

SCENARIO = """
virtualNetworks:
  net:
    addressSpace: 10.0.0.0/16
    subnets:
      clients: {addressPrefix: 10.0.1.0/24, routeTable: by-appliances}
      servers: {addressPrefix: 10.0.2.0/24}
      appliances: {addressPrefix: 10.0.9.0/24}
      other: {addressPrefix: 10.0.3.0/24}
routeTables:
  by-appliances:
    routes:
      both: {addressPrefix: 10.0.2.4/32, nextHopType: VirtualAppliance, nextHopIpAddress: 10.0.9.4}
      no-fabric: {addressPrefix: 10.0.2.5/32, nextHopType: VirtualAppliance, nextHopIpAddress: 10.0.9.5}
      no-kernel: {addressPrefix: 10.0.2.6/32, nextHopType: VirtualAppliance, nextHopIpAddress: 10.0.9.6}
      neither: {addressPrefix: 10.0.2.7/32, nextHopType: VirtualAppliance, nextHopIpAddress: 10.0.9.7}
networkInterfaces:
  front: {subnet: net/other, privateIPAddress: 10.0.3.10}
  back: {subnet: net/appliances, privateIPAddress: 10.0.9.10, enableIPForwarding: true,
         dnsSettings: {dnsServers: 10.0.2.4}}
virtualMachines:
  client: {subnet: net/clients, privateIPAddress: 10.0.1.4}
  server4: {subnet: net/servers, privateIPAddress: 10.0.2.4}
  server5: {subnet: net/servers, privateIPAddress: 10.0.2.5}
  server6: {subnet: net/servers, privateIPAddress: 10.0.2.6}
  server7: {subnet: net/servers, privateIPAddress: 10.0.2.7}
  both: {subnet: net/appliances, privateIPAddress: 10.0.9.4, enableIPForwarding: true,
         sysctls: {net.ipv4.ip_forward: 1}}
  no-fabric: {subnet: net/appliances, privateIPAddress: 10.0.9.5, sysctls: {net.ipv4.ip_forward: 1}}
  no-kernel: {subnet: net/appliances, privateIPAddress: 10.0.9.6, enableIPForwarding: true}
  neither: {subnet: net/appliances, privateIPAddress: 10.0.9.7}
  dual: {networkInterfaces: [front, back]}
"""


@pytest.fixture(scope="module")
def lab(laboratory):
    return laboratory(SCENARIO)


def datagram(source: str, destination: str):
    return IP(src=source, dst=destination) / UDP(sport=5000, dport=9)


@pytest.mark.azure("NIC-7", "PIPE-1")
def test_a_packet_with_a_foreign_source_address_is_dropped(lab):
    before = lab.dropped("source address")
    assert lab.delivered("server4", datagram("10.0.2.5", "10.0.3.10"), at="dual") is None
    assert lab.dropped("source address") == before + 1
    assert lab.delivered("server4", datagram("10.0.2.4", "10.0.3.10"), at="dual") is not None


@pytest.mark.azure("NIC-7")
def test_a_nic_that_forwards_may_send_with_any_source_address(lab):
    assert lab.delivered("both", datagram("10.0.2.5", "10.0.3.10"), at="dual") is not None


@pytest.mark.azure("NIC-7")
def test_forwarding_is_a_right_of_one_nic_and_not_of_its_machine(lab):
    packet = datagram("10.0.2.5", "10.0.2.6")
    assert lab.delivered("dual", packet, at="server6", device="eth0") is None
    assert lab.delivered("dual", packet, at="server6", device="eth1") is not None


@pytest.mark.azure("PLT-3")
@pytest.mark.parametrize("machine", ["server4", "both"])
def test_nobody_but_the_platform_sends_from_its_address(lab, machine):
    assert lab.delivered(machine, datagram(PLATFORM, "10.0.3.10"), at="dual") is None


@pytest.mark.azure("NIC-10")
@pytest.mark.parametrize("machine", ["server4", "both"])
def test_a_foreign_source_mac_is_dropped_also_from_a_nic_that_forwards(lab, machine):
    address = lab.address(machine)
    for mac, passes in ((lab.mac("server5"), False), (FABRIC_MAC, False), (lab.mac(machine), True)):
        frame = Ether(src=mac, dst=FABRIC_MAC) / datagram(address, "10.0.3.10")
        assert (lab.delivered(machine, frame, at="dual") is not None) == passes


@pytest.mark.azure("CT-30", "NIC-7", "NIC-8", "NIC-9", "NVA-8")
@pytest.mark.parametrize(
    ("server", "appliance", "reaches_appliance", "works"),
    [("server4", "both", True, True), ("server5", "no-fabric", False, False),
     ("server6", "no-kernel", True, False), ("server7", "neither", False, False)],
)  # fmt: skip
def test_an_appliance_needs_ip_forwarding_at_the_nic_and_in_the_guest(lab, server, appliance, reaches_appliance, works):
    packet = datagram("10.0.1.4", lab.address(server))
    assert (lab.delivered("client", packet, at=appliance) is not None) == reaches_appliance
    assert (lab.delivered("client", packet, at=server) is not None) == works
    assert lab.tcp("client", server, 80).answered == works
    assert lab.ping("client", server).answered == works


@pytest.mark.azure("NVA-8", "PIPE-5")
def test_a_nic_without_forwarding_is_never_given_a_packet_for_somebody_else(lab):
    before = lab.dropped("destination address")
    assert lab.delivered("client", datagram("10.0.1.4", "10.0.2.5"), at="no-fabric") is None
    assert lab.dropped("destination address") == before + 1


@pytest.mark.azure("NVA-2")
def test_an_appliance_gets_the_packet_with_its_original_addresses(lab):
    arrived = lab.delivered("client", datagram("10.0.1.4", "10.0.2.4"), at="both")
    assert (arrived[IP].src, arrived[IP].dst, arrived.dst) == ("10.0.1.4", "10.0.2.4", lab.mac("both"))


@pytest.mark.azure("NVA-9")
def test_a_proxy_needs_no_forwarding(lab):
    assert lab.tcp("client", "neither", 3128).answered
    assert lab.tcp("neither", "server4", 80).seen_as == "10.0.9.7"


@pytest.mark.azure("NIC-4", "RT-27")
def test_only_the_primary_nic_has_a_default_route(lab):
    defaults = [line for line in lab.run("dual", "ip", "route").stdout.splitlines() if line.startswith("default")]
    assert len(defaults) == 1
    assert "dev eth0" in defaults[0]


@pytest.mark.azure("NIC-4")
def test_a_secondary_nic_talks_inside_its_subnet_only_until_the_guest_adds_routes(single):
    lab = single(SCENARIO.replace("enableIPForwarding: true,\n         dnsSettings", "dnsSettings"))
    assert lab.tcp("both", "back", 80).answered
    before = lab.dropped("source address")
    contact = lab.tcp("server4", "back", 80)
    assert (contact.arrived, contact.answered) == (True, False)
    assert lab.dropped("source address") > before
    lab.run("dual", "ip", "rule", "add", "from", "10.0.9.10", "table", "2")
    lab.run("dual", "ip", "route", "add", "default", "via", "10.0.9.1", "dev", "eth1", "table", "2")
    assert lab.tcp("server4", "back", 81).answered


@pytest.mark.azure("NIC-4", "NIC-1")
def test_a_machine_with_two_nics_speaks_with_the_address_of_the_nic_it_uses(lab):
    assert lab.tcp("dual", "server4", 80).seen_as == "10.0.3.10"
    assert lab.tcp("dual", "both", 80).seen_as == "10.0.9.10"


@pytest.mark.azure("NIC-5")
def test_a_guest_has_the_mac_that_the_platform_gave(lab):
    shown = lab.run("client", "cat", "/sys/class/net/eth0/address").stdout.strip()
    assert shown == lab.mac("client")
    assert shown.startswith("00:0d:3a:")


@pytest.mark.azure("NIC-11")
def test_dns_servers_of_a_nic_are_for_its_machine_alone(lab):
    assert "nameserver 10.0.2.4" in lab.run("dual", "cat", "/etc/resolv.conf").stdout
    assert f"nameserver {PLATFORM}" in lab.run("both", "cat", "/etc/resolv.conf").stdout
