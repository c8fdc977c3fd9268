"""What Azure would refuse in a scenario: one module per kind of resource.

Each module has `check(context)`, which reports everything that is wrong with its resources and raises nothing.
"""

from __future__ import annotations

from netemu.azure.resources import Scenario
from netemu.scenario.report import Report
from netemu.scenario.validate import (
    dns,
    expectations,
    groups,
    interfaces,
    internet,
    limits,
    load_balancers,
    machines,
    names,
    networks,
    outbound,
    peerings,
    pools,
    public_ips,
    routes,
    security,
)
from netemu.scenario.validate.context import Context


def validate(scenario: Scenario, report: Report) -> None:
    """Report everything that is wrong with a scenario."""
    context = Context(scenario, report)
    for module in (
        names, limits, networks, peerings, security, groups, routes, public_ips, interfaces, machines, internet,
        load_balancers, pools, outbound, dns, expectations,
    ):  # fmt: skip
        module.check(context)
