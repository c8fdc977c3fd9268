"""nftables text, in the form that `netemu.linux.ruleset` reads: one rule a line, all elements on one line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping


def named_set(name: str, kind: str, members: Iterable[str], word: str = "set") -> Iterator[str]:
    """A set with its elements; `kind` is its type."""
    content = ", ".join(members)
    yield f"{word} {name} {{"
    yield f" type {kind}"
    if content:
        yield f" elements = {{ {content} }}"
    yield "}"


def named_map(name: str, kind: str, members: Iterable[str]) -> Iterator[str]:
    """A map; members are `key : value`."""
    return named_set(name, kind, members, "map")


def chain(name: str, rules: Iterable[str], hook: str = "") -> Iterator[str]:
    """A chain; with a hook (`type … hook … priority …; policy …;`) packets enter it by themselves."""
    yield f"chain {name} {{"
    if hook:
        yield f" {hook}"
    yield from (f" {rule}" for rule in rules)
    yield "}"


def pairs(members: Mapping[str, str]) -> Iterator[str]:
    """Elements of a map."""
    return (f"{key} : {value}" for key, value in members.items())
