"""The networks that are measured."""

from __future__ import annotations


def scenario(machines: int, name: str = "bench", rules: int = 0, port: int = 80) -> str:
    """A scenario file of `machines` VMs with an NSG of three rules each.

    With `rules`, the first VM has an NSG of so many instead, and the one in their middle is about `port`.
    """
    lines = [
        f"name: {name}",
        "virtualNetworks:",
        "  net:",
        "    addressSpace: 10.0.0.0/8",
        "    subnets:",
    ]
    for subnet in range((machines + 199) // 200):
        lines.append(f"      s{subnet}: {{addressPrefix: 10.{subnet}.0.0/16}}")
    lines.append("networkSecurityGroups:")
    for i in range(machines):
        lines += [
            f"  nsg{i}:",
            "    securityRules:",
            "      allow-web: {priority: 100, direction: Inbound, access: Allow, protocol: Tcp,",
            '        sourceAddressPrefix: VirtualNetwork, destinationAddressPrefix: "*",',
            "        destinationPortRange: [80, 443]}",
            "      deny-ssh: {priority: 110, direction: Inbound, access: Deny, protocol: Tcp,",
            '        sourceAddressPrefix: "*", destinationAddressPrefix: "*", destinationPortRange: 22}',
            "      no-smtp: {priority: 100, direction: Outbound, access: Deny, protocol: Tcp,",
            '        sourceAddressPrefix: "*", destinationAddressPrefix: Internet, destinationPortRange: 25}',
        ]
    if rules:
        lines += long_group("many", rules, port)
    lines.append("virtualMachines:")
    for i in range(machines):
        group = "many" if rules and i == 0 else f"nsg{i}"
        lines.append(f"  vm{i}: {{subnet: net/s{i // 200}, networkSecurityGroup: {group}}}")
    return "\n".join(lines) + "\n"


def star(machines: int, name: str) -> str:
    """`machines` VMs in one subnet, without any rule."""
    lines = [
        f"name: {name}",
        "virtualNetworks: {net: {addressSpace: 10.0.0.0/8, subnets: {s: {addressPrefix: 10.0.0.0/16}}}}",
        "virtualMachines:",
        *(f"  vm{i}: {{subnet: net/s}}" for i in range(machines)),
    ]
    return "\n".join(lines) + "\n"


def long_group(name: str, rules: int, port: int = 80) -> list[str]:
    """An NSG as it grows in years: sources and ports of all kinds, and what is measured is allowed at the very end."""
    lines = [f"  {name}:", "    securityRules:"]
    for i in range(rules):
        source = f"172.{16 + i % 16}.{i // 16 % 256}.0/24" if i % 3 else f"10.{i % 200 + 20}.0.0/16"
        to = port if i == rules // 2 else 1000 + i
        access = "Allow" if i % 2 else "Deny"
        if i == rules - 1:
            source, to, access = "10.0.0.0/16", "80-81", "Allow"
        lines += [
            f"      r{i}: {{priority: {100 + i}, direction: Inbound, access: {access}, protocol: Tcp,",
            f'        sourceAddressPrefix: {source}, destinationAddressPrefix: "*", destinationPortRange: {to}}}',
        ]
    return lines


def middle_chain(rules: int) -> str:
    """The chain of the rule in the middle of the long NSG."""
    return f"inbound/many//r{rules // 2}"


def two_pairs(name: str, rules: int) -> str:
    """A client and two servers: behind an empty NSG, and behind a long one."""
    lines = [
        f"name: {name}",
        "virtualNetworks:",
        "  net: {addressSpace: 10.0.0.0/16, subnets: {s: {addressPrefix: 10.0.0.0/24}}}",
        "networkSecurityGroups:",
        "  none: {}",
        *long_group("long", rules),
        "virtualMachines:",
        "  client: {subnet: net/s, privateIPAddress: 10.0.0.4}",
        "  empty: {subnet: net/s, privateIPAddress: 10.0.0.5, networkSecurityGroup: none}",
        "  many: {subnet: net/s, privateIPAddress: 10.0.0.6, networkSecurityGroup: long}",
    ]
    return "\n".join(lines) + "\n"
