"""The scenarios that netemu ships are valid, and what they teach is what Azure's rules say."""

from __future__ import annotations

from functools import cache
from ipaddress import IPv4Address
from pathlib import Path

import pytest

from netemu.azure.flow import flow_of
from netemu.azure.names import Names
from netemu.azure.network import Network, resolve
from netemu.azure.resources import Expectation
from netemu.azure.verdict import Engine
from netemu.scenario import read_scenario
from netemu.verify.names import answered, expected_of, question_of

SCENARIOS = sorted((Path(__file__).parents[2] / "scenarios").glob("*.yaml"))


@cache
def network(path: Path) -> Network:
    return resolve(read_scenario(path))


@cache
def engine(path: Path) -> Engine:
    return Engine(network(path))


def seen_as(network: Network, text: str) -> IPv4Address:
    return network.publicIPs[text].address if text in network.publicIPs else IPv4Address(text)


def lines(*, about_names: bool = False) -> list[object]:
    return [
        pytest.param(path, line, id=f"{path.stem}: {line.name or number}")
        for path in SCENARIOS
        for number, line in enumerate(read_scenario(path).expect)
        if (line.resolvesTo is not None) == about_names
    ]


def test_there_are_scenarios() -> None:
    assert len(SCENARIOS) >= 8


@pytest.mark.parametrize("path", SCENARIOS, ids=lambda path: path.stem)
def test_a_scenario_teaches_before_it_begins_and_proves_both_ways(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.startswith("# ")
    assert "# Try:" in text
    assert max(map(len, text.splitlines())) <= 120
    assert {line.access for line in read_scenario(path).expect if line.access} == {"Allow", "Deny"}
    assert all(line.name for line in read_scenario(path).expect)


def test_no_two_scenarios_have_one_lab_name() -> None:
    names = [network(path).name for path in SCENARIOS]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(("path", "line"), lines())
def test_what_a_scenario_expects_is_what_azure_does(path: Path, line: Expectation) -> None:
    verdict = engine(path).judge(flow_of(network(path), line), down=engine(path).stopped_probes())
    assert verdict.is_uniform, verdict
    assert verdict.access == line.access, verdict
    if line.rule is not None:
        assert verdict.rule == line.rule, verdict
    if line.access == "Deny" and verdict.rule is not None:
        assert line.rule == verdict.rule, "a denial by an NSG names the rule"
    if line.via is not None:
        assert verdict.via == line.via, verdict
    if line.backends is not None:
        assert set(verdict.backends) == set(line.backends), verdict
    if line.failover is not None:
        assert verdict.ways_to(line.failover), verdict
    if line.sourceSeenAs is not None:
        assert verdict.sourceSeenAs == seen_as(network(path), line.sourceSeenAs), verdict
    if line.access == "Allow":
        assert verdict.answered == ((line.reply or "Allow") == "Allow"), verdict


@pytest.mark.parametrize(("path", "line"), lines(about_names=True))
def test_what_a_scenario_expects_of_a_name_is_what_azure_answers(path: Path, line: Expectation) -> None:
    names = Names(network(path), engine(path))
    found = names.resolve(line.from_, question_of(line), line.recordType)
    if found.guest is None or line.to != "erp.onprem.example":  # which is that guest's own
        assert answered(found, line.recordType) == expected_of(network(path), line), found
