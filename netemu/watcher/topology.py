"""The topology of a scenario, as Azure answers for a resource group (NW-14).

A VM contains its NICs, a network its subnets, an NSG its own rules, a load balancer its frontends and pools; all else
is associated: NICs and subnets with what they have, public IPs with who has them.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from netemu.azure.network import Frontend, Network, Nic
from netemu.watcher.ids import Ids

Association = tuple[str, str, str]
"""Name, id, `Contains` or `Associated`."""


def topology(network: Network, created: datetime, modified: datetime) -> dict[str, Any]:
    """Every resource with its associations; when the answer was made, and when the network was changed last."""
    return {
        "id": Ids(network.name).guid("topology"),
        "createdDateTime": _time(created),
        "lastModified": _time(modified),
        "resources": _Resources(network).found,
    }


class _Resources:
    """The resources of a network, one after the other."""

    def __init__(self, network: Network) -> None:
        self.network, self.scenario, self.ids = network, network.scenario, Ids(network.name)
        self.found: list[dict[str, Any]] = []
        self._machines()
        self._virtual_networks()
        self._security_groups()
        for name, table in self.scenario.routeTables.items():
            self._add(name, self.ids.route_table(name), table.location)
        self._load_balancers()
        self._outbound()
        self._public_ips()

    def _add(self, name: str, resource: str, location: str | None, *associations: Association) -> None:
        self.found.append(_resource(name, resource, location or self.scenario.location, associations))

    def _machines(self) -> None:
        ids = self.ids
        for machine in self.network.machines.values():
            contained = (_contains(nic.name, ids.network_interface(nic.name)) for nic in machine.nics)
            location = self.scenario.virtualMachines[machine.name].location
            self._add(machine.name, ids.virtual_machine(machine.name), location, *contained)
            for nic in machine.nics:
                written = self.scenario.networkInterfaces.get(nic.name)
                location = written.location if written is not None else None
                self._add(nic.name, ids.network_interface(nic.name), location, *_of_nic(ids, nic))

    def _virtual_networks(self) -> None:
        ids = self.ids
        for virtual_network in self.network.virtualNetworks.values():
            location = self.scenario.virtualNetworks[virtual_network.name].location
            subnets = virtual_network.subnets.values()
            contained = (_contains(subnet.name, ids.subnet(subnet.path)) for subnet in subnets)
            self._add(virtual_network.name, ids.virtual_network(virtual_network.name), location, *contained)
            for subnet in subnets:
                named = (
                    (subnet.networkSecurityGroup, ids.security_group),
                    (subnet.routeTable, ids.route_table),
                    (subnet.natGateway, ids.nat_gateway),
                )
                associated = (_associated(name, resource(name)) for name, resource in named if name is not None)
                self._add(subnet.name, ids.subnet(subnet.path), location, *associated)

    def _security_groups(self) -> None:
        for group, rules in self.scenario.networkSecurityGroups.items():
            named = [(name, self.ids.security_rule(group, name, default=False)) for name in rules.securityRules]
            self._add(group, self.ids.security_group(group), rules.location, *(_contains(*rule) for rule in named))
            for name, resource in named:
                self._add(name, resource, rules.location)

    def _load_balancers(self) -> None:
        """A load balancer contains its frontends and pools."""
        ids = self.ids
        for balancer in self.network.loadBalancers.values():
            name, where = balancer.name, balancer.location
            fronts = {key: ids.load_balancer(f"{name}/frontendIPConfigurations/{key}") for key in balancer.frontends}
            pools = {key: ids.load_balancer(f"{name}/backendAddressPools/{key}") for key in balancer.pools}
            parts = (_contains(*part) for part in (*fronts.items(), *pools.items()))
            self._add(name, ids.load_balancer(name), where, *parts)
            for key, frontend in balancer.frontends.items():
                self._add(key, fronts[key], where, *self._of_frontend(frontend))
            for key, pool in balancer.pools.items():
                nics = dict.fromkeys(member.nic.name for member in pool.members)
                self._add(key, pools[key], where, *(_associated(nic, ids.network_interface(nic)) for nic in nics))

    def _of_frontend(self, frontend: Frontend) -> Iterator[Association]:
        if frontend.publicIP is not None:
            yield _associated(frontend.publicIP.name, self.ids.public_ip(frontend.publicIP.name))
        if frontend.publicIPPrefix is not None:
            yield _associated(frontend.publicIPPrefix.name, self.ids.public_ip_prefix(frontend.publicIPPrefix.name))
        if frontend.subnet is not None:
            yield _associated(frontend.subnet.name, self.ids.subnet(frontend.subnet.path))

    def _outbound(self) -> None:
        ids = self.ids
        for name, gateway in self.scenario.natGateways.items():
            using = [_associated(ip, ids.public_ip(ip)) for ip in gateway.publicIPAddresses]
            using += [_associated(prefix, ids.public_ip_prefix(prefix)) for prefix in gateway.publicIPPrefixes]
            self._add(name, ids.nat_gateway(name), gateway.location, *using)
        for name, prefix in self.scenario.publicIPPrefixes.items():
            self._add(name, ids.public_ip_prefix(name), prefix.location)

    def _public_ips(self) -> None:
        ids = self.ids
        users: dict[str, list[Association]] = {}
        for nic, config in self.network.addresses():
            if config.publicIP is not None:
                associated = _associated(nic.name, ids.network_interface(nic.name))
                users.setdefault(config.publicIP.name, []).append(associated)
        for frontend in self.network.frontends():
            if frontend.publicIP is not None:
                path = ids.load_balancer(f"{frontend.loadBalancer}/frontendIPConfigurations/{frontend.name}")
                users.setdefault(frontend.publicIP.name, []).append(_associated(frontend.name, path))
        for name, gateway in self.scenario.natGateways.items():
            for ip in gateway.publicIPAddresses:
                users.setdefault(ip, []).append(_associated(name, ids.nat_gateway(name)))
        for name, written in self.scenario.publicIPAddresses.items():
            self._add(name, ids.public_ip(name), written.location, *users.get(name, ()))


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
