"""Plans as people and as programs read them."""

from __future__ import annotations

import json

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from netemu.azure.changes import PropertyChange, ResourceChange, azure_changes
from netemu.plan import text, to_builtins
from netemu.scenario import read_text

OLD = """
name: shop
virtualNetworks: {shop-vnet: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}}}}
networkSecurityGroups:
  web-nsg: {securityRules: {allow-http: {priority: 100, direction: Inbound, access: Allow, protocol: Tcp,
            sourceAddressPrefix: Internet, destinationPortRange: 80}}}
routeTables: {old: {}}
"""
NEW = OLD.replace("destinationPortRange: 80", "destinationPortRange: [80, 443]").replace(
    "routeTables: {old: {}}", "virtualMachines: {web3: {subnet: shop-vnet/web, enableIPForwarding: true}}"
)
CHANGES = azure_changes(read_text(OLD, "old.yaml"), read_text(NEW, "new.yaml"))


def test_a_plan_reads_like_terraforms() -> None:
    assert list(text(CHANGES)) == [
        "~ networkSecurityGroups/web-nsg/securityRules/allow-http",
        "    destinationPortRange: 80 -> 80, 443",
        "+ networkInterfaces/web3-nic",
        "    enableIPForwarding: true",
        "    location: westeurope",
        "+ networkInterfaces/web3-nic/ipConfigurations/ipconfig1",
        "    subnet: shop-vnet/web",
        "    primary: true",
        "+ virtualMachines/web3",
        "    networkInterfaces: web3-nic",
        "    computerName: web3",
        "    location: westeurope",
        "- routeTables/old",
    ]


def test_a_property_that_an_update_brings_or_takes_shows_what_was_there() -> None:
    change = ResourceChange(
        "virtualNetworks/net/subnets/web", "update",
        (PropertyChange("routeTable", None, "new"), PropertyChange("networkSecurityGroup", "nsg", None)),
    )  # fmt: skip
    assert list(text([change])) == [
        "~ virtualNetworks/net/subnets/web",
        "    routeTable: (none) -> new",
        "    networkSecurityGroup: nsg -> (none)",
    ]


def test_a_program_on_several_lines_cannot_pass_for_a_line_of_the_plan() -> None:
    run = "sh -c 'true\n- virtualNetworks/net'"
    change = ResourceChange("virtualMachines/a", "create", (PropertyChange("run", None, run),))
    assert list(text([change])) == ["+ virtualMachines/a", "    run: sh -c 'true\\n- virtualNetworks/net'"]


@given(st.text(), st.text() | st.lists(st.text(), min_size=2))
def test_every_line_is_one_printable_line(before: str, after: str | list[str]) -> None:
    change = ResourceChange("virtualMachines/a", "update", (PropertyChange("run", before, after),))
    lines = list(text([change]))
    assert len(lines) == 2 and all(line.isprintable() for line in lines)


def test_programs_get_resources_actions_and_typed_values() -> None:
    data = json.loads(json.dumps(to_builtins(CHANGES)))
    assert data[0] == {
        "resource": "networkSecurityGroups/web-nsg/securityRules/allow-http",
        "action": "update",
        "properties": [{"name": "destinationPortRange", "before": "80", "after": ["80", "443"]}],
    }
    forwarding = {"name": "enableIPForwarding", "before": None, "after": True}
    assert data[1]["action"] == "create" and forwarding in data[1]["properties"]
    gone = {"name": "disableBgpRoutePropagation", "before": False, "after": None}
    assert data[-1]["action"] == "delete" and gone in data[-1]["properties"]
    assert msgspec.convert(data, list[ResourceChange]) == CHANGES
