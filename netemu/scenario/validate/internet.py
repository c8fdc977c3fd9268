"""Hosts on the lab's internet: public addresses, each once."""

from __future__ import annotations

from ipaddress import IPv4Address

from netemu.azure.network import PUBLIC_POOL
from netemu.scenario import codes
from netemu.scenario.validate.context import Context
from netemu.scenario.validate.machines import programs
from netemu.scenario.validate.public_ips import explicit, public_address


def check(context: Context) -> None:
    """Check every host."""
    public = explicit(context)
    owners: dict[IPv4Address, str] = {}
    for name, host in context.scenario.internet.hosts.items():
        path = ("internet", "hosts", name)
        programs(context, path, host.run)
        address = context.address(path, "ipAddress", host.ipAddress)
        if address is None or not public_address(context, path, address):
            continue
        first = owners.setdefault(address, name)
        if address in public:
            taken = f"publicIPAddresses/{public[address]} already"
        elif address in PUBLIC_POOL:
            taken = f"the range from which public IPs get theirs ({PUBLIC_POOL})"
        elif first != name:
            taken = f"internet/hosts/{first} already"
        else:
            continue
        context.add(
            path, "ipAddress", f"{address} belongs to {taken}", "another address, such as 198.51.100.7",
            codes.ADDRESS_IN_USE,
        )  # fmt: skip
