"""What all resources share: the base type, and ARM's enumerations."""

from __future__ import annotations

from typing import Any, Literal

from msgspec import Meta, Struct

Strings = tuple[str, ...]
"""Several texts; a single one may be written without brackets, and numbers without quotes (`[80, 8080-8090]`)."""

Direction = Literal["Inbound", "Outbound"]
Access = Literal["Allow", "Deny"]
SecurityRuleProtocol = Literal["Tcp", "Udp", "Icmp", "Esp", "Ah", "*"]
NextHopType = Literal["VirtualNetworkGateway", "VnetLocal", "Internet", "VirtualAppliance", "None"]
AllocationMethod = Literal["Dynamic", "Static"]
Sku = Literal["Basic", "Standard"]


def described(description: str, **extra: Any) -> Meta:
    """The documentation of a property, as it appears in the JSON Schema."""
    return Meta(description=description, **extra)


class Resource(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of everything that can be written in a scenario: immutable, and unknown properties are errors."""
