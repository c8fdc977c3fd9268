"""Route tables of the fabric: the complete effective routes of each subnet."""

from __future__ import annotations

import pytest
from compiling import table

TWO_SUBNETS = """
virtualNetworks:
  net:
    addressSpace: 10.0.0.0/16
    subnets:
      front: {addressPrefix: 10.0.1.0/24, routeTable: rt}
      back: {addressPrefix: 10.0.2.0/24}
virtualMachines:
  a: {subnet: net/front}
  b: {subnet: net/back}
"""


def with_route(route: str) -> str:
    return TWO_SUBNETS + f"routeTables: {{rt: {{routes: {{r: {{{route}}}}}}}}}\n"


PLATFORM = {"168.63.129.16/32": "s-net", "169.254.169.254/32": "s-net"}
RESERVED = dict.fromkeys(("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"), "none")
NICS = {"10.0.1.4/32": "a-nic", "10.0.2.4/32": "b-nic"}
SYSTEM = {"0.0.0.0/0": "e-net", "10.0.0.0/16": "nobody", **RESERVED, **NICS, **PLATFORM}


@pytest.mark.azure("RT-2", "VN-7")
def test_the_system_routes_of_a_network() -> None:
    assert table(with_route("addressPrefix: 9.9.9.9/32, nextHopType: None"), "net") == SYSTEM


@pytest.mark.azure("RT-1", "RT-9")
def test_a_user_route_replaces_the_system_route_of_its_prefix_in_its_table_only() -> None:
    text = with_route("addressPrefix: 0.0.0.0/0, nextHopType: VirtualAppliance, nextHopIpAddress: 10.0.2.4")
    assert table(text, "net", "rt") == {**SYSTEM, "0.0.0.0/0": "b-nic via 10.0.2.4"}
    assert table(text, "net") == SYSTEM


@pytest.mark.azure("RT-11")
def test_a_user_route_for_the_networks_own_prefix_takes_its_nics_with_it() -> None:
    text = with_route("addressPrefix: 10.0.0.0/16, nextHopType: VirtualAppliance, nextHopIpAddress: 10.0.2.4")
    expected = {**SYSTEM, "10.0.0.0/16": "b-nic via 10.0.2.4"}
    for nic in NICS:
        del expected[nic]
    assert table(text, "net", "rt") == expected


@pytest.mark.azure("RT-12")
def test_an_appliance_that_nobody_is_leads_to_nobody() -> None:
    text = with_route("addressPrefix: 0.0.0.0/0, nextHopType: VirtualAppliance, nextHopIpAddress: 10.0.2.99")
    assert table(text, "net", "rt")["0.0.0.0/0"] == "nobody"


@pytest.mark.azure("RT-13")
def test_a_gateway_in_a_network_without_one_leads_to_nobody() -> None:
    text = with_route("addressPrefix: 0.0.0.0/0, nextHopType: VirtualNetworkGateway")
    assert table(text, "net", "rt")["0.0.0.0/0"] == "nobody"


@pytest.mark.azure("RT-24", "PLT-1")
def test_no_user_route_captures_the_platforms_addresses() -> None:
    text = with_route("addressPrefix: 168.63.129.16/32, nextHopType: None")
    assert table(text, "net", "rt")["168.63.129.16/32"] == "s-net"


@pytest.mark.azure("RT-3")
@pytest.mark.parametrize(
    ("space", "reserved"), [("10.0.0.0/8", None), ("10.0.0.0/16", "none"), ("172.16.0.0/12", "none")]
)
def test_a_network_as_large_as_a_reserved_range_takes_its_place(space: str, reserved: str | None) -> None:
    first = space.split("/")[0]
    text = f"""
virtualNetworks: {{net: {{addressSpace: {space}, subnets: {{s: {{addressPrefix: {first}/24}}}}}}}}
virtualMachines: {{a: {{subnet: net/s}}}}
"""
    routes = table(text, "net")
    assert routes[space] == "nobody"
    if space != "10.0.0.0/8":
        assert routes.get("10.0.0.0/8") == "none"
    assert routes.get("172.16.0.0/12") == ("nobody" if space == "172.16.0.0/12" else "none")


PEERS = """
virtualNetworks:
  one: {addressSpace: 10.1.0.0/16, subnets: {s: {addressPrefix: 10.1.0.0/24}}, virtualNetworkPeerings: {p: {remoteVirtualNetwork: two}}}
  two: {addressSpace: 10.2.0.0/16, subnets: {s: {addressPrefix: 10.2.0.0/24}}%s}
virtualMachines: {a: {subnet: one/s}, b: {subnet: two/s}}
"""


@pytest.mark.azure("PEER-6", "PEER-7")
def test_a_peers_nics_are_reachable_when_both_sides_exist() -> None:
    routes = table(PEERS % ", virtualNetworkPeerings: {p: {remoteVirtualNetwork: one}}", "one")
    assert routes["10.2.0.0/16"] == "nobody"
    assert routes["10.2.0.4/32"] == "b-nic"


@pytest.mark.azure("PEER-1", "PEER-2")
def test_a_peering_of_one_side_gives_no_route() -> None:
    assert "10.2.0.0/16" not in table(PEERS % "", "one")
    assert "10.1.0.0/16" not in table(PEERS % "", "two")


@pytest.mark.azure("PEER-7")
def test_access_denied_on_either_side_gives_no_route_on_both() -> None:
    text = PEERS % ", virtualNetworkPeerings: {p: {remoteVirtualNetwork: one, allowVirtualNetworkAccess: false}}"
    assert "10.2.0.0/16" not in table(text, "one")
    assert "10.1.0.0/16" not in table(text, "two")
