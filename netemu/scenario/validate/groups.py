"""Application security groups: the NICs of one, and the groups of one rule, are in one virtual network (NSG-29)."""

from __future__ import annotations

from netemu.azure import resources as arm
from netemu.scenario import codes
from netemu.scenario.tree import Path
from netemu.scenario.validate.context import Context
from netemu.scenario.validate.limits import APPLICATION_GROUPS_PER_CONFIG, limit


def check(context: Context) -> None:
    """Check who belongs to which group, then where the groups are used together."""
    home: dict[str, tuple[str, str]] = {}
    for nic, name, config, path in context.configs():
        _members(context, home, path, f"{nic}/{name}", config)
    for group, nsg in context.scenario.networkSecurityGroups.items():
        for name, rule in nsg.securityRules.items():
            _rule(context, home, ("networkSecurityGroups", group, "securityRules", name), rule)


def _members(
    context: Context, home: dict[str, tuple[str, str]], path: Path, member: str, config: arm.IPConfiguration
) -> None:
    prop = "applicationSecurityGroups"
    limit(context, path, prop, len(config.applicationSecurityGroups), APPLICATION_GROUPS_PER_CONFIG)
    network = config.subnet.partition("/")[0]
    for index, group in enumerate(config.applicationSecurityGroups):
        known = context.scenario.applicationSecurityGroups
        if not context.reference(path, (prop, index), group, "applicationSecurityGroup", known, prop):
            continue
        if config.subnet not in context.subnet_paths:
            continue
        where, first = home.setdefault(group, (network, member))
        if where != network:
            context.add(
                path, (prop, index), f"{group} has members in {where} ({first}), and this is in {network}",
                "one application security group for each virtual network", codes.GROUPS_IN_SEVERAL_NETWORKS,
            )  # fmt: skip


def _rule(context: Context, home: dict[str, tuple[str, str]], path: Path, rule: arm.SecurityRule) -> None:
    first: tuple[str, str] | None = None
    for prop in ("sourceApplicationSecurityGroups", "destinationApplicationSecurityGroups"):
        names: arm.Strings | None = getattr(rule, prop)
        for index, group in enumerate(names or ()):
            if group not in home:
                continue
            network = home[group][0]
            if first is None:
                first = (group, network)
            elif first[1] != network:
                context.add(
                    path, (prop, index), f"{group} is in {network}, but {first[0]} is in {first[1]}",
                    "groups of one virtual network", codes.GROUPS_IN_SEVERAL_NETWORKS,
                )  # fmt: skip
