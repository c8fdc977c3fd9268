"""The lines of a picture: peerings, routes to appliances, NICs of one machine, load balancers, the internet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct

from netemu.azure.network import Network
from netemu.draw.geometry import Point, Rect
from netemu.draw.layout import Card, Lane, Panel, Picture
from netemu.draw.relations import (
    PeeringPair,
    appliance_routes,
    backends,
    balancer_key,
    gateway_addresses,
    gateways_of,
    peering_pairs,
    public_ips_in_use,
)  # fmt: skip

Side = Literal["left", "right", "top", "bottom"]
ConnectorKind = Literal["peering", "broken-peering", "route", "nic", "balancing", "internet"]
MOST_LINES = 8
"""So many members of a pool have a line of their own; more are not told apart."""
_OUTWARDS: dict[Side, Point] = {"left": (-1, 0), "right": (1, 0), "top": (0, -1), "bottom": (0, 1)}
_OPPOSITE: dict[Side, Side] = {"left": "right", "right": "left", "top": "bottom", "bottom": "top"}


class Connector(Struct, frozen=True):
    """A line from one point to another, leaving and arriving at right angles to the sides it joins."""

    kind: ConnectorKind
    start: Point
    end: Point
    path: str
    """As SVG path data."""
    tooltip: str
    label: str = ""


class _Joint(Struct):
    """A line to be drawn: what it joins and on which sides; the exact points come when all lines are known."""

    kind: ConnectorKind
    a: Rect
    a_side: Side
    b: Rect
    b_side: Side
    tooltip: str
    label: str = ""
    at: float | None = None
    """Height of both ends, when the line is level."""
    turn: float | None = None
    """Where an angular line turns: a height when it leaves upwards or downwards, else a distance from the left.

    Absent for a curve. Angular lines run in the gaps between subnets and networks, where no text is."""


def connectors(network: Network, picture: Picture) -> list[Connector]:
    """Every line of the picture, those to be painted first in front."""
    return [
        *_internet(network, picture),
        *_peerings(network, picture),
        *_nics(network, picture),
        *_balancing(network, picture),
        *_routes(network, picture),
    ]


def _internet(network: Network, picture: Picture) -> list[Connector]:
    """From the internet to each virtual network whose machines have public IPs or a NAT gateway."""
    result = []
    for panel in picture.panels:
        name = panel.network.name
        ips = [one.config.publicIP for one in public_ips_in_use(network) if one.nic.subnet.virtualNetwork == name]
        gateways = gateways_of(network, name)
        if not (ips or gateways) or picture.cloud is None:
            continue
        x = panel.rect.right - 44
        start, end = (x, picture.cloud.bottom), (x, panel.rect.y)
        lines = [f"{ip.name} {ip.address}" for ip in ips if ip]
        lines += [f"NAT gateway {each.name}: {', '.join(gateway_addresses(network, each.name))}" for each in gateways]
        tooltip = "\n".join(lines)
        labels = [_number(len(ips), "public IP")] if ips else []
        labels += [f"NAT gateway {gateways[0].name}"] if len(gateways) == 1 else []
        labels += [_number(len(gateways), "NAT gateway")] if len(gateways) > 1 else []
        label = " · ".join(labels)
        path = f"M{x:.1f} {start[1]:.1f}V{end[1]:.1f}"
        result.append(Connector("internet", start, end, path, tooltip, label))
    return result


def _number(count: int, what: str) -> str:
    return f"{count} {what}{'s' if count > 1 else ''}"


def _peerings(network: Network, picture: Picture) -> list[Connector]:
    places = {
        panel.network.name: (row, column, panel)
        for row, panels in enumerate(picture.rows)
        for column, panel in enumerate(panels)
    }
    joints = []
    for pair in peering_pairs(network):
        a, b = sorted((places[pair.first], places[pair.second]), key=lambda place: place[:2])
        joints.append(_peering(pair, a, b))
    return _drawn(joints)


def _peering(pair: PeeringPair, a: tuple[int, int, Panel], b: tuple[int, int, Panel]) -> _Joint:
    (row_a, column_a, panel_a), (row_b, column_b, panel_b) = a, b
    kind: ConnectorKind = "peering" if pair.carries_traffic else "broken-peering"
    label = "" if pair.carries_traffic else pair.label
    tooltip = f"peering {pair.first} – {pair.second}: {pair.label}"
    if row_a == row_b and column_b == column_a + 1:
        at = min(panel_a.rect.height, panel_b.rect.height) / 2
        joint = _Joint(kind, panel_a.rect, "right", panel_b.rect, "left", tooltip, label)
        joint.at = panel_a.rect.y + at
        return joint
    sides: tuple[Side, Side] = ("bottom", "bottom") if row_a == row_b else ("bottom", "top")
    return _Joint(kind, panel_a.rect, sides[0], panel_b.rect, sides[1], tooltip, label)


def _nics(network: Network, picture: Picture) -> list[Connector]:
    """From a machine's card to the cards of its further NICs."""
    cards = {card.content.key: card for card in picture.cards if card.content.kind in ("machine", "nic")}
    joints = []
    for machine in network.machines.values():
        for nic in machine.nics[1:]:
            a, b = cards[machine.nics[0].name].rect, cards[nic.name].rect
            side = _facing(a, b)
            joints.append(_Joint("nic", a, side, b, _OPPOSITE[side], f"{nic.name} is a NIC of {machine.name}"))
    return _drawn(joints)


def _balancing(network: Network, picture: Picture) -> list[Connector]:
    """From a load balancer to the subnets of its backends; in its own subnet to the backends themselves."""
    lanes = {lane.subnet.path: lane for panel in picture.panels for lane in panel.lanes}
    cards = {card.content.key: card for card in picture.cards}
    own = {card.content.key: lane for lane in lanes.values() for card in lane.cards}
    joints: list[_Joint] = []
    for balancer in network.loadBalancers.values():
        key = balancer_key(balancer)
        card, lane = cards[key], own.get(key)
        behind: dict[str, list[str]] = {}
        for member in backends(balancer):
            behind.setdefault(member.nic.subnet.path, []).append(member.nic.name)
        for path, nics in behind.items():
            tooltip = f"{balancer.name} → {', '.join(nics)}"
            if lane is not None and path == lane.subnet.path:
                for nic in nics if len(nics) <= MOST_LINES else ():
                    side = _facing(card.rect, cards[nic].rect)
                    joints.append(_Joint("balancing", card.rect, side, cards[nic].rect, _OPPOSITE[side], tooltip))
                continue
            target = lanes[path].rect
            around = lane.rect if lane is not None else picture.cloud or card.rect
            side = _facing(around, target)
            joint = _Joint("balancing", card.rect, side, target, _OPPOSITE[side], tooltip)
            joint.turn = _turn(
                around, side, 4 + 2 * (len(joints) % 3) if lane is not None else 8 + 6 * (len(joints) % 5)
            )
            joints.append(joint)
    return _drawn(joints)


def _routes(network: Network, picture: Picture) -> list[Connector]:
    """From a subnet to the appliance that its routes name."""
    lanes = {lane.subnet.path: lane for panel in picture.panels for lane in panel.lanes}
    panels = {panel.network.name: panel.rect for panel in picture.panels}
    cards: dict[str, tuple[Lane, Card]] = {
        card.content.key: (lane, card) for lane in lanes.values() for card in lane.cards
    }
    joints = []
    for route in appliance_routes(network):
        source = lanes[route.subnet.path]
        target_lane, card = cards[route.hop.key]
        tooltip = f"{route.subnet.path} → {route.hop.name}: {', '.join(route.prefixes)}"
        if source.subnet.path == target_lane.subnet.path:
            chip = next(chip.rect for chip in source.chips if chip.kind == "routeTable")
            joints.append(_Joint("route", chip, "bottom", card.rect, "top", tooltip))
            continue
        inside = route.subnet.virtualNetwork == route.hop.subnet.virtualNetwork
        own = source.rect if inside else panels[route.subnet.virtualNetwork]
        side = _facing(own, target_lane.rect if inside else panels[route.hop.subnet.virtualNetwork])
        joint = _Joint("route", source.rect, side, card.rect, _OPPOSITE[side], tooltip)
        joint.turn = _turn(own, side, 8 if inside else 14 + 6 * (len(joints) % 6))
        joints.append(joint)
    return _drawn(joints)


def _turn(rect: Rect, side: Side, distance: float) -> float:
    """Find the line at some distance from a side, outside."""
    x, y = _point(rect, side, 0.5)
    dx, dy = _OUTWARDS[side]
    return y + dy * distance if dy else x + dx * distance


def _facing(a: Rect, b: Rect) -> Side:
    """Choose the side of `a` that looks towards `b`; above and below count more than left and right."""
    if b.y >= a.bottom:
        return "bottom"
    if b.bottom <= a.y:
        return "top"
    return "right" if b.middle[0] >= a.middle[0] else "left"


def _drawn(joints: Sequence[_Joint]) -> list[Connector]:
    """Give each line its end points: lines that meet on one side of a rectangle share it evenly."""
    ends: dict[tuple[Rect, Side], list[tuple[float, int, int]]] = {}
    for number, joint in enumerate(joints):
        for which, (own, side, other) in enumerate(
            ((joint.a, joint.a_side, joint.b), (joint.b, joint.b_side, joint.a))
        ):
            towards = other.middle[0] if side in ("top", "bottom") else other.middle[1]
            ends.setdefault((own, side), []).append((towards, number, which))
    points: dict[tuple[int, int], Point] = {}
    for (rect, side), arrivals in ends.items():
        for place, (_, number, which) in enumerate(sorted(arrivals)):
            share = (place + 1) / (len(arrivals) + 1)
            if joints[number].turn is not None and side == "top":
                share = 0.86 + 0.1 * share  # to the right of headings
            points[number, which] = _point(rect, side, share)
    result = []
    for number, joint in enumerate(joints):
        start, end = points[number, 0], points[number, 1]
        if joint.at is not None:
            start, end = (start[0], joint.at), (end[0], joint.at)
        path = _curve(joint, start, end) if joint.turn is None else _angular(joint.a_side, start, joint.turn, end)
        result.append(Connector(joint.kind, start, end, path, joint.tooltip, joint.label))
    return result


def _curve(joint: _Joint, start: Point, end: Point) -> str:
    reach = _reach(joint, start, end)
    points = (start, _beyond(start, joint.a_side, reach), _beyond(end, joint.b_side, reach), end)
    a, b, c, d = (f"{x:.1f} {y:.1f}" for x, y in points)
    return f"M{a} C{b} {c} {d}"


def _angular(side: Side, start: Point, turn: float, end: Point) -> str:
    """Go straight on to the turn, along it, and straight to the end; with rounded corners."""
    upright = side in ("top", "bottom")
    corners = ((start[0], turn), (end[0], turn)) if upright else ((turn, start[1]), (turn, end[1]))
    parts = [f"M{start[0]:.1f} {start[1]:.1f}"]
    for before, corner, after in ((start, corners[0], corners[1]), (corners[0], corners[1], end)):
        (x1, y1), (x2, y2) = _near(corner, before), _near(corner, after)
        parts.append(f"L{x1:.1f} {y1:.1f}Q{corner[0]:.1f} {corner[1]:.1f} {x2:.1f} {y2:.1f}")
    return "".join(parts) + f"L{end[0]:.1f} {end[1]:.1f}"


def _near(corner: Point, other: Point, radius: float = 6.0) -> Point:
    """Find the point from which a rounded corner bends, on the way to the other point."""
    dx, dy = other[0] - corner[0], other[1] - corner[1]
    distance = abs(dx) + abs(dy)
    share = min(radius, distance / 2) / distance if distance else 0.0
    return corner[0] + dx * share, corner[1] + dy * share


def _point(rect: Rect, side: Side, share: float) -> Point:
    if side in ("top", "bottom"):
        return rect.x + rect.width * share, rect.y if side == "top" else rect.bottom
    return rect.x if side == "left" else rect.right, rect.y + rect.height * share


def _reach(joint: _Joint, start: Point, end: Point) -> float:
    """How far a curve goes straight on before it bends."""
    if joint.a_side == joint.b_side:
        return 50.0 + abs(start[1] - end[1])
    vertical = joint.a_side in ("top", "bottom")
    distance = abs(end[1] - start[1]) if vertical else abs(end[0] - start[0])
    return max(distance * 0.55, 14.0)


def _beyond(point: Point, side: Side, reach: float) -> Point:
    dx, dy = _OUTWARDS[side]
    return point[0] + dx * reach, point[1] + dy * reach
