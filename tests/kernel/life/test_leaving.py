"""`down` leaves the machine as `up` found it."""

from __future__ import annotations

from host import ROOT, Host, scenario, wait_for

SERVER = "a: {subnet: net/main, run: sleep 1000}"


def test_up_exec_verify_and_down_leave_the_host_byte_for_byte_as_it_was(host: Host) -> None:
    before = host.digest()
    host.good("up", str(ROOT / "scenarios" / "three-tier.yaml"))
    while_up = host.digest()
    host.good("exec", "web1", "--", "ip", "address")
    host.good("status")
    host.good("verify")
    host.good("down")
    after = host.digest()
    for kind, content in before.items():
        assert after[kind] == content, kind
    for kind in ("links", "addresses", "routes", "rules", "neighbours", "ruleset", "sysctls"):
        assert while_up[kind] == before[kind], kind


def test_directories_that_were_there_before_stay(host: Host) -> None:
    host.ok("mkdir", "/run/netns", "/etc/netns", "/run/netemu")
    before = host.digest()
    host.good("up", host.write(scenario("tidy")))
    host.good("down")
    assert host.digest()["files"] == before["files"]


def test_a_state_directory_of_the_persons_own_stays_and_links_to_it_do_not_matter(host: Host) -> None:
    host.ok("mkdir", "/run/real")
    host.ok("ln", "-s", "/run/real", "/run/linked")
    before = host.digest()
    elsewhere = {"NETEMU_STATE_DIR": "/run/linked"}
    assert host.netemu("up", host.write(scenario("tidy")), env=elsewhere).returncode == 0
    assert host.netemu("status", env=elsewhere).returncode == 0
    assert host.netemu("down", env=elsewhere).returncode == 0
    assert host.digest()["files"] == before["files"]


def test_directories_stay_when_somebody_else_has_begun_to_use_them(host: Host) -> None:
    host.good("up", host.write(scenario("tidy")))
    host.ok("ip", "netns", "add", "mine")
    host.good("down")
    assert host.ok("ip", "netns", "list").strip() == "mine"
    assert host.run("ls", "/run/netemu").returncode != 0
    assert host.run("ls", "/etc/netns").returncode != 0


def test_a_second_down_says_that_there_is_no_such_lab(host: Host) -> None:
    host.good("up", host.write(scenario("once")))
    host.good("down", "once")
    assert "there is no lab 'once'" in host.refused(2, "down", "once")
    assert "no lab is up" in host.refused(2, "down")


def test_processes_inside_end_with_the_lab_and_those_outside_do_not(host: Host) -> None:
    host.good("up", host.write(scenario("ends", SERVER)))
    with (
        host.start("ip", "netns", "exec", "ends.a", "sleep", "2001") as inside,
        host.start("sh", "-c", "trap '' TERM; ip netns exec ends.a sh -c 'trap \"\" TERM; sleep 2002; sleep 2002'") as stubborn,
        host.start("sleep", "2003") as outside,
    ):
        wait_for(lambda: host.pids("sleep 2001") and host.pids("sleep 2002"), "programs start")
        done = host.netemu("down")
        assert done.returncode == 0 and "ended " in done.stderr
        assert not host.pids("sleep 1000") and not host.pids("sleep 2001") and not host.pids("sleep 2002")
        assert host.pids("sleep 2003")
        inside.wait(10)
        stubborn.wait(10)
        for pid in host.pids("sleep 2003"):
            host.ok("kill", str(pid))
        outside.wait(10)


def test_a_neighbour_with_the_same_addresses_goes_on_working(host: Host) -> None:
    machines = "a: {subnet: net/main}, b: {subnet: net/main}"
    host.good("up", host.write(scenario("one", machines)))
    host.good("up", host.write(scenario("two", machines), "two.yaml"))
    before = host.inode("two.a"), host.pids("netemu/two/daemons")
    host.good("down", "one")
    host.good("exec", "a", "--", "ping", "-c1", "-W2", "10.0.0.5")
    host.good("exec", "a", "--", "getent", "hosts", "b")
    assert (host.inode("two.a"), host.pids("netemu/two/daemons")) == before
    assert not host.pids("netemu/one/daemons")
    assert "two" in host.good("ls") and "one" not in host.good("ls").split()


def test_another_mount_namespace_does_not_keep_a_lab_alive(host: Host) -> None:
    host.good("up", host.write(scenario("pinned")))
    with host.start("unshare", "--mount", "sleep", "3000") as elsewhere:
        (pid,) = wait_for(lambda: {p for p in host.pids("sleep 3000") if "unshare" not in host.ok("ps", "-o", "comm=", str(p))},
                          "it starts")  # fmt: skip
        assert "pinned" in host.ok("cat", f"/proc/{pid}/mountinfo")
        host.good("down")
        assert "pinned" not in host.ok("cat", f"/proc/{pid}/mountinfo")
        host.ok("kill", str(pid))
        elsewhere.wait(10)


def test_no_name_reaches_outside_the_state_directory(host: Host) -> None:
    host.good("up", host.write(scenario("inner")))
    before = host.digest()
    for name in ("", "..", "../x", "a/b", "x" * 300, "-x", "a b", "\N{SNOWMAN}"):
        assert "there is no lab" in host.refused(2, "down", "--", name)
        assert "there is no lab" in host.refused(2, "exec", "--lab", name, "a", "--", "true")
    assert host.digest()["files"] == before["files"]


def test_a_hundred_cycles_of_up_verify_and_down_leave_nothing_in_the_process_or_the_kernel(host: Host) -> None:
    before = host.digest()
    file = host.write(scenario("again", f"{SERVER}, b: {{subnet: net/main}}"))
    answer = host.drive("cycles", file, "100")
    assert answer["first"] == answer["last"]
    assert answer["grown"] < 1 << 20
    assert host.digest() == before
