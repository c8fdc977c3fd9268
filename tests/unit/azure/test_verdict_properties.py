"""What must hold for every network: properties of verdicts, over networks that hypothesis makes up."""

from __future__ import annotations

import pytest
from azure_networks import FORWARDING, HOSTS, Lab, nsg, peering, route, routes, rule, subnet, vnet
from hypothesis import given
from hypothesis import strategies as st

from netemu.azure.flow import ICMP, TCP, UDP, Flow, Packet, address_of
from netemu.azure.security import Classifier, consider
from netemu.azure.verdict import judge

ADDRESSES = (
    "*",
    "10.0.0.0/16",
    "10.0.1.0/24",
    "10.0.1.4",
    "10.1.0.0/16",
    "VirtualNetwork",
    "Internet",
    "198.51.100.0/24",
    "AzurePlatformDNS",
    "AzureLoadBalancer",
    "0.0.0.0/0",
)

some_rules = st.builds(
    rule,
    st.just(0),
    st.sampled_from(("Allow", "Deny")),
    st.sampled_from(("Inbound", "Outbound")),
    protocol=st.sampled_from(("Tcp", "Udp", "Icmp", "*")),
    source=st.sampled_from(ADDRESSES),
    destination=st.sampled_from(ADDRESSES),
    port=st.sampled_from(("*", "80", "0-443", "0-65535")),
)

some_nsgs = st.lists(some_rules, max_size=5).map(
    lambda rules: nsg(**{f"r{index}": {**each, "priority": 100 + index} for index, each in enumerate(rules)})
)

some_hops = st.sampled_from(
    (
        ("VirtualAppliance", "10.0.3.4"),
        ("VirtualAppliance", "10.1.0.4"),
        ("VirtualAppliance", "10.0.9.9"),
        ("VnetLocal", None),
        ("Internet", None),
        ("None", None),
    )
)
some_routes = st.dictionaries(
    st.sampled_from(("0.0.0.0/0", "10.0.0.0/16", "10.0.2.0/24", "10.1.0.0/16", "198.51.100.0/24")),
    some_hops,
    max_size=4,
).map(lambda chosen: routes(*(route(prefix, kind, hop) for prefix, (kind, hop) in chosen.items())))


@st.composite
def labs(draw, with_routes=True):
    """Two networks, maybe peered, with an appliance in one; NSGs, routes and flags as drawn."""

    def maybe_nsg():
        return draw(st.sampled_from((None, "n", "m")))

    flags = st.fixed_dictionaries({"allowForwardedTraffic": st.booleans()})
    near, far = (draw(st.none() | flags) for _ in "vw")
    table = draw(st.sampled_from((None, "t"))) if with_routes else None
    return Lab(
        virtualNetworks={
            "v": vnet(
                "10.0.0.0/16",
                x=subnet("10.0.1.0/24", nsg=maybe_nsg(), table=table),
                y=subnet("10.0.2.0/24", nsg=maybe_nsg()),
                m=subnet("10.0.3.0/24", nsg=maybe_nsg(), table=draw(st.sampled_from((None, table)))),
                peerings=None if near is None else peering("w", **near),
            ),
            "w": vnet(
                "10.1.0.0/16",
                z=subnet("10.1.0.0/24", nsg=maybe_nsg(), table=table),
                peerings=None if far is None else peering("v", **far),
            ),
        },
        networkSecurityGroups={"n": draw(some_nsgs), "m": draw(some_nsgs)},
        routeTables={"t": draw(some_routes)},
        publicIPAddresses={"p": {"sku": draw(st.sampled_from(("Basic", "Standard")))}},
        virtualMachines={
            "a": {"subnet": "v/x", "publicIPAddress": "p"},
            "b": {"subnet": "v/y", "networkSecurityGroup": maybe_nsg()},
            "nva": {"subnet": "v/m", "enableIPForwarding": draw(st.booleans()), "sysctls": FORWARDING},
            "far": {"subnet": "w/z", "enableIPForwarding": True, "sysctls": FORWARDING},
        },
        internet=HOSTS,
    )


PLACES = ("a", "b", "nva", "far", "visitor", "p", "10.0.2.77", "168.63.129.16", "8.8.8.8")
questions = st.tuples(
    st.sampled_from(PLACES[:5]),
    st.sampled_from(PLACES),
    st.sampled_from((22, 80, 443)),
    st.sampled_from(("Tcp", "Udp", "Icmp", "Gre")),
)


@pytest.mark.azure("PIPE-8", "NVA-1")
@given(labs(), questions)
def test_every_flow_has_an_end_and_says_where(lab, question):
    found = lab.ask(*question)
    if found.stage != "platform":
        assert (found.access == "Allow") == (found.stage in ("delivered", "local"))
    assert (found.access == "Allow") == (found.destination is not None) == (found.reply is not None)
    assert found.steps[-1].kind == "end"
    assert found.steps[-1].stage == found.stage
    assert all(step.text for step in found.steps)
    assert (found.stage in ("nsg-in", "nsg-out")) <= (found.rule is not None)
    assert not found.answered or found.reply.access == "Allow"
    assert lab.ask(*question) == found, "a verdict leaves nothing behind"


@pytest.mark.azure("NSG-21", "PIPE-6", "RT-18")
@given(labs(with_routes=False), questions)
def test_without_user_routes_what_arrives_is_answered(lab, question):
    found = lab.ask(*question)
    assert found.answered == (found.access == "Allow")


@pytest.mark.azure("NSG-4")
@given(labs(), questions)
def test_rules_after_the_one_that_catches_everything_change_nothing(lab, question):
    before = lab.ask(*question)
    for name in ("n", "m"):
        group = lab.network.scenario.networkSecurityGroups[name].securityRules
        for direction in ("Inbound", "Outbound"):
            for access in ("Allow", "Deny"):
                # 65501 cannot be written in a scenario; here it stands for "after all others".
                written = Lab(networkSecurityGroups={"n": nsg(r=rule(65501, access, direction))}).network.scenario
                group[f"late-{direction}-{access}"] = written.networkSecurityGroups["n"].securityRules["r"]
    source, to, port, protocol = question
    after = judge(lab.network, Flow(source, address_of(lab.network, to), protocol, port))
    assert (after.access, after.stage, after.rule, after.via) == (before.access, before.stage, before.rule, before.via)


@pytest.mark.azure("NSG-4", "NSG-10", "NSG-12")
@given(
    some_nsgs,
    st.sampled_from(("Inbound", "Outbound")),
    st.builds(
        lambda source, destination, protocol, ports: Packet(
            source, destination, protocol, *(ports if protocol in (TCP, UDP) else (0, 0))
        ),
        st.sampled_from((0x0A000104, 0x0A010004, 0xC6336407, 0xA83F8110)),
        st.sampled_from((0x0A000104, 0x0A010004, 0xC6336407, 0xA83F8110)),
        st.sampled_from((TCP, UDP, ICMP, 50)),
        st.tuples(st.sampled_from((1, 53, 50000)), st.sampled_from((53, 80, 443, 444))),
    ),
)
def test_bit_masks_find_what_reading_the_rules_in_order_finds(group, direction, packet):
    lab = Lab(virtualNetworks={"v": vnet("10.0.0.0/16", x=subnet("10.0.1.0/24"))}, networkSecurityGroups={"n": group})
    rules = lab.engine.effective_rules("n", lab.network.virtualNetworks["v"].subnets["x"], direction)
    assert Classifier(rules).decide(packet) is consider(rules, packet)[-1].rule


@pytest.mark.azure("NSG-2", "NSG-7")
@given(labs(), questions)
def test_a_denial_by_a_rule_names_a_rule_that_matches_the_packet(lab, question):
    found = lab.ask(*question)
    asked = [step for step in found.steps if step.rule is not None]
    assert all(step.rule.mismatch(step.packet) is None for step in asked)
    assert all(step.rule.access == "Allow" for step in asked[:-1])
