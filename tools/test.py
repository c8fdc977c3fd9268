"""Runs every test: on this machine's kernel what it can, on a full kernel in QEMU what it cannot.

    python tools/test.py [PYTEST ARGUMENTS]

Without arguments, all of tests/. The exit code is 0 when everything passed and nothing was skipped.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import msgspec
from msgspec import Struct

ROOT = Path(__file__).resolve().parent.parent
PYTHON = ROOT / ".venv" / "bin" / "python"
NETEMU = ROOT / ".venv" / "bin" / "netemu"
SHARDS = 2
"""Guests at once, of one processor each: emulation has little use for more."""
TIME_OUT = 900
"""Seconds for a guest; a whole lane takes a fraction of it."""

NOTHING_COLLECTED = 5
"""pytest's exit code, which is right when everything was left."""


class Lane(Struct):
    """What a run of pytest reports; see tests/conftest.py."""

    kernel: str = ""
    passed: int = 0
    failed: int = 0
    skipped: int = 0
    left: dict[str, list[str]] = {}
    status: int = 0


class Children:
    """The processes that run tests, in sessions of their own: a Ctrl-C comes to them once, by us."""

    def __init__(self) -> None:
        self._started: list[subprocess.Popen[str]] = []

    def start(self, argv: list[object], output: int | None = None) -> subprocess.Popen[str]:
        """Start one in the clone."""
        process = subprocess.Popen(
            list(map(str, argv)), cwd=ROOT, text=True, errors="replace", start_new_session=True,
            stdin=subprocess.DEVNULL, stdout=output, stderr=output and subprocess.STDOUT,
        )  # fmt: skip
        self._started.append(process)
        return process

    def __enter__(self) -> Children:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._stop)
        return self

    def __exit__(self, *exception: object) -> None:
        for process in self._started:
            if process.poll() is None:
                process.send_signal(signal.SIGINT)  # for which pytest takes its labs down
        for process in self._started:
            process.wait()

    def _stop(self, number: int, _frame: object) -> None:
        signal.signal(number, signal.SIG_IGN)
        raise SystemExit(128 + number)


def main() -> int:
    """Run both lanes and say what ran where."""
    with tempfile.TemporaryDirectory(prefix="netemu-test-") as directory, Children() as children:
        here = run_here(sys.argv[1:] or ["tests"], Path(directory), children)
        there = run_in_guests(here.left, Path(directory), children) if here.left else []
    print(f"\n{summary(here, there)}")
    return 0 if is_good(here, there) else 1


def run_here(arguments: list[str], directory: Path, children: Children) -> Lane:
    """Run pytest on this kernel; what it leaves is in the answer."""
    report = directory / "here.json"
    status = children.start([PYTHON, "-m", "pytest", f"--lane-report={report}", *arguments]).wait()
    lane = read(report)
    lane.status = 0 if status == NOTHING_COLLECTED and lane.left else status
    return lane


def run_in_guests(left: dict[str, list[str]], directory: Path, children: Children) -> list[Lane]:
    """Run tests on a full kernel, in several guests at once."""
    parts = shared_out(list(left), min(SHARDS, os.cpu_count() or 1))
    print(f"\n{len(left)} of the tests run on a full kernel now; guests in QEMU: {len(parts)}", flush=True)
    # Compiling would take a guest twenty times as long, and what it writes is lost with it.
    children.start([PYTHON, "-m", "compileall", "-q", ROOT / "netemu"]).wait()
    shards = []
    for number, tests in enumerate(parts, 1):
        (directory / f"{number}.tests").write_text("\n".join(tests))
        shards.append(Shard(str(number), directory, children, prefix=f"{number}| " if len(parts) > 1 else ""))
    for shard in shards:
        shard.thread.join()
    return [shard.lane for shard in shards]


def shared_out(tests: list[str], shards: int) -> list[list[str]]:
    """Tests in parts of about the same length; those of one module stay together, as they may share a lab."""
    modules: dict[str, list[str]] = {}
    for test in tests:
        modules.setdefault(test.partition("::")[0], []).append(test)
    parts: list[list[str]] = [[] for _ in range(shards)]
    for module in sorted(modules.values(), key=len, reverse=True):
        min(parts, key=len).extend(module)
    return [part for part in parts if part]


class Shard:
    """One guest with its part of the tests."""

    def __init__(self, name: str, directory: Path, children: Children, prefix: str) -> None:
        self.lane = Lane()
        self._report, self._prefix = directory / f"{name}.json", prefix
        pytest = [PYTHON, "-m", "pytest", "-v", "-p", "no:cacheprovider", "--full-kernel",
                  f"--lane-report={self._report}", f"@{directory / f'{name}.tests'}"]  # fmt: skip
        boot = [NETEMU, "boot", f"--timeout={TIME_OUT}", "--processors=1", f"--writable={directory}", "--"]
        self._process = children.start([*boot, *pytest], subprocess.PIPE)
        self.thread = threading.Thread(target=self._attend, daemon=True)
        self.thread.start()

    def _attend(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            print(f"{self._prefix}{line}", end="", flush=True)
        status = self._process.wait()
        self.lane = read(self._report)
        self.lane.status = status


def read(report: Path) -> Lane:
    """A report; an empty one when pytest did not come to write it."""
    try:
        return msgspec.json.decode(report.read_bytes(), type=Lane)
    except OSError:
        return Lane()


def is_good(here: Lane, there: list[Lane]) -> bool:
    """Did every test run, and pass?"""
    return all(lane.status == 0 and not lane.skipped for lane in [here, *there]) and not missing(here, there)


def missing(here: Lane, there: list[Lane]) -> int:
    """How many tests were left to guests and have no result."""
    return len(here.left) - sum(lane.passed + lane.failed + lane.skipped for lane in there)


def summary(here: Lane, there: list[Lane]) -> str:
    """What ran where."""
    lanes = [here, *there]
    said = [f"{here.passed} passed here"]
    if there:
        kernels = ", ".join(sorted({lane.kernel for lane in there if lane.kernel})) or "none came up"
        said.append(f"{sum(lane.passed for lane in there)} on a full kernel in QEMU ({kernels})")
    for word in ("failed", "skipped"):
        count = sum(getattr(lane, word) for lane in lanes)
        said.append(f"{count or 'none'} {word}")
    if lost := missing(here, there):
        said.append(f"{lost} did not run")
    return ", ".join(said)


if __name__ == "__main__":
    raise SystemExit(main())
