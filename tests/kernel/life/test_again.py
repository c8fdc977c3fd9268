"""`up` again: nothing to do, something to repair, something to build anew; `status` says which."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest
from host import Host, scenario, wait_for

MACHINES = "a: {subnet: net/main, run: sleep 5001}, b: {subnet: net/main}"
HOSTS = "internet: {hosts: {visitor: {ipAddress: 198.51.100.7, run: sleep 5002}}}\n"
NODES = ("@fabric", "@edge", "@internet", "@slb.net", "a", "b", "visitor")


def start(host: Host) -> str:
    """Bring the lab of these tests up; its file."""
    file = host.write(scenario("lab", MACHINES, HOSTS))
    host.good("up", file)
    return file


def objects(host: Host) -> tuple[Any, ...]:
    """Every namespace and process of the lab."""
    return [host.inode(f"lab.{node}") for node in NODES], host.pids("sleep 500"), host.pids("unbound -d")


def test_a_second_up_changes_nothing(host: Host) -> None:
    file = start(host)
    before, there = host.digest(), objects(host)
    assert host.good("up", file) == "lab is up as described; nothing to do\n"
    assert host.digest() == before
    assert objects(host) == there


def test_another_version_changes_what_differs_and_nothing_else(host: Host) -> None:
    start(host)
    namespaces, _, daemons = objects(host)
    (visitor,) = host.pids("sleep 5002")
    file = host.write(scenario("lab", MACHINES.replace("5001", "5003"), HOSTS))
    assert host.good("up", file) == "lab is up in its new version\n"
    assert host.pids("sleep 5003") and not host.pids("sleep 5001")
    assert objects(host)[0] == namespaces and objects(host)[2] == daemons and host.pids("sleep 5002") == {visitor}
    host.good("status")
    assert "nothing to do" in host.good("up", file)


@pytest.mark.parametrize(("program", "node"), [("sleep 5001", "a"), ("sleep 5002", "visitor")])
def test_a_program_that_has_ended_is_started_again_and_nothing_else_is_touched(
    host: Host, program: str, node: str
) -> None:
    file = start(host)
    namespaces, sleeps, daemons = objects(host)
    killed = host.pids(program)
    for pid in killed:
        host.ok("kill", "-9", str(pid))
    wait_for(lambda: not host.pids(program), "it dies")
    done = host.netemu("status")
    assert done.returncode == 1
    assert f"in {node} has ended" in done.stdout and "incomplete" in done.stdout
    assert "incomplete" in host.good("ls")
    done = host.netemu("up", file)
    assert done.returncode == 0
    assert f"+ {node}: program {program!r}" in done.stderr
    assert done.stdout == "lab is up as described again\n"
    after = objects(host)
    assert after[0] == namespaces
    assert (sleeps | daemons) - killed <= after[1] | after[2]
    assert len(after[1]) == 2 and len(after[2]) == 2
    host.good("status")
    assert "nothing to do" in host.good("up", file)
    host.good("down")
    assert not host.pids("sleep 500") and not host.pids("unbound -d")


def test_the_agent_starts_a_daemon_that_has_ended_again_and_status_tells(host: Host) -> None:
    file = start(host)
    for times in (1, 2):
        (old,) = host.pids("dns.net.conf")
        host.ok("kill", "-9", str(old))
        wait_for(lambda old=old: host.pids("dns.net.conf") - {old}, "the agent starts it again")
        events = wait_for(lambda times=times: happened(host, "started", times), "the agent says so")
        assert [event["subject"] for event in events] == ["dns.net"] * times
    done = host.netemu("status")
    assert done.returncode == 0 and "dns.net started" in done.stdout
    assert "nothing to do" in host.good("up", file)


def happened(host: Host, what: str, times: int) -> list[Any] | None:
    """The events of a kind, when there are that many."""
    events = [event for event in json.loads(host.netemu("status", "-o", "json").stdout)["events"] if event["what"] == what]
    return events if len(events) >= times else None


def test_a_killed_agent_is_missed_by_status_and_started_again_by_up(host: Host) -> None:
    file = start(host)
    (agent,) = host.pids("netemu.agent lab")
    host.ok("kill", "-9", str(agent))
    wait_for(lambda: not host.pids("netemu.agent lab"), "it dies")
    done = host.netemu("status")
    assert done.returncode == 1 and "agent in @fabric has ended" in done.stdout
    assert host.good("up", file) == "lab is up as described again\n"
    assert len(host.pids("netemu.agent lab") - {agent}) == 1
    host.good("status")
    host.good("down")
    assert not host.pids("netemu.agent")


DAMAGE = {
    "a namespace's mount is gone": "umount -l /run/netemu/lab/netns/a",
    "the fabric's mount is gone": "umount -l /run/netemu/lab/netns/@fabric",
    "all namespaces' mounts are gone": "umount -l " + " ".join(f"/run/netemu/lab/netns/{node}" for node in NODES),
    "another namespace lies over one": "mount --bind /proc/self/ns/net /run/netemu/lab/netns/b",
    "a name in /run/netns is gone": "rm /run/netns/lab.a",
    "a name in /etc/netns is gone": "rm /etc/netns/lab.a",
    "the directories of names are gone": "rm -r /run/netns /etc/netns",
    "a machine's files are gone": "rm -r /run/netemu/lab/etc/a",
    "the record is no JSON": "sh -c 'echo x > /run/netemu/lab/lab.json'",
    "the record is no text": r"sh -c 'printf \377 > /run/netemu/lab/lab.json'",
    "the record is from another version": "sed -i s/.version.:.[0-9]*/\"version\":99/ /run/netemu/lab/lab.json",
    "the record is gone": "rm /run/netemu/lab/lab.json",
    "the scenario is gone": "rm /run/netemu/lab/scenario.yaml",
    "the folder's mount is gone": "umount -l /run/netemu/lab",
    "the lock is gone": "rm /run/netemu/lab.netemu-lock",
}
HARMLESS = {"the lock is gone"}
LOST = {"the folder's mount is gone"}
"""With the folder go all that tells processes of the lab from others."""


@pytest.mark.parametrize("repair", ["up", "down"])
def test_a_lab_that_is_half_there_can_be_completed_and_removed(host: Host, repair: str) -> None:
    file = host.write(scenario("lab", MACHINES, HOSTS))
    damages = host.write(json.dumps({what: shlex.split(command) for what, command in DAMAGE.items()}), "damages.json")
    answers = host.drive("half_there", file, "lab", damages, repair)
    assert set(answers) == set(DAMAGE)
    for damage, answer in answers.items():
        if damage not in HARMLESS:
            assert answer["status"] == 1, (damage, answer)
            assert answer["state"] in ("broken", "incomplete"), (damage, answer)
            assert answer["missing"], (damage, answer)
        assert answer["repaired"] == [0, ""], (damage, answer)
        assert answer["whole"], (damage, answer)
        left = [line for line in answer["left"] if damage not in LOST or not line.startswith("process")]
        assert not left, (damage, answer)


def test_a_namespace_that_somebody_mounted_over_ours_is_not_entered_and_its_processes_live(host: Host) -> None:
    start(host)
    host.ok("ip", "netns", "add", "foreign")
    host.ok("mount", "--bind", "/run/netns/foreign", "/run/netemu/lab/netns/b")
    host.ok("mount", "--bind", "/proc/1/ns/net", "/run/netemu/lab/netns/a")
    with host.start("ip", "netns", "exec", "foreign", "sleep", "5009") as foreign, host.start("sleep", "5008") as own:
        wait_for(lambda: host.pids("sleep 5009") and host.pids("sleep 5008"), "they start")
        assert "b of lab lab is not there" in host.refused(2, "exec", "b", "--", "true")
        assert "a of lab lab is not there" in host.refused(2, "exec", "a", "--", "true")
        host.good("down")
        assert host.pids("sleep 5009") and host.pids("sleep 5008")
        assert not host.pids("sleep 5001") and not host.pids("sleep 5002")
        host.ok("kill", *map(str, host.pids("sleep 5009") | host.pids("sleep 5008")))
        foreign.wait(10)
        own.wait(10)


def test_without_a_record_the_machines_own_namespace_in_place_of_ours_is_still_told(host: Host) -> None:
    start(host)
    host.ok("mount", "--bind", "/proc/1/ns/net", "/run/netemu/lab/netns/b")
    host.ok("rm", "/run/netemu/lab/lab.json")
    with host.start("sleep", "5007") as own:
        wait_for(lambda: host.pids("sleep 5007"), "it starts")
        host.good("down")
        survivors = host.pids("sleep 5007")
        host.run("kill", *map(str, survivors))
        own.wait(10)
    assert survivors
    assert not host.pids("sleep 500")


def test_exec_into_a_machine_that_is_missing_says_so(host: Host) -> None:
    start(host)
    host.ok("umount", "-l", "/run/netemu/lab/netns/b")
    assert "b of lab lab is not there; `netemu up`" in host.refused(2, "exec", "b", "--", "true")
