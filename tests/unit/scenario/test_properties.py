"""Unknown, missing and misspelt properties, and values of the wrong kind."""

from __future__ import annotations

import pytest

from netemu.errors import ScenarioError
from netemu.scenario import read_text

CASES = [
    pytest.param(
        """\
name: lab
locatoin: westeurope
""",
        [
            "lab.yaml:2:1: no property is called `locatoin`; did you mean `location`? (InvalidRequestFormat)",
        ],
        id="an unknown property, with its neighbour",
    ),
    pytest.param(
        """\
name: lab
gizmos: {}
""",
        [
            "lab.yaml:2:1: no property is called `gizmos`; known here: `name`, `location`, `timeScale`, `loadBalancerEngine`, `virtualNetworks`, `networkSecurityGroups`, `applicationSecurityGroups`, `routeTables`, `publicIPAddresses`, `publicIPPrefixes`, `natGateways`, `loadBalancers`, `networkInterfaces`, `virtualMachines`, `privateDnsZones`, `dnsZones`, `internet`, `expect`, `lint` (InvalidRequestFormat)",
        ],
        id="a property of a later version",
    ),
    pytest.param(
        """\
name: lab
virtualNetworks:
  net:
    addressSpace: 10.0.0.0/16
    subnets:
      web: {adressPrefix: 10.0.1.0/24}
""",
        [
            "lab.yaml:6:13: virtualNetworks/net/subnets/web: no property is called `adressPrefix`; did you mean `addressPrefix`? (InvalidRequestFormat)",
        ],
        id="an unknown property of a resource",
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, colour: red}}
""",
        [
            "lab.yaml:2:52: virtualNetworks/net: no property is called `colour`; known here: `addressSpace`, `subnets`, `virtualNetworkPeerings`, `dhcpOptions`, `location` (InvalidRequestFormat)",
        ],
        id="a property nothing is like",
    ),
    pytest.param(
        """\
name: lab
networkSecurityGroups:
  nsg:
    properties: {securityRules: {}}
""",
        [
            "lab.yaml:4:5: networkSecurityGroups/nsg: no property is called `properties`; write what is in it one level higher (InvalidRequestFormat)",
        ],
        id="ARM's envelope",
    ),
    pytest.param(
        """\
location: westeurope
""",
        [
            "lab.yaml:1:1: name is missing; add `name: …` (MissingProperty)",
        ],
        id="no name",
    ),
    pytest.param(
        """\
name: lab
networkSecurityGroups:
  nsg:
    securityRules:
      http:
        priority: 100
        protocol: Tcp
""",
        [
            "lab.yaml:5:7: networkSecurityGroups/nsg/securityRules/http: access is missing; add `access: …` (MissingProperty)",
            "lab.yaml:5:7: networkSecurityGroups/nsg/securityRules/http: direction is missing; add `direction: …` (MissingProperty)",
        ],
        id="several missing properties",
        marks=pytest.mark.azure("NSG-3"),
    ),
    pytest.param(
        """\
name: lab
location:
virtualNetworks:
  net:
    addressSpace: 10.0.0.0/16
    dhcpOptions: ~
    subnets: null
applicationSecurityGroups:
  web:
""",
        [],
        id="nothing after the colon is absence",
    ),
    pytest.param(
        """\
name: lab
virtualNetworks:
  net:
    addressSpace:
""",
        [
            "lab.yaml:3:3: virtualNetworks/net: addressSpace is missing; add `addressSpace: …` (MissingProperty)",
        ],
        id="nothing where something is needed",
    ),
    pytest.param(
        """\
name: lab
networkSecurityGroups:
  nsg:
    securityRules:
      r: {priority: 100, direction: inbound, access: allow, protocol: tcp}
""",
        [
            "lab.yaml:5:37: networkSecurityGroups/nsg/securityRules/r: direction cannot be `inbound`; did you mean `Inbound`? (InvalidParameter)",
            "lab.yaml:5:54: networkSecurityGroups/nsg/securityRules/r: access cannot be `allow`; did you mean `Allow`? (InvalidParameter)",
            "lab.yaml:5:71: networkSecurityGroups/nsg/securityRules/r: protocol cannot be `tcp`; did you mean `Tcp`? (InvalidParameter)",
        ],
        id="wrong letter case of an enumeration",
        marks=pytest.mark.azure("NSG-10"),
    ),
    pytest.param(
        """\
name: lab
routeTables: {rt: {routes: {r: {addressPrefix: 0.0.0.0/0, nextHopType: VNetPeering}}}}
""",
        [
            "lab.yaml:2:72: routeTables/rt/routes/r: nextHopType cannot be `VNetPeering`; known: `VirtualNetworkGateway`, `VnetLocal`, `Internet`, `VirtualAppliance`, `None` (InvalidParameter)",
        ],
        id="no such enumeration value",
        marks=pytest.mark.azure("RT-6"),
    ),
    pytest.param(
        """\
name: lab
location: {a: b}
""",
        [
            "lab.yaml:2:11: location cannot be a mapping; write a single text (InvalidRequestFormat)",
        ],
        id="a mapping where a text belongs",
    ),
    pytest.param(
        """\
name: lab
location: [a]
""",
        [
            "lab.yaml:2:11: location cannot be a list; write a single text (InvalidRequestFormat)",
        ],
        id="a list where a text belongs",
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: [{name: net}]
""",
        [
            "lab.yaml:2:18: virtualNetworks cannot be a list; write names below virtualNetworks, each with its properties (InvalidRequestFormat)",
        ],
        id="a list where names belong",
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: 10.0.0.0/16}
""",
        [
            "lab.yaml:2:24: virtualNetworks/net: `net` cannot be `10.0.0.0/16`; write its properties (InvalidRequestFormat)",
        ],
        id="a text where properties belong",
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: {addressPrefixes: [10.0.0.0/16]}}}
""",
        [
            "lab.yaml:2:39: virtualNetworks/net: addressSpace cannot be a mapping; write one text, or several as [a, b] (InvalidRequestFormat)",
        ],
        id="ARM's address space",
    ),
    pytest.param(
        """\
name: lab
location: no
virtualMachines:
  on: {subnet: net/1e3, computerName: 0x10, run: [yes, 22:22]}
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {1e3: {addressPrefix: 10.0.0.0/24}}}}
""",
        [],
        id="texts that are other types in old YAML",
    ),
    pytest.param(
        """\
name: lab
virtualNetworks:
  net:
    addressSpace: 10.0.0.0/16
    subnets:
      a: {addressPrefix: 10.0.0.0/24, defaultOutboundAccess: yes}
      b: {addressPrefix: 10.0.1.0/24, defaultOutboundAccess: 'true'}
      c: {addressPrefix: 10.0.2.0/24, defaultOutboundAccess: True}
      d: {addressPrefix: 10.0.3.0/24, defaultOutboundAccess: false}
""",
        [
            "lab.yaml:6:62: virtualNetworks/net/subnets/a: defaultOutboundAccess cannot be `yes`; write true or false (InvalidRequestFormat)",
            "lab.yaml:7:62: virtualNetworks/net/subnets/b: defaultOutboundAccess cannot be `true`; write true or false (InvalidRequestFormat)",
            "lab.yaml:8:62: virtualNetworks/net/subnets/c: defaultOutboundAccess cannot be `True`; write true or false (InvalidRequestFormat)",
        ],
        id="truth values",
    ),
    pytest.param(
        """\
name: lab
publicIPAddresses:
  a: {idleTimeoutInMinutes: 0x10}
  b: {idleTimeoutInMinutes: 010}
  c: {idleTimeoutInMinutes: 1e1}
  d: {idleTimeoutInMinutes: '10'}
  e: {idleTimeoutInMinutes: 10.0}
  f: {idleTimeoutInMinutes: 1_0}
  g: {idleTimeoutInMinutes: 10}
  h: {idleTimeoutInMinutes: 99999999999999999999}
  i: {idleTimeoutInMinutes: [10]}
""",
        [
            "lab.yaml:3:29: publicIPAddresses/a: idleTimeoutInMinutes cannot be `0x10`; write a whole number in decimal digits (InvalidRequestFormat)",
            "lab.yaml:4:29: publicIPAddresses/b: idleTimeoutInMinutes cannot be `010`; write a whole number in decimal digits (InvalidRequestFormat)",
            "lab.yaml:5:29: publicIPAddresses/c: idleTimeoutInMinutes cannot be `1e1`; write a whole number in decimal digits (InvalidRequestFormat)",
            "lab.yaml:6:29: publicIPAddresses/d: idleTimeoutInMinutes cannot be `10`; write a whole number in decimal digits (InvalidRequestFormat)",
            "lab.yaml:7:29: publicIPAddresses/e: idleTimeoutInMinutes cannot be `10.0`; write a whole number in decimal digits (InvalidRequestFormat)",
            "lab.yaml:8:29: publicIPAddresses/f: idleTimeoutInMinutes cannot be `1_0`; write a whole number in decimal digits (InvalidRequestFormat)",
            "lab.yaml:10:29: publicIPAddresses/h: idleTimeoutInMinutes cannot be `99999999999999999999`; write a whole number in decimal digits (InvalidRequestFormat)",
            "lab.yaml:11:29: publicIPAddresses/i: idleTimeoutInMinutes cannot be a list; write a whole number in decimal digits (InvalidRequestFormat)",
        ],
        id="numbers",
    ),
    pytest.param(
        """\
name: lab
location: ''
""",
        [
            "lab.yaml:2:11: location is empty; write something or remove it (InvalidParameter)",
        ],
        id="an empty text",
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}, db: {addressPrefix: 10.0.2.0/24}}}}
virtualMachines: {vm: {subnet: net/web, run: "sleep \\e[2J 1"}}
""",
        [
            "lab.yaml:3:46: virtualMachines/vm: run has a control character: `sleep \\x1b[2J 1`; remove it (InvalidParameter)",
        ],
        id="a control character",
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}, db: {addressPrefix: 10.0.2.0/24}}}}
virtualMachines: {vm: {subnet: net/web, run: "sleep \\x9b2J 1"}}
expect: {from: vm, to: 10.0.0.9, port: 1, access: Allow, name: "what XML cannot carry: \\uFFFE"}
""",
        [
            "lab.yaml:3:46: virtualMachines/vm: run has a control character: `sleep \\x9b2J 1`; remove it (InvalidParameter)",
            "lab.yaml:4:64: expect/1: name has a control character: `what XML cannot carry: \\ufffe`; remove it (InvalidParameter)",
        ],
        id="control characters beyond ASCII",
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: [10.0.0.0/16, ]}}
virtualMachines: {vm: {networkInterfaces: [~]}}
""",
        [
            "lab.yaml:3:44: virtualMachines/vm: networkInterfaces cannot be `~`; write a single text (InvalidRequestFormat)",
        ],
        id="an empty member of a list",
    ),
    pytest.param(
        """\
name: lab
virtualNetwork: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.0.0/24}}}}
virtualMachines: {vm: {subnet: net/web}}
""",
        [
            "lab.yaml:2:1: no property is called `virtualNetwork`; did you mean `virtualNetworks`? (InvalidRequestFormat)",
        ],
        id="a misspelt section is not told again by those who refer to it",
    ),
    pytest.param(
        """\
name: lab
expect: [web to db]
""",
        [
            "lab.yaml:2:10: expect cannot be `web to db`; write properties, such as {from: web, to: db, access: Allow} (InvalidRequestFormat)",
        ],
        id="an expectation that is a text",
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}, db: {addressPrefix: 10.0.2.0/24}}}}
virtualMachines: {vm: {subnet: net/web}}
expect: {from: vm, to: 10.0.0.9, port: 1, access: Allow}
""",
        [],
        id="a single expectation needs no list",
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: 5, two: {addressSpace: 10.0.0.0/16, subnets: [web]}}
virtualMachines: {vm1: {subnet: net/web}, vm2: {subnet: two/web}}
internet: {host: {a: {ipAddress: 198.51.100.1}}}
expect: {from: a, to: 198.51.100.2, port: 1, access: Allow}
""",
        [
            "lab.yaml:2:24: virtualNetworks/net: `net` cannot be `5`; write its properties (InvalidRequestFormat)",
            "lab.yaml:2:69: virtualNetworks/two: subnets cannot be a list; write names below subnets, each with its properties (InvalidRequestFormat)",
            "lab.yaml:4:12: internet: no property is called `host`; did you mean `hosts`? (InvalidRequestFormat)",
        ],
        id="what follows from a mistake is not told",
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
