"""Verdicts where routes and appliances decide (RT-4…RT-21, NVA-1…NVA-11, NIC-7…NIC-9)."""

from __future__ import annotations

import pytest
from azure_networks import FORWARDING, HOSTS, Lab, nsg, peering, route, routes, rule, subnet, vnet

NVA = {"subnet": "v/m", "privateIPAddress": "10.0.3.4", "enableIPForwarding": True, "sysctls": FORWARDING}


def routed(*user, back=(), own=(), nva=NVA, **others):
    """a in v/x with user routes, b in v/y with `back`, an appliance in v/m with `own`."""
    tables = {name: routes(*some) for name, some in (("tx", user), ("ty", back), ("tm", own)) if some}
    return Lab(
        **{
            "virtualNetworks": {
                "v": vnet(
                    "10.0.0.0/16",
                    x=subnet("10.0.1.0/24", table="tx" if user else None),
                    y=subnet("10.0.2.0/24", table="ty" if back else None),
                    m=subnet("10.0.3.0/24", table="tm" if own else None),
                )
            },
            "routeTables": tables,
            "virtualMachines": {
                "a": {"subnet": "v/x"},
                "a2": {"subnet": "v/x"},
                "b": {"subnet": "v/y"},
                **({"nva": nva} if nva else {}),
            },
            "internet": HOSTS,
            **others,
        }
    )


def by_nva(prefix):
    return route(prefix, "VirtualAppliance", "10.0.3.4")


@pytest.mark.azure("RT-4", "RT-20", "CT-29", "PIPE-2")
def test_none_drops_and_the_network_is_fine():
    lab = routed(route("0.0.0.0/0", "None"))
    found = lab.ask("a", "visitor")
    assert (found.access, found.stage, found.nic, found.rule) == ("Deny", "route-none", "a-nic", None)
    assert lab.allowed("a", "b")


@pytest.mark.azure("RT-2", "RT-4", "NSG-27")
def test_unconnected_private_ranges_go_nowhere():
    assert routed().ask("a", "192.168.7.1").stage == "route-none"
    assert routed().ask("a", "10.99.0.1").stage == "route-none"


@pytest.mark.azure("VN-7")
@pytest.mark.parametrize("destination", ["10.0.200.1", "10.0.2.200", "10.0.2.1"])
def test_addresses_of_the_network_that_nobody_has(destination):
    found = routed().ask("a", destination)
    assert (found.stage, found.nic, found.direction) == ("no-owner", "a-nic", "Outbound")


@pytest.mark.azure("RT-13")
def test_without_a_gateway_its_route_leads_nowhere():
    assert routed(route("10.9.0.0/16", "VirtualNetworkGateway")).ask("a", "10.9.0.1").stage == "no-gateway"


@pytest.mark.azure("RT-14", "VN-13")
def test_a_private_destination_is_dropped_at_the_edge():
    assert routed(route("10.9.0.0/16", "Internet")).ask("a", "10.9.0.1").stage == "edge-private"


@pytest.mark.azure("RT-14")
def test_a_route_to_the_internet_for_a_public_prefix():
    lab = routed(route("0.0.0.0/0", "None"), route("198.51.100.0/24", "Internet"))
    assert lab.ask("a", "visitor").answered
    assert lab.ask("a", "other").stage == "route-none"


@pytest.mark.azure("RT-1", "RT-18", "NVA-2", "NVA-3")
def test_a_route_steers_only_the_packets_that_leave_its_subnet():
    found = routed(by_nva("10.0.2.0/24")).ask("a", "b")
    assert (found.access, found.via, found.reply.via, found.answered) == ("Allow", ("nva",), (), True)
    assert (str(found.sourceSeenAs), str(found.destinationSeenAs)) == ("10.0.1.4", "10.0.2.4")
    both = routed(by_nva("10.0.2.0/24"), back=[by_nva("10.0.1.0/24")]).ask("a", "b")
    assert (both.via, both.reply.via, both.answered) == (("nva",), ("nva",), True)


@pytest.mark.azure("RT-11")
def test_a_route_equal_to_the_network_takes_neighbours_too():
    assert routed(by_nva("10.0.0.0/16")).ask("a", "a2").via == ("nva",)
    lab = routed(by_nva("10.0.0.0/16"), route("10.0.1.0/24", "VnetLocal"))
    assert lab.ask("a", "a2").via == ()
    assert lab.ask("a", "b").via == ("nva",)


@pytest.mark.azure("RT-12", "RT-7")
def test_an_appliance_that_nobody_is():
    found = routed(by_nva("10.0.2.0/24"), nva=None).ask("a", "b")
    assert (found.stage, found.nic) == ("no-owner", "a-nic")


@pytest.mark.azure("RT-6")
def test_vnetlocal_reaches_machines_of_the_own_network_only():
    lab = routed(
        route("10.1.0.0/16", "VnetLocal"),
        virtualNetworks={
            "v": vnet("10.0.0.0/16", x=subnet("10.0.1.0/24", table="tx"), peerings=peering("w")),
            "w": vnet("10.1.0.0/16", s="10.1.0.0/24", peerings=peering("v")),
        },
        virtualMachines={"a": {"subnet": "v/x"}, "far": {"subnet": "w/s"}},
    )
    assert lab.ask("a", "far").stage == "no-owner"


@pytest.mark.azure("NIC-7", "NIC-8", "NIC-9", "NVA-8", "CT-30")
@pytest.mark.parametrize(
    ("fabric", "guest", "stage"),
    [
        (False, True, "destination-check"),
        (False, False, "destination-check"),
        (True, False, "guest-not-forwarding"),
        (True, True, "delivered"),
    ],
)
def test_an_appliance_needs_both_kinds_of_forwarding(fabric, guest, stage):
    nva = {**NVA, "enableIPForwarding": fabric, "sysctls": FORWARDING if guest else {}}
    found = routed(by_nva("10.0.2.0/24"), nva=nva).ask("a", "b")
    assert (found.stage, found.access) == (stage, "Allow" if stage == "delivered" else "Deny")
    if found.access == "Deny":
        assert (found.nic, found.direction, found.via) == ("nva-nic", "Inbound", ())


@pytest.mark.azure("NIC-9")
@pytest.mark.parametrize(
    ("sysctls", "forwards"),
    [
        ({"net.ipv4.ip_forward": "1"}, True),
        ({"net/ipv4/ip_forward": "1"}, True),
        ({"net.ipv4.ip_forward": "0"}, False),
        ({"net.ipv4.conf.all.rp_filter": "1"}, False),
    ],
)
def test_the_guest_forwards_when_its_sysctl_says_so(sysctls, forwards):
    assert (routed(by_nva("10.0.2.0/24"), nva={**NVA, "sysctls": sysctls}).allowed("a", "b")) is forwards


@pytest.mark.azure("NIC-7", "NVA-9", "PIPE-5")
def test_what_is_addressed_to_the_appliance_itself_needs_no_forwarding():
    lab = routed(by_nva("10.0.3.0/24"), nva={**NVA, "enableIPForwarding": False, "sysctls": {}})
    found = lab.ask("a", "nva")
    assert (found.access, found.via, found.answered) == ("Allow", (), True)


@pytest.mark.azure("NVA-1")
def test_a_route_of_the_appliances_own_subnet_to_itself_is_a_loop():
    found = routed(by_nva("0.0.0.0/0"), own=[by_nva("0.0.0.0/0")]).ask("a", "visitor")
    assert (found.access, found.stage, found.nic, set(found.via)) == ("Deny", "loop", "nva-nic", {"nva"})


@pytest.mark.azure("NVA-1")
def test_two_appliances_that_send_to_each_other_are_a_loop():
    lab = routed(
        by_nva("10.0.2.0/24"),
        back=(),
        own=[route("10.0.2.0/24", "VirtualAppliance", "10.0.4.4")],
        virtualNetworks={
            "v": vnet(
                "10.0.0.0/16",
                x=subnet("10.0.1.0/24", table="tx"),
                y="10.0.2.0/24",
                m=subnet("10.0.3.0/24", table="tm"),
                k=subnet("10.0.4.0/24", table="tx"),
            )
        },
        virtualMachines={
            "a": {"subnet": "v/x"},
            "b": {"subnet": "v/y"},
            "one": NVA,
            "two": {**NVA, "subnet": "v/k", "privateIPAddress": "10.0.4.4"},
        },
    )
    found = lab.ask("a", "b")
    assert (found.stage, found.via[:2]) == ("loop", ("one", "two"))


@pytest.mark.azure("NVA-1", "NVA-5")
def test_a_chain_of_more_appliances_than_the_ttl_is_long_does_not_end():
    count = 70
    hops = [f"10.0.{10 + index}.4" for index in range(count)]
    subnets = {
        f"m{index}": subnet(f"10.0.{10 + index}.0/24", table=f"t{index}" if index + 1 < count else None)
        for index in range(count)
    }
    lab = Lab(
        virtualNetworks={"v": vnet("10.0.0.0/16", x=subnet("10.0.1.0/24", table="t"), y="10.0.2.0/24", **subnets)},
        routeTables={
            "t": routes(route("10.0.2.0/24", "VirtualAppliance", hops[0])),
            **{
                f"t{index}": routes(route("10.0.2.0/24", "VirtualAppliance", hops[index + 1]))
                for index in range(count - 1)
            },
        },
        virtualMachines={
            "a": {"subnet": "v/x"},
            "b": {"subnet": "v/y"},
            **{
                f"n{index}": {**NVA, "subnet": f"v/m{index}", "privateIPAddress": hop} for index, hop in enumerate(hops)
            },
        },
    )
    found = lab.ask("a", "b")
    assert (found.stage, len(found.via)) == ("loop", 63), "a packet sent with TTL 64 survives 63 routers"


@pytest.mark.azure("NIC-4", "NVA-2", "NSG-33")
def test_an_appliance_with_two_nics_forwards_by_its_own_table():
    def lab(inner_forwarding):
        return routed(
            by_nva("10.0.2.0/24"),
            nva=None,
            virtualMachines={
                "a": {"subnet": "v/x"},
                "b": {"subnet": "v/y"},
                "nva": {"networkInterfaces": ["outer", "inner"], "sysctls": FORWARDING},
            },
            networkInterfaces={
                "outer": {"subnet": "v/m", "privateIPAddress": "10.0.3.4", "enableIPForwarding": True},
                "inner": {"subnet": "v/y", "privateIPAddress": "10.0.2.9", "enableIPForwarding": inner_forwarding},
            },
        )

    found = lab(inner_forwarding=True).ask("a", "b")
    assert (found.access, found.via) == ("Allow", ("nva",))
    assert [step.place for step in found.steps if step.route is not None] == ["a-nic", "inner"]
    found = lab(inner_forwarding=False).ask("a", "b")
    assert (found.stage, found.nic) == ("source-check", "inner"), "each NIC has its own flag (NIC-7)"


@pytest.mark.azure("NVA-4", "NVA-8")
def test_an_appliance_that_does_not_translate_reaches_no_internet_for_others():
    lab = routed(by_nva("0.0.0.0/0"))
    found = lab.ask("a", "visitor")
    assert (found.stage, found.nic, found.via) == ("edge-untranslated", "nva-nic", ("nva",))
    assert lab.ask("nva", "visitor").answered


@pytest.mark.azure("RT-21", "OUT-22", "PIPE-6", "OUT-1")
def test_a_default_route_to_an_appliance_breaks_the_replies_of_a_public_ip():
    lab = routed(
        by_nva("0.0.0.0/0"),
        publicIPAddresses={"p": {"sku": "Basic"}},
        virtualMachines={"a": {"subnet": "v/x", "publicIPAddress": "p"}, "nva": NVA},
    )
    found = lab.ask("visitor", "p")
    assert (found.access, found.destination) == ("Allow", "a-nic")
    assert (found.reply.access, found.reply.stage, found.reply.nic) == ("Deny", "edge-untranslated", "nva-nic")
    assert found.reply.via == ("nva",)
    assert not found.answered
    assert lab.ask("a", "visitor").stage == "edge-untranslated", "the route comes before the public IP (OUT-1)"


@pytest.mark.azure("PIPE-9", "RT-18")
def test_a_reply_of_an_allowed_flow_obeys_routes():
    found = routed(back=[route("10.0.1.0/24", "None")]).ask("a", "b")
    assert (found.access, found.reply.stage, found.reply.nic) == ("Allow", "route-none", "b-nic")


@pytest.mark.azure("RT-18", "NSG-21", "NVA-3")
def test_an_appliance_that_sees_only_replies_evaluates_them_as_new():
    refuse = nsg(r=rule(100, "Deny", source="10.0.2.0/24"))
    lab = routed(
        back=[by_nva("10.0.1.0/24")], nva={**NVA, "networkSecurityGroup": "n"}, networkSecurityGroups={"n": refuse}
    )
    found = lab.ask("a", "b")
    assert (found.access, found.reply.stage, found.reply.rule, found.reply.nic) == ("Allow", "nsg-in", "r", "nva-nic")
    lab = routed(
        by_nva("10.0.2.0/24"),
        back=[by_nva("10.0.1.0/24")],
        nva={**NVA, "networkSecurityGroup": "n"},
        networkSecurityGroups={"n": refuse},
    )
    assert lab.ask("a", "b").answered, "it has seen the first packet"


@pytest.mark.azure("NVA-4", "NSG-25")
def test_a_default_route_widens_virtualnetwork_at_the_subnets_nsg():
    lab = routed(
        by_nva("0.0.0.0/0"),
        networkSecurityGroups={"n": nsg()},
        virtualMachines={"a": {"subnet": "v/x", "networkSecurityGroup": "n"}, "nva": NVA},
    )
    rules = [step.rule.name for step in lab.ask("a", "visitor").steps if step.rule is not None]
    assert rules == ["AllowVnetOutBound"]


@pytest.mark.azure("RT-29", "RT-4", "RT-12", "RT-13")
@pytest.mark.parametrize(
    ("steered", "stage"),
    [
        (route("10.0.2.0/24", "None"), "route-none"),
        (route("10.0.2.0/24", "VirtualAppliance", "10.0.3.99"), "no-owner"),
        (route("10.0.2.0/24", "VirtualNetworkGateway"), "no-gateway"),
        (route("10.0.2.0/24", "Internet"), "edge-private"),
    ],
)
def test_nothing_answers_for_a_packet_that_a_route_drops(steered, stage):
    found = routed(steered).ask("a", "b")
    assert (found.access, found.stage, found.reply, found.answered) == ("Deny", stage, None, False)
