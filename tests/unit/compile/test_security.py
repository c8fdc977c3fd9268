"""NSGs to chains: the text of each kind of rule."""

from __future__ import annotations

import re

import pytest
from compiling import chain, lab_of

from netemu.compile.numbering import FABRIC
from netemu.linux.ruleset import parse
from netemu.linux.state import Lab


def inbound(rules: str, more: str = "", subnet: str = "") -> list[str]:
    """The inbound chain of an NSG with the given rules."""
    text = f"""
virtualNetworks: {{net: {{addressSpace: 10.0.0.0/16, subnets: {{s: {{addressPrefix: 10.0.0.0/24{subnet}}}}}}}}}
networkSecurityGroups: {{nsg: {{securityRules: {{{rules}}}}}}}
virtualMachines: {{vm: {{subnet: net/s, networkSecurityGroup: nsg}}}}
{more}"""
    name = "inbound/nsg/net" + ("/rt" if "rt" in subnet else "")
    return [line.replace("counter ", "") for line in with_sets(lab_of(text), name)]


def with_sets(lab: Lab, name: str) -> list[str]:
    """The rules of a chain, with the values of the sets that belong to it in their place."""
    objects = parse(lab.namespaces[FABRIC].ruleset).objects
    return [
        re.sub(
            rf"@({re.escape(name)}//\S+)",
            lambda found: f"{{ {', '.join(objects['ip netemu', 'set', found[1]].content)} }}",
            line,
        )
        for line in chain(lab, name)
    ]


def rule(
    protocol: str = "'*'",
    source: str = "'*'",
    to: str = "'*'",
    port: str = "'*'",
    access: str = "Allow",
    priority: int = 100,
) -> str:
    return (
        f"r{priority}: {{priority: {priority}, direction: Inbound, access: {access}, protocol: {protocol}, "
        f"sourceAddressPrefix: {source}, sourcePortRange: '*', destinationAddressPrefix: {to}, "
        f"destinationPortRange: {port}}}"
    )


DEFAULT = [
    'ip saddr @vnet/net ip daddr @vnet/net return comment "AllowVnetInBound"',
    'ip saddr 168.63.129.16 return comment "AllowAzureLoadBalancerInBound"',
    'drop comment "DenyAllInBound"',
]


@pytest.mark.azure("NSG-7")
def test_an_nsg_without_rules_has_azures_default_rules() -> None:
    assert inbound("") == DEFAULT


@pytest.mark.azure("NSG-4")
def test_rules_stand_in_order_of_priority_whatever_the_file_says() -> None:
    lines = inbound(", ".join([rule(priority=300), rule(priority=100, access="Deny"), rule(priority=200)]))
    assert [line.split('"')[1] for line in lines[:3]] == ["r100", "r200", "r300"]
    assert [line.split(" ")[0] for line in lines[:3]] == ["drop", "return", "return"]


@pytest.mark.azure("NSG-10", "NSG-12", "NSG-13")
@pytest.mark.parametrize(
    ("written", "expected"),
    [
        (rule("Tcp"), "meta l4proto tcp return"),
        (rule("Udp", port="53"), "meta l4proto udp th dport 53 return"),
        (rule("Icmp"), "meta l4proto icmp return"),
        (rule("Esp"), "meta l4proto esp return"),
        (rule("Ah"), "meta l4proto ah return"),
        (rule(port="80"), "meta l4proto { tcp, udp } th dport 80 return"),
        (rule("Tcp", port="[80, 8080-8090, 81]"), "meta l4proto tcp th dport { 80-81, 8080-8090 } return"),
        (rule("Tcp", port="0-65535"), "meta l4proto tcp return"),
        (rule("Tcp", source="10.9.0.0/16"), "ip saddr 10.9.0.0-10.9.255.255 meta l4proto tcp return"),
        (rule("Tcp", source="0.0.0.0/0"), "meta l4proto tcp return"),
        (rule("Tcp", source="Internet"), "ip saddr @internet/net meta l4proto tcp return"),
        (rule("Tcp", source="internet"), "ip saddr @internet/net meta l4proto tcp return"),
        (rule("Tcp", to="VirtualNetwork"), "ip daddr @vnet/net meta l4proto tcp return"),
        (rule("Tcp", source="AzureLoadBalancer"), "ip saddr 168.63.129.16 meta l4proto tcp return"),
    ],
)
def test_the_text_of_a_rule(written: str, expected: str) -> None:
    assert inbound(written)[0] == f'{expected} comment "r100"'


@pytest.mark.azure("NSG-13")
def test_overlapping_prefixes_of_a_rule_are_joined_because_the_kernel_refuses_overlaps() -> None:
    lines = inbound(
        rule().replace("sourceAddressPrefix: '*'", "sourceAddressPrefixes: [10.0.0.0/16, 10.0.1.0/24, 8.8.8.8]")
    )
    assert lines[0].startswith("ip saddr { 8.8.8.8, 10.0.0.0-10.0.255.255 } ")


@pytest.mark.azure("NSG-25")
def test_virtual_network_means_more_behind_a_route_table() -> None:
    tables = "routeTables: {rt: {routes: {r: {addressPrefix: 172.20.0.0/16, nextHopType: None}}}}"
    text = f"""
virtualNetworks: {{net: {{addressSpace: 10.0.0.0/16, subnets: {{s: {{addressPrefix: 10.0.0.0/24, routeTable: rt}}}}}}}}
networkSecurityGroups: {{nsg: {{}}}}
virtualMachines: {{vm: {{subnet: net/s, networkSecurityGroup: nsg}}}}
{tables}"""
    ruleset = lab_of(text).namespaces["@fabric"].ruleset
    assert "elements = { 10.0.0.0-10.0.255.255, 168.63.129.16, 172.20.0.0-172.20.255.255 }" in ruleset


@pytest.mark.azure("NSG-25", "NSG-26")
def test_a_default_route_makes_virtual_network_everything_and_internet_nothing() -> None:
    tables = "routeTables: {rt: {routes: {r: {addressPrefix: 0.0.0.0/0, nextHopType: None}}}}"
    lines = inbound(rule(source="Internet"), tables, ", routeTable: rt")
    assert lines == ['return comment "AllowVnetInBound"', *DEFAULT[1:]], "the Internet rule matches nothing"


@pytest.mark.azure("NSG-29")
def test_an_asg_is_its_members_addresses_and_an_empty_one_matches_nothing() -> None:
    text = """
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {s: {addressPrefix: 10.0.0.0/24, networkSecurityGroup: nsg}}}}
applicationSecurityGroups: {web: {}, empty: {}}
networkSecurityGroups:
  nsg:
    securityRules:
      one: {priority: 100, direction: Inbound, access: Allow, protocol: Tcp, sourceAddressPrefix: "*", sourcePortRange: "*",
            destinationApplicationSecurityGroups: web, destinationPortRange: 80}
      two: {priority: 110, direction: Inbound, access: Allow, protocol: Tcp, sourceApplicationSecurityGroups: empty,
            sourcePortRange: "*", destinationAddressPrefix: "*", destinationPortRange: 80}
virtualMachines:
  a: {subnet: net/s, applicationSecurityGroups: web}
  b: {subnet: net/s}
  c: {subnet: net/s, applicationSecurityGroups: web}
"""
    lines = with_sets(lab_of(text), "inbound/nsg/net")
    assert lines[0] == 'ip daddr { 10.0.0.4, 10.0.0.6 } meta l4proto tcp th dport 80 counter return comment "one"'
    assert '"two"' not in "".join(lines)


@pytest.mark.azure("PLT-4")
def test_only_a_rule_that_names_the_platform_stops_the_platform() -> None:
    text = """
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {s: {addressPrefix: 10.0.0.0/24}}}}
networkSecurityGroups:
  nsg:
    securityRules:
      no-dns: {priority: 100, direction: Outbound, access: Deny, protocol: Udp, sourceAddressPrefix: "*",
               sourcePortRange: "*", destinationAddressPrefix: AzurePlatformDNS, destinationPortRange: "*"}
      nothing: {priority: 110, direction: Outbound, access: Deny, protocol: "*", sourceAddressPrefix: "*",
                sourcePortRange: "*", destinationAddressPrefix: "*", destinationPortRange: "*"}
virtualMachines: {vm: {subnet: net/s, networkSecurityGroup: nsg}}
"""
    lines = chain(lab_of(text), "platform/nsg/net")
    assert lines == [
        'ip daddr 168.63.129.16 meta l4proto { tcp, udp } th dport 53 meta l4proto udp counter drop comment "no-dns"'
    ]
