"""What differs between two versions of a scenario: resources and their properties, in ARM's words. Pure.

Both are compared in their long form, with every default written out, also those that follow from elsewhere (the
scenario's location, a VM's name): what means the same is no difference. `expect` is no resource.
Sources: Azure rules RES-1…RES-6, ARM-3, NSG-14, IP-6, OUT-11.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any, Literal

import msgspec
from msgspec import Struct

from netemu.azure.allocation import SHORT_FORM, Expanded, expand
from netemu.azure.network import host_name
from netemu.azure.network.balancing import joined, member_of
from netemu.azure.resources import Scenario
from netemu.azure.resources.dns import RECORDS

Action = Literal["create", "update", "delete"]
Value = str | int | bool | list[str] | None
"""A list of one is its element, as in a scenario; an empty one is no value."""

KINDS = (
    "virtualNetworks", "networkSecurityGroups", "applicationSecurityGroups", "routeTables", "publicIPAddresses",
    "publicIPPrefixes", "natGateways", "loadBalancers", "networkInterfaces", "virtualMachines",
)  # fmt: skip
"""The resources of ARM that stand alone, which all have a location, in the order in which they are told."""

ZONES = ("privateDnsZones", "dnsZones")
"""They are nowhere in particular."""

CHILDREN = {
    "virtualNetworks": ("subnets", "virtualNetworkPeerings"),
    "networkSecurityGroups": ("securityRules",),
    "routeTables": ("routes",),
    "loadBalancers": (
        "frontendIPConfigurations", "backendAddressPools", "probes", "loadBalancingRules", "inboundNatRules",
        "inboundNatPools", "outboundRules",
    ),
    "networkInterfaces": ("ipConfigurations",),
    "privateDnsZones": ("recordSets", "virtualNetworkLinks"),
    "dnsZones": ("recordSets",),
}  # fmt: skip
"""The properties that ARM has as resources of their own, below their parent."""

OF_THE_BALANCER = ("loadBalancerBackendAddressPools", "loadBalancerInboundNatRules", "loadBalancerInboundNatPools")
"""What an IP configuration says about load balancers; told as a change of these."""

OF_THE_NIC = (*SHORT_FORM, "networkSecurityGroup", "enableIPForwarding")
"""What the short form of a VM says about its only NIC."""


PLURALS = {
    "sourcePortRange": "sourcePortRanges",
    "destinationPortRange": "destinationPortRanges",
    "sourceAddressPrefix": "sourceAddressPrefixes",
    "destinationAddressPrefix": "destinationAddressPrefixes",
}
"""Two names of one thing: a rule has one of them, and either may have a list (NSG-14)."""

BACKENDS = "backendIPConfigurations"
"""ARM's name for the members of a pool, which are written at either side (LB-10)."""

UNORDERED = {
    *PLURALS, *PLURALS.values(), "addressSpace", "applicationSecurityGroups", "sourceApplicationSecurityGroups",
    "destinationApplicationSecurityGroups", BACKENDS, *RECORDS,
}  # fmt: skip
"""Lists that are sets. In others the order has a meaning: the first NIC is the primary one, the first server is asked
first, the first program starts first."""


class PropertyChange(Struct, frozen=True):
    """A property whose value differs; `before` and `after` are None where there is no value."""

    name: str
    before: Value
    after: Value


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


def _properties(before: dict[str, Value], after: dict[str, Value]) -> Iterator[PropertyChange]:
    names = {single: plural for single, plural in PLURALS.items() if plural in before or plural in after}
    before, after = ({names.get(name, name): value for name, value in each.items()} for each in (before, after))
    for name in dict.fromkeys([*after, *before]):
        if not _same(name, before.get(name), after.get(name)):
            yield PropertyChange(name, before.get(name), after.get(name))


def _same(name: str, before: Value, after: Value) -> bool:
    if name in UNORDERED and isinstance(before, list) and isinstance(after, list):
        return sorted(before) == sorted(after)
    return before == after


def _resources(scenario: Scenario) -> Iterator[tuple[str, dict[str, Value]]]:
    """Every resource by its path, with the properties that have a value."""
    content = msgspec.to_builtins(scenario)
    long = expand(scenario)
    content["networkInterfaces"] = {name: msgspec.to_builtins(nic) for name, nic in long.nics.items()}
    _write_out_defaults(content, long)
    for kind in (*KINDS, *ZONES):
        yield from _of_kind(kind, content[kind])
    yield from _of_kind("internet/hosts", content["internet"]["hosts"])


def _write_out_defaults(content: dict[str, Any], long: Expanded) -> None:
    """Put the defaults that follow from something else where nothing is written."""
    for kind in KINDS:
        for item in content[kind].values():
            # ARM reads `West Europe` as `westeurope` (ARM-3).
            item["location"] = (item["location"] or content["location"]).replace(" ", "").lower()
    _write_out_small(content)
    for public in content["publicIPAddresses"].values():
        usual = "Static" if public["sku"] == "Standard" else "Dynamic"  # OUT-11
        public["publicIPAllocationMethod"] = public["publicIPAllocationMethod"] or usual
    for name, nic in content["networkInterfaces"].items():
        for key, config in nic["ipConfigurations"].items():
            config["primary"] = key == long.primary_config[name]
            for said in ("privateIPAllocationMethod", *OF_THE_BALANCER):  # Static with an address, else Dynamic (IP-6)
                del config[said]
    for name, balancer in content["loadBalancers"].items():
        _write_out_balancer(name, balancer, long)
    for name, machine in content["virtualMachines"].items():
        _write_out_machine(name, machine, long)


def _write_out_small(content: dict[str, Any]) -> None:
    for group in content["networkSecurityGroups"].values():
        for rule in group["securityRules"].values():
            _write_out_any(rule)
    for kind in ZONES:
        for zone in content[kind].values():
            _write_out_records(zone["recordSets"].values())


def _write_out_records(record_sets: Iterable[dict[str, Any]]) -> None:
    """Records as lines."""
    for record_set in record_sets:
        for name, fields in RECORDS.items():
            if name in record_set:
                record_set[name] = [" ".join(_words(record[field]) for field in fields) for record in record_set[name]]


def _words(value: Any) -> str:
    return " ".join(map(json.dumps, value)) if isinstance(value, list | tuple) else str(value)


def _write_out_machine(name: str, machine: dict[str, Any], long: Expanded) -> None:
    for short in OF_THE_NIC:
        del machine[short]
    machine["networkInterfaces"] = list(long.machine_nics[name])
    machine["computerName"] = machine["computerName"] or host_name(name)


def _write_out_balancer(name: str, balancer: dict[str, Any], long: Expanded) -> None:
    """Every backend as NIC/ipConfiguration, in its pool or rule, whichever side names it; and what follows (LB-29)."""
    pools, rules, nat_pools = (joined(long, side) for side in OF_THE_BALANCER)
    for frontend in balancer["frontendIPConfigurations"].values():
        del frontend["privateIPAllocationMethod"]
    for key, members in balancer["backendAddressPools"].items():
        every = [*(_member(long, member) for member in members), *pools.get(f"{name}/{key}", ())]
        balancer["backendAddressPools"][key] = {BACKENDS: list(dict.fromkeys(every))}
    for rule in balancer["loadBalancingRules"].values():
        if rule["backendPort"] is None:
            rule["backendPort"] = rule["frontendPort"]
    for key, rule in balancer["inboundNatRules"].items():
        short = rule.pop("backend")
        named = [_member(long, each) for each in (rule["backendIPConfiguration"], short) if each is not None]
        rule["backendIPConfiguration"] = [*named, *rules.get(f"{name}/{key}", ())]
    for key, pool in balancer["inboundNatPools"].items():
        pool[BACKENDS] = nat_pools.get(f"{name}/{key}", [])
    for probe in balancer["probes"].values():
        if probe["probeThreshold"] is not None:
            del probe["numberOfProbes"]
        elif probe["numberOfProbes"] is None:
            probe["probeThreshold"] = 1


def _member(long: Expanded, name: str) -> str:
    try:
        return "/".join(member_of(long, name))
    except KeyError:  # nobody has that name
        return name


def _write_out_any(rule: dict[str, Any]) -> None:
    """What a rule leaves out is any port and, unless it names ASGs, any address."""
    for side in ("source", "destination"):
        if not rule[f"{side}PortRanges"]:
            rule[f"{side}PortRange"] = rule[f"{side}PortRange"] or ["*"]
        if not rule[f"{side}AddressPrefixes"] and not rule[f"{side}ApplicationSecurityGroups"]:
            rule[f"{side}AddressPrefix"] = rule[f"{side}AddressPrefix"] or ["*"]


def _of_kind(kind: str, items: dict[str, dict[str, Any]]) -> Iterator[tuple[str, dict[str, Value]]]:
    for name, properties in items.items():
        children = {child: properties.pop(child, None) or {} for child in CHILDREN.get(kind, ())}
        yield f"{kind}/{name}", dict(_leaves("", properties))
        for child, entries in children.items():
            for key, entry in entries.items():
                yield f"{kind}/{name}/{child}/{key}", dict(_leaves("", entry))


def _leaves(prefix: str, value: dict[str, Any]) -> Iterator[tuple[str, Value]]:
    """Properties down to the leaf, as `dnsSettings.dnsServers`; a list of one is its element, nothing is left out."""
    for name, item in value.items():
        if isinstance(item, dict):
            yield from _leaves(f"{prefix}{name}.", item)
        elif isinstance(item, (list, tuple)):
            if item:
                yield f"{prefix}{name}", item[0] if len(item) == 1 else list(item)
        elif item is not None:
            yield f"{prefix}{name}", item
