"""What the Python API promises without a lab: it costs nothing until it is used, and its answers explain themselves."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import netemu
from netemu.api import Counted, Line, Reach, Verification
from netemu.api.channel import error_message, raised
from netemu.errors import NetemuError, PersonError, Problem, ScenarioError, SystemRefusal
from netemu.scenario import read_text
from netemu.scenario.renaming import renamed

ROOT = Path(__file__).parents[2]


def modules_after(statement: str) -> set[str]:
    code = f"import sys; before = set(sys.modules); {statement}; print(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    return set(done.stdout.split())


def test_importing_netemu_imports_nothing_else() -> None:
    assert modules_after("import netemu") <= {"netemu", "__future__"}


def test_the_plugin_imports_nothing_of_netemu_before_it_is_used() -> None:
    assert {name for name in modules_after("import pytest; import netemu.pytest_plugin") if "netemu" in name} == {
        "netemu", "netemu.pytest_plugin",
    }  # fmt: skip


def test_every_name_that_netemu_offers_can_be_had() -> None:
    assert {getattr(netemu, name).__name__ for name in netemu.__all__} == set(netemu.__all__)
    assert set(netemu.__all__) <= set(dir(netemu))
    with pytest.raises(AttributeError, match="'Nothing'"):
        netemu.Nothing  # noqa: B018


def test_the_package_says_that_it_is_typed_and_has_a_plugin() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"netemu": "netemu.pytest_plugin"}
    assert (ROOT / "netemu/py.typed").read_text() == ""


def test_a_program_that_uses_the_api_passes_the_strict_type_checker(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        "from netemu import Lab, Reach\n"
        "with Lab('x.yaml') as lab:\n"
        "    found: Reach = lab.reaches('a', 'b', port=1)\n"
        "    words: str = lab.vm('a').run(['true']).stdout\n"
        "    lab.reaches('a', 'b', port='1')\n"
    )
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-incremental", "--cache-dir", os.devnull, str(program)],
        capture_output=True, text=True, check=False, cwd=tmp_path, env={**os.environ, "MYPYPATH": str(ROOT)},
    )  # fmt: skip
    assert done.stdout.splitlines()[:-1] == [
        'program.py:5: error: Argument "port" to "reaches" of "Lab" has incompatible type "str"; expected "int | None"'
        "  [arg-type]"
    ]


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("name: shop\nlocation: x\n", "name: other\nlocation: x\n"),
        ("location: x\nname:   'shop'  # the lab\n", "location: x\nname:   other  # the lab\n"),
        ("{location: x, name: shop}\n", "{location: x, name: other}\n"),
        ('{"name": "shop"}\n', '{"name": other}\n'),
        ("tags: {name: shop}\nname: shop\nmore: [name, shop]\n", "tags: {name: shop}\nname: other\nmore: [name, shop]\n"),
        ("name: &n shop\nlocation: *n\n", "name: &n other\nlocation: *n\n"),
        ("# Köln\nname: shop\n", "# Köln\nname: other\n"),
    ],
)
def test_a_scenario_gets_another_name_and_nothing_else(text: str, wanted: str) -> None:
    assert renamed(text, "other") == wanted


@pytest.mark.parametrize("file", sorted((ROOT / "scenarios").glob("*.yaml")), ids=lambda file: file.stem)
def test_every_scenario_can_have_another_name(file: Path) -> None:
    assert read_text(renamed(file.read_text(), "other")).name == "other"


@pytest.mark.parametrize(
    "error",
    [
        PersonError("no such thing"),
        SystemRefusal("no root"),
        NetemuError("interrupted"),
        ScenarioError([Problem("f.yaml", 1, 2, "virtualMachines/a", "wrong", "right", "Code")]),
    ],
)
def test_errors_come_over_as_they_were(error: NetemuError) -> None:
    _, *parts = error_message(error)
    again = raised(*parts)
    assert (type(again), str(again)) == (type(error), str(error))
    assert getattr(again, "problems", None) == getattr(error, "problems", None)


def test_an_error_that_no_person_should_see_keeps_its_traceback() -> None:
    again = raised("Bug", "Traceback …", ())
    assert (type(again), str(again)) == (RuntimeError, "Traceback …")


DENIED = Reach(
    source="a", to="b", protocol="Tcp", port=22, access="Deny", answered=False, rule="no", networkSecurityGroup="nsg",
    counted=(Counted("nsg", "no", "nsg-in", True, 1),), steps=("b-nic: denied",),
    text="a → b Tcp/22: was denied by rule no of nsg\n  by Azure's rules:\n    b-nic: denied",
)  # fmt: skip


def test_a_reach_is_true_when_packet_and_answer_arrive_and_its_first_line_is_what_pytest_shows() -> None:
    assert not DENIED
    assert not Reach(source="a", to="b", protocol="Icmp", access="Allow", answered=False)
    assert Reach(source="a", to="b", protocol="Icmp", access="Allow", answered=True)
    assert repr(DENIED) == "<a → b Tcp/22: was denied by rule no of nsg>"
    assert str(DENIED).splitlines()[2] == "    b-nic: denied"
    assert str(DENIED.counted[0]) == "nsg/no: 1 dropped"


def test_a_verification_is_true_when_nothing_failed_and_tells_what_did() -> None:
    good = Line(number=1, name="one", access="Deny", disagreements=(), reach=DENIED)
    bad = Line(number=2, name="two", access="Allow", disagreements=("expected Allow",), reach=DENIED)
    assert Verification(lab="shop", lines=(good,))
    found = Verification(lab="shop", lines=(good, bad))
    assert not found
    assert repr(found) == "<shop: 1 of 2 lines of expect are so: two: expected Allow>"
    assert str(found).splitlines()[1:] == ["", "2. two", "  expected Allow", "    by Azure's rules: b-nic: denied"]
