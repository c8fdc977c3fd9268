"""Names of resources, machines and the lab."""

from __future__ import annotations

import pytest

from netemu.errors import ScenarioError
from netemu.scenario import read_text

CASES = [
    pytest.param(
        """\
name: Shop
""",
        [
            "lab.yaml:1:7: `Shop` cannot be a lab's name; lower-case letters, digits and `-`, beginning with a letter, at most 32 (InvalidResourceName)",
        ],
        id="a lab in capitals",
    ),
    pytest.param(
        """\
name: ../shop
""",
        [
            "lab.yaml:1:7: `../shop` cannot be a lab's name; lower-case letters, digits and `-`, beginning with a letter, at most 32 (InvalidResourceName)",
        ],
        id="a lab that is a path",
    ),
    pytest.param(
        """\
name: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
""",
        [
            "lab.yaml:1:7: `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa` cannot be a lab's name; lower-case letters, digits and `-`, beginning with a letter, at most 32 (InvalidResourceName)",
        ],
        id="a lab with too long a name",
    ),
    pytest.param(
        """\
name: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
""",
        [],
        id="a lab with the longest name",
    ),
    pytest.param(
        """\
name: lab
applicationSecurityGroups:
  -rf:
  a;b:
  .hidden:
  "\\n":
  '{}':
  'end-':
  'ü':
  '':
  "@fabric":
  ../x:
  '"':
""",
        [
            "lab.yaml:3:3: applicationSecurityGroups/-rf: `-rf` cannot be a name; 1 to 80 letters, digits, `.`, `-` and `_`, beginning with a letter or digit and not ending with `.` or `-` (InvalidResourceName)",
            "lab.yaml:4:3: applicationSecurityGroups/a;b: `a;b` cannot be a name; 1 to 80 letters, digits, `.`, `-` and `_`, beginning with a letter or digit and not ending with `.` or `-` (InvalidResourceName)",
            "lab.yaml:5:3: applicationSecurityGroups/.hidden: `.hidden` cannot be a name; 1 to 80 letters, digits, `.`, `-` and `_`, beginning with a letter or digit and not ending with `.` or `-` (InvalidResourceName)",
            "lab.yaml:6:3: applicationSecurityGroups/\\n: `\\n` cannot be a name; 1 to 80 letters, digits, `.`, `-` and `_`, beginning with a letter or digit and not ending with `.` or `-` (InvalidResourceName)",
            "lab.yaml:7:3: applicationSecurityGroups/{}: `{}` cannot be a name; 1 to 80 letters, digits, `.`, `-` and `_`, beginning with a letter or digit and not ending with `.` or `-` (InvalidResourceName)",
            "lab.yaml:8:3: applicationSecurityGroups/end-: `end-` cannot be a name; 1 to 80 letters, digits, `.`, `-` and `_`, beginning with a letter or digit and not ending with `.` or `-` (InvalidResourceName)",
            "lab.yaml:9:3: applicationSecurityGroups/ü: `ü` cannot be a name; 1 to 80 letters, digits, `.`, `-` and `_`, beginning with a letter or digit and not ending with `.` or `-` (InvalidResourceName)",
            "lab.yaml:10:3: applicationSecurityGroups/: `` cannot be a name; 1 to 80 letters, digits, `.`, `-` and `_`, beginning with a letter or digit and not ending with `.` or `-` (InvalidResourceName)",
            "lab.yaml:11:3: applicationSecurityGroups/@fabric: `@fabric` cannot be a name; 1 to 80 letters, digits, `.`, `-` and `_`, beginning with a letter or digit and not ending with `.` or `-` (InvalidResourceName)",
            "lab.yaml:12:3: applicationSecurityGroups/../x: `../x` cannot be a name; 1 to 80 letters, digits, `.`, `-` and `_`, beginning with a letter or digit and not ending with `.` or `-` (InvalidResourceName)",
            'lab.yaml:13:3: applicationSecurityGroups/": `"` cannot be a name; 1 to 80 letters, digits, `.`, `-` and `_`, beginning with a letter or digit and not ending with `.` or `-` (InvalidResourceName)',
        ],
        id="names that Azure refuses",
        marks=pytest.mark.azure("VN-15"),
    ),
    pytest.param(
        """\
name: lab
applicationSecurityGroups:
  a:
  a_:
  0.a-b_c:
  aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:
""",
        [],
        id="names that Azure accepts",
        marks=pytest.mark.azure("VN-15"),
    ),
    pytest.param(
        """\
name: lab
applicationSecurityGroups:
  aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa:
""",
        [
            "lab.yaml:3:3: applicationSecurityGroups/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…: `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…` cannot be a name; 1 to 80 letters, digits, `.`, `-` and `_`, beginning with a letter or digit and not ending with `.` or `-` (InvalidResourceName)",
        ],
        id="a name with 81 characters",
        marks=pytest.mark.azure("VN-15"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks:
  n: {addressSpace: 10.0.0.0/16}
  nn: {addressSpace: 10.0.0.0/16}
""",
        [
            "lab.yaml:3:3: virtualNetworks/n: `n` cannot be a name; 2 to 64 letters, digits, `.`, `-` and `_`, beginning with a letter or digit and not ending with `.` or `-` (InvalidResourceName)",
        ],
        id="virtual networks have two characters or more",
        marks=pytest.mark.azure("VN-15"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {a b: {addressPrefix: 10.0.1.0/24}}, virtualNetworkPeerings: {-x: {remoteVirtualNetwork: net2}}}, net2: {addressSpace: 10.1.0.0/16}}
routeTables: {rt: {routes: {a/b: {addressPrefix: 0.0.0.0/0, nextHopType: None}}}}
""",
        [
            "lab.yaml:2:62: virtualNetworks/net/subnets/a b: `a b` cannot be a name; 1 to 80 letters, digits, `.`, `-` and `_`, beginning with a letter or digit and not ending with `.` or `-` (InvalidResourceName)",
            "lab.yaml:2:123: virtualNetworks/net/virtualNetworkPeerings/-x: `-x` cannot be a name; 1 to 80 letters, digits, `.`, `-` and `_`, beginning with a letter or digit and not ending with `.` or `-` (InvalidResourceName)",
            "lab.yaml:3:29: routeTables/rt/routes/a/b: `a/b` cannot be a name; 1 to 80 letters, digits, `.`, `-` and `_`, beginning with a letter or digit and not ending with `.` or `-` (InvalidResourceName)",
        ],
        id="names inside other resources",
        marks=pytest.mark.azure("VN-15"),
    ),
    pytest.param(
        """\
name: lab
applicationSecurityGroups:
  web:
  Web:
virtualNetworks:
  net:
    addressSpace: 10.0.0.0/16
    subnets:
      a: {addressPrefix: 10.0.0.0/24}
      A: {addressPrefix: 10.0.1.0/24}
""",
        [
            "lab.yaml:4:3: applicationSecurityGroups/Web: `Web` and `web` are one name: Azure ignores case; choose another name (ResourceNameInUse)",
            "lab.yaml:10:7: virtualNetworks/net/subnets/A: `A` and `a` are one name: Azure ignores case; choose another name (ResourceNameInUse)",
        ],
        id="letter case does not make two names",
        marks=pytest.mark.azure("VN-15"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}, db: {addressPrefix: 10.0.2.0/24}}}}
virtualMachines:
  a/b: {subnet: net/web}
  '@edge': {subnet: net/web}
  aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa: {subnet: net/web, computerName: c}
  bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb: {subnet: net/web, computerName: d}
""",
        [
            "lab.yaml:4:3: virtualMachines/a/b: `a/b` cannot be a name; 1 to 64 letters, digits, `.`, `-` and `_`, beginning with a letter or digit and not ending with `.` or `-` (InvalidResourceName)",
            "lab.yaml:5:3: virtualMachines/@edge: `@edge` cannot be a name; 1 to 64 letters, digits, `.`, `-` and `_`, beginning with a letter or digit and not ending with `.` or `-` (InvalidResourceName)",
            "lab.yaml:6:3: virtualMachines/aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…: `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa…` cannot be a name; 1 to 64 letters, digits, `.`, `-` and `_`, beginning with a letter or digit and not ending with `.` or `-` (InvalidResourceName)",
        ],
        id="VM names become file names",
        marks=pytest.mark.azure("VN-15"),
    ),
    pytest.param(
        """\
name: lab
internet: {hosts: {www.example.com: {ipAddress: 198.51.100.1}, visitor: {ipAddress: 198.51.100.2}}}
""",
        [],
        id="hosts may have DNS names",
        marks=pytest.mark.azure("DNS-1"),
    ),
    pytest.param(
        """\
name: lab
internet:
  hosts:
    -www: {ipAddress: 198.51.100.1}
    a..b: {ipAddress: 198.51.100.2}
    a/b: {ipAddress: 198.51.100.3}
    a.: {ipAddress: 198.51.100.4}
    a_b: {ipAddress: 198.51.100.5}
""",
        [
            "lab.yaml:4:5: internet/hosts/-www: `-www` cannot be a host's name; letters, digits and `-` between dots, such as visitor or www.example.com, at most 200 (InvalidResourceName)",
            "lab.yaml:5:5: internet/hosts/a..b: `a..b` cannot be a host's name; letters, digits and `-` between dots, such as visitor or www.example.com, at most 200 (InvalidResourceName)",
            "lab.yaml:6:5: internet/hosts/a/b: `a/b` cannot be a host's name; letters, digits and `-` between dots, such as visitor or www.example.com, at most 200 (InvalidResourceName)",
            "lab.yaml:7:5: internet/hosts/a.: `a.` cannot be a host's name; letters, digits and `-` between dots, such as visitor or www.example.com, at most 200 (InvalidResourceName)",
            "lab.yaml:8:5: internet/hosts/a_b: `a_b` cannot be a host's name; letters, digits and `-` between dots, such as visitor or www.example.com, at most 200 (InvalidResourceName)",
        ],
        id="hosts with bad names",
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}, db: {addressPrefix: 10.0.2.0/24}}}}
virtualMachines: {web: {subnet: net/web}}
internet:
  hosts:
    Web: {ipAddress: 198.51.100.1}
    x: {ipAddress: 198.51.100.2}
    X: {ipAddress: 198.51.100.3}
""",
        [
            "lab.yaml:6:5: internet/hosts/Web: `Web` is the name of the VM `web` already; choose another name (ResourceNameInUse)",
            "lab.yaml:8:5: internet/hosts/X: `X` is the name of the host `x` already; choose another name (ResourceNameInUse)",
        ],
        id="VMs and hosts share their names",
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}, db: {addressPrefix: 10.0.2.0/24}}}}
virtualMachines: {vm: {subnet: net/web}}
networkInterfaces: {vm-nic: {subnet: net/web}}
""",
        [
            "lab.yaml:4:21: networkInterfaces/vm-nic: `vm-nic` is the NIC that virtualMachines/vm makes for itself; another name, or `networkInterfaces: vm-nic` in the VM in place of its short form (ResourceNameInUse)",
        ],
        id="a NIC called like the one a VM makes",
        marks=pytest.mark.azure("NIC-2"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}, db: {addressPrefix: 10.0.2.0/24}}}}
virtualMachines: {vm: {networkInterfaces: vm-nic}}
networkInterfaces: {vm-nic: {subnet: net/web}}
""",
        [],
        id="a VM may use a NIC called so itself",
        marks=pytest.mark.azure("NIC-2"),
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
