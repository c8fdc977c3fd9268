"""Which load-balancing rules IPVS serves, and how.

IPVS distributes by `mh`, Maglev hashing of the client's address, with its port for the 5-tuple. Where IPVS could not be
exact, nftables serves the rule in its place, in the same director:

- HA ports, floating IP: the choice must hold for both directions, or leave the destination as it is.
- Session persistence over several rules of a frontend and pool (LB-7): `mh` begins with the address and the port of
  each destination, so services with unlike backend ports choose unlike; and IPVS moves UDP flows from a destination
  that is down only if it is taken away, which changes the table, while TCP connections live on only if it stays, with
  weight 0. So TCP rules that do not translate ports share their choice; others do not.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator

from netemu.azure.network import LoadBalancingRule, Network
from netemu.compile.directors import Director
from netemu.compile.numbering import Numbering
from netemu.compile.times import seconds
from netemu.linux.state import Destination, VirtualService, VirtualTimeouts

SCHEDULER = "mh"
FALLBACK, WITH_PORT = 0x8, 0x10
"""IP_VS_SVC_F_SCHED_MH_FALLBACK: another destination for one of weight 0. IP_VS_SVC_F_SCHED_MH_PORT."""
PROTOCOL = {"Tcp": socket.IPPROTO_TCP, "Udp": socket.IPPROTO_UDP}
FIN_TIMEOUT = 120
SLACK = 60
"""Seconds that IPVS keeps a connection longer than conntrack, which decides."""


def group_name(rule: LoadBalancingRule) -> str:
    """The group that a rule spreads over: a pool, as one probe sees it."""
    return f"{rule.pool.path}/{rule.probe.name if rule.probe is not None else '-'}"


def by_ipvs(each: Director) -> list[LoadBalancingRule]:
    """The rules that IPVS serves exactly."""
    return [rule for rule in each.rules if _is_plain(rule) and _is_alone(rule, each)]


def _is_plain(rule: LoadBalancingRule) -> bool:
    return not rule.is_ha_ports and not rule.enableFloatingIP


def _is_alone(rule: LoadBalancingRule, each: Director) -> bool:
    """Need its choice not agree with another rule's, or does it anyhow?"""
    if rule.loadDistribution == "Default":
        return True
    sharing = [
        other
        for other in each.rules
        if other.frontend.path == rule.frontend.path
        and other.pool.path == rule.pool.path
        and other.loadDistribution == rule.loadDistribution
        and (rule.loadDistribution == "SourceIP" or other.protocol == rule.protocol)
    ]
    if len(sharing) == 1:
        return True
    return all(_is_plain(o) and o.protocol == "Tcp" and o.frontendPort == o.backendPort for o in sharing)


def services(each: Director, numbers: Numbering) -> Iterator[VirtualService]:
    """The services of a director."""
    for rule in by_ipvs(each):
        members = {member.path: member for member in rule.pool.members}
        order = reversed(numbers.joined[rule.pool.path])  # the kernel puts the newest first
        # Port 0 keeps the client's: rules that do not translate ports have equal tables.
        port = 0 if rule.backendPort == rule.frontendPort else rule.backendPort
        yield VirtualService(
            protocol=PROTOCOL[rule.protocol],
            address=int(rule.frontend.address),
            port=rule.frontendPort,
            scheduler=SCHEDULER,
            flags=FALLBACK | (WITH_PORT if rule.loadDistribution == "Default" else 0),
            destinations=tuple(Destination(numbers.member[path], int(members[path].address), port) for path in order),
            group=group_name(rule),
        )


def timeouts(network: Network, each: Director) -> VirtualTimeouts:
    """Longer than any rule's idle time: conntrack forgets, and its word counts."""
    longest = max((rule.idleTimeoutInMinutes for rule in each.rules), default=4)
    return VirtualTimeouts(seconds(network, longest) + SLACK, FIN_TIMEOUT, seconds(network, 4) + SLACK)
