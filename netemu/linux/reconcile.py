"""Leads the namespaces of a running lab from what they are to what they should be, disturbing nothing else.

What is new comes before what refers to it, what goes goes last: links, addresses, neighbours, routes and rules are
added, then rulesets change in one transaction each, then the rest is removed. The kernel removes some things by itself
(the routes of a link that goes, the addresses behind a first address), so reality is read again until it fits.
"""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from pathlib import Path

from netemu.linux import conntrack, ipvs, nftables, rtnetlink
from netemu.linux import namespaces as ns
from netemu.linux.balancing import of_gone_rules, ruleset_of
from netemu.linux.build import Builder, BuildError, Step, require_netfilter, write_setting
from netemu.linux.describe import describe
from netemu.linux.difference import Change, Loopback, RulesetObject, Sysctl, Thing, Whole, differences, unknown
from netemu.linux.glance import is_as_described, is_simple
from netemu.linux.nursery import PAYS_OFF
from netemu.linux.observe import Link, LinkReader, Observed, observe
from netemu.linux.rtnetlink import Message, Rtnetlink
from netemu.linux.ruleset import Key, Ruleset, parse, rebuild, transactions
from netemu.linux.ruleset_check import drift
from netemu.linux.services import lead, service_changes
from netemu.linux.state import (
    Address,
    Applied,
    End,
    Lab,
    Namespace,
    Neighbour,
    Route,
    Rule,
    Veth,
    VirtualService,
)

GONE = (errno.ENODEV, errno.EADDRNOTAVAIL, errno.ESRCH, errno.ENOENT)
"""What the kernel says of something that is to be removed and has gone by itself: with its link, with its first
address."""

PASSES = 4
"""So often at most reality is read and changed; two are the rule."""


class Reconciler:
    """The namespaces of one lab, in a folder with one file each; `nodes` are those that are there and ours."""

    def __init__(self, lab: Lab, folder: Path, nodes: Iterable[str], applied: Applied) -> None:
        self.lab, self.folder, self.applied = lab, folder, applied
        self.foreign: dict[str, list[str]] = {}
        """What is somebody else's, by namespace, after `changes`."""
        self.learnt = False
        """Whether reading has found out more about what is applied than was known."""
        self.descriptors: dict[str, int] = {}
        self._ends = lab.ends()
        self._texts: dict[str, list[str]] = {}
        for node in nodes:
            self.descriptors[node] = os.open(folder / node, os.O_RDONLY | os.O_CLOEXEC)

    def __enter__(self) -> Reconciler:
        return self

    def __exit__(self, *exception: object) -> None:
        for descriptor in self.descriptors.values():
            os.close(descriptor)

    # ---- reading -----------------------------------------------------------------------------------------------------

    def changes(self, thorough: bool = True) -> list[Change]:
        """Read the kernel and say what has to be done. `thorough` also looks for what is somebody else's."""
        result = [Change(name, "+", Whole(name)) for name in self.lab.namespaces if name not in self.descriptors]
        for name, descriptor in self.descriptors.items():
            namespace = self.lab.namespaces.get(name)
            if namespace is None:
                result.append(Change(name, "-", Whole(name)))
                continue
            result.extend(self._of(namespace, descriptor, thorough))
        return [*result, *self._torn(result)]

    def is_as_described(self, rest: Callable[[], bool]) -> bool:
        """Is there nothing to do, and nothing in what else there is to look at, either?

        In a large lab a second process looks at most machines: reading is work for the kernel, and waiting for Python.
        """
        if self.descriptors.keys() != self.lab.namespaces.keys():
            return False
        simple = [name for name in self.descriptors if is_simple(self.lab.namespaces[name], self._ends[name])]
        theirs = simple[len(simple) // 5 :] if len(simple) >= PAYS_OFF else []
        child = os.fork() if theirs else 0
        if theirs and child == 0:
            same = False
            try:
                same = self._are_as_described(theirs)
            finally:
                os._exit(0 if same else 1)
        others = self.descriptors.keys() - set(theirs)
        same = self._are_as_described(name for name in self.descriptors if name in others) and rest()
        if child:
            same = os.waitpid(child, 0)[1] == 0 and same
        return same

    def _are_as_described(self, names: Iterable[str]) -> bool:
        home, links = ns.current(), LinkReader()
        try:
            for name in names:
                namespace, descriptor = self.lab.namespaces[name], self.descriptors[name]
                if not is_simple(namespace, self._ends[name]):
                    ns.setns(home, ns.CLONE_NEWNET)
                    if any(self._of(namespace, descriptor, False)):
                        return False
                    continue
                ns.setns(descriptor, ns.CLONE_NEWNET)
                with Rtnetlink(strict=True) as netlink, ns.Sysctls() as sysctls:
                    if not is_as_described(namespace, self._ends[name], netlink, links, sysctls.read):
                        return False
        finally:
            ns.setns(home, ns.CLONE_NEWNET)
            os.close(home)
        return True

    def _torn(self, changes: list[Change]) -> Iterator[Change]:
        """Pairs of which only one end is wrong: the other one goes with it."""
        going = {(c.namespace, c.thing.index) for c in changes if isinstance(c.thing, Link) and c.action == "-"}
        made = {(c.namespace, c.thing.near.index) for c in changes if isinstance(c.thing, Veth)}
        for veth in self.lab.veths if going else ():
            near, far = (veth.near.namespace, veth.near.index), (veth.far.namespace, veth.far.index)
            if (near in going or far in going) and near not in made and near[0] in self.descriptors:
                yield Change(near[0], "+", veth)

    def _of(self, namespace: Namespace, descriptor: int, thorough: bool) -> Iterator[Change]:
        with ns.entered(descriptor):
            netlink = Rtnetlink()
            with netlink:
                found = observe(netlink, rules=thorough or bool(namespace.rules))
            with ns.Sysctls() as sysctls:
                yield from differences(namespace, self._ends[namespace.name], found, sysctls.read)
        self._note_foreign(namespace, found)
        if namespace.ruleset or namespace.name in self.applied.rulesets:
            yield from self._ruleset(namespace, descriptor)
            yield from self._services(namespace, descriptor)
        elif thorough and (tables := nftables.tables(descriptor)):
            self.foreign.setdefault(namespace.name, []).extend(f"table {table}" for table in tables)

    def _note_foreign(self, namespace: Namespace, found: Observed) -> None:
        others = unknown(namespace, found)
        if others:
            self.foreign[namespace.name] = [describe(thing) for thing in others]
        else:
            self.foreign.pop(namespace.name, None)

    def _ruleset(self, namespace: Namespace, descriptor: int) -> Iterator[Change]:
        """The changes of a ruleset; the transactions that make them are kept for `apply`."""
        text = self.applied.rulesets.get(namespace.name, "")
        wanted = ruleset_of(self.lab, namespace)
        self._texts.pop(namespace.name, None)
        generation = nftables.generation(descriptor)
        seen = self.applied.generations.get(namespace.name)
        if generation == seen and text == wanted:
            self._note_balancing(namespace)
            return
        new = parse(wanted)
        if generation == seen:
            old, drifted = parse(text), set[Key]()
        else:
            drifted, others = drift(descriptor, new, wanted)
            old = Ruleset(list(new.tables), {key: item for key, item in new.objects.items() if key not in drifted})
            if others:
                self.foreign.setdefault(namespace.name, []).extend(others)
            if not drifted:
                self._note_balancing(namespace)
                self.applied.rulesets[namespace.name] = wanted
                self.applied.generations[namespace.name] = generation
                self.learnt = True
                return
        self._texts[namespace.name] = transactions(old, new, drifted)
        for key in dict.fromkeys([*new.objects, *old.objects, *drifted]):
            thing = RulesetObject(*key)
            if key not in new.objects:
                yield Change(namespace.name, "-", thing)
            elif key in drifted:
                yield Change(namespace.name, "~", thing)
            elif key not in old.objects:
                yield Change(namespace.name, "+", thing)
            elif old.objects[key] != new.objects[key]:
                yield Change(namespace.name, "~", thing)

    def _note_balancing(self, namespace: Namespace) -> None:
        """Keep what is applied for those who carry changes of health out."""
        if namespace.balancing != self.applied.balancing.get(namespace.name):
            self.learnt = True
            if namespace.balancing is None:
                del self.applied.balancing[namespace.name]
            else:
                self.applied.balancing[namespace.name] = namespace.balancing

    def _services(self, namespace: Namespace, descriptor: int) -> Iterator[Change]:
        """IPVS: asked where it should be, or was."""
        wanted, applied = namespace.balancing, self.applied.balancing.get(namespace.name)
        if any(each is not None and each.timeouts is not None for each in (wanted, applied)):
            with ns.entered(descriptor), ipvs.IPVS() as kernel:
                yield from service_changes(namespace.name, wanted, self.lab.down, kernel.services())

    # ---- changing ----------------------------------------------------------------------------------------------------

    def apply(self, changes: list[Change], step: Step) -> None:
        """Carry the changes out, except the removal of whole namespaces, and whatever they bring about."""
        for _ in range(PASSES):
            todo = [change for change in changes if not (change.action == "-" and isinstance(change.thing, Whole))]
            if not todo:
                return
            self._once(todo, step)
            changes = self.changes(thorough=False)
        left = next((c for c in changes if not isinstance(c.thing, Whole)), None)
        if left is not None:
            raise BuildError(left.namespace, describe(left.thing), OSError(11, "does not stay as netemu makes it"))

    def _once(self, changes: list[Change], step: Step) -> None:
        by_namespace: dict[str, list[Change]] = {}
        for change in changes:
            by_namespace.setdefault(change.namespace, []).append(change)
        fresh = {c.namespace for c in changes if c.action == "+" and isinstance(c.thing, Whole)}
        old = [name for name in by_namespace if name not in fresh]
        begun = [veth for veth in self.lab.veths if veth.near.namespace in fresh]
        joined = [change.thing for change in changes if isinstance(change.thing, Veth)]
        self._unlink([(c.namespace, c.thing.index) for c in changes if isinstance(c.thing, Link) and c.action == "-"])
        self._unlink([(v.far.namespace, v.far.index) for v in begun if v.far.namespace in self.descriptors])
        if fresh:
            self._build(fresh, begun, step)
        for name in old:
            pairs = [c.thing for c in by_namespace[name] if isinstance(c.thing, Veth)]
            self._send(name, [rtnetlink.veth(v, self.descriptors[v.far.namespace]) for v in pairs])
        raised: dict[str, list[End]] = {}
        for veth in (*begun, *joined):
            if veth.far.namespace not in fresh:
                raised.setdefault(veth.far.namespace, []).append(veth.far)
        for name in dict.fromkeys([*old, *raised]):
            step(name)
            self._send(name, _additions(raised.get(name, []), by_namespace.get(name, [])))
        for name in old:
            if name in self._texts:
                step(name)
                self._load(self.lab.namespaces[name])
        for name in old:
            step(name)
            self._serve(name, by_namespace[name])
            self._send(name, _removals(by_namespace[name]), GONE)
            with ns.entered(self.descriptors[name]):
                for change in by_namespace[name]:
                    if isinstance(change.thing, Sysctl):
                        write_setting(name, change.thing.name, change.thing.value)

    def _unlink(self, links: list[tuple[str, int]]) -> None:
        for name, index in links:
            with contextlib.suppress(BuildError):  # it is not there, or its other end has taken it along
                self._send(name, [rtnetlink.unlink(index, name)])

    def _build(self, fresh: set[str], begun: list[Veth], step: Step) -> None:
        """Make the new namespaces with all pairs that begin in them."""
        known = {name: item for name, item in self.lab.namespaces.items() if name in fresh or name in self.descriptors}
        builder = Builder(Lab(self.lab.name, known, begun, self.lab.down), self.folder, step, self.descriptors)
        try:
            builder.build()
        finally:
            self.descriptors = builder.descriptors
        for name, generation in builder.generations.items():
            namespace = self.lab.namespaces[name]
            self.applied.rulesets[name] = ruleset_of(self.lab, namespace)
            self.applied.generations[name] = generation
            if namespace.balancing is not None:
                self.applied.balancing[name] = namespace.balancing

    def _send(self, name: str, messages: Iterable[Message], tolerated: Collection[int] = ()) -> None:
        try:
            with ns.entered(self.descriptors[name]):
                netlink = Rtnetlink()
            with netlink:
                netlink.send(messages, tolerated)
        except rtnetlink.RtnetlinkError as error:
            raise BuildError(name, describe(error.about), error) from error
        except OSError as error:
            raise BuildError(name, "sending its configuration to the kernel", error) from error

    def _serve(self, name: str, changes: list[Change]) -> None:
        """IPVS: services and their destinations."""
        if not any(isinstance(change.thing, VirtualService) for change in changes):
            return
        try:
            with ns.entered(self.descriptors[name]):
                lead(self.lab.namespaces[name].balancing, self.lab.down)
        except OSError as error:
            raise BuildError(name, "changing the services of IPVS", error) from error

    def _load(self, namespace: Namespace) -> None:
        descriptor, wanted = self.descriptors[namespace.name], ruleset_of(self.lab, namespace)
        try:
            with ns.entered(descriptor):
                require_netfilter()
            try:
                for text in self._texts[namespace.name]:
                    nftables.apply(descriptor, text)
            except nftables.RulesetError:  # somebody has altered types or hooks: nothing less helps
                nftables.apply(descriptor, rebuild(Ruleset(), parse(wanted)))
            before = self.applied.balancing.get(namespace.name)
            conntrack.forget(descriptor, of_gone_rules(before, namespace.balancing))
            self._note_balancing(namespace)
            self.applied.rulesets[namespace.name] = wanted
            self.applied.generations[namespace.name] = nftables.generation(descriptor)
        except OSError as error:
            raise BuildError(namespace.name, "changing the nftables ruleset", error) from error


def _additions(raised: list[End], changes: list[Change]) -> Iterator[Message]:
    if any(isinstance(change.thing, Loopback) for change in changes):
        yield rtnetlink.loopback_up()
    for end in raised:
        yield from rtnetlink.raise_link(end)
    for change in changes:
        if change.action == "-":
            continue
        again = change.action == "~"
        match change.thing:
            case End() as end:
                yield from rtnetlink.raise_link(end)
            case Address() as address:
                yield rtnetlink.address(address)
            case Neighbour() as neighbour:
                yield rtnetlink.neighbour(neighbour, replace=True)  # the kernel may have learnt it meanwhile
            case Route() as route:
                yield rtnetlink.route(route, again)
            case Rule() as rule:
                yield rtnetlink.rule(rule)


def _removals(changes: Iterable[Change]) -> Iterator[Message]:
    order: dict[type[Thing], int] = {Rule: 0, Route: 1, Neighbour: 2, Address: 3}
    for change in sorted(
        (c for c in changes if c.action == "-" and type(c.thing) in order), key=lambda c: order[type(c.thing)]
    ):
        match change.thing:
            case Rule() as rule:
                yield rtnetlink.no_rule(rule)
            case Route() as route:
                yield rtnetlink.no_route(route)
            case Neighbour() as neighbour:
                yield rtnetlink.no_neighbour(neighbour)
            case Address() as address:
                yield rtnetlink.no_address(address)
