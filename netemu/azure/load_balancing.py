"""Load balancers as a packet meets them: who listens, which rule takes it, which backends it may go to.

Sources: Azure rules LB-2, LB-8, LB-9, LB-16, LB-17, LB-18, LB-24, LB-31, LB-32, OUT-31, OUT-32, OUT-33, OUT-36.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from msgspec import Struct

from netemu.azure import resources as arm
from netemu.azure.choosing import Choosing, Target
from netemu.azure.flow import TCP, UDP, Packet
from netemu.azure.network import Frontend, InboundNatRule, LoadBalancer, LoadBalancingRule, Member, Network

if TYPE_CHECKING:
    from netemu.azure.placement import Port

PROTOCOLS: dict[arm.TransportProtocol, tuple[int, ...]] = {"Tcp": (TCP,), "Udp": (UDP,), "All": (TCP, UDP)}


class Backend(Struct, frozen=True, eq=False):
    """A member of a pool, where packets find it."""

    path: str
    """`<NIC>/<IP configuration>`."""
    port: Port
    address: int

    def is_called(self, name: str) -> bool:
        """Does the name mean it: its VM, its NIC, or NIC/ipConfiguration?"""
        return name in (self.path, self.port.name, self.port.machine)


class Service(Struct, frozen=True, eq=False):
    """A load-balancing rule or an inbound NAT rule."""

    path: str
    """`<load balancer>/<rule>`."""
    backends: tuple[Backend, ...]
    backendPort: int | None
    """None: as it is (HA ports)."""
    floating: bool
    standard: bool
    probe: str | None = None
    """`<load balancer>/<probe>`; None: all are up, always."""
    allProbedUp: bool = False
    """What to think when all are down (LB-29)."""

    def choices(self, protocol: int, choosing: Choosing) -> tuple[Backend, ...]:
        """The backends that a packet may go to."""
        up = self.up(choosing.down)
        if choosing.established is None or self.probe is None:
            name = choosing.established
            return up if name is None else tuple(each for each in up if each.is_called(name))
        old = tuple(each for each in self.backends if each.is_called(choosing.established))
        if protocol != TCP:
            # LB-31: UDP flows move to those that are up.
            return tuple(each for each in old if each in up) or up
        # LB-31, LB-32: TCP stays, unless all are down and the load balancer is Basic or has no other backend.
        return old if up or (self.standard and len(self.backends) > 1) else ()

    def up(self, down: frozenset[Target]) -> tuple[Backend, ...]:
        """Those that new flows may go to."""
        if self.probe is None or not down:
            return self.backends
        up = tuple(each for each in self.backends if (self.probe, each.path) not in down)
        return self.backends if not up and self.allProbedUp else up

    def inside(self, packet: Packet, backend: Backend) -> Packet:
        """The packet as the backend gets it (LB-2, LB-16)."""
        port = packet.destinationPort if self.backendPort is None else self.backendPort
        return packet.to_endpoint(packet.destination if self.floating else backend.address, port)


class Listener(Struct, frozen=True, eq=False):
    """A frontend with its rules."""

    frontend: Frontend
    services: dict[tuple[int, int], Service]
    """By protocol number and port."""
    haPorts: Service | None

    def find(self, packet: Packet) -> Service | None:
        """The rule for a packet, if there is one; none is for anything but TCP and UDP (LB-8, LB-9)."""
        if not packet.has_ports:
            return None
        return self.services.get((packet.protocol, packet.destinationPort), self.haPorts)

    def find_hop(self, packet: Packet) -> Service | None:
        """The rule for a packet that a route sends here: only HA ports take what is for others (LB-18, RT-7)."""
        return self.haPorts if packet.has_ports else None


class Balancing:
    """All load balancers of a network."""

    def __init__(self, network: Network, ports: Mapping[str, Port]) -> None:
        self.internal: dict[str, dict[int, Listener]] = {name: {} for name in network.virtualNetworks}
        """By virtual network and address."""
        self.public: dict[int, Listener] = {}
        self.snat: dict[tuple[str, int], dict[int, int]] = {}
        """NIC and private address -> protocol -> the public address that its flows get (OUT-4b)."""
        self.members: dict[tuple[str, int], str] = {}
        """NIC and private address -> a load balancer whose pool it is in; for saying why something is not let out."""
        self.floating: dict[str, set[int]] = {}
        """Frontends that the guest of a VM has on its loopback (LB-16)."""
        self._ports = ports
        self._made: dict[str, Backend] = {}
        for balancer in network.loadBalancers.values():
            for listener in self._listeners(balancer):
                frontend = listener.frontend
                if frontend.subnet is None:
                    self.public[int(frontend.address)] = listener
                else:
                    self.internal[frontend.subnet.virtualNetwork][int(frontend.address)] = listener
            self._outbound(balancer)

    def _backend(self, member: Member) -> Backend:
        if member.path not in self._made:
            self._made[member.path] = Backend(member.path, self._ports[member.nic.name], int(member.address))
        return self._made[member.path]

    def _listeners(self, balancer: LoadBalancer) -> Iterator[Listener]:
        found = {
            name: Listener(frontend, {}, None)
            for name, frontend in balancer.frontends.items()
            if frontend.publicIPPrefix is None
        }
        for rule in balancer.loadBalancingRules.values():
            service = self._service(balancer, rule)
            listener = found[rule.frontend.name]
            if rule.is_ha_ports:
                found[rule.frontend.name] = Listener(listener.frontend, listener.services, service)
            else:
                listener.services[PROTOCOLS[rule.protocol][0], rule.frontendPort] = service
        for nat in balancer.inboundNatRules.values():
            service = Service(
                nat.path, (self._backend(nat.member),), nat.backendPort, nat.enableFloatingIP,
                balancer.sku == "Standard",
            )  # fmt: skip
            self._note_floating(nat, service)
            for protocol in PROTOCOLS[nat.protocol]:
                found[nat.frontend.name].services[protocol, nat.frontendPort] = service
        yield from found.values()

    def _service(self, balancer: LoadBalancer, rule: LoadBalancingRule) -> Service:
        service = Service(
            rule.path,
            tuple(self._backend(member) for member in rule.pool.members),
            None if rule.is_ha_ports else rule.backendPort,
            rule.enableFloatingIP,
            balancer.sku == "Standard",
            rule.probe.path if rule.probe is not None else None,
            rule.probe is not None and rule.probe.noHealthyBackendsBehavior == "AllProbedUp",
        )
        self._note_floating(rule, service)
        return service

    def _note_floating(self, rule: LoadBalancingRule | InboundNatRule, service: Service) -> None:
        if service.floating:
            for backend in service.backends:
                self.floating.setdefault(backend.port.machine, set()).add(int(rule.frontend.address))

    def _outbound(self, balancer: LoadBalancer) -> None:
        """Outbound rules first, then rules that let out by the way; only primary addresses (OUT-8, OUT-32, OUT-37)."""
        for pool in balancer.pools.values():
            for member in pool.members:
                self.members.setdefault((member.nic.name, int(member.address)), balancer.name)
        for outbound in balancer.outboundRules.values():
            # OUT-31: one address is used up after the other.
            self._let_out(outbound.pool.members, PROTOCOLS[outbound.protocol], outbound.frontends[0])
        for rule in balancer.loadBalancingRules.values():
            if rule.frontend.is_public and not rule.disableOutboundSnat:
                protocols = PROTOCOLS[rule.protocol if balancer.sku == "Standard" else "All"]
                self._let_out(rule.pool.members, protocols, rule.frontend)

    def _let_out(self, members: tuple[Member, ...], protocols: tuple[int, ...], frontend: Frontend) -> None:
        for member in members:
            if member.ipConfig.primary:
                known = self.snat.setdefault((member.nic.name, int(member.address)), {})
                for protocol in protocols:
                    known.setdefault(protocol, int(frontend.address))
