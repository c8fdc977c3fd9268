"""Peerings of virtual networks (PEER-1, PEER-9, PEER-10, PEER-12). One side alone is allowed: it is `Initiated`."""

from __future__ import annotations

from ipaddress import IPv4Network

from msgspec import Struct

from netemu.azure import resources as arm
from netemu.scenario import codes
from netemu.scenario.tree import Path
from netemu.scenario.validate.context import Context
from netemu.scenario.validate.limits import PREFIXES_OF_PEERS, limit


class _Side(Struct, frozen=True):
    """One side of a peering."""

    owner: str
    name: str
    remote: str
    order: int

    @property
    def path(self) -> Path:
        return ("virtualNetworks", self.owner, "virtualNetworkPeerings", self.name)


def check(context: Context) -> None:
    """Check every peering."""
    sides: dict[frozenset[str], _Side] = {}
    for owner, network in context.scenario.virtualNetworks.items():
        remotes: dict[str, str] = {}
        for name, peering in network.virtualNetworkPeerings.items():
            side = _Side(owner, name, peering.remoteVirtualNetwork, len(sides))
            _gateways(context, side, peering)
            if not _remote(context, side):
                continue
            first = remotes.setdefault(side.remote, name)
            if first != name:
                context.add(
                    side.path, "remoteVirtualNetwork", f"{first} is a peering with {side.remote} already",
                    "one peering for each pair of networks", codes.ANOTHER_PEERING,
                )  # fmt: skip
                continue
            pair = frozenset((owner, side.remote))
            if pair not in sides:
                sides[pair] = side
                _overlap(context, side)
    _between_spokes(context, list(sides.values()))


def _gateways(context: Context, side: _Side, peering: arm.VirtualNetworkPeering) -> None:
    for name, wanted in (
        ("allowGatewayTransit", peering.allowGatewayTransit),
        ("useRemoteGateways", peering.useRemoteGateways),
    ):
        if wanted:
            context.add(
                side.path, name, f"{name} needs a virtual network gateway, which netemu does not have yet",
                "remove it or write false", codes.NO_GATEWAY,
            )  # fmt: skip


def _remote(context: Context, side: _Side) -> bool:
    if side.remote == side.owner:
        context.add(
            side.path, "remoteVirtualNetwork", "a network cannot be peered with itself", "another network",
            codes.PEERED_WITH_ITSELF,
        )  # fmt: skip
        return False
    return context.reference(
        side.path, "remoteVirtualNetwork", side.remote, "virtualNetwork", context.scenario.virtualNetworks,
        "virtualNetworks",
    )  # fmt: skip


def _overlap(context: Context, side: _Side) -> None:
    near, far = context.spaces[side.owner], context.spaces[side.remote]
    if len(near.prefixes) <= len(far.prefixes):
        common = [f"{a} and {b}" for a in near.prefixes for b in far.overlapping(a)]
    else:
        common = [f"{a} and {b}" for b in far.prefixes for a in near.overlapping(b)]
    if common:
        context.add(
            side.path, "remoteVirtualNetwork",
            f"{side.owner} and {side.remote} cannot be peered because their address spaces overlap: "
            + ", ".join(common[:6]),
            "address spaces that do not overlap", codes.ADDRESS_SPACES_OVERLAP,
        )  # fmt: skip


def _between_spokes(context: Context, sides: list[_Side]) -> None:
    """Two networks that are both peered with a third must not overlap either (PEER-9)."""
    around: dict[str, list[tuple[_Side, str]]] = {}
    for side in sides:
        for hub, spoke in ((side.owner, side.remote), (side.remote, side.owner)):
            around.setdefault(hub, []).append((side, spoke))
    told: set[tuple[str, frozenset[str]]] = set()
    for hub, spokes in around.items():
        count = sum(len(context.spaces[spoke].prefixes) for _, spoke in spokes)
        path = ("virtualNetworks", hub)
        limit(context, path, "virtualNetworkPeerings", count, PREFIXES_OF_PEERS, "prefixes of peered networks")
        if len(spokes) < 2 or count > PREFIXES_OF_PEERS:
            continue
        ranges = [
            (int(prefix[0]), int(prefix[-1]), side, spoke, prefix)
            for side, spoke in spokes
            for prefix in context.spaces[spoke].prefixes
        ]
        ranges.sort(key=lambda item: item[:2])
        open_ones: list[tuple[int, int, _Side, str, IPv4Network]] = []
        for current in ranges:
            open_ones = [earlier for earlier in open_ones if earlier[1] >= current[0]]
            for earlier in open_ones:
                early, late = sorted((earlier, current), key=lambda item: item[2].order)
                pair = (hub, frozenset((late[3], early[3])))
                if late[3] == early[3] or pair in told:
                    continue
                told.add(pair)
                context.add(
                    late[2].path, "remoteVirtualNetwork",
                    f"{late[3]} ({late[4]}) overlaps {early[3]} ({early[4]}), which is peered with {hub} already",
                    "address spaces that do not overlap", codes.OVERLAP_WITH_PEERED,
                )  # fmt: skip
            open_ones.append(current)
