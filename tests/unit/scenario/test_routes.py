"""Route tables."""

from __future__ import annotations

import pytest

from netemu.errors import ScenarioError
from netemu.scenario import read_text

CASES = [
    pytest.param(
        """\
name: lab
routeTables:
  rt:
    routes:
      a: {addressPrefix: 10.1.0.0/16, nextHopType: VirtualNetworkGateway}
      b: {addressPrefix: 10.2.0.0/16, nextHopType: VnetLocal}
      c: {addressPrefix: 10.3.0.0/16, nextHopType: Internet}
      d: {addressPrefix: 0.0.0.0/0, nextHopType: VirtualAppliance, nextHopIpAddress: 10.0.0.4}
      e: {addressPrefix: 10.4.0.0/16, nextHopType: None}
""",
        [],
        id="every next hop type",
        marks=pytest.mark.azure("RT-6", "RT-7"),
    ),
    pytest.param(
        """\
name: lab
routeTables:
  rt:
    routes:
      a: {addressPrefix: 10.1.0.0/16, nextHopType: VirtualAppliance}
      b: {addressPrefix: 10.2.0.0/16, nextHopType: Internet, nextHopIpAddress: 10.0.0.4}
      c: {addressPrefix: 10.3.0.0/16, nextHopType: Appliance, nextHopIpAddress: 10.0.0.4}
""",
        [
            "lab.yaml:5:7: routeTables/rt/routes/a: nextHopType VirtualAppliance needs nextHopIpAddress; add the appliance's address (InvalidNextHopIpAddress)",
            "lab.yaml:6:80: routeTables/rt/routes/b: nextHopIpAddress cannot be with nextHopType Internet; remove it, or write nextHopType: VirtualAppliance (InvalidNextHopIpAddress)",
            "lab.yaml:7:52: routeTables/rt/routes/c: nextHopType cannot be `Appliance`; known: `VirtualNetworkGateway`, `VnetLocal`, `Internet`, `VirtualAppliance`, `None` (InvalidParameter)",
        ],
        id="an appliance without address, an address without appliance",
        marks=pytest.mark.azure("RT-7"),
    ),
    pytest.param(
        """\
name: lab
routeTables:
  rt:
    routes:
      a: {addressPrefix: 10.1.0.0/16, nextHopType: VirtualAppliance, nextHopIpAddress: 127.0.0.1}
      b: {addressPrefix: 10.2.0.0/16, nextHopType: VirtualAppliance, nextHopIpAddress: firewall}
      c: {addressPrefix: 10.3.0.0/16, nextHopType: VirtualAppliance, nextHopIpAddress: 0.0.0.0}
      d: {addressPrefix: 10.4.0.0/16, nextHopType: VirtualAppliance, nextHopIpAddress: 168.63.129.16}
      e: {addressPrefix: 10.5.0.0/16, nextHopType: VirtualAppliance, nextHopIpAddress: 'fd00::1'}
""",
        [
            "lab.yaml:5:88: routeTables/rt/routes/a: 127.0.0.1 cannot be a next hop; the private address of an appliance's NIC (InvalidNextHopIpAddress)",
            "lab.yaml:6:88: routeTables/rt/routes/b: `firewall` is not an IPv4 address; write one such as 10.0.0.4 (InvalidIPAddress)",
            "lab.yaml:7:88: routeTables/rt/routes/c: 0.0.0.0 cannot be a next hop; the private address of an appliance's NIC (InvalidNextHopIpAddress)",
            "lab.yaml:8:88: routeTables/rt/routes/d: 168.63.129.16 cannot be a next hop; the private address of an appliance's NIC (InvalidNextHopIpAddress)",
            "lab.yaml:9:88: routeTables/rt/routes/e: `fd00::1` is an IPv6 address; use IPv4; netemu has no IPv6 (ARP-12) (IPv6NotSupported)",
        ],
        id="addresses that cannot be next hops",
        marks=pytest.mark.azure("RT-7", "ARP-12"),
    ),
    pytest.param(
        """\
name: lab
routeTables:
  rt:
    routes:
      a: {addressPrefix: 0.0.0.0/0, nextHopType: None}
      b: {addressPrefix: 10.0.0.0/8, nextHopType: None}
      c: {addressPrefix: 0.0.0.0/0, nextHopType: Internet}
""",
        [
            "lab.yaml:7:26: routeTables/rt/routes/c: route a is for 0.0.0.0/0 already; one for each prefix (RouteConflict)",
        ],
        id="one prefix twice",
        marks=pytest.mark.azure("RT-8"),
    ),
    pytest.param(
        """\
name: lab
routeTables:
  rt:
    routes:
      a: {addressPrefix: 10.0.0.1/8, nextHopType: None}
      b: {addressPrefix: 10.0.0.1, nextHopType: None}
      c: {addressPrefix: default, nextHopType: None}
      d: {addressPrefix: '::/0', nextHopType: None}
""",
        [
            "lab.yaml:5:26: routeTables/rt/routes/a: `10.0.0.1/8` has bits set behind its /8; did you mean `10.0.0.0/8`? (InvalidAddressPrefix)",
            "lab.yaml:6:26: routeTables/rt/routes/b: `10.0.0.1` is not an IPv4 prefix; add its length, such as /24 (InvalidAddressPrefix)",
            "lab.yaml:7:26: routeTables/rt/routes/c: `default` is not an IPv4 prefix; write one such as 10.0.0.0/16 (InvalidAddressPrefix)",
            "lab.yaml:8:26: routeTables/rt/routes/d: `::/0` is IPv6; use IPv4; netemu has no IPv6 (ARP-12) (IPv6NotSupported)",
        ],
        id="bits behind the prefix, and texts that are no prefixes",
        marks=pytest.mark.azure("RT-6", "ARP-12"),
    ),
    pytest.param(
        """\
name: lab
routeTables:
  rt:
    routes:
      a: {addressPrefix: Storage, nextHopType: Internet}
""",
        [
            "lab.yaml:5:26: routeTables/rt/routes/a: service tag `Storage` in a route is not supported yet; write its prefixes (NotSupported)",
        ],
        id="a service tag",
        marks=pytest.mark.azure("RT-16"),
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
