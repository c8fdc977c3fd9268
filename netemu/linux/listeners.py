"""Sockets at which programs of a namespace wait for others: TCP that listens, UDP that is bound (proc(5))."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

from msgspec import Struct

from netemu.linux.namespaces import entered
from netemu.linux.processes import identity, inside

WAITING = {"tcp": 0x0A, "udp": 0x07}
"""TCP_LISTEN; TCP_CLOSE, which is what UDP that is not connected has (net/tcp_states.h)."""


class Listener(Struct, frozen=True, order=True):
    """A socket."""

    protocol: str
    """tcp or udp."""
    port: int
    address: IPv4Address | None
    """None: every address of the namespace."""
    program: str | None
    """The name of the process that has it, when it is one of the namespace's own."""


def listeners(namespace: Path) -> list[Listener]:
    """Those of a namespace, IPv4 and what takes IPv4 beside IPv6."""
    tables = _tables(namespace)
    owners = _owners(namespace)
    found = {
        Listener(kind, port, address, owners.get(inode))
        for kind, lines in tables
        for address, port, inode in _waiting(kind, lines)
    }
    return sorted(found, key=lambda each: (each.protocol, each.port, int(each.address or 0)))


def is_listening(namespace: Path, protocol: str, port: int) -> bool:
    """Does any program of a namespace take what comes to a port of `tcp` or `udp`?"""
    return any(
        number == port
        for kind, lines in _tables(namespace)
        for _, number, _ in _waiting(kind, lines)
        if kind == protocol
    )


def _tables(namespace: Path) -> list[tuple[str, list[str]]]:
    with entered(namespace):
        return [(kind, _table(kind + version)) for kind in WAITING for version in ("", "6")]


def _table(name: str) -> list[str]:
    try:
        # The thread's own: /proc/net is that of the process's first thread.
        return Path(f"/proc/thread-self/net/{name}").read_text(encoding="ascii").splitlines()[1:]
    except FileNotFoundError:  # a kernel without IPv6
        return []


def _waiting(kind: str, lines: list[str]) -> Iterator[tuple[IPv4Address | None, int, str]]:
    for line in lines:
        fields = line.split()
        local, remote, state, inode = fields[1], fields[2], int(fields[3], 16), fields[9]
        text, _, port = local.partition(":")
        if state != WAITING[kind] or int(remote.partition(":")[2], 16):
            continue
        reached, address = _address(text)
        if reached:
            yield address, int(port, 16), inode


def _address(text: str) -> tuple[bool, IPv4Address | None]:
    """Does IPv4 reach it? And which address it is; None for every one. Words are in the machine's byte order."""
    words = [int(text[at : at + 8], 16).to_bytes(4, sys.byteorder) for at in range(0, len(text), 8)]
    data = b"".join(words)
    if not any(data):
        return True, None
    return len(data) == 4 or data[:12] == bytes(10) + b"\xff\xff", IPv4Address(data[-4:])


def _owners(namespace: Path) -> dict[str, str]:
    """Inode of a socket → the name of the process that has it."""
    found: dict[str, str] = {}
    for pid, _ in inside({identity(namespace)}):
        with contextlib.suppress(OSError):  # it has ended meanwhile
            name = Path(f"/proc/{pid}/comm").read_text(encoding="utf-8", errors="replace").strip()
            for entry in os.scandir(f"/proc/{pid}/fd"):
                with contextlib.suppress(OSError):
                    target = os.readlink(entry.path)
                    if target.startswith("socket:["):
                        found[target[8:-1]] = name
    return found
