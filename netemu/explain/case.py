"""One flow that does not work, and what those who look for the reason share."""

from __future__ import annotations

from functools import cached_property
from ipaddress import IPv4Address, IPv4Network

from netemu.azure import resources as arm
from netemu.azure.flow import Flow, Packet, protocol_name
from netemu.azure.network import IPConfig, Network, Nic, Subnet
from netemu.azure.placement import Port
from netemu.azure.routing import EffectiveRoute
from netemu.azure.steps import Step, Verdict
from netemu.azure.verdict import Engine
from netemu.explain.edits import Path
from netemu.explain.explanation import Way


class Case:
    """A verdict that says Deny, of a packet or of the reply to it."""

    def __init__(self, engine: Engine, flow: Flow, verdict: Verdict, way: Way, before: Verdict | None = None) -> None:
        self.engine = engine
        self.network: Network = engine.network
        self.scenario: arm.Scenario = engine.network.scenario
        self.flow = flow
        self.verdict = verdict
        """Of the way that ends badly."""
        self.way = way
        self.request = before if before is not None else verdict
        """Of the packet, when it is the reply that ends badly."""

    # ---- the walk ----------------------------------------------------------------------------------------------------

    @property
    def end(self) -> Step:
        """Where it ended."""
        return self.verdict.steps[-1]

    @property
    def packet(self) -> Packet:
        """As it was where it ended."""
        return self.end.packet

    @cached_property
    def last_route(self) -> EffectiveRoute | None:
        """The route that decided last."""
        step = self.route_step
        return step.route if step is not None else None

    @cached_property
    def route_step(self) -> Step | None:
        """The look-up that decided last."""
        return next((step for step in reversed(self.verdict.steps) if step.route is not None), None)

    @property
    def port(self) -> Port | None:
        """The NIC at which it ended."""
        return self.engine.placement.ports.get(self.end.place)

    def sender_of(self, step: Step) -> Port:
        """The NIC whose table was asked in a step of kind route."""
        return self.engine.placement.ports[step.place]

    # ---- names -------------------------------------------------------------------------------------------------------

    def nic_path(self, nic: str) -> Path:
        """Where a NIC is written: in `networkInterfaces`, or as the short form of a VM."""
        if nic in self.scenario.networkInterfaces:
            return ("networkInterfaces", nic)
        return ("virtualMachines", self.network.nics[nic].machine)

    def config_path(self, nic: str, config: str) -> Path:
        """Where an IP configuration is written."""
        written = self.scenario.networkInterfaces.get(nic)
        if written is not None and written.ipConfigurations is not None:
            return ("networkInterfaces", nic, "ipConfigurations", config)
        return self.nic_path(nic)

    def subnet_path(self, subnet: Subnet) -> Path:
        """Where a subnet is written."""
        return ("virtualNetworks", subnet.virtualNetwork, "subnets", subnet.name)

    def config_of(self, nic: Nic, address: int) -> IPConfig:
        """The IP configuration of a NIC that has an address; the primary one when none does."""
        return next((config for config in nic.ipConfigs if int(config.address) == address), nic.ipConfigs[0])

    def owners(self, address: int) -> list[Nic]:
        """NICs with a private address; virtual networks may overlap."""
        return [
            port.nic for owned in self.engine.placement.owners.values() for at, port in owned.items() if at == address
        ]

    def around(self, address: int) -> Subnet | None:
        """The subnet that holds an address; of several with equal addresses the one near to where the packet ended."""
        where = IPv4Address(address)
        found = [subnet for subnet in self.network.subnets() if where in subnet.prefix]
        if len(found) > 1 and self.port is not None:
            near = (self.port.virtualNetwork, *self.engine.placement.peerings[self.port.virtualNetwork])
            found = [subnet for subnet in found if subnet.virtualNetwork in near]
        return found[0] if len(found) == 1 else None

    def prefix_around(self, address: int) -> IPv4Network:
        """The prefix of the subnet that holds an address, or the address alone."""
        subnet = self.around(address)
        return subnet.prefix if subnet is not None else IPv4Network(IPv4Address(address))

    @property
    def service(self) -> str:
        """`Tcp/5432`, or the protocol when it has no ports."""
        return service(self.packet)


def service(packet: Packet) -> str:
    """`Tcp/5432`, or the protocol when it has no ports."""
    name = protocol_name(packet.protocol)
    return f"{name}/{packet.destinationPort}" if packet.has_ports else name


def written(prefix: IPv4Network) -> str:
    """A prefix as a person writes it: a single address without its length."""
    return str(prefix.network_address) if prefix.prefixlen == 32 else str(prefix)
