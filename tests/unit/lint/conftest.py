"""Lets the tests of this directory look at scenarios that are written down in them."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from netemu.lint import Outcome, lint
from netemu.scenario import read_document

sys.path.insert(0, str(Path(__file__).parents[1] / "azure"))


@pytest.fixture
def look(tmp_path: Path) -> Callable[[str], Outcome]:
    """Lint a scenario without its name."""

    def look(text: str) -> Outcome:
        file = tmp_path / "lab.yaml"
        file.write_text(f"name: lab\n{text}", encoding="utf-8")
        return lint(read_document(file))

    return look
