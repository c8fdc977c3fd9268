"""Ctrl-C, SIGTERM and SIGHUP, held back until a step is done: no step is ever cut in two."""

from __future__ import annotations

import signal
from types import FrameType

from netemu.errors import NetemuError

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(NetemuError):
    """The person (or a supervisor) asked us to stop; exits as a shell reports such a death."""

    def __init__(self, number: int, state: str = "") -> None:
        super().__init__(f"interrupted by {signal.Signals(number).name}{f'; {state}' if state else ''}")
        self.exit_code = 128 + number


class Interrupts:
    """While entered, signals are only noted; `check` raises Interrupted for the first one."""

    def __init__(self) -> None:
        self.received: int | None = None
        self._previous: dict[int, object] = {}

    def __enter__(self) -> Interrupts:
        for number in SIGNALS:
            self._previous[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)  # type: ignore[arg-type]  # what signal.signal() itself returned

    def _note(self, number: int, _frame: FrameType | None) -> None:
        if self.received is None:
            self.received = number

    def check(self, state: str = "") -> None:
        """Between two steps: stop if we were asked to; `state` says how things are then."""
        if self.received is not None:
            raise Interrupted(self.received, state)
