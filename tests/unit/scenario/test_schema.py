"""The JSON Schema for editors: accepts what the reader accepts, and knows every property."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from netemu.scenario.schema import json_schema

SHIPPED = sorted((Path(__file__).parents[3] / "scenarios").glob("*.yaml"))


@pytest.fixture(scope="module")
def validator() -> Any:
    schema = json_schema()
    jsonschema.Draft202012Validator.check_schema(schema)
    return jsonschema.Draft202012Validator(schema)


def errors(validator: Any, text: str) -> list[str]:
    return [error.json_path for error in validator.iter_errors(yaml.safe_load(text))]


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_every_shipped_scenario_is_accepted(validator: Any, file: Path) -> None:
    assert errors(validator, file.read_text()) == []


def test_the_example_is_accepted(validator: Any, golden: str) -> None:
    assert errors(validator, golden) == []


def test_a_resource_that_needs_no_property_may_be_empty(validator: Any) -> None:
    assert errors(validator, "{name: lab, applicationSecurityGroups: {web: }}") == []
    assert errors(validator, "{name: lab, virtualNetworks: {net: }}") == ["$.virtualNetworks.net"]


def test_numbers_and_single_values_may_stand_for_lists(validator: Any) -> None:
    rule = "priority: 100, direction: Inbound, access: Allow, protocol: Tcp"
    text = (
        f"{{name: lab, networkSecurityGroups: {{g: {{securityRules: {{r: {{{rule}, destinationPortRange: 80}}, "
        f"s: {{{rule}, destinationPortRanges: [80, 8080-8090]}}}}}}}}}}"
    )
    assert errors(validator, text) == []


@pytest.mark.parametrize(
    ("text", "path"),
    [
        ("{name: lab, locatoin: x}", "$"),
        ("{location: x}", "$"),
        ("{name: Lab}", "$.name"),
        ("{name: lab, virtualNetworks: {net: {addressSpace: 10.0.0.0/16, colour: red}}}", "$.virtualNetworks.net"),
        ("{name: lab, virtualNetworks: {net: {subnets: {}}}}", "$.virtualNetworks.net"),
        ("{name: lab, publicIPAddresses: {pip: {sku: standard}}}", "$.publicIPAddresses.pip.sku"),
        ("{name: lab, publicIPAddresses: {pip: {idleTimeoutInMinutes: x}}}", "$.publicIPAddresses.pip.idleTimeoutInMinutes"),
    ],
)  # fmt: skip
def test_mistakes_are_found_at_their_place(validator: Any, text: str, path: str) -> None:
    assert errors(validator, text) == [path]


def test_every_property_is_documented() -> None:
    schema = json_schema()
    for name, definition in schema["$defs"].items():
        assert definition["additionalProperties"] is False, name
        for key, property_ in definition["properties"].items():
            assert property_.get("description"), f"{name}.{key}"
    assert schema["title"] == "netemu scenario"
    assert schema["$schema"].startswith("https://json-schema.org/")
    assert "\n" not in json.dumps([d.get("description") for d in schema["$defs"].values()])
