"""YAML text → tree, guarded: no text, however hostile, takes long or exhausts the machine.

libyaml's events are put together here rather than by PyYAML's composer, which recurses, throws duplicate keys away and
lets aliases multiply. Merge keys (`<<`) are followed; `!!tags` beyond YAML's basic ones are refused.
"""

from __future__ import annotations

import re
from typing import NoReturn

import yaml
from msgspec import Struct, field
from yaml import events

from netemu.scenario import codes
from netemu.scenario.report import Report, quoted
from netemu.scenario.tree import Mapping, Node, Path, Scalar, Sequence

BORROWED_NODES = 100_000
"""How many nodes aliases may add when written out: far above any use, far below what hurts."""

WRITTEN_NODES = 2_000_000
"""How many nodes a text may have."""

DEPTH = 50
"""How deep nodes may be nested; a scenario needs eight levels."""

LOADER: type[yaml.CSafeLoader] | type[yaml.SafeLoader] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)

_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What YAML does not allow in a text."""

_LINE_END = re.compile("\r\n|[\r\n\x85\u2028\u2029]")
"""What ends a line, by libyaml's count."""

_TAGS = frozenset(f"tag:yaml.org,2002:{name}" for name in ("str", "int", "bool", "float", "null", "map", "seq"))


def read_tree(text: str, report: Report) -> Mapping:
    """Make the tree of a text. What cannot be read at all is reported and raises `Stop`."""
    text = text.removeprefix("\ufeff")
    wrong = _UNPRINTABLE.search(text)
    if wrong is not None:
        before = text[: wrong.start()]
        line, column = before.count("\n") + 1, wrong.start() - before.rfind("\n")
        report.stop(line, column, f"character U+{ord(wrong[0]):04X} is not allowed in YAML", "remove it")
    loader = LOADER(text)
    try:
        return _Composer(report).compose(loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line, column = _within(text, mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
        what, instead = _explain(text, line, column, error)
        report.stop(line, column, what, instead)
    except (yaml.YAMLError, UnicodeError) as error:
        report.stop(1, 1, f"not YAML: {error}", "")
    finally:
        loader.dispose()


def _within(text: str, line: int, column: int) -> tuple[int, int]:
    """The place itself, or the end of the text: libyaml begins one line more where a text ends without a line's end."""
    last = len(_LINE_END.findall(text)) + 1
    return (line, column) if line <= last else (last, len(_LINE_END.split(text)[-1]) + 1)


def _explain(text: str, line: int, column: int, error: yaml.MarkedYAMLError) -> tuple[str, str]:
    rows = text.split("\n", line)
    row = rows[line - 1] if line <= len(rows) else ""
    if row[column - 1 : column] == "\t":
        return "not YAML: a tab cannot indent", "use spaces"
    problem = (error.problem or "syntax error").removeprefix("did not find expected ")
    if problem != error.problem:
        problem = f"{problem} expected"
    context = f" {error.context}" if error.context else ""
    if row[column - 1 : column] and row[column - 1] in "@`*&!%|>":
        return f"not YAML: {problem}{context}", "texts that begin with such a sign need quotes"
    return f"not YAML: {problem}{context}", ""


class _Open(Struct):
    """A collection whose end has not come yet."""

    node: Mapping | Sequence
    anchor: str | None
    key: Scalar | None = None
    merged: list[Node] = field(default_factory=list)


class _Composer:
    """Puts events together, with a stack of its own instead of recursion."""

    def __init__(self, report: Report) -> None:
        self.report = report
        self.stack: list[_Open] = []
        self.anchors: dict[str, Node | None] = {}
        """None while the anchor's own node is still open."""
        self.root: Node | None = None
        self.written = 0
        self.borrowed = 0

    def compose(self, loader: yaml.CSafeLoader | yaml.SafeLoader) -> Mapping:
        documents = 0
        while True:
            event = loader.get_event()
            if event is None or isinstance(event, events.StreamEndEvent):
                break
            if isinstance(event, events.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    self._stop(event, "a second document begins here", "one scenario per file")
            else:
                self._event(event)
        return self._checked_root()

    def _checked_root(self) -> Mapping:
        root = self.root
        if root is None or (isinstance(root, Scalar) and root.is_null):
            self.report.stop(1, 1, "the file is empty", "a scenario begins with `name:`")
        if not isinstance(root, Mapping):
            found = "a list" if isinstance(root, Sequence) else "a single value"
            self.report.stop(root.line, root.column, f"{found} is not a scenario", "properties such as `name: lab`")
        return root

    def _event(self, event: events.Event) -> None:
        if isinstance(event, events.ScalarEvent):
            plain = event.style in (None, "")
            if event.tag is not None:
                self._check_tag(event)
                plain = plain and not event.tag.endswith(":str")
            scalar = Scalar(*_place(event), event.value, plain)
            self._keep(event.anchor, scalar)
            self._attach(scalar, event)
        elif isinstance(event, events.AliasEvent):
            self._attach(self._aliased(event), event)
        elif isinstance(event, events.CollectionStartEvent):
            self._open(event)
        elif isinstance(event, events.CollectionEndEvent):
            self._close(event)

    def _open(self, event: events.CollectionStartEvent) -> None:
        self._check_tag(event)
        if len(self.stack) >= DEPTH:
            self._stop(event, f"nested more than {DEPTH} levels deep", "a scenario needs no more than eight")
        if self.stack and isinstance(self.stack[-1].node, Mapping) and self.stack[-1].key is None:
            self._stop(event, "a list or mapping cannot be a name", "write a single text before the colon")
        line, column = _place(event)
        node: Mapping | Sequence = (
            Mapping(line, column, {}) if isinstance(event, events.MappingStartEvent) else Sequence(line, column, [])
        )
        if event.anchor is not None:
            self.anchors[event.anchor] = None
        self.stack.append(_Open(node, event.anchor))

    def _close(self, event: events.Event) -> None:
        closed = self.stack.pop()
        node = closed.node
        if isinstance(node, Mapping):
            for source in closed.merged:
                self._merge(node, source)
            node.size = 1 + sum(1 + _size(value) for _, value in node.entries.values())
        else:
            node.size = 1 + sum(map(_size, node.items))
        self._keep(closed.anchor, node)
        self._attach(node, event)

    def _keep(self, anchor: str | None, node: Node) -> None:
        if anchor is not None:
            self.anchors[anchor] = node

    def _aliased(self, event: events.AliasEvent) -> Node:
        name = event.anchor or ""
        if name not in self.anchors:
            self._stop(event, f"alias `*{name}` refers to no anchor", f"write `&{name}` before what it stands for")
        node = self.anchors[name]
        if node is None:
            self._stop(event, f"alias `*{name}` stands inside what it refers to", "a scenario cannot contain itself")
        self.borrowed += _size(node)
        if self.borrowed > BORROWED_NODES:
            self._stop(event, f"aliases multiply to more than {BORROWED_NODES} nodes", "write less with aliases")
        return node

    def _attach(self, node: Node, event: events.Event) -> None:
        """Put a finished node where it belongs."""
        self.written += 1
        if self.written > WRITTEN_NODES:
            self._stop(event, f"more than {WRITTEN_NODES} values", "a smaller scenario")
        if not self.stack:
            self.root = node
            return
        top = self.stack[-1]
        if isinstance(top.node, Sequence):
            top.node.items.append(node)
        elif top.key is None:
            if not isinstance(node, Scalar):
                self._stop(event, "a list or mapping cannot be a name", "write a single text before the colon")
            # An alias has a place of its own.
            top.key = Scalar(*_place(event), node.text, node.plain) if isinstance(event, events.AliasEvent) else node
        else:
            self._entry(top, top.key, node)
            top.key = None

    def _entry(self, top: _Open, key: Scalar, node: Node) -> None:
        assert isinstance(top.node, Mapping)
        if key.plain and key.text == "<<":
            top.merged.extend(node.items if isinstance(node, Sequence) else [node])
            return
        first = top.node.entries.setdefault(key.text, (key, node))
        if first[1] is not node or first[0] is not key:
            self.report.at(
                key, self._path(),
                f"{quoted(key.text)} is there twice, first in line {first[0].line}, column {first[0].column}",
                "remove one or give it another name", codes.DUPLICATE_PROPERTY,
            )  # fmt: skip

    def _merge(self, into: Mapping, source: Node) -> None:
        if not isinstance(source, Mapping):
            self.report.stop(source.line, source.column, "`<<` merges mappings only", "an alias of a mapping")
        for text, entry in source.entries.items():
            into.entries.setdefault(text, entry)

    def _path(self) -> Path:
        steps: list[str | int] = []
        for level in self.stack[:-1]:
            if isinstance(level.node, Sequence):
                steps.append(len(level.node.items))
            elif level.key is not None:
                steps.append(level.key.text)
        return tuple(steps)

    def _check_tag(self, event: events.NodeEvent) -> None:
        tag = getattr(event, "tag", None)
        if tag is not None and tag != "!" and tag not in _TAGS:
            self._stop(event, f"tag `{tag}` means nothing in a scenario", "remove it")

    def _stop(self, event: events.Event, what: str, instead: str) -> NoReturn:
        line, column = _place(event)
        self.report.stop(line, column, what, instead)


def _place(event: events.Event) -> tuple[int, int]:
    mark = event.start_mark
    assert mark is not None
    return mark.line + 1, mark.column + 1


def _size(node: Node) -> int:
    return 1 if isinstance(node, Scalar) else node.size
