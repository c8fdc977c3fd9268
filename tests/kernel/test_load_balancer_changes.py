"""Load balancers of a running lab change, drift and are healed, and what others do goes on (LB-5)."""

from __future__ import annotations

import os
import threading
from contextlib import contextmanager

import pytest
from balancing import ENGINES, TCP, UDP, backends
from harness import VISITOR

from netemu.lab.survey import desire, survey
from netemu.linux import nftables
from netemu.linux.describe import change_text
from netemu.linux.ipvs import IPVS, Destination, add_destination, remove_destination, remove_service, weigh
from netemu.linux.namespaces import entered
from netemu.scenario import read_text

FRONTEND, SECOND = "10.0.1.100", "10.0.1.101"

START = f"""
loadBalancerEngine: ENGINE
virtualNetworks:
  net:
    addressSpace: 10.0.0.0/16
    subnets: {{web: {{addressPrefix: 10.0.1.0/24}}, clients: {{addressPrefix: 10.0.2.0/24}}}}
BALANCERS
virtualMachines:
  w1: {{subnet: net/web, privateIPAddress: 10.0.1.11}}
  w2: {{subnet: net/web, privateIPAddress: 10.0.1.12}}
  w3: {{subnet: net/web, privateIPAddress: 10.0.1.13}}
  client: {{subnet: net/clients, privateIPAddress: 10.0.2.4}}
{VISITOR}
"""
BALANCER = f"""
loadBalancers:
  lb:
    frontendIPConfigurations:
      main: {{subnet: net/web, privateIPAddress: {FRONTEND}}}
    backendAddressPools: {{web: MEMBERS}}
    loadBalancingRules:
      tcp: {{frontendIPConfiguration: main, backendAddressPool: web, protocol: Tcp, frontendPort: 80, backendPort: 8080}}
      udp: {{frontendIPConfiguration: main, backendAddressPool: web, protocol: Udp, frontendPort: 80, backendPort: 8080}}
      other: {{frontendIPConfiguration: main, backendAddressPool: web, protocol: Tcp, frontendPort: 81, backendPort: 8081}}
"""


@pytest.fixture(params=ENGINES)
def engine(request):
    return request.param


def text(engine, members="[w1, w2]", balancers=BALANCER):
    return START.replace("ENGINE", engine).replace("BALANCERS", balancers).replace("MEMBERS", members)


def streams(listening, number, port=80, at=8080):
    found = [listening.call("client", FRONTEND, port, TCP, at=at) for _ in range(number)]
    assert all(call.works() for call in found)
    return found


@contextmanager
def callers(listening, port=80, at=8080):
    """New connections, one after the other, from now on; all must succeed."""
    ended, lost, made = threading.Event(), [], []

    def run():
        while not ended.is_set():
            call = listening.call("client", FRONTEND, port, TCP, at=at)
            (made if call.answered else lost).append(call.backend)
            call.close()

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield made
    finally:
        ended.set()
        thread.join()
    assert made
    assert not lost, f"{len(lost)} of {len(made) + len(lost)} got no answer"


@pytest.mark.azure("LB-5")
def test_the_first_load_balancer_of_a_network_disturbs_nobody(single, engine):
    lab = single(text(engine, balancers=""))
    with backends(lab, ["w1", "w2"], [8080]) as listening:
        direct = listening.call("client", "10.0.1.11", 8080)
        assert direct.works()
        assert lab.up(text(engine)) == "changed"
        assert direct.works()
        assert listening.call("client", FRONTEND, 80, at=8080).answered
        assert lab.up(text(engine)) == "unchanged"
        assert lab.up(text(engine, balancers="")) == "changed"
        assert direct.works()
        assert listening.call("client", FRONTEND, 80, at=8080).lost
        assert lab.up(text(engine, balancers="")) == "unchanged"


@pytest.mark.azure("LB-5", "LB-31")
def test_a_backend_comes_and_goes_and_flows_that_there_are_stay(single, engine):
    lab = single(text(engine))
    with backends(lab, ["w1", "w2", "w3"], [8080], [8080]) as listening:
        old = streams(listening, 12)
        datagrams = [listening.call("client", FRONTEND, 80, UDP, at=8080) for _ in range(8)]
        with callers(listening):
            assert lab.up(text(engine, "[w1, w2, w3]")) == "changed"
        assert all(call.works() for call in old)
        assert all(listening.again(call, FRONTEND, 80, 8080) == call.backend for call in datagrams)
        assert set(listening.spread("client", FRONTEND, 80, at=8080, sports=range(40000, 40040))) == {"w1", "w2", "w3"}
        with callers(listening):
            assert lab.up(text(engine, "[w1, w3]")) == "changed"
        assert all(call.works() for call in old)
        assert all(listening.again(call, FRONTEND, 80, 8080) == call.backend for call in datagrams)
        assert set(listening.spread("client", FRONTEND, 80, at=8080, sports=range(41000, 41040))) == {"w1", "w3"}
        assert lab.up(text(engine, "[w1, w3]")) == "unchanged"


@pytest.mark.azure("LB-5", "LB-35")
def test_a_backend_that_is_deleted_while_in_use_takes_only_its_own_flows_along(single, engine):
    lab = single(text(engine, "[w1, w2, w3]"))
    with backends(lab, ["w1", "w2", "w3"], [8080]) as listening:
        old = streams(listening, 18)
        without = "\n".join(line for line in text(engine, "[w1, w3]").splitlines() if not line.startswith("  w2:"))
        assert lab.up(without) == "changed"
        for call in old:
            if call.backend != "w2":
                assert call.works()
        assert set(listening.spread("client", FRONTEND, 80, at=8080, sports=range(42000, 42040))) == {"w1", "w3"}


@pytest.mark.azure("LB-5")
def test_a_rule_takes_its_flows_along_and_leaves_those_of_others(single, engine):
    lab = single(text(engine))
    with backends(lab, ["w1", "w2"], [8080, 8081]) as listening:
        going, staying = streams(listening, 6), streams(listening, 6, 81, 8081)
        less = BALANCER.replace(
            "      tcp: {frontendIPConfiguration: main, backendAddressPool: web, protocol: Tcp, frontendPort: 80, backendPort: 8080}\n",
            "",
        )
        assert less != BALANCER
        assert lab.up(text(engine, balancers=less)) == "changed"
        assert not any(call.works() for call in going)
        assert all(call.works() for call in staying)
        assert listening.call("client", FRONTEND, 80, at=8080).lost


@pytest.mark.azure("LB-5")
def test_another_backend_port_is_for_new_flows(single, engine):
    lab = single(text(engine))
    with backends(lab, ["w1", "w2"], [8080, 9090]) as listening:
        old = streams(listening, 6)
        moved = BALANCER.replace("protocol: Tcp, frontendPort: 80, backendPort: 8080", "protocol: Tcp, frontendPort: 80, backendPort: 9090")
        assert lab.up(text(engine, balancers=moved)) == "changed"
        assert all(call.works() for call in old)
        assert listening.call("client", FRONTEND, 80, at=9090).answered


def drifted(lab):
    """What `status` and `plan` would say."""
    scenario = read_text(lab.source.read_text(), str(lab.source))
    record = lab.folder.read()
    found = survey(desire(scenario, lab.folder), lab.folder, record)
    return [change_text(change) for change in found.kernel]


def in_director(lab, work):
    with entered(lab.namespace("@slb.net")):
        return work()


@pytest.mark.parametrize(
    ("command", "seen"),
    [
        ("flush map ip netemu rules", "nft map ip netemu rules"),
        ("flush chain ip netemu steer", "nft chain ip netemu steer"),
        ("add element ip netemu replies { \"lo\" }", "nft set ip netemu replies"),
        ("add chain ip netemu mine", "nft chain ip netemu mine"),
    ],
)
def test_what_somebody_does_to_the_directors_ruleset_is_seen_and_healed(single, engine, command, seen):
    lab = single(text(engine))
    descriptor = os.open(lab.namespace("@slb.net"), os.O_RDONLY)
    with open(descriptor, closefd=True):
        nftables.apply(descriptor, command)
    assert [line for line in drifted(lab) if seen in line]
    assert lab.up(text(engine)) == "repaired"
    assert drifted(lab) == []
    with backends(lab, ["w1", "w2"], [8080]) as listening:
        assert listening.call("client", FRONTEND, 80, at=8080).answered


def test_a_slot_that_somebody_has_moved_is_seen_and_healed(single):
    lab = single(text("nftables"))
    descriptor = os.open(lab.namespace("@slb.net"), os.O_RDONLY)
    with open(descriptor, closefd=True):
        nftables.apply(descriptor, "delete element ip netemu slots/lb/web/- { 0x0 }")
    assert drifted(lab) == ["~ @slb.net: nft map ip netemu slots/lb/web/-"]
    assert lab.up(text("nftables")) == "repaired"
    assert drifted(lab) == []


@pytest.mark.kernel_feature("ipvs")
def test_rules_are_services_of_ipvs(single):
    lab = single(text("ipvs", "[w1, w2, w3]"))
    table = lab.run("@slb.net", "cat", "/proc/net/ip_vs").stdout
    found = [tuple(line.split()[:2]) for line in table.splitlines() if line.startswith(("TCP", "UDP"))]
    assert sorted(found) == [("TCP", "0A000164:0050"), ("TCP", "0A000164:0051"), ("UDP", "0A000164:0050")]
    assert table.count("mh") == 3
    assert table.count("0A00010B:1F90") == table.count("0A00010C:1F90") == table.count("0A00010D:1F90") == 2
    with backends(lab, ["w1", "w2", "w3"], [8080]) as listening:
        calls = streams(listening, 30)
        assert in_director(lab, active) == 30
        assert len({call.backend for call in calls}) > 1


def services():
    with IPVS() as kernel:
        return len(kernel.services())


def active():
    with IPVS() as kernel:
        return sum(busy.active for found in kernel.services() for busy in found.connections.values())


@pytest.mark.kernel_feature("ipvs")
@pytest.mark.parametrize("what", ["service", "destination", "weight", "stranger"])
def test_what_somebody_does_to_ipvs_is_seen_and_healed(single, what):
    lab = single(text("ipvs", "[w1, w2, w3]"))

    def spoil():
        with IPVS() as kernel:
            found = kernel.services()
            service = next(each.service for each in found if each.service.port == 80 and each.service.protocol == 6)
            first, second, _ = service.destinations
            commands = {
                "service": [remove_service(service)],
                "destination": [remove_destination(service, second)],
                "weight": [weigh(service, first, 7)],
                "stranger": [add_destination(service, Destination(0, 0x0A000204, 22), 1)],
            }
            kernel.carry_out(commands[what])

    in_director(lab, spoil)
    assert [line for line in drifted(lab) if "IPVS service TCP 10.0.1.100:80" in line]
    assert lab.up(text("ipvs", "[w1, w2, w3]")) == "repaired"
    assert drifted(lab) == []
    with backends(lab, ["w1", "w2", "w3"], [8080]) as listening:
        assert set(listening.spread("client", FRONTEND, 80, at=8080, sports=range(43000, 43030))) == {"w1", "w2", "w3"}


@pytest.mark.kernel_feature("ipvs")
def test_the_engine_of_a_running_lab_can_change(single):
    lab = single(text("nftables"))
    with backends(lab, ["w1", "w2"], [8080, 8081], [8080]) as listening:
        for engine, number in (("ipvs", 3), ("nftables", 0), ("auto", 0)):
            # `auto` stays with what there is.
            did = lab.up(text(engine))
            assert did == "changed"
            assert listening.call("client", FRONTEND, 80, at=8080).works()
            assert listening.call("client", FRONTEND, 80, UDP, at=8080).answered
            assert in_director(lab, services) == number
            assert lab.up(text(engine)) == "unchanged"


@pytest.mark.kernel_feature("ipvs")
def test_auto_takes_ipvs_where_the_kernel_has_it(single):
    lab = single(text("auto"))
    assert lab.folder.kept().engine.name == "ipvs"
    assert in_director(lab, services) == 3


def test_where_the_kernel_lacks_ipvs_auto_takes_nftables_and_says_why(single, monkeypatch):
    monkeypatch.setattr("netemu.linux.ipvs.why_not", lambda: "this kernel has no IPVS")
    lab = single(text("auto"))
    engine = lab.folder.kept().engine
    assert str(engine) == "nftables (this kernel has no IPVS)"
    assert [line for line in (lab.folder.path / "events.jsonl").read_text().splitlines() if "nftables (this kernel" in line]


def test_ipvs_that_is_asked_for_and_not_there_is_refused(single, monkeypatch):
    monkeypatch.setattr("netemu.linux.ipvs.why_not", lambda: "this kernel has no IPVS")
    lab = single(text("nftables"))
    with pytest.raises(Exception, match="load balancers cannot use ipvs: this kernel has no IPVS; choose auto or nftables"):
        lab.up(text("ipvs"))
    assert lab.up(text("nftables")) == "unchanged"
