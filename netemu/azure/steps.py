"""What a verdict is made of: the steps of a packet's way, and where it ends.

A step holds what was decided in typed fields; its text is made when somebody reads it, because most verdicts are only
counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from ipaddress import IPv4Address
from typing import Literal

from msgspec import Struct

from netemu.azure import resources as arm
from netemu.azure.flow import Packet, dotted
from netemu.azure.routing import EffectiveRoute, LosingRoute, RouteLookup
from netemu.azure.security import Classifier, Consideration, EffectiveRule, consider

Stage = Literal[
    "delivered",  # Allow: it reached the NIC or the internet host
    "local",  # Allow: it never left the sender's guest
    "platform",  # the platform took it; Deny when a rule that names a platform tag stopped it (PLT-4)
    "source-check",  # the source is not the NIC's, which does not forward (NIC-7); or it is the platform's (PLT-3)
    "blocked",  # broadcast, multicast, GRE, IP in IP, unicast DHCP, UDP from port 65330 (ARP-3, ARP-4)
    "nsg-out",
    "route-none",  # next hop type None (RT-4)
    "no-gateway",  # next hop type VirtualNetworkGateway, and there is none (RT-13)
    "no-owner",  # nobody has the destination, or the address of the appliance (VN-7, RT-12)
    "forwarded-traffic",  # a peering that does not allow it (PEER-11)
    "edge-private",  # a private destination at the internet edge (VN-13, RT-14)
    "edge-untranslated",  # nothing translates the source (OUT-7, OUT-8, NVA-4)
    "edge-unknown",  # a public address that nobody has
    "public-closed",  # Standard public IP without an NSG (OUT-17)
    "no-rule",  # the frontend has no rule for it (LB-8, LB-9)
    "no-backend",  # nobody is in the pool, or nobody is up (LB-24, LB-32)
    "global-peering",  # a Basic internal load balancer in another region (PEER-17)
    "nsg-in",
    "destination-check",  # the destination is not the NIC's, which does not forward (NIC-7)
    "guest-not-forwarding",  # the appliance's guest does not forward (NIC-9)
    "hairpin",  # the load balancer has chosen the machine that calls it (LB-21, PIPE-10)
    "loop",  # until the TTL ended (NVA-1)
]
"""Where a packet's way ended."""

StepKind = Literal[
    "guest", "security-group", "flow-record", "route", "load-balancer", "translation", "appliance", "end"
]  # fmt: skip


class Step(Struct, frozen=True):
    """One thing that happened to the packet. `packet` is what it looked like before."""

    kind: StepKind
    place: str
    """NIC, `network/subnet`, virtual machine, internet host, `<load balancer>/<frontend>`, `edge`."""
    packet: Packet
    direction: arm.Direction | None = None
    rule: EffectiveRule | None = None
    """The rule that decided; for kind security-group."""
    rules: Classifier | None = None
    """The rules that were asked; for kind security-group."""
    route: EffectiveRoute | None = None
    """The route that decided; for kind route."""
    routes: RouteLookup | None = None
    """The table that was asked; for kind route."""
    after: Packet | None = None
    """The packet after a translation, or as the chosen backend gets it."""
    stage: Stage | None = None
    """For kind end."""
    detail: str = ""
    nic: str | None = None
    """The NIC at which it happens, where `place` may be its subnet."""

    @property
    def considered(self) -> tuple[Consideration, ...]:
        """The rules that were looked at, in order, with the reason why each but the last did not match."""
        return consider(self.rules.rules, self.packet) if self.rules is not None else ()

    @property
    def losers(self) -> tuple[LosingRoute, ...]:
        """The routes that cover the destination too, and why each of them does not decide."""
        return self.routes.losers(self.packet.destination) if self.routes is not None else ()

    @property
    def text(self) -> str:
        """The step in plain words."""
        if self.rule is not None:
            rule = self.rule
            verb = "allows" if rule.access == "Allow" else "denies"
            return (
                f"{self.place}: {rule.networkSecurityGroup} {verb} {self.packet} {rule.direction.lower()}"
                f" by rule {rule.name} (priority {rule.priority})"
            )
        if self.route is not None:
            return f"{self.place}: {dotted(self.packet.destination)} is routed by {self.route}"
        if self.after is not None:
            return f"{self.place}: {self.packet} becomes {self.after} ({self.detail})"
        if self.kind == "flow-record":
            side = (self.direction or "").lower()
            return f"{self.place}: {self.packet} passes {side} as part of a flow that was allowed"
        return f"{self.place}: {self.packet}: {self.detail}" if self.detail else f"{self.place}: {self.packet}"


class End(Struct, frozen=True):
    """Where a packet's way ended, in the terms of the walk."""

    access: arm.Access
    stage: Stage
    packet: Packet
    """As it was at the end."""
    place: str
    """NIC, virtual machine or internet host."""
    direction: arm.Direction | None = None
    rule: EffectiveRule | None = None
    receiver: str | None = None
    """Virtual machine or internet host that has the packet now."""


class Chosen(Struct, frozen=True):
    """A backend that a load balancer has chosen."""

    rule: str
    """`<load balancer>/<rule>`: a load-balancing rule or an inbound NAT rule."""
    backend: str
    """`<NIC>/<IP configuration>`."""
    nic: str
    machine: str

    def is_called(self, name: str) -> bool:
        """Does the name mean the backend: its VM, its NIC, or NIC/ipConfiguration?"""
        return name in (self.machine, self.nic, self.backend)


class Verdict(Struct, frozen=True, kw_only=True):
    """What Azure does with a packet.

    Where a load balancer chooses a backend, or a NAT gateway an address, there are several ways, and `ways` has them
    all. Each is a verdict of its own; the first one that stops the packet speaks for all, or the first one.

    For Deny, `nic` is where it was dropped, and `rule` the security rule that did it, if one did. For Allow, `rule`
    is the last one that was asked, with its NSG, NIC and direction; None when no NSG was on the way.
    """

    access: arm.Access
    stage: Stage
    rule: str | None = None
    networkSecurityGroup: str | None = None
    nic: str | None = None
    direction: arm.Direction | None = None
    via: tuple[str, ...] = ()
    """Virtual machines that forwarded it, in order."""
    destination: str | None = None
    """The NIC or internet host that it was delivered to; the platform's address for stage platform."""
    receiver: str | None = None
    """The virtual machine or internet host that it was delivered to."""
    sourceSeenAs: IPv4Address | None = None
    destinationSeenAs: IPv4Address | None = None
    steps: tuple[Step, ...] = ()
    reply: Verdict | None = None
    """The way of the packet that answers; None when there is nothing to answer."""
    answered: bool = False
    """The reply comes back to the sender, from the address and port that it sent to."""
    chosen: tuple[Chosen, ...] = ()
    """The backends of load balancers on this way, in order; of HA ports the appliance that it was sent through."""
    keepsPort: bool = True
    """False when something on the way may choose another source port (OUT-4, OUT-28, OUT-40)."""
    destinationPortSeenAs: int | None = None
    """The port that it arrives at; None when it does not arrive, or has none."""
    choices: tuple[Verdict, ...] = ()
    """All ways, this one among them; empty when nothing is chosen on the way."""

    @property
    def ways(self) -> tuple[Verdict, ...]:
        """Every way that the packet may take; mostly one."""
        return self.choices or (self,)

    @property
    def is_uniform(self) -> bool:
        """Does the same become of it on every way: access, stage and answer?"""
        return len({(way.access, way.stage, way.answered) for way in self.ways}) == 1

    @property
    def backends(self) -> tuple[str, ...]:
        """The virtual machines that a load balancer may send it to and that get it; empty without one."""
        return tuple(dict.fromkeys(way.chosen[-1].machine for way in self.ways if way.chosen and way.access == "Allow"))

    def ways_to(self, name: str) -> tuple[Verdict, ...]:
        """The ways on which a VM, NIC or NIC/ipConfiguration was chosen (as the last one), whatever comes of it."""
        return tuple(way for way in self.ways if way.chosen and way.chosen[-1].is_called(name))

    def goes_to(self, names: Sequence[str]) -> bool:
        """Are these exactly the backends that get it (`backends` of an expectation): each may, and nobody else?"""
        getting = [way.chosen[-1] for way in self.ways if way.chosen and way.access == "Allow"]
        return all(any(each.is_called(name) for name in names) for each in getting) and all(
            any(each.is_called(name) for each in getting) for name in names
        )

    @property
    def text(self) -> str:
        """The outcome in a line: `Allow to one of web1, web2; Deny (hairpin) at web3`."""
        groups: dict[str, list[str]] = {}
        for way in self.ways:
            where = way.chosen[-1].machine if way.chosen else way.receiver or way.destination
            key = "Allow" if way.access == "Allow" else f"Deny ({way.stage})"
            groups.setdefault(key, [])
            if where is not None and where not in groups[key]:
                groups[key].append(where)
        return "; ".join(_outcome(key, names) for key, names in groups.items())


def _outcome(key: str, names: list[str]) -> str:
    word = "to" if key == "Allow" else "at"
    if not names:
        return key
    return f"{key} {word} {names[0]}" if len(names) == 1 else f"{key} {word} one of {', '.join(names)}"
