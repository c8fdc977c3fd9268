"""A platform's router that is no hop for its guests (ARP-7, ARP-8)."""

from __future__ import annotations

from collections.abc import Iterator


def restore_ttl() -> Iterator[str]:
    """What ip_forward() will take is added before.

    A routing loop still dies, because every appliance on it takes its own 1. There is no arithmetic on the TTL in
    nftables, so one chain for each value; 255 stays and arrives as 254.
    """
    yield "table ip netemu_ttl {"
    for value in range(1, 255):
        yield f"chain ttl{value} {{\n ip ttl set {value + 1}\n}}"
    yield "chain restore {\n type filter hook prerouting priority -140; policy accept;"
    yield " ip ttl vmap { " + ", ".join(f"{value} : goto ttl{value}" for value in range(1, 255)) + " }\n}"
    yield "}"
