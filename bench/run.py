"""`make bench`: what netemu takes, next to the least that the same work takes on this machine, as ratios.

Every ratio is of medians of runs that took turns, so that whatever else the machine does hits both sides alike.
"""

from __future__ import annotations

import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import topology

from netemu.azure.network import resolve
from netemu.compile.lab import compile_lab
from netemu.scenario import read_text

ROUNDS = 7
HERE = Path(__file__).parent


def timed(action: Callable[[], object]) -> float:
    """Milliseconds of wall time."""
    start = time.perf_counter()
    action()
    return (time.perf_counter() - start) * 1000


def run(*argv: str, **options: object) -> subprocess.CompletedProcess[str]:
    """Run a program to its end; its failure is ours."""
    return subprocess.run(argv, check=True, capture_output=True, text=True, **options)  # type: ignore[call-overload, no-any-return]


class Floor:
    """bench/floor.c, and `nft -f` of the very ruleset that netemu loads, in a namespace of its own."""

    def __init__(self, folder: Path, scenario: str) -> None:
        self.program = folder / "floor"
        run("cc", "-O2", "-o", str(self.program), str(HERE / "floor.c"))
        lab = compile_lab(resolve(read_text(scenario, "bench")), str(folder))
        self.rulesets = folder / "rulesets.nft"
        self.rulesets.write_text(lab.namespaces["@fabric"].ruleset)

    def machines(self, count: int) -> float:
        """Milliseconds for the namespaces and links."""
        return float(run(str(self.program), str(count)).stdout)

    def ruleset(self) -> float:
        """Milliseconds of `nft -f`, process included."""
        in_namespace = ("unshare", "--net", "nft", "-f", str(self.rulesets))
        return timed(lambda: run(*in_namespace)) - timed(lambda: run("unshare", "--net", "true"))


def netemu(*argv: str, environment: dict[str, str]) -> None:
    """The command as a person runs it."""
    run(sys.executable, "-m", "netemu", *argv, env=environment)


def row(what: str, ours: list[float], limit: list[float], of: str, allowed: float) -> bool:
    """One line of the table; is the ratio allowed?"""
    mine, least = statistics.median(ours), statistics.median(limit)
    ratio = mine / least if least else float("inf")
    print(f"{what:<44} {mine:9.1f} {least:9.1f}  {ratio:6.2f}  {allowed:6.2f}  {of}")
    return ratio <= allowed


def main() -> None:
    """Print the table; exit 1 when a ratio is over what it may be."""
    if os.geteuid() != 0:
        sys.exit("bench: needs root: namespaces are made")
    fine = True
    print(f"{'what':<44} {'netemu ms':>9} {'limit ms':>9}  {'ratio':>6}  {'may be':>6}  limit")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = {**os.environ, "NETEMU_STATE_DIR": str(folder / "state")}
        environment.pop("PYTHONDONTWRITEBYTECODE", None)  # an installed program has its byte code
        for machines in (100, 1000):
            text = topology.scenario(machines, f"bench{os.getpid()}")
            file = folder / f"{machines}.yaml"
            file.write_text(text)
            floor = Floor(folder, text)
            ups, downs, again, floors = [], [], [], []
            for _ in range(ROUNDS if machines == 100 else 3):
                floors.append(floor.machines(machines) + floor.ruleset())
                ups.append(timed(lambda path=str(file): netemu("up", path, environment=environment)))
                again.append(timed(lambda path=str(file): netemu("up", path, environment=environment)))
                downs.append(timed(lambda: netemu("down", environment=environment)))
            fine &= row(f"up, {machines} VMs with an NSG each, whole command", ups, floors, "floor.c + nft -f", 2.5)
            fine &= row(f"up again, {machines} VMs, nothing to do", again, ups, "the first up", 0.75)
            fine &= row(f"down, {machines} VMs", downs, ups, "up", 1.0)
        bare, help_ = [], []
        for _ in range(ROUNDS):
            bare.append(timed(lambda: run(sys.executable, "-c", "pass")))
            help_.append(timed(lambda: netemu("--help", environment=environment)))
        over = [shown - least for shown, least in zip(help_, bare, strict=True)]
        fine &= row("--help, over a bare Python", over, [150.0], "150 ms", 1.0)
    if not fine:
        sys.exit(1)


if __name__ == "__main__":
    main()
