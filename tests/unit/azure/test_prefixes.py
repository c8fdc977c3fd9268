"""Sets of addresses: the algebra against Python's own sets."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network, collapse_addresses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netemu.azure.prefixes import ADDRESSES, EVERY_ADDRESS, IntervalSet

small_intervals = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), max_size=6)
prefixes = st.lists(
    st.builds(
        lambda number, length: IPv4Network((number >> 32 - length << 32 - length, length)),
        st.integers(0, ADDRESSES - 1),
        st.integers(1, 32),
    ),
    max_size=6,
)


def naive(intervals):
    return {number for start, end in intervals for number in range(start, end)}


def members(found):
    return {number for start, end in found.intervals() for number in range(start, end)}


@given(small_intervals, small_intervals)
def test_algebra_is_that_of_sets(first, second):
    a, b = IntervalSet.of(first), IntervalSet.of(second)
    assert members(a) == naive(first)
    assert members(a | b) == naive(first) | naive(second)
    assert members(a & b) == naive(first) & naive(second)
    assert members(a - b) == naive(first) - naive(second)
    assert (a == b) == (naive(first) == naive(second))
    assert a.size() == len(naive(first))


@given(small_intervals, st.integers(0, 50))
def test_membership(intervals, number):
    assert (number in IntervalSet.of(intervals)) == (number in naive(intervals))


@given(prefixes)
def test_cidrs_are_the_fewest(given_prefixes):
    assert IntervalSet.of_prefixes(given_prefixes).cidrs() == tuple(collapse_addresses(given_prefixes))


@given(prefixes)
def test_complement_and_set_make_everything(given_prefixes):
    these = IntervalSet.of_prefixes(given_prefixes)
    others = EVERY_ADDRESS - these
    assert these | others == EVERY_ADDRESS
    assert not these & others


def test_everything_is_one_prefix():
    assert EVERY_ADDRESS.cidrs() == (IPv4Network("0.0.0.0/0"),)
    assert IntervalSet().cidrs() == ()


@pytest.mark.parametrize(("member", "inside"), [("10.0.0.0", True), ("10.0.0.255", True), ("10.0.1.0", False)])
def test_addresses_are_members(member, inside):
    these = IntervalSet.of_prefixes([IPv4Network("10.0.0.0/24")])
    assert (IPv4Address(member) in these) is inside
    assert "10.0.0.0" not in these
