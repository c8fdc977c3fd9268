"""Whole scenarios that are right, and where things are in them."""

from __future__ import annotations

from pathlib import Path

import pytest

from netemu.azure.network import resolve
from netemu.errors import PersonError
from netemu.scenario import read_document, read_scenario, read_text

SHIPPED = sorted((Path(__file__).parents[3] / "scenarios").glob("*.yaml"))


def test_the_example_of_the_documentation_is_read(golden: str) -> None:
    scenario = read_text(golden)
    rule = scenario.networkSecurityGroups["web-nsg"].securityRules["allow-http"]
    assert rule.priority == 100
    assert rule.sourcePortRange == ("*",)
    assert rule.destinationPortRange == ("80", "8080-8090")
    assert scenario.virtualNetworks["shop-vnet"].addressSpace == ("10.0.0.0/16",)
    assert scenario.networkSecurityGroups["db-nsg"].securityRules == {}
    assert scenario.virtualMachines["web1"].run == ("python3 -m http.server 80",)
    assert scenario.expect[0].from_ == "visitor"
    assert scenario.expect[1].rule == "DenyAllInBound"
    assert str(resolve(scenario).machines["db1"].nics[0].address) == "10.0.2.10"


@pytest.mark.parametrize("file", SHIPPED, ids=lambda file: file.stem)
def test_every_shipped_scenario_is_read_and_resolved(file: Path) -> None:
    scenario = read_scenario(file)
    assert set(resolve(scenario).machines) == set(scenario.virtualMachines)


def test_scenarios_are_shipped() -> None:
    assert SHIPPED


def test_texts_keep_the_form_in_which_they_are_written() -> None:
    scenario = read_text(
        "name: on\n"
        "location: 0x10\n"
        "virtualNetworks: {1e3: {addressSpace: 10.0.0.0/16, subnets: {no: {addressPrefix: 10.0.0.0/24}}}}\n"
        "virtualMachines:\n"
        "  22: {subnet: 1e3/no, run: [yes, 22:22, 1_000, null-ish], sysctls: {net.ipv4.ip_forward: 01}}\n"
        "routeTables: {rt: {routes: {r: {addressPrefix: 0.0.0.0/0, nextHopType: None}}}}\n"
    )
    machine = scenario.virtualMachines["22"]
    assert (scenario.name, scenario.location) == ("on", "0x10")
    assert (machine.subnet, machine.run) == ("1e3/no", ("yes", "22:22", "1_000", "null-ish"))
    assert machine.sysctls == {"net.ipv4.ip_forward": "01"}
    assert scenario.routeTables["rt"].routes["r"].nextHopType == "None"


def test_a_document_knows_where_everything_is(tmp_path: Path, golden: str) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(golden)
    document = read_document(file)
    assert document.file == str(file)
    assert document.scenario == read_text(golden)
    for path, position in (
        ((), (1, 1)),
        (("name",), (1, 7)),
        (("virtualNetworks", "shop-vnet"), (5, 3)),
        (("virtualNetworks", "shop-vnet", "addressSpace", 0), (6, 20)),
        (("virtualNetworks", "shop-vnet", "subnets", "db", "routeTable"), (9, 83)),
        (("virtualMachines", "web1", "run", 0), (28, 38)),
        (("virtualMachines", "web1", "computerName"), (28, 3)),
        (("virtualMachines", "absent"), (27, 1)),
        (("expect", 1, "port"), (42, 54)),
        (("expect", 7), (40, 1)),
    ):
        assert document.position(*path) == position


@pytest.mark.parametrize("name", ["a\nb.yaml", "\x1b[2J.yaml", "\x9b.yaml", "\udcff.yaml"])
def test_a_file_whose_name_no_message_could_show_is_refused_in_one_line(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_text("name: lab\n")
    with pytest.raises(PersonError) as caught:
        read_scenario(tmp_path / name)
    assert str(caught.value).isprintable()
    assert "rename it" in str(caught.value)


def test_a_file_whose_directory_no_record_could_name_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "\udcff").mkdir()
    (tmp_path / "\udcff" / "lab.yaml").write_text("name: lab\n")
    monkeypatch.chdir(tmp_path / "\udcff")
    with pytest.raises(PersonError, match=r"lab\.yaml: the name of its directory is not UTF-8"):
        read_scenario("lab.yaml")
