"""YAML itself: what is not a scenario at all, and texts that are meant to hurt."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from netemu.errors import PersonError, ScenarioError
from netemu.scenario import LARGEST, read_scenario, read_text

SYNTAX = [
    ("", "f.yaml:1:1: the file is empty; a scenario begins with `name:` (InvalidRequestFormat)"),
    ("# nothing\n", "f.yaml:1:1: the file is empty; a scenario begins with `name:` (InvalidRequestFormat)"),
    ("---\n~\n", "f.yaml:1:1: the file is empty; a scenario begins with `name:` (InvalidRequestFormat)"),
    ("- a\n", "f.yaml:1:1: a list is not a scenario; properties such as `name: lab` (InvalidRequestFormat)"),
    ("\nlab\n", "f.yaml:2:1: a single value is not a scenario; properties such as `name: lab` (InvalidRequestFormat)"),
    ("name: lab\n---\nname: b\n", "f.yaml:2:1: a second document begins here; one scenario per file (InvalidRequestFormat)"),
    ("name: lab\ninternet:\n\thosts:\n", "f.yaml:3:1: not YAML: a tab cannot indent; use spaces (InvalidRequestFormat)"),
    ("name: a: b\n", "f.yaml:1:8: not YAML: mapping values are not allowed in this context (InvalidRequestFormat)"),
    ("name: [lab\n", "f.yaml:2:1: not YAML: ',' or ']' expected while parsing a flow sequence (InvalidRequestFormat)"),
    ("name: [lab", "f.yaml:1:11: not YAML: ',' or ']' expected while parsing a flow sequence (InvalidRequestFormat)"),
    ("name: 'lab\n", "f.yaml:2:1: not YAML: found unexpected end of stream while scanning a quoted scalar (InvalidRequestFormat)"),
    ("name: @lab\n", "f.yaml:1:7: not YAML: found character that cannot start any token while scanning for the next token; texts that begin with such a sign need quotes (InvalidRequestFormat)"),
    ("name: lab\nlocation: \x00\n", "f.yaml:2:11: character U+0000 is not allowed in YAML; remove it (InvalidRequestFormat)"),
    ("name: \ud800\n", "f.yaml:1:7: character U+D800 is not allowed in YAML; remove it (InvalidRequestFormat)"),
    ("name: !secret x\n", "f.yaml:1:7: tag `!secret` means nothing in a scenario; remove it (InvalidRequestFormat)"),
    ("name: !!python/object:os.system x\n", "f.yaml:1:7: tag `tag:yaml.org,2002:python/object:os.system` means nothing in a scenario; remove it (InvalidRequestFormat)"),
    ("name: *x\n", "f.yaml:1:7: alias `*x` refers to no anchor; write `&x` before what it stands for (InvalidRequestFormat)"),
    ("name: lab\n? [a]\n: b\n", "f.yaml:2:3: a list or mapping cannot be a name; write a single text before the colon (InvalidRequestFormat)"),
    ("name: &n [a]\n*n : b\n", "f.yaml:2:1: a list or mapping cannot be a name; write a single text before the colon (InvalidRequestFormat)"),
    ("name: lab\ninternet: &i {hosts: *i}\n", "f.yaml:2:22: alias `*i` stands inside what it refers to; a scenario cannot contain itself (InvalidRequestFormat)"),
    ("name: lab\n<<: *l\n", "f.yaml:2:5: alias `*l` refers to no anchor; write `&l` before what it stands for (InvalidRequestFormat)"),
    ("name: lab\n<<: text\n", "f.yaml:2:5: `<<` merges mappings only; an alias of a mapping (InvalidRequestFormat)"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "line"), SYNTAX)
def test_what_is_no_scenario_is_refused_with_one_line(text: str, line: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        read_text(text, "f.yaml")
    assert str(caught.value) == line


def test_duplicate_keys_are_all_named_with_both_places() -> None:
    text = "name: lab\nvirtualNetworks:\n  net: {addressSpace: 10.0.0.0/16}\n  net: {}\nname: b\nexpect:\n  - {a: 1, a: 2}\n"
    with pytest.raises(ScenarioError) as caught:
        read_text(text, "f.yaml")
    assert [line for line in str(caught.value).splitlines() if "twice" in line] == [
        "f.yaml:4:3: virtualNetworks: `net` is there twice, first in line 3, column 3; "
        "remove one or give it another name (DuplicateProperty)",
        "f.yaml:5:1: `name` is there twice, first in line 1, column 1; "
        "remove one or give it another name (DuplicateProperty)",
        "f.yaml:7:12: expect/1: `a` is there twice, first in line 7, column 6; "
        "remove one or give it another name (DuplicateProperty)",
    ]


def test_anchors_aliases_and_merge_keys_are_followed() -> None:
    scenario = read_text(
        "name: lab\n"
        "virtualNetworks:\n"
        "  one: &net {addressSpace: &space [10.0.0.0/16], subnets: {web: {addressPrefix: 10.0.1.0/24}}}\n"
        "  two: {<<: *net, subnets: {db: {addressPrefix: 10.0.2.0/24}}}\n"
        "  six: {<<: [{subnets: {}}, *net]}\n"
        "  ten: {addressSpace: *space}\n"
    )
    networks = scenario.virtualNetworks
    assert {network.addressSpace for network in networks.values()} == {("10.0.0.0/16",)}
    assert [list(network.subnets) for network in networks.values()] == [["web"], ["db"], [], []]


def test_a_mistake_that_is_merged_into_several_resources_points_at_where_it_is_written() -> None:
    text = "name: lab\nvirtualNetworks:\n  one: &net\n    addressSpace: ten\n  two:\n    <<: *net\n"
    with pytest.raises(ScenarioError) as caught:
        read_text(text, "f.yaml")
    assert [(p.line, p.column, p.resource) for p in caught.value.problems] == [
        (4, 19, "virtualNetworks/one"),
        (4, 19, "virtualNetworks/two"),
    ]


def bomb(levels: int, width: int, join: str) -> str:
    rows = ["name: lab", "a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    rows += [f"a{level}: &a{level} " + join.format(", ".join([f"*a{level - 1}"] * width)) for level in range(1, levels)]
    return "\n".join(rows)


HOSTILE = {
    "aliases that multiply": bomb(60, 9, "[{}]"),
    "aliases of aliases": bomb(5000, 2, "[{}]"),
    "merges that multiply": "name: lab\na0: &a0 {k: v}\n"
    + "\n".join(f"a{i}: &a{i} {{x{i}: *a{i - 1}, <<: [*a{i - 1}, *a{i - 1}]}}" for i in range(1, 200)),
    "lists in lists": "name: " + "[" * 100_000,
    "mappings in mappings": "name: " + "{a: " * 100_000,
    "block mappings in mappings": "\n".join(" " * i + "a:" for i in range(2000)),
    "sequences in sequences": "- " * 20_000,
    "questions": "? " * 20_000,
    "a long key": "k" * 100_000 + ": 1",
    "many keys": "\n".join(f"k{i}: 1" for i in range(50_000)),
    "many duplicates": "\n".join("k: 1" for _ in range(50_000)),
    "a long number": "name: lab\nexpect: {from: a, to: b, access: Allow, port: " + "9" * 100_000 + "}",
    "many overlapping subnets": "name: lab\nvirtualNetworks: {net: {addressSpace: 10.0.0.0/8, subnets: {"
    + ", ".join(f"s{i}: {{addressPrefix: 10.0.0.0/16}}" for i in range(3000))
    + "}}}",
    "many bad references": "name: lab\napplicationSecurityGroups: {"
    + ", ".join(f"group-number-{i}: " for i in range(2000))
    + "}\nvirtualMachines: {"
    + ", ".join(f"vm{i}: {{subnet: a/b, applicationSecurityGroups: grupp-nummer-{i}}}" for i in range(1000))
    + "}",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE)
def test_hostile_texts_are_refused_quickly_and_cleanly(text: str) -> None:
    start = time.perf_counter()
    with pytest.raises(ScenarioError) as caught:
        read_text(text)
    assert time.perf_counter() - start < 5
    assert len(caught.value.problems) <= 1000


def test_the_bomb_is_named() -> None:
    with pytest.raises(ScenarioError, match=r"^<text>:7:10: aliases multiply to more than 100000 nodes; "):
        read_text(bomb(60, 9, "[{}]"))


def test_no_message_has_more_than_one_line_or_moves_the_cursor() -> None:
    with pytest.raises(ScenarioError) as caught:
        read_text('name: "a\\nb\\e[2J"\n"x\\ry": 1\nlocation: [1]\n')
    lines = str(caught.value).split("\n")
    assert len(lines) == 3
    assert all(line.isprintable() for line in lines)


def test_a_file_is_read(tmp_path: Path) -> None:
    file = tmp_path / "lab.yaml"
    file.write_bytes(b"\xef\xbb\xbfname: lab\r\nlocation: westus\r\n")
    assert read_scenario(file).location == "westus"
    assert read_scenario(str(file)).name == "lab"


def test_files_that_cannot_be_read_are_refused_with_their_path(tmp_path: Path) -> None:
    latin, huge = tmp_path / "latin.yaml", tmp_path / "huge.yaml"
    latin.write_bytes(b"name: lab\nlocation: \xe9\n")
    with huge.open("wb") as file:
        file.truncate(LARGEST + 1)
    for path, message in (
        (tmp_path / "absent.yaml", f"{tmp_path}/absent.yaml: there is no such file"),
        (tmp_path, f"{tmp_path}: this is a directory; name a scenario file in it"),
        (latin, f"{latin}:2: not UTF-8 text; save the file as UTF-8"),
        (huge, f"{huge}: larger than 16 MiB, which no scenario is"),
        (latin / "x", f"{latin}/x: cannot be read: Not a directory"),
    ):
        with pytest.raises(PersonError) as caught:
            read_scenario(path)
        assert str(caught.value) == message
        assert not isinstance(caught.value, ScenarioError)
    with pytest.raises(PersonError, match="file's name has control characters"):
        read_scenario("a\0b")


def test_problems_carry_their_parts_in_the_order_of_the_file() -> None:
    with pytest.raises(ScenarioError) as caught:
        read_text("location: ''\nvirtualMachines: {vm: {}}\n", "f.yaml")
    first, *_, last = caught.value.problems
    assert (first.line, first.column, first.resource, first.code) == (1, 1, "", "MissingProperty")
    assert (last.line, last.column, last.resource) == (2, 19, "virtualMachines/vm")
    assert caught.value.exit_code == 2
