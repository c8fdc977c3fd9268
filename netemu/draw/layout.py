"""Where everything stands in a picture: the internet on top, virtual networks below, subnets in them, cards in those.

Works from the inside out: cards have one width throughout, a subnet is a grid of cards, a virtual network is rows of
subnets, the picture is rows of virtual networks. Networks with several peerings (hubs) stand above the others.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from netemu.azure.network import Network, Subnet, VirtualNetwork
from netemu.draw.contents import (
    Content,
    balancer_content,
    host_content,
    machine_content,
    nic_content,
    public_content,
    unassociated,
)
from netemu.draw.geometry import Rect, columns, extent, pack, shelves
from netemu.draw.relations import gateway_addresses, home, peering_pairs, public_ips_in_use, route_target, routes_of
from netemu.draw.text import BOLD, MONO, width

MARGIN = 28.0
HEADING = 60.0
CLOUD_CREST = 24.0
LEGEND = 34.0
CARD_GAP = 12.0
LANE_PADDING = 14.0
LANE_GAP = 16.0
LANE_HEADING = 34.0
PANEL_PADDING = 18.0
PANEL_HEADING = 46.0
CHIP_HEIGHT = 19.0
CHIP_GAP = 6.0
CLOUD_GAP = 46.0
CLOUD_LABEL = 118.0
NARROWEST_CARD, WIDEST_CARD = 132.0, 250.0
WIDEST_RUN = 206.0
WIDEST_HEADING = 420.0
_MOST_CHIPS = 8

ChipKind = Literal["nsg", "natGateway", "routeTable", "route", "more"]


TITLED = ("nsg", "natGateway", "routeTable")
"""Chips with an icon and a name."""


class Chip(Struct, frozen=True):
    """A small label of a subnet: its NSG, its NAT gateway, its route table, a route."""

    kind: ChipKind
    text: str
    tooltip: str
    rect: Rect


class Card(Struct, frozen=True):
    """A machine, a further NIC, or an internet host."""

    content: Content
    rect: Rect


class Lane(Struct, frozen=True):
    """A subnet with its cards."""

    subnet: Subnet
    rect: Rect
    chips: tuple[Chip, ...]
    cards: tuple[Card, ...]


class Panel(Struct, frozen=True):
    """A virtual network with its subnets."""

    network: VirtualNetwork
    rect: Rect
    lanes: tuple[Lane, ...]


class Picture(Struct, frozen=True):
    """The whole picture."""

    width: float
    height: float
    cloud: Rect | None
    hosts: tuple[Card, ...]
    rows: tuple[tuple[Panel, ...], ...]

    @property
    def panels(self) -> list[Panel]:
        """All virtual networks."""
        return [panel for row in self.rows for panel in row]

    @property
    def cards(self) -> list[Card]:
        """All cards, hosts first."""
        return [*self.hosts, *(card for panel in self.panels for lane in panel.lanes for card in lane.cards)]


def layout(network: Network) -> Picture:
    """Find a place for everything."""
    contents = _contents(network)
    on_the_internet = [host_content(host) for host in network.hosts.values()]
    on_the_internet += [balancer_content(each) for each in network.loadBalancers.values() if home(each) is None]
    on_the_internet += [public_content(ip) for ip in unassociated(network)]
    everything = [content for inside in contents.values() for content in inside] + on_the_internet
    card_width = _card_width(everything)
    panels = [_panel(network, one, contents, card_width) for one in network.virtualNetworks.values()]
    gap = 64.0 if peering_pairs(network) else 28.0
    rows = _panel_rows(network, panels, gap)
    inner = max(
        [sum(panel.rect.width for panel in row) + gap * (len(row) - 1) for row in rows]
        + [min(width(network.name, 24, BOLD), 600.0), 420.0]
    )
    if on_the_internet:
        inner = max(inner, CLOUD_LABEL + card_width + 2 * LANE_PADDING + 20)
    y = MARGIN + HEADING
    cloud: Rect | None = None
    hosts: tuple[Card, ...] = ()
    gateways = any(subnet.natGateway for subnet in network.subnets())
    if on_the_internet or gateways or any(True for _ in public_ips_in_use(network)):
        cloud, hosts = _cloud(on_the_internet, card_width, inner, y + CLOUD_CREST)
        y = cloud.bottom + CLOUD_GAP
    placed = []
    for row in rows:
        used = sum(panel.rect.width for panel in row) + gap * (len(row) - 1)
        x = MARGIN + (inner - used) / 2
        placed_row = []
        for panel in row:
            placed_row.append(_moved_panel(panel, x, y))
            x += panel.rect.width + gap
        placed.append(tuple(placed_row))
        y += max(panel.rect.height for panel in row) + gap
    bottom = y - gap if rows else y
    return Picture(
        width=inner + 2 * MARGIN,
        height=bottom + LEGEND + MARGIN,
        cloud=cloud,
        hosts=hosts,
        rows=tuple(placed),
    )


def _contents(network: Network) -> dict[str, list[Content]]:
    """What stands in each subnet."""
    result: dict[str, list[Content]] = {subnet.path: [] for subnet in network.subnets()}
    for balancer in network.loadBalancers.values():
        subnet = home(balancer)
        if subnet is not None:
            result[subnet.path].append(balancer_content(balancer))
    for machine in network.machines.values():
        for nic in machine.nics:
            content = machine_content(network, machine) if nic.index == 0 else nic_content(network, nic)
            result[nic.subnet.path].append(content)
    return result


def _card_width(contents: Sequence[Content]) -> float:
    """One width for all cards. A long program does not make them all wide."""
    wanted = NARROWEST_CARD
    for content in contents:
        rows = tuple(row for row in content.rows if row.kind != "run")
        runs = min(content.wanted_width(), WIDEST_RUN)
        wanted = max(wanted, runs, replace(content, rows=rows).wanted_width())
    return min(wanted, WIDEST_CARD)


def _panel_rows(network: Network, panels: list[Panel], gap: float) -> list[list[Panel]]:
    """Hubs above, the others below; without hubs just rows."""
    degree: dict[str, int] = {}
    for pair in peering_pairs(network):
        for name in (pair.first, pair.second):
            degree[name] = degree.get(name, 0) + 1
    hubs = [panel for panel in panels if degree.get(panel.network.name, 0) > 1]
    others = [panel for panel in panels if degree.get(panel.network.name, 0) <= 1]
    if not hubs or not others or len(hubs) > len(others):
        return _shelved(panels, gap)
    return _shelved(hubs, gap) + _shelved(others, gap, aspect=4.0)


def _shelved(panels: list[Panel], gap: float, aspect: float = 2.2) -> list[list[Panel]]:
    sizes = [(panel.rect.width, panel.rect.height) for panel in panels]
    return [[panels[i] for i in row] for row in pack(sizes, gap, aspect)]


def _panel(
    network: Network, virtual_network: VirtualNetwork, contents: dict[str, list[Content]], card_width: float
) -> Panel:
    """A virtual network at the origin."""
    natural = [
        _lane(network, subnet, contents[subnet.path], card_width, 0) for subnet in virtual_network.subnets.values()
    ]
    # Appliances stand last, at the bottom: routes from networks further down reach them without crossing others.
    natural.sort(key=lambda lane: any(card.content.appliance for card in lane.cards))
    sizes = [(lane.rect.width, lane.rect.height) for lane in natural]
    rows = pack(sizes, LANE_GAP, aspect=1.9)
    spaces = " ".join(map(str, virtual_network.addressSpace))
    heading = 30 + width(virtual_network.name, 15, BOLD) + 14 + width(spaces, 11.5, MONO)
    inner = max(extent(rows, sizes, LANE_GAP)[0], min(heading, WIDEST_HEADING), 180)
    y = PANEL_HEADING
    lanes = []
    for row in rows:
        spare = (inner - sum(sizes[i][0] for i in row) - LANE_GAP * (len(row) - 1)) / len(row)
        stretched = [
            _lane(network, natural[i].subnet, contents[natural[i].subnet.path], card_width, sizes[i][0] + spare)
            for i in row
        ]
        height = max(lane.rect.height for lane in stretched)
        x = PANEL_PADDING
        for lane in stretched:
            lanes.append(_moved_lane(replace(lane, rect=replace(lane.rect, height=height)), x, y))
            x += lane.rect.width + LANE_GAP
        y += height + LANE_GAP
    bottom = y - LANE_GAP if rows else y
    return Panel(virtual_network, Rect(0, 0, inner + 2 * PANEL_PADDING, bottom + PANEL_PADDING), tuple(lanes))


def _lane(network: Network, subnet: Subnet, contents: list[Content], card_width: float, lane_width: float) -> Lane:
    """A subnet at the origin, as wide as it needs to be or as it is told."""
    labels = _labels(network, subnet)
    if not lane_width:
        in_a_row = min(columns(len(contents)), len(contents) or 1)
        heading = width(subnet.name, 13, BOLD) + 10 + width(str(subnet.prefix), 11, MONO)
        grid = in_a_row * (card_width + CARD_GAP) - CARD_GAP
        chip = max((_chip_width(kind, text) for kind, text, _ in labels), default=0.0)
        lane_width = max(grid, min(heading, WIDEST_HEADING), min(chip, card_width + 30)) + 2 * LANE_PADDING
    inner = lane_width - 2 * LANE_PADDING
    chips = _chips(labels, inner)
    y = max([LANE_HEADING, *(chip.rect.bottom + 10 for chip in chips)])
    cards, bottom = _grid(contents, card_width, inner, LANE_PADDING, y)
    if not contents:
        bottom = y - 2
    return Lane(subnet, Rect(0, 0, lane_width, bottom + LANE_PADDING), chips, cards)


def _grid(
    contents: Sequence[Content], card_width: float, room: float, left: float, top: float
) -> tuple[tuple[Card, ...], float]:
    """Cards in rows, each row as high as its highest card; and where the grid ends."""
    across = max(1, int((room + CARD_GAP + 0.01) // (card_width + CARD_GAP)))
    cards = []
    y = top
    for start in range(0, len(contents), across):
        row = contents[start : start + across]
        height = max(content.height() for content in row)
        for column, content in enumerate(row):
            cards.append(Card(content, Rect(left + column * (card_width + CARD_GAP), y, card_width, height)))
        y += height + CARD_GAP
    return tuple(cards), y - CARD_GAP if contents else top


def _labels(network: Network, subnet: Subnet) -> list[tuple[ChipKind, str, str]]:
    """Kind, text and tooltip of a subnet's chips."""
    labels: list[tuple[ChipKind, str, str]] = []
    if subnet.networkSecurityGroup:
        rules = network.scenario.networkSecurityGroups[subnet.networkSecurityGroup].securityRules
        lines = [
            f"{rule.direction} {rule.priority} {name}: {rule.access} {rule.protocol}"
            for name, rule in sorted(rules.items(), key=lambda item: (item[1].direction, item[1].priority))
        ]
        tooltip = "\n".join([f"NSG {subnet.networkSecurityGroup}", *lines])
        labels.append(("nsg", subnet.networkSecurityGroup, tooltip))
    if subnet.natGateway:
        lines = [f"NAT gateway {subnet.natGateway}", *gateway_addresses(network, subnet.natGateway)]
        labels.append(("natGateway", subnet.natGateway, "\n".join(lines)))
    if subnet.routeTable:
        routes = routes_of(network, subnet)
        texts = [f"{route.addressPrefix} → {route_target(network, subnet, route)}" for route in routes.values()]
        labels.append(("routeTable", subnet.routeTable, "\n".join([f"route table {subnet.routeTable}", *texts])))
        shown = texts if len(texts) <= _MOST_CHIPS else texts[: _MOST_CHIPS - 1]
        labels += [("route", text, name) for text, name in zip(shown, routes, strict=False)]
        if len(shown) < len(texts):
            labels.append(("more", f"and {len(texts) - len(shown)} more", "\n".join(texts)))
    return labels


def _chip_width(kind: ChipKind, text: str) -> float:
    icon = 17.0 if kind in TITLED else 0.0
    return width(text, 10.5, MONO if kind == "route" else BOLD if icon else "regular") + icon + 15


def _chips(labels: Sequence[tuple[ChipKind, str, str]], room: float) -> tuple[Chip, ...]:
    """Chips flowing into lines; a route table begins a line of its own, before its routes."""
    sizes = [(min(_chip_width(kind, text), room), CHIP_HEIGHT) for kind, text, _ in labels]
    chips: list[Chip] = []
    y = LANE_HEADING
    for row in shelves(sizes, room, CHIP_GAP):
        x = LANE_PADDING
        for index in row:
            kind, text, tooltip = labels[index]
            chips.append(Chip(kind, text, tooltip, Rect(x, y, *sizes[index])))
            x += sizes[index][0] + CHIP_GAP
        y += CHIP_HEIGHT + CHIP_GAP
    return tuple(chips)


def _cloud(contents: Sequence[Content], card_width: float, inner: float, y: float) -> tuple[Rect, tuple[Card, ...]]:
    """The internet: a band over the whole width, its hosts in the middle."""
    room = inner - CLOUD_LABEL - 2 * LANE_PADDING
    across = max(1, int((room + CARD_GAP) // (card_width + CARD_GAP)))
    used = min(across, len(contents) or 1) * (card_width + CARD_GAP) - CARD_GAP
    left = MARGIN + max(CLOUD_LABEL, (inner - used) / 2)
    cards, bottom = _grid(contents, card_width, used, left, y + LANE_PADDING + 4)
    height = max(bottom - y + LANE_PADDING + 4, 60.0)
    return Rect(MARGIN, y, inner, height), cards


def _moved_lane(lane: Lane, dx: float, dy: float) -> Lane:
    return replace(
        lane,
        rect=lane.rect.moved(dx, dy),
        chips=tuple(replace(chip, rect=chip.rect.moved(dx, dy)) for chip in lane.chips),
        cards=tuple(replace(card, rect=card.rect.moved(dx, dy)) for card in lane.cards),
    )


def _moved_panel(panel: Panel, dx: float, dy: float) -> Panel:
    return replace(
        panel,
        rect=panel.rect.moved(dx, dy),
        lanes=tuple(_moved_lane(lane, dx, dy) for lane in panel.lanes),
    )
