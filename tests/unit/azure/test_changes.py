"""The difference between two versions of a scenario, in ARM's words."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from netemu.azure import resources as arm
from netemu.azure.changes import CHILDREN, OF_THE_BALANCER, OF_THE_NIC, PropertyChange, ResourceChange, azure_changes
from netemu.azure.network import resolve
from netemu.azure.resources import Scenario
from netemu.azure.resources.dns import ARecord, CnameRecord
from netemu.scenario import read_scenario, read_text

SCENARIOS = sorted((Path(__file__).parents[3] / "scenarios").glob("*.yaml"))
BASE = """
name: base
virtualNetworks:
  net:
    addressSpace: [10.0.0.0/16, 10.2.0.0/16]
    subnets: {main: {addressPrefix: 10.0.0.0/24, networkSecurityGroup: nsg, routeTable: table}}
    virtualNetworkPeerings: {p: {remoteVirtualNetwork: far}}
  far: {addressSpace: [10.1.0.0/16], virtualNetworkPeerings: {p: {remoteVirtualNetwork: net}}}
networkSecurityGroups:
  nsg: {securityRules: {one: {priority: 100, direction: Inbound, access: Allow, protocol: Tcp, sourcePortRange: '*',
        sourceAddressPrefix: '*', destinationAddressPrefix: '*', destinationPortRange: 80}}}
routeTables: {table: {routes: {r: {addressPrefix: 10.9.0.0/16, nextHopType: None}}}}
publicIPAddresses: {ip: {}, basic: {sku: Basic}}
networkInterfaces:
  long: {ipConfigurations: {ipconfig1: {subnet: net/main, privateIPAddress: 10.0.0.7}}}
virtualMachines: {vm: {subnet: net/main, run: sleep 1}, other: {networkInterfaces: long}}
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
        ("vm: {subnet: net/main", "vm: {subnet: net/main, privateIPAddress: 10.0.0.9",
         "networkInterfaces/vm-nic/ipConfigurations/ipconfig1", PropertyChange("privateIPAddress", None, "10.0.0.9")),
        ("ip: {}", "ip: {ipAddress: 20.61.7.7}", "publicIPAddresses/ip",
         PropertyChange("ipAddress", None, "20.61.7.7")),
        ("ip: {}", "ip: {idleTimeoutInMinutes: 9}", "publicIPAddresses/ip",
         PropertyChange("idleTimeoutInMinutes", 4, 9)),
        ("destinationPortRange: 80", "destinationPortRanges: [80, 443]", "networkSecurityGroups/nsg/securityRules/one",
         PropertyChange("destinationPortRanges", "80", ["80", "443"])),
        ("sourcePortRange: '*'", "sourcePortRanges: [1, 2]", "networkSecurityGroups/nsg/securityRules/one",
         PropertyChange("sourcePortRanges", "*", ["1", "2"])),
        ("networkInterfaces: long", "networkInterfaces: long, computerName: mail", "virtualMachines/other",
         PropertyChange("computerName", "other", "mail")),
        ("networkInterfaces: long", "networkInterfaces: long, run: [a, b]", "virtualMachines/other",
         PropertyChange("run", None, ["a", "b"])),
        ("networkInterfaces: long", "networkInterfaces: long, sysctls: {net.ipv4.ip_forward: '1'}",
         "virtualMachines/other", PropertyChange("sysctls.net.ipv4.ip_forward", None, "1")),
        ("    addressSpace: [10.0", "    dhcpOptions: {dnsServers: 10.0.0.7}\n    addressSpace: [10.0", "virtualNetworks/net",
         PropertyChange("dhcpOptions.dnsServers", None, "10.0.0.7")),
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


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("vm: {subnet: net/main, run: sleep 1}", "vm: {subnet: net/main, run: [sleep 1], computerName: vm}"),
        ("{ipConfigurations: {ipconfig1: {subnet: net/main, privateIPAddress: 10.0.0.7}}}",
         "{subnet: net/main, privateIPAddress: 10.0.0.7, location: westeurope}"),
        ("{ipConfigurations: {ipconfig1: {subnet: net/main, privateIPAddress: 10.0.0.7}}}",
         "{ipConfigurations: {ipconfig1: {subnet: net/main, privateIPAddress: 10.0.0.7, primary: true}}}"),
        ("privateIPAddress: 10.0.0.7}", "privateIPAddress: 10.0.0.7, privateIPAllocationMethod: Static}"),
        ("ip: {}", "ip: {sku: Standard, publicIPAllocationMethod: Static, location: West Europe}"),
        ("basic: {sku: Basic}", "basic: {sku: Basic, publicIPAllocationMethod: Dynamic}"),
        ("name: base", "name: base\nlocation: westeurope"),
        ("sourcePortRange: '*',", ""),
        ("sourceAddressPrefix: '*',", ""),
        ("destinationPortRange: 80", "destinationPortRanges: 80"),
        ("destinationPortRange: 80", "destinationPortRange: [80]"),
        ("[10.0.0.0/16, 10.2.0.0/16]", "[10.2.0.0/16, 10.0.0.0/16]"),
        ("{p: {remoteVirtualNetwork: far}}", "{p: {remoteVirtualNetwork: far, allowVirtualNetworkAccess: true}}"),
    ],
)  # fmt: skip
def test_what_means_the_same_is_no_difference(one: str, other: str) -> None:
    assert one in BASE
    assert not azure_changes(scenario(BASE), scenario(BASE.replace(one, other)))
    assert not azure_changes(scenario(BASE.replace(one, other)), scenario(BASE))


def test_a_vm_in_its_long_form_is_the_one_in_its_short_form() -> None:
    long = BASE.replace("vm: {subnet: net/main, run: sleep 1}", "vm: {networkInterfaces: [vm-nic], run: sleep 1}")
    long = long.replace("  long: {", "  vm-nic: {ipConfigurations: {ipconfig1: {subnet: net/main}}}\n  long: {")
    assert not azure_changes(scenario(BASE), scenario(long))


def test_the_order_of_programs_is_a_difference() -> None:
    one, other = (scenario(BASE.replace("run: sleep 1", f"run: [{order}]")) for order in ("a, b", "b, a"))
    assert azure_changes(one, other) == [
        ResourceChange("virtualMachines/vm", "update", (PropertyChange("run", ["a", "b"], ["b", "a"]),))
    ]


def test_another_location_of_the_scenario_moves_every_resource_that_has_none_of_its_own() -> None:
    old = BASE.replace("basic: {", "basic: {location: westeurope, ")
    changes = azure_changes(scenario(old), scenario(old.replace("name: base", "name: base\nlocation: northeurope")))
    assert {change.properties for change in changes} == {(PropertyChange("location", "westeurope", "northeurope"),)}
    assert {change.resource for change in changes} == {
        "virtualNetworks/net", "virtualNetworks/far", "networkSecurityGroups/nsg", "routeTables/table",
        "publicIPAddresses/ip", "networkInterfaces/long", "networkInterfaces/vm-nic", "virtualMachines/vm",
        "virtualMachines/other",
    }  # fmt: skip


def test_another_sku_changes_how_an_address_is_allocated_unless_that_is_written() -> None:
    basic = scenario(BASE.replace("ip: {}", "ip: {sku: Basic}"))
    sku, method = PropertyChange("sku", "Standard", "Basic"), PropertyChange(
        "publicIPAllocationMethod", "Static", "Dynamic"
    )  # fmt: skip
    assert [change.properties for change in azure_changes(scenario(BASE), basic)] == [(sku, method)]
    static = scenario(BASE.replace("ip: {}", "ip: {sku: Basic, publicIPAllocationMethod: Static}"))
    assert [change.properties for change in azure_changes(scenario(BASE), static)] == [(sku,)]


def test_another_primary_address_is_told_of_both() -> None:
    def with_two(first: str, second: str) -> Scenario:
        configs = f"a: {{subnet: net/main{first}}}, b: {{subnet: net/main{second}}}"
        return scenario(BASE.replace("ipconfig1: {subnet: net/main, privateIPAddress: 10.0.0.7}", configs))

    changes = azure_changes(with_two(", primary: true", ""), with_two("", ", primary: true"))
    path = "networkInterfaces/long/ipConfigurations"
    assert changes == [
        ResourceChange(f"{path}/a", "update", (PropertyChange("primary", True, False),)),
        ResourceChange(f"{path}/b", "update", (PropertyChange("primary", False, True),)),
    ]


def test_expectations_are_no_resources() -> None:
    assert not azure_changes(scenario(BASE), scenario(BASE + "expect: [{from: vm, to: h, port: 80, access: Allow}]\n"))


def test_what_comes_or_stays_is_in_the_new_order_and_what_goes_is_last() -> None:
    new = BASE.replace("ip: {}", "new: {}").replace("sleep 1", "sleep 2")
    assert [(change.action, change.resource) for change in azure_changes(scenario(BASE), scenario(new))] == [
        ("create", "publicIPAddresses/new"),
        ("update", "virtualMachines/vm"),
        ("delete", "publicIPAddresses/ip"),
    ]


# Every property of every type of resource, as the types have them: one that is added later cannot be forgotten.

FULL = Scenario(
    name="full",
    virtualNetworks={
        "net": arm.VirtualNetwork(
            addressSpace=("10.0.0.0/16",),
            subnets={"main": arm.Subnet(addressPrefix="10.0.0.0/24")},
            virtualNetworkPeerings={"p": arm.VirtualNetworkPeering(remoteVirtualNetwork="far")},
            dhcpOptions=arm.DhcpOptions(),
        )
    },
    networkSecurityGroups={
        "nsg": arm.NetworkSecurityGroup(
            securityRules={
                "one": arm.SecurityRule(
                    priority=100,
                    direction="Inbound",
                    access="Allow",
                    protocol="Tcp",
                    sourceApplicationSecurityGroups=("asg",),
                    destinationApplicationSecurityGroups=("asg",),
                )
            }
        )
    },
    applicationSecurityGroups={"asg": arm.ApplicationSecurityGroup()},
    routeTables={"table": arm.RouteTable(routes={"r": arm.Route(addressPrefix="10.9.0.0/16", nextHopType="None")})},
    publicIPAddresses={
        "ip": arm.PublicIPAddress(
            sku="Basic", publicIPAllocationMethod="Static", dnsSettings=arm.PublicIPAddressDnsSettings()
        )
    },
    publicIPPrefixes={"prefix": arm.PublicIPPrefix(prefixLength=28)},
    natGateways={"gw": arm.NatGateway()},
    loadBalancers={
        "lb": arm.LoadBalancer(
            sku="Basic",
            frontendIPConfigurations={"f": arm.FrontendIPConfiguration()},
            backendAddressPools={"pool": ()},
            probes={
                "threshold": arm.Probe(protocol="Tcp", port=80, probeThreshold=2),
                "older": arm.Probe(protocol="Tcp", port=80, numberOfProbes=2),
            },
            loadBalancingRules={
                "http": arm.LoadBalancingRule(
                    frontendIPConfiguration="f",
                    backendAddressPool="pool",
                    protocol="Tcp",
                    frontendPort=80,
                    backendPort=80,
                )
            },
            inboundNatRules={
                "ssh": arm.InboundNatRule(
                    frontendIPConfiguration="f", protocol="Tcp", frontendPort=50001, backendPort=22
                )
            },
            inboundNatPools={
                "range": arm.InboundNatPool(
                    frontendIPConfiguration="f",
                    protocol="Tcp",
                    frontendPortRangeStart=1,
                    frontendPortRangeEnd=2,
                    backendPort=22,
                )
            },
            outboundRules={
                "out": arm.OutboundRule(frontendIPConfigurations=("f",), backendAddressPool="pool", protocol="Tcp")
            },
        )
    },
    networkInterfaces={
        "nic": arm.NetworkInterface(
            ipConfigurations={"a": arm.IPConfiguration(subnet="net/main", primary=True)}, dnsSettings=arm.DnsSettings()
        )
    },
    virtualMachines={"vm": arm.VirtualMachine(networkInterfaces=("nic",))},
    privateDnsZones={
        "corp.internal": arm.PrivateDnsZone(
            recordSets={"db1": arm.RecordSet(cnameRecord=CnameRecord(cname="a.b"), soaRecord=arm.SoaRecord())},
            virtualNetworkLinks={"link": arm.VirtualNetworkLink(virtualNetwork="net")},
        )
    },
    dnsZones={
        "contoso.com": arm.DnsZone(
            recordSets={
                "www": arm.PublicRecordSet(
                    aRecords=(ARecord(ipv4Address="198.51.100.1"),),
                    cnameRecord=CnameRecord(cname="a.b"),
                    soaRecord=arm.SoaRecord(),
                )
            }
        )
    },
    internet=arm.Internet(hosts={"h": arm.InternetHost(ipAddress="198.51.100.7")}),
)

SAID_OTHERWISE = {
    "IPConfiguration.privateIPAllocationMethod",  # whether there is an address says it
    "IPConfiguration.primary",  # a NIC with one address has no choice
    *(f"IPConfiguration.{name}" for name in OF_THE_BALANCER),  # what they join says it
    "FrontendIPConfiguration.privateIPAllocationMethod",
    "InboundNatRule.backend",  # backendIPConfiguration says it
    *(f"{kind}.{name}" for kind in ("VirtualMachine", "NetworkInterface") for name in OF_THE_NIC
      if (kind, name) not in {("NetworkInterface", "networkSecurityGroup"), ("NetworkInterface", "enableIPForwarding")}),
}  # fmt: skip
"""Properties of short forms, and those that follow from others."""


TYPES: dict[str, type[Any]] = {
    "virtualNetworks/net": arm.VirtualNetwork,
    "virtualNetworks/net/subnets/main": arm.Subnet,
    "virtualNetworks/net/virtualNetworkPeerings/p": arm.VirtualNetworkPeering,
    "networkSecurityGroups/nsg": arm.NetworkSecurityGroup,
    "networkSecurityGroups/nsg/securityRules/one": arm.SecurityRule,
    "applicationSecurityGroups/asg": arm.ApplicationSecurityGroup,
    "routeTables/table": arm.RouteTable,
    "routeTables/table/routes/r": arm.Route,
    "publicIPAddresses/ip": arm.PublicIPAddress,
    "publicIPPrefixes/prefix": arm.PublicIPPrefix,
    "natGateways/gw": arm.NatGateway,
    "loadBalancers/lb": arm.LoadBalancer,
    "loadBalancers/lb/frontendIPConfigurations/f": arm.FrontendIPConfiguration,
    "loadBalancers/lb/probes/threshold": arm.Probe,
    "loadBalancers/lb/probes/older": arm.Probe,
    "loadBalancers/lb/loadBalancingRules/http": arm.LoadBalancingRule,
    "loadBalancers/lb/inboundNatRules/ssh": arm.InboundNatRule,
    "loadBalancers/lb/inboundNatPools/range": arm.InboundNatPool,
    "loadBalancers/lb/outboundRules/out": arm.OutboundRule,
    "networkInterfaces/nic": arm.NetworkInterface,
    "networkInterfaces/nic/ipConfigurations/a": arm.IPConfiguration,
    "virtualMachines/vm": arm.VirtualMachine,
    "internet/hosts/h": arm.InternetHost,
    "privateDnsZones/corp.internal": arm.PrivateDnsZone,
    "privateDnsZones/corp.internal/recordSets/db1": arm.RecordSet,
    "privateDnsZones/corp.internal/virtualNetworkLinks/link": arm.VirtualNetworkLink,
    "dnsZones/contoso.com": arm.DnsZone,
    "dnsZones/contoso.com/recordSets/www": arm.PublicRecordSet,
}
PARTS = {
    ("VirtualNetwork", "dhcpOptions"): arm.DhcpOptions,
    ("NetworkInterface", "dnsSettings"): arm.DnsSettings,
    ("PublicIPAddress", "dnsSettings"): arm.PublicIPAddressDnsSettings,
    ("RecordSet", "cnameRecord"): CnameRecord,
    ("RecordSet", "soaRecord"): arm.SoaRecord,
    ("PublicRecordSet", "cnameRecord"): CnameRecord,
    ("PublicRecordSet", "soaRecord"): arm.SoaRecord,
}
CHILD_MAPS = {name for names in CHILDREN.values() for name in names}
OTHERS = {
    "sysctls": {"net.ipv4.ip_forward": "1"}, "direction": "Outbound", "access": "Deny", "protocol": "Udp",
    "nextHopType": "Internet", "sku": "Standard", "publicIPAllocationMethod": "Dynamic",
    "loadDistribution": "SourceIP", "noHealthyBackendsBehavior": "AllProbedUp",
    "aRecords": [{"ipv4Address": "10.0.0.9"}], "aaaaRecords": [{"ipv6Address": "2001:db8::9"}],
    "mxRecords": [{"preference": 5, "exchange": "m.c"}], "ptrRecords": [{"ptrdname": "p.c"}],
    "srvRecords": [{"priority": 1, "weight": 2, "port": 3, "target": "s.c"}], "txtRecords": [{"value": ["a", "b c"]}],
    "nsRecords": [{"nsdname": "n.c"}], "caaRecords": [{"flags": 0, "tag": "issue", "value": "ca"}],
}  # fmt: skip
NOT_OF_THIS_ONE = {
    ("loadBalancers/lb/probes/threshold", "numberOfProbes"),  # the threshold decides
    ("loadBalancers/lb/probes/older", "probeThreshold"),  # takes the other's place
}


def properties_of_everything() -> Iterator[tuple[str, tuple[str, ...], Any]]:
    """(resource, way to the property, its type)."""
    for resource, kind in TYPES.items():
        for info in msgspec.structs.fields(kind):
            if (
                info.name in CHILD_MAPS
                or (resource, info.name) in NOT_OF_THIS_ONE
                or f"{kind.__name__}.{info.name}" in SAID_OTHERWISE
            ):
                continue
            part = PARTS.get((kind.__name__, info.name))
            if part is None:
                yield resource, (info.name,), info.type
                continue
            for inner in msgspec.structs.fields(part):
                yield resource, (info.name, inner.name), inner.type


def other_value(name: str, kind: Any, value: Any) -> Any:
    """Another value that the property can have."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int) or "int | None" in str(kind):
        return (value or 0) + 1
    return OTHERS.get(name, ["another", "and more"] if "tuple" in str(kind) else "another")


def test_every_type_of_resource_is_among_them() -> None:
    plain = {"name", "location", "timeScale", "loadBalancerEngine", "internet", "expect", "lint"}
    maps = {info.name for info in msgspec.structs.fields(Scenario)} - plain
    assert {resource.split("/")[0] for resource in TYPES} == maps | {"internet"}


@pytest.mark.parametrize(
    ("resource", "way", "kind"),
    [pytest.param(*case, id=f"{case[0]}.{'.'.join(case[1])}") for case in properties_of_everything()],
)
def test_every_property_of_every_resource_is_told(resource: str, way: tuple[str, ...], kind: Any) -> None:
    data = msgspec.to_builtins(FULL)
    place = data
    for step in (*resource.split("/"), *way[:-1]):
        place = place[step]
    place[way[-1]] = (
        "Http" if "/probes/" in resource and way == ("protocol",) else other_value(way[-1], kind, place[way[-1]])
    )
    changed = msgspec.convert(data, Scenario)
    (found,) = azure_changes(FULL, changed)
    assert (found.resource, found.action) == (resource, "update")
    (told,) = found.properties
    assert told.name == ("sysctls.net.ipv4.ip_forward" if way == ("sysctls",) else ".".join(way))
    (back,) = azure_changes(changed, FULL)
    assert back.properties == (PropertyChange(told.name, told.after, told.before),)


NAMES = st.sampled_from("abc")


def some(items: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.dictionaries(NAMES, items, max_size=3)


PORTS = st.one_of(st.none(), st.lists(st.sampled_from(("80", "443", "1-9")), min_size=1, unique=True).map(tuple))
PLACES = st.sampled_from((None, "westeurope", "West Europe", "eastus"))
some_rules = st.builds(
    arm.SecurityRule,
    priority=st.integers(100, 102),
    direction=st.just("Inbound"),
    access=st.sampled_from(("Allow", "Deny")),
    protocol=st.just("Tcp"),
    destinationPortRange=PORTS,
) | st.builds(
    arm.SecurityRule,
    priority=st.just(100),
    direction=st.just("Inbound"),
    access=st.just("Allow"),
    protocol=st.just("Tcp"),
    destinationPortRanges=PORTS,
)
some_configs = st.builds(
    arm.IPConfiguration, subnet=st.just("a/a"), privateIPAddress=st.sampled_from((None, "10.0.0.5"))
)
some_scenarios = st.builds(
    Scenario,
    name=st.just("some"),
    location=st.sampled_from(("westeurope", "eastus")),
    virtualNetworks=some(
        st.builds(
            arm.VirtualNetwork,
            addressSpace=st.permutations(("10.0.0.0/16", "10.1.0.0/16")).map(tuple),
            subnets=some(st.builds(arm.Subnet, addressPrefix=st.sampled_from(("10.0.0.0/24", "10.0.1.0/24")))),
            location=PLACES,
        )
    ),
    networkSecurityGroups=some(st.builds(arm.NetworkSecurityGroup, securityRules=some(some_rules))),
    publicIPAddresses=some(st.builds(arm.PublicIPAddress, sku=st.sampled_from(("Basic", "Standard")))),
    networkInterfaces=some(
        st.builds(arm.NetworkInterface, ipConfigurations=st.dictionaries(NAMES, some_configs, min_size=1, max_size=2))
        | st.builds(arm.NetworkInterface, subnet=st.just("a/a"))
    ),
    virtualMachines=some(
        st.builds(arm.VirtualMachine, subnet=st.just("a/a"), enableIPForwarding=st.booleans())
        | st.builds(arm.VirtualMachine, networkInterfaces=st.lists(NAMES, min_size=1, unique=True).map(tuple))
    ),
)


@given(some_scenarios)
def test_a_scenario_does_not_differ_from_itself_read_again(this: Scenario) -> None:
    again = msgspec.json.decode(msgspec.json.encode(this), type=Scenario)
    assert not azure_changes(this, again)


@given(some_scenarios, some_scenarios)
def test_the_way_back_is_the_way_there_reversed(old: Scenario, new: Scenario) -> None:
    opposite = {"create": "delete", "delete": "create", "update": "update"}
    there, back = azure_changes(old, new), azure_changes(new, old)
    assert {
        (change.resource, change.action): {item.name: (item.before, item.after) for item in change.properties}
        for change in there
    } == {
        (change.resource, opposite[change.action]): {item.name: (item.after, item.before) for item in change.properties}
        for change in back
    }
    assert len(there) == len(back)


@given(some_scenarios, some_scenarios)
def test_a_change_leads_from_the_old_values_to_the_new_ones(old: Scenario, new: Scenario) -> None:
    """What comes and goes is what it is by itself, and no property is told that stays as it is."""
    made = {change.resource: change for change in azure_changes(None, new)}
    gone = {change.resource: change for change in azure_changes(old, None)}
    changes = {change.resource: change for change in azure_changes(old, new)}
    assert {r: c for r, c in changes.items() if c.action == "create"} == {
        r: c for r, c in made.items() if r not in gone
    }
    assert {r: c for r, c in changes.items() if c.action == "delete"} == {
        r: c for r, c in gone.items() if r not in made
    }
    for change in changes.values():
        assert change.properties or change.action != "update"
        assert all(item.before != item.after for item in change.properties)
