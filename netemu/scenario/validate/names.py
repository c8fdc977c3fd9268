"""Names: of the lab, of resources (VN-15), and of the machines, which become network namespaces `<lab>.<machine>`."""

from __future__ import annotations

import re
from collections.abc import Iterable

from netemu.scenario import codes
from netemu.scenario.report import quoted
from netemu.scenario.tree import Path
from netemu.scenario.validate.context import Context

_LAB = re.compile(r"[a-z][a-z0-9-]{0,31}", re.ASCII)
_RESOURCE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?", re.ASCII)
_DNS_NAME = re.compile(
    r"(?!.{201})[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*",
    re.ASCII,
)

_PATTERN = "letters, digits, `.`, `-` and `_`, beginning with a letter or digit and not ending with `.` or `-`"


PARTS = (
    "frontendIPConfigurations", "backendAddressPools", "probes", "loadBalancingRules", "inboundNatRules",
    "inboundNatPools", "outboundRules",
)  # fmt: skip
"""What load balancers are made of."""


def check(context: Context) -> None:
    """Check every name that the scenario gives to something."""
    scenario = context.scenario
    if scenario.name and not _LAB.fullmatch(scenario.name):
        context.add(
            (), "name", f"{quoted(scenario.name)} cannot be a lab's name",
            "lower-case letters, digits and `-`, beginning with a letter, at most 32", codes.INVALID_RESOURCE_NAME,
        )  # fmt: skip
    resource_names(context, ("virtualNetworks",), scenario.virtualNetworks, 2, 64)
    for name, network in scenario.virtualNetworks.items():
        resource_names(context, ("virtualNetworks", name, "subnets"), network.subnets)
        resource_names(context, ("virtualNetworks", name, "virtualNetworkPeerings"), network.virtualNetworkPeerings)
    resource_names(context, ("networkSecurityGroups",), scenario.networkSecurityGroups)
    for name, group in scenario.networkSecurityGroups.items():
        resource_names(context, ("networkSecurityGroups", name, "securityRules"), group.securityRules)
    resource_names(context, ("applicationSecurityGroups",), scenario.applicationSecurityGroups)
    resource_names(context, ("routeTables",), scenario.routeTables)
    for name, table in scenario.routeTables.items():
        resource_names(context, ("routeTables", name, "routes"), table.routes)
    resource_names(context, ("publicIPAddresses",), scenario.publicIPAddresses)
    resource_names(context, ("publicIPPrefixes",), scenario.publicIPPrefixes)
    resource_names(context, ("natGateways",), scenario.natGateways)
    resource_names(context, ("loadBalancers",), scenario.loadBalancers)
    for name, balancer in scenario.loadBalancers.items():
        for kind in PARTS:
            resource_names(context, ("loadBalancers", name, kind), getattr(balancer, kind))
    resource_names(context, ("networkInterfaces",), scenario.networkInterfaces)
    for name, nic in scenario.networkInterfaces.items():
        resource_names(context, ("networkInterfaces", name, "ipConfigurations"), nic.ipConfigurations or {})
    resource_names(context, ("virtualMachines",), scenario.virtualMachines, 1, 64)
    _hosts(context)
    _generated(context)


def resource_names(context: Context, where: Path, names: Iterable[str], least: int = 1, most: int = 80) -> None:
    """Check the names of resources of one kind, or of one parent."""
    seen: dict[str, str] = {}
    for name in names:
        if not _RESOURCE.fullmatch(name) or not least <= len(name) <= most:
            context.add(
                (*where, name), "", f"{quoted(name)} cannot be a name", f"{least} to {most} {_PATTERN}",
                codes.INVALID_RESOURCE_NAME,
            )  # fmt: skip
        first = seen.setdefault(name.lower(), name)
        if first != name:
            _in_use(context, (*where, name), f"{quoted(name)} and {quoted(first)} are one name: Azure ignores case")


def _hosts(context: Context) -> None:
    """Check hosts on the internet: they may be called www.example.com; they share the lab's namespaces with the VMs."""
    taken = {name.lower(): ("VM", name) for name in context.scenario.virtualMachines}
    for name in context.scenario.internet.hosts:
        path = ("internet", "hosts", name)
        if not _DNS_NAME.fullmatch(name):
            context.add(
                path, "", f"{quoted(name)} cannot be a host's name",
                "letters, digits and `-` between dots, such as visitor or www.example.com, at most 200",
                codes.INVALID_RESOURCE_NAME,
            )  # fmt: skip
        kind, first = taken.setdefault(name.lower(), ("host", name))
        if (kind, first) != ("host", name):
            _in_use(context, path, f"{quoted(name)} is the name of the {kind} {quoted(first)} already")


def _generated(context: Context) -> None:
    """Report NICs with the name of one that a VM in short form makes: <vm>-nic."""
    written = {name.lower(): name for name in context.scenario.networkInterfaces}
    for nic, machine in context.generated.items():
        clash = written.get(nic.lower())
        if clash is not None:
            context.add(
                ("networkInterfaces", clash), "",
                f"{quoted(clash)} is the NIC that virtualMachines/{machine} makes for itself",
                f"another name, or `networkInterfaces: {clash}` in the VM in place of its short form",
                codes.RESOURCE_NAME_IN_USE,
            )  # fmt: skip


def _in_use(context: Context, path: Path, what: str) -> None:
    context.add(path, "", what, "choose another name", codes.RESOURCE_NAME_IN_USE)
