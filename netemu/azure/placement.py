"""What is where: each NIC with its rules and routes, each guest with its own routing, who owns which address.

Made once for a network, so that following a packet is look-ups only.
"""

from __future__ import annotations

from collections.abc import Iterable

from msgspec import Struct

from netemu.azure import resources as arm
from netemu.azure.load_balancing import Balancing
from netemu.azure.network import IPConfig, Machine, Network, Nic, Peering, Subnet
from netemu.azure.prefixes import IntervalSet
from netemu.azure.routing import RouteLookup, effective_routes
from netemu.azure.security import Classifier, Context, effective_rules

NAME_SERVERS = "@internet"
"""Stands for the internet's resolvers and name servers, which are nobody's machines."""


class Gate(Struct, frozen=True, eq=False):
    """An NSG as it applies at one NIC in one direction."""

    networkSecurityGroup: str
    place: str
    """The NIC or the subnet that it is associated to."""
    classifier: Classifier
    platform: Classifier
    """Only the rules that name platform tags (PLT-4)."""


class Port(Struct, frozen=True, eq=False):
    """A NIC, seen from the fabric."""

    nic: Nic
    name: str
    machine: str
    virtualNetwork: str
    addresses: dict[int, IPConfig]
    broadcast: int
    """The last address of its subnet."""
    routes: RouteLookup
    outbound: tuple[Gate, ...]
    """The NIC's NSG, then the subnet's (NSG-15)."""
    inbound: tuple[Gate, ...]
    """The subnet's NSG, then the NIC's (NSG-15)."""


class Guest(Struct, frozen=True, eq=False):
    """A virtual machine's own view: its addresses and its routing table (NIC-4, NIC-9, IP-10)."""

    name: str
    ports: tuple[Port, ...]
    local: dict[int, Port]
    """Addresses that DHCP configured: the primary one of each NIC."""
    forwards: bool

    def has(self, address: int) -> bool:
        """Is it an address of one of its NICs?"""
        return any(address in port.addresses for port in self.ports)

    def port_towards(self, destination: int) -> Port:
        """The NIC whose subnet holds the destination, else the primary one, which has the default route."""
        for port in self.ports:
            prefix = port.nic.subnet.prefix
            if int(prefix.network_address) <= destination <= port.broadcast:
                return port
        return self.ports[0]


class Placement:
    """Everything that the way of a packet depends on, by the key it is looked up with."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self.ports: dict[str, Port] = {}
        self.guests: dict[str, Guest] = {}
        self.owners: dict[str, dict[int, Port]] = {name: {} for name in network.virtualNetworks}
        """NICs by virtual network and private address."""
        self.public: dict[int, tuple[Port, int]] = {}
        """NIC and private address behind each public address."""
        self.hosts = {int(host.address): host.name for host in network.hosts.values()}
        """Who on the internet has an address."""
        servers = (*network.publicResolvers, *network.nameServers.values())
        self.hosts |= {int(address): NAME_SERVERS for address in servers}
        self.spaces = {
            name: IntervalSet.of_prefixes(each.addressSpace) for name, each in network.virtualNetworks.items()
        }
        self.peerings: dict[str, dict[str, Peering]] = {
            name: {peering.remote: peering for peering in each.peerings if peering.carries_traffic}
            for name, each in network.virtualNetworks.items()
        }
        self._gates: dict[tuple[str, Context, arm.Direction], tuple[Classifier, Classifier]] = {}
        self._routes: dict[Context, RouteLookup] = {}
        for machine in network.machines.values():
            self._place(machine)
        self.balancing = Balancing(network, self.ports)

    def _place(self, machine: Machine) -> None:
        ports = tuple(self._port(nic) for nic in machine.nics)
        for port in ports:
            self.ports[port.name] = port
            for address, config in port.addresses.items():
                self.owners[port.virtualNetwork][address] = port
                if config.publicIP is not None:
                    self.public[int(config.publicIP.address)] = (port, address)
        self.guests[machine.name] = Guest(
            name=machine.name,
            ports=ports,
            local={int(port.nic.address): port for port in ports},
            forwards=_forwards(machine.sysctls),
        )

    def _port(self, nic: Nic) -> Port:
        return Port(
            nic=nic,
            name=nic.name,
            machine=nic.machine,
            virtualNetwork=nic.subnet.virtualNetwork,
            addresses={int(config.address): config for config in nic.ipConfigs},
            broadcast=int(nic.subnet.prefix.broadcast_address),
            routes=self.routes(nic.subnet),
            outbound=self.gates(nic, "Outbound"),
            inbound=self.gates(nic, "Inbound"),
        )

    def routes(self, subnet: Subnet) -> RouteLookup:
        """The routing table of a subnet; subnets of a network that name the same route table share it."""
        context = Context.of(subnet)
        if context not in self._routes:
            self._routes[context] = RouteLookup(effective_routes(self.network, subnet))
        return self._routes[context]

    def gates(self, nic: Nic, direction: arm.Direction) -> tuple[Gate, ...]:
        """The NSGs that a packet passes at this NIC, in order (NSG-15)."""
        levels: Iterable[tuple[str | None, str]] = (
            (nic.networkSecurityGroup, nic.name),
            (nic.subnet.networkSecurityGroup, nic.subnet.path),
        )
        if direction == "Inbound":
            levels = reversed(tuple(levels))
        gates = []
        for group, place in levels:
            if group is not None:
                classifier, platform = self._classifiers(group, Context.of(nic.subnet), direction)
                gates.append(Gate(group, place, classifier, platform))
        return tuple(gates)

    def _classifiers(self, group: str, context: Context, direction: arm.Direction) -> tuple[Classifier, Classifier]:
        key = (group, context, direction)
        if key not in self._gates:
            rules = effective_rules(self.network, group, context, direction)
            self._gates[key] = (
                Classifier(rules),
                Classifier(tuple(rule for rule in rules if rule.platformTag is not None)),
            )
        return self._gates[key]


def _forwards(sysctls: dict[str, str]) -> bool:
    """Does the guest forward? sysctl takes both spellings of a key, with dots and with slashes (NIC-9)."""
    return any(
        key.replace("/", ".") == "net.ipv4.ip_forward" and value.strip() == "1" for key, value in sysctls.items()
    )
