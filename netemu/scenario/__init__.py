"""Reads scenario files: YAML text → checked resources, with every mistake named at its place.

    reading   text → tree          syntax, duplicate keys, aliases, limits
    bind      tree → resources     unknown and missing properties, wrong kinds of values
    validate  resources → problems Azure's rules, one module per kind of resource
    schema    JSON Schema of a scenario file, for editors
    codes     every error code

A scenario that is returned from here is one that `netemu.azure.network.resolve` accepts.
"""

from __future__ import annotations

import os
from pathlib import Path

from msgspec import Struct

from netemu.azure.resources import Scenario
from netemu.errors import PersonError
from netemu.scenario import tree
from netemu.scenario.bind import bind
from netemu.scenario.reading import read_tree
from netemu.scenario.report import CONTROL, Report, Stop, clean
from netemu.scenario.validate import validate

__all__ = ["LARGEST", "Document", "read_document", "read_scenario", "read_text", "text_of"]

LARGEST = 16 * 1024 * 1024
"""Larger files are refused, in bytes."""


class Document(Struct, frozen=True):
    """A scenario together with the text that it was read from."""

    file: str
    scenario: Scenario
    root: tree.Mapping

    def position(self, *path: str | int) -> tuple[int, int]:
        """Line and column, from 1, of a resource or property: `position("virtualMachines", "web1", "subnet")`.

        For what is not written in the file, the place of what is around it.
        """
        return tree.place(self.root, path)


def read_scenario(path: Path | str) -> Scenario:
    """Read a scenario file. Raises ScenarioError with all that is wrong in it, PersonError if it cannot be read."""
    return read_document(path).scenario


def read_document(path: Path | str) -> Document:
    """Like `read_scenario`, and keep the places of everything."""
    return _document(text_of(Path(path)), str(path))


def read_text(text: str, filename: str = "<text>") -> Scenario:
    """Read a scenario from a text; `filename` is what messages begin with."""
    return _document(text, filename).scenario


def _document(text: str, filename: str) -> Document:
    report = Report(filename)
    try:
        root = read_tree(text, report)
        report.root = root
        scenario = bind(Scenario, root, report)
        validate(scenario, report)
    except Stop:
        pass
    report.finish()
    return Document(filename, scenario, root)


def _is_utf8(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def text_of(path: Path) -> str:
    """The text of a scenario file. Raises PersonError if it cannot be read."""
    if CONTROL.search(str(path)) or "\n" in str(path):  # no message could name it
        raise PersonError(f"{clean(str(path))}: the file's name has control characters or is not UTF-8; rename it")
    try:
        if not _is_utf8(os.path.abspath(path)):  # no record of a lab could keep it
            raise PersonError(f"{path}: the name of its directory is not UTF-8; put it into another one")
        with path.open("rb") as file:
            content = file.read(LARGEST + 1)
    except FileNotFoundError:
        raise PersonError(f"{path}: there is no such file") from None
    except IsADirectoryError:
        raise PersonError(f"{path}: this is a directory; name a scenario file in it") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise PersonError(f"{path}: cannot be read: {reason}") from None
    if len(content) > LARGEST:
        raise PersonError(f"{path}: larger than {LARGEST // 1024 // 1024} MiB, which no scenario is")
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise PersonError(f"{path}:{line}: not UTF-8 text; save the file as UTF-8") from None
