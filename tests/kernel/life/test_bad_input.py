"""Hostile and mistaken scenarios through the command line; names at the limits of the kernel."""

from __future__ import annotations

import pytest
from host import Host, scenario

BOMB = "a0: &a0 [x, x]\n" + "".join(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]\n" for n in range(1, 12))
BAD = {
    "a list": "- a\n- b\n",
    "a text": "hello\n",
    "nothing": "",
    "an alias bomb": BOMB,
    "a loop": "name: x\nvirtualNetworks: &v {a: *v}\n",
    "not YAML": "name: {[}\n",
    "NUL": "name: a\0b\n",
    "IPv6": scenario("six").replace("10.0.0.0/24", "fd00::/64"),
    "a long lab name": scenario("l" + "o" * 199 + "ng"),
    "a lab name that climbs": scenario("'../../etc'"),
    "a lab name with a slash": scenario("a/b"),
    "a machine that climbs": scenario("ok", "'../../../etc/passwd': {subnet: net/main}"),
    "a machine with a slash": scenario("ok", "'a/b': {subnet: net/main}"),
    "a machine called dots": scenario("ok", "'..': {subnet: net/main}"),
    "a machine with a new line": scenario("ok", '"a\\nb": {subnet: net/main}'),
    "a machine like a platform part": scenario("ok", "'@fabric': {subnet: net/main}"),
    "a long machine name": scenario("ok", "m" * 200 + ": {subnet: net/main}"),
    "a host that climbs": scenario("ok", more="internet: {hosts: {'../x': {ipAddress: 198.51.100.7}}}\n"),
    "an unclosed quotation": scenario("ok", "a: {subnet: net/main, run: \"sh -c 'x\"}"),
    "a sysctl that climbs": scenario("ok", "a: {subnet: net/main, sysctls: {net.ipv4/../../kernel/hostname: x}}"),
    "a foreign sysctl": scenario("ok", "a: {subnet: net/main, sysctls: {kernel.hostname: x}}"),
}


def test_every_bad_scenario_is_refused_with_a_place_and_without_a_traceback(host: Host) -> None:
    before = host.digest()
    for what, text in BAD.items():
        done = host.netemu("up", host.write(text))
        assert done.returncode == 2, (what, done.stdout, done.stderr)
        assert "Traceback" not in done.stderr, (what, done.stderr)
        assert "lab.yaml" in done.stderr, (what, done.stderr)
        assert len(done.stderr) < 4000, what
        assert host.netemu("validate", host.write(text)).returncode == 2, what
    assert host.digest() == before


def test_files_that_cannot_be_read_are_refused(host: Host) -> None:
    secret = host.write(scenario("secret"), "secret.yaml")
    host.ok("chmod", "600", secret)
    for file, why in (
        (str(host.directory), "directory"),
        ("/nowhere.yaml", "there is no such file"),
        ("/proc/self/mem", "cannot be read"),
        ("/dev/zero", "larger than"),
    ):
        assert why in host.refused(2, "validate", file)
        assert why in host.refused(2, "up", file)
    done = host.netemu("validate", secret, uid=65534)
    assert done.returncode == 2
    assert "not readable" in done.stderr or "Permission denied" in done.stderr


def test_a_scenario_may_come_from_a_pipe(host: Host) -> None:
    done = host.netemu("up", "/dev/stdin", stdin=scenario("piped"))
    assert done.returncode == 0, done.stderr
    assert "10.0.0.4" in host.good("status")
    host.good("down")


def test_names_at_the_limits_all_work(host: Host) -> None:
    lab = "l" + "o" * 30 + "g"
    machines = {"same-first-fifteen-letters-" + end: f"10.0.0.{n}" for n, end in enumerate(("one", "two", "three"), 10)}
    machines |= {"web.server.1": "10.0.0.20", "m" * 64: "10.0.0.21", "UPPER_case-9": "10.0.0.22"}
    visitor = ".".join(["long-label" * 6] * 3)
    text = scenario(
        lab,
        ", ".join(f"{name}: {{subnet: net/main, privateIPAddress: {address}, computerName: c{address[7:]}}}" for name, address in machines.items()),
        f"internet: {{hosts: {{{visitor}: {{ipAddress: 198.51.100.7}}}}}}\n",
    )
    host.good("up", host.write(text))
    host.good("status")
    names = list(machines)
    for name, other in zip(names, [*names[1:], names[0]], strict=True):
        host.good("exec", name, "--", "ping", "-c1", "-W2", machines[other])
    assert host.good("exec", visitor, "--", "cat", "/etc/hostname").strip() == visitor
    assert host.good("exec", visitor, "--", "hostname").strip() == visitor[:64]
    assert host.ok("ip", "netns", "exec", f"{lab}.{'m' * 64}", "ip", "-br", "link", "show", "eth0")
    host.good("down")


@pytest.mark.parametrize("args", [["up"], ["dwon"], ["exec"], ["exec", "a"], ["exec", "a", "--"], ["ls", "--wrong"], ["down", "a", "--all"]])
def test_a_mistyped_command_line_is_exit_code_2(host: Host, args: list[str]) -> None:
    done = host.netemu(*args)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
