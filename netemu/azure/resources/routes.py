"""Route tables."""

from __future__ import annotations

from typing import Annotated

from msgspec import field

from netemu.azure.resources.base import NextHopType, Resource, described


class Route(Resource, frozen=True):
    """A user-defined route (RT-6, RT-7)."""

    addressPrefix: Annotated[str, described("Destination, for example 0.0.0.0/0.")]
    nextHopType: Annotated[NextHopType, described("Where packets go.")]
    nextHopIpAddress: Annotated[str | None, described("The appliance; for VirtualAppliance only.")] = None


class RouteTable(Resource, frozen=True):
    """User-defined routes for the subnets that name this table."""

    routes: Annotated[dict[str, Route], described("Routes by name.")] = field(default_factory=dict)
    disableBgpRoutePropagation: Annotated[bool, described("Ignore routes learned by gateways (RT-15).")] = False
    location: Annotated[str | None, described("Region; the scenario's location when absent.")] = None
