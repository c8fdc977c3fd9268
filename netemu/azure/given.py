"""What a lab keeps from one version of its scenario to the next."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from msgspec import Struct


class Given(Struct, frozen=True):
    """What a running lab has given out by itself. It stays while its owner does, whatever is added or goes (IP-5)."""

    addresses: dict[str, IPv4Address] = {}
    """Private addresses by `<NIC>/<IP configuration>`; a dynamic one is kept while it is free and in its subnet."""
    publicIPs: dict[str, IPv4Address] = {}
    defaultOutbound: dict[str, IPv4Address] = {}
    """By `<NIC>/<IP configuration>`."""
    macs: dict[str, str] = {}
    """By NIC."""
    frontends: dict[str, IPv4Address] = {}
    """Addresses of internal frontends by `<load balancer>/<frontend>` (IP-12)."""
    publicIPPrefixes: dict[str, IPv4Network] = {}
    natPorts: dict[str, int] = {}
    """Frontend ports of NAT ranges by `<load balancer>/<rule or pool>/<NIC>/<IP configuration>` (LB-17)."""
