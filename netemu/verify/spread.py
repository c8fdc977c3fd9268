"""Flows that a load balancer spreads: who got them, held against who may, how evenly, and whether a client stays.

Which backend a flow goes to nobody can foretell, so a line is proved with many, from as many ports; each is held
against the way that goes to the backend that it was seen at.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence

from netemu.azure.network import LoadBalancingRule, Network
from netemu.azure.resources import Expectation
from netemu.azure.verdict import Chosen, Verdict
from netemu.verify.observe import Observation

MOST = 1000
"""Flows that are sent for a line that does not say how many."""
RARELY = 21.0
"""Natural logarithm: a backend of a healthy pool is missed once in so many proofs, about 1 300 000 000."""
EVEN = 0.2
"""Share by which a backend may have more or less than its part of many flows (LB-6)."""
DEVIATIONS = 6.0
"""And for few flows, the standard deviations that chance may make of it."""

Counts = Counter[str]
"""Flows by the backend's machine."""


def flows_for(expectation: Expectation, verdict: Verdict) -> int:
    """How many flows prove a line: as it says, or so many that every backend gets some."""
    if expectation.flows is not None:
        return expectation.flows
    options = len(verdict.ways)
    return 1 if options == 1 else min(MOST, math.ceil(options * (math.log(options) + RARELY)))


def way_of(verdict: Verdict, observation: Observation) -> Verdict | None:
    """The way that a packet took, as far as it can be seen; None when it is none of the verdict's."""
    if observation.delivered:
        ways = (way for way in verdict.ways if way.access == "Allow")
        return next((w for w in ways if (w.receiver, w.via) == (observation.receiver, observation.via)), None)
    denied = [way for way in verdict.ways if way.access == "Deny"]
    seen = (way for way in denied if way.chosen and way.chosen[-1].machine in observation.via)
    return next(seen, denied[0] if denied else None)


def counted(ways: Sequence[Verdict | None]) -> Counts:
    """The backends that got flows."""
    return Counter(way.chosen[-1].machine for way in ways if way is not None and way.chosen and way.access == "Allow")


def spread_disagreements(
    network: Network, expectation: Expectation, verdict: Verdict, counts: Counts, flows: int
) -> Iterator[str]:
    """Where the spread of a line's flows is not what is expected, or not what its rule says."""
    allowed = [way.chosen[-1] for way in verdict.ways if way.chosen and way.access == "Allow"]
    if expectation.backends is not None and not _means(expectation.backends, allowed):
        may = ", ".join(dict.fromkeys(each.machine for each in allowed)) or "nobody"
        yield f"expected backends {', '.join(expectation.backends)}; by Azure's rules, and as probes find them: {may}"
    rule = balancing_rule(network, verdict)
    if rule is None or not counts:
        return
    machines = list(dict.fromkeys(each.machine for each in allowed))
    if rule.loadDistribution != "Default":
        if len(counts) > 1:
            yield f"{rule.loadDistribution} keeps a client at one backend, but flows went to {told(counts)}"
        return
    if flows >= flows_for(Expectation(from_="", to="", access="Allow"), verdict):
        yield from _uneven(machines, counts, flows)


def _uneven(machines: Sequence[str], counts: Counts, flows: int) -> Iterator[str]:
    share = flows / len(machines)
    allowance = max(EVEN * share, DEVIATIONS * math.sqrt(share * (1 - 1 / len(machines))))
    missed = [machine for machine in machines if not counts[machine]]
    yield from (f"none of {flows} flows went to {machine}" for machine in missed)
    for machine in machines if not missed else ():
        if abs(counts[machine] - share) > allowance:
            yield f"{counts[machine]} of {flows} flows went to {machine}, about {share:.0f} are its part"


def _means(names: Sequence[str], allowed: Sequence[Chosen]) -> bool:
    """Do the names mean these backends, all of them and no others?"""
    return all(any(each.is_called(name) for name in names) for each in allowed) and all(
        any(each.is_called(name) for each in allowed) for name in names
    )


def balancing_rule(network: Network, verdict: Verdict) -> LoadBalancingRule | None:
    """The load-balancing rule that chooses last; None when none does, or an inbound NAT rule."""
    path = next((way.chosen[-1].rule for way in verdict.ways if way.chosen), None)
    rules = (rule for balancer in network.loadBalancers.values() for rule in balancer.loadBalancingRules.values())
    return next((rule for rule in rules if rule.path == path), None)


def told(counts: Counts) -> str:
    """`web1 23, web2 21`."""
    return ", ".join(f"{machine} {count}" for machine, count in sorted(counts.items()))
