"""A whole scenario: the resources, the lab's internet, what is expected and what is meant."""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import field

from netemu.azure.resources.base import Access, Resource, Strings, described
from netemu.azure.resources.dns import DnsZone, PrivateDnsZone
from netemu.azure.resources.load_balancers import LoadBalancer
from netemu.azure.resources.machines import NetworkInterface, VirtualMachine
from netemu.azure.resources.public import NatGateway, PublicIPAddress, PublicIPPrefix
from netemu.azure.resources.routes import RouteTable
from netemu.azure.resources.security import ApplicationSecurityGroup, NetworkSecurityGroup
from netemu.azure.resources.virtual_networks import VirtualNetwork

RecordType = Literal["A", "AAAA", "CAA", "CNAME", "MX", "NS", "PTR", "SRV", "TXT"]


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
    """One flow, and what must become of it; or a name, and what it resolves to. `verify` proves it with packets."""

    from_: Annotated[str, described("VM, NIC, internet host, or VM/address.")] = field(name="from")
    to: Annotated[
        str,
        described(
            "VM, NIC, internet host, public IP, load balancer (lb, or lb/frontend), or an address; "
            "with resolvesTo, a name."
        ),
    ]
    access: Annotated[Access | None, described("Does the packet arrive?")] = None
    protocol: Annotated[Literal["Tcp", "Udp", "Icmp"], described("Tcp, Udp or Icmp (echo).")] = "Tcp"
    port: Annotated[int | None, described("Destination port; not for Icmp.")] = None
    sourcePort: Annotated[int | None, described("Source port; netemu chooses when absent.")] = None
    rule: Annotated[str | None, described("The security rule that decides, for example DenyAllInBound.")] = None
    via: Annotated[Strings | None, described("Appliances on the way, in order; [] for none.")] = None
    reply: Annotated[Access | None, described("Does the reply come back? Default: Allow when access is Allow.")] = None
    backends: Annotated[
        Strings | None,
        described("Backends that may get it: VMs or NICs, exactly those that the load balancer may choose."),
    ] = None
    flows: Annotated[
        int | None,
        described("How many flows, from as many ports; when absent, so many that all backends get some. 1 to 10000."),
    ] = None
    failover: Annotated[
        str | None,
        described("A backend (VM or NIC) that is stopped, and started again: no new flow goes there after its probe "
                  "has failed, none of the others is lost, and it comes back."),
    ] = None
    sourceSeenAs: Annotated[
        str | None, described("Source address that the receiver sees, or a public IP, public IP prefix or NAT gateway.")
    ] = None
    resolvesTo: Annotated[
        Strings | None,
        described(
            "Instead of access: what a VM or host hears that asks for the name. Addresses (or who has them), names, "
            "or NXDOMAIN, NODATA, SERVFAIL, TIMEOUT."
        ),
    ] = None
    recordType: Annotated[RecordType, described("With resolvesTo: the type of record that is asked for.")] = "A"
    name: Annotated[str | None, described("What this line proves, for the report.")] = None


class Lint(Resource, frozen=True):
    """What `netemu lint` is not to tell, because it is meant."""

    ignore: Annotated[
        dict[str, str],
        described("Findings by name, `resource/finding` as lint prints them, each with the reason why it is meant."),
    ] = field(default_factory=dict)


class Scenario(Resource, frozen=True):
    """A whole scenario file."""

    name: Annotated[str, described("Name of the lab: lower-case letters, digits and -.", pattern="^[a-z][a-z0-9-]*$")]
    location: Annotated[str, described("Default region of all resources.")] = "westeurope"
    timeScale: Annotated[
        float, described("Multiplies Azure's minutes (idle times, flow records), above 0 and up to 1; for tests.")
    ] = 1
    loadBalancerEngine: Annotated[
        Literal["auto", "ipvs", "nftables"],
        described("What spreads flows: ipvs, nftables, or auto for IPVS where the kernel has it."),
    ] = "auto"
    virtualNetworks: dict[str, VirtualNetwork] = field(default_factory=dict)
    networkSecurityGroups: dict[str, NetworkSecurityGroup] = field(default_factory=dict)
    applicationSecurityGroups: dict[str, ApplicationSecurityGroup] = field(default_factory=dict)
    routeTables: dict[str, RouteTable] = field(default_factory=dict)
    publicIPAddresses: dict[str, PublicIPAddress] = field(default_factory=dict)
    publicIPPrefixes: dict[str, PublicIPPrefix] = field(default_factory=dict)
    natGateways: dict[str, NatGateway] = field(default_factory=dict)
    loadBalancers: dict[str, LoadBalancer] = field(default_factory=dict)
    networkInterfaces: dict[str, NetworkInterface] = field(default_factory=dict)
    virtualMachines: dict[str, VirtualMachine] = field(default_factory=dict)
    privateDnsZones: dict[str, PrivateDnsZone] = field(default_factory=dict)
    dnsZones: dict[str, DnsZone] = field(default_factory=dict)
    internet: Internet = field(default_factory=Internet)
    expect: tuple[Expectation, ...] = ()
    lint: Lint = field(default_factory=Lint)
