"""Sets of IPv4 addresses (and of ports) as sorted integer intervals.

Security rules name prefixes, single addresses, tags and lists of those; complements matter too (`Internet` is what
`VirtualNetwork` is not). A set here is the sorted list of places where membership changes: [start, end, start, end…].
Membership is then one binary search, and union, intersection and difference are one sweep over both lists.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable
from ipaddress import IPv4Address, IPv4Network

ADDRESSES = 1 << 32
PORTS = 1 << 16


class IntervalSet:
    """An immutable set of integers. Ends are exclusive."""

    __slots__ = ("bounds",)

    def __init__(self, bounds: tuple[int, ...] = ()) -> None:
        self.bounds = bounds

    @classmethod
    def of(cls, intervals: Iterable[tuple[int, int]]) -> IntervalSet:
        """From (start, end) pairs in any order; they may overlap and touch."""
        merged: list[int] = []
        for start, end in sorted(intervals):
            if start >= end:
                continue
            if merged and start <= merged[-1]:
                merged[-1] = max(merged[-1], end)
            else:
                merged += (start, end)
        return cls(tuple(merged))

    @classmethod
    def of_prefixes(cls, prefixes: Iterable[IPv4Network]) -> IntervalSet:
        """Every address of the prefixes."""
        return cls.of(
            (first, first + prefix.num_addresses) for prefix in prefixes for first in (int(prefix.network_address),)
        )

    @classmethod
    def of_addresses(cls, addresses: Iterable[IPv4Address]) -> IntervalSet:
        """Single addresses."""
        return cls.of((number, number + 1) for number in map(int, addresses))

    def __contains__(self, member: object) -> bool:
        if isinstance(member, int):
            return bool(bisect_right(self.bounds, member) & 1)
        if isinstance(member, IPv4Address):
            return bool(bisect_right(self.bounds, int(member)) & 1)
        return False

    def __bool__(self) -> bool:
        return bool(self.bounds)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, IntervalSet) and self.bounds == other.bounds

    def __hash__(self) -> int:
        return hash(self.bounds)

    def __repr__(self) -> str:
        return f"IntervalSet({self.bounds!r})"

    def __or__(self, other: IntervalSet) -> IntervalSet:
        return self._sweep(other, lambda mine, theirs: mine or theirs)

    def __and__(self, other: IntervalSet) -> IntervalSet:
        return self._sweep(other, lambda mine, theirs: mine and theirs)

    def __sub__(self, other: IntervalSet) -> IntervalSet:
        return self._sweep(other, lambda mine, theirs: mine and not theirs)

    def _sweep(self, other: IntervalSet, keep: Callable[[bool, bool], bool]) -> IntervalSet:
        # A number never present is outside of both sets, so `keep(False, False)` must be false: all three above are.
        bounds: list[int] = []
        inside = False
        for place in sorted({*self.bounds, *other.bounds}):
            if keep(place in self, place in other) != inside:
                bounds.append(place)
                inside = not inside
        return IntervalSet(tuple(bounds))

    def intervals(self) -> Iterable[tuple[int, int]]:
        """(start, end) pairs, sorted, disjoint and not touching."""
        return zip(self.bounds[::2], self.bounds[1::2], strict=True)

    def size(self) -> int:
        """How many members."""
        return sum(end - start for start, end in self.intervals())

    def cidrs(self) -> tuple[IPv4Network, ...]:
        """The fewest prefixes that cover exactly these addresses, sorted."""
        found = []
        for start, end in self.intervals():
            first = start
            while first < end:
                # The largest block that is aligned at `first` and does not reach past `end`.
                aligned = first & -first or ADDRESSES
                size = min(aligned, 1 << (end - first).bit_length() - 1)
                found.append(IPv4Network((first, 33 - size.bit_length())))
                first += size
        return tuple(found)


EVERY_ADDRESS = IntervalSet((0, ADDRESSES))
EVERY_PORT = IntervalSet((0, PORTS))
