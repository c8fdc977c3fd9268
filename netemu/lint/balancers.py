"""Load balancers through which nothing gets, and parts of them that do nothing."""

from __future__ import annotations

from collections.abc import Iterator

from netemu.azure.flow import EPHEMERAL_PORT, TCP, Packet
from netemu.azure.network import PLATFORM_ADDRESS, LoadBalancer, Member, Probe
from netemu.lint.findings import Subject, has_security_group, several


def check(subject: Subject) -> None:
    """Look at every load balancer."""
    for balancer in subject.network.loadBalancers.values():
        _closed(subject, balancer)
        _probes(subject, balancer)
        _parts(subject, balancer)


def members(balancer: LoadBalancer) -> Iterator[Member]:
    """Those that a rule of it leads to."""
    for rule in balancer.loadBalancingRules.values():
        yield from rule.pool.members
    for nat in balancer.inboundNatRules.values():
        yield nat.member


def _closed(subject: Subject, balancer: LoadBalancer) -> None:
    """OUT-17."""
    bare = dict.fromkeys(each.nic.machine for each in members(balancer) if not has_security_group(each.nic))
    if bare and balancer.is_public and balancer.sku == "Standard":
        subject.add(
            ("loadBalancers", balancer.name), "", "closed-load-balancer",
            f"nobody gets through to {several(list(bare))}: it is Standard, and neither NIC nor subnet has an NSG"
            " (OUT-17)",
            "give them an NSG that allows what should get in",
        )  # fmt: skip


def _probes(subject: Subject, balancer: LoadBalancer) -> None:
    """LB-33."""
    told: set[tuple[str, str, str]] = set()
    for rule in balancer.loadBalancingRules.values():
        for member in rule.pool.members if rule.probe is not None else ():
            assert rule.probe is not None
            denied = _denied(subject, rule.probe, member)
            if denied is None or (rule.probe.name, *denied) in told:
                continue
            told.add((rule.probe.name, *denied))
            subject.add(
                ("loadBalancers", balancer.name, "probes", rule.probe.name), "", "probe-denied",
                f"`{denied[1]}` of `{denied[0]}` drops it on its way to `{member.nic.machine}`, which counts as down"
                " (LB-33)",
                "allow AzureLoadBalancer before that rule",
            )  # fmt: skip


def _denied(subject: Subject, probe: Probe, member: Member) -> tuple[str, str] | None:
    """NSG and rule that drop the probes of a backend."""
    packet = Packet(int(PLATFORM_ADDRESS), int(member.address), TCP, EPHEMERAL_PORT, probe.port)
    for gate in subject.placement.gates(member.nic, "Inbound"):
        decider = gate.classifier.decide(packet)
        if decider is not None and decider.access == "Deny":
            return decider.networkSecurityGroup, decider.name
    return None


def _parts(subject: Subject, balancer: LoadBalancer) -> None:
    """Frontends, pools and probes that no rule names, and pools without members (LB-24)."""
    written = subject.scenario.loadBalancers[balancer.name]
    rules = written.loadBalancingRules.values()
    nats, pools, outbound = written.inboundNatRules, written.inboundNatPools, written.outboundRules.values()
    frontends = {rule.frontendIPConfiguration for rule in rules}
    frontends |= {nat.frontendIPConfiguration for nat in nats.values()}
    frontends |= {pool.frontendIPConfiguration for pool in pools.values()}
    frontends |= {name for rule in outbound for name in rule.frontendIPConfigurations}
    backends = {rule.backendAddressPool for rule in rules} | {rule.backendAddressPool for rule in outbound}
    backends |= {nat.backendAddressPool for nat in nats.values() if nat.backendAddressPool is not None}
    named: dict[str, set[str]] = {
        "frontendIPConfigurations": frontends,
        "backendAddressPools": backends,
        "probes": {rule.probe for rule in rules if rule.probe is not None},
    }
    for section, used in named.items():
        for part in getattr(written, section):
            if part not in used:
                path = ("loadBalancers", balancer.name, section, part)
                subject.add(path, "", "unused", f"no rule of `{balancer.name}` names it", "name it, or remove it")
    for part, pool in balancer.pools.items():
        if part in backends and not pool.members:
            path = ("loadBalancers", balancer.name, "backendAddressPools", part)
            what = "has no members: what is sent to it is dropped (LB-24)"
            subject.add(path, "", "empty-pool", what, "let NICs join, or remove it")
