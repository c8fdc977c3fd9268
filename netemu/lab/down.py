"""Removes a lab: its processes, its names, its namespaces with all that is in them, its folder. Nothing else.

Works from whatever a crash left; each step looks at what is there. Processes go first: while they live their
namespaces have names by which the next `down` finds them.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from netemu.errors import SystemRefusal
from netemu.lab import names
from netemu.lab.folder import LabFolder, Lock
from netemu.lab.interrupts import Interrupted, Interrupts
from netemu.lab.missing import is_alive
from netemu.lab.requirements import require_root
from netemu.linux import namespaces as ns
from netemu.linux import processes


def down(folder: LabFolder, tell: Callable[[str], None]) -> None:
    """Remove a lab, taking its lock. Ctrl-C does not stop it half way: it takes seconds at most."""
    require_root("down")
    with Interrupts() as interrupts, Lock(folder.name):
        folder.refuse_foreign()
        try:
            remove(folder, tell)
        except OSError as error:
            raise SystemRefusal(
                f"lab {folder.name}: {error.strerror or error}{f' ({error.filename})' if error.filename else ''}; "
                "what is left of it can be removed by the same command again"
            ) from error
    if interrupts.received is not None:
        raise Interrupted(interrupts.received, f"lab {folder.name} is down all the same")


def remove(folder: LabFolder, tell: Callable[[str], None]) -> None:
    """Remove a lab whose lock we hold."""
    ended = processes.end_all(*_processes(folder))
    if ended:
        tell(f"ended {ended} process{'es' if ended != 1 else ''}")
    names.withdraw(folder)
    while folder.is_mounted():
        ns.unmount(str(folder.path))
    try:
        folder.path.rmdir()  # which also detaches the copies that other mount namespaces have
    except FileNotFoundError:
        return
    except OSError:
        folder.refuse_foreign()
        raise


def _processes(folder: LabFolder) -> tuple[set[tuple[int, int]], dict[int, int]]:
    """The lab's namespaces, and the processes that `up` started, by id, with their start times.

    A namespace whose mount somebody has removed is found by the processes of the record. One that somebody has mounted
    over ours is told by the record, and the machine's own in any case: its processes are never ended.
    """
    there = {node: processes.identity(folder.namespace(node)) for node in folder.nodes()}
    started = {}
    record = folder.read()
    if record is not None and record.namespaces:
        there = {node: where for node, where in there.items() if record.namespaces.get(node) == where[1]}
    identities = set(there.values())
    if record is not None:
        for process in (*record.programs, *record.daemons, *([record.agent] if record.agent else [])):
            if is_alive(process):
                started[process.pid] = process.started
                where = processes.namespace_of(process.pid)
                if where is not None and where[1] == record.namespaces.get(process.machine):
                    identities.add(where)
    own = {processes.namespace_of(1)}
    if record is None:  # otherwise we may well be inside the lab ourselves
        own.add(processes.namespace_of(os.getpid()))
    return {where for where in identities if where not in own}, started
