"""Verdicts across the internet edge (OUT-1…OUT-8, OUT-17…OUT-22, PIPE-4)."""

from __future__ import annotations

import pytest
from azure_networks import HOSTS, Lab, nsg, rule, subnet, vnet

OPEN = {"open": nsg(all=rule(100, "Allow"))}


def published(sku="Standard", **others):
    """pub has a public IP and no NSG, priv has none."""
    return Lab(
        **{
            "virtualNetworks": {"v": vnet("10.0.0.0/16", s="10.0.1.0/24", t="10.0.2.0/24")},
            "publicIPAddresses": {"p": {"sku": sku}, "spare": {}},
            "networkSecurityGroups": OPEN,
            "virtualMachines": {"pub": {"subnet": "v/s", "publicIPAddress": "p"}, "priv": {"subnet": "v/t"}},
            "internet": HOSTS,
            **others,
        }
    )


@pytest.mark.azure("OUT-1", "OUT-4", "OUT-5", "CT-15")
@pytest.mark.parametrize("protocol", ["Tcp", "Udp"])
def test_default_outbound_access_translates_to_an_address_of_no_resource(protocol):
    lab = published()
    found = lab.ask("priv", "visitor", protocol=protocol)
    assert (found.access, found.destination, found.answered) == ("Allow", "visitor", True)
    seen = found.sourceSeenAs
    assert seen == lab.network.nics["priv-nic"].ipConfigs[0].defaultOutbound
    assert seen not in [public.address for public in lab.network.publicIPs.values()]


@pytest.mark.azure("OUT-5")
def test_the_default_outbound_address_takes_nothing_new():
    lab = published()
    outbound = lab.ask("priv", "visitor").sourceSeenAs
    found = lab.ask("visitor", str(outbound))
    assert (found.access, found.stage, found.nic) == ("Deny", "edge-unknown", "edge")


@pytest.mark.azure("OUT-7", "OUT-4", "CT-15")
@pytest.mark.parametrize("protocol", ["Icmp", "Esp"])
def test_default_outbound_access_is_for_tcp_and_udp_only(protocol):
    found = published().ask("priv", "visitor", protocol=protocol)
    assert (found.access, found.stage, found.nic) == ("Deny", "edge-untranslated", "priv-nic")


@pytest.mark.azure("OUT-2", "OUT-4", "OUT-1", "CT-16")
@pytest.mark.parametrize("protocol", ["Tcp", "Udp", "Icmp", "Esp"])
def test_a_public_ip_carries_every_protocol_outwards(protocol):
    lab = published()
    found = lab.ask("pub", "visitor", protocol=protocol)
    assert (found.access, found.sourceSeenAs, found.answered) == ("Allow", lab.network.publicIPs["p"].address, True)


@pytest.mark.azure("OUT-19", "CT-16", "PIPE-4")
@pytest.mark.parametrize("protocol", ["Tcp", "Udp", "Icmp", "Esp"])
def test_a_public_ip_carries_every_protocol_inwards(protocol):
    found = published("Basic").ask("visitor", "p", protocol=protocol)
    assert (found.destination, str(found.sourceSeenAs), str(found.destinationSeenAs)) == (
        "pub-nic",
        "198.51.100.7",
        "10.0.1.4",
    )
    assert found.answered
    assert str(found.reply.sourceSeenAs).startswith("20.61.")


@pytest.mark.azure("ARP-4", "ARP-5")
def test_tunnels_do_not_come_in_by_a_public_ip():
    assert published("Basic").ask("visitor", "p", protocol="Gre").stage == "blocked"


@pytest.mark.azure("OUT-6", "OUT-8")
def test_any_public_ip_of_the_machine_ends_default_outbound_access():
    lab = published(
        networkInterfaces={"one": {"subnet": "v/s"}, "two": {"subnet": "v/t", "publicIPAddress": "p"}},
        virtualMachines={"pub": {"networkInterfaces": ["one", "two"]}},
    )
    found = lab.ask("pub", "visitor")
    assert (found.stage, found.nic) == ("edge-untranslated", "one")
    assert lab.ask("two", "visitor").sourceSeenAs == lab.network.publicIPs["p"].address


@pytest.mark.azure("OUT-8")
def test_secondary_addresses_have_no_default_outbound_access():
    lab = published(
        networkInterfaces={
            "n": {
                "ipConfigurations": {
                    "one": {"subnet": "v/s", "primary": True},
                    "two": {"subnet": "v/s", "privateIPAddress": "10.0.1.50"},
                }
            }
        },
        virtualMachines={"m": {"networkInterfaces": ["n"]}},
    )
    assert lab.ask("m", "visitor").answered
    assert lab.ask("m", "visitor", source_address="10.0.1.50").stage == "edge-untranslated"


@pytest.mark.azure("OUT-8", "OUT-3")
def test_a_secondary_address_uses_its_own_public_ip():
    lab = published(
        publicIPAddresses={"p": {"sku": "Basic"}, "q": {"sku": "Basic"}},
        networkInterfaces={
            "n": {
                "ipConfigurations": {
                    "one": {"subnet": "v/s", "primary": True, "publicIPAddress": "p"},
                    "two": {"subnet": "v/s", "privateIPAddress": "10.0.1.50", "publicIPAddress": "q"},
                }
            }
        },
        virtualMachines={"m": {"networkInterfaces": ["n"]}},
    )
    assert lab.ask("m", "visitor", source_address="10.0.1.50").sourceSeenAs == lab.network.publicIPs["q"].address
    found = lab.ask("visitor", "q")
    assert (str(found.destinationSeenAs), found.answered) == ("10.0.1.50", True)


@pytest.mark.azure("OUT-1")
def test_a_subnet_may_have_no_default_outbound_access():
    lab = published(
        virtualNetworks={
            "v": vnet("10.0.0.0/16", s="10.0.1.0/24", t=subnet("10.0.2.0/24", defaultOutboundAccess=False))
        }
    )
    assert lab.ask("priv", "visitor").stage == "edge-untranslated"


@pytest.mark.azure("PIPE-4")
def test_an_address_that_nobody_on_the_internet_has():
    assert published().ask("priv", "203.0.113.200").stage == "edge-unknown"
    assert published().ask("visitor", "spare").stage == "edge-unknown"


@pytest.mark.azure("VN-13", "PIPE-4")
def test_private_addresses_are_not_reachable_from_the_internet():
    assert published("Basic").ask("visitor", "pub").stage == "edge-private"


@pytest.mark.azure("OUT-17", "CT-14", "PIPE-4")
@pytest.mark.parametrize(
    ("sku", "nic_nsg", "subnet_nsg", "stage"),
    [
        ("Standard", None, None, "public-closed"),
        ("Standard", "open", None, "delivered"),
        ("Standard", None, "open", "delivered"),
        ("Standard", "shut", None, "nsg-in"),
        ("Standard", "open", "shut", "nsg-in"),
        ("Basic", None, None, "delivered"),
        ("Basic", "shut", None, "nsg-in"),
    ],
)
def test_standard_is_closed_without_an_nsg_and_basic_is_open(sku, nic_nsg, subnet_nsg, stage):
    lab = published(
        sku,
        virtualNetworks={"v": vnet("10.0.0.0/16", s=subnet("10.0.1.0/24", nsg=subnet_nsg))},
        networkSecurityGroups={**OPEN, "shut": nsg()},
        virtualMachines={"pub": {"subnet": "v/s", "publicIPAddress": "p", "networkSecurityGroup": nic_nsg}},
    )
    found = lab.ask("visitor", "p")
    assert (found.stage, found.answered) == (stage, stage == "delivered")


@pytest.mark.azure("OUT-17")
def test_closed_is_for_new_inbound_flows_only():
    lab = published("Standard")
    assert lab.ask("pub", "visitor").answered
    assert lab.ask("priv", "pub").answered, "traffic of the network does not come by the public IP"


@pytest.mark.azure("OUT-21", "PIPE-3")
def test_a_machine_that_calls_anothers_public_ip_comes_from_the_internet():
    lab = published(
        networkSecurityGroups={"n": nsg(r=rule(100, "Allow", source="Internet", port=80))},
        virtualMachines={
            "pub": {"subnet": "v/s", "publicIPAddress": "p", "networkSecurityGroup": "n"},
            "priv": {"subnet": "v/t"},
            "other": {"subnet": "v/t", "publicIPAddress": "spare"},
        },
    )
    found = lab.ask("priv", "p")
    assert (found.rule, str(found.destinationSeenAs), found.answered) == ("r", "10.0.1.4", True)
    assert found.sourceSeenAs == lab.network.nics["priv-nic"].ipConfigs[0].defaultOutbound
    assert lab.ask("other", "p").sourceSeenAs == lab.network.publicIPs["spare"].address
    assert lab.ask("priv", "p", 81).rule == "DenyAllInBound", "it is not VirtualNetwork"
    assert lab.ask("priv", "p", protocol="Icmp").stage == "edge-untranslated"


@pytest.mark.azure("OUT-21")
def test_a_machine_that_calls_its_own_public_ip():
    found = published("Basic").ask("pub", "p")
    assert (found.access, found.receiver, found.answered) == ("Allow", "pub", True)
    assert str(found.destinationSeenAs) == "10.0.1.4"


@pytest.mark.azure("PIPE-6", "NIC-4", "OUT-3")
def test_the_reply_of_a_secondary_nics_public_ip_leaves_by_the_wrong_nic():
    def lab(forwarding):
        return published(
            "Basic",
            networkInterfaces={
                "one": {"subnet": "v/s", "enableIPForwarding": forwarding},
                "two": {"subnet": "v/t", "publicIPAddress": "p"},
            },
            virtualMachines={"m": {"networkInterfaces": ["one", "two"]}},
        )

    found = lab(forwarding=False).ask("visitor", "p")
    assert (found.destination, found.reply.stage, found.reply.nic) == ("two", "source-check", "one")
    found = lab(forwarding=True).ask("visitor", "p")
    assert (found.reply.stage, found.reply.nic) == ("edge-untranslated", "one"), "the edge knows it by NIC two only"


@pytest.mark.azure("PIPE-4")
def test_internet_hosts_reach_each_other_and_themselves():
    assert published().ask("visitor", "other").answered
    assert published().ask("visitor", "visitor").stage == "local"
    assert published("Basic").ask("visitor", "p", source_address="203.0.113.77").stage == "source-check"


@pytest.mark.azure("PIPE-1")
def test_a_machine_and_a_host_may_have_the_same_name():
    lab = published(internet={"hosts": {"priv": {"ipAddress": "198.51.100.9"}}})
    found = lab.ask("pub", "198.51.100.9")
    assert (found.destination, found.answered) == ("priv", True)


@pytest.mark.azure("PIPE-1")
def test_a_machine_and_its_nic_may_have_the_same_name():
    lab = published(
        networkInterfaces={"m": {"subnet": "v/s"}},
        virtualMachines={
            "m": {"networkInterfaces": ["m"]},
            "priv": {"subnet": "v/t"},
        },
    )
    assert lab.ask("priv", "m").answered
