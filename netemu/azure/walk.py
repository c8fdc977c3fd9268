"""The way of one packet through the network, step by step in the order of PIPE-1…PIPE-6.

A flow is walked twice: its first packet, then the packet that answers. What the first one leaves behind is in
`Memory`: flow records at the NICs where it passed the NSGs (PIPE-6, NSG-21), and translations.

An appliance's guest is taken to forward packets unchanged: what NAT it does is a matter of programs inside it.
"""

from __future__ import annotations

from msgspec import Struct

from netemu.azure import resources as arm
from netemu.azure.edge import Translations, translate_inbound, translate_outbound
from netemu.azure.flow import GRE, ICMP, IP_IN_IP, TCP, UDP, Packet
from netemu.azure.network import PLATFORM_ADDRESS
from netemu.azure.placement import Guest, Placement, Port
from netemu.azure.routing import EffectiveRoute
from netemu.azure.security import METADATA_ADDRESS, EffectiveRule
from netemu.azure.steps import End, Stage, Step

PLATFORM = int(PLATFORM_ADDRESS)
PLATFORM_ADDRESSES = frozenset((PLATFORM, int(METADATA_ADDRESS)))
"""These ignore routes and, but for platform tags, security rules (PLT-1, PLT-2, PLT-4, RT-24)."""

BROADCAST = 0xFFFFFFFF
MULTICAST, PAST_MULTICAST = 0xE0000000, 0xF0000000
HOST_RESERVED_PORT = 65330
DHCP_SERVER_PORT, DHCP_CLIENT_PORT = 67, 68
TTL = 64

Record = tuple[str, Packet]
"""A flow at a NIC: the packet as that NIC sends it, so that both directions have the same key."""


class Memory(Struct):
    """What the packets of a flow leave behind."""

    records: set[Record]
    translations: Translations


class Walk:
    """Follows one packet. `replying`: flow records are asked before the NSGs (PIPE-6)."""

    def __init__(self, placement: Placement, memory: Memory, *, replying: bool) -> None:
        self.placement = placement
        self.memory = memory
        self.replying = replying
        self.steps: list[Step] = []
        self.via: list[str] = []
        self.last_rule: EffectiveRule | None = None
        self.last_port: Port | None = None

    def from_guest(self, guest: Guest, packet: Packet, port: Port | None = None) -> End:
        """A program in the guest sends; by `port` if given, else as the guest's own routes say (NIC-4)."""
        # An address that is not the guest's by DHCP is there when something sends from it (IP-10).
        if packet.destination in guest.local or packet.destination == packet.source:
            return self._end("Allow", "local", packet, guest.name, receiver=guest.name, why="local to the guest")
        return self._from_port(port or guest.port_towards(packet.destination), packet)

    def from_host(self, name: str, packet: Packet) -> End:
        """A host on the internet sends; its source must be its own."""
        host = self.placement.network.hosts[name]
        if packet.source != int(host.address):
            return self._end("Deny", "source-check", packet, name, why="the source is not the host's address")
        if packet.destination == packet.source:
            return self._end("Allow", "local", packet, name, receiver=name, why="local to the host")
        found = self._enter(packet, None)
        return found if isinstance(found, End) else self._carry_on(*found)

    def _from_port(self, port: Port, packet: Packet) -> End:
        found = self._cross(port, packet)
        return found if isinstance(found, End) else self._carry_on(*found)

    def _carry_on(self, port: Port, packet: Packet) -> End:
        """The packet is at a NIC that forwards; follow it until it ends somewhere (NVA-2)."""
        seen: set[tuple[str, Packet]] = set()
        while True:
            guest = self.placement.guests[port.machine]
            owner = guest.local.get(packet.destination)
            if owner is not None:
                # A guest takes what is addressed to any of its addresses, whichever NIC it came by.
                return self._delivered(owner, packet)
            if not guest.forwards:
                why = "the guest does not forward (net.ipv4.ip_forward is not 1)"
                return self._end("Deny", "guest-not-forwarding", packet, port.name, "Inbound", why=why)
            if packet.source in guest.local:
                why = "the guest takes nothing that comes from an address of its own"
                return self._end("Deny", "guest-not-forwarding", packet, port.name, "Inbound", why=why)
            port = guest.port_towards(packet.destination)
            if len(self.via) >= TTL - 1 or (port.name, packet) in seen:
                return self._end("Deny", "loop", packet, port.name, "Outbound", why="it circles until its TTL ends")
            seen.add((port.name, packet))
            self.via.append(guest.name)
            self.steps.append(Step("appliance", guest.name, packet, detail=f"the guest forwards it by {port.name}"))
            found = self._cross(port, packet)
            if isinstance(found, End):
                return found
            port, packet = found

    def _cross(self, port: Port, packet: Packet) -> End | tuple[Port, Packet]:
        """PIPE-1 to PIPE-5 for a packet that leaves `port`: where it ended, or the forwarding NIC that has it."""
        stopped = self._leave(port, packet)
        if stopped is not None:
            return stopped
        public = self.memory.translations.published.get((port.name, packet)) if self.replying else None
        if public is not None:
            # PIPE-6: the host undoes the translation first and routes then; a 0.0.0.0/0 of the user still diverts it.
            packet = self._translate(port.name, packet, packet.from_address(public), "as it came in (OUT-3)")
        route = port.routes.find(packet.destination)
        self.steps.append(
            Step("route", port.name, packet, "Outbound", route=route, routes=port.routes, nic=port.name)
        )
        if route.nextHopType == "Internet":
            return self._exit(port, packet, translated=public is not None)
        if route.nextHopType == "None":
            return self._drop("route-none", port, packet, "Outbound", why="next hop type None")
        if route.nextHopType == "VirtualNetworkGateway":
            return self._drop("no-gateway", port, packet, "Outbound", why="there is no gateway")
        target = self._target(port, packet, route)
        if target is None:
            return self._drop("no-owner", port, packet, "Outbound", why="nobody there has the address")
        return self._over_peering(port, target, packet) or self._arrive(target, packet)

    def _leave(self, port: Port, packet: Packet) -> End | None:
        """PIPE-1 (a) to (d)."""
        if _is_dhcp(packet) and (packet.source == 0 or packet.source in port.addresses):
            return self._taken_by_platform(port, packet)
        if packet.source not in port.addresses:
            if not port.nic.enableIPForwarding:
                return self._drop("source-check", port, packet, "Outbound", why="the source is not the NIC's (NIC-7)")
            if packet.source == PLATFORM:
                return self._drop("source-check", port, packet, "Outbound", why="only the platform has it (PLT-3)")
        blocked = _blocked(packet)
        if blocked is None and packet.destination == port.broadcast:
            blocked = "the subnet's broadcast address (ARP-3)"
        if blocked is not None:
            return self._drop("blocked", port, packet, "Outbound", why=blocked)
        if packet.destination in PLATFORM_ADDRESSES:
            return self._taken_by_platform(port, packet)
        return self._pass_gates(port, packet, "Outbound")

    def _taken_by_platform(self, port: Port, packet: Packet) -> End:
        """PLT-4: of all rules, only those that name platform tags are asked."""
        for gate in port.outbound:
            rule = gate.platform.decide(packet)
            if rule is not None:
                asked = gate.platform
                step = Step("security-group", gate.place, packet, "Outbound", rule=rule, rules=asked, nic=port.name)
                self.steps.append(step)
                if rule.access == "Deny":
                    return self._drop("platform", port, packet, "Outbound", rule=rule, why="PLT-4")
        return self._end("Allow", "platform", packet, port.name, why="the platform takes it", receiver="platform")

    def _pass_gates(self, port: Port, packet: Packet, direction: arm.Direction) -> End | None:
        """NSG-15 with flow records (PIPE-6)."""
        key = (port.name, packet if direction == "Outbound" else packet.reversed())
        if self._has_record(key):
            self.steps.append(Step("flow-record", port.name, packet, direction, nic=port.name))
            return None
        for gate in port.outbound if direction == "Outbound" else port.inbound:
            rule = gate.classifier.decide(packet)
            assert rule is not None, "the default rules match everything"
            self.steps.append(
                Step("security-group", gate.place, packet, direction, rule=rule, rules=gate.classifier, nic=port.name)
            )
            self.last_rule, self.last_port = rule, port
            if rule.access == "Deny":
                stage: Stage = "nsg-out" if direction == "Outbound" else "nsg-in"
                return self._drop(stage, port, packet, direction, rule=rule, why=f"denied by {rule.name}")
        self.memory.records.add(key)
        return None

    def _has_record(self, record: Record) -> bool:
        """Did an earlier packet leave it? A SYN and an echo request are evaluated all the same."""
        return record in self.memory.records and (self.replying or record[1].protocol not in (TCP, ICMP))

    def _target(self, port: Port, packet: Packet, route: EffectiveRoute) -> Port | None:
        """The NIC that a route inside the networks leads to."""
        owners = self.placement.owners
        if route.nextHopType == "VNetPeering":
            assert route.remoteVirtualNetwork is not None
            return owners[route.remoteVirtualNetwork].get(packet.destination)
        if route.nextHopType == "VnetLocal":
            return owners[port.virtualNetwork].get(packet.destination)
        assert route.nextHopIpAddress is not None
        hop = int(route.nextHopIpAddress)
        # RT-7, PEER-19: the appliance is in this network, or in a peered one.
        for network in (port.virtualNetwork, *self.placement.peerings[port.virtualNetwork]):
            if hop in owners[network]:
                return owners[network][hop]
        return None

    def _over_peering(self, port: Port, target: Port, packet: Packet) -> End | None:
        """PEER-11: the receiving network may refuse what the other one only forwards."""
        if target.virtualNetwork == port.virtualNetwork or packet.source in self.placement.spaces[port.virtualNetwork]:
            return None
        peering = self.placement.peerings[target.virtualNetwork][port.virtualNetwork]
        if peering.allowForwardedTraffic:
            return None
        why = f"peering {peering.name} of {target.virtualNetwork} has allowForwardedTraffic false (PEER-11)"
        return self._drop("forwarded-traffic", target, packet, "Inbound", why=why)

    def _arrive(self, port: Port, packet: Packet) -> End | tuple[Port, Packet]:
        """PIPE-4 (c) to (f), PIPE-5."""
        stopped = self._pass_gates(port, packet, "Inbound")
        if stopped is not None:
            return stopped
        if packet.destination in port.addresses:
            return self._delivered(port, packet)
        if not port.nic.enableIPForwarding:
            why = "the destination is not the NIC's, and enableIPForwarding is false (NIC-7)"
            return self._drop("destination-check", port, packet, "Inbound", why=why)
        return port, packet

    def _exit(self, port: Port, packet: Packet, *, translated: bool) -> End | tuple[Port, Packet]:
        """The internet edge, outwards (OUT-1, VN-13, NVA-4)."""
        outside = packet if translated else translate_outbound(self.memory.translations, port, packet)
        if not isinstance(outside, Packet):
            return self._drop(outside.stage, port, packet, "Outbound", why=outside.why)
        if outside is not packet:
            self._translate("edge", packet, outside, "source translation (OUT-1)")
        return self._enter(outside, port)

    def _enter(self, packet: Packet, sender: Port | None) -> End | tuple[Port, Packet]:
        """The internet, and the edge inwards (PIPE-4)."""
        host = self.placement.hosts.get(packet.destination)
        if host is not None:
            return self._end("Allow", "delivered", packet, host, receiver=host, why="delivered to the internet host")
        found = translate_inbound(self.placement, self.memory.translations, packet)
        if not isinstance(found, tuple):
            place = "edge" if sender is None else sender.name
            return self._end("Deny", found.stage, packet, place, "Outbound" if sender else None, why=found.why)
        port, inside = found
        self._translate("edge", packet, inside, "destination translation")
        if _blocked_protocol(packet) is not None:
            return self._drop("blocked", port, inside, "Inbound", why="not carried by public addresses (ARP-4, ARP-5)")
        if self._is_closed(port, packet, inside):
            why = "a Standard public IP is closed without an NSG (OUT-17)"
            return self._drop("public-closed", port, inside, "Inbound", why=why)
        return self._arrive(port, inside)

    def _is_closed(self, port: Port, outside: Packet, inside: Packet) -> bool:
        if port.inbound or self._has_record((port.name, inside.reversed())):
            return False
        public = port.addresses[inside.destination].publicIP
        return public is not None and public.sku == "Standard" and int(public.address) == outside.destination

    def _translate(self, place: str, before: Packet, after: Packet, why: str) -> Packet:
        self.steps.append(Step("translation", place, before, after=after, detail=why))
        return after

    def _delivered(self, port: Port, packet: Packet) -> End:
        why = "delivered to the NIC"
        return self._end("Allow", "delivered", packet, port.name, "Inbound", receiver=port.machine, why=why)

    def _drop(
        self,
        stage: Stage,
        port: Port,
        packet: Packet,
        direction: arm.Direction,
        *,
        why: str,
        rule: EffectiveRule | None = None,
    ) -> End:
        return self._end("Deny", stage, packet, port.name, direction, rule=rule, why=why)

    def _end(
        self,
        access: arm.Access,
        stage: Stage,
        packet: Packet,
        place: str,
        direction: arm.Direction | None = None,
        *,
        why: str,
        rule: EffectiveRule | None = None,
        receiver: str | None = None,
    ) -> End:
        self.steps.append(Step("end", place, packet, direction, stage=stage, detail=why))
        return End(access, stage, packet, place, direction, rule, receiver)


def _is_dhcp(packet: Packet) -> bool:
    """A guest asks for its address: the one broadcast that is answered (ARP-3, PLT-5)."""
    return (
        packet.protocol == UDP
        and packet.sourcePort == DHCP_CLIENT_PORT
        and packet.destinationPort == DHCP_SERVER_PORT
        and packet.destination in (BROADCAST, PLATFORM)
    )


def _blocked_protocol(packet: Packet) -> str | None:
    if packet.protocol in (GRE, IP_IN_IP):
        return "GRE and IP in IP are blocked (ARP-4)"
    return None


def _blocked(packet: Packet) -> str | None:
    """Kinds of packets that no virtual network carries (ARP-3, ARP-4)."""
    if packet.destination >= MULTICAST and (packet.destination < PAST_MULTICAST or packet.destination == BROADCAST):
        return "broadcast and multicast are not carried (ARP-3)"
    if packet.protocol == UDP:
        if packet.sourcePort == HOST_RESERVED_PORT:
            return "UDP source port 65330 is the host's (ARP-4)"
        if packet.sourcePort == DHCP_CLIENT_PORT and packet.destinationPort == DHCP_SERVER_PORT:
            # What is meant for the platform was taken before.
            return "DHCP goes to the platform only (ARP-4)"
    return _blocked_protocol(packet)
