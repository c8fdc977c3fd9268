"""On networks that nobody thought of: what lint says of routes is so, and every finding can be silenced by its name."""

from __future__ import annotations

import copy
import sys
import tempfile
from ipaddress import IPv4Address
from pathlib import Path

import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from netemu.azure.flow import Flow
from netemu.azure.network import resolve
from netemu.azure.verdict import Engine
from netemu.lint import lint
from netemu.scenario import read_document

sys.path.insert(0, str(Path(__file__).parents[1] / "explain"))

from random_scenarios import scenarios

SETTINGS = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large]
)


def look(data):
    """Lint data as if it were a file."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory) / "lab.yaml"
        file.write_text(yaml.safe_dump({"name": "lab", **data}, sort_keys=False), encoding="utf-8")
        return lint(read_document(file)), file.read_text(encoding="utf-8").splitlines()


def engine(data):
    from netemu.scenario import read_text

    return Engine(resolve(read_text(yaml.safe_dump({"name": "lab", **data}))))


@SETTINGS
@given(scenarios())
def test_every_finding_is_somewhere_in_the_file_and_can_be_silenced_by_its_name(data):
    outcome, lines = look(data)
    for finding in outcome.findings:
        assert 1 <= finding.line <= len(lines)
        assert 1 <= finding.column <= len(lines[finding.line - 1]) + 1
        assert finding.what
        assert finding.instead
    ignored = {"lint": {"ignore": {finding.name: "meant" for finding in outcome.findings}}}
    silenced, _ = look(data | ignored)
    assert silenced.findings == ()
    assert [finding.name for finding in silenced.silenced] == [finding.name for finding in outcome.findings]


@SETTINGS
@given(scenarios())
def test_without_a_route_that_never_decides_every_packet_goes_where_it_went(data):
    outcome, _ = look(data)
    names = [f.resource.split("/")[3] for f in outcome.findings if f.finding == "shadowed-route"]
    changed = copy.deepcopy(data)
    for name in names:
        del changed["routeTables"]["tt"]["routes"][name]
    for before, after in zip(engine(data).network.subnets(), engine(changed).network.subnets(), strict=True):
        ours, theirs = engine(data).placement.routes(before), engine(changed).placement.routes(after)
        places = {*ours.starts, *theirs.starts}
        assert [str(ours.find(place)) for place in sorted(places)] == [
            str(theirs.find(place)) for place in sorted(places)
        ]


@SETTINGS
@given(scenarios(), st.sampled_from(("10.0.1.4", "10.0.2.4", "10.1.0.4", "198.51.100.7", "10.9.0.1")))
def test_nothing_arrives_by_a_route_that_leads_nowhere(data, destination):
    outcome, _ = look(data)
    names = {f.resource.split("/")[3] for f in outcome.findings if f.finding == "route-to-nowhere"}
    asked = engine(data)
    for source in ("aa", "bb", "nva", "far", "out"):
        verdict = asked.judge(Flow(source, destinationAddress=IPv4Address(destination), destinationPort=80))
        for step in verdict.steps:
            if step.route is not None and step.route.name in names:
                assert verdict.access == "Deny"
