"""Plans in words: the changes of Azure's resources as Terraform would show them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from netemu.azure.changes import PropertyChange, ResourceChange

SIGN = {"create": "+", "update": "~", "delete": "-"}


def text(changes: Iterable[ResourceChange]) -> Iterator[str]:
    """A line for each resource, and below it one for each property that differs."""
    for change in changes:
        yield f"{SIGN[change.action]} {change.resource}"
        if change.action != "delete":
            yield from (f"    {_property(item)}" for item in change.properties)


def _property(item: PropertyChange) -> str:
    if item.before is None:
        return f"{item.name}: {_value(item.after)}"
    return f"{item.name}: {_value(item.before)} -> {_value(item.after)}"


def _value(value: Any) -> str:
    if value is None:
        return "(none)"
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
