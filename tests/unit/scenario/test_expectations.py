"""Expectations."""

from __future__ import annotations

import pytest

from netemu.errors import ScenarioError
from netemu.scenario import read_text

CASES = [
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}, db: {addressPrefix: 10.0.2.0/24}}}}
virtualMachines: {web: {subnet: net/web}, db: {networkInterfaces: db-nic}}
networkInterfaces: {db-nic: {subnet: net/db, privateIPAddress: 10.0.2.10}, spare: {subnet: net/db}}
publicIPAddresses: {pip: }
internet: {hosts: {visitor: {ipAddress: 198.51.100.7}}}
networkSecurityGroups: {nsg: {securityRules: {allow-http: {priority: 100, direction: Inbound, access: Allow, protocol: Tcp}}}}
expect:
  - {from: web, to: db, port: 1, access: Allow}
  - {from: db-nic, to: web-nic, port: 1, access: Allow}
  - {from: db/10.0.2.10, to: db/10.0.2.10, port: 1, access: Allow}
  - {from: visitor, to: pip, port: 1, access: Deny}
  - {from: web, to: visitor, port: 1, access: Allow, sourceSeenAs: pip}
  - {from: web, to: 8.8.8.8, port: 1, access: Allow, sourceSeenAs: 52.1.1.1}
""",
        [],
        id="everyone who can be named",
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}, db: {addressPrefix: 10.0.2.0/24}}}}
virtualMachines: {web: {subnet: net/web}, db: {networkInterfaces: db-nic}}
networkInterfaces: {db-nic: {subnet: net/db, privateIPAddress: 10.0.2.10}, spare: {subnet: net/db}}
publicIPAddresses: {pip: }
internet: {hosts: {visitor: {ipAddress: 198.51.100.7}}}
networkSecurityGroups: {nsg: {securityRules: {allow-http: {priority: 100, direction: Inbound, access: Allow, protocol: Tcp}}}}
expect:
  - {from: wep, to: db, port: 1, access: Allow}
  - {from: web, to: pib, port: 1, access: Allow}
  - {from: pip, to: web, port: 1, access: Allow}
  - {from: 10.0.1.4, to: web, port: 1, access: Allow}
  - {from: spare, to: web, port: 1, access: Allow}
  - {from: db/10.0.2.11, to: web, port: 1, access: Allow}
  - {from: dp/10.0.2.11, to: web, port: 1, access: Allow}
  - {from: db/x, to: web, port: 1, access: Allow}
  - {from: web, to: 10.0.0.256, port: 1, access: Allow}
  - {from: web, to: 'fd00::1', port: 1, access: Allow}
  - {from: web, to: db, port: 1, access: Allow, sourceSeenAs: pib}
""",
        [
            "lab.yaml:9:12: expect/1: nothing is called `wep`; did you mean `web`? (InvalidResourceReference)",
            "lab.yaml:10:21: expect/2: nothing is called `pib`; did you mean `pip`? (InvalidResourceReference)",
            "lab.yaml:11:12: expect/3: public IP `pip` cannot send; name the VM that has it (InvalidResourceReference)",
            "lab.yaml:12:12: expect/4: from cannot be an address: 10.0.1.4; name a VM, NIC or host, or VM/address (InvalidResourceReference)",
            "lab.yaml:13:12: expect/5: NIC `spare` belongs to no VM; name one that a VM has (InvalidResourceReference)",
            "lab.yaml:14:12: expect/6: VM db does not have the address 10.0.2.11; known: `db/10.0.2.10` (InvalidResourceReference)",
            "lab.yaml:15:12: expect/7: nothing is called `dp`; did you mean `db`? (InvalidResourceReference)",
            "lab.yaml:16:12: expect/8: `x` is not an IPv4 address; write one such as 10.0.0.4 (InvalidIPAddress)",
            "lab.yaml:17:21: expect/9: `10.0.0.256` is not an IPv4 address; write one such as 10.0.0.4 (InvalidIPAddress)",
            "lab.yaml:18:21: expect/10: `fd00::1` is an IPv6 address; use IPv4; netemu has no IPv6 (ARP-12) (IPv6NotSupported)",
            "lab.yaml:19:63: expect/11: no publicIPAddress, publicIPPrefix or natGateway `pib`; did you mean `pip`? (InvalidResourceReference)",
        ],
        id="names that nobody has",
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}, db: {addressPrefix: 10.0.2.0/24}}}}
virtualMachines: {web: {subnet: net/web}, db: {networkInterfaces: db-nic}}
networkInterfaces: {db-nic: {subnet: net/db, privateIPAddress: 10.0.2.10}, spare: {subnet: net/db}}
publicIPAddresses: {pip: }
internet: {hosts: {visitor: {ipAddress: 198.51.100.7}}}
networkSecurityGroups: {nsg: {securityRules: {allow-http: {priority: 100, direction: Inbound, access: Allow, protocol: Tcp}}}}
expect:
  - {from: web, to: db, access: Allow}
  - {from: web, to: db, protocol: Icmp, access: Allow}
  - {from: web, to: db, protocol: Icmp, port: 1, sourcePort: 2, access: Allow}
  - {from: web, to: db, port: 0, access: Allow}
  - {from: web, to: db, protocol: Udp, port: 65536, access: Allow}
  - {from: web, to: db, protocol: Udp, port: 65535, sourcePort: 1, access: Allow}
  - {from: web, to: db, protocol: Esp, access: Allow}
""",
        [
            "lab.yaml:9:5: expect/1: port is missing for Tcp; add `port: …` (MissingProperty)",
            "lab.yaml:11:47: expect/3: Icmp has no ports; remove port (InvalidParameter)",
            "lab.yaml:11:62: expect/3: Icmp has no ports; remove sourcePort (InvalidParameter)",
            "lab.yaml:12:31: expect/4: port cannot be 0; 1 to 65535 (InvalidParameter)",
            "lab.yaml:13:46: expect/5: port cannot be 65536; 1 to 65535 (InvalidParameter)",
            "lab.yaml:15:35: expect/7: protocol cannot be `Esp`; known: `Tcp`, `Udp`, `Icmp` (InvalidParameter)",
        ],
        id="ports",
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}, db: {addressPrefix: 10.0.2.0/24}}}}
virtualMachines: {web: {subnet: net/web}, db: {networkInterfaces: db-nic}}
networkInterfaces: {db-nic: {subnet: net/db, privateIPAddress: 10.0.2.10}, spare: {subnet: net/db}}
publicIPAddresses: {pip: }
internet: {hosts: {visitor: {ipAddress: 198.51.100.7}}}
networkSecurityGroups: {nsg: {securityRules: {allow-http: {priority: 100, direction: Inbound, access: Allow, protocol: Tcp}}}}
expect:
  - {from: web, to: db, port: 1, access: Allow, via: []}
  - {from: web, to: db, port: 1, access: Allow, via: [web, db-nic]}
  - {from: web, to: db, port: 1, access: Allow, via: [wep, visitor, spare]}
""",
        [
            "lab.yaml:11:55: expect/3: nothing is called `wep`; did you mean `web`? (InvalidResourceReference)",
            "lab.yaml:11:60: expect/3: nothing is called `visitor`; known: `web`, `db`, `db-nic`, `spare`, `web-nic` (InvalidResourceReference)",
            "lab.yaml:11:69: expect/3: NIC `spare` belongs to no VM; name one that a VM has (InvalidResourceReference)",
        ],
        id="appliances on the way",
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}, db: {addressPrefix: 10.0.2.0/24}}}}
virtualMachines: {web: {subnet: net/web}, db: {networkInterfaces: db-nic}}
networkInterfaces: {db-nic: {subnet: net/db, privateIPAddress: 10.0.2.10}, spare: {subnet: net/db}}
publicIPAddresses: {pip: }
internet: {hosts: {visitor: {ipAddress: 198.51.100.7}}}
networkSecurityGroups: {nsg: {securityRules: {allow-http: {priority: 100, direction: Inbound, access: Allow, protocol: Tcp}}}}
expect:
  - {from: web, to: db, port: 1, access: Allow, rule: allow-http}
  - {from: web, to: db, port: 1, access: Deny, rule: DenyAllInBound}
  - {from: web, to: db, port: 1, access: Deny, rule: nsg/allow-http}
  - {from: web, to: db, port: 1, access: Deny, rule: DenyAllInbound}
  - {from: web, to: db, port: 1, access: Deny, rule: nsq/allow-http}
  - {from: web, to: db, port: 1, access: Deny, rule: nsg/allow-htp}
""",
        [
            "lab.yaml:12:54: expect/4: no security rule `DenyAllInbound`; did you mean `DenyAllInBound`? (InvalidResourceReference)",
            "lab.yaml:13:54: expect/5: no networkSecurityGroup `nsq`; did you mean `nsg`? (InvalidResourceReference)",
            "lab.yaml:14:54: expect/6: no security rule `allow-htp`; did you mean `allow-http`? (InvalidResourceReference)",
        ],
        id="rules",
        marks=pytest.mark.azure("NSG-7", "NSG-8"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}, db: {addressPrefix: 10.0.2.0/24}}}}
virtualMachines: {web: {subnet: net/web}, db: {networkInterfaces: db-nic}}
networkInterfaces: {db-nic: {subnet: net/db, privateIPAddress: 10.0.2.10}, spare: {subnet: net/db}}
publicIPAddresses: {pip: }
internet: {hosts: {visitor: {ipAddress: 198.51.100.7}}}
networkSecurityGroups: {nsg: {securityRules: {allow-http: {priority: 100, direction: Inbound, access: Allow, protocol: Tcp}}}}
expect:
  - {from: web, to: db, port: 1, access: Deny, reply: Allow}
  - {from: web, to: db, port: 1, access: Deny, reply: Deny}
  - {from: web, to: db, port: 1, access: Deny, sourceSeenAs: 10.0.0.4}
  - {from: web, to: db, port: 1, access: Allow, reply: Deny}
""",
        [
            "lab.yaml:9:55: expect/1: a packet that is denied has no reply; remove reply (ConflictingProperties)",
            "lab.yaml:11:62: expect/3: nobody sees a packet that is denied; remove sourceSeenAs (ConflictingProperties)",
        ],
        id="outcomes that cannot be",
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}}}}
virtualMachines: {web: {subnet: net/web}, db: {networkInterfaces: db-nic}}
networkInterfaces: {db-nic: {subnet: net/web}}
publicIPAddresses: {pip: }
internet: {hosts: {visitor: {ipAddress: 198.51.100.7}}}
expect:
  - {from: web, to: db1.corp.internal, resolvesTo: 10.0.2.4}
  - {from: visitor, to: www.contoso.com., resolvesTo: [pip, db, visitor]}
  - {from: web, to: _ldap._tcp.corp.internal, recordType: SRV, resolvesTo: 0 5 389 dc1.corp.internal}
  - {from: web, to: 10.0.1.4, recordType: PTR, resolvesTo: []}
  - {from: web, to: db, resolvesTo: TIMEOUT}
  - {from: web, to: db, resolvesTo: 10.0.1.4, access: Allow, port: 53}
  - {from: db-nic, to: db, resolvesTo: 10.0.1.4}
  - {from: web, to: 10.0.1.4/24, resolvesTo: 10.0.1.4}
  - {from: web, to: db, resolvesTo: [NXDOMAIN, 10.0.1.4]}
  - {from: web, to: db, resolvesTo: nxdomain}
  - {from: web, to: db, resolvesTo: 10.0.1.400}
  - {from: web, to: db, recordType: AAAA, resolvesTo: 10.0.1.4}
  - {from: web, to: db, recordType: SOA, resolvesTo: x}
  - {from: web, to: db, recordType: PTR, port: 1, access: Allow}
  - {from: web, to: db, port: 1}
""",
        [
            "lab.yaml:13:55: expect/6: access and resolvesTo exclude each other; remove one; access is about a flow (ConflictingProperties)",
            "lab.yaml:13:68: expect/6: port and resolvesTo exclude each other; remove one; port is about a flow (ConflictingProperties)",
            "lab.yaml:14:12: expect/7: no VM or internet host `db-nic`; known: `web`, `db`, `visitor` (InvalidResourceReference)",
            "lab.yaml:15:21: expect/8: `10.0.1.4/24` cannot be looked up; a name such as db1.corp.internal (InvalidParameter)",
            "lab.yaml:16:38: expect/9: NXDOMAIN is a whole answer; write nothing beside it (ConflictingProperties)",
            "lab.yaml:17:37: expect/10: nobody is called `nxdomain`; an address, a VM, an internet host, a public IP, or one of NXDOMAIN, NODATA, SERVFAIL, TIMEOUT (InvalidResourceReference)",
            "lab.yaml:18:37: expect/11: `10.0.1.400` is not an IPv4 address; write one such as 10.0.0.4 (InvalidIPAddress)",
            "lab.yaml:19:55: expect/12: `10.0.1.4` is not an IPv6 address; one such as 2001:db8::1 (InvalidIPAddress)",
            "lab.yaml:20:37: expect/13: recordType cannot be `SOA`; known: `A`, `AAAA`, `CAA`, `CNAME`, `MX`, `NS` and 3 more (InvalidParameter)",
            "lab.yaml:21:37: expect/14: recordType is for names; add resolvesTo, or remove it (ConflictingProperties)",
            "lab.yaml:22:5: expect/15: access is missing; add `access: …`, or resolvesTo for a name (MissingProperty)",
        ],
        id="names",
        marks=pytest.mark.azure("DNS-15"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}, db: {addressPrefix: 10.0.2.0/24}}}}
virtualMachines: {web: {subnet: net/web}}
publicIPAddresses: {web: }
expect: [{from: web, to: web, port: 1, access: Allow}]
""",
        [
            "lab.yaml:5:26: expect/1: `web` is a public IP and something else as well; give one another name (InvalidResourceReference)",
        ],
        id="one name for a VM and a public IP",
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}}}}
virtualMachines: {web1: {subnet: net/web}, web2: {subnet: net/web}}
expect:
  - {from: web1, to: web2, port: 1, access: Allow, flows: 10000, backends: web1, failover: web1}
  - {from: web1, to: web2, port: 1, access: Allow, flows: 0}
  - {from: web1, to: web2, port: 1, access: Allow, flows: 10001}
  - {from: web1, to: web2, port: 1, access: Allow, flows: 10, sourcePort: 5}
  - {from: web1, to: web2, protocol: Icmp, access: Allow, flows: 10}
  - {from: web1, to: web2, port: 1, access: Allow, failover: wep2}
  - {from: web1, to: web2, port: 1, access: Allow, backends: web1, failover: web2}
  - {from: web1, to: web2, port: 1, access: Deny, failover: web2}
""",
        [
            "lab.yaml:6:59: expect/2: flows cannot be 0; 1 to 10000 (InvalidParameter)",
            "lab.yaml:7:59: expect/3: flows cannot be 10001; 1 to 10000 (InvalidParameter)",
            "lab.yaml:8:59: expect/4: flows takes flows from many ports, and sourcePort is given; remove flows or sourcePort (ConflictingProperties)",
            "lab.yaml:9:66: expect/5: Icmp has no ports; remove flows (InvalidParameter)",
            "lab.yaml:10:62: expect/6: nothing is called `wep2`; did you mean `web2`? (InvalidResourceReference)",
            "lab.yaml:11:78: expect/7: failover `web2` is not among backends; name one of them (ConflictingProperties)",
            "lab.yaml:12:61: expect/8: no backend gets a packet that is denied; remove failover (ConflictingProperties)",
        ],
        id="several flows",
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
