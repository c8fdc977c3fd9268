"""Rulesets as objects, and the transactions between them."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from netemu.azure.network import resolve
from netemu.compile.lab import compile_lab
from netemu.linux.ruleset import Ruleset, parse, rebuild, render, transaction
from netemu.scenario import read_scenario

SCENARIOS = sorted((Path(__file__).parents[3] / "scenarios").glob("*.yaml"))


def rulesets() -> list[str]:
    """Every ruleset of every scenario that we ship."""
    labs = [compile_lab(resolve(read_scenario(path)), "/f") for path in SCENARIOS]
    return [namespace.ruleset for lab in labs for namespace in lab.namespaces.values() if namespace.ruleset]


def plain(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def test_reading_a_ruleset_loses_nothing_of_it() -> None:
    for text in rulesets():
        assert plain("\n".join(render(parse(text)))) == plain(text)


def test_nothing_is_done_when_nothing_differs() -> None:
    for text in rulesets():
        assert transaction(parse(text), parse(text)) == ""


def test_no_transaction_between_networks_deletes_a_table_with_records() -> None:
    texts = [text for text in rulesets() if "set flows" in text]
    for old, new in itertools.permutations(texts, 2):
        lines = transaction(parse(old), parse(new)).splitlines()
        assert lines
        assert not any(line.startswith("delete table") for line in lines)
        assert not any("flows" in line.split()[:5] for line in lines)


OLD = """table ip t {
set s {
 type ipv4_addr
 elements = { 10.0.0.1, 10.0.0.2 }
}
set ranges {
 type ipv4_addr
 flags interval
 elements = { 10.0.0.0-10.0.0.5 }
}
map m {
 type ifname : verdict
 elements = { "a" : jump one, "b" : jump two }
}
chain one {
 counter return comment "x"
}
chain two {
 drop
}
}
"""


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        ("10.0.0.1, 10.0.0.2", "10.0.0.2, 10.0.0.3",
         ["delete element ip t s { 10.0.0.1 }", "add element ip t s { 10.0.0.3 }"]),
        ("10.0.0.0-10.0.0.5", "10.0.0.0-10.0.0.9",
         ["flush set ip t ranges", "add element ip t ranges { 10.0.0.0-10.0.0.9 }"]),
        (' drop\n', ' accept\n', ["flush chain ip t two", "add rule ip t two accept"]),
        (', "b" : jump two }\n}\nchain one {\n counter return comment "x"\n}\nchain two {\n drop\n',
         ' }\n}\nchain one {\n counter return comment "x"\n',
         ["flush chain ip t two", 'delete element ip t m { "b" : jump two }', "delete chain ip t two"]),
    ],
)  # fmt: skip
def test_a_change_is_as_small_as_it_can_be(before: str, after: str, lines: list[str]) -> None:
    assert before in OLD
    assert transaction(parse(OLD), parse(OLD.replace(before, after))).splitlines() == lines


def test_what_refers_to_something_new_comes_after_it() -> None:
    new = OLD.replace('"b" : jump two', '"b" : jump three').replace("chain two {", "chain three {")
    lines = transaction(parse(OLD), parse(new)).splitlines()
    assert lines.index("add chain ip t three") < lines.index('add element ip t m { "b" : jump three }')
    assert lines.index('delete element ip t m { "b" : jump two }') < lines.index("delete chain ip t two")


def test_an_object_that_somebody_has_altered_is_given_anew() -> None:
    lines = transaction(parse(OLD), parse(OLD), [("ip t", "chain", "one"), ("ip t", "set", "s")]).splitlines()
    assert "flush chain ip t one" in lines and 'add rule ip t one counter return comment "x"' in lines
    assert "flush set ip t s" in lines and "add element ip t s { 10.0.0.1, 10.0.0.2 }" in lines
    assert not any(" two" in line for line in lines)


def test_an_object_that_somebody_has_put_into_our_table_is_removed() -> None:
    lines = transaction(parse(OLD), parse(OLD), [("ip t", "chain", "theirs")]).splitlines()
    assert lines == ["add table ip t", "flush chain ip t theirs", "delete chain ip t theirs"]


def test_other_types_or_hooks_mean_the_whole_table() -> None:
    new = OLD.replace("set s {\n type ipv4_addr", "set s {\n type inet_service")
    assert transaction(parse(OLD), parse(new)) == rebuild(parse(OLD), parse(new))
    assert plain(rebuild(Ruleset(), parse(OLD)))[2:] == plain(OLD)
