"""Packets are followed through rules as the kernel would take them: statements, sets, hooks, and what is beyond."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

import pytest

from netemu.linux.ruleset_expressions import PacketState
from netemu.linux.ruleset_follow import Follower, Passage
from netemu.linux.ruleset_view import NotUnderstoodError, RulesetView

Objects = list[dict[str, Any]]


def address(text: str) -> int:
    return int(IPv4Address(text))


def meta(key: str) -> dict[str, Any]:
    return {"meta": {"key": key}}


def header(protocol: str, field: str) -> dict[str, Any]:
    return {"payload": {"protocol": protocol, "field": field}}


def match(left: Any, right: Any, operator: str = "==") -> dict[str, Any]:
    return {"match": {"op": operator, "left": left, "right": right}}


COUNTER = {"counter": {"packets": 7, "bytes": 0}}
ACCEPT, DROP, RETURN = {"accept": None}, {"drop": None}, {"return": None}


def jump(target: str) -> dict[str, Any]:
    return {"jump": {"target": target}}


def goto(target: str) -> dict[str, Any]:
    return {"goto": {"target": target}}


class Table:
    """A table in libnftables' JSON."""

    def __init__(self) -> None:
        self.objects: Objects = []
        self.contents: dict[str, list[Any]] = {}

    def chain(self, name: str, *rules: list[Any], **base: Any) -> Table:
        self.objects.append({"chain": {"family": "ip", "table": "t", "name": name, **base}})
        for number, expressions in enumerate(rules):
            comment = {"comment": f"{name}{number}"} if COUNTER in expressions else {}
            rule = {"family": "ip", "table": "t", "chain": name, "handle": number, "expr": expressions, **comment}
            self.objects.append({"rule": rule})
        return self

    def set(self, name: str, kind: Any, *elements: Any, data: str | None = None, flags: tuple[str, ...] = ()) -> Table:
        word = "map" if data is not None else "set"
        self.objects.append(
            {word: {"family": "ip", "table": "t", "name": name, "type": kind, "map": data, "flags": list(flags)}}
        )
        self.contents[name] = list(elements)
        return self

    def follower(self) -> Follower:
        return Follower(
            RulesetView(self.objects, lambda what: self.contents[what.name], lambda rule: {rule.handle: "the rule"})
        )


def packet(**fields: Any) -> PacketState:
    base = {"source": address("10.0.1.4"), "destination": address("10.0.2.4"), "protocol": 6, "source_port": 40000,
            "destination_port": 80, "in_interface": "web1-nic", "in_index": 5, "mac": "00:0d:3a:00:00:01"}  # fmt: skip
    return PacketState(**{**base, **fields})


def passes(*conditions: Any, table: Table | None = None, **fields: Any) -> bool:
    """Does a packet match all conditions of a rule?"""
    table = table or Table()
    passage = table.chain("c", [*conditions, DROP]).follower().chain("ip", "t", "c", packet(**fields))
    return passage.dropped


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (match(header("ip", "saddr"), "10.0.1.4"), True),
        (match(header("ip", "saddr"), {"prefix": {"addr": "10.0.1.0", "len": 30}}), False),
        (match(header("ip", "saddr"), {"prefix": {"addr": "10.0.1.0", "len": 29}}), True),
        (match(header("ip", "saddr"), {"range": ["10.0.1.5", "10.0.1.9"]}), False),
        (match(header("ip", "saddr"), {"set": ["10.0.9.9", {"range": ["10.0.1.1", "10.0.1.4"]}]}), True),
        (match(header("ip", "daddr"), {"set": ["10.0.2.4"]}, "!="), False),
        (match(meta("l4proto"), "tcp"), True),
        (match(meta("l4proto"), {"set": ["udp", 1]}), False),
        (match(header("th", "dport"), {"range": [80, 81]}), True),
        (match(header("tcp", "dport"), 80), True),
        (match(header("udp", "dport"), 80), False),
        (match(header("udp", "dport"), 81, "!="), False),  # nft tests the protocol first, and does not show it
        (match(header("icmp", "type"), "echo-request"), False),
        (match({"&": [header("tcp", "flags"), ["fin", "syn", "rst", "ack"]]}, "syn", "!="), False),
        (match({"&": [header("ip", "frag-off"), 8191]}, 0, "!="), False),
        (match(meta("iifname"), "web1-nic"), True),
        (match(meta("iifname"), "web*"), True),
        (match(meta("oifname"), "web1-nic"), False),
        (match({"payload": {"base": "th", "offset": 0, "len": 32}}, 40000 << 16 | 80), True),
        (match({"payload": {"base": "th", "offset": 16, "len": 16}}, 81), False),
        (match({"payload": {"base": "nh", "offset": 96, "len": 32}}, address("10.0.1.4")), True),
        (match({"payload": {"base": "nh", "offset": 72, "len": 8}}, 6), True),
        (match({"concat": [meta("iifname"), header("ip", "saddr")]}, {"concat": ["web1-nic", "10.0.1.4"]}), True),
        (match({"ct": {"key": "state"}}, ["established", "related"], "in"), False),
        (match({"ct": {"key": "state"}}, "new", "in"), True),
        (match(header("th", "dport"), 79, ">"), True),
        (match(header("th", "dport"), 80, "<"), False),
    ],
    ids=str,
)  # fmt: skip
def test_conditions(condition: Any, expected: bool) -> None:
    assert passes(condition) == expected


def test_other_protocols_have_their_own_headers() -> None:
    icmp = {"protocol": 1, "source_port": 0, "destination_port": 0}
    assert passes(match(header("icmp", "type"), "echo-request"), **icmp)
    assert not passes(match(header("tcp", "flags"), "syn"), **icmp)
    assert passes(match(header("th", "dport"), {"range": [0, 65535]}), **icmp)
    assert passes(match({"payload": {"base": "th", "offset": 0, "len": 8}}, 8), **icmp)


def test_named_sets_and_maps() -> None:
    table = Table().set("own", ["ifname", "ipv4_addr"], {"concat": ["web1-nic", "10.0.1.4"]})
    assert passes(match({"concat": [meta("iifname"), header("ip", "saddr")]}, "@own"), table=table)
    table = Table().set("net", "ipv4_addr", {"prefix": {"addr": "10.0.0.0", "len": 16}}, {"elem": {"val": "8.8.8.8"}})
    assert passes(match(header("ip", "daddr"), "@net"), table=table)
    table = Table().set("marks", "ifname", ["web1-nic", 0x10001], data="mark")
    mark = {"mangle": {"key": meta("mark"), "value": {"map": {"key": meta("iifname"), "data": "@marks"}}}}
    assert passes(mark, match(meta("mark"), 0x10001), table=table)
    # Without an element for its key a rule does not match, whatever comes after.
    table = Table().set("marks", "ifname", ["other", 1], data="mark")
    assert not passes(mark, table=table)


def run(table: Table, name: str = "c", **fields: Any) -> tuple[Passage, PacketState]:
    state = packet(**fields)
    return table.follower().chain("ip", "t", name, state), state


def hits(passage: Passage) -> list[str]:
    return [hit.rule.comment for hit in passage.hits]


def test_jump_comes_back_and_goto_does_not() -> None:
    table = Table().chain("c", [jump("a")], [COUNTER, goto("a")], [COUNTER, DROP]).chain("a", [COUNTER, RETURN], [DROP])
    passage, _ = run(table)
    assert not passage.dropped
    assert hits(passage) == ["a0", "c1", "a0"]
    assert [hit.packets for hit in passage.hits] == [7, 7, 7]


def test_a_map_of_verdicts_decides_where_it_has_an_element() -> None:
    verdicts = {"vmap": {"key": meta("iifname"), "data": "@ports"}}
    table = Table().set("ports", "ifname", ["web1-nic", jump("a")], data="verdict").chain("a", [COUNTER, DROP])
    assert run(table.chain("c", [verdicts], [COUNTER, ACCEPT]))[0].dropped
    passage, _ = run(table, in_interface="other")
    assert (passage.dropped, hits(passage)) == (False, ["c1"])
    inline = {"vmap": {"key": meta("l4proto"), "data": {"set": [["tcp", DROP], ["udp", ACCEPT]]}}}
    assert run(Table().chain("c", [inline]))[0].dropped
    assert not run(Table().chain("c", [inline]), protocol=17)[0].dropped


def test_hooks_are_run_by_priority_and_a_drop_is_final() -> None:
    first = {"type": "filter", "hook": "forward", "prio": -5, "policy": "accept"}
    last = {"type": "filter", "hook": "forward", "prio": 10, "policy": "drop"}
    table = Table().chain("late", [COUNTER], **last).chain("early", [COUNTER, ACCEPT], **first)
    passage = table.follower().hook("forward", packet())
    assert hits(passage) == ["early0", "late0"]
    assert (passage.dropped, passage.by, passage.policy) == (True, None, "late")
    table = Table().chain("late", [COUNTER], **last).chain("early", [{"reject": {"type": "tcp reset"}}], **first)
    passage = table.follower().hook("forward", packet())
    assert passage.dropped
    assert passage.by is not None
    assert passage.by.rule.chain == "early"


def test_what_a_packet_writes_into_a_dynamic_set_is_there_for_its_answer() -> None:
    ends = {"concat": [header("ip", "saddr"), header("ip", "daddr")]}
    back = {"concat": [header("ip", "daddr"), header("ip", "saddr")]}
    update = {"set": {"op": "update", "elem": ends, "set": "@flows"}}
    table = Table().set("flows", ["ipv4_addr", "ipv4_addr"], flags=("dynamic", "timeout"))
    follower = table.chain("c", [match(back, "@flows"), ACCEPT], [update, DROP]).follower()
    assert follower.chain("ip", "t", "c", packet()).dropped
    answer = packet(source=address("10.0.2.4"), destination=address("10.0.1.4"))
    passage = follower.chain("ip", "t", "c", answer)
    assert (passage.dropped, passage.recorded) == (False, True)


def test_nat_changes_the_packet_for_the_chains_that_follow_and_only_that_of_a_new_connection() -> None:
    nat = {"type": "nat", "hook": "postrouting", "prio": 100, "policy": "accept"}
    check = {"type": "filter", "hook": "postrouting", "prio": 300, "policy": "accept"}
    snat = {"snat": {"addr": {"map": {"key": header("ip", "saddr"), "data": "@public"}}}}
    table = Table().set("public", "ipv4_addr", ["10.0.1.4", "20.61.0.10"], data="ipv4_addr")
    table.chain("out", [snat], **nat).chain("leave", [match(header("ip", "saddr"), "20.61.0.10"), DROP], **check)
    state = packet()
    passage = table.follower().hook("postrouting", state)
    assert (passage.translated, passage.dropped, state.source) == (True, True, address("20.61.0.10"))
    state = packet(state="established")
    assert not table.follower().hook("postrouting", state).translated


@pytest.mark.parametrize(
    "expression",
    [
        {"limit": {"rate": 1, "per": "second"}},
        {"queue": None},
        {"xt": {"type": "match", "name": "u32"}},
        {"mangle": {"key": header("ip", "daddr"), "value": "10.0.0.1"}},
        {"dnat": {"addr": "10.0.0.1", "port": 8080}},
        {"set": {"op": "add", "elem": header("ip", "saddr"), "set": "@fixed"}},
        match({"numgen": {"mode": "random", "mod": 2}}, 0),
        match({"fib": {"result": "type", "flags": ["daddr"]}}, "local"),
        match(header("ip6", "saddr"), "::1"),
        match(header("ip", "saddr"), "@missing"),
        match(header("ip", "saddr"), "no.such.name"),
        jump("missing"),
    ],
    ids=lambda each: next(iter(each)),
)
def test_what_cannot_be_followed_is_an_error_that_names_the_rule(expression: Any) -> None:
    table = Table().set("fixed", "ipv4_addr").chain("c", [expression])
    with pytest.raises(NotUnderstoodError):
        run(table)


def test_a_loop_of_chains_ends() -> None:
    with pytest.raises(NotUnderstoodError, match="too far away"):
        run(Table().chain("c", [jump("c")]))
