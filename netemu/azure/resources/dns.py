"""DNS zones, private and public, and their record sets (DNS-9, DNS-15, DNS-16).

ARM has one resource for each record set, `privateDnsZones/corp.internal/A/db1`; here a name has its record sets of all
types together. Where a record has a single property, or is usually written on one line, that line may stand for it:
`aRecords: 10.0.2.4`, `mxRecords: 10 mail.contoso.com`.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from msgspec import field

from netemu.azure.resources.base import Resource, Strings, described


class ARecord(Resource, frozen=True):
    """An IPv4 address."""

    in_a_line: ClassVar[tuple[str, ...]] = ("ipv4Address",)
    ipv4Address: Annotated[str, described("IPv4 address.")]


class AaaaRecord(Resource, frozen=True):
    """An IPv6 address: a name may have one, though the lab carries no IPv6 (ARP-12)."""

    in_a_line: ClassVar[tuple[str, ...]] = ("ipv6Address",)
    ipv6Address: Annotated[str, described("IPv6 address.")]


class CnameRecord(Resource, frozen=True):
    """Another name of a name; there can be one, and nothing beside it."""

    in_a_line: ClassVar[tuple[str, ...]] = ("cname",)
    cname: Annotated[str, described("The canonical name, in full.")]


class MxRecord(Resource, frozen=True):
    """A mail server."""

    in_a_line: ClassVar[tuple[str, ...]] = ("preference", "exchange")
    preference: Annotated[int, described("The lowest is tried first: 0 to 65535.")]
    exchange: Annotated[str, described("Name of the mail server, in full.")]


class NsRecord(Resource, frozen=True):
    """A name server; below the apex it delegates the name to another zone."""

    in_a_line: ClassVar[tuple[str, ...]] = ("nsdname",)
    nsdname: Annotated[str, described("Name of the name server, in full.")]


class PtrRecord(Resource, frozen=True):
    """The name that belongs to an address."""

    in_a_line: ClassVar[tuple[str, ...]] = ("ptrdname",)
    ptrdname: Annotated[str, described("The name, in full.")]


class SrvRecord(Resource, frozen=True):
    """Where a service is."""

    in_a_line: ClassVar[tuple[str, ...]] = ("priority", "weight", "port", "target")
    priority: Annotated[int, described("The lowest is tried first: 0 to 65535.")]
    weight: Annotated[int, described("Share among equal priorities: 0 to 65535.")]
    port: Annotated[int, described("Port of the service: 0 to 65535.")]
    target: Annotated[str, described("Name of the machine, in full.")]


class TxtRecord(Resource, frozen=True):
    """A text, in strings of at most 255 bytes."""

    in_a_line: ClassVar[tuple[str, ...]] = ("value",)
    value: Annotated[Strings, described("Its strings.")]


class CaaRecord(Resource, frozen=True):
    """Who may issue certificates for the name."""

    in_a_line: ClassVar[tuple[str, ...]] = ("flags", "tag", "value")
    flags: Annotated[int, described("0 to 255; 128 is critical.")]
    tag: Annotated[str, described("issue, issuewild, iodef and the like.")]
    value: Annotated[str, described("What the tag says.")]


RECORDS: dict[str, tuple[str, ...]] = {
    "aRecords": ARecord.in_a_line,
    "aaaaRecords": AaaaRecord.in_a_line,
    "mxRecords": MxRecord.in_a_line,
    "ptrRecords": PtrRecord.in_a_line,
    "srvRecords": SrvRecord.in_a_line,
    "txtRecords": TxtRecord.in_a_line,
    "nsRecords": NsRecord.in_a_line,
    "caaRecords": CaaRecord.in_a_line,
}
"""The properties of a record set that are lists of records, and what one has in a line."""


class SoaRecord(Resource, frozen=True):
    """What of a zone's SOA record can be changed; it is at the apex, @."""

    email: Annotated[str | None, described("Who is responsible, with a dot in place of @.")] = None
    refreshTime: Annotated[int, described("Seconds.")] = 3600
    retryTime: Annotated[int, described("Seconds.")] = 300
    expireTime: Annotated[int, described("Seconds.")] = 2419200
    minimumTtl: Annotated[
        int | None, described("Seconds that an absence may be remembered; default 10 (private), 300 (public).")
    ] = None


class RecordSet(Resource, frozen=True):
    """The record sets of a name, which share their TTL."""

    ttl: Annotated[int, described("Seconds that an answer may be remembered.")] = 3600
    aRecords: Annotated[tuple[ARecord, ...], described("IPv4 addresses.")] = ()
    aaaaRecords: Annotated[tuple[AaaaRecord, ...], described("IPv6 addresses.")] = ()
    cnameRecord: Annotated[CnameRecord | None, described("Another name in place of everything else.")] = None
    mxRecords: Annotated[tuple[MxRecord, ...], described("Mail servers.")] = ()
    ptrRecords: Annotated[tuple[PtrRecord, ...], described("Names of an address.")] = ()
    srvRecords: Annotated[tuple[SrvRecord, ...], described("Where a service is.")] = ()
    txtRecords: Annotated[tuple[TxtRecord, ...], described("Texts.")] = ()
    soaRecord: Annotated[SoaRecord | None, described("The zone's SOA, at @.")] = None


class PublicRecordSet(RecordSet, frozen=True):
    """The same in a public zone, which has some types more, and alias record sets (DNS-15, DNS-16)."""

    nsRecords: Annotated[tuple[NsRecord, ...], described("Name servers that the name is delegated to.")] = ()
    caaRecords: Annotated[tuple[CaaRecord, ...], described("Who may issue certificates.")] = ()
    targetResource: Annotated[
        str | None, described("Alias: a public IP, or other record sets of the zone as recordSets/name.")
    ] = None


class VirtualNetworkLink(Resource, frozen=True):
    """Makes a private zone visible in a virtual network (DNS-9, DNS-14)."""

    virtualNetwork: Annotated[str, described("Name of the virtual network.")]
    registrationEnabled: Annotated[
        bool, described("Register its VMs in the zone; one zone for each network (DNS-10, DNS-11).")
    ] = False


class PrivateDnsZone(Resource, frozen=True):
    """A zone that only virtual networks with a link see; it shadows a public zone of its name (DNS-9, DNS-13)."""

    recordSets: Annotated[dict[str, RecordSet], described("By relative name; @ is the zone itself.")] = field(
        default_factory=dict
    )
    virtualNetworkLinks: Annotated[dict[str, VirtualNetworkLink], described("Links by name.")] = field(
        default_factory=dict
    )


class DnsZone(Resource, frozen=True):
    """A zone on the lab's internet (DNS-16)."""

    recordSets: Annotated[dict[str, PublicRecordSet], described("By relative name; @ is the zone itself.")] = field(
        default_factory=dict
    )


class PublicIPAddressDnsSettings(Resource, frozen=True):
    """Names of a public IP (DNS-8)."""

    domainNameLabel: Annotated[
        str | None, described("Its name is <label>.<region>.cloudapp.azure.com; the label is unique in its region.")
    ] = None
    reverseFqdn: Annotated[str | None, described("What a reverse lookup of the address gives.")] = None
