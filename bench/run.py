"""`make bench`: what netemu takes, next to the least that the same work takes on this machine, or to a peer.

Every ratio is of medians of runs that took turns, so that whatever else the machine does hits both sides alike. Names
of namespaces lie on a tmpfs on both sides, as /run does on most machines.
"""

from __future__ import annotations

import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import balancing
import change
import health
import life
import traffic
from measure import Netemu, Table, run

from netemu.linux import namespaces as ns

PARTS = {
    "life": life.measure, "change": change.measure, "traffic": traffic.measure, "balancing": balancing.measure,
    "health": health.measure,
}  # fmt: skip


@contextmanager
def names_in_memory() -> Iterator[None]:
    """A mount namespace of our own, with a tmpfs where the names of namespaces go."""
    made = [path for path in (Path("/run/netns"), Path("/etc/netns")) if not path.exists()]
    ns.unshare(ns.CLONE_NEWNS)
    ns.mount(None, "/", None, ns.MS_REC | ns.MS_PRIVATE)
    try:
        for path in ("/run/netns", "/etc/netns"):
            Path(path).mkdir(exist_ok=True)
            ns.mount("bench", path, "tmpfs", 0)
        yield
    finally:
        for path in made:
            ns.unmount(str(path))
            path.rmdir()


def main(chosen: list[str]) -> None:
    """Print the table, or the parts of it that are asked for; exit 1 when a ratio is not what it may be."""
    if os.geteuid() != 0:
        sys.exit("bench: needs root: namespaces are made")
    if unknown := set(chosen) - set(PARTS):
        sys.exit(f"bench: no part is called {', '.join(sorted(unknown))}; these are: {', '.join(PARTS)}")
    table = Table()
    with names_in_memory(), tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        ns.mount("bench", name, "tmpfs", 0)
        try:
            netemu = Netemu(folder)
            for part in chosen or PARTS:
                try:
                    PARTS[part](table, netemu, folder)
                finally:
                    run(sys.executable, "-m", "netemu", "down", "--all", env=netemu.environment)
        finally:
            ns.unmount(name)
    if not table.fine:
        sys.exit(1)


if __name__ == "__main__":
    main(sys.argv[1:])
