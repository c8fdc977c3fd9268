"""A guest's life, whatever it does: what it says passes, its end is told, and nothing of it is left."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from netemu.guest.initramfs import Task, command
from netemu.guest.kernel import Kernel
from netemu.guest.qemu import TCG, Size
from netemu.guest.run import Guest, GuestFailure, Limits, TimeOut
from netemu.lab.interrupts import Interrupted, Interrupts

Qemu = Callable[[str], None]
PATIENT = Limits(60, 60)
TASK = Task(("do", "it all"), Path("/some where"), {"HOME": "/home/o'neill"})
STAGES = [
    ("", "booting the kernel"),
    ("files", "getting this machine's files"),
    ("settling", "preparing devices and mounts"),
    ("command", "running do 'it all'"),
]
COME_TO = (
    'for stage in ["files", "settling", "command"]:\n  say("state", f"stage {{stage}}\\n")\n  if stage == "{}": break\n'
)


def come_to(stage: str) -> str:
    """A play up to a stage."""
    return COME_TO.format(stage) if stage else ""


@contextmanager
def output() -> Iterator[tuple[int, list[bytes]]]:
    """A descriptor, and what has been written to it once the context has been left."""
    reader, writer = os.pipe()
    said: list[bytes] = []
    thread = threading.Thread(target=lambda: said.append(Path(f"/dev/fd/{reader}").read_bytes()))
    thread.start()
    try:
        yield writer, said
    finally:
        os.close(writer)
        thread.join()
        os.close(reader)


class Late(Guest):
    """A guest for which all the time in the world passes in one of its stages."""

    late_in = "nowhere"

    def _keep_to(self, limits: Limits) -> None:
        if self.stage == self.late_in:
            self._started -= 1_000_000
        super()._keep_to(limits)


def live(
    kernel: Kernel, limits: Limits = PATIENT, source: int | None = None, late_in: str = "nowhere"
) -> tuple[int, bytes]:
    """The status and the output of a guest."""
    with output() as (sink, said):
        with Interrupts() as interrupts, Late(kernel, TCG, TASK, Size()) as guest:
            guest.late_in = late_in
            process = guest._process
            status = guest.live(limits, source, sink, interrupts)
        assert process.poll() is not None
    return status, said[0]


def test_output_and_status_are_the_commands_own(qemu: Qemu, kernel: Kernel) -> None:
    qemu(come_to("command") + 'say("output", "x" * 3000000 + "end")\nsay("state", "status 7\\n")')
    status, said = live(kernel)
    assert status == 7
    assert said == b"x" * 3_000_000 + b"end"


def test_input_is_passed_on_from_the_start_of_the_command_to_its_end(
    qemu: Qemu, kernel: Kernel, tmp_path: Path
) -> None:
    qemu(
        'wires["input"].setblocking(False)\n'
        + come_to("settling")
        + 'try: wires["input"].recv(1); say("output", "too early")\nexcept BlockingIOError: pass\n'
        + 'say("state", "stage command\\n")\nwires["input"].setblocking(True)\n'
        + 'size = 0\nwhile data := wires["input"].recv(9999): size += len(data)\n'
        + 'say("output", str(size))\nsay("state", "status 0\\n")'
    )
    file = tmp_path / "input"
    file.write_bytes(bytes(1_000_000))
    with file.open("rb") as source:
        assert live(kernel, source=source.fileno()) == (0, b"1000000")
    assert live(kernel) == (0, b"0")


@pytest.mark.parametrize(("stage", "doing"), STAGES)
def test_a_time_out_names_the_stage(qemu: Qemu, kernel: Kernel, stage: str, doing: str) -> None:
    qemu(come_to(stage) + "signal.pause()")
    with pytest.raises(TimeOut) as ended:
        live(kernel, late_in=stage or "kernel")
    assert str(ended.value) == f"time-out after 60 s; the guest was {doing} (kernel 6.1.0-1-amd64, QEMU, TCG)"
    assert ended.value.exit_code == 124


def test_the_boot_has_a_limit_of_its_own_which_the_command_has_not(qemu: Qemu, kernel: Kernel) -> None:
    qemu(come_to("settling") + "signal.pause()")
    with pytest.raises(TimeOut, match=r"after 50 s; the guest was preparing devices"):
        live(kernel, Limits(boot=50), late_in="settling")
    qemu(come_to("command") + 'wires["input"].recv(1)\nsay("state", "status 0\\n")')
    assert live(kernel, Limits(boot=50), late_in="command")[0] == 0


@pytest.mark.parametrize(("stage", "doing"), STAGES)
def test_a_guest_that_dies_is_told_with_its_stage_and_its_last_words(
    qemu: Qemu, kernel: Kernel, stage: str, doing: str
) -> None:
    noise = "".join(f"[ 1.{number:03}] trace {number}\\n" for number in range(40))
    qemu(
        come_to(stage)
        + f'say("console", "Kernel panic - not syncing\\n{noise}the last")\nsys.stderr.write("qemu: no memory\\n")'
    )
    with pytest.raises(GuestFailure) as ended:
        live(kernel)
    lines = str(ended.value).splitlines()
    assert lines[0] == f"netemu: the guest died while it was {doing} (kernel 6.1.0-1-amd64, QEMU, TCG)"
    assert lines[1] == "  Kernel panic - not syncing"
    assert lines[-3:] == ["  [ 1.039] trace 39", "  the last", "  qemu: no memory"]
    assert len(lines) == 15
    assert ended.value.exit_code == 3


def test_what_is_no_stage_and_no_status_is_no_matter(qemu: Qemu, kernel: Kernel) -> None:
    qemu(come_to("command") + 'say("state", "stage nowhere\\nstatus many\\n\\xff\\nsta")\nsay("state", "tus 3\\n")')
    assert live(kernel)[0] == 3


def test_nobody_who_reads_ends_the_guest(qemu: Qemu, kernel: Kernel) -> None:
    qemu(come_to("command") + 'say("output", "x")\nsignal.pause()')
    reader, writer = os.pipe()
    os.close(reader)
    with Interrupts() as interrupts, pytest.raises(BrokenPipeError), Guest(kernel, TCG, TASK, Size()) as guest:
        process = guest._process
        guest.live(Limits(), None, writer, interrupts)
    os.close(writer)
    assert process.poll() is not None


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_guest(qemu: Qemu, kernel: Kernel, number: signal.Signals) -> None:
    qemu(come_to("command") + f"os.kill(os.getppid(), {number:d})\nsignal.pause()")
    with pytest.raises(Interrupted) as ended:
        live(kernel)
    assert ended.value.exit_code == 128 + number


def test_a_guest_dies_with_a_netemu_that_is_killed_and_leaves_no_file(
    qemu: Qemu, kernel: Kernel, tmp_path: Path
) -> None:
    qemu(come_to("command") + 'say("output", f"{os.getpid()}\\n")\nsignal.pause()')
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    boot = [sys.executable, "-m", "netemu", "boot", "--accelerator", "tcg", "--kernel", str(kernel.image), "--", "x"]
    netemu = subprocess.Popen(boot, stdout=subprocess.PIPE, env={**os.environ, "TMPDIR": str(temporary)})
    assert netemu.stdout is not None
    ended = os.pidfd_open(int(netemu.stdout.readline()))
    try:
        assert list(temporary.iterdir()) == []
        netemu.kill()
        netemu.wait()
        deadline = time.monotonic() + 20
        while not _has_ended(ended):
            assert time.monotonic() < deadline
    finally:
        os.close(ended)
        netemu.stdout.close()


def _has_ended(process: int) -> bool:
    return bool(select.select([process], [], [], 0.1)[0])


def test_the_commands_script_is_what_was_asked_for_to_the_letter(tmp_path: Path) -> None:
    here = tmp_path / "a $HOME 'directory'"
    here.mkdir()
    task = Task(("printf", "%s|", "$PATH", 'two "words"', "it's", "line\nbreak"), here, {"A_NAME": "it's $5"})
    task = Task(("sh", "-c", 'pwd; echo "$A_NAME"; printf "%s|" "$@"', "-", *task.argv[2:]), here, task.environment)
    done = subprocess.run(["sh", "-c", command(task)], capture_output=True, text=True, check=True)
    assert done.stdout == f"{here}\nit's $5\n$PATH|two \"words\"|it's|line\nbreak|"


def test_the_command_does_not_start_when_what_comes_before_it_fails(tmp_path: Path) -> None:
    task = Task(("echo", "started"), tmp_path, {}, before=("sh", "-c", "exit 2"))
    done = subprocess.run(["sh", "-c", command(task)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
