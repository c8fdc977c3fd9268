"""What answers amount to: thresholds in both directions, and members that have just been added."""

from __future__ import annotations

import pytest

from netemu.agent.tally import Tally
from netemu.lab.probing import START_PATIENCE


def heard(tally: Tally, answers: str, now: float = 0.0) -> str:
    """The states after each answer: + is a success, - a failure; told by their first letters."""
    letters = ""
    for answer in answers:
        tally.hear(answer == "+", now)
        letters += (tally.state or "?")[0]
    return letters


@pytest.mark.azure("LB-29")
@pytest.mark.parametrize(
    ("fall", "rise", "answers", "states"),
    [
        (1, 1, "-+-", "dud"),
        (2, 1, "-+--+", "uuudu"),
        (3, 3, "--+---++-+++", "uuuuudddddd" + "u"),
        (2, 2, "-+-+-+", "uuuuuu"),
    ],
)
def test_so_many_failures_or_successes_in_a_row_change_the_state_and_no_fewer(fall, rise, answers, states):
    tally = Tally(fall, rise, "up")
    assert heard(tally, answers) == states


@pytest.mark.azure("LB-29")
def test_a_new_member_is_up_after_one_success_whatever_the_threshold():
    assert heard(Tally(3, 3), "+") == "u"
    assert heard(Tally(3, 3), "--+") == "ssu"


def test_a_new_member_that_fails_is_out_at_once_and_down_when_it_has_had_time_to_start():
    tally = Tally(5, 2, added=10.0)
    assert tally.hear(False, now=10.0)
    assert tally.state == "starting"
    assert not tally.hear(False, now=10.0 + START_PATIENCE - 0.01)
    assert tally.hear(False, now=10.0 + START_PATIENCE)
    assert heard(tally, "+-++") == "dddu", "then it is like all others"


def test_a_new_member_is_asked_again_soon_but_never_later_than_all_others():
    tally = Tally(1, 1)
    tally.hear(False, 0.0)
    assert [tally.pause(0.5) for _ in range(5)] == [0.1, 0.2, 0.4, 0.5, 0.5]
    tally.hear(True, 1.0)
    assert tally.pause(0.5) is None


def test_only_a_change_is_news():
    tally = Tally(2, 1)
    assert [tally.hear(answer, 0.0) for answer in (True, True, False, False, False, True)] == [
        True, False, False, True, False, True,
    ]  # fmt: skip
