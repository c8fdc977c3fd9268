"""Flows through load balancers that do not work: each is told by its reason, with what would help."""

from __future__ import annotations

from typing import Any

import pytest
from advice import verdict_after, why, works

from netemu.explain import Explanation
from netemu.explain.text import lines

OPEN = {
    "securityRules": {
        "all": {
            "priority": 100, "direction": "Inbound", "access": "Allow", "protocol": "*", "sourceAddressPrefix": "*",
            "sourcePortRange": "*", "destinationAddressPrefix": "*", "destinationPortRange": "*",
        }
    }
}  # fmt: skip
HTTP = {"frontendIPConfiguration": "f", "backendAddressPool": "web", "protocol": "Tcp", "frontendPort": 80}


def shop(
    *, public: bool = True, members: tuple[str, ...] = ("web1", "web2"), nsg: str | None = "open", **rule: Any
) -> dict[str, Any]:
    return {
        "virtualNetworks": {
            "net": {
                "addressSpace": "10.0.0.0/16",
                "subnets": {
                    "web": {"addressPrefix": "10.0.1.0/24", **({"networkSecurityGroup": nsg} if nsg else {})},
                    "client": {"addressPrefix": "10.0.2.0/24"},
                },
            }
        },
        "networkSecurityGroups": {"open": OPEN},
        "publicIPAddresses": {"ip": {}},
        "loadBalancers": {
            "lb": {
                "frontendIPConfigurations": {"f": {"publicIPAddress": "ip"} if public else {"subnet": "net/web"}},
                "backendAddressPools": {"web": list(members)},
                "loadBalancingRules": {"http": {**HTTP, **rule}},
            }
        },
        "virtualMachines": {name: {"subnet": "net/web"} for name in ("web1", "web2")}
        | {"client": {"subnet": "net/client"}},
        "internet": {"hosts": {"visitor": {"ipAddress": "198.51.100.7"}}},
    }


def text(found: Explanation) -> str:
    return "\n".join(lines(found))


def advised(data: dict[str, Any], *question: Any) -> Explanation:
    """An explanation whose first advice, followed, makes the flow work."""
    found = why(data, *question)
    assert not found.works
    assert found.works_then
    assert works(verdict_after(data, found, [obstacle.remedies[0] for obstacle in found.obstacles]))
    return found


def test_all_that_may_get_it_are_named() -> None:
    assert "carries it to one of web1, web2 (load balancer `lb` chooses), and the answer back" in text(
        why(shop(), "visitor", "lb")
    )


@pytest.mark.azure("LB-8")
def test_a_port_without_a_rule_is_told_with_those_that_have_one() -> None:
    found = advised(shop(), "visitor", "lb", 443)
    assert found.obstacles[0].what == "is dropped: `lb/f` has no rule for Tcp/443 (LB-8)"
    assert found.obstacles[0].hints == ("it has rules for Tcp 80 (`http`)",)


@pytest.mark.azure("LB-9")
def test_ping_is_told_to_be_carried_by_no_load_balancer() -> None:
    found = why(shop(), "visitor", "lb", None, "Icmp")
    assert found.obstacles[0].what == "is dropped: load balancers carry Tcp and Udp only, no Icmp (LB-9)"


@pytest.mark.azure("LB-24")
def test_an_empty_pool_is_told() -> None:
    found = why(shop(members=()), "visitor", "lb")
    assert found.obstacles[0].what == "is dropped: nobody is in the pool of rule `lb/http` (LB-24)"


@pytest.mark.azure("LB-21")
@pytest.mark.parametrize(
    ("members", "hint"),
    [(("web1", "web2"), "of 2 backends one is the caller: so many of its connections fail, the others work"),
     (("web1",), "it is the only backend: none of its connections works")],
)  # fmt: skip
def test_a_backend_that_calls_itself_is_told(members: tuple[str, ...], hint: str) -> None:
    found = why(shop(public=False, members=members), "web1", "lb")
    assert (
        found.obstacles[0].what
        == "comes back to `web1` by rule `lb/http`, which drops what has its own address (LB-21)"
    )
    assert found.obstacles[0].hints == (hint,)
    depends = "Note: it depends on which backend is chosen: Deny (hairpin) at web1; Allow to web2."
    assert (depends in text(found)) == (len(members) == 2)


@pytest.mark.azure("OUT-17")
def test_a_standard_frontend_without_an_nsg_is_told_by_the_load_balancers_name() -> None:
    found = advised(shop(members=("web1",), nsg=None), "visitor", "lb")
    assert "load balancer `lb` is Standard, which is closed" in found.obstacles[0].what


@pytest.mark.azure("OUT-36", "OUT-39")
def test_a_member_that_is_not_let_out_gets_a_nat_gateway() -> None:
    found = advised(shop(disableOutboundSnat=True), "web1", "visitor", 443)
    assert "in a pool of `lb`, which does not let Tcp out" in found.obstacles[0].what
    assert found.obstacles[0].remedies[0].text == "a NAT gateway for subnet `net/web` would let it out"


@pytest.mark.azure("OUT-41")
def test_a_nat_gateway_is_told_to_carry_no_ping() -> None:
    data = shop()
    data["natGateways"] = {"gw": {"publicIPAddresses": ["gw-ip"]}}
    data["publicIPAddresses"]["gw-ip"] = {}
    data["virtualNetworks"]["net"]["subnets"]["client"]["natGateway"] = "gw"
    found = why(data, "client", "visitor", None, "Icmp")
    assert "behind NAT gateway `gw`, which carries Tcp and Udp only, no Icmp (OUT-41)" in found.obstacles[0].what


@pytest.mark.azure("LB-18", "RT-7")
def test_a_route_to_an_ordinary_frontend_is_told() -> None:
    data = shop(public=False)
    data["loadBalancers"]["lb"]["frontendIPConfigurations"]["f"]["privateIPAddress"] = "10.0.1.99"
    hop = {"addressPrefix": "10.9.0.0/16", "nextHopType": "VirtualAppliance", "nextHopIpAddress": "10.0.1.99"}
    data["routeTables"] = {"rt": {"routes": {"r": hop}}}
    data["virtualNetworks"]["net"]["subnets"]["client"]["routeTable"] = "rt"
    found = why(data, "client", "10.9.0.1")
    assert found.obstacles[0].what == (
        "is dropped: a route sends it to `lb/f`, which takes what is for others by HA ports only (LB-18)"
    )


@pytest.mark.azure("PEER-17")
def test_a_basic_frontend_in_another_region_is_told() -> None:
    data = shop(public=False)
    data["loadBalancers"]["lb"]["sku"] = "Basic"
    subnets = {"all": {"addressPrefix": "10.1.0.0/24"}}
    far = {"addressSpace": "10.1.0.0/16", "location": "eastus", "subnets": subnets}
    for name, other in (("net", "far"), ("far", "net")):
        data["virtualNetworks"].setdefault("far", far)
        data["virtualNetworks"][name]["virtualNetworkPeerings"] = {"p": {"remoteVirtualNetwork": other}}
    data["virtualMachines"]["peer"] = {"subnet": "far/all"}
    found = why(data, "peer", "lb")
    assert found.obstacles[0].what == "is dropped: `lb` is Basic, which nobody reaches from another region (PEER-17)"
