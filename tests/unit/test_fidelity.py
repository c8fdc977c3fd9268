"""The page of Azure's rules: a level without a test is seen, and so is a reason that no longer holds."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))

from fidelity import ROOT, RULES, Mark, Rule, Section, page, problems, read_marks, read_rules

VERDICT = Mark("tests/unit/azure/test_x.py::test_it", 1, "RT-1")
PACKETS = Mark("tests/kernel/test_x.py::test_it", 1, "RT-1")


def section(*, both: bool = True, **reasons: str) -> list[Section]:
    return [Section("Routes", (Rule("RT-1", "A rule", **reasons),), both)]


@pytest.mark.parametrize(
    ("reasons", "marks", "words"),
    [
        ({}, [VERDICT, PACKETS], None),
        ({}, [VERDICT], "RT-1 has neither a packet test nor a reason why not"),
        ({}, [PACKETS], "RT-1 has neither a verdict test nor a reason why not"),
        ({"no_packets": "never any"}, [VERDICT], None),
        ({"no_verdict": "never any"}, [PACKETS], None),
        ({"not_yet": "needs gateways"}, [VERDICT], None),
        ({"not_yet": "needs gateways"}, [], None),
        ({"not_yet": "needs gateways"}, [VERDICT, PACKETS], "not_yet (needs gateways) is no longer true"),
        ({"no_packets": "never any"}, [VERDICT, PACKETS], "there is nothing to test at"),
        ({}, [VERDICT, PACKETS, Mark("tests/unit/test_y.py::test_it", 7, "RT-99")], "(line 7) names RT-99"),
    ],
)
def test_gaps_are_found(reasons: dict[str, str], marks: list[Mark], words: str | None) -> None:
    found = list(problems(section(**reasons), marks))
    assert found == [] if words is None else words in "\n".join(found)


def test_every_rule_has_tests_or_reasons_and_every_test_names_a_rule() -> None:
    assert list(problems(read_rules(RULES), list(read_marks(ROOT)))) == []


def test_other_sections_need_a_test_or_a_reason() -> None:
    assert list(problems(section(both=False), [VERDICT])) == []
    assert list(problems(section(both=False), [])) == ["RT-1 has neither a test nor a reason why not (not_yet)"]


def test_the_page_shows_both_levels_and_what_stands_for_a_gap() -> None:
    text = page(section(no_packets="never any"), [VERDICT])
    assert "| RT-1 | A rule | `tests/unit/azure/test_x.py::test_it` | *never any* |" in text
    assert "## Routes, at both levels" in text
    assert "1 rules: 0 proved at both levels, 1 at one, 0 not yet." in text
    assert "| RT-1 | A rule | – | `tests/kernel/test_x.py::test_it` |" in page(section(), [PACKETS])
