"""What netemu did not make it neither takes, nor enters, nor removes."""

from __future__ import annotations

import pytest
from host import Host, scenario


def test_a_foreign_namespace_with_a_name_of_ours_is_refused_and_left_alone(host: Host) -> None:
    host.ok("ip", "netns", "add", "mine.a")
    host.ok("ip", "-n", "mine.a", "link", "set", "lo", "up")
    before, inode = host.digest(), host.inode("mine.a")
    message = host.refused(2, "up", host.write(scenario("mine")))
    assert "/run/netns/mine.a is there already and is not netemu's" in message
    assert host.digest() == before
    assert host.inode("mine.a") == inode


@pytest.mark.parametrize(
    "make",
    [
        ("mkdir", "-p", "/etc/netns/mine.a"),
        ("ln", "-sn", "/nowhere", "/run/netns/mine.a"),
        ("ln", "-sn", "/run/netemu/other/netns/a", "/run/netns/mine.a"),
        ("touch", "/run/netns/mine.@fabric"),
        ("mkdir", "-p", "/run/netemu/mine/precious"),
        ("ln", "-sn", "/run/mount", "/run/netemu/mine"),
        ("touch", "/run/netemu/mine"),
    ],
)
def test_foreign_files_are_refused_and_left_alone(host: Host, make: tuple[str, ...]) -> None:
    host.ok("mkdir", "/run/netns", "/run/netemu")
    host.ok(*make)
    before = host.digest()
    assert "is there already and is not netemu's" in host.refused(2, "up", host.write(scenario("mine")))
    assert host.digest() == before


def test_a_foreign_mount_in_the_place_of_a_lab_is_left_alone(host: Host) -> None:
    host.ok("mkdir", "-p", "/run/netemu/mine")
    host.ok("mount", "-t", "tmpfs", "precious", "/run/netemu/mine")
    before = host.digest()
    assert "is not netemu's" in host.refused(2, "up", host.write(scenario("mine")))
    assert "there is no lab" in host.refused(2, "down", "mine")
    assert host.digest() == before


def test_other_things_in_the_state_directory_are_no_labs(host: Host) -> None:
    host.ok("mkdir", "-p", "/run/netemu/precious", "/run/netemu/Odd name")
    host.ok("touch", "/run/netemu/notes")
    before = host.digest()
    host.good("up", host.write(scenario("mine")))
    assert host.good("ls").split()[4:5] == ["mine"]
    host.good("down", "--all")
    assert host.digest() == before


def test_down_leaves_foreign_namespaces_with_similar_names_their_processes_and_files_alone(host: Host) -> None:
    host.good("up", host.write(scenario("mine")))
    host.ok("ip", "netns", "add", "mine.b")
    host.ok("mkdir", "/etc/netns/mine.b", "/etc/netns/mine-2.a")
    inode = host.inode("mine.b")
    with host.start("ip", "netns", "exec", "mine.b", "sleep", "4000") as foreign:
        host.good("down", "mine")
        assert host.inode("mine.b") == inode
        assert host.ok("ls", "/etc/netns").split() == ["mine-2.a", "mine.b"]
        for pid in host.pids("sleep 4000"):
            host.ok("kill", str(pid))
        foreign.wait(10)


def test_an_old_version_stays_up_when_the_new_one_cannot_be_built(host: Host) -> None:
    """A new machine's name is taken: that is found out before the old version is removed."""
    host.good("up", host.write(scenario("mine")))
    inode = host.inode("mine.a")
    host.ok("ip", "netns", "add", "mine.b")
    message = host.refused(2, "up", host.write(scenario("mine", "a: {subnet: net/main}, b: {subnet: net/main}"), "new.yaml"))
    assert "/run/netns/mine.b" in message
    assert host.inode("mine.a") == inode
    host.good("status")
