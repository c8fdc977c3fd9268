"""Carries out what the prober finds, in a thread of its own: it may have to wait for an `up`, and questions may not.

What is found while it waits is carried out together. A finding is written down, and told, when it is in force.
"""

from __future__ import annotations

import threading

from netemu.errors import NetemuError
from netemu.lab.events import note
from netemu.lab.folder import LabFolder
from netemu.lab.health import Report, set_backend_states
from netemu.lab.probing import Finding, Findings, read_findings, write_findings

PAUSE = 1.0
"""Seconds until what the kernel has refused is tried again."""

Key = tuple[str, str]
"""Probe and member."""


class Carrier:
    """Findings on their way into the kernel."""

    def __init__(self, folder: LabFolder) -> None:
        self.folder = folder
        self._new: dict[Key, Finding] = {}
        self._asked: set[Key] | None = None
        """Who is asked, when that has changed."""
        self._changed = threading.Condition()
        self._failing = ""

    def take(self, key: Key, finding: Finding) -> None:
        """Have a finding carried out. A later one about the same member takes its place."""
        with self._changed:
            self._new[key] = finding
            self._changed.notify()

    def keep_to(self, asked: set[Key]) -> None:
        """Forget what is known of others: they are no longer asked."""
        with self._changed:
            self._asked = asked
            self._new = {key: finding for key, finding in self._new.items() if key in asked}
            self._changed.notify()

    def run(self) -> None:
        """For ever."""
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._new or self._asked is not None)
            self.turn()

    def turn(self) -> None:
        """Carry out what there is. After a failure it is there again, a while later."""
        with self._changed:
            new, self._new = self._new, {}
            asked, self._asked = self._asked, None
        try:
            self._carry_out(new, asked)
            self._failing = ""
        except (NetemuError, OSError) as error:
            if self.folder.read() is None:
                return  # the lab is gone, and so are we in a moment
            if str(error) != self._failing:
                self._failing = str(error)
                note(self.folder, "failed", "health of backends", str(error))
            with self._changed:
                self._new = new | self._new
                if self._asked is None:
                    self._asked = asked
                self._changed.wait(PAUSE)

    def _carry_out(self, new: dict[Key, Finding], asked: set[Key] | None) -> None:
        findings = read_findings(self.folder)
        reports = {key: finding.state == "up" for key, finding in new.items()}
        if asked is not None:
            findings = _only(findings, asked)
            # What was found out of somebody who is gone may have been carried out after `up` has forgotten them.
            reports = dict.fromkeys(self.folder.health().sick() - asked, True) | reports
        if reports:
            told = [Report(*_parts(watch), member, up) for (watch, member), up in reports.items()]
            set_backend_states(self.folder, told)
        for (watch, member), finding in new.items():
            findings.setdefault(watch, {})[member] = finding
        write_findings(self.folder, findings)
        for (watch, member), finding in new.items():
            if finding.state != "starting":
                note(self.folder, finding.state, f"{watch} {member}", finding.detail)


def _only(findings: Findings, asked: set[Key]) -> Findings:
    left = {
        watch: {member: finding for member, finding in members.items() if (watch, member) in asked}
        for watch, members in findings.items()
    }
    return {watch: members for watch, members in left.items() if members}


def _parts(watch: str) -> tuple[str, str]:
    balancer, _, probe = watch.partition("/")
    return balancer, probe
