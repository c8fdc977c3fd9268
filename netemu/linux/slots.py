"""Which member gets which slot of a hash: a consistent table, as in Google's Maglev (NSDI 2016, §3.4).

A new flow's hash, modulo the size of the table, is its slot. Members have equal shares, to within one slot; when one
comes or goes, few flows of others get another member; when one is down, only its own slots go elsewhere, and come back.
The table follows from the members alone, so that whoever computes it gets the same one.
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

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


def healthy_table(members: Sequence[int], down: Collection[int], size: int) -> Mapping[int, int]:
    """The member of each slot when some are down; no slots when all are."""
    return _healthy_table(tuple(members), frozenset(down) & frozenset(members), size)


@functools.lru_cache(maxsize=16)
def _healthy_table(members: tuple[int, ...], gone: frozenset[int], size: int) -> Mapping[int, int]:
    """A change of health asks for the table before and after, and the next change for the one before again."""
    whole = table(members, size)
    ordered = sorted(set(members))
    up = [member for member in ordered if member not in gone]
    if not up:
        return MappingProxyType({})
    return MappingProxyType(
        {
            slot: _heir(slot, member, ordered, gone, up) if member in gone else member
            for slot, member in enumerate(whole)
        }
    )


def _walk(member: int, size: int) -> tuple[int, int]:
    """Where a member begins to look for free slots, and its step."""
    first, second = _number(f"{member}/offset"), _number(f"{member}/skip")
    return first % size, second % (size - 1) + 1


@functools.lru_cache(maxsize=1 << 16)
def _number(text: str) -> int:
    return int.from_bytes(hashlib.blake2s(text.encode(), digest_size=8).digest(), "big")


TRIES = 8
WORD = 0xFFFFFFFF


def _heir(slot: int, member: int, ordered: Sequence[int], gone: Collection[int], up: Sequence[int]) -> int:
    """Who gets a slot of a member that is down: spread over all others, and others' choices stay as members return.

    The first one that is up in a sequence of the slot's own, which does not depend on who is down. Where nearly all are
    down that would take long, and few choices are left to stay.
    """
    for attempt in range(TRIES):
        heir = ordered[_mixed(slot, member, attempt) % len(ordered)]
        if heir not in gone:
            return heir
    return up[_mixed(slot, member, TRIES) % len(up)]


def _mixed(slot: int, member: int, attempt: int) -> int:
    """A number that looks random; a large pool asks for tens of thousands."""
    word = (slot * 0x9E3779B1 + member * 0x85EBCA6B + attempt * 0xC2B2AE35) & WORD
    word = (word ^ word >> 16) * 0x7FEB352D & WORD
    word = (word ^ word >> 15) * 0x846CA68B & WORD
    return word ^ word >> 16
