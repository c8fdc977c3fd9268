"""`netemu report`: what a disagreement says to do, and the file that comes of it."""

from __future__ import annotations

import json
import subprocess
import sys
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import Lab, rule

NETWORK = f"""
virtualNetworks:
  net: {{addressSpace: 10.0.0.0/16, subnets: {{s: {{addressPrefix: 10.0.1.0/24, networkSecurityGroup: nsg}}}}}}
networkSecurityGroups:
  nsg: {{securityRules: {{no-ssh: {rule(100, "Inbound", "Deny", "Tcp", port="22")}}}}}
virtualMachines: {{a: {{subnet: net/s}}, b: {{subnet: net/s}}}}
expect: [{{from: a, to: b, port: 22, access: Deny, rule: no-ssh}}]
"""
KERNEL = ("@fabric", "@edge", "@internet", "@slb.net", "a", "b")


@pytest.fixture
def lab(single: Callable[[str], Lab]) -> Lab:
    return single(NETWORK)


def run(*argv: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "netemu", *argv], capture_output=True, text=True, check=False, cwd=cwd, timeout=60
    )


def read(file: Path) -> dict[str, str]:
    with tarfile.open(file) as archive:
        names = archive.getnames()
        return {name.partition("/")[2]: archive.extractfile(name).read().decode() for name in names}  # type: ignore[union-attr]


def test_a_disagreement_says_how_to_report_it_and_the_report_has_what_is_needed(lab: Lab, tmp_path: Path) -> None:
    lab.ruleset("@fabric", "flush chain ip netemu inbound/nsg/net")
    wrong = run("verify", "--matrix", lab.name, cwd=tmp_path)
    assert wrong.returncode == 1
    assert f"`netemu report {lab.name}` gathers what is needed" in wrong.stdout
    said = run("report", lab.name, cwd=tmp_path)
    assert (said.returncode, said.stderr) == (0, "")
    assert "flows disagree with Azure's rules" in said.stdout
    parts = read(tmp_path / f"{lab.name}-report.tar.gz")
    assert {*(f"kernel/{node}.{end}" for node in KERNEL for end in ("json", "nft"))} < parts.keys()
    assert not [name for name in parts if name.endswith(".missing")]
    assert parts["scenario.yaml"] == lab.source.read_text()
    assert json.loads(parts["versions.json"])["netemu"]
    assert json.loads(parts["verify.json"])["failed"] == 1
    found = json.loads(parts["matrix.json"])["disagreements"]
    assert found
    assert {"verdict", "packet", "disagreements"} <= found[0].keys()
    assert "chain inbound/nsg/net {\n\t}" in parts["kernel/@fabric.nft"]
    routes = json.loads(parts["kernel/a.json"])["routes"]
    assert {"destination": "0.0.0.0", "gateway": "10.0.1.1"}.items() <= routes[0].items()
    different = [r for r in json.loads(parts["status.json"])["resources"] if r["state"] == "different"]
    assert [r["resource"] for r in different] == ["networkSecurityGroups/nsg"]


def test_where_all_is_well_the_report_says_so(lab: Lab, tmp_path: Path) -> None:
    said = run("report", lab.name, "-w", "fine.tgz", cwd=tmp_path)
    assert "fine.tgz is written (every flow that was asked agrees)" in said.stdout
    assert json.loads(read(tmp_path / "fine.tgz")["matrix.json"])["disagreements"] == []


def test_a_lab_that_is_half_gone_can_be_reported_as_well(lab: Lab, tmp_path: Path) -> None:
    (lab.folder.path / "lab.json").write_text("{}")
    try:
        said = run("report", lab.name, cwd=tmp_path)
    finally:
        lab.up(NETWORK)
    assert said.returncode == 0, said.stderr
    parts = read(tmp_path / f"{lab.name}-report.tar.gz")
    assert "is not whole" in parts["matrix.json.missing"]
    assert "kernel/@fabric.nft" in parts


def test_a_report_that_cannot_be_written_is_a_mistake_of_the_persons(lab: Lab, tmp_path: Path) -> None:
    said = run("report", lab.name, "-w", "nowhere/x.tgz", cwd=tmp_path)
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr == "netemu: cannot write nowhere/x.tgz: No such file or directory\n"
