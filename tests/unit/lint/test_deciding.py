"""Exactness: a rule called shadowed never decides a packet, one that is not has a witness; redundant rules change nothing.

The oracle tries every packet of a grid that has a value of every property next to each place where any rule begins or
ends to match: what holds on it holds for all packets. It asks the rules one after the other, in words.
"""

from __future__ import annotations

from ipaddress import IPv4Address
from itertools import product

from azure_networks import FORWARDING, HOSTS, network, nsg, peering, rule, subnet, vnet
from hypothesis import given, settings
from hypothesis import strategies as st

from netemu.azure.coverage import regions_of
from netemu.azure.flow import ICMP, TCP, UDP, Flow, Packet
from netemu.azure.security import consider, effective_rules
from netemu.azure.verdict import Engine
from netemu.lint.deciding import gates, uses

ADDRESSES = (
    "*", "10.0.0.0/16", "10.0.1.0/24", "10.0.1.0/25", "10.0.1.128/25", "10.0.1.4", "10.1.0.0/16", "VirtualNetwork",
    "Internet", "AzureLoadBalancer", "AzurePlatformDNS", "0.0.0.0/1", "128.0.0.0/1", "168.63.129.16",
    ["10.0.0.0/24", "AzurePlatformDNS"],
)  # fmt: skip
PORTS = ("*", "80", "0-443", "444-65535", "81-65535", "0-65535", ["0-79", "81-65535"])

some_rules = st.builds(
    rule,
    st.just(0),
    st.sampled_from(("Allow", "Deny")),
    st.sampled_from(("Inbound", "Outbound")),
    protocol=st.sampled_from(("Tcp", "Udp", "Icmp", "*", "*")),
    source=st.sampled_from(ADDRESSES),
    destination=st.sampled_from(ADDRESSES),
    port=st.sampled_from(PORTS),
    sourcePort=st.sampled_from(("*", "*", "*", "1024-65535", "0-1023")),
)


def without_ports(each):
    """Icmp has none; rules that name some for it are refused."""
    return {**each, "sourcePortRange": "*", "destinationPortRange": "*"} if each["protocol"] == "Icmp" else each


some_nsgs = st.lists(some_rules.map(without_ports), min_size=1, max_size=5).map(
    lambda rules: {f"r{index}": {**each, "priority": 100 + index} for index, each in enumerate(rules)}
)


@st.composite
def networks(draw):
    """An NSG on a subnet or a NIC, of a machine that may forward."""
    rules = draw(some_nsgs)
    on_nic, forwards = draw(st.booleans()), draw(st.booleans())
    return rules, lambda rules: network(
        virtualNetworks={
            "v": vnet(
                "10.0.0.0/16",
                x=subnet("10.0.1.0/24", nsg=None if on_nic else "n"),
                peerings=peering("w"),
            ),
            "w": vnet("10.1.0.0/16", peerings=peering("v")),
        },
        networkSecurityGroups={"n": nsg(**rules)},
        virtualMachines={
            "a": {
                "subnet": "v/x",
                "networkSecurityGroup": "n" if on_nic else None,
                "enableIPForwarding": forwards,
                "sysctls": FORWARDING if forwards else {},
                "publicIPAddress": "p",
            },
            "b": {"subnet": "v/x"},
        },
        publicIPAddresses={"p": {"ipAddress": "20.61.0.9"}},
        internet=HOSTS,
    )


def grid(gate):
    """Every kind of packet that the rules of a gate can tell apart, as far as the gate is asked about it."""
    parts = [region for regions in gate.regions for region in regions] + list(gate.asked)

    def values(name):
        """One value of each kind: those that are in the same sets are alike."""
        sets = [getattr(region, name) for region in parts]
        kinds = {tuple(bound in each for each in sets): bound for every in sets for bound in (0, *every.bounds)}
        return sorted(kinds.values())

    for source, destination in product(values("sources"), values("destinations")):
        for protocol in (ICMP, TCP, UDP, 47):
            ports = [(0, 0)]
            if protocol in (TCP, UDP):
                ports = list(product(values("sourcePorts"), values("destinationPorts")))
            for source_port, destination_port in ports:
                packet = Packet(source, destination, protocol, source_port, destination_port)
                if any(packet in region for region in gate.asked):
                    yield packet


def every_gate(net):
    for group, where in uses(net).items():
        for direction in ("Inbound", "Outbound"):
            for gate in gates(net, group, where, direction):
                rules = effective_rules(net, group, gate.context, direction)
                if gate.platform:
                    rules = tuple(each for each in rules if each.platformTag is not None)
                yield (group, direction, gate.platform), gate, rules


def decided(rules, packet, *, platform):
    """Name and access of the rule that decides."""
    considered = consider(rules, packet)
    if not considered or considered[-1].mismatch is not None:
        assert platform
        return None, "Allow"
    return considered[-1].rule.name, considered[-1].rule.access


@settings(max_examples=60, deadline=None)
@given(networks())
def test_a_rule_has_a_witness_that_it_decides_or_decides_no_packet_at_all(drawn):
    rules, make = drawn
    for _, gate, effective in every_gate(make(rules)):
        deciders = {decided(effective, packet, platform=gate.platform)[0] for packet in grid(gate)}
        for place, each in enumerate(gate.rules):
            witness = gate.witness(place)
            assert (witness is not None) == (each.name in deciders), each
            if witness is not None:
                assert any(witness in region for region in gate.asked)
                assert decided(effective, witness, platform=gate.platform)[0] == each.name


@settings(max_examples=60, deadline=None)
@given(networks())
def test_a_rule_that_is_not_needed_can_go_and_nothing_changes(drawn):
    rules, make = drawn
    before = {key: (gate, effective) for key, gate, effective in every_gate(make(rules))}
    for name in rules:
        after = {key: each for key, _, each in every_gate(make({n: r for n, r in rules.items() if n != name}))}
        for key, (gate, effective) in before.items():
            place = next((i for i, each in enumerate(gate.rules) if each.name == name), None)
            if place is None:
                continue
            changed = [
                packet
                for packet in grid(gate)
                if decided(effective, packet, platform=gate.platform)[1]
                != decided(after.get(key, ()), packet, platform=gate.platform)[1]
            ]
            needed = gate.needed(place)
            assert (needed is not None) == bool(changed), (name, key)
            if needed is not None:
                assert (
                    decided(effective, needed, platform=gate.platform)[1]
                    != decided(after.get(key, ()), needed, platform=gate.platform)[1]
                )


@settings(max_examples=60, deadline=None)
@given(networks())
def test_the_rules_that_shadow_one_take_all_of_it_and_none_of_them_can_be_left_out(drawn):
    rules, make = drawn
    for _, gate, _ in every_gate(make(rules)):
        packets = list(grid(gate))
        for place, each in enumerate(gate.rules):
            own = gate.own(place)
            if not own or gate.witness(place) is not None:
                continue
            covering = [other.name for other in gate.covering(place)]
            matched = [packet for packet in packets if any(packet in region for region in own)]

            def all_taken(names, matched=matched, gate=gate):
                taken = [r for name in names for meaning in gate.meanings[name] for r in regions_of(meaning)]
                return all(any(packet in region for region in taken) for packet in matched)

            assert all_taken(covering), each
            assert all(not all_taken([name for name in covering if name != left]) for left in covering), each


@settings(max_examples=60, deadline=None)
@given(networks(), st.sampled_from(("Tcp", "Udp", "Icmp")), st.sampled_from(("a", "b", "visitor")), st.data())
def test_gates_are_asked_about_all_that_the_way_of_a_packet_asks_them(drawn, protocol, source, data):
    rules, make = drawn
    net = make(rules)
    engine = Engine(net)
    to = data.draw(st.sampled_from(("10.0.1.4", "10.0.1.5", "10.1.0.9", "20.61.0.9", "198.51.100.7", "168.63.129.16")))
    sender = data.draw(st.sampled_from((None, "10.0.1.5", "10.9.9.9")))
    flow = Flow(source, IPv4Address(to), protocol, 80, sourceAddress=IPv4Address(sender) if sender else None)
    verdict = engine.judge(flow)
    steps = [*verdict.steps, *(verdict.reply.steps if verdict.reply is not None else ())]
    for step in steps:
        if step.rule is None:
            continue
        found = [gate for (_, direction, _), gate, _ in every_gate(net) if direction == step.direction]
        assert any(step.packet in region for gate in found for region in gate.asked), step
        (decider,) = {
            decided(effective, step.packet, platform=gate.platform)[0]
            for (_, direction, _), gate, effective in every_gate(net)
            if direction == step.direction and any(step.packet in region for region in gate.asked)
        }
        assert decider == step.rule.name


def places(where, *rules, direction="Inbound", **nic):
    """The gate of an NSG with these rules on a subnet or a NIC."""
    on_nic = where == "nic"
    net = network(
        virtualNetworks={"v": vnet("10.0.0.0/16", x=subnet("10.0.1.0/24", nsg=None if on_nic else "n"))},
        networkSecurityGroups={"n": nsg(**{f"r{index}": each for index, each in enumerate(rules)})},
        virtualMachines={"a": {"subnet": "v/x", "networkSecurityGroup": "n" if on_nic else None, **nic}},
    )
    return [gate for _, gate, _ in every_gate(net) if gate.rules[-1].direction == direction]


def test_two_halves_shadow_a_whole_and_a_rule_beside_them_is_not_named():
    (gate,) = places(
        "subnet",
        rule(100, "Deny", port="0-99"), rule(110, "Deny", port="90-200"), rule(120, "Deny", port="100-65535"),
        rule(130, "Allow", protocol="Tcp", port="80-443"),
    )  # fmt: skip
    assert gate.witness(3) is None
    assert [each.name for each in gate.covering(3)] == ["r0", "r2"]


def test_an_nsg_of_a_subnet_is_asked_about_every_address_of_it_and_no_other():
    elsewhere, gone = rule(100, "Deny", destination="10.0.2.0/24"), rule(110, "Deny", destination="10.0.1.99")
    (gate,) = places("subnet", elsewhere, gone)
    assert gate.witness(0) is None
    assert gate.witness(1) is not None


def test_an_nsg_of_a_nic_is_asked_about_the_addresses_of_the_nic():
    own, gone = rule(100, "Deny", destination="10.0.1.4"), rule(110, "Deny", destination="10.0.1.99")
    (gate,) = places("nic", own, gone)
    assert gate.witness(0) is not None
    assert gate.witness(1) is None


def test_where_a_nic_forwards_its_nsg_is_asked_about_everything():
    for where in ("nic", "subnet"):
        (gate,) = places(where, rule(100, "Deny", destination="10.0.2.0/24"), enableIPForwarding=True)
        assert gate.witness(0) is not None


def test_a_denial_of_a_platform_tag_is_needed_and_one_of_its_address_decides_nothing():
    ordinary, platform = places(
        "subnet",
        rule(100, "Deny", "Outbound", destination="168.63.129.16"),
        rule(110, "Deny", "Outbound", destination="AzurePlatformDNS", sourcePort=["7", "9"]),
        rule(120, "Deny", "Outbound", destination="AzurePlatformDNS", port="50-60", sourcePort="7-9"),
        direction="Outbound",
    )
    assert [ordinary.witness(place) for place in range(3)] == [None, None, None]
    assert platform.platform
    assert [each.name for each in platform.rules] == ["r1", "r2"]
    assert platform.needed(0) is None  # r2 denies the same
    assert platform.needed(1).sourcePort == 8
