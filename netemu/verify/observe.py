"""Sends a probe into a running lab and says what became of it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from ipaddress import IPv4Address
from pathlib import Path

from msgspec import Struct

from netemu.azure.flow import Flow, packet_of
from netemu.azure.network import PLATFORM_ADDRESS, Network
from netemu.linux import packets
from netemu.linux.packets import Sighting, Tap
from netemu.verify import evidence
from netemu.verify.evidence import Decision
from netemu.verify.probes import Probe, Seen, fresh_token

IMDS_ADDRESS = IPv4Address("169.254.169.254")

PATIENCE = 1.0
"""Seconds to wait for a packet that ought to come: user space or a queue may lie on its way."""


PLATFORM = "@slb."
"""Namespaces of the platform that packets of guests end in."""


class Hop(Struct, frozen=True):
    """Where a probe was seen."""

    node: str
    interface: str
    outgoing: bool
    seen: Seen
    time: int


class Observation(Struct, frozen=True):
    """What became of a probe."""

    delivered: bool
    receiver: str | None
    """The machine or internet host that has it."""
    via: tuple[str, ...]
    """Machines that forwarded it, in order."""
    sourceSeenAs: IPv4Address | None
    destinationSeenAs: IPv4Address | None
    decisions: tuple[Decision, ...]
    """Rules that counted the probe, those that dropped it included."""
    hops: tuple[Hop, ...]
    answered: bool | None
    """Did an answer come back to the sender? None when there was nothing to answer."""
    answer_decisions: tuple[Decision, ...] = ()
    error: str | None = None
    """Why the sender could not even send it."""


class Observer:
    """Taps in every machine of a lab, and its counters."""

    def __init__(self, network: Network, namespaces: Mapping[str, Path]) -> None:
        self.network = network
        self._namespaces = dict(namespaces)
        self._counted = {node: path for node, path in namespaces.items() if node.startswith("@")}
        self._taps = {
            node: Tap(path)
            for node, path in namespaces.items()
            if not node.startswith("@") or node.startswith(PLATFORM)
        }
        self._owners: dict[str, set[IPv4Address]] = {
            machine.name: {config.address for nic in machine.nics for config in nic.ipConfigs}
            for machine in network.machines.values()
        }
        self._owners.update(
            {node: {PLATFORM_ADDRESS, IMDS_ADDRESS} for node in namespaces if node.startswith(PLATFORM)}
        )
        self._owners.update({host.name: {host.address} for host in network.hosts.values()})

    def __enter__(self) -> Observer:
        return self

    def __exit__(self, *exception: object) -> None:
        for tap in self._taps.values():
            tap.close()

    def observe(self, flow: Flow, *, expect_delivery: bool, expect_answer: bool) -> Observation:
        """Send the first packet of a flow, and the answer to it if it arrives and nobody else answers.

        `expect_…` say for what it is worth to wait; they change no result.
        """
        node, interface, source = self._sender(flow)
        probe = Probe(packet_of(flow, int(source)), fresh_token())
        before, drops = evidence.read(self._counted)
        self._drain(probe)
        sightings = self._send(node, probe, probe.build(), interface)
        if isinstance(sightings, str):
            return Observation(False, None, (), None, None, (), (), None, error=sightings)
        hops, answers = sightings
        if expect_delivery:
            self._await(probe, hops, answers, lambda: self._arrival(hops) is not None)
        after, _ = evidence.read(self._counted)
        decisions = tuple(evidence.moved(before, after, drops))
        arrival = self._arrival(hops)
        if arrival is None:
            via = self._forwarders(hops, None)
            return Observation(False, None, via, None, None, decisions, tuple(hops), None)
        if not any(hop.outgoing and hop.node == arrival.node for hop in answers):
            crafted = self._send(arrival.node, probe, probe.build_answer(arrival.seen), None)
            if not isinstance(crafted, str):
                answers += crafted[1]
        if expect_answer:
            self._await(probe, hops, answers, lambda: self._is_answered(answers, node, probe))
        last, _ = evidence.read(self._counted)
        return Observation(
            delivered=True,
            receiver="platform" if arrival.node.startswith(PLATFORM) else arrival.node,
            via=self._forwarders(hops, arrival),
            sourceSeenAs=arrival.seen.source,
            destinationSeenAs=arrival.seen.destination,
            decisions=decisions,
            hops=tuple(hops),
            answered=self._is_answered(answers, node, probe),
            answer_decisions=tuple(evidence.moved(after, last, drops)),
        )

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

    def _send(self, node: str, probe: Probe, data: bytes, interface: str | None) -> tuple[list[Hop], list[Hop]] | str:
        try:
            packets.inject(self._namespaces[node], data, interface)
        except OSError as error:
            return f"{node} cannot send it: {error.strerror}"
        return self._drain(probe)

    def _drain(self, probe: Probe) -> tuple[list[Hop], list[Hop]]:
        """What the taps saw of the probe and of answers to it, in order of time."""
        hops: list[Hop] = []
        answers: list[Hop] = []
        for node, tap in self._taps.items():
            for sighting in tap.read():
                seen = probe.dissect(sighting.packet)
                if seen is not None:
                    hops.append(_hop(node, sighting, seen))
                    continue
                seen = probe.dissect_answer(sighting.packet)
                if seen is not None:
                    answers.append(_hop(node, sighting, seen))
        hops.sort(key=lambda hop: hop.time)
        answers.sort(key=lambda hop: hop.time)
        return hops, answers

    def _await(self, probe: Probe, hops: list[Hop], answers: list[Hop], done: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not done() and packets.wait(list(self._taps.values()), deadline):
            more_hops, more_answers = self._drain(probe)
            hops += more_hops
            answers += more_answers

    def _arrival(self, hops: list[Hop]) -> Hop | None:
        """The first sighting at a machine that has the destination address; a program there may echo the probe."""
        return next((h for h in hops if not h.outgoing and h.seen.destination in self._owners[h.node]), None)

    def _forwarders(self, hops: list[Hop], arrival: Hop | None) -> tuple[str, ...]:
        """Machines in which the probe came in to leave again, or in which it came to its end."""
        way = hops if arrival is None else hops[: hops.index(arrival)]
        names = [hop.node for hop in way if not hop.outgoing]
        return tuple(name for i, name in enumerate(names) if i == 0 or names[i - 1] != name)

    @staticmethod
    def _is_answered(answers: list[Hop], sender: str, probe: Probe) -> bool:
        """An answer counts when it comes from the address and port that the sender spoke to."""
        asked = probe.packet
        return any(
            hop.node == sender
            and not hop.outgoing
            and int(hop.seen.source) == asked.destination
            and hop.seen.sourcePort == asked.destinationPort
            for hop in answers
        )


def _hop(node: str, sighting: Sighting, seen: Seen) -> Hop:
    return Hop(node, sighting.interface, sighting.outgoing, seen, sighting.time)
