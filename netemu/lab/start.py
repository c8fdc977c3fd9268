"""Starts what runs in a lab: its daemons, and the programs of `run:`."""

from __future__ import annotations

import contextlib
import errno
from pathlib import Path

from netemu.errors import SystemRefusal
from netemu.lab.folder import LabFolder, ProcessRecord, Record
from netemu.lab.missing import Missing
from netemu.linux import processes
from netemu.linux.state import Lab, Namespace, Program


def daemon(namespace: Namespace, what: Program, folder: LabFolder) -> ProcessRecord:
    """Start a daemon and return when it serves. It leaves its process id in <name>.pid."""
    where = folder.namespace(namespace.name)
    try:
        processes.run_daemon(what.argv, where, folder.daemons)
        pid = int((folder.daemons / f"{what.name}.pid").read_text())
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise SystemRefusal(f"{namespace.name}: {what.argv[0]} did not start: {reason}") from error
    return _record(namespace, what, pid)


def program(namespace: Namespace, what: Program, folder: LabFolder, record: Record) -> ProcessRecord:
    """Start a program of `run:`, in the directory of the scenario."""
    extra = {"NETEMU_LAB": folder.name, "NETEMU_NODE": namespace.name}
    kind = "internet/hosts" if namespace.name in record.hosts else "virtualMachines"
    log, cwd = folder.logs / f"{what.name}.log", Path(record.directory)
    try:
        pid = processes.start(what.argv, surroundings(folder, namespace.name), log, cwd, extra)
    except processes.StartError as error:
        hint = "; install it, or correct `run`" if error.errno in (errno.ENOENT, errno.EACCES, errno.ENOEXEC) else ""
        raise SystemRefusal(
            f"{kind}/{namespace.name}/run: cannot start {what.argv[0]!r}: {error.strerror}{hint}"
        ) from error
    return _record(namespace, what, pid)


def _record(namespace: Namespace, what: Program, pid: int) -> ProcessRecord:
    return ProcessRecord(namespace.name, what.name, " ".join(what.argv), pid, processes.start_time(pid) or 0)


def again(lab: Lab, folder: LabFolder, record: Record, missing: Missing) -> None:
    """Start what has ended anew, and bring the record up to date after each."""
    for namespace in lab.namespaces.values():
        for what in namespace.daemons:
            for old in missing.daemons:
                if (old.machine, old.name) == (namespace.name, what.name):
                    record.daemons[record.daemons.index(old)] = daemon(namespace, what, folder)
                    folder.write(record)
        for what in namespace.programs:
            for old in missing.programs:
                if (old.machine, old.name) == (namespace.name, what.name):
                    record.programs[record.programs.index(old)] = program(namespace, what, folder, record)
                    folder.write(record)


def surroundings(folder: LabFolder, node: str) -> processes.Surroundings:
    """What a program in a node of a lab finds around it."""
    etc = folder.etc / node
    hostname = None
    with contextlib.suppress(FileNotFoundError):
        hostname = (etc / "hostname").read_text().strip()
    return processes.Surroundings(folder.namespace(node), hostname, etc if hostname is not None else None)
