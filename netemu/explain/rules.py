"""Flows that a security rule stops, or the lack of an NSG: which rule, what was probably meant, which rule would help.

Sources: Azure rules NSG-4, NSG-5, NSG-6, NSG-15, NSG-17, NSG-18, NSG-21, NSG-29, OUT-17, OUT-21, PLT-4.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from ipaddress import IPv4Address, IPv4Network
from typing import Any

from netemu.azure import resources as arm
from netemu.azure.flow import PROTOCOLS, Packet, dotted, protocol_name
from netemu.azure.prefixes import IntervalSet
from netemu.azure.priorities import free_priority
from netemu.azure.security import EffectiveRule
from netemu.explain.case import Case, service, written
from netemu.explain.edits import Edit, Path
from netemu.explain.explanation import Obstacle, Remedy

EPHEMERAL = "clients use any port above 1023"


def denied(case: Case) -> Obstacle:
    """A rule of an NSG says no (NSG-15), or one that names the platform (PLT-4)."""
    step = next(each for each in reversed(case.verdict.steps) if each.rule is not None)
    rule = step.rule
    assert rule is not None
    where = f"NIC `{step.place}`" if step.place in case.network.nics else f"subnet `{step.place}`"
    what = (
        f"is denied by rule `{rule.name}` ({rule.priority}) of `{rule.networkSecurityGroup}` on {where},"
        f" {rule.direction.lower()}"
    )
    assert step.rules is not None
    asked = step.rules.rules
    place = asked.index(rule)
    meant = list(_probably_meant(case, rule, step.packet, asked[:place], asked[place + 1 :]))
    remedies = [remedy for _, more in meant for remedy in more]
    return Obstacle(
        way=case.way,
        stage=case.verdict.stage,
        what=what,
        place=case.end.place,
        hints=tuple(hint for hint, _ in meant if hint),
        remedies=(*remedies, *_new_rule(case, rule, step.packet)),
        networkSecurityGroup=rule.networkSecurityGroup,
        rule=rule.name,
        direction=rule.direction,
    )


def closed(case: Case) -> Obstacle:
    """OUT-17: a Standard public IP without an NSG."""
    port = case.port
    assert port is not None
    nic = port.nic
    public = case.config_of(nic, case.packet.destination).publicIP
    name = f"`{public.name}`" if public is not None else "the public IP"
    if case.verdict.chosen:
        name = f"load balancer `{case.verdict.chosen[-1].rule.partition('/')[0]}`"
    group = _free_name(f"{nic.name}-nsg", case.scenario.networkSecurityGroups)
    rule = _rule_for(case, case.packet, "Inbound", 100, None)
    allowed = f"allow-{_slug(case.packet)}"
    return Obstacle(
        way=case.way,
        stage=case.verdict.stage,
        what=f"is dropped: {name} is Standard, which is closed while neither NIC `{nic.name}` nor subnet"
        f" `{nic.subnet.path}` has an NSG (OUT-17)",
        place=nic.name,
        remedies=(
            Remedy(
                f"an NSG on `{nic.name}` with a rule allowing {case.service} from {rule['sourceAddressPrefix']}"
                " would let it through",
                (
                    Edit(("networkSecurityGroups", group, "securityRules", allowed), rule),
                    Edit((*case.nic_path(nic.name), "networkSecurityGroup"), group),
                ),
            ),
        ),
        direction="Inbound",
    )


# ---- a rule more -----------------------------------------------------------------------------------------------------


def _new_rule(case: Case, before: EffectiveRule, packet: Packet) -> Iterator[Remedy]:
    group = case.scenario.networkSecurityGroups[before.networkSecurityGroup]
    remote = packet.source if before.direction == "Inbound" else packet.destination
    shifted: tuple[Edit, ...] = ()
    priority = free_priority(group, before.direction, before.priority)
    if priority is None:
        priority, shifted = before.priority, _shift(before, group)
    rule = _rule_for(case, packet, before.direction, priority, before)
    name = _free_name(f"allow-{_slug(packet)}", group.securityRules)
    path = ("networkSecurityGroups", before.networkSecurityGroup, "securityRules", name)
    side = "from" if before.direction == "Inbound" else "to"
    place = f"priority {priority}" if before.isDefault or shifted else f"priority {priority} (before {before.priority})"
    if shifted:
        place += f", with those from {before.priority} on moved by one, as none before it is free,"
    target = before.platformTag or written(_prefix(case, remote, before, packet))
    text = (
        f"a rule allowing {service(packet)} {side} {target} with {place} in `{before.networkSecurityGroup}`"
        " would let it through"
    )
    yield Remedy(text, (Edit(path, rule), *shifted))


def _rule_for(
    case: Case, packet: Packet, direction: arm.Direction, priority: int, denier: EffectiveRule | None
) -> dict[str, Any]:
    """As narrow as people write rules: the other side's subnet, the protocol and the port."""
    inbound = direction == "Inbound"
    remote = written(_prefix(case, packet.source if inbound else packet.destination, denier, packet))
    if denier is not None and denier.platformTag is not None:
        remote = denier.platformTag
    name = protocol_name(packet.protocol)
    return {
        "priority": priority,
        "direction": direction,
        "access": "Allow",
        "protocol": name if name in ("Tcp", "Udp", "Icmp", "Esp", "Ah") else "*",
        "sourceAddressPrefix": remote if inbound else "*",
        "sourcePortRange": "*",
        "destinationAddressPrefix": "*" if inbound else remote,
        "destinationPortRange": str(packet.destinationPort) if packet.has_ports else "*",
    }


def _prefix(case: Case, address: int, denier: EffectiveRule | None, packet: Packet) -> IPv4Network:
    """The subnet of the other side, unless the rule that denies is about less than that."""
    prefix = case.prefix_around(address)
    if denier is None:
        return prefix
    denied = denier.sources if address == packet.source else denier.destinations
    whole = IntervalSet.of_prefixes((prefix,))
    return prefix if not whole - denied else IPv4Network(IPv4Address(address))


def _shift(before: EffectiveRule, group: arm.NetworkSecurityGroup) -> tuple[Edit, ...]:
    """Make room at a priority: the rules from there on up to the first gap move by one."""
    places = {rule.priority: name for name, rule in group.securityRules.items() if rule.direction == before.direction}
    edits = []
    priority = before.priority
    while priority in places:
        path = ("networkSecurityGroups", before.networkSecurityGroup, "securityRules", places[priority], "priority")
        edits.append(Edit(path, priority + 1))
        priority += 1
    return tuple(edits)


def _slug(packet: Packet) -> str:
    name = protocol_name(packet.protocol).lower()
    return f"{name}-{packet.destinationPort}" if packet.has_ports else name


def _free_name(wish: str, taken: dict[str, Any]) -> str:
    known = {name.lower() for name in taken}
    numbers = (wish if number == 1 else f"{wish}-{number}" for number in range(1, len(taken) + 2))
    return next(name for name in numbers if name.lower() not in known)


# ---- what was probably meant -----------------------------------------------------------------------------------------


def _probably_meant(
    case: Case, denier: EffectiveRule, packet: Packet, earlier: Sequence[EffectiveRule], later: Sequence[EffectiveRule]
) -> Iterator[tuple[str, list[Remedy]]]:
    """Rules that would allow it if it were not for one thing."""
    group = case.scenario.networkSecurityGroups[denier.networkSecurityGroup]
    for rule in later:
        if not rule.isDefault and rule.access == "Allow" and rule.mismatch(packet) is None:
            yield _shadowed(denier, rule, group)
            break
    for rule in earlier:
        if not rule.isDefault and rule.access == "Allow":
            yield from _nearly(case, rule, packet, group.securityRules[rule.name])


def _shadowed(denier: EffectiveRule, rule: EffectiveRule, group: arm.NetworkSecurityGroup) -> tuple[str, list[Remedy]]:
    """A rule that allows it, but comes too late (NSG-4)."""
    hint = f"`{rule.name}` ({rule.priority}) allows it, but `{denier.name}` ({denier.priority}) comes first"
    priority = free_priority(group, rule.direction, denier.priority)
    if priority is None:
        return hint, []
    path = ("networkSecurityGroups", rule.networkSecurityGroup, "securityRules", rule.name, "priority")
    text = f"priority {priority} for `{rule.name}` (before {denier.priority}) would let it through"
    return hint, [Remedy(text, (Edit(path, priority),))]


def _nearly(
    case: Case, rule: EffectiveRule, packet: Packet, source: arm.SecurityRule
) -> Iterator[tuple[str, list[Remedy]]]:
    """An earlier rule that allows all but one property of the packet."""
    path = ("networkSecurityGroups", rule.networkSecurityGroup, "securityRules", rule.name)
    wrong = list(_mismatches(rule, packet))
    if len(wrong) != 1:
        return
    begin = f"`{rule.name}` ({rule.priority}) would allow it, but"
    if wrong[0] in ("source", "destination"):
        yield from _another_address(case, rule, packet, wrong[0], source, begin, path)
    elif wrong[0] == "sourcePorts":
        yield (
            f"{begin} it names source ports, and {EPHEMERAL}: {packet.sourcePort} here",
            [Remedy(f"sourcePortRange `*` for `{rule.name}` would let it through", _any_source_port(path, source))],
        )
    elif wrong[0] == "destinationPorts" and case.flow.destinationPort in rule.destinationPorts:
        text = f"destinationPortRange {packet.destinationPort} for `{rule.name}` would let it through"
        yield (
            f"{begin} it names port {case.flow.destinationPort}, and rules see the backend's,"
            f" {packet.destinationPort} (NSG-18)",
            [Remedy(text, _other_port(path, source, packet.destinationPort))],
        )


def _mismatches(rule: EffectiveRule, packet: Packet) -> Iterator[str]:
    if rule.protocol != "*" and PROTOCOLS[rule.protocol] != packet.protocol:
        yield "protocol"
    if packet.has_ports:
        if packet.sourcePort not in rule.sourcePorts:
            yield "sourcePorts"
        if packet.destinationPort not in rule.destinationPorts:
            yield "destinationPorts"
    elif not rule.applies_without_ports():
        yield "protocol"
    if packet.source not in rule.sources:
        yield "source"
    if packet.destination not in rule.destinations:
        yield "destination"


def _another_address(
    case: Case, rule: EffectiveRule, packet: Packet, side: str, source: arm.SecurityRule, begin: str, path: Path
) -> Iterator[tuple[str, list[Remedy]]]:
    groups: arm.Strings | None = getattr(source, f"{side}ApplicationSecurityGroups")
    address = packet.source if side == "source" else packet.destination
    if groups:
        yield from _join(case, address, groups, side, begin)
        return
    sent = int(case.flow.destinationAddress)
    if side == "destination" and address != sent and sent in rule.destinations:
        # NSG-17, NSG-18: after the translation rules see the private address.
        texts = source.destinationAddressPrefix or source.destinationAddressPrefixes or ()
        name = "destinationAddressPrefixes" if source.destinationAddressPrefix is None else "destinationAddressPrefix"
        private = [dotted(address) if _means(text, sent) else text for text in texts]
        yield (
            f"{begin} it names the public address {dotted(sent)}, and rules see the private one behind it,"
            f" {dotted(address)} (NSG-17, NSG-18)",
            [Remedy(f"{name} {', '.join(private)} for `{rule.name}` would let it through",
                    (Edit((*path, name), private),))],
        )  # fmt: skip
    first = case.request.steps[0].packet
    if side == "source" and first.source != address and first.source in rule.sources:
        owner = case.network.public_owner(case.flow.destinationAddress)
        remedies = []
        if owner is not None:
            remedies.append(
                Remedy(f"call `{owner[0].machine}` by its private address, {owner[1].address}", to=owner[0].name)
            )
        yield (
            f"{begin} it names the private address of `{case.flow.source}`: who calls a public address comes from one,"
            f" {dotted(address)} here (OUT-21)",
            remedies,
        )


def _means(text: str, address: int) -> bool:
    try:
        return IPv4Address(address) in IPv4Network(text)
    except ValueError:
        return False


def _join(
    case: Case, address: int, groups: tuple[str, ...], side: str, begin: str
) -> Iterator[tuple[str, list[Remedy]]]:
    """NSG-29: the rule is about members of an ASG."""
    for nic in case.owners(address)[:1]:
        config = case.config_of(nic, address)
        path = (*case.config_path(nic.name, config.name), "applicationSecurityGroups")
        members = [*sorted(config.applicationSecurityGroups), groups[0]]
        yield (
            f"{begin} its {side} is ASG `{groups[0]}`, and `{nic.name}` is no member",
            [Remedy(f"`{nic.name}` as a member of `{groups[0]}` would be let through", (Edit(path, members),))],
        )


def _any_source_port(path: Path, source: arm.SecurityRule) -> tuple[Edit, ...]:
    name = "sourcePortRange" if source.sourcePortRange is not None else "sourcePortRanges"
    return (Edit((*path, name), ["*"]),)


def _other_port(path: Path, source: arm.SecurityRule, port: int) -> tuple[Edit, ...]:
    name = "destinationPortRange" if source.destinationPortRange is not None else "destinationPortRanges"
    return (Edit((*path, name), [str(port)]),)
