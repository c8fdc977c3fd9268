"""What differs between two versions of a scenario: resources and their properties, in ARM's words. Pure.

Both are compared in their long form, with every default written out: what means the same is no difference. `expect` is
no resource.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import msgspec
from msgspec import Struct

from netemu.azure.allocation import SHORT_FORM, expand
from netemu.azure.resources import Scenario

Action = Literal["create", "update", "delete"]

CHILDREN = {
    "virtualNetworks": ("subnets", "virtualNetworkPeerings"),
    "networkSecurityGroups": ("securityRules",),
    "routeTables": ("routes",),
    "networkInterfaces": ("ipConfigurations",),
}
"""The properties that ARM has as resources of their own, below their parent."""

OF_THE_NIC = (*SHORT_FORM, "networkSecurityGroup", "enableIPForwarding")
"""What the short form of a VM says about its only NIC."""


class PropertyChange(Struct, frozen=True):
    """A property whose value differs; `before` and `after` are None where there is no value."""

    name: str
    before: Any
    after: Any


class ResourceChange(Struct, frozen=True):
    """A resource that comes, changes or goes."""

    resource: str
    """Its path, for example `networkSecurityGroups/web-nsg/securityRules/allow-http`."""
    action: Action
    properties: tuple[PropertyChange, ...] = ()
    """Those that differ; of a resource that comes or goes, those that have a value."""


def azure_changes(old: Scenario | None, new: Scenario | None) -> list[ResourceChange]:
    """The changes that lead from one version to another, in the order of the newer one; what goes comes last."""
    before = dict(_resources(old)) if old is not None else {}
    after = dict(_resources(new)) if new is not None else {}
    changes = []
    for path in (*after, *(path for path in before if path not in after)):
        action: Action = "create" if path not in before else "delete" if path not in after else "update"
        properties = tuple(_properties(before.get(path, {}), after.get(path, {})))
        if properties or action != "update":
            changes.append(ResourceChange(path, action, properties))
    return changes


def _properties(before: dict[str, Any], after: dict[str, Any]) -> Iterator[PropertyChange]:
    for name in dict.fromkeys([*after, *before]):
        if before.get(name) != after.get(name):
            yield PropertyChange(name, before.get(name), after.get(name))


def _resources(scenario: Scenario) -> Iterator[tuple[str, dict[str, Any]]]:
    """Every resource by its path, with the properties that have a value."""
    content = msgspec.to_builtins(scenario)
    long = expand(scenario)
    nics = {name: msgspec.to_builtins(nic) for name, nic in long.nics.items()}
    machines = content["virtualMachines"]
    for name, machine in machines.items():
        for short in OF_THE_NIC:
            machine.pop(short, None)
        machine["networkInterfaces"] = list(long.machine_nics[name])
    for kind in ("virtualNetworks", "networkSecurityGroups", "applicationSecurityGroups", "routeTables",
                 "publicIPAddresses"):  # fmt: skip
        yield from _of_kind(kind, content[kind])
    yield from _of_kind("networkInterfaces", nics)
    yield from _of_kind("virtualMachines", machines)
    yield from _of_kind("internet/hosts", content["internet"]["hosts"])


def _of_kind(kind: str, items: dict[str, dict[str, Any]]) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, properties in items.items():
        children = {child: properties.pop(child, None) or {} for child in CHILDREN.get(kind, ())}
        yield f"{kind}/{name}", dict(_leaves("", properties))
        for child, entries in children.items():
            for key, entry in entries.items():
                yield f"{kind}/{name}/{child}/{key}", dict(_leaves("", entry))


def _leaves(prefix: str, value: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    """Properties down to the leaf, as `dnsSettings.dnsServers`; a list of one is its element, nothing is left out."""
    for name, item in value.items():
        if isinstance(item, dict):
            yield from _leaves(f"{prefix}{name}.", item)
        elif isinstance(item, (list, tuple)):
            if item:
                yield f"{prefix}{name}", item[0] if len(item) == 1 else list(item)
        elif item is not None:
            yield f"{prefix}{name}", item
