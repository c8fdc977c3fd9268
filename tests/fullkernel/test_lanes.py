"""The two lanes of `make test`: what this kernel lacks runs on the full one, and every result counts once."""

from __future__ import annotations

import os
import shutil
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

CLONE = Path(__file__).parents[2]
PATIENCE = 600
WITHOUT = """
from netemu.lab import doctor
from netemu.linux.features import Answer

doctor.probe_kernel = lambda: dict.fromkeys(doctor.KERNEL, Answer("present")) | {{"ipvs": Answer({state!r})}}
"""
HERE = "def test_here(): pass\n"
FIRST = """
import pathlib, pytest

@pytest.mark.kernel_feature("ipvs")
@pytest.mark.parametrize("word", ["plain", "with space", "ünïcode", "a/b::c[d]"])
def test_there(word): assert "Debian" in pathlib.Path("/proc/version").read_text()

@pytest.mark.kernel_feature("veth")
def test_nothing_lacks(): pass
"""
SECOND = """
import pytest

pytestmark = pytest.mark.kernel_feature("ipvs", "netem")

@pytest.fixture
def broken():
    yield
    raise OSError("no end")

def test_fails_there(broken): assert 1 == 2
def test_is_skipped_there(): pytest.skip("not today")
def test_passes_there(): pass
"""


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A clone with tests of its own, on a kernel that has all but IPVS."""
    for name in ("tools/test.py", "tests/conftest.py", "pyproject.toml"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(CLONE / name, tmp_path / name)
    (tmp_path / ".venv").symlink_to(CLONE / ".venv")
    lacks(tmp_path, "missing")
    return tmp_path


def lacks(clone: Path, state: str) -> None:
    """Let this kernel's IPVS be in a state; the guest's is what it is."""
    text = f"import platform\nif 'Debian' not in platform.version() or {state!r} == 'present':\n"
    conftest = (CLONE / "tests/conftest.py").read_text()
    head, _, rest = conftest.partition("from netemu.lab.doctor import")
    patch = "".join(f"    {line}\n" for line in WITHOUT.format(state=state).strip().splitlines())
    (clone / "tests/conftest.py").write_text(f"{head}{text}{patch}\nfrom netemu.lab.doctor import{rest}")


def start(clone: Path, **tests: str) -> subprocess.Popen[str]:
    """Run tests in their lanes."""
    for name, text in tests.items():
        (clone / f"tests/test_{name}.py").write_text(text)
    temporary = clone / "temporary"
    temporary.mkdir(exist_ok=True)
    return subprocess.Popen(
        [sys.executable, clone / "tools/test.py"], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        env={**os.environ, "TMPDIR": str(temporary)},
    )  # fmt: skip


def run(clone: Path, **tests: str) -> tuple[int, str]:
    """The exit code and what was said; nothing may be left."""
    process = start(clone, **tests)
    said, _ = process.communicate(timeout=PATIENCE)
    assert [path for path in (clone / "temporary").iterdir() if not path.name.startswith("pytest-of-")] == []
    return process.returncode, said


def play(clone: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """Let QEMU be a program in Python that does what a text says, with the sockets in `wires`."""
    head = (CLONE / "tests/unit/guest/playing.py").read_text().partition('PLAYER = f"""')[2].partition('"""')[0]
    program = clone / "programs" / "qemu-system-x86_64"
    program.parent.mkdir()
    program.write_text(eval(f'f"""{head}"""') + text)
    program.chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", str(program.parent), prepend=":")


def test_what_this_kernel_lacks_runs_on_the_full_one_and_is_counted(clone: Path) -> None:
    code, said = run(clone, here=HERE, first=FIRST, second=SECOND)
    lines = said.splitlines()
    assert any("7 tests need what this kernel lacks (ipvs)" in line for line in lines)
    assert "7 of the tests run on a full kernel now; guests in QEMU: 2" in lines
    summary = lines[-1]
    assert summary.startswith("2 passed here, 5 on a full kernel in QEMU (")
    assert summary.endswith("), 1 failed, 1 skipped")
    assert code == 1
    assert sum(line.startswith("1| tests/test_first.py::test_there[") and "PASSED" in line for line in lines) == 4
    assert any(line.startswith("2| E ") and "assert 1 == 2" in line for line in lines)


def test_where_nothing_is_lacking_all_runs_here(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play(clone, monkeypatch, "sys.exit('started')")
    lacks(clone, "present")
    code, said = run(clone, here=HERE, first=FIRST.replace("Debian", ""))
    assert (code, said.splitlines()[-1]) == (0, "6 passed here, none failed, none skipped")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("sys.exit('no memory')", "no memory"),
        ('say("state", "stage command\\nstatus 0\\n")', "0 on a full kernel"),  # says that it is well, with no report
    ],
)
def test_a_guest_that_runs_nothing_is_a_failure(
    clone: Path, monkeypatch: pytest.MonkeyPatch, text: str, expected: str
) -> None:
    play(clone, monkeypatch, text)
    code, said = run(clone, first=FIRST)
    assert code == 1
    assert expected in said
    assert said.splitlines()[-1] == (
        "1 passed here, 0 on a full kernel in QEMU (none came up), none failed, none skipped, 4 did not run"
    )


def test_a_test_that_is_skipped_here_is_a_failure(clone: Path) -> None:
    code, said = run(clone, here="import pytest\ndef test_lazy(): pytest.skip()\n")
    assert (code, said.splitlines()[-1]) == (1, "0 passed here, none failed, 1 skipped")


def test_a_feature_that_nobody_knows_is_an_error(clone: Path) -> None:
    code, said = run(clone, here="import pytest\n@pytest.mark.kernel_feature('ipsv')\ndef test_it(): pass\n")
    assert code == 1
    assert "tests/test_here.py::test_it: no such kernel feature: ipsv" in said


def test_a_full_kernel_that_lacks_the_feature_is_an_error_there(clone: Path) -> None:
    (clone / "tests/test_first.py").write_text(FIRST)
    pytest_there = [sys.executable, "-m", "pytest", "--full-kernel", "tests"]
    done = subprocess.run(pytest_there, cwd=clone, capture_output=True, text=True, check=False, timeout=PATIENCE)
    if "Debian" not in Path("/proc/version").read_text():
        assert done.returncode == pytest.ExitCode.USAGE_ERROR
        assert "this kernel lacks ipvs, which tests/test_first.py::test_there[plain] needs" in done.stderr


def test_a_signal_ends_tests_here_in_order(clone: Path) -> None:
    waiting = (
        "import pytest, signal\n@pytest.fixture\ndef lab():\n  yield\n  print('torn down')\n"
        "def test_waits(lab, capfd):\n  with capfd.disabled(): print('waiting', flush=True)\n  signal.pause()\n"
    )
    stopped(start(clone, here=waiting), "waiting", "torn down")
    assert [path for path in (clone / "temporary").iterdir() if not path.name.startswith("pytest-of-")] == []


def test_a_signal_ends_guests(clone: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    play(clone, monkeypatch, 'say("state", "stage command\\n")\nsay("output", "waiting\\n")\nsignal.pause()')
    stopped(start(clone, first=FIRST), "waiting", "interrupted by SIGINT")
    assert [path for path in (clone / "temporary").iterdir() if not path.name.startswith("pytest-of-")] == []


def stopped(process: subprocess.Popen[str], when: str, then: str) -> None:
    """End a run when it has said something; all of its processes have ended when it has."""
    assert process.stdout is not None
    for line in process.stdout:
        if when in line:
            break
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=PATIENCE)  # whose end is that of the last process that could write
    assert process.returncode == 128 + signal.SIGTERM
    assert then in said
