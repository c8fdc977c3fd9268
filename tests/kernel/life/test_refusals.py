"""What `up` cannot do: one clear line, the right exit code, nothing left behind."""

from __future__ import annotations

import fcntl
import os
import signal
import sys
from pathlib import Path

import pytest
from host import ROOT, Host, children, scenario, wait_for

NOBODY = 65534


def test_for_a_lab_of_roots_changing_commands_say_sudo_and_reading_ones_work(host: Host) -> None:
    file = str(ROOT / "scenarios" / "three-tier.yaml")
    host.good("up", host.write(scenario("root")))
    for command in (["down"], ["exec", "a", "--", "true"], ["shell", "a"]):
        assert "sudo" in host.refused(3, *command, uid=NOBODY)
    for command in (["ls"], ["status"], ["status", "-o", "json"], ["schema"], ["validate", file], ["--help"]):
        done = host.netemu(*command, uid=NOBODY)
        assert done.returncode == 0, (command, done.stderr)
    assert "running" in host.netemu("ls", uid=NOBODY).stdout


def test_root_with_a_narrow_umask_makes_a_lab_that_everybody_can_see(host: Host) -> None:
    file = host.write(scenario("narrow"))
    host.ok("sh", "-c", f"umask 077; exec {sys.executable} -m netemu up {file}")
    assert "running" in host.netemu("ls", uid=NOBODY).stdout
    host.ok("sh", "-c", f"umask 077; exec {sys.executable} -m netemu down")


def test_of_two_at_once_the_second_says_who_is_at_it(host: Host) -> None:
    machines = ", ".join(f"m{n}: {{subnet: net/main}}" for n in range(120))
    file = host.write(scenario("busy", machines))
    with host.start(sys.executable, "-m", "netemu", "up", file) as first:
        lock = host.root() / "run/netemu/busy.netemu-lock"
        pid = wait_for(lambda: lock.exists() and lock.read_text().strip(), "the first has the lock")
        (process,) = children(first.pid)
        os.kill(process, signal.SIGSTOP)
        try:
            for command in (["up", file], ["down", "busy"]):
                assert f"being changed by process {pid}" in host.refused(3, *command)
            assert "incomplete" in host.good("ls") or "broken" in host.good("ls")
        finally:
            os.kill(process, signal.SIGCONT)
            os.kill(first.pid, signal.SIGCONT)  # nsenter stops with its child
        assert first.wait(30) == 0
        first.communicate()
    host.good("down", "busy")


def test_a_lock_of_a_dead_process_is_no_obstacle(host: Host) -> None:
    host.ok("mkdir", "/run/netemu")
    host.ok("sh", "-c", "echo 1 > /run/netemu/stale.netemu-lock")
    assert "stale" in host.good("ls")
    host.good("up", host.write(scenario("stale")))
    host.good("down")
    assert host.ok("ls", "-A", "/run/netemu") == ""


def test_a_held_lock_without_a_process_id_is_told_too(host: Host) -> None:
    host.ok("mkdir", "/run/netemu")
    host.ok("touch", "/run/netemu/odd.netemu-lock")
    with (host.root() / "run/netemu/odd.netemu-lock").open() as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        assert "another one" in host.refused(3, "up", host.write(scenario("odd")))


def test_a_missing_daemon_is_told_before_anything_is_touched(host: Host) -> None:
    before = host.digest()
    host.ok("mount", "--bind", "/dev/null", "/usr/sbin/unbound")
    message = host.refused(3, "up", host.write(scenario("tool")), env={"PATH": f"{Path(sys.executable).parent}:/nowhere"})
    assert "unbound is missing" in message and "apt-get install unbound" in message
    host.ok("umount", "/usr/sbin/unbound")
    assert host.digest() == before


def test_a_daemon_that_fails_is_told_with_its_own_words(host: Host) -> None:
    before = host.digest()
    tools = host.directory / "tools"
    tools.mkdir()
    tool = tools / "unbound"
    tool.write_text("#!/bin/sh\necho more >&2\necho 'unbound: out of luck' >&2\nexit 5\n")
    tool.chmod(0o755)
    message = host.refused(3, "up", host.write(scenario("tool")), env={"PATH": f"{tools}:{os.environ['PATH']}"})
    assert message == (
        "netemu: lab tool: @slb.net: unbound did not start: unbound: out of luck; nothing was left behind"
    )
    assert host.digest() == before


@pytest.mark.parametrize(
    ("run", "why"), [("/no/such/program", "No such file"), ("/etc/passwd", "Permission denied"), ("/tmp", "Permission denied")]
)
def test_a_program_that_cannot_be_started_is_named(host: Host, run: str, why: str) -> None:
    before = host.digest()
    message = host.refused(2, "up", host.write(scenario("prog", f"a: {{subnet: net/main, run: [sleep 9, {run}]}}")))
    assert message.startswith(f"netemu: lab prog: virtualMachines/a/run: cannot start '{run}': {why}")
    assert message.endswith("; nothing was changed")
    assert host.digest() == before


def test_an_edit_that_this_machine_cannot_carry_out_leaves_the_lab_as_it_was(host: Host) -> None:
    host.good("up", host.write(scenario("edit", "a: {subnet: net/main, run: sleep 1000}")))
    for edit in ("run: no-such-program", "sysctls: {net.ipv4.no_such_setting: 1}"):
        file = host.write(scenario("edit", f"a: {{subnet: net/main, {edit}}}, b: {{subnet: net/main}}"), "edited.yaml")
        assert "nothing was changed" in host.refused(2, "up", file)
        host.good("status", "edit")
    assert host.pids("sleep 1000")
    host.good("down")


def test_output_that_cannot_be_written_or_is_not_wanted_any_more_is_no_answer(host: Host) -> None:
    for argv, code, words in (
        ("schema >/dev/full", 3, "netemu: the output cannot be written: No space left on device\n"),
        ("schema | true; exit ${PIPESTATUS[0]}", 141, ""),
    ):
        done = host.run("bash", "-c", f"{sys.executable} -m netemu {argv}")
        assert (done.returncode, done.stderr) == (code, words)


def test_a_full_disk_and_a_state_directory_that_cannot_be_are_told(host: Host) -> None:
    file = host.write(scenario("full"))
    host.ok("mkdir", "/run/full")
    host.ok("mount", "-t", "tmpfs", "-o", "nr_inodes=1", "tmpfs", "/run/full")
    before = host.digest()
    places = {
        "/run/full": "No space left on device",
        "/run/full/deeper": "No space left on device",
        "/run/no/where": "No such file or directory",
        "/etc/passwd": "Not a directory",
        "/proc": "cannot write /proc/full.netemu-lock",
    }
    for place, why in places.items():
        message = host.refused(3, "up", file, env={"NETEMU_STATE_DIR": place})
        assert why in message, message
        assert host.digest() == before


def test_too_few_descriptors_are_told_before_anything_is_touched(host: Host) -> None:
    machines = ", ".join(f"m{n}: {{subnet: net/main}}" for n in range(60))
    before = host.digest()
    done = host.run("prlimit", "--nofile=100:100", sys.executable, "-m", "netemu", "up", host.write(scenario("few", machines)))
    assert done.returncode == 3
    assert "open files" in done.stderr and len(done.stderr.splitlines()) == 1
    assert host.digest() == before


def test_a_kernel_without_namespaces_for_us_is_told(host: Host) -> None:
    """`max_net_namespaces` of a user namespace of its own: unshare says ENOSPC."""
    file = host.write(scenario("none"))
    script = f"echo 2 > /proc/sys/user/max_net_namespaces; exec {sys.executable} -m netemu up {file}"
    done = host.run("unshare", "--user", "--map-root-user", "--mount", "--net", "sh", "-c", f"mount -t tmpfs t /run; {script}")
    assert done.returncode == 3, done.stderr
    assert "nothing was left behind" in done.stderr
    assert len(done.stderr.splitlines()) == 1, done.stderr
