"""DNS zones, private and public, and the names of public IPs (DNS-8…DNS-10, DNS-15, DNS-16)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from ipaddress import AddressValueError, IPv6Address

from netemu.azure import resources as arm
from netemu.azure.network.virtual_networks import region
from netemu.azure.resources.dns import RECORDS
from netemu.scenario import codes
from netemu.scenario.report import quoted
from netemu.scenario.tree import Path
from netemu.scenario.validate.context import Context
from netemu.scenario.validate.limits import LINKS, RECORDS_PER_SET, REGISTRATION_LINKS, limit
from netemu.scenario.validate.names import resource_names

APEX = "@"
_LABEL = r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?"
_NAME = re.compile(rf"{_LABEL}(?:\.{_LABEL})*", re.ASCII)
_RECORD_SET = re.compile(rf"(?:\*|(?:\*\.)?{_LABEL}(?:\.{_LABEL})*)", re.ASCII)
_DOMAIN_NAME_LABEL = re.compile(r"[a-z][a-z0-9-]{1,61}[a-z0-9]", re.ASCII)
LONGEST = 253
MOST_LABELS = 34

BLOCKED = {
    "azclient.ms", "azure.com", "cloudapp.net", "core.windows.net", "microsoft.com", "msidentity.com",
    "trafficmanager.net", "windows.net", "internal.cloudapp.net", "in-addr.arpa", "ip6.arpa",
}  # fmt: skip
"""Zones that nobody can have: names of Azure's own, and all reverse lookups at once. (unverified)"""

ALONE = ("cnameRecord", "targetResource")
"""What a name has in place of everything else."""
HOSTS = {"mxRecords": "exchange", "ptrRecords": "ptrdname", "srvRecords": "target", "nsRecords": "nsdname"}
"""Which property of a record is the name of a host."""
NUMBERS = {
    "mxRecords": {"preference": 65535},
    "srvRecords": {"priority": 65535, "weight": 65535, "port": 65535},
    "caaRecords": {"flags": 255},
}
LONGEST_STRING = 255
LONGEST_TTL = 2**31 - 1


def check(context: Context) -> None:
    """Check every zone, and the names of public IPs."""
    scenario = context.scenario
    _zones(context, "privateDnsZones", scenario.privateDnsZones)
    _zones(context, "dnsZones", scenario.dnsZones)
    _links(context)
    labels: dict[tuple[str, str], str] = {}
    for name, public in scenario.publicIPAddresses.items():
        if public.dnsSettings is not None:
            _public_name(context, ("publicIPAddresses", name), name, public, labels)


def _zones(context: Context, section: str, zones: Mapping[str, arm.PrivateDnsZone | arm.DnsZone]) -> None:
    seen: dict[str, str] = {}
    for zone, written in zones.items():
        path = (section, zone)
        labels = zone.count(".") + 1
        if not _NAME.fullmatch(zone) or len(zone) > LONGEST or not 2 <= labels <= MOST_LABELS:
            context.add(
                path, "", f"{quoted(zone)} cannot be a zone's name",
                f"2 to {MOST_LABELS} labels of letters, digits, `-` and `_`, such as corp.internal",
                codes.INVALID_ZONE_NAME,
            )  # fmt: skip
        elif zone.lower() in BLOCKED:
            context.add(path, "", f"nobody can have the zone {zone}", "a zone of your own", codes.INVALID_ZONE_NAME)
        _unique(context, path, zone, seen)
        names: dict[str, str] = {}
        for name, record_set in written.recordSets.items():
            where = (*path, "recordSets", name)
            whole = len(zone) + (0 if name == APEX else len(name) + 1)
            if name != APEX and (not _RECORD_SET.fullmatch(name) or whole > LONGEST):
                context.add(
                    where, "", f"{quoted(name)} cannot be a record set's name",
                    f"a name relative to the zone, such as db1, _ldap._tcp or *; {APEX} is the zone itself",
                    codes.INVALID_RECORD_SET,
                )  # fmt: skip
            _unique(context, where, name, names)
            _record_set(context, where, name, record_set, written)


def _unique(context: Context, path: Path, name: str, seen: dict[str, str]) -> None:
    first = seen.setdefault(name.lower(), name)
    if first != name:
        context.add(
            path, "", f"{quoted(name)} and {quoted(first)} are one name: DNS ignores case", "choose another name",
            codes.RESOURCE_NAME_IN_USE,
        )  # fmt: skip


def _record_set(
    context: Context, path: Path, name: str, written: arm.RecordSet, zone: arm.PrivateDnsZone | arm.DnsZone
) -> None:
    alone = [prop for prop in ALONE if getattr(written, prop, None) is not None]
    kinds = [prop for prop in RECORDS if getattr(written, prop, ())]
    if not 0 <= written.ttl <= LONGEST_TTL:
        context.add(path, "ttl", f"ttl cannot be {written.ttl}", f"0 to {LONGEST_TTL}", codes.INVALID_PARAMETER)
    if name == APEX and "cnameRecord" in alone:
        context.add(
            path, "cnameRecord", "a zone has a SOA record, and a name with cnameRecord has nothing else",
            "aRecords, or another name", codes.INVALID_RECORD_SET,
        )  # fmt: skip
    elif alone and (others := kinds + alone[1:]):
        context.add(
            path, alone[0], f"a name with {alone[0]} has nothing else, and this has {others[0]}",
            "another name, or another kind of record", codes.INVALID_RECORD_SET,
        )  # fmt: skip
    if not alone and not kinds and written.soaRecord is None and not context.gap(path, *ALONE, *RECORDS, "soaRecord"):
        context.add(path, "", "the record set has no record", "add aRecords, for example", codes.INVALID_RECORD_SET)
    if written.soaRecord is not None:
        _soa(context, path, name, written.soaRecord)
    if written.cnameRecord is not None:
        _host(context, (*path, "cnameRecord"), "cname", written.cnameRecord.cname)
    for prop in kinds:
        limit(context, path, prop, len(getattr(written, prop)), RECORDS_PER_SET, "records")
        _records(context, path, prop, getattr(written, prop))
    if isinstance(written, arm.PublicRecordSet):
        _public_only(context, path, name, written, zone)


def _soa(context: Context, path: Path, name: str, soa: arm.SoaRecord) -> None:
    where = (*path, "soaRecord")
    if name != APEX:
        context.add(path, "soaRecord", "only a zone has a SOA record", f"at {APEX}", codes.INVALID_RECORD_SET)
    if soa.email is not None:
        _host(context, where, "email", soa.email)
    for prop in ("refreshTime", "retryTime", "expireTime", "minimumTtl"):
        value = getattr(soa, prop)
        if value is not None and not 0 <= value <= LONGEST_TTL:
            context.add(where, prop, f"{prop} cannot be {value}", f"0 to {LONGEST_TTL}", codes.INVALID_PARAMETER)


def _records(context: Context, path: Path, prop: str, records: tuple[arm.Resource, ...]) -> None:
    seen: set[arm.Resource] = set()
    for index, record in enumerate(records):
        where = (*path, prop, index)
        if record in seen:
            context.add(path, (prop, index), "the record is there twice", "remove one", codes.INVALID_RECORD_SET)
        seen.add(record)
        for name, most in NUMBERS.get(prop, {}).items():
            value = getattr(record, name)
            if not 0 <= value <= most:
                context.add(where, name, f"{name} cannot be {value}", f"0 to {most}", codes.INVALID_PARAMETER)
        if prop in HOSTS:
            _host(context, where, HOSTS[prop], getattr(record, HOSTS[prop]))
        elif prop == "aRecords":
            context.address(where, "ipv4Address", record.ipv4Address)  # type: ignore[attr-defined]  # an ARecord
        elif prop == "aaaaRecords":
            _ipv6(context, where, record.ipv6Address)  # type: ignore[attr-defined]  # an AaaaRecord
        elif prop == "txtRecords":
            _strings(context, where, "value", record.value)  # type: ignore[attr-defined]  # a TxtRecord
        elif prop == "caaRecords":
            _strings(context, where, "value", (record.value,))  # type: ignore[attr-defined]  # a CaaRecord
            _caa_tag(context, where, record.tag)  # type: ignore[attr-defined]


def _host(context: Context, path: Path, prop: str, text: str) -> None:
    if text and (not _NAME.fullmatch(text.removesuffix(".")) or len(text) > LONGEST):
        context.add(
            path, prop, f"{quoted(text)} is not a name", "a name in full, such as app.contoso.com",
            codes.INVALID_RECORD_SET,
        )  # fmt: skip


def _ipv6(context: Context, path: Path, text: str) -> None:
    try:
        IPv6Address("%" if "%" in text else text or "::")
    except AddressValueError:
        context.add(
            path, "ipv6Address", f"{quoted(text)} is not an IPv6 address", "one such as 2001:db8::1",
            codes.INVALID_ADDRESS,
        )  # fmt: skip


def _strings(context: Context, path: Path, prop: str, strings: Iterable[str]) -> None:
    for text in strings:
        if len(text.encode()) > LONGEST_STRING:
            context.add(
                path, prop, f"a string of {len(text.encode())} bytes", f"several of at most {LONGEST_STRING}",
                codes.INVALID_RECORD_SET,
            )  # fmt: skip


def _caa_tag(context: Context, path: Path, tag: str) -> None:
    if tag and not (tag.isascii() and tag.isalnum() and len(tag) <= 15):
        context.add(path, "tag", f"{quoted(tag)} cannot be a tag", "issue, for example", codes.INVALID_RECORD_SET)


def _public_only(
    context: Context, path: Path, name: str, written: arm.PublicRecordSet, zone: arm.PrivateDnsZone | arm.DnsZone
) -> None:
    if name == APEX and written.nsRecords:
        context.add(
            path, "nsRecords", "the name servers of the zone itself are Azure's", "remove it", codes.INVALID_RECORD_SET
        )
    target = written.targetResource
    if not target:
        return
    kind, slash, other = target.partition("/")
    if slash and kind == "recordSets":
        if other == name:
            context.add(path, "targetResource", "an alias of itself", "another name", codes.INVALID_RECORD_SET)
            return
        aliases = [key for key, each in zone.recordSets.items() if getattr(each, "targetResource", None) is not None]
        if other in aliases:
            context.add(
                path, "targetResource", f"{quoted(other)} is an alias itself", "what it points at",
                codes.INVALID_RECORD_SET,
            )  # fmt: skip
            return
        context.reference(path, "targetResource", other, "record set", zone.recordSets, "dnsZones")
        return
    wanted = other if slash and kind == "publicIPAddresses" else target
    addresses = context.scenario.publicIPAddresses
    context.reference(path, "targetResource", wanted, "publicIPAddress", addresses, "publicIPAddresses")


def _links(context: Context) -> None:
    """Which networks see which zones: one link for each pair, one registration for each network (DNS-10)."""
    registered: dict[str, str] = {}
    for zone, written in context.scenario.privateDnsZones.items():
        path = ("privateDnsZones", zone)
        where = (*path, "virtualNetworkLinks")
        resource_names(context, where, written.virtualNetworkLinks)
        limit(context, path, "virtualNetworkLinks", len(written.virtualNetworkLinks), LINKS, "links")
        registrations = [link for link in written.virtualNetworkLinks.values() if link.registrationEnabled]
        limit(context, path, "virtualNetworkLinks", len(registrations), REGISTRATION_LINKS, "registration links")
        linked: dict[str, str] = {}
        for name, link in written.virtualNetworkLinks.items():
            network = link.virtualNetwork
            if not context.reference(
                (*where, name), "virtualNetwork", network, "virtualNetwork", context.scenario.virtualNetworks,
                "virtualNetworks",
            ):  # fmt: skip
                continue
            first = linked.setdefault(network, name)
            if first != name:
                context.add(
                    (*where, name), "virtualNetwork", f"{network} is linked to the zone by {first} already",
                    "one link for each network", codes.LINK_CONFLICT,
                )  # fmt: skip
            elif link.registrationEnabled and registered.setdefault(network, zone) != zone:
                context.add(
                    (*where, name), "registrationEnabled", f"{network} registers in {registered[network]} already",
                    "one registration link for each network", codes.LINK_CONFLICT,
                )  # fmt: skip


def _public_name(
    context: Context, path: Path, name: str, public: arm.PublicIPAddress, labels: dict[tuple[str, str], str]
) -> None:
    where = (*path, "dnsSettings")
    settings = public.dnsSettings or arm.PublicIPAddressDnsSettings()
    label = settings.domainNameLabel
    if label is not None and not _DOMAIN_NAME_LABEL.fullmatch(label):
        context.add(
            where, "domainNameLabel", f"{quoted(label)} cannot be a label",
            "3 to 63 lower-case letters, digits and inner `-`, beginning with a letter", codes.INVALID_LABEL,
        )  # fmt: skip
    elif label is not None:
        first = labels.setdefault((region(context.scenario, public.location), label), name)
        if first != name:
            context.add(
                where, "domainNameLabel", f"publicIPAddresses/{first} has the label {label} in this region",
                "another label", codes.DNS_RECORD_IN_USE,
            )  # fmt: skip
    if settings.reverseFqdn is not None:
        _host(context, where, "reverseFqdn", settings.reverseFqdn)
