"""Two lanes: what this machine's kernel lacks is not skipped, but left to `make test`, which runs it on a full kernel.

A test says what it needs by @pytest.mark.kernel_feature("ipvs", "netem"), in the names of netemu.linux.features;
`debian` is a need, too: to be on Debian's own kernel, wherever else it would pass.
"""

from __future__ import annotations

import collections
import json
import platform
from pathlib import Path

import pytest

from netemu.lab.doctor import KERNEL, PRESENT, probe_kernel

DEBIAN = "debian"
LEFT = pytest.StashKey[dict[str, list[str]]]()
"""Tests that were left to the other lane, and what each lacks here."""
OUTCOMES = pytest.StashKey[dict[str, str]]()
"""What became of each test."""
BETTER_FIRST = ["passed", "skipped", "failed"]


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("netemu")
    group.addoption("--full-kernel", action="store_true", help="this is the full kernel: a missing feature is an error")
    group.addoption("--lane-report", type=Path, metavar="FILE", help="write what ran, and what was left, as JSON")


def pytest_configure(config: pytest.Config) -> None:
    config.stash[LEFT] = {}
    config.stash[OUTCOMES] = {}


def present_features() -> set[str]:
    """What this kernel has."""
    found = {name for name, answer in probe_kernel().items() if answer.state == PRESENT}
    return found | ({DEBIAN} if "Debian" in platform.version() else set())


def needs(item: pytest.Item) -> set[str]:
    """What a test needs."""
    names = {str(name) for mark in item.iter_markers("kernel_feature") for name in mark.args}
    unknown = names - set(KERNEL) - {DEBIAN}
    if unknown:
        raise pytest.UsageError(f"{item.nodeid}: no such kernel feature: {', '.join(sorted(unknown))}")
    return names


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    needed = {item.nodeid: needs(item) for item in items}
    if not any(needed.values()):
        return
    present = present_features()
    lacking = {name: sorted(features - present) for name, features in needed.items() if features - present}
    if lacking and config.getoption("--full-kernel"):
        name, features = next(iter(lacking.items()))
        raise pytest.UsageError(f"this kernel lacks {', '.join(features)}, which {name} needs")
    left = [item for item in items if item.nodeid in lacking]
    if left:
        config.stash[LEFT] = lacking
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item.nodeid not in lacking]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> object:
    report = yield
    if report.when == "call" or report.outcome != "passed":
        known = item.config.stash[OUTCOMES]
        known[item.nodeid] = max(known.get(item.nodeid, "passed"), report.outcome, key=BETTER_FIRST.index)
    return report


def pytest_sessionfinish(session: pytest.Session) -> None:
    file = session.config.getoption("--lane-report")
    if file is not None:
        counts = collections.Counter(session.config.stash[OUTCOMES].values())
        file.write_text(json.dumps({"kernel": platform.release(), **counts, "left": session.config.stash[LEFT]}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    left = config.stash[LEFT]
    if left:
        features = sorted({feature for lacking in left.values() for feature in lacking})
        tests = "1 test needs" if len(left) == 1 else f"{len(left)} tests need"
        terminalreporter.write_line(
            f"{tests} what this kernel lacks ({', '.join(features)}): tools/test.py runs them on a full one, too"
        )
