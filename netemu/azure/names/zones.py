"""Which zones a resolver knows, and what is in them that nobody has written (DNS-1…DNS-5, DNS-8…DNS-17)."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address

from netemu.azure.names.lookup import Zone, Zones, ancestors
from netemu.azure.network import DnsZone, Machine, Network, RecordSet

ROOT, REVERSE = "", "in-addr.arpa"
REGISTERED_TTL = 10
"""Seconds (DNS-17)."""
HOST_TTL = 3600

PTR_DOMAIN = "internal.cloudapp.net"
"""What the reverse lookup of a VM's address ends with (DNS-4)."""


def platform_zones(network: Network, virtual_network: str) -> Zones:
    """What 168.63.129.16 knows for who asks from a virtual network."""
    linked = [
        (zone, link.registrationEnabled)
        for zone in network.privateDnsZones.values()
        for link in zone.links
        if link.virtualNetwork == virtual_network
    ]
    private = [_private(network, zone) for zone, _ in linked]
    public = _public(network)
    reverse = public[REVERSE]
    registered_in = [zone.name for zone, registers in linked if registers]
    for machine in network.machines.values():
        if machine.nics[0].subnet.virtualNetwork == virtual_network:
            _add_reverse(reverse, machine, registered_in)
    internal = Zone(network.virtualNetworks[virtual_network].internalDomainNameSuffix)
    internal.names[internal.name] = {}
    for name, address in _internal_names(network, virtual_network):
        internal.add(_host_record(f"{name}.{internal.name}", [address]))
    return Zones([*public.values(), internal, *private])  # of two zones with one name the private one counts (DNS-13)


def internet_zones(network: Network) -> Zones:
    """What a resolver on the internet knows: nothing private."""
    return Zones(_public(network).values())


def _internal_names(network: Network, virtual_network: str) -> Iterator[tuple[str, IPv4Address]]:
    """DNS-2, DNS-3."""
    for machine in network.machines.values():
        if machine.nics[0].subnet.virtualNetwork == virtual_network:
            for nic in machine.nics:
                if nic.internalDnsNameLabel is not None:
                    yield nic.internalDnsNameLabel, nic.address
            yield machine.computerName, machine.nics[0].address


def _private(network: Network, zone: DnsZone) -> Zone:
    """A private zone, with what its registration links register (DNS-11); what is written has precedence."""
    result = Zone(zone.name)
    registering = {link.virtualNetwork for link in zone.links if link.registrationEnabled}
    for machine in network.machines.values():
        if machine.nics[0].subnet.virtualNetwork in registering:
            result.add(_host_record(f"{machine.computerName}.{zone.name}", [machine.nics[0].address]))
    written: dict[str, list[RecordSet]] = {}
    for record_set in zone.recordSets:
        written.setdefault(record_set.name, []).append(record_set)
    for name, sets in written.items():
        if any(each.type in ("A", "CNAME") for each in sets):
            result.names.pop(name, None)
        for each in sets:
            result.add(each)
    return result


def _add_reverse(zone: Zone, machine: Machine, registered_in: list[str]) -> None:
    """DNS-4, DNS-12."""
    for nic in machine.nics:
        for config in nic.ipConfigs:
            names = [f"{machine.computerName}.{PTR_DOMAIN}"]
            if nic.index == 0 and config.primary:
                names += [f"{machine.computerName}.{each}" for each in registered_in]
            zone.add(RecordSet(reverse_name(config.address), "PTR", REGISTERED_TTL, tuple((name,) for name in names)))


def _public(network: Network) -> dict[str, Zone]:
    """Public DNS: zones that are delegated, labels of public IPs, hosts, and addresses' names."""
    zones = {name: Zone(name, {name: {}}) for name in (ROOT, REVERSE)}
    for host in network.hosts.values():
        zones[ROOT].add(RecordSet(host.name.lower(), "A", HOST_TTL, ((str(host.address),),)))
        zones[REVERSE].add(RecordSet(reverse_name(host.address), "PTR", HOST_TTL, ((host.name.lower(),),)))
    for name, address in network.nameServers.items():
        zones[ROOT].add(RecordSet(name, "A", HOST_TTL, ((str(address),),)))
    for public in network.publicIPs.values():
        if public.fqdn is not None:
            region = public.fqdn.partition(".")[2]
            zones.setdefault(region, Zone(region)).add(_host_record(public.fqdn, [public.address]))
        if public.reverseFqdn is not None:
            name = public.reverseFqdn.lower().rstrip(".")
            zones[REVERSE].add(RecordSet(reverse_name(public.address), "PTR", HOST_TTL, ((name,),)))
    for name, zone in network.dnsZones.items():
        if _is_delegated(network, name):
            zones[name] = Zone(name)
            for record_set in zone.recordSets:
                zones[name].add(record_set)
    return zones


def _is_delegated(network: Network, name: str) -> bool:
    """Does anything lead to the zone? The registry does, unless there is another zone of the scenario above it."""
    parent = next((network.dnsZones[above] for above in ancestors(name) if above in network.dnsZones), None)
    if parent is None:
        return True
    return any(each.type == "NS" and each.name == name for each in parent.recordSets)


def _host_record(name: str, addresses: list[IPv4Address]) -> RecordSet:
    return RecordSet(name, "A", REGISTERED_TTL, tuple((str(address),) for address in addresses))


def reverse_name(address: IPv4Address) -> str:
    """The name that a reverse lookup asks for."""
    return address.reverse_pointer
