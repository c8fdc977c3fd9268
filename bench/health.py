"""Health probes: what it takes to ask a thousand backends, and how soon a failure has its effect."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import time
from pathlib import Path

from measure import HERE, Netemu, Table

from netemu.lab.folder import LabFolder

BACKENDS = 1000
INTERVAL = 5
THRESHOLD = 2
FAILURES = 7
SLACK = 0.2
"""Seconds beyond interval × threshold."""
WINDOW = 3 * INTERVAL
SHARE = 10.0
"""Percent of one core that the agent may take."""


def scenario() -> str:
    """One internal load balancer in front of all."""
    names = [f"web{number}" for number in range(BACKENDS)]
    machines = "\n".join(f"  {name}: {{subnet: net/web}}" for name in names)
    return f"""name: bench
virtualNetworks: {{net: {{addressSpace: 10.0.0.0/8, subnets: {{web: {{addressPrefix: 10.1.0.0/16}}}}}}}}
loadBalancers:
  lb:
    frontendIPConfigurations: {{inner: {{subnet: net/web}}}}
    backendAddressPools: {{web: [{", ".join(names)}]}}
    probes: {{tcp: {{protocol: Tcp, port: 80, intervalInSeconds: {INTERVAL}, probeThreshold: {THRESHOLD}}}}}
    loadBalancingRules:
      web: {{frontendIPConfiguration: inner, backendAddressPool: web, probe: tcp, protocol: Tcp,
             frontendPort: 80, backendPort: 80}}
virtualMachines:
{machines}
"""


def measure(table: Table, netemu: Netemu, folder: Path) -> None:
    """Let an agent ask a thousand backends that all answer; then let some of them fail."""
    file = folder / "health.yaml"
    file.write_text(scenario())
    netemu("up", str(file))
    lab = LabFolder("bench")
    argv = [sys.executable, str(HERE / "answers.py"), str(lab.namespaces), "web", "80"]
    answers = subprocess.Popen(argv, env=netemu.environment, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    try:
        assert answers.stdout is not None and answers.stdin is not None
        answers.stdout.readline()
        while lab.health().down or not (lab.path / "probed.json").exists():
            time.sleep(0.1)
        record = lab.read()
        assert record is not None and record.agent is not None
        share = _processor_share(record.agent.pid)
        what = f"{BACKENDS} backends asked every {INTERVAL} s, % of a core"
        table.row(what, [share], [SHARE], "10 % of a core", most=1)
        taken = []
        for name in random.sample([f"web{number}" for number in range(BACKENDS)], FAILURES):
            answers.stdin.write(f"{name}\n")
            answers.stdin.flush()
            answers.stdout.readline()
            start = time.monotonic()
            while not any(member.startswith(f"{name}-nic/") for _, member in lab.health().sick()):
                time.sleep(0.002)
            taken.append(time.monotonic() - start)
        limit = INTERVAL * THRESHOLD + SLACK
        what = "a backend fails until no new flow goes there, s"
        table.row(what, [max(taken)], [limit], f"interval × {THRESHOLD} + 200 ms; the slowest of {FAILURES}", most=1)
    finally:
        answers.kill()
        answers.wait()
    netemu("down", "bench")


def _processor_share(pid: int) -> float:
    """Percent of one core that a process takes, over several rounds."""
    before, start = _seconds(pid), time.monotonic()
    time.sleep(WINDOW)
    return (_seconds(pid) - before) / (time.monotonic() - start) * 100


def _seconds(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
