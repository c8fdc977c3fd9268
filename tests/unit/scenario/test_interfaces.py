"""NICs and their addresses."""

from __future__ import annotations

import pytest

from netemu.errors import ScenarioError
from netemu.scenario import read_text

CASES = [
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}, db: {addressPrefix: 10.0.2.0/24}}}}
networkInterfaces:
  n0: {subnet: net/web, privateIPAddress: 10.0.1.0}
  n1: {subnet: net/web, privateIPAddress: 10.0.1.1}
  n2: {subnet: net/web, privateIPAddress: 10.0.1.2}
  n3: {subnet: net/web, privateIPAddress: 10.0.1.3}
  n255: {subnet: net/web, privateIPAddress: 10.0.1.255}
  ok: {subnet: net/web, privateIPAddress: 10.0.1.4}
  last: {subnet: net/web, privateIPAddress: 10.0.1.254}
""",
        [
            "lab.yaml:4:43: networkInterfaces/n0: 10.0.1.0 is one of the five addresses that Azure reserves; an address from 10.0.1.4 to 10.0.1.254 (PrivateIPAddressInReservedRange)",
            "lab.yaml:5:43: networkInterfaces/n1: 10.0.1.1 is one of the five addresses that Azure reserves; an address from 10.0.1.4 to 10.0.1.254 (PrivateIPAddressInReservedRange)",
            "lab.yaml:6:43: networkInterfaces/n2: 10.0.1.2 is one of the five addresses that Azure reserves; an address from 10.0.1.4 to 10.0.1.254 (PrivateIPAddressInReservedRange)",
            "lab.yaml:7:43: networkInterfaces/n3: 10.0.1.3 is one of the five addresses that Azure reserves; an address from 10.0.1.4 to 10.0.1.254 (PrivateIPAddressInReservedRange)",
            "lab.yaml:8:45: networkInterfaces/n255: 10.0.1.255 is one of the five addresses that Azure reserves; an address from 10.0.1.4 to 10.0.1.254 (PrivateIPAddressInReservedRange)",
        ],
        id="reserved addresses",
        marks=pytest.mark.azure("IP-1", "IP-2", "IP-6"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}, db: {addressPrefix: 10.0.2.0/24}}}}
networkInterfaces:
  n: {subnet: net/web, privateIPAddress: 10.0.2.4}
""",
        [
            "lab.yaml:4:42: networkInterfaces/n: 10.0.2.4 is not in subnet net/web (10.0.1.0/24); an address from 10.0.1.4 to 10.0.1.254 (PrivateIPAddressNotInSubnet)",
        ],
        id="an address of another subnet",
        marks=pytest.mark.azure("IP-6"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}, db: {addressPrefix: 10.0.2.0/24}}}}
networkInterfaces:
  n1: {subnet: net/web, privateIPAddress: 10.0.1.10}
  n2: {ipConfigurations: {first: {subnet: net/web, privateIPAddress: 10.0.1.10}}}
virtualMachines: {vm: {subnet: net/web, privateIPAddress: 10.0.1.10}}
""",
        [
            "lab.yaml:5:70: networkInterfaces/n2/ipConfigurations/first: 10.0.1.10 is already allocated to n1/ipconfig1; another address (PrivateIPAddressIsAllocated)",
            "lab.yaml:6:59: virtualMachines/vm: 10.0.1.10 is already allocated to n1/ipconfig1; another address (PrivateIPAddressIsAllocated)",
        ],
        id="an address twice",
        marks=pytest.mark.azure("IP-6", "IP-12"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}, db: {addressPrefix: 10.0.2.0/24}}}}
networkInterfaces:
  n: {ipConfigurations: {c1: {subnet: net/web, privateIPAllocationMethod: Static}}}
""",
        [
            "lab.yaml:4:75: networkInterfaces/n/ipConfigurations/c1: privateIPAllocationMethod Static needs an address; add privateIPAddress (PrivateIPAddressMissing)",
        ],
        id="Static without an address",
        marks=pytest.mark.azure("IP-6"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}, db: {addressPrefix: 10.0.2.0/24}}}}
networkInterfaces:
  n: {ipConfigurations: {c1: {subnet: net/web, privateIPAllocationMethod: Dynamic, privateIPAddress: 10.0.1.4}}}
""",
        [
            "lab.yaml:4:75: networkInterfaces/n/ipConfigurations/c1: a Dynamic address cannot be chosen; Static, or remove privateIPAddress (ConflictingProperties)",
        ],
        id="Dynamic with an address",
        marks=pytest.mark.azure("IP-6"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}, db: {addressPrefix: 10.0.2.0/24}}}}
networkInterfaces:
  n1: {ipConfigurations: {c1: {subnet: net/web, privateIPAllocationMethod: Static, privateIPAddress: 10.0.1.9}}}
  n2: {ipConfigurations: {c1: {subnet: net/web, privateIPAllocationMethod: Dynamic}}}
""",
        [],
        id="methods that fit",
        marks=pytest.mark.azure("IP-3", "IP-6"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {s: {addressPrefix: 10.0.0.0/29}}}}
virtualMachines:
  vm0: {subnet: net/s}
  vm1: {subnet: net/s}
  vm2: {subnet: net/s}
  vm3: {subnet: net/s}
""",
        [
            "lab.yaml:7:17: virtualMachines/vm3: subnet net/s with address prefix 10.0.0.0/29 has no free address; a larger subnet (3 addresses are usable in a /29) (SubnetIsFull)",
        ],
        id="a full subnet",
        marks=pytest.mark.azure("IP-1", "IP-4", "IP-6"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}, db: {addressPrefix: 10.0.2.0/24}}}}
networkInterfaces:
  n1: {subnet: net/web, privateIPAddress: 10.0.1}
  n2: {subnet: net/web, privateIPAddress: 'fd00::4'}
  n3: {subnet: net/web, privateIPAddress: 10.0.1.4/24}
""",
        [
            "lab.yaml:4:43: networkInterfaces/n1: `10.0.1` is not an IPv4 address; write one such as 10.0.0.4 (InvalidIPAddress)",
            "lab.yaml:5:43: networkInterfaces/n2: `fd00::4` is an IPv6 address; use IPv4; netemu has no IPv6 (ARP-12) (IPv6NotSupported)",
            "lab.yaml:6:43: networkInterfaces/n3: `10.0.1.4/24` is not an IPv4 address; write one such as 10.0.0.4 (InvalidIPAddress)",
        ],
        id="texts that are no addresses",
        marks=pytest.mark.azure("IP-6", "ARP-12"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}, db: {addressPrefix: 10.0.2.0/24}}}}
networkInterfaces:
  n1: {ipConfigurations: {a: {subnet: net/web, primary: true}, b: {subnet: net/web, primary: true}}}
  n2: {ipConfigurations: {a: {subnet: net/web, primary: false}, b: {subnet: net/web}}}
  n3: {ipConfigurations: {}}
  n4: {ipConfigurations: {a: {subnet: net/web}, b: {subnet: net/web, primary: true}}}
  n5: {ipConfigurations: {a: {subnet: net/web}, b: {subnet: net/web}}}
""",
        [
            "lab.yaml:4:94: networkInterfaces/n1/ipConfigurations/b: a is primary already; exactly one primary IP configuration (NetworkInterfaceMustHaveOnePrimaryIpConfiguration)",
            "lab.yaml:5:57: networkInterfaces/n2/ipConfigurations/a: no IP configuration is primary; write primary: true in one of them (NetworkInterfaceMustHaveOnePrimaryIpConfiguration)",
            "lab.yaml:6:8: networkInterfaces/n3: ipConfigurations is empty; at least one IP configuration (NetworkInterfaceMustHaveOnePrimaryIpConfiguration)",
        ],
        id="primary addresses",
        marks=pytest.mark.azure("IP-9"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}, db: {addressPrefix: 10.0.2.0/24}}}}
networkInterfaces:
  n: {ipConfigurations: {a: {subnet: net/web}, b: {subnet: net/db}}}
""",
        [
            "lab.yaml:4:60: networkInterfaces/n/ipConfigurations/b: net/db is not the NIC's subnet net/web; all IP configurations of a NIC are in one subnet (IpConfigurationsOnSameNicCannotUseDifferentSubnets)",
        ],
        id="one subnet for all addresses of a NIC",
        marks=pytest.mark.azure("NIC-1"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}, db: {addressPrefix: 10.0.2.0/24}}}}
networkInterfaces:
  n: {ipConfigurations: {a: {subnet: net/web}}, subnet: net/web, privateIPAddress: 10.0.1.9}
""",
        [
            "lab.yaml:4:57: networkInterfaces/n: subnet and ipConfigurations exclude each other; write subnet in what ipConfigurations names (ConflictingProperties)",
            "lab.yaml:4:84: networkInterfaces/n: privateIPAddress and ipConfigurations exclude each other; write privateIPAddress in what ipConfigurations names (ConflictingProperties)",
        ],
        id="long and short form",
        marks=pytest.mark.azure("NIC-1"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}, db: {addressPrefix: 10.0.2.0/24}}}}
networkInterfaces:
  n: {enableIPForwarding: true}
""",
        [
            "lab.yaml:4:3: networkInterfaces/n: the NIC has no address; add `subnet: network/subnet` or ipConfigurations (MissingProperty)",
        ],
        id="no address at all",
        marks=pytest.mark.azure("IP-9"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}, db: {addressPrefix: 10.0.2.0/24}}}}
networkInterfaces:
  n1: {subnet: net/wep}
  n2: {subnet: web}
  n3: {subnet: nte/web}
  n4: {subnet: net/web/x}
""",
        [
            "lab.yaml:4:16: networkInterfaces/n1: no subnet `net/wep`; did you mean `net/web`? (InvalidResourceReference)",
            "lab.yaml:5:16: networkInterfaces/n2: no subnet `web`; known: `net/web`, `net/db` (InvalidResourceReference)",
            "lab.yaml:6:16: networkInterfaces/n3: no subnet `nte/web`; did you mean `net/web`? (InvalidResourceReference)",
            "lab.yaml:7:16: networkInterfaces/n4: no subnet `net/web/x`; did you mean `net/web`? (InvalidResourceReference)",
        ],
        id="a subnet that is not there",
        marks=pytest.mark.azure("NIC-1"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}, db: {addressPrefix: 10.0.2.0/24}}}}
networkInterfaces:
  n: {subnet: net/web, networkSecurityGroup: nsg}
""",
        [
            "lab.yaml:4:46: networkInterfaces/n: no networkSecurityGroup `nsg`; the scenario has none (InvalidResourceReference)",
        ],
        id="an NSG that is not there",
        marks=pytest.mark.azure("NSG-1"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}, db: {addressPrefix: 10.0.2.0/24}}}}
networkInterfaces:
  n1: {subnet: net/web, publicIPAddress: pip}
  n2: {subnet: net/web, publicIPAddress: pip}
publicIPAddresses: {pip: }
""",
        [
            "lab.yaml:5:42: networkInterfaces/n2: pip is in use by n1/ipconfig1; another public IP (PublicIPAddressInUse)",
        ],
        id="one public IP for two",
        marks=pytest.mark.azure("OUT-14"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}, db: {addressPrefix: 10.0.2.0/24}}}}
networkInterfaces:
  n1: {subnet: net/web, publicIPAddress: pib}
publicIPAddresses: {pip: }
""",
        [
            "lab.yaml:4:42: networkInterfaces/n1: no publicIPAddress `pib`; did you mean `pip`? (InvalidResourceReference)",
        ],
        id="a public IP that is not there",
        marks=pytest.mark.azure("OUT-14"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}, db: {addressPrefix: 10.0.2.0/24}}}}
networkInterfaces:
  n1: {subnet: net/web, dnsSettings: {dnsServers: [10.0.0.300], internalDnsNameLabel: -a}}
  n2: {subnet: net/web, dnsSettings: {dnsServers: 10.0.0.4, internalDnsNameLabel: a}}
""",
        [
            "lab.yaml:4:52: networkInterfaces/n1/dnsSettings: `10.0.0.300` is not an IPv4 address; write one such as 10.0.0.4 (InvalidIPAddress)",
            "lab.yaml:4:87: networkInterfaces/n1/dnsSettings: `-a` cannot be a host name; lower-case letters, digits and inner `-`, at most 63 (InvalidComputerName)",
        ],
        id="DNS settings",
        marks=pytest.mark.azure("NIC-11", "DNS-5"),
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
