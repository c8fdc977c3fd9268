"""How a picture looks: colours for light and dark screens, and icons.

Classes, not attributes, carry the colours: a viewer that prefers dark gets the second half of the style sheet.
"""

from __future__ import annotations

FONT = "'Segoe UI', 'Inter', 'Helvetica Neue', Arial, 'DejaVu Sans', sans-serif"
MONO_FONT = "'Cascadia Code', 'SF Mono', Consolas, 'DejaVu Sans Mono', monospace"

_SHAPES = f"""
text {{ font-family: {FONT}; }}
.mono {{ font-family: {MONO_FONT}; }}
.bold {{ font-weight: 600; }}
.line {{ fill: none; stroke-linecap: round; }}
.peering {{ stroke-width: 3; }}
.broken-peering {{ stroke-width: 2.5; stroke-dasharray: 7 6; }}
.route {{ stroke-width: 1.4; }}
.nic {{ stroke-width: 2; stroke-dasharray: 1 5; }}
.balancing {{ stroke-width: 1.4; }}
.internet {{ stroke-width: 2; }}
.icon {{ fill: none; stroke-width: 1.3; stroke-linejoin: round; stroke-linecap: round; }}
.icon .solid {{ stroke: none; }}
"""

LIGHT = {
    "ground": "#f6f9fc", "ink": "#1b2a3d", "dim": "#5b6b7f", "faint": "#8494a8",
    "cloud": "#e4edf6", "cloud-edge": "#b9cde0", "panel": "#ffffff", "panel-edge": "#0078d4", "band": "#e5f1fb",
    "lane": "#f3f8fd", "lane-edge": "#cfe2f3", "card": "#ffffff", "card-edge": "#c6d2df",
    "host": "#ffffff", "host-edge": "#9db4c9", "appliance": "#fff7ef", "appliance-edge": "#d8792b",
    "azure": "#0078d4", "nsg": "#107c41", "nsg-ground": "#e3f4ea", "route": "#b8560f", "route-ground": "#fdeedd",
    "public": "#6b3fa0", "public-ground": "#efe6fa", "broken": "#a0702a",
    "balancing": "#0b7a75", "balancer": "#f0faf9", "balancer-edge": "#3aa39d",
}  # fmt: skip

DARK = {
    "ground": "#0d1520", "ink": "#e6edf5", "dim": "#9fb0c3", "faint": "#74869b",
    "cloud": "#16222f", "cloud-edge": "#31465c", "panel": "#121d2a", "panel-edge": "#3a96dd", "band": "#13304a",
    "lane": "#162534", "lane-edge": "#27405a", "card": "#1d2d3d", "card-edge": "#3a5067",
    "host": "#1c2a39", "host-edge": "#4a6178", "appliance": "#33261a", "appliance-edge": "#e0914a",
    "azure": "#4aa8ec", "nsg": "#5fd08d", "nsg-ground": "#173626", "route": "#f0a35e", "route-ground": "#3a2917",
    "public": "#c4a3f0", "public-ground": "#2c2244", "broken": "#d8a657",
    "balancing": "#55c9c2", "balancer": "#142e2f", "balancer-edge": "#2f8984",
}  # fmt: skip


def style_sheet() -> str:
    """The style sheet of a picture."""
    return f"{_SHAPES}{_colours(LIGHT)}@media (prefers-color-scheme: dark) {{\n{_colours(DARK)}}}\n"


def _colours(palette: dict[str, str]) -> str:
    surfaces = ("panel", "lane", "card", "host", "appliance", "balancer", "cloud")
    rules = [f".{name} {{ fill: {palette[name]}; stroke: {palette[f'{name}-edge']}; }}" for name in surfaces]
    rules.append(f".panel-outline {{ fill: none; stroke: {palette['panel-edge']}; stroke-width: 1.5; }}")
    rules += [f".{name} {{ fill: {palette[name]}; }}" for name in ("ground", "ink", "dim", "faint", "band")]
    for name in ("nsg", "route", "public"):
        rules.append(f".{name}-text {{ fill: {palette[name]}; }}")
        rules.append(f".{name}-ground {{ fill: {palette[f'{name}-ground']}; }}")
    rules.append(f".balancing-text {{ fill: {palette['balancing']}; }}")
    rules += [
        f".halo {{ paint-order: stroke; stroke: {palette['lane']}; stroke-width: 4px; stroke-linejoin: round; }}",
        f".broken-text {{ fill: {palette['broken']}; paint-order: stroke; stroke: {palette['ground']};"
        " stroke-width: 5px; }",
        f".public-label {{ fill: {palette['public']}; paint-order: stroke; stroke: {palette['ground']};"
        " stroke-width: 5px; }",
    ]
    lines = {
        "peering": "azure", "broken-peering": "broken", "route": "route", "nic": "azure", "internet": "public",
        "balancing": "balancing",
    }  # fmt: skip
    rules += [f".line.{kind} {{ stroke: {palette[colour]}; }}" for kind, colour in lines.items()]
    icons = {"azure": "azure", "nsg": "nsg", "route": "route", "public": "public", "dim": "dim",
             "appliance": "appliance-edge", "balancing": "balancing"}  # fmt: skip
    for name, colour in icons.items():
        rules.append(f".icon-{name} {{ stroke: {palette[colour]}; }}")
        rules.append(f".icon-{name} .solid {{ fill: {palette[colour]}; }}")
    rules.append(f".arrow {{ fill: {palette['route']}; }}")
    rules.append(f".arrow-balancing {{ fill: {palette['balancing']}; }}")
    return "\n".join(rules) + "\n"


ICONS = {
    # Each in a square of 14 × 14.
    "network": '<path d="M4.5 3.5 1 7l3.5 3.5M9.5 3.5 13 7l-3.5 3.5"/><circle class="solid" cx="5" cy="7" r="0.9"/>'
    '<circle class="solid" cx="7" cy="7" r="0.9"/><circle class="solid" cx="9" cy="7" r="0.9"/>',
    "machine": '<rect x="1" y="1.5" width="12" height="8.5" rx="1.5"/><path d="M7 10v2.5M4.2 12.6h5.6"/>',
    "nic": '<rect x="2" y="2" width="10" height="7.5" rx="1.2"/><path d="M5 9.5v3M9 9.5v3M7 9.5v2"/>',
    "host": '<circle cx="7" cy="4.4" r="2.7"/><path d="M1.8 13c0-2.9 2.3-4.6 5.2-4.6s5.2 1.7 5.2 4.6"/>',
    "public": '<circle cx="7" cy="7" r="5.7"/>'
    '<path d="M1.3 7h11.4M7 1.3c-3.4 3.4-3.4 8 0 11.4M7 1.3c3.4 3.4 3.4 8 0 11.4"/>',
    "nsg": '<path class="solid" d="M7 .6 12.4 2.5V7c0 3.2-2.2 5.4-5.4 6.6C3.8 12.4 1.6 10.2 1.6 7V2.5z"/>',
    "routeTable": '<path d="M1 11h3.2c2.6 0 3-8 5.6-8H13M10.6 1 13 3l-2.4 2M9.4 11H13M10.6 9 13 11l-2.4 2"/>',
    "asg": '<path d="M1.2 2.2h6L13 7.2 7.8 12.6 1.2 7.4z"/><circle class="solid" cx="4" cy="5" r="1"/>',
    "natGateway": '<path d="M1 4h7.5M6 1.5 8.8 4 6 6.5M1 10h7.5M6 7.5 8.8 10 6 12.5M11.5 1.2v11.6"/>',
    "balancer": '<circle cx="7" cy="2.9" r="1.9"/><path d="M7 4.8v2.4M7 7.2 2.6 10M7 7.2 11.4 10M7 7.2V10"/>'
    '<circle class="solid" cx="2.4" cy="11.4" r="1.5"/><circle class="solid" cx="7" cy="11.4" r="1.5"/>'
    '<circle class="solid" cx="11.6" cy="11.4" r="1.5"/>',
    "appliance": '<path d="M1 4.6h10.5M8.9 1.9 11.7 4.6 8.9 7.3M13 9.6H2.5M5.1 6.9 2.3 9.6 5.1 12.3"/>',
    "cloud": '<path d="M3.8 11.6a2.9 2.9 0 0 1-.3-5.8 3.9 3.9 0 0 1 7.4-.5 3.2 3.2 0 0 1-.4 6.3z"/>',
}
"""Icons by name, as SVG; the class `solid` means filled rather than outlined."""
