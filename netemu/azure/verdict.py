"""What Azure does with a flow: the whole way of its first packet and of the packet that answers.

This is one reading of Azure's rules. Another one, written apart from it, is the compiler's; `verify` holds the two
against each other and against packets. Neither is ever made from the other.
"""

from __future__ import annotations

from functools import lru_cache
from ipaddress import IPv4Address

from msgspec import Struct, structs

from netemu.azure import resources as arm
from netemu.azure.choosing import Target, every_way
from netemu.azure.edge import Translations
from netemu.azure.flow import EPHEMERAL_PORT, TCP, Flow, Packet, dotted, packet_of
from netemu.azure.network import PLATFORM_ADDRESS, Network, Nic, Subnet
from netemu.azure.placement import Placement
from netemu.azure.routing import EffectiveRoute, NextHop, next_hop
from netemu.azure.security import Consideration, Context, EffectiveRule, consider, effective_rules
from netemu.azure.steps import Chosen, End, Stage, Step, StepKind, Verdict
from netemu.azure.walk import Memory, Record, Walk
from netemu.errors import PersonError

__all__ = ["Chosen", "Engine", "NsgDecision", "Stage", "Step", "StepKind", "Target", "Verdict", "judge"]


class NsgDecision(Struct, frozen=True):
    """What one NSG says to a packet at one NIC."""

    networkSecurityGroup: str
    place: str
    """The NIC or the subnet that the NSG is associated to."""
    considered: tuple[Consideration, ...]
    """Every rule that was looked at, in order; the last one decided."""

    @property
    def rule(self) -> EffectiveRule:
        """The rule that decided."""
        return self.considered[-1].rule


class Engine:
    """Verdicts, effective rules and effective routes of one network. Making it costs; asking it is cheap."""

    def __init__(self, network: Network) -> None:
        self.network = network
        self._placement = Placement(network)

    @property
    def placement(self) -> Placement:
        """What is where."""
        return self._placement

    def judge(
        self,
        flow: Flow,
        known: frozenset[Record] = frozenset(),
        *,
        down: frozenset[Target] = frozenset(),
        established: str | None = None,
    ) -> Verdict:
        """What becomes of the flow's first packet, and of the reply to it; on every way, where something is chosen.

        `known` are records that earlier flows have left. What is neither a TCP SYN nor an echo request passes by them
        (NSG-21, NSG-23). `down` are backends that their probes find down. `established` is the backend (VM, NIC or
        NIC/ipConfiguration) that the flow is open to already: where it goes on, if it does (LB-31, LB-32).
        """
        ways = every_way(
            lambda choosing: self._judge(flow, Memory(set(known), Translations(), choosing)), down, established
        )
        if len(ways) == 1:
            return ways[0]
        speaker = min(ways, key=lambda way: (way.access == "Allow", way.answered))
        return structs.replace(speaker, choices=tuple(ways))

    def _judge(self, flow: Flow, memory: Memory) -> Verdict:
        walk = Walk(self._placement, memory, replying=False)
        packet, sender, end = self._start(walk, flow)
        if end.access == "Deny":
            return _verdict(walk, end)
        if end.stage != "delivered":
            reply = Verdict(
                access="Allow",
                stage=end.stage,
                destination=sender,
                receiver=sender,
                sourceSeenAs=_address(end.packet.destination),
                destinationSeenAs=_address(end.packet.source),
            )
            return _verdict(walk, end, reply, answered=self._has(sender, end.packet.source))
        back = Walk(self._placement, memory, replying=True)
        returned = self._answer(back, end)
        answered = returned.access == "Allow" and returned.receiver == sender and returned.packet == packet.reversed()
        return _verdict(walk, end, _verdict(back, returned), answered=answered)

    def _start(self, walk: Walk, flow: Flow) -> tuple[Packet, str, End]:
        placement = self._placement
        name = flow.source
        if name in placement.guests:
            guest = placement.guests[name]
            chosen = guest.port_towards(int(flow.destinationAddress))
            packet = packet_of(flow, int(flow.sourceAddress or chosen.nic.address))
            return packet, name, walk.from_guest(guest, packet)
        if name in placement.ports:
            port = placement.ports[name]
            packet = packet_of(flow, int(flow.sourceAddress or port.nic.address))
            return packet, port.machine, walk.from_guest(placement.guests[port.machine], packet, port)
        if name in self.network.hosts:
            packet = packet_of(flow, int(flow.sourceAddress or self.network.hosts[name].address))
            return packet, name, walk.from_host(name, packet)
        raise PersonError(f"{name} is neither a virtual machine, a NIC nor an internet host")

    def _has(self, sender: str, address: int) -> bool:
        """Is it the sender's own address? The platform answers whoever is asked for, not who asks in another's name."""
        machine = self.network.machines.get(sender)
        if machine is None:
            return True
        own = {int(config.address) for nic in machine.nics for config in nic.ipConfigs}
        return address in own or address == 0  # 0.0.0.0: it asks for its address (PLT-5)

    def _answer(self, walk: Walk, end: End) -> End:
        """The receiver sends from the address and port that it was spoken to, by its own routes (NIC-4)."""
        assert end.receiver is not None
        packet = end.packet.reversed()
        # Machines, NICs and internet hosts may share names; only what arrives at a NIC has a direction.
        if end.direction is None:
            return walk.from_host(end.receiver, packet)
        return walk.from_guest(self._placement.guests[end.receiver], packet)

    def evaluate_nsgs(self, nic: Nic, direction: arm.Direction, packet: Packet) -> tuple[NsgDecision, ...]:
        """What the NSGs alone say to a packet at a NIC, as IP flow verify does: no routes, no records (NW-3).

        One decision for each NSG in the order of NSG-15, ending with the first that denies; none without NSGs.
        """
        decisions = []
        for gate in self._placement.gates(nic, direction):
            considered = consider(gate.classifier.rules, packet)
            decisions.append(NsgDecision(gate.networkSecurityGroup, gate.place, considered))
            if considered[-1].rule.access == "Deny":
                break
        return tuple(decisions)

    def stopped_probes(self) -> frozenset[Target]:
        """The backends that count as down because an NSG denies their probes (LB-33)."""
        found: set[Target] = set()
        for balancer in self.network.loadBalancers.values():
            for rule in balancer.loadBalancingRules.values():
                for member in rule.pool.members if rule.probe is not None else ():
                    assert rule.probe is not None
                    source, port = int(PLATFORM_ADDRESS), rule.probe.port
                    packet = Packet(source, int(member.address), TCP, EPHEMERAL_PORT, port)
                    decisions = self.evaluate_nsgs(member.nic, "Inbound", packet)
                    if decisions and decisions[-1].rule.access == "Deny":
                        found.add((rule.probe.path, member.path))
        return frozenset(found)

    def effective_rules(
        self, security_group: str, subnet: Subnet, direction: arm.Direction
    ) -> tuple[EffectiveRule, ...]:
        """The rules of an NSG as they apply in a subnet, in order of evaluation."""
        return effective_rules(self.network, security_group, Context.of(subnet), direction)

    def effective_routes(self, subnet: Subnet) -> tuple[EffectiveRoute, ...]:
        """All routes of a subnet, valid or not."""
        return self._placement.routes(subnet).routes

    def next_hop(self, subnet: Subnet, destination: IPv4Address) -> NextHop:
        """The route that decides for a destination, and those that lost."""
        return next_hop(self.network, subnet, destination)


def judge(network: Network, flow: Flow) -> Verdict:
    """One verdict. For many, keep an `Engine`."""
    return Engine(network).judge(flow)


def _verdict(walk: Walk, end: End, reply: Verdict | None = None, *, answered: bool = False) -> Verdict:
    allowed = end.access == "Allow"
    rule = walk.last_rule if allowed else end.rule
    nic: str | None = end.place
    direction = end.direction
    if allowed:
        nic = walk.last_port.name if walk.last_port is not None else None
        direction = rule.direction if rule is not None else None
    place = end.place if end.stage != "platform" else dotted(end.packet.destination)
    return Verdict(
        access=end.access,
        stage=end.stage,
        rule=rule.name if rule is not None else None,
        networkSecurityGroup=rule.networkSecurityGroup if rule is not None else None,
        nic=nic,
        direction=direction,
        via=tuple(walk.via),
        destination=place if allowed else None,
        receiver=end.receiver,
        sourceSeenAs=_address(end.packet.source) if allowed else None,
        destinationSeenAs=_address(end.packet.destination) if allowed else None,
        steps=tuple(walk.steps),
        reply=reply,
        answered=answered,
        chosen=tuple(walk.chosen),
        keepsPort=walk.keeps_port,
        destinationPortSeenAs=end.packet.destinationPort if allowed and end.packet.has_ports else None,
    )


@lru_cache(maxsize=65536)
def _address(number: int) -> IPv4Address:
    return IPv4Address(number)
