"""What must be true of every document, whatever is in it: a scenario or problems, soon, and nothing else.

What passes must be what all the rest of the program can work with; so it is resolved, compiled, drawn and judged, too.
"""

from __future__ import annotations

import re
import signal
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from xml.etree import ElementTree

from netemu.azure.flow import flow_of
from netemu.azure.network import resolve
from netemu.azure.resources import Scenario
from netemu.azure.verdict import Engine
from netemu.compile.lab import compile_lab
from netemu.draw import draw
from netemu.errors import PersonError, ScenarioError
from netemu.linux.state import Lab
from netemu.scenario import codes, read_scenario

LONGEST = 10.0
"""Seconds that one document may take, on a busy machine; most take milliseconds."""

CODES = {value for name, value in vars(codes).items() if name.isupper()}
"""Every code that a problem may have."""

DNS_LINE = re.compile(r'[a-z-]+:| [a-z0-9-]+: (?:"[^"\\\s]*"|[^"\s]+)(?: [a-z_]+)?', re.ASCII)
ZONE_LINE = re.compile(r"\$ORIGIN \S*\.|[^\s$;()\"]+ [0-9]+ IN [A-Z]+ [ -~]+", re.ASCII)
HOSTS_LINE = re.compile(r"[0-9.]+(?: [A-Za-z0-9.-]+)+", re.ASCII)
RESOLVER_LINE = re.compile(r"search [a-z0-9.]+|nameserver [0-9.]+|# no DNS on the lab's internet; see hosts", re.ASCII)
NODE = re.compile(r"(?:@[a-z]+(?:\.[A-Za-z0-9][A-Za-z0-9._-]*)?|[A-Za-z0-9][A-Za-z0-9._-]*)", re.ASCII)
DAEMON_FILE = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._@-]*", re.ASCII)

LINE_END = re.compile("\r\n|[\r\n\x85\u2028\u2029]")


class Hang(BaseException):
    """A document took too long. No Exception, so that nothing on the way can swallow it."""


class Tally:
    """What became of the documents of one run."""

    def __init__(self) -> None:
        self.answers: Counter[str] = Counter()
        self.slowest = 0.0

    def __str__(self) -> str:
        answers = ", ".join(f"{count} {answer}" for answer, count in self.answers.most_common())
        return f"{self.answers.total()} documents: {answers}; slowest {self.slowest:.2f} s"


def judge(content: bytes, file: Path, tally: Tally) -> bool:
    """Give a document to the reader; is it valid? Raises when anything but an answer comes out."""
    file.write_bytes(content)
    start = time.perf_counter()
    with limited():
        try:
            scenario = read_scenario(file)
        except ScenarioError as error:
            _problems(error, file, content)
            answer = "refused"
        except PersonError as error:
            assert str(error).isprintable(), error
            assert str(error).startswith(f"{file}:"), error
            answer = "unreadable"
        else:
            everything_else_works(scenario)
            answer = "valid"
    tally.slowest = max(tally.slowest, time.perf_counter() - start)
    tally.answers[answer] += 1
    return answer == "valid"


@contextmanager
def limited(seconds: float = LONGEST) -> Iterator[None]:
    """End what takes longer."""

    def ring(_number: int, _frame: FrameType | None) -> None:
        raise Hang(f"more than {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _problems(error: ScenarioError, file: Path, content: bytes) -> None:
    assert error.problems
    lines = len(LINE_END.split(content.decode("utf-8-sig")))
    for problem in error.problems:
        assert str(problem).isprintable(), problem
        assert problem.file == str(file)
        assert 1 <= problem.line <= lines, problem
        assert problem.column >= 1
        assert problem.code in CODES, problem
        assert len(str(problem)) < 4000


def everything_else_works(scenario: Scenario) -> None:
    """Resolve, compile, draw and judge a scenario that the reader has passed."""
    network = resolve(scenario)
    well_formed(compile_lab(network, "/lab"))
    for form in ("svg", "mermaid", "dot"):
        picture = draw(network, form)
        if form == "svg":
            ElementTree.fromstring(picture)
    engine = Engine(network)
    for expectation in scenario.expect:
        if expectation.resolvesTo is None:
            engine.judge(flow_of(network, expectation))


def well_formed(lab: Lab) -> None:
    """Every file of a lab has only lines of the kinds that we write, and no name leads out of its folder."""
    for namespace in lab.namespaces.values():
        assert NODE.fullmatch(namespace.name), namespace.name
        for name, content in namespace.files.items():
            assert name in ("hosts", "resolv.conf")
            pattern = HOSTS_LINE if name == "hosts" else RESOLVER_LINE
            assert all(pattern.fullmatch(line) for line in content.splitlines()), content
        for name, content in namespace.daemon_files.items():
            assert all(DAEMON_FILE.fullmatch(part) for part in name.split("/")), name
            pattern = DNS_LINE if name.endswith(".conf") and "/" not in name else ZONE_LINE
            assert all(pattern.fullmatch(line) for line in content.splitlines()), content
        for program in namespace.programs:
            assert NODE.fullmatch(program.name.replace("+", "-")), program.name
        for key in namespace.settings:
            assert ".." not in key and not key.startswith("/"), key
        balanced = namespace.ruleset
        assert balanced.count("{") == balanced.count("}")
        assert all(line.count('"') % 2 == 0 for line in balanced.splitlines())
