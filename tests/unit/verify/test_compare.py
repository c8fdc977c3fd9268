"""Expectation, verdict and packet: every way in which they can part is told."""

from __future__ import annotations

from ipaddress import IPv4Address
from xml.etree import ElementTree

import pytest
from msgspec import structs

from netemu.azure.flow import TCP, Packet
from netemu.azure.network import Network, resolve
from netemu.azure.resources import Expectation, Scenario
from netemu.azure.security import EVERY_PORT, EffectiveRule
from netemu.azure.steps import Step, Verdict
from netemu.verify.compare import Result, decider, disagreements
from netemu.verify.evidence import Decision, moved
from netemu.verify.observe import Hop, Observation, Seen
from netemu.verify.report import as_data, as_junit

EMPTY: Network = resolve(Scenario(name="empty"))
HERE, THERE = IPv4Address("10.0.0.4"), IPv4Address("10.0.0.5")
SEEN = Seen(HERE, THERE, 50000, 80)
HOPS = (Hop("a", "eth0", True, SEEN, 1), Hop("b", "eth0", False, SEEN, 2))
DENIED_BY = Decision("@fabric", "nsg-in", True, "nsg", "no")

EXPECT_ALLOW = Expectation(from_="a", to="b", port=80, access="Allow")
EXPECT_DENY = Expectation(from_="a", to="b", port=80, access="Deny")
SAYS_ALLOW = Verdict(
    access="Allow", stage="delivered", receiver="b", sourceSeenAs=HERE, destinationSeenAs=THERE, answered=True,
    reply=Verdict(access="Allow", stage="delivered"),
)  # fmt: skip
SAYS_DENY = Verdict(access="Deny", stage="nsg-in", rule="no", networkSecurityGroup="nsg")
ARRIVED = Observation(True, "b", (), HERE, THERE, (), HOPS, True)
DROPPED = Observation(False, None, (), None, None, (DENIED_BY,), HOPS[:1], None)


def told(expectation: Expectation, verdict: Verdict, observation: Observation) -> str:
    return "\n".join(disagreements(EMPTY, expectation, verdict, observation))


def test_agreement_is_silent() -> None:
    assert told(EXPECT_ALLOW, SAYS_ALLOW, ARRIVED) == ""
    assert told(EXPECT_DENY, SAYS_DENY, DROPPED) == ""


@pytest.mark.parametrize(("rule", "agrees"), [("no", True), ("nsg/no", True), ("other/no", False), ("nsg", False)])
def test_a_rule_may_be_named_with_its_nsg(rule: str, agrees: bool) -> None:
    asked = EffectiveRule(
        "nsg", "no", 100, "Inbound", "Deny", "*", EVERY_PORT, EVERY_PORT, EVERY_PORT, EVERY_PORT, False
    )
    step = Step("security-group", "b-nic", Packet(1, 2, TCP, 3, 4), "Inbound", asked)
    words = told(structs.replace(EXPECT_DENY, rule=rule), structs.replace(SAYS_DENY, steps=(step,)), DROPPED)
    assert (words == "") is agrees


@pytest.mark.parametrize(
    ("expectation", "verdict", "observation", "words"),
    [
        (EXPECT_DENY, SAYS_ALLOW, ARRIVED, "expected Deny, but Azure's rules say Allow"),
        (EXPECT_ALLOW, SAYS_DENY, DROPPED, "expected Allow, but Azure's rules say Deny (nsg/no)"),
        (EXPECT_ALLOW, SAYS_ALLOW, DROPPED, "but the packet was dropped by nsg/no"),
        (EXPECT_DENY, SAYS_DENY, ARRIVED, "but the packet arrived at b"),
        (EXPECT_DENY, SAYS_DENY, structs.replace(DROPPED, decisions=()), "no counter saw it"),
        (EXPECT_DENY, SAYS_DENY, structs.replace(DROPPED, decisions=(structs.replace(DENIED_BY, rule="other"),)), "nsg/other"),
        (EXPECT_ALLOW, SAYS_ALLOW, structs.replace(ARRIVED, receiver="c"), "it arrived at c"),
        (EXPECT_ALLOW, SAYS_ALLOW, structs.replace(ARRIVED, via=("fw",)), "it went via fw"),
        (EXPECT_ALLOW, SAYS_ALLOW, structs.replace(ARRIVED, sourceSeenAs=THERE), "sourceSeenAs: 10.0.0.4"),
        (EXPECT_ALLOW, SAYS_ALLOW, structs.replace(ARRIVED, answered=False), "it did not come back"),
        (EXPECT_ALLOW, structs.replace(SAYS_ALLOW, answered=False), structs.replace(ARRIVED, answered=False),
         "expected reply Allow, but the answer did not come back"),
        (structs.replace(EXPECT_DENY, rule="other"), SAYS_DENY, DROPPED, "expected rule other"),
        (structs.replace(EXPECT_ALLOW, via=("fw",)), SAYS_ALLOW, ARRIVED, "expected via fw, it went via nothing"),
        (structs.replace(EXPECT_ALLOW, sourceSeenAs="20.61.0.1"), SAYS_ALLOW, ARRIVED, "expected source 20.61.0.1"),
        (structs.replace(EXPECT_ALLOW, reply="Deny"), SAYS_ALLOW, ARRIVED, "expected reply Deny"),
        (EXPECT_DENY, Verdict(access="Deny", stage="guest-not-forwarding"), DROPPED, "no guest saw it"),
    ],
)  # fmt: skip
def test_each_disagreement_is_told(
    expectation: Expectation, verdict: Verdict, observation: Observation, words: str
) -> None:
    assert words in told(expectation, verdict, observation)


def test_other_traffic_of_the_lab_does_not_hide_the_rule_that_decided() -> None:
    noise = Decision("@edge", "edge-unknown", True)
    observation = structs.replace(DROPPED, decisions=(noise, DENIED_BY))
    assert decider(observation, SAYS_DENY) == DENIED_BY
    assert told(EXPECT_DENY, SAYS_DENY, observation) == ""


def test_only_counters_that_moved_are_evidence() -> None:
    still, moving = ("@fabric", "inbound/nsg/net", "still"), ("@fabric", "inbound/nsg/net", "moving")
    found = moved({still: 4, moving: 1}, {still: 4, moving: 3}, {still: True, moving: False})
    assert found == [Decision("@fabric", "nsg-in", False, "nsg", "moving", 2)]


def test_reports_for_programs_say_what_failed() -> None:
    good = Result(1, EXPECT_ALLOW, SAYS_ALLOW, ARRIVED, ())
    bad = Result(2, EXPECT_DENY, SAYS_ALLOW, ARRIVED, ("expected Deny\x00",))
    data = as_data("lab", [good, bad])
    assert (data["passed"], data["failed"]) == (1, 1)
    assert data["results"][0]["expected"] == {"from": "a", "to": "b", "access": "Allow", "protocol": "Tcp", "port": 80}
    suite = ElementTree.fromstring(as_junit("lab", [good, bad]).split("\n", 1)[1])
    assert (suite.get("tests"), suite.get("failures")) == ("2", "1")
    failures = [case.get("name") for case in suite if case.find("failure") is not None]
    assert failures == ["2. a → b Tcp/80 is Deny"]
