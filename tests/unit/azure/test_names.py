"""What DNS on Azure answers, worked out without any server."""

from __future__ import annotations

from typing import Any

import pytest

from netemu.azure.names import Names, Resolution
from netemu.azure.network import resolve
from netemu.azure.verdict import Engine
from netemu.scenario import read_text

TEXT = """\
name: lab
virtualNetworks:
  net:
    addressSpace: 10.0.0.0/16
    subnets: {main: {addressPrefix: 10.0.0.0/24}, deaf: {addressPrefix: 10.0.9.0/24, networkSecurityGroup: deaf-nsg}}
    virtualNetworkPeerings: {p: {remoteVirtualNetwork: far}}
  far:
    addressSpace: 10.1.0.0/16
    subnets: {main: {addressPrefix: 10.1.0.0/24}}
    virtualNetworkPeerings: {p: {remoteVirtualNetwork: net}}
  custom:
    addressSpace: 10.2.0.0/16
    dhcpOptions: {dnsServers: [10.2.0.200, 10.2.0.10]}
    subnets: {main: {addressPrefix: 10.2.0.0/24}}
networkSecurityGroups:
  deaf-nsg:
    securityRules:
      no-dns: {priority: 100, direction: Outbound, access: Deny, protocol: '*', destinationAddressPrefix: AzurePlatformDNS}
networkInterfaces:
  named-nic: {subnet: net/main, privateIPAddress: 10.0.0.20, dnsSettings: {internalDnsNameLabel: extra}}
  public-nic: {subnet: net/main, privateIPAddress: 10.0.0.30, dnsSettings: {dnsServers: [8.8.8.8]}}
virtualMachines:
  Web_1: {subnet: net/main, privateIPAddress: 10.0.0.4}
  named: {networkInterfaces: named-nic}
  outsider: {networkInterfaces: public-nic}
  deaf: {subnet: net/deaf}
  far1: {subnet: far/main}
  dns1: {subnet: custom/main, privateIPAddress: 10.2.0.10}
  customer: {subnet: custom/main, privateIPAddress: 10.2.0.11}
publicIPAddresses: {ip: {ipAddress: 52.0.0.1, dnsSettings: {domainNameLabel: my-app, reverseFqdn: www.contoso.com}}}
privateDnsZones:
  corp.internal:
    virtualNetworkLinks:
      one: {virtualNetwork: net, registrationEnabled: true}
      two: {virtualNetwork: custom}
    recordSets:
      db: {aRecords: [10.0.2.4, 10.0.2.5], txtRecords: text, ttl: 60}
      www: {cnameRecord: app.contoso.com, ttl: 30}
      other: {cnameRecord: www.corp.internal}
      round: {cnameRecord: about.corp.internal}
      about: {cnameRecord: round.corp.internal}
      nowhere: {cnameRecord: nothing.contoso.com}
      "*.apps": {aRecords: 10.0.3.9}
      one.apps: {txtRecords: only text}
      named: {aRecords: 10.0.5.5}
  shop.contoso.com:
    virtualNetworkLinks: {one: {virtualNetwork: net}}
    recordSets: {api: {aRecords: 10.0.4.4}}
dnsZones:
  contoso.com:
    recordSets:
      "@": {targetResource: ip}
      app: {aRecords: 52.0.0.7}
      api.shop: {aRecords: 52.0.0.8}
      old.shop: {aRecords: 52.0.0.9}
      given: {nsRecords: ns1-01.azure-dns.com}
      away: {nsRecords: ns.example.com}
  given.contoso.com: {recordSets: {www: {aRecords: 52.0.0.10}}}
  forgotten.contoso.com: {recordSets: {www: {aRecords: 52.0.0.11}}}
internet: {hosts: {visitor: {ipAddress: 198.51.100.7}}}
"""


@pytest.fixture(scope="module")
def names() -> Names:
    network = resolve(read_text(TEXT, "lab.yaml"))
    return Names(network, Engine(network))


def said(found: Resolution) -> Any:
    """The status, or the records as lines."""
    if found.answer is None:
        return "silence"
    return sorted(" ".join(record) for record in found.answer.records) or found.answer.status


@pytest.mark.azure("DNS-2", "DNS-3", "DNS-5", "PEER-15")
@pytest.mark.parametrize(
    ("machine", "name", "answer"),
    [
        ("named", "web-1", ["10.0.0.4"]),
        ("Web_1", "named", ["10.0.0.20"]),
        ("Web_1", "extra", ["10.0.0.20"]),
        ("Web_1", "far1", "NXDOMAIN"),
        ("far1", "web-1", "NXDOMAIN"),
        ("Web_1", "visitor", ["198.51.100.7"]),
    ],
)
def test_host_names_are_known_in_their_own_network(names: Names, machine: str, name: str, answer: Any) -> None:
    assert said(names.resolve(machine, name)) == answer


@pytest.mark.azure("DNS-9", "DNS-14")
@pytest.mark.parametrize(
    ("machine", "answer"),
    [("Web_1", ["10.0.2.4", "10.0.2.5"]), ("far1", "NXDOMAIN"), ("customer", ["10.0.2.4", "10.0.2.5"])],
)
def test_a_private_zone_is_seen_where_it_is_linked_peered_or_not(names: Names, machine: str, answer: Any) -> None:
    assert said(names.resolve(machine, "db.corp.internal")) == answer


@pytest.mark.azure("DNS-11", "DNS-17")
def test_registration_adds_machines_and_replaces_nothing_that_is_written(names: Names) -> None:
    found = names.resolve("Web_1", "web-1.corp.internal")
    assert said(found) == ["10.0.0.4"]
    assert found.answer is not None and found.answer.ttl == 10
    assert said(names.resolve("Web_1", "named.corp.internal")) == ["10.0.5.5"]
    assert said(names.resolve("Web_1", "customer.corp.internal")) == "NXDOMAIN"
    assert said(names.resolve("customer", "web-1.corp.internal")) == ["10.0.0.4"]


@pytest.mark.azure("DNS-4", "DNS-8", "DNS-12")
@pytest.mark.parametrize(
    ("machine", "address", "answer"),
    [
        ("named", "10.0.0.4", ["web-1.corp.internal", "web-1.internal.cloudapp.net"]),
        ("far1", "10.0.0.4", "NXDOMAIN"),
        ("far1", "10.1.0.4", ["far1.internal.cloudapp.net"]),
        ("far1", "52.0.0.1", ["www.contoso.com"]),
        ("visitor", "198.51.100.7", ["visitor"]),
        ("visitor", "10.1.0.4", "NXDOMAIN"),
    ],
)
def test_reverse_lookups(names: Names, machine: str, address: str, answer: Any) -> None:
    pointer = ".".join(reversed(address.split("."))) + ".in-addr.arpa"
    assert said(names.resolve(machine, pointer, "PTR")) == answer


@pytest.mark.azure("DNS-13")
@pytest.mark.parametrize(
    ("machine", "name", "answer"),
    [
        ("Web_1", "api.shop.contoso.com", ["10.0.4.4"]),
        ("Web_1", "old.shop.contoso.com", "NXDOMAIN"),
        ("Web_1", "shop.contoso.com", "NOERROR"),
        ("far1", "api.shop.contoso.com", ["52.0.0.8"]),
        ("far1", "old.shop.contoso.com", ["52.0.0.9"]),
        ("Web_1", "app.contoso.com", ["52.0.0.7"]),
    ],
)
def test_a_linked_zone_shadows_the_public_one_of_its_name_and_nothing_more(
    names: Names, machine: str, name: str, answer: Any
) -> None:
    assert said(names.resolve(machine, name)) == answer


@pytest.mark.azure("DNS-15")
@pytest.mark.parametrize(
    ("name", "kind", "answer"),
    [
        ("db.corp.internal", "AAAA", "NOERROR"),
        ("DB.Corp.Internal.", "A", ["10.0.2.4", "10.0.2.5"]),
        ("db.corp.internal", "TXT", ["text"]),
        ("www.corp.internal", "A", ["52.0.0.7"]),
        ("www.corp.internal", "CNAME", ["app.contoso.com"]),
        ("other.corp.internal", "A", ["52.0.0.7"]),
        ("nowhere.corp.internal", "A", "NXDOMAIN"),
        ("round.corp.internal", "A", "SERVFAIL"),
        ("any.apps.corp.internal", "A", ["10.0.3.9"]),
        ("any.thing.apps.corp.internal", "A", ["10.0.3.9"]),
        ("one.apps.corp.internal", "A", "NOERROR"),
        ("any.one.apps.corp.internal", "A", "NXDOMAIN"),
        ("apps.corp.internal", "A", "NOERROR"),
        ("nothing.corp.internal", "A", "NXDOMAIN"),
    ],
)
def test_records_are_looked_up_as_dns_does(names: Names, name: str, kind: str, answer: Any) -> None:
    assert said(names.resolve("Web_1", name, kind)) == answer


def test_an_answer_lives_as_long_as_its_shortest_link(names: Names) -> None:
    found = names.resolve("Web_1", "other.corp.internal")
    assert found.answer is not None
    assert (found.answer.ttl, found.answer.chain) == (30, ("www.corp.internal", "app.contoso.com"))


@pytest.mark.azure("DNS-8", "DNS-16", "OUT-23")
@pytest.mark.parametrize("machine", ["Web_1", "far1", "visitor"])
def test_public_names_are_the_same_for_everybody(names: Names, machine: str) -> None:
    for name, answer in (
        ("contoso.com", ["52.0.0.1"]),
        ("my-app.westeurope.cloudapp.azure.com", ["52.0.0.1"]),
        ("other-app.westeurope.cloudapp.azure.com", "NXDOMAIN"),
        ("www.given.contoso.com", ["52.0.0.10"]),
        ("www.forgotten.contoso.com", "NXDOMAIN"),
        ("www.away.contoso.com", "SERVFAIL"),
        ("ns1-01.azure-dns.com", ["40.90.4.1"]),
        ("example.com", "NXDOMAIN"),
    ):
        assert said(names.resolve(machine, name)) == answer, name


@pytest.mark.azure("DNS-6", "NIC-11")
def test_custom_servers_are_asked_in_order_and_a_guest_answers_as_its_own_network(names: Names) -> None:
    found = names.resolve("customer", "db.corp.internal")
    assert (str(found.server), found.guest, said(found)) == ("10.2.0.10", "dns1", ["10.0.2.4", "10.0.2.5"])
    assert names.resolve("customer", "customer").name == "customer"
    outside = names.resolve("outsider", "db.corp.internal")
    assert (str(outside.server), outside.guest, said(outside)) == ("8.8.8.8", None, "NXDOMAIN")


@pytest.mark.azure("PLT-4")
def test_who_may_not_ask_hears_nothing(names: Names) -> None:
    assert said(names.resolve("deaf", "db.corp.internal")) == "silence"
