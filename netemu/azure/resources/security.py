"""Network security groups and application security groups."""

from __future__ import annotations

from typing import Annotated

from msgspec import field

from netemu.azure.resources.base import Access, Direction, Resource, SecurityRuleProtocol, Strings, described


class SecurityRule(Resource, frozen=True):
    """One rule of an NSG (NSG-3). A singular property and its plural exclude each other (NSG-14)."""

    priority: Annotated[int, described("100 to 4096; the lowest number that matches decides.")]
    direction: Annotated[Direction, described("Seen from the VM.")]
    access: Annotated[Access, described("What happens to a packet that matches.")]
    protocol: Annotated[SecurityRuleProtocol, described("Tcp, Udp, Icmp, Esp, Ah, or * for any.")]
    sourcePortRange: Annotated[Strings | None, described("Source port, range or *.")] = None
    sourcePortRanges: Annotated[Strings | None, described("Several source ports and ranges.")] = None
    destinationPortRange: Annotated[Strings | None, described("Destination port, range or *.")] = None
    destinationPortRanges: Annotated[Strings | None, described("Several destination ports and ranges.")] = None
    sourceAddressPrefix: Annotated[Strings | None, described("Address, prefix, service tag or *.")] = None
    sourceAddressPrefixes: Annotated[Strings | None, described("Several addresses and prefixes.")] = None
    destinationAddressPrefix: Annotated[Strings | None, described("Address, prefix, service tag or *.")] = None
    destinationAddressPrefixes: Annotated[Strings | None, described("Several addresses and prefixes.")] = None
    sourceApplicationSecurityGroups: Annotated[Strings | None, described("ASGs instead of addresses.")] = None
    destinationApplicationSecurityGroups: Annotated[Strings | None, described("ASGs instead of addresses.")] = None
    description: Annotated[str | None, described("For the reader; 140 characters at most.")] = None


class NetworkSecurityGroup(Resource, frozen=True):
    """A list of security rules; Azure's six default rules are always there too (NSG-7, NSG-8)."""

    securityRules: Annotated[dict[str, SecurityRule], described("Rules by name.")] = field(default_factory=dict)
    location: Annotated[str | None, described("Region; the scenario's location when absent.")] = None


class ApplicationSecurityGroup(Resource, frozen=True):
    """A name that NICs join and security rules use in place of addresses (NSG-29)."""

    location: Annotated[str | None, described("Region; the scenario's location when absent.")] = None
