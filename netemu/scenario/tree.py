"""The tree of a YAML text: scalars as written, mappings, sequences, each with its place.

Nothing is interpreted here: what the text `80` or `no` means is decided by the property that it is written for.
"""

from __future__ import annotations

from msgspec import Struct

Path = tuple[str | int, ...]
"""Where something is in a scenario, for example ("networkSecurityGroups", "web", "securityRules", "http").

Members of lists count from 0.
"""


class Scalar(Struct):
    """One text. `plain` when it was written without quotes and may stand for a number, a truth value or nothing."""

    line: int
    column: int
    text: str
    plain: bool = True

    @property
    def is_null(self) -> bool:
        """Whether it stands for nothing."""
        return self.plain and self.text in ("", "~", "null", "Null", "NULL")


class Mapping(Struct):
    """Entries by key, in the order of the file; each with its key's scalar, which has the place."""

    line: int
    column: int
    entries: dict[str, tuple[Scalar, Node]]
    size: int = 1
    """Nodes in it when every alias is written out."""


class Sequence(Struct):
    """Nodes in a row."""

    line: int
    column: int
    items: list[Node]
    size: int = 1
    """Nodes in it when every alias is written out."""


Node = Scalar | Mapping | Sequence


def place(root: Node, path: Path) -> tuple[int, int]:
    """Line and column of what is at `path`, counted from 1.

    That is the value's place for a single value, the name's for what has one (a resource, say), and, for what is
    not in the file, the place of the nearest thing around it that is.
    """
    node: Node = root
    line, column = root.line, root.column
    for step in path:
        if isinstance(step, str):
            entry = node.entries.get(step) if isinstance(node, Mapping) else None
            if entry is None:
                break
            key, node = entry
            written = isinstance(node, Scalar) and not node.is_null
            line, column = (node.line, node.column) if written else (key.line, key.column)
        elif isinstance(node, Sequence):
            if step >= len(node.items):
                break
            node = node.items[step]
            line, column = node.line, node.column
        # Otherwise it is a single value that stands for a list of one: the place is the value's already.
    return line, column
