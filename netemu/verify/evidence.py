"""Counters as evidence: which rule let a packet pass and which one dropped it, in Azure's terms.

The compiler gives every deciding rule a counter and a comment, in a chain whose name says what it is.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from msgspec import Struct

from netemu.linux import nftables
from netemu.linux.namespaces import current, entered
from netemu.linux.nft_counters import CountedRule, RuleCounters

Counters = dict[tuple[str, str, str], int]
"""Packets by (node, chain, comment)."""

TABLE = "ip netemu"

STAGES = {
    ("source", "source MAC"): "source-check",
    ("source", "platform source"): "source-check",
    ("source", "source address"): "source-check",
    ("blocked", "broadcast or multicast"): "blocked",
    ("blocked", "protocol"): "blocked",
    ("blocked", "reserved port"): "blocked",
    ("blocked", "DHCP"): "blocked",
    ("hop", "next hop None"): "route-none",
    ("hop", "no NIC"): "no-owner",
    ("hop", "internet to internet"): "edge-unknown",
    ("hop", "fragment"): "edge-untranslated",
    ("hop", "private destination"): "edge-private",
    ("hop", "foreign source to the internet"): "edge-untranslated",
    ("arrival", "destination address"): "destination-check",
    ("inbound_new", "Standard public IP"): "public-closed",
    ("inbound_icmp", "Standard public IP"): "public-closed",
    ("inbound_error", "Standard public IP"): "public-closed",
    ("inbound_portless", "Standard public IP"): "public-closed",
    ("arrive", "nobody has this public address"): "edge-unknown",
    ("arrive", "private destination"): "edge-private",
    ("unsolicited", "protocol"): "blocked",
    ("unsolicited", "outbound only"): "edge-unknown",
    ("leave", "no outbound translation"): "edge-untranslated",
    ("leave", "between links"): "edge-private",
    ("arrive", "private source"): "source-check",
    ("host", "source address"): "source-check",
    ("route", "no such host"): "edge-unknown",
    ("route", "private destination"): "edge-private",
    ("arrive", "protocol"): "no-rule",
    ("steer", "no load-balancing rule"): "no-rule",
    ("no_rule", "no load-balancing rule"): "no-rule",
    ("services", "not a service of 168.63.129.16"): "platform",
}
"""What a drop of the platform's means, by (chain, comment)."""

BALANCED = {"no healthy backend": "no-backend", "Standard public IP": "public-closed"}
"""What a drop by a rule of a load balancer means, by comment."""

SAME_STAGE = {"no-gateway": "no-owner"}
"""Stages that a verdict tells apart and the data plane does not."""


class Decision(Struct, frozen=True):
    """A rule that saw the packet."""

    node: str
    stage: str
    """A stage of a verdict; for rules that allow, `nsg-out` or `nsg-in`."""
    dropped: bool
    networkSecurityGroup: str | None = None
    rule: str | None = None
    packets: int = 1

    def __str__(self) -> str:
        if self.rule is not None:
            return f"{self.networkSecurityGroup}/{self.rule}"
        return self.stage


def read(nodes: Mapping[str, Path]) -> tuple[Counters, dict[tuple[str, str, str], bool]]:
    """Every counter of the given namespaces, and whether its rule drops."""
    counters: Counters = {}
    drops: dict[tuple[str, str, str], bool] = {}
    for node, path in nodes.items():
        with entered(path):
            descriptor = current()
        try:
            objects = nftables.listing(descriptor, TABLE)
        finally:
            os.close(descriptor)
        for chain, comment, packets, dropped in _rules(objects):
            key = (node, chain, comment)
            counters[key] = counters.get(key, 0) + packets
            drops[key] = dropped
    return counters, drops


class Counting:
    """The same, for reading often: what the counters of the given namespaces have moved by since the last reading."""

    def __init__(self, nodes: Mapping[str, Path]) -> None:
        self._nodes: dict[str, RuleCounters] = {}
        self._last: dict[str, list[int]] = {}
        self._rules: dict[str, list[CountedRule]] = {}
        for node, path in nodes.items():
            self._nodes[node] = RuleCounters(path, TABLE.partition(" ")[2])
        self.moved()

    def close(self) -> None:
        """Close it."""
        for counters in self._nodes.values():
            counters.close()

    def total(self, decision: Decision) -> int:
        """Packets that a rule had counted since it was loaded, when the counters were read last."""
        same = (decision.node, decision.stage, decision.dropped, decision.networkSecurityGroup, decision.rule)
        found = 0
        for rule, number in zip(self._rules[decision.node], self._last[decision.node], strict=True):
            d = decision_of(decision.node, rule.chain, rule.comment, number, rule.drops)
            if (d.node, d.stage, d.dropped, d.networkSecurityGroup, d.rule) == same:
                found += number
        return found

    def moved(self) -> list[Decision]:
        """The rules that have counted packets since the last reading; nothing where the ruleset has changed."""
        found = []
        for node, counters in self._nodes.items():
            before = self._last.get(node)
            numbers = self._last[node] = counters.read()
            rules, self._rules[node] = self._rules.get(node), counters.rules
            if before is None or rules is not counters.rules:
                continue
            found += [
                decision_of(node, rule.chain, rule.comment, after - earlier, rule.drops)
                for rule, earlier, after in zip(counters.rules, before, numbers, strict=True)
                if after != earlier and rule.comment
            ]
        return found


def _rules(objects: list[dict[str, Any]]) -> Iterator[tuple[str, str, int, bool]]:
    for entry in objects:
        rule = entry.get("rule")
        if rule is None or "comment" not in rule:
            continue
        counter = next((e["counter"] for e in rule["expr"] if "counter" in e), None)
        if counter is not None:
            yield rule["chain"], rule["comment"], counter["packets"], any("drop" in e for e in rule["expr"])


def moved(before: Counters, after: Counters, drops: Mapping[tuple[str, str, str], bool]) -> list[Decision]:
    """The rules that saw a packet between two readings."""
    return [
        decision_of(*key, packets=after[key] - before.get(key, 0), dropped=drops[key])
        for key in after
        if after[key] > before.get(key, 0)
    ]


def decision_of(node: str, chain: str, comment: str, packets: int, dropped: bool) -> Decision:
    """What a counter stands for."""
    kind, _, rest = chain.partition("/")
    if rest and kind in ("outbound", "inbound"):
        stage = "nsg-out" if kind == "outbound" else "nsg-in"
        return Decision(node, stage, dropped, rest.split("/")[0], comment, packets)
    if rest and kind == "platform":
        return Decision(node, "platform", dropped, rest.split("/")[0], comment, packets)
    if rest and kind in ("rule", "nat", "hop"):
        return Decision(node, BALANCED.get(comment, "load-balancer") if dropped else "load-balancer", dropped,
                        packets=packets)  # fmt: skip
    if kind == "forwarded":
        return Decision(node, "forwarded-traffic", dropped, packets=packets)
    return Decision(node, STAGES.get((chain, comment), comment), dropped, packets=packets)
