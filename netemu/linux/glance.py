"""Is a namespace just as described? The quickest look that can tell.

`observe` reads all that is there; a machine with a few objects of ours is asked for those alone, which takes a third of
the time. Whatever looks otherwise is for `observe` to explain.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Mapping

from netemu.linux.difference import is_end, is_raised, lasting
from netemu.linux.observe import (
    RTM_GETADDR,
    RTM_GETLINK,
    RTM_GETNEIGH,
    RTM_GETROUTE,
    LinkReader,
    address,
    neighbour,
    route,
)
from netemu.linux.rtnetlink import NDA_DST, OURS, Rtnetlink, link_request
from netemu.linux.state import End, Namespace, Veth

RTM_GETNETCONF = 82
NETCONFA_IFINDEX, NETCONFA_IFINDEX_ALL = 1, -1
_NETCONF = {"ipv4/ip_forward": 2, "ipv4/conf/all/rp_filter": 3}
"""The settings that netlink tells, and their attributes (linux/netconf.h): a file below /proc/sys/net takes 50 µs."""

FEW = 8
"""Links, or neighbours, that are asked for one by one."""

_ndmsg = struct.Struct("=BxxxiHBBHHI").pack
_ADDRESSES = struct.pack("=BBBBi", socket.AF_INET, 0, 0, 0, 0)
_OUR_ROUTES = struct.pack("=BBBBBBBBI", socket.AF_INET, 0, 0, 0, 0, OURS, 0, 0, 0)
_SETTINGS = struct.pack("=BxxxHHi", socket.AF_INET, 8, NETCONFA_IFINDEX, NETCONFA_IFINDEX_ALL)


def is_simple(namespace: Namespace, ends: list[tuple[End, Veth]]) -> bool:
    """Can a glance tell?"""
    few = len(ends) <= FEW and len(namespace.neighbours) <= FEW
    return few and not namespace.rules and not namespace.ruleset


def is_as_described(
    namespace: Namespace, ends: list[tuple[End, Veth]], netlink: Rtnetlink, links: LinkReader,
    read_sysctl: Callable[[str], str],
) -> bool:  # fmt: skip
    """Look at the simple namespace to which a strict socket belongs, and in which the calling thread is."""
    return (
        all(_has_end(netlink, links, end, veth) for end, veth in ends)
        and {item for item, ours in (address(*m) for m in netlink.dump(RTM_GETADDR, _ADDRESSES)) if ours}
        == set(namespace.addresses)
        and {route(*message) for message in netlink.dump(RTM_GETROUTE, _OUR_ROUTES)} == set(namespace.routes)
        and _knows_neighbours(netlink, namespace)
        and _has_settings(netlink, lasting(namespace), read_sysctl)
    )


def _has_end(netlink: Rtnetlink, links: LinkReader, end: End, veth: Veth) -> bool:
    message = netlink.get(RTM_GETLINK, link_request(end.index))
    if message is None:
        return False
    there = links.read(*message)
    return there.ours and there.up and is_end(there, end, veth) and (end is veth.near or is_raised(there, end))


def _knows_neighbours(netlink: Rtnetlink, namespace: Namespace) -> bool:
    for wanted in namespace.neighbours:
        target = struct.pack("!I", wanted.address)
        body = _ndmsg(socket.AF_INET, wanted.index, 0, 0, 0, 8, NDA_DST, 0)[:-4] + target
        message = netlink.get(RTM_GETNEIGH, body)
        if message is None or neighbour(*message) != (wanted, True):
            return False
    return True


def _has_settings(netlink: Rtnetlink, wanted: Mapping[str, str], read_sysctl: Callable[[str], str]) -> bool:
    told: dict[int, int] = {}
    if any(name in _NETCONF for name in wanted):
        message = netlink.get(RTM_GETNETCONF, _SETTINGS)
        if message is not None:
            buffer, start, end = message
            told = {kind: value for _, kind, value in struct.iter_unpack("=HHi", buffer[start + 4 : end])}
    for name, value in wanted.items():
        number = told.get(_NETCONF.get(name, 0))
        if (read_sysctl(name).split() if number is None else [str(number)]) != value.split():
            return False
    return True
