"""Flows that end at an appliance, or at a peering because an appliance forwarded them.

Sources: Azure rules NIC-7, NIC-8, NIC-9, NVA-1, NVA-8, PEER-11.
"""

from __future__ import annotations

from collections.abc import Iterator

from netemu.azure.flow import dotted
from netemu.explain.case import Case
from netemu.explain.edits import GONE, Edit
from netemu.explain.explanation import Obstacle, Remedy

SWITCH = "net.ipv4.ip_forward"


def nic_switch(case: Case) -> Obstacle:
    """A NIC drops what is not its own: enableIPForwarding is false (NIC-7)."""
    port = case.port
    assert port is not None
    incoming = case.verdict.stage == "destination-check"
    address = dotted(case.packet.destination if incoming else case.packet.source)
    what = (
        f"is dropped at NIC `{port.name}` of `{port.machine}`: {address} is not its own, and enableIPForwarding is"
        " false"
    )
    return Obstacle(
        way=case.way,
        stage=case.verdict.stage,
        what=f"{what} (NIC-7){_who_sent_it(case) if incoming else ''}",
        place=port.name,
        remedies=(
            Remedy(
                f"enableIPForwarding: true for `{port.name}` would let it through",
                (Edit((*case.nic_path(port.name), "enableIPForwarding"), value=True),),
            ),
            *_directly(case),
        ),
        direction="Inbound" if incoming else "Outbound",
    )


def guest_switch(case: Case) -> Obstacle:
    """The guest of an appliance does not forward (NIC-9), or the packet is back where it came from."""
    port = case.port
    assert port is not None
    guest = case.engine.placement.guests[port.machine]
    if guest.forwards:
        return Obstacle(
            way=case.way,
            stage=case.verdict.stage,
            what=f"is sent back to `{guest.name}`, which takes nothing from {dotted(case.packet.source)}, its own"
            + _who_sent_it(case),
            place=port.name,
            remedies=tuple(_directly(case)),
            direction="Inbound",
        )
    sysctls = {**case.scenario.virtualMachines[guest.name].sysctls, SWITCH: "1"}
    return Obstacle(
        way=case.way,
        stage=case.verdict.stage,
        what=f"is dropped inside `{guest.name}`, whose guest does not forward: {SWITCH} is not 1 (NIC-9)"
        + _who_sent_it(case),
        place=port.name,
        remedies=(
            Remedy(
                f"sysctls {{{SWITCH}: 1}} for `{guest.name}` would let it through",
                (Edit(("virtualMachines", guest.name, "sysctls"), sysctls),),
            ),
            *_directly(case),
        ),
        direction="Inbound",
    )


def _who_sent_it(case: Case) -> str:
    step, route = case.route_step, case.last_route
    if step is None or route is None or route.name is None:
        return ""
    table = case.sender_of(step).nic.subnet.routeTable
    return f"; route `{route.name}` of `{table}` sends it there"


def _directly(case: Case) -> Iterator[Remedy]:
    """Without the route that leads to the appliance."""
    step, route = case.route_step, case.last_route
    if step is not None and route is not None and route.name is not None:
        table = str(case.sender_of(step).nic.subnet.routeTable)
        text = f"without route `{route.name}` of `{table}` it would not go there"
        yield Remedy(text, (Edit(("routeTables", table, "routes", route.name), GONE),))


def loop(case: Case) -> Obstacle:
    """A routing loop (NVA-1)."""
    step, route = case.route_step, case.last_route
    assert step is not None
    assert route is not None
    subnet = case.sender_of(step).nic.subnet
    remedies: list[Remedy] = []
    if route.name is not None and subnet.routeTable is not None:
        remedies = [
            Remedy(
                f"no route table for subnet `{subnet.path}`, in which the appliance is, would let it through",
                (Edit((*case.subnet_path(subnet), "routeTable"), GONE),),
            ),
            Remedy(
                f"a table without route `{route.name}` would let it through",
                (Edit(("routeTables", subnet.routeTable, "routes", route.name), GONE),),
            ),
        ]
    name = f"route `{route.name}` of `{subnet.routeTable}`" if route.name is not None else str(route)
    return Obstacle(
        way=case.way,
        stage=case.verdict.stage,
        what=f"goes in circles until its TTL ends: `{case.sender_of(step).machine}` forwards it, and {name} on its own"
        f" subnet `{subnet.path}` sends it back (NVA-1)",
        place=case.end.place,
        remedies=tuple(remedies),
        direction="Outbound",
    )


def forwarded(case: Case) -> Obstacle:
    """A peering that takes only what comes from the other network itself (PEER-11)."""
    port, step = case.port, case.route_step
    assert port is not None
    assert step is not None
    sender = case.sender_of(step)
    peering = case.engine.placement.peerings[port.virtualNetwork][sender.virtualNetwork]
    path = ("virtualNetworks", port.virtualNetwork, "virtualNetworkPeerings", peering.name, "allowForwardedTraffic")
    return Obstacle(
        way=case.way,
        stage=case.verdict.stage,
        what=f"is dropped at peering `{peering.name}` of `{port.virtualNetwork}`: `{sender.virtualNetwork}` only"
        f" forwards what comes from {dotted(case.packet.source)}, and allowForwardedTraffic is false (PEER-11)",
        place=port.name,
        remedies=(
            Remedy(
                f"allowForwardedTraffic: true for `{peering.name}` of `{port.virtualNetwork}` would let it through",
                (Edit(path, value=True),),
            ),
        ),
        direction="Inbound",
    )
