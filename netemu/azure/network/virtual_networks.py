"""Virtual networks and their peerings."""

from __future__ import annotations

from ipaddress import IPv4Network

from msgspec import Struct

from netemu.azure import resources as arm
from netemu.azure.network.given_out import digest
from netemu.azure.network.machines import Subnet


class Peering(Struct, frozen=True):
    """One side of a peering, seen from the network that owns it."""

    name: str
    remote: str
    allowVirtualNetworkAccess: bool
    """True when both sides allow it: a denial on either side stops traffic in both directions (PEER-7)."""
    allowForwardedTraffic: bool
    """This side's flag: accept from the remote network what it only forwards (PEER-11)."""
    peeringState: str
    """`Connected` when both sides exist, else `Initiated` (PEER-1, PEER-2)."""

    @property
    def carries_traffic(self) -> bool:
        """Do packets pass?"""
        return self.peeringState == "Connected" and self.allowVirtualNetworkAccess


class VirtualNetwork(Struct, frozen=True):
    """A virtual network."""

    name: str
    location: str
    """As ARM compares it: `westeurope` for `West Europe` (ARM-3)."""
    addressSpace: tuple[IPv4Network, ...]
    subnets: dict[str, Subnet]
    peerings: tuple[Peering, ...]
    internalDomainNameSuffix: str
    """`<26 characters>.<region>x.internal.cloudapp.net` (DNS-1)."""


def region(scenario: arm.Scenario, written: str | None) -> str:
    """The region of a resource, as ARM compares it (ARM-3)."""
    return (written or scenario.location).replace(" ", "").lower()


def virtual_network(scenario: arm.Scenario, name: str) -> VirtualNetwork:
    """Resolve one."""
    written = scenario.virtualNetworks[name]
    return VirtualNetwork(
        name=name,
        location=region(scenario, written.location),
        addressSpace=tuple(IPv4Network(prefix) for prefix in written.addressSpace),
        subnets={
            key: Subnet(
                virtualNetwork=name,
                name=key,
                prefix=IPv4Network(subnet.addressPrefix),
                networkSecurityGroup=subnet.networkSecurityGroup,
                routeTable=subnet.routeTable,
                defaultOutboundAccess=subnet.defaultOutboundAccess,
                natGateway=subnet.natGateway,
            )
            for key, subnet in written.subnets.items()
        },
        peerings=tuple(_peering(scenario, name, key) for key in written.virtualNetworkPeerings),
        internalDomainNameSuffix=_suffix(scenario, name),
    )


def _peering(scenario: arm.Scenario, owner: str, name: str) -> Peering:
    near = scenario.virtualNetworks[owner].virtualNetworkPeerings[name]
    remote = scenario.virtualNetworks[near.remoteVirtualNetwork]
    far = next((p for p in remote.virtualNetworkPeerings.values() if p.remoteVirtualNetwork == owner), None)
    return Peering(
        name=name,
        remote=near.remoteVirtualNetwork,
        allowVirtualNetworkAccess=near.allowVirtualNetworkAccess and (far is None or far.allowVirtualNetworkAccess),
        allowForwardedTraffic=near.allowForwardedTraffic,
        peeringState="Connected" if far is not None else "Initiated",
    )


def _suffix(scenario: arm.Scenario, network: str) -> str:
    location = region(scenario, scenario.virtualNetworks[network].location)
    code = {"eastus": "bx", "westeurope": "ax", "northeurope": "fx", "westus": "dx", "eastus2": "cx"}.get(
        location, "xx"
    )
    digits = "abcdefghijklmnopqrstuvwxyz012345"
    number = digest(f"{scenario.name}/{network}", size=17)
    return "".join(digits[number >> 5 * i & 31] for i in range(26)) + f".{code}.internal.cloudapp.net"
