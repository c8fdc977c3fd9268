"""The namespaces of a lab, opened for reading."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from netemu.azure.network import Network, Nic
from netemu.linux import ruleset_view
from netemu.linux.namespaces import entered, read_sysctl
from netemu.linux.observe import RTM_GETLINK, Link, LinkReader
from netemu.linux.route_lookup import RouteLookup
from netemu.linux.rtnetlink import Rtnetlink, link_request
from netemu.linux.ruleset_view import RulesetView

FABRIC, EDGE, INTERNET = "@fabric", "@edge", "@internet"
PLATFORM = "@slb."
"""Namespaces of 168.63.129.16 begin so."""

End = tuple[str, str]
"""A node and an interface in it."""


class Plane:
    """What is there, read when it is asked for."""

    def __init__(self, network: Network, namespaces: Mapping[str, Path]) -> None:
        self.network = network
        self._namespaces = namespaces
        self._links: dict[str, dict[str, Link]] = {}
        self._lookups: dict[str, RouteLookup] = {}
        self._netlinks: dict[str, Rtnetlink] = {}
        self._views: dict[str, RulesetView] = {}
        self._behind: dict[str, dict[int, End]] = {}

    def __enter__(self) -> Plane:
        return self

    def __exit__(self, *exception: object) -> None:
        for lookup in self._lookups.values():
            lookup.close()
        for netlink in self._netlinks.values():
            netlink.__exit__()

    def has(self, node: str) -> bool:
        """Is its namespace there?"""
        return node in self._namespaces

    def links(self, node: str) -> dict[str, Link]:
        """The interfaces of a node by name; none of a node that is not there."""
        if node not in self._links:
            found: dict[str, Link] = {}
            if self.has(node):
                reader = LinkReader()
                with entered(self._namespaces[node]):
                    netlink = Rtnetlink()
                with netlink:
                    for message in netlink.dump(RTM_GETLINK, link_request(0)):
                        link = reader.read(*message)
                        found[link.name] = link
            self._links[node] = found
        return self._links[node]

    def lookup(self, node: str) -> RouteLookup:
        """The routes of a node."""
        if node not in self._lookups:
            self._lookups[node] = RouteLookup(self._namespaces[node])
        return self._lookups[node]

    def netlink(self, node: str) -> Rtnetlink:
        """A socket for asking a node about what it has, filtered by the kernel."""
        if node not in self._netlinks:
            with entered(self._namespaces[node]):
                self._netlinks[node] = Rtnetlink(strict=True)
        return self._netlinks[node]

    def view(self, node: str) -> RulesetView:
        """The rulesets of a node."""
        if node not in self._views:
            self._views[node] = ruleset_view.read(self._namespaces[node])
        return self._views[node]

    def sysctl(self, node: str, name: str) -> str:
        """A setting below /proc/sys/net of a node."""
        with entered(self._namespaces[node]):
            return read_sysctl(name)

    # ---- which end belongs to which ----------------------------------------------------------------------------------

    def port(self, nic: Nic) -> Link | None:
        """The fabric's end of a NIC."""
        return self.far_end(nic.machine, f"eth{nic.index}", FABRIC)

    def far_end(self, node: str, interface: str, there: str) -> Link | None:
        """The other end of an interface, if it is in the namespace `there` and the two agree about it."""
        near = self.links(node).get(interface)
        if near is None:
            return None
        return next(
            (far for far in self.links(there).values() if far.index == near.peer and far.peer == near.index), None
        )

    def behind(self, node: str, interface: str) -> End | None:
        """What is at the other end of an interface of the fabric, the edge or the internet."""
        if node not in self._behind:
            self._behind[node] = self._find_ends(node)
        link = self.links(node).get(interface)
        return self._behind[node].get(link.index) if link is not None else None

    def _find_ends(self, there: str) -> dict[int, End]:
        if there == FABRIC:
            nodes = [*self.network.machines, EDGE, *(name for name in self._namespaces if name.startswith(PLATFORM))]
        elif there == INTERNET:
            nodes = [*self.network.hosts, EDGE]
        else:
            nodes = [FABRIC, INTERNET, *(name for name in self._namespaces if name.startswith(PLATFORM))]
        far = {link.index: link for link in self.links(there).values()}
        found: dict[int, End] = {}
        for node in nodes:
            for near in self.links(node).values():
                end = far.get(near.peer)
                if end is not None and end.peer == near.index and _may_be(there, end, node, near):
                    found[end.index] = node, near.name
        return found

    def nic_at(self, end: End) -> str | None:
        """The name of the NIC that an interface of a machine is."""
        machine = self.network.machines.get(end[0])
        if machine is None:
            return None
        return next((nic.name for nic in machine.nics if f"eth{nic.index}" == end[1]), None)


def _may_be(there: str, far: Link, node: str, near: Link) -> bool:
    """Indexes are a namespace's own, so two pairs may look alike: between the platform's parts, names tell them."""
    if node == EDGE or there == EDGE:
        uplink = {(EDGE, "internet"), (INTERNET, "edge")}
        if INTERNET in (there, node):
            return (there, far.name) in uplink and (node, near.name) in uplink
        return far.name == near.name
    return True
