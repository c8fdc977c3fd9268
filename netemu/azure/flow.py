"""A flow: who sends what to whom; and the packet that carries it, which changes on the way.

`Flow` is the question that a person or a test asks. `Packet` is the 5-tuple as one place of the network sees it, in
integers, because every rule compares it.
"""

from __future__ import annotations

from ipaddress import IPv4Address

from msgspec import Struct

from netemu.azure import resources as arm
from netemu.azure.network import Network
from netemu.errors import PersonError

ICMP, IP_IN_IP, TCP, UDP, GRE, ESP, AH = 1, 4, 6, 17, 47, 50, 51

PROTOCOLS = {"Icmp": ICMP, "IpInIp": IP_IN_IP, "Tcp": TCP, "Udp": UDP, "Gre": GRE, "Esp": ESP, "Ah": AH}
"""IP protocol numbers by the name used here; others are written as numbers."""

_NAMES = {number: name for name, number in PROTOCOLS.items()}

EPHEMERAL_PORT = 49152
"""Source port of a flow that does not name one."""


class Flow(Struct, frozen=True):
    """The first packet of a conversation.

    `source` is a virtual machine (its guest chooses the NIC by its own routing table, NIC-4), a NIC (the packet
    leaves there), or an internet host. `sourceAddress` is the address of the NIC that sends when absent.
    Protocols without ports ignore the ports.
    """

    source: str
    destinationAddress: IPv4Address
    protocol: str = "Tcp"
    destinationPort: int = 0
    sourcePort: int = EPHEMERAL_PORT
    sourceAddress: IPv4Address | None = None


class Packet(Struct, frozen=True):
    """A 5-tuple at one place of the network. Ports are 0 when the protocol has none."""

    source: int
    destination: int
    protocol: int
    sourcePort: int = 0
    destinationPort: int = 0

    @property
    def has_ports(self) -> bool:
        """Only TCP and UDP rules look at ports."""
        return self.protocol in (TCP, UDP)

    def reversed(self) -> Packet:
        """The packet that answers this one."""
        return Packet(self.destination, self.source, self.protocol, self.destinationPort, self.sourcePort)

    def from_address(self, source: int) -> Packet:
        """With the source address translated."""
        return Packet(source, self.destination, self.protocol, self.sourcePort, self.destinationPort)

    def from_endpoint(self, source: int, port: int) -> Packet:
        """With source address and port translated."""
        return Packet(source, self.destination, self.protocol, port, self.destinationPort)

    def to_endpoint(self, destination: int, port: int) -> Packet:
        """With destination address and port translated."""
        return Packet(self.source, destination, self.protocol, self.sourcePort, port)

    def to_address(self, destination: int) -> Packet:
        """With the destination address translated."""
        return Packet(self.source, destination, self.protocol, self.sourcePort, self.destinationPort)

    def __str__(self) -> str:
        source, destination = dotted(self.source), dotted(self.destination)
        if self.has_ports:
            source, destination = f"{source}:{self.sourcePort}", f"{destination}:{self.destinationPort}"
        return f"{protocol_name(self.protocol)} {source} -> {destination}"


def packet_of(flow: Flow, source: int) -> Packet:
    """The packet as its sender makes it."""
    protocol = protocol_number(flow.protocol)
    if protocol in (TCP, UDP):
        return Packet(source, int(flow.destinationAddress), protocol, flow.sourcePort, flow.destinationPort)
    return Packet(source, int(flow.destinationAddress), protocol)


def protocol_number(name: str) -> int:
    """The IP protocol number of `Tcp`, `Esp`… or of a number written in digits."""
    number = PROTOCOLS.get(name)
    if number is not None:
        return number
    if name.isdecimal() and int(name) < 256:
        return int(name)
    raise PersonError(f"{name} is not a protocol; use {', '.join(PROTOCOLS)} or a number below 256")


def protocol_name(number: int) -> str:
    """The name of an IP protocol number, or the number itself."""
    return _NAMES.get(number, str(number))


def dotted(address: int) -> str:
    """An address for people."""
    return f"{address >> 24}.{address >> 16 & 255}.{address >> 8 & 255}.{address & 255}"


def flow_of(network: Network, expectation: arm.Expectation) -> Flow:
    """The flow that an expectation speaks of, its names resolved to addresses."""
    source, _, address = expectation.from_.partition("/")
    return Flow(
        source=source,
        sourceAddress=IPv4Address(address) if address else None,
        destinationAddress=address_of(network, expectation.to),
        protocol=expectation.protocol,
        destinationPort=expectation.port or 0,
        sourcePort=EPHEMERAL_PORT if expectation.sourcePort is None else expectation.sourcePort,
    )


def address_of(network: Network, name: str) -> IPv4Address:
    """The address that a destination's name stands for.

    VM, NIC, internet host, public IP, load balancer (`lb`, or `lb/frontend`), or an address itself.
    """
    if name in network.machines:
        return network.machines[name].nics[0].address
    if name in network.nics:
        return network.nics[name].address
    if name in network.hosts:
        return network.hosts[name].address
    if name in network.publicIPs:
        return network.publicIPs[name].address
    balancer, _, frontend = name.partition("/")
    if balancer in network.loadBalancers:
        frontends = network.loadBalancers[balancer].frontends
        if frontend in frontends or (not frontend and len(frontends) == 1):
            return (frontends[frontend] if frontend else next(iter(frontends.values()))).address
        raise PersonError(f"{name} is no frontend; write one of {', '.join(f'{balancer}/{key}' for key in frontends)}")
    try:
        return IPv4Address(name)
    except ValueError:
        raise PersonError(
            f"{name} is neither a virtual machine, a NIC, an internet host, a public IP, a load balancer nor an address"
        ) from None


def sources_of(network: Network, name: str) -> frozenset[IPv4Address]:
    """The addresses that `sourceSeenAs` means: of a public IP, a public IP prefix or a NAT gateway, or itself."""
    if name in network.publicIPs:
        return frozenset({network.publicIPs[name].address})
    if name in network.publicIPPrefixes:
        return frozenset(network.publicIPPrefixes[name].prefix)
    if name in network.natGateways:
        return frozenset(network.natGateways[name].addresses)
    return frozenset({IPv4Address(name)})
