"""A network as an SVG picture that needs nothing else: no script, no font, no other file."""

from __future__ import annotations

from netemu.azure.network import Network
from netemu.draw.appearance import ICONS, style_sheet
from netemu.draw.connectors import Connector, connectors
from netemu.draw.contents import (
    BADGE_ROOM,
    ICON_ROOM,
    PADDING,
    ROW_FACE,
    ROW_ICON,
    ROW_SIZE,
    TITLE_ICON_ROOM,
    TITLE_SIZE,
    row_height,
)
from netemu.draw.geometry import Rect
from netemu.draw.layout import (
    LANE_PADDING,
    MARGIN,
    PANEL_HEADING,
    PANEL_PADDING,
    TITLED,
    Card,
    Chip,
    Lane,
    Panel,
    Picture,
    layout,
)
from netemu.draw.text import BOLD, MONO, REGULAR, escape, fit, width

_TITLE_CLASS = {"machine": "azure", "nic": "dim", "host": "dim", "public": "public", "balancer": "balancing"}
_ICON_COLOUR = {"public": "public", "nsg": "nsg", "asg": "azure", "pool": "balancing"}
_ROW_ICON = {"pool": "balancer"}
_ROW_COLOUR = {
    "address": "ink", "public": "public-text", "nsg": "nsg-text", "asg": "dim", "pool": "balancing-text", "nic": "dim",
    "rule": "dim", "run": "faint",
}  # fmt: skip
_SURFACE = {"machine": "card", "nic": "card", "host": "host", "public": "host", "balancer": "balancer"}
_CHIP_COLOUR = {"nsg": "nsg", "natGateway": "public"}
_LEGEND = {
    "peering": "peering",
    "broken-peering": "peering without traffic",
    "route": "user-defined route",
    "nic": "NICs of one machine",
    "balancing": "load balancer to backends",
    "internet": "public addresses",
}


ARROWS = {"route": "arrow", "balancing": "arrow-balancing"}
LEGEND_ROW = 20.0
UNDER_CARDS = ("route", "nic", "balancing")
"""Lines on top of subnets; others are behind them."""


def svg(network: Network) -> str:
    """The picture of a network."""
    picture = layout(network)
    lines = connectors(network, picture)
    behind = [line for line in lines if line.kind not in UNDER_CARDS]
    under_cards = [line for line in lines if line.kind in UNDER_CARDS]
    legend, height = _legend(network, picture, lines)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {picture.width:.0f} {height:.0f}"'
        f' width="{picture.width:.0f}" height="{height:.0f}" role="img">',
        f"<title>{escape(network.name)}</title>",
        f"<style>{style_sheet()}</style>",
        "<defs>",
        *(
            f'<marker id="{name}" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7"'
            f' markerUnits="userSpaceOnUse" orient="auto"><path class="{name}" d="M0 0.5 8 4 0 7.5z"/></marker>'
            for name in ARROWS.values()
        ),
        *(f'<g id="icon-{name}">{shape}</g>' for name, shape in ICONS.items()),
        "</defs>",
        '<rect class="ground" width="100%" height="100%"/>',
        *_heading(network, picture),
        *map(_line, behind),
    ]
    if picture.cloud is not None:
        parts += _cloud(picture.cloud)
    for panel in picture.panels:
        parts += _panel(panel)
    parts += map(_line, under_cards)
    for panel in picture.panels:
        for lane in panel.lanes:
            parts += _lane_heading(lane)
    for card in picture.cards:
        parts += _card(card)
    parts += [label for line in behind for label in _label(line)]
    parts += legend
    parts.append("</svg>\n")
    return "\n".join(parts)


def _text(x: float, y: float, text: str, size: float, classes: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size:g}" class="{classes}">{escape(text)}</text>'


def _rect(rect: Rect, radius: float, classes: str) -> str:
    return (
        f'<rect x="{rect.x:.1f}" y="{rect.y:.1f}" width="{rect.width:.1f}" height="{rect.height:.1f}"'
        f' rx="{radius:g}" class="{classes}"/>'
    )


def _icon(name: str, x: float, y: float, colour: str, size: float = 14) -> str:
    return (
        f'<g class="icon icon-{colour}" transform="translate({x:.1f} {y:.1f}) scale({size / 14:.3g})">'
        f'<use href="#icon-{name}"/></g>'
    )


def _tooltip(text: str) -> str:
    return "<title>" + "\n".join(escape(line) for line in text.splitlines()) + "</title>"


def _heading(network: Network, picture: Picture) -> list[str]:
    room = picture.width - 2 * MARGIN
    counts = (
        (len(network.virtualNetworks), "virtual network"),
        (len(network.machines), "virtual machine"),
        (len(network.loadBalancers), "load balancer"),
        (len(network.publicIPs), "public IP"),
    )
    facts = [f"{count} {what}{'' if count == 1 else 's'}" for count, what in counts if count]
    facts.append(network.scenario.location)
    return [
        _text(MARGIN, MARGIN + 20, fit(network.name, room, 24, BOLD), 24, "ink bold"),
        _text(MARGIN, MARGIN + 42, fit(" · ".join(facts), room, 12.5), 12.5, "dim"),
    ]


def _cloud(rect: Rect) -> list[str]:
    """A band whose upper edge is scalloped like a cloud's."""
    bumps = max(3, round(rect.width / 130))
    step = (rect.width - 40) / bumps
    x, y = rect.x, rect.y
    arcs = "".join(f"a{step * 0.72:.1f} {step * 0.72:.1f} 0 0 1 {step:.1f} 0" for _ in range(bumps))
    path = (
        f"M{x + 20:.1f} {y:.1f}{arcs}a20 20 0 0 1 20 20V{rect.bottom - 20:.1f}a20 20 0 0 1 -20 20"
        f"H{x + 20:.1f}a20 20 0 0 1 -20 -20V{y + 20:.1f}a20 20 0 0 1 20 -20z"
    )
    middle = rect.middle[1]
    return [
        f'<path class="cloud" d="{path}"/>',
        _icon("cloud", x + 18, middle - 10, "dim", 20),
        _text(x + 44, middle + 5, "Internet", 14, "dim bold"),
    ]


def _panel(panel: Panel) -> list[str]:
    rect, network = panel.rect, panel.network
    band = (
        f"M{rect.x:.1f} {rect.y + 12:.1f}a12 12 0 0 1 12 -12h{rect.width - 24:.1f}"
        f"a12 12 0 0 1 12 12v22h{-rect.width:.1f}z"
    )
    spaces = " ".join(map(str, network.addressSpace))
    x, room = rect.x + PANEL_PADDING, rect.width - 2 * PANEL_PADDING - 24
    name = fit(network.name, room * 0.6 if width(network.name, 15, BOLD) > room * 0.6 else room, 15, BOLD)
    after = x + 24 + width(name, 15, BOLD) + 12
    baseline = rect.y + PANEL_HEADING / 2
    return [
        f"<g>{_tooltip(f'virtual network {network.name} {spaces}')}",
        _rect(rect, 12, "panel"),
        f'<path class="band" d="{band}"/>',
        _rect(rect, 12, "panel-outline"),
        _icon("network", x, baseline - 13, "azure", 17),
        _text(x + 24, baseline, name, 15, "ink bold"),
        _text(after, baseline, fit(spaces, rect.right - PANEL_PADDING - after, 11.5, MONO), 11.5, "dim mono"),
        "</g>",
        *(_rect(lane.rect, 9, "lane") for lane in panel.lanes),
    ]


def _lane_heading(lane: Lane) -> list[str]:
    rect, subnet = lane.rect, lane.subnet
    prefix = str(subnet.prefix)
    prefix_width = width(prefix, 11, MONO)
    x, room = rect.x + LANE_PADDING, rect.width - 2 * LANE_PADDING
    name = fit(subnet.name, room - prefix_width - 10, 13, BOLD)
    return [
        f"<g>{_tooltip(f'subnet {subnet.path} {prefix}')}",
        _text(x, rect.y + 22, name, 13, "ink bold halo"),
        _text(x + width(name, 13, BOLD) + 8, rect.y + 22, prefix, 11, "dim mono halo"),
        "</g>",
        *(part for chip in lane.chips for part in _chip(chip)),
    ]


def _chip(chip: Chip) -> list[str]:
    rect = chip.rect
    colour = _CHIP_COLOUR.get(chip.kind, "route")
    titled = chip.kind in TITLED
    face = MONO if chip.kind == "route" else BOLD if titled else REGULAR
    icon = 17.0 if titled else 0.0
    text = fit(chip.text, rect.width - icon - 14, 10.5, face)
    weight = {MONO: " mono", BOLD: " bold", REGULAR: ""}[face]
    parts = [f"<g>{_tooltip(chip.tooltip)}", _rect(rect, rect.height / 2, f"{colour}-ground")]
    if titled:
        parts.append(_icon(chip.kind, rect.x + 8, rect.y + 4, colour, 11))
    parts.append(_text(rect.x + 7 + icon, rect.y + 13.3, text, 10.5, f"{colour}-text{weight}"))
    return [*parts, "</g>"]


def _card(card: Card) -> list[str]:
    rect, content = card.rect, card.content
    x, room = rect.x + PADDING, rect.width - 2 * PADDING
    surface = "appliance" if content.appliance else _SURFACE[content.kind]
    title_room = room - TITLE_ICON_ROOM - (BADGE_ROOM if content.appliance else 0)
    parts = [
        f"<g>{_tooltip(content.tooltip)}",
        _rect(rect, 7, surface),
        _icon(content.kind, x, rect.y + 10, "appliance" if content.appliance else _TITLE_CLASS[content.kind], 15),
        _text(
            x + TITLE_ICON_ROOM,
            rect.y + 22,
            fit(content.title, title_room, TITLE_SIZE, BOLD),
            TITLE_SIZE,
            "dim bold" if content.kind == "nic" else "ink bold",
        ),
    ]
    if content.appliance:
        parts.append(_icon("appliance", rect.right - PADDING - 15, rect.y + 10, "appliance", 15))
    y = rect.y + 34
    for row in content.rows:
        height = row_height(row)
        parts += _row(row.kind, row.text, x, y, room, height)
        y += height
    return [*parts, "</g>"]


def _row(kind: str, text: str, x: float, y: float, room: float, height: float) -> list[str]:
    size, face = ROW_SIZE[kind], ROW_FACE[kind]
    parts = []
    if kind == "public":
        parts.append(_rect(Rect(x - 4, y, room + 8, height - 1.5), 5, "public-ground"))
    if kind in ROW_ICON:
        parts.append(_icon(_ROW_ICON.get(kind, kind), x, y + height / 2 - 6, _ICON_COLOUR[kind], 11))
        x, room = x + ICON_ROOM, room - ICON_ROOM
    classes = _ROW_COLOUR[kind] + (" mono" if face == MONO else "")
    parts.append(_text(x, y + height - 5, fit(text, room, size, face), size, classes))
    return parts


def _line(line: Connector) -> str:
    return f'<path class="line {line.kind}" d="{line.path}"{_arrow(line.kind)}>{_tooltip(line.tooltip)}</path>'


def _arrow(kind: str) -> str:
    return f' marker-end="url(#{ARROWS[kind]})"' if kind in ARROWS else ""


def _label(line: Connector) -> list[str]:
    if not line.label:
        return []
    classes = "public-label" if line.kind == "internet" else "broken-text bold"
    if line.kind == "internet":
        x, y = line.end[0] - 8 - width(line.label, 11), line.end[1] - 17
    else:
        x = line.end[0] - width(line.label, 11, BOLD) / 2
        y = line.end[1] - 24
    return [_text(x, y, line.label, 11, classes)]


def _legend(network: Network, picture: Picture, lines: list[Connector]) -> tuple[list[str], float]:
    """What the lines mean, as far as there are any, in as many rows as they need; and how high the picture is then."""
    x, y = MARGIN, picture.height - MARGIN + 2
    parts = []

    def place(room: float) -> None:
        nonlocal x, y
        if x > MARGIN and x + room > picture.width - MARGIN:
            x, y = MARGIN, y + LEGEND_ROW

    for kind in (kind for kind in _LEGEND if any(line.kind == kind for line in lines)):
        room = 33 + width(_LEGEND[kind], 11)
        place(room)
        parts.append(f'<path class="line {kind}" d="M{x:.1f} {y:.1f}h26"{_arrow(kind)}/>')
        parts.append(_text(x + 33, y + 4, _LEGEND[kind], 11, "dim"))
        x += room + 20
    if any(nic.enableIPForwarding for nic in network.nics.values()):
        place(20 + width("IP forwarding", 11))
        parts.append(_icon("appliance", x, y - 7, "appliance"))
        parts.append(_text(x + 20, y + 4, "IP forwarding", 11, "dim"))
    return parts, y + MARGIN - 2
