"""Starts what runs in a lab: its daemons, and the programs of `run:`."""

from __future__ import annotations

import contextlib
import errno
import signal
import sys
from pathlib import Path

from netemu.compile.numbering import FABRIC
from netemu.errors import SystemRefusal
from netemu.lab.folder import LabFolder, ProcessRecord, Record
from netemu.lab.missing import is_alive
from netemu.linux import processes
from netemu.linux.state import Namespace, Program

MARK = "NETEMU_PROGRAM"
"""In the environment of everything that `up` starts, and of what that starts: so it is known after a crash, too."""


def _mark(folder: LabFolder, node: str, what: Program) -> dict[str, str]:
    return {"NETEMU_LAB": folder.name, "NETEMU_NODE": node, MARK: what.name}


def end_unrecorded(folder: LabFolder, record: Record) -> None:
    """End what `up` has started and not noted down, because it was killed in between."""
    known = [*record.programs, *record.daemons, *([record.agent] if record.agent is not None else [])]
    sessions = {(process.machine, process.name) for process in known if is_alive(process)}
    nodes = {processes.identity(folder.namespace(node)): node for node in folder.nodes()}
    started = {}
    for pid, where in processes.inside(set(nodes)):
        name = processes.environment(pid).get(MARK)
        if name is not None and (nodes[where], name) not in sessions:
            started[pid] = processes.start_time(pid) or 0
    processes.end_all(set(), started)


def daemon(namespace: Namespace, what: Program, folder: LabFolder) -> ProcessRecord:
    """Start a daemon and return when it serves. It leaves its process id in <name>.pid."""
    where = folder.namespace(namespace.name)
    try:
        processes.run_daemon(what.argv, where, folder.daemons, _mark(folder, namespace.name, what))
        pid = int((folder.daemons / f"{what.name}.pid").read_text())
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise SystemRefusal(f"{namespace.name}: {what.argv[0]} did not start: {reason}") from error
    return _record(namespace, what, pid)


def program(namespace: Namespace, what: Program, folder: LabFolder, record: Record) -> ProcessRecord:
    """Start a program of `run:`, in the directory of the scenario."""
    kind = "internet/hosts" if namespace.name in record.hosts else "virtualMachines"
    log, cwd = folder.logs / f"{what.name}.log", Path(record.directory)
    try:
        pid = processes.start(
            what.argv, surroundings(folder, namespace.name), log, cwd, _mark(folder, namespace.name, what)
        )
    except processes.StartError as error:
        hint = "; install it, or correct `run`" if error.errno in (errno.ENOENT, errno.EACCES, errno.ENOEXEC) else ""
        raise SystemRefusal(
            f"{kind}/{namespace.name}/run: cannot start {what.argv[0]!r}: {error.strerror}{hint}"
        ) from error
    return _record(namespace, what, pid)


AGENT = Program("agent", (sys.executable, "-P", "-m", "netemu.agent"))


def agent(folder: LabFolder) -> ProcessRecord:
    """Start the lab's agent, which lives in the fabric's namespace and sees all of the machine's mounts."""
    where = processes.Surroundings(folder.namespace(FABRIC), ignored=(signal.SIGHUP,), own_mounts=False)
    argv = (*AGENT.argv, folder.name)
    try:
        pid = processes.start(argv, where, folder.path / "agent.log", Path("/"), _mark(folder, FABRIC, AGENT))
    except OSError as error:
        raise SystemRefusal(f"the lab's agent did not start: {error.strerror}") from error
    return ProcessRecord(FABRIC, AGENT.name, argv, pid, processes.start_time(pid) or 0)


def _record(namespace: Namespace, what: Program, pid: int) -> ProcessRecord:
    return ProcessRecord(namespace.name, what.name, what.argv, pid, processes.start_time(pid) or 0)


def surroundings(folder: LabFolder, node: str) -> processes.Surroundings:
    """What a program in a node of a lab finds around it."""
    etc = folder.etc / node
    hostname = None
    with contextlib.suppress(FileNotFoundError):
        hostname = (etc / "hostname").read_text().strip()
    return processes.Surroundings(folder.namespace(node), hostname, etc if hostname is not None else None)
