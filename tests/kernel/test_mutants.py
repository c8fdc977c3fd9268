"""The matrix finds mistakes in the compiler. All that are known take `make mutants`; here are some of every kind."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "mutation"))

import run
from mutants import MUTANTS

SOME = MUTANTS[::10]


def test_every_mutant_changes_the_compiler_as_it_is() -> None:
    for mutant in MUTANTS:
        module = run.PACKAGE / "compile" / f"{mutant.module}.py"
        assert run.broken(mutant, module.read_text()) != module.read_text()
    assert len(MUTANTS) >= 40


def test_the_arena_agrees_with_the_compiler_and_with_no_mutant_of_it() -> None:
    for mutant, count, first in run.run([None, *SOME]):
        if mutant is None:
            assert count == 0, first
        else:
            assert count > 0, f"{mutant.name}: {first}"
