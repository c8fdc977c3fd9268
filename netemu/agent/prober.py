"""Asks all backends of all load balancers, each at its own time: one thread, one epoll, no process.

A member that is settled is asked at fixed times, an interval apart, whose phases are spread over the interval. One that
is new is asked at once, and soon again until it is up.
"""

from __future__ import annotations

import contextlib
import functools
import heapq
import os
import resource
import select
import socket
import time
from typing import TYPE_CHECKING

from msgspec import Struct

from netemu.agent.attempt import Attempt, open_socket
from netemu.agent.tally import Tally
from netemu.lab.folder import LabFolder
from netemu.lab.probing import Finding, read_checks, read_findings
from netemu.linux.namespaces import entered
from netemu.linux.state import Check

if TYPE_CHECKING:
    import ssl

    from netemu.agent.carrier import Carrier

RESERVED = 64
"""File descriptors that are not for questions."""
GOLDEN = 0.618033988749895
"""Multiples of it, modulo 1, lie apart."""
AFTER_ANSWER = 1.0
"""Seconds that the rest of an answer may take."""

Key = tuple[str, str]
"""Probe and member."""


class Target(Struct, eq=False):
    """A member that is asked."""

    check: Check
    tally: Tally
    phase: float
    """Where in the interval it is asked, from 0 to 1."""
    attempt: Attempt | None = None
    turn: int = 0
    """The number of its entry among those that are due; entries with another number are void."""

    def next_time(self, now: float) -> float:
        """When it is asked next."""
        pause = self.tally.pause(self.check.interval)
        if pause is not None:
            return now + pause
        interval = self.check.interval
        passed = (now - self.phase * interval) % interval
        return now + interval - passed


class Prober:
    """All members of a lab."""

    def __init__(self, folder: LabFolder, carrier: Carrier) -> None:
        self.folder, self.carrier = folder, carrier
        self.targets: dict[Key, Target] = {}
        self._epoll = select.epoll()
        self._called = os.eventfd(1, os.EFD_NONBLOCK | os.EFD_CLOEXEC)  # so it reads its checks first
        self._epoll.register(self._called, select.EPOLLIN)
        self._attempts: dict[int, tuple[Attempt, Target]] = {}
        self._due: list[tuple[float, int, Target]] = []
        self._deadlines: list[tuple[float, int, Attempt]] = []
        self._number = 0
        self._namespaces: dict[str, int] = {}
        self._most = _file_limit() - RESERVED

    def reload(self) -> None:
        """Have the checks read again. From any thread."""
        os.eventfd_write(self._called, 1)

    def run(self) -> None:
        """For ever."""
        while True:
            self.turn()

    def turn(self) -> None:
        """Wait until something is to be done, and do it. Answers first: those that came while we were busy are in time.

        A question that cannot be asked for want of descriptors is asked when others are answered.
        """
        for descriptor, _ in self._epoll.poll(self._patience()):
            if descriptor == self._called:
                os.eventfd_read(self._called)
                self._read()
            elif descriptor in self._attempts:
                self._proceed(descriptor)
        now = time.monotonic()
        while self._deadlines and self._deadlines[0][0] <= now:
            attempt = heapq.heappop(self._deadlines)[2]
            if not attempt.finished:
                attempt.expire()
                self._heed(attempt.descriptor)
        self._ask(now)

    def _patience(self) -> float | None:
        times = [self._deadlines[0][0]] if self._deadlines else []
        if self._due and len(self._attempts) < self._most:
            times.append(self._due[0][0])
        return max(0.0, min(times) - time.monotonic()) if times else None

    # ---- who is asked --------------------------------------------------------------------------------------------

    def _read(self) -> None:
        """Read the checks; a member that is known already stays what it is."""
        checks = {(check.watch, check.member): check for check in read_checks(self.folder)}
        known, sick = read_findings(self.folder), self.folder.health().sick()
        self._open({check.namespace for check in checks.values()})
        for key in [key for key in self.targets if key not in checks]:
            self._drop(self.targets.pop(key))
        now = time.monotonic()
        new = 0
        for position, (key, check) in enumerate(checks.items()):
            target = self.targets.get(key)
            if target is None:
                finding = known.get(key[0], {}).get(key[1])
                tally = Tally(check.fall, check.rise, added=now)
                if finding is not None:
                    tally.state = "down" if key in sick else "up"
                target = self.targets[key] = Target(check, tally, position * GOLDEN % 1)
                new += tally.state is None
                self._schedule(target, target.next_time(now) if tally.state is not None else now + new / 1000)
            elif target.check != check:
                target.tally.fall, target.tally.rise, target.tally.against = check.fall, check.rise, 0
                self._drop(target)
                target.check = check
                self._schedule(target, now)
        self.carrier.keep_to(set(self.targets))

    def _open(self, nodes: set[str]) -> None:
        """Open the namespaces anew: `up` may have made one again."""
        for descriptor in self._namespaces.values():
            os.close(descriptor)
        self._namespaces = {}
        for node in nodes:
            with contextlib.suppress(OSError):
                self._namespaces[node] = os.open(self.folder.namespace(node), os.O_RDONLY | os.O_CLOEXEC)

    def _drop(self, target: Target) -> None:
        """Forget a question and when the next one is due."""
        if target.attempt is not None:
            self._attempts.pop(target.attempt.descriptor, None)
            target.attempt.close()
            target.attempt = None
        target.turn = 0

    def _schedule(self, target: Target, when: float) -> None:
        self._number += 1
        target.turn = self._number
        heapq.heappush(self._due, (when, self._number, target))

    # ---- questions and answers -----------------------------------------------------------------------------------

    def _ask(self, now: float) -> None:
        """Ask everybody whose time has come; each namespace is entered once."""
        ready: dict[str, list[Target]] = {}
        free = self._most - len(self._attempts)
        while self._due and self._due[0][0] <= now and free > 0:
            _, number, target = heapq.heappop(self._due)
            if number == target.turn:
                ready.setdefault(target.check.namespace, []).append(target)
                free -= 1
        for node, targets in ready.items():
            descriptor = self._namespaces.get(node)
            if descriptor is None:
                for target in targets:
                    self._conclude(target, False, f"{node} is not there", now)
                continue
            with entered(descriptor):
                opened = [(target, _try_to_open(target.check)) for target in targets]
            for target, attempt in opened:
                self._begin(target, attempt, now)

    def _begin(self, target: Target, opened: socket.socket | OSError, now: float) -> None:
        if isinstance(opened, OSError):
            self._conclude(target, False, (opened.strerror or str(opened)).lower(), now)
            return
        attempt = Attempt(target.check, opened, _unchecked() if target.check.kind == "https" else None)
        target.attempt = attempt
        self._attempts[attempt.descriptor] = attempt, target
        self._epoll.register(attempt.descriptor, attempt.wants)
        self._limit(attempt, now + target.check.timeout)

    def _limit(self, attempt: Attempt, when: float) -> None:
        self._number += 1
        heapq.heappush(self._deadlines, (when, self._number, attempt))

    def _proceed(self, descriptor: int) -> None:
        attempt = self._attempts[descriptor][0]
        wanted = attempt.wants
        attempt.proceed()
        if not attempt.finished and attempt.wants != wanted:
            self._epoll.modify(descriptor, attempt.wants)
        self._heed(descriptor)

    def _heed(self, descriptor: int) -> None:
        """Take the answer when there is one, and the socket when it is done with."""
        attempt, target = self._attempts[descriptor]
        now = time.monotonic()
        if attempt.good is not None and target.attempt is attempt:
            target.attempt = None
            self._conclude(target, attempt.good, attempt.detail, now)
            if not attempt.finished:
                self._limit(attempt, now + AFTER_ANSWER)
        if attempt.finished:
            del self._attempts[descriptor]
            attempt.close()

    def _conclude(self, target: Target, good: bool, detail: str, now: float) -> None:
        if target.tally.hear(good, now):
            assert target.tally.state is not None
            self.carrier.take(
                (target.check.watch, target.check.member), Finding(target.tally.state, time.time(), detail)
            )
        self._schedule(target, target.next_time(now))


def _try_to_open(check: Check) -> socket.socket | OSError:
    try:
        return open_socket(check)
    except OSError as error:
        return error


@functools.cache
def _unchecked() -> ssl.SSLContext:
    """Whatever certificate the backend has: Azure does not look at it either."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def _file_limit() -> int:
    """As many open files as we may have: each question is one."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = min(hard, 65536) if hard != resource.RLIM_INFINITY else 65536
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return max(soft, wanted)
