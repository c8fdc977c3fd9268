"""The health probes of load balancers, as the agent asks them (LB-25…LB-29)."""

from __future__ import annotations

from netemu.azure.network import PLATFORM_ADDRESS, Member, Network, Probe
from netemu.compile.numbering import platform_namespace
from netemu.linux.state import Check

KINDS = {"Tcp": "tcp", "Http": "http", "Https": "https"}
LONGEST_ANSWER = 30.0
"""Seconds that a backend has for its answer to an HTTP request, when the interval is no shorter (LB-28)."""

LEAST_ANSWER = 1.0
"""Programs do not answer faster because time is scaled, least of all on a machine that is busy."""


def health_checks(network: Network) -> tuple[Check, ...]:
    """One for each probe and each member that a rule with that probe may choose, however many such rules there are.

    A pool without members, and a probe that no rule names, ask nobody.
    """
    found = {
        (rule.probe.path, member.path): _check(network, rule.probe, member)
        for balancer in network.loadBalancers.values()
        for rule in balancer.loadBalancingRules.values()
        if rule.probe is not None
        for member in rule.pool.members
    }
    return tuple(found.values())


def _check(network: Network, probe: Probe, member: Member) -> Check:
    """From 168.63.129.16 of the member's network to the address that is in the pool (LB-26)."""
    scale = network.scenario.timeScale
    longest = probe.intervalInSeconds if probe.protocol == "Tcp" else min(probe.intervalInSeconds, LONGEST_ANSWER)
    return Check(
        namespace=platform_namespace(member.nic.subnet.virtualNetwork),
        watch=probe.path,
        member=member.path,
        kind=KINDS[probe.protocol],
        source=int(PLATFORM_ADDRESS),
        address=int(member.address),
        port=probe.port,
        path=probe.requestPath or "/",
        interval=probe.intervalInSeconds * scale,
        timeout=max(longest * scale, LEAST_ANSWER),
        fall=probe.downAfter,
        rise=probe.upAfter,
    )
