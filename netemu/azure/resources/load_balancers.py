"""Load balancers: frontends, backend pools, probes, rules (LB-2, LB-12, LB-17, LB-18, LB-25, OUT-33)."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import field

from netemu.azure.resources.base import AllocationMethod, Resource, Sku, Strings, described

TransportProtocol = Literal["Tcp", "Udp", "All"]
ProbeProtocol = Literal["Tcp", "Http", "Https"]
LoadDistribution = Literal["Default", "SourceIP", "SourceIPProtocol"]
NoHealthyBackendsBehavior = Literal["AllProbedDown", "AllProbedUp"]

IDLE = "Minutes until an idle TCP flow is forgotten: 4 to 30 (LB-23)."
RESET = "Tell both sides by a reset when an idle TCP flow is forgotten (Standard; LB-23)."
FLOATING = "Leave the destination address as it is; the guest has the frontend's on its loopback (LB-16)."
BACKENDS = "a VM, a NIC, or NIC/ipConfiguration"


class FrontendIPConfiguration(Resource, frozen=True):
    """An address that a load balancer listens at: public, or internal with an address of a subnet (LB-12)."""

    publicIPAddress: Annotated[str | None, described("Name of the public IP of a public frontend.")] = None
    publicIPPrefix: Annotated[
        str | None, described("Name of a public IP prefix in place of one address; for outbound rules only.")
    ] = None
    subnet: Annotated[str | None, described("network/subnet of an internal frontend.")] = None
    privateIPAddress: Annotated[str | None, described("Static address in the subnet; dynamic when absent.")] = None
    privateIPAllocationMethod: Annotated[
        AllocationMethod | None, described("Static when privateIPAddress is given, else Dynamic.")
    ] = None


class Probe(Resource, frozen=True):
    """How the load balancer finds out which backends are up (LB-25…LB-29)."""

    protocol: Annotated[ProbeProtocol, described("Tcp, Http, or Https (Standard only).")]
    port: Annotated[int, described("Port of the backend that is asked.")]
    requestPath: Annotated[str | None, described("Path of the request, for Http and Https only.")] = None
    intervalInSeconds: Annotated[int, described("Seconds between two probes; 5 or more.")] = 15
    numberOfProbes: Annotated[
        int | None, described("Failures in a row that take a backend out, when there is no probeThreshold (LB-29).")
    ] = None
    probeThreshold: Annotated[
        int | None, described("Failures in a row that take a backend out, and successes that bring it back; 1 to 100.")
    ] = None
    noHealthyBackendsBehavior: Annotated[
        NoHealthyBackendsBehavior, described("AllProbedUp: when all are down, use them as if all were up.")
    ] = "AllProbedDown"


class LoadBalancingRule(Resource, frozen=True):
    """Spreads what comes to a port of a frontend over a pool (LB-2). All with ports 0: HA ports (LB-18)."""

    frontendIPConfiguration: Annotated[str, described("Name of the frontend.")]
    backendAddressPool: Annotated[str, described("Name of the pool.")]
    protocol: Annotated[TransportProtocol, described("Tcp, Udp, or All with ports 0 for HA ports.")]
    frontendPort: Annotated[int, described("Port that clients speak to; 0 for HA ports.")]
    backendPort: Annotated[int | None, described("Port of the backends; the frontend's when absent.")] = None
    probe: Annotated[str | None, described("Name of the probe; without one all backends count as up.")] = None
    loadDistribution: Annotated[
        LoadDistribution, described("What stays together: 5-tuple, client address, or that and the protocol (LB-3).")
    ] = "Default"
    idleTimeoutInMinutes: Annotated[int, described(IDLE)] = 4
    enableTcpReset: Annotated[bool, described(RESET)] = False
    enableFloatingIP: Annotated[bool, described(FLOATING)] = False
    disableOutboundSnat: Annotated[
        bool, described("Do not let the backends use this public frontend for flows of their own (OUT-32).")
    ] = False


class InboundNatRule(Resource, frozen=True):
    """Leads a port of a frontend to one backend (LB-17), or a range of ports to a pool, one port for each member."""

    frontendIPConfiguration: Annotated[str, described("Name of the frontend.")]
    protocol: Annotated[TransportProtocol, described("Tcp, Udp, or All for both.")]
    backendPort: Annotated[int, described("Port of the backend.")]
    frontendPort: Annotated[int | None, described("Port that clients speak to; for a single backend.")] = None
    backend: Annotated[str | None, described("Short form: VM or NIC, whose primary address it is.")] = None
    backendIPConfiguration: Annotated[str | None, described("NIC/ipConfiguration of the single backend.")] = None
    backendAddressPool: Annotated[str | None, described("Pool, in place of a single backend.")] = None
    frontendPortRangeStart: Annotated[int | None, described("First port of the range; for a pool.")] = None
    frontendPortRangeEnd: Annotated[int | None, described("Last port of the range; for a pool.")] = None
    idleTimeoutInMinutes: Annotated[int, described(IDLE)] = 4
    enableTcpReset: Annotated[bool, described(RESET)] = False
    enableFloatingIP: Annotated[bool, described(FLOATING)] = False


class InboundNatPool(Resource, frozen=True):
    """A range of ports, one for each IP configuration that joins by `loadBalancerInboundNatPools` (LB-17)."""

    frontendIPConfiguration: Annotated[str, described("Name of the frontend.")]
    protocol: Annotated[TransportProtocol, described("Tcp, Udp, or All for both.")]
    frontendPortRangeStart: Annotated[int, described("First port of the range.")]
    frontendPortRangeEnd: Annotated[int, described("Last port of the range.")]
    backendPort: Annotated[int, described("Port of the backends.")]
    idleTimeoutInMinutes: Annotated[int, described(IDLE)] = 4
    enableTcpReset: Annotated[bool, described(RESET)] = False
    enableFloatingIP: Annotated[bool, described(FLOATING)] = False


class OutboundRule(Resource, frozen=True):
    """Lets the members of a pool reach the internet from public frontends (Standard; OUT-33, OUT-34)."""

    frontendIPConfigurations: Annotated[Strings, described("Names of public frontends.")]
    backendAddressPool: Annotated[str, described("Name of the pool.")]
    protocol: Annotated[TransportProtocol, described("Tcp, Udp, or All for both.")]
    allocatedOutboundPorts: Annotated[
        int, described("SNAT ports of each backend: a multiple of 8; 0 for Azure's table by the pool's size (OUT-25).")
    ] = 0
    idleTimeoutInMinutes: Annotated[int, described("Minutes until an idle flow is forgotten: 4 to 120.")] = 4
    enableTcpReset: Annotated[bool, described(RESET)] = False


class LoadBalancer(Resource, frozen=True):
    """Spreads flows over virtual machines. Its frontends are all public or all internal (LB-12)."""

    sku: Annotated[Sku, described("Standard (closed without an NSG) or Basic (open without one).")] = "Standard"
    frontendIPConfigurations: Annotated[
        dict[str, FrontendIPConfiguration], described("Addresses that it listens at, by name.")
    ] = field(default_factory=dict)
    backendAddressPools: Annotated[dict[str, Strings], described(f"Pools by name; a member is {BACKENDS}.")] = field(
        default_factory=dict
    )
    probes: Annotated[dict[str, Probe], described("Health probes by name.")] = field(default_factory=dict)
    loadBalancingRules: Annotated[dict[str, LoadBalancingRule], described("Rules by name.")] = field(
        default_factory=dict
    )
    inboundNatRules: Annotated[dict[str, InboundNatRule], described("Ports of single backends, by name.")] = field(
        default_factory=dict
    )
    inboundNatPools: Annotated[dict[str, InboundNatPool], described("Ranges of ports, by name.")] = field(
        default_factory=dict
    )
    outboundRules: Annotated[dict[str, OutboundRule], described("Outbound rules by name.")] = field(
        default_factory=dict
    )
    location: Annotated[str | None, described("Region; the scenario's location when absent.")] = None
