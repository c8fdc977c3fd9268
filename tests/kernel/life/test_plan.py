"""`plan`: what `up` would do, on two floors, and nothing done; a plan that is kept is carried out exactly or not at all."""

from __future__ import annotations

import json

from host import Host, scenario

OLD = "a: {subnet: net/main, run: sleep 5101}, b: {subnet: net/main}"
NEW = "a: {subnet: net/main, run: sleep 5102}, c: {subnet: net/main}"


def test_a_plan_for_a_lab_that_is_not_there_lists_everything_and_touches_nothing(host: Host) -> None:
    before = host.digest()
    done = host.netemu("plan", host.write(scenario("lab", OLD)))
    assert done.returncode == 2
    assert "+ virtualMachines/a" in done.stdout and "+ @fabric: namespace" in done.stdout
    assert host.digest() == before


def test_a_plan_says_what_up_would_change_and_changes_nothing(host: Host) -> None:
    host.good("up", host.write(scenario("lab", OLD)))
    before = host.digest()
    done = host.netemu("plan", host.write(scenario("lab", NEW), "new.yaml"))
    assert done.returncode == 2, done.stderr
    lines = done.stdout.splitlines()
    assert "~ virtualMachines/a" in lines and "    run: sleep 5101 -> sleep 5102" in lines
    assert "+ virtualMachines/c" in lines and "- virtualMachines/b" in lines
    assert "  - b: namespace" in lines and "  + c: namespace" in lines
    assert host.digest() == before
    assert host.pids("sleep 5101")


def test_there_is_nothing_to_plan_when_all_is_as_described_and_drift_is_planned(host: Host) -> None:
    file = host.write(scenario("lab", OLD))
    host.good("up", file)
    assert "nothing to do" in host.good("plan", file)
    host.ok("ip", "netns", "exec", "lab.a", "ip", "route", "del", "default")
    done = host.netemu("plan", file, "-o", "json")
    assert done.returncode == 2
    data = json.loads(done.stdout)
    assert data["resources"] == [] and data["kernel"] == ["+ a: route 0.0.0.0/0 in table main"]


def test_what_cannot_be_planned_is_exit_code_1(host: Host) -> None:
    for file in ("/nowhere.yaml", host.write("name: [")):
        done = host.netemu("plan", file)
        assert done.returncode == 1 and "Traceback" not in done.stderr and done.stderr


def test_a_kept_plan_is_carried_out_exactly(host: Host) -> None:
    host.good("up", host.write(scenario("lab", OLD)))
    new = host.write(scenario("lab", NEW), "new.yaml")
    plan = str(host.directory / "plan.json")
    assert host.netemu("plan", new, "--out", plan).returncode == 2
    host.write("name: something-else", "new.yaml")  # the plan has the text that it was made from
    assert host.good("up", "--plan-file", plan) == "lab is up in its new version\n"
    assert host.pids("sleep 5102") and not host.pids("sleep 5101")
    host.good("status")


def test_a_kept_plan_is_refused_when_reality_has_moved(host: Host) -> None:
    host.good("up", host.write(scenario("lab", OLD)))
    new = host.write(scenario("lab", NEW), "new.yaml")
    plan = str(host.directory / "plan.json")
    host.netemu("plan", new, "--out", plan)
    host.ok("ip", "netns", "exec", "lab.a", "ip", "route", "del", "default")
    before = host.digest()
    assert "make a new one" in host.refused(2, "up", "--plan-file", plan)
    assert host.digest() == before
    host.good("down")
    assert "make a new one" in host.refused(2, "up", "--plan-file", plan)
    assert "not a plan" in host.refused(2, "up", "--plan-file", new)
    assert host.netemu("up").returncode == 2
