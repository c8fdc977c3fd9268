"""A sample of the documents, through the command as a person runs it: exit code 0 or 2, and never a traceback."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import documents
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netemu.errors import NetemuError
from netemu.scenario import read_scenario

SAMPLE = max(20, int(os.environ.get("NETEMU_FUZZ", "300")) // 20)
ROOT = Path(__file__).parents[2]
SECONDS = 120.0


def netemu(*args: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "netemu", *args], cwd=cwd, capture_output=True, text=True, timeout=SECONDS,
        env={**os.environ, "PYTHONPATH": str(ROOT)}, stdin=subprocess.DEVNULL, check=False,
    )  # fmt: skip


def sample(directory: Path, count: int) -> list[Path]:
    """Files with documents of every kind."""
    found: list[Path] = []

    @settings(max_examples=count, database=None, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.one_of(documents.from_schema(), documents.mutated_trees(), documents.mutated_texts()))
    def draw(document: str | bytes) -> None:
        file = directory / f"{len(found)}.yaml"
        file.write_bytes(document if isinstance(document, bytes) else document.encode("utf-8", "surrogatepass"))
        found.append(file)

    draw()
    return found


def is_valid(file: Path) -> bool:
    try:
        read_scenario(file)
    except NetemuError:
        return False
    return True


def test_validate_answers_every_document_with_exit_code_0_or_2(tmp_path: Path) -> None:
    files = [*sample(tmp_path, SAMPLE), tmp_path / "good.yaml"]
    files[-1].write_text("name: good\n")
    for file in [*files[:10], files[-1]]:
        done = netemu("validate", str(file), cwd=tmp_path)
        assert done.returncode == (0 if is_valid(file) else 2), (file.read_bytes(), done)
        assert "Traceback" not in done.stderr
        assert (done.returncode == 0) == (done.stderr == ""), done.stderr
        assert all(line.startswith((f"{file}:", f"netemu: {file}:")) for line in done.stderr.splitlines())
    # All of them at once, as data: one answer for each file.
    done = netemu("validate", "-o", "json", *map(str, files), cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == ""
    answers = json.loads(done.stdout)
    assert [(answer["file"], answer["valid"]) for answer in answers] == [(str(file), is_valid(file)) for file in files]


def test_a_file_may_be_called_like_an_option(tmp_path: Path) -> None:
    for name in ("-rf", "--help", "$(id)", "a;reboot", "#", "*", " ", '"', "'", "\\"):
        (tmp_path / name).write_text("name: good\n")
        done = netemu("validate", "--", name, cwd=tmp_path)
        assert (done.returncode, done.stdout) == (0, f"{name}: valid (good: 0 virtual machines)\n"), done
        (tmp_path / name).write_text("nam: bad\n")
        done = netemu("validate", "--", name, cwd=tmp_path)
        assert done.returncode == 2
        assert done.stderr.startswith(f"{name}:1:1: ")
    assert {path.name for path in tmp_path.iterdir()} == {
        "-rf",
        "--help",
        "$(id)",
        "a;reboot",
        "#",
        "*",
        " ",
        '"',
        "'",
        "\\",
    }
