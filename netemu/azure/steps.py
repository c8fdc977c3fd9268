"""What a verdict is made of: the steps of a packet's way, and where it ends.

A step holds what was decided in typed fields; its text is made when somebody reads it, because most verdicts are only
counted.
"""

from __future__ import annotations

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
    "nsg-in",
    "destination-check",  # the destination is not the NIC's, which does not forward (NIC-7)
    "guest-not-forwarding",  # the appliance's guest does not forward (NIC-9)
    "loop",  # until the TTL ended (NVA-1)
]
"""Where a packet's way ended."""

StepKind = Literal["guest", "security-group", "flow-record", "route", "translation", "appliance", "end"]


class Step(Struct, frozen=True):
    """One thing that happened to the packet. `packet` is what it looked like before."""

    kind: StepKind
    place: str
    """NIC, `network/subnet`, virtual machine, internet host, `edge`."""
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
    """The packet after a translation."""
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


class Verdict(Struct, frozen=True, kw_only=True):
    """What Azure does with a packet.

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
