"""Large documents are answered in a time that grows as they do; the quadratic ones took minutes."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest
from judge import limited

from netemu.errors import ScenarioError
from netemu.scenario import read_text

NET = "virtualNetworks: {net: {addressSpace: 10.0.0.0/8, subnets: {s: {addressPrefix: 10.0.0.0/9}}}}\n"
SECONDS = 15.0
"""Each document here takes less than a second on an idle machine; what grew as the square took 10 s to minutes."""


def join(parts: Iterable[str]) -> str:
    return ", ".join(parts)


def small(number: int, first: int = 10) -> str:
    """One of many /29."""
    return f"{first}.{number >> 13}.{number >> 5 & 255}.{(number & 31) * 8}/29"


def prefixes_of_one_network(n: int) -> str:
    return f"virtualNetworks: {{net: {{addressSpace: [{join(small(i) for i in range(n))}]}}}}"


def prefixes_of_peered_networks(n: int) -> str:
    return (
        f"virtualNetworks: {{net: {{addressSpace: [{join(small(i) for i in range(n))}],"
        f" virtualNetworkPeerings: {{p: {{remoteVirtualNetwork: far}}}}}},"
        f" far: {{addressSpace: [{join(small(i, 11) for i in range(n))}]}}}}"
    )


def peers_of_large_networks(n: int) -> str:
    """Hubs with many prefixes, and a spoke of each pair of them."""
    hubs = n // 800
    each = "".join(f" hub{h}: {{addressSpace: [{join(small(i, 10 + h) for i in range(800))}]}}\n" for h in range(hubs))
    spokes = "".join(
        f" spoke{s}: {{addressSpace: 172.16.{s % 256}.0/24, virtualNetworkPeerings: {{"
        + join(f"p{h}: {{remoteVirtualNetwork: hub{h}}}" for h in range(hubs)) + "}}\n"
        for s in range(n // 40)
    )  # fmt: skip
    return f"virtualNetworks:\n{each}{spokes}"


def subnets_and_prefixes(n: int) -> str:
    subnets = join(f"s{i}: {{addressPrefix: {small(i)}}}" for i in range(n))
    return f"virtualNetworks: {{net: {{addressSpace: [{join(small(i) for i in range(n))}], subnets: {{{subnets}}}}}}}"


def equal_subnets(n: int) -> str:
    subnets = join(f"s{i}: {{addressPrefix: 10.0.0.0/24}}" for i in range(n))
    return f"virtualNetworks: {{net: {{addressSpace: 10.0.0.0/8, subnets: {{{subnets}}}}}}}"


def hosts_and_networks(n: int) -> str:
    networks = join(f"n{i}: {{addressSpace: 10.0.0.0/16}}" for i in range(n))
    hosts = join(f"h{i}: {{ipAddress: 50.0.{i >> 8}.{i & 255}}}" for i in range(n))
    return f"virtualNetworks: {{{networks}}}\ninternet: {{hosts: {{{hosts}}}}}"


def machines(n: int) -> str:
    return NET + f"virtualMachines: {{{join(f'v{i}: {{subnet: net/s}}' for i in range(n))}}}"


def nics_of_one_machine(n: int) -> str:
    nics = join(f"n{i}: {{subnet: net/s}}" for i in range(n))
    return (
        NET
        + f"networkInterfaces: {{{nics}}}\nvirtualMachines: {{v: {{networkInterfaces: [{join(f'n{i}' for i in range(n))}]}}}}"
    )


def strangers(n: int) -> str:
    """Misspelt names, each to be compared with many."""
    groups = join(f"group{i}: " for i in range(n))
    vms = join(f"v{i}: {{subnet: net/s, networkSecurityGroup: gruop{i}}}" for i in range(n))
    return NET + f"networkSecurityGroups: {{{groups}}}\nvirtualMachines: {{{vms}}}"


def expectations(n: int) -> str:
    vms = NET + "virtualMachines: {v: {subnet: net/s}}\n"
    return vms + f"expect: [{join('{from: v/10.0.0.4, to: 10.0.0.9, port: 1, access: Allow}' for _ in range(n))}]"


def ports_of_one_rule(n: int) -> str:
    rule = "priority: 100, direction: Inbound, access: Allow, protocol: Tcp"
    return f"networkSecurityGroups: {{g: {{securityRules: {{r: {{{rule}, destinationPortRange: [{join(map(str, range(n)))}]}}}}}}}}"


def one_name_again_and_again(n: int) -> str:
    return "a: 1\n" * n


def one_long_text(n: int) -> str:
    return NET + f"virtualMachines: {{v: {{subnet: net/s, run: '{'a ' * 20 * n}'}}}}"


def one_long_name(n: int) -> str:
    return f"internet: {{hosts: {{{'a-' * 20 * n}: {{ipAddress: 50.0.0.1}}}}}}"


LARGE = [
    prefixes_of_one_network, prefixes_of_peered_networks, peers_of_large_networks, subnets_and_prefixes, equal_subnets,
    hosts_and_networks, machines, nics_of_one_machine, strangers, expectations, ports_of_one_rule,
    one_name_again_and_again, one_long_text, one_long_name,
]  # fmt: skip


@pytest.mark.parametrize("make", LARGE, ids=lambda make: make.__name__)
def test_a_large_document_is_answered_soon(make: Callable[[int], str]) -> None:
    text = "name: lab\n" + make(8000)
    with limited(SECONDS):
        try:
            read_text(text)
        except ScenarioError as error:
            assert len(error.problems) <= 1000
