"""What real Azure answered, and the networks that it was asked about.

Each network is built from what its recording says of it, and our answer is held against Azure's field by field, apart
from ids, etags and times. The answers are written here in our own form; the recordings themselves are public test data
of Microsoft's SDKs and of az (MIT), made from 2017 to 2023.

Left out, and why:

- Azure gives next hop None not only to the private ranges but also to ranges that Microsoft uses itself. They are not
  documented and change from day to day: no two recordings have the same. They are named in the tests and left out of
  the comparison, as is 172.16.0.0/12, which Azure's list of 2020 lacks and today's has (RT-2).
- For the same reason Azure's expansion of the tag Internet is ours without such ranges; the difference is written out.
- The connectivity check really sent thirty probes. Ours is worked out, so it has no `probesSent` and `probesFailed`.
- The security group view of 2021 was empty for a VM whose NIC has an NSG: the service had been replaced by effective
  rules. We answer as in its day, and an empty view stands for a VM to which no NSG applies.
- The route table of the next hop recording was deployed from a template that the recording does not hold. Its routes
  cannot have covered the destination, since Azure says that a system route decided.
"""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import pytest
from azure_networks import Lab, nsg, route, routes, rule, subnet, vnet

from netemu.azure.flow import TCP, UDP, Packet
from netemu.azure.prefixes import IntervalSet
from netemu.watcher import question
from netemu.watcher.connectivity import connectivity_check
from netemu.watcher.flow import configuration_diagnostic, ip_flow_verify
from netemu.watcher.routes import effective_route_table, next_hop
from netemu.watcher.rules import effective_security_groups, security_group_view
from netemu.watcher.topology import topology

NOW = datetime(2024, 1, 1, tzinfo=UTC)
IDENTITIES = {"id", "resourceId", "networkSecurityGroupId", "appliedTo", "ruleId", "nextHopId", "nextHopIds"} | {
    "previousHopIds", "createdDateTime", "lastModified", "etag"
}  # fmt: skip


def without_identities(data: Any) -> Any:
    """An answer without ids, etags and times."""
    if isinstance(data, dict):
        return {key: without_identities(value) for key, value in data.items() if key not in IDENTITIES}
    if isinstance(data, list):
        return [without_identities(each) for each in data]
    return data


def packet(source: str, destination: str, port: int, protocol: int = TCP) -> Packet:
    return Packet(int(IPv4Address(source)), int(IPv4Address(destination)), protocol, 49152, port)


# ---- az's test_network_watcher_vm, 2021 and 2023 ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def nw_vm() -> Lab:
    """One VM with a Basic public IP; its NIC has an NSG without rules of its own (`--nsg-rule None`)."""
    return Lab(
        name="cli-test-nw-vm",
        location="westus",
        virtualNetworks={"vm1VNET": vnet("10.0.0.0/16", vm1Subnet="10.0.0.0/24")},
        networkSecurityGroups={"nsg1": nsg()},
        publicIPAddresses={"vm1PublicIP": {"sku": "Basic"}},
        networkInterfaces={
            "vm1VMNic": {
                "networkSecurityGroup": "nsg1",
                "ipConfigurations": {
                    "ipconfigvm1": {
                        "subnet": "vm1VNET/vm1Subnet", "privateIPAddress": "10.0.0.9", "publicIPAddress": "vm1PublicIP"
                    }
                },
            }
        },
        virtualMachines={"vm1": {"networkInterfaces": ["vm1VMNic"]}},
    )  # fmt: skip


@pytest.mark.azure("NW-2", "NW-3", "NSG-35")
@pytest.mark.parametrize("protocol", ["TCP", "Tcp"])  # as the client of 2023 and that of 2021 spelt it
def test_ip_flow_verify_of_ssh_from_the_internet(nw_vm: Lab, protocol: str) -> None:
    asked = question.verify(nw_vm.engine, "vm1", "Inbound", "10.0.0.9:22", "100.1.2.3:*", protocol)
    assert asked.nic is not None
    assert ip_flow_verify(nw_vm.engine, asked.nic, asked.direction, asked.packet) == {
        "access": "Deny",
        "ruleName": "defaultSecurityRules/DenyAllInBound",
        "ruleId": "",
    }


@pytest.mark.azure("NSG-36", "NSG-17")
def test_the_diagnostic_tells_each_rule_that_was_evaluated(nw_vm: Lab) -> None:
    # Azure was asked about an address that the VM does not have, and answered all the same.
    asked = packet("12.11.12.14", "10.1.1.4", 12100)
    answer = configuration_diagnostic(nw_vm.engine, nw_vm.network.nics["vm1VMNic"], "Inbound", asked)

    def evaluated(name: str, *, source: bool, destination: bool) -> dict[str, Any]:
        return {
            "name": f"DefaultRule_{name}",
            "protocolMatched": True,
            "sourceMatched": source,
            "sourcePortMatched": True,
            "destinationMatched": destination,
            "destinationPortMatched": True,
        }

    result = {
        "securityRuleAccessResult": "Deny",
        "evaluatedNetworkSecurityGroups": [
            {
                "matchedRule": {"ruleName": "DefaultRule_DenyAllInBound", "action": "Deny"},
                "rulesEvaluationResult": [
                    evaluated("AllowVnetInBound", source=False, destination=False),
                    evaluated("AllowAzureLoadBalancerInBound", source=False, destination=True),
                    evaluated("DenyAllInBound", source=True, destination=True),
                ],
            }
        ],
    }
    profile = {
        "direction": "Inbound",
        "protocol": "Tcp",
        "source": "12.11.12.14",
        "destination": "10.1.1.4",
        "destinationPort": "12100",
    }
    assert without_identities(answer) == {"results": [{"profile": profile, "networkSecurityGroupResult": result}]}
    group = answer["results"][0]["networkSecurityGroupResult"]["evaluatedNetworkSecurityGroups"][0]
    assert group["networkSecurityGroupId"].endswith("/providers/Microsoft.Network/networkSecurityGroups/nsg1")
    assert group["appliedTo"].endswith("/providers/Microsoft.Network/networkInterfaces/vm1VMNic")


@pytest.mark.azure("NW-6")
def test_the_security_group_view_is_empty_for_a_vm_to_which_no_nsg_applies(sdk_nic: Lab) -> None:
    machine = sdk_nic.network.machines["virtualmachine"]
    assert security_group_view(sdk_nic.engine, machine) == {"networkInterfaces": []}


# ---- NextHopApiTest of the .NET SDK, 2017 ----------------------------------------------------------------------------


@pytest.mark.azure("NW-4", "RT-2")
def test_the_next_hop_of_a_public_address_is_the_internet_by_a_system_route() -> None:
    lab = Lab(
        name="azsmnet8754",
        location="westcentralus",
        virtualNetworks={"vnet": vnet("10.17.3.0/24", default=subnet("10.17.3.0/24", table="azsmnet8754RT"))},
        routeTables={"azsmnet8754RT": routes(route("10.17.3.0/25", "VnetLocal"))},
        networkSecurityGroups={"azsmnet7284-nsg": nsg()},
        publicIPAddresses={"azsmnet7284-ip": {"sku": "Basic", "publicIPAllocationMethod": "Dynamic"}},
        networkInterfaces={
            "azsmnet8559": {
                "subnet": "vnet/default",
                "publicIPAddress": "azsmnet7284-ip",
                "networkSecurityGroup": "azsmnet7284-nsg",
            }
        },
        virtualMachines={"azsmnet7284": {"networkInterfaces": ["azsmnet8559"]}},
    )
    nic, destination = question.towards(lab.engine, "azsmnet7284", "12.11.12.14")
    assert str(nic.address) == "10.17.3.4"
    assert next_hop(lab.engine, nic, destination) == {"nextHopType": "Internet", "routeTableId": "System Route"}


# ---- the Python SDK's test_network_interface, 2020 -------------------------------------------------------------------


@pytest.fixture(scope="module")
def sdk_nic() -> Lab:
    """One VM, a Basic public IP, no NSG and no route table anywhere."""
    return Lab(
        name="rgname",
        location="eastus",
        virtualNetworks={"virtualnetwork": vnet("10.0.0.0/16", subnet="10.0.0.0/24")},
        publicIPAddresses={"publicipaddress": {"sku": "Basic", "publicIPAllocationMethod": "Dynamic"}},
        networkInterfaces={
            "myNetworkInterface": {
                "ipConfigurations": {
                    "myIpConfiguration": {"subnet": "virtualnetwork/subnet", "publicIPAddress": "publicipaddress"}
                }
            }
        },
        virtualMachines={"virtualmachine": {"networkInterfaces": ["myNetworkInterface"]}},
    )


def recorded_route(prefix: str, kind: str) -> dict[str, Any]:
    return {
        "disableBgpRoutePropagation": False,
        "source": "Default",
        "state": "Active",
        "hasBgpOverride": False,
        "addressPrefix": [prefix],
        "nextHopType": kind,
        "nextHopIpAddress": [],
        "destinationServiceTags": [],
        "tagMap": {},
    }


MICROSOFTS_OWN_2020 = ["25.33.80.0/20", "25.41.3.0/25"]
MICROSOFTS_OWN_2023 = [
    "25.48.0.0/12", "25.4.0.0/14", "198.18.0.0/15", "157.59.0.0/16", "25.33.0.0/16", "40.109.0.0/16", "104.147.0.0/16",
    "104.146.0.0/17", "40.108.0.0/17", "23.103.0.0/18", "25.41.0.0/20", "20.35.252.0/22",
]  # fmt: skip


@pytest.mark.azure("RT-2", "RT-3", "RT-26")
def test_effective_routes_of_a_nic_without_a_route_table_2020(sdk_nic: Lab) -> None:
    recorded = [
        recorded_route("10.0.0.0/16", "VnetLocal"),
        recorded_route("0.0.0.0/0", "Internet"),
        *(recorded_route(prefix, "None") for prefix in ("10.0.0.0/8", "100.64.0.0/10", "192.168.0.0/16")),
        *(recorded_route(prefix, "None") for prefix in MICROSOFTS_OWN_2020),
    ]
    answer = effective_route_table(sdk_nic.engine, sdk_nic.network.nics["myNetworkInterface"])
    assert list(answer) == ["value"]
    of_today = recorded_route("172.16.0.0/12", "None")
    assert of_today in answer["value"]
    comparable = [each for each in recorded if each["addressPrefix"][0] not in MICROSOFTS_OWN_2020]
    assert [each for each in answer["value"] if each != of_today] == comparable


@pytest.mark.azure("NW-5")
def test_effective_security_groups_of_a_nic_without_an_nsg(sdk_nic: Lab) -> None:
    nic = sdk_nic.network.nics["myNetworkInterface"]
    assert effective_security_groups(sdk_nic.engine, nic) == {"value": []}


# ---- az's test_network_nic_convenience_commands, 2023 ----------------------------------------------------------------


@pytest.fixture(scope="module")
def convenience() -> Lab:
    """What `az vm create` makes: an NSG at the NIC that lets SSH in."""
    return Lab(
        name="cli-nic-convenience-test",
        location="eastus",
        virtualNetworks={"conveniencevm1VNET": vnet("10.0.0.0/16", conveniencevm1Subnet="10.0.0.0/24")},
        networkSecurityGroups={
            "conveniencevm1NSG": nsg(**{"default-allow-ssh": rule(1000, "Allow", protocol="Tcp", port="22")})
        },
        publicIPAddresses={"conveniencevm1PublicIP": {"sku": "Basic", "publicIPAllocationMethod": "Dynamic"}},
        networkInterfaces={
            "conveniencevm1VMNic": {
                "networkSecurityGroup": "conveniencevm1NSG",
                "subnet": "conveniencevm1VNET/conveniencevm1Subnet",
                "publicIPAddress": "conveniencevm1PublicIP",
            }
        },
        virtualMachines={"conveniencevm1": {"networkInterfaces": ["conveniencevm1VMNic"]}},
    )


@pytest.mark.azure("RT-2", "RT-3", "RT-26")
def test_effective_routes_of_a_nic_without_a_route_table_2023(convenience: Lab) -> None:
    own = ["10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", *MICROSOFTS_OWN_2023[:4], "192.168.0.0/16"]
    own += MICROSOFTS_OWN_2023[4:]
    recorded = [recorded_route("10.0.0.0/16", "VnetLocal"), recorded_route("0.0.0.0/0", "Internet")]
    recorded += [recorded_route(prefix, "None") for prefix in own]
    answer = effective_route_table(convenience.engine, convenience.network.nics["conveniencevm1VMNic"])
    comparable = [each for each in recorded if each["addressPrefix"][0] not in MICROSOFTS_OWN_2023]
    # The profile of 2018 that the client spoke has three fields less.
    assert answer["value"] == comparable


NETWORK, BALANCER = ["10.0.0.0/16", "168.63.129.16/32"], ["168.63.129.16/32", "fe80::1234:5678:9abc/128"]
ANYWHERE = ["0.0.0.0/0", "0.0.0.0/0"]


def recorded_rule(
    name: str,
    priority: int,
    access: str,
    direction: str,
    source: list[str],
    destination: list[str],
    *,
    protocol: str = "All",
    port: str = "0-65535",
    **expanded: list[str],
) -> dict[str, Any]:
    return {
        "name": name,
        "protocol": protocol,
        "sourcePortRange": "0-65535",
        "destinationPortRange": port,
        "sourcePortRanges": ["0-65535"],
        "destinationPortRanges": [port],
        "sourceAddressPrefix": source[0],
        "destinationAddressPrefix": destination[0],
        "sourceAddressPrefixes": source,
        "destinationAddressPrefixes": destination,
        **{f"expanded{side}AddressPrefix": prefixes for side, prefixes in expanded.items()},
        "access": access,
        "priority": priority,
        "direction": direction,
    }


@pytest.mark.azure("NW-5", "NSG-7", "NSG-8", "NSG-25", "NSG-35")
def test_effective_rules_of_a_nic_with_an_nsg_of_its_own(convenience: Lab) -> None:
    answer = effective_security_groups(convenience.engine, convenience.network.nics["conveniencevm1VMNic"])
    (group,) = answer["value"]
    assert list(group) == ["networkSecurityGroup", "association", "effectiveSecurityRules", "tagMap"]
    assert group["networkSecurityGroup"]["id"].endswith("/networkSecurityGroups/conveniencevm1NSG")
    assert list(group["association"]) == ["networkInterface"]
    assert group["association"]["networkInterface"]["id"].endswith("/networkInterfaces/conveniencevm1VMNic")
    internet = group["tagMap"]["Internet"]  # of which more below
    vnet_ends = {"Source": NETWORK, "Destination": NETWORK}
    tag = ["VirtualNetwork"]
    assert group["effectiveSecurityRules"] == [
        recorded_rule(
            "securityRules/default-allow-ssh", 1000, "Allow", "Inbound", ANYWHERE, ANYWHERE, protocol="Tcp",
            port="22-22",
        ),
        recorded_rule("defaultSecurityRules/AllowVnetInBound", 65000, "Allow", "Inbound", tag, tag, **vnet_ends),
        recorded_rule(
            "defaultSecurityRules/AllowAzureLoadBalancerInBound", 65001, "Allow", "Inbound", ["AzureLoadBalancer"],
            ANYWHERE, Source=BALANCER,
        ),
        recorded_rule("defaultSecurityRules/DenyAllInBound", 65500, "Deny", "Inbound", ANYWHERE, ANYWHERE),
        recorded_rule("defaultSecurityRules/AllowVnetOutBound", 65000, "Allow", "Outbound", tag, tag, **vnet_ends),
        recorded_rule(
            "defaultSecurityRules/AllowInternetOutBound", 65001, "Allow", "Outbound", ANYWHERE, ["Internet"],
            Destination=internet,
        ),
        recorded_rule("defaultSecurityRules/DenyAllOutBound", 65500, "Deny", "Outbound", ANYWHERE, ANYWHERE),
    ]  # fmt: skip
    assert group["tagMap"] == {"VirtualNetwork": NETWORK, "AzureLoadBalancer": BALANCER, "Internet": internet}


NOT_INTERNET_2023 = [
    "4.128.0.0/12", "13.96.0.0/13", "20.35.252.0/22", "20.128.0.0/16", "20.130.0.0/16",
    "20.144.0.0/14", "20.176.0.0/13", "21.0.0.0/8", "22.0.0.0/8", "23.103.0.0/18", "25.0.0.0/16", "25.4.0.0/14", "25.28.0.0/14", "25.33.0.0/16",
    "25.41.0.0/20", "25.48.0.0/12", "25.64.0.0/10", "25.128.0.0/14", "25.142.0.0/15", "25.144.0.0/12", "25.160.0.0/11",
    "25.192.0.0/11", "25.224.0.0/12", "25.244.0.0/14", "25.248.0.0/15", "25.250.0.0/18", "25.250.64.0/20",
    "25.250.80.0/22", "25.250.84.0/23", "25.251.0.0/16", "25.252.0.0/15", "25.254.0.0/21", "25.254.8.0/24",
    "25.254.16.0/20", "25.254.64.0/18", "25.254.128.0/17", "25.255.0.0/16", "40.66.128.0/17", "40.108.0.0/17",
    "40.109.0.0/16", "52.132.0.0/14", "52.145.0.0/16", "68.18.0.0/15", "104.146.0.0/17", "104.147.0.0/16",
    "104.212.36.0/22", "104.212.52.0/22", "129.75.0.0/16", "134.177.0.0/16", "138.196.0.0/16", "141.251.0.0/16",
    "146.147.0.0/16", "157.59.0.0/16", "192.0.2.0/24", "192.32.0.0/16", "198.18.0.0/15",
]  # fmt: skip
"""What Azure's expansion of Internet of that day leaves out and ours does not: Microsoft's own ranges, and two that are
for documentation and for benchmarks."""


@pytest.mark.azure("NSG-26")
def test_the_tag_internet_is_azures_but_for_ranges_of_microsofts_own(convenience: Lab) -> None:
    answer = effective_security_groups(convenience.engine, convenience.network.nics["conveniencevm1VMNic"])
    ours = IntervalSet.of_prefixes(map(IPv4Network, answer["value"][0]["tagMap"]["Internet"]))
    left_out = IntervalSet.of_prefixes(map(IPv4Network, NOT_INTERNET_2023))
    # Azure counts the platform's address to Internet and to VirtualNetwork; ours is the latter's only.
    platform = IntervalSet.of_addresses([IPv4Address("168.63.129.16")])
    azures = (ours | platform) - left_out
    assert (len(azures.cidrs()), azures.size()) == (273, 3_651_728_384)
    assert [str(prefix) for prefix in azures.cidrs()[:4]] == ["1.0.0.0/8", "2.0.0.0/7", "4.0.0.0/9", "4.144.0.0/12"]
    assert left_out & ours == left_out


# ---- the Python SDK's test_network_watcher, 2020 ---------------------------------------------------------------------


@pytest.fixture(scope="module")
def sdk_watcher() -> Lab:
    """One VM without a public IP and without an NSG."""
    return Lab(
        name="rgname",
        location="eastus",
        virtualNetworks={"virtualnetwork121614c6": vnet("10.0.0.0/16", subnet121614c6="10.0.0.0/24")},
        networkInterfaces={
            "interface121614c6": {
                "ipConfigurations": {"MyIpConfig": {"subnet": "virtualnetwork121614c6/subnet121614c6"}}
            }
        },
        virtualMachines={"virtualmachine121614c6": {"networkInterfaces": ["interface121614c6"]}},
    )


@pytest.mark.azure("NW-14")
def test_the_topology_of_a_resource_group(sdk_watcher: Lab) -> None:
    def resource(name: str, *associations: tuple[str, str]) -> dict[str, Any]:
        pairs = [{"name": other, "associationType": kind} for other, kind in associations]
        return {"name": name, "location": "eastus", "associations": pairs, "properties": {}}

    answer = topology(sdk_watcher.network, NOW, NOW)
    assert without_identities(answer) == {
        "resources": [
            resource("virtualmachine121614c6", ("interface121614c6", "Contains")),
            resource("interface121614c6", ("virtualmachine121614c6", "Associated"), ("subnet121614c6", "Associated")),
            resource("virtualnetwork121614c6", ("subnet121614c6", "Contains")),
            resource("subnet121614c6"),
        ]
    }
    group = "/subscriptions/00000000-0000-0000-0000-000000000000/resourceGroups/rgname/providers"
    network = f"{group}/Microsoft.Network/virtualNetworks/virtualnetwork121614c6"
    assert [each["id"] for each in answer["resources"]] == [
        f"{group}/Microsoft.Compute/virtualMachines/virtualmachine121614c6",
        f"{group}/Microsoft.Network/networkInterfaces/interface121614c6",
        network,
        f"{network}/subnets/subnet121614c6",
    ]


@pytest.mark.azure("NW-12", "RT-4")
def test_the_connectivity_check_of_an_address_that_no_route_leads_to(sdk_watcher: Lab) -> None:
    asked = question.outbound(
        sdk_watcher.engine, "virtualmachine121614c6", "192.168.100.4", question.Ports("Tcp", 3389)
    )
    assert asked.flow is not None
    answer = connectivity_check(sdk_watcher.engine, asked.flow, sdk_watcher.engine.judge(asked.flow))
    link = {"linkType": "VirtualNetwork", "properties": {}, "context": {}, "issues": []}
    missing = {"origin": "Local", "severity": "Error", "type": "RouteMissing", "context": []}
    by_default = [{"key": "RouteType", "value": "Default"}]
    none = {"origin": "Outbound", "severity": "Error", "type": "UserDefinedRoute", "context": by_default}
    source = {"type": "Source", "address": "10.0.0.4", "links": [link], "previousLinks": [], "issues": [missing, none]}
    there = {"type": "Destination", "address": "192.168.100.4", "links": [], "previousLinks": [link], "issues": []}
    assert without_identities(answer) == {"hops": [source, there], "connectionStatus": "Unreachable"}
    near, far = answer["hops"]
    assert (near["nextHopIds"], far["previousHopIds"]) == ([far["id"]], [near["id"]])
    assert (near["links"][0]["nextHopId"], far["previousLinks"][0]["nextHopId"]) == (far["id"], near["id"])
    assert near["resourceId"].endswith("/virtualMachines/virtualmachine121614c6")
    assert "resourceId" not in far


def test_udp_is_verified_like_tcp(nw_vm: Lab) -> None:
    nic = nw_vm.network.nics["vm1VMNic"]
    assert ip_flow_verify(nw_vm.engine, nic, "Outbound", packet("10.0.0.9", "8.8.8.8", 53, UDP)) == {
        "access": "Allow",
        "ruleName": "defaultSecurityRules/AllowInternetOutBound",
        "ruleId": "",
    }
