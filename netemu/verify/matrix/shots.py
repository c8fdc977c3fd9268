"""Fires questions at a lab, many at once, and gathers what the taps saw of each."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Address
from pathlib import Path

from msgspec import Struct, field

from netemu.azure.flow import ICMP, Flow, Packet, packet_of
from netemu.azure.network import PLATFORM_ADDRESS, Network
from netemu.azure.verdict import Engine, Verdict
from netemu.azure.walk import Record
from netemu.linux.route_lookup import RouteLookup
from netemu.linux.volley import Volley
from netemu.verify import frames
from netemu.verify.frames import Seen
from netemu.verify.matrix.plan import NOBODYS, UNASSIGNED, Question
from netemu.verify.observe import FABRIC_MAC, IMDS_ADDRESS, PATIENCE, PLATFORM
from netemu.verify.records import Records

DRAIN_EVERY = 256
"""Packets that are sent between two looks at the taps."""

address = lru_cache(maxsize=65536)(IPv4Address)


class Sight(Struct, frozen=True, gc=False):
    """A packet of the matrix, and where it was seen."""

    node: str
    outgoing: bool
    seen: Seen


class Shot(Struct):
    """A question as it is asked, what Azure's rules say to it, and what was seen."""

    question: Question
    flow: Flow
    packet: Packet
    verdict: Verdict
    identity: int
    """The id of an echo."""
    ignored: bool
    """Its checksum is wrong, so that guests do not answer by themselves."""
    local: bool = True
    """Does the sender have the address that it sends from?"""
    loose: bool = False
    """More is counted than its verdict says, or other things: packets are judged, counters are not."""
    token: int = 0
    asks: list[Sight] = field(default_factory=list)
    answers: list[Sight] = field(default_factory=list)
    arrival: Sight | None = None
    error: str | None = None


class Range:
    """A running lab with taps in every machine, at which questions are fired."""

    def __init__(self, network: Network, namespaces: Mapping[str, Path], engine: Engine) -> None:
        self.network, self.engine = network, engine
        self._namespaces = namespaces
        self._run = random.getrandbits(frames.RUN_BITS)
        self._next = 0
        self._echo = _echo_ids()
        self._echoes: dict[tuple[int, int], int] = {}
        self._patience = PATIENCE
        self._lookups: dict[str, RouteLookup] = {}
        self.owners = {
            machine.name: {int(config.address) for nic in machine.nics for config in nic.ipConfigs}
            for machine in network.machines.values()
        }
        self.owners |= {host.name: {int(host.address)} for host in network.hosts.values()}
        self.owners |= {
            node: {int(PLATFORM_ADDRESS), int(IMDS_ADDRESS)} for node in namespaces if node.startswith(PLATFORM)
        }
        self._heard: set[tuple[str, int]] = set()
        start = random.randrange(len(UNASSIGNED))
        self._unassigned = itertools.cycle([*UNASSIGNED[start:], *UNASSIGNED[:start]])
        self._records = Records(engine.placement, namespaces)
        self._volley = Volley(
            {node: path for node, path in namespaces.items() if node in self.owners}, frames.tap_filter(self._run)
        )

    def __enter__(self) -> Range:
        return self

    def __exit__(self, *exception: object) -> None:
        self._volley.close()
        for lookup in self._lookups.values():
            lookup.close()

    # ---- questions ---------------------------------------------------------------------------------------------------

    def shot(self, question: Question) -> Shot:
        """A question with ports of its own, and its verdict."""
        source = question.source
        protocol = question.protocol
        if protocol == NOBODYS:
            protocol = str(next(self._unassigned))
        port = random.randrange(*question.sourcePorts)
        flow = Flow(
            source.nic or source.name, address(question.destination), protocol, question.destinationPort,
            port, address(question.sourceAddress),
        )  # fmt: skip
        verdict = self.engine.judge(flow)
        packet = packet_of(flow, question.sourceAddress)
        known: frozenset[Record] = frozenset()
        if question.leaves_a_trace:
            known = self._records.of(source.node, packet, verdict)
            verdict = self.engine.judge(flow, known) if known else verdict
        ends = packet.source, packet.destination
        count = self._echoes[ends] = self._echoes.get(ends, -1) + 1
        # The platform's rules are not asked about what has a record, which the model does not say.
        loose = self._is_loose(source.node, verdict) or (verdict.stage == "platform" and bool(known))
        return Shot(
            question, flow, packet, verdict, (self._echo + count) & 0xFFFF, _stays_inside(verdict),
            question.sourceAddress in self.owners[source.node], loose,
        )  # fmt: skip

    def _is_loose(self, sender: str, verdict: Verdict) -> bool:
        """A loop counts 64 times; guests with several NICs say more, by other NICs, when a packet is valid for them.

        A guest that forwards passes on what is for an address of its NIC that it does not know of.
        And an answer of a public address that a route of the user diverts from the edge: Azure undoes the translation
        before it routes, here the edge does. Nobody gets it, but the NSGs on its way see another source. The edge does
        not translate answers to what it has not seen, and nobody gets them either.
        """
        ways = (verdict, verdict.reply) if verdict.reply is not None else (verdict,)
        if any(way.stage == "loop" or self._is_passed_on(way) for way in ways):
            return True
        if verdict.reply is not None:
            if _is_translated(verdict.reply) and not _is_translated(verdict):
                return True
            undone = False
            for step in verdict.reply.steps:
                undone = undone or (step.kind == "translation" and step.place != "edge")
                if undone and step.route is not None and step.route.nextHopType != "Internet":
                    return True
        several = any(
            len(self.network.machines[name].nics) > 1
            for name in (sender, verdict.receiver)
            if name in self.network.machines
        )
        return several and not _stays_inside(verdict)

    def _is_passed_on(self, way: Verdict) -> bool:
        """Does a guest that forwards pass on what its NIC was given for a secondary address that the guest has not?"""
        guest = self.engine.placement.guests.get(way.receiver or "")
        return (
            guest is not None
            and guest.forwards
            and way.destinationSeenAs is not None
            and int(way.destinationSeenAs) not in guest.local
        )

    def left_to_the_guest(self, shot: Shot) -> bool:
        """Is a guest to forward what it has sent itself, or what is for itself? Its own system decides about that.

        Linux drops what comes in from an address of its own, and takes what is for a secondary IP configuration only
        when a person has given it the address.
        """
        ways = (shot.verdict, shot.verdict.reply) if shot.verdict.reply is not None else (shot.verdict,)
        via = {name for way in ways for name in way.via}
        if not via:
            return False
        ends = {shot.packet.source, shot.packet.destination}
        ends |= {end for way in ways for step in way.steps for end in (step.packet.source, step.packet.destination)}
        return shot.question.source.node in via or any(not ends.isdisjoint(self.owners[name]) for name in via)

    # ---- packets -----------------------------------------------------------------------------------------------------

    def fire(self, shots: Sequence[Shot]) -> None:
        """Send the first packets of all, then the answers of those that have arrived."""
        by_index: dict[int, Shot] = {}
        self._drain({})
        for number, shot in enumerate(shots):
            index = self._next % frames.INDEX_MASK  # the last one would acknowledge another run's token
            self._next = index + 1
            shot.token = self._run << frames.INDEX_BITS | index
            shot.asks, shot.answers, shot.arrival, shot.error = [], [], None, None
            by_index[index] = shot
            self._ask(shot)
            if number % DRAIN_EVERY == DRAIN_EVERY - 1:
                self._drain(by_index)
        self._drain(by_index)
        self._await(by_index, [s for s in shots if s.verdict.access == "Allow"], self._arrived)
        delivered = [shot for shot in shots if self._arrived(shot)]
        for number, shot in enumerate(delivered):
            self._answer(shot)
            if number % DRAIN_EVERY == DRAIN_EVERY - 1:
                self._drain(by_index)
        self._drain(by_index)
        self._await(by_index, [shot for shot in delivered if shot.verdict.answered], answered)

    def _ask(self, shot: Shot) -> None:
        if not shot.packet.has_ports and shot.packet.protocol != ICMP:
            ends = {shot.question.source.node, shot.verdict.receiver or ""}
            for node in ends & self.network.machines.keys():
                if (node, shot.packet.protocol) not in self._heard:
                    self._heard.add((node, shot.packet.protocol))
                    self._volley.listen(node, shot.packet.protocol)
        data = frames.frame(shot.packet, shot.token, shot.identity, answers=False, valid=not shot.ignored)
        source = shot.question.source
        try:
            if source.nic is None:
                self._volley.send(source.node, data)
            else:
                interface = f"eth{self.network.nics[source.nic].index}"
                self._volley.send_by(source.node, interface, FABRIC_MAC, data)
        except OSError as error:
            shot.error = f"{source.node} cannot send it: {error.strerror}"

    def _answer(self, shot: Shot) -> None:
        """As the receiver would; unless its own system has."""
        arrival = shot.arrival
        assert arrival is not None
        node, seen = arrival.node, arrival.seen
        if any(each.outgoing and each.node == node for each in shot.answers):
            return
        back = Packet(seen.destination, seen.source, shot.packet.protocol, seen.destinationPort, seen.sourcePort)
        data = frames.frame(back, shot.token, shot.identity, answers=True, valid=not shot.ignored)
        machine = self.network.machines.get(node)
        try:
            if machine is None:
                self._volley.send(node, data)
            else:
                several = len(machine.nics) > 1
                interface = self._lookup(node).interface(back.destination) if several else "eth0"
                self._volley.send_by(node, interface, FABRIC_MAC, data)
        except OSError as error:
            shot.error = f"{node} cannot answer: {error.strerror}"

    def _lookup(self, node: str) -> RouteLookup:
        if node not in self._lookups:
            self._lookups[node] = RouteLookup(self._namespaces[node])
        return self._lookups[node]

    # ---- sightings ---------------------------------------------------------------------------------------------------

    def _drain(self, shots: Mapping[int, Shot], timeout: float = 0) -> bool:
        """Read the taps; was there anything?"""
        found = False
        for node, outgoing, data in self._volley.read(timeout):
            found = True
            seen = frames.dissect(data)
            shot = shots.get(seen.index) if seen is not None else None
            if seen is not None and shot is not None:
                (shot.answers if seen.answers else shot.asks).append(Sight(node, outgoing, seen))
        return found

    def _await(self, by_index: Mapping[int, Shot], wanted: Iterable[Shot], done: Callable[[Shot], bool]) -> None:
        """User space or a queue may lie on the way of what ought to come. What never comes is waited for once."""
        missing = [shot for shot in wanted if not done(shot)]
        deadline = time.monotonic() + self._patience
        while missing and time.monotonic() < deadline:
            self._drain(by_index, max(deadline - time.monotonic(), 0))
            missing = [shot for shot in missing if not done(shot)]
        self._patience = PATIENCE / 20 if missing else self._patience

    def _arrived(self, shot: Shot) -> bool:
        """Is it at a machine that has the destination address? Appliances take from the TTL, which gives the order."""
        if shot.arrival is None and shot.asks:
            if len(shot.asks) > 1:
                shot.asks.sort(key=lambda sight: -sight.seen.ttl)
            shot.arrival = next((x for x in shot.asks if x.seen.destination in self.owners[x.node]), None)
        return shot.arrival is not None


def answered(shot: Shot) -> bool:
    """Did an answer come back to the sender, from where it spoke to? Not if it only forwards it."""
    if not shot.local:
        return False
    back = shot.packet.reversed()
    node = shot.question.source.node
    for sight in shot.answers:
        seen = sight.seen
        if (
            not sight.outgoing
            and sight.node == node
            and seen.source == back.source
            and seen.destination == back.destination
            and (seen.sourcePort, seen.destinationPort) == (back.sourcePort, back.destinationPort)
        ):
            return True
    return False


def _is_translated(verdict: Verdict) -> bool:
    return any(step.kind == "translation" for step in verdict.steps)


def _stays_inside(verdict: Verdict) -> bool:
    """Does nothing on its way look at checksums? Appliances and the internet edge do."""
    ways = (verdict, verdict.reply) if verdict.reply is not None else (verdict,)
    return all(not way.via and all(step.kind != "translation" for step in way.steps) for way in ways) and (
        verdict.stage not in ("edge-private", "edge-untranslated", "edge-unknown")
    )


def _echo_ids() -> int:
    """The first echo id of this run: 64 that no run has had for a quarter of an hour, for each pair of addresses."""
    return int(time.time()) % 1024 * 64
