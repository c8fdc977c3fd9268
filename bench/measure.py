"""How things are measured, and the table that comes of it."""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from netemu.linux import namespaces as ns
from netemu.linux import rtnetlink
from netemu.linux.observe import RTM_GETLINK
from netemu.linux.rtnetlink import Rtnetlink
from netemu.linux.state import End, Veth

HERE = Path(__file__).parent


def timed(action: Callable[[], object]) -> float:
    """Milliseconds of wall time."""
    start = time.perf_counter()
    action()
    return (time.perf_counter() - start) * 1000


def run(*argv: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; its failure is ours."""
    done = subprocess.run(argv, check=False, capture_output=True, text=True, **options)  # type: ignore[call-overload]
    if done.returncode != 0:
        sys.exit(f"bench: {' '.join(argv)} ended with {done.returncode}: {done.stderr.strip()}")
    return done  # type: ignore[no-any-return]


def compiled(name: str, folder: Path) -> Path:
    """A C program of ours."""
    program = folder / name
    run("cc", "-O2", "-o", str(program), str(HERE / f"{name}.c"))
    return program


class Netemu:
    """The command as a person runs it, with a state of its own."""

    def __init__(self, folder: Path) -> None:
        self.environment = {**os.environ, "NETEMU_STATE_DIR": str(folder / "state"), "PYTHONPATH": str(HERE.parent)}
        self.environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed program has its byte code
        os.environ["NETEMU_STATE_DIR"] = self.environment["NETEMU_STATE_DIR"]  # for what is measured in this process

    def __call__(self, *argv: str) -> str:
        """Run it to its end; what it says."""
        return run(sys.executable, "-m", "netemu", *argv, env=self.environment).stdout

    def start(self, *argv: str) -> subprocess.Popen[str]:
        """Start a command that stays until it is killed, and wait for its first line."""
        return started([sys.executable, "-m", "netemu", *argv], self.environment)


def started(argv: list[str], environment: dict[str, str] | None = None) -> subprocess.Popen[str]:
    """Start a program and wait until it says that it is ready."""
    process = subprocess.Popen(argv, env=environment, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def settle() -> None:
    """Wait until the kernel has cleared namespaces away.

    It does so in the background, one after the other, and what is measured meanwhile is slowed down by it. So one more
    is made to go, whose end is seen in the one that its link leads to.
    """
    home = ns.current()
    ns.unshare(ns.CLONE_NEWNET)
    dying = ns.current()
    ns.unshare(ns.CLONE_NEWNET)
    with Rtnetlink() as witness:
        ends = [End("", f"settle{number}", 2, bytes((2, 0, 0, 0, 0, number))) for number in (1, 2)]
        witness.send([rtnetlink.veth(Veth(*ends), dying)])
        ns.setns(home, ns.CLONE_NEWNET)
        os.close(dying)
        os.close(home)
        while witness.get([(RTM_GETLINK, rtnetlink.link_request(2))]) != [None]:
            time.sleep(0.005)


class Table:
    """Prints a row at a time: what, netemu, limit or peer, ratio, what the ratio may be."""

    def __init__(self) -> None:
        self.fine = True
        print(f"{'what':<50} {'netemu':>9} {'limit':>9}  {'ratio':>6}  {'may be':>7}  limit or peer")

    def row(
        self, what: str, ours: list[float], limit: list[float], of: str, most: float | None = None,
        least: float | None = None,
    ) -> None:  # fmt: skip
        """One row: medians, and whether their ratio is at most, or at least, what it may be."""
        mine, other = statistics.median(ours), statistics.median(limit)
        ratio = mine / other if other else float("inf")
        allowed = f"≤ {most:.2f}" if most is not None else f"≥ {least:.2f}"
        fine = (most is None or ratio <= most) and (least is None or ratio >= least)
        self.fine &= fine
        mark = "" if fine else "   <-- too " + ("much" if most is not None else "little")
        print(f"{what:<50} {mine:9.1f} {other:9.1f}  {ratio:6.2f}  {allowed:>7}  {of}{mark}", flush=True)

    def left_out(self, what: str, why: str) -> None:
        """A row that this machine cannot have."""
        print(f"{what:<50} {'-':>9} {'-':>9}  {'-':>6}  {'-':>7}  {why}", flush=True)
