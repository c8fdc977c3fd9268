"""On networks that nobody thought of: what explain advises makes the flow work, when it is written into the scenario."""

from __future__ import annotations

from advice import explain_after, flow, network_of, verdict_after, works
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from random_scenarios import scenarios

from netemu.azure.verdict import Engine
from netemu.explain import explain
from netemu.explain.data import as_data
from netemu.explain.text import lines

SOURCES = ("aa", "bb", "nva", "far", "out", "visitor")
questions = st.tuples(
    st.sampled_from(SOURCES),
    st.sampled_from((*SOURCES, "pp", "10.0.2.77", "10.9.0.1", "168.63.129.16", "8.8.8.8")),
    st.sampled_from((80, 443)),
    st.sampled_from(("Tcp", "Udp", "Icmp")),
)


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(scenarios(), questions)
def test_what_is_advised_makes_the_flow_work_when_explain_says_so(data, question):
    network = network_of(data)
    asked = flow(network, *question)
    explanation = explain(network, asked)
    before = Engine(network).judge(asked)
    assert explanation.works == works(before) == (not explanation.obstacles)
    assert "\n".join(lines(explanation))
    assert as_data(explanation)["works"] == works(before)
    for obstacle in explanation.obstacles:
        assert obstacle.what
        for first in obstacle.remedies[:1]:
            assert first.edits or first.to
    followed = [obstacle.remedies[0] for obstacle in explanation.obstacles if obstacle.remedies]
    assert explanation.works_then == works(verdict_after(data, explanation, followed))
    # Every other remedy of the last obstacle would do as well.
    if explanation.works_then and explanation.obstacles:
        for remedy in explanation.obstacles[-1].remedies:
            assert works(verdict_after(data, explanation, [*followed[:-1], remedy])), remedy


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(scenarios(), questions)
def test_a_rule_that_is_advised_has_a_free_priority_before_the_rule_that_denies(data, question):
    network = network_of(data)
    explanation = explain(network, flow(network, *question))
    if not explanation.obstacles or explanation.obstacles[0].rule is None:
        return
    obstacle = explanation.obstacles[0]
    group = network.scenario.networkSecurityGroups[obstacle.networkSecurityGroup]
    taken = {r.priority: name for name, r in group.securityRules.items() if r.direction == obstacle.direction}
    denier = group.securityRules.get(obstacle.rule)
    assert obstacle.remedies, "there is room in every NSG"
    for remedy in obstacle.remedies:
        moved = {edit.path[3]: edit.value for edit in remedy.edits if edit.path[-1] == "priority"}
        new = [edit.value for edit in remedy.edits if edit.path[2:3] == ("securityRules",) and len(edit.path) == 4]
        for rule in new:
            assert 100 <= rule["priority"] <= 4096
            assert rule["priority"] not in taken or taken[rule["priority"]] in moved
            assert denier is None or rule["priority"] < moved.get(obstacle.rule, denier.priority)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(scenarios(), questions)
def test_every_remedy_gets_the_packet_past_its_obstacle(data, question):
    network = network_of(data)
    explanation = explain(network, flow(network, *question))
    followed = []
    for obstacle in explanation.obstacles:
        for remedy in obstacle.remedies:
            after = explain_after(data, explanation, [*followed, remedy])
            assert after.works or place_of(after.obstacles[0]) != place_of(obstacle)
        followed += obstacle.remedies[:1]


def place_of(obstacle):
    return obstacle.way, obstacle.stage, obstacle.place, obstacle.networkSecurityGroup, obstacle.rule
