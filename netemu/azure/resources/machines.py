"""Network interfaces and virtual machines."""

from __future__ import annotations

from typing import Annotated

from msgspec import field

from netemu.azure.resources.base import AllocationMethod, Resource, Strings, described


class IPConfiguration(Resource, frozen=True):
    """An address of a NIC."""

    subnet: Annotated[str, described("network/subnet")]
    privateIPAddress: Annotated[str | None, described("Static address; dynamic when absent.")] = None
    privateIPAllocationMethod: Annotated[
        AllocationMethod | None, described("Static when privateIPAddress is given, else Dynamic.")
    ] = None
    publicIPAddress: Annotated[str | None, described("Name of a public IP, translated 1:1.")] = None
    applicationSecurityGroups: Annotated[Strings, described("ASGs that this address belongs to.")] = ()
    loadBalancerBackendAddressPools: Annotated[
        Strings, described("Pools that it is in: loadBalancer/pool (LB-10).")
    ] = ()
    loadBalancerInboundNatRules: Annotated[Strings, described("NAT rules that lead to it: loadBalancer/rule.")] = ()
    loadBalancerInboundNatPools: Annotated[Strings, described("NAT pools that it is in: loadBalancer/pool.")] = ()
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
    loadBalancerBackendAddressPools: Annotated[Strings, described("Short form: its pools.")] = ()
    loadBalancerInboundNatRules: Annotated[Strings, described("Short form: NAT rules that lead to it.")] = ()
    loadBalancerInboundNatPools: Annotated[Strings, described("Short form: its NAT pools.")] = ()
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
    loadBalancerBackendAddressPools: Annotated[Strings, described("Short form: its pools.")] = ()
    loadBalancerInboundNatRules: Annotated[Strings, described("Short form: NAT rules that lead to it.")] = ()
    loadBalancerInboundNatPools: Annotated[Strings, described("Short form: its NAT pools.")] = ()
    networkSecurityGroup: Annotated[str | None, described("Short form: NSG of the NIC.")] = None
    enableIPForwarding: Annotated[bool, described("Short form: IP forwarding of the NIC.")] = False
    computerName: Annotated[str | None, described("Host name inside; default: the VM's name.")] = None
    run: Annotated[Strings, described("Programs started by `up`; words as in a shell, but no shell runs them.")] = ()
    sysctls: Annotated[
        dict[str, str], described("Kernel settings inside the VM, for example net.ipv4.ip_forward: 1 (NIC-9).")
    ] = field(default_factory=dict)
    location: Annotated[str | None, described("Region; the scenario's location when absent.")] = None
