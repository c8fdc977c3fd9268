"""The difference between two versions of a scenario, in ARM's words."""

from __future__ import annotations

from pathlib import Path

import pytest

from netemu.azure.changes import PropertyChange, azure_changes
from netemu.azure.network import resolve
from netemu.azure.resources import Scenario
from netemu.plan import text
from netemu.scenario import read_scenario, read_text

SCENARIOS = sorted((Path(__file__).parents[3] / "scenarios").glob("*.yaml"))
BASE = """
name: base
virtualNetworks:
  net:
    addressSpace: [10.0.0.0/16]
    subnets: {main: {addressPrefix: 10.0.0.0/24, networkSecurityGroup: nsg, routeTable: table}}
    virtualNetworkPeerings: {p: {remoteVirtualNetwork: far}}
  far: {addressSpace: [10.1.0.0/16], virtualNetworkPeerings: {p: {remoteVirtualNetwork: net}}}
networkSecurityGroups:
  nsg: {securityRules: {one: {priority: 100, direction: Inbound, access: Allow, protocol: Tcp, sourcePortRange: '*',
        sourceAddressPrefix: '*', destinationAddressPrefix: '*', destinationPortRange: 80}}}
routeTables: {table: {routes: {r: {addressPrefix: 10.9.0.0/16, nextHopType: None}}}}
publicIPAddresses: {ip: {}}
virtualMachines: {vm: {subnet: net/main, run: sleep 1}}
internet: {hosts: {h: {ipAddress: 198.51.100.7}}}
"""


def scenario(content: str) -> Scenario:
    return read_text(content, "unit.yaml")


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_from_nothing_everything_is_created_and_to_nothing_deleted(path: Path) -> None:
    this = read_scenario(path)
    assert not azure_changes(this, this)
    created, deleted = azure_changes(None, this), azure_changes(this, None)
    assert {change.action for change in created} == {"create"}
    assert {change.action for change in deleted} == {"delete"}
    assert [change.resource for change in created] == [change.resource for change in deleted]
    names = {change.resource for change in created}
    assert {f"virtualMachines/{name}" for name in this.virtualMachines} <= names
    assert {f"networkInterfaces/{name}" for name in resolve(this).nics} <= names


@pytest.mark.parametrize(
    ("before", "after", "resource", "change"),
    [
        ("destinationPortRange: 80", "destinationPortRange: [80, 443]", "networkSecurityGroups/nsg/securityRules/one",
         PropertyChange("destinationPortRange", "80", ["80", "443"])),
        ("nextHopType: None", "nextHopType: Internet", "routeTables/table/routes/r",
         PropertyChange("nextHopType", "None", "Internet")),
        (", routeTable: table", "", "virtualNetworks/net/subnets/main", PropertyChange("routeTable", "table", None)),
        ("remoteVirtualNetwork: far", "remoteVirtualNetwork: far, allowForwardedTraffic: true",
         "virtualNetworks/net/virtualNetworkPeerings/p", PropertyChange("allowForwardedTraffic", False, True)),
        ("sleep 1", "sleep 2", "virtualMachines/vm", PropertyChange("run", "sleep 1", "sleep 2")),
        ("subnet: net/main", "subnet: net/main, privateIPAddress: 10.0.0.9",
         "networkInterfaces/vm-nic/ipConfigurations/ipconfig1", PropertyChange("privateIPAddress", None, "10.0.0.9")),
        ("ip: {}", "ip: {ipAddress: 20.61.7.7}", "publicIPAddresses/ip",
         PropertyChange("ipAddress", None, "20.61.7.7")),
        ("198.51.100.7", "198.51.100.8", "internet/hosts/h",
         PropertyChange("ipAddress", "198.51.100.7", "198.51.100.8")),
    ],
)  # fmt: skip
def test_one_property_is_one_change(before: str, after: str, resource: str, change: PropertyChange) -> None:
    assert before in BASE
    (found,) = azure_changes(scenario(BASE), scenario(BASE.replace(before, after)))
    assert (found.resource, found.action, found.properties) == (resource, "update", (change,))
    (back,) = azure_changes(scenario(BASE.replace(before, after)), scenario(BASE))
    assert back.properties == (PropertyChange(change.name, change.after, change.before),)


def test_the_short_form_and_defaults_written_out_are_no_difference() -> None:
    long = BASE.replace("ip: {}", "ip: {sku: Standard}").replace(
        "virtualMachines: {vm: {subnet: net/main, run: sleep 1}}",
        "virtualMachines: {vm: {networkInterfaces: [vm-nic], run: [sleep 1]}}\n"
        "networkInterfaces: {vm-nic: {ipConfigurations: {ipconfig1: {subnet: net/main, primary: true}}}}",
    )
    assert not azure_changes(scenario(BASE), scenario(long))


def test_expectations_are_no_resources() -> None:
    assert not azure_changes(scenario(BASE), scenario(BASE + "expect: [{from: vm, to: h, port: 80, access: Allow}]\n"))


def test_a_plan_reads_like_terraforms() -> None:
    new = BASE.replace("destinationPortRange: 80", "destinationPortRange: [80, 443]").replace(
        "internet: {hosts: {h: {ipAddress: 198.51.100.7}}}", ""
    )
    assert list(text(azure_changes(scenario(BASE), scenario(new)))) == [
        "~ networkSecurityGroups/nsg/securityRules/one",
        "    destinationPortRange: 80 -> 80, 443",
        "- internet/hosts/h",
    ]
