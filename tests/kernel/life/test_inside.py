"""`exec` and `shell`: the command's own network, names, status, signals, streams and terminal."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from host import Host, children, scenario, wait_for

MACHINES = "a: {subnet: net/main}, b: {subnet: net/main}"


@pytest.fixture
def up(host: Host) -> Iterator[Host]:
    """A host with a lab of two machines."""
    host.good("up", host.write(scenario("inside", MACHINES)))
    yield host
    host.good("down")


def test_the_network_the_names_and_nothing_else_are_the_machines(up: Host) -> None:
    before = up.digest()
    assert "10.0.0.4/24" in up.good("exec", "a", "--", "ip", "-br", "address")
    assert up.good("exec", "a", "--", "hostname") == "a\n"
    assert up.good("exec", "a", "--", "cat", "/etc/hostname") == "a\n"
    assert "nameserver 168.63.129.16" in up.good("exec", "a", "--", "cat", "/etc/resolv.conf")
    assert "127.0.0.1 localhost" in up.good("exec", "a", "--", "cat", "/etc/hosts")
    assert up.good("exec", "a", "--", "getent", "hosts", "b").startswith("10.0.0.5")
    assert up.good("exec", "a", "--", "ls", "/sys/class/net").split() == ["eth0", "lo"]
    assert up.good("exec", "a", "--", "sh", "-c", "echo $NETEMU_LAB $NETEMU_NODE") == "inside a\n"
    assert up.good("exec", "a", "--", "cat", "/etc/passwd") == up.ok("cat", "/etc/passwd")
    assert up.good("exec", "a", "pwd") == f"{up.directory}\n"
    up.good("exec", "a", "--", "mount", "-t", "tmpfs", "inner", "/mnt")
    assert up.digest() == before


def test_exit_status_and_signals_are_the_commands(up: Host) -> None:
    for status in (0, 1, 42, 255):
        assert up.netemu("exec", "a", "--", "sh", "-c", f"exit {status}").returncode == status
    assert up.netemu("exec", "a", "--", "sh", "-c", "kill -TERM $$").returncode == -signal.SIGTERM
    assert up.netemu("exec", "a", "--", "sh", "-c", "kill -KILL $$").returncode == -signal.SIGKILL
    with up.start(sys.executable, "-m", "netemu", "exec", "a", "--", "sleep", "6000") as started:
        (pid,) = wait_for(lambda: children(started.pid), "it is entered")
        wait_for(lambda: Path(f"/proc/{pid}/comm").read_text() == "sleep\n", "it becomes the command")
        os.kill(pid, signal.SIGINT)
        assert started.wait(10) == -signal.SIGINT
        started.communicate()


def ignored(line: str) -> int:
    """The ignored signals of a SigIgn line; 32 and 33 are the C library's own, and may come down from whoever runs us."""
    return int(line.split()[1], 16) & 0x7FFFFFFF


def test_signals_that_python_ignores_are_not_ignored_inside(up: Host) -> None:
    done = up.netemu("exec", "a", "--", "sh", "-c", "grep SigIgn /proc/self/status; yes | head -n1")
    assert (done.returncode, done.stderr) == (0, "")
    assert int(done.stdout.split()[1], 16) & (1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1) == 0


def test_streams_pass_through(up: Host) -> None:
    done = up.netemu("exec", "a", "--", "sh", "-c", "cat; echo error >&2", stdin="through\n")
    assert (done.stdout, done.stderr) == ("through\n", "error\n")
    assert up.netemu("exec", "a", "--", "wc", "-c", stdin="x" * 300_000).stdout.strip() == "300000"


def test_the_terminal_is_the_commands(up: Host) -> None:
    for args in (["exec", "a", "--", "sh", "-c", "tty; test -t 0 && test -t 1 && echo terminal"], ["shell", "a"]):
        master, slave = pty.openpty()
        command = up.command(sys.executable, "-m", "netemu", *args)
        with subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, start_new_session=True, env=up.environment({"SHELL": "/bin/sh"})
        ) as started:
            os.close(slave)
            os.write(master, b"test -t 0 && echo terminal of $(hostname)\nexit 7\n")
            said = b""
            try:
                while chunk := os.read(master, 4096):
                    said += chunk
            except OSError:
                pass  # the other side is closed
            status = started.wait(10)
        os.close(master)
        assert b"terminal" in said.replace(b"echo terminal", b""), said
        assert status == (7 if args[0] == "shell" else 0)


def test_mistakes_are_one_line_and_exit_code_2(up: Host) -> None:
    assert "there is no program 'nonesuch'" in up.refused(2, "exec", "a", "--", "nonesuch")
    assert "cannot run '/etc/passwd': Permission denied" in up.refused(2, "exec", "a", "--", "/etc/passwd")
    assert "has no machine 'aa'; did you mean 'a'?" in up.refused(2, "exec", "aa", "--", "true")
    assert "there are: a, b" in up.refused(2, "exec", "../../x", "--", "true")
    assert "there is no lab 'other'" in up.refused(2, "exec", "--lab", "other", "a", "--", "true")


def test_the_only_lab_is_meant_and_of_two_none(up: Host) -> None:
    up.good("up", up.write(scenario("second"), "second.yaml"))
    for command in (["exec", "a", "--", "true"], ["down"], ["status"]):
        assert "several labs are up (inside, second)" in up.refused(2, *command)
    up.good("exec", "--lab", "second", "a", "--", "true")
    up.good("down", "second")
    up.good("exec", "a", "--", "true")


def test_without_a_lab_exec_says_how_to_start_one(host: Host) -> None:
    assert "no lab is up; start one with `netemu up" in host.refused(2, "exec", "a", "--", "true")


def test_a_directory_that_has_gone_and_missing_files_in_etc_do_not_matter(up: Host) -> None:
    up.ok("mkdir", "/run/gone")
    done = up.run("sh", "-c", f"rmdir /run/gone; exec {sys.executable} -P -m netemu exec a -- hostname", cwd="/run/gone")
    assert done.stdout == "a\n", done.stderr
    up.ok("mv", "/etc/hosts", "/etc/hosts.away")
    assert up.good("exec", "a", "--", "hostname") == "a\n"
    up.ok("mv", "/etc/hosts.away", "/etc/hosts")


def test_ip_netns_finds_the_same_machine(up: Host) -> None:
    assert "10.0.0.4/24" in up.ok("ip", "-n", "inside.a", "-br", "address")
    assert "nameserver 168.63.129.16" in up.ok("ip", "netns", "exec", "inside.a", "cat", "/etc/resolv.conf")


def test_programs_have_logs_an_environment_and_the_scenarios_directory(host: Host) -> None:
    (host.directory / "here.txt").write_text("here\n")
    command = "sh -c 'cat here.txt; env | grep NETEMU | sort; hostname; grep SigIgn /proc/self/status; echo oops >&2; exit 3'"
    host.good("up", host.write(scenario("logs", f'a: {{subnet: net/main, run: ["sleep 7001", "{command}"]}}')))
    log = host.root() / "run/netemu/logs/logs/a+2.log"
    wait_for(lambda: log.exists() and "oops" in log.read_text(), "the program writes its log")
    *lines, signals, last = log.read_text().splitlines()
    assert [*lines, last] == ["here", "NETEMU_LAB=logs", "NETEMU_NODE=a", "NETEMU_PROGRAM=a+2", "a", "oops"]
    assert ignored(signals) == 0
    done = wait_for(lambda: (done := host.netemu("status")).returncode == 1 and done, "it ends")
    assert "ended: sh -c" in done.stdout and "(see /run/netemu/logs/logs/a+2.log)" in done.stdout
    assert Path(f"/proc/{host.pid}/root/run/netemu/logs/logs/a.log").exists()
    assert len(host.pids("sleep 7001")) == 1
    host.good("down")


def test_down_from_within_a_machine_works_too(host: Host) -> None:
    """A shell inside forgets where it is: the lab goes, its programs too, and the machine's own processes stay."""
    before = host.digest()
    host.good("up", host.write(scenario("within", "a: {subnet: net/main, run: sleep 7005}")))
    host.netemu("exec", "a", "--", sys.executable, "-m", "netemu", "down", "within")
    if host.netemu("ls", "-o", "json").stdout.strip() != "[]":
        host.good("down", "within")
    assert host.digest() == before
