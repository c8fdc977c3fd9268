"""IP flow verify and the network configuration diagnostic: what the NSGs alone say to a packet (NW-2, NW-3)."""

from __future__ import annotations

from typing import Any

from netemu.azure import resources as arm
from netemu.azure.flow import PROTOCOLS, Packet, dotted, protocol_name
from netemu.azure.network import Nic
from netemu.azure.security import DEFAULT_RULES, EffectiveRule
from netemu.azure.verdict import Engine
from netemu.watcher.ids import Ids, rule_label, rule_path


def ip_flow_verify(engine: Engine, nic: Nic, direction: arm.Direction, packet: Packet) -> dict[str, Any]:
    """The answer to ipFlowVerify. A default rule has no id; without any NSG, all passes and no rule has a name."""
    decisions = engine.evaluate_nsgs(nic, direction, packet)
    if not decisions:
        return {"access": "Allow", "ruleName": "", "ruleId": ""}
    rule = decisions[-1].rule
    ids = Ids(engine.network.name)
    return {
        "access": rule.access,
        "ruleName": rule_path(rule.name, default=rule.isDefault),
        "ruleId": "" if rule.isDefault else ids.security_rule(rule.networkSecurityGroup, rule.name, default=False),
    }


def named(rule: str) -> str:
    """The name that IP flow verify gives a rule; no rule of the user's may be called like a default one (NSG-5)."""
    return rule_path(rule, default=rule in DEFAULT_RULES) if rule else ""


def configuration_diagnostic(engine: Engine, nic: Nic, direction: arm.Direction, packet: Packet) -> dict[str, Any]:
    """The answer to networkConfigurationDiagnostic: every rule that was looked at, property by property."""
    ids = Ids(engine.network.name)
    decisions = engine.evaluate_nsgs(nic, direction, packet)
    evaluated = [
        {
            "networkSecurityGroupId": ids.security_group(decision.networkSecurityGroup),
            "appliedTo": ids.place(decision.place),
            "matchedRule": {
                "ruleName": rule_label(decision.rule.name, default=decision.rule.isDefault),
                "action": decision.rule.access,
            },
            "rulesEvaluationResult": [_matches(each.rule, packet) for each in decision.considered],
        }
        for decision in decisions
    ]
    profile = {
        "direction": direction,
        "protocol": protocol_name(packet.protocol),
        "source": dotted(packet.source),
        "destination": dotted(packet.destination),
    }
    if packet.has_ports:
        profile["destinationPort"] = str(packet.destinationPort)
    access = decisions[-1].rule.access if decisions else "Allow"
    result = {"securityRuleAccessResult": access, "evaluatedNetworkSecurityGroups": evaluated}
    return {"results": [{"profile": profile, "networkSecurityGroupResult": result}]}


def _matches(rule: EffectiveRule, packet: Packet) -> dict[str, Any]:
    """Which properties of a rule fit. A packet without ports fits a rule that names none (NSG-10, NSG-12)."""
    portless = rule.applies_without_ports()
    return {
        "name": rule_label(rule.name, default=rule.isDefault),
        "protocolMatched": rule.protocol == "*" or PROTOCOLS[rule.protocol] == packet.protocol,
        "sourceMatched": packet.source in rule.sources,
        "sourcePortMatched": packet.sourcePort in rule.sourcePorts if packet.has_ports else portless,
        "destinationMatched": packet.destination in rule.destinations,
        "destinationPortMatched": packet.destinationPort in rule.destinationPorts if packet.has_ports else portless,
    }
