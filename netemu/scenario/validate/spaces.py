"""Address spaces as sorted ranges: a search takes as long for a thousand prefixes as for ten."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network


class Space:
    """Prefixes that do not overlap."""

    def __init__(self) -> None:
        self.prefixes: list[IPv4Network] = []
        """As they were added."""
        self._sorted: list[tuple[int, int, IPv4Network]] = []

    def add(self, prefix: IPv4Network) -> IPv4Network | None:
        """Take a prefix in, or say which one it overlaps."""
        clash = next(self.overlapping(prefix), None)
        if clash is None:
            self.prefixes.append(prefix)
            entry = _bounds(prefix)
            self._sorted.insert(bisect_right(self._sorted, entry), entry)
        return clash

    def overlapping(self, prefix: IPv4Network) -> Iterator[IPv4Network]:
        """Every prefix that has an address in common with `prefix`, the lowest first."""
        first, last, _ = _bounds(prefix)
        at = bisect_right(self._sorted, first, key=lambda entry: entry[0])
        if at > 0 and self._sorted[at - 1][1] >= first:
            yield self._sorted[at - 1][2]
        while at < len(self._sorted) and self._sorted[at][0] <= last:
            yield self._sorted[at][2]
            at += 1

    def covers(self, prefix: IPv4Network) -> bool:
        """Is the whole of `prefix` in one of ours?"""
        return any(prefix.subnet_of(outer) for outer in self.overlapping(prefix))


class Owners:
    """Which network an address belongs to, when prefixes of several may overlap."""

    def __init__(self, spaces: dict[str, Space]) -> None:
        self._first: dict[tuple[int, int], tuple[int, str, IPv4Network]] = {}
        for order, (name, space) in enumerate(spaces.items()):
            for prefix in space.prefixes:
                key = prefix.prefixlen, int(prefix.network_address) >> (32 - prefix.prefixlen)
                self._first.setdefault(key, (order, name, prefix))
        self._lengths = sorted({length for length, _ in self._first})

    def find(self, address: IPv4Address) -> tuple[str, IPv4Network] | None:
        """The network, and its prefix; of several the one that comes first in the file."""
        keys = ((length, int(address) >> (32 - length)) for length in self._lengths)
        found = [self._first[key] for key in keys if key in self._first]
        return min(found)[1:] if found else None


def _bounds(prefix: IPv4Network) -> tuple[int, int, IPv4Network]:
    return int(prefix.network_address), int(prefix.broadcast_address), prefix
