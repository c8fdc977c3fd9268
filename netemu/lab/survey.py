"""A running lab held against a scenario: everything that differs, read from the kernel."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from hashlib import blake2s

import msgspec
from msgspec import Struct

from netemu.azure.network import Network, resolve
from netemu.azure.resources import Scenario
from netemu.compile.lab import compile_lab
from netemu.compile.numbering import Numbering, number
from netemu.lab.engine import Engine, choose
from netemu.lab.folder import Kept, LabFolder, Record
from netemu.lab.health import add_health
from netemu.lab.parts import part_changes
from netemu.lab.present import our_nodes
from netemu.linux import namespaces as ns
from netemu.linux.difference import Change
from netemu.linux.reconcile import Reconciler
from netemu.linux.state import Lab


class Desired(Struct, frozen=True):
    """What a scenario means for a lab, in both languages."""

    network: Network
    numbering: Numbering
    lab: Lab
    engine: Engine

    @property
    def kept(self) -> Kept:
        """What the lab has chosen by itself."""
        return Kept(self.network.given(), self.numbering, self.engine)


class Survey(Struct):
    """What is to be done, and what is somebody else's."""

    desired: Desired
    kernel: list[Change]
    parts: list[Change]
    """Files, names, daemons and programs."""
    foreign: dict[str, list[str]]
    """By namespace."""

    @property
    def changes(self) -> list[Change]:
        """All of it."""
        return [*self.kernel, *self.parts]


def desire(scenario: Scenario, folder: LabFolder, engine: str | None = None) -> Desired:
    """Resolve and compile a scenario for a lab: what the lab has chosen already stays.

    `engine` is what the command line asks for; see `choose`.
    """
    kept = folder.kept()
    network = resolve(scenario, kept.given)
    numbering = number(network, kept.numbering)
    chosen = choose(scenario, engine, kept.engine)
    lab = compile_lab(network, str(folder.daemons), numbering, chosen.name)
    add_health(lab, folder)
    return Desired(network, numbering, lab, chosen)


@contextlib.contextmanager
def reconciler(desired: Desired, folder: LabFolder, record: Record) -> Iterator[Reconciler]:
    """The namespaces of a lab that is there, opened."""
    with Reconciler(desired.lab, folder.namespaces, our_nodes(folder, record), folder.applied()) as opened:
        yield opened


def survey(desired: Desired, folder: LabFolder, record: Record) -> Survey:
    """Read everything and change nothing."""
    with reconciler(desired, folder, record) as opened:
        kernel = opened.changes()
        return Survey(desired, kernel, part_changes(desired.lab, folder, record), opened.foreign)


def fingerprint(lab: Lab, found: Survey | None) -> str:
    """A digest of what is wanted and of every difference to what is there."""
    digest = blake2s(msgspec.msgpack.encode(msgspec.structs.replace(lab, down={})), digest_size=16)
    for change in found.changes if found is not None else ():
        digest.update(repr(change).encode())
    return digest.hexdigest()


def clear(folder: LabFolder, node: str) -> None:
    """Take away what lies in the place of a namespace: a file of ours, or what somebody has mounted over it."""
    path = folder.namespace(node)
    while str(path) in ns.mounts_below(folder.namespaces):
        ns.unmount(str(path))
    path.unlink(missing_ok=True)
