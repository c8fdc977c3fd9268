"""How long to wait before something that has ended is started again."""

from __future__ import annotations

from msgspec import Struct

FIRST, LONGEST = 0.1, 30.0
STEADY = 60.0
"""Seconds; what has run so long starts from the beginning of the scale."""


class Backoff(Struct):
    """One thing's restarts. Times are those of a monotonic clock, in seconds."""

    failures: int = 0
    started: float = 0.0

    def has_started(self, now: float) -> None:
        """It runs."""
        self.started = now

    def may_start(self, ended: float) -> float:
        """The earliest time for the next start of what has ended then."""
        if self.started and ended - self.started >= STEADY:
            self.failures = 0
        wait: float = min(LONGEST, FIRST * 2**self.failures)
        self.failures = min(self.failures + 1, 16)
        return ended + wait
