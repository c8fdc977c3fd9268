"""Leads a running lab to another version of its scenario, or back to the one that it has, and disturbs nothing else."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

from netemu.lab import names, start
from netemu.lab.folder import LabFolder, ProcessRecord, Record
from netemu.lab.interrupts import Interrupts
from netemu.lab.missing import is_alive
from netemu.lab.parts import checks, content_of, files
from netemu.lab.survey import Desired, clear, reconciler
from netemu.linux import processes
from netemu.linux.difference import Change, File, Whole
from netemu.linux.state import Applied, Namespace, Program

HALF_WAY = "the lab is half way between two versions; `netemu up` completes it"


class Changer:
    """One change of one lab, whose lock we hold. Every step leaves a lab that `up` can complete and `down` remove."""

    def __init__(
        self, desired: Desired, folder: LabFolder, record: Record, interrupts: Interrupts,
        progress: Callable[[int, int, str], None],
    ) -> None:  # fmt: skip
        self.desired, self.folder, self.record = desired, folder, record
        self.interrupts, self.progress = interrupts, progress

    def change(self, kernel: list[Change], parts: list[Change]) -> None:
        """Carry out what a survey found."""
        folder, record, lab = self.folder, self.record, self.desired.lab
        if record.state != "running" or any(isinstance(change.thing, Program) for change in parts):
            # An `up` was killed, or an agent while it started a daemon again.
            start.end_unrecorded(folder, record)
        record.state = "changing"
        folder.write(record)
        folder.keep(self.desired.kept)
        self._end(parts)
        for namespace in lab.namespaces.values():
            written = {path for path, content in files(namespace, folder) if _write(path, content)}
            if written:
                self._reload(namespace, written)
        _write(*checks(lab, folder))
        gone = [c.namespace for c in kernel if c.action == "-" and isinstance(c.thing, Whole)]
        if kernel:
            self._namespaces(kernel)
        self._remove(gone)
        self._names(parts)
        self._strays(parts)
        record.machines = list(self.desired.network.machines)
        record.hosts = list(self.desired.network.hosts)
        record.with_files = [namespace.name for namespace in lab.namespaces.values() if namespace.files]
        folder.write(record)
        self._start()

    def _step(self, what: str) -> None:
        self.interrupts.check(HALF_WAY)
        self.progress(0, 0, what)

    def _namespaces(self, kernel: list[Change]) -> None:
        for change in kernel:
            if change.action == "+" and isinstance(change.thing, Whole):
                self._lose(change.namespace)
                clear(self.folder, change.namespace)
        applied = self.folder.applied()
        self.folder.write_applied(Applied())  # until we know what is loaded, the kernel has to be asked
        with reconciler(self.desired, self.folder, self.record) as opened:
            opened.applied = applied
            opened.changes(thorough=False)
            opened.apply(kernel, self._step)
            self.record.namespaces = {
                node: os.fstat(descriptor).st_ino
                for node, descriptor in opened.descriptors.items()
                if node in self.desired.lab.namespaces
            } | {n: i for n, i in self.record.namespaces.items() if n not in self.desired.lab.namespaces}
            self.folder.write_applied(opened.applied)
        self.folder.write(self.record)

    def _lose(self, node: str) -> None:
        """End what still runs in a namespace that is no longer in its place."""
        inode = self.record.namespaces.get(node)
        for recorded in (self.record.programs, self.record.daemons):
            for process in [process for process in recorded if process.machine == node]:
                where = processes.namespace_of(process.pid) if is_alive(process) else None
                if where is not None and where[1] == inode and where != processes.namespace_of(1):
                    processes.end_all({where}, {})
                self._end_one(process)
                recorded.remove(process)

    def _end(self, parts: list[Change]) -> None:
        """End the programs and daemons that go or are exchanged; a daemon's file is written before its next start."""
        leaving = {(c.namespace, c.thing.name) for c in parts if isinstance(c.thing, Program) and c.action != "+"}
        for recorded in (self.record.programs, self.record.daemons):
            for process in list(recorded):
                if (process.machine, process.name) in leaving:
                    self._step(process.machine)
                    self._end_one(process)
                    recorded.remove(process)
                    self.folder.write(self.record)

    def _end_one(self, process: ProcessRecord) -> None:
        if is_alive(process):
            processes.end_all(set(), {process.pid: process.started, **processes.session(process.pid)})

    def _remove(self, gone: list[str]) -> None:
        """Remove namespaces that the scenario no longer has, with what runs in them."""
        for node in gone:
            self._step(node)
            processes.end_all({processes.identity(self.folder.namespace(node))}, {})
            names.unpublish(self.folder, node)
            clear(self.folder, node)
            shutil.rmtree(self.folder.etc / node, ignore_errors=True)
            self.record.namespaces.pop(node, None)
            for recorded in (self.record.programs, self.record.daemons):
                recorded[:] = [process for process in recorded if process.machine != node]
            self.folder.write(self.record)

    def _names(self, parts: list[Change]) -> None:
        named = [c for c in parts if isinstance(c.thing, File) and not c.thing.path.startswith(f"{self.folder.path}/")]
        if any(change.action == "+" for change in named):
            spaces = self.desired.lab.namespaces
            names.publish(self.folder, spaces, [name for name, namespace in spaces.items() if namespace.files])
        for change in named:
            if change.action == "-":
                Path(change.thing.path).unlink(missing_ok=True)  # type: ignore[union-attr]  # a File, see above

    def _strays(self, parts: list[Change]) -> None:
        """Remove what daemons, which have read their files again, need no more."""
        for change in parts:
            if change.action == "-" and isinstance(change.thing, File):
                path = Path(change.thing.path)
                if path.is_relative_to(self.folder.daemons):
                    path.unlink(missing_ok=True)

    def _reload(self, namespace: Namespace, written: set[str]) -> None:
        """Let daemons read their files again, which loses no query. They have done so when this returns."""
        for program in namespace.daemons:
            if written.isdisjoint(f"{self.folder.daemons}/{name}" for name in program.reloads):
                continue
            log = self.folder.daemons / f"{program.name}.log"
            for process in self.record.daemons:
                if (process.machine, process.name) == (namespace.name, program.name) and is_alive(process):
                    length = log.stat().st_size
                    processes.signal_one(process.pid, process.started, signal.SIGHUP)
                    start.await_words(process, log, length, lambda: self.interrupts.check(HALF_WAY))

    def _start(self) -> None:
        for recorded in (self.record.daemons, self.record.programs):
            recorded[:] = [process for process in recorded if is_alive(process)]
        spaces = self.desired.lab.namespaces.values()
        running = {(process.machine, process.name) for process in (*self.record.daemons, *self.record.programs)}
        daemons = [(n, d) for n in spaces for d in n.daemons if (n.name, d.name) not in running]
        try:
            start.daemons(daemons, self.folder, self.record.daemons, lambda: self.interrupts.check(HALF_WAY))
        finally:
            self.folder.write(self.record)
        for namespace in spaces:
            for what in namespace.programs:
                if (namespace.name, what.name) not in running:
                    self._step(namespace.name)
                    self.record.programs.append(start.program(namespace, what, self.folder, self.record))
                    self.folder.write(self.record)
        if self.record.agent is None or not is_alive(self.record.agent):
            self.record.agent = start.agent(self.folder)
            self.folder.write(self.record)
        else:
            processes.signal_one(self.record.agent.pid, self.record.agent.started, signal.SIGHUP)  # the record is new


def _write(path: str, content: str) -> bool:
    """In place: programs that run have the very file mounted over theirs. Whether there was anything to write."""
    there = content_of(path)
    if there == content:
        return False
    if there is None:
        Path(path).parent.mkdir(exist_ok=True)
    Path(path).write_text(content)
    return True
