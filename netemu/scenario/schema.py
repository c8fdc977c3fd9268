"""The JSON Schema of a scenario file, derived from the resource types.

It is for editors: `# yaml-language-server: $schema=netemu.schema.json` in a scenario's first line.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from netemu.azure.resources import Resource, Scenario

_TEXT = {"type": "string"}
_TEXT_OR_NUMBER = {"type": ["string", "number"]}
"""`[80, 8080-8090]` and `1.5` are texts to the reader, but numbers to an editor's YAML."""


def json_schema() -> dict[str, Any]:
    """Make the schema, as a dictionary that can be written as JSON."""
    schema = msgspec.json.schema(Scenario)
    definitions = {name: _tidy(definition) for name, definition in schema["$defs"].items()}
    for definition in definitions.values():
        if not definition.get("required"):
            # `web-asg:` with nothing behind the colon: a resource that needs no property may be empty.
            definition["type"] = ["object", "null"]
    for kind in resources_in_a_line():
        # A record may be written in a line, as in a zone file.
        definitions[kind.__name__]["type"] = ["object", *_TEXT_OR_NUMBER["type"]]
    root = definitions.pop("Scenario")
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "netemu scenario",
        **{key: value for key, value in root.items() if key != "title"},
        "$defs": definitions,
    }


def resources_in_a_line(kind: type[Resource] = Resource) -> Iterator[type[Resource]]:
    """The types whose resources may be written in one line."""
    for each in kind.__subclasses__():
        if hasattr(each, "in_a_line"):
            yield each
        yield from resources_in_a_line(each)


def _tidy(node: Any) -> Any:
    """Say in the schema what the reader accepts."""
    if isinstance(node, list):
        return [_tidy(item) for item in node]
    if not isinstance(node, dict):
        return node
    node = _without_null({key: _tidy(value) for key, value in node.items()})
    if node.get("default", 0) in (None, {}, []):
        del node["default"]
    if isinstance(node.get("description"), str):
        node["description"] = " ".join(node["description"].split())
    if node.get("type") == "array":
        return _single_or_list(node)
    values = node.get("additionalProperties")
    if node.get("type") == "object" and values == _TEXT:
        node["additionalProperties"] = _TEXT_OR_NUMBER
    elif isinstance(values, dict) and "anyOf" in values:
        values["anyOf"].append({"type": "null"})  # `web:` with nothing behind the colon: a pool without members
    return node


def _without_null(node: dict[str, Any]) -> dict[str, Any]:
    alternatives = [each for each in node.get("anyOf", ()) if each != {"type": "null"}]
    if "anyOf" not in node or len(alternatives) != 1:
        return node
    rest = {key: value for key, value in node.items() if key != "anyOf"}
    return {**alternatives[0], **rest}


def _single_or_list(node: dict[str, Any]) -> dict[str, Any]:
    item = _TEXT_OR_NUMBER if node.get("items") == _TEXT else node["items"]
    rest = {key: value for key, value in node.items() if key not in ("type", "items")}
    return {**rest, "anyOf": [item, {"type": "array", "items": item}]}
