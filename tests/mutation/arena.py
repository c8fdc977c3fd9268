"""Bring the arena up and ask the matrix: what a mutant's package says of itself.

    python arena.py NAME DIRECTORY      prints the number of disagreements, and the first of them

Run with the package in question in PYTHONPATH. A mutant that the kernel refuses is none: -1.
"""

from __future__ import annotations

import os
import random
import sys
from ipaddress import ip_network
from pathlib import Path

import yaml

from netemu.compile import stages
from netemu.errors import NetemuError
from netemu.lab.down import down
from netemu.lab.source import read_once
from netemu.lab.up import up
from netemu.verify import matrix

LONG = 70
CROSSED = 60
ANY = "*"


def long_rules() -> dict[str, object]:
    """More rules than are one line each, of every kind, some of them overlapping."""
    rules: dict[str, object] = {}
    for number in range(LONG):
        protocol = ("Tcp", "Udp", ANY)[number % 3]
        first = 1000 + 7 * number
        rules[f"r{number:02}"] = {
            "priority": 100 + number, "direction": "Inbound", "access": "Deny" if number % 4 == 0 else "Allow",
            "protocol": protocol, "sourceAddressPrefix": (ANY, "10.0.1.0/24", "10.0.0.0/8", "198.51.100.7")[number % 5 % 4],
            "sourcePortRange": ANY, "destinationAddressPrefix": ANY, "destinationPortRange": f"{first}-{first + 9}",
        }  # fmt: skip
    common = {
        "sourceAddressPrefix": ANY,
        "sourcePortRange": ANY,
        "destinationAddressPrefix": ANY,
        "destinationPortRange": ANY,
    }
    rules["pings"] = {"priority": 300, "direction": "Inbound", "access": "Deny", "protocol": "Icmp", **common}
    rules["rest"] = {
        "priority": 400,
        "direction": "Inbound",
        "access": "Deny",
        "protocol": ANY,
        **common,
        "sourceAddressPrefix": "10.0.2.0/24",
    }
    return rules


def crossed_rules() -> dict[str, object]:
    """Rules that overlap in every property, so that no tree holds them all."""
    rng = random.Random(4)
    rules: dict[str, object] = {}
    for number in range(CROSSED):
        ports = sorted(rng.sample(range(1, 2000), 2))
        near, far = (f"10.{rng.randrange(4)}.{rng.randrange(4)}.0/{rng.choice((15, 16, 22, 23, 24))}" for _ in range(2))
        rules[f"x{number:03}"] = {
            "priority": 100 + number, "direction": "Inbound", "access": rng.choice(("Allow", "Deny")),
            "protocol": rng.choice(("Tcp", "Udp", ANY)), "sourcePortRange": ANY, "destinationPortRange": f"{ports[0]}-{ports[1]}",
            "sourceAddressPrefix": str(ip_network(near, strict=False)), "destinationAddressPrefix": str(ip_network(far, strict=False)),
        }  # fmt: skip
    return rules


def scenario(name: str) -> str:
    """The arena's file."""
    written = yaml.safe_load(Path(__file__).with_suffix(".yaml").read_text())
    written["name"] = name
    written["networkSecurityGroups"]["long-nsg"]["securityRules"] = long_rules()
    written["networkSecurityGroups"]["crossed-nsg"]["securityRules"] = crossed_rules()
    return str(yaml.safe_dump(written, sort_keys=False))


def quiet(*_: object) -> None:
    """Progress of no interest."""


def main(name: str, directory: str) -> None:
    """Print what was found."""
    # Limits so tight that few rules make several stages.
    stages.SHORT, stages.LONG, stages.COPIES, stages.MOST_COPIES = 2, 4, 2, 2
    os.environ["NETEMU_STATE_DIR"] = f"{directory}/state"
    file = Path(directory) / "arena.yaml"
    file.write_text(scenario(name))
    try:
        outcome = up(read_once(file), quiet, quiet)
    except NetemuError as error:
        print(f"-1 the kernel refuses it: {error}".splitlines()[0])
        return
    try:
        plan, found = matrix.run(outcome.network, {n: outcome.folder.namespace(n) for n in outcome.folder.nodes()})
    finally:
        down(outcome.folder, quiet)
    wrong = sum(finding.alike for finding in found.findings)
    first = (
        found.findings[0].disagreements[0] if found.findings else f"of {found.judged} flows of {len(plan.pairs)} pairs"
    )
    print(f"{wrong} {first} ({found.judged} flows, {found.seconds:.1f} s, {found.passing} at first)")
    if os.environ.get("ARENA_SHOW"):
        for finding in found.findings:
            print(finding.alike, finding.shot.flow, finding.shot.question.why, *finding.disagreements, sep="\n   ")
            print(*(step.text for step in finding.shot.verdict.steps), sep="\n       ")
            print(
                "  <-",
                *(step.text for step in (finding.shot.verdict.reply.steps if finding.shot.verdict.reply else ())),
                sep="\n       ",
            )


if __name__ == "__main__":
    main(*sys.argv[1:])
