"""Completion of machines, which are those of a lab that is up: asked by the shell's protocol, and by bash itself."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import Lab

ROOT = Path(__file__).parents[2]
NETWORK = """
virtualNetworks:
  net: {addressSpace: 10.0.0.0/16, subnets: {front: {addressPrefix: 10.0.1.0/24}}}
virtualMachines:
  web1: {subnet: net/front}
  web2: {subnet: net/front}
  app1: {subnet: net/front}
"""


@pytest.fixture(scope="module")
def lab(laboratory: Callable[[str], Lab]) -> Lab:
    return laboratory(NETWORK)


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """With a `netemu` on PATH."""
    program = tmp_path / "netemu"
    program.write_text(f"#!{sys.executable}\nfrom netemu.cli.start import main\nmain()\n")
    program.chmod(0o755)
    return {**os.environ, "PYTHONPATH": str(ROOT), "PATH": f"{tmp_path}:{os.environ['PATH']}"}


@pytest.mark.parametrize(
    ("line", "answers"),
    [
        ("netemu exec --lab LAB w", ["web1", "web2"]),
        ("netemu capture --lab LAB ", ["app1", "web1", "web2"]),
        ("netemu shell --lab LAB @f", ["@fabric"]),
        ("netemu exec --lab LAB x", []),
        ("netemu exec --lab nosuch w", []),
    ],
)
def test_machines_of_the_lab_are_completed(
    lab: Lab, environment: dict[str, str], line: str, answers: list[str]
) -> None:
    line = line.replace("LAB", lab.name)
    asked = {"_NETEMU_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    done = subprocess.run(["netemu"], capture_output=True, text=True, check=False, env=environment | asked)
    assert done.stderr == ""
    assert [answer.partition(",")[2] for answer in done.stdout.splitlines() if answer] == answers


def test_bash_itself_completes_a_machine(lab: Lab, environment: dict[str, str]) -> None:
    """Sources the script, calls the function that it registers as readline would, prints COMPREPLY."""
    script = f"""
        source <(netemu completion bash)
        COMP_WORDS=(netemu exec --lab {lab.name} web) COMP_CWORD=4
        _netemu_completion netemu
        echo "${{COMPREPLY[*]}}"
        complete -p netemu
    """
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, env=environment)
    replies, registered = done.stdout.splitlines()
    assert replies.split() == ["web1", "web2"]
    assert "_netemu_completion netemu" in registered
