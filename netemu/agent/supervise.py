"""Watches the lab's daemons and starts those again that end, waiting longer each time."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable
from typing import TYPE_CHECKING

from netemu.agent.backoff import Backoff
from netemu.errors import NetemuError
from netemu.lab import start
from netemu.lab.events import note
from netemu.lab.folder import LabFolder, Lock, ProcessRecord
from netemu.lab.missing import is_alive
from netemu.lab.probing import read_checks
from netemu.linux.state import Namespace, Program

if TYPE_CHECKING:
    from netemu.agent.idleness import Idleness
    from netemu.agent.prober import Prober

LOCK_PAUSE = 0.2
"""Seconds until we look again whether `up` or `down` has finished with the lab."""

Name = tuple[str, str]
"""Namespace and daemon."""


def run(name: str) -> None:
    """Supervise a lab until we are ended, or the lab's record is gone."""
    wakeup, told = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    signal.set_wakeup_fd(told)
    signal.signal(signal.SIGHUP, lambda *_: None)
    Supervisor(LabFolder(name), wakeup).run()


class Supervisor:
    """One lab's daemons, by process descriptors: no polling while all is well."""

    def __init__(self, folder: LabFolder, wakeup: int) -> None:
        self.folder, self.wakeup = folder, wakeup
        self.backoffs: dict[Name, Backoff] = {}
        self.due: dict[Name, float] = {}
        """When what has ended may be started again."""
        self.told = False
        """Has a SIGHUP come?"""
        self.prober: Prober | None = None
        self.idleness: Idleness | None = None

    def run(self) -> None:
        """Until the lab is gone. A SIGHUP says that the record is new."""
        while (record := self.folder.read()) is not None:
            self._probe()
            self._reset_idle()
            self.told = False
            watched = self._watch(record.daemons)
            try:
                self._wait(watched)
            finally:
                for descriptor in watched:
                    os.close(descriptor)
            if any(when <= time.monotonic() for when in self.due.values()):
                self._start_again()

    def _probe(self) -> None:
        """Have the backends of load balancers asked, if there are any. The threads go on until we are ended."""
        if self.prober is not None:
            if self.told:
                self.prober.reload()
        elif read_checks(self.folder):
            from netemu.agent.carrier import Carrier
            from netemu.agent.prober import Prober

            carrier = Carrier(self.folder)
            self.prober = Prober(self.folder, carrier)
            for work in (carrier.run, self.prober.run):
                threading.Thread(target=_or_end, args=(work,), daemon=True).start()

    def _reset_idle(self) -> None:
        """Have both ends of idle connections told, if a rule says so. This thread, too, goes on until we are ended."""
        if self.idleness is not None:
            if self.told:
                self.idleness.reload()
        elif any(balancing.resets for balancing in self.folder.applied().balancing.values()):
            from netemu.agent.idleness import Idleness

            self.idleness = Idleness(self.folder)
            threading.Thread(target=_or_end, args=(self.idleness.run,), daemon=True).start()

    def _watch(self, daemons: list[ProcessRecord]) -> list[int]:
        """Descriptors of the daemons that run; those that do not become due."""
        descriptors = []
        names = {(daemon.machine, daemon.name) for daemon in daemons}
        self.due = {name: when for name, when in self.due.items() if name in names}
        for daemon in daemons:
            name = daemon.machine, daemon.name
            backoff = self.backoffs.setdefault(name, Backoff())
            with contextlib.suppress(ProcessLookupError):
                descriptor = os.pidfd_open(daemon.pid)
                if is_alive(daemon):
                    descriptors.append(descriptor)
                    self.due.pop(name, None)
                    backoff.started = backoff.started or time.monotonic()
                    continue
                os.close(descriptor)
            if name not in self.due:
                note(self.folder, "ended", daemon.name, f"process {daemon.pid}")
                self.due[name] = backoff.may_start(time.monotonic())
        return descriptors

    def _wait(self, watched: list[int]) -> None:
        """Until a daemon ends, one may be started again, or a signal comes."""
        poll = select.poll()
        for descriptor in (self.wakeup, *watched):
            poll.register(descriptor, select.POLLIN)
        patience = min(self.due.values()) - time.monotonic() if self.due else None
        poll.poll(None if patience is None else max(0.0, patience) * 1000)
        with contextlib.suppress(BlockingIOError):
            self.told = bool(os.read(self.wakeup, 4096))

    def _start_again(self) -> None:
        """Start what is due, with the lab's lock: `up` and `down` have precedence."""
        try:
            with Lock(self.folder.name):
                record = self.folder.read()
                if record is None or record.state != "running":
                    self._postpone()
                    return
                for position, daemon in enumerate(record.daemons):
                    name = daemon.machine, daemon.name
                    if self.due.get(name, float("inf")) > time.monotonic() or is_alive(daemon):
                        continue
                    try:
                        program = Program(daemon.name, daemon.argv, ready=daemon.ready)
                        record.daemons[position] = start.daemon(Namespace(daemon.machine), program, self.folder)
                    except NetemuError as error:
                        note(self.folder, "failed", daemon.name, str(error))
                        self.due[name] = self.backoffs[name].may_start(time.monotonic())
                        continue
                    self.folder.write(record)
                    self.due.pop(name, None)
                    self.backoffs[name].has_started(time.monotonic())
                    note(self.folder, "started", daemon.name, f"process {record.daemons[position].pid}")
        except NetemuError:
            self._postpone()

    def _postpone(self) -> None:
        later = time.monotonic() + LOCK_PAUSE
        self.due = {name: max(when, later) for name, when in self.due.items()}


def _or_end(work: Callable[[], None]) -> None:
    """Work in a thread; should it fail, so do we as a whole: `status` tells, and `up` starts us again."""
    try:
        work()
    except BaseException:
        traceback.print_exc()
        sys.stderr.flush()
        os._exit(1)
