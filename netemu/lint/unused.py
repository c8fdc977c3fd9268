"""Resources that nobody uses."""

from __future__ import annotations

from netemu.lint.findings import Subject


def check(subject: Subject) -> None:
    """Look for what nothing refers to."""
    scenario = subject.scenario
    subnets = list(subject.network.subnets())
    nics = subject.expanded.nics.values()
    configs = [config for nic in nics for config in (nic.ipConfigurations or {}).values()]
    rules = [rule for group in scenario.networkSecurityGroups.values() for rule in group.securityRules.values()]
    named = {
        name
        for rule in rules
        for groups in (rule.sourceApplicationSecurityGroups, rule.destinationApplicationSecurityGroups)
        for name in groups or ()
    }
    attached = {nic for names in subject.expanded.machine_nics.values() for nic in names}
    addresses = {config.publicIPAddress for config in configs}
    prefixes: set[str | None] = set()
    for balancer in scenario.loadBalancers.values():
        addresses |= {frontend.publicIPAddress for frontend in balancer.frontendIPConfigurations.values()}
        prefixes |= {frontend.publicIPPrefix for frontend in balancer.frontendIPConfigurations.values()}
    for gateway in scenario.natGateways.values():
        addresses.update(gateway.publicIPAddresses)
        prefixes.update(gateway.publicIPPrefixes)
    for section, used, what, instead in (
        (
            "networkSecurityGroups",
            {subnet.networkSecurityGroup for subnet in subnets} | {nic.networkSecurityGroup for nic in nics},
            "no subnet and no NIC has this NSG", "associate it, or remove it",
        ),
        (
            "routeTables", {subnet.routeTable for subnet in subnets},
            "no subnet has this route table", "associate it, or remove it",
        ),
        ("publicIPAddresses", addresses, "nothing has this public IP", "give it to something, or remove it"),
        ("publicIPPrefixes", prefixes, "nothing has this prefix", "give it to something, or remove it"),
        (
            "natGateways", {subnet.natGateway for subnet in subnets},
            "no subnet has this NAT gateway", "let one have it, or remove it",
        ),
        (
            "applicationSecurityGroups", named,
            "no security rule names this ASG", "name it in a rule, or remove it",
        ),
        ("networkInterfaces", attached, "no virtual machine has this NIC", "give it to one, or remove it"),
    ):  # fmt: skip
        for name in getattr(scenario, section):
            if name not in used:
                subject.add((section, name), "", "unused", what, instead)
