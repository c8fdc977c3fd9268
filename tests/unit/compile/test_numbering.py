"""Numbers that stay while their owners do."""

from __future__ import annotations

from compiling import network_of

from netemu.compile.numbering import FABRIC, Numbering, number

BEFORE = """
virtualNetworks:
  one: {addressSpace: [10.0.0.0/16], subnets: {s: {addressPrefix: 10.0.0.0/24, routeTable: t}}}
  two: {addressSpace: [10.1.0.0/16], subnets: {s: {addressPrefix: 10.1.0.0/24}}}
routeTables: {t: {}}
virtualMachines: {a: {subnet: one/s}, b: {subnet: two/s}, c: {subnet: two/s}}
internet: {hosts: {h: {ipAddress: 198.51.100.7}, i: {ipAddress: 198.51.100.8}}}
"""
AFTER = """
virtualNetworks:
  new: {addressSpace: [10.0.0.0/16], subnets: {s: {addressPrefix: 10.0.0.0/24}}}
  two: {addressSpace: [10.1.0.0/16], subnets: {s: {addressPrefix: 10.1.0.0/24}}}
virtualMachines: {z: {subnet: new/s}, c: {subnet: two/s}, b: {subnet: two/s}}
internet: {hosts: {j: {ipAddress: 198.51.100.9}, i: {ipAddress: 198.51.100.8}}}
"""


def test_what_stays_keeps_its_numbers_whatever_comes_and_goes() -> None:
    old = number(network_of(BEFORE))
    new = number(network_of(AFTER), old)
    assert new.vnet["two"] == old.vnet["two"] and new.table["two"] == old.table["two"]
    assert new.edge_index["two"] == old.edge_index["two"]
    for nic in ("b-nic", "c-nic"):
        assert new.port[nic] == old.port[nic]
        assert new.port_index[new.port[nic]] == old.port_index[old.port[nic]]
    assert (new.host["i"], new.host_index["i"]) == (old.host["i"], old.host_index["i"])


def test_an_interface_index_is_never_given_twice() -> None:
    old = number(network_of(BEFORE))
    new = number(network_of(AFTER), old)
    again = number(network_of(BEFORE), new)
    assert new.port_index[new.port["z-nic"]] not in old.port_index.values()
    assert again.port_index[again.port["a-nic"]] not in {*old.port_index.values(), *new.port_index.values()}
    assert again.next_index[FABRIC] > new.next_index[FABRIC] > old.next_index[FABRIC]


def test_numbers_of_networks_and_tables_are_small_and_are_used_again() -> None:
    new = number(network_of(AFTER), number(network_of(BEFORE)))
    assert sorted(new.vnet.values()) == [1, 2]
    assert sorted(new.table.values()) == [1, 2]


def test_no_two_things_share_a_number_or_a_name() -> None:
    numbering: Numbering | None = None
    for text in (BEFORE, AFTER) * 3:
        numbering = number(network_of(text), numbering)
        for numbers in (numbering.vnet, numbering.table, numbering.port_index, numbering.edge_index):
            assert len(set(numbers.values())) == len(numbers)
        names = [*numbering.port.values(), *numbering.edge_link.values(), *numbering.platform_link.values()]
        assert len(set(names)) == len(names) == len(numbering.port_index)
