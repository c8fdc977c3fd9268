"""Every text of a scenario, replaced by a hostile one: refused in clear lines, or accepted and kept in its place."""

from __future__ import annotations

import re
import shlex
from typing import Any

import documents
import pytest
from judge import everything_else_works, limited

from netemu.azure.network import resolve
from netemu.compile.lab import compile_lab
from netemu.errors import ScenarioError
from netemu.linux.state import Lab
from netemu.scenario import read_text

RULE = {"direction": "Inbound", "access": "Allow", "protocol": "Tcp"}
EVERYTHING: dict[str, Any] = {
    "name": "lab",
    "location": "LOCATION",
    "virtualNetworks": {
        "NET": {
            "addressSpace": ["10.0.0.0/16"],
            "location": "LOCATION2",
            "dhcpOptions": {"dnsServers": ["DNS1"]},
            "subnets": {"SUBNET": {"addressPrefix": "10.0.0.0/24", "networkSecurityGroup": "NSG", "routeTable": "TABLE"}},
            "virtualNetworkPeerings": {"PEERING": {"remoteVirtualNetwork": "FAR"}},
        },
        "FAR": {
            "addressSpace": "10.1.0.0/16",
            "subnets": {"FARSUBNET": {"addressPrefix": "PREFIX"}},
            "virtualNetworkPeerings": {"BACK": {"remoteVirtualNetwork": "NET"}},
        },
    },
    "applicationSecurityGroups": {"ASG": {}},
    "networkSecurityGroups": {
        "NSG": {
            "securityRules": {
                "RULE": {
                    "priority": 100, **RULE, "sourceAddressPrefix": "SOURCE", "sourcePortRange": "*",
                    "destinationAddressPrefix": "*", "destinationPortRange": "PORT", "description": "DESCRIPTION",
                },
                "RULE2": {
                    "priority": 110, **RULE, "sourceApplicationSecurityGroups": ["ASG"], "sourcePortRange": "*",
                    "destinationAddressPrefix": "TAG", "destinationPortRange": ["80", "SECONDPORT"],
                },
            }
        }
    },
    "routeTables": {
        "TABLE": {
            "routes": {
                "ROUTE": {"addressPrefix": "0.0.0.0/0", "nextHopType": "VirtualAppliance", "nextHopIpAddress": "HOP"}
            }
        }
    },
    "publicIPAddresses": {"PIP": {}},
    "networkInterfaces": {
        "NIC": {
            "dnsSettings": {"dnsServers": ["DNS2"], "internalDnsNameLabel": "label"},
            "ipConfigurations": {"CONFIG": {"subnet": "NET/SUBNET", "publicIPAddress": "PIP"}},
        }
    },
    "virtualMachines": {
        "VM": {
            "subnet": "NET/SUBNET", "computerName": "computer", "applicationSecurityGroups": ["ASG"],
            "run": ["RUN", "true ARGUMENT"], "sysctls": {"net.ipv4.SYSCTL": "VALUE"},
        },
        "VM2": {"networkInterfaces": ["NIC"], "location": "LOCATION3"},
    },
    "internet": {"hosts": {"HOST": {"ipAddress": "198.51.100.7", "location": "LOCATION4", "run": "HOSTRUN"}}},
    "expect": [
        {"from": "VM", "to": "HOST", "port": 80, "access": "Allow", "name": "EXPECTATION", "via": [],
         "rule": "NSG/RULE", "sourceSeenAs": "SEEN"},
        {"from": "VM2", "to": "VM", "port": 80, "access": "Allow"},
    ],
}  # fmt: skip
"""A place for every free text, each with a word of its own; what must be valid for the rest to be is in FITTING."""

FITTING = {
    "DNS1": "10.0.0.9", "DNS2": "10.0.0.9", "PREFIX": "10.1.0.0/24", "SOURCE": "10.0.0.9", "PORT": "80", "TAG": "Storage",
    "SECONDPORT": "443", "HOP": "10.0.0.9", "SEEN": "203.0.113.9", "SYSCTL": "ip_forward", "VALUE": "1",
    "VM": "vm", "VM2": "vm2", "HOST": "host",
}  # fmt: skip

NAMES = (
    "NET", "FAR", "SUBNET", "FARSUBNET", "PEERING", "BACK", "ASG", "NSG", "RULE", "RULE2", "TABLE", "ROUTE", "PIP", "NIC",
    "CONFIG", "VM", "VM2", "HOST", "label", "computer", "lab",
)  # fmt: skip
FREE = (
    "LOCATION", "LOCATION2", "LOCATION3", "LOCATION4", "DESCRIPTION", "EXPECTATION", "RUN", "ARGUMENT", "HOSTRUN", "VALUE",
)  # fmt: skip
PLACES = (*NAMES, *FREE, *(word for word in FITTING if word not in (*NAMES, *FREE)))


WORDS = (
    "drop", "accept", "return", "jump", "goto", "counter", "comment", "table", "chain", "set", "map", "elements", "ip",
    "flush", "delete", "include", "define", "lo", "all", "default", "eth0", "netemu", "outbound", "0", "00", "1e3", "0x1f",
    "null", "true", "no", "a.b", "x" * 64, "a" * 31 + "_", "10.0.0.4", "vnet", "flows", "localhost", "address",
)  # fmt: skip
"""Names that are valid, and words of somebody: of nftables, of the kernel, of YAML, of ours."""

ONE_WORD = re.compile(r"[A-Za-z0-9._-]+|\*", re.ASCII)
HARMLESS = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*", re.ASCII)


def put(node: Any, words: dict[str, str]) -> Any:
    """The tree with its words replaced, wherever they are by themselves or between slashes, dots and blanks."""
    if isinstance(node, dict):
        return {put(key, words): put(value, words) for key, value in node.items()}
    if isinstance(node, list):
        return [put(item, words) for item in node]
    if not isinstance(node, str):
        return node
    for separator in ("/", " ", "."):
        if separator in node:
            return separator.join(put(part, words) for part in node.split(separator))
    return words.get(node, node)


def compiled(words: dict[str, str]) -> Lab:
    text = documents.as_yaml(put(EVERYTHING, {**FITTING, **words}))
    scenario = read_text(text, "lab.yaml")
    everything_else_works(scenario)
    return compile_lab(resolve(scenario), "/lab")


def shape(lab: Lab) -> list[Any]:
    """What no name may change: how many there are of everything, and of lines in every text."""
    return [
        len(lab.veths),
        *(
            [
                len(n.addresses), len(n.routes), len(n.rules), len(n.settings), len(n.programs), len(n.daemons),
                [(line.count("{"), line.count("}"), line.count('"'), line.count("#")) for line in n.ruleset.split("\n")],
                {name: content.count("\n") for name, content in n.files.items()},
                [content.count("\n") for content in n.daemon_files.values()],
            ]
            for n in lab.namespaces.values()
        ),
    ]  # fmt: skip


BENIGN = compiled({})


@pytest.mark.parametrize("place", PLACES)
def test_a_hostile_text_is_refused_in_clear_lines_or_stays_in_its_place(place: str) -> None:
    for hostile in (*documents.HOSTILE, *WORDS):
        try:
            with limited():
                lab = compiled({place: hostile})
        except ScenarioError as error:
            assert all(line.isprintable() and line.startswith("lab.yaml:") for line in str(error).split("\n"))
            assert len(error.problems) <= 8, (place, hostile, str(error))
            assert place not in FREE or hostile in REFUSED_AS_TEXT, (place, hostile, str(error))
            continue
        if place in NAMES:
            assert HARMLESS.fullmatch(hostile), (place, hostile)
            assert shape(lab) == shape(BENIGN), (place, hostile)
        elif place in FREE:
            only_in_its_place(lab, place, hostile)
        else:
            assert ONE_WORD.fullmatch(hostile), (place, hostile)  # as an address, a port, a tag, a setting's name


REFUSED_AS_TEXT = {
    "", "\x00", "\x1b[2J", "\x9b", "\ud800", "\ufffe",  # nothing, and what cannot be shown
    '"', "'", "\\",  # no words of a program: an open quotation
    " ", "\t", "# comment",  # no program at all
    "a\nb",  # no value of a setting
    "x" * 300,  # too long a description
}  # fmt: skip


def only_in_its_place(lab: Lab, place: str, hostile: str) -> None:
    """A free text changes nothing but the words of its program, or the value of its setting."""
    for namespace, benign in zip(lab.namespaces.values(), BENIGN.namespaces.values(), strict=True):
        for name in namespace.__struct_fields__:
            ours, theirs = getattr(namespace, name), getattr(benign, name)
            if ours == theirs or place.startswith("LOCATION"):  # a region is in the DNS suffix, as one of a few letters
                continue
            expected = {"RUN": ("vm", "programs"), "ARGUMENT": ("vm", "programs"), "HOSTRUN": ("host", "programs"),
                        "VALUE": ("vm", "settings")}  # fmt: skip
            assert (namespace.name, name) == expected.get(place), (place, hostile, name)
    argv = {tuple(program.argv) for n in lab.namespaces.values() for program in n.programs}
    if place in ("RUN", "HOSTRUN"):
        assert tuple(shlex.split(hostile)) in argv
    if place == "ARGUMENT":
        assert ("true", *shlex.split(hostile)) in argv
    if place == "VALUE":
        assert lab.namespaces["vm"].settings == {"ipv4/ip_forward": hostile}
