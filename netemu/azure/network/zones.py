"""DNS zones with their record sets, and the servers of the lab's internet that know the public ones.

Names are in lower case and without the dot at the end. What a resolver makes of the zones is worked out elsewhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address

from msgspec import Struct

from netemu.azure import resources as arm
from netemu.azure.network.machines import PublicIP
from netemu.azure.network.virtual_networks import region

Rdata = tuple[str, ...]
"""A record's fields, in the order of a zone file: `("10", "mail.contoso.com")` for MX, one for each string of a TXT."""

NAME_SERVERS = {
    "ns1-01.azure-dns.com": IPv4Address("40.90.4.1"),
    "ns2-01.azure-dns.net": IPv4Address("64.4.48.1"),
    "ns3-01.azure-dns.org": IPv4Address("13.107.24.1"),
    "ns4-01.azure-dns.info": IPv4Address("13.107.160.1"),
}
"""The name servers of every public zone (DNS-16). The addresses are Azure's (unverified)."""

PUBLIC_RESOLVERS = tuple(IPv4Address(text) for text in ("8.8.8.8", "8.8.4.4", "1.1.1.1", "1.0.0.1", "9.9.9.9"))
"""Addresses at which the lab's internet resolves public names for anybody, as the real one does."""

PRIVATE_SOA = ("azureprivatedns.net", "azureprivatedns-host.microsoft.com", 10)
PUBLIC_SOA = (next(iter(NAME_SERVERS)), "azuredns-hostmaster.microsoft.com", 300)
"""Host, e-mail and minimum TTL of a zone's SOA unless its owner has changed it. (unverified)"""

SOA_TTL, NS_TTL = 3600, 172800

APEX = "@"


class RecordSet(Struct, frozen=True):
    """All records of one type that a name has."""

    name: str
    """In full."""
    type: str
    """A, AAAA, CAA, CNAME, MX, NS, PTR, SOA, SRV or TXT."""
    ttl: int
    records: tuple[Rdata, ...]


class ZoneLink(Struct, frozen=True):
    """A virtual network in which a private zone is visible."""

    name: str
    virtualNetwork: str
    registrationEnabled: bool


class DnsZone(Struct, frozen=True):
    """A zone as it is written: without what registration adds to a private one."""

    name: str
    recordSets: tuple[RecordSet, ...]
    """The SOA first."""
    links: tuple[ZoneLink, ...] = ()
    """Of a private zone."""


def private_zone(name: str, written: arm.PrivateDnsZone) -> DnsZone:
    """Resolve one."""
    links = (ZoneLink(k, v.virtualNetwork, v.registrationEnabled) for k, v in written.virtualNetworkLinks.items())
    sets = list(_written(name.lower(), written.recordSets.items()))
    return DnsZone(name.lower(), (_soa(name, written.recordSets, *PRIVATE_SOA), *sets), tuple(links))


def public_zone(name: str, written: arm.DnsZone, addresses: dict[str, PublicIP]) -> DnsZone:
    """Resolve one. An alias has the records of what it points at (DNS-16)."""
    zone = name.lower()
    servers = RecordSet(zone, "NS", NS_TTL, tuple((server,) for server in NAME_SERVERS))
    sets = list(_written(zone, written.recordSets.items()))
    for key, record_set in written.recordSets.items():
        sets += _alias(zone, key, record_set, sets, addresses)
    return DnsZone(zone, (_soa(name, written.recordSets, *PUBLIC_SOA), servers, *sets))


def fully_qualified(name: str, zone: str) -> str:
    """The whole name of a record set."""
    return zone if name == APEX else f"{name}.{zone}".lower()


def public_name(scenario: arm.Scenario, written: arm.PublicIPAddress) -> str | None:
    """`label.region.cloudapp.azure.com` of a public IP with a label (DNS-8)."""
    label = written.dnsSettings.domainNameLabel if written.dnsSettings is not None else None
    return f"{label}.{region(scenario, written.location)}.cloudapp.azure.com" if label else None


def public_resolvers(scenario: arm.Scenario) -> tuple[IPv4Address, ...]:
    """Where the lab's internet resolves names: nowhere when there is nobody who would ask."""
    asked = {text for network in scenario.virtualNetworks.values() if network.dhcpOptions is not None
             for text in network.dhcpOptions.dnsServers}  # fmt: skip
    asked |= {text for nic in scenario.networkInterfaces.values() if nic.dnsSettings is not None
              for text in nic.dnsSettings.dnsServers}  # fmt: skip
    free = [address for address in PUBLIC_RESOLVERS if address not in _taken(scenario)]
    if scenario.internet.hosts or scenario.dnsZones or any(str(address) in asked for address in free):
        return tuple(free)
    return ()


def name_servers(scenario: arm.Scenario) -> dict[str, IPv4Address]:
    """The servers that answer for public zones with authority, if there are such zones."""
    if not scenario.dnsZones:
        return {}
    return {name: address for name, address in NAME_SERVERS.items() if address not in _taken(scenario)}


def _taken(scenario: arm.Scenario) -> set[IPv4Address]:
    written = [host.ipAddress for host in scenario.internet.hosts.values()]
    written += [ip.ipAddress for ip in scenario.publicIPAddresses.values() if ip.ipAddress is not None]
    return {IPv4Address(text) for text in written}


def _soa(zone: str, sets: dict[str, arm.RecordSet] | dict[str, arm.PublicRecordSet], host: str, email: str, least: int
         ) -> RecordSet:  # fmt: skip
    apex = sets.get(APEX)
    own = (apex.soaRecord if apex is not None else None) or arm.SoaRecord()
    minimum = least if own.minimumTtl is None else own.minimumTtl
    times = (own.refreshTime, own.retryTime, own.expireTime, minimum)
    return RecordSet(zone.lower(), "SOA", SOA_TTL, ((host, _host(own.email or email), "1", *map(str, times)),))


def _written(zone: str, sets: Iterable[tuple[str, arm.RecordSet]]) -> Iterator[RecordSet]:
    for key, record_set in sets:
        for kind, records in _by_type(record_set):
            if records:
                yield RecordSet(fully_qualified(key, zone), kind, record_set.ttl, tuple(records))


def _by_type(each: arm.RecordSet) -> Iterator[tuple[str, list[Rdata]]]:
    yield "A", [(record.ipv4Address,) for record in each.aRecords]
    yield "AAAA", [(str(IPv6Address(record.ipv6Address)),) for record in each.aaaaRecords]
    yield "CNAME", [(_host(each.cnameRecord.cname),)] if each.cnameRecord is not None else []
    yield "MX", [(str(record.preference), _host(record.exchange)) for record in each.mxRecords]
    yield "PTR", [(_host(record.ptrdname),) for record in each.ptrRecords]
    yield "SRV", [(str(r.priority), str(r.weight), str(r.port), _host(r.target)) for r in each.srvRecords]
    yield "TXT", [record.value for record in each.txtRecords]
    if isinstance(each, arm.PublicRecordSet):
        yield "NS", [(_host(record.nsdname),) for record in each.nsRecords]
        yield "CAA", [(str(record.flags), record.tag, record.value) for record in each.caaRecords]


def _alias(
    zone: str, key: str, each: arm.PublicRecordSet, known: list[RecordSet], addresses: dict[str, PublicIP]
) -> list[RecordSet]:
    target, name = each.targetResource, fully_qualified(key, zone)
    if target is None:
        return []
    kind, slash, other = target.partition("/")
    if slash and kind == "recordSets":
        there = fully_qualified(other, zone)
        return [RecordSet(name, k.type, k.ttl, k.records) for k in known if k.name == there and k.type in ALIASED]
    return [RecordSet(name, "A", each.ttl, ((str(addresses[other or target].address),),))]


ALIASED = ("A", "AAAA", "CNAME")
"""Types of record sets that an alias may point at."""


def _host(name: str) -> str:
    return name.lower().rstrip(".")
