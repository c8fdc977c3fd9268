"""All ways of a walk that asks questions, each once; and what holds on every way through a load balancer."""

from __future__ import annotations

from itertools import product
from typing import Any

from azure_networks import HOSTS, Lab, nsg, rule, subnet, vnet
from hypothesis import given, settings
from hypothesis import strategies as st

from netemu.azure.choosing import Choosing, every_way
from netemu.azure.flow import Flow, address_of


@given(st.lists(st.integers(1, 4), max_size=4))
def test_independent_questions_give_every_combination_once_in_order(sizes: list[int]) -> None:
    ways = every_way(lambda choosing: tuple(choosing.choose(range(size)) for size in sizes))
    assert ways == list(product(*(range(size) for size in sizes)))


@given(st.recursive(st.none(), lambda inner: st.lists(inner, min_size=1, max_size=3), max_leaves=20))
def test_questions_that_depend_on_answers_give_every_leaf_once(tree: Any) -> None:
    def walk(choosing: Choosing) -> tuple[int, ...]:
        node, way = tree, []
        while node:
            place = choosing.choose(range(len(node)))
            way.append(place)
            node = node[place]
        return tuple(way)

    def leaves(node: Any) -> list[tuple[int, ...]]:
        return [(i, *rest) for i, each in enumerate(node) for rest in leaves(each)] if node else [()]

    assert every_way(walk) == leaves(tree)


MACHINES = ("a", "b", "c")
TARGETS = [("lb/p", f"{name}-nic/ipconfig1") for name in MACHINES]
some_balancers = st.fixed_dictionaries(
    {
        "public": st.booleans(),
        "sku": st.sampled_from(("Basic", "Standard")),
        "members": st.lists(st.sampled_from(MACHINES), unique=True),
        "backendPort": st.sampled_from((80, 8080)),
        "floating": st.booleans(),
        "probed": st.booleans(),
        "allUp": st.booleans(),
        "nsg": st.sampled_from((None, "shut", "open", "port")),
        "nics": st.fixed_dictionaries({name: st.sampled_from((None, "shut", "open")) for name in MACHINES}),
    }
)


def lab(drawn: dict[str, Any]) -> Lab:
    probe = {
        "protocol": "Tcp",
        "port": 80,
        "noHealthyBackendsBehavior": "AllProbedUp" if drawn["allUp"] else "AllProbedDown",
    }
    frontend = (
        {"publicIPAddress": "ip"} if drawn["public"] else {"subnet": "net/client", "privateIPAddress": "10.0.2.9"}
    )
    common = {
        "frontendIPConfiguration": "f", "backendAddressPool": "pool", "frontendPort": 80,
        "backendPort": drawn["backendPort"], "enableFloatingIP": drawn["floating"],
        "probe": "p" if drawn["probed"] else None,
    }  # fmt: skip
    return Lab(
        virtualNetworks={"net": vnet("10.0.0.0/16", web=subnet("10.0.1.0/24", nsg=drawn["nsg"]), client="10.0.2.0/24")},
        networkSecurityGroups={
            "shut": nsg(no=rule(100, "Deny")), "open": nsg(yes=rule(100, "Allow")), "port": nsg(p=rule(100, "Allow", port=8080))
        },
        publicIPAddresses={"ip": {"sku": drawn["sku"]}},
        loadBalancers={"lb": {
            "sku": drawn["sku"], "frontendIPConfigurations": {"f": frontend},
            "backendAddressPools": {"pool": drawn["members"]}, "probes": {"p": probe},
            "loadBalancingRules": {"tcp": {**common, "protocol": "Tcp"}, "udp": {**common, "protocol": "Udp"}},
        }},
        virtualMachines={
            "client": {"subnet": "net/client"},
            **{name: {"subnet": "net/web", "networkSecurityGroup": each} for name, each in drawn["nics"].items()},
        },
        internet=HOSTS,
    )  # fmt: skip


@settings(max_examples=200, deadline=None)
@given(
    some_balancers, st.sampled_from(("client", "visitor", *MACHINES)), st.sampled_from(("Tcp", "Udp")),
    st.frozensets(st.sampled_from(TARGETS)), st.sampled_from((None, *MACHINES)),
)  # fmt: skip
def test_what_holds_on_every_way(
    drawn: dict[str, Any], sender: str, protocol: str, gone: frozenset[tuple[str, str]], established: str | None
) -> None:
    this = lab(drawn)
    called = address_of(this.network, "lb")
    verdict = this.engine.judge(Flow(sender, called, protocol, 80), down=gone, established=established)
    machines = [way.chosen[-1].machine for way in verdict.ways if way.chosen]
    assert len(machines) == len(set(machines)), "each backend is one way"
    assert set(machines) <= set(drawn["members"])
    if established is None and drawn["probed"] and not drawn["allUp"]:
        assert not {("lb/p", f"{machine}-nic/ipconfig1") for machine in machines} & gone
    if established is not None and established in machines:
        assert machines == [established]
    for way in verdict.ways:
        assert way.choices == ()
        if way.access == "Allow" and way.stage == "delivered":
            assert way.receiver == way.chosen[-1].machine
            assert way.destinationPortSeenAs == drawn["backendPort"]
            assert (way.destinationSeenAs == called) == drawn["floating"]
            assert way.answered, "nothing here routes answers elsewhere"
            assert way.reply is not None
            assert way.reply.sourceSeenAs == called
            # What is judged alone is judged the same.
            alone = this.engine.judge(Flow(sender, called, protocol, 80), down=frozenset(), established=way.receiver)
            assert (alone.access, alone.receiver) == ("Allow", way.receiver)
    assert verdict.access == ("Allow" if all(way.access == "Allow" for way in verdict.ways) else "Deny")
    assert set(verdict.backends) == {way.receiver for way in verdict.ways if way.access == "Allow" and way.chosen}
