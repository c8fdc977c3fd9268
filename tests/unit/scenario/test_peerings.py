"""Peerings of virtual networks."""

from __future__ import annotations

import pytest

from netemu.errors import ScenarioError
from netemu.scenario import read_text

CASES = [
    pytest.param(
        """\
name: lab
virtualNetworks:
  one:
    addressSpace: 10.1.0.0/16
    virtualNetworkPeerings: {to-two: {remoteVirtualNetwork: two}}
  two:
    addressSpace: 10.2.0.0/16
    virtualNetworkPeerings: {to-one: {remoteVirtualNetwork: one}}
""",
        [],
        id="both sides",
        marks=pytest.mark.azure("PEER-1"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks:
  one:
    addressSpace: 10.1.0.0/16
    virtualNetworkPeerings: {to-two: {remoteVirtualNetwork: two}}
  two:
    addressSpace: 10.2.0.0/16
    virtualNetworkPeerings: {}
""",
        [],
        id="one side only is allowed",
        marks=pytest.mark.azure("PEER-1", "PEER-2"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks:
  one:
    addressSpace: 10.1.0.0/16
    virtualNetworkPeerings: {to-two: {remoteVirtualNetwork: two}}
  two:
    addressSpace: 10.1.128.0/17
    virtualNetworkPeerings: {to-one: {remoteVirtualNetwork: one}}
""",
        [
            "lab.yaml:5:61: virtualNetworks/one/virtualNetworkPeerings/to-two: one and two cannot be peered because their address spaces overlap: 10.1.0.0/16 and 10.1.128.0/17; address spaces that do not overlap (VnetAddressSpacesOverlap)",
        ],
        id="overlapping networks",
        marks=pytest.mark.azure("PEER-9"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks:
  one:
    addressSpace: 10.1.0.0/16
    virtualNetworkPeerings: {to-two: {remoteVirtualNetwork: two}, again: {remoteVirtualNetwork: two}}
  two:
    addressSpace: 10.2.0.0/16
    virtualNetworkPeerings: {}
""",
        [
            "lab.yaml:5:97: virtualNetworks/one/virtualNetworkPeerings/again: to-two is a peering with two already; one peering for each pair of networks (AnotherPeeringAlreadyReferencesRemoteVnet)",
        ],
        id="a second peering with the same network",
        marks=pytest.mark.azure("PEER-10"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks:
  one:
    addressSpace: 10.1.0.0/16
    virtualNetworkPeerings: {me: {remoteVirtualNetwork: one}}
  two:
    addressSpace: 10.2.0.0/16
    virtualNetworkPeerings: {}
""",
        [
            "lab.yaml:5:57: virtualNetworks/one/virtualNetworkPeerings/me: a network cannot be peered with itself; another network (CannotPeerVnetWithItself)",
        ],
        id="a peering with itself",
        marks=pytest.mark.azure("PEER-1"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks:
  one:
    addressSpace: 10.1.0.0/16
    virtualNetworkPeerings: {to-two: {remoteVirtualNetwork: tow}}
  two:
    addressSpace: 10.2.0.0/16
    virtualNetworkPeerings: {}
""",
        [
            "lab.yaml:5:61: virtualNetworks/one/virtualNetworkPeerings/to-two: no virtualNetwork `tow`; did you mean `two`? (InvalidResourceReference)",
        ],
        id="a peering with nobody",
        marks=pytest.mark.azure("PEER-1"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks:
  one:
    addressSpace: 10.1.0.0/16
    virtualNetworkPeerings: {to-two: {remoteVirtualNetwork: two, useRemoteGateways: true}}
  two:
    addressSpace: 10.2.0.0/16
    virtualNetworkPeerings: {to-one: {remoteVirtualNetwork: one, allowGatewayTransit: true}}
""",
        [
            "lab.yaml:5:85: virtualNetworks/one/virtualNetworkPeerings/to-two: useRemoteGateways needs a virtual network gateway, which netemu does not have yet; remove it or write false (RemoteVnetHasNoGateways)",
            "lab.yaml:8:87: virtualNetworks/two/virtualNetworkPeerings/to-one: allowGatewayTransit needs a virtual network gateway, which netemu does not have yet; remove it or write false (RemoteVnetHasNoGateways)",
        ],
        id="gateway flags",
        marks=pytest.mark.azure("PEER-12"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks:
  one:
    addressSpace: 10.1.0.0/16
    virtualNetworkPeerings: {to-two: {remoteVirtualNetwork: two, useRemoteGateways: false, allowGatewayTransit: false, allowForwardedTraffic: true}}
  two:
    addressSpace: 10.2.0.0/16
    virtualNetworkPeerings: {}
""",
        [],
        id="gateway flags that say no",
        marks=pytest.mark.azure("PEER-12", "PEER-21"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks:
  hub:
    addressSpace: 10.0.0.0/16
    virtualNetworkPeerings:
      to-a: {remoteVirtualNetwork: a1}
      to-b: {remoteVirtualNetwork: b1}
  a1: {addressSpace: 10.1.0.0/16}
  b1: {addressSpace: 10.1.4.0/24}
""",
        [
            "lab.yaml:7:36: virtualNetworks/hub/virtualNetworkPeerings/to-b: b1 (10.1.4.0/24) overlaps a1 (10.1.0.0/16), which is peered with hub already; address spaces that do not overlap (VnetAddressSpaceOverlapsWithAlreadyPeeredVnet)",
        ],
        id="two spokes that overlap",
        marks=pytest.mark.azure("PEER-9"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks:
  hub:
    addressSpace: 10.0.0.0/16
    virtualNetworkPeerings:
      to-a: {remoteVirtualNetwork: a1}
      to-b: {remoteVirtualNetwork: b1}
  a1: {addressSpace: 10.1.0.0/16}
  b1: {addressSpace: 10.2.0.0/16}
""",
        [],
        id="two spokes that do not overlap",
        marks=pytest.mark.azure("PEER-9", "PEER-5"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks:
  hub: {addressSpace: 10.0.0.0/16}
  a1: {addressSpace: 10.1.0.0/16, virtualNetworkPeerings: {up: {remoteVirtualNetwork: hub}}}
  b1: {addressSpace: 10.1.0.0/17, virtualNetworkPeerings: {up: {remoteVirtualNetwork: hub}}}
""",
        [
            "lab.yaml:5:87: virtualNetworks/b1/virtualNetworkPeerings/up: b1 (10.1.0.0/17) overlaps a1 (10.1.0.0/16), which is peered with hub already; address spaces that do not overlap (VnetAddressSpaceOverlapsWithAlreadyPeeredVnet)",
        ],
        id="spokes that overlap, peered from their side",
        marks=pytest.mark.azure("PEER-9"),
    ),
]


@pytest.mark.parametrize(("text", "problems"), CASES)
def test_the_file_is_read_or_refused_with_exactly_these_lines(text: str, problems: list[str]) -> None:
    try:
        read_text(text, "lab.yaml")
        found = []
    except ScenarioError as error:
        found = str(error).splitlines()
    assert found == problems
