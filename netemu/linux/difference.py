"""The difference between namespaces as they should be and as they are, object by object.

Only what carries our mark is ever removed; what somebody has put in the place of ours is replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Literal

from msgspec import Struct

from netemu.linux.observe import Link, Observed
from netemu.linux.state import (
    Address,
    End,
    Namespace,
    Neighbour,
    Program,
    Route,
    Rule,
    Veth,
    VirtualService,
)

Action = Literal["+", "~", "-"]


class Sysctl(Struct, frozen=True):
    """A setting below /proc/sys/net."""

    name: str
    value: str


class RulesetObject(Struct, frozen=True):
    """A chain, set or map of an nftables table."""

    table: str
    kind: str
    name: str


class Loopback(Struct, frozen=True):
    """`lo`, which is there by itself, but down. Without it a namespace cannot even tell addresses apart."""

    def __str__(self) -> str:
        return "interface lo: up"


class Whole(Struct, frozen=True):
    """A namespace."""

    name: str


class File(Struct, frozen=True):
    """A file of a machine's /etc, of a daemon, or a name below /run/netns."""

    path: str


Thing = (
    Loopback | Veth | End | Link | Address | Route | Rule | Neighbour | Sysctl | RulesetObject | VirtualService
    | Whole | File | Program
)  # fmt: skip


class Change(Struct, frozen=True):
    """What has to be done to one object: make it, alter it, remove it."""

    namespace: str
    action: Action
    thing: Thing
    before: Thing | None = None
    """What is there now, when it is to be altered."""


def differences(
    namespace: Namespace, ends: Iterable[tuple[End, Veth]], found: Observed, read_sysctl: Callable[[str], str]
) -> Iterator[Change]:
    """What has to be done to a namespace that is there; its ruleset, files and programs are others' matter.

    `ends` are the pairs that end here; a missing pair is told by its near end's namespace.
    """
    name, foreign = namespace.name, set(found.foreign)
    if not found.loopback:
        yield Change(name, "~", Loopback())
    links = list(_links(name, {end.index: (end, veth) for end, veth in ends}, found))
    yield from links
    spoiled = {link.thing.index for link in links if isinstance(link.thing, Link)}
    yield from _plain(name, set(namespace.addresses), found.addresses, foreign)
    yield from _plain(name, set(namespace.rules), found.rules, foreign)
    others = {_place(thing): thing for thing in foreign if isinstance(thing, Route | Neighbour)}
    neighbours = {place: Neighbour(*place, mac) for place, mac in found.neighbours.items()}
    for wanted, ours in (
        ({_place(route): route for route in namespace.routes}, found.routes),
        ({_place(neighbour): neighbour for neighbour in namespace.neighbours}, neighbours),
    ):
        yield from _placed(name, wanted, {**others, **ours}, ours, spoiled)
    for setting, value in lasting(namespace).items():
        present = read_sysctl(setting)
        if present.split() != value.split():
            yield Change(name, "~", Sysctl(setting, value), Sysctl(setting, present))


def _links(name: str, wanted: dict[int, tuple[End, Veth]], found: Observed) -> Iterator[Change]:
    for index, link in found.links.items():
        if index not in wanted or not is_end(link, *wanted[index]):
            yield Change(name, "-", link)
    for index, (end, veth) in wanted.items():
        there = found.links.get(index)
        if there is None or not is_end(there, end, veth):
            if end is veth.near:
                yield Change(name, "+", veth)
        elif not there.up or (end is veth.far and not is_raised(there, end)):
            yield Change(name, "~", end, there)


def is_end(link: Link, end: End, veth: Veth) -> bool:
    """Is this that end of that pair, whatever its state?"""
    other = veth.far if end is veth.near else veth.near
    same = (link.name, link.mac, link.peer) == (end.name, end.mac, other.index)
    return same and (end is veth.far or link.noarp == end.noarp)


def is_raised(link: Link, end: End) -> bool:
    """A far end gets its settings when it is raised."""
    return link.router and link.proxy_arp == end.proxy_arp and link.noarp == end.noarp


def _plain(name: str, wanted: set[Any], there: set[Any], foreign: set[Any]) -> Iterator[Change]:
    """Things that are there or not."""
    for item in sorted(wanted - there - foreign, key=str):
        yield Change(name, "+", item)
    for item in sorted(there - wanted, key=str):
        yield Change(name, "-", item)


def _placed(
    name: str, wanted: Mapping[Any, Any], there: Mapping[Any, Any], ours: Mapping[Any, Any], spoiled: set[int]
) -> Iterator[Change]:
    """Things of which there can be one in each place, whoever has put it there. A link takes its own along."""
    for place, item in wanted.items():
        present = there.get(place)
        if present is None:
            yield Change(name, "+", item)
        elif present != item or place not in ours:  # somebody's own may have more to it than we know
            yield Change(name, "~", item, present)
    for place, item in ours.items():
        if place not in wanted and item.index not in spoiled:
            yield Change(name, "-", item)


def _place(thing: Route | Neighbour) -> tuple[int, ...]:
    if isinstance(thing, Route):
        return thing.table, thing.destination, thing.prefix_length, thing.metric
    return thing.index, thing.address


def unknown(namespace: Namespace, found: Observed) -> list[Any]:
    """What is in a namespace and neither ours nor as if it were ours nor in a place of ours: somebody's own."""
    if not found.foreign:
        return []
    ours = {*namespace.addresses, *namespace.rules}
    places = {_place(thing) for thing in namespace.routes} | {_place(thing) for thing in namespace.neighbours}

    def is_somebodys(thing: Link | Address | Route | Rule | Neighbour) -> bool:
        return _place(thing) not in places if isinstance(thing, Route | Neighbour) else thing not in ours

    return [thing for thing in found.foreign if is_somebodys(thing)]


def lasting(namespace: Namespace) -> dict[str, str]:
    """The settings that say something of a namespace with its interfaces; `default` only matters to new ones."""
    settings = {**namespace.sysctls, **namespace.settings}
    return {name: value for name, value in settings.items() if "/default/" not in name}
