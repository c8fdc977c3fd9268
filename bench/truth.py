"""What is measured of truth: verdicts in a second, and flows of the matrix judged in a second."""

from __future__ import annotations

import random
import time
from collections.abc import Callable

from netemu.azure.flow import Flow
from netemu.azure.network import Network, resolve
from netemu.azure.verdict import Engine
from netemu.scenario import read_text

SUBNETS = 10
ANY = '"*"'


def scenario(machines: int, rules: int, name: str = "bench-truth") -> str:
    """Machines in ten subnets with an NSG each, and so many rules in all, of every kind; equal for equal numbers."""
    rng = random.Random(rules)
    prefixes = [f"10.0.{i}.0/24" for i in range(SUBNETS)]
    lines = [f"name: {name}", "virtualNetworks:", "  net:", "    addressSpace: 10.0.0.0/16", "    subnets:"]
    lines += [
        f"      s{i}: {{addressPrefix: {prefix}, networkSecurityGroup: nsg{i}}}" for i, prefix in enumerate(prefixes)
    ]
    lines.append("networkSecurityGroups:")
    for group in range(SUBNETS):
        lines += [f"  nsg{group}:", "    securityRules:"]
        for number in range(rules // SUBNETS):
            first = rng.randrange(1, 65000)
            lines.append(
                f"      r{number}: {{priority: {100 + number}, direction: {'Inbound' if number % 2 else 'Outbound'},"
                f" access: {rng.choice(('Allow', 'Deny'))}, protocol: {rng.choice(('Tcp', 'Udp', ANY))},"
                f" sourceAddressPrefix: {rng.choice(('VirtualNetwork', rng.choice(prefixes), ANY))},"
                f" sourcePortRange: {ANY}, destinationAddressPrefix: {rng.choice((rng.choice(prefixes), ANY))},"
                f" destinationPortRange: {first}-{first + rng.randrange(1, 400)}}}"
            )
    lines.append("virtualMachines:")
    lines += [f"  vm{i}: {{subnet: net/s{i % SUBNETS}}}" for i in range(machines)]
    lines.append("internet: {hosts: {visitor: {ipAddress: 198.51.100.7}}}")
    return "\n".join(lines) + "\n"


def flows(network: Network, count: int) -> list[Flow]:
    """Flows between NICs, every one another."""
    rng = random.Random(count)
    nics = list(network.nics)
    drawn = (rng.sample(nics, 2) for _ in range(count))
    return [
        Flow(
            source, network.nics[target].address, rng.choice(("Tcp", "Udp", "Icmp")), rng.randrange(1, 65536),
            rng.randrange(20000, 60000),
        )
        for source, target in drawn
    ]  # fmt: skip


def verdicts_per_second(machines: int = 100, rules: int = 1000, count: int = 20_000) -> float:
    """Verdicts in a second of one core, replies included; the engine is made before."""
    network = resolve(read_text(scenario(machines, rules)))
    engine = Engine(network)
    every = flows(network, count)
    return count / seconds(lambda: [engine.judge(flow) for flow in every])


def seconds(action: Callable[[], object]) -> float:
    """Wall time."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


if __name__ == "__main__":
    print(f"{verdicts_per_second():9.0f} verdicts/s, 100 VMs, 1000 rules")
