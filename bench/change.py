"""One rule of a thousand changed in a large lab: from the decision to the kernel."""

from __future__ import annotations

import sys
from pathlib import Path

import topology
from measure import HERE, Netemu, Table, run

ROUNDS = 7
RULES = 1000


def measure(table: Table, netemu: Netemu, folder: Path) -> None:
    """Change a rule to and fro in a lab of 1000 VMs; each time, have nft exchange one rule by hand as well."""
    files = []
    for port in (80, 81):
        file = folder / f"change-{port}.yaml"
        file.write_text(topology.scenario(1000, "bench", RULES, port))
        files.append(str(file))
    netemu("up", files[0])
    ours, by_hand = [], []
    for number in range(ROUNDS):
        program = (sys.executable, str(HERE / "one_change.py"), files[(number + 1) % 2], topology.middle_chain(RULES))
        answer = run(*program, env=netemu.environment).stdout.splitlines()[-1].split()
        ours.append(float(answer[0]))
        by_hand.append(float(answer[1]))
    netemu("down", "bench")
    what = f"one rule of {RULES} changed, 1000 VMs, ms"
    table.row(what, ours, [20.0], "20 ms", most=1)
    table.row(what, ours, by_hand, "one rule exchanged by nft", most=3)
