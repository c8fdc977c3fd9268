"""The matrix: every pair of machines, every boundary of every rule, all at once.

plan     which flows to ask: the classes of `azure.survey` for every pair
frames   their packets, with a token in each
shots    sends them, and gathers what the taps saw of each
judge    packets against verdicts one by one, counters by their sums
reach    who reaches whom on what, as a grid
report   the same for programs, and as a page to keep
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from netemu.azure.network import Network
from netemu.azure.verdict import Engine
from netemu.verify.matrix.judge import BATCH, Judge, Outcome, agrees
from netemu.verify.matrix.plan import Plan, Planner
from netemu.verify.matrix.shots import Range, Shot

__all__ = ["Outcome", "Plan", "run"]


def run(
    network: Network, namespaces: Mapping[str, Path], progress: Callable[[int, int, str], None] = lambda *_: None
) -> tuple[Plan, Outcome]:
    """Ask everything that is worth asking of a running lab. Ctrl-C ends it with what has been found till then."""
    start = time.monotonic()
    engine = Engine(network)
    planner = Planner(engine)
    plan = planner.plan()
    done = 0
    with Range(network, namespaces, engine) as shooting, Judge(network, namespaces, shooting) as judge:
        batches = [wave[first : first + BATCH] for wave in planner.waves(plan) for first in range(0, len(wave), BATCH)]
        try:
            for batch in batches:
                for shot in judge.batch(batch):
                    _note(shot)
                done += len(batch)
                progress(done, len(plan.questions), f"{done} flows")
        except KeyboardInterrupt:
            judge.outcome.unasked = len(plan.questions) - done
    judge.outcome.seconds = time.monotonic() - start
    return plan, judge.outcome


def _note(shot: Shot) -> None:
    """What the grid will show of the pair."""
    question, verdict = shot.question, shot.verdict
    pair = question.pair
    if pair is None:
        return
    pair.flows += 1
    if not agrees(shot):
        pair.disagreements += 1
    if question.passes and verdict.access == "Allow" and verdict.receiver == pair.target.node:
        assert question.classes is not None
        pair.reach[question.protocol] = question.classes.allowed
        if not verdict.answered:
            pair.unanswered.add(question.protocol)
