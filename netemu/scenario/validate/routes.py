"""Route tables (RT-6, RT-7, RT-8)."""

from __future__ import annotations

from ipaddress import IPv4Network

from netemu.azure import resources as arm
from netemu.azure import tags
from netemu.scenario import codes
from netemu.scenario.report import quoted
from netemu.scenario.tree import Path
from netemu.scenario.validate.context import Context
from netemu.scenario.validate.networks import FORBIDDEN

_THIS_NETWORK = IPv4Network("0.0.0.0/8")


def check(context: Context) -> None:
    """Check every route."""
    for table_name, table in context.scenario.routeTables.items():
        first: dict[IPv4Network, str] = {}
        for name, route in table.routes.items():
            path = ("routeTables", table_name, "routes", name)
            _next_hop(context, path, route)
            if tags.canonical(route.addressPrefix) is not None:
                context.add(
                    path, "addressPrefix", f"service tag {quoted(route.addressPrefix)} in a route is not supported yet",
                    "write its prefixes", codes.UNSUPPORTED,
                )  # fmt: skip
                continue
            prefix = context.prefix(path, "addressPrefix", route.addressPrefix)
            if prefix is not None and first.setdefault(prefix, name) != name:
                context.add(
                    path, "addressPrefix", f"route {first[prefix]} is for {prefix} already", "one for each prefix",
                    codes.ROUTE_CONFLICT,
                )  # fmt: skip


def _next_hop(context: Context, path: Path, route: arm.Route) -> None:
    if not route.nextHopType:
        return
    if route.nextHopType != "VirtualAppliance":
        if route.nextHopIpAddress is not None:
            context.add(
                path, "nextHopIpAddress", f"nextHopIpAddress cannot be with nextHopType {route.nextHopType}",
                "remove it, or write nextHopType: VirtualAppliance", codes.INVALID_NEXT_HOP,
            )  # fmt: skip
        return
    if route.nextHopIpAddress is None:
        context.add(
            path, "nextHopIpAddress", "nextHopType VirtualAppliance needs nextHopIpAddress",
            "add the appliance's address", codes.INVALID_NEXT_HOP,
        )  # fmt: skip
        return
    address = context.address(path, "nextHopIpAddress", route.nextHopIpAddress)
    if address is not None and any(address in prefix for prefix in (*FORBIDDEN, _THIS_NETWORK)):
        context.add(
            path, "nextHopIpAddress", f"{address} cannot be a next hop", "the private address of an appliance's NIC",
            codes.INVALID_NEXT_HOP,
        )  # fmt: skip
