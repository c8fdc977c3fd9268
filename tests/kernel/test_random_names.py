"""Random zones, links and machines: whatever a machine asks for, it hears what Azure's DNS is worked out to answer."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import yaml
from harness import Lab

from netemu.azure.names import Names
from netemu.azure.names.lookup import ancestors
from netemu.azure.verdict import Engine
from netemu.verify.asking import Asker, read_configuration

ZONES = ("corp.test", "eu.corp.test", "a.eu.corp.test", "contoso.com", "shop.contoso.com", "contoso.test")
LABELS = ("a", "b", "www", "eu", "shop", "*", "a.b", "*.b", "b.eu", "_x._tcp", "b.a")
TYPES = ("A", "AAAA", "CNAME", "MX", "TXT", "SRV", "PTR", "NS")
QUESTIONS = 500
"""From each machine: fewer than may be asked in a second (DNS-7)."""


def scenario(dice: random.Random) -> dict[str, Any]:
    """Zones above, beside and below each other, private and public, linked here and there."""
    networks = ("one", "two", "three")
    machines = {
        f"m{number}": {"subnet": f"{dice.choice(networks)}/s", "computerName": dice.choice(("a", "b", "www", f"m{number}"))}
        for number in range(5)
    }
    taken: set[tuple[str, str]] = set()
    for name, machine in list(machines.items()):
        key = machine["subnet"], machine["computerName"]
        if key in taken:
            machine["computerName"] = name
        taken.add(key)
    registering = {network: dice.choice(ZONES) for network in networks}
    private = dice.sample(ZONES, dice.randint(1, 4))
    return {
        "virtualNetworks": {
            name: {"addressSpace": f"10.{index}.0.0/16", "subnets": {"s": {"addressPrefix": f"10.{index}.0.0/24"}}}
            for index, name in enumerate(networks)
        },
        "virtualMachines": machines,
        "publicIPAddresses": {"ip": {"dnsSettings": {"domainNameLabel": "label", "reverseFqdn": "www.contoso.com"}}},
        "privateDnsZones": {
            zone: {
                "recordSets": record_sets(dice, public=False),
                "virtualNetworkLinks": {
                    network: {"virtualNetwork": network, "registrationEnabled": registering[network] == zone}
                    for network in dice.sample(networks, dice.randint(0, 3))
                },
            }
            for zone in private
        },
        "dnsZones": {zone: {"recordSets": record_sets(dice, public=True)} for zone in dice.sample(ZONES, dice.randint(1, 4))},
        "internet": {"hosts": {"visitor": {"ipAddress": "198.51.100.7"}, "www.contoso.com": {"ipAddress": "198.51.100.8"}}},
    }


def record_sets(dice: random.Random, *, public: bool) -> dict[str, Any]:
    """Some names, each with an alias or records of some types."""
    found: dict[str, Any] = {}
    for label in dice.sample(LABELS, dice.randint(0, 6)):
        kind = dice.random()
        if kind < 0.35:
            found[label] = {"cnameRecord": any_name(dice)}
        elif public and kind < 0.45:
            found[label] = {"targetResource": "ip"}
        elif public and kind < 0.6 and "*" not in label:
            found[label] = {"nsRecords": dice.choice(("ns1-01.azure-dns.com", "ns.nowhere.test"))}
        else:
            found[label] = {
                "aRecords": [f"10.9.{dice.randint(0, 9)}.{dice.randint(1, 9)}"],
                **({"txtRecords": "text"} if dice.random() < 0.3 else {}),
                **({"mxRecords": f"10 {any_name(dice)}"} if dice.random() < 0.3 else {}),
                **({"srvRecords": f"1 2 3 {any_name(dice)}"} if dice.random() < 0.2 else {}),
            }
    return found


def any_name(dice: random.Random) -> str:
    """A name that may be there."""
    return f"{dice.choice(LABELS).replace('*', 'star')}.{dice.choice(ZONES)}"


def names_to_ask(lab: Lab, dice: random.Random) -> Iterator[tuple[str, str]]:
    """Every name of the scenario, those above and below, and some more; each with a type."""
    network = lab.network
    known = {record_set.name for zone in (*network.privateDnsZones.values(), *network.dnsZones.values())
             for record_set in zone.recordSets}  # fmt: skip
    known |= {above for name in known for above in ancestors(name) if above}
    known |= {f"{machine.computerName}.{zone}" for machine in network.machines.values() for zone in ZONES}
    known |= {name.replace("*", "star") for name in known}
    known |= {f"nothing.{name}" for name in list(known)[:20]} | {any_name(dice) for _ in range(20)}
    known |= {"visitor", "label.westeurope.cloudapp.azure.com", "no.westeurope.cloudapp.azure.com", "example.com"}
    known |= {machine.computerName for machine in network.machines.values()}
    pointers = {nic.address.reverse_pointer for nic in network.nics.values()}
    pointers |= {network.publicIPs["ip"].address.reverse_pointer, "1.2.3.10.in-addr.arpa"}
    every = [(name, kind) for name in sorted(known) for kind in ("A", dice.choice(TYPES))]
    yield from [(pointer, "PTR") for pointer in sorted(pointers)]
    yield from dice.sample(every, min(len(every), QUESTIONS))


@pytest.mark.azure("DNS-2", "DNS-3", "DNS-4", "DNS-9", "DNS-11", "DNS-12", "DNS-13", "DNS-15", "DNS-16")
@pytest.mark.parametrize("seed", range(6))
def test_every_machine_hears_what_azure_would_answer(single: Callable[[str], Lab], seed: int) -> None:
    dice = random.Random(seed)
    lab = single(yaml.safe_dump(scenario(dice)))
    names = Names(lab.network, Engine(lab.network))
    wrong = []
    for machine in (*lab.network.machines, *lab.network.hosts):
        asker = Asker(lab.namespace(machine), read_configuration(lab.folder.etc / machine / "resolv.conf"), 2.0)
        for name, kind in names_to_ask(lab, dice):
            heard, worked_out = asker.ask(name, kind).message, names.ask(machine, name, kind).answer
            assert heard is not None and worked_out is not None, (machine, name, kind)
            if (heard.status, heard.of_type(kind)) != (worked_out.status, worked_out.records):
                wrong.append((machine, name, kind, heard, worked_out))
    assert not wrong, f"{len(wrong)} differ, the first: {wrong[0]}"
