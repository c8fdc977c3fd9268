"""What a member's answers amount to (LB-29): failures and successes in a row, counted against thresholds."""

from __future__ import annotations

from msgspec import Struct

from netemu.lab.probing import START_PATIENCE, State

SOON = 0.1
"""Seconds after which a member that has never been up is asked again; twice as long each time."""


class Tally(Struct):
    """One member, as one probe sees it. Times are those of a monotonic clock, in seconds."""

    fall: int
    rise: int
    state: State | None = None
    """None: not asked yet."""
    against: int = 0
    """Answers in a row that speak against the state."""
    added: float = 0.0
    tries: int = 0
    """While it is starting."""

    def hear(self, good: bool, now: float) -> bool:
        """Count an answer. Whether the state is another one now.

        One success is enough for a member that has never been up, as for an instance of Azure that has just booted.
        """
        before = self.state
        match self.state:
            case None | "starting":
                self.state = "up" if good else "starting" if now - self.added < START_PATIENCE else "down"
            case "up":
                self._count(not good, self.fall, "down")
            case "down":
                self._count(good, self.rise, "up")
        if self.state != before:
            self.against = 0
        return self.state != before

    def _count(self, against: bool, threshold: int, other: State) -> None:
        self.against = self.against + 1 if against else 0
        if self.against >= threshold:
            self.state = other

    def pause(self, interval: float) -> float | None:
        """Seconds until a member that is starting is asked again; None: as all others."""
        if self.state != "starting":
            return None
        self.tries += 1
        return min(interval, SOON * 2.0 ** min(self.tries - 1, 16))
