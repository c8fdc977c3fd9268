"""Flows to the internet of machines without a public IP of their own: load balancers, NAT gateways, ports that end."""

from __future__ import annotations

import socket
from collections.abc import Callable

import pytest
from harness import Lab, rule

SCENARIO = f"""
virtualNetworks:
  net:
    addressSpace: 10.0.0.0/16
    subnets:
      balanced: {{addressPrefix: 10.0.1.0/24}}
      gated: {{addressPrefix: 10.0.2.0/24, natGateway: gate, networkSecurityGroup: open}}
networkSecurityGroups: {{open: {{securityRules: {{all: {rule(100, "Inbound", "Allow")}}}}}}}
publicIPAddresses: {{front: {{}}, gate-ip: {{}}, gate-ip2: {{}}, own: {{}}}}
natGateways: {{gate: {{publicIPAddresses: [gate-ip, gate-ip2]}}}}
loadBalancers:
  lb:
    frontendIPConfigurations: {{out: {{publicIPAddress: front}}}}
    backendAddressPools: {{pool: [b1, b2]}}
    outboundRules: {{all: {{frontendIPConfigurations: [out], backendAddressPool: pool, protocol: All, allocatedOutboundPorts: 16}}}}
    loadBalancingRules:
      web: {{frontendIPConfiguration: out, backendAddressPool: pool, protocol: Tcp, frontendPort: 1030, backendPort: 80,
            disableOutboundSnat: true}}
virtualMachines:
  b1: {{subnet: net/balanced}}
  b2: {{subnet: net/balanced}}
  g1: {{subnet: net/gated}}
  g2: {{subnet: net/gated, publicIPAddress: own}}
internet: {{hosts: {{visitor: {{ipAddress: 198.51.100.7}}, other: {{ipAddress: 198.51.100.8}}}}}}
"""
SHARES = {"b1": range(1032, 1048), "b2": range(1048, 1064)}
"""Ports of each: the block from 1024 is the rule's (OUT-27)."""


@pytest.fixture
def lab(single: Callable[[str], Lab]) -> Lab:
    return single(SCENARIO)


@pytest.mark.azure("OUT-1", "OUT-4", "OUT-27", "OUT-33")
@pytest.mark.parametrize("kind", ["tcp", "udp"])
def test_a_member_of_a_pool_leaves_with_the_frontends_address_and_a_port_of_its_share(lab: Lab, kind: str) -> None:
    for machine, ports in SHARES.items():
        seen = getattr(lab, kind)(machine, "visitor", 9000)
        assert (seen.answered, seen.seen_as) == (True, lab.address("front"))
        assert seen.port in ports


@pytest.mark.azure("OUT-7", "OUT-41")
def test_what_is_neither_tcp_nor_udp_is_translated_by_neither(lab: Lab) -> None:
    assert not lab.ping("b1", "visitor").arrived
    assert not lab.ping("g1", "visitor").arrived


@pytest.mark.azure("OUT-24", "OUT-28", "OUT-29")
def test_when_all_ports_are_taken_new_flows_are_dropped_in_silence_and_others_go_on(lab: Lab) -> None:
    with lab.socket("visitor", socket.SOCK_DGRAM) as server, lab.socket("other", socket.SOCK_DGRAM) as elsewhere:
        for each in (server, elsewhere):
            each.bind(("0.0.0.0", 9000))
            each.setblocking(False)
        first = lab.port()

        def send(machine: str, number: int, to: str) -> None:
            with lab.socket(machine, socket.SOCK_DGRAM) as caller:
                caller.bind(("0.0.0.0", first + number))
                caller.sendto(str(number).encode(), (lab.address(to), 9000))

        for number in range(20):
            send("b1", number, "visitor")
        assert [each for each, _ in received(server)] == [str(number).encode() for number in range(16)]
        send("b1", 3, "visitor")  # a flow that has its port
        send("b2", 0, "visitor")  # ports of others are not borrowed, and not taken
        send("b1", 21, "other")  # another destination: the same ports again
        assert [content for content, _ in received(server)] == [b"3", b"0"]
        assert [content for content, _ in received(elsewhere)] == [b"21"]


def received(server: socket.socket) -> list[tuple[bytes, object]]:
    """Everything that has arrived."""
    found = []
    while True:
        try:
            found.append(server.recvfrom(64))
        except BlockingIOError:
            return found


@pytest.mark.azure("OUT-1", "OUT-2", "OUT-3", "OUT-39")
def test_a_nat_gateway_comes_before_a_public_ip_which_still_answers_what_came_in_by_it(lab: Lab) -> None:
    gates = {lab.address("gate-ip"), lab.address("gate-ip2")}
    for machine in ("g1", "g2"):
        seen = {lab.tcp(machine, "visitor", lab.port()).seen_as for _ in range(24)}
        assert seen == gates
    assert lab.tcp("visitor", "own", 80, at="g2").answered


@pytest.mark.azure("OUT-41")
@pytest.mark.parametrize("address", ["gate-ip", "front"])
def test_nobody_comes_in_unasked_by_an_address_that_only_lets_out(lab: Lab, address: str) -> None:
    for machine in ("b1", "g1"):
        assert lab.tcp("visitor", address, 2000, at=machine).lost
