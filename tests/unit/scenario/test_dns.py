"""DNS zones, their links and record sets, and labels of public IPs."""

from __future__ import annotations

import pytest

from netemu.errors import ScenarioError
from netemu.scenario import read_text

NETWORKS = """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16}, far: {addressSpace: 10.1.0.0/16}}
"""
CASES = [
    pytest.param(
        NETWORKS
        + """\
privateDnsZones:
  corp.internal:
    virtualNetworkLinks:
      one: {virtualNetwork: net, registrationEnabled: true}
      far: {virtualNetwork: far}
  other.internal:
    virtualNetworkLinks:
      one: {virtualNetwork: net, registrationEnabled: true}
      two: {virtualNetwork: net}
      lost: {virtualNetwork: nett}
  third.internal:
    virtualNetworkLinks: {one: {virtualNetwork: far, registrationEnabled: true}}
""",
        [
            "lab.yaml:10:55: privateDnsZones/other.internal/virtualNetworkLinks/one: net registers in corp.internal already; one registration link for each network (Conflict)",
            "lab.yaml:11:29: privateDnsZones/other.internal/virtualNetworkLinks/two: net is linked to the zone by one already; one link for each network (Conflict)",
            "lab.yaml:12:30: privateDnsZones/other.internal/virtualNetworkLinks/lost: no virtualNetwork `nett`; did you mean `net`? (InvalidResourceReference)",
        ],
        id="a network registers in one zone and is linked to each once",
        marks=pytest.mark.azure("DNS-10"),
    ),
    pytest.param(
        """\
name: lab
privateDnsZones:
  internal: {}
  corp..internal: {}
  core.windows.net: {}
  Corp.internal: {}
  corp.internal: {}
  privatelink.blob.core.windows.net: {}
dnsZones:
  com: {}
  contoso.com: {}
  exam ple.com: {}
""",
        [
            "lab.yaml:3:3: privateDnsZones/internal: `internal` cannot be a zone's name; 2 to 34 labels of letters, digits, `-` and `_`, such as corp.internal (InvalidDnsZoneName)",
            "lab.yaml:4:3: privateDnsZones/corp..internal: `corp..internal` cannot be a zone's name; 2 to 34 labels of letters, digits, `-` and `_`, such as corp.internal (InvalidDnsZoneName)",
            "lab.yaml:5:3: privateDnsZones/core.windows.net: nobody can have the zone core.windows.net; a zone of your own (InvalidDnsZoneName)",
            "lab.yaml:7:3: privateDnsZones/corp.internal: `corp.internal` and `Corp.internal` are one name: DNS ignores case; choose another name (ResourceNameInUse)",
            "lab.yaml:10:3: dnsZones/com: `com` cannot be a zone's name; 2 to 34 labels of letters, digits, `-` and `_`, such as corp.internal (InvalidDnsZoneName)",
            "lab.yaml:12:3: dnsZones/exam ple.com: `exam ple.com` cannot be a zone's name; 2 to 34 labels of letters, digits, `-` and `_`, such as corp.internal (InvalidDnsZoneName)",
        ],
        id="names of zones",
        marks=pytest.mark.azure("DNS-9", "DNS-16"),
    ),
    pytest.param(
        """\
name: lab
privateDnsZones:
  corp.internal:
    recordSets:
      "@": {aRecords: 10.0.0.4, mxRecords: [10 mail.contoso.com], soaRecord: {minimumTtl: 60}}
      db1: {aRecords: [10.0.0.4, {ipv4Address: 10.0.0.5}], aaaaRecords: "2001:db8::1", ttl: 60}
      www: {cnameRecord: app.contoso.com}
      app: {cnameRecord: {cname: app.contoso.com.}}
      _ldap._tcp: {srvRecords: [0 5 389 dc1.corp.internal, {priority: 1, weight: 5, port: 389, target: dc2.corp.internal}]}
      "*": {txtRecords: [some text, {value: [several, strings]}]}
      "*.apps": {aRecords: 10.0.0.9}
      4.0: {ptrRecords: [db1.corp.internal, db2.corp.internal]}
""",
        [],
        id="records of all kinds, in a line or as properties",
        marks=pytest.mark.azure("DNS-15"),
    ),
    pytest.param(
        """\
name: lab
privateDnsZones:
  corp.internal:
    recordSets:
      "@": {cnameRecord: app.contoso.com}
      a: {cnameRecord: app.contoso.com, aRecords: 10.0.0.4}
      b: {}
      c: {aRecords: [10.0.0.4, 10.0.0.4]}
      d: {aRecords: "2001:db8::1", aaaaRecords: 10.0.0.4}
      e: {mxRecords: 70000 mail.contoso.com, ttl: -1}
      f: {mxRecords: mail.contoso.com}
      g: {nsRecords: ns1.contoso.com}
      h: {soaRecord: {minimumTtl: 1}}
      i: {cnameRecord: not a name}
      j.: {aRecords: 10.0.0.4}
      a.*: {aRecords: 10.0.0.4}
      A: {aRecords: 10.0.0.4}
      k: {srvRecords: 0 5 x host.contoso.com}
      l: {ptrRecords: [[a, b]]}
""",
        [
            "lab.yaml:5:26: privateDnsZones/corp.internal/recordSets/@: a zone has a SOA record, and a name with cnameRecord has nothing else; aRecords, or another name (InvalidRecordSet)",
            "lab.yaml:6:24: privateDnsZones/corp.internal/recordSets/a: a name with cnameRecord has nothing else, and this has aRecords; another name, or another kind of record (InvalidRecordSet)",
            "lab.yaml:7:7: privateDnsZones/corp.internal/recordSets/b: the record set has no record; add aRecords, for example (InvalidRecordSet)",
            "lab.yaml:8:32: privateDnsZones/corp.internal/recordSets/c: the record is there twice; remove one (InvalidRecordSet)",
            "lab.yaml:9:21: privateDnsZones/corp.internal/recordSets/d/aRecords/1: `2001:db8::1` is an IPv6 address; use IPv4; netemu has no IPv6 (ARP-12) (IPv6NotSupported)",
            "lab.yaml:9:49: privateDnsZones/corp.internal/recordSets/d/aaaaRecords/1: `10.0.0.4` is not an IPv6 address; one such as 2001:db8::1 (InvalidIPAddress)",
            "lab.yaml:10:22: privateDnsZones/corp.internal/recordSets/e/mxRecords/1: preference cannot be 70000; 0 to 65535 (InvalidParameter)",
            "lab.yaml:10:51: privateDnsZones/corp.internal/recordSets/e: ttl cannot be -1; 0 to 2147483647 (InvalidParameter)",
            "lab.yaml:11:22: privateDnsZones/corp.internal/recordSets/f: mxRecords cannot be `mail.contoso.com`; write `preference exchange`, or these as properties (InvalidRequestFormat)",
            "lab.yaml:12:11: privateDnsZones/corp.internal/recordSets/g: no property is called `nsRecords`; did you mean `aRecords`? (InvalidRequestFormat)",
            "lab.yaml:13:11: privateDnsZones/corp.internal/recordSets/h: only a zone has a SOA record; at @ (InvalidRecordSet)",
            "lab.yaml:14:24: privateDnsZones/corp.internal/recordSets/i/cnameRecord: `not a name` is not a name; a name in full, such as app.contoso.com (InvalidRecordSet)",
            "lab.yaml:15:7: privateDnsZones/corp.internal/recordSets/j.: `j.` cannot be a record set's name; a name relative to the zone, such as db1, _ldap._tcp or *; @ is the zone itself (InvalidRecordSet)",
            "lab.yaml:16:7: privateDnsZones/corp.internal/recordSets/a.*: `a.*` cannot be a record set's name; a name relative to the zone, such as db1, _ldap._tcp or *; @ is the zone itself (InvalidRecordSet)",
            "lab.yaml:17:7: privateDnsZones/corp.internal/recordSets/A: `A` and `a` are one name: DNS ignores case; choose another name (ResourceNameInUse)",
            "lab.yaml:18:23: privateDnsZones/corp.internal/recordSets/k/srvRecords/1: port cannot be `x`; write a whole number in decimal digits (InvalidRequestFormat)",
            "lab.yaml:19:24: privateDnsZones/corp.internal/recordSets/l: ptrRecords cannot be a list; write ptrdname (InvalidRequestFormat)",
        ],
        id="records that are refused",
        marks=pytest.mark.azure("DNS-15"),
    ),
    pytest.param(
        """\
name: lab
dnsZones:
  contoso.com:
    recordSets:
      "@": {targetResource: ip, nsRecords: ns.example.com}
      www: {targetResource: publicIPAddresses/ip}
      alias: {targetResource: recordSets/www2}
      www2: {aRecords: 198.51.100.7}
      twice: {targetResource: recordSets/alias}
      itself: {targetResource: recordSets/itself}
      lost: {targetResource: ipp}
      gone: {targetResource: recordSets/nothing}
      both: {targetResource: ip, aRecords: 198.51.100.7}
      child: {nsRecords: [ns1-01.azure-dns.com, ns2-01.azure-dns.net]}
      caa: {caaRecords: [0 issue letsencrypt.org, {flags: 300, tag: no-tag, value: x}]}
publicIPAddresses: {ip: {}}
""",
        [
            "lab.yaml:5:29: dnsZones/contoso.com/recordSets/@: a name with targetResource has nothing else, and this has nsRecords; another name, or another kind of record (InvalidRecordSet)",
            "lab.yaml:5:44: dnsZones/contoso.com/recordSets/@: the name servers of the zone itself are Azure's; remove it (InvalidRecordSet)",
            "lab.yaml:9:31: dnsZones/contoso.com/recordSets/twice: `alias` is an alias itself; what it points at (InvalidRecordSet)",
            "lab.yaml:10:32: dnsZones/contoso.com/recordSets/itself: an alias of itself; another name (InvalidRecordSet)",
            "lab.yaml:11:30: dnsZones/contoso.com/recordSets/lost: no publicIPAddress `ipp`; did you mean `ip`? (InvalidResourceReference)",
            "lab.yaml:12:30: dnsZones/contoso.com/recordSets/gone: no record set `nothing`; known: `@`, `www`, `alias`, `www2`, `twice`, `itself` and 5 more (InvalidResourceReference)",
            "lab.yaml:13:30: dnsZones/contoso.com/recordSets/both: a name with targetResource has nothing else, and this has aRecords; another name, or another kind of record (InvalidRecordSet)",
            "lab.yaml:15:59: dnsZones/contoso.com/recordSets/caa/caaRecords/2: flags cannot be 300; 0 to 255 (InvalidParameter)",
            "lab.yaml:15:69: dnsZones/contoso.com/recordSets/caa/caaRecords/2: `no-tag` cannot be a tag; issue, for example (InvalidRecordSet)",
        ],
        id="public zones have aliases, delegations and CAA",
        marks=pytest.mark.azure("DNS-15", "DNS-16"),
    ),
    pytest.param(
        """\
name: lab
publicIPAddresses:
  a: {dnsSettings: {domainNameLabel: my-app, reverseFqdn: www.contoso.com.}}
  b: {dnsSettings: {domainNameLabel: my-app}}
  c: {dnsSettings: {domainNameLabel: my-app}, location: East US}
  d: {dnsSettings: {domainNameLabel: My-App}}
  e: {dnsSettings: {domainNameLabel: ab}}
  f: {dnsSettings: {reverseFqdn: not a name}}
  g: {dnsSettings: {domainNameLabel: my-app}, location: eastus}
""",
        [
            "lab.yaml:4:38: publicIPAddresses/b/dnsSettings: publicIPAddresses/a has the label my-app in this region; another label (DnsRecordInUse)",
            "lab.yaml:6:38: publicIPAddresses/d/dnsSettings: `My-App` cannot be a label; 3 to 63 lower-case letters, digits and inner `-`, beginning with a letter (InvalidDomainNameLabel)",
            "lab.yaml:7:38: publicIPAddresses/e/dnsSettings: `ab` cannot be a label; 3 to 63 lower-case letters, digits and inner `-`, beginning with a letter (InvalidDomainNameLabel)",
            "lab.yaml:8:34: publicIPAddresses/f/dnsSettings: `not a name` is not a name; a name in full, such as app.contoso.com (InvalidRecordSet)",
            "lab.yaml:9:38: publicIPAddresses/g/dnsSettings: publicIPAddresses/c has the label my-app in this region; another label (DnsRecordInUse)",
        ],
        id="labels are unique in their region",
        marks=pytest.mark.azure("DNS-8"),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("text", "problems"), CASES)
def test_the_file_is_read_or_refused_with_exactly_these_lines(text: str, problems: list[str]) -> None:
    try:
        read_text(text, "lab.yaml")
        found = []
    except ScenarioError as error:
        found = str(error).splitlines()
    assert found == problems
