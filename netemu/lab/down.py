"""Removes a lab: its processes, its names, its namespaces with all that is in them, its folder. Nothing else.

Works from whatever a crash left; each step looks at what is there, none trusts the record.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from netemu.lab import names
from netemu.lab.folder import LabFolder, Lock
from netemu.lab.requirements import require_root
from netemu.linux import namespaces as ns
from netemu.linux import processes


def down(folder: LabFolder, tell: Callable[[str], None]) -> None:
    """Remove a lab, taking its lock."""
    require_root("down")
    with Lock(folder.name):
        remove(folder, tell)


def remove(folder: LabFolder, tell: Callable[[str], None]) -> None:
    """Remove a lab whose lock we hold."""
    identities = set()
    mounted = set(ns.mounts_below(folder.path))
    for node in folder.nodes():
        path = folder.namespace(node)
        if str(path) in mounted:
            identities.add(processes.identity(path))
    ended = processes.end_all(identities)
    if ended:
        tell(f"ended {ended} process{'es' if ended != 1 else ''}")
    names.withdraw(folder)
    while ns.mounts_below(folder.path):
        ns.unmount(str(folder.path))
    with contextlib.suppress(FileNotFoundError):
        folder.path.rmdir()
