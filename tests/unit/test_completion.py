"""Completion as a shell asks for it, and as bash itself does it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def labs(tmp_path: Path) -> Path:
    """A state directory with two labs; a `netemu` on PATH."""
    (tmp_path / "state").mkdir()
    for lab in ("shop", "office"):
        (tmp_path / "state" / f"{lab}.netemu-lock").touch()  # what says that there is such a lab
    program = tmp_path / "bin" / "netemu"
    program.parent.mkdir()
    program.write_text(f"#!{sys.executable}\nfrom netemu.cli.start import main\nmain()\n")
    program.chmod(0o755)
    return tmp_path


def environment(labs: Path) -> dict[str, str]:
    return {
        **os.environ,
        "NETEMU_STATE_DIR": str(labs / "state"),
        "PYTHONPATH": str(ROOT),
        "PATH": f"{labs}/bin:{os.environ['PATH']}",
    }


def complete(labs: Path, line: str) -> list[str]:
    """What comes after a line, by the protocol of the bash script."""
    words = line.split(" ")
    done = subprocess.run(
        ["netemu"], capture_output=True, text=True, check=False,
        env={**environment(labs), "_NETEMU_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(len(words) - 1)},
    )  # fmt: skip
    assert done.stderr == ""
    return [answer.partition(",")[2] for answer in done.stdout.splitlines() if answer]


@pytest.mark.parametrize(
    ("line", "answers"),
    [
        ("netemu do", ["down", "doctor"]),
        ("netemu down ", ["office", "shop"]),
        ("netemu down s", ["shop"]),
        ("netemu status o", ["office"]),
        ("netemu exec --lab s", ["shop"]),
        ("netemu exec w", []),
        ("netemu doctor -o j", ["json"]),
        ("netemu completion ", ["bash", "zsh", "fish"]),
    ],
)
def test_names_are_completed(labs: Path, line: str, answers: list[str]) -> None:
    assert complete(labs, line) == answers


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_each_shell_has_a_script(labs: Path, shell: str) -> None:
    done = subprocess.run(
        ["netemu", "completion", shell], capture_output=True, text=True, check=True, env=environment(labs)
    )
    assert f"_NETEMU_COMPLETE={shell}_complete" in done.stdout


def test_bash_itself_completes_with_the_script(labs: Path) -> None:
    """Sources the script, calls the function that it registers as readline would, prints COMPREPLY."""
    script = """
        source <(netemu completion bash)
        COMP_WORDS=(netemu exec --lab '') COMP_CWORD=3
        _netemu_completion netemu
        echo "${COMPREPLY[*]}"
        complete -p netemu
    """
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, env=environment(labs))
    replies, registered = done.stdout.splitlines()
    assert replies.split() == ["office", "shop"]
    assert "_netemu_completion netemu" in registered
