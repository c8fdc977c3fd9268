"""Sends first packets of flows into a running lab and says what became of them: of one, or of many at once."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from ipaddress import IPv4Address
from pathlib import Path
from typing import Literal

from msgspec import Struct, field, structs

from netemu.azure.flow import Flow, Packet, packet_of
from netemu.azure.network import PLATFORM_ADDRESS, Network
from netemu.azure.placement import NAME_SERVERS
from netemu.linux.volley import Sighting, Volley
from netemu.verify import frames
from netemu.verify.evidence import Counting, Decision

IMDS_ADDRESS = IPv4Address("169.254.169.254")
FABRIC_MAC = bytes.fromhex("123456789abc")
"""What every NIC's neighbours have (ARP-6)."""

LOOPBACK = "lo"
"""What a machine sends to itself comes by this interface."""

PATIENCE = 1.0
"""Seconds to wait for a packet that ought to come: user space or a queue may lie on its way."""


PLATFORM = "@slb."
"""Namespaces of the platform that packets of guests end in."""


class Seen(Struct, frozen=True):
    """A packet as it looked at one place."""

    source: IPv4Address
    destination: IPv4Address
    sourcePort: int
    destinationPort: int


class Hop(Struct, frozen=True):
    """Where a packet was seen."""

    node: str
    interface: str
    outgoing: bool
    seen: Seen
    time: int


OwnAnswer = Literal["accepted", "refused"]


class Observation(Struct, frozen=True):
    """What became of a first packet."""

    delivered: bool
    receiver: str | None
    """The machine or internet host that has it."""
    via: tuple[str, ...]
    """Machines that forwarded it, in order."""
    sourceSeenAs: IPv4Address | None
    destinationSeenAs: IPv4Address | None
    decisions: tuple[Decision, ...]
    """Rules that counted it, those that dropped it included."""
    hops: tuple[Hop, ...]
    answered: bool | None
    """Did an answer come back to the sender? None when there was nothing to answer."""
    answer_decisions: tuple[Decision, ...] = ()
    error: str | None = None
    """Why the sender could not even send it."""
    own_answer: OwnAnswer | None = None
    """What the receiver's own system or a program there answered, if any did; not known of UDP."""


class Ask(Struct, frozen=True):
    """A flow to send the first packet of. `expect_…` say for what it is worth to wait; they change no result."""

    flow: Flow
    expect_delivery: bool
    expect_answer: bool


class Together(Struct, frozen=True):
    """What became of several flows at once; their counters are known by their sums only."""

    observations: tuple[Observation, ...]
    """In the order of the flows, without decisions."""
    decisions: tuple[Decision, ...]
    answer_decisions: tuple[Decision, ...]
    lost: bool
    """Were there more packets than the taps could hold? Then something that was not seen may have come all the same."""


class _Probe(Struct, eq=False):
    """A first packet on its way, and what was seen of it."""

    ask: Ask
    node: str
    nic: str | None
    """The interface that it leaves by, if that is not for the guest to choose."""
    packet: Packet
    hops: list[Hop] = field(default_factory=list)
    answers: list[Hop] = field(default_factory=list)
    arrival: Hop | None = None
    own_answer: OwnAnswer | None = None
    crafted: bool = False
    """The answer is ours."""
    error: str | None = None


class Observer:
    """Taps in every machine of a lab, and its counters."""

    def __init__(self, network: Network, namespaces: Mapping[str, Path]) -> None:
        self.network = network
        self._run = random.getrandbits(frames.RUN_BITS)
        self._next = random.getrandbits(frames.INDEX_BITS - 1)
        self._patience = PATIENCE
        self._owners: dict[str, set[IPv4Address]] = {
            machine.name: {config.address for nic in machine.nics for config in nic.ipConfigs}
            for machine in network.machines.values()
        }
        self._owners.update(
            {node: {PLATFORM_ADDRESS, IMDS_ADDRESS} for node in namespaces if node.startswith(PLATFORM)}
        )
        self._owners.update({host.name: {host.address} for host in network.hosts.values()})
        servers = {*network.publicResolvers, *network.nameServers.values()}
        self._owners.update({NAME_SERVERS: servers} if servers else {})
        self._counting = Counting({node: path for node, path in namespaces.items() if node.startswith("@")})
        try:
            self._volley = Volley(
                {node: path for node, path in namespaces.items() if not node.startswith("@") or node in self._owners},
                frames.tap_filter(self._run, sent=True),
                timed=True,
            )
        except BaseException:
            self._counting.close()
            raise

    def __enter__(self) -> Observer:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def total(self, decision: Decision) -> int:
        """Packets that the rule of a decision has counted in all."""
        return self._counting.total(decision)

    def close(self) -> None:
        """Close it."""
        self._counting.close()
        self._volley.close()

    def observe(self, flow: Flow, *, expect_delivery: bool, expect_answer: bool) -> Observation:
        """Send the first packet of a flow, and the answer to it if it arrives and nobody else answers.

        `expect_…` say for what it is worth to wait; they change no result.
        """
        self._patience = PATIENCE
        found = self.together([Ask(flow, expect_delivery, expect_answer)])
        (alone,) = found.observations
        return structs.replace(alone, decisions=found.decisions, answer_decisions=found.answer_decisions)

    def together(self, asks: Sequence[Ask]) -> Together:
        """The same for many flows at once."""
        self._drain({})
        self._volley.lost()
        self._counting.moved()
        probes: dict[int, _Probe] = {}
        for ask in asks:
            node, nic, source = self._sender(ask.flow)
            # The last index would acknowledge another run's token.
            index = self._next = self._next % (frames.INDEX_MASK - 1) + 1
            probe = probes[index] = _Probe(ask, node, nic, packet_of(ask.flow, int(source)))
            self._send(probe, index)
        self._drain(probes)
        every = probes.values()
        self._await(probes, [p for p in every if p.ask.expect_delivery], lambda probe: self._has_arrived(probe))
        decisions = tuple(self._counting.moved())
        for index, probe in probes.items():
            if self._has_arrived(probe):
                self._answer(probe, index)
        self._drain(probes)
        self._await(probes, [p for p in every if p.arrival and p.ask.expect_answer], self._is_answered)
        answered = tuple(self._counting.moved()) if any(probe.arrival for probe in every) else ()
        return Together(tuple(map(self._observation, every)), decisions, answered, self._volley.lost() > 0)

    # ---- packets -----------------------------------------------------------------------------------------------------

    def _sender(self, flow: Flow) -> tuple[str, str | None, IPv4Address]:
        """Node, interface if it is not for the guest to choose, and source address."""
        network = self.network
        if flow.source in network.machines:
            machine = network.machines[flow.source]
            inside = [nic for nic in machine.nics if flow.destinationAddress in nic.subnet.prefix]
            nic = inside[0] if inside else machine.nics[0]
            return machine.name, None, flow.sourceAddress or nic.address
        if flow.source in network.nics:
            nic = network.nics[flow.source]
            return nic.machine, f"eth{nic.index}", flow.sourceAddress or nic.address
        return flow.source, None, flow.sourceAddress or network.hosts[flow.source].address

    def _send(self, probe: _Probe, index: int) -> None:
        data = frames.frame(probe.packet, self._token(index), index & 0xFFFF, answers=False, valid=True)
        try:
            self._give(probe.node, probe.nic, data)
        except OSError as error:
            probe.error = f"{probe.node} cannot send it: {error.strerror}"

    def _give(self, node: str, nic: str | None, data: bytes) -> None:
        """Send by a NIC, or as the namespace's own routes say."""
        if nic is not None:
            self._volley.send_by(node, nic, FABRIC_MAC, data)
        else:
            self._volley.send(node, data)

    def _answer(self, probe: _Probe, index: int) -> None:
        """As the receiver would, to the addresses and ports that it saw; unless its own system has."""
        arrival = probe.arrival
        assert arrival is not None
        if any(hop.outgoing and hop.node == arrival.node for hop in probe.answers):
            return
        probe.crafted = True
        seen = arrival.seen
        back = Packet(
            int(seen.destination), int(seen.source), probe.packet.protocol, seen.destinationPort, seen.sourcePort
        )
        data = frames.frame(back, self._token(index), index & 0xFFFF, answers=True, valid=True)
        try:
            self._give(arrival.node, None, data)
        except OSError:  # it has no route back, which is known by what does not come back
            return

    def _token(self, index: int) -> int:
        return self._run << frames.INDEX_BITS | index

    # ---- sightings ---------------------------------------------------------------------------------------------------

    def _drain(self, probes: Mapping[int, _Probe], timeout: float = 0) -> None:
        """Note what the taps saw."""
        for sighting in self._volley.sightings(timeout):
            seen = frames.dissect(sighting.packet)
            probe = probes.get(seen.index) if seen is not None else None
            if seen is not None and probe is not None and not self._passes_by(sighting.node, seen):
                (probe.answers if seen.answers else probe.hops).append(_hop(sighting, seen))
                if seen.answers and sighting.outgoing and probe.own_answer is None:
                    probe.own_answer = "refused" if seen.resets else "accepted"

    def _passes_by(self, node: str, seen: frames.Seen) -> bool:
        """Is it only on its way through the internet, from or to somebody else than the servers there?"""
        return node == NAME_SERVERS and self._owners[node].isdisjoint(
            (IPv4Address(seen.source), IPv4Address(seen.destination))
        )

    def _await(self, probes: Mapping[int, _Probe], wanted: Iterable[_Probe], done: Callable[[_Probe], bool]) -> None:
        """User space or a queue may lie on the way of what ought to come; what never comes is waited for once."""
        missing = [probe for probe in wanted if probe.error is None and not done(probe)]
        deadline = time.monotonic() + self._patience
        while missing and (remaining := deadline - time.monotonic()) > 0:
            self._drain(probes, remaining)
            missing = [probe for probe in missing if not done(probe)]
        self._patience = PATIENCE / 20 if missing else self._patience

    def _has_arrived(self, probe: _Probe) -> bool:
        """Was it seen at a machine that has the destination address? The first time: a program may send it back."""
        if probe.arrival is None and probe.hops:
            probe.hops.sort(key=lambda hop: hop.time)
            came = (hop for hop in probe.hops if not hop.outgoing)
            probe.arrival = next((hop for hop in came if self._is_arrival(hop)), None)
        return probe.arrival is not None

    def _is_arrival(self, hop: Hop) -> bool:
        """A guest takes nothing off the wire that comes from an address of its own (PIPE-10)."""
        own = self._owners[hop.node]
        return hop.seen.destination in own and (hop.seen.source not in own or hop.interface == LOOPBACK)

    @staticmethod
    def _is_answered(probe: _Probe) -> bool:
        """An answer counts when it comes from the address and port that the sender spoke to."""
        asked = probe.packet
        return any(
            hop.node == probe.node
            and not hop.outgoing
            and int(hop.seen.source) == asked.destination
            and hop.seen.sourcePort == asked.destinationPort
            for hop in probe.answers
        )

    def _observation(self, probe: _Probe) -> Observation:
        arrival, hops = probe.arrival, tuple(sorted(probe.hops, key=lambda hop: hop.time))
        if arrival is None:
            return Observation(False, None, _via(hops), None, None, (), hops, None, error=probe.error)
        return Observation(
            delivered=True,
            receiver="platform" if arrival.node.startswith(PLATFORM) else arrival.node,
            via=_via(hops[: hops.index(arrival)]),
            sourceSeenAs=arrival.seen.source,
            destinationSeenAs=arrival.seen.destination,
            decisions=(),
            hops=hops,
            answered=self._is_answered(probe),
            own_answer=None if probe.crafted else probe.own_answer,
        )


def _via(hops: Sequence[Hop]) -> tuple[str, ...]:
    """Machines in which a packet came in to leave again, or in which it came to its end; load balancers are none."""
    names = [hop.node for hop in hops if not hop.outgoing and not hop.node.startswith(PLATFORM)]
    return tuple(name for i, name in enumerate(names) if i == 0 or names[i - 1] != name)


def _hop(sighting: Sighting, seen: frames.Seen) -> Hop:
    looked = Seen(IPv4Address(seen.source), IPv4Address(seen.destination), seen.sourcePort, seen.destinationPort)
    return Hop(sighting.node, sighting.interface, sighting.outgoing, looked, sighting.time)
