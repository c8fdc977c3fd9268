"""What is open to the internet that should not be, and public IPs that are closed or open without anybody saying so."""

from __future__ import annotations

from netemu.azure import tags
from netemu.azure.coverage import Region, Undecided, meet, uncovered
from netemu.azure.flow import TCP
from netemu.azure.network import Nic
from netemu.azure.prefixes import EVERY_ADDRESS, EVERY_PORT, IntervalSet
from netemu.lint.balancers import members
from netemu.lint.deciding import Gate, Use, gates, uses
from netemu.lint.findings import Subject, has_security_group, several

MANAGEMENT = {
    22: "SSH", 23: "Telnet", 135: "RPC", 445: "SMB", 2375: "Docker", 2376: "Docker", 3389: "RDP", 5900: "VNC",
    5985: "WinRM", 5986: "WinRM", 10250: "kubelet",
}  # fmt: skip
"""Ports that give command of a machine."""

PUBLIC = EVERY_ADDRESS - IntervalSet.of_prefixes(tags.NOT_PUBLIC)

WIDE = 1 << 24
"""So many public addresses are the internet; fewer are somebody's network."""


def check(subject: Subject) -> None:
    """Look at rules that let the internet in, and at public IPs without an NSG."""
    for group, where in uses(subject.network).items():
        for gate in gates(subject.network, group, where, "Inbound"):
            _management(subject, group, where, gate)
    for nic in subject.network.nics.values():
        if not has_security_group(nic):
            _without_group(subject, nic)


def _management(subject: Subject, group: str, where: list[Use], gate: Gate) -> None:
    written = subject.scenario.networkSecurityGroups[group].securityRules
    for place, rule in enumerate(gate.rules):
        if rule.isDefault or rule.access == "Deny" or (rule.sources & PUBLIC).size() < WIDE:
            continue
        path = ("networkSecurityGroups", group, "securityRules", rule.name)
        name = "/".join((*path, "open-management-port"))
        if any(finding.name == name for finding in subject.findings):
            continue  # told of another place already
        before = [region for regions in gate.regions[:place] for region in regions]
        ports = [port for port in MANAGEMENT if _lets_in(gate, place, before, port)]
        if not ports:
            continue
        spoken = ", ".join(f"{port} ({MANAGEMENT[port]})" for port in ports)
        within = "sourceAddressPrefix" if written[rule.name].sourceAddressPrefix else "sourceAddressPrefixes"
        subject.add(
            path, within, "open-management-port", f"opens {spoken} to the internet{_reached(subject, where)}",
            "name the addresses that administer",
        )  # fmt: skip


def _lets_in(gate: Gate, place: int, before: list[Region], port: int) -> bool:
    """Does the rule decide a packet from the internet to this port?"""
    tcp, ports = IntervalSet((TCP, TCP + 1)), IntervalSet((port, port + 1))
    asked = Region(tcp, PUBLIC, EVERY_ADDRESS, EVERY_PORT, ports)
    try:
        return uncovered(meet(gate.own(place), (asked,)), before) is not None
    except Undecided:
        return False


def _reached(subject: Subject, where: list[Use]) -> str:
    """Who is behind it with a public address, be it that of a load balancer."""
    balanced = {
        member.path
        for balancer in subject.network.loadBalancers.values()
        if balancer.is_public
        for member in members(balancer)
    }
    names = [
        nic.machine
        for nic, config in subject.network.addresses()
        if (config.publicIP is not None or f"{nic.name}/{config.name}" in balanced)
        and any(
            use.context.virtualNetwork == nic.subnet.virtualNetwork and config.address in use.addresses for use in where
        )
    ]
    return f": {several(list(dict.fromkeys(names)))}" if names else ""


def _without_group(subject: Subject, nic: Nic) -> None:
    for config in nic.ipConfigs:
        if config.publicIP is None:
            continue
        path = ("publicIPAddresses", config.publicIP.name)
        if config.publicIP.sku == "Standard":
            subject.add(
                path, "", "closed-public-ip",
                f"nobody gets in: it is Standard, and neither `{nic.name}` nor its subnet {nic.subnet.path} has an NSG"
                " (OUT-17)",
                f"give `{nic.name}` an NSG that allows what should get in",
            )  # fmt: skip
        else:
            subject.add(
                path, "", "open-public-ip",
                f"everything gets in: it is Basic, and neither `{nic.name}` nor its subnet {nic.subnet.path} has an NSG"
                " (OUT-17)",
                f"give `{nic.name}` an NSG",
            )  # fmt: skip
