"""Security rules."""

from __future__ import annotations

import pytest

from netemu.errors import ScenarioError
from netemu.scenario import read_text

CASES = [
    pytest.param(
        """\
name: lab
networkSecurityGroups:
  nsg:
    securityRules:
      a: {priority: 100, direction: Inbound, access: Allow, protocol: Tcp}
      b: {priority: 100, direction: Inbound, access: Allow, protocol: Tcp}
      c: {priority: 100, direction: Outbound, access: Deny, protocol: '*'}
""",
        [
            "lab.yaml:6:21: networkSecurityGroups/nsg/securityRules/b: rule b conflicts with rule a: both are Inbound 100; another priority (SecurityRuleConflict)",
        ],
        id="one priority twice in a direction",
        marks=pytest.mark.azure("NSG-5"),
    ),
    pytest.param(
        """\
name: lab
networkSecurityGroups:
  nsg:
    securityRules:
      a: {priority: 99, direction: Inbound, access: Allow, protocol: Tcp}
      b: {priority: 4097, direction: Inbound, access: Allow, protocol: Tcp}
      c: {priority: -1, direction: Inbound, access: Allow, protocol: Tcp}
      d: {priority: 100, direction: Inbound, access: Allow, protocol: Tcp}
      e: {priority: 4096, direction: Inbound, access: Allow, protocol: Tcp}
""",
        [
            "lab.yaml:5:21: networkSecurityGroups/nsg/securityRules/a: priority cannot be 99; 100 to 4096 (SecurityRuleInvalidPriority)",
            "lab.yaml:6:21: networkSecurityGroups/nsg/securityRules/b: priority cannot be 4097; 100 to 4096 (SecurityRuleInvalidPriority)",
            "lab.yaml:7:21: networkSecurityGroups/nsg/securityRules/c: priority cannot be -1; 100 to 4096 (SecurityRuleInvalidPriority)",
        ],
        id="priorities",
        marks=pytest.mark.azure("NSG-6"),
    ),
    pytest.param(
        """\
name: lab
networkSecurityGroups:
  nsg:
    securityRules:
      a: {priority: 100, direction: Inbound, access: Allow, protocol: Tcp}
      b: {priority: 100, direction: In, access: Allow, protocol: Tcp}
""",
        [
            "lab.yaml:6:37: networkSecurityGroups/nsg/securityRules/b: direction cannot be `In`; known: `Inbound`, `Outbound` (InvalidParameter)",
        ],
        id="a wrong direction makes no conflict",
        marks=pytest.mark.azure("NSG-5"),
    ),
    pytest.param(
        """\
name: lab
networkSecurityGroups:
  nsg:
    securityRules:
      DenyAllInBound: {priority: 100, direction: Inbound, access: Allow, protocol: Tcp}
      allowvnetoutbound: {priority: 101, direction: Inbound, access: Allow, protocol: Tcp}
""",
        [
            "lab.yaml:5:7: networkSecurityGroups/nsg/securityRules/DenyAllInBound: DenyAllInBound is a default rule, which every NSG has; another name (SecurityRuleConflict)",
            "lab.yaml:6:7: networkSecurityGroups/nsg/securityRules/allowvnetoutbound: AllowVnetOutBound is a default rule, which every NSG has; another name (SecurityRuleConflict)",
        ],
        id="the name of a default rule",
        marks=pytest.mark.azure("NSG-5", "NSG-9"),
    ),
    pytest.param(
        """\
name: lab
networkSecurityGroups:
  nsg:
    securityRules:
      a: {priority: 100, direction: Inbound, access: Allow, protocol: Tcp, description: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx}
      b: {priority: 101, direction: Inbound, access: Allow, protocol: Tcp, description: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx}
""",
        [
            "lab.yaml:5:89: networkSecurityGroups/nsg/securityRules/a: the description has 141 characters; at most 140 (InvalidParameter)",
        ],
        id="a long description",
        marks=pytest.mark.azure("NSG-3"),
    ),
    pytest.param(
        """\
name: lab
networkSecurityGroups:
  nsg:
    securityRules:
      a: {priority: 100, direction: Inbound, access: Allow, protocol: Icmp, destinationPortRange: 80}
      b: {priority: 101, direction: Inbound, access: Allow, protocol: Icmp, destinationPortRange: '*', sourcePortRange: '*'}
      c: {priority: 102, direction: Inbound, access: Allow, protocol: Ah, sourcePortRanges: [1, 2-3]}
      d: {priority: 103, direction: Inbound, access: Allow, protocol: Esp}
      e: {priority: 104, direction: Inbound, access: Allow, protocol: '*', destinationPortRange: 80}
""",
        [
            "lab.yaml:5:99: networkSecurityGroups/nsg/securityRules/a: Icmp has no ports, but destinationPortRange is `80`; write * (SecurityRuleInvalidPortRange)",
            "lab.yaml:7:94: networkSecurityGroups/nsg/securityRules/c: Ah has no ports, but sourcePortRanges is `1`; write * (SecurityRuleInvalidPortRange)",
            "lab.yaml:7:97: networkSecurityGroups/nsg/securityRules/c: Ah has no ports, but sourcePortRanges is `2-3`; write * (SecurityRuleInvalidPortRange)",
        ],
        id="protocols without ports",
        marks=pytest.mark.azure("NSG-10"),
    ),
    pytest.param(
        """\
name: lab
networkSecurityGroups:
  nsg:
    securityRules:
      a: {priority: 100, direction: Inbound, access: Allow, protocol: Tcp, sourcePortRange: '*', destinationPortRange: 80}
      b: {priority: 101, direction: Inbound, access: Allow, protocol: Tcp, destinationPortRange: 0-65535}
      c: {priority: 102, direction: Inbound, access: Allow, protocol: Tcp, destinationPortRanges: [80, 8080-8090]}
      d: {priority: 103, direction: Inbound, access: Allow, protocol: Tcp, destinationPortRange: [80, 8080-8090]}
""",
        [],
        id="good ports",
        marks=pytest.mark.azure("NSG-12"),
    ),
    pytest.param(
        """\
name: lab
networkSecurityGroups:
  nsg:
    securityRules:
      a: {priority: 100, direction: Inbound, access: Allow, protocol: Tcp, destinationPortRange: 65536}
      b: {priority: 101, direction: Inbound, access: Allow, protocol: Tcp, destinationPortRange: 90-80}
      c: {priority: 102, direction: Inbound, access: Allow, protocol: Tcp, destinationPortRange: http}
      d: {priority: 103, direction: Inbound, access: Allow, protocol: Tcp, destinationPortRange: 1-2-3}
      e: {priority: 104, direction: Inbound, access: Allow, protocol: Tcp, destinationPortRange: 0x50}
      f: {priority: 105, direction: Inbound, access: Allow, protocol: Tcp, destinationPortRange: 22:22}
      g: {priority: 106, direction: Inbound, access: Allow, protocol: Tcp, destinationPortRange: [80, '*']}
      h: {priority: 107, direction: Inbound, access: Allow, protocol: Tcp, destinationPortRanges: []}
      i: {priority: 108, direction: Inbound, access: Allow, protocol: Tcp, destinationPortRange: '-1'}
      j: {priority: 109, direction: Inbound, access: Allow, protocol: Tcp, destinationPortRange: '1-'}
""",
        [
            "lab.yaml:5:98: networkSecurityGroups/nsg/securityRules/a: `65536` is not a port; write 80, 8080-8090 or *; 0 to 65535 (SecurityRuleInvalidPortRange)",
            "lab.yaml:6:98: networkSecurityGroups/nsg/securityRules/b: `90-80` runs backwards; did you mean `80-90`? (SecurityRuleInvalidPortRange)",
            "lab.yaml:7:98: networkSecurityGroups/nsg/securityRules/c: `http` is not a port; write 80, 8080-8090 or *; 0 to 65535 (SecurityRuleInvalidPortRange)",
            "lab.yaml:8:98: networkSecurityGroups/nsg/securityRules/d: `1-2-3` is not a port; write 80, 8080-8090 or *; 0 to 65535 (SecurityRuleInvalidPortRange)",
            "lab.yaml:9:98: networkSecurityGroups/nsg/securityRules/e: `0x50` is not a port; write 80, 8080-8090 or *; 0 to 65535 (SecurityRuleInvalidPortRange)",
            "lab.yaml:10:98: networkSecurityGroups/nsg/securityRules/f: `22:22` is not a port; write 80, 8080-8090 or *; 0 to 65535 (SecurityRuleInvalidPortRange)",
            "lab.yaml:11:103: networkSecurityGroups/nsg/securityRules/g: `*` is among other ports; write * alone for any port (SecurityRuleInvalidPortRange)",
            "lab.yaml:12:76: networkSecurityGroups/nsg/securityRules/h: destinationPortRanges is empty; write * for any port (SecurityRuleInvalidPortRange)",
            "lab.yaml:13:98: networkSecurityGroups/nsg/securityRules/i: `-1` is not a port; write 80, 8080-8090 or *; 0 to 65535 (SecurityRuleInvalidPortRange)",
            "lab.yaml:14:98: networkSecurityGroups/nsg/securityRules/j: `1-` is not a port; write 80, 8080-8090 or *; 0 to 65535 (SecurityRuleInvalidPortRange)",
        ],
        id="bad ports",
        marks=pytest.mark.azure("NSG-12"),
    ),
    pytest.param(
        """\
name: lab
networkSecurityGroups:
  nsg:
    securityRules:
      a: {priority: 100, direction: Inbound, access: Allow, protocol: Tcp, destinationPortRange: 80, destinationPortRanges: [81]}
      b: {priority: 101, direction: Inbound, access: Allow, protocol: Tcp, sourcePortRange: 80, sourcePortRanges: [81]}
      c: {priority: 102, direction: Inbound, access: Allow, protocol: Tcp, sourceAddressPrefix: Internet, sourceAddressPrefixes: [10.0.0.0/8]}
      d: {priority: 103, direction: Inbound, access: Allow, protocol: Tcp, destinationAddressPrefix: '*', destinationAddressPrefixes: [10.0.0.0/8]}
""",
        [
            "lab.yaml:5:102: networkSecurityGroups/nsg/securityRules/a: destinationPortRange and destinationPortRanges exclude each other; write one of them (SecurityRuleConflictingParameters)",
            "lab.yaml:6:97: networkSecurityGroups/nsg/securityRules/b: sourcePortRange and sourcePortRanges exclude each other; write one of them (SecurityRuleConflictingParameters)",
            "lab.yaml:7:107: networkSecurityGroups/nsg/securityRules/c: sourceAddressPrefix and sourceAddressPrefixes exclude each other; write one of them (SecurityRuleConflictingParameters)",
            "lab.yaml:8:107: networkSecurityGroups/nsg/securityRules/d: destinationAddressPrefix and destinationAddressPrefixes exclude each other; write one of them (SecurityRuleConflictingParameters)",
        ],
        id="singular and plural",
        marks=pytest.mark.azure("NSG-14"),
    ),
    pytest.param(
        """\
name: lab
networkSecurityGroups:
  nsg:
    securityRules:
      a: {priority: 100, direction: Inbound, access: Allow, protocol: Tcp, sourceAddressPrefix: '*', destinationAddressPrefix: 10.0.0.4}
      b: {priority: 101, direction: Inbound, access: Allow, protocol: Tcp, sourceAddressPrefix: virtualnetwork, destinationAddressPrefix: 0.0.0.0/0}
      c: {priority: 102, direction: Inbound, access: Allow, protocol: Tcp, sourceAddressPrefixes: [10.0.0.0/8, 192.168.1.1, Internet]}
      d: {priority: 103, direction: Inbound, access: Allow, protocol: Tcp, destinationAddressPrefix: Storage.WestEurope}
""",
        [],
        id="good addresses",
        marks=pytest.mark.azure("NSG-13", "NSG-28"),
    ),
    pytest.param(
        """\
name: lab
networkSecurityGroups:
  nsg:
    securityRules:
      a: {priority: 100, direction: Inbound, access: Allow, protocol: Tcp, sourceAddressPrefix: 20.20.20.20/16}
      b: {priority: 101, direction: Inbound, access: Allow, protocol: Tcp, sourceAddressPrefix: Internets}
      c: {priority: 102, direction: Inbound, access: Allow, protocol: Tcp, destinationAddressPrefix: 10.0.0.256}
      d: {priority: 103, direction: Inbound, access: Allow, protocol: Tcp, destinationAddressPrefix: 'fd00::/8'}
      e: {priority: 104, direction: Inbound, access: Allow, protocol: Tcp, sourceAddressPrefixes: []}
      f: {priority: 105, direction: Inbound, access: Allow, protocol: Tcp, sourceAddressPrefix: web}
      g: {priority: 106, direction: Inbound, access: Allow, protocol: Tcp, sourceAddressPrefix: ['*', 10.0.0.4]}
      h: {priority: 107, direction: Inbound, access: Allow, protocol: Tcp, destinationAddressPrefix: 10.0.0.0/40}
""",
        [
            "lab.yaml:5:97: networkSecurityGroups/nsg/securityRules/a: `20.20.20.20/16` has bits set behind its /16; did you mean `20.20.0.0/16`? (SecurityRuleInvalidAddressPrefix)",
            "lab.yaml:6:97: networkSecurityGroups/nsg/securityRules/b: `Internets` is no service tag; did you mean `Internet`? (SecurityRuleInvalidAddressPrefix)",
            "lab.yaml:7:102: networkSecurityGroups/nsg/securityRules/c: `10.0.0.256` is not an IPv4 address; write one such as 10.0.0.4 (SecurityRuleInvalidAddressPrefix)",
            "lab.yaml:8:102: networkSecurityGroups/nsg/securityRules/d: `fd00::/8` is IPv6; use IPv4; netemu has no IPv6 (ARP-12) (SecurityRuleInvalidAddressPrefix)",
            "lab.yaml:9:76: networkSecurityGroups/nsg/securityRules/e: sourceAddressPrefixes is empty; write * for any address (SecurityRuleInvalidAddressPrefix)",
            "lab.yaml:10:97: networkSecurityGroups/nsg/securityRules/f: `web` is no service tag; write *, an address, a prefix or a service tag (SecurityRuleInvalidAddressPrefix)",
            "lab.yaml:11:98: networkSecurityGroups/nsg/securityRules/g: `*` is among other addresses; write * alone for any (SecurityRuleInvalidAddressPrefix)",
            "lab.yaml:12:102: networkSecurityGroups/nsg/securityRules/h: `10.0.0.0/40` is not an IPv4 prefix; write one such as 10.0.0.0/16 (SecurityRuleInvalidAddressPrefix)",
        ],
        id="bad addresses",
        marks=pytest.mark.azure("NSG-28", "ARP-12"),
    ),
    pytest.param(
        """\
name: lab
networkSecurityGroups:
  nsg:
    securityRules:
      a: {priority: 100, direction: Inbound, access: Allow, protocol: Tcp, sourceAddressPrefixes: [Internet, Storage]}
      b: {priority: 101, direction: Inbound, access: Allow, protocol: Tcp, sourceAddressPrefix: Internet, destinationAddressPrefix: VirtualNetwork}
""",
        [
            "lab.yaml:5:110: networkSecurityGroups/nsg/securityRules/a: Storage is a second service tag after Internet; one tag for each side of a rule (SecurityRuleInvalidAddressPrefix)",
        ],
        id="two tags on one side",
        marks=pytest.mark.azure("NSG-13"),
    ),
    pytest.param(
        """\
name: lab
networkSecurityGroups:
  nsg:
    securityRules:
      a: {priority: 100, direction: Inbound, access: Allow, protocol: Tcp, sourceApplicationSecurityGroups: web, sourceAddressPrefix: Internet}
      b: {priority: 101, direction: Inbound, access: Allow, protocol: Tcp, sourceApplicationSecurityGroups: web, destinationAddressPrefix: VirtualNetwork}
applicationSecurityGroups: {web: }
""",
        [
            "lab.yaml:5:109: networkSecurityGroups/nsg/securityRules/a: sourceAddressPrefix and sourceApplicationSecurityGroups exclude each other; write one of them (SecurityRuleConflictingParameters)",
        ],
        id="groups and addresses on one side",
        marks=pytest.mark.azure("NSG-13"),
    ),
    pytest.param(
        """\
name: lab
networkSecurityGroups:
  nsg:
    securityRules:
      a: {priority: 100, direction: Inbound, access: Allow, protocol: Tcp, sourceApplicationSecurityGroups: wbe}
      b: {priority: 101, direction: Inbound, access: Allow, protocol: Tcp, destinationApplicationSecurityGroups: []}
applicationSecurityGroups: {web: }
""",
        [
            "lab.yaml:5:109: networkSecurityGroups/nsg/securityRules/a: no applicationSecurityGroup `wbe`; did you mean `web`? (InvalidResourceReference)",
            "lab.yaml:6:76: networkSecurityGroups/nsg/securityRules/b: destinationApplicationSecurityGroups is empty; remove it or name one (SecurityRuleConflictingParameters)",
        ],
        id="groups that are not there, or none",
        marks=pytest.mark.azure("NSG-29"),
    ),
    pytest.param(
        """\
name: lab
networkSecurityGroups:
  nsg:
    securityRules:
      a: {priority: 100, direction: Inbound, access: Allow, protocol: Tcp, sourceApplicationSecurityGroups: [g0, g1, g2, g3, g4, g5, g6, g7, g8, g9]}
      b: {priority: 101, direction: Inbound, access: Allow, protocol: Tcp, sourceApplicationSecurityGroups: [g0, g1, g2, g3, g4, g5, g6, g7, g8, g9, g10]}
applicationSecurityGroups: {g0: , g1: , g2: , g3: , g4: , g5: , g6: , g7: , g8: , g9: , g10: }
""",
        [
            "lab.yaml:6:76: networkSecurityGroups/nsg/securityRules/b: 11 sourceApplicationSecurityGroups; at most 10 (ResourceCountExceedsLimit)",
        ],
        id="ten groups on a side, and eleven",
        marks=pytest.mark.azure("NSG-13", "VN-14"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks:
  one: {addressSpace: 10.1.0.0/16, subnets: {a: {addressPrefix: 10.1.0.0/24}}}
  two: {addressSpace: 10.2.0.0/16, subnets: {b: {addressPrefix: 10.2.0.0/24}}}
applicationSecurityGroups: {web: , db: }
virtualMachines:
  vm1: {subnet: one/a, applicationSecurityGroups: web}
  vm2: {subnet: two/b, applicationSecurityGroups: [db, web]}
""",
        [
            "lab.yaml:8:56: virtualMachines/vm2: web has members in one (vm1-nic/ipconfig1), and this is in two; one application security group for each virtual network (ApplicationSecurityGroupsInDifferentVirtualNetworks)",
        ],
        id="members of one group in two networks",
        marks=pytest.mark.azure("NSG-29"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks:
  one: {addressSpace: 10.1.0.0/16, subnets: {a: {addressPrefix: 10.1.0.0/24}}}
  two: {addressSpace: 10.2.0.0/16, subnets: {b: {addressPrefix: 10.2.0.0/24}}}
applicationSecurityGroups: {web: , db: }
virtualMachines:
  vm1: {subnet: one/a, applicationSecurityGroups: web}
  vm2: {subnet: one/a, applicationSecurityGroups: [db, web]}
""",
        [],
        id="members of one group in one network",
        marks=pytest.mark.azure("NSG-29"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks:
  one: {addressSpace: 10.1.0.0/16, subnets: {a: {addressPrefix: 10.1.0.0/24}}}
  two: {addressSpace: 10.2.0.0/16, subnets: {b: {addressPrefix: 10.2.0.0/24}}}
applicationSecurityGroups: {web: , db: }
virtualMachines:
  vm1: {subnet: one/a, applicationSecurityGroups: web}
  vm2: {subnet: two/b, applicationSecurityGroups: db}
networkSecurityGroups: {nsg: {securityRules: {r: {priority: 100, direction: Inbound, access: Allow, protocol: Tcp, sourceApplicationSecurityGroups: web, destinationApplicationSecurityGroups: db}}}}
""",
        [
            "lab.yaml:9:192: networkSecurityGroups/nsg/securityRules/r: db is in two, but web is in one; groups of one virtual network (ApplicationSecurityGroupsInDifferentVirtualNetworks)",
        ],
        id="a rule with groups of two networks",
        marks=pytest.mark.azure("NSG-29"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks:
  one: {addressSpace: 10.1.0.0/16, subnets: {a: {addressPrefix: 10.1.0.0/24}}}
  two: {addressSpace: 10.2.0.0/16, subnets: {b: {addressPrefix: 10.2.0.0/24}}}
applicationSecurityGroups: {web: , db: }
virtualMachines:
  vm1: {subnet: one/a, applicationSecurityGroups: web}
  vm2: {subnet: one/a, applicationSecurityGroups: db}
networkSecurityGroups: {nsg: {securityRules: {r: {priority: 100, direction: Inbound, access: Allow, protocol: Tcp, sourceApplicationSecurityGroups: web, destinationApplicationSecurityGroups: db}}}}
""",
        [],
        id="a rule with groups of one network",
        marks=pytest.mark.azure("NSG-29"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks:
  one: {addressSpace: 10.1.0.0/16, subnets: {a: {addressPrefix: 10.1.0.0/24}}}
  two: {addressSpace: 10.2.0.0/16, subnets: {b: {addressPrefix: 10.2.0.0/24}}}
virtualMachines: {vm1: {subnet: one/a, applicationSecurityGroups: web}}
""",
        [
            "lab.yaml:5:67: virtualMachines/vm1: no applicationSecurityGroup `web`; the scenario has none (InvalidResourceReference)",
        ],
        id="an ASG that a VM names and nobody made",
        marks=pytest.mark.azure("NSG-29"),
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
