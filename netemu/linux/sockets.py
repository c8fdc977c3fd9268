"""What listens in a namespace (proc_net_tcp in the kernel's documentation)."""

from __future__ import annotations

from pathlib import Path

from netemu.linux.namespaces import entered

LISTEN, UNCONNECTED = "0A", "07"
"""TCP_LISTEN, and TCP_CLOSE, which is what a bound UDP socket is in."""


def is_listening(namespace: Path, port: int, *, udp: bool = False) -> bool:
    """Does any program take what comes to a port?"""
    wanted = f":{port:04X}", UNCONNECTED if udp else LISTEN
    kind = "udp" if udp else "tcp"
    with entered(namespace):
        tables = [Path(f"/proc/thread-self/net/{kind}{version}") for version in ("", "6")]
        rows = [row.split() for table in tables if table.exists() for row in table.read_text().splitlines()[1:]]
    return any(row[1].endswith(wanted[0]) and row[3] == wanted[1] for row in rows)
