"""Regions of packets: what rules leave of each other, against counting packets one by one."""

from __future__ import annotations

from itertools import product

from hypothesis import given, settings
from hypothesis import strategies as st

from netemu.azure.coverage import (
    NO_PORT,
    WITH_PORTS,
    WITHOUT_PORTS,
    Region,
    meet,
    packet_in,
    packets_in,
    regions_of,
    uncovered,
)
from netemu.azure.flow import ICMP, TCP, UDP, Packet
from netemu.azure.prefixes import IntervalSet
from netemu.azure.security import EffectiveRule

VALUES = range(5)
few = st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=2).map(IntervalSet.of)
all_values = st.just(IntervalSet((0, 5)))
some = st.one_of(few, all_values)
protocols = st.sampled_from(("Tcp", "Udp", "Icmp", "*"))


def effective(protocol, sources, destinations, source_ports, destination_ports):
    return EffectiveRule(
        networkSecurityGroup="n",
        name="r",
        priority=100,
        direction="Inbound",
        access="Allow",
        protocol=protocol,
        sources=sources,
        destinations=destinations,
        sourcePorts=source_ports,
        destinationPorts=destination_ports,
        isDefault=False,
    )


every_port = st.just(IntervalSet((0, 1 << 16)))
effective_rules = st.builds(effective, protocols, some, some, st.one_of(few, every_port), st.one_of(few, every_port))
regions = st.builds(lambda rule: regions_of(rule), effective_rules)

PACKETS = [
    Packet(source, destination, protocol, *ports)
    for source, destination in product(VALUES, VALUES)
    for protocol in (ICMP, TCP, UDP, 47)
    for ports in ([(0, 0)] if protocol in (ICMP, 47) else product(VALUES, VALUES))
]


def members(found):
    return {packet for packet in PACKETS if any(packet in region for region in found)}


@given(effective_rules)
def test_the_regions_of_a_rule_are_the_packets_that_it_matches(rule):
    assert members(regions_of(rule)) == {packet for packet in PACKETS if rule.mismatch(packet) is None}


@given(regions, regions)
def test_what_two_rules_have_in_common_is_what_both_match(first, second):
    assert members(meet(first, second)) == members(first) & members(second)


@settings(max_examples=300)
@given(regions, st.lists(regions, max_size=7))
def test_what_is_uncovered_is_in_none_of_the_covers_and_nothing_is_when_they_cover_all(region, covers):
    flat = [each for cover in covers for each in cover]
    left = uncovered(region, flat)
    if left is None:
        assert members(region) <= members(flat)
        return
    for packet in (packet_in(left), *packets_in(left)):
        assert any(packet in part for part in region)
        assert not any(packet in cover for cover in flat)


def test_a_thousand_covers_that_each_take_a_port_are_no_matter_of_recursion():
    whole = IntervalSet((0, 10)), IntervalSet((0, 10)), IntervalSet((0, 1 << 16))
    one = Region(WITH_PORTS, *whole, IntervalSet((0, 3000)))
    covers = [Region(WITH_PORTS, *whole, IntervalSet((port, port + 1))) for port in range(3000)]
    assert uncovered([one], covers) is None
    left = uncovered([one], [*covers[:1500], *covers[1501:]])
    assert left is not None
    assert left.destinationPorts == IntervalSet((1500, 1501))


def test_a_packet_of_a_region_has_usual_values_where_it_can():
    addresses = IntervalSet((0, 1 << 32))
    region = Region(WITHOUT_PORTS, addresses, addresses, NO_PORT, NO_PORT)
    assert packet_in(region, (7,)) == Packet(7, 7, ICMP)
