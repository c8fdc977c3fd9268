"""From a scenario that passed validation to the network."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from netemu.azure import resources as arm
from netemu.azure.allocation import Allocation, Expanded, allocate, expand
from netemu.azure.given import Given
from netemu.azure.network.balancing import Balancing, standard_members
from netemu.azure.network.given_out import DEFAULT_OUTBOUND_POOL, PUBLIC_POOL, ByName, Macs, Prefixes
from netemu.azure.network.load_balancers import NatGateway
from netemu.azure.network.machines import InternetHost, IPConfig, Machine, Nic, PublicIP, PublicIPPrefix, Subnet
from netemu.azure.network.virtual_networks import VirtualNetwork, virtual_network
from netemu.azure.network.whole import Network
from netemu.azure.network.zones import name_servers, private_zone, public_name, public_resolvers, public_zone


def resolve(scenario: arm.Scenario, given: Given = Given()) -> Network:  # noqa: B008 -- it is immutable
    """Resolve a valid scenario. Equal scenarios give equal networks: nothing is random.

    `given` is what the running lab of that name has given out already (see `Network.given`).
    """
    written = expand(scenario)
    allocation = allocate(scenario, given)
    public, prefixes = _public(scenario, given)
    networks = {name: virtual_network(scenario, name) for name in scenario.virtualNetworks}
    machines = _Machines(scenario, written, allocation, networks, public, given).resolve()
    nics = {nic.name: nic for machine in machines.values() for nic in machine.nics}
    balancing = Balancing(
        scenario,
        written,
        nics,
        {subnet.path: subnet for network in networks.values() for subnet in network.subnets.values()},
        public,
        prefixes,
        allocation.frontends,
        given,
    )
    return Network(
        name=scenario.name,
        scenario=scenario,
        virtualNetworks=networks,
        machines=machines,
        publicIPs=public,
        hosts={
            name: InternetHost(name=name, address=IPv4Address(host.ipAddress), run=host.run)
            for name, host in scenario.internet.hosts.items()
        },
        nics=nics,
        publicIPPrefixes=prefixes,
        natGateways={name: _nat_gateway(name, each, public, prefixes) for name, each in scenario.natGateways.items()},
        loadBalancers=balancing.resolve(),
        privateDnsZones={name.lower(): private_zone(name, each) for name, each in scenario.privateDnsZones.items()},
        dnsZones={name.lower(): public_zone(name, each, public) for name, each in scenario.dnsZones.items()},
        publicResolvers=public_resolvers(scenario),
        nameServers=name_servers(scenario),
    )


class _Machines:
    """Resolves virtual machines with their NICs."""

    def __init__(
        self,
        scenario: arm.Scenario,
        written: Expanded,
        allocation: Allocation,
        networks: dict[str, VirtualNetwork],
        public: dict[str, PublicIP],
        given: Given,
    ) -> None:
        self.scenario = scenario
        self.written = written
        self.allocation = allocation
        self.networks = networks
        self.public = public
        self.outbound = ByName(DEFAULT_OUTBOUND_POOL)
        self.outbound.keep(given.defaultOutbound)
        self.macs = Macs({nic: mac for nic, mac in given.macs.items() if nic in written.nics})
        self.standard = standard_members(scenario, written)

    def resolve(self) -> dict[str, Machine]:
        """Every machine."""
        return {name: self._machine(name, each) for name, each in self.scenario.virtualMachines.items()}

    def _machine(self, name: str, written: arm.VirtualMachine) -> Machine:
        nics = self.written.machine_nics[name]
        has_own = any(
            nic in self.standard or any(config.publicIPAddress is not None for config in self._configs(nic).values())
            for nic in nics
        )
        return Machine(
            name=name,
            computerName=written.computerName or host_name(name),
            nics=tuple(
                self._nic(name, index, nic, may_have_default_outbound=not has_own) for index, nic in enumerate(nics)
            ),
            run=written.run,
            sysctls=dict(written.sysctls),
        )

    def _configs(self, nic: str) -> dict[str, arm.IPConfiguration]:
        return self.written.nics[nic].ipConfigurations or {}

    def _nic(self, machine: str, index: int, name: str, *, may_have_default_outbound: bool) -> Nic:
        nic = self.written.nics[name]
        configs = self._configs(name)
        subnet = _subnet(self.networks, next(iter(configs.values())).subnet)
        has_default = may_have_default_outbound and subnet.defaultOutboundAccess and subnet.natGateway is None
        resolved = [
            self._config(name, key, config, has_default_outbound=has_default) for key, config in configs.items()
        ]
        resolved.sort(key=lambda config: not config.primary)
        settings = nic.dnsSettings or arm.DnsSettings()
        options = self.scenario.virtualNetworks[subnet.virtualNetwork].dhcpOptions or arm.DhcpOptions()
        return Nic(
            name=name,
            machine=machine,
            index=index,
            subnet=subnet,
            ipConfigs=tuple(resolved),
            networkSecurityGroup=nic.networkSecurityGroup,
            enableIPForwarding=nic.enableIPForwarding,
            macAddress=self.macs.take(name),
            dnsServers=settings.dnsServers or options.dnsServers,
            internalDnsNameLabel=settings.internalDnsNameLabel,
        )

    def _config(self, nic: str, name: str, written: arm.IPConfiguration, *, has_default_outbound: bool) -> IPConfig:
        primary = name == self.written.primary_config[nic]
        return IPConfig(
            name=name,
            address=self.allocation.addresses[nic, name],
            primary=primary,
            publicIP=self.public[written.publicIPAddress] if written.publicIPAddress else None,
            applicationSecurityGroups=frozenset(written.applicationSecurityGroups),
            defaultOutbound=self.outbound.take(f"{nic}/{name}") if primary and has_default_outbound else None,
        )


def host_name(name: str) -> str:
    """The host name of a VM called `name`: DNS-5 allows lower-case letters, digits and inner hyphens only."""
    return "".join(letter if letter.isalnum() else "-" for letter in name.lower()).strip("-")


def _subnet(networks: dict[str, VirtualNetwork], path: str) -> Subnet:
    network, _, subnet = path.partition("/")
    return networks[network].subnets[subnet]


def _public(scenario: arm.Scenario, given: Given) -> tuple[dict[str, PublicIP], dict[str, PublicIPPrefix]]:
    """Public IPs and prefixes: those that are written, then those that are kept, then new ones."""
    pool = ByName(PUBLIC_POOL)
    fixed = {name: IPv4Address(ip.ipAddress) for name, ip in scenario.publicIPAddresses.items() if ip.ipAddress}
    pool.taken.update(int(address) for address in fixed.values())
    ranges = Prefixes(PUBLIC_POOL, pool.taken)
    prefixes = {name: IPv4Network(each.ipPrefix) for name, each in scenario.publicIPPrefixes.items() if each.ipPrefix}
    for prefix in prefixes.values():
        ranges.occupy(prefix)
    free = scenario.publicIPAddresses.keys() - fixed.keys()
    pool.keep({name: address for name, address in given.publicIPs.items() if name in free})
    for name, each in scenario.publicIPPrefixes.items():
        old = given.publicIPPrefixes.get(name)
        if name not in prefixes and old is not None and old.prefixlen == each.prefixLength and ranges.occupy(old):
            prefixes[name] = old
    for name, each in scenario.publicIPPrefixes.items():
        if name not in prefixes:
            prefixes[name] = ranges.take(name, each.prefixLength)
    addresses = {
        name: PublicIP(
            name=name,
            sku=ip.sku,
            address=fixed[name] if name in fixed else pool.take(name),
            fqdn=public_name(scenario, ip),
            reverseFqdn=ip.dnsSettings.reverseFqdn if ip.dnsSettings is not None else None,
        )
        for name, ip in scenario.publicIPAddresses.items()
    }
    return addresses, {name: PublicIPPrefix(name, prefixes[name]) for name in scenario.publicIPPrefixes}


def _nat_gateway(
    name: str, written: arm.NatGateway, public: dict[str, PublicIP], prefixes: dict[str, PublicIPPrefix]
) -> NatGateway:
    addresses = [public[each].address for each in written.publicIPAddresses]
    for each in written.publicIPPrefixes:
        addresses += prefixes[each].prefix
    return NatGateway(name, tuple(addresses), written.idleTimeoutInMinutes)
