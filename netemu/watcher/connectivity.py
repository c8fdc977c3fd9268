"""The connectivity check: the hops of a flow, and what is wrong at each (NW-12).

It is worked out, not tried, so there are no latencies and no counts of probes.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

from netemu.azure.flow import Flow, dotted
from netemu.azure.routing import EffectiveRoute
from netemu.azure.steps import Step, Verdict
from netemu.azure.verdict import Engine
from netemu.watcher.ids import Ids, rule_label

Issue = dict[str, Any]


def connectivity_check(engine: Engine, flow: Flow, verdict: Verdict) -> dict[str, Any]:
    """The answer to connectivityCheck for a flow and its verdict."""
    network, ids = engine.network, Ids(engine.network.name)
    first = verdict.steps[0].packet
    hops: list[dict[str, Any]] = [_hop("Source", dotted(first.source), _machine_id(engine, ids, flow.source))]
    receiver = _receiver(engine, verdict, flow)
    for name in _appliances(engine, verdict, receiver):
        hops.append(_hop("VirtualAppliance", str(network.machines[name].nics[0].address), ids.virtual_machine(name)))
    hops.append(_hop("Destination", str(flow.destinationAddress), _machine_id(engine, ids, receiver)))
    for number, hop in enumerate(hops):
        hop["id"] = ids.guid(f"hop {number} {hop['address']}")
    for near, far in pairwise(hops):
        kind = "Internet" if far is hops[-1] and _leaves(verdict) else "VirtualNetwork"
        near["nextHopIds"].append(far["id"])
        near["links"].append(_link(far["id"], kind))
        far["previousHopIds"].append(near["id"])
        far["previousLinks"].append(_link(near["id"], kind))
    hops[_fault(engine, verdict, receiver, len(hops))]["issues"] += _issues(verdict)
    reachable = verdict.access == "Allow" and verdict.answered
    return {"hops": hops, "connectionStatus": "Reachable" if reachable else "Unreachable"}


def _hop(kind: str, address: str, resource: str | None) -> dict[str, Any]:
    return {
        "type": kind,
        "id": "",
        "address": address,
        **({"resourceId": resource} if resource is not None else {}),
        "nextHopIds": [],
        "links": [],
        "previousHopIds": [],
        "previousLinks": [],
        "issues": [],
    }


def _link(hop: str, kind: str) -> dict[str, Any]:
    return {"nextHopId": hop, "linkType": kind, "properties": {}, "context": {}, "issues": [], "resourceId": ""}


def _machine_id(engine: Engine, ids: Ids, name: str | None) -> str | None:
    network = engine.network
    if name in network.nics:
        name = network.nics[name].machine
    return ids.virtual_machine(name) if name is not None and name in network.machines else None


def _receiver(engine: Engine, verdict: Verdict, flow: Flow) -> str | None:
    """Who has the destination: who got it, else whom the flow was meant for."""
    if verdict.receiver is not None:
        return verdict.receiver
    destination = flow.destinationAddress
    public = engine.network.public_owner(destination)
    if public is not None:
        return public[0].machine
    if verdict.nic is not None and verdict.direction == "Inbound":
        nic = engine.network.nics[verdict.nic]
        return nic.machine if any(config.address == destination for config in nic.ipConfigs) else None
    return None


def _appliances(engine: Engine, verdict: Verdict, receiver: str | None) -> list[str]:
    """The machines that forwarded it, and the one that ought to have."""
    met = list(verdict.via)
    if verdict.access == "Deny" and verdict.direction == "Inbound" and verdict.nic is not None:
        last = engine.network.nics[verdict.nic].machine
        if last != receiver and (not met or met[-1] != last):
            met.append(last)
    return met


def _leaves(verdict: Verdict) -> bool:
    """Does its last look-up send it to the internet?"""
    routes = [step.route for step in verdict.steps if step.route is not None]
    return bool(routes) and routes[-1].nextHopType == "Internet"


def _fault(engine: Engine, verdict: Verdict, receiver: str | None, hops: int) -> int:
    """The hop at which it went wrong: the receiver, or whoever sent the packet last."""
    if verdict.access == "Allow":
        return hops - 1  # the answer is lost on its way from there
    arrived = verdict.direction == "Inbound" and verdict.nic is not None
    return hops - 1 if arrived and engine.network.nics[verdict.nic or ""].machine == receiver else hops - 2


def _issues(verdict: Verdict) -> list[Issue]:
    if verdict.access == "Deny":
        return _why(verdict)
    return [] if verdict.answered or verdict.reply is None else _why(verdict.reply)


def _why(verdict: Verdict) -> list[Issue]:
    outbound = verdict.direction != "Inbound"
    origin = "Outbound" if outbound else "Inbound"
    rule = next((step.rule for step in reversed(verdict.steps) if step.rule is not None), None)
    if verdict.stage in ("nsg-out", "nsg-in", "platform") and rule is not None:
        label = rule_label(rule.name, default=rule.isDefault)
        return [_issue(origin, "NetworkSecurityRule", RuleName=label)]
    if verdict.stage == "public-closed":  # what stands in for the rules that are not there denies all (OUT-17)
        return [_issue(origin, "NetworkSecurityRule", RuleName=rule_label("DenyAllInBound", default=True))]
    route = _route(verdict.steps)
    if verdict.stage == "route-none" and route is not None:
        return [_issue("Local", "RouteMissing"), _issue("Outbound", "UserDefinedRoute", RouteType=route.source)]
    if verdict.stage in ("no-owner", "no-gateway", "edge-private") and route is not None and route.source == "User":
        return [_issue("Outbound", "UserDefinedRoute", RouteType="User")]
    if verdict.stage in ("guest-not-forwarding", "loop"):
        return [_issue("Local", "GuestFirewall")]
    return [_issue(origin, "Platform")]


def _route(steps: tuple[Step, ...]) -> EffectiveRoute | None:
    return next((step.route for step in reversed(steps) if step.route is not None), None)


def _issue(origin: str, kind: str, **context: str) -> Issue:
    pairs = [{"key": key, "value": value} for key, value in context.items()]
    return {"origin": origin, "severity": "Error", "type": kind, "context": pairs}
