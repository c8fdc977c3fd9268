"""Every kind of finding: told where it is, of what it is, and no longer when it is put right."""

from __future__ import annotations

import pytest

RULE = (
    "{{priority: {0}, direction: {1}, access: {2}, protocol: '{3}', sourceAddressPrefix: {4}, sourcePortRange: '*',"
    " destinationAddressPrefix: {5}, destinationPortRange: {6}}}"
)


def rule(priority, direction, access, *, protocol="Tcp", source="'*'", destination="'*'", port="'*'"):
    return RULE.format(priority, direction, access, protocol, source, destination, port)


ONE_NSG = """\
virtualNetworks:
  net:
    addressSpace: 10.0.0.0/16
    subnets:
      web: {{addressPrefix: 10.0.1.0/24, networkSecurityGroup: web-nsg}}
      db: {{addressPrefix: 10.0.2.0/24}}
networkSecurityGroups:
  web-nsg:
    securityRules:
      first: {0}
      second: {1}
publicIPAddresses:
  web-ip: {{ipAddress: 20.61.0.10}}
applicationSecurityGroups:
  workers:
virtualMachines:
  web1: {{subnet: net/web, publicIPAddress: web-ip}}
  db1: {{subnet: net/db}}
"""


def names(outcome):
    return [finding.name for finding in outcome.findings]


def of(outcome, finding):
    """The only finding of a kind."""
    (found,) = [each for each in outcome.findings if each.finding == finding]
    return found


def rules_of(outcome):
    return [f.resource.rpartition("/")[2] + "/" + f.finding for f in outcome.findings if "securityRules" in f.resource]


# ---- security rules --------------------------------------------------------------------------------------------------


def test_a_rule_behind_a_denial_of_all_is_shadowed(look):
    deny, allow = rule(200, "Inbound", "Deny", protocol="*"), rule(300, "Inbound", "Allow", port=80)
    found = of(look(ONE_NSG.format(deny, allow)), "shadowed-rule")
    assert (found.line, found.column) == (12, 26)
    assert found.resource == "networkSecurityGroups/web-nsg/securityRules/second"
    assert found.what == "can never match: `first` (200) takes all that it matches before it"
    assert found.instead == "give it a priority before 200 (100 is free), or remove it"
    moved = look(ONE_NSG.format(deny, rule(100, "Inbound", "Allow", port=80)))
    assert "shadowed-rule" not in [each.finding for each in moved.findings]


def test_a_rule_behind_one_that_says_the_same_is_to_go(look):
    found = of(
        look(ONE_NSG.format(rule(100, "Inbound", "Allow", port="0-99"), rule(110, "Inbound", "Allow", port=80))),
        "shadowed-rule",
    )
    assert found.instead == "remove it"


@pytest.mark.parametrize(
    ("written", "default"),
    [
        (rule(300, "Inbound", "Allow", source="10.0.2.0/24", port=5432), "`AllowVnetInBound` (65000)"),
        (rule(300, "Inbound", "Deny", source="Internet", port=5432), "`DenyAllInBound` (65500)"),
        (rule(300, "Outbound", "Allow", destination="Internet", port=443), "`AllowInternetOutBound` (65001)"),
        (rule(300, "Outbound", "Deny", destination="192.168.0.0/16"), "`DenyAllOutBound` (65500)"),
    ],
)
def test_a_rule_that_says_what_a_default_says_changes_nothing(look, written, default):
    first = rule(100, "Inbound", "Allow", source="Internet", port=80)
    outcome = look(ONE_NSG.format(first, written))
    assert rules_of(outcome) == ["second/redundant-rule"]
    assert default in of(outcome, "redundant-rule").what


def test_a_rule_that_a_later_denial_would_overrule_is_no_subset_of_a_default(look):
    allow, deny = (
        rule(100, "Inbound", "Allow", source="10.0.2.0/24", port=80),
        rule(110, "Inbound", "Deny", protocol="*"),
    )
    assert rules_of(look(ONE_NSG.format(allow, deny))) == []


def test_a_rule_that_names_the_public_address_of_its_machine_matches_nothing(look):
    public = rule(100, "Inbound", "Allow", source="Internet", destination="20.61.0.10", port=80)
    private = rule(110, "Inbound", "Allow", source="Internet", destination="10.0.1.4", port=80)
    outcome = look(ONE_NSG.format(public, private))
    assert rules_of(outcome) == ["first/matches-nothing"]
    found = of(outcome, "matches-nothing")
    assert "20.61.0.10 is the public address `web-ip`" in found.what
    assert found.instead == "write 10.0.1.4"


def test_a_rule_for_another_subnet_matches_nothing(look):
    first = rule(100, "Inbound", "Allow", source="Internet", port=80)
    elsewhere = rule(110, "Inbound", "Deny", destination="10.0.2.0/24")
    assert rules_of(look(ONE_NSG.format(first, elsewhere))) == ["second/matches-nothing"]


def test_a_rule_for_a_group_without_members_matches_nothing(look):
    grouped = rule(100, "Inbound", "Deny").replace(
        "sourceAddressPrefix: '*'", "sourceApplicationSecurityGroups: workers"
    )
    text = ONE_NSG.format(grouped, rule(110, "Inbound", "Allow", source="Internet", port=80))
    found = of(look(text), "matches-nothing")
    assert found.what == "matches no packet: no NIC of `net` is in `workers`"
    joined = look(text.replace("db1: {subnet: net/db}", "db1: {subnet: net/db, applicationSecurityGroups: workers}"))
    assert rules_of(joined) == []


def test_a_denial_of_the_platforms_address_matches_nothing(look):
    by_address = rule(100, "Outbound", "Deny", protocol="*", destination="168.63.129.16")
    by_tag = rule(110, "Outbound", "Deny", protocol="*", destination="AzurePlatformDNS")
    outcome = look(ONE_NSG.format(by_address, by_tag))
    assert rules_of(outcome) == ["first/matches-nothing"]
    assert "AzurePlatformDNS" in of(outcome, "matches-nothing").instead


def test_rules_of_an_nsg_that_nobody_uses_are_not_looked_at(look):
    text = ONE_NSG.format(rule(100, "Inbound", "Deny", protocol="*"), rule(110, "Inbound", "Allow", port=80))
    outcome = look(text.replace(", networkSecurityGroup: web-nsg", ""))
    assert "networkSecurityGroups/web-nsg/unused" in names(outcome)
    assert rules_of(outcome) == []
    assert not outcome.witnesses


def test_of_rules_too_entangled_nothing_is_told(look, monkeypatch):
    text = ONE_NSG.format(
        rule(100, "Inbound", "Deny", port="'80'", source="10.0.0.0/8"),
        rule(110, "Inbound", "Allow", port="79-81"),
    )
    monkeypatch.setattr("netemu.azure.coverage.MOST_SPLITS", 0)
    monkeypatch.setattr("netemu.lint.deciding.Gate._samples", lambda *_: iter(()))
    first, second = look(text).witnesses.values()
    assert first is not None  # nothing comes before it
    assert second is None
    assert rules_of(look(text)) == []


# ---- exposure --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("source", ["'*'", "Internet", "0.0.0.0/0", "[0.0.0.0/1, 128.0.0.0/1]", "AzureCloud"])
@pytest.mark.parametrize("port", [22, 3389, 5985, 5986, "'*'", "[80, 20-25]"])
def test_a_management_port_is_open_to_the_internet(look, source, port):
    written = rule(100, "Inbound", "Allow", source=source, port=port)
    if source.startswith("["):
        written = written.replace("sourceAddressPrefix:", "sourceAddressPrefixes:")
    found = of(look(ONE_NSG.format(written, rule(110, "Inbound", "Deny", protocol="*"))), "open-management-port")
    assert found.line == 11
    assert found.what.startswith("opens ")
    assert found.what.endswith("to the internet: `web1`")


@pytest.mark.parametrize(
    "written",
    [
        rule(110, "Inbound", "Allow", source="198.51.100.0/24", port=22),
        rule(110, "Inbound", "Allow", source="Internet", port="[80, 443]"),
        rule(110, "Inbound", "Allow", source="VirtualNetwork", port=22),
        rule(110, "Inbound", "Allow", source="Internet", port=22, protocol="Udp"),
        rule(110, "Outbound", "Allow", destination="Internet", port=22),
    ],
)
def test_what_is_not_open_to_the_internet_is_no_open_management_port(look, written):
    outcome = look(ONE_NSG.format(rule(100, "Inbound", "Deny", source="10.9.0.0/16"), written))
    assert "open-management-port" not in [finding.finding for finding in outcome.findings]


def test_a_management_port_that_an_earlier_rule_closes_is_not_open(look):
    deny, allow = rule(100, "Inbound", "Deny", source="Internet", port=22), rule(110, "Inbound", "Allow", port=22)
    assert "open-management-port" not in [f.finding for f in look(ONE_NSG.format(deny, allow)).findings]


PUBLIC = """\
virtualNetworks:
  net:
    addressSpace: 10.0.0.0/16
    subnets:
      web: {{addressPrefix: 10.0.1.0/24}}
publicIPAddresses:
  web-ip: {{sku: {0}}}
virtualMachines:
  web1: {{subnet: net/web, publicIPAddress: web-ip{1}}}
networkSecurityGroups:
  nsg:
"""


@pytest.mark.parametrize(("sku", "finding"), [("Standard", "closed-public-ip"), ("Basic", "open-public-ip")])
def test_a_public_ip_without_an_nsg_is_closed_or_open(look, sku, finding):
    outcome = look(PUBLIC.format(sku, ""))
    assert f"publicIPAddresses/web-ip/{finding}" in names(outcome)
    assert of(outcome, finding).line == 8
    assert names(look(PUBLIC.format(sku, ", networkSecurityGroup: nsg"))) == []


# ---- routes ----------------------------------------------------------------------------------------------------------

ROUTED = """\
virtualNetworks:
  net:
    addressSpace: 10.0.0.0/16
    subnets:
      web: {{addressPrefix: 10.0.1.0/24, routeTable: rt}}
      db: {{addressPrefix: 10.0.2.0/24, routeTable: back}}
      dmz: {{addressPrefix: 10.0.9.0/24{1}}}
  other:
    addressSpace: 10.1.0.0/16
    subnets:
      far: {{addressPrefix: 10.1.0.0/24}}
routeTables:
  rt:
    routes:
      r: {0}
  back:
    routes:
      r: {{addressPrefix: 10.0.1.0/24, nextHopType: VirtualAppliance, nextHopIpAddress: 10.0.9.4}}
virtualMachines:
  web1: {{subnet: net/web}}
  db1: {{subnet: net/db}}
  fw: {{subnet: net/dmz{2}}}
  far1: {{subnet: other/far}}
"""
FORWARDS = ", enableIPForwarding: true, sysctls: {net.ipv4.ip_forward: 1}"


def appliance(prefix="10.0.2.0/24", hop="10.0.9.4"):
    return f"{{addressPrefix: {prefix}, nextHopType: VirtualAppliance, nextHopIpAddress: {hop}}}"


def test_routes_through_an_appliance_that_forwards_are_fine(look):
    assert names(look(ROUTED.format(appliance(), "", FORWARDS))) == []


@pytest.mark.parametrize(
    ("route", "why"),
    [
        (appliance(hop="10.0.9.99"), "nobody has 10.0.9.99"),
        (appliance(hop="10.1.0.4"), "10.1.0.4 is in `other`, which is not peered with `net`"),
        (
            "{addressPrefix: 10.7.0.0/16, nextHopType: VnetLocal}",
            "nothing of 10.7.0.0/16 is in the address space of `net`",
        ),
        ("{addressPrefix: 10.7.0.0/16, nextHopType: Internet}", "10.7.0.0/16 is private"),
        ("{addressPrefix: 10.7.0.0/16, nextHopType: VirtualNetworkGateway}", "there is no virtual network gateway"),
    ],
)
def test_a_route_that_leads_nowhere_is_told(look, route, why):
    found = of(look(ROUTED.format(route, "", FORWARDS)), "route-to-nowhere")
    assert (found.resource, found.line) == ("routeTables/rt/routes/r", 16)
    assert why in found.what


@pytest.mark.parametrize(
    "route",
    [
        "{addressPrefix: 10.0.2.0/24, nextHopType: None}",
        "{addressPrefix: 198.51.100.0/24, nextHopType: Internet}",
        "{addressPrefix: 10.0.2.0/24, nextHopType: VnetLocal}",
    ],
)
def test_a_route_that_leads_somewhere_is_not(look, route):
    outcome = look(ROUTED.format(route, "", FORWARDS))
    assert "route-to-nowhere" not in [finding.finding for finding in outcome.findings]


def test_a_route_whose_prefix_longer_ones_cover_never_decides(look):
    halves = "".join(
        f"\n      h{half}: {{addressPrefix: 10.0.2.{half}/25, nextHopType: VnetLocal}}" for half in (0, 128)
    )
    outcome = look(ROUTED.format(appliance() + halves, "", FORWARDS))
    assert of(outcome, "shadowed-route").resource == "routeTables/rt/routes/r"
    one_half = halves.rpartition("\n")[0]
    assert "shadowed-route" not in [
        f.finding for f in look(ROUTED.format(appliance() + one_half, "", FORWARDS)).findings
    ]


@pytest.mark.parametrize(
    ("switches", "why"),
    [
        (", sysctls: {net.ipv4.ip_forward: 1}", "enableIPForwarding is false"),
        (", enableIPForwarding: true", "net.ipv4.ip_forward is not 1"),
        ("", "enableIPForwarding is false"),
    ],
)
def test_an_appliance_without_forwarding_drops_what_routes_send_it(look, switches, why):
    found = of(look(ROUTED.format(appliance(), "", switches)), "appliance-without-forwarding")
    assert found.resource == "virtualMachines/fw"
    assert found.what.startswith("`rt/r` and `back/r` send it packets of others")
    assert why in found.what


def test_a_route_to_the_internet_by_an_appliance_is_followed_as_well(look):
    outcome = look(ROUTED.format(appliance("0.0.0.0/0"), "", ""))
    assert "`rt/r`" in of(outcome, "appliance-without-forwarding").what


def test_an_appliance_without_a_route_to_it_that_cannot_forward_is_told(look):
    text = ROUTED.format("{addressPrefix: 10.0.3.0/24, nextHopType: None}", "", ", enableIPForwarding: true")
    text = text.replace(", routeTable: back", "")
    assert of(look(text), "appliance-without-forwarding").resource == "virtualMachines/fw"


def test_a_route_of_the_appliances_own_subnet_that_leads_back_to_it_is_a_loop(look):
    outcome = look(ROUTED.format(appliance(), ", routeTable: rt", FORWARDS))
    assert of(outcome, "route-loop").resource == "routeTables/rt/routes/r"


def test_answers_that_do_not_come_back_through_the_appliance_are_told(look):
    text = ROUTED.format(appliance(), "", FORWARDS)
    found = of(look(text.replace(", routeTable: back", "")), "asymmetric-route")
    assert found.resource == "routeTables/rt/routes/r"
    assert found.what.startswith("what net/web sends to `net/db` goes through fw, the answers come directly")
    assert found.instead == "route 10.0.1.0/24 through 10.0.9.4 in net/db as well"


def test_a_public_ip_whose_answers_a_default_route_diverts_is_told(look):
    text = (
        ROUTED.format(appliance("0.0.0.0/0"), "", FORWARDS)
        + "publicIPAddresses: {ip: }\nnetworkSecurityGroups: {nsg: }\n"
    )
    there = text.replace(
        "web1: {subnet: net/web}", "web1: {subnet: net/web, publicIPAddress: ip, networkSecurityGroup: nsg}"
    )
    found = of(look(there), "public-ip-without-return")
    assert "`rt/r` sends the answers of 10.0.1.4 to 10.0.9.4" in found.what
    straight = there.replace("0.0.0.0/0", "203.0.113.0/24")
    assert "public-ip-without-return" not in [finding.finding for finding in look(straight).findings]


# ---- peerings --------------------------------------------------------------------------------------------------------

PEERED = """\
virtualNetworks:
  hub:
    addressSpace: 10.0.0.0/16
    subnets: {{a: {{addressPrefix: 10.0.0.0/24}}}}
    virtualNetworkPeerings: {{{0}}}
  one:
    addressSpace: 10.1.0.0/16
    subnets: {{a: {{addressPrefix: 10.1.0.0/24, routeTable: rt}}}}
    virtualNetworkPeerings: {{{1}}}
  two:
    addressSpace: 10.2.0.0/16
    subnets: {{a: {{addressPrefix: 10.2.0.0/24, routeTable: rt}}}}
    virtualNetworkPeerings: {{{2}}}
routeTables:
  rt:
    routes: {{all: {{addressPrefix: 10.0.0.0/8, nextHopType: VirtualAppliance, nextHopIpAddress: 10.0.0.4}}}}
virtualMachines:
  fw: {{subnet: hub/a, enableIPForwarding: true, sysctls: {{net.ipv4.ip_forward: 1}}}}
  one1: {{subnet: one/a}}
  two1: {{subnet: two/a}}
"""
HUB = "one: {remoteVirtualNetwork: one}, two: {remoteVirtualNetwork: two}"
SPOKE = "hub: {remoteVirtualNetwork: hub, allowForwardedTraffic: true}"


def test_a_hub_and_spokes_with_all_that_they_need_are_fine(look):
    assert names(look(PEERED.format(HUB, SPOKE, SPOKE))) == []


def test_a_peering_with_one_side_carries_nothing(look):
    found = of(look(PEERED.format(HUB, SPOKE, "")), "one-sided-peering")
    assert (found.resource, found.line) == ("virtualNetworks/hub/virtualNetworkPeerings/two", 6)
    assert found.instead == "add one to `two` with remoteVirtualNetwork: hub"


def test_a_peering_that_one_side_denies_carries_nothing(look):
    denied = SPOKE.replace("}", ", allowVirtualNetworkAccess: false}")
    found = of(look(PEERED.format(HUB, SPOKE, denied)), "peering-without-access")
    assert found.resource == "virtualNetworks/two/virtualNetworkPeerings/hub"
    both = HUB.replace("remoteVirtualNetwork: two", "remoteVirtualNetwork: two, allowVirtualNetworkAccess: false")
    assert "peering-without-access" not in [f.finding for f in look(PEERED.format(both, SPOKE, denied)).findings]


def test_a_spoke_that_refuses_forwarded_traffic_is_told(look):
    found = of(look(PEERED.format(HUB, SPOKE, "hub: {remoteVirtualNetwork: hub}")), "forwarded-traffic-refused")
    assert found.resource == "virtualNetworks/two/virtualNetworkPeerings/hub"
    assert found.what.startswith("`rt/all` sends packets here that the other side only forwards")


# ---- load balancers --------------------------------------------------------------------------------------------------

BALANCED = """\
virtualNetworks:
  net: {addressSpace: 10.0.0.0/16, subnets: {a: {addressPrefix: 10.0.0.0/24, networkSecurityGroup: nsg}}}
networkSecurityGroups:
  nsg:
    securityRules:
      web: RULE
publicIPAddresses: {ip: {}}
loadBalancers:
  lb:
    frontendIPConfigurations: {front: {publicIPAddress: ip}}
    backendAddressPools: {pool: [vm1, vm2]}
    probes: {up: {protocol: Tcp, port: 80}}
    loadBalancingRules:
      http: {frontendIPConfiguration: front, backendAddressPool: pool, probe: up, protocol: Tcp, frontendPort: 80}
virtualMachines:
  vm1: {subnet: net/a}
  vm2: {subnet: net/a}
""".replace("RULE", rule(100, "Inbound", "Allow", source="Internet", port=80))


def test_a_load_balancer_with_all_that_it_needs_is_fine(look):
    assert names(look(BALANCED)) == []


def test_a_standard_load_balancer_without_an_nsg_behind_it_is_closed(look):
    bare = BALANCED.replace(", networkSecurityGroup: nsg", "")
    found = of(look(bare), "closed-load-balancer")
    assert "nobody gets through to `vm1` and `vm2`" in found.what
    assert "closed-load-balancer" not in [
        f.finding
        for f in look(bare.replace("lb:", "lb:\n    sku: Basic").replace("ip: {}", "ip: {sku: Basic}")).findings
    ]


def test_a_denial_of_the_probes_is_told_of_the_probe(look):
    deny = rule(200, "Inbound", "Deny", protocol="*")
    text = BALANCED.replace("publicIPAddresses:", f"      all: {deny}\npublicIPAddresses:")
    found = of(look(text), "probe-denied")
    assert found.resource == "loadBalancers/lb/probes/up"
    assert found.what.startswith("`all` of `nsg` drops it on its way to `vm1`")
    allowed = text.replace(
        "publicIPAddresses:",
        f"      lb: {rule(150, 'Inbound', 'Allow', source='AzureLoadBalancer')}\npublicIPAddresses:",
    )
    assert names(look(allowed)) == []


def test_parts_of_a_load_balancer_that_do_nothing_are_told(look):
    idle = BALANCED.replace("up: {", "idle: {protocol: Tcp, port: 81}, up: {").replace(
        "pool: [vm1, vm2]", "pool: [], spare: vm1"
    )
    told = names(look(idle))
    assert "loadBalancers/lb/probes/idle/unused" in told
    assert "loadBalancers/lb/backendAddressPools/spare/unused" in told
    assert "loadBalancers/lb/backendAddressPools/pool/empty-pool" in told


def test_management_ports_are_open_behind_a_load_balancer_as_well(look):
    found = of(look(BALANCED.replace("destinationPortRange: 80", "destinationPortRange: 22")), "open-management-port")
    assert found.what == "opens 22 (SSH) to the internet: `vm1` and `vm2`"


def test_with_floating_ip_rules_see_the_address_of_the_frontend(look):
    frontend = BALANCED.replace("ip: {}", "ip: {ipAddress: 20.61.0.9}").replace(
        "destinationAddressPrefix: '*'", "destinationAddressPrefix: 20.61.0.9"
    )
    assert of(look(frontend), "matches-nothing").resource.endswith("/web")
    assert names(look(frontend.replace("frontendPort: 80", "frontendPort: 80, enableFloatingIP: true"))) == []


def test_a_route_to_an_internal_frontend_leads_somewhere(look):
    text = ROUTED.format(appliance(hop="10.0.9.100"), "", FORWARDS)
    assert of(look(text), "route-to-nowhere")
    balancer = (
        "loadBalancers: {lb: {frontendIPConfigurations: {f: {subnet: net/dmz, privateIPAddress: 10.0.9.100}},"
        " backendAddressPools: {p: fw}, loadBalancingRules: {ha: {frontendIPConfiguration: f, backendAddressPool: p,"
        " protocol: All, frontendPort: 0}}}}\n"
    )
    assert "route-to-nowhere" not in [finding.finding for finding in look(text + balancer).findings]


# ---- what nobody uses ------------------------------------------------------------------------------------------------

USED = """\
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {a: {addressPrefix: 10.0.0.0/24%s}}}}
networkSecurityGroups: {nsg: {securityRules: {deny: {priority: 100, direction: Inbound, access: Deny, protocol: "*",
  sourceApplicationSecurityGroups: asg, destinationAddressPrefix: "*", sourcePortRange: "*", destinationPortRange: "*"}}}}
routeTables: {rt: {}}
applicationSecurityGroups: {asg: {}, idle: {}}
publicIPAddresses: {ip: {}}
networkInterfaces: {nic: {subnet: net/a%s}}
virtualMachines: {%s}
"""


def test_what_nothing_refers_to_is_unused(look):
    assert set(names(look(USED % ("", "", "")))) == {
        "networkSecurityGroups/nsg/unused",
        "routeTables/rt/unused",
        "applicationSecurityGroups/idle/unused",
        "publicIPAddresses/ip/unused",
        "networkInterfaces/nic/unused",
    }


def test_what_something_refers_to_is_not(look):
    text = USED % (
        ", networkSecurityGroup: nsg, routeTable: rt",
        ", publicIPAddress: ip, applicationSecurityGroups: [asg, idle]",
        "vm: {networkInterfaces: nic}",
    )
    assert names(look(text)) == ["applicationSecurityGroups/idle/unused"]
