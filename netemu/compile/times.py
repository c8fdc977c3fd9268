"""Azure's times as the lab has them: `timeScale` shortens its minutes, so that a test need not wait for them."""

from __future__ import annotations

from netemu.azure.network import Network


def seconds(network: Network, minutes: float) -> int:
    """Whole seconds, as conntrack and IPVS count; one at least."""
    return max(1, round(minutes * 60 * network.scenario.timeScale))


def timeout(network: Network, minutes: float) -> str:
    """The same for a set of nftables, which counts in milliseconds: `4m`, `2s400ms`."""
    left = max(1, round(minutes * 60_000 * network.scenario.timeScale))
    text = ""
    for size, unit in ((86_400_000, "d"), (3_600_000, "h"), (60_000, "m"), (1000, "s"), (1, "ms")):
        if left >= size:
            text += f"{left // size}{unit}"
            left %= size
    return text
