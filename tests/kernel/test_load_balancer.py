"""Internal load balancers: what a rule does with a flow (LB-1…LB-24), on both engines."""

from __future__ import annotations

from collections import Counter

import pytest
from balancing import ENGINES, TCP, UDP, backends, is_from
from harness import rule
from scapy.layers.inet import ICMP, IP
from scapy.layers.inet import UDP as Datagram
from scapy.packet import Raw

WEBS = ("w1", "w2", "w3")
FRONTEND, SECOND, STICKY = "10.0.1.100", "10.0.1.101", "10.0.1.102"
CLIENTS = [f"10.0.2.{number}" for number in range(10, 26)]

SCENARIO = f"""
virtualNetworks:
  net:
    addressSpace: 10.0.0.0/16
    subnets:
      web: {{addressPrefix: 10.0.1.0/24}}
      clients: {{addressPrefix: 10.0.2.0/24}}
    virtualNetworkPeerings: {{to-spoke: {{remoteVirtualNetwork: spoke}}}}
  spoke:
    addressSpace: 10.9.0.0/16
    subnets: {{main: {{addressPrefix: 10.9.0.0/24}}}}
    virtualNetworkPeerings: {{to-net: {{remoteVirtualNetwork: net}}}}
  stranger: {{addressSpace: 10.0.0.0/16, subnets: {{main: {{addressPrefix: 10.0.2.0/24}}}}}}
networkSecurityGroups:
  web-nsg:
    securityRules:
      backend-port: {rule(100, "Inbound", "Allow", "Tcp", "10.0.2.0/24", "*", "8080")}
      frontend-port: {rule(110, "Inbound", "Deny", "Tcp", "*", "*", "80")}
      by-tag: {rule(120, "Inbound", "Deny", "Tcp", "AzureLoadBalancer", "*", "8081")}
      frontend-address: {rule(130, "Inbound", "Deny", "*", "*", FRONTEND)}
loadBalancers:
  ilb:
    frontendIPConfigurations:
      first: {{subnet: net/web, privateIPAddress: {FRONTEND}}}
      second: {{subnet: net/web, privateIPAddress: {SECOND}}}
      sticky: {{subnet: net/web, privateIPAddress: {STICKY}}}
    backendAddressPools: {{web: [w1, w2-nic, w3-nic/second], alone: [w1], nobody: []}}
    loadBalancingRules:
      http: {{frontendIPConfiguration: first, backendAddressPool: web, protocol: Tcp, frontendPort: 80, backendPort: 8080}}
      tag: {{frontendIPConfiguration: first, backendAddressPool: web, protocol: Tcp, frontendPort: 81, backendPort: 8081}}
      same: {{frontendIPConfiguration: first, backendAddressPool: web, protocol: Tcp, frontendPort: 9000}}
      dns: {{frontendIPConfiguration: first, backendAddressPool: web, protocol: Udp, frontendPort: 53, backendPort: 5353}}
      single: {{frontendIPConfiguration: second, backendAddressPool: alone, protocol: Tcp, frontendPort: 80, backendPort: 8082}}
      empty: {{frontendIPConfiguration: second, backendAddressPool: nobody, protocol: Tcp, frontendPort: 8088}}
      empty-udp: {{frontendIPConfiguration: second, backendAddressPool: nobody, protocol: Udp, frontendPort: 8088}}
      client-tcp: {{frontendIPConfiguration: sticky, backendAddressPool: web, protocol: Tcp, frontendPort: 5000,
                   loadDistribution: SourceIP}}
      client-other: {{frontendIPConfiguration: sticky, backendAddressPool: web, protocol: Tcp, frontendPort: 5001,
                     backendPort: 6001, loadDistribution: SourceIP}}
      client-udp: {{frontendIPConfiguration: sticky, backendAddressPool: web, protocol: Udp, frontendPort: 5000,
                   loadDistribution: SourceIP}}
      protocol-tcp: {{frontendIPConfiguration: sticky, backendAddressPool: web, protocol: Tcp, frontendPort: 5100,
                     loadDistribution: SourceIPProtocol}}
      protocol-tcp-2: {{frontendIPConfiguration: sticky, backendAddressPool: web, protocol: Tcp, frontendPort: 5101,
                       loadDistribution: SourceIPProtocol}}
      protocol-udp: {{frontendIPConfiguration: sticky, backendAddressPool: web, protocol: Udp, frontendPort: 5100,
                     loadDistribution: SourceIPProtocol}}
    inboundNatRules:
      ssh: {{frontendIPConfiguration: first, protocol: Tcp, frontendPort: 50001, backendPort: 22, backend: w2}}
      both: {{frontendIPConfiguration: first, protocol: All, frontendPort: 50010, backendPort: 7, backend: w3-nic}}
      each: {{frontendIPConfiguration: first, protocol: Tcp, frontendPortRangeStart: 50100, frontendPortRangeEnd: 50109,
             backendPort: 23, backendAddressPool: web}}
networkInterfaces:
  w3-nic:
    ipConfigurations:
      first: {{subnet: net/web, primary: true}}
      second: {{subnet: net/web, privateIPAddress: 10.0.1.33}}
  clients-nic:
    ipConfigurations:
      {{primary: {{subnet: net/clients, privateIPAddress: 10.0.2.4, primary: true}}}}
virtualMachines:
  w1: {{subnet: net/web, privateIPAddress: 10.0.1.11, networkSecurityGroup: web-nsg}}
  w2: {{subnet: net/web, privateIPAddress: 10.0.1.12, networkSecurityGroup: web-nsg}}
  w3: {{networkInterfaces: w3-nic, sysctls: {{net.ipv4.ip_nonlocal_bind: 1}}}}
  client: {{networkInterfaces: many-nic, sysctls: {{net.ipv4.ip_nonlocal_bind: 1}}}}
  peer: {{subnet: spoke/main}}
  twin: {{subnet: stranger/main, privateIPAddress: 10.0.2.5}}
internet: {{hosts: {{visitor: {{ipAddress: 198.51.100.7}}}}}}
"""
CONFIGS = ", ".join(f"c{n}: {{subnet: net/clients, privateIPAddress: {a}}}" for n, a in enumerate(CLIENTS))
SCENARIO = SCENARIO.replace(
    "  clients-nic:\n    ipConfigurations:\n      {primary: {subnet: net/clients, privateIPAddress: 10.0.2.4, primary: true}}",
    "  many-nic:\n    ipConfigurations:\n"
    f"      {{primary: {{subnet: net/clients, privateIPAddress: 10.0.2.4, primary: true}}, {CONFIGS}}}",
)


@pytest.fixture(scope="module", params=ENGINES)
def lab(request, laboratory):
    lab = laboratory(f"loadBalancerEngine: {request.param}\n{SCENARIO}")
    # w3 answers at its second address, the client calls from many: the guests have to be told (IP-10).
    assert lab.run("w3", "ip", "address", "add", "10.0.1.33/32", "dev", "lo").returncode == 0
    for address in CLIENTS:
        assert lab.run("client", "ip", "address", "add", f"{address}/32", "dev", "lo").returncode == 0
    return lab


@pytest.mark.azure("LB-1", "LB-2", "LB-22", "CT-18", "PIPE-3", "LB-11", "LB-12")
@pytest.mark.parametrize(("protocol", "port", "at"), [(TCP, 80, 8080), (UDP, 53, 5353)])
def test_a_flow_reaches_a_backend_with_its_own_source_and_is_answered_by_the_frontend(lab, protocol, port, at):
    with backends(lab, WEBS, [8080], [5353]) as listening:
        for _ in range(12):
            sport = lab.port()
            call = listening.call("client", FRONTEND, port, protocol, at=at, sport=sport)
            assert call.answered
            assert (call.seen_as, call.seen_port) == ("10.0.2.4", sport)
            assert call.seen_at == {"w1": "10.0.1.11", "w2": "10.0.1.12", "w3": "10.0.1.33"}[call.backend]
            assert protocol == UDP or call.works()
            call.close()


@pytest.mark.azure("LB-3", "LB-6", "CT-20", "LB-10")
@pytest.mark.parametrize(("protocol", "port", "at"), [(TCP, 9000, 9000), (TCP, 80, 8080), (UDP, 53, 5353)])
def test_flows_of_one_client_are_spread_evenly(lab, protocol, port, at):
    with backends(lab, WEBS, [9000, 8080], [5353]) as listening:
        found = listening.spread("client", FRONTEND, port, protocol, at=at, sports=range(20000, 21000))
    assert sum(found.values()) == 1000
    assert all(800 / 3 <= found[web] <= 1200 / 3 for web in WEBS), found


@pytest.mark.azure("LB-4")
@pytest.mark.parametrize(("protocol", "port", "at"), [(TCP, 80, 8080), (UDP, 53, 5353)])
def test_equal_flows_go_to_equal_backends(lab, protocol, port, at):
    with backends(lab, WEBS, [8080], [5353]) as listening:
        for sport in range(22000, 22012):
            chosen = listening.spread("client", FRONTEND, port, protocol, at=at, sports=[sport] * 3)
            assert list(chosen.values()) == [3], chosen


@pytest.mark.azure("LB-3", "LB-7", "CT-20")
def test_a_client_by_address_has_one_backend_for_all_protocols_and_ports(lab):
    chosen = {}
    with backends(lab, WEBS, [5000, 6001], [5000]) as listening:
        for client in CLIENTS:
            found = Counter()
            for protocol, port, at in ((TCP, 5000, 5000), (UDP, 5000, 5000), (TCP, 5001, 6001)):
                sports = [lab.port() for _ in range(4)]
                found += listening.spread("client", STICKY, port, protocol, at=at, sports=sports, bind=client)
            assert list(found.values()) == [12], (client, found)
            chosen[client] = next(iter(found))
    assert set(chosen.values()) == set(WEBS)


@pytest.mark.azure("LB-3", "LB-7")
def test_a_client_by_address_and_protocol_has_one_backend_for_each_protocol(lab):
    chosen = {}
    with backends(lab, WEBS, [5100, 5101], [5100]) as listening:
        for client in CLIENTS:
            for protocol, ports in ((TCP, (5100, 5101)), (UDP, (5100,))):
                found = Counter()
                for port in ports:
                    sports = [lab.port() for _ in range(4)]
                    found += listening.spread("client", STICKY, port, protocol, sports=sports, bind=client)
                assert list(found.values()) == [4 * len(ports)], (client, found)
                chosen[client, protocol] = next(iter(found))
    for protocol in (TCP, UDP):
        assert {backend for (_, of), backend in chosen.items() if of == protocol} == set(WEBS)


@pytest.mark.azure("LB-1", "LB-2")
@pytest.mark.parametrize(("protocol", "port", "at"), [(TCP, 80, 8080), (UDP, 53, 5353)])
def test_a_backend_that_is_called_directly_answers_so_whatever_came_by_the_frontend_before(lab, protocol, port, at):
    with backends(lab, WEBS, [8080], [5353]) as listening:
        for sport in range(22100, 22106):
            chosen = listening.spread("client", FRONTEND, port, protocol, at=at, sports=[sport])
            own = {"w1": "10.0.1.11", "w2": "10.0.1.12", "w3": "10.0.1.33"}[next(iter(chosen))]
            assert listening.spread("client", own, at, protocol, sports=[sport]) == chosen
            assert listening.spread("client", FRONTEND, port, protocol, at=at, sports=[sport]) == chosen


@pytest.mark.azure("LB-8", "OUT-20")
@pytest.mark.parametrize(("protocol", "port"), [(TCP, 82), (UDP, 80), (TCP, 53)])
def test_what_no_rule_is_for_gets_no_answer(lab, protocol, port):
    before = lab.dropped("no load-balancing rule", "@slb.net")
    with backends(lab, WEBS, [82, 53], [80]) as listening, lab.tap("client") as tap:
        assert listening.call("client", FRONTEND, port, protocol, at=port).lost
        assert tap.find(lambda f: f.haslayer(IP) and f[IP].dst == "10.0.2.4") is None
    assert lab.dropped("no load-balancing rule", "@slb.net") == before + 1


@pytest.mark.azure("LB-9", "OUT-20")
@pytest.mark.parametrize("packet", [ICMP() / b"ping", Raw(b"\0" * 16)], ids=["icmp", "esp"])
def test_no_other_protocol_passes(lab, packet):
    header = IP(src="10.0.2.4", dst=FRONTEND, proto=1 if packet.haslayer(ICMP) else 50)
    with lab.tap("client") as tap:
        for web in WEBS:
            assert lab.delivered("client", header / packet, at=web) is None
        assert tap.find(lambda f: is_from(f, FRONTEND, "10.0.2.4")) is None


@pytest.mark.azure("LB-14", "PEER-17")
@pytest.mark.parametrize(("protocol", "port", "at"), [(TCP, 9000, 9000), (UDP, 53, 5353)])
def test_an_internal_frontend_is_reached_from_peers_and_from_nowhere_else(lab, protocol, port, at):
    with backends(lab, WEBS, [9000], [5353]) as listening:
        call = listening.call("peer", FRONTEND, port, protocol, at=at)
        assert (call.answered, call.seen_as) == (True, lab.address("peer"))
        call.close()
        for stranger in ("twin", "visitor"):
            assert listening.call(stranger, FRONTEND, port, protocol, at=at).lost


@pytest.mark.azure("LB-21", "LB-22", "CT-24", "PIPE-10", "ERR-16")
def test_a_backend_reaches_itself_through_the_frontend_never_and_the_others_always(lab):
    sports = range(23000, 23090)
    with backends(lab, WEBS, [9000]) as listening:
        found = listening.spread("w1", FRONTEND, 9000, sports=sports)
    assert found["w1"] == 0
    assert found["w2"] + found["w3"] + found[None] == 90
    assert 18 <= found[None] <= 42, found


@pytest.mark.azure("LB-21", "CT-24")
def test_the_only_backend_never_reaches_its_own_frontend(lab):
    with backends(lab, ["w1"], [8082]) as listening:
        assert listening.spread("w1", SECOND, 80, at=8082, sports=range(23100, 23106)) == {None: 6}
        assert listening.spread("client", SECOND, 80, at=8082, sports=range(23100, 23106)) == {"w1": 6}


@pytest.mark.azure("LB-24", "PIPE-8")
@pytest.mark.parametrize("protocol", [TCP, UDP])
def test_an_empty_pool_gives_no_answer(lab, protocol):
    before = lab.dropped("no healthy backend", "@slb.net")
    with backends(lab, WEBS, [8088], [8088]) as listening, lab.tap("client") as tap:
        assert listening.call("client", SECOND, 8088, protocol).lost
        assert tap.find(lambda f: f.haslayer(IP) and f[IP].dst == "10.0.2.4") is None
    assert lab.dropped("no healthy backend", "@slb.net") == before + 1


@pytest.mark.azure("LB-17", "NSG-18")
@pytest.mark.parametrize(
    ("port", "at", "protocol", "backend"),
    [(50001, 22, TCP, "w2"), (50010, 7, TCP, "w3"), (50010, 7, UDP, "w3"), (50100, 23, TCP, "w1"),
     (50101, 23, TCP, "w2"), (50102, 23, TCP, "w3")],
)  # fmt: skip
def test_an_inbound_nat_rule_leads_to_one_backend(lab, port, at, protocol, backend):
    with backends(lab, WEBS, [22, 7, 23], [7]) as listening:
        for _ in range(6):
            call = listening.call("client", FRONTEND, port, protocol, at=at)
            assert (call.backend, call.answered, call.seen_as) == (backend, True, "10.0.2.4")
            call.close()
        assert listening.call("client", FRONTEND, 50103, TCP, at=23).lost


@pytest.mark.azure("NSG-17", "NSG-18", "NSG-20")
def test_rules_see_the_clients_address_and_the_backends_port(lab):
    with backends(lab, WEBS, [8080, 8081, 80]) as listening:
        before = lab.counter("inbound/web-nsg/net", "backend-port")
        found = listening.spread("client", FRONTEND, 80, at=8080, sports=range(24000, 24012))
        assert found[None] == 0
        assert lab.counter("inbound/web-nsg/net", "backend-port") == before + found["w1"] + found["w2"]
        # The client is no load balancer for a rule, and the frontend is no destination.
        for name in ("frontend-port", "by-tag", "frontend-address"):
            assert lab.counter("inbound/web-nsg/net", name) == 0
        assert listening.spread("client", FRONTEND, 81, at=8081, sports=range(24000, 24012))[None] == 0
        assert lab.counter("inbound/web-nsg/net", "by-tag") == 0
        # The peer's address is not in the rule that allows the port to the clients' subnet; AllowVnetInBound has it.
        assert listening.call("peer", FRONTEND, 80, at=8080).answered


@pytest.mark.azure("LB-20")
@pytest.mark.parametrize("port", [53, 50010])
def test_fragments_are_dropped(lab, port):
    datagram = IP(src="10.0.2.4", dst=FRONTEND, id=4711) / Datagram(sport=lab.port(), dport=port) / (b"x" * 64)
    first = datagram.copy()
    first[IP].flags = "MF"
    last = IP(src="10.0.2.4", dst=FRONTEND, id=4711, frag=9, proto=17) / (b"x" * 8)
    before = lab.dropped("fragment to a frontend")
    for web in WEBS:
        assert lab.delivered("client", first, at=web) is None
        assert lab.delivered("client", last, at=web) is None
    assert lab.dropped("fragment to a frontend") > before
    assert any(lab.delivered("client", datagram, at=web) is not None for web in WEBS * 12)


@pytest.mark.azure("ARP-7", "ARP-8")
def test_a_load_balancer_is_no_hop(lab):
    for web in WEBS * 8:
        packet = IP(src="10.0.2.4", dst=FRONTEND, ttl=64) / Datagram(sport=lab.port(), dport=53) / b"question"
        arrived = lab.delivered("client", packet, at=web)
        if arrived is not None:
            assert arrived[IP].ttl == 64
            return
    pytest.fail("nothing arrived")


def test_a_second_up_has_nothing_to_do(lab):
    assert lab.up(lab.source.read_text().partition("\n")[2]) == "unchanged"
