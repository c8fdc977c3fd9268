"""Rulesets as objects: what a text of ours declares, and the transactions that lead from one to another.

The texts are the compiler's: one rule a line, `elements = { … }` on one line. A change is one transaction that never
deletes a table, so the records in its dynamic sets stay, and every packet meets either the old rules or the new ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from msgspec import Struct, field

_TABLE = re.compile(r"table (\S+ \S+) \{")
_OBJECT = re.compile(r"(set|map|chain|ct timeout) (\S+) \{")
_ELEMENTS = re.compile(r"\s*elements = \{ (.*) \}")
_BASE = re.compile(r"\s*type \S+ hook ")


class Object(Struct, frozen=True):
    """A chain, set, map or policy of idle times of a table."""

    kind: str
    name: str
    header: tuple[str, ...] = ()
    """A base chain's hook; a set's type, size, flags and timeout."""
    content: tuple[str, ...] = ()
    """A chain's rules in their order; a set's elements; a map's, as `key : value`."""

    def is_dynamic(self) -> bool:
        """Is it packets that fill the set, not we?"""
        return any("dynamic" in line for line in self.header)

    def is_base(self) -> bool:
        """Is it a chain that packets enter by themselves?"""
        return self.kind == "chain" and bool(self.header)

    def is_interval(self) -> bool:
        """May elements be ranges?"""
        return any("interval" in line for line in self.header)


Key = tuple[str, str, str]
"""Table, kind and name."""


class Ruleset(Struct):
    """All objects of a namespace's tables, in the order of the text."""

    tables: list[str] = field(default_factory=list)
    """Family and name."""
    objects: dict[Key, Object] = field(default_factory=dict)


def parse(text: str) -> Ruleset:
    """Read a ruleset of the compiler's."""
    result = Ruleset()
    table, kind, name = "", "", ""
    header: list[str] = []
    content: list[str] = []
    for line in text.splitlines():
        if not line.strip():
            continue
        if started := _TABLE.fullmatch(line):
            table = started[1]
            if table not in result.tables:
                result.tables.append(table)
        elif started := _OBJECT.fullmatch(line):
            kind, name, header, content = started[1], started[2], [], []
        elif line == "}" and name:
            result.objects[table, kind, name] = Object(kind, name, tuple(header), tuple(content))
            name = ""
        elif line == "}":
            table = ""
        elif elements := _ELEMENTS.fullmatch(line):
            content.extend(elements[1].split(", "))
        elif kind != "chain" or _BASE.match(line):
            header.append(line.strip())
        else:
            content.append(line.strip())
    return result


def transactions(old: Ruleset, new: Ruleset, drifted: Iterable[Key] = ()) -> list[str]:
    """The nftables texts that make `old` into `new`, one after the other; none when there is nothing to do.

    The last one is the change. What is new comes before it in one of its own, where no packet meets it yet: a set of
    ranges that is made together with the rule that asks it is empty for a moment when the rule is in force already.
    `drifted` are objects that the kernel has otherwise than `old` says, or not at all.
    """
    if any(old.objects[key].header != new.objects[key].header for key in old.objects.keys() & new.objects.keys()):
        return [rebuild(old, new)]
    lost = set(drifted)
    texts = []
    if not lost:
        ready = {
            key: item
            for key, item in new.objects.items()
            if key not in old.objects and key[0] in old.tables and not item.is_base()
        }
        prepared = Ruleset(old.tables, {**old.objects, **ready})
        texts.append("\n".join(_lines(old, prepared, lost)))
        old = prepared
    texts.append("\n".join(_lines(old, new, lost)))
    return [text for text in texts if text]


def rebuild(old: Ruleset, new: Ruleset) -> str:
    """All of `new` in place of whatever is in its tables, records included: for another version's types and hooks."""
    lines = []
    for table in dict.fromkeys([*old.tables, *new.tables]):
        lines += [f"add table {table}", f"delete table {table}"]
    return "\n".join([*lines, *render(new)])


def render(ruleset: Ruleset) -> Iterator[str]:
    """The text of a ruleset."""
    for table in ruleset.tables:
        yield f"table {table} {{"
        for (owner, _, _), item in ruleset.objects.items():
            if owner != table:
                continue
            yield f"{item.kind} {item.name} {{"
            yield from item.header
            if item.kind == "chain":
                yield from item.content
            elif item.content:
                yield f"elements = {{ {', '.join(item.content)} }}"
            yield "}"
        yield "}"


def _lines(old: Ruleset, new: Ruleset, drifted: set[Key]) -> Iterator[str]:
    gone = [key for key in [*old.objects, *drifted] if key not in new.objects]
    fresh = [key for key in new.objects if key not in old.objects or key in drifted]
    changed = [
        key for key in new.objects if key in drifted or (key in old.objects and old.objects[key] != new.objects[key])
    ]
    for table in new.tables:
        if table not in old.tables or any(key[0] == table for key in drifted):
            yield f"add table {table}"
    yield from (_declaration(key, new.objects[key]) for key in fresh)  # what follows refers to it
    yield from (f"flush chain {table} {name}" for table, kind, name in [*changed, *gone] if kind == "chain")
    for key in changed:
        if key[1] in ("set", "map"):
            yield from _elements(key, None if key in drifted else old.objects[key], new.objects[key])
    yield from (f"flush {kind} {table} {name}" for table, kind, name in gone if kind in ("set", "map"))
    for key in dict.fromkeys([*fresh, *changed]):
        table, kind, name = key
        content = new.objects[key].content
        if kind == "chain":
            yield from (f"add rule {table} {name} {rule}" for rule in content)
        elif content and key not in old.objects and key not in drifted:
            yield f"add element {table} {name} {{ {', '.join(content)} }}"
    yield from (f"delete {kind} {table} {name}" for table, kind, name in gone if table in new.tables)
    yield from (f"delete table {table}" for table in old.tables if table not in new.tables)


def _declaration(key: Key, item: Object) -> str:
    header = "; ".join(line.removesuffix(";") for line in item.header)
    return f"add {item.kind} {key[0]} {item.name}{f' {{ {header}; }}' if header else ''}"


MANY = 256
"""More elements than that are exchanged by giving all of them anew."""


def _elements(key: Key, old: Object | None, new: Object) -> Iterator[str]:
    table, kind, name = key
    if new.is_dynamic():
        return
    before = set(old.content) if old is not None else set()
    after = set(new.content)
    leaving, coming = before - after, after - before
    if old is None or new.is_interval() or len(leaving) + len(coming) > MANY:
        yield f"flush {kind} {table} {name}"
        leaving, coming = set(), after
    if leaving:
        yield f"delete element {table} {name} {{ {', '.join(sorted(leaving))} }}"
    if coming:
        yield f"add element {table} {name} {{ {', '.join(sorted(coming))} }}"
