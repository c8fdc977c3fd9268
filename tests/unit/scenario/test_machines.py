"""Virtual machines."""

from __future__ import annotations

import pytest

from netemu.errors import ScenarioError
from netemu.scenario import read_text

CASES = [
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}, db: {addressPrefix: 10.0.2.0/24}}}}
virtualMachines:
  vm1: {}
  vm2: {networkInterfaces: []}
""",
        [
            "lab.yaml:4:3: virtualMachines/vm1: the VM has no NIC; add `subnet: network/subnet` or networkInterfaces (NetworkProfileHasNoNetworkInterface)",
            "lab.yaml:5:9: virtualMachines/vm2: the VM has no NIC; name at least one (NetworkProfileHasNoNetworkInterface)",
        ],
        id="a VM without a NIC",
        marks=pytest.mark.azure("NIC-2"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}, db: {addressPrefix: 10.0.2.0/24}}}}
virtualMachines:
  vm: {networkInterfaces: [n2]}
networkInterfaces: {n1: {subnet: net/web}}
""",
        [
            "lab.yaml:4:28: virtualMachines/vm: no networkInterface `n2`; did you mean `n1`? (InvalidResourceReference)",
        ],
        id="a NIC that is not there",
        marks=pytest.mark.azure("NIC-2"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}, db: {addressPrefix: 10.0.2.0/24}}}}
virtualMachines:
  vm1: {networkInterfaces: n1}
  vm2: {networkInterfaces: [n2, n1]}
  vm3: {networkInterfaces: [n3, n3]}
  vm4: {subnet: net/web}
  vm5: {networkInterfaces: vm4-nic}
networkInterfaces: {n1: {subnet: net/web}, n2: {subnet: net/db}, n3: {subnet: net/db}}
""",
        [
            "lab.yaml:5:33: virtualMachines/vm2: NIC n1 is used by VM vm1; a NIC of its own for each VM (NicInUse)",
            "lab.yaml:6:33: virtualMachines/vm3: NIC n3 is used by VM vm3; a NIC of its own for each VM (NicInUse)",
            "lab.yaml:8:28: virtualMachines/vm5: NIC vm4-nic is used by VM vm4; a NIC of its own for each VM (NicInUse)",
        ],
        id="a NIC for two VMs",
        marks=pytest.mark.azure("NIC-3"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks:
  one: {addressSpace: 10.1.0.0/16, subnets: {a: {addressPrefix: 10.1.0.0/24}}}
  two: {addressSpace: 10.2.0.0/16, subnets: {b: {addressPrefix: 10.2.0.0/24}}}
virtualMachines: {vm: {networkInterfaces: [n1, n2]}}
networkInterfaces: {n1: {subnet: one/a}, n2: {subnet: two/b}}
""",
        [
            "lab.yaml:5:48: virtualMachines/vm: NIC n2 is in two, but n1 is in one; all NICs of a VM are in one virtual network (NetworkInterfacesInDifferentVirtualNetworks)",
        ],
        id="NICs in two networks",
        marks=pytest.mark.azure("NIC-1"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}, db: {addressPrefix: 10.0.2.0/24}}}}
virtualMachines:
  vm: {networkInterfaces: [n1, n2]}
networkInterfaces: {n1: {subnet: net/web}, n2: {subnet: net/db}}
""",
        [],
        id="NICs in two subnets of a network",
        marks=pytest.mark.azure("NIC-1"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}, db: {addressPrefix: 10.0.2.0/24}}}}
virtualMachines:
  vm: {networkInterfaces: n1, subnet: net/web, networkSecurityGroup: g, enableIPForwarding: true, applicationSecurityGroups: a}
networkInterfaces: {n1: {subnet: net/web}}
""",
        [
            "lab.yaml:4:39: virtualMachines/vm: subnet and networkInterfaces exclude each other; write subnet in what networkInterfaces names (ConflictingProperties)",
            "lab.yaml:4:70: virtualMachines/vm: networkSecurityGroup and networkInterfaces exclude each other; write networkSecurityGroup in what networkInterfaces names (ConflictingProperties)",
            "lab.yaml:4:93: virtualMachines/vm: enableIPForwarding and networkInterfaces exclude each other; write enableIPForwarding in what networkInterfaces names (ConflictingProperties)",
            "lab.yaml:4:126: virtualMachines/vm: applicationSecurityGroups and networkInterfaces exclude each other; write applicationSecurityGroups in what networkInterfaces names (ConflictingProperties)",
        ],
        id="long and short form",
        marks=pytest.mark.azure("NIC-2"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}, db: {addressPrefix: 10.0.2.0/24}}}}
virtualMachines:
  vm: {subnet: net/wep, networkSecurityGroup: g, publicIPAddress: p, privateIPAddress: 10.0.1.5}
""",
        [
            "lab.yaml:4:16: virtualMachines/vm: no subnet `net/wep`; did you mean `net/web`? (InvalidResourceReference)",
            "lab.yaml:4:47: virtualMachines/vm: no networkSecurityGroup `g`; the scenario has none (InvalidResourceReference)",
            "lab.yaml:4:67: virtualMachines/vm: no publicIPAddress `p`; the scenario has none (InvalidResourceReference)",
        ],
        id="a short form that refers to nothing",
        marks=pytest.mark.azure("NIC-2", "NSG-1"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}, db: {addressPrefix: 10.0.2.0/24}}}}
virtualMachines:
  vm1: {subnet: net/web, computerName: Web}
  vm2: {subnet: net/web, computerName: -a}
  vm3: {subnet: net/web, computerName: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}
  vm4: {subnet: net/web, computerName: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa}
  vm5: {subnet: net/web, computerName: a.b}
  bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb: {subnet: net/web}
""",
        [
            "lab.yaml:4:40: virtualMachines/vm1: `Web` cannot be a host name; add a computerName of lower-case letters, digits and inner `-`, at most 63 (InvalidComputerName)",
            "lab.yaml:5:40: virtualMachines/vm2: `-a` cannot be a host name; add a computerName of lower-case letters, digits and inner `-`, at most 63 (InvalidComputerName)",
            "lab.yaml:6:40: virtualMachines/vm3: `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…` cannot be a host name; add a computerName of lower-case letters, digits and inner `-`, at most 63 (InvalidComputerName)",
            "lab.yaml:8:40: virtualMachines/vm5: `a.b` cannot be a host name; add a computerName of lower-case letters, digits and inner `-`, at most 63 (InvalidComputerName)",
            "lab.yaml:9:3: virtualMachines/bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb…: `bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb…` cannot be a host name; add a computerName of lower-case letters, digits and inner `-`, at most 63 (InvalidComputerName)",
        ],
        id="host names",
        marks=pytest.mark.azure("DNS-5"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}, db: {addressPrefix: 10.0.2.0/24}}}}
virtualMachines:
  web_1: {subnet: net/web}
  web.1: {subnet: net/db}
  other: {networkInterfaces: n}
networkInterfaces: {n: {subnet: net/web, dnsSettings: {internalDnsNameLabel: web-1}}}
""",
        [
            "lab.yaml:5:3: virtualMachines/web.1: web-1 is the host name of VM web_1 in net already; another name (ComputerNameInUse)",
            "lab.yaml:7:78: networkInterfaces/n/dnsSettings: web-1 is the host name of VM web_1 in net already; another name (ComputerNameInUse)",
        ],
        id="one host name twice in a network",
        marks=pytest.mark.azure("DNS-2", "DNS-5"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks:
  one: {addressSpace: 10.1.0.0/16, subnets: {a: {addressPrefix: 10.1.0.0/24}}}
  two: {addressSpace: 10.2.0.0/16, subnets: {b: {addressPrefix: 10.2.0.0/24}}}
virtualMachines: {vm1: {subnet: one/a, computerName: web}, vm2: {subnet: two/b, computerName: web}}
""",
        [],
        id="one host name in two networks",
        marks=pytest.mark.azure("DNS-3"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}, db: {addressPrefix: 10.0.2.0/24}}}}
virtualMachines:
  vm: {networkInterfaces: [n1, n2]}
networkInterfaces: {n1: {subnet: net/web, publicIPAddress: s}, n2: {subnet: net/web, publicIPAddress: b}}
publicIPAddresses: {s: , b: {sku: Basic}, b2: {sku: Basic}}
""",
        [
            "lab.yaml:4:8: virtualMachines/vm: b is Basic, but s is Standard; public IPs of one sku for each VM (PublicIPAddressSkusDiffer)",
        ],
        id="Basic and Standard on one VM",
        marks=pytest.mark.azure("OUT-16"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}, db: {addressPrefix: 10.0.2.0/24}}}}
virtualMachines:
  vm: {networkInterfaces: [n1, n2]}
networkInterfaces: {n1: {subnet: net/web, publicIPAddress: b2}, n2: {subnet: net/web, publicIPAddress: b}}
publicIPAddresses: {s: , b: {sku: Basic}, b2: {sku: Basic}}
""",
        [],
        id="one sku on one VM",
        marks=pytest.mark.azure("OUT-16"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}, db: {addressPrefix: 10.0.2.0/24}}}}
virtualMachines:
  vm1: {subnet: net/web, run: ["echo 'a", sleep 1]}
  vm2: {subnet: net/web, run: ' '}
  vm3: {subnet: net/web, run: python3 -c "print('a b')"}
""",
        [
            "lab.yaml:4:32: virtualMachines/vm1: run `echo 'a` cannot be split into words: no closing quotation; close every quotation (InvalidParameter)",
            "lab.yaml:5:31: virtualMachines/vm2: run names no program; remove it (InvalidParameter)",
        ],
        id="programs",
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}, db: {addressPrefix: 10.0.2.0/24}}}}
virtualMachines:
  vm1: {subnet: net/web, sysctls: {net.ipv4.ip_forward: 1, net/ipv6/conf/eth0/disable_ipv6: 1}}
  vm2: {subnet: net/web, sysctls: {kernel.hostname: x, net/../kernel/hostname: x, net..x: 1, net: 1, net.ipv4.ip_forward: [1]}}
  vm3: {subnet: net/web, sysctls: {net.ipv4.ip_forward: 1, net/ipv4/ip_forward: 0}}
""",
        [
            "lab.yaml:5:53: virtualMachines/vm2: `kernel.hostname` cannot be set in a VM; settings below net, such as net.ipv4.ip_forward (InvalidParameter)",
            "lab.yaml:5:80: virtualMachines/vm2: `net/../kernel/hostname` cannot be set in a VM; settings below net, such as net.ipv4.ip_forward (InvalidParameter)",
            "lab.yaml:5:91: virtualMachines/vm2: `net..x` cannot be set in a VM; settings below net, such as net.ipv4.ip_forward (InvalidParameter)",
            "lab.yaml:5:99: virtualMachines/vm2: `net` cannot be set in a VM; settings below net, such as net.ipv4.ip_forward (InvalidParameter)",
            "lab.yaml:5:123: virtualMachines/vm2: sysctls/net.ipv4.ip_forward cannot be a list; write a single text (InvalidRequestFormat)",
            "lab.yaml:6:81: virtualMachines/vm3: `net/ipv4/ip_forward` and `net.ipv4.ip_forward` are one setting; remove one (DuplicateProperty)",
        ],
        id="kernel settings",
        marks=pytest.mark.azure("NIC-9"),
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
