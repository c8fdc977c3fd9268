"""Machines: NICs with their addresses, subnets, and what translates them."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from msgspec import Struct

from netemu.azure import resources as arm


class PublicIP(Struct, frozen=True):
    """A public IP resource with its address."""

    name: str
    sku: arm.Sku
    address: IPv4Address
    fqdn: str | None = None
    """`label.region.cloudapp.azure.com`, if it has a label (DNS-8)."""
    reverseFqdn: str | None = None


class PublicIPPrefix(Struct, frozen=True):
    """A public IP prefix with its range; every address of it can be used."""

    name: str
    prefix: IPv4Network


class IPConfig(Struct, frozen=True):
    """An IP configuration of a NIC with its address."""

    name: str
    address: IPv4Address
    primary: bool
    publicIP: PublicIP | None
    applicationSecurityGroups: frozenset[str]
    defaultOutbound: IPv4Address | None
    """Source address of its flows to the internet when nothing else translates them.

    None for VMs with a public IP (OUT-6), in a pool of a Standard load balancer (OUT-4, OUT-36), in a subnet with a NAT
    gateway (OUT-1), and for secondary addresses (OUT-8).
    """


class Subnet(Struct, frozen=True):
    """A subnet; `gateway` is its first address + 1 (IP-1)."""

    virtualNetwork: str
    name: str
    prefix: IPv4Network
    networkSecurityGroup: str | None
    routeTable: str | None
    defaultOutboundAccess: bool
    natGateway: str | None = None

    @property
    def gateway(self) -> IPv4Address:
        """The default gateway that DHCP gives out; nobody has this address (ARP-6)."""
        return self.prefix[1]

    @property
    def path(self) -> str:
        """`network/subnet`, as scenarios refer to it."""
        return f"{self.virtualNetwork}/{self.name}"


class Nic(Struct, frozen=True):
    """A NIC attached to a virtual machine. All its IP configurations are in one subnet."""

    name: str
    machine: str
    index: int
    """0 for the VM's primary NIC; the guest calls it eth<index>."""
    subnet: Subnet
    ipConfigs: tuple[IPConfig, ...]
    """Primary first."""
    networkSecurityGroup: str | None
    enableIPForwarding: bool
    macAddress: str
    """Lower case with colons, as Linux writes it."""
    dnsServers: tuple[str, ...]
    """Custom DNS servers; empty when Azure's are used (NIC-11, DNS-6)."""
    internalDnsNameLabel: str | None

    @property
    def address(self) -> IPv4Address:
        """Its primary private address."""
        return self.ipConfigs[0].address


class Machine(Struct, frozen=True):
    """A virtual machine and its NICs, primary first."""

    name: str
    computerName: str
    nics: tuple[Nic, ...]
    run: tuple[str, ...]
    sysctls: dict[str, str]


class InternetHost(Struct, frozen=True):
    """A machine on the lab's internet."""

    name: str
    address: IPv4Address
    run: tuple[str, ...]
