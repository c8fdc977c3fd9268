"""Brings namespaces from nothing to their desired state.

First all namespaces, then the pairs, made from their near ends; a namespace
that has far ends is configured when all of them are there.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from netemu.linux import namespaces as ns
from netemu.linux import nftables, rtnetlink
from netemu.linux.balancing import ruleset_of
from netemu.linux.describe import describe
from netemu.linux.nursery import Nursery, Settings
from netemu.linux.rtnetlink import Rtnetlink
from netemu.linux.services import lead
from netemu.linux.state import End, Lab, Namespace, Veth

Step = Callable[[str], None]
"""Called before each step with what it is about; may raise to stop."""


class BuildError(Exception):
    """The kernel refused a part of a lab; the message names the namespace and the object."""

    def __init__(self, namespace: str, what: str, error: OSError) -> None:
        reason = (error.strerror or str(error)).partition("\n")[0]
        super().__init__(f"{namespace}: {what}: {reason}")
        self.error = error


class Builder:
    """Builds a lab's namespaces below a folder (one file each) and keeps their descriptors until `close`.

    Those in `there` exist already and are left as they are; pairs may end in them.
    """

    def __init__(
        self, lab: Lab, folder: Path, step: Step, there: dict[str, int] | None = None, nursery: Nursery | None = None
    ) -> None:
        self.lab, self.folder, self.step, self.nursery = lab, folder, step, nursery
        self.descriptors: dict[str, int] = dict(there or {})
        self.generations: dict[str, int] = {}
        """Count of nftables transactions after ours, of the namespaces with a ruleset."""
        self._there = frozenset(self.descriptors)
        self._settings = Settings()
        self._loads: dict[str, _Load] = {}

    def __enter__(self) -> Builder:
        return self

    def __exit__(self, *exception: object) -> None:
        for descriptor in self.descriptors.values():
            os.close(descriptor)

    def build(self) -> None:
        """Make every namespace and interface, with its configuration and ruleset."""
        try:
            self._build()
        finally:
            for load in self._loads.values():
                load.join()

    def _build(self) -> None:
        ends = self.lab.ends()
        fresh = [namespace for name, namespace in self.lab.namespaces.items() if name not in self._there]
        for namespace in fresh:
            self._create(namespace)
            ruleset = ruleset_of(self.lab, namespace)
            if len(ruleset) > LONG:
                self._loads[namespace.name] = load = _Load(self.descriptors[namespace.name], ruleset)
                load.start()
        waiting: list[tuple[Namespace, list[End]]] = []
        for namespace in fresh:
            near = [veth for end, veth in ends[namespace.name] if end is veth.near]
            far = [end for end, veth in ends[namespace.name] if end is veth.far]
            self.step(namespace.name)
            if far:
                self._send(namespace, self._pairs(near))
                waiting.append((namespace, far))
            else:
                self._send(namespace, (*self._pairs(near), *_configuration(namespace, [])))
                self._finish(namespace)
        for namespace, far in waiting:
            self.step(namespace.name)
            self._send(namespace, _configuration(namespace, far))
            self._finish(namespace)

    def _create(self, namespace: Namespace) -> None:
        self.step(namespace.name)
        try:
            path, ready = self.folder / namespace.name, None
            if self.nursery is not None and namespace.sysctls == self.nursery.sysctls:
                ready = self.nursery.take()
            if ready is not None:
                self.descriptors[namespace.name] = ready
                ns.name(ready, path)
            else:
                self.descriptors[namespace.name] = descriptor = ns.create(path)
                with ns.entered(descriptor):
                    self._settings.write(namespace.sysctls)
        except OSError as error:
            raise BuildError(namespace.name, "creating the namespace", error) from error

    def _pairs(self, near: list[Veth]) -> Iterator[rtnetlink.Message]:
        yield rtnetlink.loopback_up()
        for pair in near:
            yield rtnetlink.veth(pair, self.descriptors[pair.far.namespace])

    def _send(self, namespace: Namespace, messages: Iterable[rtnetlink.Message]) -> None:
        try:
            with ns.entered(self.descriptors[namespace.name]):
                netlink = Rtnetlink()
            with netlink:
                netlink.send(messages)
        except rtnetlink.RtnetlinkError as error:
            raise BuildError(namespace.name, describe(error.about), error) from error
        except OSError as error:
            raise BuildError(namespace.name, "sending its configuration to the kernel", error) from error

    def _finish(self, namespace: Namespace) -> None:
        descriptor = self.descriptors[namespace.name]
        try:
            if namespace.ruleset:
                load = self._loads.get(namespace.name)
                if load is None:
                    _handle(descriptor).apply(ruleset_of(self.lab, namespace))
                else:
                    load.finish()
                self.generations[namespace.name] = nftables.generation(descriptor)
        except OSError as error:
            raise BuildError(namespace.name, "loading the nftables ruleset", error) from error
        with ns.entered(descriptor):
            for name, value in namespace.settings.items():
                write_setting(namespace.name, name, value)
            if namespace.balancing is not None and namespace.balancing.timeouts is not None:
                try:
                    lead(namespace.balancing, self.lab.down)
                except OSError as error:
                    raise BuildError(namespace.name, "making the services of IPVS", error) from error


def write_setting(namespace: str, name: str, value: str) -> None:
    """Write a sysctl of the namespace that the calling thread is in."""
    try:
        ns.write_sysctl(name, value)
    except OSError as error:
        raise BuildError(namespace, f"sysctl net.{name.replace('/', '.')}={value}", error) from error


LONG = 100_000
"""Characters of a ruleset that is loaded beside everything else: rules name interfaces that need not be there yet."""


class _Load(threading.Thread):
    """The loading of a long ruleset: work for the kernel, that leaves this process free to make links meanwhile."""

    def __init__(self, descriptor: int, ruleset: str) -> None:
        super().__init__(name="load")
        self.ruleset = ruleset
        self.handle = _handle(descriptor)  # which only one thread at a time can open
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.handle.apply(self.ruleset)
        except BaseException as error:  # `finish` raises it where it is awaited
            self.error = error

    def finish(self) -> None:
        """Wait; raise what went wrong."""
        self.join()
        if self.error is not None:
            raise self.error


def _handle(descriptor: int) -> nftables.Handle:
    with ns.entered(descriptor):
        require_netfilter()
    return nftables.Handle(descriptor)


def require_netfilter() -> None:
    """Raise OSError when a netfilter socket cannot be opened: libnftables would end this process."""
    nftables.netfilter_socket().close()


def _configuration(namespace: Namespace, far: list[End]) -> Iterator[rtnetlink.Message]:
    for end in far:
        yield from rtnetlink.raise_link(end)
    yield from map(rtnetlink.address, namespace.addresses)
    yield from map(rtnetlink.neighbour, namespace.neighbours)
    yield from map(rtnetlink.route, namespace.routes)
    yield from map(rtnetlink.rule, namespace.rules)
