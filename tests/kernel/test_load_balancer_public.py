"""Public load balancers: from the internet to a backend and back, closed and open, and where replies go."""

from __future__ import annotations

import os
from ipaddress import IPv4Address

import pytest
from balancing import ENGINES, TCP, UDP, backends, is_from
from harness import VISITOR, rule
from scapy.layers.inet import ICMP, IP
from scapy.layers.inet import TCP as Segment
from scapy.layers.inet import UDP as Datagram
from scapy.layers.l2 import Ether

from netemu.linux import conntrack

PUBLIC, SECOND, BASIC, LONELY = "20.61.0.80", "20.61.0.81", "20.61.0.82", "20.61.0.83"
WEBS = ("w1", "w2")

SCENARIO = f"""
virtualNetworks:
  net:
    addressSpace: 10.0.0.0/16
    subnets:
      web: {{addressPrefix: 10.0.1.0/24, networkSecurityGroup: web-nsg}}
      bare: {{addressPrefix: 10.0.2.0/24}}
      diverted: {{addressPrefix: 10.0.3.0/24, networkSecurityGroup: web-nsg, routeTable: through-fw}}
      fw: {{addressPrefix: 10.0.4.0/24}}
      clients: {{addressPrefix: 10.0.5.0/24}}
  other:
    addressSpace: 10.0.0.0/16
    subnets: {{web: {{addressPrefix: 10.0.1.0/24, networkSecurityGroup: web-nsg}}}}
networkSecurityGroups:
  web-nsg:
    securityRules:
      web: {rule(100, "Inbound", "Allow", "*", "Internet", "*", "8080")}
      nat: {rule(110, "Inbound", "Allow", "Tcp", "198.51.100.7", "*", "22")}
      frontend: {rule(120, "Inbound", "Allow", "*", "*", PUBLIC)}
routeTables:
  through-fw:
    routes: {{default: {{addressPrefix: 0.0.0.0/0, nextHopType: VirtualAppliance, nextHopIpAddress: 10.0.4.4}}}}
publicIPAddresses:
  web-ip: {{ipAddress: {PUBLIC}}}
  second-ip: {{ipAddress: {SECOND}}}
  basic-ip: {{sku: Basic, ipAddress: {BASIC}}}
  lonely-ip: {{ipAddress: {LONELY}}}
  other-ip: {{ipAddress: 20.61.0.90}}
loadBalancers:
  web-lb:
    frontendIPConfigurations: {{main: {{publicIPAddress: web-ip}}, second: {{publicIPAddress: second-ip}}}}
    backendAddressPools: {{web: [w1, w2], bare: [b1], diverted: [d1]}}
    loadBalancingRules:
      http: {{frontendIPConfiguration: main, backendAddressPool: web, protocol: Tcp, frontendPort: 80, backendPort: 8080}}
      udp: {{frontendIPConfiguration: main, backendAddressPool: web, protocol: Udp, frontendPort: 80, backendPort: 8080}}
      denied: {{frontendIPConfiguration: main, backendAddressPool: web, protocol: Tcp, frontendPort: 81, backendPort: 8081}}
      again: {{frontendIPConfiguration: second, backendAddressPool: web, protocol: Tcp, frontendPort: 8080, backendPort: 8090}}
      bare: {{frontendIPConfiguration: second, backendAddressPool: bare, protocol: Tcp, frontendPort: 80, backendPort: 8080}}
      diverted: {{frontendIPConfiguration: second, backendAddressPool: diverted, protocol: Tcp, frontendPort: 82, backendPort: 8080}}
    inboundNatRules:
      ssh1: {{frontendIPConfiguration: main, protocol: Tcp, frontendPort: 50001, backendPort: 22, backend: w1}}
      bare-ssh: {{frontendIPConfiguration: second, protocol: Tcp, frontendPort: 50002, backendPort: 22, backend: b1}}
  basic-lb:
    sku: Basic
    frontendIPConfigurations: {{main: {{publicIPAddress: basic-ip}}}}
    backendAddressPools: {{open: [o1]}}
    loadBalancingRules:
      http: {{frontendIPConfiguration: main, backendAddressPool: open, protocol: Tcp, frontendPort: 80, backendPort: 8080}}
  lonely-lb:
    frontendIPConfigurations: {{main: {{publicIPAddress: lonely-ip}}}}
    backendAddressPools: {{nobody: []}}
    loadBalancingRules:
      http: {{frontendIPConfiguration: main, backendAddressPool: nobody, protocol: Tcp, frontendPort: 80}}
  inner-lb:
    frontendIPConfigurations: {{main: {{subnet: net/web, privateIPAddress: 10.0.1.100}}}}
    backendAddressPools: {{diverted: [d1]}}
    loadBalancingRules:
      http: {{frontendIPConfiguration: main, backendAddressPool: diverted, protocol: Tcp, frontendPort: 80, backendPort: 8080}}
  other-lb:
    frontendIPConfigurations: {{main: {{publicIPAddress: other-ip}}}}
    backendAddressPools: {{web: [x1]}}
    loadBalancingRules:
      http: {{frontendIPConfiguration: main, backendAddressPool: web, protocol: Tcp, frontendPort: 80, backendPort: 8080}}
networkInterfaces:
  fw-nic: {{subnet: net/fw, privateIPAddress: 10.0.4.4, enableIPForwarding: true}}
virtualMachines:
  w1: {{subnet: net/web, privateIPAddress: 10.0.1.11}}
  w2: {{subnet: net/web, privateIPAddress: 10.0.1.12}}
  b1: {{subnet: net/bare, privateIPAddress: 10.0.2.11}}
  o1: {{subnet: net/bare, privateIPAddress: 10.0.2.12}}
  d1: {{subnet: net/diverted, privateIPAddress: 10.0.3.11}}
  fw: {{networkInterfaces: fw-nic, sysctls: {{net.ipv4.ip_forward: 1}}}}
  client: {{subnet: net/clients, privateIPAddress: 10.0.5.4}}
  x1: {{subnet: other/web, privateIPAddress: 10.0.1.11}}
{VISITOR}
"""


@pytest.fixture(scope="module", params=ENGINES)
def lab(request, laboratory):
    return laboratory(f"loadBalancerEngine: {request.param}\n{SCENARIO}")


def from_visitor(lab, packet):
    """A frame of the visitor's, who is on the internet."""
    mac = lab.run("visitor", "cat", "/sys/class/net/eth0/address").stdout.strip()
    return Ether(src=mac, dst="02:00:00:00:00:01") / packet


@pytest.mark.azure("LB-1", "LB-2", "LB-12", "PIPE-4", "NSG-17", "NSG-20", "OUT-3")
@pytest.mark.parametrize("protocol", [TCP, UDP])
def test_the_internet_reaches_backends_by_the_frontend_and_keeps_its_address(lab, protocol):
    seen = set()
    with backends(lab, WEBS, [8080], [8080]) as listening:
        for _ in range(60):  # that none comes to one of three: once in ten thousand million
            sport = lab.port()
            call = listening.call("visitor", PUBLIC, 80, protocol, at=8080, sport=sport)
            assert (call.answered, call.seen_as, call.seen_port) == (True, "198.51.100.7", sport)
            assert protocol == UDP or call.works()
            seen.add(call.backend)
            call.close()
    assert seen == set(WEBS)


@pytest.mark.azure("NSG-18", "NSG-17")
def test_a_rule_must_allow_the_backend_port(lab):
    with backends(lab, WEBS, [8081, 22]) as listening:
        assert listening.call("visitor", PUBLIC, 81, at=8081).lost
        assert lab.counter("inbound/web-nsg/net", "frontend") == 0
        assert listening.call("visitor", PUBLIC, 50001, at=22).backend == "w1"


@pytest.mark.azure("LB-12")
def test_a_load_balancer_has_several_frontends(lab):
    with backends(lab, WEBS, [8090]) as listening:
        assert listening.call("visitor", SECOND, 8080, at=8090).lost  # denied, but there: the rule is counted
    assert lab.counters("@slb.net")["rule/web-lb/again" if is_ipvs(lab) else "rule/web-lb/again/chosen", "again"] == 1


def is_ipvs(lab):
    return "loadBalancerEngine: ipvs" in lab.source.read_text()


@pytest.mark.azure("OUT-17", "LB-38", "CT-14")
def test_a_standard_frontend_leads_to_nobody_without_an_nsg_and_a_basic_one_does(lab):
    before = lab.dropped("Standard public IP", "@slb.net")
    with backends(lab, ["b1", "o1"], [8080, 22]) as listening:
        for port, at in ((80, 8080), (50002, 22)):
            assert listening.call("visitor", SECOND, port, at=at).lost
        assert lab.dropped("Standard public IP", "@slb.net") >= before + 2
        call = listening.call("visitor", BASIC, 80, at=8080)
        assert (call.backend, call.answered, call.seen_as) == ("o1", True, "198.51.100.7")


@pytest.mark.azure("LB-8", "LB-9", "OUT-20", "LB-24")
@pytest.mark.parametrize(
    "layer", [Segment(dport=443, flags="S"), Datagram(dport=443), ICMP(), Segment(dport=8080, flags="S")], ids=str
)
def test_what_no_rule_is_for_gets_no_answer(lab, layer):
    before = lab.dropped("no load-balancing rule", "@edge")
    with lab.tap("visitor") as tap:
        for web in WEBS:
            assert lab.delivered("visitor", from_visitor(lab, IP(src="198.51.100.7", dst=PUBLIC) / layer), at=web) is None
        assert tap.find(lambda f: is_from(f, PUBLIC, "198.51.100.7")) is None
    assert lab.dropped("no load-balancing rule", "@edge") == before + 2


@pytest.mark.azure("LB-24")
def test_a_frontend_without_any_backend_gives_no_answer(lab):
    before = lab.dropped("no healthy backend", "@edge")
    with backends(lab, WEBS, [80]) as listening:
        assert listening.call("visitor", LONELY, 80).lost
    assert lab.dropped("no healthy backend", "@edge") == before + 1


@pytest.mark.azure("OUT-22", "PIPE-6", "RT-21")
def test_replies_follow_the_route_table_of_the_backends_subnet(lab):
    with backends(lab, ["d1"], [8080]) as listening, lab.tap("fw") as firewall:
        call = listening.open("visitor", SECOND, 82)
        # It arrives, and what is sent back goes, translated, to the firewall instead of the internet.
        answer = firewall.find(lambda f: is_from(f, SECOND, "198.51.100.7"))
        assert answer is not None
        assert (answer[Segment].sport, str(answer[Segment].flags)) == (82, "SA")
        call.close()
        # Clients of the network are routed to directly.
        inside = listening.call("client", "10.0.1.100", 80, at=8080)
        assert (inside.answered, inside.seen_as) == (True, "10.0.5.4")


@pytest.mark.azure("OUT-4", "OUT-21", "OUT-32", "NSG-26")
@pytest.mark.parametrize("source", ["client", "x1"])
def test_machines_of_the_lab_reach_public_frontends_by_the_internet(lab, source):
    with backends(lab, WEBS, [8080]) as listening:
        call = listening.call(source, PUBLIC, 80, at=8080)
        # x1 is in a pool whose rule lets out by its frontend (OUT-4, OUT-32).
        expected = lab.default_outbound("client") if source == "client" else "20.61.0.90"
        assert (call.answered, call.seen_as) == (True, expected)


@pytest.mark.azure("VN-12")
def test_networks_with_equal_addresses_have_load_balancers_of_their_own(lab):
    with backends(lab, ["w1", "w2", "x1"], [8080]) as listening:
        assert {listening.call("visitor", "20.61.0.90", 80, at=8080).backend for _ in range(6)} == {"x1"}
        assert "x1" not in listening.spread("visitor", PUBLIC, 80, at=8080, sports=range(25000, 25020))


@pytest.mark.azure("LB-20")
def test_fragments_from_the_internet_are_dropped(lab):
    whole = IP(src="198.51.100.7", dst=PUBLIC, flags="MF") / Datagram(sport=4000, dport=80) / (b"x" * 64)
    before = lab.dropped("fragment to a frontend", "@edge")
    for web in WEBS:
        assert lab.delivered("visitor", from_visitor(lab, whole), at=web) is None
    assert lab.dropped("fragment to a frontend", "@edge") == before + 2


def test_public_flows_are_not_tracked_at_the_edge(lab):
    with backends(lab, WEBS, [8080]) as listening:
        call = listening.call("visitor", PUBLIC, 80, at=8080)
        assert call.works()
        descriptor = os.open(lab.namespace("@edge"), os.O_RDONLY)
        with open(descriptor, closefd=True):
            tracked = {each.way.source for each in conntrack.connections(descriptor, conntrack.Marked(0, 0))}
        assert int(IPv4Address("198.51.100.7")) not in tracked
