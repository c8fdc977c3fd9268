"""What a rule matches: protocols, ports, addresses, tags, application security groups; and the order of rules."""

from __future__ import annotations

import pytest
from harness import PLATFORM, allow, deny, rule
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import Ether

IN = "Inbound"
RULES: dict[str, list[str]] = {
    "empty": [],
    "tcp": [deny(IN, "Tcp")],
    "udp": [deny(IN, "Udp")],
    "icmp": [deny(IN, "Icmp")],
    "any": [deny(IN)],
    "any-port": [deny(IN, port="80")],
    "ports": [deny(IN, "Tcp", port="80, 1000-1999, 65535")],
    "sport": [deny(IN, "Udp", sport="5000-5999")],
    "one-source": [deny(IN, source="10.0.1.4")],
    "prefixes": [deny(IN, source="10.0.1.0/30, 10.0.1.5")],
    "zero": [deny(IN, source="0.0.0.0/0")],
    "one-destination": [deny(IN, destination="10.0.2.99")],
    "low-denies": [deny(IN, "Tcp", port="80"), rule(4096, IN, "Allow", "Tcp", port="80")],
    "low-allows": [rule(100, IN, "Allow", "Tcp", port="80"), rule(4096, IN, "Deny", "Tcp", port="80")],
    "no-probes": [deny(IN, source="AzureLoadBalancer")],
    "probes": [allow(IN, source="azureloadbalancer"), rule(300, IN, "Deny")],
    "internet": [allow(IN, source="Internet"), rule(300, IN, "Deny")],
    "network": [allow(IN, source="VirtualNetwork"), rule(300, IN, "Deny")],
}


def listed(text: str) -> str:
    """A rule with the quoted lists as YAML lists."""
    parts = text.split("'")
    for index in range(1, len(parts), 2):
        parts[index] = f"[{parts[index]}]" if ", " in parts[index] else f"'{parts[index]}'"
    return "".join(parts)


def scenario() -> str:
    groups = "".join(
        f"  {name}: {{securityRules: {{{', '.join(f'r{i}: {listed(text)}' for i, text in enumerate(rules))}}}}}\n"
        for name, rules in RULES.items()
    )
    servers = "".join(f"  s-{name}: {{subnet: net/servers, networkSecurityGroup: {name}}}\n" for name in RULES)
    return f"""
virtualNetworks:
  net:
    addressSpace: 10.0.0.0/16
    subnets:
      clients: {{addressPrefix: 10.0.1.0/24}}
      servers: {{addressPrefix: 10.0.2.0/24}}
networkSecurityGroups:
{groups}
virtualMachines:
  c4: {{subnet: net/clients, privateIPAddress: 10.0.1.4}}
  c5: {{subnet: net/clients, privateIPAddress: 10.0.1.5}}
  c6: {{subnet: net/clients, privateIPAddress: 10.0.1.6}}
  bare: {{subnet: net/clients, privateIPAddress: 10.0.1.10}}
  router: {{subnet: net/clients, privateIPAddress: 10.0.1.9, enableIPForwarding: true}}
{servers}
"""


@pytest.fixture(scope="module")
def lab(laboratory):
    return laboratory(scenario())


def passes(lab, server, layer, client="c4", source=None):
    """Does a first packet of one kind come through to a server?"""
    packet = IP(src=source or lab.address(client), dst=lab.address(server)) / layer
    return lab.delivered(client, packet, at=server) is not None


def tcp(lab, port=80, sport=None):
    return TCP(sport=sport or lab.port(), dport=port, flags="S")


def udp(lab, port=80, sport=None):
    return UDP(sport=sport or lab.port(), dport=port)


@pytest.mark.azure("NSG-2")
def test_without_an_nsg_everything_passes(lab):
    for layer in (tcp(lab), udp(lab), ICMP(id=lab.port())):
        assert passes(lab, "bare", layer)
        assert passes(lab, "bare", layer, client="router", source="192.168.7.7")


@pytest.mark.azure("NSG-2", "NSG-7", "NSG-27")
def test_an_nsg_without_rules_has_the_default_rules(lab):
    for layer in (tcp(lab), udp(lab), ICMP(id=lab.port())):
        assert passes(lab, "s-empty", layer)
        for stranger in ("192.168.7.7", "10.1.0.4", "198.51.100.99"):
            assert not passes(lab, "s-empty", layer, client="router", source=stranger)


@pytest.mark.azure("NSG-7", "NSG-8")
def test_default_rules_count_what_they_decide(lab):
    chain = "inbound/empty/net"
    names = ("AllowVnetInBound", "AllowAzureLoadBalancerInBound", "DenyAllInBound")
    before = [lab.counter(chain, name) for name in names]
    passes(lab, "s-empty", udp(lab))
    passes(lab, "s-empty", udp(lab), client="router", source="192.168.7.7")
    assert [lab.counter(chain, name) - old for name, old in zip(names, before, strict=True)] == [1, 0, 1]


@pytest.mark.azure("NSG-10", "NSG-11")
@pytest.mark.parametrize(
    ("server", "expected"),
    [("tcp", "U I"), ("udp", "T I"), ("icmp", "T U"), ("any", ""), ("any-port", "I"), ("empty", "T U I")],
)
def test_a_rule_is_about_its_protocol(lab, server, expected):
    layers = {"T": tcp(lab), "U": udp(lab), "I": ICMP(id=lab.port())}
    assert " ".join(name for name, layer in layers.items() if passes(lab, f"s-{server}", layer)) == expected


@pytest.mark.azure("NSG-12")
@pytest.mark.parametrize(
    ("port", "allowed"),
    [(79, True), (80, False), (81, True), (999, True), (1000, False), (1999, False), (2000, True), (65534, True),
     (65535, False)],
)  # fmt: skip
def test_ports_are_numbers_ranges_and_lists_with_their_ends_included(lab, port, allowed):
    assert passes(lab, "s-ports", tcp(lab, port)) == allowed


@pytest.mark.azure("NSG-12")
@pytest.mark.parametrize(("port", "allowed"), [(4999, True), (5000, False), (5999, False), (6000, True)])
def test_source_ports_count_too(lab, port, allowed):
    assert passes(lab, "s-sport", udp(lab, 9, port)) == allowed
    assert passes(lab, "s-sport", udp(lab, 5500, 7000 + port))


@pytest.mark.azure("NSG-13")
@pytest.mark.parametrize(
    ("server", "allowed"),
    [("one-source", "c5 c6"), ("prefixes", "c4 c6"), ("zero", ""), ("one-destination", "c4 c5 c6")],
)
def test_addresses_are_single_ones_prefixes_and_lists(lab, server, allowed):
    clients = ("c4", "c5", "c6")
    assert " ".join(c for c in clients if passes(lab, f"s-{server}", udp(lab), client=c)) == allowed


@pytest.mark.azure("NSG-4", "CT-8")
def test_the_rule_with_the_lowest_number_decides(lab):
    assert not lab.tcp("c4", "s-low-denies", 80).arrived
    assert lab.tcp("c4", "s-low-allows", 80).answered


@pytest.mark.azure("NSG-7", "NSG-20", "NSG-28")
@pytest.mark.parametrize(
    ("server", "allowed"), [("empty", True), ("no-probes", False), ("probes", True), ("any", False)]
)
def test_the_load_balancers_tag_means_the_platforms_address(lab, server, allowed):
    with lab.tap(f"s-{server}") as tap:
        link = "02:00:00:00:00:01"
        probe = IP(src=PLATFORM, dst=lab.address(f"s-{server}")) / tcp(lab)
        lab.send("@slb.net", Ether(src=link, dst=link) / probe)
        assert (tap.find(lambda f: f.haslayer(TCP) and f[IP].src == PLATFORM) is not None) == allowed


@pytest.mark.azure("NSG-25", "NSG-26", "NSG-27")
@pytest.mark.parametrize(
    ("server", "source", "allowed"),
    [("network", "10.0.77.7", True), ("network", "10.1.0.4", False), ("network", "198.51.100.99", False),
     ("internet", "198.51.100.99", True), ("internet", "20.61.3.4", True), ("internet", "10.0.77.7", False),
     ("internet", "10.1.0.4", False), ("internet", "172.20.1.1", False), ("internet", "100.64.0.9", False)],
)  # fmt: skip
def test_the_tags_share_out_the_addresses_and_leave_foreign_private_ones_to_nobody(lab, server, source, allowed):
    assert passes(lab, f"s-{server}", udp(lab), client="router", source=source) == allowed


@pytest.mark.azure("NSG-24", "PIPE-8")
@pytest.mark.parametrize("kind", ["tcp", "udp", "icmp"])
def test_a_denied_packet_is_dropped_without_a_word(lab, kind):
    layer = {"tcp": tcp(lab), "udp": udp(lab), "icmp": ICMP(id=lab.port())}[kind]
    with lab.tap("c4") as tap:
        assert not passes(lab, "s-any", layer)
        assert list(tap.frames()) == []


ROLES = f"""
virtualNetworks:
  net:
    addressSpace: 10.0.0.0/16
    subnets: {{all: {{addressPrefix: 10.0.0.0/24, networkSecurityGroup: app-nsg}}}}
applicationSecurityGroups: {{asg-web: {{}}, asg-logic: {{}}, asg-db: {{}}, asg-nobody: {{}}}}
networkSecurityGroups:
  app-nsg:
    securityRules:
      web: {rule(100, IN, "Allow", "Tcp", "Internet", "@web", "80")}
      logic: {rule(110, IN, "Allow", "Tcp", "@logic", "@db", "1433")}
      database: {rule(120, IN, "Deny", "*", "*", "@db", "1433")}
      nobody: {rule(130, IN, "Deny", "*", "@nobody", "*", "*")}
publicIPAddresses: {{web-ip: {{ipAddress: 20.61.0.10}}, logic-ip: {{ipAddress: 20.61.0.11}}}}
virtualMachines:
  web: {{subnet: net/all, applicationSecurityGroups: asg-web, publicIPAddress: web-ip}}
  logic: {{subnet: net/all, applicationSecurityGroups: asg-logic, publicIPAddress: logic-ip}}
  db: {{subnet: net/all, applicationSecurityGroups: asg-db}}
  both: {{subnet: net/all, applicationSecurityGroups: [asg-web, asg-logic]}}
internet: {{hosts: {{visitor: {{ipAddress: 198.51.100.7}}}}}}
"""
for side in ("source", "destination"):
    for name in ("web", "logic", "db", "nobody"):
        ROLES = ROLES.replace(f"{side}AddressPrefix: '@{name}'", f"{side}ApplicationSecurityGroups: asg-{name}")


@pytest.fixture(scope="module")
def roles(laboratory):
    return laboratory(ROLES)


@pytest.mark.azure("NSG-29", "NSG-30", "NSG-1")
@pytest.mark.parametrize(
    ("source", "to", "port", "allowed"),
    [("visitor", "web-ip", 80, True), ("visitor", "web-ip", 1433, False), ("visitor", "logic-ip", 80, False),
     ("logic", "db", 1433, True), ("both", "db", 1433, True), ("web", "db", 1433, False), ("web", "logic", 1433, True),
     ("web", "db", 22, True), ("db", "web", 80, True)],
)  # fmt: skip
def test_rules_that_name_roles_apply_to_their_members_only(roles, source, to, port, allowed):
    contact = roles.tcp(source, to, port)
    assert (contact.arrived, contact.answered) == (allowed, allowed)


# ---- how rules are written -------------------------------------------------------------------------------------------

LONG = "a" + "-b" * 39 + "c"
WRITTEN = f"""
virtualNetworks:
  net:
    addressSpace: 10.0.0.0/16
    subnets: {{clients: {{addressPrefix: 10.0.1.0/24}}, servers: {{addressPrefix: 10.0.2.0/24}}}}
networkSecurityGroups:
  every-field:
    securityRules:
      {LONG}:
        {{description: what it is for, priority: 4096, direction: Inbound, access: Allow, protocol: Udp,
         sourceAddressPrefixes: [10.0.1.4, 10.0.1.8/30], sourcePortRanges: ["5000-5009", "6000"],
         destinationAddressPrefixes: [10.0.2.0/25, 10.0.9.0/24], destinationPortRanges: ["80", "8080-8090"]}}
      out: {{priority: 4096, direction: Outbound, access: Deny, protocol: Udp, sourceAddressPrefix: "*",
            sourcePortRange: "*", destinationAddressPrefix: "*", destinationPortRange: 7}}
      first: {rule(100, IN, "Allow", "Tcp", port="80")}
      second: {rule(101, IN, "Deny", "Tcp", port="80")}
      rest: {rule(4095, IN, "Deny", "Tcp")}
virtualMachines:
  c4: {{subnet: net/clients, privateIPAddress: 10.0.1.4}}
  c9: {{subnet: net/clients, privateIPAddress: 10.0.1.9}}
  c12: {{subnet: net/clients, privateIPAddress: 10.0.1.12}}
  low: {{subnet: net/servers, privateIPAddress: 10.0.2.4, networkSecurityGroup: every-field}}
  high: {{subnet: net/servers, privateIPAddress: 10.0.2.200, networkSecurityGroup: every-field}}
"""
CHAIN = "inbound/every-field/net"


@pytest.fixture(scope="module")
def written(laboratory):
    return laboratory(WRITTEN)


@pytest.mark.azure("NSG-3", "NSG-14", "NSG-12", "NSG-13")
@pytest.mark.parametrize(
    ("client", "server", "sport", "dport", "decided"),
    [
        ("c4", "low", 5000, 80, LONG), ("c9", "low", 6000, 8090, LONG), ("c4", "low", 5009, 8080, LONG),
        ("c12", "low", 5000, 80, "AllowVnetInBound"), ("c4", "high", 5000, 80, "AllowVnetInBound"),
        ("c4", "low", 5010, 80, "AllowVnetInBound"), ("c4", "low", 6001, 80, "AllowVnetInBound"),
        ("c4", "low", 5000, 81, "AllowVnetInBound"), ("c4", "low", 5000, 8091, "AllowVnetInBound"),
    ],
)  # fmt: skip
def test_a_rule_matches_when_every_property_does_and_counts_under_its_name(
    written, client, server, sport, dport, decided
):
    before = written.counter(CHAIN, decided)
    assert passes(written, server, UDP(sport=sport, dport=dport), client=client)
    assert written.counter(CHAIN, decided) == before + 1


@pytest.mark.azure("NSG-5")
def test_one_priority_may_be_used_once_in_each_direction(written):
    inward, outward = written.counter(CHAIN, LONG), written.counter("outbound/every-field/net", "out")
    assert passes(written, "low", UDP(sport=5001, dport=80))
    assert not passes(written, "c4", UDP(sport=written.port(), dport=7), client="low")
    assert written.counter(CHAIN, LONG) == inward + 1
    assert written.counter("outbound/every-field/net", "out") == outward + 1


@pytest.mark.azure("NSG-6", "NSG-4")
def test_priorities_from_100_to_4096_all_come_before_the_default_rules(written):
    names = ("first", "second", "rest", LONG, "AllowVnetInBound")
    before = [written.counter(CHAIN, name) for name in names]
    assert passes(written, "low", tcp(written))
    assert not passes(written, "low", tcp(written, port=81))
    assert passes(written, "low", UDP(sport=5002, dport=80))
    assert passes(written, "low", udp(written, port=9))
    assert [written.counter(CHAIN, name) - old for name, old in zip(names, before, strict=True)] == [1, 0, 1, 1, 1]


@pytest.mark.azure("NSG-9")
def test_default_rules_decide_again_when_the_rules_before_them_go(single):
    everything = f"all: {rule(4094, IN, 'Deny')}"
    lab = single(WRITTEN.replace(f"      first: {rule(100, IN, 'Allow', 'Tcp', port='80')}", f"      {everything}"))
    before = lab.counter(CHAIN, "AllowVnetInBound")
    assert not passes(lab, "high", udp(lab))
    assert lab.counter(CHAIN, "AllowVnetInBound") == before
    assert lab.up(WRITTEN) == "changed"
    assert passes(lab, "high", udp(lab))
    assert lab.counter(CHAIN, "AllowVnetInBound") >= 1
