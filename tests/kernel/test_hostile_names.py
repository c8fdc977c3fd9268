"""Names, comments and values of a scenario are texts to the kernel, too: never options, syntax, shell or paths."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from harness import Lab

from netemu.errors import NetemuError
from netemu.linux import nftables
from netemu.verify.prove import verify

WORDS = [
    "drop", "accept", "return", "jump", "goto", "counter", "comment", "table", "chain", "set", "map", "elements", "ip",
    "flush", "delete", "include", "define", "lo", "all", "default", "eth0", "netemu", "outbound", "inbound", "hop", "own",
    "flows", "vnet", "internet", "arrival", "true", "null", "00", "1e3", "0x1f", "10.0.0.4", "a.b", "a_", "x" * 80,
    "policy", "type", "vmap", "meta", "iifname", "hook", "reject", "queue", "log", "limit", "snat", "ct", "fwd", "dup",
    "tproxy", "notrack", "jhash", "numgen", "fib", "rt", "udp", "tcp", "icmp",
]  # fmt: skip
"""Valid names that mean something to nftables, to the kernel, to YAML or to netemu."""

TEXTS = [
    "-rf", "--help", "a;reboot", "$(id)", "`id`", "}", "{", "../../etc/passwd", "@fabric", "*", "counter drop", "wеb", "",
    "# comment", "a\nb", "%s", "\u202e", "x" * 300, '"', "'", "\\", "\\n", "$HOME", "~", "|", "&", ">", "&&", "!",
]  # fmt: skip
"""Words of a program, which gets each as it is."""

DEFAULTS = ["AllowVnetInBound", "AllowAzureLoadBalancerInBound", "DenyAllInBound"]
MACHINES = ["lo", "all", "default", "eth0", "netemu", "hop", "00", "true", "edge", "x" * 64]
COMPONENT = re.compile(r"[@.]?[A-Za-z0-9][A-Za-z0-9._+@-]*", re.ASCII)


def rules(names: list[str]) -> dict[str, Any]:
    """A rule of each name; each is for a port of its own."""
    return {
        name: {
            "priority": 100 + number, "direction": "Inbound", "access": "Allow", "protocol": "Tcp",
            "sourceAddressPrefix": "*", "sourcePortRange": "*", "destinationAddressPrefix": "*",
            "destinationPortRange": 1000 + number, "description": f"x\"; drop }} # $(id) `id` \\ {name}"[:140],
        }
        for number, name in enumerate(names)
    }  # fmt: skip


def quoted(words: list[str]) -> str:
    """A line of `run:` that gives a program these words."""
    return " ".join("'" + word.replace("'", "'\"'\"'") + "'" for word in words)


LONG = "n" * 79 + "_"
PROGRAM = "import signal; signal.pause()"
SCENARIO: dict[str, Any] = {
    "location": "counter drop } # $(id)",
    "virtualNetworks": {
        "drop": {
            "addressSpace": "10.0.0.0/16",
            "subnets": {
                "accept": {"addressPrefix": "10.0.0.0/24", "networkSecurityGroup": "jump", "routeTable": "flush"},
                "x" * 80: {"addressPrefix": "10.0.1.0/24", "networkSecurityGroup": LONG, "routeTable": "t" * 80},
            },
            "virtualNetworkPeerings": {"elements": {"remoteVirtualNetwork": "v" * 64}},
        },
        "v" * 64: {
            "addressSpace": "10.1.0.0/16",
            "subnets": {"0": {"addressPrefix": "10.1.0.0/24", "networkSecurityGroup": LONG, "routeTable": "t" * 80}},
            "virtualNetworkPeerings": {"policy": {"remoteVirtualNetwork": "drop"}},
        },
    },
    "applicationSecurityGroups": {"set": {}, "map": {}},
    "networkSecurityGroups": {"jump": {"securityRules": rules(WORDS[:39])}, LONG: {"securityRules": rules(WORDS)}},
    "routeTables": {
        "flush": {"routes": {"delete": {"addressPrefix": "9.9.9.0/24", "nextHopType": "None"}}},
        "t" * 80: {"routes": {"r" * 80: {"addressPrefix": "9.9.9.0/24", "nextHopType": "None"}}},
    },
    "publicIPAddresses": {"ip": {}},
    "networkInterfaces": {
        "lo": {"subnet": "drop/accept", "applicationSecurityGroups": ["set"]},
        "all": {"subnet": "drop/accept", "publicIPAddress": "ip"},
        "default": {"subnet": f"drop/{'x' * 80}"},
        "void0": {"subnet": f"{'v' * 64}/0"},
        "e-drop": {"ipConfigurations": {"primary": {"subnet": "drop/accept"}, "secondary": {"subnet": "drop/accept"}}},
    },
    "virtualMachines": {
        "lo": {"networkInterfaces": "lo"},
        "all": {"networkInterfaces": "all"},
        "default": {"networkInterfaces": "default"},
        "eth0": {"networkInterfaces": "void0"},
        "netemu": {"networkInterfaces": "e-drop"},
        "hop": {"subnet": "drop/accept", "run": [f"python3 -c '{PROGRAM}' {quoted(TEXTS)}"]},
        "00": {"subnet": "drop/accept", "location": "-rf"},
        "true": {"subnet": f"drop/{'x' * 80}"},
        "edge": {"subnet": f"{'v' * 64}/0"},
        "x" * 64: {"subnet": f"drop/{'x' * 80}", "computerName": "c" * 63},
    },
    "internet": {"hosts": {"internet": {"ipAddress": "198.51.100.7"}, "drop": {"ipAddress": "198.51.100.8"}}},
    "expect": [
        {"from": "lo", "to": "all", "port": 1000, "access": "Allow", "rule": f"jump/{WORDS[0]}", "name": '"/><x & \u202e'},
        {"from": "all", "to": "default", "port": 1000 + len(WORDS) - 1, "access": "Allow", "rule": f"{LONG}/{WORDS[-1]}"},
        {"from": "true", "to": "eth0", "port": 1038, "access": "Allow", "rule": f"{LONG}/{'x' * 80}"},
        {"from": "internet", "to": "ip", "port": 80, "access": "Deny", "rule": "DenyAllInBound"},
        {"from": "drop", "to": "ip", "port": 1005, "access": "Allow"},
        {"from": "00", "to": "drop", "port": 80, "access": "Allow"},
    ],
}  # fmt: skip


@pytest.fixture(scope="module")
def lab(laboratory: Callable[[str], Lab]) -> Iterator[Lab]:
    yield laboratory(yaml.safe_dump(SCENARIO, sort_keys=False, allow_unicode=True))


def kernel(lab: Lab, node: str, table: str = "ip netemu") -> list[dict[str, Any]]:
    """A table as the kernel has it."""
    descriptor = os.open(lab.namespace(node), os.O_RDONLY | os.O_CLOEXEC)
    try:
        return nftables.listing(descriptor, table)
    finally:
        os.close(descriptor)


def comments(lab: Lab, wanted: Callable[[str], bool]) -> list[str]:
    """The comments of all rules in some chains, in order."""
    found = [entry["rule"] for entry in kernel(lab, "@fabric") if "rule" in entry]
    return [rule["comment"] for rule in found if wanted(rule["chain"]) and "comment" in rule]


def test_a_short_nsg_is_one_rule_for_each_name_and_nothing_more(lab: Lab) -> None:
    chain = "inbound/jump/drop/flush"
    names = [*WORDS[:39], *DEFAULTS]
    assert comments(lab, lambda name: name == chain) == names
    rules = [entry["rule"] for entry in kernel(lab, "@fabric") if entry.get("rule", {}).get("chain") == chain]
    # Nothing but matches, one counter and one verdict; none of the words has become a statement.
    kinds = [tuple(kind for part in rule["expr"] for kind in part if kind != "match") for rule in rules]
    assert kinds == [("counter", "return")] * (len(names) - 1) + [("counter", "drop")]


def test_a_long_nsg_has_a_rule_for_each_name_and_nothing_more(lab: Lab) -> None:
    assert sorted(comments(lab, lambda name: name.startswith(f"inbound/{LONG}//"))) == sorted([*WORDS, *DEFAULTS])


def test_every_chain_is_one_that_netemu_knows(lab: Lab) -> None:
    """A name that became syntax would have made an object, or a hook, of its own."""
    for node in lab.folder.nodes():
        if not node.startswith("@"):
            continue
        tables = {"@fabric": {"ip netemu", "ip netemu_ttl", "arp netemu"}}.get(node, {"ip netemu"})
        descriptor = os.open(lab.namespace(node), os.O_RDONLY | os.O_CLOEXEC)
        assert set(nftables.tables(descriptor)) == tables
        os.close(descriptor)
    chains = [entry["chain"] for entry in kernel(lab, "@fabric") if "chain" in entry]
    assert {chain["name"]: chain["hook"] for chain in chains if "hook" in chain} == {
        "source": "prerouting", "ingress": "prerouting", "outbound": "forward", "hop": "forward", "inbound": "forward",
    }


def test_verify_agrees_and_the_lab_is_what_the_scenario_says(lab: Lab) -> None:
    results = list(verify(lab.network, {node: lab.namespace(node) for node in lab.folder.nodes()}))
    assert [result.disagreements for result in results] == [()] * len(SCENARIO["expect"])
    assert lab.up(yaml.safe_dump(SCENARIO, sort_keys=False, allow_unicode=True)) == "unchanged"


def test_every_machine_is_a_namespace_of_its_own_with_its_own_files(lab: Lab) -> None:
    nodes = set(lab.folder.nodes())
    assert {node for node in nodes if not node.startswith("@")} == {*SCENARIO["virtualMachines"], "internet", "drop"}
    ours = [name for name in os.listdir("/run/netns") if name.startswith(f"{lab.name}.")]
    assert {name.removeprefix(f"{lab.name}.") for name in ours} == nodes
    for machine in lab.network.machines.values():
        resolver = (lab.folder.etc / machine.name / "resolv.conf").read_text()
        suffix = lab.network.virtualNetworks[machine.nics[0].subnet.virtualNetwork].internalDomainNameSuffix
        assert resolver == f"search {suffix}\nnameserver 168.63.129.16\n"
        assert re.fullmatch(r"[a-z0-9]{26}\.xx\.internal\.cloudapp\.net", suffix)
        assert (lab.folder.etc / machine.name / "hostname").read_text() == f"{machine.computerName}\n"


def test_no_file_lies_outside_of_the_labs_folder(lab: Lab) -> None:
    """Each part of each path is a plain name; the links of `ip netns` lead into the folder."""
    for directory, names, files in os.walk(lab.folder.path):
        for name in (*names, *files):
            assert COMPONENT.fullmatch(name), (directory, name)
            assert Path(directory, name).resolve().is_relative_to(lab.folder.path)
    for directory in (Path("/run/netns"), Path("/etc/netns")):
        for link in directory.iterdir():
            if link.name.startswith(f"{lab.name}."):
                assert link.is_symlink()
                assert link.readlink().parent in (lab.folder.namespaces, lab.folder.etc)


def test_dns_knows_each_machine_by_its_name(lab: Lab) -> None:
    for machine in lab.network.machines.values():
        suffix = lab.network.virtualNetworks[machine.nics[0].subnet.virtualNetwork].internalDomainNameSuffix
        done = lab.run(machine.name, "getent", "ahostsv4", f"{machine.computerName}.{suffix}")
        assert done.stdout.split()[:1] == [str(machine.nics[0].address)], (machine.name, done)
    zones = [path.read_text().splitlines() for path in lab.folder.daemons.glob("zones.*/*.internal.cloudapp.net")]
    assert len(zones) == len(lab.network.virtualNetworks)
    assert all(zone[0].startswith("$ORIGIN") and " IN SOA " in zone[1] for zone in zones)
    addresses = [line.rpartition(" IN A ") for zone in zones for line in zone[2:]]
    assert sorted(found[2] for found in addresses) == sorted(str(m.nics[0].address) for m in lab.network.machines.values())


def test_a_program_gets_each_word_as_it_is_written(lab: Lab) -> None:
    record = lab.folder.read()
    assert record is not None
    (program,) = record.programs
    given = Path(f"/proc/{program.pid}/cmdline").read_bytes().decode().split("\0")[:-1]
    assert given[1:] == ["-c", PROGRAM, *TEXTS]


BROKEN = {
    "a sysctl's value": ("sysctls: {net.ipv4.ip_forward: '1; reboot'}", "net"),
    "a sysctl like an option": ("sysctls: {net.ipv4.-w: 1}", "net"),
    "a program like an option": ("run: -rf", "cannot start '-rf'"),
    "a program that a shell would run": ("run: '$(id)'", "cannot start '$(id)'"),
    "a program that is a path": ("run: ../../../../../../etc/passwd", "cannot start '../../../../../../etc/passwd'"),
    "a word that is too long": (f"run: true {'x' * 200_000}", "cannot start 'true'"),
}


@pytest.mark.parametrize("what", BROKEN)
def test_what_the_kernel_refuses_is_said_in_one_line_and_nothing_is_left(
    what: str, single: Callable[[str], Lab]
) -> None:
    properties, message = BROKEN[what]
    before = sorted(os.listdir("/run/netns")) if Path("/run/netns").is_dir() else []
    with pytest.raises(NetemuError) as caught:
        single(
            "virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {main: {addressPrefix: 10.0.0.0/24}}}}\n"
            f"virtualMachines: {{a: {{subnet: net/main, {properties}}}}}\n"
        )
    assert str(caught.value).isprintable()
    assert message in str(caught.value)
    assert str(caught.value).endswith(("nothing was left behind", "nothing was changed"))
    after = sorted(os.listdir("/run/netns")) if Path("/run/netns").is_dir() else []
    assert [name for name in after if name.startswith(f"t{os.getpid()}-") and name not in before] == []
