"""A walk says of each NSG which rules it looked at, and of each route look-up who lost, and why."""

from __future__ import annotations

import pytest
from azure_networks import FORWARDING, Lab, nsg, route, routes, rule, subnet, vnet


@pytest.fixture(scope="module")
def lab() -> Lab:
    """client - fw - server, with NSGs at the server's subnet and NIC."""
    table = routes(route("10.0.2.0/24", "VirtualAppliance", "10.0.9.4"), route("10.0.0.0/16", "VnetLocal"))
    return Lab(
        virtualNetworks={
            "net": vnet(
                "10.0.0.0/16",
                front=subnet("10.0.1.0/24", table="through-fw"),
                back=subnet("10.0.2.0/24", nsg="back-nsg"),
                fw="10.0.9.0/24",
            )
        },
        routeTables={"through-fw": table},
        networkSecurityGroups={
            "back-nsg": nsg(
                web=rule(100, "Allow", protocol="Tcp", port="80"),
                dns=rule(110, "Allow", protocol="Udp", port="53"),
                other=rule(120, "Allow", protocol="Tcp", source="10.9.0.0/16"),
            ),
            "nic-nsg": nsg(none=rule(100, "Deny", port="22")),
        },
        virtualMachines={
            "client": {"subnet": "net/front"},
            "server": {"subnet": "net/back", "networkSecurityGroup": "nic-nsg"},
            "fw": {
                "subnet": "net/fw", "privateIPAddress": "10.0.9.4", "enableIPForwarding": True, "sysctls": FORWARDING
            },
        },
    )  # fmt: skip


@pytest.mark.azure("NSG-4", "NSG-15")
def test_each_nsg_says_why_the_rules_before_the_one_that_decided_did_not_match(lab: Lab) -> None:
    steps = [step for step in lab.ask("client", "server", 22).steps if step.kind == "security-group"]
    assert [(step.place, step.nic) for step in steps] == [("net/back", "server-nic"), ("server-nic", "server-nic")]
    assert [(each.rule.name, each.mismatch) for each in steps[0].considered] == [
        ("web", "destination port 22 is not in its ports"),
        ("dns", "protocol Tcp is not Udp"),
        ("other", "source 10.0.1.4 is not in its sources"),
        ("AllowVnetInBound", None),
    ]
    assert [(each.rule.name, each.mismatch) for each in steps[1].considered] == [("none", None)]


@pytest.mark.azure("RT-9", "RT-20")
def test_each_route_look_up_says_who_lost_and_why(lab: Lab) -> None:
    verdict = lab.ask("client", "server")
    first, second = (step for step in verdict.steps if step.kind == "route")
    assert (first.nic, str(first.route)) == ("client-nic", "User route r0 10.0.2.0/24 -> VirtualAppliance 10.0.9.4")
    assert [(str(loser.route), loser.why) for loser in first.losers] == [
        ("Default route 0.0.0.0/0 -> Internet", "10.0.2.0/24 is a longer prefix than 0.0.0.0/0"),
        ("Default route 10.0.0.0/8 -> None", "10.0.2.0/24 is a longer prefix than 10.0.0.0/8"),
        ("User route r1 10.0.0.0/16 -> VnetLocal", "10.0.2.0/24 is a longer prefix than 10.0.0.0/16"),
        ("Default route 10.0.0.0/16 -> VnetLocal", "a user-defined route has the same prefix 10.0.0.0/16"),
    ]
    assert second.nic == "fw-nic"
    assert verdict.reply is not None
    assert [step.nic for step in verdict.reply.steps if step.kind == "route"] == ["server-nic"]


def test_other_steps_have_neither(lab: Lab) -> None:
    for step in lab.ask("client", "server").steps:
        assert bool(step.considered) == (step.kind == "security-group")
        assert bool(step.losers) == (step.kind == "route")
