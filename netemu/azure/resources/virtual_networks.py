"""Virtual networks, subnets and peerings."""

from __future__ import annotations

from typing import Annotated

from msgspec import field

from netemu.azure.resources.base import Resource, Strings, described


class Subnet(Resource, frozen=True):
    """A range of a virtual network in which NICs live."""

    addressPrefix: Annotated[str, described("The subnet's range, for example 10.0.1.0/24 (smallest: /29).")]
    networkSecurityGroup: Annotated[str | None, described("NSG for everything that enters or leaves.")] = None
    routeTable: Annotated[str | None, described("Route table with user-defined routes.")] = None
    natGateway: Annotated[str | None, described("NAT gateway for flows to the internet.")] = None
    defaultOutboundAccess: Annotated[bool, described("May its VMs reach the internet without a public IP?")] = True


class VirtualNetworkPeering(Resource, frozen=True):
    """One direction of a peering; traffic flows when both directions exist (PEER-1, PEER-2)."""

    remoteVirtualNetwork: Annotated[str, described("Name of the other virtual network.")]
    allowVirtualNetworkAccess: Annotated[bool, described("Let traffic of the other network through.")] = True
    allowForwardedTraffic: Annotated[
        bool, described("Accept packets that an appliance in the other network forwarded (PEER-11).")
    ] = False
    allowGatewayTransit: Annotated[bool, described("Let the other network use this network's gateway.")] = False
    useRemoteGateways: Annotated[bool, described("Use the other network's gateway.")] = False


class DhcpOptions(Resource, frozen=True):
    """Settings that virtual machines receive by DHCP."""

    dnsServers: Annotated[Strings, described("DNS servers in place of Azure's 168.63.129.16.")] = ()


class VirtualNetwork(Resource, frozen=True):
    """A private network; its resources reach each other unless a rule says otherwise."""

    addressSpace: Annotated[Strings, described("One or more prefixes, for example 10.0.0.0/16.")]
    subnets: Annotated[dict[str, Subnet], described("Subnets by name.")] = field(default_factory=dict)
    virtualNetworkPeerings: Annotated[
        dict[str, VirtualNetworkPeering], described("This side of its peerings, by name.")
    ] = field(default_factory=dict)
    dhcpOptions: Annotated[DhcpOptions | None, described("DNS servers for all VMs of the network.")] = None
    location: Annotated[str | None, described("Region; the scenario's location when absent.")] = None
