"""Peering: what it joins, what it keeps apart, and traffic that is only forwarded."""

from __future__ import annotations

import socket

import pytest
from harness import rule
from scapy.layers.inet import IP, UDP

IN = "Inbound"


def peering(remote: str, *flags: str) -> str:
    settings = "".join(f", {flag}" for flag in flags)
    return f"to-{remote}: {{remoteVirtualNetwork: {remote}{settings}}}"


def network(name: str, number: int, *peerings: str, subnet: str = "") -> str:
    return (
        f"  {name}: {{addressSpace: 10.{number}.0.0/16, subnets: {{main: {{addressPrefix: 10.{number}.0.0/24{subnet}}}}},"
        f" virtualNetworkPeerings: {{{', '.join(peerings)}}}}}\n"
    )


def machines(*networks: str) -> str:
    return "virtualMachines:\n" + "".join(
        f"  {name.removeprefix('net-')}1: {{subnet: {name}/main}}\n" for name in networks
    )


MESH = (
    "virtualNetworks:\n"
    + network("net-a", 1, peering("net-b"), peering("one-sided"), peering("shut"))
    + network("net-b", 2, peering("net-a"), peering("net-c"), subnet=", networkSecurityGroup: default-nsg")
    + network("net-c", 3, peering("net-b"), subnet=", networkSecurityGroup: internet-nsg")
    + network("one-sided", 4)
    + network(
        "shut", 5, peering("net-a", "allowVirtualNetworkAccess: false"), subnet=", networkSecurityGroup: default-nsg"
    )
    + f"""
networkSecurityGroups:
  default-nsg: {{}}
  internet-nsg: {{securityRules: {{internet: {rule(100, IN, "Deny", source="Internet")},
                                   network: {rule(110, IN, "Allow", source="VirtualNetwork")},
                                   rest: {rule(120, IN, "Deny")}}}}}
"""
    + machines("net-a", "net-b", "net-c", "one-sided", "shut")
)


@pytest.fixture(scope="module")
def lab(laboratory):
    return laboratory(MESH)


KINDS = pytest.mark.parametrize("kind", ["tcp", "udp", "ping"])


def contact(lab, kind, source, to):
    return getattr(lab, kind)(source, to, *(() if kind == "ping" else (lab.port(),)))


@pytest.mark.azure("PEER-1", "PEER-2", "PEER-6", "PIPE-2", "PEER-7")
@KINDS
def test_peered_networks_reach_each_other_in_both_directions(lab, kind):
    assert contact(lab, kind, "a1", "b1").answered
    assert contact(lab, kind, "b1", "a1").answered


@pytest.mark.azure("PEER-6", "ARP-7")
def test_a_peered_machine_is_one_hop_away(lab):
    arrived = lab.delivered("a1", IP(src="10.1.0.4", dst="10.2.0.4", ttl=1) / UDP(dport=9), at="b1")
    assert arrived[IP].ttl == 1


@pytest.mark.azure("PEER-8", "NSG-25")
def test_the_peer_belongs_to_the_tag_virtual_network(lab):
    before = lab.counter("inbound/default-nsg/net-b", "AllowVnetInBound")
    assert lab.tcp("a1", "b1", 80).answered
    assert lab.counter("inbound/default-nsg/net-b", "AllowVnetInBound") == before + 1
    assert lab.tcp("b1", "c1", 80).answered


@pytest.mark.azure("PEER-5")
@KINDS
def test_peering_is_not_transitive(lab, kind):
    assert contact(lab, kind, "a1", "c1").lost
    assert contact(lab, kind, "c1", "a1").lost


@pytest.mark.azure("PEER-2", "CT-27")
@KINDS
def test_a_peering_with_one_side_carries_nothing(lab, kind):
    assert contact(lab, kind, "a1", "one-sided1").lost
    assert contact(lab, kind, "one-sided1", "a1").lost


@pytest.mark.azure("PEER-7", "PEER-8")
@KINDS
def test_access_that_one_side_denies_is_closed_in_both_directions(lab, kind):
    assert contact(lab, kind, "a1", "shut1").lost
    assert contact(lab, kind, "shut1", "a1").lost


# ---- forwarded traffic -----------------------------------------------------------------------------------------------

FORWARDED = "allowForwardedTraffic: true"


def hub(spoke1: bool = True, spoke2: bool = True, udr1: bool = True, udr2: bool = True, guest: int = 1) -> str:
    """Two spokes that reach each other by an appliance in their hub, if all is as it must be."""
    return (
        "virtualNetworks:\n"
        + network("hub", 0, peering("one"), peering("two"))
        + network("one", 1, peering("hub", *[FORWARDED] * spoke1), subnet=", routeTable: by-nva" * udr1)
        + network("two", 2, peering("hub", *[FORWARDED] * spoke2), subnet=", routeTable: by-nva" * udr2)
        + f"""
routeTables:
  by-nva: {{routes: {{all: {{addressPrefix: 10.0.0.0/8, nextHopType: VirtualAppliance, nextHopIpAddress: 10.0.0.4}}}}}}
virtualMachines:
  nva: {{subnet: hub/main, privateIPAddress: 10.0.0.4, enableIPForwarding: true,
        sysctls: {{net.ipv4.ip_forward: {guest}}}}}
  one1: {{subnet: one/main}}
  two1: {{subnet: two/main}}
"""
    )


@pytest.mark.azure("NVA-11", "PEER-5", "PEER-11", "CT-28", "NVA-5", "PEER-19")
@KINDS
def test_spokes_reach_each_other_by_an_appliance_when_all_is_set(single, kind):
    lab = single(hub())
    assert contact(lab, kind, "one1", "two1").seen_as == "10.1.0.4"
    assert contact(lab, kind, "one1", "two1").answered
    assert contact(lab, kind, "two1", "one1").answered


@pytest.mark.azure("PEER-11", "CT-28", "NVA-11")
def test_a_spoke_that_does_not_accept_forwarded_traffic_gets_none_in_either_direction(single):
    lab = single(hub(spoke2=False))
    assert lab.tcp("one1", "two1", 80).lost
    back = lab.tcp("two1", "one1", 80)
    assert (back.arrived, back.answered) == (True, False)
    assert lab.dropped("hub") >= 2


@pytest.mark.azure("PEER-11", "NVA-5", "PEER-21")
def test_what_the_appliance_itself_sends_is_not_forwarded_traffic(single):
    lab = single(hub(spoke1=False, spoke2=False))
    assert lab.tcp("nva", "one1", 80).answered
    assert lab.tcp("two1", "nva", 80).answered
    assert lab.tcp("one1", "two1", 80).lost


@pytest.mark.azure("NVA-11", "PEER-5", "CT-28")
@pytest.mark.parametrize(
    ("missing", "forth", "back"),
    [({"udr1": False}, (False, False), (True, False)), ({"udr2": False}, (True, False), (False, False)),
     ({"guest": 0}, (False, False), (False, False))],
    ids=["route in the first spoke", "route in the second spoke", "forwarding in the guest"],
)  # fmt: skip
def test_spokes_part_when_one_thing_is_missing(single, missing, forth, back):
    lab = single(hub(**missing))
    for source, to, expected in (("one1", "two1", forth), ("two1", "one1", back)):
        found = lab.tcp(source, to, 80)
        assert (found.arrived, found.answered) == expected


# ---- peerings of a running lab, prefixes, regions --------------------------------------------------------------------


def pair(*, near: bool = True, far: bool = True, more: str = "") -> str:
    """a1 in net-a, b1 in net-b, in other regions; a side of the peering exists when it is said so."""
    extra = ", 10.20.0.0/16" if more else ""
    subnets = "{main: {addressPrefix: 10.2.0.0/24}, more: {addressPrefix: 10.20.0.0/24}}" if more else ""
    far_away = network("net-b", 2, *[peering("net-a")] * far)
    if more:
        far_away = far_away.replace("{main: {addressPrefix: 10.2.0.0/24}}", subnets)
        far_away = far_away.replace("addressSpace: 10.2.0.0/16", f"addressSpace: [10.2.0.0/16{extra}]")
    return (
        "virtualNetworks:\n"
        + network("net-a", 1, *[peering("net-b")] * near)
        + far_away.replace("{addressSpace", "{location: eastus, addressSpace", 1)
        + machines("net-a", "net-b")
        + more
    )


MORE = "  b2: {subnet: net-b/more}\n"


@pytest.mark.azure("PEER-3")
@pytest.mark.parametrize("deleted", ["near", "far"])
def test_deleting_one_side_stops_all_traffic_at_once_and_making_it_again_brings_it_back(single, deleted):
    lab = single(pair())
    with lab.socket("a1", socket.SOCK_STREAM) as caller, lab.socket("b1", socket.SOCK_STREAM) as listener:
        listener.bind(("0.0.0.0", 80))
        listener.listen()
        caller.connect((lab.address("b1"), 80))
        connection, _ = listener.accept()
        with connection, lab.tap("a1") as here, lab.tap("b1") as there:
            assert lab.up(pair(**{deleted: False})) == "changed"
            caller.sendall(b"to b")
            connection.sendall(b"to a")
            ours = lambda frame: frame.haslayer("TCP") and bytes(frame["TCP"].payload).startswith(b"to ")  # noqa: E731
            assert there.find(ours) is None
            assert here.find(ours) is None
            for source, to in (("a1", "b1"), ("b1", "a1")):
                assert lab.tcp(source, to, 81).lost
                assert lab.ping(source, to).lost
            assert lab.up(pair()) == "changed"
            connection.settimeout(5)
            assert connection.recv(64) == b"to b"  # sent again by the guest's TCP
    assert lab.tcp("b1", "a1", 81).answered


@pytest.mark.azure("RT-5", "PEER-14", "PEER-7")
def test_every_prefix_of_the_peer_has_a_route_and_one_that_is_added_later_gets_one(single):
    lab = single(pair())
    before = lab.dropped("next hop None")
    lab.send("a1", IP(src=lab.address("a1"), dst="10.20.0.4") / UDP(dport=9))
    assert lab.dropped("next hop None") == before + 1
    assert lab.up(pair(more=MORE)) == "changed"
    assert lab.tcp("a1", "b1", 80).answered
    assert lab.tcp("a1", "b2", 80).answered
    assert lab.ping("b2", "a1").answered
    assert lab.up(pair()) == "changed"
    before = lab.dropped("next hop None")
    lab.send("a1", IP(src=lab.address("a1"), dst="10.20.0.4") / UDP(dport=9))
    assert lab.dropped("next hop None") == before + 1


@pytest.mark.azure("PEER-18")
@KINDS
def test_networks_of_different_regions_are_peered_like_others(single, kind):
    lab = single(pair())
    assert contact(lab, kind, "a1", "b1").answered
    assert contact(lab, kind, "b1", "a1").answered
