"""`netemu boot`, really: a stock kernel in QEMU, with this machine's files, programs and terminal."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import select
import shlex
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

NETEMU = Path(sys.executable).with_name("netemu")
CLONE = Path(__file__).parents[2]
PATIENCE = 300
"""Seconds for what takes ten on an idle machine without KVM."""
NOBODY = 65534
SCENARIO = CLONE / "scenarios" / "three-tier.yaml"
REACHABLE = CLONE / "tests" / "kernel" / "life" / "reachable.py"


def boot(*arguments: str, **others: object) -> subprocess.CompletedProcess[str]:
    """Run `netemu boot`."""
    return subprocess.run(  # type: ignore[call-overload,no-any-return]  # options of subprocess.run
        [NETEMU, "boot", *arguments], capture_output=True, text=True, check=False, timeout=PATIENCE, cwd=CLONE, **others
    )


def qemus() -> set[int]:
    """The processes of guests."""
    found = set()
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            with contextlib.suppress(OSError):
                if b"qemu-system" in (process / "cmdline").read_bytes().split(b"\0")[0]:
                    found.add(int(process.name))
    return found


def test_a_command_runs_there_as_root_with_these_files_and_leaves_only_what_it_may(tmp_path: Path) -> None:
    kept = tmp_path / "to keep"
    kept.mkdir()
    (kept / "before").write_text("from here\n")
    script = f"""
        uname -rv; id -u; pwd; cat; echo 'on stderr' >&2
        ls --version | head -1
        command -v netemu
        cat '{kept}/before'; echo 'from there' > '{kept}/after'
        echo lost > '{tmp_path}/lost'; rm '{__file__}'
        ls /sys/class/net
        ls -l /dev/net/tun
        netemu doctor --output json
        exit 7
    """
    done = boot("--writable", str(kept), "--", "sh", "-c", script, input="standard input\n")
    assert done.returncode == 7, done.stderr
    lines = done.stdout.splitlines()
    assert "Debian" in lines[0]
    assert lines[1:5] == ["0", str(CLONE), "standard input", "on stderr"]
    assert "coreutils" in lines[5]
    assert lines[6] == str(NETEMU)
    assert lines[7:9] == ["from here", "lo"]
    assert lines[9].startswith("crw-rw-rw-")
    features = {row["name"]: row["state"] for row in json.loads("".join(lines[10:])) if row["kind"] == "kernel"}
    assert {name: state for name, state in features.items() if state != "present"} == {}
    assert {"IPVS", "netem", "IPsec ESP", "labs without root"} <= set(features)
    assert done.stderr == ""
    assert (kept / "after").read_text() == "from there\n"
    assert not (tmp_path / "lost").exists()
    assert Path(__file__).exists()


def test_an_ordinary_user_proves_a_scenario_there_on_a_kernel_that_has_loaded_no_module_yet() -> None:
    with tempfile.TemporaryDirectory(dir="/var/tmp") as directory:
        os.chown(directory, NOBODY, NOBODY)
        script = f"id -u; netemu verify; echo mine > {directory}/file"
        booting = [NETEMU, "boot", "--up", SCENARIO, "--writable", directory, "--", "sh", "-c", script]
        open_up = [sys.executable, REACHABLE, *filter(Path.is_dir, CLONE.iterdir()), os.path.realpath(sys.executable)]
        user = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--no-new-privs"]
        done = subprocess.run(
            # In a mount namespace of its own, in which others can come to the clone, wherever it is.
            ["unshare", "--mount", "sh", "-ec", f'{shlex.join(map(str, open_up))}; exec "$@"', "-", *user, *booting],
            capture_output=True, text=True, check=False, timeout=PATIENCE, cwd="/",
            env={"PATH": os.environ["PATH"], "HOME": directory},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        lines = done.stdout.splitlines()
        assert lines[0].startswith("shop is up: ")
        assert lines[2] == "0"
        assert lines[-1] == "shop: 12 of 12 agree"
        assert (Path(directory) / "file").stat().st_uid == NOBODY


def test_a_kernel_that_panics_is_told_with_its_reason() -> None:
    before = qemus()
    done = boot("--", "sh", "-c", "echo first; echo c > /proc/sysrq-trigger; sleep 1000")
    assert done.returncode == 3
    assert done.stdout == "first\n"
    assert done.stderr.startswith("netemu: the guest died while it was running sh -c ")
    assert "Kernel panic - not syncing: sysrq triggered crash" in done.stderr.splitlines()[1]
    assert qemus() <= before


def test_a_signal_ends_it_and_nothing_is_left(tmp_path: Path) -> None:
    before = qemus()
    netemu = subprocess.Popen(
        [NETEMU, "boot", "--", "sh", "-c", "echo started; exec sleep 1000"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, "TMPDIR": str(tmp_path)},
    )  # fmt: skip
    assert netemu.stdout is not None
    assert netemu.stdout.readline() == "started\n"
    assert qemus() - before
    netemu.send_signal(signal.SIGTERM)
    _, said = netemu.communicate(timeout=PATIENCE)
    assert netemu.returncode == 128 + signal.SIGTERM
    assert said == "netemu: interrupted by SIGTERM\n"
    assert qemus() <= before
    assert list(tmp_path.iterdir()) == []


class Terminal:
    """A terminal with `netemu boot` on it."""

    def __init__(self, *arguments: str) -> None:
        self.process, self.descriptor = pty.fork()
        if self.process == 0:
            os.environ["SHELL"] = "/bin/sh"
            os.chdir(CLONE)
            os.execv(NETEMU, ["netemu", "boot", *arguments])
        self.said = b""

    def resize(self, lines: int, columns: int) -> None:
        """Make the window another size."""
        fcntl.ioctl(self.descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def type(self, text: str) -> None:
        """Press keys."""
        os.write(self.descriptor, text.encode())

    def wait_for(self, text: str) -> str:
        """What has been shown up to a text."""
        deadline = time.monotonic() + PATIENCE
        while text.encode() not in self.said:
            assert time.monotonic() < deadline, self.said
            if select.select([self.descriptor], [], [], 1)[0]:
                self.said += os.read(self.descriptor, 4096)
        shown, _, self.said = self.said.partition(text.encode())
        return shown.decode()

    def size_becomes(self, expected: str) -> None:
        """Ask for the size of the window there until it is as expected."""
        shown = ""
        for number in range(100):
            self.type(f"stty size; echo asked:$(({number} + 1000))\n")
            shown = self.wait_for(f"asked:{number + 1000}")
            if expected in shown.splitlines():
                return
        raise AssertionError(shown)


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    terminal = Terminal()
    try:
        yield terminal
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(terminal.process, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(terminal.process, 0)
        os.close(terminal.descriptor)


def test_a_shell_has_the_terminal_its_size_and_its_ctrl_c(terminal: Terminal) -> None:
    before = termios.tcgetattr(terminal.descriptor)
    terminal.resize(31, 91)
    terminal.wait_for("booting ")
    terminal.wait_for("# ")
    terminal.type("test -t 0 && test -t 1 && echo its $(tty) $(id -u)\n")
    terminal.wait_for("its /dev/hvc0 0")
    terminal.size_becomes("31 91")
    terminal.resize(41, 101)
    terminal.size_becomes("41 101")
    terminal.type("echo sl''eeps; sleep 1000; echo ended:$?\n")
    terminal.wait_for("sleeps")
    terminal.type("\x03")
    terminal.wait_for("# ")
    terminal.type("exit 5\n")
    status = os.waitstatus_to_exitcode(os.waitpid(terminal.process, 0)[1])
    assert status == 5
    assert termios.tcgetattr(terminal.descriptor)[:4] == before[:4]
