"""Verdicts across peerings (PEER-1…PEER-11, PEER-19, NVA-5, NVA-11, VN-12, VN-13)."""

from __future__ import annotations

import pytest
from azure_networks import FORWARDING, Lab, nsg, peering, route, routes, subnet, vnet


def pair(near=None, far=None, **others):
    """a in v, b in w; a side of the peering exists when its flags are given."""
    return Lab(
        **{
            "virtualNetworks": {
                "v": vnet("10.0.0.0/16", s="10.0.0.0/24", peerings=None if near is None else peering("w", **near)),
                "w": vnet("10.1.0.0/16", s="10.1.0.0/24", peerings=None if far is None else peering("v", **far)),
            },
            "virtualMachines": {"a": {"subnet": "v/s"}, "b": {"subnet": "w/s"}},
            **others,
        }
    )


@pytest.mark.azure("PEER-1", "PEER-2", "PEER-6", "CT-27")
@pytest.mark.parametrize(
    ("near", "far", "answered"),
    [
        (None, None, False),
        ({}, None, False),
        (None, {}, False),
        ({}, {}, True),
    ],
)
def test_both_directions_of_a_peering_must_exist(near, far, answered):
    found = pair(near, far).ask("a", "b")
    assert found.answered is answered
    assert found.stage == ("delivered" if answered else "route-none")


@pytest.mark.azure("PEER-7")
@pytest.mark.parametrize("near", [True, False])
@pytest.mark.parametrize("far", [True, False])
def test_a_denial_on_either_side_stops_both_directions(near, far):
    lab = pair({"allowVirtualNetworkAccess": near}, {"allowVirtualNetworkAccess": far})
    assert lab.ask("a", "b").answered is (near and far)
    assert lab.ask("b", "a").answered is (near and far)


@pytest.mark.azure("PEER-8", "NSG-25")
def test_the_default_rules_permit_peers():
    lab = pair(
        {},
        {},
        networkSecurityGroups={"n": nsg()},
        virtualMachines={
            "a": {"subnet": "v/s", "networkSecurityGroup": "n"},
            "b": {"subnet": "w/s", "networkSecurityGroup": "n"},
        },
    )
    found = lab.ask("a", "b")
    assert (found.rule, found.answered) == ("AllowVnetInBound", True)


@pytest.mark.azure("VN-7", "PEER-7")
def test_an_address_of_the_peer_that_nobody_has():
    assert pair({}, {}).ask("a", "10.1.0.77").stage == "no-owner"


@pytest.mark.azure("VN-12", "CT-2")
def test_overlapping_networks_are_apart():
    lab = Lab(
        virtualNetworks={"v": vnet("10.0.0.0/16", s="10.0.0.0/24"), "w": vnet("10.0.0.0/16", s="10.0.0.0/24")},
        virtualMachines={"a": {"subnet": "v/s"}, "b": {"subnet": "w/s"}, "c": {"subnet": "w/s"}},
    )
    assert lab.ask("a", "10.0.0.4").stage == "local", "its own address, not b's"
    assert lab.ask("a", "10.0.0.5").stage == "no-owner"
    assert lab.ask("c", "10.0.0.4").receiver == "b"


@pytest.mark.azure("VN-13")
def test_a_route_to_the_internet_does_not_join_networks():
    lab = pair(
        virtualNetworks={
            "v": vnet("10.0.0.0/16", s=subnet("10.0.0.0/24", table="t")),
            "w": vnet("10.1.0.0/16", s="10.1.0.0/24"),
        },
        routeTables={"t": routes(route("10.1.0.0/16", "Internet"))},
    )
    assert lab.ask("a", "b").stage == "edge-private"


@pytest.mark.azure("VN-2", "VN-13")
def test_a_public_range_of_a_network_is_not_reachable_from_others():
    lab = Lab(
        virtualNetworks={"v": vnet("10.0.0.0/16", s="10.0.0.0/24"), "w": vnet("52.10.0.0/16", s="52.10.0.0/24")},
        virtualMachines={"a": {"subnet": "v/s"}, "b": {"subnet": "w/s"}, "c": {"subnet": "w/s"}},
    )
    assert lab.ask("a", "b").stage == "edge-unknown"
    assert lab.ask("c", "b").answered


NVA = {"subnet": "hub/m", "enableIPForwarding": True, "sysctls": FORWARDING}


def hub_and_spokes(*, one=True, two=True, table_one=True, table_two=True, nva=NVA, hub_flag=False, **others):
    """Spokes one and two, each peered with the hub; an appliance in the hub. CT-28 is this with its parts removed."""
    hop = "10.0.0.4"
    return Lab(
        **{
            "virtualNetworks": {
                "hub": vnet(
                    "10.0.0.0/16",
                    m="10.0.0.0/24",
                    peerings={
                        **peering("one", allowForwardedTraffic=hub_flag),
                        **peering("two", allowForwardedTraffic=hub_flag),
                    },
                ),
                "one": vnet(
                    "10.1.0.0/16",
                    s=subnet("10.1.0.0/24", table="t1" if table_one else None),
                    peerings=peering("hub", allowForwardedTraffic=one),
                ),
                "two": vnet(
                    "10.2.0.0/16",
                    s=subnet("10.2.0.0/24", table="t2" if table_two else None),
                    peerings=peering("hub", allowForwardedTraffic=two),
                ),
            },
            "routeTables": {
                "t1": routes(route("10.2.0.0/16", "VirtualAppliance", hop)),
                "t2": routes(route("10.1.0.0/16", "VirtualAppliance", hop)),
            },
            "virtualMachines": {"a": {"subnet": "one/s"}, "b": {"subnet": "two/s"}, "nva": nva},
            **others,
        }
    )


@pytest.mark.azure("NVA-11", "NVA-5", "PEER-11", "PEER-19", "CT-28")
def test_spokes_reach_each_other_through_the_hubs_appliance():
    found = hub_and_spokes().ask("a", "b")
    assert (found.access, found.via, found.reply.via, found.answered) == ("Allow", ("nva",), ("nva",), True)


@pytest.mark.azure("PEER-5", "CT-28")
def test_peering_is_not_transitive():
    found = hub_and_spokes(table_one=False, table_two=False).ask("a", "b")
    assert (found.stage, found.nic) == ("route-none", "a-nic")


@pytest.mark.azure("PEER-5")
def test_a_route_through_a_hub_whose_machine_does_not_forward_is_no_way():
    assert hub_and_spokes(nva={**NVA, "sysctls": {}}).ask("a", "b").stage == "guest-not-forwarding"
    assert hub_and_spokes(nva={**NVA, "enableIPForwarding": False}).ask("a", "b").stage == "destination-check"


@pytest.mark.azure("PEER-11", "NVA-11", "CT-28")
def test_forwarded_traffic_is_refused_by_the_receiving_network():
    found = hub_and_spokes(two=False).ask("a", "b")
    assert (found.stage, found.nic, found.direction, found.via) == ("forwarded-traffic", "b-nic", "Inbound", ("nva",))
    found = hub_and_spokes(one=False).ask("a", "b")
    assert (found.access, found.reply.stage, found.reply.nic) == ("Allow", "forwarded-traffic", "a-nic")


@pytest.mark.azure("NVA-11")
def test_one_missing_route_breaks_the_way_back():
    found = hub_and_spokes(table_two=False).ask("a", "b")
    assert (found.access, found.reply.stage) == ("Allow", "route-none")


@pytest.mark.azure("PEER-11", "NVA-5")
@pytest.mark.parametrize("flag", [True, False])
def test_the_hub_needs_the_flag_for_what_a_spoke_forwards(flag):
    lab = hub_and_spokes(
        hub_flag=flag,
        virtualMachines={
            "a": {"subnet": "one/s", "enableIPForwarding": True},
            "nva": NVA,
            "b": {"subnet": "two/s"},
        },
    )
    found = lab.ask("a", "nva", source_address="10.77.0.1")
    assert found.stage == ("delivered" if flag else "forwarded-traffic")
    found = lab.ask("a", "b", source_address="10.77.0.1")
    assert (found.stage, found.nic) == (("delivered", None) if flag else ("forwarded-traffic", "nva-nic"))


@pytest.mark.azure("PEER-19", "RT-7")
def test_an_appliance_in_a_network_whose_peering_carries_nothing_is_out_of_reach():
    lab = hub_and_spokes(
        virtualNetworks={
            "hub": vnet("10.0.0.0/16", m="10.0.0.0/24"),
            "one": vnet("10.1.0.0/16", s=subnet("10.1.0.0/24", table="t1"), peerings=peering("hub")),
            "two": vnet("10.2.0.0/16", s="10.2.0.0/24"),
        }
    )
    assert lab.ask("a", "b").stage == "no-owner"


@pytest.mark.azure("PEER-3")
@pytest.mark.parametrize("left", [({}, None), (None, {})], ids=["the far side deleted", "the near side deleted"])
def test_deleting_either_side_takes_both_directions_and_the_route(left):
    lab = pair(*left)
    for source, to in (("a", "b"), ("b", "a")):
        assert lab.ask(source, to).stage == "route-none"
        routes_of = lab.engine.effective_routes(lab.network.machines[source].nics[0].subnet)
        assert not [route for route in routes_of if route.nextHopType == "VNetPeering"]


@pytest.mark.azure("PEER-14", "RT-5")
def test_a_prefix_that_the_peer_gets_later_is_reached_like_the_first():
    networks = {
        "v": vnet("10.0.0.0/16", s="10.0.0.0/24", peerings=peering("w")),
        "w": vnet(["10.1.0.0/16", "10.2.0.0/16"], s="10.1.0.0/24", t="10.2.0.0/24", peerings=peering("v")),
    }
    machines = {"a": {"subnet": "v/s"}, "b": {"subnet": "w/s"}, "c": {"subnet": "w/t"}}
    assert pair({}, {}).ask("a", "10.2.0.4").stage == "route-none"
    lab = Lab(virtualNetworks=networks, virtualMachines=machines)
    assert lab.ask("a", "b").answered
    assert lab.ask("a", "c").answered
    assert lab.ask("c", "a").answered


@pytest.mark.azure("PEER-18")
def test_networks_of_different_regions_are_peered_like_others():
    lab = Lab(
        virtualNetworks={
            "v": vnet("10.0.0.0/16", s="10.0.0.0/24", peerings=peering("w")) | {"location": "westeurope"},
            "w": vnet("10.1.0.0/16", s="10.1.0.0/24", peerings=peering("v")) | {"location": "eastus"},
        },
        virtualMachines={"a": {"subnet": "v/s"}, "b": {"subnet": "w/s"}},
    )
    assert lab.ask("a", "b").answered
    assert lab.ask("b", "a").answered
