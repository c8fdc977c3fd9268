"""What spreads flows over the backends of load balancers: IPVS where the kernel lends it to us, else nftables."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import Struct

from netemu.errors import SystemRefusal

if TYPE_CHECKING:  # which takes longer to import than telling that there is nothing to do
    from netemu.azure.resources import Scenario

AUTO, IPVS, NFTABLES = "auto", "ipvs", "nftables"


class Engine(Struct, frozen=True):
    """What was chosen for a lab, and why."""

    name: str
    why: str

    def __str__(self) -> str:
        return f"{self.name} ({self.why})"


def choose(scenario: Scenario, asked: str | None, kept: Engine | None) -> Engine:
    """Choose for a scenario: as the command line says, else as the scenario says.

    `auto` stays with what a running lab has. Raises SystemRefusal when IPVS is asked for and cannot be had.
    """
    from netemu.linux import ipvs

    wish, who = (asked, "asked for") if asked is not None else (scenario.loadBalancerEngine, "the scenario says so")
    if wish == NFTABLES:
        return Engine(NFTABLES, who)
    if wish == AUTO and kept is not None and kept.name == NFTABLES:
        return kept
    missing = ipvs.why_not() if scenario.loadBalancers else ""
    if wish == IPVS:
        if missing:
            raise SystemRefusal(f"load balancers cannot use ipvs: {missing}; choose auto or nftables")
        return Engine(IPVS, who)
    return Engine(NFTABLES, missing) if missing else Engine(IPVS, "the kernel has it")
