"""What becomes of flows when backends go down and come back (LB-5, LB-31, LB-32, LB-24), on both engines."""

from __future__ import annotations

import time
from collections import Counter

import pytest
from balancing import ENGINES, TCP, UDP, backends, until

from netemu.lab.health import Report, set_backend_state, set_backend_states
from netemu.lab.probing import read_findings

WEBS = ("w1", "w2", "w3")
FRONTEND, BASIC, SINGLE, STICKY, STREAMS = (f"10.0.1.{number}" for number in range(100, 105))
CLIENTS = [f"10.0.2.{number}" for number in range(10, 26)]

SCENARIO = f"""
virtualNetworks:
  net:
    addressSpace: 10.0.0.0/16
    subnets: {{web: {{addressPrefix: 10.0.1.0/24}}, clients: {{addressPrefix: 10.0.2.0/24}}}}
loadBalancers:
  lb:
    frontendIPConfigurations:
      main: {{subnet: net/web, privateIPAddress: {FRONTEND}}}
      single: {{subnet: net/web, privateIPAddress: {SINGLE}}}
      sticky: {{subnet: net/web, privateIPAddress: {STICKY}}}
      streams: {{subnet: net/web, privateIPAddress: {STREAMS}}}
    backendAddressPools: {{web: [w1, w2, w3], one: [w1]}}
    probes:
      alive: {{protocol: Tcp, port: 9, intervalInSeconds: 1000000}}
      other: {{protocol: Tcp, port: 10, intervalInSeconds: 1000000}}
      hopeful: {{protocol: Tcp, port: 11, intervalInSeconds: 1000000, noHealthyBackendsBehavior: AllProbedUp}}
    loadBalancingRules:
      tcp: {{frontendIPConfiguration: main, backendAddressPool: web, probe: alive, protocol: Tcp, frontendPort: 80, backendPort: 8080}}
      udp: {{frontendIPConfiguration: main, backendAddressPool: web, probe: alive, protocol: Udp, frontendPort: 80, backendPort: 8080}}
      others: {{frontendIPConfiguration: main, backendAddressPool: web, probe: other, protocol: Tcp, frontendPort: 81, backendPort: 8081}}
      unprobed: {{frontendIPConfiguration: main, backendAddressPool: web, protocol: Tcp, frontendPort: 82, backendPort: 8082}}
      hopeful: {{frontendIPConfiguration: main, backendAddressPool: web, probe: hopeful, protocol: Tcp, frontendPort: 83, backendPort: 8083}}
      single: {{frontendIPConfiguration: single, backendAddressPool: one, probe: alive, protocol: Tcp, frontendPort: 80, backendPort: 8084}}
      sticky-tcp: {{frontendIPConfiguration: sticky, backendAddressPool: web, probe: alive, protocol: Tcp, frontendPort: 5000,
                   loadDistribution: SourceIP}}
      sticky-udp: {{frontendIPConfiguration: sticky, backendAddressPool: web, probe: alive, protocol: Udp, frontendPort: 5000,
                   loadDistribution: SourceIP}}
      sticky-two: {{frontendIPConfiguration: sticky, backendAddressPool: web, probe: alive, protocol: Tcp, frontendPort: 5001,
                   loadDistribution: SourceIP}}
      streams-one: {{frontendIPConfiguration: streams, backendAddressPool: web, probe: alive, protocol: Tcp, frontendPort: 5002,
                    loadDistribution: SourceIP}}
      streams-two: {{frontendIPConfiguration: streams, backendAddressPool: web, probe: alive, protocol: Tcp, frontendPort: 5003,
                    loadDistribution: SourceIP}}
  basic:
    sku: Basic
    frontendIPConfigurations: {{main: {{subnet: net/web, privateIPAddress: {BASIC}}}}}
    backendAddressPools: {{web: [b1, b2]}}
    probes: {{alive: {{protocol: Tcp, port: 9, intervalInSeconds: 1000000}}}}
    loadBalancingRules:
      tcp: {{frontendIPConfiguration: main, backendAddressPool: web, probe: alive, protocol: Tcp, frontendPort: 80, backendPort: 8085}}
      udp: {{frontendIPConfiguration: main, backendAddressPool: web, probe: alive, protocol: Udp, frontendPort: 80, backendPort: 8085}}
networkInterfaces:
  client-nic:
    ipConfigurations:
      primary: {{subnet: net/clients, privateIPAddress: 10.0.2.4, primary: true}}
CONFIGS
virtualMachines:
  w1: {{subnet: net/web, privateIPAddress: 10.0.1.11}}
  w2: {{subnet: net/web, privateIPAddress: 10.0.1.12}}
  w3: {{subnet: net/web, privateIPAddress: 10.0.1.13}}
  b1: {{subnet: net/web, privateIPAddress: 10.0.1.21}}
  b2: {{subnet: net/web, privateIPAddress: 10.0.1.22}}
  client: {{networkInterfaces: client-nic}}
""".replace("CONFIGS", "\n".join(f"      c{n}: {{subnet: net/clients, privateIPAddress: {a}}}" for n, a in enumerate(CLIENTS)))


@pytest.fixture(scope="module", params=ENGINES)
def whole(request, laboratory):
    lab = laboratory(f"loadBalancerEngine: {request.param}\n{SCENARIO}")
    # The agent finds everybody up and will not ask again: from then on, these tests say who is down.
    with backends(lab, [*WEBS, "b1", "b2"], [9, 10, 11]):
        for address in CLIENTS:
            assert lab.run("client", "ip", "address", "add", f"{address}/32", "dev", "lo").returncode == 0
        assert until(lambda: states(lab) == {"up"}, 60)
        yield lab


def states(lab):
    return {finding.state for members in read_findings(lab.folder).values() for finding in members.values()}


@pytest.fixture
def lab(whole):
    """Everybody is up again afterwards."""
    yield whole
    down = [(watch.split("/"), member) for watch, member in whole.folder.health().sick()]
    set_backend_states(whole.folder, [Report(*watch, member, True) for watch, member in down])


def down(lab, *machines, balancer="lb", probe="alive"):
    set_backend_states(lab.folder, [Report(balancer, probe, f"{name}-nic/ipconfig1", False) for name in machines])


def up(lab, *machines, balancer="lb", probe="alive"):
    set_backend_states(lab.folder, [Report(balancer, probe, f"{name}-nic/ipconfig1", True) for name in machines])


def calls_at(listening, machine, protocol, port, at, to=FRONTEND):
    """A call that a certain backend has."""
    while True:
        call = listening.call("client", to, port, protocol, at=at)
        assert call.answered
        if call.backend == machine:
            return call


@pytest.mark.azure("LB-31", "LB-5")
@pytest.mark.parametrize("protocol", [TCP, UDP])
def test_a_backend_that_is_down_gets_no_new_flow_until_it_is_back(lab, protocol):
    with backends(lab, WEBS, [8080], [8080]) as listening:
        down(lab, "w2")
        found = listening.spread("client", FRONTEND, 80, protocol, at=8080, sports=range(30000, 30060))
        assert set(found) == {"w1", "w3"}
        assert min(found.values()) >= 15
        up(lab, "w2")
        found = listening.spread("client", FRONTEND, 80, protocol, at=8080, sports=range(31000, 31060))
        assert set(found) == set(WEBS)


@pytest.mark.azure("LB-5", "LB-31")
def test_a_change_of_health_moves_no_flow_of_others(lab):
    with backends(lab, WEBS, [8080], [8080]) as listening:
        streams = [listening.call("client", FRONTEND, 80, TCP, at=8080) for _ in range(24)]
        datagrams = [listening.call("client", FRONTEND, 80, UDP, at=8080) for _ in range(24)]
        for change in (down, up):
            change(lab, "w2")
            for call in streams:
                assert call.works()
            for call in datagrams:
                if call.backend != "w2":
                    assert listening.again(call, FRONTEND, 80, 8080) == call.backend


@pytest.mark.azure("LB-31")
def test_established_connections_of_a_backend_that_is_down_go_on_and_its_datagrams_move(lab):
    with backends(lab, WEBS, [8080], [8080]) as listening:
        stream = calls_at(listening, "w2", TCP, 80, 8080)
        datagrams = calls_at(listening, "w2", UDP, 80, 8080)
        assert listening.again(datagrams, FRONTEND, 80, 8080) == "w2"
        down(lab, "w2")
        assert stream.works()
        moved = listening.again(datagrams, FRONTEND, 80, 8080)
        assert moved in ("w1", "w3")
        # It stays where it is when the backend is back: only new flows are chosen for.
        up(lab, "w2")
        assert listening.again(datagrams, FRONTEND, 80, 8080) == moved
        assert stream.works()


@pytest.mark.azure("LB-31")
def test_a_connection_that_was_never_answered_goes_to_a_backend_that_is_up(lab):
    # The first SYN goes where nobody answers; the same SYN again, as a client sends it after a second, does not.
    lab.ruleset("w2", "table ip deaf {\nchain in {\ntype filter hook input priority 0; policy drop;\n}\n}")
    try:
        with backends(lab, WEBS, [8080]) as listening:
            sport = next(
                sport for sport in range(32000, 32200)
                if listening.spread("client", FRONTEND, 80, at=8080, sports=[sport])[None]
            )  # fmt: skip
            call = listening.call("client", FRONTEND, 80, at=8080, sport=sport)
            assert not call.answered
            down(lab, "w2")
            assert until(lambda: call.caller.connect_ex((FRONTEND, 80)) in (0, 106), 5)
    finally:
        lab.ruleset("w2", "add table ip deaf\ndelete table ip deaf")


@pytest.mark.azure("LB-32", "LB-24", "CT-23", "ERR-15")
def test_when_all_are_down_standard_keeps_connections_and_takes_no_new_ones(lab):
    with backends(lab, WEBS, [8080], [8080]) as listening:
        streams = [listening.call("client", FRONTEND, 80, TCP, at=8080) for _ in range(9)]
        datagrams = [listening.call("client", FRONTEND, 80, UDP, at=8080) for _ in range(9)]
        down(lab, *WEBS)
        for protocol in (TCP, UDP):
            with lab.tap("client") as tap:
                assert listening.call("client", FRONTEND, 80, protocol, at=8080).lost
                assert tap.find(lambda f: f.haslayer("ICMP")) is None
        assert all(call.works() for call in streams)
        assert all(listening.again(call, FRONTEND, 80, 8080) is None for call in datagrams)
        up(lab, "w3")
        assert listening.call("client", FRONTEND, 80, TCP, at=8080).backend == "w3"
        assert listening.again(datagrams[0], FRONTEND, 80, 8080) == "w3"
        assert all(call.works() for call in streams)


@pytest.mark.azure("LB-32", "CT-23", "LB-38")
def test_when_all_are_down_basic_cuts_every_connection(lab):
    with backends(lab, ["b1", "b2"], [8085], [8085]) as listening:
        streams = [listening.call("client", BASIC, 80, TCP, at=8085) for _ in range(6)]
        datagrams = listening.call("client", BASIC, 80, UDP, at=8085)
        down(lab, "b1", balancer="basic")
        assert all(call.works() for call in streams)
        down(lab, "b2", balancer="basic")
        assert not any(call.works() for call in streams)
        assert listening.again(datagrams, BASIC, 80, 8085) is None
        up(lab, "b1", "b2", balancer="basic")
        assert not any(call.works() for call in streams)
        assert listening.call("client", BASIC, 80, TCP, at=8085).answered


@pytest.mark.azure("LB-32")
def test_the_only_backend_keeps_no_connection_when_it_is_down(lab):
    with backends(lab, ["w1"], [8084]) as listening:
        call = listening.call("client", SINGLE, 80, at=8084)
        assert call.works()
        down(lab, "w1")
        assert not call.works()


@pytest.mark.azure("LB-29")
def test_health_is_that_of_the_rules_own_probe(lab):
    with backends(lab, WEBS, [8080, 8081, 8082]) as listening:
        down(lab, "w1", "w2", probe="other")
        assert set(listening.spread("client", FRONTEND, 81, at=8081, sports=range(33000, 33020))) == {"w3"}
        assert set(listening.spread("client", FRONTEND, 80, at=8080, sports=range(33000, 33030))) == set(WEBS)
        assert set(listening.spread("client", FRONTEND, 82, at=8082, sports=range(33000, 33030))) == set(WEBS)


@pytest.mark.azure("LB-29")
def test_all_down_may_count_as_all_up(lab):
    with backends(lab, WEBS, [8083]) as listening:
        down(lab, "w1", "w2", probe="hopeful")
        assert set(listening.spread("client", FRONTEND, 83, at=8083, sports=range(34000, 34020))) == {"w3"}
        down(lab, "w3", probe="hopeful")
        assert set(listening.spread("client", FRONTEND, 83, at=8083, sports=range(34100, 34130))) == set(WEBS)


@pytest.mark.azure("LB-7", "LB-4")
@pytest.mark.parametrize(("to", "flows"), [(STICKY, ((TCP, 5000), (UDP, 5000), (TCP, 5001))), (STREAMS, ((TCP, 5002), (TCP, 5003)))])
def test_clients_by_address_have_one_backend_whatever_has_been_down(lab, to, flows):
    with backends(lab, WEBS, [5000, 5001, 5002, 5003], [5000]) as listening:

        def chosen():
            result = {}
            for client in CLIENTS:
                found = Counter()
                for protocol, port in flows:
                    found += listening.spread("client", to, port, protocol, sports=[lab.port()], bind=client)
                assert list(found.values()) == [len(flows)], (client, found)
                result[client] = next(iter(found))
            return result

        before = chosen()
        down(lab, "w2")
        during = chosen()
        assert "w2" not in during.values()
        # Only the clients of the backend that is down go elsewhere, and to both others.
        assert all(during[client] == backend for client, backend in before.items() if backend != "w2")
        up(lab, "w2")
        down(lab, "w1")
        up(lab, "w1")
        assert chosen() == before


def test_health_is_no_difference_and_survives_up(lab):
    down(lab, "w2")
    text = lab.source.read_text().partition("\n")[2]
    assert lab.up(text) == "unchanged"
    with backends(lab, WEBS, [8080]) as listening:
        assert "w2" not in listening.spread("client", FRONTEND, 80, at=8080, sports=range(35000, 35030))
        # Nor does another version of the scenario forget it.
        other = text.replace("frontendPort: 82,", "frontendPort: 92,")
        assert lab.up(other) == "changed"
        assert "w2" not in listening.spread("client", FRONTEND, 80, at=8080, sports=range(35100, 35130))
        assert lab.up(text) == "changed"
    assert lab.folder.health().sick() == {("lb/alive", "w2-nic/ipconfig1")}


def test_a_change_of_health_is_quick_and_told_once(lab):
    began = time.monotonic()
    assert set_backend_state(lab.folder, "lb", "alive", "w1-nic/ipconfig1", up=False)
    assert not set_backend_state(lab.folder, "lb", "alive", "w1-nic/ipconfig1", up=False)
    assert time.monotonic() - began < 60  # the time is the bench's; here it must only not wait for anything
