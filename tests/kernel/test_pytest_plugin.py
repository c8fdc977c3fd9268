"""The pytest plugin as its users have it: whole projects of theirs, run by a pytest of their own, with real labs."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_api import NETWORK, ROOT, traces, wait_until

pytest_plugins = ["pytester"]

DOCUMENT = (ROOT / "docs/python.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", DOCUMENT, re.DOTALL)


@pytest.fixture(autouse=True)
def state(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Path]:
    """A state directory that must be gone in the end, and a pytest that has the plugin once, installed or not."""
    directory = tmp_path / "labs"
    monkeypatch.setenv("NETEMU_STATE_DIR", str(directory))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    monkeypatch.setenv("PYTEST_ADDOPTS", "-p netemu.pytest_plugin -p no:cacheprovider")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (pytester.path / "api.yaml").write_text(NETWORK)
    yield directory
    wait_until(lambda: not directory.exists(), "every lab is taken down")


def run(pytester: pytest.Pytester, *args: str) -> pytest.RunResult:
    return pytester.runpytest_subprocess("-W", "error", *args, timeout=120)


# ---- labs ------------------------------------------------------------------------------------------------------------


def test_marked_tests_share_a_lab_or_have_one_of_their_own(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        names = []

        @pytest.mark.netemu("api.yaml")
        def test_one(lab):
            names.append(lab.name)
            assert lab.reaches("client", "server", port=80)
            assert lab.vm("client").run(["hostname"]).stdout == "client\\n"

        @pytest.mark.netemu("api.yaml", scope="test")
        def test_alone(lab):
            names.append(lab.name)
            assert not lab.reaches("client", "server", port=22)

        @pytest.mark.netemu("api.yaml")
        class TestMore:
            def test_two(self, lab):
                names.append(lab.name)
                assert lab.verify()

            def test_names(self, lab):
                assert names[0] == names[2] == lab.name != names[1]
        """
    )
    run(pytester, "--strict-markers").assert_outcomes(passed=4)


def test_factories_bring_labs_up_for_a_session_or_for_a_test(pytester: pytest.Pytester) -> None:
    pytester.makeconftest(
        """
        import pytest

        @pytest.fixture(scope="session")
        def lab(netemu_session):
            return netemu_session("api.yaml")
        """
    )
    folder = pytester.mkdir("deeper")
    (folder / "other.yaml").write_text(NETWORK.replace("name: api", "name: other"))
    (folder / "test_it.py").write_text(
        "def test_session(lab, netemu_session):\n"
        "    assert netemu_session('api.yaml') is lab\n"
        "    assert lab.name.startswith('api-')\n"
        "def test_two_at_once(lab, netemu_lab):\n"
        "    one, two = netemu_lab('other.yaml'), netemu_lab('other.yaml')\n"
        "    assert len({lab.name, one.name, two.name}) == 3\n"
        "    assert one.name.startswith('other-')\n"
        "    assert one.vm('client').listens(80) is False\n"
    )
    run(pytester).assert_outcomes(passed=2)


def test_the_ini_file_may_name_the_scenario(pytester: pytest.Pytester) -> None:
    pytester.makeini("[pytest]\nnetemu_scenario = api.yaml")
    (pytester.mkdir("below") / "test_it.py").write_text("def test_it(lab): assert lab.verify()\n")
    run(pytester).assert_outcomes(passed=1)


def test_a_test_without_a_scenario_is_told_what_to_write(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest
        def test_none(lab): pass
        @pytest.mark.netemu("api.yaml", scope="module")
        def test_scope(lab): pass
        @pytest.mark.netemu("none.yaml")
        def test_file(lab): pass
        """
    )
    result = run(pytester)
    result.assert_outcomes(errors=3)
    result.stdout.fnmatch_lines(
        [
            "*::test_none: the fixture `lab` needs a scenario: mark the test with @pytest.mark.netemu(\"FILE\"), or set*",
            "*the mark netemu has scope='module'; say \"session\" or \"test\"*",
            "*none.yaml: there is no such file*",
        ]
    )


def test_a_project_that_does_not_use_it_imports_nothing_of_it(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import sys
        def test_it():
            assert [name for name in sys.modules if name.startswith("netemu.")] == ["netemu.pytest_plugin"]
        """
    )
    run(pytester).assert_outcomes(passed=1)


# ---- what a failed test tells ----------------------------------------------------------------------------------------


def test_a_test_that_fails_tells_why_the_packet_did_not_arrive(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.netemu("api.yaml")
        def test_ssh(lab):
            assert lab.reaches("client", "server", port=80)
            assert lab.reaches("client", "server", port=22)
        """
    )
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            ">*assert lab.reaches(\"client\", \"server\", port=22)",
            "E*assert <client → server Tcp/22: was denied by rule rest (200) of nsg, inbound at server-nic>",
            "*the last that was asked of lab api-*",
            "client → server Tcp/80: arrived at server, and the answer came back",
            "client → server Tcp/22: was denied by rule rest (200) of nsg, inbound at server-nic",
            "  by Azure's rules:",
            "*client-nic: 10.0.2.4 is routed by Default route 10.0.0.0/16 -> VnetLocal",
            "*net/back: nsg denies Tcp 10.0.1.4:* -> 10.0.2.4:22 inbound by rule rest (priority 200)",
            "  counted: nsg/rest: 1 dropped",
            "client → server Tcp/22 does not work.",
            "  The kernel dropped a probe by rule `rest` in @fabric; * packets counted.",
            "  what would change that: a rule allowing Tcp/22 from * would let it through",
        ]
    )


def test_only_what_the_failed_test_has_asked_is_told_whoever_made_the_lab(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.fixture(scope="session")
        def shop(netemu_session):
            return netemu_session("api.yaml")

        def test_before(shop):
            assert not shop.reaches("client", "server", port=23)

        def test_fails(shop):
            assert shop.reaches("client", "server", protocol="Icmp")

        def test_fails_otherwise(shop):
            assert 1 == 2
        """
    )
    result = run(pytester)
    result.assert_outcomes(passed=1, failed=2)
    text = result.stdout.str()
    assert "client → server Icmp: was denied by rule rest (200)" in text
    assert "Tcp/23" not in text
    assert text.count("the last that was asked of lab") == 1


def test_a_verification_that_fails_tells_every_line(pytester: pytest.Pytester) -> None:
    (pytester.path / "wrong.yaml").write_text(NETWORK.replace("rule: web,", "rule: rest,"))
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.netemu("wrong.yaml")
        def test_it(lab):
            assert lab.verify()
        """
    )
    result = run(pytester)
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "E*assert <api-*: 1 of 2 lines of expect are so: the web is open: expected rule rest*>",
            "1. the web is open",
            "  expected rule rest, but by Azure's rules it is web",
            "  expected rule rest, but its counter did not move (moved: nsg/web)",
        ]
    )


# ---- however it ends -------------------------------------------------------------------------------------------------


def test_parallel_workers_have_labs_of_their_own(pytester: pytest.Pytester) -> None:
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.netemu("api.yaml")
        @pytest.mark.parametrize("number", range(8))
        def test_it(lab, number):
            assert lab.reaches("client", "server", port=80)
            assert lab.verify()
            print(lab.name)
        """
    )
    result = run(pytester, "-p", "xdist", "-n", "2", "-rP")
    result.assert_outcomes(passed=8)
    assert len(set(re.findall(r"^api-[0-9a-f]{8}$", result.stdout.str(), re.MULTILINE))) == 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=lambda number: number.name)
def test_ctrl_c_and_kill_take_every_lab_down(pytester: pytest.Pytester, state: Path, number: int) -> None:
    pytester.makepyfile(
        """
        import pytest, time

        @pytest.mark.netemu("api.yaml")
        def test_it(lab, netemu_lab):
            netemu_lab("api.yaml").vm("client").start(["sleep", "1000"])
            open("there", "w").close()
            time.sleep(1000)
        """
    )
    with subprocess.Popen(
        [sys.executable, "-m", "pytest", "-q"], cwd=pytester.path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        text=True, start_new_session=True,
    ) as process:  # fmt: skip
        wait_until(lambda: (pytester.path / "there").exists(), "the test is there")
        names = {entry for entry in os.listdir(state) if (state / entry).is_mount()}
        assert len(names) == 2
        os.killpg(process.pid, number)
        said, _ = process.communicate(timeout=60)
    if number == signal.SIGINT:
        assert "KeyboardInterrupt" in said
        assert [traces(name) for name in names] == [[], []]


# ---- docs/python.md --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_the_examples_of_the_documentation_run(pytester: pytest.Pytester, number: int) -> None:
    (pytester.path / "scenarios").symlink_to(ROOT / "scenarios")
    block = BLOCKS[number]
    if "def test_" in block:
        tests = block.count("def test_")
        pytester.makepyfile(block)
        run(pytester).assert_outcomes(passed=tests)
    else:
        (pytester.path / "example.py").write_text(block)
        done = subprocess.run(
            [sys.executable, "-W", "error", "example.py"], cwd=pytester.path, capture_output=True, text=True,
            check=False, timeout=60,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")


def test_the_failure_that_the_documentation_shows_is_what_pytest_prints(pytester: pytest.Pytester) -> None:
    (pytester.path / "scenarios").symlink_to(ROOT / "scenarios")
    pytester.makepyfile(
        """
        import pytest

        @pytest.mark.netemu("scenarios/three-tier.yaml")
        def test_it(lab):
            assert lab.reaches("web1", "db1", port=5432)
        """
    )
    shown = re.findall(r"```\n(E  .*?)```", DOCUMENT, re.DOTALL)[0].splitlines()
    printed = run(pytester).stdout
    lines = [re.sub(r"-+ (.*)-[0-9a-f]{8} -+", r"*\1-*", line) for line in shown]
    printed.fnmatch_lines([line.replace(":57792", ":*").replace("…", "*") for line in lines])
