"""The whole way of a packet as data: what each step decided, with whatever did not decide and why."""

from __future__ import annotations

from typing import Any

from netemu.azure.flow import Packet, dotted, protocol_name
from netemu.azure.steps import Step, Verdict
from netemu.azure.verdict import Engine
from netemu.watcher.ids import rule_path
from netemu.watcher.routes import route_data


def verdict_data(engine: Engine, verdict: Verdict) -> dict[str, Any]:
    """A verdict with all its steps, and the same for the reply."""
    return {
        "access": verdict.access,
        "stage": verdict.stage,
        "ruleName": verdict.rule,
        "networkSecurityGroup": verdict.networkSecurityGroup,
        "networkInterface": verdict.nic,
        "direction": verdict.direction,
        "via": list(verdict.via),
        "receiver": verdict.receiver,
        "sourceSeenAs": _text(verdict.sourceSeenAs),
        "destinationSeenAs": _text(verdict.destinationSeenAs),
        "answered": verdict.answered,
        **({"ways": [way_data(way) for way in verdict.choices]} if verdict.choices else {}),
        "steps": [step_data(engine, step) for step in verdict.steps],
        "reply": verdict_data(engine, verdict.reply) if verdict.reply is not None else None,
    }


def way_data(way: Verdict) -> dict[str, Any]:
    """One of several ways: what has been chosen on it, and what becomes of the packet then."""
    return {
        "backends": [chosen.backend for chosen in way.chosen],
        "access": way.access,
        "stage": way.stage,
        "via": list(way.via),
        "receiver": way.receiver,
        "sourceSeenAs": _text(way.sourceSeenAs),
        "answered": way.answered,
    }


def step_data(engine: Engine, step: Step) -> dict[str, Any]:
    """One step. Only those of kind security-group have rules, only those of kind route have routes."""
    data: dict[str, Any] = {"kind": step.kind, "place": step.place, "text": step.text}
    if step.direction is not None:
        data["direction"] = step.direction
    data["packet"] = packet_data(step.packet)
    if step.rule is not None:
        data["networkSecurityGroup"] = step.rule.networkSecurityGroup
        data["access"] = step.rule.access
        data["ruleName"] = rule_path(step.rule.name, default=step.rule.isDefault)
        data["rules"] = [
            {
                "name": rule_path(each.rule.name, default=each.rule.isDefault),
                "priority": each.rule.priority,
                "access": each.rule.access,
                "matched": each.mismatch is None,
                **({"why": each.mismatch} if each.mismatch is not None else {}),
            }
            for each in step.considered
        ]
    if step.route is not None:
        nic = engine.network.nics[step.place]
        data["route"] = route_data(engine, nic, step.route)
        data["losers"] = [{**route_data(engine, nic, each.route), "why": each.why} for each in step.losers]
    if step.after is not None:
        data["after"] = packet_data(step.after)
    if step.stage is not None:
        data["stage"] = step.stage
    return data


def packet_data(packet: Packet) -> dict[str, Any]:
    """A packet's 5-tuple; ports only where it has some."""
    ports = {"sourcePort": packet.sourcePort, "destinationPort": packet.destinationPort} if packet.has_ports else {}
    return {
        "protocol": protocol_name(packet.protocol),
        "source": dotted(packet.source),
        "destination": dotted(packet.destination),
        **ports,
    }


def _text(value: object) -> str | None:
    return str(value) if value is not None else None
