"""up, up again, down: next to the least that the same work takes on this machine, and next to Mininet."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import topology
from measure import HERE, Netemu, Table, compiled, run, settle, timed

from netemu.azure.network import resolve
from netemu.compile.lab import compile_lab
from netemu.lab.folder import LabFolder
from netemu.scenario import read_text

ROUNDS = {100: 7, 1000: 5}


class Floor:
    """bench/floor.c, and `nft -f` of the very ruleset that netemu loads, in a namespace of its own."""

    def __init__(self, folder: Path, scenario: str) -> None:
        self.program = compiled("floor", folder)
        lab = compile_lab(resolve(read_text(scenario, "bench")), str(folder))
        self.ruleset_file = folder / "ruleset.nft"
        self.ruleset_file.write_text(lab.namespaces["@fabric"].ruleset)

    def machines(self, count: int) -> tuple[float, float]:
        """Milliseconds for the namespaces and links to come, and to be gone."""
        with subprocess.Popen(
            [str(self.program), str(count), "hold"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None and process.stdin is not None
            up = float(process.stdout.readline())

            def end() -> None:
                assert process.stdin is not None
                process.stdin.close()
                process.wait()
                settle()

            return up, timed(end)

    def ruleset(self) -> float:
        """Milliseconds of `nft -f`, process included."""
        loaded = timed(lambda: run("unshare", "--net", "nft", "-f", str(self.ruleset_file)))
        return loaded - timed(lambda: run("unshare", "--net", "true"))


def measure(table: Table, netemu: Netemu, folder: Path) -> None:
    """The rows of a lab's life."""
    for machines, rounds in ROUNDS.items():
        text = topology.scenario(machines, "bench")
        file = folder / f"{machines}.yaml"
        file.write_text(text)
        floor = Floor(folder, text)
        ups, downs, again, floors, floor_downs, memory = [], [], [], [], [], []
        for number in range(rounds + 1):
            settle()
            came, went = floor.machines(machines)
            ruleset = floor.ruleset()
            settle()
            up = timed(lambda path=str(file): netemu("up", path))
            agent = agent_at_rest("bench")
            second = timed(lambda path=str(file): netemu("up", path))
            used = memory_of(agent)
            down = timed(lambda: (netemu("down", "bench"), settle()))
            if number:  # the first round fills caches: byte code, file systems
                ups.append(up)
                again.append(second)
                downs.append(down)
                floors.append(came + ruleset)
                floor_downs.append(went)
                memory.append(used)
        large = machines == 1000
        what = f"{machines} VMs with an NSG each"
        table.row(f"up, {what}, ms", ups, floors, "floor.c + nft -f", most=1.5 if large else 3)
        table.row(f"up again, {what}, ms", again, ups, "the first up", most=0.1 if large else 0.5)
        table.row(f"down, {what}, ms", downs, floor_downs, "floor.c", most=1.5 if large else 4)
        if large:
            table.row(f"memory of the agent, {machines} VMs, MB", memory, [60.0], "60 MB", most=1)
    _mininet(table, netemu, folder)
    bare, shown = [], []
    for _ in range(7):
        bare.append(timed(lambda: run(sys.executable, "-c", "pass")))
        shown.append(timed(lambda: netemu("--help")))
    over = [all_of_it - least for all_of_it, least in zip(shown, bare, strict=True)]
    table.row("--help, over a bare Python, ms", over, [150.0], "150 ms", most=1)


def agent_at_rest(lab: str) -> int:
    """The process id of a lab's agent, when it has started: Python's start is work, and goes on behind `up`."""
    record = LabFolder(lab).read()
    assert record is not None and record.agent is not None
    pid, worked = record.agent.pid, -1
    while worked != (worked := sum(map(int, Path(f"/proc/{pid}/stat").read_text().split()[13:15]))):
        time.sleep(0.05)
    return pid


def memory_of(pid: int) -> float:
    """Megabytes that a process has to itself: what it shares with others, it does not take."""
    rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:")) / 1024


def _mininet(table: Table, netemu: Netemu, folder: Path) -> None:
    what = "up, 1000 VMs and nothing else, ms"
    python = "/usr/bin/python3"
    if subprocess.run([python, "-c", "import mininet"], check=False, capture_output=True).returncode != 0:
        table.left_out(what, "Mininet is not installed (apt install mininet)")
        return
    star = folder / "star.yaml"
    star.write_text(topology.star(1000, "bench"))
    settle()
    ups = [timed(lambda: netemu("up", str(star)))]
    netemu("down", "bench")
    settle()
    peers = [float(run(python, str(HERE / "mininet_star.py"), "1000").stdout)]
    table.row(what, ups, peers, "Mininet: 1000 hosts on a router", most=0.05)
