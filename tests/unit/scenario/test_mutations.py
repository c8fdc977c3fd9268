"""Random changes to a valid scenario: the reader answers with a scenario or with problems, and with nothing else."""

from __future__ import annotations

import time

from hypothesis import given, settings
from hypothesis import strategies as st

from netemu.azure.network import resolve
from netemu.errors import ScenarioError
from netemu.scenario import read_text

PIECES = (
    "", " ", "\n", "\t", ":", "- ", "? ", "{", "}", "[", "]", ",", "&a ", "*a", "<<: ", "!!str ",
    "'", '"', "|", "#", "---\n",
    "null", "~", "true", "0", "-1", "65536", "99999999999999999999", "10.0.1.4", "10.0.1.4/24",
    "0.0.0.0/0", "fd00::/64", "../x", "-rf", "a;b", "{}", "$(reboot)", "\x00", "\u202e", "ü", "\ud800",
    "web1", "db1-nic", "shop-vnet/web", "@edge",
)  # fmt: skip


def check(text: str) -> None:
    start = time.perf_counter()
    try:
        scenario = read_text(text, "lab.yaml")
    except ScenarioError as error:
        assert error.problems
        for problem in error.problems:
            assert str(problem).isprintable()
            assert problem.line >= 1
            assert problem.column >= 1
            assert problem.code
    else:
        # Whatever passes must be what the rest of the program can work with.
        resolve(scenario)
    assert time.perf_counter() - start < 2


@settings(max_examples=600, deadline=None)
@given(data=st.data())
def test_pieces_put_anywhere(golden: str, data: st.DataObject) -> None:
    text = golden
    for _ in range(data.draw(st.integers(1, 3))):
        start = data.draw(st.integers(0, len(text)))
        length = data.draw(st.integers(0, 30))
        text = text[:start] + data.draw(st.sampled_from(PIECES)) + text[start + length :]
    check(text)


@settings(max_examples=600, deadline=None)
@given(data=st.data())
def test_words_replaced_by_words(golden: str, data: st.DataObject) -> None:
    words = (
        golden.replace("{", "{ ").replace("}", " }").replace(",", " ,").replace("[", "[ ").replace("]", " ]").split(" ")
    )
    values = [word for word in words if word.strip("{}[], \n")]
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(words) - 1))
        words[at] = data.draw(st.sampled_from([*values, *PIECES]))
    check(" ".join(words))


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_lines_removed_repeated_and_moved(golden: str, data: st.DataObject) -> None:
    lines = golden.splitlines(keepends=True)
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(lines) - 1))
        line = lines.pop(at)
        for _ in range(data.draw(st.integers(0, 2))):
            lines.insert(data.draw(st.integers(0, len(lines))), line)
    check("".join(lines))


@settings(max_examples=300, deadline=None)
@given(text=st.text(max_size=200))
def test_any_text(text: str) -> None:
    check(text)
    check("name: " + text)
