"""What nobody can foretell: which backend a load balancer chooses, which address a NAT gateway takes.

A walk asks at every such point. All its ways are found by walking again, each time answering the last open question
otherwise.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

from msgspec import Struct, field

Option = TypeVar("Option")
Result = TypeVar("Result")

Target = tuple[str, str]
"""A backend as a probe sees it: `<load balancer>/<probe>` and `<NIC>/<IP configuration>`."""


class Choosing(Struct):
    """The answers of one walk."""

    planned: tuple[int, ...] = ()
    """Answers to the first questions, as indexes; later ones get the first option."""
    down: frozenset[Target] = frozenset()
    """Backends that are not up; all others are (LB-25)."""
    established: str | None = None
    """The backend that the flow was open to before: a VM, a NIC or NIC/ipConfiguration (LB-31, LB-32)."""
    made: list[int] = field(default_factory=list)
    open: list[tuple[int, ...]] = field(default_factory=list)
    """Answers that another walk has to give."""

    def choose(self, options: Sequence[Option]) -> Option:
        """Take one. `options` are not empty."""
        at = len(self.made)
        chosen = self.planned[at] if at < len(self.planned) else 0
        if at >= len(self.planned):
            self.open += [(*self.made, other) for other in range(1, len(options))]
        self.made.append(chosen)
        return options[chosen]


def every_way(
    walk: Callable[[Choosing], Result], down: frozenset[Target] = frozenset(), established: str | None = None
) -> list[Result]:
    """The results of all ways, in the order of the options."""
    first = Choosing((), down, established)
    result = walk(first)
    if not first.open:
        return [result]
    found = [(tuple(first.made), result)]
    open_ones = first.open
    while open_ones:
        choosing = Choosing(open_ones.pop(), down, established)
        result = walk(choosing)
        found.append((tuple(choosing.made), result))
        open_ones += choosing.open
    return [result for _, result in sorted(found, key=lambda each: each[0])]
