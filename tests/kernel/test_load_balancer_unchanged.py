"""What a load balancer hands on as it is: floating IP (LB-16), HA ports (LB-18), HA ports as a route's next hop (NVA-6)."""

from __future__ import annotations

import itertools

import pytest
from balancing import ENGINES, TCP, UDP, backends
from harness import VISITOR, rule
from scapy.layers.inet import IP
from scapy.layers.inet import UDP as Datagram

FLOATING, WHOLE, BOTH, WAY, PUBLIC = "10.0.1.100", "10.0.1.101", "10.0.1.102", "10.0.3.100", "20.61.0.80"
WEBS = ("w1", "w2")
FIREWALLS = ("n1", "n2")

SCENARIO = f"""
virtualNetworks:
  net:
    addressSpace: 10.0.0.0/16
    subnets:
      web: {{addressPrefix: 10.0.1.0/24, networkSecurityGroup: web-nsg}}
      clients: {{addressPrefix: 10.0.2.0/24}}
      way: {{addressPrefix: 10.0.3.0/24}}
      left: {{addressPrefix: 10.0.4.0/24, routeTable: to-right}}
      right: {{addressPrefix: 10.0.5.0/24, routeTable: to-left}}
    virtualNetworkPeerings:
      to-spoke: {{remoteVirtualNetwork: spoke, allowForwardedTraffic: true}}
  spoke:
    addressSpace: 10.9.0.0/16
    subnets: {{main: {{addressPrefix: 10.9.0.0/24, routeTable: from-spoke}}}}
    virtualNetworkPeerings: {{to-net: {{remoteVirtualNetwork: net, allowForwardedTraffic: true}}}}
networkSecurityGroups:
  web-nsg:
    securityRules:
      floating: {rule(100, "Inbound", "Allow", "Tcp", "*", FLOATING, "1433")}
      translated: {rule(110, "Inbound", "Allow", "Tcp", "*", FLOATING, "1500")}
      public: {rule(120, "Inbound", "Allow", "Tcp", "Internet", PUBLIC, "443")}
      nat: {rule(130, "Inbound", "Allow", "Udp", "*", FLOATING, "5000")}
      own: {rule(140, "Inbound", "Deny", "Tcp", "*", "10.0.1.0/24", "1433-1500")}
routeTables:
  to-right: {{routes: {{r: {{addressPrefix: 10.0.5.0/24, nextHopType: VirtualAppliance, nextHopIpAddress: {WAY}}}}}}}
  to-left:
    routes:
      l: {{addressPrefix: 10.0.4.0/24, nextHopType: VirtualAppliance, nextHopIpAddress: {WAY}}}
      s: {{addressPrefix: 10.9.0.0/16, nextHopType: VirtualAppliance, nextHopIpAddress: {WAY}}}
  from-spoke: {{routes: {{r: {{addressPrefix: 10.0.5.0/24, nextHopType: VirtualAppliance, nextHopIpAddress: {WAY}}}}}}}
publicIPAddresses: {{web-ip: {{ipAddress: {PUBLIC}}}}}
loadBalancers:
  ilb:
    frontendIPConfigurations:
      floating: {{subnet: net/web, privateIPAddress: {FLOATING}}}
    backendAddressPools: {{web: [w1, w2]}}
    loadBalancingRules:
      sql: {{frontendIPConfiguration: floating, backendAddressPool: web, protocol: Tcp, frontendPort: 1433, enableFloatingIP: true}}
      moved: {{frontendIPConfiguration: floating, backendAddressPool: web, protocol: Tcp, frontendPort: 1434, backendPort: 1500,
              enableFloatingIP: true}}
    inboundNatRules:
      one: {{frontendIPConfiguration: floating, protocol: Udp, frontendPort: 5000, backendPort: 5000, backend: w2, enableFloatingIP: true}}
  public-lb:
    frontendIPConfigurations: {{main: {{publicIPAddress: web-ip}}}}
    backendAddressPools: {{web: [w1, w2]}}
    loadBalancingRules:
      https: {{frontendIPConfiguration: main, backendAddressPool: web, protocol: Tcp, frontendPort: 443, enableFloatingIP: true}}
  ha-lb:
    frontendIPConfigurations: {{whole: {{subnet: net/web, privateIPAddress: {WHOLE}}}}}
    backendAddressPools: {{all: [a1, a2]}}
    loadBalancingRules:
      all: {{frontendIPConfiguration: whole, backendAddressPool: all, protocol: All, frontendPort: 0, backendPort: 0}}
  fw-lb:
    frontendIPConfigurations: {{way: {{subnet: net/way, privateIPAddress: {WAY}}}}}
    backendAddressPools: {{fws: [n1, n2]}}
    loadBalancingRules:
      all: {{frontendIPConfiguration: way, backendAddressPool: fws, protocol: All, frontendPort: 0, backendPort: 0}}
networkInterfaces:
  n1-nic: {{subnet: net/way, privateIPAddress: 10.0.3.11, enableIPForwarding: true}}
  n2-nic: {{subnet: net/way, privateIPAddress: 10.0.3.12, enableIPForwarding: true}}
virtualMachines:
  w1: {{subnet: net/web, privateIPAddress: 10.0.1.11}}
  w2: {{subnet: net/web, privateIPAddress: 10.0.1.12}}
  a1: {{subnet: net/clients, privateIPAddress: 10.0.2.11}}
  a2: {{subnet: net/clients, privateIPAddress: 10.0.2.12}}
  client: {{subnet: net/clients, privateIPAddress: 10.0.2.4}}
  n1: {{networkInterfaces: n1-nic, sysctls: {{net.ipv4.ip_forward: 1}}}}
  n2: {{networkInterfaces: n2-nic, sysctls: {{net.ipv4.ip_forward: 1}}}}
  left: {{subnet: net/left, privateIPAddress: 10.0.4.4}}
  right: {{subnet: net/right, privateIPAddress: 10.0.5.4}}
  spoke: {{subnet: spoke/main, privateIPAddress: 10.9.0.4}}
{VISITOR}
"""


@pytest.fixture(scope="module", params=ENGINES)
def lab(request, laboratory):
    lab = laboratory(f"loadBalancerEngine: {request.param}\n{SCENARIO}")
    for web in WEBS:  # what LB-16 asks of the guest
        for address in (FLOATING, PUBLIC):
            assert lab.run(web, "ip", "address", "add", f"{address}/32", "dev", "lo").returncode == 0
    return lab


# ---- floating IP -----------------------------------------------------------------------------------------------------


@pytest.mark.azure("LB-16", "CT-26", "NSG-19", "LB-1")
@pytest.mark.parametrize(("port", "at"), [(1433, 1433), (1434, 1500)])
def test_with_floating_ip_the_guest_is_called_at_the_frontends_address(lab, port, at):
    seen = set()
    with backends(lab, WEBS, [1433, 1500]) as listening:
        for _ in range(60):  # that none comes to one of three: once in ten thousand million
            sport = lab.port()
            call = listening.call("client", FLOATING, port, at=at, sport=sport)
            assert (call.answered, call.seen_as, call.seen_port, call.seen_at) == (True, "10.0.2.4", sport, FLOATING)
            assert call.works()
            seen.add(call.backend)
            call.close()
        assert listening.call("client", "10.0.1.11", 1433).lost  # by its own address the NSG denies it
    assert seen == set(WEBS)


@pytest.mark.azure("LB-16", "LB-17")
def test_an_inbound_nat_rule_may_float(lab):
    with backends(lab, WEBS, [], [5000]) as listening:
        call = listening.call("client", FLOATING, 5000, UDP)
        assert (call.backend, call.answered, call.seen_at) == ("w2", True, FLOATING)


@pytest.mark.azure("LB-16", "OUT-17", "NSG-19")
def test_a_public_frontend_may_float(lab):
    seen = set()
    with backends(lab, WEBS, [443]) as listening:
        for _ in range(60):
            call = listening.call("visitor", PUBLIC, 443)
            assert (call.answered, call.seen_as, call.seen_at) == (True, "198.51.100.7", PUBLIC)
            assert call.works()
            seen.add(call.backend)
            call.close()
    assert seen == set(WEBS)


@pytest.mark.azure("LB-16", "NIC-7")
def test_a_guest_answers_with_the_frontends_address_and_begins_nothing_with_it(lab):
    stray = IP(src=FLOATING, dst="10.0.2.4") / Datagram(sport=1433, dport=lab.port())
    before = lab.dropped("source address")
    assert lab.delivered("w1", stray, at="client") is None
    assert lab.dropped("source address") == before + 1


# ---- HA ports --------------------------------------------------------------------------------------------------------


@pytest.mark.azure("LB-18", "LB-2")
def test_ha_ports_spread_every_port_of_tcp_and_udp(lab):
    seen = set()
    ports = (22, 80, 443, 3389, 8443, 50000)
    with backends(lab, ["a1", "a2"], ports, ports) as listening:
        for protocol in (TCP, UDP):
            for port, sport in itertools.product(ports, range(41000, 41005)):  # all to one: once in 500 million
                call = listening.call("client", WHOLE, port, protocol, sport=sport)
                assert (call.answered, call.seen_as) == (True, "10.0.2.4")
                seen.add((protocol, call.backend))
                call.close()
    assert len(seen) == 4


@pytest.mark.azure("LB-20")
def test_ha_ports_pass_fragments_on(lab):
    with lab.socket("a1", 2) as one, lab.socket("a2", 2) as two, lab.socket("client", 2) as caller:
        for each in (one, two):
            each.bind(("0.0.0.0", 7000))
            each.setblocking(False)
        for _ in range(8):
            caller.settimeout(0.5)
            caller.sendto(b"x" * 4000, (WHOLE, 7000))
            arrived = []
            for each in (one, two):
                try:
                    data, sender = each.recvfrom(8000)
                except BlockingIOError:
                    continue
                arrived.append(len(data))
                each.sendto(b"y" * 4000, sender)
            assert arrived == [4000]
            data, sender = caller.recvfrom(8000)
            assert (len(data), sender) == (4000, (WHOLE, 7000))


# ---- as a next hop ---------------------------------------------------------------------------------------------------


def ways(lab, source, to, sports, protocol=TCP):
    """Through which appliances flows went, there and back."""
    found = []
    port = 7001
    target = {"right": "10.0.5.4", "left": "10.0.4.4"}[to]
    with backends(lab, [to], [port], [port]) as listening:
        for sport in sports:
            taps = {firewall: lab.tap(firewall) for firewall in FIREWALLS}
            opened = {name: tap.__enter__() for name, tap in taps.items()}
            call = listening.call(source, target, port, protocol, sport=sport)
            assert (call.answered, call.seen_as, call.seen_port) == (True, lab.address(source), sport)
            call.close()
            there, back = set(), set()
            for name, tap in opened.items():
                for frame in tap.frames():
                    if frame.haslayer(IP):
                        (there if frame[IP].dst == target else back).add(name)
                taps[name].__exit__(None, None, None)
            found.append((there, back))
    return found


@pytest.mark.azure("RT-7", "NVA-6", "NVA-2", "LB-18", "LB-19")
@pytest.mark.parametrize(("source", "to"), [("left", "right"), ("right", "left"), ("spoke", "right")])
@pytest.mark.parametrize("protocol", [TCP, UDP])
def test_as_a_next_hop_ha_ports_lead_a_flow_through_one_appliance_both_ways(lab, source, to, protocol):
    found = ways(lab, source, to, range(26000, 26020), protocol)
    assert all(there == back and len(there) == 1 for there, back in found), found
    assert {next(iter(there)) for there, _ in found} == set(FIREWALLS)


@pytest.mark.azure("NVA-6", "NVA-3")
def test_stateful_appliances_see_both_directions_of_a_flow(lab):
    stateful = (
        "table ip stateful {\nchain pass {\ntype filter hook forward priority 0; policy drop;\n"
        "ct state established accept\nip saddr 10.0.4.4 ct state new tcp flags & (syn | ack) == syn accept\n}\n}"
    )
    try:
        for firewall in FIREWALLS:
            lab.ruleset(firewall, stateful)
        found = ways(lab, "left", "right", range(26100, 26112))
        assert all(there == back for there, back in found)
    finally:
        for firewall in FIREWALLS:
            lab.ruleset(firewall, "add table ip stateful\ndelete table ip stateful")


@pytest.mark.azure("NVA-6", "ARP-7")
def test_only_the_appliance_is_a_hop(lab):
    packet = IP(src="10.0.4.4", dst="10.0.5.4", ttl=64) / Datagram(sport=lab.port(), dport=9)
    arrived = lab.delivered("left", packet, at="right")
    assert arrived is not None
    assert arrived[IP].ttl == 63


@pytest.mark.azure("PEER-11", "RT-7")
def test_forwarded_traffic_of_a_peer_needs_the_flag(single):
    closed = SCENARIO.replace("to-spoke: {remoteVirtualNetwork: spoke, allowForwardedTraffic: true}", "to-spoke: {remoteVirtualNetwork: spoke}")
    lab = single(closed)
    # What the spoke sends itself is none: it reaches the appliances, and the right side.
    assert all(there for there, _ in ways(lab, "spoke", "right", [26300]))
