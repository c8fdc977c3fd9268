"""The classes that rules divide flows into: both sides of every boundary, and nothing twice."""

from __future__ import annotations

from azure_networks import network, rule, subnet, vnet
from hypothesis import given
from hypothesis import strategies as st

from netemu.azure.flow import ICMP, TCP, UDP, Packet
from netemu.azure.network import Network
from netemu.azure.survey import Classes, Classifying, survey
from netemu.azure.verdict import Engine


def between(rules: dict[str, object], protocol: int = TCP) -> tuple[Classes, Engine]:
    net: Network = network(
        virtualNetworks={"net": vnet("10.0.0.0/16", a=subnet("10.0.1.0/24"), b=subnet("10.0.2.0/24", nsg="nsg"))},
        networkSecurityGroups={"nsg": {"securityRules": rules}},
        virtualMachines={"one": {"subnet": "net/a"}, "two": {"subnet": "net/b"}},
    )
    engine = Engine(net)
    source, target = (int(net.nics[f"{name}-nic"].address) for name in ("one", "two"))
    ports = (50000, 1) if protocol in (TCP, UDP) else (0, 0)
    asked = survey(engine.placement, engine.placement.ports["one-nic"], Packet(source, target, protocol, *ports))
    return Classifying().classes(asked, protocol), engine


def ports_of(classes: Classes) -> list[int]:
    return sorted({each.destinationPort for each in classes.members})


def test_a_boundary_is_asked_on_both_sides() -> None:
    classes, _ = between({"web": rule(100, "Deny", protocol="Tcp", port="80-443")})
    assert ports_of(classes) == [79, 80, 443, 444]
    assert list(classes.allowed.intervals()) == [(0, 80), (444, 65536)]


def test_a_rule_that_never_decides_draws_no_boundary() -> None:
    classes, _ = between({"all": rule(100, "Allow"), "shadowed": rule(110, "Deny", protocol="Tcp", port="80")})
    assert len(classes.members) == 1


def test_without_boundaries_one_flow_is_asked() -> None:
    for protocol in (TCP, UDP, ICMP):
        classes, _ = between({"web": rule(100, "Deny", protocol="Esp")}, protocol)
        assert len(classes.members) == 1


def test_source_ports_are_a_dimension_of_their_own() -> None:
    classes, _ = between({"from": rule(100, "Deny", protocol="Udp", sourcePort="1000-2000")}, UDP)
    narrow = {each.sourcePorts[0] for each in classes.members if each.sourcePorts[1] == each.sourcePorts[0] + 1}
    assert narrow == {999, 1000, 2000, 2001}


RULES = st.lists(
    st.tuples(
        st.sampled_from(["Allow", "Deny"]), st.sampled_from(["Tcp", "Udp", "*"]), st.integers(0, 40), st.integers(0, 5)
    ),
    max_size=6,
)


@given(RULES, st.sampled_from([TCP, UDP]))
def test_every_port_decides_like_a_member_of_its_class(drawn: list[tuple[str, str, int, int]], protocol: int) -> None:
    """Between two neighbouring members that decide alike, all ports do: what is left out would say nothing new."""
    rules = {
        f"r{n}": rule(100 + n, access, protocol=proto, port=f"{first}-{first + width}")
        for n, (access, proto, first, width) in enumerate(drawn)
    }
    classes, engine = between(rules, protocol)
    classifier = engine.placement.ports["two-nic"].inbound[0].classifier
    source, target = (int(engine.network.nics[f"{name}-nic"].address) for name in ("one", "two"))
    decided = [classifier.decide(Packet(source, target, protocol, 50000, port)) for port in range(60)]
    boundaries = {port for port in range(1, 60) if decided[port] is not decided[port - 1]}
    asked = set(ports_of(classes))
    assert {side for port in boundaries for side in (port - 1, port)} <= asked
