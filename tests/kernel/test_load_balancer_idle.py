"""How long an idle flow is remembered, and who is told (LB-23): a minute takes half a second here."""

from __future__ import annotations

import contextlib
import select

import pytest
from balancing import ENGINES, TCP, UDP, backends, until
from harness import allow

from netemu.linux import conntrack
from netemu.linux.namespaces import current, entered

FRONTEND, PUBLIC, FLOATING = "10.0.1.100", "20.61.0.80", "10.0.1.101"

SCENARIO = f"""
timeScale: 0.00834
virtualNetworks:
  net:
    addressSpace: 10.0.0.0/16
    subnets:
      web: {{addressPrefix: 10.0.1.0/24, networkSecurityGroup: web-nsg}}
      clients: {{addressPrefix: 10.0.2.0/24}}
networkSecurityGroups: {{web-nsg: {{securityRules: {{all: {allow("Inbound", "Tcp")}}}}}}}
publicIPAddresses: {{web-ip: {{ipAddress: {PUBLIC}}}}}
loadBalancers:
  lb:
    frontendIPConfigurations:
      main: {{subnet: net/web, privateIPAddress: {FRONTEND}}}
      floating: {{subnet: net/web, privateIPAddress: {FLOATING}}}
    backendAddressPools: {{web: [w1, w2]}}
    loadBalancingRules:
      quiet: {{frontendIPConfiguration: main, backendAddressPool: web, protocol: Tcp, frontendPort: 80, backendPort: 8080}}
      told: {{frontendIPConfiguration: main, backendAddressPool: web, protocol: Tcp, frontendPort: 81, backendPort: 8081, enableTcpReset: true}}
      longer: {{frontendIPConfiguration: main, backendAddressPool: web, protocol: Tcp, frontendPort: 82, backendPort: 8082,
               idleTimeoutInMinutes: 30, enableTcpReset: true}}
      udp: {{frontendIPConfiguration: main, backendAddressPool: web, protocol: Udp, frontendPort: 80, backendPort: 8080,
            idleTimeoutInMinutes: 30}}
      floats: {{frontendIPConfiguration: floating, backendAddressPool: web, protocol: Tcp, frontendPort: 8083, enableFloatingIP: true,
               enableTcpReset: true}}
    inboundNatRules:
      ssh: {{frontendIPConfiguration: main, protocol: Tcp, frontendPort: 50001, backendPort: 22, backend: w1, enableTcpReset: true}}
  public-lb:
    frontendIPConfigurations: {{main: {{publicIPAddress: web-ip}}}}
    backendAddressPools: {{web: [w1, w2]}}
    loadBalancingRules:
      told: {{frontendIPConfiguration: main, backendAddressPool: web, protocol: Tcp, frontendPort: 80, backendPort: 8084, enableTcpReset: true}}
virtualMachines:
  w1: {{subnet: net/web, privateIPAddress: 10.0.1.11}}
  w2: {{subnet: net/web, privateIPAddress: 10.0.1.12}}
  client: {{subnet: net/clients, privateIPAddress: 10.0.2.4}}
internet: {{hosts: {{visitor: {{ipAddress: 198.51.100.7}}}}}}
"""


@pytest.fixture(scope="module", params=ENGINES)
def lab(request, laboratory):
    lab = laboratory(f"loadBalancerEngine: {request.param}\n{SCENARIO}")
    for web in ("w1", "w2"):
        assert lab.run(web, "ip", "address", "add", f"{FLOATING}/32", "dev", "lo").returncode == 0
    return lab


def remembered(lab, port):
    """How many flows of a port the director remembers; those whose time is over are forgotten by asking."""
    with entered(lab.namespace("@slb.net")):
        descriptor = current()
    with open(descriptor, closefd=True):
        flows = conntrack.connections(descriptor, conntrack.Marked(0, 0))
    return len([flow for flow in flows if flow.way.destination_port == port])


def is_reset(sock):
    """Has the other side reset it?"""
    if not select.select([sock], [], [], 0)[0]:
        return False
    sock.setblocking(False)
    try:
        return sock.recv(1) == b"?"
    except ConnectionResetError:
        return True
    except BlockingIOError:
        return False


def say_something(call):
    with contextlib.suppress(OSError):
        call.caller.sendall(b"still there?")


@pytest.mark.azure("LB-23", "CT-25")
def test_an_idle_connection_is_forgotten_without_a_word(lab):
    with backends(lab, ["w1", "w2"], [8080]) as listening:
        call = listening.call("client", FRONTEND, 80, at=8080)
        assert call.works()
        assert until(lambda: remembered(lab, 80) == 0, 20)
        with lab.tap("client") as client, lab.tap(call.backend) as backend:
            say_something(call)
            assert backend.find(lambda f: f.haslayer("TCP") and f["TCP"].dport == 8080) is None
            assert client.find(lambda f: f.haslayer("TCP") and f["TCP"].sport == 80) is None
        assert not is_reset(call.caller)
        assert not is_reset(call.connection)


@pytest.mark.azure("LB-23", "CT-25", "LB-17")
@pytest.mark.parametrize(
    ("source", "to", "port", "at"),
    [("client", FRONTEND, 81, 8081), ("client", FRONTEND, 50001, 22), ("client", FLOATING, 8083, 8083),
     ("visitor", PUBLIC, 80, 8084)],
)  # fmt: skip
def test_with_tcp_reset_both_ends_are_told(lab, source, to, port, at):
    with backends(lab, ["w1", "w2"], [8081, 22, 8083, 8084]) as listening:
        call = listening.call(source, to, port, at=at)
        assert call.works()
        assert until(lambda: is_reset(call.caller), 20)
        assert until(lambda: is_reset(call.connection), 5)


@pytest.mark.azure("LB-23")
def test_a_connection_that_is_used_stays(lab):
    with backends(lab, ["w1", "w2"], [8081]) as listening:
        call = listening.call("client", FRONTEND, 81, at=8081)
        idle = listening.call("client", FRONTEND, 81, at=8081)
        assert until(lambda: call.works() and is_reset(idle.caller), 20)
        assert call.works()


@pytest.mark.azure("LB-23")
def test_each_rule_has_its_own_idle_time_and_that_of_datagrams_is_four_minutes(lab):
    with backends(lab, ["w1", "w2"], [8080, 8081, 8082], [8080]) as listening:
        patient = listening.call("client", FRONTEND, 82, at=8082)
        datagrams = listening.call("client", FRONTEND, 80, UDP, at=8080)
        assert datagrams.answered
        short = listening.call("client", FRONTEND, 81, at=8081)
        assert until(lambda: is_reset(short.caller), 20)
        assert until(lambda: remembered(lab, 80) == 0, 20)
        assert not is_reset(patient.caller)
        assert remembered(lab, 82) == 1
        assert patient.works()


@pytest.mark.azure("LB-23")
def test_a_closed_connection_is_not_reset(lab):
    with backends(lab, ["w1", "w2"], [8081]) as listening:
        call = listening.call("client", FRONTEND, 81, TCP, at=8081)
        probe = listening.call("client", FRONTEND, 81, TCP, at=8081)
        assert call.works()
        with lab.tap(call.backend) as tap:
            sport = call.caller.getsockname()[1]
            call.connection.close()
            call.caller.close()
            assert until(lambda: is_reset(probe.caller), 20)
            wanted = [f for f in tap.frames() if f.haslayer("TCP") and f["TCP"].sport == sport]
            assert not [f for f in wanted if "R" in str(f["TCP"].flags)]
