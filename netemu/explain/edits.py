"""Changes of a scenario that a remedy consists of, and what the scenario is with them."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import Struct

from netemu.azure import resources as arm
from netemu.scenario.bind import bind
from netemu.scenario.report import Report, Stop
from netemu.scenario.tree import Mapping, Node, Scalar, Sequence
from netemu.scenario.validate import validate

Path = tuple[str, ...]
"""Where something is in a scenario, as in ("networkSecurityGroups", "web-nsg", "securityRules", "allow-http")."""

GONE = None
"""The value of what is taken away."""


class Edit(Struct, frozen=True):
    """One property or resource that is set, or taken away."""

    path: Path
    value: Any
    """As YAML has it: a text, a number, a truth value, a list, a dictionary; GONE."""


def edited(scenario: arm.Scenario, edits: tuple[Edit, ...]) -> arm.Scenario | None:
    """The scenario with some edits; None when Azure would refuse it then."""
    data = msgspec.to_builtins(scenario)
    for edit in edits:
        _set(data, edit.path, edit.value)
    report = Report("")
    root = _node(data)
    assert isinstance(root, Mapping)
    report.root = root
    try:
        changed = bind(arm.Scenario, root, report)
        validate(changed, report)
    except Stop:
        return None
    return None if report.problems else changed


def _node(data: Any) -> Node:
    """As if it had been written in YAML."""
    if isinstance(data, dict):
        entries = {str(key): (Scalar(1, 1, str(key)), _node(value)) for key, value in data.items()}
        return Mapping(1, 1, entries)
    if isinstance(data, list | tuple):
        return Sequence(1, 1, [_node(each) for each in data])
    if data is None:
        return Scalar(1, 1, "")
    return Scalar(1, 1, str(data).lower() if isinstance(data, bool) else str(data), plain=not isinstance(data, str))


def _set(data: dict[str, Any], path: Path, value: Any) -> None:
    for step in path[:-1]:
        if not isinstance(data.get(step), dict):
            data[step] = {}
        data = data[step]
    if value is GONE:
        data.pop(path[-1], None)
    else:
        data[path[-1]] = value


def as_tree(edits: tuple[Edit, ...]) -> dict[str, Any]:
    """The edits as they look in a scenario; what is taken away is null."""
    tree: dict[str, Any] = {}
    for edit in edits:
        place = tree
        for step in edit.path[:-1]:
            place = place.setdefault(step, {})
        place[edit.path[-1]] = edit.value
    return tree
