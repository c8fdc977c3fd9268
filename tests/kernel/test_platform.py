"""The platform's address and names: whatever rules and routes say, unless a rule names the platform."""

from __future__ import annotations

import pytest
from harness import PLATFORM, VISITOR, deny, rule
from scapy.layers.inet import IP, TCP, UDP

IN, OUT = "Inbound", "Outbound"

SCENARIO = f"""
virtualNetworks:
  net:
    addressSpace: 10.0.0.0/16
    subnets:
      main: {{addressPrefix: 10.0.1.0/24}}
      shut: {{addressPrefix: 10.0.2.0/24, networkSecurityGroup: shut-nsg}}
      forced: {{addressPrefix: 10.0.3.0/24, routeTable: forced-rt}}
      nowhere: {{addressPrefix: 10.0.4.0/24, routeTable: nowhere-rt}}
      no-dns: {{addressPrefix: 10.0.5.0/24, networkSecurityGroup: no-dns-nsg}}
      no-imds: {{addressPrefix: 10.0.6.0/24, networkSecurityGroup: no-imds-nsg}}
    virtualNetworkPeerings: {{to-far: {{remoteVirtualNetwork: far}}}}
  far:
    addressSpace: 10.1.0.0/16
    subnets: {{main: {{addressPrefix: 10.1.0.0/24}}}}
    virtualNetworkPeerings: {{to-net: {{remoteVirtualNetwork: net}}}}
  custom:
    addressSpace: 10.0.0.0/16
    dhcpOptions: {{dnsServers: [10.0.0.53, 10.0.0.54]}}
    subnets: {{main: {{addressPrefix: 10.0.0.0/24}}}}
routeTables:
  forced-rt:
    routes: {{all: {{addressPrefix: 0.0.0.0/0, nextHopType: VirtualAppliance, nextHopIpAddress: 10.0.1.9}},
              own: {{addressPrefix: 10.0.0.0/16, nextHopType: VirtualAppliance, nextHopIpAddress: 10.0.1.9}},
              platform: {{addressPrefix: 168.63.129.16/32, nextHopType: None}}}}
  nowhere-rt:
    routes: {{all: {{addressPrefix: 0.0.0.0/0, nextHopType: None}}}}
networkSecurityGroups:
  shut-nsg:
    securityRules:
      nothing-in: {deny(IN)}
      nothing-out: {deny(OUT)}
      not-by-address: {rule(110, OUT, "Deny", destination="168.63.129.16")}
  no-dns-nsg: {{securityRules: {{dns: {deny(OUT, destination="AzurePlatformDNS")}}}}}
  some-no-dns-nsg: {{securityRules: {{dns: {deny(OUT, source="10.0.1.30", destination="AzurePlatformDNS")}}}}}
  no-imds-nsg: {{securityRules: {{imds: {deny(OUT, destination="AzurePlatformIMDS")}}}}}
networkInterfaces:
  named-nic: {{subnet: net/main, privateIPAddress: 10.0.1.20, dnsSettings: {{internalDnsNameLabel: extra-name}}}}
virtualMachines:
  plain: {{subnet: net/main, privateIPAddress: 10.0.1.4}}
  Other_VM: {{subnet: net/main, privateIPAddress: 10.0.1.5, computerName: other}}
  named: {{networkInterfaces: named-nic}}
  meant: {{subnet: net/main, privateIPAddress: 10.0.1.30, networkSecurityGroup: some-no-dns-nsg}}
  not-meant: {{subnet: net/main, privateIPAddress: 10.0.1.31, networkSecurityGroup: some-no-dns-nsg}}
  nva: {{subnet: net/main, privateIPAddress: 10.0.1.9, enableIPForwarding: true, sysctls: {{net.ipv4.ip_forward: 1}}}}
  shut: {{subnet: net/shut}}
  forced: {{subnet: net/forced}}
  nowhere: {{subnet: net/nowhere}}
  no-dns: {{subnet: net/no-dns}}
  no-imds: {{subnet: net/no-imds}}
  far: {{subnet: far/main}}
  customer: {{subnet: custom/main}}
{VISITOR}
"""


@pytest.fixture(scope="module")
def lab(laboratory):
    return laboratory(SCENARIO)


def dig(lab, machine, *question):
    """The answer's status and its lines."""
    run = lab.run(machine, "dig", "+tries=1", "+time=1", "+noedns", *question)
    if "status: " not in run.stdout:
        return "no answer", []
    status = run.stdout.split("status: ")[1].split(",")[0]
    lines = run.stdout.partition("ANSWER SECTION:\n")[2].partition("\n\n")[0].splitlines()
    return status, [line.split()[-1] for line in lines]


@pytest.mark.azure("PLT-1", "DNS-1")
@pytest.mark.parametrize("transport", ["+notcp", "+tcp"], ids=["udp", "tcp"])
def test_the_platform_answers_dns(lab, transport):
    assert dig(lab, "plain", transport, "+search", "other") == ("NOERROR", ["10.0.1.5"])


@pytest.mark.azure("PLT-4", "CT-13", "PIPE-1")
@pytest.mark.parametrize("transport", ["+notcp", "+tcp"], ids=["udp", "tcp"])
def test_dns_works_when_rules_deny_everything_in_both_directions(lab, transport):
    assert dig(lab, "shut", transport, "+search", "plain") == ("NOERROR", ["10.0.1.4"])
    assert lab.ping("shut", "plain").lost


@pytest.mark.azure("PLT-4", "CT-13")
def test_dns_works_under_deny_all_also_where_no_rule_names_the_platform(single):
    lab = single(f"""
virtualNetworks: {{net: {{addressSpace: 10.0.0.0/16, subnets: {{main: {{addressPrefix: 10.0.1.0/24}}}}}}}}
networkSecurityGroups: {{shut-nsg: {{securityRules: {{in: {deny(IN)}, out: {deny(OUT)}}}}}}}
virtualMachines: {{shut: {{subnet: net/main, networkSecurityGroup: shut-nsg}}}}
""")
    assert dig(lab, "shut", "+search", "shut") == ("NOERROR", ["10.0.1.4"])


@pytest.mark.azure("PLT-1", "RT-24")
@pytest.mark.parametrize("machine", ["forced", "nowhere"])
def test_dns_works_whatever_the_routes_say_and_no_appliance_sees_it(lab, machine):
    with lab.tap("nva") as tap:
        assert dig(lab, machine, "+search", "plain") == ("NOERROR", ["10.0.1.4"])
        assert tap.find(lambda f: f.haslayer(IP) and f[IP].dst == PLATFORM) is None


@pytest.mark.azure("PLT-4")
def test_a_rule_that_names_the_platforms_dns_stops_only_the_sources_that_it_names(lab):
    assert dig(lab, "meant", "+search", "plain")[0] == "no answer"
    assert dig(lab, "not-meant", "+search", "plain")[0] == "NOERROR"


@pytest.mark.azure("PLT-4")
def test_a_rule_that_names_the_platforms_dns_stops_it(lab):
    assert dig(lab, "no-dns", "+search", "plain")[0] == "no answer"
    assert dig(lab, "no-dns", "+tcp", "+search", "plain")[0] == "no answer"
    assert dig(lab, "no-imds", "+search", "plain")[0] == "NOERROR"


@pytest.mark.azure("PLT-2", "PLT-4", "RT-24")
@pytest.mark.parametrize(
    ("machine", "reaches"), [("plain", True), ("shut", True), ("forced", True), ("nowhere", True), ("no-imds", False)]
)
def test_the_metadata_address_is_the_platforms_whatever_rules_and_routes_say(lab, machine, reaches):
    request = IP(src=lab.address(machine), dst="169.254.169.254") / TCP(sport=lab.port(), dport=80, flags="S")
    assert (lab.delivered(machine, request, at="@slb.net") is not None) == reaches


@pytest.mark.azure("PLT-3", "PLT-4")
@pytest.mark.parametrize("source", ["plain", "nva"])
def test_no_machine_gets_through_as_the_platform(lab, source):
    for layer in (UDP(sport=53, dport=53), TCP(sport=53, dport=80, flags="SA")):
        assert lab.delivered(source, IP(src=PLATFORM, dst=lab.address("shut")) / layer, at="shut") is None
        assert lab.delivered(source, IP(src=lab.address(source), dst=lab.address("shut")) / layer, at="shut") is None


@pytest.mark.azure("PLT-3")
def test_the_platform_of_one_network_reaches_no_other(lab):
    assert dig(lab, "customer", f"@{PLATFORM}", "+search", "plain")[0] == "NXDOMAIN"
    assert lab.ping("plain", PLATFORM, at="@slb.far").lost


@pytest.mark.azure("DNS-2")
@pytest.mark.parametrize(
    ("name", "address"),
    [("plain", "10.0.1.4"), ("other", "10.0.1.5"), ("named", "10.0.1.20"), ("extra-name", "10.0.1.20")],
)
def test_a_machine_is_found_by_its_host_name_and_by_the_label_of_its_nic(lab, name, address):
    found = lab.run("plain", "getent", "ahostsv4", name)
    assert found.returncode == 0, found.stderr
    assert found.stdout.split()[0] == address


@pytest.mark.azure("DNS-1")
def test_the_networks_suffix_is_26_characters_and_leads_to_the_machine(lab):
    resolver = lab.run("plain", "cat", "/etc/resolv.conf").stdout
    suffix = resolver.split("search ")[1].split()[0]
    digits, _, rest = suffix.partition(".")
    assert (len(digits), rest) == (26, "ax.internal.cloudapp.net")
    assert digits.isalnum()
    assert digits == digits.lower()
    assert dig(lab, "plain", f"other.{suffix}") == ("NOERROR", ["10.0.1.5"])


@pytest.mark.azure("DNS-3", "PEER-15")
@pytest.mark.parametrize("name", ["far", "customer", "no-such-name"])
def test_names_of_another_network_do_not_exist_peered_or_not(lab, name):
    assert dig(lab, "plain", "+search", name) == ("NXDOMAIN", [])
    assert lab.run("plain", "getent", "ahostsv4", name).returncode != 0
    if name == "far":
        suffix = lab.run("far", "cat", "/etc/resolv.conf").stdout.split("search ")[1].split()[0]
        assert dig(lab, "far", f"far.{suffix}")[0] == "NOERROR"
        assert dig(lab, "plain", f"far.{suffix}")[0] == "NXDOMAIN"


@pytest.mark.azure("DNS-4")
def test_a_reverse_lookup_gives_the_internal_name_inside_the_network_only(lab):
    assert dig(lab, "plain", "-x", "10.0.1.5") == ("NOERROR", ["other.internal.cloudapp.net."])
    assert dig(lab, "far", "-x", "10.0.1.5") == ("NXDOMAIN", [])


@pytest.mark.azure("DNS-1")
def test_public_names_resolve(lab):
    assert dig(lab, "plain", "visitor") == ("NOERROR", ["198.51.100.7"])
    assert lab.run("shut", "getent", "ahostsv4", "visitor").stdout.split()[0] == "198.51.100.7"


@pytest.mark.azure("DNS-6")
def test_custom_dns_servers_replace_the_platforms_in_order(lab):
    resolver = lab.run("customer", "cat", "/etc/resolv.conf").stdout
    assert [line.split()[1] for line in resolver.splitlines() if line.startswith("nameserver")] == [
        "10.0.0.53",
        "10.0.0.54",
    ]


@pytest.mark.azure("DNS-5")
def test_a_machine_is_called_as_azure_would_call_it(lab):
    assert lab.run("Other_VM", "cat", "/etc/hostname").stdout.strip() == "other"
    assert dig(lab, "plain", "+search", "Other_VM")[0] == "NXDOMAIN"
