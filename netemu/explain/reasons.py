"""Why a flow works or not, and what would change that: every remedy is tried on a copy of the scenario first."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from msgspec import structs

from netemu.azure.flow import Flow, address_of
from netemu.azure.network import Network, resolve
from netemu.azure.steps import Verdict
from netemu.azure.verdict import Engine
from netemu.explain import appliances, balancers, internet, routes, rules
from netemu.explain.case import Case, service
from netemu.explain.edits import edited
from netemu.explain.explanation import Explanation, Note, Obstacle, Remedy

MOST = 8
"""So many obstacles in a row are told."""

LOOK: dict[str, Callable[[Case], Obstacle]] = {
    "nsg-out": rules.denied,
    "nsg-in": rules.denied,
    "platform": rules.denied,
    "public-closed": rules.closed,
    "source-check": appliances.nic_switch,
    "destination-check": appliances.nic_switch,
    "guest-not-forwarding": appliances.guest_switch,
    "loop": appliances.loop,
    "forwarded-traffic": appliances.forwarded,
    "route-none": routes.dropped,
    "no-gateway": routes.dropped,
    "no-owner": routes.nobody,
    "edge-untranslated": internet.untranslated,
    "edge-private": internet.private,
    "edge-unknown": internet.unknown,
    "no-rule": balancers.no_rule,
    "no-backend": balancers.no_backend,
    "hairpin": balancers.hairpin,
    "global-peering": balancers.global_peering,
}
"""Who knows about a stage at which a packet's way ended."""


def explain(network: Network, flow: Flow, title: str | None = None) -> Explanation:
    """Explain a flow by Azure's rules."""
    engine = Engine(network)
    verdict = engine.judge(flow)
    obstacles, works = _obstacles(network, flow)
    return Explanation(
        flow=flow,
        title=title if title is not None else _title(flow, verdict),
        verdict=verdict,
        obstacles=tuple(obstacles),
        works_then=works,
        notes=tuple(_notes(engine, flow, verdict)),
    )


def _title(flow: Flow, verdict: Verdict) -> str:
    return f"{flow.source} → {flow.destinationAddress} {service(verdict.steps[0].packet)}"


def works(verdict: Verdict) -> bool:
    """Does the packet arrive, and its answer come back?"""
    return verdict.access == "Allow" and verdict.answered


def _obstacles(network: Network, flow: Flow) -> tuple[list[Obstacle], bool]:
    """What stops the flow, what would stop it next, and so on; and whether it works when all that is put right."""
    told: list[Obstacle] = []
    for _ in range(MOST):
        engine = Engine(network)
        verdict = engine.judge(flow)
        if works(verdict):
            return told, True
        obstacle = _obstacle(engine, flow, verdict)
        helpful: list[tuple[Remedy, Network, Flow]] = list(_that_help(network, flow, obstacle))
        told.append(structs.replace(obstacle, remedies=tuple(remedy for remedy, _, _ in helpful)))
        if not helpful:
            return told, False
        _, network, flow = helpful[0]
    return told, False


def _that_help(network: Network, flow: Flow, obstacle: Obstacle) -> Iterator[tuple[Remedy, Network, Flow]]:
    """The remedies that make the flow work; when there are none, those that get a packet past the obstacle."""
    found: list[tuple[bool, Remedy, Network, Flow]] = []
    for remedy in obstacle.remedies:
        scenario = edited(network.scenario, remedy.edits)
        if scenario is None:
            continue
        changed = resolve(scenario, network.given()) if remedy.edits else network
        asked = flow
        if remedy.to is not None:
            asked = structs.replace(flow, destinationAddress=address_of(changed, remedy.to))
        engine = Engine(changed)
        verdict = engine.judge(asked)
        if works(verdict) or _is_further(obstacle, _obstacle(engine, asked, verdict)):
            found.append((works(verdict), remedy, changed, asked))
    enough = any(working for working, *_ in found)
    for working, remedy, changed, asked in found:
        if working or not enough:
            yield remedy, changed, asked


def _is_further(before: Obstacle, after: Obstacle) -> bool:
    """Is what stops it now something else?"""
    return _key(before) != _key(after) and not (before.way == "reply" and after.way == "request")


def _key(obstacle: Obstacle) -> tuple[object, ...]:
    return obstacle.way, obstacle.stage, obstacle.place, obstacle.networkSecurityGroup, obstacle.rule


def _obstacle(engine: Engine, flow: Flow, verdict: Verdict) -> Obstacle:
    """The first thing that stops a flow that does not work."""
    if verdict.access == "Deny":
        return _look(Case(engine, flow, verdict, "request"))
    reply = verdict.reply
    assert reply is not None
    case = Case(engine, flow, reply, "reply", verdict)
    if reply.access == "Deny":
        obstacle = _look(case)
        return structs.replace(obstacle, remedies=(*routes.back(case), *obstacle.remedies))
    if verdict.stage != "delivered":
        asked = "who asks in another's name gets no answer, whoever is asked for does (PLT-3)"
        return Obstacle("reply", "answer", f"goes astray: {asked}", reply.destination or "")
    what = (
        f"comes from {_seen(reply.sourceSeenAs)}, while {flow.destinationAddress} was spoken to"
        if reply.receiver == _sender(engine, flow)
        else f"goes to `{reply.receiver}`, who did not ask"
    )
    return Obstacle("reply", "answer", what, reply.destination or "", remedies=tuple(routes.back(case)))


def _sender(engine: Engine, flow: Flow) -> str:
    """The machine or host that sends."""
    nic = engine.network.nics.get(flow.source)
    return flow.source if nic is None or flow.source in engine.network.machines else nic.machine


def _seen(address: object) -> str:
    return str(address) if address is not None else "somebody"


def _look(case: Case) -> Obstacle:
    found = LOOK.get(case.verdict.stage)
    if found is not None and (case.verdict.stage != "source-check" or case.port is not None):
        return found(case)
    return Obstacle(
        way=case.way,
        stage=case.verdict.stage,
        what=f"is dropped at `{case.end.place}`: {case.end.detail}",
        place=case.end.place,
        direction=case.end.direction,
    )


# ---- notes -----------------------------------------------------------------------------------------------------------


def _notes(engine: Engine, flow: Flow, verdict: Verdict) -> Iterator[Note]:
    """What does not stop it, but is worth knowing."""
    if not verdict.is_uniform:
        yield Note("backend-decides", f"it depends on which backend is chosen: {verdict.text}")
    reply = verdict.reply
    if verdict.access == "Deny" or reply is None or reply.access == "Deny":
        return
    if tuple(reversed(reply.via)) != verdict.via:
        yield _asymmetric(Case(engine, flow, reply, "reply", verdict))


def _asymmetric(case: Case) -> Note:
    """RT-18: each direction follows its own subnet's routes."""

    def path(way: Verdict) -> str:
        own = [step for step in way.steps if step.route is not None and step.route.name is not None]
        by = ""
        if own and own[0].route is not None:
            by = f" (route `{own[0].route.name}` of `{case.sender_of(own[0]).nic.subnet.routeTable}`)"
        return f"through {', '.join(way.via)}{by}" if way.via else "directly"

    remedies = []
    for remedy in routes.back(case):
        changed = edited(case.scenario, remedy.edits)
        if changed is None:
            continue
        verdict = Engine(resolve(changed, case.network.given())).judge(case.flow)
        if works(verdict) and verdict.reply is not None and tuple(reversed(verdict.reply.via)) == verdict.via:
            remedies.append(remedy)
    return Note(
        "asymmetric-route",
        f"the packet goes {path(case.request)}, the answer {path(case.verdict)}; a stateful firewall that sees only one"
        " of them drops it (RT-18)",
        tuple(remedies[:1]),
    )
