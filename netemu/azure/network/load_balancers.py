"""Load balancers and NAT gateways, resolved: addresses known, backends found, defaults written out.

Names of one load balancer's parts are unique among their own kind only; `path` is `<load balancer>/<name>`.
"""

from __future__ import annotations

from ipaddress import IPv4Address

from msgspec import Struct

from netemu.azure import resources as arm
from netemu.azure.network.machines import IPConfig, Nic, PublicIP, PublicIPPrefix, Subnet


class Frontend(Struct, frozen=True):
    """An address that a load balancer listens at (LB-12)."""

    loadBalancer: str
    name: str
    sku: arm.Sku
    """That of the load balancer."""
    addresses: tuple[IPv4Address, ...]
    """One; several when it has a public IP prefix, which serves outbound rules only."""
    publicIP: PublicIP | None = None
    publicIPPrefix: PublicIPPrefix | None = None
    subnet: Subnet | None = None
    """Of an internal frontend."""

    @property
    def path(self) -> str:
        """`<load balancer>/<frontend>`."""
        return f"{self.loadBalancer}/{self.name}"

    @property
    def address(self) -> IPv4Address:
        """Where clients find it."""
        return self.addresses[0]

    @property
    def is_public(self) -> bool:
        """Is it on the internet, rather than in a virtual network?"""
        return self.subnet is None


class Member(Struct, frozen=True):
    """An IP configuration in a pool, or behind a NAT rule (LB-10, LB-11). Its NIC is attached to a VM."""

    nic: Nic
    ipConfig: IPConfig

    @property
    def path(self) -> str:
        """`<NIC>/<IP configuration>`."""
        return f"{self.nic.name}/{self.ipConfig.name}"

    @property
    def address(self) -> IPv4Address:
        """The address that gets the packets, and the probes (LB-26)."""
        return self.ipConfig.address


class BackendAddressPool(Struct, frozen=True):
    """A pool: those that it names in that order, then those that name it."""

    loadBalancer: str
    name: str
    members: tuple[Member, ...]
    """May be empty (LB-24)."""

    @property
    def path(self) -> str:
        """`<load balancer>/<pool>`."""
        return f"{self.loadBalancer}/{self.name}"


class Probe(Struct, frozen=True):
    """A health probe. It is sent from 168.63.129.16 to every member of the pools whose rules name it (LB-26)."""

    loadBalancer: str
    name: str
    protocol: arm.ProbeProtocol
    port: int
    requestPath: str | None
    intervalInSeconds: int
    downAfter: int
    """Failures in a row that take a backend out (LB-29)."""
    upAfter: int
    """Successes in a row that bring it back (LB-29)."""
    noHealthyBackendsBehavior: arm.NoHealthyBackendsBehavior

    @property
    def path(self) -> str:
        """`<load balancer>/<probe>`."""
        return f"{self.loadBalancer}/{self.name}"


class LoadBalancingRule(Struct, frozen=True):
    """A rule (LB-2)."""

    loadBalancer: str
    name: str
    frontend: Frontend
    pool: BackendAddressPool
    probe: Probe | None
    """None: all members count as up (LB-25)."""
    protocol: arm.TransportProtocol
    """All only for HA ports."""
    frontendPort: int
    backendPort: int
    loadDistribution: arm.LoadDistribution
    idleTimeoutInMinutes: int
    enableTcpReset: bool
    enableFloatingIP: bool
    disableOutboundSnat: bool

    @property
    def path(self) -> str:
        """`<load balancer>/<rule>`."""
        return f"{self.loadBalancer}/{self.name}"

    @property
    def is_ha_ports(self) -> bool:
        """Every TCP and UDP port, unchanged (LB-18)?"""
        return self.protocol == "All"


class InboundNatRule(Struct, frozen=True):
    """One port of a frontend that leads to one backend (LB-17). NAT pools, and rules for a pool, are many of these."""

    loadBalancer: str
    name: str
    """As written; of a range `<rule or pool>.<NIC>/<IP configuration>`."""
    frontend: Frontend
    member: Member
    protocol: arm.TransportProtocol
    """All: TCP and UDP."""
    frontendPort: int
    backendPort: int
    idleTimeoutInMinutes: int
    enableTcpReset: bool
    enableFloatingIP: bool
    portRange: str | None = None
    """The `inboundNatPools` entry or the `inboundNatRules` entry with a pool that it is of."""

    @property
    def path(self) -> str:
        """`<load balancer>/<rule>`."""
        return f"{self.loadBalancer}/{self.name}"


class OutboundRule(Struct, frozen=True):
    """An outbound rule (OUT-33)."""

    loadBalancer: str
    name: str
    frontends: tuple[Frontend, ...]
    pool: BackendAddressPool
    protocol: arm.TransportProtocol
    allocatedOutboundPorts: int
    """Of each member; 0: Azure's table by the pool's size (OUT-25)."""
    idleTimeoutInMinutes: int
    enableTcpReset: bool


class LoadBalancer(Struct, frozen=True):
    """A load balancer: everything by name, in the order in which it is written."""

    name: str
    sku: arm.Sku
    location: str
    frontends: dict[str, Frontend]
    pools: dict[str, BackendAddressPool]
    probes: dict[str, Probe]
    loadBalancingRules: dict[str, LoadBalancingRule]
    inboundNatRules: dict[str, InboundNatRule]
    outboundRules: dict[str, OutboundRule]

    @property
    def is_public(self) -> bool:
        """Frontends are all of one kind (LB-12)."""
        return any(frontend.is_public for frontend in self.frontends.values())


class NatGateway(Struct, frozen=True):
    """A NAT gateway; subnets name it (OUT-39)."""

    name: str
    addresses: tuple[IPv4Address, ...]
    """Those of its public IPs, then those of its prefixes."""
    idleTimeoutInMinutes: int
