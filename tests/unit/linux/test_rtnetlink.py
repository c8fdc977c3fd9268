"""The bytes of our rtnetlink messages mean, to an encoder that is not ours, what they should."""

from __future__ import annotations

import struct
from typing import Any

import pytest
from pyroute2.netlink.rtnl.fibmsg import fibmsg
from pyroute2.netlink.rtnl.ifaddrmsg import ifaddrmsg
from pyroute2.netlink.rtnl.ifinfmsg import ifinfmsg
from pyroute2.netlink.rtnl.ndmsg import ndmsg
from pyroute2.netlink.rtnl.rtmsg import rtmsg

from netemu.linux import rtnetlink
from netemu.linux.describe import describe
from netemu.linux.rtnetlink import Message
from netemu.linux.state import Address, End, Neighbour, Route, Rule, Veth

MAC = bytes.fromhex("000d3aa014ce")


def decoded(message: Message, kind: type) -> Any:
    """A message as pyroute2 reads it."""
    body = struct.pack("=IHHII", 16 + len(message.body), message.kind, message.flags, 1, 0) + message.body
    result = kind(body)
    result.decode()
    return result


def test_a_route_by_a_gateway_in_a_table_beyond_255() -> None:
    item = Route(7, 0x0A010000, 16, 1003, gateway=0x0A000304, onlink=True)
    route = decoded(rtnetlink.route(item), rtmsg)
    assert (route["dst_len"], route["flags"], route["scope"], route["type"]) == (16, 4, 0, 1)
    assert route.get_attr("RTA_DST") == "10.1.0.0"
    assert route.get_attr("RTA_GATEWAY") == "10.0.3.4"
    assert route.get_attr("RTA_OIF") == 7
    assert route.get_attr("RTA_TABLE") == 1003


def test_a_default_route_out_of_a_device_has_link_scope_and_no_destination() -> None:
    route = decoded(rtnetlink.route(Route(2, 0, 0)), rtmsg)
    assert (route["dst_len"], route["table"], route["scope"]) == (0, 254, 253)
    assert route.get_attr("RTA_DST") is None
    assert route.get_attr("RTA_GATEWAY") is None


def test_an_address_is_local_and_its_own_peer() -> None:
    address = decoded(rtnetlink.address(Address(2, 0x0A000104, 24)), ifaddrmsg)
    assert (address["index"], address["prefixlen"], address["family"]) == (2, 24, 2)
    assert address.get_attr("IFA_LOCAL") == address.get_attr("IFA_ADDRESS") == "10.0.1.4"


def test_a_neighbour_is_permanent() -> None:
    neighbour = decoded(rtnetlink.neighbour(Neighbour(5, 0x0A000104, MAC)), ndmsg)
    assert (neighbour["ifindex"], neighbour["state"]) == (5, 0x80)
    assert neighbour.get_attr("NDA_DST") == "10.0.1.4"
    assert neighbour.get_attr("NDA_LLADDR") == "00:0d:3a:a0:14:ce"


def test_a_rule_selects_a_table_by_mark_and_mask() -> None:
    rule = decoded(rtnetlink.rule(Rule(103, 3, 0x1FFF, 1003)), fibmsg)
    assert rule["action"] == 1
    assert rule.get_attr("FRA_PRIORITY") == 103
    assert rule.get_attr("FRA_FWMARK") == 3
    assert rule.get_attr("FRA_FWMASK") == 0x1FFF
    assert rule.get_attr("FRA_TABLE") == 1003


def test_a_pair_has_one_queue_at_each_end_and_only_the_near_end_is_up() -> None:
    pair = Veth(End("vm", "eth0", 2, MAC), End("@fabric", "vm-nic", 9, bytes.fromhex("123456789abc")))
    link = decoded(rtnetlink.veth(pair, 42), ifinfmsg)
    assert (link["index"], link["flags"] & 1) == (2, 1)
    assert link.get_attr("IFLA_IFNAME") == "eth0"
    assert link.get_attr("IFLA_NUM_TX_QUEUES") == link.get_attr("IFLA_NUM_RX_QUEUES") == 1
    info = link.get_attr("IFLA_LINKINFO")
    assert info.get_attr("IFLA_INFO_KIND") == "veth"
    peer = info.get_attr("IFLA_INFO_DATA").get_attr("VETH_INFO_PEER")
    assert (peer["index"], peer["flags"] & 1) == (9, 0)
    assert peer.get_attr("IFLA_IFNAME") == "vm-nic"
    assert peer.get_attr("IFLA_ADDRESS") == "12:34:56:78:9a:bc"
    assert peer.get_attr("IFLA_NET_NS_FD") == 42
    assert peer.get_attr("IFLA_NUM_TX_QUEUES") == peer.get_attr("IFLA_NUM_RX_QUEUES") == 1


def test_a_router_link_without_arp_is_raised_so() -> None:
    (message,) = rtnetlink.raise_link(End("@edge", "e-net", 3, MAC, noarp=True))
    link = decoded(message, ifinfmsg)
    assert link["flags"] == link["change"] == 0x81


@pytest.mark.parametrize(
    ("about", "text"),
    [
        (Address(2, 0x0A000104, 24), "address 10.0.1.4/24"),
        (Route(2, 0x0A000000, 8, 1001), "route 10.0.0.0/8 in table 1001"),
        (Neighbour(2, 0x0A000104, MAC), "neighbour 10.0.1.4"),
        (Rule(1, 1, 1, 1001), "rule fwmark 0x1/0x1 lookup 1001"),
        ("lo", "lo"),
    ],
)
def test_a_refused_object_is_named_for_a_person(about: object, text: str) -> None:
    assert describe(about) == text
