"""Flows: names, protocols, expectations."""

from __future__ import annotations

from ipaddress import IPv4Address

import msgspec
import pytest
from azure_networks import HOSTS, Lab, network, vnet

from netemu.azure import resources as arm
from netemu.azure.flow import Flow, address_of, flow_of, packet_of, protocol_name, protocol_number
from netemu.azure.verdict import judge
from netemu.errors import PersonError


def small():
    return network(
        virtualNetworks={"v": vnet("10.0.0.0/16", s="10.0.1.0/24")},
        publicIPAddresses={"p": {"ipAddress": "20.61.0.9"}},
        virtualMachines={"a": {"subnet": "v/s", "publicIPAddress": "p"}, "b": {"subnet": "v/s"}},
        internet=HOSTS,
    )


@pytest.mark.parametrize(
    ("name", "address"),
    [("a", "10.0.1.4"), ("b-nic", "10.0.1.5"), ("visitor", "198.51.100.7"), ("p", "20.61.0.9"), ("9.9.9.9", "9.9.9.9")],
)
def test_names_of_destinations(name, address):
    assert address_of(small(), name) == IPv4Address(address)


def test_unknown_names_are_the_persons_mistake():
    with pytest.raises(PersonError, match="nobody is neither a virtual machine"):
        address_of(small(), "nobody")
    with pytest.raises(PersonError, match="nobody is neither a virtual machine"):
        judge(small(), Flow("nobody", IPv4Address("10.0.1.4")))
    with pytest.raises(PersonError, match="Sctp is not a protocol"):
        protocol_number("Sctp")
    with pytest.raises(PersonError, match="256 is not a protocol"):
        protocol_number("256")


def test_protocols_have_names_and_numbers():
    assert (protocol_number("Tcp"), protocol_number("132")) == (6, 132)
    assert (protocol_name(6), protocol_name(132)) == ("Tcp", "132")


def test_an_expectation_is_a_flow():
    written = msgspec.convert(
        {"from": "a/10.0.1.4", "to": "visitor", "access": "Allow", "protocol": "Udp", "port": 53}, arm.Expectation
    )
    flow = flow_of(small(), written)
    assert flow == Flow("a", IPv4Address("198.51.100.7"), "Udp", 53, sourceAddress=IPv4Address("10.0.1.4"))
    assert judge(small(), flow).access == "Allow"


def test_packets_can_be_read():
    ping = packet_of(Flow("a", IPv4Address("10.0.1.5"), "Icmp", 80), int(IPv4Address("10.0.1.4")))
    assert str(ping) == "Icmp 10.0.1.4 -> 10.0.1.5"
    call = packet_of(Flow("a", IPv4Address("10.0.1.5"), "Tcp", 80), int(IPv4Address("10.0.1.4")))
    assert str(call.reversed()) == "Tcp 10.0.1.5:80 -> 10.0.1.4:49152"


def test_the_engine_answers_as_the_function_does():
    lab = Lab(virtualNetworks={"v": vnet("10.0.0.0/16", s="10.0.1.0/24")}, virtualMachines={"a": {"subnet": "v/s"}})
    flow = Flow("a", IPv4Address("10.0.1.9"))
    assert lab.engine.judge(flow) == judge(lab.network, flow)
