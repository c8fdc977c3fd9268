"""Rectangles, and how rectangles are packed into rows."""

from __future__ import annotations

import math
from collections.abc import Sequence

from msgspec import Struct

Size = tuple[float, float]
Point = tuple[float, float]


class Rect(Struct, frozen=True):
    """A rectangle; y grows downwards, as on a screen."""

    x: float
    y: float
    width: float
    height: float

    @property
    def right(self) -> float:
        """Its right edge."""
        return self.x + self.width

    @property
    def bottom(self) -> float:
        """Its lower edge."""
        return self.y + self.height

    @property
    def middle(self) -> Point:
        """Its centre."""
        return self.x + self.width / 2, self.y + self.height / 2

    def moved(self, dx: float, dy: float) -> Rect:
        """The same rectangle somewhere else."""
        return Rect(self.x + dx, self.y + dy, self.width, self.height)

    def overlaps(self, other: Rect) -> bool:
        """Do the two have area in common?"""
        return self.x < other.right and other.x < self.right and self.y < other.bottom and other.y < self.bottom

    def contains(self, other: Rect) -> bool:
        """Is the other one wholly inside?"""
        return (
            self.x <= other.x
            and self.y <= other.y
            and other.right <= self.right + 0.01
            and other.bottom <= self.bottom + 0.01
        )


def shelves(sizes: Sequence[Size], limit: float, gap: float) -> list[list[int]]:
    """Indexes of the rectangles, in order, broken into rows no wider than the limit (one at least in each)."""
    rows: list[list[int]] = []
    used = 0.0
    for index, (width, _) in enumerate(sizes):
        if rows and used + gap + width <= limit:
            rows[-1].append(index)
            used += gap + width
        else:
            rows.append([index])
            used = width
    return rows


def extent(rows: Sequence[Sequence[int]], sizes: Sequence[Size], gap: float) -> Size:
    """Size of the whole when the rectangles stand in these rows."""
    if not rows:
        return 0.0, 0.0
    width = max(sum(sizes[i][0] for i in row) + gap * (len(row) - 1) for row in rows)
    height = sum(max(sizes[i][1] for i in row) for row in rows) + gap * (len(rows) - 1)
    return width, height


def pack(sizes: Sequence[Size], gap: float, aspect: float) -> list[list[int]]:
    """Rows whose whole comes nearest to the wanted width : height and wastes least."""
    if not sizes:
        return []
    best: tuple[float, list[list[int]]] | None = None
    limits = {sum(width for width, _ in sizes[:count]) + gap * (count - 1) for count in range(1, len(sizes) + 1)}
    area = sum(width * height for width, height in sizes)
    for limit in sorted(limits):
        rows = shelves(sizes, limit, gap)
        width, height = extent(rows, sizes, gap)
        badness = abs(math.log(width / height / aspect)) + 1.6 * (width * height / area - 1)
        if best is None or badness < best[0] - 1e-9:
            best = badness, rows
    assert best is not None
    return best[1]


def columns(count: int, aspect: float = 0.7) -> int:
    """How many columns a grid of equal cards has; cards are wider than high, hence the factor."""
    return max(1, math.ceil(math.sqrt(count * aspect)))
