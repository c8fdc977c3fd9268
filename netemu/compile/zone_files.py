"""DNS zones to zone files: one set of files for each resolver, in which a name is in exactly one zone.

A resolver follows a CNAME from zone to zone, but within a zone it believes the zone. So what a zone says about names
that a longer zone of the same resolver has is left out: that is how a private zone shadows a public one (DNS-13), and
how a public CNAME to a private endpoint ends at the private address.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address

from msgspec import Struct, field

from netemu.azure.network import DnsZone, Network

Files = dict[str, str]
"""Zone files by the name of the zone; the root's is called `root`."""

ROOT, ROOT_FILE = "", "root"
REVERSE = "in-addr.arpa"

REGISTERED = 10
"""TTL of what nobody has written, in seconds (DNS-17)."""
PUBLIC = 3600

ORIGINS = {
    ROOT: "a.root-servers.net. nstld.verisign-grs.com. 1 1800 900 604800 86400",
    "private": "azureprivatedns.net. azureprivatedns-host.microsoft.com. 1 3600 300 2419200 10",
    "public": "ns1-01.azure-dns.com. azuredns-hostmaster.microsoft.com. 1 3600 300 2419200 300",
}
"""SOA records of zones that are nobody's."""

NAME_FIELDS = {"CNAME": (0,), "MX": (1,), "NS": (0,), "PTR": (0,), "SOA": (0, 1), "SRV": (3,)}
"""Which fields of a record are names."""
TEXT_FIELDS = {"TXT": slice(0, None), "CAA": slice(2, 3)}
"""Which are strings in quotes."""


class Line(Struct, frozen=True):
    """A record in a zone file."""

    owner: str
    ttl: int
    type: str
    data: str


class Draft(Struct):
    """A zone in the making."""

    lines: list[Line] = field(default_factory=list)

    def add(self, owner: str, ttl: int, kind: str, *values: str) -> None:
        """Add a record."""
        self.lines.append(Line(owner, ttl, kind, _data(kind, values)))


def platform_files(network: Network, virtual_network: str) -> Files:
    """What 168.63.129.16 of a virtual network knows: its machines, linked private zones, and all that is public."""
    drafts = _public(network)
    suffix = network.virtualNetworks[virtual_network].internalDomainNameSuffix
    drafts[suffix] = _begun("private", suffix)
    linked = {
        name: [link for link in zone.links if link.virtualNetwork == virtual_network]
        for name, zone in network.privateDnsZones.items()
    }
    registrations = [name for name, links in linked.items() if any(link.registrationEnabled for link in links)]
    for machine in network.machines.values():
        if machine.nics[0].subnet.virtualNetwork != virtual_network:
            continue
        host = machine.computerName
        for nic in machine.nics:
            if nic.internalDnsNameLabel not in (None, host):
                drafts[suffix].add(f"{nic.internalDnsNameLabel}.{suffix}", REGISTERED, "A", str(nic.address))
            for config in nic.ipConfigs:
                drafts[REVERSE].add(config.address.reverse_pointer, REGISTERED, "PTR", f"{host}.internal.cloudapp.net")
        drafts[suffix].add(f"{host}.{suffix}", REGISTERED, "A", str(machine.nics[0].address))
        for name in registrations:
            pointer = machine.nics[0].address.reverse_pointer
            drafts[REVERSE].add(pointer, REGISTERED, "PTR", f"{host}.{name}")
    for name, links in linked.items():
        if links:
            drafts[name] = _private(network, network.privateDnsZones[name])
    return _files(drafts)


def internet_files(network: Network) -> Files:
    """What a resolver on the internet knows."""
    return _files(_public(network))


def authoritative_files(network: Network) -> Files:
    """What the name servers of public zones answer for: every zone, whether anything leads to it or not (DNS-16)."""
    return {name: _text(name, _written(zone).lines) for name, zone in network.dnsZones.items()}


def _private(network: Network, zone: DnsZone) -> Draft:
    """DNS-11: registration never replaces what somebody has written; of two machines with one name the later counts."""
    draft = _written(zone)
    taken = {each.name for each in zone.recordSets if each.type in ("A", "CNAME")}
    registering = [link.virtualNetwork for link in zone.links if link.registrationEnabled]
    registered: dict[str, IPv4Address] = {}
    for machine in network.machines.values():
        if machine.nics[0].subnet.virtualNetwork in registering:
            registered[f"{machine.computerName}.{zone.name}"] = machine.nics[0].address
    for name, address in registered.items():
        if name not in taken:
            draft.add(name, REGISTERED, "A", str(address))
    return draft


def _public(network: Network) -> dict[str, Draft]:
    drafts = {ROOT: _begun(ROOT, ROOT), REVERSE: _begun("public", REVERSE)}
    for host in network.hosts.values():
        drafts[ROOT].add(host.name.lower(), PUBLIC, "A", str(host.address))
        drafts[REVERSE].add(host.address.reverse_pointer, PUBLIC, "PTR", host.name.lower())
    for server, address in network.nameServers.items():
        drafts[ROOT].add(server, PUBLIC, "A", str(address))
    for public in network.publicIPs.values():
        if public.fqdn is not None:  # DNS-8
            region = public.fqdn.split(".", 1)[1]
            drafts.setdefault(region, _begun("public", region)).add(public.fqdn, REGISTERED, "A", str(public.address))
        if public.reverseFqdn is not None:
            name = public.reverseFqdn.lower().rstrip(".")
            drafts[REVERSE].add(public.address.reverse_pointer, PUBLIC, "PTR", name)
    for name, zone in network.dnsZones.items():
        above = [other for other in network.dnsZones if name.endswith(f".{other}")]
        parent = network.dnsZones[max(above, key=len)] if above else None
        if parent is None or any((each.name, each.type) == (name, "NS") for each in parent.recordSets):
            drafts[name] = _written(zone)
    return drafts


def _begun(origin: str, zone: str) -> Draft:
    draft = Draft()
    draft.lines.append(Line(zone, PUBLIC, "SOA", ORIGINS[origin]))
    return draft


def _written(zone: DnsZone) -> Draft:
    draft = Draft()
    for record_set in zone.recordSets:
        for record in record_set.records:
            draft.add(record_set.name, record_set.ttl, record_set.type, *record)
    return draft


def _files(drafts: dict[str, Draft]) -> Files:
    """Every zone without the names that a longer one has."""
    names = set(drafts)
    return {
        zone or ROOT_FILE: _text(zone, (line for line in draft.lines if _zone_of(line.owner, names) == zone))
        for zone, draft in drafts.items()
    }


def _zone_of(name: str, zones: set[str]) -> str:
    while name not in zones:
        name = name.partition(".")[2]
    return name


def _text(zone: str, lines: Iterable[Line]) -> str:
    lines = list(lines)
    return "".join(_lines(zone, [*lines, *_placeholders(zone, {line.owner for line in lines})]))


def _placeholders(zone: str, owners: set[str]) -> Iterator[Line]:
    """Records that nobody asks for, at names that exist only because there are names below them.

    unbound forgets these when it looks whether a wildcard applies, and it must not apply below them (RFC 4592, 2.2.2).
    """
    if any(owner.startswith("*.") for owner in owners):
        between = {above for owner in owners for above in _between(owner, zone)} - owners
        yield from (Line(name, PUBLIC, "TYPE65280", "\\# 0") for name in sorted(between))


def _between(owner: str, zone: str) -> Iterator[str]:
    """The names above a name and below its zone."""
    while owner != zone and (owner := owner.partition(".")[2]) not in (zone, ""):
        yield owner


def _lines(zone: str, lines: Iterable[Line]) -> Iterator[str]:
    yield f"$ORIGIN {zone}.\n"
    for line in dict.fromkeys(lines):
        yield f"{line.owner}. {line.ttl} IN {line.type} {line.data}\n"


def _data(kind: str, values: tuple[str, ...]) -> str:
    words = list(values)
    for index in NAME_FIELDS.get(kind, ()):
        words[index] += "."
    if kind in TEXT_FIELDS:
        words[TEXT_FIELDS[kind]] = [_quoted(word) for word in words[TEXT_FIELDS[kind]]]
    return " ".join(words)


def _quoted(text: str) -> str:
    """A string of a zone file: what is not plain ASCII, byte by byte as a decimal number."""
    plain = (chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\' else f"\\{byte:03}" for byte in text.encode())
    return f'"{"".join(plain)}"'
