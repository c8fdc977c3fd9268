"""Peerings that carry nothing (PEER-1, PEER-2, PEER-7)."""

from __future__ import annotations

from netemu.lint.findings import Subject


def check(subject: Subject) -> None:
    """Look at every side of every peering."""
    written = subject.scenario.virtualNetworks
    for owner in subject.network.virtualNetworks.values():
        for peering in owner.peerings:
            path = ("virtualNetworks", owner.name, "virtualNetworkPeerings", peering.name)
            mine = written[owner.name].virtualNetworkPeerings[peering.name]
            back = next(
                (
                    (name, side)
                    for name, side in written[peering.remote].virtualNetworkPeerings.items()
                    if side.remoteVirtualNetwork == owner.name
                ),
                None,
            )
            if back is None:
                subject.add(
                    path, "", "one-sided-peering",
                    f"carries nothing: `{peering.remote}` has no peering with `{owner.name}`, so this one stays"
                    f" {peering.peeringState} (PEER-2)",
                    f"add one to `{peering.remote}` with remoteVirtualNetwork: {owner.name}",
                )  # fmt: skip
            elif back[1].allowVirtualNetworkAccess and not mine.allowVirtualNetworkAccess:
                subject.add(
                    path, "allowVirtualNetworkAccess", "peering-without-access",
                    "carries nothing in either direction: this side has allowVirtualNetworkAccess false, but"
                    f" `{back[0]}` of `{peering.remote}` allows it (PEER-7)",
                    "allow it here, or deny it on both sides",
                )  # fmt: skip
