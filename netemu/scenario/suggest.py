"""“Did you mean …?”: the allowed name that is nearest to what was written."""

from __future__ import annotations

from collections.abc import Iterable

LONGEST = 80
"""Longer texts are not compared: no allowed name is longer than this, but for paths."""

LISTED = 6
"""So many names are listed when none is near."""


COMPARISONS = 30_000
"""So many names are compared for one file, which is enough for any honest mistake and takes about a second."""


class Suggestions:
    """The suggestions for one file."""

    def __init__(self) -> None:
        self.comparisons_left = COMPARISONS

    def nearest(self, text: str, allowed: Iterable[str]) -> str | None:
        """Find the allowed name that differs from `text` by case only or by few letters, if there is one."""
        names = list(allowed)
        folded = text.casefold()
        for name in names:
            if name.casefold() == folded:
                return name
        self.comparisons_left -= len(names)
        if len(text) > LONGEST or self.comparisons_left < 0:
            return None
        limit = max(1, min(3, len(text) // 3))
        best: str | None = None
        for name in names:
            distance = _distance(folded, name.casefold(), limit)
            if distance <= limit:
                best, limit = name, distance - 1
                if limit < 1:
                    break
        return best

    def instead_of(self, text: str, allowed: Iterable[str]) -> str:
        """Say what would be right: the nearest name, or what there is."""
        names = list(allowed)
        near = self.nearest(text, names)
        if near is not None:
            return f"did you mean `{near}`?"
        if not names:
            return "the scenario has none"
        more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
        return "known: " + ", ".join(f"`{name}`" for name in names[:LISTED]) + more


def _distance(left: str, right: str, limit: int) -> int:
    """Edits (insert, remove, replace, swap two neighbours) between two texts; anything over `limit` is `limit` + 1."""
    if abs(len(left) - len(right)) > limit:
        return limit + 1
    before: list[int] = []
    row = list(range(len(right) + 1))
    for i, a in enumerate(left, 1):
        older, before, row = before, row, [i]
        for j, b in enumerate(right, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == right[j - 2] and left[i - 2] == b:
                cost = min(cost, older[j - 2] + 1)
            row.append(cost)
        if min(row) > limit:
            return limit + 1
    return row[-1]
