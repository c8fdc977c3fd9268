"""On networks that nobody thought of: what explain advises makes the flow work, when it is written into the scenario."""

from __future__ import annotations

from advice import flow, network_of, verdict_after, works
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netemu.azure.verdict import Engine
from netemu.explain import explain
from netemu.explain.data import as_data
from netemu.explain.text import lines

ADDRESSES = (
    "*", "10.0.0.0/16", "10.0.1.0/24", "10.0.1.4", "10.0.2.0/24", "10.1.0.0/16", "VirtualNetwork", "Internet",
    "198.51.100.0/24", "AzurePlatformDNS", "20.61.0.9", "10.0.3.4",
)  # fmt: skip

some_rules = st.builds(
    lambda access, direction, protocol, source, to, port, sport: {
        "direction": direction, "access": access, "protocol": protocol, "sourceAddressPrefix": source,
        "sourcePortRange": "*" if protocol == "Icmp" else sport, "destinationAddressPrefix": to,
        "destinationPortRange": "*" if protocol == "Icmp" else port,
    },
    st.sampled_from(("Allow", "Deny")),
    st.sampled_from(("Inbound", "Outbound")),
    st.sampled_from(("Tcp", "Udp", "Icmp", "*")),
    st.sampled_from(ADDRESSES),
    st.sampled_from(ADDRESSES),
    st.sampled_from(("*", "80", "0-443", "443")),
    st.sampled_from(("*", "*", "*", "1024-2048")),
)  # fmt: skip


@st.composite
def security_groups(draw):
    """Rules whose priorities begin at 100, so that there may be no room before them."""
    rules = draw(st.lists(some_rules, max_size=4))
    priorities = draw(st.lists(st.integers(100, 106), min_size=len(rules), max_size=len(rules), unique=True))
    return {
        "securityRules": {f"r{i}": {"priority": p, **r} for i, (p, r) in enumerate(zip(priorities, rules, strict=True))}
    }


hops = st.sampled_from(
    (
        {"nextHopType": "VirtualAppliance", "nextHopIpAddress": "10.0.3.4"},
        {"nextHopType": "VirtualAppliance", "nextHopIpAddress": "10.1.0.4"},
        {"nextHopType": "VirtualAppliance", "nextHopIpAddress": "10.0.9.9"},
        {"nextHopType": "VnetLocal"}, {"nextHopType": "Internet"}, {"nextHopType": "None"},
        {"nextHopType": "VirtualNetworkGateway"},
    )
)  # fmt: skip
prefixes = st.sampled_from(("0.0.0.0/0", "10.0.0.0/16", "10.0.2.0/24", "10.1.0.0/16", "10.0.0.0/8", "198.51.100.0/24"))
tables = st.dictionaries(prefixes, hops, max_size=3).map(
    lambda chosen: {"routes": {f"r{i}": {"addressPrefix": p, **hop} for i, (p, hop) in enumerate(chosen.items())}}
)


def optional(draw, **choices):
    """Properties that are written or not."""
    return {name: value for name, value in choices.items() if draw(st.booleans())}


@st.composite
def scenarios(draw):
    def subnet(prefix):
        return {
            "addressPrefix": prefix,
            "defaultOutboundAccess": draw(st.booleans()),
            **optional(draw, networkSecurityGroup=draw(st.sampled_from(("nn", "mm"))), routeTable="tt"),
        }

    def network(space, **subnets):
        return {"addressSpace": space, "subnets": {name: subnet(prefix) for name, prefix in subnets.items()}}

    networks = {
        "hub": network("10.0.0.0/16", x="10.0.1.0/24", y="10.0.2.0/24", m="10.0.3.0/24"),
        "spoke": network("10.1.0.0/16", z="10.1.0.0/24"),
        "other": network("10.2.0.0/16", o="10.2.0.0/24"),
    }
    for near, far in (("hub", "spoke"), ("spoke", "hub"), ("hub", "other"), ("other", "hub")):
        if draw(st.integers(0, 3)):
            flags = {name: draw(st.booleans()) for name in ("allowForwardedTraffic", "allowVirtualNetworkAccess")}
            flags["allowVirtualNetworkAccess"] |= draw(st.booleans())
            peerings = networks[near].setdefault("virtualNetworkPeerings", {})
            peerings[f"to-{far}"] = {"remoteVirtualNetwork": far, **flags}

    def forwarding():
        return {"enableIPForwarding": draw(st.booleans()), **optional(draw, sysctls={"net.ipv4.ip_forward": "1"})}

    return {
        "virtualNetworks": networks,
        "networkSecurityGroups": {"nn": draw(security_groups()), "mm": draw(security_groups())},
        "routeTables": {"tt": draw(tables)},
        "publicIPAddresses": {"pp": {"sku": draw(st.sampled_from(("Basic", "Standard"))), "ipAddress": "20.61.0.9"}},
        "virtualMachines": {
            "aa": {"subnet": "hub/x", "publicIPAddress": "pp"},
            "bb": {"subnet": "hub/y", **optional(draw, networkSecurityGroup="mm")},
            "nva": {"subnet": "hub/m", **forwarding()},
            "far": {"subnet": "spoke/z", **forwarding()},
            "out": {"networkInterfaces": "out-nic"},
        },
        "networkInterfaces": {"out-nic": {"subnet": "other/o"}},
        "internet": {"hosts": {"visitor": {"ipAddress": "198.51.100.7"}}},
    }


SOURCES = ("aa", "bb", "nva", "far", "out", "visitor")
questions = st.tuples(
    st.sampled_from(SOURCES),
    st.sampled_from((*SOURCES, "pp", "10.0.2.77", "10.9.0.1", "168.63.129.16", "8.8.8.8")),
    st.sampled_from((80, 443)),
    st.sampled_from(("Tcp", "Udp", "Icmp")),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(scenarios(), questions)
def test_what_is_advised_makes_the_flow_work_when_explain_says_so(data, question):
    network = network_of(data)
    asked = flow(network, *question)
    explanation = explain(network, asked)
    before = Engine(network).judge(asked)
    assert explanation.works == works(before) == (not explanation.obstacles)
    assert "\n".join(lines(explanation))
    assert as_data(explanation)["works"] == works(before)
    for obstacle in explanation.obstacles:
        assert obstacle.what
        for first in obstacle.remedies[:1]:
            assert first.edits or first.to
    followed = [obstacle.remedies[0] for obstacle in explanation.obstacles if obstacle.remedies]
    assert explanation.works_then == works(verdict_after(data, explanation, followed))
    # Every other remedy of the last obstacle would do as well.
    if explanation.works_then and explanation.obstacles:
        for remedy in explanation.obstacles[-1].remedies:
            assert works(verdict_after(data, explanation, [*followed[:-1], remedy])), remedy


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(scenarios(), questions)
def test_a_rule_that_is_advised_has_a_free_priority_before_the_rule_that_denies(data, question):
    network = network_of(data)
    explanation = explain(network, flow(network, *question))
    if not explanation.obstacles or explanation.obstacles[0].rule is None:
        return
    obstacle = explanation.obstacles[0]
    group = network.scenario.networkSecurityGroups[obstacle.networkSecurityGroup]
    taken = {r.priority: name for name, r in group.securityRules.items() if r.direction == obstacle.direction}
    denier = group.securityRules.get(obstacle.rule)
    assert obstacle.remedies, "there is room in every NSG"
    for remedy in obstacle.remedies:
        moved = {edit.path[3]: edit.value for edit in remedy.edits if edit.path[-1] == "priority"}
        new = [edit.value for edit in remedy.edits if edit.path[2:3] == ("securityRules",) and len(edit.path) == 4]
        for rule in new:
            assert 100 <= rule["priority"] <= 4096
            assert rule["priority"] not in taken or taken[rule["priority"]] in moved
            assert denier is None or rule["priority"] < moved.get(obstacle.rule, denier.priority)
