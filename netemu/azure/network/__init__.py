"""A scenario resolved: short forms expanded, addresses allocated, references followed.

`resolve` expects a scenario that passed validation. Everything later (verdicts, compiler, verifier) starts from the
`Network` that it returns, so that there is one truth about who has which address; what Azure *does* with a packet is
worked out twice, apart from each other, by `netemu.azure` and by `netemu.compile`.

machines          NICs and their addresses, virtual machines, subnets, public addresses, internet hosts
virtual_networks  virtual networks and peerings
load_balancers    load balancers, NAT gateways
zones             DNS zones
whole             the network
resolving         from the scenario to it; `balancing` does the load balancers
given_out         numbers that netemu chooses by name
"""

from __future__ import annotations

from netemu.azure.network.given_out import DEFAULT_OUTBOUND_POOL, PLATFORM_ADDRESS, PUBLIC_POOL, RESERVED_RANGES
from netemu.azure.network.load_balancers import (
    BackendAddressPool,
    Frontend,
    InboundNatRule,
    LoadBalancer,
    LoadBalancingRule,
    Member,
    NatGateway,
    OutboundRule,
    Probe,
)  # fmt: skip
from netemu.azure.network.machines import InternetHost, IPConfig, Machine, Nic, PublicIP, PublicIPPrefix, Subnet
from netemu.azure.network.resolving import host_name, resolve
from netemu.azure.network.virtual_networks import Peering, VirtualNetwork
from netemu.azure.network.whole import Network
from netemu.azure.network.zones import DnsZone, RecordSet, ZoneLink

__all__ = [
    "DEFAULT_OUTBOUND_POOL", "PLATFORM_ADDRESS", "PUBLIC_POOL", "RESERVED_RANGES", "BackendAddressPool",
    "DnsZone", "Frontend", "IPConfig", "InboundNatRule", "InternetHost", "LoadBalancer", "LoadBalancingRule",
    "Machine", "Member", "NatGateway", "Network", "Nic", "OutboundRule", "Peering", "Probe", "PublicIP",
    "PublicIPPrefix", "RecordSet", "Subnet", "VirtualNetwork", "ZoneLink", "host_name", "resolve",
]  # fmt: skip
