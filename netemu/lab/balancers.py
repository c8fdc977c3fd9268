"""What load balancers do at the moment: who is up, how many flows each backend has, what rules have counted.

Health is what the agent has found out; connections and counters are the kernel's.
"""

from __future__ import annotations

import os
from collections import Counter
from typing import Literal

from msgspec import Struct

from netemu.azure.network import InboundNatRule, LoadBalancer, LoadBalancingRule, Member, Network, Probe
from netemu.compile.director_rules import CLOSED, NO_BACKEND, chains_of, comment_of
from netemu.compile.directors import home
from netemu.compile.numbering import MEMBER_MASK, RULE_MASK, RULE_SHIFT, Numbering, platform_namespace
from netemu.errors import PersonError
from netemu.lab.engine import Engine
from netemu.lab.folder import LabFolder
from netemu.lab.probing import Findings, read_findings
from netemu.linux import conntrack
from netemu.linux.conntrack import TCP_ESTABLISHED, Connection, Marked
from netemu.linux.nft_counters import RuleCounters

Health = Literal["up", "down", "starting", "unknown", "not probed"]
"""`unknown`: the agent has not asked yet. `not probed`: the rule has no probe, so the backend counts as up (LB-25)."""


class Backend(Struct, frozen=True):
    """A member, as one rule sees it."""

    member: str
    """`<NIC>/<IP configuration>`."""
    virtualMachine: str
    address: str
    health: Health
    since: float | None
    """Seconds since the epoch."""
    detail: str
    """Why it is not up."""
    connections: int
    """Established connections of TCP, and flows of UDP that are remembered."""


class RuleState(Struct, frozen=True):
    """A load-balancing rule, or an inbound NAT rule."""

    name: str
    frontend: str
    address: str
    protocol: str
    frontendPort: int
    backendPort: int
    loadDistribution: str | None
    probe: str | None
    flows: int
    """That it has led to a backend, since its ruleset was loaded."""
    refused: int
    """Packets of new flows for which there was no healthy backend, or none that is open."""
    backends: tuple[Backend, ...]


class BalancerState(Struct, frozen=True):
    """A load balancer."""

    name: str
    sku: str
    kind: Literal["public", "internal"]
    frontends: dict[str, str]
    """Addresses."""
    loadBalancingRules: tuple[RuleState, ...]
    inboundNatRules: tuple[RuleState, ...]


class Balancers:
    """The load balancers of a lab that is up, for looking at again and again."""

    def __init__(self, folder: LabFolder, network: Network) -> None:
        kept = folder.kept()
        if kept.numbering is None or not network.loadBalancers:
            raise PersonError(f"lab {folder.name} has no load balancer")
        self.folder, self.network = folder, network
        self.engine: Engine | None = kept.engine
        self._numbers: Numbering = kept.numbering
        self._counters: dict[str, RuleCounters] = {}

    def close(self) -> None:
        """Close it."""
        for counters in self._counters.values():
            counters.close()

    def read(self) -> list[BalancerState]:
        """How it is now."""
        findings = read_findings(self.folder)
        there = set(self.folder.nodes())
        balancers = self.network.loadBalancers.values()
        nodes = {each.name: platform_namespace(where) for each in balancers if (where := home(each)) is not None}
        busy = {node: _busy(self.folder, node) for node in set(nodes.values()) & there}
        counted = {node: self._counted(node) for node in busy}
        return [
            _Reading(self._numbers, findings, busy.get(node, Counter()), counted.get(node, Counter())).of(each)
            for each in balancers
            for node in [nodes.get(each.name, "")]
        ]

    def _counted(self, node: str) -> Counter[tuple[str, str]]:
        if node not in self._counters:
            self._counters[node] = RuleCounters(self.folder.namespace(node), "netemu")
        counters = self._counters[node]
        packets = counters.read()
        found: Counter[tuple[str, str]] = Counter()
        for rule, count in zip(counters.rules, packets, strict=True):
            found[rule.chain, rule.comment] += count
        return found


def _busy(folder: LabFolder, node: str) -> Counter[tuple[int, int]]:
    """Connections by the numbers of their rule and member."""
    descriptor = os.open(folder.namespace(node), os.O_RDONLY | os.O_CLOEXEC)
    try:
        found = conntrack.connections(descriptor, Marked(0, 0))
    finally:
        os.close(descriptor)
    return Counter(
        ((each.mark & RULE_MASK) >> RULE_SHIFT, each.mark & MEMBER_MASK) for each in found if _is_active(each)
    )


def _is_active(connection: Connection) -> bool:
    return connection.mark != 0 and connection.tcp_state in (None, TCP_ESTABLISHED)


class _Reading:
    """One look at one load balancer."""

    def __init__(
        self, numbers: Numbering, findings: Findings, busy: Counter[tuple[int, int]], counted: Counter[tuple[str, str]]
    ) -> None:
        self.numbers, self.findings, self.busy, self.counted = numbers, findings, busy, counted

    def of(self, each: LoadBalancer) -> BalancerState:
        where = home(each) or ""
        return BalancerState(
            name=each.name,
            sku=each.sku,
            kind="public" if each.is_public else "internal",
            frontends={name: str(frontend.address) for name, frontend in each.frontends.items()},
            loadBalancingRules=tuple(
                self._rule(where, rule, rule.pool.members, rule.probe, rule.loadDistribution)
                for rule in each.loadBalancingRules.values()
            ),
            inboundNatRules=tuple(
                self._rule(where, rule, (rule.member,), None, None) for rule in each.inboundNatRules.values()
            ),
        )

    def _rule(
        self, where: str, rule: LoadBalancingRule | InboundNatRule, members: tuple[Member, ...], probe: Probe | None,
        distribution: str | None,
    ) -> RuleState:  # fmt: skip
        chains = chains_of(rule)
        number = self.numbers.rule_of(where, rule) if where else 0
        return RuleState(
            name=rule.name,
            frontend=rule.frontend.name,
            address=str(rule.frontend.address),
            protocol=rule.protocol,
            frontendPort=rule.frontendPort,
            backendPort=rule.backendPort,
            loadDistribution=distribution,
            probe=probe.name if probe is not None else None,
            flows=sum(self.counted[chain, comment_of(rule)] for chain in chains),
            refused=sum(self.counted[chain, why] for chain in chains for why in (NO_BACKEND, CLOSED)),
            backends=tuple(self._backend(number, member, probe) for member in members),
        )

    def _backend(self, rule: int, member: Member, probe: Probe | None) -> Backend:
        finding = self.findings.get(probe.path, {}).get(member.path) if probe is not None else None
        health: Health = "not probed" if probe is None else "unknown" if finding is None else finding.state
        return Backend(
            member=member.path,
            virtualMachine=member.nic.machine,
            address=str(member.address),
            health=health,
            since=finding.since if finding is not None else None,
            detail=finding.detail if finding is not None else "",
            connections=self.busy[rule, self.numbers.member.get(member.path, -1)],
        )
