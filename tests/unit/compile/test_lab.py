"""The whole: names, numbers, and what must be the same every time."""

from __future__ import annotations

from itertools import pairwise

import msgspec
import pytest
from compiling import lab_of, network_of
from hypothesis import given
from hypothesis import strategies as st

from netemu.compile.numbering import NAME_LIMIT, interface_name, number
from netemu.compile.security import complement, intervals, merge

LONG = "a-very-long-name-of-a-network-interface"
TEXT = f"""
virtualNetworks:
  net: {{addressSpace: 10.0.0.0/16, subnets: {{s: {{addressPrefix: 10.0.0.0/24}}}}}}
networkInterfaces:
  {LONG}-1: {{subnet: net/s}}
  {LONG}-2: {{subnet: net/s}}
  e-net: {{subnet: net/s}}
  lo: {{subnet: net/s}}
  void0: {{subnet: net/s}}
virtualMachines:
  a: {{networkInterfaces: {LONG}-1}}
  b: {{networkInterfaces: {LONG}-2}}
  c: {{networkInterfaces: e-net}}
  d: {{networkInterfaces: lo}}
  e: {{networkInterfaces: void0}}
"""


def test_equal_scenarios_give_equal_states() -> None:
    assert msgspec.json.encode(lab_of(TEXT)) == msgspec.json.encode(lab_of(TEXT))


def test_names_that_are_too_long_or_taken_become_names_that_the_kernel_takes() -> None:
    names = list(number(network_of(TEXT)).port_index)
    assert len(set(names)) == len(names) == 7
    assert all(len(name) <= NAME_LIMIT for name in names)
    assert "lo" not in names
    assert "void0" not in names


@given(st.lists(st.text("abcdefghij-._", min_size=1, max_size=40), max_size=60))
def test_interface_names_never_clash(wishes: list[str]) -> None:
    taken: set[str] = set()
    names = [interface_name(wish, taken) for wish in wishes]
    assert len(set(names)) == len(names)
    assert all(len(name) <= NAME_LIMIT for name in names)


def test_every_interface_index_of_a_namespace_is_used_once() -> None:
    for ends in lab_of(TEXT).ends().values():
        indexes = [end.index for end, _ in ends]
        assert len(set(indexes)) == len(indexes)
        assert 1 not in indexes


@given(st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300)).map(lambda p: (min(p), max(p)))))
def test_merged_intervals_hold_what_their_pieces_held(pieces: list[tuple[int, int]]) -> None:
    held = {n for first, last in pieces for n in range(first, last + 1)}
    merged = merge(pieces)
    assert {n for first, last in merged for n in range(first, last + 1)} == held
    assert all(a[1] + 1 < b[0] for a, b in pairwise(merged))


def test_the_complement_of_nothing_is_everything_and_back() -> None:
    assert complement([]) == [(0, 2**32 - 1)]
    assert complement(complement([])) == []
    assert intervals([]) == []


@pytest.mark.azure("DNS-1", "DNS-2", "DNS-4")
def test_the_names_of_a_network_are_in_its_resolvers_files() -> None:
    text = """
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {s: {addressPrefix: 10.0.0.0/24}}}}
networkInterfaces: {nic: {subnet: net/s, dnsSettings: {internalDnsNameLabel: second}}}
virtualMachines: {Web_1: {networkInterfaces: nic}}
internet: {hosts: {www.example.com: {ipAddress: 198.51.100.7}}}
"""
    suffix = network_of(text).virtualNetworks["net"].internalDomainNameSuffix
    files = lab_of(text).namespaces["@slb.net"].daemon_files
    assert f"web-1.{suffix}. 10 IN A 10.0.0.4" in files[f"zones.net/{suffix}"].splitlines()
    assert f"second.{suffix}. 10 IN A 10.0.0.4" in files[f"zones.net/{suffix}"].splitlines()
    reverse = files["zones.net/in-addr.arpa"].splitlines()
    assert "4.0.0.10.in-addr.arpa. 10 IN PTR web-1.internal.cloudapp.net." in reverse
    assert "www.example.com. 3600 IN A 198.51.100.7" in files["zones.net/root"].splitlines()
