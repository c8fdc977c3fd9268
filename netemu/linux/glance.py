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
    LOOPBACK,
    RTM_GETADDR,
    RTM_GETLINK,
    RTM_GETNEIGH,
    RTM_GETROUTE,
    LinkReader,
    address,
    is_up,
    neighbour,
    route,
)
from netemu.linux.rtnetlink import NDA_DST, OURS, Rtnetlink, link_request
from netemu.linux.state import End, Namespace, Neighbour, Veth

RTM_GETNETCONF = 82
NETCONFA_IFINDEX, NETCONFA_IFINDEX_ALL = 1, -1
_NETCONF = {"ipv4/ip_forward": 2, "ipv4/conf/all/rp_filter": 3}
"""The settings that netlink tells, and their attributes (linux/netconf.h): a file below /proc/sys/net takes 50 µs."""

FEW = 8
"""Links, or neighbours, that are asked for one by one."""

_ndmsg = struct.Struct("=BxxxiHBBHH").pack
_be32 = struct.Struct("!I").pack
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
    requests = [(RTM_GETLINK, link_request(LOOPBACK)), *((RTM_GETLINK, link_request(end.index)) for end, _ in ends)]
    requests += [(RTM_GETNEIGH, _neighbour_request(wanted)) for wanted in namespace.neighbours]
    requests.append((RTM_GETNETCONF, _SETTINGS))
    answers = iter(netlink.get(requests))
    loopback = next(answers)
    return (
        loopback is not None
        and is_up(*loopback)
        and all(_is_end(next(answers), links, end, veth) for end, veth in ends)
        and all(_is_neighbour(next(answers), wanted) for wanted in namespace.neighbours)
        and _has_settings(next(answers), lasting(namespace), read_sysctl)
        and {item for item, ours in (address(*m) for m in netlink.dump(RTM_GETADDR, _ADDRESSES)) if ours}
        == set(namespace.addresses)
        and {route(*message) for message in netlink.dump(RTM_GETROUTE, _OUR_ROUTES)} == set(namespace.routes)
    )


Answer = tuple[bytes, int, int] | None


def _is_end(answer: Answer, links: LinkReader, end: End, veth: Veth) -> bool:
    if answer is None:
        return False
    there = links.read(*answer)
    return there.ours and there.up and is_end(there, end, veth) and (end is veth.near or is_raised(there, end))


def _neighbour_request(wanted: Neighbour) -> bytes:
    return _ndmsg(socket.AF_INET, wanted.index, 0, 0, 0, 8, NDA_DST) + _be32(wanted.address)


def _is_neighbour(answer: Answer, wanted: Neighbour) -> bool:
    return answer is not None and neighbour(*answer) == (wanted, True)


def _has_settings(answer: Answer, wanted: Mapping[str, str], read_sysctl: Callable[[str], str]) -> bool:
    told: dict[int, int] = {}
    if answer is not None:
        buffer, start, end = answer
        told = {kind: value for _, kind, value in struct.iter_unpack("=HHi", buffer[start + 4 : end])}
    for name, value in wanted.items():
        number = told.get(_NETCONF.get(name, 0))
        if (read_sysctl(name).split() if number is None else [str(number)]) != value.split():
            return False
    return True
