"""Flow records: answers pass, nothing else does."""

from __future__ import annotations

import errno
import socket

import pytest
from harness import allow, deny, rule
from scapy.layers.inet import ICMP, IP, TCP, UDP, IPerror, UDPerror
from scapy.packet import Raw

OUT, IN = "Outbound", "Inbound"

SCENARIO = f"""
virtualNetworks:
  net:
    addressSpace: 10.0.0.0/16
    subnets:
      all: {{addressPrefix: 10.0.1.0/24}}
      far: {{addressPrefix: 10.0.2.0/24, routeTable: by-nva}}
      nvas: {{addressPrefix: 10.0.9.0/24}}
routeTables:
  by-nva: {{routes: {{all: {{addressPrefix: 10.0.1.0/24, nextHopType: VirtualAppliance, nextHopIpAddress: 10.0.9.4}}}}}}
networkSecurityGroups:
  shy-nsg: {{securityRules: {{nothing-in: {deny(IN)}}}}}
  mute-nsg: {{securityRules: {{nothing-out: {deny(OUT)}}}}}
  closed-nsg: {{securityRules: {{nothing-in: {deny(IN)}, nothing-out: {deny(OUT)}}}}}
  esp-nsg: {{securityRules: {{esp: {rule(100, OUT, "Allow", "Esp")}, rest: {allow(OUT, "Udp")},
                              nothing-out: {rule(300, OUT, "Deny")}, nothing-in: {deny(IN)}}}}}
virtualMachines:
  open: {{subnet: net/all, privateIPAddress: 10.0.1.4}}
  other: {{subnet: net/all, privateIPAddress: 10.0.1.5}}
  shy: {{subnet: net/all, privateIPAddress: 10.0.1.6, networkSecurityGroup: shy-nsg}}
  mute: {{subnet: net/all, privateIPAddress: 10.0.1.7, networkSecurityGroup: mute-nsg}}
  closed: {{subnet: net/all, privateIPAddress: 10.0.1.8, networkSecurityGroup: closed-nsg}}
  ipsec: {{subnet: net/all, privateIPAddress: 10.0.1.9, networkSecurityGroup: esp-nsg}}
  far: {{subnet: net/far, privateIPAddress: 10.0.2.4, networkSecurityGroup: shy-nsg}}
  nva: {{subnet: net/nvas, privateIPAddress: 10.0.9.4, enableIPForwarding: true, sysctls: {{net.ipv4.ip_forward: 1}}}}
"""


@pytest.fixture(scope="module")
def lab(laboratory):
    return laboratory(SCENARIO)


def send(lab, source, to, layer):
    """Does a packet from one machine reach another one?"""
    return lab.delivered(source, IP(src=lab.address(source), dst=lab.address(to)) / layer, at=to) is not None


@pytest.mark.azure("NSG-21", "PIPE-6")
@pytest.mark.parametrize("kind", ["tcp", "udp", "ping"])
def test_answers_need_no_rule_of_their_own(lab, kind):
    port = () if kind == "ping" else (lab.port(),)
    assert getattr(lab, kind)("shy", "open", *port).answered
    assert getattr(lab, kind)("open", "mute", *port).answered
    assert getattr(lab, kind)("shy", "mute", *port).answered
    assert getattr(lab, kind)("open", "shy", *port).lost
    assert getattr(lab, kind)("mute", "open", *port).lost


@pytest.mark.azure("NSG-21")
def test_only_the_one_that_was_asked_may_answer_and_only_from_where_it_was_asked(lab):
    port = lab.port()
    answer = UDP(sport=53, dport=port)
    assert not send(lab, "open", "shy", answer)
    assert send(lab, "shy", "open", UDP(sport=port, dport=53))
    assert not send(lab, "other", "shy", answer)
    assert not send(lab, "open", "shy", UDP(sport=54, dport=port))
    assert not send(lab, "open", "shy", UDP(sport=53, dport=port + 1))
    assert not send(lab, "open", "shy", TCP(sport=53, dport=port, flags="SA"))
    assert send(lab, "open", "shy", answer)


@pytest.mark.azure("NSG-21")
@pytest.mark.parametrize("flags", ["SA", "A", "R", "FA", "PA", ""])
def test_a_tcp_segment_out_of_nowhere_is_evaluated_like_a_new_flow(lab, flags):
    assert not send(lab, "open", "shy", TCP(sport=80, dport=lab.port(), flags=flags))
    assert send(lab, "open", "other", TCP(sport=80, dport=lab.port(), flags=flags))


@pytest.mark.azure("NSG-21")
def test_a_new_connection_on_the_ports_of_an_old_one_is_evaluated(lab):
    port = lab.port()
    assert send(lab, "shy", "open", TCP(sport=port, dport=80, flags="S"))
    assert send(lab, "open", "shy", TCP(sport=80, dport=port, flags="SA"))
    assert not send(lab, "open", "shy", TCP(sport=80, dport=port, flags="S"))


@pytest.mark.azure("NSG-21")
@pytest.mark.parametrize("protocol", ["TCP", "UDP"])
def test_a_question_that_was_not_let_in_cannot_be_answered(lab, protocol):
    port = lab.port()
    question, answer = {
        "TCP": (TCP(sport=port, dport=80, flags="S"), TCP(sport=80, dport=port, flags="SA")),
        "UDP": (UDP(sport=port, dport=80), UDP(sport=80, dport=port)),
    }[protocol]
    assert not send(lab, "open", "closed", question)
    assert not send(lab, "closed", "open", answer)


@pytest.mark.azure("NSG-15", "NSG-21")
def test_an_allowance_at_one_end_is_none_at_the_other(lab):
    port = lab.port()
    assert lab.tcp("open", "closed", port).lost
    assert lab.tcp("closed", "open", port).lost
    assert lab.tcp("mute", "shy", port).lost


@pytest.mark.azure("NSG-21", "NSG-11")
def test_an_echo_is_answered_by_its_id_and_a_question_is_never_an_answer(lab):
    token = lab.port()
    assert not send(lab, "open", "shy", ICMP(type=0, id=token))
    assert send(lab, "shy", "open", ICMP(type=8, id=token))
    assert send(lab, "open", "shy", ICMP(type=0, id=token))
    assert not send(lab, "open", "shy", ICMP(type=0, id=token + 1))
    assert not send(lab, "other", "shy", ICMP(type=0, id=token))
    assert not send(lab, "open", "shy", ICMP(type=8, id=token))


@pytest.mark.azure("NSG-21", "ARP-5")
def test_protocols_without_ports_are_remembered_by_their_addresses(lab):
    esp = Raw(b"\0\0\1\1" * 6)

    def passes(source, to, protocol=50):
        packet = IP(src=lab.address(source), dst=lab.address(to), proto=protocol) / esp
        return lab.delivered(source, packet, at=to) is not None

    assert not passes("open", "ipsec")
    assert passes("ipsec", "open")
    assert passes("open", "ipsec")
    assert not passes("other", "ipsec")
    assert not passes("open", "ipsec", 51)
    assert not passes("ipsec", "open", 51)


@pytest.mark.azure("NSG-21")
def test_the_guest_hears_that_a_port_is_closed_though_nothing_may_come_in(lab):
    with lab.socket("shy", socket.SOCK_DGRAM) as caller:
        caller.connect((lab.address("open"), lab.port()))
        caller.send(b"anybody?")
        assert caller.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED
    with lab.socket("shy", socket.SOCK_STREAM) as caller, pytest.raises(ConnectionRefusedError):
        caller.connect((lab.address("open"), lab.port()))


@pytest.mark.azure("NSG-21", "ARP-7")
def test_a_time_exceeded_of_an_appliance_reaches_the_guest_that_sent_the_packet(lab):
    with lab.tap("far") as tap:
        lab.send("far", IP(src="10.0.2.4", dst="10.0.1.4", ttl=1) / UDP(sport=lab.port(), dport=9))
        error = tap.find(lambda f: f.haslayer(ICMP) and f[ICMP].type == 11)
    assert error is not None
    assert error[IP].src == "10.0.9.4"


def error_about(source, destination, kind, code):
    return (
        ICMP(type=kind, code=code)
        / IPerror(src=source, dst=destination, proto=17)
        / UDPerror(sport=1000, dport=2000, len=8, chksum=0)
    )


@pytest.mark.azure("NSG-21")
@pytest.mark.parametrize(("kind", "code"), [(3, 3), (3, 4), (11, 0), (12, 0)])
def test_an_icmp_error_about_somebody_elses_packet_is_evaluated(lab, kind, code):
    assert not send(lab, "open", "shy", error_about("10.0.1.5", "10.0.1.4", kind, code))
    assert send(lab, "open", "other", error_about("10.0.1.6", "10.0.1.4", kind, code))


@pytest.mark.azure("NSG-21")
@pytest.mark.parametrize("kind", [5, 13, 15, 17], ids=["redirect", "timestamp", "information", "mask"])
def test_other_icmp_messages_are_evaluated_always(lab, kind):
    assert not send(lab, "open", "shy", error_about("10.0.1.6", "10.0.1.4", kind, 1))


@pytest.mark.azure("RT-18", "NSG-21", "NVA-3")
@pytest.mark.parametrize("kind", ["tcp", "udp", "ping"])
def test_an_answer_may_take_another_way_than_the_question(lab, kind):
    """far asks by the appliance and is answered directly; it lets nobody in, but remembers whom it asked."""
    port = () if kind == "ping" else (lab.port(),)
    with lab.tap("nva") as tap:
        assert getattr(lab, kind)("far", "open", *port).answered
        sources = {f[IP].src for f in tap.frames() if f.haslayer(IP)}
    assert sources == {"10.0.2.4"}
    assert getattr(lab, kind)("open", "far", *port).lost


@pytest.mark.azure("NSG-23")
def test_a_record_ends_after_four_idle_minutes_and_then_the_flow_is_new(single):
    lab = single(SCENARIO)
    assert "timeout 4m" in lab.run("@fabric", "nft", "-t", "list", "set", "ip", "netemu", "flows").stdout
    port = lab.port()
    assert send(lab, "shy", "open", UDP(sport=port, dport=53))
    assert send(lab, "open", "shy", UDP(sport=53, dport=port))
    lab.ruleset("@fabric", "flush set ip netemu flows")  # what the kernel does to a record when its time has come
    assert not send(lab, "open", "shy", UDP(sport=53, dport=port))
