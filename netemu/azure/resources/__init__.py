"""The resources of a scenario, as a person writes them, in ARM's property names.

ARM's `properties` envelope is flattened, maps are keyed by name, references are names (`subnet: shop-vnet/web`),
and a list may be written as a single value. The scenario reader and the JSON Schema are both derived from these
types: a property exists when it has a field here, and its documentation is the field's description.
Sources: Azure rules RES-1…RES-6, RES-17, NSG-3, RT-6, PEER-21, LB-2, LB-25, OUT-33, OUT-39, DNS-8, DNS-15, DNS-16.

base              the base type, and ARM's enumerations
virtual_networks  virtual networks, subnets, peerings
security          NSGs and ASGs
routes            route tables
public            public addresses, prefixes, NAT gateways
load_balancers    load balancers
machines          NICs and virtual machines
dns               DNS zones, private and public
scenario          the whole file, the internet, expectations
"""

from __future__ import annotations

from netemu.azure.resources.base import (
    Access,
    AllocationMethod,
    Direction,
    NextHopType,
    Resource,
    SecurityRuleProtocol,
    Sku,
    Strings,
    described,
)
from netemu.azure.resources.dns import (
    DnsZone,
    PrivateDnsZone,
    PublicIPAddressDnsSettings,
    PublicRecordSet,
    RecordSet,
    SoaRecord,
    VirtualNetworkLink,
)
from netemu.azure.resources.load_balancers import (
    FrontendIPConfiguration,
    InboundNatPool,
    InboundNatRule,
    LoadBalancer,
    LoadBalancingRule,
    LoadDistribution,
    NoHealthyBackendsBehavior,
    OutboundRule,
    Probe,
    ProbeProtocol,
    TransportProtocol,
)
from netemu.azure.resources.machines import (
    DnsSettings,
    IPConfiguration,
    NetworkInterface,
    VirtualMachine,
)
from netemu.azure.resources.public import (
    NatGateway,
    PublicIPAddress,
    PublicIPPrefix,
)
from netemu.azure.resources.routes import (
    Route,
    RouteTable,
)
from netemu.azure.resources.scenario import (
    Expectation,
    Internet,
    InternetHost,
    Lint,
    Scenario,
)
from netemu.azure.resources.security import (
    ApplicationSecurityGroup,
    NetworkSecurityGroup,
    SecurityRule,
)
from netemu.azure.resources.virtual_networks import (
    DhcpOptions,
    Subnet,
    VirtualNetwork,
    VirtualNetworkPeering,
)

__all__ = [
    "Access",
    "AllocationMethod",
    "ApplicationSecurityGroup",
    "DhcpOptions",
    "Direction",
    "DnsSettings",
    "DnsZone",
    "Expectation",
    "FrontendIPConfiguration",
    "IPConfiguration",
    "InboundNatPool",
    "InboundNatRule",
    "Internet",
    "InternetHost",
    "Lint",
    "LoadBalancer",
    "LoadBalancingRule",
    "LoadDistribution",
    "NatGateway",
    "NetworkInterface",
    "NetworkSecurityGroup",
    "NextHopType",
    "NoHealthyBackendsBehavior",
    "OutboundRule",
    "PrivateDnsZone",
    "Probe",
    "ProbeProtocol",
    "PublicIPAddress",
    "PublicIPAddressDnsSettings",
    "PublicIPPrefix",
    "PublicRecordSet",
    "RecordSet",
    "Resource",
    "Route",
    "RouteTable",
    "Scenario",
    "SecurityRule",
    "SecurityRuleProtocol",
    "Sku",
    "SoaRecord",
    "Strings",
    "Subnet",
    "TransportProtocol",
    "VirtualMachine",
    "VirtualNetwork",
    "VirtualNetworkLink",
    "VirtualNetworkPeering",
    "described",
]
