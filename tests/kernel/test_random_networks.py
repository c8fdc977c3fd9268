"""Two readings of Azure's rules and real packets agree on networks that nobody thought of."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import random_networks
import yaml

from netemu.azure.flow import Flow
from netemu.azure.network import Network
from netemu.azure.resources import Expectation
from netemu.azure.verdict import Engine, Verdict
from netemu.lab.down import down
from netemu.lab.source import read_once
from netemu.lab.up import up
from netemu.verify.compare import disagreements
from netemu.verify.observe import Observer

SEEDS = range(int(os.environ.get("NETEMU_RANDOM_FIRST", "0")), int(os.environ.get("NETEMU_RANDOM_LAST", "12")))
FLOWS = 60


def quiet(*_: object) -> None:
    """Progress of no interest."""


@pytest.fixture(params=SEEDS)
def lab(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[int, Network, dict[str, Path]]]:
    name = f"rnd{os.getpid()}x{request.param}"
    file = tmp_path / "scenario.yaml"
    file.write_text(yaml.safe_dump(random_networks.scenario(request.param, name)))
    outcome = up(read_once(file), quiet, quiet)
    try:
        yield request.param, outcome.network, {n: outcome.folder.namespace(n) for n in outcome.folder.nodes()}
    finally:
        down(outcome.folder, quiet)


def test_every_flow_of_a_random_network_does_what_azures_rules_say(
    lab: tuple[int, Network, dict[str, Path]],
) -> None:
    every_flow_agrees(*lab)


def every_flow_agrees(seed: int, network: Network, namespaces: dict[str, Path]) -> None:
    """Send many flows through a lab, and hold what becomes of each against the verdict."""
    engine = Engine(network)
    wrong = []
    with Observer(network, namespaces) as observer:
        for flow in random_networks.flows(seed, network, FLOWS):
            verdict = engine.judge(flow)
            seen = observer.observe(flow, expect_delivery=verdict.access == "Allow", expect_answer=verdict.answered)
            found = list(disagreements(network, _as_expected(flow, verdict), verdict, seen))
            if found:
                wrong.append((flow, found, [step.text for step in verdict.steps]))
    assert not wrong, "\n\n".join(f"{flow}\n  {found}\n  " + "\n  ".join(steps) for flow, found, steps in wrong)


def _as_expected(flow: Flow, verdict: Verdict) -> Expectation:
    """An expectation that says what the verdict says, so that only verdict and packet are compared."""
    return Expectation(
        from_=flow.source,
        to=str(flow.destinationAddress),
        access=verdict.access,
        reply="Allow" if verdict.answered else "Deny",
    )
