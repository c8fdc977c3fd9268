"""Proves the lines of `expect`: those of which the same is expected are sent together.

A counter is shared by all packets that its rule decides. When the same counters must move for every flow of a group,
once for each, and that is what they move by in all, then each flow has moved each of them once. Where the sums are
others, or a packet does something else, each flow of the group is sent again, by itself, with counters of its own.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct, structs

from netemu.azure.flow import Flow, flow_of
from netemu.azure.network import Network
from netemu.azure.resources import Expectation
from netemu.azure.verdict import Engine, Target, Verdict
from netemu.azure.walk import Record
from netemu.verify.compare import Result, disagreements, parted, wrong_rule
from netemu.verify.due import SAYS_NOTHING, Key, key_of, to_move
from netemu.verify.evidence import Decision
from netemu.verify.failover import watch
from netemu.verify.names import NameResult, prove_names
from netemu.verify.observe import Ask, Observation, Observer, Together
from netemu.verify.records import Records
from netemu.verify.spread import balancing_rule, counted, flows_for, spread_disagreements, way_of

TOGETHER = 1000
"""Flows that are sent at once: all that is seen of them fits into a tap."""
FEW = 4
"""Flows for each backend that are sent at a time while one of them is stopped."""
Progress = Callable[[int, int, str], None]


class Line(Struct, frozen=True, eq=False):
    """A line of `expect`, and what is to be asked for it."""

    number: int
    expectation: Expectation
    flow: Flow
    verdict: Verdict

    @property
    def is_spread(self) -> bool:
        """Does a load balancer choose, so that it takes several flows to see what it does?"""
        return self.verdict.choices != () or self.expectation.flows is not None

    @property
    def due(self) -> frozenset[tuple[Key, int]]:
        """The counters that must move, and how often."""
        return frozenset(Counter(to_move(self.verdict)).items())

    @property
    def ask(self) -> Ask:
        """What the observer is to do."""
        return Ask(self.flow, self.verdict.access == "Allow", self.verdict.answered)


def verify(
    network: Network,
    namespaces: Mapping[str, Path],
    progress: Progress = lambda *_: None,
    down: Callable[[], frozenset[Target]] = frozenset,
    resolvers: Mapping[str, Path] | None = None,
) -> Iterator[Result | NameResult]:
    """Prove every line of `expect`. The results come as they are found, not in the order of the lines.

    `down` says which backends of load balancers their probes find down at the moment; `resolvers` are the machines'
    resolv.conf, which lines about names need.
    """
    every = len(network.scenario.expect)
    for done, result in enumerate(_every(Prover(network, namespaces, down), namespaces, resolvers or {}), start=1):
        progress(done, every, result.title)
        yield result


def _every(
    prover: Prover, namespaces: Mapping[str, Path], resolvers: Mapping[str, Path]
) -> Iterator[Result | NameResult]:
    with prover.observer:
        for group in prover.groups():
            yield from prover.results(group)
    yield from prove_names(prover.network, prover.engine, namespaces, resolvers)


class Prover:
    """Asks for one network, of which a lab is up."""

    def __init__(
        self, network: Network, namespaces: Mapping[str, Path], down: Callable[[], frozenset[Target]] = frozenset
    ) -> None:
        self.network, self.namespaces, self.down = network, namespaces, down
        self.engine = Engine(network)
        self.observer = Observer(network, namespaces)
        self._records = Records(self.engine.placement, namespaces)
        self._ports = _fresh_ports()

    def line(self, number: int, expectation: Expectation) -> Line:
        """What is to be asked for a line."""
        flow = flow_of(self.network, expectation)
        if expectation.sourcePort is None:
            flow = structs.replace(flow, sourcePort=next(self._ports))
        return Line(number, expectation, flow, self.engine.judge(flow, down=self.down()))

    def groups(self) -> Iterator[list[Line]]:
        """Every line of `expect` about a flow; lines of a group must move the same counters.

        Those that stop a backend come last.
        """
        groups: dict[object, list[Line]] = {}
        every = enumerate(self.network.scenario.expect, start=1)
        lines = [(number, expectation) for number, expectation in every if expectation.resolvesTo is None]
        for number, expectation in sorted(lines, key=lambda each: each[1].failover is not None):
            line = self.line(number, expectation)
            by_itself = _leaves_a_trace(expectation) or line.is_spread or expectation.failover is not None
            key = number if by_itself else (line.due, line.verdict.access)
            group = groups.setdefault(key, [])
            group.append(line)
            if len(group) == TOGETHER:
                yield groups.pop(key)
        yield from groups.values()

    def results(self, lines: Sequence[Line]) -> Iterator[Result]:
        """Send the flows of a group, and hold what becomes of them against what must."""
        if len(lines) == 1:
            line = lines[0]
            if line.expectation.failover is not None:
                yield self.failover(self.line(line.number, line.expectation))
            else:
                yield self.spread(line) if line.is_spread else self.alone(line)
            return
        found = self.observer.together([line.ask for line in lines])
        each = _shares(lines, found)
        for line, observation in zip(lines, found.observations, strict=True):
            at_first = () if found.lost else tuple(parted(line.verdict, observation))
            if each is None or at_first or found.lost:
                yield self.alone(self.line(line.number, line.expectation), at_first)
            else:
                yield self._result(line, structs.replace(observation, decisions=each[0], answer_decisions=each[1]))

    def alone(self, line: Line, at_first: Sequence[str] = ()) -> Result:
        """Send one flow by itself. `at_first`: how it parted from its verdict when it was sent with others."""
        known = self._known(line) if _leaves_a_trace(line.expectation) else frozenset()
        if known:
            line = self._by_record(line, known)
        observation = self.observer.observe(
            line.flow, expect_delivery=line.ask.expect_delivery, expect_answer=line.ask.expect_answer
        )
        result = self._result(line, observation)
        if at_first and result.passed:
            words = f"{at_first[0]}: so it was when it was sent with others; by itself it did what it ought to"
            return structs.replace(result, disagreements=(words,))
        return result

    def spread(self, line: Line) -> Result:
        """Send the flows of a line that a load balancer spreads; each is held against the way that it took."""
        line = self.line(line.number, line.expectation)
        ways, observations = self._ways(line, flows_for(line.expectation, line.verdict))
        wrong: dict[str, Observation] = {}
        for way, observation in zip(ways, observations, strict=True):
            against = way or line.verdict
            for text in disagreements(self.network, line.expectation, against, observation):
                wrong.setdefault(text, observation)
        counts = counted(ways)
        found = spread_disagreements(self.network, line.expectation, line.verdict, counts, len(ways))
        shown = next(iter(wrong.values()), observations[0])
        return Result(
            line.number, line.expectation, line.verdict, shown, (*wrong, *found), dict(sorted(counts.items()))
        )

    def _ways(self, line: Line, flows: int) -> tuple[list[Verdict | None], list[Observation]]:
        """Send flows, each from a port of its own."""
        ways: list[Verdict | None] = []
        observations: list[Observation] = []
        while len(ways) < flows:
            number = min(TOGETHER, flows - len(ways))
            asks = [self._ask(line) for _ in range(number)]
            found = self.observer.together(asks)
            for each in found.observations:  # whose counters are known by their sums only
                observation = structs.replace(
                    each, decisions=found.decisions, answer_decisions=found.answer_decisions
                )
                ways.append(way_of(line.verdict, observation))
                observations.append(observation)
        return ways, observations

    def _ask(self, line: Line) -> Ask:
        port = line.flow.sourcePort if line.expectation.sourcePort is not None else next(self._ports)
        every = line.verdict.ways
        arrives, answered = all(way.access == "Allow" for way in every), all(way.answered for way in every)
        return Ask(structs.replace(line.flow, sourcePort=port), arrives, answered)

    def failover(self, line: Line) -> Result:
        """Prove the line, then stop a backend and start it again while flows are sent."""
        name = line.expectation.failover
        assert name is not None
        result = self.spread(line)
        rule, ways = balancing_rule(self.network, line.verdict), line.verdict.ways_to(name)
        if rule is None or rule.probe is None or not ways:
            why = "is no backend that is up" if rule is not None and rule.probe is not None else "has no probe here"
            return structs.replace(result, disagreements=(*result.disagreements, f"failover: {name} {why}"))
        chosen = ways[0].chosen[-1]

        def send() -> tuple[bool, list[str]]:
            taken, observations = self._ways(line, FEW * len(line.verdict.ways))
            lost = [
                text
                for way, observation in zip(taken, observations, strict=True)
                for text in parted(way or line.verdict, observation)
            ]
            return counted(taken)[chosen.machine] > 0, lost

        target = rule.probe.path, chosen.backend
        found = watch(
            self.network, rule, target, name, self.namespaces[chosen.machine], self.down, send
        )
        return structs.replace(
            result, disagreements=(*result.disagreements, *found.disagreements), failover=found
        )

    def _known(self, line: Line) -> frozenset[Record]:
        """Records of earlier flows that it may pass by."""
        sender = line.expectation.from_.partition("/")[0]
        node = self.network.nics[sender].machine if sender in self.network.nics else sender
        return self._records.of(node, line.verdict.steps[0].packet, line.verdict)

    def _by_record(self, line: Line, known: frozenset[Record]) -> Line:
        """No rule is asked then: whether it would be the expected one is known by Azure's rules alone."""
        expectation = line.expectation
        if wrong_rule(expectation, line.verdict) is None:
            expectation = structs.replace(expectation, rule=None)
        return Line(line.number, expectation, line.flow, self.engine.judge(line.flow, known))

    def _result(self, line: Line, observation: Observation) -> Result:
        ways = [way_of(line.verdict, observation)] if line.verdict.chosen else []
        counts = counted(ways)
        found = (
            *disagreements(self.network, line.expectation, line.verdict, observation),
            *spread_disagreements(self.network, line.expectation, line.verdict, counts, 1),
        )
        return Result(line.number, line.expectation, line.verdict, observation, found, dict(counts))


def _shares(lines: Sequence[Line], found: Together) -> tuple[tuple[Decision, ...], tuple[Decision, ...]] | None:
    """What each flow of a group has moved; None when the sums do not say so."""
    moved: Counter[Key] = Counter()
    for decision in (*found.decisions, *found.answer_decisions):
        moved[key_of(decision)] += decision.packets
        if decision.packets % len(lines):
            return None
    for key in SAYS_NOTHING:
        moved.pop(key, None)
    if moved != Counter({key: times * len(lines) for key, times in lines[0].due}):
        return None
    first, answers = (
        tuple(structs.replace(decision, packets=decision.packets // len(lines)) for decision in decisions)
        for decisions in (found.decisions, found.answer_decisions)
    )
    return first, answers


def _leaves_a_trace(expectation: Expectation) -> bool:
    """Would the same flow pass by the record that it has left, for four minutes (NSG-23)? A TCP SYN never does."""
    return expectation.sourcePort is not None and expectation.protocol == "Udp"


def _fresh_ports() -> Iterator[int]:
    """Source ports that no flow of the last minutes is likely to have had: an old record would let a probe pass."""
    while True:
        yield from random.sample(range(20000, 60000), 40000)
