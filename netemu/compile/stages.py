"""Decision trees for long lists of rules, so that a packet meets a few rules instead of a thousand.

A list is cut into stages: runs of consecutive rules, each with a tree of its own, asked one after the other. A tree
looks one property of the packet up after the other (source, destination, ports) and ends in short lists that keep the
order of the rules, so the first match stays the first match whatever overlaps with what. Lists stop at the first rule
that matches all that can still come. Equal lists are one.

A tree copies rules that are wide in the property it looks up. Where that would be too much, the stage ends and another
one begins; a stage of a few rules is just their list. So the whole never takes more than `MOST_COPIES` times the rules,
and in the worst case, a thousand rules that all cross each other, it becomes the plain list again.

Sets of rules are bit masks, rule i being bit i: the lowest bit of a set is the rule that comes first.
"""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

Interval = tuple[int, int]
"""First and last number."""

SOURCE, DESTINATION, SOURCE_PORT, DESTINATION_PORT, PROTOCOL = range(5)
"""Properties of a packet. Sets of them are bit masks, too."""

LAST = (2**32 - 1, 2**32 - 1, 65535, 65535, 255)
"""The largest value of each property."""

SHORT = 8
"""A list of so many rules is not worth a look-up: a rule that does not match takes 20–40 ns, a look-up 60–100 ns."""
LONG = 24
"""The longest list that a tree may end in."""
COPIES, MOST_COPIES = 16, 32
"""How many times its rules one look-up, and a whole stage, may take."""


class Condition(Struct, frozen=True):
    """What one rule asks of a packet: for each property the values that match, sorted and disjoint; None is any."""

    ranges: tuple[tuple[Interval, ...] | None, ...]

    def size(self) -> int:
        """The rule itself and the ranges that it names."""
        return 1 + sum(len(ranges) for ranges in self.ranges if ranges is not None)


class Leaf(Struct, frozen=True):
    """Rules to try in their order; `properties` are those that no look-up has settled."""

    rules: tuple[int, ...]
    properties: int


class LookUp(Struct, frozen=True):
    """Which way to go by the value of one property."""

    property: int
    cells: tuple[tuple[Interval, Node], ...]
    """Sorted and disjoint. Nodes that are equal are the same object."""
    otherwise: Node


Node = Leaf | LookUp


def stages(conditions: list[Condition], properties: int) -> list[Node]:
    """The trees of a list of rules, in order. A packet that one tree finds no rule for goes on to the next one."""
    result: list[Node] = []
    start, guess = 0, len(conditions)
    while start < len(conditions):
        size, tree = _longest(conditions, properties, start, guess)
        result.append(tree)
        start += size
        guess = 2 * size
    return result


def _longest(conditions: list[Condition], properties: int, start: int, guess: int) -> tuple[int, Node]:
    """About the longest stage from a rule on, and its tree."""
    left = len(conditions) - start
    size = min(left, SHORT)
    best = _attempt(conditions[start : start + size], properties, start)
    assert best is not None
    limit = left + 1
    while size < left and limit - size > max(1, size // 4):
        wanted = min(max(guess, size + 1), limit - 1)
        tree = _attempt(conditions[start : start + wanted], properties, start)
        if tree is None:
            limit = wanted
        else:
            size, best = wanted, tree
        guess = (size + limit) // 2 if limit <= left else 2 * size
    return size, best


def _attempt(conditions: list[Condition], properties: int, offset: int) -> Node | None:
    try:
        return _Tree(conditions, offset).node((1 << len(conditions)) - 1, properties)
    except _TooLargeError:
        return None


class _TooLargeError(Exception):
    """The rules do not fit in one stage."""


class _Split(Struct):
    """The rules that are left in each cell of a property; the last cell of all is `otherwise`."""

    property: int
    cells: list[tuple[int, int]]
    """First value and rules, ascending."""
    distinct: set[int]
    total: int


class _Tree:
    """Builds the tree of one stage."""

    def __init__(self, conditions: list[Condition], offset: int) -> None:
        self.conditions = conditions
        self.offset = offset
        self.any = [
            sum(1 << bit for bit, condition in enumerate(conditions) if condition.ranges[place] is None)
            for place in range(len(LAST))
        ]
        self.known: dict[tuple[int, int], Node] = {}
        self.budget = MOST_COPIES * sum(condition.size() for condition in conditions) + 64

    def node(self, rules: int, properties: int) -> Node:
        """The tree for some rules when some properties are still open."""
        rules = self._until_certain(rules, properties)
        known = self.known.get((rules, properties))
        if known is None:
            known = self.known[rules, properties] = self._node(rules, properties)
        return known

    def _node(self, rules: int, properties: int) -> Node:
        count = rules.bit_count()
        split = self._best(rules, properties) if count > SHORT else None
        if split is None:
            if count > LONG:
                raise _TooLargeError
            self._spend(count)
            return Leaf(tuple(bit + self.offset for bit in bits(rules)), properties)
        return self._look_up(split, properties & ~(1 << split.property))

    def _look_up(self, split: _Split, properties: int) -> LookUp:
        ends = [first - 1 for first, _ in split.cells[1:]] + [LAST[split.property]]
        counts: dict[int, tuple[int, int]] = {}
        for (first, rules), last in zip(split.cells, ends, strict=True):
            number, width = counts.get(rules, (0, 0))
            counts[rules] = number + 1, width + last - first
        common = max(counts, key=counts.__getitem__)
        self._spend(len(split.cells) - counts[common][0])
        cells: list[tuple[Interval, Node]] = []
        for (first, rules), last in zip(split.cells, ends, strict=True):
            if rules != common:
                cells.append(((first, last), self.node(rules, properties)))
        return LookUp(split.property, tuple(cells), self.node(common, properties))

    def _best(self, rules: int, properties: int) -> _Split | None:
        """The property that leaves the shortest lists, if there is one that does not copy too much."""
        best, least = None, 0.0
        affordable = COPIES * rules.bit_count() + 64
        for place in bits(properties):
            split = self._split(rules, properties, place)
            if len(split.distinct) < 2 or split.total > affordable:
                continue
            counts = [cell.bit_count() for cell in split.distinct]
            score = sum(counts) / len(counts) + max(counts)
            if best is None or score < least:
                best, least = split, score
        return best

    def _split(self, rules: int, properties: int, place: int) -> _Split:
        wide = rules & self.any[place]
        changes: dict[int, int] = {0: 0}
        for bit in bits(rules & ~wide):
            ranges = self.conditions[bit].ranges[place]
            assert ranges is not None
            for first, last in ranges:
                changes[first] = changes.get(first, 0) ^ 1 << bit
                changes[last + 1] = changes.get(last + 1, 0) ^ 1 << bit
        changes.pop(LAST[place] + 1, None)
        left = properties & ~(1 << place)
        certain = self._certain(left)
        cells: list[tuple[int, int]] = []
        inside, before = wide, -1
        for first in sorted(changes):
            inside ^= changes[first]
            last = inside & certain
            reached = inside & ((last & -last) * 2 - 1) if last else inside
            if reached != before:
                cells.append((first, reached))
                before = reached
        distinct = {reached for _, reached in cells}
        return _Split(place, cells, distinct, sum(map(int.bit_count, distinct)))

    def _certain(self, properties: int) -> int:
        """The rules that match whatever the values of these properties are."""
        found = -1
        for place in bits(properties):
            found &= self.any[place]
        return found if found != -1 else (1 << len(self.conditions)) - 1

    def _until_certain(self, rules: int, properties: int) -> int:
        certain = rules & self._certain(properties)
        return rules & ((certain & -certain) * 2 - 1) if certain else rules

    def _spend(self, size: int) -> None:
        self.budget -= size
        if self.budget < 0:
            raise _TooLargeError


def bits(mask: int) -> Iterator[int]:
    """The places of the bits that are set, ascending."""
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low
