"""The resources of a scenario, as a person writes them, in ARM's property names.

ARM's `properties` envelope is flattened, maps are keyed by name, references are names (`subnet: shop-vnet/web`),
and a list may be written as a single value. The scenario reader and the JSON Schema are both derived from these
types: a property exists when it has a field here, and its documentation is the field's description.
Sources: Azure rules RES-1…RES-6, RES-17, NSG-3, RT-6, PEER-21.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

Strings = tuple[str, ...]
"""Several texts; a single one may be written without brackets, and numbers without quotes (`[80, 8080-8090]`)."""

Direction = Literal["Inbound", "Outbound"]
Access = Literal["Allow", "Deny"]
SecurityRuleProtocol = Literal["Tcp", "Udp", "Icmp", "Esp", "Ah", "*"]
NextHopType = Literal["VirtualNetworkGateway", "VnetLocal", "Internet", "VirtualAppliance", "None"]
AllocationMethod = Literal["Dynamic", "Static"]
Sku = Literal["Basic", "Standard"]


def described(description: str, **extra: Any) -> Meta:
    """The documentation of a property, as it appears in the JSON Schema."""
    return Meta(description=description, **extra)


class Resource(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of everything that can be written in a scenario: immutable, and unknown properties are errors."""


class Subnet(Resource, frozen=True):
    """A range of a virtual network in which NICs live."""

    addressPrefix: Annotated[str, described("The subnet's range, for example 10.0.1.0/24 (smallest: /29).")]
    networkSecurityGroup: Annotated[str | None, described("NSG for everything that enters or leaves.")] = None
    routeTable: Annotated[str | None, described("Route table with user-defined routes.")] = None
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


class Route(Resource, frozen=True):
    """A user-defined route (RT-6, RT-7)."""

    addressPrefix: Annotated[str, described("Destination, for example 0.0.0.0/0.")]
    nextHopType: Annotated[NextHopType, described("Where packets go.")]
    nextHopIpAddress: Annotated[str | None, described("The appliance; for VirtualAppliance only.")] = None


class RouteTable(Resource, frozen=True):
    """User-defined routes for the subnets that name this table."""

    routes: Annotated[dict[str, Route], described("Routes by name.")] = field(default_factory=dict)
    disableBgpRoutePropagation: Annotated[bool, described("Ignore routes learned by gateways (RT-15).")] = False
    location: Annotated[str | None, described("Region; the scenario's location when absent.")] = None


class PublicIPAddress(Resource, frozen=True):
    """A public address. Standard is closed until an NSG allows (OUT-17)."""

    sku: Annotated[Sku, described("Standard (closed without an NSG) or Basic (open without one).")] = "Standard"
    publicIPAllocationMethod: Annotated[
        AllocationMethod | None, described("Static, or Dynamic (Basic only); default: what the SKU allows.")
    ] = None
    ipAddress: Annotated[str | None, described("The address; netemu chooses one when absent.")] = None
    idleTimeoutInMinutes: Annotated[int, described("4 to 30.")] = 4
    location: Annotated[str | None, described("Region; the scenario's location when absent.")] = None


class IPConfiguration(Resource, frozen=True):
    """An address of a NIC."""

    subnet: Annotated[str, described("network/subnet")]
    privateIPAddress: Annotated[str | None, described("Static address; dynamic when absent.")] = None
    privateIPAllocationMethod: Annotated[
        AllocationMethod | None, described("Static when privateIPAddress is given, else Dynamic.")
    ] = None
    publicIPAddress: Annotated[str | None, described("Name of a public IP, translated 1:1.")] = None
    applicationSecurityGroups: Annotated[Strings, described("ASGs that this address belongs to.")] = ()
    primary: Annotated[bool | None, described("The NIC's first address; exactly one.")] = None


class DnsSettings(Resource, frozen=True):
    """DNS settings of a NIC."""

    dnsServers: Annotated[Strings, described("DNS servers for this NIC only (NIC-11).")] = ()
    internalDnsNameLabel: Annotated[str | None, described("A second name for the VM (DNS-2).")] = None


class NetworkInterface(Resource, frozen=True):
    """A NIC. Either `ipConfigurations`, or the short form with `subnet` for a single one named ipconfig1."""

    ipConfigurations: Annotated[dict[str, IPConfiguration] | None, described("Addresses by name.")] = None
    subnet: Annotated[str | None, described("Short form: network/subnet of the only address.")] = None
    privateIPAddress: Annotated[str | None, described("Short form: its static address.")] = None
    publicIPAddress: Annotated[str | None, described("Short form: its public IP.")] = None
    applicationSecurityGroups: Annotated[Strings, described("Short form: its ASGs.")] = ()
    networkSecurityGroup: Annotated[str | None, described("NSG of this NIC.")] = None
    enableIPForwarding: Annotated[bool, described("May send and receive packets of others (NIC-7).")] = False
    dnsSettings: Annotated[DnsSettings | None, described("DNS servers and an extra name.")] = None
    location: Annotated[str | None, described("Region; the scenario's location when absent.")] = None


class VirtualMachine(Resource, frozen=True):
    """A machine: a network namespace in which programs run.

    Either `networkInterfaces`, or the short form with `subnet` for a single NIC named <vm>-nic.
    """

    networkInterfaces: Annotated[Strings | None, described("NICs by name; the first is primary.")] = None
    subnet: Annotated[str | None, described("Short form: network/subnet of the only NIC.")] = None
    privateIPAddress: Annotated[str | None, described("Short form: its static address.")] = None
    publicIPAddress: Annotated[str | None, described("Short form: its public IP.")] = None
    applicationSecurityGroups: Annotated[Strings, described("Short form: its ASGs.")] = ()
    networkSecurityGroup: Annotated[str | None, described("Short form: NSG of the NIC.")] = None
    enableIPForwarding: Annotated[bool, described("Short form: IP forwarding of the NIC.")] = False
    computerName: Annotated[str | None, described("Host name inside; default: the VM's name.")] = None
    run: Annotated[Strings, described("Programs started by `up`; words as in a shell, but no shell runs them.")] = ()
    sysctls: Annotated[
        dict[str, str], described("Kernel settings inside the VM, for example net.ipv4.ip_forward: 1 (NIC-9).")
    ] = field(default_factory=dict)
    location: Annotated[str | None, described("Region; the scenario's location when absent.")] = None


class InternetHost(Resource, frozen=True):
    """A machine on the lab's internet."""

    ipAddress: Annotated[str, described("Its public address.")]
    run: Annotated[Strings, described("Programs started by `up`.")] = ()
    location: Annotated[str | None, described("Region.")] = None


class Internet(Resource, frozen=True):
    """The lab's internet; nothing of the real one."""

    hosts: Annotated[dict[str, InternetHost], described("Hosts by name; VMs can resolve the names.")] = field(
        default_factory=dict
    )


class Expectation(Resource, frozen=True):
    """One flow, and what must become of it. `verify` proves it with packets."""

    from_: Annotated[str, described("VM, NIC, internet host, or VM/address.")] = field(name="from")
    to: Annotated[str, described("VM, NIC, internet host, public IP, or an address.")]
    access: Annotated[Access, described("Does the packet arrive?")]
    protocol: Annotated[Literal["Tcp", "Udp", "Icmp"], described("Tcp, Udp or Icmp (echo).")] = "Tcp"
    port: Annotated[int | None, described("Destination port; not for Icmp.")] = None
    sourcePort: Annotated[int | None, described("Source port; netemu chooses when absent.")] = None
    rule: Annotated[str | None, described("The security rule that decides, for example DenyAllInBound.")] = None
    via: Annotated[Strings | None, described("Appliances on the way, in order; [] for none.")] = None
    reply: Annotated[Access | None, described("Does the reply come back? Default: Allow when access is Allow.")] = None
    sourceSeenAs: Annotated[str | None, described("Source address that the receiver sees, or a public IP.")] = None
    name: Annotated[str | None, described("What this line proves, for the report.")] = None


class Scenario(Resource, frozen=True):
    """A whole scenario file."""

    name: Annotated[str, described("Name of the lab: lower-case letters, digits and -.", pattern="^[a-z][a-z0-9-]*$")]
    location: Annotated[str, described("Default region of all resources.")] = "westeurope"
    virtualNetworks: dict[str, VirtualNetwork] = field(default_factory=dict)
    networkSecurityGroups: dict[str, NetworkSecurityGroup] = field(default_factory=dict)
    applicationSecurityGroups: dict[str, ApplicationSecurityGroup] = field(default_factory=dict)
    routeTables: dict[str, RouteTable] = field(default_factory=dict)
    publicIPAddresses: dict[str, PublicIPAddress] = field(default_factory=dict)
    networkInterfaces: dict[str, NetworkInterface] = field(default_factory=dict)
    virtualMachines: dict[str, VirtualMachine] = field(default_factory=dict)
    internet: Internet = field(default_factory=Internet)
    expect: tuple[Expectation, ...] = ()
