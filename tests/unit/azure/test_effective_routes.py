"""Effective routes and next hops (RT-1…RT-14, RT-19…RT-21, PEER-7)."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

import pytest
from azure_networks import Lab, peering, route, routes, subnet, vnet
from hypothesis import given
from hypothesis import strategies as st


def lab_with(*user, space="10.0.0.0/16", peers=None, prefix="10.0.0.0/24"):
    """A network v with a subnet s, a route table when there are user routes, and peers by prefix."""
    networks = {"v": vnet(space, s=subnet(prefix, table="t" if user else None))}
    for name, remote in (peers or {}).items():
        networks["v"]["virtualNetworkPeerings"] |= peering(name)
        networks[name] = vnet(remote, peerings=peering("v"))
    return Lab(virtualNetworks=networks, routeTables={"t": routes(*user)} if user else {})


def home(lab):
    return lab.network.virtualNetworks["v"].subnets["s"]


def table(lab):
    """(source, state, prefix, next hop type) of all routes."""
    return {
        (each.source, each.state, str(each.addressPrefix), each.nextHopType)
        for each in lab.engine.effective_routes(home(lab))
    }


def hop(lab, destination):
    return lab.engine.next_hop(home(lab), IPv4Address(destination))


RESERVED = {
    ("Default", "Active", prefix, "None")
    for prefix in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
}
INTERNET = ("Default", "Active", "0.0.0.0/0", "Internet")


@pytest.mark.azure("RT-1", "RT-2", "RT-3")
def test_system_routes_of_an_ordinary_network():
    assert table(lab_with()) == RESERVED | {INTERNET, ("Default", "Active", "10.0.0.0/16", "VnetLocal")}


@pytest.mark.azure("RT-2", "VN-1")
def test_each_prefix_of_the_network_has_a_route_and_no_subnet_has():
    found = table(lab_with(space=["10.0.0.0/16", "172.20.2.0/24"]))
    assert ("Default", "Active", "172.20.2.0/24", "VnetLocal") in found
    assert ("Default", "Active", "172.16.0.0/12", "None") in found, "strictly inside: both stay (RT-3)"
    assert not [each for each in found if each[2] == "10.0.0.0/24"]


@pytest.mark.azure("RT-3")
def test_a_network_equal_to_a_reserved_range_takes_its_place():
    found = table(lab_with(space="10.0.0.0/8"))
    assert {each for each in found if each[2] == "10.0.0.0/8"} == {("Default", "Active", "10.0.0.0/8", "VnetLocal")}


@pytest.mark.azure("RT-3")
def test_a_network_that_contains_a_reserved_range_removes_its_route():
    lab = lab_with(space="192.0.0.0/8", prefix="192.1.0.0/24")
    assert not [each for each in table(lab) if each[2] == "192.168.0.0/16"]
    assert hop(lab, "192.168.1.1").route.nextHopType == "VnetLocal"


@pytest.mark.azure("RT-4", "RT-2", "NSG-27")
def test_other_private_ranges_go_nowhere():
    assert hop(lab_with(), "10.7.0.1").route.nextHopType == "None"
    assert hop(lab_with(), "8.8.8.8").route.nextHopType == "Internet"


@pytest.mark.azure("RT-5", "PEER-7")
def test_each_prefix_of_a_peer_has_a_route():
    lab = lab_with(peers={"w": ["10.1.0.0/16", "10.2.0.0/16"]})
    assert {each for each in table(lab) if each[3] == "VNetPeering"} == {
        ("Default", "Active", "10.1.0.0/16", "VNetPeering"),
        ("Default", "Active", "10.2.0.0/16", "VNetPeering"),
    }
    assert hop(lab, "10.2.0.4").route.remoteVirtualNetwork == "w"


@pytest.mark.azure("RT-3", "PEER-7")
def test_a_peer_with_a_whole_reserved_range_takes_its_place():
    lab = lab_with(peers={"w": "172.16.0.0/12"})
    assert hop(lab, "172.16.0.4").route.nextHopType == "VNetPeering"
    assert ("Default", "Active", "172.16.0.0/12", "None") not in table(lab)


@pytest.mark.azure("RT-6", "RT-7")
@pytest.mark.parametrize("kind", ["VirtualNetworkGateway", "VnetLocal", "Internet", "VirtualAppliance", "None"])
def test_every_kind_of_user_route(kind):
    lab = lab_with(route("10.7.0.0/16", kind, "10.0.0.9" if kind == "VirtualAppliance" else None))
    found = hop(lab, "10.7.0.1").route
    assert (found.source, found.state, found.nextHopType, found.name) == ("User", "Active", kind, "r0")
    assert found.nextHopIpAddress == (IPv4Address("10.0.0.9") if kind == "VirtualAppliance" else None)


@pytest.mark.azure("RT-8")
def test_a_route_table_serves_only_its_subnets():
    lab = Lab(
        virtualNetworks={"v": vnet("10.0.0.0/16", s=subnet("10.0.0.0/24", table="t"), other="10.0.1.0/24")},
        routeTables={"t": routes(route("8.0.0.0/8", "None"))},
    )
    subnets = lab.network.virtualNetworks["v"].subnets
    assert lab.engine.next_hop(subnets["s"], IPv4Address("8.8.8.8")).route.nextHopType == "None"
    assert lab.engine.next_hop(subnets["other"], IPv4Address("8.8.8.8")).route.nextHopType == "Internet"


@pytest.mark.azure("RT-9")
def test_the_longest_prefix_wins_and_losers_are_told():
    lab = lab_with(route("10.0.0.0/16", "None"), route("10.0.3.0/24", "VnetLocal"))
    found = hop(lab, "10.0.3.7")
    assert str(found.route.addressPrefix) == "10.0.3.0/24"
    assert found.routeTable == "t"
    assert {(each.route.source, str(each.route.addressPrefix), each.why) for each in found.losers} == {
        ("User", "10.0.0.0/16", "10.0.3.0/24 is a longer prefix than 10.0.0.0/16"),
        ("Default", "10.0.0.0/16", "a user-defined route has the same prefix 10.0.0.0/16"),
        ("Default", "10.0.0.0/8", "10.0.3.0/24 is a longer prefix than 10.0.0.0/8"),
        ("Default", "0.0.0.0/0", "10.0.3.0/24 is a longer prefix than 0.0.0.0/0"),
    }


@pytest.mark.azure("RT-9", "RT-20")
def test_user_beats_default_and_the_loser_is_invalid():
    found = table(lab_with(route("0.0.0.0/0", "None")))
    assert ("User", "Active", "0.0.0.0/0", "None") in found
    assert ("Default", "Invalid", "0.0.0.0/0", "Internet") in found


@pytest.mark.azure("RT-10")
def test_a_user_route_wins_over_network_and_peering():
    lab = lab_with(route("10.0.0.0/16", "None"), route("10.1.0.0/16", "None"), peers={"w": "10.1.0.0/16"})
    assert ("Default", "Invalid", "10.0.0.0/16", "VnetLocal") in table(lab)
    assert ("Default", "Invalid", "10.1.0.0/16", "VNetPeering") in table(lab)


@pytest.mark.azure("RT-12")
def test_a_route_to_an_absent_appliance_stays_active():
    assert ("User", "Active", "0.0.0.0/0", "VirtualAppliance") in table(
        lab_with(route("0.0.0.0/0", "VirtualAppliance", "10.0.77.7"))
    )


@pytest.mark.azure("RT-19")
def test_worked_example():
    nva = "10.0.100.4"
    lab = lab_with(
        route("10.0.0.0/16", "VirtualAppliance", nva),
        route("10.0.0.0/24", "VnetLocal"),
        route("10.1.0.0/16", "None"),
        route("10.2.0.0/16", "None"),
        route("10.10.0.0/16", "VirtualAppliance", nva),
        route("0.0.0.0/0", "VirtualAppliance", nva),
        peers={"b": "10.1.0.0/16", "c": "10.2.0.0/16"},
    )
    assert table(lab) == RESERVED | {
        ("Default", "Invalid", "10.0.0.0/16", "VnetLocal"),
        ("User", "Active", "10.0.0.0/16", "VirtualAppliance"),
        ("User", "Active", "10.0.0.0/24", "VnetLocal"),
        ("Default", "Invalid", "10.1.0.0/16", "VNetPeering"),
        ("Default", "Invalid", "10.2.0.0/16", "VNetPeering"),
        ("User", "Active", "10.1.0.0/16", "None"),
        ("User", "Active", "10.2.0.0/16", "None"),
        ("User", "Active", "10.10.0.0/16", "VirtualAppliance"),
        ("Default", "Invalid", "0.0.0.0/0", "Internet"),
        ("User", "Active", "0.0.0.0/0", "VirtualAppliance"),
    }


user_prefixes = st.lists(
    st.builds(
        lambda number, length: IPv4Network(((10 << 24 | number) >> 32 - length << 32 - length, length)),
        st.integers(0, (1 << 20) - 1),
        st.integers(0, 32),
    ),
    unique=True,
    max_size=12,
)


@pytest.mark.azure("RT-9", "RT-20")
@given(user_prefixes, st.lists(st.integers(0, (1 << 20) - 1), min_size=1, max_size=20))
def test_one_active_route_per_prefix_and_the_longest_decides(prefixes, places):
    lab = lab_with(*(route(str(prefix), "None") for prefix in prefixes), peers={"w": "10.1.0.0/16"})
    every = lab.engine.effective_routes(home(lab))
    active = [each.addressPrefix for each in every if each.state == "Active"]
    assert len(active) == len(set(active))
    assert set(active) == {each.addressPrefix for each in every}
    edges = [int(end) for prefix in prefixes for end in (prefix[0], prefix[-1])]
    for number in [10 << 24 | place for place in places] + edges:
        destination = IPv4Address(number)
        longest = max((each for each in active if destination in each), key=lambda each: each.prefixlen)
        assert hop(lab, str(destination)).route.addressPrefix == longest
