"""Rulesets as objects, and the transactions between them."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable
from pathlib import Path

import pytest

from netemu.azure.network import resolve
from netemu.compile.lab import compile_lab
from netemu.linux.ruleset import Key, Ruleset, parse, rebuild, render, transactions
from netemu.scenario import read_scenario, read_text

SCENARIOS = sorted((Path(__file__).parents[3] / "scenarios").glob("*.yaml"))


def rulesets() -> list[str]:
    """Every ruleset of every scenario that we ship."""
    labs = [compile_lab(resolve(read_scenario(path)), "/f") for path in SCENARIOS]
    return [namespace.ruleset for lab in labs for namespace in lab.namespaces.values() if namespace.ruleset]


def plain(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def together(old: Ruleset, new: Ruleset, drifted: Iterable[Key] = ()) -> list[str]:
    """The lines of all transactions."""
    return "\n".join(transactions(old, new, drifted)).splitlines()


def test_reading_a_ruleset_loses_nothing_of_it() -> None:
    for text in rulesets():
        assert plain("\n".join(render(parse(text)))) == plain(text)


def test_nothing_is_done_when_nothing_differs() -> None:
    for text in rulesets():
        assert transactions(parse(text), parse(text)) == []


def test_no_transaction_between_networks_deletes_a_table_with_records() -> None:
    texts = [text for text in rulesets() if "set flows" in text]
    for old, new in itertools.permutations(texts, 2):
        lines = together(parse(old), parse(new))
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
    assert together(parse(OLD), parse(OLD.replace(before, after))) == lines


def test_what_refers_to_something_new_comes_after_it() -> None:
    new = OLD.replace('"b" : jump two', '"b" : jump three').replace("chain two {", "chain three {")
    lines = together(parse(OLD), parse(new))
    assert lines.index("add chain ip t three") < lines.index('add element ip t m { "b" : jump three }')
    assert lines.index('delete element ip t m { "b" : jump two }') < lines.index("delete chain ip t two")


def test_what_is_new_is_complete_before_a_packet_meets_it() -> None:
    new = OLD.replace('"b" : jump two', '"b" : jump three').replace(
        "chain two {\n drop", "chain three {\n ip saddr @more drop"
    )
    new = new.replace(
        "map m {", "set more {\n type ipv4_addr\n flags interval\n elements = { 10.1.0.0-10.1.0.9 }\n}\nmap m {"
    )
    before, change = (text.splitlines() for text in transactions(parse(OLD), parse(new)))
    assert before == [
        "add set ip t more { type ipv4_addr; flags interval; }", "add chain ip t three",
        "add element ip t more { 10.1.0.0-10.1.0.9 }", "add rule ip t three ip saddr @more drop",
    ]  # fmt: skip
    assert 'add element ip t m { "b" : jump three }' in change
    assert not any("three" in line for line in change if "jump" not in line)


def nameless(text: str) -> set[str]:
    """The sets and maps without a name in a ruleset's rules."""
    chains = (item for (_, kind, _), item in parse(text).objects.items() if kind == "chain")
    return {found for item in chains for line in item.content for found in re.findall(r"\{[^}]*\}", line)}


def test_no_rule_asks_a_set_without_a_name_that_changes_with_the_network() -> None:
    """A packet in flight would find it empty, and be lost. The smallest network has what never changes."""
    smallest = compile_lab(resolve(read_text(SMALLEST, "smallest.yaml")), "/f").namespaces.values()
    constant = set.union({"{ tcp, udp }"}, *(nameless(namespace.ruleset) for namespace in smallest))
    assert any("10.0.0.0/8" in found for found in constant)
    for text in rulesets():
        assert nameless(text) <= constant


SMALLEST = """
name: smallest
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {s: {addressPrefix: 10.0.0.0/24}}}}
publicIPAddresses: {ip: {sku: Standard}}
loadBalancers:
  inner:
    frontendIPConfigurations: {one: {subnet: net/s}}
    backendAddressPools: {pool: [vm]}
    loadBalancingRules: {all: {frontendIPConfiguration: one, backendAddressPool: pool, protocol: All, frontendPort: 0, backendPort: 0}}
  outer:
    frontendIPConfigurations: {one: {publicIPAddress: ip}}
    backendAddressPools: {pool: [vm]}
    loadBalancingRules: {web: {frontendIPConfiguration: one, backendAddressPool: pool, protocol: Tcp, frontendPort: 80, backendPort: 80}}
routeTables: {rt: {routes: {r: {addressPrefix: 10.9.0.0/16, nextHopType: VirtualAppliance, nextHopIpAddress: 10.0.0.5}}}}
virtualMachines: {vm: {subnet: net/s}}
"""


def test_an_object_that_somebody_has_altered_is_given_anew() -> None:
    lines = together(parse(OLD), parse(OLD), [("ip t", "chain", "one"), ("ip t", "set", "s")])
    assert "flush chain ip t one" in lines and 'add rule ip t one counter return comment "x"' in lines
    assert "flush set ip t s" in lines and "add element ip t s { 10.0.0.1, 10.0.0.2 }" in lines
    assert not any(" two" in line for line in lines)


def test_an_object_that_somebody_has_put_into_our_table_is_removed() -> None:
    lines = together(parse(OLD), parse(OLD), [("ip t", "chain", "theirs")])
    assert lines == ["add table ip t", "flush chain ip t theirs", "delete chain ip t theirs"]


def test_other_types_or_hooks_mean_the_whole_table() -> None:
    new = OLD.replace("set s {\n type ipv4_addr", "set s {\n type inet_service")
    assert transactions(parse(OLD), parse(new)) == [rebuild(parse(OLD), parse(new))]
    assert plain(rebuild(Ruleset(), parse(OLD)))[2:] == plain(OLD)
