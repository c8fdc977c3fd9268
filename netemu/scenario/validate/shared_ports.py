"""Rules that send to the same port of the same backend (LB-15, LB-18)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator

from msgspec import Struct

from netemu.azure import resources as arm
from netemu.scenario import codes
from netemu.scenario.tree import Path
from netemu.scenario.validate.context import Context

RULES_PER_NIC = 300

Place = tuple[str, str, str]
"""Where backends are: `pool`, `nat` (a NAT rule) or `spread` (a NAT pool), the load balancer, and the name."""


class Mention(Struct, frozen=True):
    """A backend, and where it is said that it is one."""

    balancer: str
    target: str
    """The pool, NAT rule or NAT pool."""
    nic: str
    name: str
    """The IP configuration."""
    path: Path
    within: Path

    @property
    def config(self) -> str:
        """`<NIC>/<IP configuration>`."""
        return f"{self.nic}/{self.name}"


class Use(Struct, frozen=True):
    """A rule that sends to a port of its backends with the address translated, so that no other may do the same."""

    path: Path
    protocol: str
    port: int
    floating: bool

    @property
    def name(self) -> str:
        """As messages have it."""
        return f"{self.path[2]}/{self.path[3]} of {self.path[1]}"

    @property
    def is_ha(self) -> bool:
        """HA ports (LB-18)? A NAT rule for All has a port."""
        return self.protocol == "All" and self.port == 0

    def conflicts(self, other: Use) -> bool:
        """May they not meet at one backend, in whatever pools (LB-15, LB-18)?"""
        if self.floating or other.floating:
            return False
        if self.is_ha or other.is_ha:
            return True
        return self.port == other.port > 0 and (
            self.protocol == other.protocol or "All" in (self.protocol, other.protocol)
        )


def is_public(balancer: arm.LoadBalancer) -> bool:
    """Are its frontends public (LB-12)?"""
    return any(frontend.subnet is None for frontend in balancer.frontendIPConfigurations.values())


def shared_ports(context: Context, mentions: dict[str, list[Mention]]) -> None:
    """Two rules never send to one port of a backend, unless they float (LB-15, LB-18)."""
    uses: defaultdict[Place, list[Use]] = defaultdict(list)
    for name, balancer in context.scenario.loadBalancers.items():
        for key, rule in balancer.loadBalancingRules.items():
            if not rule.protocol:  # it could not be read
                continue
            path = ("loadBalancers", name, "loadBalancingRules", key)
            port = rule.frontendPort if rule.backendPort is None else rule.backendPort
            own = Use(path, rule.protocol, port, rule.enableFloatingIP)
            same = uses["pool", name, rule.backendAddressPool]
            clash = next((other for other in same if own.is_ha != other.is_ha or own.conflicts(other)), None)
            if clash is not None:
                _port_clash(context, own, clash, f"pool {rule.backendAddressPool}", codes.SAME_BACKEND_PORT)
            same.append(own)
        for key, nat in balancer.inboundNatRules.items():
            own = Use(
                ("loadBalancers", name, "inboundNatRules", key), nat.protocol, nat.backendPort, nat.enableFloatingIP
            )
            where = ("pool", name, nat.backendAddressPool) if nat.backendAddressPool is not None else ("nat", name, key)
            uses[where].append(own)
        for key, spread in balancer.inboundNatPools.items():
            path = ("loadBalancers", name, "inboundNatPools", key)
            uses["spread", name, key].append(Use(path, spread.protocol, spread.backendPort, spread.enableFloatingIP))
    at: defaultdict[tuple[str, str], dict[Place, None]] = defaultdict(dict)
    for kind, members in mentions.items():
        for mention in members:
            at[mention.nic, mention.name][kind, mention.balancer, mention.target] = None
    _at_each(context, uses, at)


def _at_each(
    context: Context,
    uses: dict[Place, list[Use]],
    at: dict[tuple[str, str], dict[Place, None]],
) -> None:
    """Compare the rules that meet at one IP configuration; those of one type of load balancer only."""
    known: set[tuple[bool, tuple[Place, ...]]] = set()
    counted: dict[str, int] = defaultdict(int)
    told: set[tuple[Path, Path]] = set()
    for (nic, name), places in at.items():
        for public in (False, True):
            mine = tuple(place for place in places if is_public(context.scenario.loadBalancers[place[1]]) == public)
            every = [use for place in mine for use in uses.get(place, ())]
            counted[nic] += len(every)
            if (public, mine) in known:
                continue
            known.add((public, mine))
            for own, clash in _clashes(every):
                if own.path[2] == clash.path[2] == "loadBalancingRules" and _one_pool(context, own, clash):
                    continue  # said of the pool
                if (own.path, clash.path) in told:
                    continue
                told.add((own.path, clash.path))
                _port_clash(context, own, clash, f"{nic}/{name}", codes.SAME_BACKEND_PORT_OF_CONFIG)
    for nic, count in counted.items():
        if count > RULES_PER_NIC:
            what = f"NIC {nic} is behind {count} rules"
            context.add(context.nic_path(nic), "", what, f"at most {RULES_PER_NIC}", codes.RULES_PER_NIC)


def _clashes(uses: Iterable[Use]) -> Iterator[tuple[Use, Use]]:
    """Each rule that conflicts with an earlier one. Equal ports meet in a table; only HA ports look at all."""
    by_port: defaultdict[int, list[Use]] = defaultdict(list)
    everywhere: list[Use] = []
    so_far: list[Use] = []
    for use in uses:
        near = so_far if use.is_ha else [*by_port[use.port], *everywhere]
        clash = next((other for other in near if use.conflicts(other)), None)
        if clash is not None:
            yield use, clash
        by_port[use.port].append(use)
        so_far.append(use)
        if use.is_ha:
            everywhere.append(use)


def _one_pool(context: Context, one: Use, other: Use) -> bool:
    def pool(use: Use) -> tuple[str, str]:
        name, key = str(use.path[1]), str(use.path[3])
        return name, context.scenario.loadBalancers[name].loadBalancingRules[key].backendAddressPool

    return pool(one) == pool(other)


def _port_clash(context: Context, own: Use, clash: Use, whom: str, code: str) -> None:
    what = "every port" if clash.is_ha else f"port {clash.port}"
    within = "protocol" if own.is_ha or clash.is_ha else "backendPort"
    context.add(
        own.path, within, f"{clash.name} sends to {what} of {whom} already",
        "another backendPort, another pool, or enableFloatingIP in both", code,
    )  # fmt: skip
