"""Rulesets, through libnftables' Python binding: text in, one transaction, one handle each.

A handle belongs to the namespace in which it was made, costs 0.65 MB once used, and a kept one would go on
programming a namespace that has been deleted; so none is kept.
"""

from __future__ import annotations

import re
import socket
import struct
from typing import Any

import msgspec

from netemu.linux.namespaces import entered
from netemu.linux.socket_buffers import send_large

NETLINK_NETFILTER = 12
NFT_MSG_GETGEN = 10 << 8 | 16
NLM_F_REQUEST, NFTA_GEN_ID = 1, 1


_COUNTED = re.compile(r"counter packets \d+ bytes \d+")


class RulesetError(OSError):
    """nftables refused a ruleset; the text says which line."""


class Handle:
    """One handle, for one transaction in one namespace."""

    def __init__(self, namespace: int) -> None:
        self._handle = _handle(namespace)

    def apply(self, ruleset: str) -> None:
        """Apply nftables text, all of it or nothing."""
        code, _, error = self._handle.cmd(ruleset)
        if code != 0:
            raise RulesetError(error.strip())


def apply(namespace: int, ruleset: str) -> None:
    """Apply nftables text inside a namespace, all of it or nothing."""
    Handle(namespace).apply(ruleset)


def listing(namespace: int, table: str) -> list[dict[str, Any]]:
    """One table as libnftables' JSON objects, without set elements.

    Only a whole ruleset is listed without reading the elements: of a single table libnftables 1.0.6 reads and sorts
    them all, even if they are not to be shown. That takes 12 s with 100,000 flow records, and ends the process (an
    assertion) with two records that have an IP id.
    """
    family, name = table.split()
    listed = _list(namespace, f"list ruleset {family}", terse=True)
    return [e for e in listed for kind, c in e.items() if c.get("name" if kind == "table" else "table") == name]


def text(namespace: int) -> str:
    """Every table as `nft -t list ruleset` writes it: with counters, without set elements."""
    handle = _handle(namespace)
    handle.set_terse_output(True)
    code, output, error = handle.cmd("list ruleset")
    if code != 0:
        raise RulesetError(error.strip())
    return str(output)


def tables(namespace: int) -> list[str]:
    """Family and name of every table."""
    listed = _list(namespace, "list tables", terse=True)
    return [f"{entry['table']['family']} {entry['table']['name']}" for entry in listed if "table" in entry]


def elements(namespace: int, table: str, kind: str, name: str) -> list[str]:
    """The elements of a set or map, each as JSON, sorted: their order means nothing."""
    return sorted(msgspec.json.encode(element).decode() for element in content(namespace, table, kind, name))


def content(namespace: int, table: str, kind: str, name: str) -> list[Any]:
    """The elements of a set or map as libnftables' JSON objects."""
    for entry in _list(namespace, f"list {kind} {table} {name}", terse=False):
        if kind in entry:
            found: list[Any] = entry[kind].get("elem", [])
            return found
    return []


def chain_text(namespace: int, table: str, chain: str) -> dict[int, str]:
    """The rules of a chain as nft writes them, without what their counters say, by handle."""
    handle = _handle(namespace)
    handle.set_handle_output(True)
    code, output, error = handle.cmd(f"list chain {table} {chain}")
    if code != 0:
        raise RulesetError(error.strip())
    lines = (line.strip().rpartition(" # handle ") for line in output.splitlines())
    found = {int(number): text for text, mark, number in lines if mark and number.isdecimal()}
    return {number: _COUNTED.sub("counter", text) for number, text in found.items()}


def _list(namespace: int, command: str, terse: bool) -> list[dict[str, Any]]:
    handle = _handle(namespace)
    handle.set_json_output(True)
    handle.set_terse_output(terse)
    code, output, error = handle.cmd(command)
    if code != 0:
        raise RulesetError(error.strip())
    objects: list[dict[str, Any]] = msgspec.json.decode(output)["nftables"]
    return objects


def netfilter_socket() -> socket.socket:
    """A netfilter socket in the namespace that the calling thread is in."""
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_NETFILTER)


def generation(namespace: int) -> int:
    """How many nftables transactions a namespace has seen (linux/nf_tables.h, NFT_MSG_GETGEN)."""
    with entered(namespace):
        netlink = netfilter_socket()
    with netlink:
        netlink.send(struct.pack("=IHHIIBBH", 20, NFT_MSG_GETGEN, NLM_F_REQUEST, 0, 0, 0, 0, 0))
        answer = netlink.recv(4096)
    offset, end = 20, struct.unpack_from("=I", answer)[0]
    while offset + 4 <= end:
        size, kind = struct.unpack_from("=HH", answer, offset)
        if kind & 0x3FFF == NFTA_GEN_ID:
            return int(struct.unpack_from("!I", answer, offset + 4)[0])
        offset += size + 3 & ~3
    raise OSError(71, "the kernel does not count nftables transactions")


def _handle(namespace: int) -> Any:
    import nftables

    with entered(namespace):
        return send_large(nftables.Nftables)
