"""The whole network."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address

from msgspec import Struct, field

from netemu.azure import resources as arm
from netemu.azure.given import Given
from netemu.azure.network.load_balancers import Frontend, LoadBalancer, NatGateway
from netemu.azure.network.machines import InternetHost, IPConfig, Machine, Nic, PublicIP, PublicIPPrefix, Subnet
from netemu.azure.network.virtual_networks import VirtualNetwork
from netemu.azure.network.zones import DnsZone


class Network(Struct, frozen=True):
    """The whole scenario, resolved."""

    name: str
    scenario: arm.Scenario
    virtualNetworks: dict[str, VirtualNetwork]
    machines: dict[str, Machine]
    publicIPs: dict[str, PublicIP]
    hosts: dict[str, InternetHost]
    nics: dict[str, Nic] = field(default_factory=dict)
    """Every attached NIC by name."""
    publicIPPrefixes: dict[str, PublicIPPrefix] = field(default_factory=dict)
    natGateways: dict[str, NatGateway] = field(default_factory=dict)
    loadBalancers: dict[str, LoadBalancer] = field(default_factory=dict)
    privateDnsZones: dict[str, DnsZone] = field(default_factory=dict)
    dnsZones: dict[str, DnsZone] = field(default_factory=dict)
    publicResolvers: tuple[IPv4Address, ...] = ()
    """Addresses on the lab's internet at which anybody can ask for public names."""
    nameServers: dict[str, IPv4Address] = field(default_factory=dict)
    """The name servers of the public zones (DNS-16)."""

    def addresses(self) -> Iterator[tuple[Nic, IPConfig]]:
        """Every private address in use, with its NIC."""
        for nic in self.nics.values():
            for config in nic.ipConfigs:
                yield nic, config

    def nics_of(self, virtual_network: str) -> Iterator[Nic]:
        """The NICs of one virtual network."""
        return (nic for nic in self.nics.values() if nic.subnet.virtualNetwork == virtual_network)

    def public_owner(self, address: IPv4Address) -> tuple[Nic, IPConfig] | None:
        """The NIC behind a public address, if any."""
        for nic, config in self.addresses():
            if config.publicIP is not None and config.publicIP.address == address:
                return nic, config
        return None

    def given(self) -> Given:
        """What this network has given out, for the next version of it."""
        every = [(f"{nic.name}/{config.name}", config) for nic, config in self.addresses()]
        return Given(
            addresses={key: config.address for key, config in every},
            publicIPs={name: ip.address for name, ip in self.publicIPs.items()},
            defaultOutbound={key: c.defaultOutbound for key, c in every if c.defaultOutbound is not None},
            macs={nic.name: nic.macAddress for nic in self.nics.values()},
            frontends={frontend.path: frontend.address for frontend in self.frontends() if not frontend.is_public},
            publicIPPrefixes={name: each.prefix for name, each in self.publicIPPrefixes.items()},
            natPorts={
                f"{rule.loadBalancer}/{rule.portRange}/{rule.member.path}": rule.frontendPort
                for balancer in self.loadBalancers.values()
                for rule in balancer.inboundNatRules.values()
                if rule.portRange is not None
            },
        )

    def frontends(self) -> Iterator[Frontend]:
        """Every frontend of every load balancer."""
        for balancer in self.loadBalancers.values():
            yield from balancer.frontends.values()

    def subnets(self) -> Iterator[Subnet]:
        """Every subnet of every virtual network."""
        for network in self.virtualNetworks.values():
            yield from network.subnets.values()
