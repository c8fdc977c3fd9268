"""The fuzzer: whatever is in a file, the reader answers soon, with a scenario or with problems, and nothing else."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import documents
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from judge import Tally, judge

DOCUMENTS = int(os.environ.get("NETEMU_FUZZ", "300"))
"""In all; `make fuzz` sets 10,000."""

FUZZ = settings(deadline=None, database=None, print_blob=True, suppress_health_check=list(HealthCheck))
"""Documents are large on purpose, and each has a time limit of its own."""


def fuzz(source: st.SearchStrategy[Any], count: int, directory: Path) -> Tally:
    """Judge so many documents."""
    tally = Tally()
    file = directory / "lab.yaml"

    @settings(FUZZ, max_examples=count)
    @given(source)
    def each(document: str | bytes) -> None:
        judge(document if isinstance(document, bytes) else document.encode("utf-8", "surrogatepass"), file, tally)

    each()
    return tally


@pytest.mark.parametrize("kind", ["from_schema", "mutated_trees", "mutated_texts"])
def test_every_document_is_answered_with_a_scenario_or_with_problems(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tally = fuzz(getattr(documents, kind)(), DOCUMENTS // 3 + 1, tmp_path)
    with capsys.disabled():
        sys.stdout.write(f"\n{kind}: {tally}\n")
    assert tally.answers["refused"] > 0
    # A generator whose documents are all alike proves nothing.
    assert tally.answers["valid"] > 0
