"""Holds what was seen of many shots against their verdicts: each packet by its token, the counters by their sums.

A counter is shared by all packets that its rule decides, so a batch is judged by sums: what its verdicts say that each
counter must have moved by. Where a sum is wrong the batch is fired again in halves, down to single flows; a single flow
is judged by `compare`, with the counters that it has moved by itself.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from msgspec import Struct

from netemu.azure.network import Network
from netemu.azure.resources import Expectation
from netemu.verify import evidence
from netemu.verify.compare import disagreements
from netemu.verify.due import SAYS_NOTHING, WITHOUT_COUNTER, Key, key_of, to_move
from netemu.verify.evidence import Decision
from netemu.verify.matrix.plan import Question
from netemu.verify.matrix.shots import Range, Shot, address, answered
from netemu.verify.observe import PLATFORM, Hop, Observation, Seen

BATCH = 2000
"""Flows between two readings of the counters."""
CULPRITS = 12
"""Flows that are looked for singly when counters disagree, and as many whose packets do; more say nothing new."""

class Finding(Struct):
    """A disagreement: one flow that shows it, and how many do."""

    shot: Shot
    observation: Observation
    disagreements: tuple[str, ...]
    alike: int = 1
    """Flows that part from their verdicts in the same way, this one included."""


class Outcome(Struct):
    """What became of all questions."""

    judged: int = 0
    seconds: float = 0
    findings: list[Finding] = []
    passing: int = 0
    """Packets that did something else at first, and what they ought to when they were sent again."""
    others: dict[str, int] = {}
    """Rules that counted packets of somebody else meanwhile."""
    unasked: int = 0
    """Flows that were not come to, because the person pressed Ctrl-C."""


class Judge:
    """Fires batches and finds what disagrees."""

    def __init__(self, network: Network, namespaces: Mapping[str, Path], shooting: Range) -> None:
        self.network = network
        self._counting = evidence.Counting({node: path for node, path in namespaces.items() if node.startswith("@")})
        self._range = shooting
        self.outcome = Outcome(findings=[], others={})
        self._culprits = 0

    def __enter__(self) -> Judge:
        return self

    def __exit__(self, *exception: object) -> None:
        self._counting.close()

    def batch(self, questions: Sequence[Question]) -> list[Shot]:
        """Fire and judge; the shots, for whoever draws the grid."""
        drawn = [self._range.shot(question) for question in questions]
        shots = [shot for shot in drawn if not self._range.left_to_the_guest(shot)]
        exact = [shot for shot in shots if not shot.loose]
        moved = self._fire(exact)
        self._fire([shot for shot in shots if shot.loose])
        self.outcome.judged += len(shots)
        wrong = [shot for shot in shots if not agrees(shot)]
        confirmed = self._confirm(wrong)
        # A packet that was decided otherwise has moved other counters, too: that explains them well enough.
        surplus, missing = self._unexplained(moved, exact)
        if (surplus or missing) and not confirmed:
            self._search(exact)
        return shots

    def _fire(self, shots: Sequence[Shot]) -> Counter[Key]:
        """Fire, and how the counters have moved by that."""
        self._range.fire(shots)
        found: Counter[Key] = Counter()
        for decision in self._counting.moved():
            found[key_of(decision)] += decision.packets
        return found

    @staticmethod
    def _unexplained(moved: Counter[Key], shots: Sequence[Shot]) -> tuple[Counter[Key], Counter[Key]]:
        """What was counted beyond the verdicts, and what was not counted."""
        due = Counter(key for shot in shots for key in to_move(shot.verdict))
        surplus, missing = moved - due, due - moved
        for key in SAYS_NOTHING:
            surplus.pop(key, None)
        return surplus, missing

    # ---- disagreements -----------------------------------------------------------------------------------------------

    def _confirm(self, wrong: Sequence[Shot]) -> list[Shot]:
        """Ask those whose packets did something else once more, singly, and with counters."""
        confirmed: list[Shot] = []
        kinds: dict[tuple[object, ...], Finding] = {}
        for shot in wrong:
            kind = _kind(shot)
            known = kinds.get(kind)
            if known is not None:
                known.alike += 1
                confirmed.append(shot)
                continue
            if len(kinds) >= CULPRITS:
                confirmed.append(shot)
                continue
            finding = self.single(shot.question)
            if finding is None:
                finding = self.single(shot.question)
            if finding is None:
                self.outcome.passing += 1
                continue
            kinds[kind] = finding
            confirmed.append(shot)
            self._add(finding)
        return confirmed

    def _search(self, shots: Sequence[Shot]) -> None:
        """Find the flows by which counters move otherwise than the verdicts say."""
        if self._culprits >= CULPRITS:
            return
        again = [self._range.shot(shot.question) for shot in shots]
        moved = self._fire(again)
        surplus, missing = self._unexplained(moved, again)
        if not surplus and not missing:
            self.outcome.others["(not seen again)"] = self.outcome.others.get("(not seen again)", 0) + 1
            return
        if len(shots) > 1:
            wanted = set(missing)
            likely = [shot for shot in again if not wanted.isdisjoint(to_move(shot.verdict))] if wanted else again
            if 0 < len(likely) < len(again) // 2:
                self._search(likely)
                return
            half = len(shots) // 2
            self._search(shots[:half])
            self._search(shots[half:])
            return
        finding = self.single(shots[0].question, exact=True)
        if finding is not None:
            self._culprits += 1
            self._add(finding)

    def _add(self, finding: Finding) -> None:
        for known in self.outcome.findings:
            if known.disagreements == finding.disagreements:
                known.alike += 1
                return
        self.outcome.findings.append(finding)

    def single(self, question: Question, *, exact: bool = False) -> Finding | None:
        """One flow by itself, with its counters; None when all agrees."""
        shot = self._range.shot(question)
        self._counting.moved()
        self._range.fire([shot])
        observation = observe(shot, tuple(self._counting.moved()))
        found = list(disagreements(self.network, as_expected(shot), shot.verdict, observation))
        if not shot.loose and (exact or not found):
            found += _miscounted(shot, observation)
        return Finding(shot, observation, tuple(found)) if found else None


def _miscounted(shot: Shot, observation: Observation) -> Iterator[str]:
    due = Counter(to_move(shot.verdict))
    moved = Counter({key_of(d): 0 for d in observation.decisions})
    for decision in observation.decisions:
        moved[key_of(decision)] += decision.packets
    for key in SAYS_NOTHING:
        moved.pop(key, None)
    for key in sorted(due.keys() | moved.keys(), key=_name):
        if due[key] != moved[key]:
            yield f"{_name(key)}: {due[key]} packets to count by Azure's rules, {moved[key]} counted"


def _name(key: Key) -> str:
    stage, group, rule = key
    return f"{group}/{rule} ({stage})" if rule is not None else stage


def _kind(shot: Shot) -> tuple[object, ...]:
    """Disagreements of one kind differ in ports and machines only."""
    verdict, arrival = shot.verdict, shot.arrival
    return (
        shot.question.protocol, verdict.access, verdict.stage, verdict.networkSecurityGroup, verdict.rule,
        arrival is None, verdict.answered, arrival is not None and answered(shot), len(via(shot)), shot.error,
    )  # fmt: skip


def via(shot: Shot) -> tuple[str, ...]:
    """Machines in which the packet came in to leave again, or in which it came to its end."""
    names: list[str] = []
    for sight in shot.asks:
        if sight is shot.arrival:
            break
        if not names or names[-1] != sight.node:
            names.append(sight.node)
    return tuple(names)


def agrees(shot: Shot) -> bool:
    """Does the packet do what the verdict says? The counters are judged apart from it."""
    verdict, arrival = shot.verdict, shot.arrival
    if arrival is None:
        if verdict.access == "Allow" or shot.error is not None:
            return False
        if verdict.stage in WITHOUT_COUNTER:
            return bool(shot.asks)
        return not shot.asks or via(shot) == verdict.via
    seen = arrival.seen
    return (
        verdict.access == "Allow"
        and verdict.receiver == receiver(arrival.node)
        and verdict.sourceSeenAs == address(seen.source)
        and verdict.destinationSeenAs == address(seen.destination)
        and (seen.sourcePort, seen.destinationPort) == (shot.packet.sourcePort, shot.packet.destinationPort)
        and verdict.via == via(shot)
        and verdict.answered == answered(shot)
    )


def receiver(node: str) -> str:
    """What a verdict calls the machine."""
    return "platform" if node.startswith(PLATFORM) else node


def observe(shot: Shot, decisions: tuple[Decision, ...]) -> Observation:
    """What was seen of a single shot, as `compare` takes it."""
    hops = tuple(
        Hop(x.node, "", x.outgoing, Seen(address(x.seen.source), address(x.seen.destination), x.seen.sourcePort,
                                         x.seen.destinationPort), 0)
        for x in shot.asks
    )  # fmt: skip
    arrival = shot.arrival
    if arrival is None:
        return Observation(False, None, via(shot), None, None, decisions, hops, None, error=shot.error)
    return Observation(
        True, receiver(arrival.node), via(shot), address(arrival.seen.source), address(arrival.seen.destination),
        decisions, hops, answered(shot), error=shot.error,
    )  # fmt: skip


def as_expected(shot: Shot) -> Expectation:
    """An expectation that says what the verdict says, so that only verdict and packet are compared."""
    return Expectation(
        from_=shot.flow.source,
        to=str(shot.flow.destinationAddress),
        access=shot.verdict.access,
        reply="Allow" if shot.verdict.answered else "Deny",
    )
