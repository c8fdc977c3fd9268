"""Collects what is wrong in one scenario file, and knows where everything is."""

from __future__ import annotations

import re
from typing import NoReturn

from netemu.errors import Problem, ScenarioError
from netemu.scenario import codes
from netemu.scenario.suggest import Suggestions
from netemu.scenario.tree import Mapping, Node, Path, place

MOST = 1000
"""So many problems are told at once; a file with more is not a scenario with mistakes but something else."""

SHOWN = 60
"""Longer texts are cut in messages."""


CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")
"""What moves a terminal's cursor (0x9b begins a command like ESC [), and what UTF-8 or XML cannot carry."""


class Stop(Exception):
    """Reading cannot go on."""


class Report:
    """The problems of one file."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.root: Node = Mapping(1, 1, {})
        self.problems: list[Problem] = []
        self.suggestions = Suggestions()
        self.unreadable: set[Path] = set()
        """Properties that already have a problem: what is said about them later would be only a consequence."""

    def stop(
        self, line: int, column: int, what: str, instead: str, code: str = codes.INVALID_REQUEST_FORMAT
    ) -> NoReturn:
        """Report what makes everything else unreadable."""
        self.problems.append(Problem(self.file, line, column, "", clean(what), clean(instead), code))
        raise Stop

    def at(self, node: Node, resource: Path, what: str, instead: str, code: str) -> None:
        """Report a problem at a node of the tree."""
        self._append(node.line, node.column, resource, what, instead, code)

    def add(self, resource: Path, within: str | Path, what: str, instead: str, code: str) -> None:
        """Report a problem of a resource, in one of its properties (or the resource itself, when that is empty).

        A property that was already found unreadable, or a member of one, is passed over.
        """
        steps = (within,) if isinstance(within, str) else within
        path = resource + tuple(step for step in steps if step != "")
        if self.unreadable and any(path[:length] in self.unreadable for length in range(len(resource), len(path) + 1)):
            return
        line, column = place(self.root, path)
        self._append(line, column, resource, what, instead, code)

    def _append(self, line: int, column: int, resource: Path, what: str, instead: str, code: str) -> None:
        problem = Problem(self.file, line, column, spoken(resource), clean(what), clean(instead), code)
        self.problems.append(problem)
        if len(self.problems) >= MOST:
            raise Stop

    def finish(self) -> None:
        """Raise what was found, if anything was."""
        if self.problems:
            raise ScenarioError(tuple(dict.fromkeys(self.problems)))


def spoken(path: Path) -> str:
    """Write a path as messages have it: `virtualMachines/web1`; members of lists count from 1 there: `expect/1`."""
    return "/".join(clean(step, SHOWN) if isinstance(step, str) else str(step + 1) for step in path)


def quoted(text: str) -> str:
    """Put a text from the file into the form that messages have."""
    return f"`{clean(text, SHOWN)}`"


def clean(text: str, longest: int = 1000) -> str:
    """Make one printable line, whatever was in the file: a message must not move the cursor or pretend to be two."""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text[: longest + 1])
    return text if len(text) <= longest else text[:longest] + "…"
