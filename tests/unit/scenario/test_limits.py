"""How many there may be of each (VN-14): the limit itself passes, one more does not."""

from __future__ import annotations

import pytest

from netemu.errors import ScenarioError
from netemu.scenario import read_text


def routes(count: int) -> str:
    entries = ", ".join(
        f"r{n}: {{addressPrefix: 10.{n // 256}.{n % 256}.0/24, nextHopType: None}}" for n in range(count)
    )
    return f"routeTables: {{rt: {{routes: {{{entries}}}}}}}"


def rules(count: int) -> str:
    entries = ", ".join(
        f"r{n}: {{priority: {100 + n}, direction: Inbound, access: Deny, protocol: '*'}}" for n in range(count)
    )
    return f"networkSecurityGroups: {{nsg: {{securityRules: {{{entries}}}}}}}"


def prefixes(count: int) -> str:
    entries = ", ".join(f"10.{n // 256}.{n % 256}.0/24" for n in range(count))
    return (
        "networkSecurityGroups: {nsg: {securityRules: {r: {priority: 100, direction: Inbound, access: Deny, "
        f"protocol: '*', sourceAddressPrefixes: [{entries}]}}}}}}}}"
    )


def tables(count: int) -> str:
    return "routeTables: {" + ", ".join(f"rt{n}: " for n in range(count)) + "}"


def networks(count: int) -> str:
    return "virtualNetworks: {" + ", ".join(f"n{n}: {{addressSpace: 10.0.0.0/16}}" for n in range(count)) + "}"


NETWORK = "virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {s: {addressPrefix: 10.0.0.0/20}}}}\n"


def spaces(count: int) -> str:
    entries = ", ".join(f"10.{n // 256}.{n % 256}.0/24" for n in range(count))
    return f"virtualNetworks: {{net: {{addressSpace: [{entries}]}}}}"


def addresses(count: int) -> str:
    entries = ", ".join(f"c{n}: {{subnet: net/s}}" for n in range(count))
    return f"{NETWORK}networkInterfaces: {{nic: {{ipConfigurations: {{{entries}}}}}}}"


def machine_addresses(count: int) -> str:
    nics = ", ".join(f"nic{n}: {{subnet: net/s}}" for n in range(count))
    names = ", ".join(f"nic{n}" for n in range(count))
    return f"{NETWORK}networkInterfaces: {{{nics}}}\nvirtualMachines: {{vm: {{networkInterfaces: [{names}]}}}}"


def memberships(count: int) -> str:
    groups = ", ".join(f"g{n}: " for n in range(count))
    names = ", ".join(f"g{n}" for n in range(count))
    return (
        f"{NETWORK}applicationSecurityGroups: {{{groups}}}\n"
        f"virtualMachines: {{vm: {{subnet: net/s, applicationSecurityGroups: [{names}]}}}}"
    )


LIMITS = [
    (routes, 400, "routeTables/rt: 401 routes; at most 400"),
    (rules, 1000, "networkSecurityGroups/nsg: 1001 securityRules; at most 1000"),
    (prefixes, 4000, "networkSecurityGroups/nsg/securityRules/r: 4001 sourceAddressPrefixes; at most 4000"),
    (tables, 200, "201 routeTables; at most 200"),
    (networks, 1000, "1001 virtualNetworks; at most 1000"),
    (spaces, 1000, "virtualNetworks/net: 1001 prefixes; at most 1000"),
    (addresses, 256, "networkInterfaces/nic: 257 ipConfigurations; at most 256"),
    (machine_addresses, 256, "virtualMachines/vm: 257 private addresses; at most 256"),
    (memberships, 20, "virtualMachines/vm: 21 applicationSecurityGroups; at most 20"),
]


@pytest.mark.azure("VN-14")
@pytest.mark.parametrize(("make", "most", "message"), LIMITS, ids=[limit[0].__name__ for limit in LIMITS])
def test_the_limit_passes_and_one_more_does_not(make, most: int, message: str) -> None:
    read_text("name: lab\n" + make(most))
    with pytest.raises(ScenarioError) as caught:
        read_text("name: lab\n" + make(most + 1))
    (problem,) = caught.value.problems
    assert f"{message} (ResourceCountExceedsLimit)" in str(problem)
