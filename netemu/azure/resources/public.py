"""Public addresses, prefixes of them, and NAT gateways."""

from __future__ import annotations

from typing import Annotated

from netemu.azure.resources.base import AllocationMethod, Resource, Sku, Strings, described
from netemu.azure.resources.dns import PublicIPAddressDnsSettings


class PublicIPAddress(Resource, frozen=True):
    """A public address. Standard is closed until an NSG allows (OUT-17)."""

    sku: Annotated[Sku, described("Standard (closed without an NSG) or Basic (open without one).")] = "Standard"
    publicIPAllocationMethod: Annotated[
        AllocationMethod | None, described("Static, or Dynamic (Basic only); default: what the SKU allows.")
    ] = None
    ipAddress: Annotated[str | None, described("The address; netemu chooses one when absent.")] = None
    idleTimeoutInMinutes: Annotated[int, described("4 to 30.")] = 4
    dnsSettings: Annotated[PublicIPAddressDnsSettings | None, described("Names of the address.")] = None
    location: Annotated[str | None, described("Region; the scenario's location when absent.")] = None


class PublicIPPrefix(Resource, frozen=True):
    """A range of public addresses, for NAT gateways and frontends of outbound rules (OUT-39)."""

    prefixLength: Annotated[int, described("28 to 31: 16 addresses to 2.")]
    ipPrefix: Annotated[str | None, described("The range; netemu chooses one when absent.")] = None
    location: Annotated[str | None, described("Region; the scenario's location when absent.")] = None


class NatGateway(Resource, frozen=True):
    """Translates what the subnets that name it send to the internet (OUT-1, OUT-39…OUT-41)."""

    publicIPAddresses: Annotated[Strings, described("Standard public IPs; with the prefixes up to 16 addresses.")] = ()
    publicIPPrefixes: Annotated[Strings, described("Public IP prefixes.")] = ()
    idleTimeoutInMinutes: Annotated[int, described("Minutes until an idle TCP flow is forgotten: 4 to 120.")] = 4
    location: Annotated[str | None, described("Region; the scenario's location when absent.")] = None
