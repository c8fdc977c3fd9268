"""Long NSGs as decision trees: they decide what the plain list decides, and stay small."""

from __future__ import annotations

import random
import time
from typing import Any

import pytest
import yaml
from compiling import network_of
from hypothesis import given, settings
from hypothesis import strategies as st
from stages_interpreter import Ruleset
from stages_random import random_packet, scenario

from netemu.azure.flow import Packet as Flow
from netemu.azure.network import Network
from netemu.azure.security import Classifier, Context, effective_rules
from netemu.compile import security, stages, stages_chains
from netemu.compile.numbering import TABLE_MASK, VNET_MASK
from netemu.compile.stages import Condition, Leaf, Node
from netemu.verify import evidence

PROPERTIES = 0b1111


@pytest.fixture
def tight(monkeypatch):
    """Limits so tight that a few rules make trees of every shape, and several stages."""
    monkeypatch.setattr(stages, "SHORT", 2)
    monkeypatch.setattr(stages, "LONG", 4)
    monkeypatch.setattr(stages, "COPIES", 2)


def first(conditions: list[Condition], values: tuple[int, ...]) -> int | None:
    """The plain list's answer."""
    for number, condition in enumerate(conditions):
        if all(
            ranges is None or any(a <= value <= b for a, b in ranges)
            for ranges, value in zip(condition.ranges, values, strict=True)
        ):
            return number
    return None


def walk(conditions: list[Condition], trees: list[Node], values: tuple[int, ...]) -> int | None:
    """The trees' answer. A leaf tests what its properties say and nothing else."""
    for tree in trees:
        node = tree
        while not isinstance(node, Leaf):
            value = values[node.property]
            node = next((child for (a, b), child in node.cells if a <= value <= b), node.otherwise)
        for number in node.rules:
            asked = [
                condition if node.properties >> place & 1 else None
                for place, condition in enumerate(conditions[number].ranges)
            ]
            if first([Condition(tuple(asked))], values) is not None:
                return number
    return None


def ranges_of(last: int) -> st.SearchStrategy[tuple[tuple[int, int], ...] | None]:
    interval = st.tuples(st.integers(0, 9), st.integers(0, 3)).map(
        lambda pair: (pair[0], last if pair[0] == 9 else min(9, sum(pair)))
    )
    return st.none() | st.lists(interval, min_size=1, max_size=3).map(lambda pieces: tuple(security.merge(pieces)))


CONDITIONS = st.lists(
    st.tuples(*(ranges_of(last) for last in stages.LAST[:4]), st.none()).map(Condition), min_size=1, max_size=40
)
VALUES = st.tuples(*(st.integers(0, 10) | st.just(last) for last in stages.LAST[:4]), st.just(0))


@settings(max_examples=150, deadline=None)
@given(CONDITIONS, st.lists(VALUES, min_size=20, max_size=40), st.sampled_from([(1, 1, 1), (2, 4, 2), (2, 8, 16)]))
def test_trees_find_the_rule_that_the_list_finds(conditions, packets, limits):
    before = stages.SHORT, stages.LONG, stages.COPIES
    try:
        stages.SHORT, stages.LONG, stages.COPIES = limits
        trees = stages.stages(conditions, PROPERTIES)
    finally:
        stages.SHORT, stages.LONG, stages.COPIES = before
    for values in packets:
        assert walk(conditions, trees, values) == first(conditions, values)


# ---- whole NSGs ------------------------------------------------------------------------------------------------------


def rulesets(network: Network) -> tuple[Ruleset, Ruleset]:
    """The trees and the plain list of the same NSG."""
    ports = {name: f"p{i}" for i, name in enumerate(network.nics)}
    staged = Ruleset(security.compile_security(network, ports).text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(security, "SHORT_LIST", 10**6)
        return staged, Ruleset(security.compile_security(network, ports).text)


def network(content: dict[str, Any]) -> Network:
    return network_of(yaml.safe_dump({key: value for key, value in content.items() if key != "name"}))


@pytest.mark.azure("NSG-4", "NSG-10", "NSG-12", "NSG-13", "NSG-25", "NSG-26", "NSG-29")
@pytest.mark.parametrize("direction", ["Inbound", "Outbound"])
@pytest.mark.parametrize("limits", ["ordinary", "tight"])
@pytest.mark.parametrize("seed", range(3))
def test_a_long_nsg_decides_as_its_list_and_as_azures_rules(seed, limits, direction, request):
    if limits == "tight":
        request.getfixturevalue("tight")
    rng = random.Random(seed)
    net = network(scenario(rng, 250, direction))
    name = f"{direction.lower()}/nsg/net"
    staged, plain = rulesets(net)
    assert f"{name}//tcp" in staged.chains
    assert f"{name}//tcp" not in plain.chains
    azure = Classifier(effective_rules(net, "nsg", Context("net", None), direction))
    steps = longest = 0
    deciders = set()
    for _ in range(600):
        packet = random_packet(rng)
        found = staged.decide(name, packet)
        steps += staged.steps
        assert found == plain.decide(name, packet), packet
        longest += plain.steps
        rule = azure.decide(
            Flow(
                packet.source,
                packet.destination,
                packet.protocol,
                packet.source_port or 0,
                packet.destination_port or 0,
            )
        )
        assert found == (rule.access == "Allow", rule.name), packet
        deciders.add(rule.name)
    assert len(deciders) > 30, "packets that say little"
    if limits == "ordinary":
        assert steps * 2 < longest


@pytest.mark.azure("NSG-4")
def test_a_packet_too_short_for_ports_meets_the_rules_that_ask_for_none(tight):
    rng = random.Random(1)
    staged, plain = rulesets(network(scenario(rng, 250, "Inbound")))
    seen = set()
    for _ in range(500):
        packet = random_packet(rng)._replace(protocol=rng.choice([6, 17]), source_port=None, destination_port=None)
        found = staged.decide("inbound/nsg/net", packet)
        assert found == plain.decide("inbound/nsg/net", packet)
        seen.add(found[1])
    assert len(seen) > 5


def rules(count: int, **others: Any) -> dict[str, Any]:
    """An NSG of so many rules, each for a source and a port of its own."""
    return {
        f"r{i}": {
            "priority": 100 + 2 * i, "direction": "Inbound", "access": "Allow", "protocol": "Tcp", "sourcePortRange": "*",
            "sourceAddressPrefix": f"10.9.{i // 250}.{i % 250}", "destinationAddressPrefix": "*",
            "destinationPortRange": 1000 + i, **others,
        }
        for i in range(count)
    }  # fmt: skip


def with_rules(written: dict[str, Any]) -> dict[str, Any]:
    content = scenario(random.Random(0), 0, "Inbound")
    content["networkSecurityGroups"]["nsg"]["securityRules"] = written
    return content


@pytest.mark.parametrize(("count", "long"), [(50, False), (51, True)])
def test_an_nsg_is_long_from_fifty_one_rules_of_one_direction_on(count, long):
    written = rules(count) | {f"out{i}": rule | {"direction": "Outbound"} for i, rule in enumerate(rules(50).values())}
    staged, _ = rulesets(network(with_rules(written)))
    assert ("inbound/nsg/net//tcp" in staged.chains) == long
    assert "outbound/nsg/net//tcp" not in staged.chains


def changed(before: dict[str, Any], after: dict[str, Any]) -> set[str]:
    """The chains, maps and sets that differ."""
    old, new = (rulesets(network(with_rules(written)))[0].objects for written in (before, after))
    return {name for key in old.keys() | new.keys() if old.get(key) != new.get(key) for name in key[1:]}


@pytest.mark.azure("NSG-22")
def test_another_verdict_changes_the_rules_own_chain_only():
    written = rules(400)
    other = written | {"r200": written["r200"] | {"access": "Deny"}}
    assert changed(written, other) == {"inbound/nsg//r200"}


@pytest.mark.azure("NSG-22")
def test_another_rule_changes_a_few_chains_only():
    written = rules(400)
    fewer = {name: rule for name, rule in written.items() if name != "r200"}
    assert changed(written, fewer) == {
        "inbound/nsg//r200", "inbound/nsg/net//tcp/from", "inbound/nsg/net//tcp/from-10.9.0.200",
    }  # fmt: skip
    port = written | {"r200": written["r200"] | {"destinationPortRange": 7}}
    assert changed(written, port) == {"inbound/nsg/net//tcp/from-10.9.0.200"}


def test_a_rule_has_one_chain_with_its_counter_in_all_contexts():
    content = with_rules(rules(60))
    content["virtualNetworks"]["other"] = {
        "addressSpace": ["10.7.0.0/16"],
        "subnets": {"s": {"addressPrefix": "10.7.0.0/24", "networkSecurityGroup": "nsg"}},
    }
    content["virtualMachines"]["elsewhere"] = {"subnet": "other/s"}
    staged, _ = rulesets(network(content))
    assert {"inbound/nsg/net", "inbound/nsg/other"} <= staged.chains.keys()
    counting = [name for name, lines in staged.objects.items() if any("counter" in line for line in lines)]
    assert sorted(name for _, name in counting if name.startswith("inbound/")) == sorted(
        f"inbound/nsg//{rule}"
        for rule in [*rules(60), "AllowVnetInBound", "AllowAzureLoadBalancerInBound", "DenyAllInBound"]
    )


def test_the_evidence_names_the_rule_of_a_rules_own_chain():
    chain = stages_chains.rule_chain("inbound", "nsg", "r1")
    (decision,) = evidence.moved({}, {("@fabric", chain, "r1"): 1}, {("@fabric", chain, "r1"): True})
    assert (decision.stage, decision.networkSecurityGroup, decision.rule) == ("nsg-in", "nsg", "r1")


def test_the_bit_that_says_allowed_is_no_route_and_no_virtual_network():
    assert not stages_chains.ALLOWED & (TABLE_MASK | VNET_MASK)


def test_the_longest_names_fit_into_nftables(tight):
    group, table, virtual_network = "g" * 80, "t" * 80, "v" * 64
    content = scenario(random.Random(3), 120, "Outbound")
    rules = content["networkSecurityGroups"].pop("nsg")["securityRules"]
    content["networkSecurityGroups"][group] = {"securityRules": {f"{'r' * 75}{name}": r for name, r in rules.items()}}
    net = content["virtualNetworks"].pop("net")
    content["virtualNetworks"][virtual_network] = net
    net["subnets"]["s"] |= {"networkSecurityGroup": group, "routeTable": table}
    content["routeTables"] = {table: {"routes": {}}}
    for machine in content["virtualMachines"].values():
        machine["subnet"] = f"{virtual_network}/s"
    staged, _ = rulesets(network(content))
    lengths = [len(name) for _, name in staged.objects]
    assert 240 < max(lengths) <= 255
    for packet in (random_packet(random.Random(5)) for _ in range(200)):
        staged.decide(f"outbound/{group}/{virtual_network}/{table}", packet)


# ---- size ------------------------------------------------------------------------------------------------------------


def crossing(count: int) -> list[Condition]:
    """Rules that all cross each other, in random order: the worst for trees."""
    rng = random.Random(7)
    result = []
    for _ in range(count):
        ranges: list[tuple[tuple[int, int], ...] | None] = [None] * 5
        place = rng.choice([0, 1, 3])
        value = rng.randrange(60000)
        ranges[place] = ((value, value),)
        result.append(Condition(tuple(ranges)))
    return result


def bands(count: int) -> list[Condition]:
    """Wide rules that overlap in every property."""
    rng = random.Random(8)
    band = lambda: ((start := rng.randrange(30000), start + rng.randrange(20000)),)  # noqa: E731  one line says it
    return [Condition((band(), band(), None, band(), None)) for _ in range(count)]


def size(trees: list[Node]) -> int:
    """Lines and elements, each node once."""
    seen: set[int] = set()

    def count(node: Node) -> int:
        if id(node) in seen:
            return 0
        seen.add(id(node))
        if isinstance(node, Leaf):
            return len(node.rules)
        return len(node.cells) + sum(count(child) for _, child in node.cells) + count(node.otherwise)

    return sum(map(count, trees))


@pytest.mark.parametrize("copies", [stages.MOST_COPIES, 2])
@pytest.mark.parametrize("make", [crossing, bands])
def test_rules_that_all_overlap_cost_a_bounded_number_of_copies_and_little_time(make, copies, monkeypatch):
    monkeypatch.setattr(stages, "MOST_COPIES", copies)
    conditions = make(1000)
    start = time.process_time()
    trees = stages.stages(conditions, PROPERTIES)
    assert time.process_time() - start < 2, "0.1 s on the machine that this was written on"
    written = sum(condition.size() for condition in conditions)
    assert size(trees) <= copies * written + 64 * len(trees)
    assert len(trees) * stages.LONG < 1000 or copies == 2
    rng = random.Random(9)
    for _ in range(300):
        values = (rng.randrange(60000), rng.randrange(60000), 0, rng.randrange(60000), 0)
        assert walk(conditions, trees, values) == first(conditions, values)


def test_a_thousand_rules_that_do_not_overlap_are_one_look_up():
    (tree,) = stages.stages([Condition((((i, i),), None, None, ((i, i),), None)) for i in range(1000)], PROPERTIES)
    assert not isinstance(tree, Leaf)
    assert all(isinstance(child, Leaf) and len(child.rules) == 1 for _, child in tree.cells)


def test_equal_lists_are_one():
    """Ten groups of sources, each with ports of its own, for ten destinations alike."""
    pairs = [(i // 10, i % 10) for i in range(100)]
    conditions = [
        Condition((tuple((a, a) for a in range(100 * group, 100 * group + 99, 2)), None, None, ((port, port),), None))
        for group, port in pairs
    ]
    (tree,) = stages.stages(conditions, PROPERTIES)
    assert size([tree]) < 2 * sum(condition.size() for condition in conditions) / 10
