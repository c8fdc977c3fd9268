"""The matrix of networks that nobody thought of: every pair, every boundary, and no disagreement."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import random_networks
import yaml

from netemu.lab.down import down
from netemu.lab.source import read_once
from netemu.lab.up import up
from netemu.verify import matrix
from netemu.verify.matrix import Outcome

SEEDS = range(int(os.environ.get("NETEMU_RANDOM_FIRST", "0")), int(os.environ.get("NETEMU_RANDOM_LAST", "12")))


def quiet(*_: object) -> None:
    """Progress of no interest."""


@pytest.fixture(params=SEEDS)
def outcome(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Outcome]:
    monkeypatch.setenv("NETEMU_STATE_DIR", str(tmp_path / "state"))
    file = tmp_path / "scenario.yaml"
    file.write_text(yaml.safe_dump(random_networks.scenario(request.param, f"rmx{os.getpid()}x{request.param}")))
    lab = up(read_once(file), quiet, quiet)
    try:
        _, found = matrix.run(lab.network, {node: lab.folder.namespace(node) for node in lab.folder.nodes()})
        yield found
    finally:
        down(lab.folder, quiet)


def test_every_pair_and_every_boundary_of_a_random_network_agrees(outcome: Outcome) -> None:
    wrong = [
        f"{finding.alike} like {finding.shot.flow} ({finding.shot.question.why})\n  "
        + "\n  ".join([*finding.disagreements, *(step.text for step in finding.shot.verdict.steps)])
        for finding in outcome.findings
    ]
    assert not wrong, "\n\n".join(wrong)
    assert outcome.judged > 0
