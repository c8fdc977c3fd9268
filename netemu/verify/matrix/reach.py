"""Who reaches whom on what, in words and as a grid that fits a screen."""

from __future__ import annotations

from collections.abc import Sequence
from string import ascii_lowercase, ascii_uppercase

from msgspec import Struct

from netemu.azure.prefixes import EVERY_PORT, IntervalSet
from netemu.verify.matrix.plan import PROTOCOLS, Pair, Place

EVERYTHING, NOTHING = "everything", "nothing"
LARGEST = 24
"""Places that a grid has a row and a column for; larger labs are folded by subnet."""
RANGES = 6
"""Ranges of ports that a text names."""
KINDS = 3
"""Different answers that a folded cell names."""
LETTERS = ascii_lowercase + ascii_uppercase


def reach(pair: Pair) -> str:
    """What arrives, such as `Tcp 80, 443; Icmp`."""
    parts = []
    for protocol in PROTOCOLS:
        ports = pair.reach.get(protocol)
        if not ports:
            continue
        lost = " (no answer)" if protocol in pair.unanswered else ""
        parts.append(f"{protocol}{ports_text(ports)}{lost}")
    if not parts:
        return NOTHING
    return EVERYTHING if parts == list(PROTOCOLS) else "; ".join(parts)


def ports_text(ports: IntervalSet) -> str:
    """` 80, 8080-8090`; nothing for all ports."""
    if ports == EVERY_PORT:
        return ""
    pieces = [str(first) if end == first + 1 else f"{first}-{end - 1}" for first, end in ports.intervals()]
    more = f" and {len(pieces) - RANGES} more" if len(pieces) > RANGES else ""
    return f" {', '.join(pieces[:RANGES])}{more}"


class Cell(Struct):
    """What is known of all pairs between a row and a column."""

    text: str
    """What arrives."""
    mark: str
    """● everything, · nothing, a letter of the legend, or a blank where there is no pair."""
    pairs: int = 0
    disagreements: int = 0


class Grid(Struct):
    """Rows ask, columns are asked."""

    rows: list[str]
    columns: list[str]
    cells: list[list[Cell]]
    legend: dict[str, str]
    """Letter → what arrives."""
    folded: bool


def grid(pairs: Sequence[Pair]) -> Grid:
    """The grid of some pairs, folded by subnet when there are many places."""
    senders = list(dict.fromkeys(pair.source for pair in pairs))
    targets = dict.fromkeys(pair.target for pair in pairs)
    receivers = [place for place in senders if place in targets]  # in the order of the rows
    receivers += [place for place in targets if place not in senders]
    folded = max(len(senders), len(receivers)) > LARGEST
    rows = list(dict.fromkeys(_name(place, folded) for place in senders))
    columns = list(dict.fromkeys(_name(place, folded) for place in receivers))
    kinds: dict[tuple[str, str], dict[str, None]] = {}
    cells = {(row, column): Cell("", " ") for row in rows for column in columns}
    for pair in pairs:
        key = _name(pair.source, folded), _name(pair.target, folded)
        cells[key].pairs += 1
        cells[key].disagreements += pair.disagreements
        kinds.setdefault(key, {})[reach(pair)] = None
    legend: dict[str, str] = {}
    for key, texts in kinds.items():
        cells[key].text = _joined(list(texts))
        cells[key].mark = _mark(cells[key].text, legend)
    letters = {letter: text for text, letter in legend.items()}
    return Grid(rows, columns, [[cells[row, column] for column in columns] for row in rows], letters, folded)


def _name(place: Place, folded: bool) -> str:
    return place.group if folded else place.name


def _joined(texts: list[str]) -> str:
    more = f" | {len(texts) - KINDS} more" if len(texts) > KINDS else ""
    return " | ".join(texts[:KINDS]) + more


def _mark(text: str, legend: dict[str, str]) -> str:
    if text == EVERYTHING:
        return "●"
    if text == NOTHING:
        return "·"
    if text not in legend:
        legend[text] = LETTERS[len(legend)] if len(legend) < len(LETTERS) else f"{len(legend) + 1}"
    return legend[text]
