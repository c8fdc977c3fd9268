"""Starts what runs in a lab: its daemons, and the programs of `run:`."""

from __future__ import annotations

import contextlib
import errno
import signal
import sys
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from netemu.compile.numbering import FABRIC
from netemu.errors import SystemRefusal
from netemu.lab.folder import LabFolder, ProcessRecord, Record
from netemu.lab.missing import is_alive
from netemu.lab.requirements import find_tool
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
    """Start a daemon and return when it serves."""
    process, log, length = _begin(namespace, what, folder)
    await_words(process, log, length, lambda: None)
    return process


def daemons(
    wanted: Iterable[tuple[Namespace, Program]],
    folder: LabFolder,
    begun: list[ProcessRecord],
    check: Callable[[], None],
) -> None:
    """Start daemons, all at once, and return when all of them serve. Each is added to `begun` when it has begun.

    `check` is called while we wait, and may raise.
    """
    waiting = []
    for namespace, what in wanted:
        check()
        process, log, length = _begin(namespace, what, folder)
        begun.append(process)
        waiting.append((process, log, length))
    for process, log, length in waiting:
        await_words(process, log, length, check)


def _begin(namespace: Namespace, what: Program, folder: LabFolder) -> tuple[ProcessRecord, Path, int]:
    """Start a daemon; where its log is, and how long that was before."""
    where = processes.Surroundings(folder.namespace(namespace.name), own_mounts=False, unconfined=True)
    log = folder.daemons / f"{what.name}.log"
    length = log.stat().st_size if log.exists() else 0
    argv = (find_tool(what.argv[0]) or what.argv[0], *what.argv[1:])
    try:
        pid = processes.start(argv, where, log, folder.daemons, _mark(folder, namespace.name, what))
    except OSError as error:
        raise SystemRefusal(f"{namespace.name}: {what.argv[0]} did not start: {error.strerror}") from error
    return _record(namespace, what, pid), log, length


def await_words(process: ProcessRecord, log: Path, start: int, check: Callable[[], None]) -> None:
    """Wait until a daemon's log has, from `start` on, the words that say that it serves."""
    deadline = time.monotonic() + PATIENCE
    while process.ready not in (said := _said(log, start)):
        check()
        if not is_alive(process):
            words = [line for line in said.splitlines() if line.strip()]
            reason = words[-1] if words else "it ended without a word"
            raise SystemRefusal(f"{process.machine}: {process.argv[0]} did not start: {reason}")
        if time.monotonic() > deadline:
            raise SystemRefusal(f"{process.machine}: {process.argv[0]} does not serve after {PATIENCE:.0f} seconds")
        time.sleep(0.001)


def _said(log: Path, start: int) -> str:
    try:
        with log.open("rb") as file:
            file.seek(start)
            return file.read().decode(errors="replace")
    except FileNotFoundError:
        return ""


PATIENCE = 30.0
"""Seconds that a daemon may take to serve, or to read its files again, on a machine with much else to do."""


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
    return ProcessRecord(namespace.name, what.name, what.argv, pid, processes.start_time(pid) or 0, what.ready)


def surroundings(folder: LabFolder, node: str) -> processes.Surroundings:
    """What a program in a node of a lab finds around it."""
    etc = folder.etc / node
    hostname = None
    with contextlib.suppress(FileNotFoundError):
        hostname = (etc / "hostname").read_text().strip()
    return processes.Surroundings(folder.namespace(node), hostname, etc if hostname is not None else None)
