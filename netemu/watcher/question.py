"""Whose flow, which way: what a person asks about a flow, resolved to the NIC that IP flow verify is about (NW-2)."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address

from msgspec import Struct, structs

from netemu.azure import resources as arm
from netemu.azure.flow import EPHEMERAL_PORT, PROTOCOLS, TCP, UDP, Flow, Packet, address_of, packet_of, protocol_number
from netemu.azure.network import IPConfig, Network, Nic
from netemu.azure.placement import Port
from netemu.azure.verdict import Engine
from netemu.errors import PersonError
from netemu.scenario.suggest import Suggestions

ANY = "*"


class Ports(Struct, frozen=True):
    """The protocol and the ports of a question, as written."""

    protocol: str = "Tcp"
    port: int | None = None
    """Of the side that is spoken to."""
    sourcePort: int | None = None

    def name(self) -> str:
        """The protocol as Azure spells it; PersonError when protocol and ports do not fit."""
        name = spelt(self.protocol)
        if protocol_number(name) in (TCP, UDP):
            if self.port is None:
                raise PersonError(f"{name} has ports: add --port, the port that is spoken to")
        elif self.port is not None or self.sourcePort is not None:
            raise PersonError(f"{name} has no ports; leave them out")
        return name


def spelt(protocol: str) -> str:
    """A protocol as Azure spells it: `tcp` and `TCP` are Tcp."""
    by_lower_case = {name.lower(): name for name in PROTOCOLS}
    return by_lower_case.get(protocol.lower(), protocol)


class Question(Struct, frozen=True):
    """A flow, seen from one NIC and from whoever sends its first packet."""

    packet: Packet
    """As the NIC sees it."""
    direction: arm.Direction
    nic: Nic | None
    """None for a flow that meets no NIC, from one internet host to another."""
    flow: Flow | None
    """As it is sent; None when nobody in the scenario has the address that it comes from."""


def outbound(engine: Engine, source: str, to: str, ports: Ports) -> Question:
    """A flow that a VM, a NIC or an internet host sends; `source` may be `VM/address`."""
    network = engine.network
    name, _, address = source.partition("/")
    require(name, [*network.machines, *network.nics, *network.hosts], "virtual machine, NIC or internet host")
    flow = Flow(
        source=name,
        sourceAddress=_address(address) if address else None,
        destinationAddress=_destination(network, to),
        protocol=ports.name(),
        destinationPort=ports.port or 0,
        sourcePort=EPHEMERAL_PORT if ports.sourcePort is None else ports.sourcePort,
    )
    nic = sending_nic(engine, name, flow.destinationAddress)
    if nic is not None:
        return Question(packet_of(flow, int(flow.sourceAddress or nic.address)), "Outbound", nic, flow)
    packet = packet_of(flow, int(flow.sourceAddress or network.hosts[name].address))
    owner = network.public_owner(flow.destinationAddress)
    if owner is None:
        return Question(packet, "Inbound", None, flow)
    return Question(packet.to_address(int(owner[1].address)), "Inbound", owner[0], flow)


def inbound(engine: Engine, target: str, remote: str, ports: Ports) -> Question:
    """A flow that reaches a VM or a NIC, from a VM, NIC, internet host or address; `target` may be `VM/address`."""
    network = engine.network
    name, _, text = target.partition("/")
    require(name, [*network.machines, *network.nics], "virtual machine or NIC")
    nic, config = _local(network, name, _address(text) if text else None)
    source = _destination(network, remote)
    source_port = EPHEMERAL_PORT if ports.sourcePort is None else ports.sourcePort
    packet = Packet(int(source), int(config.address), protocol_number(ports.name()))
    if packet.has_ports:
        packet = structs.replace(packet, sourcePort=source_port, destinationPort=ports.port or 0)
    sender = _sender(engine, nic, remote, source)
    if sender is None:
        return Question(packet, "Inbound", nic, None)
    seen = config.address
    if sender in network.hosts or source in {ip.address for ip in network.publicIPs.values()}:
        seen = config.publicIP.address if config.publicIP is not None else config.address
    flow = Flow(sender, seen, ports.name(), packet.destinationPort, packet.sourcePort)
    return Question(packet, "Inbound", nic, flow)


def verify(engine: Engine, target: str, direction: arm.Direction, local: str, remote: str, protocol: str) -> Question:
    """A question in the words of `az network watcher test-ip-flow`: two ends `address:port`; a port may be `*`."""
    network = engine.network
    require(target, [*network.machines, *network.nics], "virtual machine or NIC")
    near, near_port = _end("--local", local)
    far, far_port = _end("--remote", remote)
    _local(network, target, near)
    option, text, port = ("--remote", remote, far_port) if direction == "Outbound" else ("--local", local, near_port)
    if port is None and protocol_number(spelt(protocol)) in (TCP, UDP):
        raise PersonError(f"{option} {text}: name the port that is spoken to, as in {text.partition(':')[0]}:443")
    if direction == "Outbound":
        return outbound(engine, f"{target}/{near}", str(far), Ports(protocol, far_port, near_port))
    return inbound(engine, f"{target}/{near}", str(far), Ports(protocol, near_port, far_port))


def towards(engine: Engine, source: str, to: str) -> tuple[Nic, IPv4Address]:
    """The NIC by which a VM (or a NIC) sends to a destination, and the destination's address."""
    network = engine.network
    require(source, [*network.machines, *network.nics], "virtual machine or NIC")
    destination = _destination(network, to)
    nic = sending_nic(engine, source, destination)
    assert nic is not None, "only internet hosts have none"
    return nic, destination


def sending_nic(engine: Engine, name: str, destination: IPv4Address) -> Nic | None:
    """The NIC by which a VM sends to a destination, or the NIC itself; None for an internet host (NIC-4)."""
    network, placement = engine.network, engine.placement
    port: Port | None = placement.ports.get(name)
    if name in network.machines:
        port = placement.guests[name].port_towards(int(destination))
    return port.nic if port is not None else None


def nic_named(network: Network, name: str) -> Nic:
    """A NIC by its name, or the only one of the VM of that name."""
    if name in network.nics:
        return network.nics[name]
    if name in network.machines:
        nics = network.machines[name].nics
        if len(nics) > 1:
            raise PersonError(f"{name} has several NICs; name one: {', '.join(nic.name for nic in nics)}")
        return nics[0]
    require(name, [*network.nics, *network.machines], "NIC")
    raise AssertionError("unreachable: an unknown name is refused")


def require(name: str, known: Iterable[str], what: str) -> None:
    """Refuse a name that the scenario does not know."""
    names = list(known)
    if name not in names:
        raise PersonError(f"there is no {what} {name!r}; {Suggestions().instead_of(name, names)}")


def _destination(network: Network, text: str) -> IPv4Address:
    names = [*network.machines, *network.nics, *network.hosts, *network.publicIPs, *network.loadBalancers]
    if text in names or text.partition("/")[0] in network.loadBalancers:
        return address_of(network, text)
    try:
        return IPv4Address(text)
    except ValueError:
        near = Suggestions().nearest(text, names)
        hint = f"; did you mean `{near}`?" if near is not None else ""
        raise PersonError(
            f"{text!r} is neither an IPv4 address nor a virtual machine, NIC, internet host, public IP or load balancer"
            f"{hint}"
        ) from None


def _address(text: str) -> IPv4Address:
    try:
        return IPv4Address(text)
    except ValueError:
        raise PersonError(f"{text!r} is no IPv4 address") from None


def _end(option: str, text: str) -> tuple[IPv4Address, int | None]:
    address, colon, port = text.partition(":")
    if not colon or port == ANY:
        return _address(address), None
    if not (port.isascii() and port.isdecimal()) or int(port) > 65535:
        raise PersonError(f"{option} {text}: {port!r} is no port; write a number below 65536, or *")
    return _address(address), int(port)


def _local(network: Network, name: str, address: IPv4Address | None) -> tuple[Nic, IPConfig]:
    """The NIC and IP configuration of a VM or NIC with that address; the primary one when none is given."""
    nics = network.machines[name].nics if name in network.machines else (network.nics[name],)
    if address is None:
        return nics[0], nics[0].ipConfigs[0]
    for nic in nics:
        for config in nic.ipConfigs:
            if config.address == address:
                return nic, config
    own = ", ".join(str(config.address) for nic in nics for config in nic.ipConfigs)
    raise PersonError(f"{address} is not an address of {name}, which has {own}")


def _sender(engine: Engine, nic: Nic, remote: str, address: IPv4Address) -> str | None:
    """Who sends from the remote address: by name, else whoever has it, as seen from the NIC's network."""
    network, placement = engine.network, engine.placement
    if remote in network.machines or remote in network.nics or remote in network.hosts:
        return remote
    if int(address) in placement.hosts:
        return placement.hosts[int(address)]
    public = network.public_owner(address)
    if public is not None:
        return public[0].name
    home = nic.subnet.virtualNetwork
    for place in (home, *placement.peerings[home]):
        if int(address) in placement.owners[place]:
            return placement.owners[place][int(address)].name
    return None
