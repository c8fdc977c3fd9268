"""Effective security rules of a NIC and the security group view of a VM, as Azure answers (NW-5, NW-6, NSG-35)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from netemu.azure import resources as arm
from netemu.azure import tags
from netemu.azure.network import Machine, Network, Nic
from netemu.azure.prefixes import IntervalSet
from netemu.azure.security import (
    DEFAULT_RULES,
    PLATFORM_TAG_ADDRESS,
    Context,
    Expansion,
    virtual_network_prefixes,
)
from netemu.azure.verdict import Engine
from netemu.watcher.ids import Ids, rule_path

EVERYWHERE = "0.0.0.0/0"
EVERY_PORT = "0-65535"

LOAD_BALANCER = ("168.63.129.16/32", "fe80::1234:5678:9abc/128")
"""What Azure expands the tag AzureLoadBalancer to; the second is the platform's address on every link."""


def effective_security_groups(engine: Engine, nic: Nic) -> dict[str, Any]:
    """The answer to effectiveNetworkSecurityGroups: the NSG of the NIC, then that of its subnet."""
    ids = Ids(engine.network.name)
    answer = []
    for group, place, kind in associations(nic):
        tag_map: dict[str, list[str]] = {}
        writer = _Writer(engine.network, Context.of(nic.subnet), tag_map)
        answer.append(
            {
                "networkSecurityGroup": {"id": ids.security_group(group)},
                "association": {kind: {"id": ids.place(place)}},
                "effectiveSecurityRules": [writer.effective(*rule) for rule in written_rules(engine.network, group)],
                "tagMap": tag_map,
            }
        )
    return {"value": answer}


def associations(nic: Nic) -> Iterator[tuple[str, str, str]]:
    """The NSGs that apply to a NIC: name, place, and what ARM calls the kind of place."""
    if nic.networkSecurityGroup is not None:
        yield nic.networkSecurityGroup, nic.name, "networkInterface"
    if nic.subnet.networkSecurityGroup is not None:
        yield nic.subnet.networkSecurityGroup, nic.subnet.path, "subnet"


def written_rules(network: Network, group: str) -> list[tuple[str, arm.SecurityRule, bool]]:
    """Name, rule, and whether it is a default one, in Azure's order: the user's first, inbound before outbound."""
    own = network.scenario.networkSecurityGroups[group].securityRules
    every = [(name, rule, False) for name, rule in own.items()]
    every += [(name, rule, True) for name, rule in DEFAULT_RULES.items()]
    return sorted(every, key=lambda item: (item[2], item[1].direction, item[1].priority))


class _Writer:
    """Writes rules out in one context. The tags that they use are collected in `tag_map`."""

    def __init__(self, network: Network, context: Context, tag_map: dict[str, list[str]]) -> None:
        self.network = network
        self.context = context
        self.expansion = Expansion(network, context)
        self.tag_map = tag_map

    def effective(self, name: str, rule: arm.SecurityRule, default: bool) -> dict[str, Any]:
        """A rule with its tags expanded; ASGs are the addresses of their members."""
        sources = (*(rule.sourceAddressPrefix or ()), *(rule.sourceAddressPrefixes or ()))
        destinations = (*(rule.destinationAddressPrefix or ()), *(rule.destinationAddressPrefixes or ()))
        source_ports = (*(rule.sourcePortRange or ()), *(rule.sourcePortRanges or ()))
        destination_ports = (*(rule.destinationPortRange or ()), *(rule.destinationPortRanges or ()))
        return {
            "name": rule_path(name, default=default),
            "protocol": "All" if rule.protocol == "*" else rule.protocol,
            **_ports("source", source_ports),
            **_ports("destination", destination_ports),
            **self._addresses("source", sources, rule.sourceApplicationSecurityGroups),
            **self._addresses("destination", destinations, rule.destinationApplicationSecurityGroups),
            **self._expanded("Source", sources),
            **self._expanded("Destination", destinations),
            "access": rule.access,
            "priority": rule.priority,
            "direction": rule.direction,
        }

    def _addresses(self, side: str, prefixes: tuple[str, ...], groups: tuple[str, ...] | None) -> dict[str, Any]:
        if groups:
            members = self.expansion.members(groups)
            return {f"{side}AddressPrefixes": [str(prefix) for prefix in members.cidrs()]}
        texts = [text for written in prefixes or ("*",) for text in _address(written)]
        single = {f"{side}AddressPrefix": texts[0]} if len(set(texts)) == 1 else {}
        return {**single, f"{side}AddressPrefixes": texts}

    def _expanded(self, side: str, prefixes: tuple[str, ...]) -> dict[str, Any]:
        """What the tags of one side stand for; nothing when it has none."""
        expanded: list[str] = []
        for tag in filter(None, map(tags.canonical, prefixes)):
            if tag not in self.tag_map:
                self.tag_map[tag] = list(self._meaning(tag))
            expanded += self.tag_map[tag]
        return {f"expanded{side}AddressPrefix": expanded} if expanded else {}

    def _meaning(self, tag: str) -> Iterable[str]:
        if tag == "AzureLoadBalancer":
            return LOAD_BALANCER
        if tag == "VirtualNetwork":
            return dict.fromkeys(map(str, virtual_network_prefixes(self.network, self.context)))
        if tag == "Internet":
            return map(str, self.expansion.internet.cidrs())
        if tag in tags.PLATFORM_TAGS:
            return map(str, IntervalSet.of_addresses((PLATFORM_TAG_ADDRESS[tag],)).cidrs())
        return map(str, tags.service_prefixes(tag))


def _address(written: str) -> tuple[str, ...]:
    """How Azure shows a prefix. Any address appears twice, once for each version of IP, both times as IPv4's."""
    if written in ("*", EVERYWHERE):
        return EVERYWHERE, EVERYWHERE
    tag = tags.canonical(written)
    if tag is not None:
        return (tag,)
    return (written if "/" in written else f"{written}/32",)


def _ports(side: str, ranges: tuple[str, ...]) -> dict[str, Any]:
    texts = [_port(text) for text in ranges or ("*",)]
    single = {f"{side}PortRange": texts[0]} if len(texts) == 1 else {}
    return {**single, f"{side}PortRanges": texts}


def _port(text: str) -> str:
    if text == "*":
        return EVERY_PORT
    return text if "-" in text else f"{text}-{text}"


# ---- security group view ---------------------------------------------------------------------------------------------


def security_group_view(engine: Engine, machine: Machine) -> dict[str, Any]:
    """The answer to securityGroupView: the NICs that an NSG applies to, with its rules as written and as they apply."""
    ids = Ids(engine.network.name)
    interfaces = []
    for nic in machine.nics:
        places = list(associations(nic))
        if not places:
            continue
        view: dict[str, Any] = {}
        for group, place, kind in places:
            own = [rule for rule in written_rules(engine.network, group) if not rule[2]]
            rules = [rule_data(ids, group, *rule) for rule in own]
            view[f"{kind}Association"] = {"id": ids.place(place), "securityRules": rules}
        first = places[0][0]
        defaults = [rule for rule in written_rules(engine.network, first) if rule[2]]
        view["defaultSecurityRules"] = [rule_data(ids, first, *rule) for rule in defaults]
        effective = effective_security_groups(engine, nic)["value"]
        view["effectiveSecurityRules"] = [rule for group in effective for rule in group["effectiveSecurityRules"]]
        interfaces.append({"id": ids.network_interface(nic.name), "securityRuleAssociations": view})
    return {"networkInterfaces": interfaces}


def rule_data(ids: Ids, group: str, name: str, rule: arm.SecurityRule, default: bool) -> dict[str, Any]:
    """A security rule as a resource, in the words that it was written in."""
    data: dict[str, Any] = {"name": name, "id": ids.security_rule(group, name, default=default)}
    if rule.description is not None:
        data["description"] = rule.description
    data["protocol"] = rule.protocol
    for side in ("source", "destination"):
        for singular, plural in (("PortRange", "PortRanges"), ("AddressPrefix", "AddressPrefixes")):
            written = (*(getattr(rule, side + singular) or ()), *(getattr(rule, side + plural) or ()))
            if len(written) == 1:
                data[side + singular] = written[0]
            elif written:
                data[side + plural] = list(written)
        asgs = getattr(rule, f"{side}ApplicationSecurityGroups")
        if asgs:
            data[f"{side}ApplicationSecurityGroups"] = [{"id": ids.application_security_group(asg)} for asg in asgs]
    return {**data, "access": rule.access, "priority": rule.priority, "direction": rule.direction}
