"""Virtual networks and subnets."""

from __future__ import annotations

import pytest

from netemu.errors import ScenarioError
from netemu.scenario import read_text

CASES = [
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: []}}
""",
        [
            "lab.yaml:2:25: virtualNetworks/net: addressSpace is empty; at least one prefix, such as 10.0.0.0/16 (InvalidAddressSpace)",
        ],
        id="no address space",
        marks=pytest.mark.azure("VN-1"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks:
  n1: {addressSpace: [10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16]}
  n2: {addressSpace: 10.0.0.0/8}
  n3: {addressSpace: 20.1.0.0/16}
""",
        [],
        id="private and public ranges, several and one",
        marks=pytest.mark.azure("VN-1", "VN-2", "VN-12"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks:
  n1: {addressSpace: 224.0.0.0/8}
  n2: {addressSpace: 127.1.0.0/16}
  n3: {addressSpace: 169.254.0.0/24}
  n4: {addressSpace: 168.63.129.0/24}
  n5: {addressSpace: 240.0.0.0/4}
""",
        [
            "lab.yaml:3:22: virtualNetworks/n1: 224.0.0.0/8 overlaps 224.0.0.0/4, which no network may use; another prefix (InvalidAddressSpace)",
            "lab.yaml:4:22: virtualNetworks/n2: 127.1.0.0/16 overlaps 127.0.0.0/8, which no network may use; another prefix (InvalidAddressSpace)",
            "lab.yaml:5:22: virtualNetworks/n3: 169.254.0.0/24 overlaps 169.254.0.0/16, which no network may use; another prefix (InvalidAddressSpace)",
            "lab.yaml:6:22: virtualNetworks/n4: 168.63.129.0/24 overlaps 168.63.129.16/32, which no network may use; another prefix (InvalidAddressSpace)",
            "lab.yaml:7:22: virtualNetworks/n5: 240.0.0.0/4 overlaps 255.255.255.255/32, which no network may use; another prefix (InvalidAddressSpace)",
        ],
        id="forbidden ranges",
        marks=pytest.mark.azure("VN-3"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks:
  net:
    addressSpace: 10.0.0.0/8
    subnets:
      a: {addressPrefix: 10.0.0.0/29}
      b: {addressPrefix: 10.0.0.8/30}
      c: {addressPrefix: 10.0.0.12/31}
      d: {addressPrefix: 10.0.0.14/32}
  big: {addressSpace: 0.0.0.0/1}
  whole: {addressSpace: 10.0.0.0/8, subnets: {a: {addressPrefix: 10.0.0.0/8}}}
""",
        [
            "lab.yaml:7:26: virtualNetworks/net/subnets/b: 10.0.0.8/30 is too small; a /2 to /29 (NetcfgInvalidSubnet)",
            "lab.yaml:8:26: virtualNetworks/net/subnets/c: 10.0.0.12/31 is too small; a /2 to /29 (NetcfgInvalidSubnet)",
            "lab.yaml:9:26: virtualNetworks/net/subnets/d: 10.0.0.14/32 is too small; a /2 to /29 (NetcfgInvalidSubnet)",
            "lab.yaml:10:23: virtualNetworks/big: 0.0.0.0/1 is too large; a /2 to /29 (InvalidAddressSpace)",
        ],
        id="prefix lengths",
        marks=pytest.mark.azure("VN-4"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks:
  net:
    addressSpace: [10.0.0.0/16, 10.2.0.0/16]
    subnets:
      a: {addressPrefix: 10.1.0.0/24}
      b: {addressPrefix: 10.0.0.0/15}
      c: {addressPrefix: 10.2.255.0/24}
""",
        [
            "lab.yaml:6:26: virtualNetworks/net/subnets/a: 10.1.0.0/24 is outside the network's address space; a prefix within 10.0.0.0/16, 10.2.0.0/16 (NetcfgInvalidSubnet)",
            "lab.yaml:7:26: virtualNetworks/net/subnets/b: 10.0.0.0/15 is outside the network's address space; a prefix within 10.0.0.0/16, 10.2.0.0/16 (NetcfgInvalidSubnet)",
            "lab.yaml:7:26: virtualNetworks/net/subnets/b: 10.0.0.0/15 overlaps subnet a (10.1.0.0/24); subnets that do not overlap (NetcfgSubnetRangesOverlap)",
        ],
        id="a subnet outside of its network",
        marks=pytest.mark.azure("VN-5"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks:
  net:
    addressSpace: 10.0.0.0/16
    subnets:
      a: {addressPrefix: 10.0.1.0/24}
      b: {addressPrefix: 10.0.1.128/25}
      c: {addressPrefix: 10.0.2.0/24}
      d: {addressPrefix: 10.0.0.0/22}
""",
        [
            "lab.yaml:7:26: virtualNetworks/net/subnets/b: 10.0.1.128/25 overlaps subnet a (10.0.1.0/24); subnets that do not overlap (NetcfgSubnetRangesOverlap)",
            "lab.yaml:9:26: virtualNetworks/net/subnets/d: 10.0.0.0/22 overlaps subnet a (10.0.1.0/24); subnets that do not overlap (NetcfgSubnetRangesOverlap)",
            "lab.yaml:9:26: virtualNetworks/net/subnets/d: 10.0.0.0/22 overlaps subnet b (10.0.1.128/25); subnets that do not overlap (NetcfgSubnetRangesOverlap)",
            "lab.yaml:9:26: virtualNetworks/net/subnets/d: 10.0.0.0/22 overlaps subnet c (10.0.2.0/24); subnets that do not overlap (NetcfgSubnetRangesOverlap)",
        ],
        id="subnets that overlap",
        marks=pytest.mark.azure("VN-6"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks:
  net:
    addressSpace: 10.0.0.0/16
    subnets:
      a: {addressPrefix: 10.0.1.0/24}
      b: {addressPrefix: 10.0.1.0/24}
""",
        [
            "lab.yaml:7:26: virtualNetworks/net/subnets/b: 10.0.1.0/24 overlaps subnet a (10.0.1.0/24); subnets that do not overlap (NetcfgSubnetRangesOverlap)",
        ],
        id="a subnet written twice",
        marks=pytest.mark.azure("VN-6"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: [10.0.0.0/16, 10.0.4.0/24]}}
""",
        [
            "lab.yaml:2:53: virtualNetworks/net: 10.0.4.0/24 overlaps 10.0.0.0/16 of the same network; prefixes that do not overlap (InvalidAddressSpace)",
        ],
        id="prefixes of one network that overlap",
        marks=pytest.mark.azure("VN-1"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks:
  n1: {addressSpace: 10.0.0.5/16}
  n2: {addressSpace: 10.0.0.0}
  n3: {addressSpace: 10.0.0.0/33}
  n4: {addressSpace: 10.0.0.0/255.255.0.0}
  n5: {addressSpace: ten}
  n6: {addressSpace: 010.0.0.0/16}
""",
        [
            "lab.yaml:3:22: virtualNetworks/n1: `10.0.0.5/16` has bits set behind its /16; did you mean `10.0.0.0/16`? (InvalidAddressPrefix)",
            "lab.yaml:4:22: virtualNetworks/n2: `10.0.0.0` is not an IPv4 prefix; add its length, such as /24 (InvalidAddressPrefix)",
            "lab.yaml:5:22: virtualNetworks/n3: `10.0.0.0/33` is not an IPv4 prefix; write one such as 10.0.0.0/16 (InvalidAddressPrefix)",
            "lab.yaml:6:22: virtualNetworks/n4: `10.0.0.0/255.255.0.0` is not an IPv4 prefix; did you mean `10.0.0.0/16`? (InvalidAddressPrefix)",
            "lab.yaml:7:22: virtualNetworks/n5: `ten` is not an IPv4 prefix; write one such as 10.0.0.0/16 (InvalidAddressPrefix)",
            "lab.yaml:8:22: virtualNetworks/n6: `010.0.0.0/16` is not an IPv4 prefix; write one such as 10.0.0.0/16 (InvalidAddressPrefix)",
        ],
        id="texts that are no prefixes",
        marks=pytest.mark.azure("VN-2"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks:
  net:
    addressSpace: [10.0.0.0/16, 'fd00::/48']
    subnets:
      web: {addressPrefix: 'fd00::/64'}
    dhcpOptions: {dnsServers: ['::1']}
""",
        [
            "lab.yaml:4:33: virtualNetworks/net: `fd00::/48` is IPv6; use IPv4; netemu has no IPv6 (ARP-12) (IPv6NotSupported)",
            "lab.yaml:6:28: virtualNetworks/net/subnets/web: `fd00::/64` is IPv6; use IPv4; netemu has no IPv6 (ARP-12) (IPv6NotSupported)",
            "lab.yaml:7:32: virtualNetworks/net/dhcpOptions: `::1` is an IPv6 address; use IPv4; netemu has no IPv6 (ARP-12) (IPv6NotSupported)",
        ],
        id="IPv6 is refused",
        marks=pytest.mark.azure("ARP-12"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0, subnets: {web: {addressPrefix: 10.0.1.0/24}}}}
""",
        [
            "lab.yaml:2:39: virtualNetworks/net: `10.0.0.0` is not an IPv4 prefix; add its length, such as /24 (InvalidAddressPrefix)",
        ],
        id="a wrong address space is told once",
        marks=pytest.mark.azure("VN-5"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks:
  net:
    addressSpace: 10.0.0.0/16
    subnets:
      web: {addressPrefix: 10.0.1.0/24, networkSecurityGroup: web-nsq, routeTable: rt}
networkSecurityGroups: {web-nsg: {}, db-nsg: {}}
""",
        [
            "lab.yaml:6:63: virtualNetworks/net/subnets/web: no networkSecurityGroup `web-nsq`; did you mean `web-nsg`? (InvalidResourceReference)",
            "lab.yaml:6:84: virtualNetworks/net/subnets/web: no routeTable `rt`; the scenario has none (InvalidResourceReference)",
        ],
        id="NSG and route table that are not there",
        marks=pytest.mark.azure("NSG-1", "RT-8"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24, networkSecurityGroup: absent}}}}
networkSecurityGroups: {g1: , g2: , g3: , g4: , g5: , g6: , g7: , g8: }
""",
        [
            "lab.yaml:2:118: virtualNetworks/net/subnets/web: no networkSecurityGroup `absent`; known: `g1`, `g2`, `g3`, `g4`, `g5`, `g6` and 2 more (InvalidResourceReference)",
        ],
        id="nothing of the kind is like it",
        marks=pytest.mark.azure("NSG-1"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, dhcpOptions: {dnsServers: [10.0.0.4, dns.example.com]}}}
""",
        [
            "lab.yaml:2:89: virtualNetworks/net/dhcpOptions: `dns.example.com` is not an IPv4 address; write one such as 10.0.0.4 (InvalidIPAddress)",
        ],
        id="DNS servers",
        marks=pytest.mark.azure("DNS-6"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, dhcpOptions: {dnsServers: [10.0.0.4, 10.0.0.5, 10.0.0.6, 10.0.0.7, 10.0.0.8, 10.0.0.9, 10.0.0.10, 10.0.0.11, 10.0.0.12, 10.0.0.13, 10.0.0.14, 10.0.0.15, 10.0.0.16, 10.0.0.17, 10.0.0.18, 10.0.0.19, 10.0.0.20, 10.0.0.21, 10.0.0.22, 10.0.0.23, 10.0.0.24]}}}
""",
        [
            "lab.yaml:2:66: virtualNetworks/net/dhcpOptions: 21 dnsServers; at most 20 (ResourceCountExceedsLimit)",
        ],
        id="more than twenty DNS servers",
        marks=pytest.mark.azure("DNS-6", "VN-14"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks:
  net:
    addressSpace: 10.0.0.0/16
    subnets:
      GatewaySubnet: {addressPrefix: 10.0.1.0/27, networkSecurityGroup: nsg}
      AzureBastionSubnet: {addressPrefix: 10.0.2.0/26}
networkSecurityGroups: {nsg: }
virtualMachines:
  vm1: {subnet: net/GatewaySubnet}
  vm2: {subnet: net/AzureBastionSubnet}
""",
        [
            "lab.yaml:6:73: virtualNetworks/net/subnets/GatewaySubnet: GatewaySubnet cannot have a networkSecurityGroup; remove it (SubnetReservedForService)",
            "lab.yaml:10:17: virtualMachines/vm1: no NIC can be in GatewaySubnet; another subnet (SubnetReservedForService)",
            "lab.yaml:11:17: virtualMachines/vm2: no NIC can be in AzureBastionSubnet; another subnet (SubnetReservedForService)",
        ],
        id="the gateway's subnet",
        marks=pytest.mark.azure("VN-16", "NSG-32"),
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
