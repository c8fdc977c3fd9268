"""What follows from the health of members: elements of maps, weights in IPVS, connections to be forgotten.

All of it follows from a namespace's `Balancing` and from who is down, so that everybody who writes it (`up`, the agent)
writes the same, and a change of health is a change of some elements and weights and never of a rule.

A member that is down gets no new flows. Its established TCP connections go on; its UDP flows, and TCP connections that
it has not answered yet, are forgotten, so that their next packet goes to another member (LB-31). When all are down and
the group does not last, the TCP connections are forgotten, too (LB-32).

In IPVS, a TCP destination that is down has weight 0, and one of UDP is taken away: IPVS moves flows only from those.
"""

from __future__ import annotations

import socket
from collections.abc import Collection, Iterable, Iterator

from netemu.linux import ipvs, slots
from netemu.linux.conntrack import Marked
from netemu.linux.state import Balancing, Destination, Down, Group, Lab, Namespace, VirtualService

TABLE = "ip netemu"
DESERTED = "deserted"
"""The set of IPVS services without a destination: a packet for one is dropped, where IPVS would send an ICMP error."""
RULE_SHIFT, RULE_MASK = 14, 0x0FFFC000
UDP, ANSWERED = 0x10000000, 0x20000000
FLOW = 0x1FFFFFFF
"""The bits of a connection's mark that say whose it is: member, rule, UDP."""

Elements = dict[str, str]
"""Elements of a map by key; of a set, with empty values."""


def idle(group: Group, down: Down) -> frozenset[int]:
    """The members that get no new flows."""
    gone = frozenset(down.get(group.name, ())) & frozenset(group.members)
    if group.revives and len(gone) == len(group.members):
        return frozenset()
    return gone


def live_elements(balancing: Balancing, down: Down) -> dict[tuple[str, str], Elements]:
    """The contents of the maps and sets that health decides, by kind and name."""
    found: dict[tuple[str, str], Elements] = {}
    idle_in = {group.name: idle(group, down) for group in balancing.groups}
    for group in balancing.groups:
        if group.slots:
            table = slots.healthy_table(group.members, idle_in[group.name], group.slots)
            found["map", f"slots/{group.name}"] = {f"{slot:#x}": f"{member:#x}" for slot, member in table.items()}
    if balancing.services:
        deserted = (
            service
            for service in balancing.services
            if not service.destinations or {d.member for d in service.destinations} <= idle_in[service.group]
        )
        found["set", DESERTED] = {_key(service): "" for service in deserted}
    return found


def live_text(balancing: Balancing, down: Down) -> str:
    """The declaration of those maps and sets with their contents, as nftables text."""
    lines = [f"table {TABLE} {{"]
    for (kind, name), elements in live_elements(balancing, down).items():
        of = "mark : mark" if kind == "map" else "ipv4_addr . inet_proto . inet_service"
        lines += [f"{kind} {name} {{", f" type {of}"]
        if elements:
            lines.append(f" elements = {{ {', '.join(_element(*item) for item in elements.items())} }}")
        lines.append("}")
    return "\n".join([*lines, "}", ""]) if len(lines) > 1 else ""


def live_transaction(balancing: Balancing, before: Down, after: Down) -> str:
    """The nftables text that leads from one state of health to another; empty when nothing changes."""
    lines = []
    old = live_elements(balancing, before)
    for (kind, name), new in live_elements(balancing, after).items():
        was = old[kind, name]
        leaving = [key for key, value in was.items() if new.get(key) != value]
        coming = {key: value for key, value in new.items() if was.get(key) != value}
        if leaving:
            lines.append(f"delete element {TABLE} {name} {{ {', '.join(leaving)} }}")
        if coming:
            elements = ", ".join(_element(*item) for item in coming.items())
            lines.append(f"add element {TABLE} {name} {{ {elements} }}")
    return "\n".join(lines)


def live_refresh(balancing: Balancing, down: Down) -> str:
    """The nftables text that sets those maps and sets, whatever is in them."""
    lines = []
    for (kind, name), elements in live_elements(balancing, down).items():
        lines.append(f"flush {kind} {TABLE} {name}")
        if elements:
            content = ", ".join(_element(*item) for item in elements.items())
            lines.append(f"add element {TABLE} {name} {{ {content} }}")
    return "\n".join(lines)


def ruleset_of(lab: Lab, namespace: Namespace) -> str:
    """The whole ruleset of a namespace, with what the health of members decides."""
    if namespace.balancing is None:
        return namespace.ruleset
    return live_text(namespace.balancing, lab.down) + namespace.ruleset


def down_of(balancing: Iterable[Balancing], sick: Collection[tuple[str, str]]) -> Down:
    """Who is down in each group, from pairs of what the group's health is called and a member's label.

    A group's health goes by the first and the last part of its name: whose it is, and who watches it.
    """
    found: Down = {}
    for each in balancing:
        for group in each.groups:
            watch = watched_by(group)
            labelled = zip(group.labels, group.members, strict=True)
            gone = tuple(member for label, member in labelled if (watch, label) in sick)
            if gone:
                found[group.name] = gone
    return found


def watched_by(group: Group) -> str:
    """What the health of a group's members goes by: `<load balancer>/<probe>`."""
    parts = group.name.split("/")
    return f"{parts[0]}/{parts[-1]}"


def present(service: VirtualService, idle_members: Collection[int]) -> dict[Destination, int]:
    """The destinations that a service should have, in the kernel's order, with their weights."""
    return {
        destination: 0 if destination.member in idle_members else 1
        for destination in service.destinations
        if service.protocol == socket.IPPROTO_TCP or destination.member not in idle_members
    }


def weighing(balancing: Balancing, before: Down, after: Down) -> Iterator[ipvs.Command]:
    """The commands that lead IPVS from one state of health to another."""
    groups = {group.name: group for group in balancing.groups}
    for service in balancing.services:
        old = present(service, idle(groups[service.group], before))
        new = present(service, idle(groups[service.group], after))
        for destination, weight in old.items():
            if destination not in new:
                yield ipvs.remove_destination(service, destination)
            elif new[destination] != weight:
                yield ipvs.weigh(service, destination, new[destination])
        for destination, weight in reversed(new.items()):  # the last one that comes is the first in the kernel's list
            if destination not in old:
                yield ipvs.add_destination(service, destination, weight)


def forgotten(balancing: Balancing, before: Down, after: Down) -> Iterator[Marked]:
    """The connections that a change of health ends."""
    for group in balancing.groups:
        old, new = idle(group, before), idle(group, after)
        for rule in group.rules:
            for member in sorted(new - old):
                mark = rule << RULE_SHIFT | member
                yield Marked(mark | UDP, FLOW)
                yield Marked(mark, FLOW | ANSWERED)
            if len(new) == len(group.members) > len(old) and not group.lasts:
                yield from (Marked(rule << RULE_SHIFT | member, FLOW) for member in sorted(group.members))


def of_gone_rules(before: Balancing | None, after: Balancing | None) -> list[Marked]:
    """The flows of rules that are no more: they end with their rule."""
    gone = set(before.rules if before is not None else ()) - set(after.rules if after is not None else ())
    return [Marked(rule << RULE_SHIFT, RULE_MASK) for rule in sorted(gone)]


def _key(service: VirtualService) -> str:
    protocol = {socket.IPPROTO_TCP: "tcp", socket.IPPROTO_UDP: "udp"}[service.protocol]
    return f"{socket.inet_ntoa(service.address.to_bytes(4, 'big'))} . {protocol} . {service.port}"


def _element(key: str, value: str) -> str:
    return f"{key} : {value}" if value else key
