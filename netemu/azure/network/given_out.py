"""Numbers that netemu chooses itself: public addresses, prefixes, MACs. By name, so that others do not move them."""

from __future__ import annotations

import hashlib
from ipaddress import IPv4Address, IPv4Network

PLATFORM_ADDRESS = IPv4Address("168.63.129.16")
"""DNS, DHCP and health probes of the platform (PLT-1)."""

PUBLIC_POOL = IPv4Network("20.61.0.0/16")
"""Public IP resources without an `ipAddress` of their own get one from here."""

DEFAULT_OUTBOUND_POOL = IPv4Network("20.62.0.0/16")
"""Addresses of default outbound access: no resource, never reachable from outside (OUT-5)."""

RESERVED_RANGES = tuple(
    IPv4Network(text) for text in ("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10")
)
"""Private ranges that every subnet has a route of type None for (RT-2)."""


class ByName:
    """Addresses chosen by name, so that adding a resource does not move those of the others."""

    def __init__(self, pool: IPv4Network) -> None:
        self.first, self.size = int(pool.network_address) + 1, pool.num_addresses - 2
        self.taken: set[int] = set()
        self.kept: dict[str, IPv4Address] = {}

    def keep(self, given: dict[str, IPv4Address]) -> None:
        """Let names have what they had, unless somebody else has asked for just that."""
        for name, address in given.items():
            if int(address) not in self.taken:
                self.kept[name] = address
                self.taken.add(int(address))

    def take(self, name: str) -> IPv4Address:
        """The address of this name."""
        if name in self.kept:
            return self.kept[name]
        offset = digest(name) % self.size
        while self.first + offset in self.taken:
            offset = (offset + 1) % self.size
        self.taken.add(self.first + offset)
        return IPv4Address(self.first + offset)


class Prefixes:
    """Prefixes chosen by name, from the addresses that nobody has yet."""

    def __init__(self, pool: IPv4Network, taken: set[int]) -> None:
        self.pool, self.taken = pool, taken

    def occupy(self, prefix: IPv4Network) -> bool:
        """Take this prefix, if it is free."""
        addresses = range(int(prefix[0]), int(prefix[-1]) + 1)
        if not self.taken.isdisjoint(addresses):
            return False
        self.taken.update(addresses)
        return True

    def take(self, name: str, length: int) -> IPv4Network:
        """A prefix of this length."""
        size, places = 1 << 32 - length, 1 << length - self.pool.prefixlen
        place = digest(name) % places
        while True:
            prefix = IPv4Network((int(self.pool[0]) + place * size, length))
            if self.occupy(prefix):
                return prefix
            place = (place + 1) % places


class Macs:
    """MACs with a prefix of Azure's (NIC-5), the same as long as the NIC keeps its name."""

    def __init__(self, kept: dict[str, str]) -> None:
        self.kept = kept
        self.taken = set(kept.values())

    def take(self, nic: str) -> str:
        """The MAC of this NIC."""
        if nic in self.kept:
            return self.kept[nic]
        number = digest(nic)
        while True:
            low = number & 0xFFFFFF
            mac = f"00:0d:3a:{low >> 16:02x}:{low >> 8 & 255:02x}:{low & 255:02x}"
            if mac not in self.taken:
                self.taken.add(mac)
                return mac
            number += 1


def digest(text: str, size: int = 8) -> int:
    """A number that depends on a name only."""
    return int.from_bytes(hashlib.blake2s(text.encode(), digest_size=size).digest(), "big")
