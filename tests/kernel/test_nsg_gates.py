"""Where NSGs are asked, and in which order: at every NIC that a flow leaves and enters, by an appliance or not."""

from __future__ import annotations

import pytest
from harness import allow, deny, rule
from scapy.layers.inet import ICMP, IP, TCP, UDP

OUT, IN = "Outbound", "Inbound"

GATES = f"""
virtualNetworks:
  net:
    addressSpace: 10.0.0.0/16
    subnets:
      clients: {{addressPrefix: 10.0.1.0/24, networkSecurityGroup: client-subnet}}
      servers: {{addressPrefix: 10.0.2.0/24, networkSecurityGroup: server-subnet}}
networkSecurityGroups:
  client-nic: {{securityRules: {{gate1: {deny(OUT, "Udp", port="8001-8004")}, pass: {allow(OUT)}}}}}
  client-subnet: {{securityRules: {{gate2: {deny(OUT, "Udp", port="8002-8005")}, pass: {allow(OUT)},
                                   none: {rule(100, IN, "Deny")}}}}}
  server-subnet: {{securityRules: {{gate3: {deny(IN, "Udp", port="8003-8006")}, pass: {allow(IN)}, out: {allow(OUT)}}}}}
  server-nic: {{securityRules: {{gate4: {deny(IN, "Udp", port="8004-8007")}, pass: {allow(IN)}, out: {allow(OUT)}}}}}
virtualMachines:
  client: {{subnet: net/clients, networkSecurityGroup: client-nic}}
  server: {{subnet: net/servers, networkSecurityGroup: server-nic}}
  neighbour: {{subnet: net/servers, networkSecurityGroup: server-nic}}
"""
CLIENT_NIC, CLIENT_SUBNET = "outbound/client-nic/net", "outbound/client-subnet/net"
SERVER_SUBNET, SERVER_NIC = "inbound/server-subnet/net", "inbound/server-nic/net"


@pytest.fixture(scope="module")
def gates(laboratory):
    return laboratory(GATES)


def growth(lab, action):
    """The rules that counted packets while something happened, and how many."""
    before = lab.counters()
    action()
    return {key: count - before[key] for key, count in lab.counters().items() if count != before[key]}


@pytest.mark.azure("NSG-15", "PIPE-1", "PIPE-4")
@pytest.mark.parametrize(
    ("port", "decided"),
    [(8001, {(CLIENT_NIC, "gate1"): 1}),
     (8004, {(CLIENT_NIC, "gate1"): 1}),
     (8005, {(CLIENT_NIC, "pass"): 1, (CLIENT_SUBNET, "gate2"): 1}),
     (8006, {(CLIENT_NIC, "pass"): 1, (CLIENT_SUBNET, "pass"): 1, (SERVER_SUBNET, "gate3"): 1}),
     (8007, {(CLIENT_NIC, "pass"): 1, (CLIENT_SUBNET, "pass"): 1, (SERVER_SUBNET, "pass"): 1,
             (SERVER_NIC, "gate4"): 1})],
)  # fmt: skip
def test_the_nic_is_asked_first_on_the_way_out_and_last_on_the_way_in(gates, port, decided):
    contacts = []
    assert growth(gates, lambda: contacts.append(gates.udp("client", "server", port))) == decided
    assert contacts[0].lost


@pytest.mark.azure("NSG-15", "NSG-21", "PIPE-9")
@pytest.mark.parametrize("kind", ["tcp", "udp", "ping"])
def test_an_allowed_flow_is_evaluated_once_at_each_of_the_four_and_never_again(gates, kind):
    port = () if kind == "ping" else (9000,)

    def converse():
        assert getattr(gates, kind)("client", "server", *port).answered

    assert growth(gates, converse) == {
        (chain, "pass"): 1 for chain in (CLIENT_NIC, CLIENT_SUBNET, SERVER_SUBNET, SERVER_NIC)
    }


@pytest.mark.azure("NSG-16", "VN-11")
def test_neighbours_in_one_subnet_are_filtered_by_its_nsg_and_by_both_nics(gates):
    assert growth(gates, lambda: gates.udp("neighbour", "server", 9000)) == {
        ("outbound/server-nic/net", "out"): 1,
        ("outbound/server-subnet/net", "out"): 1,
        (SERVER_SUBNET, "pass"): 1,
        (SERVER_NIC, "pass"): 1,
    }
    assert gates.udp("neighbour", "server", 8003).lost
    assert gates.udp("neighbour", "server", 8007).lost


@pytest.mark.azure("NSG-21")
def test_a_subnet_that_lets_nobody_in_gets_its_answers(gates):
    assert gates.tcp("client", "server", 9001).answered
    assert gates.tcp("server", "client", 9001).lost


# ---- by an appliance -------------------------------------------------------------------------------------------------

PLACES = {
    "client's outbound": ("client", OUT),
    "appliance's inbound": ("nva", IN),
    "appliance's outbound": ("nva", OUT),
    "server's inbound": ("server", IN),
}


def by_appliance(place: str | None) -> str:
    """A client and a server that reach each other by an appliance, and a denial at one of the four NICs."""
    machine, direction = PLACES[place] if place else ("", "")
    groups = {name: f", networkSecurityGroup: {name}-nsg" for name in ("client", "nva", "server")}
    rules = {
        name: f"{{pass-in: {allow(IN)}, pass-out: {allow(OUT)}"
        + (f", closed: {deny(direction)}}}" if name == machine else "}")
        for name in groups
    }
    return f"""
virtualNetworks:
  net:
    addressSpace: 10.0.0.0/16
    subnets:
      clients: {{addressPrefix: 10.0.1.0/24, routeTable: by-nva}}
      servers: {{addressPrefix: 10.0.2.0/24, routeTable: by-nva}}
      nvas: {{addressPrefix: 10.0.9.0/24}}
routeTables:
  by-nva:
    routes:
      clients: {{addressPrefix: 10.0.1.0/24, nextHopType: VirtualAppliance, nextHopIpAddress: 10.0.9.4}}
      servers: {{addressPrefix: 10.0.2.0/24, nextHopType: VirtualAppliance, nextHopIpAddress: 10.0.9.4}}
networkSecurityGroups:
  client-nsg: {{securityRules: {rules["client"]}}}
  nva-nsg: {{securityRules: {rules["nva"]}}}
  server-nsg: {{securityRules: {rules["server"]}}}
virtualMachines:
  client: {{subnet: net/clients, privateIPAddress: 10.0.1.4{groups["client"]}}}
  server: {{subnet: net/servers, privateIPAddress: 10.0.2.4{groups["server"]}}}
  nva: {{subnet: net/nvas, privateIPAddress: 10.0.9.4{groups["nva"]}, enableIPForwarding: true,
        sysctls: {{net.ipv4.ip_forward: 1}}}}
"""


@pytest.fixture(scope="module")
def appliance(laboratory):
    """Labs by the place of the denial, made when they are needed."""
    made = {}

    def get(place):
        if place not in made:
            made[place] = laboratory(by_appliance(place))
        return made[place]

    return get


PROTOCOLS = pytest.mark.parametrize("protocol", ["TCP", "UDP", "ICMP"])


def seen(lab, protocol):
    """Where the first packet from client to server is seen: at the appliance, at the server."""
    layer = {
        "TCP": TCP(sport=lab.port(), dport=80, flags="S"),
        "UDP": UDP(sport=lab.port(), dport=80),
        "ICMP": ICMP(id=lab.port()),
    }[protocol]
    packet = IP(src="10.0.1.4", dst="10.0.2.4") / layer
    return lab.delivered("client", packet, at="nva") is not None, lab.delivered(
        "client", packet, at="server"
    ) is not None


@pytest.mark.azure("NSG-33")
@PROTOCOLS
def test_a_denial_at_the_clients_outbound_stops_a_flow_by_an_appliance(appliance, protocol):
    assert seen(appliance("client's outbound"), protocol) == (False, False)


@pytest.mark.azure("NSG-33", "PIPE-5")
@PROTOCOLS
def test_a_denial_at_the_appliances_inbound_stops_a_flow_by_an_appliance(appliance, protocol):
    assert seen(appliance("appliance's inbound"), protocol) == (False, False)


@pytest.mark.azure("NSG-33")
@PROTOCOLS
def test_a_denial_at_the_appliances_outbound_stops_a_flow_by_an_appliance(appliance, protocol):
    assert seen(appliance("appliance's outbound"), protocol) == (True, False)


@pytest.mark.azure("NSG-33")
@PROTOCOLS
def test_a_denial_at_the_servers_inbound_stops_a_flow_by_an_appliance(appliance, protocol):
    assert seen(appliance("server's inbound"), protocol) == (True, False)


@pytest.mark.azure("NSG-33", "NSG-21")
@pytest.mark.parametrize("place", list(PLACES))
@PROTOCOLS
def test_one_crossing_of_a_flow_does_not_open_the_other_one(appliance, place, protocol):
    """A single state for both crossings would take the second packet, or the second crossing, for established."""
    lab = appliance(place)
    port = lab.port()
    first, second = {
        "TCP": (TCP(sport=port, dport=80, flags="S"), TCP(sport=port, dport=80, flags="A")),
        "UDP": (UDP(sport=port, dport=80), UDP(sport=port, dport=80)),
        "ICMP": (ICMP(id=port, seq=1), ICMP(id=port, seq=2)),
    }[protocol]
    before = lab.dropped("closed")
    for layer in (first, second, second):
        assert lab.delivered("client", IP(src="10.0.1.4", dst="10.0.2.4") / layer, at="server") is None
    assert lab.dropped("closed") == before + 3


@pytest.mark.azure("NSG-33", "NSG-21", "NVA-3")
@pytest.mark.parametrize("kind", ["tcp", "udp", "ping"])
def test_a_flow_by_an_appliance_is_evaluated_once_at_every_nic_it_leaves_and_enters(appliance, kind):
    lab = appliance(None)
    port = () if kind == "ping" else (9000,)

    def converse():
        assert getattr(lab, kind)("client", "server", *port).answered

    assert growth(lab, converse) == {
        ("outbound/client-nsg/net/by-nva", "pass-out"): 1,
        ("inbound/nva-nsg/net", "pass-in"): 1,
        ("outbound/nva-nsg/net", "pass-out"): 1,
        ("inbound/server-nsg/net/by-nva", "pass-in"): 1,
    }
