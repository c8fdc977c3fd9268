"""Tree → resources: the types in `netemu.azure.resources` decide what each text means.

Nothing stops at the first mistake. What cannot be bound is reported, noted as unreadable, and replaced by an empty
text (or, when the property is optional, by its absence), which validation passes over; so one run tells everything.
"""

from __future__ import annotations

import re
import types
from collections.abc import Callable
from functools import cache
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin

from msgspec import NODEFAULT, Struct
from msgspec.structs import fields

from netemu.scenario import codes
from netemu.scenario.report import CONTROL, Report, quoted
from netemu.scenario.tree import Mapping, Node, Path, Scalar, Sequence

Bound = TypeVar("Bound", bound=Struct)

Convert = Callable[[Report, Node, Path, str], Any]
"""(report, node, resource, property) → value, or BROKEN after reporting why not."""


class _Broken:
    """Marks a value that was reported."""


BROKEN = _Broken()


class _Property(Struct):
    attribute: str
    convert: Convert
    required: bool
    gap: Any
    """What stands for a required value that is missing or cannot be read."""


def bind(kind: type[Bound], node: Mapping, report: Report) -> Bound:
    """Make the resource that a tree describes. Problems are in the report; what is returned then has gaps."""
    bound: Bound = _struct(kind, report, node, ())
    return bound


def _struct(kind: type[Struct], report: Report, node: Mapping, resource: Path) -> Any:
    properties = _properties(kind)
    values: dict[str, Any] = {}
    for key, (written, value) in node.entries.items():
        known = properties.get(key)
        if known is None:
            _unknown(report, written, value, resource, properties)
            continue
        if isinstance(value, Scalar) and value.is_null:
            continue
        converted = known.convert(report, value, resource, key)
        if converted is BROKEN:
            report.unreadable.add((*resource, key))
        else:
            values[known.attribute] = converted
    for key, known in properties.items():
        if not known.required or known.attribute in values:
            continue
        path = (*resource, key)
        if path not in report.unreadable:
            report.add(resource, "", f"{key} is missing", f"add `{key}: …`", codes.MISSING_PROPERTY)
            report.unreadable.add(path)
        values[known.attribute] = known.gap
    return kind(**values)


def _unknown(report: Report, written: Scalar, value: Node, resource: Path, properties: dict[str, _Property]) -> None:
    key = written.text
    if key == "properties" and isinstance(value, Mapping):
        instead = "write what is in it one level higher"
    else:
        near = report.suggestions.nearest(key, properties)
        instead = f"did you mean `{near}`?" if near else "known here: " + ", ".join(f"`{name}`" for name in properties)
        if near is not None:
            # It will be missed below, or by those who refer to what is in it; once is enough.
            report.unreadable.add((*resource, near))
    report.at(written, resource, f"no property is called {quoted(key)}", instead, codes.INVALID_REQUEST_FORMAT)


@cache
def _properties(kind: type[Struct]) -> dict[str, _Property]:
    """List what can be written in a resource, by the name that it has in the file."""
    result = {}
    for info in fields(kind):
        bare = _bare(info.type)
        required = info.default is NODEFAULT and info.default_factory is NODEFAULT
        result[info.encode_name] = _Property(info.name, _converter(bare), required, _gap(bare))
    return result


def _gap(kind: Any) -> Any:
    return () if get_origin(kind) is tuple else 0 if kind is int else ""


def _bare(kind: Any) -> Any:
    """Strip a type of its annotations and of None."""
    if get_origin(kind) is Annotated:
        return _bare(get_args(kind)[0])
    if get_origin(kind) in (Union, types.UnionType):
        return _bare(next(member for member in get_args(kind) if member is not type(None)))
    return kind


def _is_struct(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Struct)


def _converter(kind: Any) -> Convert:
    simple: dict[Any, Convert] = {str: _text, bool: _truth, int: _number, float: _fraction}
    if kind in simple:
        return simple[kind]
    if _is_struct(kind):
        return _nested(kind)
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return _choice(arguments)
    if origin is tuple:
        return _several(_bare(arguments[0]))
    if origin is dict:
        return _named(_bare(arguments[1]))
    raise TypeError(f"no reader for the type {kind}")


def _wrong(report: Report, node: Node, resource: Path, key: str, expected: str) -> _Broken:
    found = quoted(node.text) if isinstance(node, Scalar) else "a mapping" if isinstance(node, Mapping) else "a list"
    report.at(node, resource, f"{key} cannot be {found}", expected, codes.INVALID_REQUEST_FORMAT)
    return BROKEN


def _text(report: Report, node: Node, resource: Path, key: str) -> Any:
    if not isinstance(node, Scalar) or node.is_null:
        return _wrong(report, node, resource, key, "write a single text")
    if not node.text:
        report.at(node, resource, f"{key} is empty", "write something or remove it", codes.INVALID_PARAMETER)
        return BROKEN
    if CONTROL.search(node.text):
        report.at(
            node, resource, f"{key} has a control character: {quoted(node.text)}", "remove it", codes.INVALID_PARAMETER
        )
        return BROKEN
    return node.text


def _truth(report: Report, node: Node, resource: Path, key: str) -> Any:
    if isinstance(node, Scalar) and node.plain and node.text in ("true", "false"):
        return node.text == "true"
    return _wrong(report, node, resource, key, "write true or false")


def _number(report: Report, node: Node, resource: Path, key: str) -> Any:
    if isinstance(node, Scalar) and node.plain:
        digits = node.text.removeprefix("-")
        # A leading zero means eight times less to some YAML readers; 18 digits are more than anything needs.
        if digits.isascii() and digits.isdigit() and len(digits) <= 18 and (digits == "0" or digits[0] != "0"):
            return int(node.text)
    return _wrong(report, node, resource, key, "write a whole number in decimal digits")


def _fraction(report: Report, node: Node, resource: Path, key: str) -> Any:
    if isinstance(node, Scalar) and node.plain and re.fullmatch(r"(0|[1-9][0-9]{0,8})(\.[0-9]{1,9})?", node.text):
        return float(node.text)
    return _wrong(report, node, resource, key, "write a number, such as 0.01")


def _choice(allowed: tuple[str, ...]) -> Convert:
    def convert(report: Report, node: Node, resource: Path, key: str) -> Any:
        if not isinstance(node, Scalar):
            return _wrong(report, node, resource, key, "write one of " + ", ".join(allowed))
        if node.text in allowed:
            return node.text
        report.at(
            node, resource, f"{key} cannot be {quoted(node.text)}", report.suggestions.instead_of(node.text, allowed),
            codes.INVALID_PARAMETER,
        )  # fmt: skip
        return BROKEN

    return convert


def _several(member: Any) -> Convert:
    if not _is_struct(member):
        one = _converter(member)

        def texts(report: Report, node: Node, resource: Path, key: str) -> Any:
            if isinstance(node, Mapping):
                return _wrong(report, node, resource, key, "write one text, or several as [a, b]")
            items = node.items if isinstance(node, Sequence) else [node]
            values = [one(report, item, resource, key) for item in items]
            return BROKEN if BROKEN in values else tuple(values)

        return texts

    def resources(report: Report, node: Node, resource: Path, key: str) -> Any:
        values = []
        for index, item in enumerate(node.items if isinstance(node, Sequence) else [node]):
            written = _long_form(member, item)
            if written is not None:
                values.append(_struct(member, report, written, (*resource, key, index)))
            else:
                _wrong(report, item, resource, key, _form(member))
                report.unreadable.add((*resource, key))
        return tuple(values)

    return resources


def _long_form(kind: type[Struct], node: Node) -> Mapping | None:
    """What a resource is written as: its properties, or a line with those that it has `in_a_line`."""
    names: tuple[str, ...] = getattr(kind, "in_a_line", ())
    if isinstance(node, Mapping):
        return node
    if not names or not isinstance(node, Scalar) or node.is_null:
        return None
    words = [node.text] if len(names) == 1 else node.text.split(maxsplit=len(names) - 1)
    if len(words) != len(names):
        return None
    parts = (Scalar(node.line, node.column, word, node.plain) for word in words)
    return Mapping(node.line, node.column, {n: (node, part) for n, part in zip(names, parts, strict=True)})


def _form(kind: type[Struct]) -> str:
    """How a resource in a list is written."""
    names: tuple[str, ...] = getattr(kind, "in_a_line", ())
    if len(names) > 1:
        return f"write `{' '.join(names)}`, or these as properties"
    if names:
        return f"write {names[0]}"
    return "write properties, such as {from: web, to: db, access: Allow}"


def _named(member: Any) -> Convert:
    is_struct = _is_struct(member)
    convert, gap = (None, None) if is_struct else (_converter(member), _gap(member))

    def entries(report: Report, node: Node, resource: Path, key: str) -> Any:
        if not isinstance(node, Mapping):
            return _wrong(report, node, resource, key, f"write names below {key}, each with its properties")
        result: dict[str, Any] = {}
        for name, (written, value) in node.entries.items():
            if convert is not None:
                if gap == () and isinstance(value, Scalar) and value.is_null:  # a list without members
                    result[name] = gap
                    continue
                converted = convert(report, value, resource, f"{key}/{name}")
                if converted is not BROKEN:
                    result[name] = converted
                elif gap == ():
                    report.unreadable.add((*resource, key, name))
                    result[name] = gap
                continue
            path = (*resource, key, name)
            if isinstance(value, Scalar) and value.is_null:
                value = Mapping(written.line, written.column, {})
            if isinstance(value, Mapping):
                result[name] = _struct(member, report, value, path)
            else:
                _wrong(report, value, path, quoted(name), "write its properties")
                report.unreadable.add(path)
                result[name] = _struct(member, report, Mapping(written.line, written.column, {}), path)
        return result

    return entries


def _nested(kind: type[Struct]) -> Convert:
    def convert(report: Report, node: Node, resource: Path, key: str) -> Any:
        written = _long_form(kind, node)
        if written is None:
            return _wrong(report, node, resource, key, f"write its properties below {key}")
        return _struct(kind, report, written, (*resource, key))

    return convert
