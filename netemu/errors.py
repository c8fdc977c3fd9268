"""Every exception that netemu raises on purpose.

    NetemuError
    ├── PersonError          what was asked for cannot be right            exit 2
    │   └── ScenarioError    the scenario file is wrong; carries Problems  exit 2
    └── SystemRefusal        the machine or its kernel said no             exit 3

A command that runs to its end but whose answer is "no" (a failed check) exits with 1 and raises nothing.
Anything else that escapes is a bug in netemu and keeps its traceback.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import Struct


class NetemuError(Exception):
    """Base of the tree: `except NetemuError` catches everything that is meant for a person's eyes."""

    exit_code = 1


class PersonError(NetemuError):
    """The person asked for something that cannot be right; the message says what would be."""

    exit_code = 2


class Problem(Struct, frozen=True, order=True):
    """One thing that is wrong in a scenario file.

    `line` and `column` count from 1. `code` is ARM's error code, or one of netemu's own in the same style.
    """

    file: str
    line: int
    column: int
    resource: str
    what: str
    instead: str
    code: str

    def __str__(self) -> str:
        place = (
            f"{self.file}:{self.line}:{self.column}: {self.resource}: "
            if self.resource
            else (f"{self.file}:{self.line}:{self.column}: ")
        )
        instead = f"; {self.instead}" if self.instead else ""
        return f"{place}{self.what}{instead} ({self.code})"


class ScenarioError(PersonError):
    """A scenario file is wrong. `problems` holds everything found, in the order of the file."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems: tuple[Problem, ...] = tuple(sorted(problems))
        super().__init__("\n".join(str(problem) for problem in self.problems))


class SystemRefusal(NetemuError):
    """The machine refused: no root, a kernel without a feature, a missing tool, no space."""

    exit_code = 3
