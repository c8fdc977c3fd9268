"""`netemu lint` as people and CI systems run it: exit codes, silences, forms of output; and netemu's own scenarios."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner, Result

from netemu.cli.main import cli
from netemu.lint import lint
from netemu.scenario import read_document

SCENARIOS = sorted((Path(__file__).parents[3] / "scenarios").glob("*.yaml"))

OPEN = """\
name: lab
virtualNetworks:
  net: {addressSpace: 10.0.0.0/16, subnets: {a: {addressPrefix: 10.0.0.0/24, networkSecurityGroup: nsg}}}
networkSecurityGroups:
  nsg:
    securityRules:
      ssh: {priority: 100, direction: Inbound, access: Allow, protocol: Tcp, sourceAddressPrefix: Internet,
            sourcePortRange: "*", destinationAddressPrefix: "*", destinationPortRange: 22}
virtualMachines:
  vm: {subnet: net/a}
"""
NAME = "networkSecurityGroups/nsg/securityRules/ssh/open-management-port"
SILENCED = f"{OPEN}lint:\n  ignore:\n    {NAME}: the jump host\n"


def run(*words: str | Path) -> Result:
    return CliRunner().invoke(cli, ["lint", *map(str, words)])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "lab.yaml"
    path.write_text(OPEN, encoding="utf-8")
    return path


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_netemus_own_scenarios_have_no_finding_that_is_not_meant(path: Path) -> None:
    assert lint(read_document(path)).findings == ()


def test_a_finding_is_told_in_a_line_and_exits_with_1(file: Path) -> None:
    result = run(file)
    assert result.exit_code == 1
    first, last = result.output.splitlines()
    assert first == (
        f"{file}:7:99: networkSecurityGroups/nsg/securityRules/ssh: opens 22 (SSH) to the internet;"
        " name the addresses that administer (open-management-port)"
    )
    assert last == f"{file}: 1 finding"


def test_a_silenced_finding_is_counted_and_exits_with_0(file: Path) -> None:
    file.write_text(SILENCED, encoding="utf-8")
    result = run(file)
    assert (result.exit_code, result.output) == (0, f"{file}: nothing found (1 silenced)\n")


@pytest.mark.parametrize(
    ("name", "instead"),
    [(NAME.replace("ssh/", "rdp/"), "remove it"), (f"{NAME}s", f"did you mean `{NAME}`?")],
)
def test_a_silence_that_silences_nothing_is_told(file: Path, name: str, instead: str) -> None:
    file.write_text(SILENCED.replace(NAME, name), encoding="utf-8")
    result = run(file)
    assert result.exit_code == 1
    assert f"{file}:13:{len(name) + 7}: lint/ignore/{name}: nothing of that name is found; {instead}" in result.output


def test_a_silence_needs_a_reason(file: Path) -> None:
    file.write_text(SILENCED.replace(": the jump host", ":"), encoding="utf-8")
    assert run(file).exit_code == 2


def test_several_files_are_looked_at_though_one_cannot_be_read(file: Path) -> None:
    result = run(file, file.parent / "no-such.yaml")
    assert result.exit_code == 2
    assert "open-management-port" in result.output
    assert "there is no such file" in result.output


def test_data_has_findings_silences_and_a_packet_for_every_rule(file: Path) -> None:
    file.write_text(SILENCED, encoding="utf-8")
    (data,) = json.loads(run("-o", "json", file).output)
    assert data["findings"] == []
    (silenced,) = data["silenced"]
    assert (silenced["name"], silenced["line"], silenced["finding"]) == (NAME, 7, "open-management-port")
    (rule,) = data["rules"]
    assert rule["resource"] == "networkSecurityGroups/nsg/securityRules/ssh"
    assert rule["decides"].endswith(" -> 10.0.0.4:22")


def test_witnesses_are_shown_on_demand(file: Path) -> None:
    shown = [line for line in run("--witnesses", file).output.splitlines() if " decides " in line]
    assert len(shown) == 1
    assert shown[0].startswith(f"{file}: networkSecurityGroups/nsg/securityRules/ssh decides Tcp ")
    assert shown[0].endswith("-> 10.0.0.4:22")


def test_github_gets_an_annotation_of_the_line(file: Path) -> None:
    result = run("-o", "github", file)
    assert result.exit_code == 1
    assert result.output.startswith(f"::warning file={file},line=7,col=99,title=open-management-port::networkSecurity")
    assert len(result.output.splitlines()) == 1


def test_junit_has_a_failure_for_a_finding_and_a_success_for_a_clean_file(file: Path, tmp_path: Path) -> None:
    clean = file.with_name("clean.yaml")
    clean.write_text(SILENCED, encoding="utf-8")
    target = tmp_path / "report.xml"
    assert run("--junit", target, file, clean).exit_code == 1
    suite = ElementTree.parse(target).getroot()
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    failed, passed = suite.findall("testcase")
    assert failed.get("name") == NAME
    assert failed.get("line") == "7"
    assert failed.find("failure") is not None
    assert (passed.get("name"), len(passed)) == (str(clean), 0)


def test_what_is_silenced_changes_nothing_of_the_lab(file: Path) -> None:
    from netemu.azure.changes import azure_changes
    from netemu.lab.up import digest
    from netemu.scenario import read_scenario

    loud = read_scenario(file)
    file.write_text(SILENCED, encoding="utf-8")
    quiet = read_scenario(file)
    assert quiet != loud
    assert digest(quiet) == digest(loud)
    assert azure_changes(loud, quiet) == []
