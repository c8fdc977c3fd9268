"""Public IP addresses (OUT-11, OUT-15) and explicit numbers for them."""

from __future__ import annotations

from ipaddress import IPv4Address

from netemu.azure.network import DEFAULT_OUTBOUND_POOL
from netemu.scenario import codes
from netemu.scenario.tree import Path
from netemu.scenario.validate.addresses import not_public, read_address
from netemu.scenario.validate.context import Context, silent


def check(context: Context) -> None:
    """Check every public IP."""
    owners: dict[IPv4Address, str] = {}
    for name, public in context.scenario.publicIPAddresses.items():
        path = ("publicIPAddresses", name)
        dynamic = public.publicIPAllocationMethod == "Dynamic"
        if dynamic and public.sku == "Standard" and not context.gap(path, "sku"):
            context.add(
                path, "publicIPAllocationMethod", "a Standard public IP cannot be Dynamic", "Static, or sku: Basic",
                codes.STANDARD_IS_STATIC,
            )  # fmt: skip
        if not 4 <= public.idleTimeoutInMinutes <= 30:
            context.add(
                path, "idleTimeoutInMinutes", f"idleTimeoutInMinutes cannot be {public.idleTimeoutInMinutes}",
                "4 to 30", codes.IDLE_TIMEOUT,
            )  # fmt: skip
        address = context.address(path, "ipAddress", public.ipAddress)
        if address is None or not public_address(context, path, address):
            continue
        first = owners.setdefault(address, name)
        if first != name:
            context.add(
                path, "ipAddress", f"{address} belongs to publicIPAddresses/{first} already", "another address",
                codes.ADDRESS_IN_USE,
            )  # fmt: skip


def public_address(context: Context, path: Path, address: IPv4Address, within: str = "ipAddress") -> bool:
    """Report an address that nothing on the lab's internet can have; true when something can."""
    private = not_public(address)
    if private is not None:
        context.add(
            path, within, f"{address} is not public ({private})", "one such as 198.51.100.7",
            codes.INVALID_ADDRESS,
        )  # fmt: skip
        return False
    if address in DEFAULT_OUTBOUND_POOL:
        context.add(
            path, within, f"{address} is among the addresses of default outbound access ({DEFAULT_OUTBOUND_POOL})",
            "one such as 198.51.100.7", codes.ADDRESS_IN_USE,
        )  # fmt: skip
        return False
    owner = context.owners.find(address)
    if owner is not None:
        context.add(
            path, within, f"{address} is in virtualNetworks/{owner[0]} ({owner[1]})", "an address outside of it",
            codes.ADDRESS_IN_USE,
        )  # fmt: skip
        return False
    return True


def explicit(context: Context) -> dict[IPv4Address, str]:
    """Public IPs whose number is written, by number."""
    found = ((silent(read_address, ip.ipAddress or ""), n) for n, ip in context.scenario.publicIPAddresses.items())
    return {address: name for address, name in found if address is not None}
