"""Fixtures for tests of networks. pytest finds this by itself; nothing of netemu is imported before a fixture is used.

    @pytest.mark.netemu("shop.yaml")
    def test_only_the_application_speaks_to_the_database(lab):
        assert not lab.reaches("web1", "db1", port=5432)

A test that fails tells what it has asked of its labs, and why the answers were as they were.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from netemu.api import Lab

SESSION, TEST = "session", "test"
TOLD = 3
"""Answers that a failed test tells in full."""
OPTION = "netemu_scenario"
_asked = pytest.StashKey[list["tuple[Lab, int]"]]()
"""The labs of a test, and how many questions they had been asked before it."""


def pytest_addoption(parser: pytest.Parser) -> None:
    """The scenario of tests that have no mark."""
    parser.addini(OPTION, "Scenario file of the fixture `lab`, from the directory of this file on.")


def pytest_configure(config: pytest.Config) -> None:
    """Explain the mark."""
    config.addinivalue_line(
        "markers",
        'netemu(scenario, scope="session"): what the fixture `lab` brings up, from the directory of the test on; with'
        ' scope="test" it is brought up for this test alone.',
    )


@pytest.fixture(scope="session")
def netemu_session(request: pytest.FixtureRequest) -> Iterator[Callable[..., Lab]]:
    """Bring labs up for the whole session: `netemu_session("shop.yaml")` gives the same lab each time.

    A relative path counts from pytest's root directory; a text with a line break is a scenario itself.
    """
    yield from _labs(request.config.rootpath, shared=True)


@pytest.fixture
def netemu_lab(request: pytest.FixtureRequest) -> Iterator[Callable[..., Lab]]:
    """Bring labs up for one test: `netemu_lab("shop.yaml")` gives a new one each time.

    A relative path counts from the directory of the test; a text with a line break is a scenario itself.
    """
    for build in _labs(request.path.parent, shared=False):

        def bring_up(scenario: str | Path, build: Callable[..., Lab] = build) -> Lab:
            lab = build(scenario)
            _remember(request.node, lab)
            return lab

        yield bring_up


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Lab:
    """The lab of the test's mark `netemu`, or of the ini option `netemu_scenario`."""
    mark = request.node.get_closest_marker("netemu")
    if mark is not None:
        scenario, scope = _of_mark(*mark.args, **mark.kwargs)
        scenario = _from(request.path.parent, scenario)
    else:
        written = str(request.config.getini(OPTION))
        if not written:
            raise pytest.UsageError(
                f"{request.node.nodeid}: the fixture `lab` needs a scenario: mark the test with "
                f'@pytest.mark.netemu("FILE"), or set {OPTION} in pytest\'s ini file'
            )
        home = request.config.inipath.parent if request.config.inipath is not None else request.config.rootpath
        scenario, scope = _from(home, written), SESSION
    build: Callable[..., Lab] = request.getfixturevalue("netemu_session" if scope == SESSION else "netemu_lab")
    found = build(scenario)
    if scope == SESSION:
        _remember(request.node, found)
    return found


def _of_mark(scenario: str | Path, scope: str = SESSION) -> tuple[str | Path, str]:
    if scope not in (SESSION, TEST):
        raise pytest.UsageError(f'the mark netemu has scope={scope!r}; say "{SESSION}" or "{TEST}"')
    return scenario, scope


def _from(directory: Path, scenario: str | Path) -> str | Path:
    return scenario if isinstance(scenario, str) and "\n" in scenario else directory / scenario


def _labs(directory: Path, *, shared: bool) -> Iterator[Callable[..., Lab]]:
    """Something that brings labs up, and takes all of them down in the end, whatever happens."""
    from netemu.api import Lab

    with ExitStack() as stack:
        known: dict[str | Path, Lab] = {}

        def build(scenario: str | Path) -> Lab:
            scenario = _from(directory, scenario)
            if not shared:
                return stack.enter_context(Lab(scenario))
            if scenario not in known:
                known[scenario] = stack.enter_context(Lab(scenario))
            return known[scenario]

        yield build


# ---- what a failed test tells ----------------------------------------------------------------------------------------


def _remember(item: Any, lab: Lab) -> None:
    item.stash.setdefault(_asked, []).append((lab, lab.questions))


@pytest.hookimpl(wrapper=True)
def pytest_pyfunc_call(pyfuncitem: pytest.Function) -> Iterator[None]:
    """Note the labs of fixtures that the person has written."""
    if "netemu.api" in sys.modules:
        from netemu.api import Lab

        known = [lab for lab, _ in pyfuncitem.stash.setdefault(_asked, [])]
        for value in pyfuncitem.funcargs.values():
            if isinstance(value, Lab) and value not in known:
                _remember(pyfuncitem, value)
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """Tell of a failed test what it has asked."""
    report = yield
    if call.when == "call" and report.failed:  # type: ignore[attr-defined]  # what the hooks inside give
        for lab, before in item.stash.get(_asked, []):
            number = lab.questions - before
            if number:
                answers = lab.asked[-min(number, TOLD) :]
                text = "\n\n".join([*map(str, answers), *_explained(lab, answers[-1])])
                report.sections.append((f"the last that was asked of lab {lab.name}", text))  # type: ignore[attr-defined]
    return report


def _explained(lab: Lab, answer: object) -> Iterator[str]:
    """What would change a flow that does not work."""
    from netemu.api import Reach
    from netemu.errors import NetemuError

    if isinstance(answer, Reach) and not answer:
        with suppress(NetemuError):  # the lab may be gone by now
            yield lab.explain(
                answer.source, answer.to, port=answer.port, protocol=answer.protocol, source_port=answer.sourcePort
            )
