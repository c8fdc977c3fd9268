"""Which member gets which slot of a hash: a consistent table, as in Google's Maglev (NSDI 2016, §3.4).

A new flow's hash, modulo the size of the table, is its slot. Members have equal shares, to within one slot; when one
comes or goes, few flows of others get another member; when one is down, only its own slots go elsewhere, and come back.
The table follows from the members alone, so that whoever computes it gets the same one.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Collection, Sequence

SIZES = ((50, 1021), (200, 4093), (1000, 16381))
"""Up to so many members, and a prime: shares are equal to within a twentieth."""


def size_for(members: int) -> int:
    """How many slots there are for so many members."""
    return next((size for most, size in SIZES if members <= most), SIZES[-1][1])


@functools.lru_cache(maxsize=256)
def table(members: tuple[int, ...], size: int) -> tuple[int, ...]:
    """The member of each slot, when all are up. Empty without members."""
    if not members:
        return ()
    ordered = sorted(members)
    walks = [_walk(member, size) for member in ordered]
    slots = [-1] * size
    filled = 0
    while True:
        for position, (place, skip) in enumerate(walks):
            while slots[place] >= 0:
                place = (place + skip) % size
            slots[place] = ordered[position]
            walks[position] = place, skip
            filled += 1
            if filled == size:
                return tuple(slots)


def healthy_table(members: Sequence[int], down: Collection[int], size: int) -> dict[int, int]:
    """The member of each slot when some are down; no slots when all are."""
    whole = table(tuple(members), size)
    up = sorted(set(members) - set(down))
    if not up:
        return {}
    gone = set(members) & set(down)
    return {slot: _heir(slot, member, up) if member in gone else member for slot, member in enumerate(whole)}


def _walk(member: int, size: int) -> tuple[int, int]:
    """Where a member begins to look for free slots, and its step."""
    first, second = _number(f"{member}/offset"), _number(f"{member}/skip")
    return first % size, second % (size - 1) + 1


@functools.lru_cache(maxsize=1 << 16)
def _number(text: str) -> int:
    return int.from_bytes(hashlib.blake2s(text.encode(), digest_size=8).digest(), "big")


def _heir(slot: int, member: int, up: Sequence[int]) -> int:
    """Who gets a slot of a member that is down: spread over all others, and others' choices stay as members return."""
    return max(up, key=lambda other: _number(f"{slot}/{member}/{other}"))
