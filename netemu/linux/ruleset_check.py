"""Is the ruleset in the kernel the one that we loaded last?

The kernel counts the transactions of every namespace (`nftables.generation`). While its count is the one that we saw
after our own last transaction, nobody has touched anything. Otherwise the ruleset is compared object by object with
what the same text gives in an empty namespace: so nftables itself puts both into one form.
"""

from __future__ import annotations

import os
from typing import Any

from netemu.linux import namespaces as ns
from netemu.linux import nftables
from netemu.linux.ruleset import Key, Ruleset


def drift(namespace: int, ruleset: Ruleset, text: str) -> tuple[set[Key], list[str]]:
    """The objects that differ from the text's or are missing, and what is somebody else's, as nft names it.

    Objects that somebody has put into tables of ours are listed as drifted too: the tables are ours.
    """
    empty = ns.anonymous()
    try:
        nftables.apply(empty, text)
        wanted = {table: _objects(empty, table, ruleset) for table in ruleset.tables}
    finally:
        os.close(empty)
    there = nftables.tables(namespace)
    drifted: set[Key] = set()
    for table, objects in wanted.items():
        present = _objects(namespace, table, ruleset) if table in there else {}
        drifted |= {(table, *key) for key in objects.keys() | present.keys() if objects.get(key) != present.get(key)}
    return drifted, [f"table {table}" for table in there if table not in ruleset.tables]


def _objects(namespace: int, table: str, ruleset: Ruleset) -> dict[tuple[str, str], Any]:
    """The chains, sets and maps of a table in libnftables' JSON, without handles, counts and records."""
    result: dict[tuple[str, str], Any] = {}
    for entry in nftables.listing(namespace, table):
        for kind, content in entry.items():
            if kind == "rule":
                result[("chain", content["chain"])]["rules"].append(_without_counts(content["expr"]))
                result[("chain", content["chain"])]["comments"].append(content.get("comment"))
            elif kind in ("chain", "set", "map", "ct timeout"):
                item = {name: value for name, value in content.items() if name != "handle"}
                result[(kind, content["name"])] = {**item, "rules": [], "comments": []}
    for kind, name in list(result):
        known = ruleset.objects.get((table, kind, name))
        if kind in ("set", "map") and known is not None and not known.is_dynamic():
            result[kind, name]["elements"] = nftables.elements(namespace, table, kind, name)
    return result


def _without_counts(expression: Any) -> Any:
    if isinstance(expression, list):
        return [_without_counts(part) for part in expression]
    if isinstance(expression, dict):
        return {key: None if key == "counter" else _without_counts(value) for key, value in expression.items()}
    return expression
