"""A scenario resolved: short forms expanded, addresses allocated, references followed.

`resolve` expects a scenario that passed validation. Everything later (verdicts, compiler, verifier) starts from the
`Network` that it returns, so that there is one truth about who has which address; what Azure *does* with a packet is
worked out twice, apart from each other, by `netemu.azure` and by `netemu.compile`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network

from msgspec import Struct, field

from netemu.azure import resources as arm
from netemu.azure.allocation import allocate, expand
from netemu.azure.given import Given

PLATFORM_ADDRESS = IPv4Address("168.63.129.16")
"""DNS, DHCP and health probes of the platform (PLT-1)."""

PUBLIC_POOL = IPv4Network("20.61.0.0/16")
"""Public IP resources without an `ipAddress` of their own get one from here."""

DEFAULT_OUTBOUND_POOL = IPv4Network("20.62.0.0/16")
"""Addresses of default outbound access: no resource, never reachable from outside (OUT-5)."""

RESERVED_RANGES = tuple(
    IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
)
"""Private ranges that every subnet has a route of type None for (RT-2)."""


class PublicIP(Struct, frozen=True):
    """A public IP resource with its address."""

    name: str
    sku: arm.Sku
    address: IPv4Address


class IPConfig(Struct, frozen=True):
    """An IP configuration of a NIC with its address."""

    name: str
    address: IPv4Address
    primary: bool
    publicIP: PublicIP | None
    applicationSecurityGroups: frozenset[str]
    defaultOutbound: IPv4Address | None
    """Source address of its flows to the internet when nothing else translates them (OUT-1, OUT-4, OUT-6, OUT-8)."""


class Subnet(Struct, frozen=True):
    """A subnet; `gateway` is its first address + 1 (IP-1)."""

    virtualNetwork: str
    name: str
    prefix: IPv4Network
    networkSecurityGroup: str | None
    routeTable: str | None
    defaultOutboundAccess: bool

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


class Peering(Struct, frozen=True):
    """One side of a peering, seen from the network that owns it."""

    name: str
    remote: str
    allowVirtualNetworkAccess: bool
    """True when both sides allow it: a denial on either side stops traffic in both directions (PEER-7)."""
    allowForwardedTraffic: bool
    """This side's flag: accept from the remote network what it only forwards (PEER-11)."""
    peeringState: str
    """`Connected` when both sides exist, else `Initiated` (PEER-1, PEER-2)."""

    @property
    def carries_traffic(self) -> bool:
        """Do packets pass?"""
        return self.peeringState == "Connected" and self.allowVirtualNetworkAccess


class VirtualNetwork(Struct, frozen=True):
    """A virtual network."""

    name: str
    addressSpace: tuple[IPv4Network, ...]
    subnets: dict[str, Subnet]
    peerings: tuple[Peering, ...]
    internalDomainNameSuffix: str
    """`<26 characters>.<region>x.internal.cloudapp.net` (DNS-1)."""


class InternetHost(Struct, frozen=True):
    """A machine on the lab's internet."""

    name: str
    address: IPv4Address
    run: tuple[str, ...]


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
        )

    def subnets(self) -> Iterator[Subnet]:
        """Every subnet of every virtual network."""
        for network in self.virtualNetworks.values():
            yield from network.subnets.values()


def resolve(scenario: arm.Scenario, given: Given = Given()) -> Network:  # noqa: B008 -- it is immutable
    """Resolve a valid scenario. Equal scenarios give equal networks: nothing is random.

    `given` is what the running lab of that name has given out already (see `Network.given`).
    """
    allocation = allocate(scenario, given)
    public = _public_ips(scenario, given.publicIPs)
    networks = {name: _virtual_network(scenario, name) for name in scenario.virtualNetworks}
    written = expand(scenario)
    pool = _Pool(DEFAULT_OUTBOUND_POOL)
    pool.keep(given.defaultOutbound)
    macs = _Macs({nic: mac for nic, mac in given.macs.items() if nic in written.nics})
    machines: dict[str, Machine] = {}
    for vm_name, vm in scenario.virtualMachines.items():
        names = written.machine_nics[vm_name]
        has_public = any(
            config.publicIPAddress is not None
            for nic in names
            for config in (written.nics[nic].ipConfigurations or {}).values()
        )
        nics = []
        for index, nic_name in enumerate(names):
            nic = written.nics[nic_name]
            configs = nic.ipConfigurations or {}
            subnet = _subnet(networks, next(iter(configs.values())).subnet)
            resolved = []
            for config_name, config in configs.items():
                primary = config_name == written.primary_config[nic_name]
                outbound = (
                    pool.take(f"{nic_name}/{config_name}")
                    if primary and not has_public and subnet.defaultOutboundAccess
                    else None
                )
                resolved.append(
                    IPConfig(
                        name=config_name,
                        address=allocation.addresses[nic_name, config_name],
                        primary=primary,
                        publicIP=public[config.publicIPAddress] if config.publicIPAddress else None,
                        applicationSecurityGroups=frozenset(config.applicationSecurityGroups),
                        defaultOutbound=outbound,
                    )
                )
            resolved.sort(key=lambda config: not config.primary)
            settings = nic.dnsSettings or arm.DnsSettings()
            options = scenario.virtualNetworks[subnet.virtualNetwork].dhcpOptions or arm.DhcpOptions()
            nics.append(
                Nic(
                    name=nic_name,
                    machine=vm_name,
                    index=index,
                    subnet=subnet,
                    ipConfigs=tuple(resolved),
                    networkSecurityGroup=nic.networkSecurityGroup,
                    enableIPForwarding=nic.enableIPForwarding,
                    macAddress=macs.take(nic_name),
                    dnsServers=settings.dnsServers or options.dnsServers,
                    internalDnsNameLabel=settings.internalDnsNameLabel,
                )
            )
        machines[vm_name] = Machine(
            name=vm_name,
            computerName=vm.computerName or host_name(vm_name),
            nics=tuple(nics),
            run=vm.run,
            sysctls=dict(vm.sysctls),
        )
    hosts = {
        name: InternetHost(name=name, address=IPv4Address(host.ipAddress), run=host.run)
        for name, host in scenario.internet.hosts.items()
    }
    return Network(
        name=scenario.name,
        scenario=scenario,
        virtualNetworks=networks,
        machines=machines,
        publicIPs=public,
        hosts=hosts,
        nics={nic.name: nic for machine in machines.values() for nic in machine.nics},
    )


def host_name(name: str) -> str:
    """The host name of a VM called `name`: DNS-5 allows lower-case letters, digits and inner hyphens only."""
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower()).strip("-")


def _virtual_network(scenario: arm.Scenario, name: str) -> VirtualNetwork:
    written = scenario.virtualNetworks[name]
    return VirtualNetwork(
        name=name,
        addressSpace=tuple(IPv4Network(prefix) for prefix in written.addressSpace),
        subnets={
            key: Subnet(
                virtualNetwork=name,
                name=key,
                prefix=IPv4Network(subnet.addressPrefix),
                networkSecurityGroup=subnet.networkSecurityGroup,
                routeTable=subnet.routeTable,
                defaultOutboundAccess=subnet.defaultOutboundAccess,
            )
            for key, subnet in written.subnets.items()
        },
        peerings=tuple(_peering(scenario, name, key) for key in written.virtualNetworkPeerings),
        internalDomainNameSuffix=_suffix(scenario, name),
    )


def _peering(scenario: arm.Scenario, owner: str, name: str) -> Peering:
    near = scenario.virtualNetworks[owner].virtualNetworkPeerings[name]
    remote = scenario.virtualNetworks[near.remoteVirtualNetwork]
    far = next((p for p in remote.virtualNetworkPeerings.values() if p.remoteVirtualNetwork == owner), None)
    return Peering(
        name=name,
        remote=near.remoteVirtualNetwork,
        allowVirtualNetworkAccess=near.allowVirtualNetworkAccess and (far is None or far.allowVirtualNetworkAccess),
        allowForwardedTraffic=near.allowForwardedTraffic,
        peeringState="Connected" if far is not None else "Initiated",
    )


def _subnet(networks: dict[str, VirtualNetwork], path: str) -> Subnet:
    network, _, subnet = path.partition("/")
    return networks[network].subnets[subnet]


def _public_ips(scenario: arm.Scenario, given: dict[str, IPv4Address]) -> dict[str, PublicIP]:
    pool = _Pool(PUBLIC_POOL)
    fixed = {name: IPv4Address(ip.ipAddress) for name, ip in scenario.publicIPAddresses.items() if ip.ipAddress}
    pool.taken.update(int(address) for address in fixed.values())
    free = scenario.publicIPAddresses.keys() - fixed.keys()
    pool.keep({name: address for name, address in given.items() if name in free})
    return {
        name: PublicIP(name=name, sku=ip.sku, address=fixed[name] if name in fixed else pool.take(name))
        for name, ip in scenario.publicIPAddresses.items()
    }


class _Pool:
    """Addresses chosen by name, so that adding a resource does not move those of the others."""

    def __init__(self, pool: IPv4Network) -> None:
        self.first, self.size = int(pool.network_address) + 1, pool.num_addresses - 2
        self.taken: set[int] = set()
        self.kept: dict[str, IPv4Address] = {}

    def keep(self, given: dict[str, IPv4Address]) -> None:
        """Let names have what they had, unless somebody else has asked for just that."""
        for name, address in given.items():
            if int(address) not in self.taken:
                self.kept[name] = address
                self.taken.add(int(address))

    def take(self, name: str) -> IPv4Address:
        if name in self.kept:
            return self.kept[name]
        offset = _digest(name) % self.size
        while self.first + offset in self.taken:
            offset = (offset + 1) % self.size
        self.taken.add(self.first + offset)
        return IPv4Address(self.first + offset)


class _Macs:
    """MACs with a prefix of Azure's (NIC-5), the same as long as the NIC keeps its name."""

    def __init__(self, kept: dict[str, str]) -> None:
        self.kept = kept
        self.taken = set(kept.values())

    def take(self, nic: str) -> str:
        if nic in self.kept:
            return self.kept[nic]
        number = _digest(nic)
        while True:
            low = number & 0xFFFFFF
            mac = f"00:0d:3a:{low >> 16:02x}:{low >> 8 & 255:02x}:{low & 255:02x}"
            if mac not in self.taken:
                self.taken.add(mac)
                return mac
            number += 1


def _suffix(scenario: arm.Scenario, network: str) -> str:
    location = (scenario.virtualNetworks[network].location or scenario.location).replace(" ", "").lower()
    region = {"eastus": "bx", "westeurope": "ax", "northeurope": "fx", "westus": "dx", "eastus2": "cx"}.get(
        location, "xx"
    )
    digits = "abcdefghijklmnopqrstuvwxyz012345"
    number = _digest(f"{scenario.name}/{network}", size=17)
    return "".join(digits[number >> 5 * i & 31] for i in range(26)) + f".{region}.internal.cloudapp.net"


def _digest(text: str, size: int = 8) -> int:
    return int.from_bytes(hashlib.blake2s(text.encode(), digest_size=size).digest(), "big")
