"""Random NSGs that keep a compiler awake, as plain data, and packets that meet their edges."""

from __future__ import annotations

import random
from ipaddress import IPv4Address
from typing import Any

from stages_interpreter import Packet


def random_rule(rng: random.Random, direction: str, priority: int) -> dict[str, Any]:
    """A rule that overlaps with many others, and covers few: nested prefixes, lists, tags, ASGs."""
    protocol = rng.choice(["Tcp", "Tcp", "Udp", "*", "*", "Icmp", "Esp", "Ah"])
    rule: dict[str, Any] = {
        "priority": priority,
        "direction": direction,
        "access": rng.choice(["Allow", "Deny"]),
        "protocol": protocol,
    }
    narrow = rng.choice(["source", "destination"])
    for side in ("source", "destination"):
        rule |= _side(rng, side, 0.35 if side == narrow else 0)
    for side in ("source", "destination"):
        ported = protocol in ("Tcp", "Udp", "*") and rng.random() < (0.2 if side == "source" else 0.7)
        several = rng.random() < 0.3
        ports = list(dict.fromkeys(_port(rng) for _ in range(rng.randint(2, 4)))) if several else _port(rng)
        rule[f"{side}PortRange{'s' if ported and several else ''}"] = ports if ported else "*"
    return rule


def _port(rng: random.Random) -> str:
    first = rng.choice([0, 22, 79, 80, 443, 1000, 5000, 65535, rng.randrange(65536)])
    return str(first) if rng.random() < 0.6 else f"{first}-{min(65535, first + rng.randrange(3000))}"


def _side(rng: random.Random, side: str, least: float) -> dict[str, Any]:
    kind = rng.uniform(least, 1)
    if kind < 0.15:
        return {f"{side}AddressPrefix": "*"}
    if kind < 0.25:
        tag = rng.choice(["VirtualNetwork", "Internet", "AzureLoadBalancer", "Storage", "AzureCloud", "Sql"])
        return {f"{side}AddressPrefix": tag}
    if kind < 0.35:
        return {
            f"{side}ApplicationSecurityGroups": rng.sample(["asg0", "asg1", "asg2", "asg-empty"], rng.randint(1, 2))
        }
    if kind < 0.55:
        prefixes = list(dict.fromkeys(_prefix(rng) for _ in range(rng.randint(2, 4))))
        return {f"{side}AddressPrefixes": prefixes}
    return {f"{side}AddressPrefix": _prefix(rng)}


def _prefix(rng: random.Random) -> str:
    length = rng.choice([8, 16, 24, 28, 30, 31, *[32] * 12])
    address = _address(rng) & ~((1 << 32 - length) - 1)
    return f"{IPv4Address(address)}/{length}"


def _address(rng: random.Random) -> int:
    base = rng.choice(["10.0.0.0", "10.0.0.0", "10.0.1.0", "10.0.200.0", "10.1.0.0", "20.60.0.0", "198.51.100.0"])
    return int(IPv4Address(base)) + rng.randrange(24)


def scenario(rng: random.Random, count: int, direction: str) -> dict[str, Any]:
    """A network with one NSG of so many rules."""
    rules = {f"r{i}": random_rule(rng, direction, 100 + 2 * i) for i in range(count)}
    groups = ["asg0", "asg1", "asg2"]
    return {
        "name": "unit",
        "virtualNetworks": {
            "net": {
                "addressSpace": ["10.0.0.0/16"],
                "subnets": {"s": {"addressPrefix": "10.0.0.0/24", "networkSecurityGroup": "nsg"}},
            }
        },
        "applicationSecurityGroups": {name: {} for name in [*groups, "asg-empty"]},
        "networkSecurityGroups": {"nsg": {"securityRules": rules}},
        "virtualMachines": {
            f"vm{i}": {"subnet": "net/s", "applicationSecurityGroups": rng.sample(groups, rng.randint(1, 2))}
            for i in range(8)
        },
    }


def random_packet(rng: random.Random) -> Packet:
    """A packet at the places that the rules name."""
    protocol = rng.choice([6, 6, 6, 17, 17, 1, 50, 51, 132])
    source, destination = _address(rng), _address(rng)
    if protocol not in (6, 17):
        return Packet(protocol, source, destination)
    ports = [min(65535, max(0, int(_port(rng).split("-")[0]) + rng.choice([0, 0, 0, -1, 1]))) for _ in range(2)]
    return Packet(protocol, source, destination, *ports)
