"""The topology of a scenario, as Azure answers for a resource group (NW-14).

A VM contains its NICs, a network its subnets, an NSG its own rules; all else is associated, NICs with what they have,
public IPs with their NIC.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from netemu.azure.network import Network, Nic
from netemu.watcher.ids import Ids

Association = tuple[str, str, str]
"""Name, id, `Contains` or `Associated`."""


def topology(network: Network, created: datetime, modified: datetime) -> dict[str, Any]:
    """Every resource with its associations; when the answer was made, and when the network was changed last."""
    scenario, ids = network.scenario, Ids(network.name)
    resources: list[dict[str, Any]] = []

    def add(name: str, resource: str, location: str | None, *associations: Association) -> None:
        where = location or scenario.location
        resources.append(_resource(name, resource, where, associations))

    for machine in network.machines.values():
        contained = (_contains(nic.name, ids.network_interface(nic.name)) for nic in machine.nics)
        location = scenario.virtualMachines[machine.name].location
        add(machine.name, ids.virtual_machine(machine.name), location, *contained)
        for nic in machine.nics:
            written = scenario.networkInterfaces.get(nic.name)
            add(nic.name, ids.network_interface(nic.name), written.location if written else None, *_of_nic(ids, nic))
    for virtual_network in network.virtualNetworks.values():
        location = scenario.virtualNetworks[virtual_network.name].location
        subnets = virtual_network.subnets.values()
        contained = (_contains(subnet.name, ids.subnet(subnet.path)) for subnet in subnets)
        add(virtual_network.name, ids.virtual_network(virtual_network.name), location, *contained)
        for subnet in subnets:
            associated = [
                _associated(name, resource(name))
                for name, resource in (
                    (subnet.networkSecurityGroup, ids.security_group),
                    (subnet.routeTable, ids.route_table),
                )
                if name is not None
            ]
            add(subnet.name, ids.subnet(subnet.path), location, *associated)
    for group, rules in scenario.networkSecurityGroups.items():
        named = [(name, ids.security_rule(group, name, default=False)) for name in rules.securityRules]
        add(group, ids.security_group(group), rules.location, *(_contains(*rule) for rule in named))
        for name, resource in named:
            add(name, resource, rules.location)
    for table, content in scenario.routeTables.items():
        add(table, ids.route_table(table), content.location)
    for name, ip in scenario.publicIPAddresses.items():
        owner = network.public_owner(network.publicIPs[name].address)
        using = [_associated(owner[0].name, ids.network_interface(owner[0].name))] if owner is not None else []
        add(name, ids.public_ip(name), ip.location, *using)
    return {
        "id": ids.guid("topology"),
        "createdDateTime": _time(created),
        "lastModified": _time(modified),
        "resources": resources,
    }


def _of_nic(ids: Ids, nic: Nic) -> list[Association]:
    found = [_associated(nic.machine, ids.virtual_machine(nic.machine))]
    if nic.networkSecurityGroup is not None:
        found.append(_associated(nic.networkSecurityGroup, ids.security_group(nic.networkSecurityGroup)))
    found.append(_associated(nic.subnet.name, ids.subnet(nic.subnet.path)))
    for config in nic.ipConfigs:
        if config.publicIP is not None:
            found.append(_associated(config.publicIP.name, ids.public_ip(config.publicIP.name)))
    return found


def _contains(name: str, resource: str) -> Association:
    return name, resource, "Contains"


def _associated(name: str, resource: str) -> Association:
    return name, resource, "Associated"


def _resource(name: str, resource: str, location: str, associations: tuple[Association, ...]) -> dict[str, Any]:
    return {
        "name": name,
        "id": resource,
        "location": location,
        "associations": [
            {"name": other, "resourceId": there, "associationType": kind} for other, there, kind in associations
        ],
        "properties": {},
    }


def _time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
