"""What the NSGs that the fabric asks at a NIC say to a packet: by the ruleset that is loaded."""

from __future__ import annotations

from msgspec import Struct

from netemu.azure import resources as arm
from netemu.azure.flow import Packet
from netemu.azure.network import Nic
from netemu.azure.verdict import NsgDecision
from netemu.linux.ruleset_expressions import PacketState
from netemu.linux.ruleset_follow import Follower
from netemu.linux.ruleset_view import ReadRule
from netemu.verify.readback.plane import FABRIC, Plane

LEVELS: dict[arm.Direction, tuple[str, str]] = {"Outbound": ("nic", "subnet"), "Inbound": ("subnet", "nic")}
"""The order in which a NIC's NSG and its subnet's are asked (NSG-15)."""
FAMILY, TABLE = "ip", "netemu"


class Said(Struct, frozen=True):
    """What one NSG says."""

    networkSecurityGroup: str
    access: arm.Access
    rule: str
    """Empty for a rule that is not netemu's."""
    line: ReadRule | None
    """The rule as it is loaded; None for the end of the chain, where no rule of Azure's leads."""
    packets: int | None


def asked(plane: Plane, nic: Nic, direction: arm.Direction) -> list[tuple[str, str]]:
    """The levels at which the fabric asks an NSG about the NIC's packets, in order, each with the chain."""
    port = plane.port(nic)
    if port is None:
        return []
    found = []
    for level in LEVELS[direction]:
        members = plane.view(FABRIC).members(FAMILY, TABLE, f"{direction.lower()}_{level}")
        verdict = members.find(port.name)
        if isinstance(verdict, dict) and "jump" in verdict:
            found.append((level, verdict["jump"]["target"]))
    return found


def ask(plane: Plane, nic: Nic, direction: arm.Direction, packet: Packet) -> tuple[Said, ...]:
    """What they say, up to the first that denies."""
    follower = Follower(plane.view(FABRIC))
    said = []
    for _, chain in asked(plane, nic, direction):
        said.append(say(follower, chain, packet))
        if said[-1].access == "Deny":
            break
    return tuple(said)


def say(follower: Follower, chain: str, packet: Packet) -> Said:
    """What the NSG of one chain says to a packet."""
    passage = follower.chain(FAMILY, TABLE, chain, state_of(packet))
    hit = passage.by or next(iter(reversed(passage.hits)), None)
    rule = hit.rule if hit is not None else None
    return Said(
        chain.split("/")[1],
        "Deny" if passage.dropped else "Allow",
        rule.comment if rule is not None else "",
        rule,
        hit.packets if hit is not None else None,
    )


def counted(packets: int | None) -> str:
    """What a counter says, to be put behind a rule; nothing when there is no counter."""
    if packets is None:
        return ""
    return f", {packets} packet{'' if packets == 1 else 's'} counted"


def state_of(packet: Packet) -> PacketState:
    """A packet in Linux's words."""
    return PacketState(
        packet.source, packet.destination, packet.protocol, packet.sourcePort, packet.destinationPort
    )  # fmt: skip


def disagreement(model: tuple[NsgDecision, ...], kernel: tuple[Said, ...]) -> str | None:
    """Where the NSGs of the model and those of the kernel part, in words."""
    ours = [(each.networkSecurityGroup, each.rule.name, each.rule.access) for each in model]
    theirs = [(each.networkSecurityGroup, each.rule, each.access) for each in kernel]
    if ours == theirs:
        return None
    return f"the NSGs: by Azure's rules {_path(ours)}, by the kernel's {_path(theirs)}"


def _path(decisions: list[tuple[str, str, arm.Access]]) -> str:
    texts = (f"{group}/{rule or 'a rule that is not netemu’s'} ({access})" for group, rule, access in decisions)
    return ", ".join(texts) or "none"
