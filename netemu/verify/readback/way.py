"""The way of a packet by the kernel: followed from namespace to namespace, through rules and routes that are loaded.

Nothing is sent. A packet is the first of its flow, and the answer to it passes by the records that it would leave.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct, field

from netemu.azure import resources as arm
from netemu.azure.blocked import PLATFORM_ADDRESSES
from netemu.azure.flow import Flow, Packet, packet_of
from netemu.linux.observe import Link
from netemu.linux.route_lookup import Entry
from netemu.linux.ruleset_expressions import PacketState
from netemu.linux.ruleset_follow import Follower, Hit, Passage
from netemu.verify.evidence import STAGES, Decision, decision_of
from netemu.verify.readback.edge import EdgeCrossing, Known
from netemu.verify.readback.gates import counted
from netemu.verify.readback.hop import Hop, by_kernel, entry_text
from netemu.verify.readback.plane import EDGE, FABRIC, INTERNET, PLATFORM, Plane

LOAD_BALANCER = "load-balancer"
"""Stage of a way that leads into a director, and is not followed farther."""
ECHO_REPLY, SYN_ACK = 0, 0x12
StepKind = Literal["security-group", "route", "translation", "appliance", "flow-record", "end"]


class Step(Struct, frozen=True):
    """One thing that the kernel would do with the packet."""

    kind: StepKind
    packet: Packet
    text: str
    nic: str | None = None
    decision: Decision | None = None
    hop: Hop | None = None
    entry: Entry | None = None
    after: Packet | None = None
    machine: str | None = None


class Way(Struct):
    """The whole way."""

    steps: list[Step] = field(default_factory=list)
    access: arm.Access = "Deny"
    stage: str = ""
    """As in verdicts; `other` for what no rule or route of netemu's does."""
    receiver: str | None = None
    packet: Packet | None = None
    """As it was at the end."""

    def of_kind(self, kind: StepKind) -> list[Step]:
        """The steps of one kind."""
        return [step for step in self.steps if step.kind == kind]


class Ways:
    """Follows a flow and the answer to it."""

    def __init__(self, plane: Plane) -> None:
        self.plane = plane
        self._followers: dict[str, Follower] = {}
        self._known: Known = {}

    def of(self, flow: Flow) -> Way:
        """The way of a flow's first packet."""
        network = self.plane.network
        walk = _Walk(self, answering=False)
        if flow.source in network.hosts:
            source = flow.sourceAddress or network.hosts[flow.source].address
            return walk.from_host(flow.source, packet_of(flow, int(source)))
        nic = network.nics.get(flow.source)
        if nic is not None:
            return walk.from_machine(nic.machine, packet_of(flow, int(flow.sourceAddress or nic.address)), nic.name)
        chosen = self._chosen(flow)
        return walk.from_machine(flow.source, packet_of(flow, int(flow.sourceAddress or chosen)))

    def answer(self, way: Way) -> Way | None:
        """The way of the packet that answers; None when nobody got the first."""
        if way.access == "Deny" or way.stage != "delivered" or way.packet is None or way.receiver is None:
            return None
        walk = _Walk(self, answering=True)
        if way.receiver in self.plane.network.hosts and way.steps[-1].nic is None:
            return walk.from_host(way.receiver, way.packet.reversed())
        return walk.from_machine(way.receiver, way.packet.reversed())

    def _chosen(self, flow: Flow) -> int:
        """The address that a machine sends from when its program names none: that of the NIC it sends by."""
        machine = self.plane.network.machines[flow.source]
        if not self.plane.has(machine.name):
            return int(machine.nics[0].address)
        entry = self.plane.lookup(machine.name).entry(int(flow.destinationAddress))
        device = entry.interface if entry is not None else None
        nic = next((nic for nic in machine.nics if f"eth{nic.index}" == device), machine.nics[0])
        return int(nic.address)

    def follower(self, node: str) -> Follower:
        """What follows packets through a node, and remembers what they wrote there."""
        if node not in self._followers:
            self._followers[node] = Follower(self.plane.view(node))
        return self._followers[node]

    @property
    def known(self) -> Known:
        """What conntrack in the edge would know."""
        return self._known


class _Walk:
    """Follows one packet."""

    def __init__(self, ways: Ways, *, answering: bool) -> None:
        self.ways, self.plane = ways, ways.plane
        self.answering = answering
        self.way = Way()
        self.forwarded: set[tuple[str, Packet]] = set()

    # ---- machines ----------------------------------------------------------------------------------------------------

    def from_machine(self, node: str, packet: Packet, nic: str | None = None) -> Way:
        """A program in a machine sends, by a NIC if one is given."""
        if not self.plane.has(node):
            return self._end("Deny", "other", packet, f"there is no namespace of {node}")
        entry = self.plane.lookup(node).entry(packet.destination)
        if (entry is not None and entry.local) or packet.destination == packet.source:
            return self._end("Allow", "local", packet, f"{node} itself has the address", receiver=node)
        if nic is None:
            nic = self._nic(node, entry)
        if nic is None:
            return self._end("Deny", "other", packet, f"{node} has no way to it: {entry_text(entry)}")
        return self._cross(nic, packet)

    def _nic(self, node: str, entry: Entry | None) -> str | None:
        if entry is None or entry.interface is None:
            return None
        return self.plane.nic_at((node, entry.interface))

    def _arrive_at_machine(self, node: str, nic: str, packet: Packet, port: str) -> Way:
        """The fabric has handed a packet to a NIC."""
        device = f"eth{self.plane.network.nics[nic].index}"
        link = self.plane.links(node)[device]
        entry = self.plane.lookup(node).entry(packet.destination, source=packet.source, interface=link.index)
        own = self.plane.view(FABRIC).members("ip", "netemu", "own")
        if (entry is not None and entry.local) or own.find((port, packet.destination)) is not None:
            return self._end("Allow", "delivered", packet, f"{nic} of {node} gets it", nic, receiver=node)
        leaving = self._nic(node, entry)
        if self.plane.sysctl(node, f"ipv4/conf/{device}/forwarding") != "1":
            why = f"{node} does not forward (net.ipv4.conf.{device}.forwarding is not 1)"
            return self._end("Deny", "guest-not-forwarding", packet, why, nic)
        if leaving is None:
            why = f"{node} has no way for it: {entry_text(entry)}"
            return self._end("Deny", "guest-not-forwarding", packet, why, nic)
        if (leaving, packet) in self.forwarded:
            return self._end("Deny", "loop", packet, "it circles until its TTL ends", leaving)
        self.forwarded.add((leaving, packet))
        text = f"{node} forwards it by {leaving} ({entry_text(entry)})"
        self.way.steps.append(Step("appliance", packet, text, nic, machine=node))
        return self._cross(leaving, packet)

    # ---- the fabric --------------------------------------------------------------------------------------------------

    def _cross(self, name: str, packet: Packet) -> Way:
        """A machine sends by a NIC."""
        nic = self.plane.network.nics[name]
        near, port = self.plane.links(nic.machine).get(f"eth{nic.index}"), self.plane.port(nic)
        if near is None or port is None:
            return self._end("Deny", "other", packet, f"{name} is not connected to the fabric", name)
        if not (near.up and port.up):
            return self._end("Deny", "other", packet, f"{name} is down", name)
        return self._fabric(self._state(packet, port, mac=near.mac), packet, name)

    def _fabric(self, state: PacketState, packet: Packet, sender: str | None) -> Way:
        follower = self.ways.follower(FABRIC)
        before = follower.hook("prerouting", state)
        if before.dropped:
            return self._dropped(before, FABRIC, packet, sender)
        entry = self._look_up(FABRIC, state)
        hop = by_kernel(self.plane, entry, state.destination)
        if entry is None or entry.interface is None:
            self._route(sender, packet, hop, entry)
            return self._end("Deny", "other", packet, f"the fabric has no way to it: {entry_text(entry)}", sender)
        self._leave_by(FABRIC, state, entry)
        forward = follower.hook("forward", state)
        target = hop.nic if hop.kind == "NIC" else None
        sending = [hit for hit in forward.hits if _stage(hit) in ("nsg-out", "platform")]
        for hit in sending:
            self._decision(hit, packet, sender)
        if not (forward.dropped and forward.by in sending):
            self._route(sender, packet, hop, entry)
            for hit in forward.hits:
                if _stage(hit) == "nsg-in":
                    self._decision(hit, packet, target)
        if forward.recorded:
            self.way.steps.append(Step("flow-record", packet, "it passes as part of a flow that was allowed", sender))
        if forward.dropped:
            return self._dropped(forward, FABRIC, packet, sender, target)
        after = follower.hook("postrouting", state)
        if after.dropped:
            return self._dropped(after, FABRIC, packet, sender, target)
        return self._hand_over(entry.interface, packet, target)

    def _hand_over(self, interface: str, packet: Packet, target: str | None) -> Way:
        end = self.plane.behind(FABRIC, interface)
        if end is None:
            return self._end("Deny", "other", packet, f"nothing is at the other end of {interface}")
        node, far = end
        if node == EDGE:
            return self._edge(self._state(packet, self.plane.links(EDGE)[far]), packet)
        if node.startswith(PLATFORM):
            return self._platform(node, packet)
        assert target is not None, "what is neither edge nor platform is a machine"
        if not (self.plane.links(node)[far].up and self.plane.links(FABRIC)[interface].up):
            return self._end("Deny", "other", packet, f"{target} is down", target)
        return self._arrive_at_machine(node, target, packet, interface)

    def _platform(self, node: str, packet: Packet) -> Way:
        if packet.destination in PLATFORM_ADDRESSES:
            return self._end("Allow", "platform", packet, f"{node} gets it", receiver="platform")
        text = f"{node} gets it, the director of load balancers; which backend it chooses is not followed here"
        return self._end("Allow", LOAD_BALANCER, packet, text)

    def _route(self, sender: str | None, packet: Packet, hop: Hop, entry: Entry | None) -> None:
        # What comes from outside is routed too, but by no subnet's routes; nor is what the platform takes.
        if sender is not None and hop.kind != "platform":
            text = f"{entry_text(entry)}, which leads to {hop}"
            self.way.steps.append(Step("route", packet, text, sender, hop=hop, entry=entry))

    def _decision(self, hit: Hit, packet: Packet, nic: str | None) -> None:
        found = _decision_of(FABRIC, hit, dropped=_drops(hit))
        verb = "denies" if found.dropped else "allows"
        name = found.rule or f"a rule that is not netemu's: {self.plane.view(FABRIC).text(hit.rule)}"
        text = f"{found.networkSecurityGroup} {verb} it by {name}{counted(hit.packets)}"
        self.way.steps.append(Step("security-group", packet, text, nic, decision=found))

    # ---- the edge and the internet -----------------------------------------------------------------------------------

    def _edge(self, state: PacketState, packet: Packet) -> Way:
        """Through the edge, either way."""
        crossing = EdgeCrossing(self.plane, self.ways.follower(EDGE), self.ways.known, state).follow()
        outside, entry = crossing.packet, crossing.entry
        if crossing.dropped is not None:
            return self._dropped(crossing.dropped, EDGE, outside)
        if entry is None or entry.interface is None:
            return self._end("Deny", "other", outside, f"the edge has no way to it: {entry_text(entry)}")
        if outside != packet:
            text = f"{packet} becomes {outside} in the edge"
            self.way.steps.append(Step("translation", packet, text, after=outside))
        end = self.plane.behind(EDGE, entry.interface)
        if end is None:
            return self._end("Deny", "other", outside, f"nothing is at the other end of {entry.interface}")
        node, far = end
        if node.startswith(PLATFORM):
            return self._platform(node, outside)
        arriving = self._state(outside, self.plane.links(node)[far])
        return self._internet(arriving, outside) if node == INTERNET else self._fabric(arriving, outside, None)

    def from_host(self, name: str, packet: Packet) -> Way:
        """A host on the internet sends."""
        if not self.plane.has(name):
            return self._end("Deny", "other", packet, f"there is no namespace of {name}")
        entry = self.plane.lookup(name).entry(packet.destination)
        if entry is not None and entry.local:
            return self._end("Allow", "local", packet, f"{name} itself has the address", receiver=name)
        port = self.plane.far_end(name, "eth0", INTERNET)
        if port is None:
            return self._end("Deny", "other", packet, f"{name} is not connected to the internet")
        return self._internet(self._state(packet, port), packet)

    def _internet(self, state: PacketState, packet: Packet) -> Way:
        follower = self.ways.follower(INTERNET)
        before = follower.hook("prerouting", state)
        if before.dropped:
            return self._dropped(before, INTERNET, packet)
        entry = self._look_up(INTERNET, state)
        if entry is None or entry.interface is None:
            return self._end("Deny", "edge-unknown", packet, f"the internet has no way to it: {entry_text(entry)}")
        self._leave_by(INTERNET, state, entry)
        for name in ("forward", "postrouting"):
            passage = follower.hook(name, state)
            if passage.dropped:
                return self._dropped(passage, INTERNET, packet)
        end = self.plane.behind(INTERNET, entry.interface)
        if end is None:
            return self._end("Deny", "other", packet, f"nothing is at the other end of {entry.interface}")
        if end[0] == EDGE:
            return self._edge(self._state(packet, self.plane.links(EDGE)[end[1]]), packet)
        return self._end("Allow", "delivered", packet, f"{end[0]} gets it", receiver=end[0])

    # ---- common ------------------------------------------------------------------------------------------------------

    def _state(self, packet: Packet, link: Link, mac: bytes = b"") -> PacketState:
        """A packet that comes in by an interface. What was marked elsewhere is not any more."""
        state = PacketState(
            packet.source, packet.destination, packet.protocol, packet.sourcePort, packet.destinationPort,
            in_interface=link.name, in_index=link.index, mac=mac.hex(":"),
        )  # fmt: skip
        if self.answering:
            state.tcp_flags, state.icmp_type = SYN_ACK, ECHO_REPLY
        return state

    def _look_up(self, node: str, state: PacketState) -> Entry | None:
        lookup = self.plane.lookup(node)
        return lookup.entry(state.destination, source=state.source, mark=state.mark, interface=state.in_index)

    def _leave_by(self, node: str, state: PacketState, entry: Entry) -> None:
        state.out_interface = entry.interface or ""
        link = self.plane.links(node).get(state.out_interface)
        state.out_index = link.index if link is not None else 0

    def _dropped(
        self, passage: Passage, node: str, packet: Packet, sender: str | None = None, target: str | None = None
    ) -> Way:
        if passage.by is None:
            return self._end(
                "Deny", "other", packet, f"dropped by the policy of chain {passage.policy} in {node}", sender
            )
        found = _decision_of(node, passage.by, dropped=True)
        stage = _stage(passage.by)
        rule = self.plane.view(node).text(passage.by.rule)
        text = f"dropped in {node} by chain {passage.by.rule.chain}: {rule}{counted(passage.by.packets)}"
        nic = target if stage in ("nsg-in", "destination-check", "forwarded-traffic", "public-closed") else sender
        if stage == "other":
            found = Decision(node, "other", True)
        return self._end("Deny", stage, packet, text, nic, decision=found)

    def _end(
        self, access: arm.Access, stage: str, packet: Packet, text: str, nic: str | None = None,
        *, receiver: str | None = None, decision: Decision | None = None,
    ) -> Way:  # fmt: skip
        self.way.steps.append(Step("end", packet, text, nic, decision=decision))
        self.way.access, self.way.stage, self.way.receiver, self.way.packet = access, stage, receiver, packet
        return self.way


def _drops(hit: Hit) -> bool:
    return any("drop" in statement or "reject" in statement for statement in hit.rule.expressions)


def _decision_of(node: str, hit: Hit, *, dropped: bool) -> Decision:
    rule = hit.rule
    return decision_of(node, rule.chain, rule.comment, hit.packets or 0, dropped)


def _stage(hit: Hit) -> str:
    """The stage of a verdict that a rule stands for; `other` when it is none of netemu's."""
    rule = hit.rule
    kind, slash, _ = rule.chain.partition("/")
    if (rule.family, rule.table) != ("ip", "netemu"):
        return "other"
    if slash and kind in ("outbound", "inbound", "platform", "forwarded"):
        return decision_of("", rule.chain, rule.comment, 0, dropped=True).stage
    return STAGES.get((rule.chain, rule.comment), "other")
