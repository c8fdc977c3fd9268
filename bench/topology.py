"""The network that is measured: N machines in one virtual network, an NSG on each NIC."""

from __future__ import annotations


def scenario(machines: int, name: str = "bench") -> str:
    """A scenario file of `machines` VMs with an NSG of three rules each."""
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
    lines.append("virtualMachines:")
    for i in range(machines):
        lines.append(f"  vm{i}: {{subnet: net/s{i // 200}, networkSecurityGroup: nsg{i}}}")
    return "\n".join(lines) + "\n"
