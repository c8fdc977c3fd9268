"""Addresses and prefixes as a person writes them, read strictly: IPv4, decimal, no bits set behind a prefix."""

from __future__ import annotations

import re
from functools import lru_cache
from ipaddress import AddressValueError, IPv4Address, IPv4Network, IPv6Address

from netemu.azure.tags import NOT_PUBLIC
from netemu.scenario import codes
from netemu.scenario.report import quoted

_PREFIX = re.compile(r"[0-9.]+/[0-9]{1,2}", re.ASCII)

IPV6_INSTEAD = "use IPv4; netemu has no IPv6 (ARP-12)"


class Unreadable(Exception):
    """A text is not an address, or not a prefix."""

    def __init__(self, what: str, instead: str, code: str) -> None:
        self.what, self.instead, self.code = what, instead, code
        super().__init__(what)


def read_address(text: str) -> IPv4Address:
    """Read one IPv4 address."""
    try:
        return IPv4Address(text)
    except AddressValueError:
        pass
    if is_ipv6(text):
        raise Unreadable(f"{quoted(text)} is an IPv6 address", IPV6_INSTEAD, codes.IPV6_UNSUPPORTED)
    raise Unreadable(f"{quoted(text)} is not an IPv4 address", "write one such as 10.0.0.4", codes.INVALID_ADDRESS)


@lru_cache(maxsize=4096)
def _network(text: str) -> IPv4Network:
    return IPv4Network(text)


def read_prefix(text: str) -> IPv4Network:
    """Read one IPv4 prefix in CIDR notation."""
    if is_ipv6(text.partition("/")[0]):
        raise Unreadable(f"{quoted(text)} is IPv6", IPV6_INSTEAD, codes.IPV6_UNSUPPORTED)
    if not _PREFIX.fullmatch(text):
        near = "write one such as 10.0.0.0/16"
        raise Unreadable(f"{quoted(text)} is not an IPv4 prefix", _with_length(text) or near, codes.INVALID_PREFIX)
    try:
        return _network(text)
    except ValueError:
        pass
    try:
        masked = IPv4Network(text, strict=False)
    except ValueError:
        raise Unreadable(
            f"{quoted(text)} is not an IPv4 prefix", "write one such as 10.0.0.0/16", codes.INVALID_PREFIX
        ) from None
    raise Unreadable(
        f"{quoted(text)} has bits set behind its /{masked.prefixlen}", f"did you mean `{masked}`?", codes.INVALID_PREFIX
    )


def _with_length(text: str) -> str:
    try:
        prefix = IPv4Network(text)
    except ValueError:
        return ""
    return f"did you mean `{prefix}`?" if "/" in text else "add its length, such as /24"


def is_ipv6(text: str) -> bool:
    """Tell whether it is an IPv6 address."""
    if ":" not in text:
        return False
    try:
        IPv6Address(text)
    except AddressValueError:
        return False
    return True


def not_public(address: IPv4Address) -> IPv4Network | None:
    """Find the range that keeps an address from being public, or None when it is public."""
    return next((prefix for prefix in NOT_PUBLIC if address in prefix), None)
