"""The way of one packet through the network, step by step in the order of PIPE-1…PIPE-6.

A flow is walked twice: its first packet, then the packet that answers. What the first one leaves behind is in
`Memory`: flow records at the NICs where it passed the NSGs (PIPE-6, NSG-21), and translations.

An appliance's guest is taken to forward packets unchanged: what NAT it does is a matter of programs inside it.
"""

from __future__ import annotations

from msgspec import Struct, field

from netemu.azure import resources as arm
from netemu.azure.blocked import PLATFORM, PLATFORM_ADDRESSES, blocked, blocked_protocol, is_dhcp
from netemu.azure.choosing import Choosing
from netemu.azure.edge import (
    Called,
    Inside,
    Refused,
    Translations,
    translate_back,
    translate_inbound,
    translate_outbound,
)
from netemu.azure.flow import ICMP, TCP, Packet
from netemu.azure.load_balancing import Backend, Listener, Service
from netemu.azure.placement import Guest, Placement, Port
from netemu.azure.routing import EffectiveRoute
from netemu.azure.security import EffectiveRule
from netemu.azure.steps import Chosen, End, Stage, Step

TTL = 64

Record = tuple[str, Packet]
"""A flow at a NIC: the packet as that NIC sends it, so that both directions have the same key."""


class Memory(Struct):
    """What the packets of a flow leave behind."""

    records: set[Record]
    translations: Translations
    choosing: Choosing = field(default_factory=Choosing)
    """Answers where something is chosen on the way; the first option when nobody says otherwise."""


Arrival = tuple[Port, Packet, bool]
"""A packet that comes to a NIC; whether a load balancer hands it over, whatever its destination (LB-16)."""


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
        self.chosen: list[Chosen] = []
        self.keeps_port = True

    def from_guest(self, guest: Guest, packet: Packet, port: Port | None = None) -> End:
        """A program in the guest sends; by `port` if given, else as the guest's own routes say (NIC-4)."""
        # An address that is not the guest's by DHCP is there when something sends from it (IP-10), and a frontend is
        # on the loopback of the backends of a floating rule (LB-16).
        floating = self.placement.balancing.floating.get(guest.name, ())
        if packet.destination in guest.local or packet.destination == packet.source or packet.destination in floating:
            return self._end("Allow", "local", packet, guest.name, receiver=guest.name, why="local to the guest")
        return self._from_port(port or guest.port_towards(packet.destination), packet)

    def from_host(self, name: str, packet: Packet) -> End:
        """A host on the internet sends; its source must be its own."""
        if self.placement.hosts.get(packet.source) != name:
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
        called = self.memory.translations.called.get((port.name, packet)) if self.replying else None
        if called is not None:
            # PIPE-6: the host undoes the translation first and routes then; a 0.0.0.0/0 of the user still diverts it.
            before = packet.from_endpoint(called.address, called.port)
            packet = self._translate(port.name, packet, before, "as the client spoke to it (OUT-3, LB-2)")
        route = port.routes.find(packet.destination)
        self.steps.append(Step("route", port.name, packet, "Outbound", route=route, routes=port.routes, nic=port.name))
        if route.nextHopType == "Internet":
            return self._exit(port, packet, translated=called is not None and called.outside)
        if route.nextHopType == "None":
            return self._drop("route-none", port, packet, "Outbound", why="next hop type None")
        if route.nextHopType == "VirtualNetworkGateway":
            return self._drop("no-gateway", port, packet, "Outbound", why="there is no gateway")
        target = self._target(port, packet, route)
        if isinstance(target, End):
            return target
        return self._over_peering(port, target[0], packet) or self._arrive(*target)

    def _leave(self, port: Port, packet: Packet) -> End | None:
        """PIPE-1 (a) to (d)."""
        if is_dhcp(packet) and (packet.source == 0 or packet.source in port.addresses):
            return self._taken_by_platform(port, packet)
        if packet.source not in port.addresses and not self._answers_floating(port, packet):
            if not port.nic.enableIPForwarding:
                return self._drop("source-check", port, packet, "Outbound", why="the source is not the NIC's (NIC-7)")
            if packet.source == PLATFORM:
                return self._drop("source-check", port, packet, "Outbound", why="only the platform has it (PLT-3)")
        why = blocked(packet)
        if why is None and packet.destination == port.broadcast:
            why = "the subnet's broadcast address (ARP-3)"
        if why is not None:
            return self._drop("blocked", port, packet, "Outbound", why=why)
        if packet.destination in PLATFORM_ADDRESSES:
            return self._taken_by_platform(port, packet)
        return self._pass_gates(port, packet, "Outbound")

    def _answers_floating(self, port: Port, packet: Packet) -> bool:
        """What answers a floating frontend comes from its address (LB-16)."""
        return (port.name, packet) in self.memory.translations.called

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

    def _target(self, port: Port, packet: Packet, route: EffectiveRoute) -> Arrival | End:
        """The NIC that a route inside the networks leads to, by itself or through an internal load balancer."""
        owners, internal = self.placement.owners, self.placement.balancing.internal
        if route.nextHopType == "VirtualAppliance":
            assert route.nextHopIpAddress is not None
            hop = int(route.nextHopIpAddress)
            # RT-7, PEER-19: the appliance is in this network, or in a peered one.
            for network in (port.virtualNetwork, *self.placement.peerings[port.virtualNetwork]):
                if hop in owners[network]:
                    return owners[network][hop], packet, False
                if hop in internal[network]:
                    return self._balance_inside(port, network, internal[network][hop], packet, hop=True)
        else:
            network = route.remoteVirtualNetwork or port.virtualNetwork
            owner = owners[network].get(packet.destination)
            if owner is not None:
                return owner, packet, False
            if packet.destination in internal[network]:
                return self._balance_inside(port, network, internal[network][packet.destination], packet, hop=False)
        return self._drop("no-owner", port, packet, "Outbound", why="nobody there has the address")

    def _balance_inside(
        self, port: Port, network: str, listener: Listener, packet: Packet, *, hop: bool
    ) -> Arrival | End:
        """An internal load balancer, as the destination or as a route's next hop (PIPE-2, LB-14, LB-18)."""
        near, far = (self.placement.network.virtualNetworks[name].location for name in (port.virtualNetwork, network))
        if near != far and listener.frontend.sku == "Basic":
            why = f"{listener.frontend.path} is Basic, which is not reached from another region (PEER-17)"
            return self._drop("global-peering", port, packet, "Outbound", why=why)
        service = listener.find_hop(packet) if hop else listener.find(packet)
        backend = self._choose(service, packet)
        if service is None or backend is None:
            stage, why = self._unserved(listener, service)
            return self._drop(stage, port, packet, "Outbound", why=why)
        if hop:
            self._note_choice(listener, service, backend, packet, None)
            return backend.port, packet, False
        return backend.port, self._hand_over(listener, service, backend, packet), True

    def _choose(self, service: Service | None, packet: Packet) -> Backend | None:
        """LB-4, LB-24; both directions of a flow through HA ports go to one appliance (LB-19)."""
        if service is None:
            return None
        ends = frozenset(((packet.source, packet.sourcePort), (packet.destination, packet.destinationPort)))
        key = (service.path, ends, packet.protocol)
        chosen = self.memory.translations.chosen
        if key not in chosen:
            choosing = self.memory.choosing
            options = service.choices(packet.protocol, choosing)
            if not options:
                return None
            chosen[key] = choosing.choose(options)
        return chosen[key]

    @staticmethod
    def _unserved(listener: Listener, service: Service | None) -> tuple[Stage, str]:
        path = listener.frontend.path
        if service is None:
            return "no-rule", f"{path} has no rule for it (LB-8, LB-9)"
        return "no-backend", f"no backend of {service.path} is up (LB-24, LB-32)"

    def _hand_over(self, listener: Listener, service: Service, backend: Backend, packet: Packet) -> Packet:
        inside = service.inside(packet, backend)
        called = Called(packet.destination, packet.destinationPort, listener.frontend.is_public)
        self.memory.translations.called[backend.port.name, inside.reversed()] = called
        self._note_choice(listener, service, backend, packet, inside)
        return inside

    def _note_choice(
        self, listener: Listener, service: Service, backend: Backend, packet: Packet, after: Packet | None
    ) -> None:
        self.chosen.append(Chosen(service.path, backend.path, backend.port.name, backend.port.machine))
        why = f"rule {service.path} chooses {backend.path}"
        self.steps.append(Step("load-balancer", listener.frontend.path, packet, after=after, detail=why))

    def _over_peering(self, port: Port, target: Port, packet: Packet) -> End | None:
        """PEER-11: the receiving network may refuse what the other one only forwards."""
        if target.virtualNetwork == port.virtualNetwork or packet.source in self.placement.spaces[port.virtualNetwork]:
            return None
        peering = self.placement.peerings[target.virtualNetwork][port.virtualNetwork]
        if peering.allowForwardedTraffic:
            return None
        why = f"peering {peering.name} of {target.virtualNetwork} has allowForwardedTraffic false (PEER-11)"
        return self._drop("forwarded-traffic", target, packet, "Inbound", why=why)

    def _arrive(self, port: Port, packet: Packet, balanced: bool) -> End | tuple[Port, Packet]:
        """PIPE-4 (c) to (f), PIPE-5."""
        stopped = self._pass_gates(port, packet, "Inbound")
        if stopped is not None:
            return stopped
        if balanced and self.placement.guests[port.machine].has(packet.source):
            why = "the guest takes nothing that comes from an address of its own (LB-21, PIPE-10)"
            return self._drop("hairpin", port, packet, "Inbound", why=why)
        if balanced or packet.destination in port.addresses:
            return self._delivered(port, packet)
        if not port.nic.enableIPForwarding:
            why = "the destination is not the NIC's, and enableIPForwarding is false (NIC-7)"
            return self._drop("destination-check", port, packet, "Inbound", why=why)
        return port, packet

    def _exit(self, port: Port, packet: Packet, *, translated: bool) -> End | tuple[Port, Packet]:
        """The internet edge, outwards (OUT-1, VN-13, NVA-4)."""
        if translated:
            return self._enter(packet, port)
        memory = self.memory
        outside = translate_outbound(self.placement, memory.translations, memory.choosing, port, packet)
        if isinstance(outside, Refused):
            return self._drop(outside.stage, port, packet, "Outbound", why=outside.why)
        self._translate("edge", packet, outside.packet, f"source translation by {outside.by} (OUT-1)")
        self.keeps_port = self.keeps_port and outside.keepsPort
        return self._enter(outside.packet, port)

    def _enter(self, packet: Packet, sender: Port | None) -> End | tuple[Port, Packet]:
        """The internet, and the edge inwards (PIPE-4)."""
        host = self.placement.hosts.get(packet.destination)
        if host is not None:
            return self._end("Allow", "delivered", packet, host, receiver=host, why="delivered to the internet host")
        listener = self.placement.balancing.public.get(packet.destination)
        found: Inside | Refused | None = translate_back(self.memory.translations, packet)
        balanced = found is None and listener is not None
        if found is None:
            found = (
                translate_inbound(self.placement, self.memory.translations, packet)
                if listener is None
                else self._balance_outside(listener, packet)
            )
        if isinstance(found, Refused):
            place = "edge" if sender is None else sender.name
            return self._end("Deny", found.stage, packet, place, "Outbound" if sender else None, why=found.why)
        port, inside = found.port, found.packet
        if not balanced:
            self._translate("edge", packet, inside, "destination translation")
        if blocked_protocol(packet) is not None:
            return self._drop("blocked", port, inside, "Inbound", why="not carried by public addresses (ARP-4, ARP-5)")
        if found.standard and not port.inbound and not self._has_record((port.name, inside.reversed())):
            why = "a Standard public IP is closed without an NSG (OUT-17)"
            return self._drop("public-closed", port, inside, "Inbound", why=why)
        return self._arrive(port, inside, balanced)

    def _balance_outside(self, listener: Listener, packet: Packet) -> Inside | Refused:
        """A public load balancer (PIPE-4)."""
        service = listener.find(packet)
        backend = self._choose(service, packet)
        if service is None or backend is None:
            return Refused(*self._unserved(listener, service))
        return Inside(backend.port, self._hand_over(listener, service, backend, packet), service.standard)

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
