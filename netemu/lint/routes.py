"""User-defined routes that lead nowhere, and those that never decide (RT-9, RT-12, RT-13, RT-14)."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

from netemu.azure import resources as arm
from netemu.azure.edge import PRIVATE
from netemu.azure.network import Subnet
from netemu.azure.prefixes import IntervalSet
from netemu.lint.findings import Subject, several


def check(subject: Subject) -> None:
    """Look at every route of every table that a subnet has."""
    users: dict[str, list[Subnet]] = {}
    for subnet in subject.network.subnets():
        if subnet.routeTable is not None:
            users.setdefault(subnet.routeTable, []).append(subnet)
    for table, subnets in users.items():
        for name, route in subject.scenario.routeTables[table].routes.items():
            path = ("routeTables", table, "routes", name)
            nowhere = _nowhere(subject, route, subnets)
            if nowhere is not None:
                within, why, instead = nowhere
                subject.add(path, within, "route-to-nowhere", why, instead)
            if not any(_decides(subject, subnet, name) for subnet in subnets):
                subject.add(
                    path, "addressPrefix", "shadowed-route",
                    f"never decides: longer prefixes of other routes cover all of {route.addressPrefix} (RT-9)",
                    "remove it",
                )  # fmt: skip


def _decides(subject: Subject, subnet: Subnet, name: str) -> bool:
    return any(winner.name == name for winner in subject.placement.routes(subnet).winners)


def _nowhere(subject: Subject, route: arm.Route, subnets: list[Subnet]) -> tuple[str, str, str] | None:
    """The property that is wrong, why, and what would be right; None when the route leads somewhere."""
    prefix = IPv4Network(route.addressPrefix)
    if route.nextHopType == "VirtualNetworkGateway":
        return "nextHopType", "drops all: there is no virtual network gateway (RT-13)", "remove it, or say where to"
    if route.nextHopType == "Internet" and not IntervalSet.of_prefixes((prefix,)) - PRIVATE:
        return (
            "nextHopType", f"drops all: {prefix} is private, and the internet edge lets nothing private out (RT-14)",
            "remove it, or write None if that is meant",
        )  # fmt: skip
    if route.nextHopType == "VnetLocal":
        lost = [subnet for subnet in subnets if not _is_local(subject, subnet, prefix)]
        if len(lost) == len(subnets):
            return (
                "nextHopType",
                f"drops all: nothing of {prefix} is in the address space of {_networks(subnets)} (VN-7)",
                "remove it, or say where to",
            )
    if route.nextHopType == "VirtualAppliance":
        return _no_appliance(subject, IPv4Address(str(route.nextHopIpAddress)), subnets)
    return None


def _is_local(subject: Subject, subnet: Subnet, prefix: IPv4Network) -> bool:
    return any(prefix.overlaps(own) for own in subject.network.virtualNetworks[subnet.virtualNetwork].addressSpace)


def _no_appliance(subject: Subject, hop: IPv4Address, subnets: list[Subnet]) -> tuple[str, str, str] | None:
    having = {
        *(nic.subnet.virtualNetwork for nic, config in subject.network.addresses() if config.address == hop),
        *(each.subnet.virtualNetwork for each in subject.network.frontends() if each.subnet and each.address == hop),
    }
    peerings = subject.placement.peerings
    lost = [
        subnet for subnet in subnets if having.isdisjoint((subnet.virtualNetwork, *peerings[subnet.virtualNetwork]))
    ]
    if not lost:
        return None
    elsewhere = sorted(having)
    if not elsewhere:
        appliances = [
            f"{nic.address} ({nic.machine})" for nic in subject.network.nics.values() if nic.enableIPForwarding
        ]
        instead = f"name an address of an appliance: {', '.join(appliances[:3])}" if appliances else "remove it"
        return "nextHopIpAddress", f"drops all: nobody has {hop} (RT-12)", instead
    return (
        "nextHopIpAddress",
        f"drops all of {several([subnet.path for subnet in lost])}: {hop} is in {several(elsewhere)}, which is not"
        f" peered with {_networks(lost)} (RT-12)",
        "peer them on both sides, or name an appliance in reach",
    )


def _networks(subnets: list[Subnet]) -> str:
    return several(sorted({subnet.virtualNetwork for subnet in subnets}))
