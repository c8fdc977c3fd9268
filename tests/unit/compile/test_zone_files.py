"""Zone files: what is in them, and that a name is in one of them only."""

from __future__ import annotations

import pytest
from compiling import lab_of

TEXT = """
virtualNetworks:
  net: {addressSpace: 10.0.0.0/16, subnets: {s: {addressPrefix: 10.0.0.0/24}}}
  far: {addressSpace: 10.0.0.0/16, subnets: {s: {addressPrefix: 10.0.0.0/24}}}
virtualMachines: {a: {subnet: net/s}, b: {subnet: far/s}}
privateDnsZones:
  corp.internal:
    virtualNetworkLinks: {one: {virtualNetwork: net, registrationEnabled: true}}
    recordSets:
      "@": {mxRecords: 10 mail.contoso.com, soaRecord: {email: me.contoso.com, minimumTtl: 7}}
      text: {txtRecords: ['say "hi" \\ now', {value: [two, "ü"]}]}
      service: {srvRecords: 0 5 389 a.corp.internal, ttl: 9}
  shop.contoso.com:
    virtualNetworkLinks: {one: {virtualNetwork: net}}
    recordSets: {api: {aRecords: 10.0.4.4}}
dnsZones:
  contoso.com:
    recordSets:
      api.shop: {aRecords: 52.0.0.8}
      child: {nsRecords: ns1-01.azure-dns.com}
      caa: {caaRecords: 0 issue letsencrypt.org}
  child.contoso.com: {recordSets: {www: {aRecords: 52.0.0.9}}}
  lost.contoso.com: {recordSets: {www: {aRecords: 52.0.0.10}}}
"""


def zone(server: str, name: str) -> list[str]:
    """The lines of a zone as a server has it."""
    node = f"@slb.{server}" if not server.startswith("@") else "@internet"
    return lab_of(TEXT).namespaces[node].daemon_files[f"zones.{server}/{name}"].splitlines()


@pytest.mark.azure("DNS-11", "DNS-15")
def test_a_private_zone_has_what_is_written_and_what_is_registered() -> None:
    assert zone("net", "corp.internal") == [
        "$ORIGIN corp.internal.",
        "corp.internal. 3600 IN SOA azureprivatedns.net. me.contoso.com. 1 3600 300 2419200 7",
        "corp.internal. 3600 IN MX 10 mail.contoso.com.",
        'text.corp.internal. 3600 IN TXT "say \\034hi\\034 \\092 now"',
        'text.corp.internal. 3600 IN TXT "two" "\\195\\188"',
        "service.corp.internal. 9 IN SRV 0 5 389 a.corp.internal.",
        "a.corp.internal. 10 IN A 10.0.0.4",
    ]
    files = lab_of(TEXT).namespaces["@slb.far"].daemon_files
    assert "zones.far/corp.internal" not in files


@pytest.mark.azure("DNS-13")
def test_what_a_linked_zone_has_is_left_out_of_the_public_one_there_only() -> None:
    assert not [line for line in zone("net", "contoso.com") if "shop" in line]
    assert "api.shop.contoso.com. 3600 IN A 52.0.0.8" in zone("far", "contoso.com")


@pytest.mark.azure("DNS-16")
def test_a_zone_to_which_nothing_leads_is_known_to_its_own_servers_only() -> None:
    files = lab_of(TEXT).namespaces["@internet"].daemon_files
    assert "zones.@internet/child.contoso.com" in files and "zones.@internet/lost.contoso.com" not in files
    assert "zones.@name-servers/lost.contoso.com" in files
    assert "child.contoso.com. 3600 IN NS ns1-01.azure-dns.com." in zone("@name-servers", "contoso.com")
    assert not [line for line in zone("@internet", "contoso.com") if line.startswith("child")]


def test_every_zone_file_is_named_in_the_configuration_and_read_again() -> None:
    for namespace in lab_of(TEXT).namespaces.values():
        for daemon in namespace.daemons:
            configuration = namespace.daemon_files[f"{daemon.name}.conf"]
            for file in daemon.reloads:
                assert file == f"{daemon.name}.conf" or f'zonefile: "/run/netemu/unit/daemons/{file}"' in configuration
