"""Documents for the scenario reader: drawn from the JSON Schema, and real scenarios with something wrong in them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml
from hypothesis import strategies as st

from netemu.scenario.schema import json_schema

REAL = [file.read_text() for file in sorted((Path(__file__).parents[2] / "scenarios").glob("*.yaml"))]

HOSTILE = (
    "-rf", "--help", "a;reboot", "$(id)", "`id`", '"', "'", "}", "{", "a\nb", "../../etc/passwd", "/etc/passwd", "..",
    ".", "@fabric", "@slb.net", "lo", "all", "*", "x" * 300, "wеb", "ｗｅｂ１", "\u202eweb", "counter drop",
    "# comment", "\\", "a,b", "a=b", "\x00", "\x1b[2J", "\x9b", "\ud800", "\ufffe", "\ufeff", "%s%n", "{0}", "~",
    "null", "", " ", "\t", "-", "&a", "*a", "<<", "!!python/object:os.system", "1e999", "0x7f000001", "١٠.٠.٠.٤",
)  # fmt: skip
"""Texts that are options, shell, nft syntax, paths, other letters, or nothing at all to somebody."""

NUMBERS = (0, -1, 1, 3, 4, 22, 80, 99, 100, 4096, 4097, 65535, 65536, 2**31, 2**63, 2**64, 10**30, 1.5, -0.0, 1e308)

ADDRESSES = (
    "10.0.0.0/16", "10.1.0.0/16", "10.0.1.0/24", "10.0.2.0/24", "10.1.1.0/24", "10.0.0.4", "10.0.1.4", "10.0.1.5",
    "0.0.0.0/0", "198.51.100.7", "203.0.113.9", "168.63.129.16", "10.0.0.1/16", "10.0.0.0/33", "fd00::/64",
    "224.0.0.0/4", "010.0.0.4", "10.0.0.4/32", "999.1.1.1", "20.61.0.10", "20.62.0.1",
)  # fmt: skip

NAMES = ("n1", "n2", "web", "db", "a.b", "Web", "drop", "accept", "default", "1")

POOLS: dict[str, tuple[Any, ...]] = {
    "addressSpace": ("10.0.0.0/16", "10.1.0.0/16", *ADDRESSES),
    "subnet": ("n1/web", "n1/db", "n2/web", "n2/db"),
    "networkInterfaces": ("n1", "n2", "web-nic"),
    "from": ("web", "db", "n1", "web/10.0.1.4", "n2"),
    "to": ("web", "db", "n1", "198.51.100.7", "10.0.1.4", "n2"),
    "rule": ("DenyAllInBound", "web", "n1/web"),
    "via": ("web", "db"),
    "run": ("sleep 1", "python3 -m http.server 80", "true"),
    "location": ("westeurope", "East US"),
    "name": ("lab", "shop-2"),
}
"""What fits a property, by the beginning of its name; so that some documents are valid, and many nearly."""

LIKE = {
    "addressPrefix": ADDRESSES, "dnsServers": ADDRESSES, "nextHopIpAddress": ADDRESSES, "ipAddress": ADDRESSES,
    "privateIPAddress": ADDRESSES, "sourceSeenAs": ADDRESSES,
    "sourcePort": (*NUMBERS, "*", "80-443"), "destinationPort": (*NUMBERS, "*", "80-443"), "port": NUMBERS,
    "sourceAddress": ("*", "VirtualNetwork", "Internet", *ADDRESSES),
    "destinationAddress": ("*", "VirtualNetwork", "Internet", *ADDRESSES),
    "priority": (100, 101, 200, 4096, 4097), "idleTimeoutInMinutes": (4, 30, 31),
}  # fmt: skip


def _pool(name: str) -> tuple[Any, ...]:
    if name in POOLS:
        return POOLS[name]
    return next((pool for beginning, pool in LIKE.items() if name.startswith(beginning)), NAMES)


def _texts(name: str) -> st.SearchStrategy[Any]:
    """Mostly what fits, sometimes what is hostile, now and then anything."""
    fitting = [value for value in _pool(name) if isinstance(value, str)] or list(NAMES)
    return st.one_of(*[st.sampled_from(fitting)] * 12, st.sampled_from(HOSTILE), st.text(max_size=20))


def _names() -> st.SearchStrategy[str]:
    return st.one_of(*[st.sampled_from(NAMES)] * 12, st.sampled_from(HOSTILE))


class _Schema:
    """Strategies for a JSON Schema of the kind that `json_schema` makes."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self.definitions = schema["$defs"]
        self._made: dict[str, st.SearchStrategy[Any]] = {}

    def values(self, node: dict[str, Any], name: str) -> st.SearchStrategy[Any]:
        """What the schema allows at a property called `name`."""
        if "$ref" in node:
            return self._reference(node["$ref"].rpartition("/")[2], name)
        if "anyOf" in node:
            return st.one_of([self.values(choice, name) for choice in node["anyOf"]])
        if "enum" in node:
            return st.sampled_from(node["enum"])
        kind = node.get("type")
        kinds = kind if isinstance(kind, list) else [kind]
        return st.one_of([self._simple(each, node, name) for each in kinds])

    def _reference(self, key: str, name: str) -> st.SearchStrategy[Any]:
        if key not in self._made:
            self._made[key] = st.deferred(lambda: self.values(self.definitions[key], name))
        return self._made[key]

    def _simple(self, kind: str, node: dict[str, Any], name: str) -> st.SearchStrategy[Any]:
        if kind == "string":
            return _texts(name)
        if kind in ("integer", "number"):
            fitting = [n for n in _pool(name) if isinstance(n, (int, float)) and (kind == "number" or n == int(n))]
            return st.sampled_from(fitting or NUMBERS)
        if kind == "boolean":
            return st.booleans()
        if kind == "null":
            return st.none()
        if kind == "array":
            return st.lists(self.values(node["items"], name), max_size=3)
        assert kind == "object", node
        return self._object(node, name)

    def _object(self, node: dict[str, Any], name: str) -> st.SearchStrategy[Any]:
        if "properties" not in node:
            return st.dictionaries(_names(), self.values(node["additionalProperties"], name), max_size=3)
        required = node.get("required", ())
        every = {key: self.values(value, key) for key, value in node["properties"].items()}
        return st.fixed_dictionaries(
            {key: every[key] for key in required},
            optional={key: value for key, value in every.items() if key not in required},
        )


def from_schema() -> st.SearchStrategy[str]:
    """Documents that the JSON Schema allows, as YAML or as JSON."""
    schema = json_schema()
    return st.tuples(_Schema(schema).values({**schema, "type": "object"}, ""), st.booleans()).map(
        lambda pair: json.dumps(pair[0]) if pair[1] else as_yaml(pair[0])
    )


def as_yaml(tree: Any) -> str:
    """A tree as a person might have written it, which shares nothing by anchors."""
    text: str = yaml.dump(tree, Dumper=_Dumper, allow_unicode=True, sort_keys=False)
    return text


class _Dumper(yaml.SafeDumper):
    def ignore_aliases(self, data: Any) -> bool:
        return True


# ---- trees with something wrong --------------------------------------------------------------------------------------


def mutated_trees() -> st.SearchStrategy[str]:
    """Real scenarios in which values are replaced and moved, and keys renamed, doubled and lost."""
    change = st.tuples(st.sampled_from(TREE_CHANGES), st.randoms(use_true_random=False))

    def mutate(drawn: tuple[str, list[tuple[Callable[..., None], random.Random]]]) -> str:
        tree = yaml.safe_load(drawn[0])
        for how, rng in drawn[1]:
            how(rng, tree)
        return as_yaml(tree)

    return st.tuples(st.sampled_from(REAL), st.lists(change, min_size=1, max_size=3)).map(mutate)


def _places(node: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) of a tree."""
    found: list[tuple[Any, Any]] = []
    todo = [node]
    while todo:
        container = todo.pop()
        for key in list(container) if isinstance(container, dict) else range(len(container)):
            found.append((container, key))
            if isinstance(container[key], (dict, list)):
                todo.append(container[key])
    return found


def _replace(rng: random.Random, tree: Any) -> None:
    container, key = rng.choice(_places(tree) or [({"": 0}, "")])
    nested: Any = "x"
    for _ in range(rng.choice((5, 49, 60, 200))):
        nested = [nested]
    container[key] = rng.choice(
        (rng.choice(HOSTILE), rng.choice(NUMBERS), rng.choice(ADDRESSES), rng.choice(NAMES), None, True, [], {}, nested,
         {"a": {"b": "c"}}, [rng.choice(HOSTILE)] * 3, {rng.choice(HOSTILE): rng.choice(HOSTILE)})
    )  # fmt: skip


def _move(rng: random.Random, tree: Any) -> None:
    """What stands in one place is put into another one as well."""
    places = _places(tree)
    if places:
        (source, key), (target, other) = rng.choice(places), rng.choice(places)
        target[other] = json.loads(json.dumps(source[key]))


def _rename(rng: random.Random, tree: Any) -> None:
    places = [(c, k) for c, k in _places(tree) if isinstance(c, dict)]
    if places:
        container, key = rng.choice(places)
        value = container.pop(key)
        container[rng.choice((*HOSTILE, *NAMES, str(key).upper(), f"{key}s", key, 1, None, True))] = value


def _remove(rng: random.Random, tree: Any) -> None:
    places = _places(tree)
    if places:
        container, key = rng.choice(places)
        del container[key]


def _multiply(rng: random.Random, tree: Any) -> None:
    places = [(c, k) for c, k in _places(tree) if isinstance(c, dict) and isinstance(c[k], dict) and c[k]]
    if places:
        container, key = rng.choice(places)
        section = container[key]
        name = rng.choice(list(section))
        for number in range(rng.choice((1, 2, 30))):
            section[f"{name}{number}"] = json.loads(json.dumps(section[name]))


def _address(rng: random.Random, tree: Any) -> None:
    """One address for another: overlaps, gaps, strangers."""
    places = [(c, k) for c, k in _places(tree) if isinstance(c[k], str) and c[k][:1].isdigit()]
    if places:
        container, key = rng.choice(places)
        container[key] = rng.choice((*ADDRESSES, *[c[k] for c, k in places]))


TREE_CHANGES = (_replace, _move, _rename, _remove, _multiply, _address)


# ---- texts with something wrong --------------------------------------------------------------------------------------

PIECES = (
    *HOSTILE, "\n", ": ", "- ", "? ", "[", "]", ",", "|", ">", "#", "&a ", "*a", "<<: *a", "!!str ", "!x ", "---\n",
    "...\n", "%YAML 9.9\n", "{" * 60, "[" * 2000, "- " * 300, "9" * 5000, "&a [*a]", "a: &a {<<: *a}", "\r", "\x85",
    "\u2028", "\ufeff", "\U000e0001", "'" * 7, "? [a]\n: b\n", "\"\\x00\"", "\"\\ud800\"", "\"\\U0010ffff\"",
)  # fmt: skip


def mutated_texts() -> st.SearchStrategy[bytes]:
    """Real scenarios as bytes: bytes flipped, lines dropped, doubled, moved and indented, pieces put in, ends cut off."""
    change = st.tuples(st.sampled_from(TEXT_CHANGES), st.randoms(use_true_random=False))

    def mutate(drawn: tuple[str, list[tuple[Callable[..., bytes], random.Random]]]) -> bytes:
        content = drawn[0].encode()
        for how, rng in drawn[1]:
            content = how(rng, content)
        return content

    return st.tuples(st.sampled_from(REAL), st.lists(change, min_size=1, max_size=4)).map(mutate)


def _flip(rng: random.Random, content: bytes) -> bytes:
    changed = bytearray(content)
    for _ in range(rng.choice((1, 1, 3, 20))):
        if changed:
            changed[rng.randrange(len(changed))] ^= 1 << rng.randrange(8)
    return bytes(changed)


def _lines(rng: random.Random, content: bytes) -> bytes:
    lines = content.splitlines(keepends=True)
    for _ in range(rng.randint(1, 3)):
        if lines:
            line = lines.pop(rng.randrange(len(lines)))
            for _ in range(rng.choice((0, 1, 2))):
                lines.insert(rng.randint(0, len(lines)), rng.choice((line, b"  " + line, line.lstrip(), b"\t" + line)))
    return b"".join(lines)


def _insert(rng: random.Random, content: bytes) -> bytes:
    at = rng.randint(0, len(content))
    piece = rng.choice(PIECES).encode("utf-8", "surrogatepass")
    return content[:at] + piece + content[at + rng.choice((0, 0, 1, 10)) :]


def _cut(rng: random.Random, content: bytes) -> bytes:
    return content[: rng.randint(0, len(content))]


def _splice(rng: random.Random, content: bytes) -> bytes:
    """A beginning of one scenario and an end of another."""
    other = rng.choice(REAL).encode()
    return content[: rng.randint(0, len(content))] + other[rng.randint(0, len(other)) :]


def _encode(rng: random.Random, content: bytes) -> bytes:
    return content.decode("utf-8", "replace").encode(rng.choice(("utf-16", "utf-32", "utf-8-sig", "utf-7")), "replace")


def _anchor(rng: random.Random, content: bytes) -> bytes:
    """A value gets an anchor, and others are aliases of it."""
    parts = content.split(b": ")
    if len(parts) > 2:
        first, *others = sorted(rng.sample(range(1, len(parts)), min(3, len(parts) - 1)))
        parts[first] = b"&a " + parts[first]
        for other in others:
            end = next((i for i, byte in enumerate(parts[other]) if byte in b",}\n"), 0)
            parts[other] = b"*a " + parts[other][end:]
    return b": ".join(parts)


TEXT_CHANGES = (_flip, _lines, _insert, _insert, _cut, _splice, _encode, _anchor)
