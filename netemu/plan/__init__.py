"""Plans in words and as data: the changes of Azure's resources as Terraform would show them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from netemu.azure.changes import PropertyChange, ResourceChange, Value

SIGN = {"create": "+", "update": "~", "delete": "-"}


def text(changes: Iterable[ResourceChange]) -> Iterator[str]:
    """A line for each resource, and below it one for each property that differs; of what goes the name is enough."""
    for change in changes:
        yield _one_line(f"{SIGN[change.action]} {change.resource}")
        if change.action == "create":
            yield from (_one_line(f"    {item.name}: {_value(item.after)}") for item in change.properties)
        elif change.action == "update":
            yield from (_one_line(f"    {_difference(item)}") for item in change.properties)


def to_builtins(changes: Iterable[ResourceChange]) -> list[dict[str, Any]]:
    """The same for programs (`-o json`): a list with one object for each resource.

    resource    its path: `networkSecurityGroups/web-nsg/securityRules/allow-http`
    action      `create`, `update` or `delete`
    properties  a list of `{"name", "before", "after"}`; of a resource that comes or goes, all that have a value.
                `name` leads to the leaf: `dnsSettings.dnsServers`. A value is a text, a number, a truth value, or a
                list of texts when there are several; null where there is none (before `create`, after `delete`).

    What comes or stays is in the order of the new scenario, what goes comes last.
    """
    return [msgspec.to_builtins(change) for change in changes]


def _difference(item: PropertyChange) -> str:
    return f"{item.name}: {_value(item.before)} -> {_value(item.after)}"


def _value(value: Value) -> str:
    if value is None:
        return "(none)"
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(value) if isinstance(value, list) else str(value)


def _one_line(text: str) -> str:
    """A program may be written on several lines; none of them may look like a line of the plan."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
