"""What becomes of packets that user-defined routes send to appliances: followed with every NSG open.

One packet for each subnet, route and subnet at the other end; what stops it is told of the resource that does.
Sources: Azure rules NIC-7, NIC-8, NIC-9, NVA-1, NVA-3, PEER-11, RT-18, RT-21, OUT-22.
"""

from __future__ import annotations

from collections.abc import Iterator

from netemu.azure.edge import Translations
from netemu.azure.flow import EPHEMERAL_PORT, TCP, Packet
from netemu.azure.network import Subnet
from netemu.azure.placement import Port
from netemu.azure.routing import DEFAULT_ROUTE, EffectiveRoute
from netemu.azure.security import Context
from netemu.azure.steps import End
from netemu.azure.survey import Survey
from netemu.azure.walk import Memory
from netemu.lint.findings import Subject, listed, several
from netemu.scenario.tree import Path

FORWARDING = "appliance-without-forwarding"


def check(subject: Subject) -> None:
    """Follow the packets that routes divert, and look at public IPs whose answers are diverted."""
    ways = _Ways(subject)
    for subnet in subject.network.subnets():
        ways.follow(subnet)
    ways.tell()
    for nic in subject.network.nics.values():
        if nic.enableIPForwarding and not subject.placement.guests[nic.machine].forwards:
            ways.forgotten(nic.name)
    _public_ips(subject)


class _Ways:
    def __init__(self, subject: Subject) -> None:
        self.subject, self.placement = subject, subject.placement
        self.ends: list[Port] = []
        """One NIC for each subnet that has some."""
        self.stopped: dict[tuple[Path, str], list[str]] = {}
        """What stops packets, and the routes that send them there."""
        self.asymmetric: dict[Path, list[tuple[Subnet, Subnet, str, str]]] = {}
        self._followed: set[tuple[object, ...]] = set()
        seen: set[str] = set()
        for port in self.placement.ports.values():
            if port.nic.subnet.path not in seen:
                seen.add(port.nic.subnet.path)
                self.ends.append(port)

    def follow(self, subnet: Subnet) -> None:
        """All that leaves a subnet for an appliance."""
        senders = [port for port in self.placement.ports.values() if port.nic.subnet.path == subnet.path]
        if not senders:
            return
        for route, sender, destination, end in self._diverted(subnet, senders):
            answer = end.routes.find(int(sender.nic.address)) if end is not None else None
            key = (Context.of(subnet), route, end.nic.subnet.path if end else None, answer)
            if key not in self._followed:
                self._followed.add(key)
                self._follow(route, sender, destination, end)

    def _diverted(self, subnet: Subnet, senders: list[Port]) -> Iterator[tuple[EffectiveRoute, Port, int, Port | None]]:
        lookup = self.placement.routes(subnet)
        reached = set()
        for end in self.ends:
            destination = int(end.nic.address)
            route = lookup.find(destination)
            sender = next((port for port in senders if port.machine != end.machine), None)
            if route.nextHopType == "VirtualAppliance" and sender is not None:
                reached.add(route)
                yield route, sender, destination, end
        for start, route in zip(lookup.starts, lookup.winners, strict=True):
            if route.nextHopType == "VirtualAppliance" and route not in reached:
                reached.add(route)
                yield route, senders[0], start, None

    def _follow(self, route: EffectiveRoute, sender: Port, destination: int, end: Port | None) -> None:
        memory = Memory(set(), Translations())
        walk = Survey(self.placement, memory, replying=False, asked=[])
        packet = Packet(int(sender.nic.address), destination, TCP, EPHEMERAL_PORT, 80)
        found = walk.from_guest(self.placement.guests[sender.machine], packet, sender)
        if found.access == "Deny":
            self._stopped(route, sender, walk, found)
        elif end is not None and found.receiver == end.machine and found.stage == "delivered":
            back = Survey(self.placement, memory, replying=True, asked=[])
            guest = self.placement.guests[end.machine]
            answered = back.from_guest(guest, found.packet.reversed())
            if answered.access == "Allow" and tuple(reversed(back.via)) != tuple(walk.via):
                told = (sender.nic.subnet, end.nic.subnet, listed(walk.via), listed(back.via) if back.via else "")
                self.asymmetric.setdefault(self._path(sender, route), []).append(told)

    def _stopped(self, route: EffectiveRoute, sender: Port, walk: Survey, end: End) -> None:
        path = self._path(sender, route)
        if end.stage == "loop":
            last = [step for step in walk.steps if step.route is not None][-1]
            assert last.route is not None
            at = self._path(self.placement.ports[last.place], last.route) if last.route.name is not None else path
            self._note(at, "route-loop", path)
        elif end.stage in ("destination-check", "source-check"):
            self._note((*self.subject.nic(end.place), "enableIPForwarding"), FORWARDING, path)
        elif end.stage == "guest-not-forwarding":
            machine = self.placement.ports[end.place].machine
            if not self.placement.guests[machine].forwards:
                self._note(("virtualMachines", machine, "sysctls"), FORWARDING, path)
        elif end.stage == "forwarded-traffic":
            into = self.placement.ports[end.place].virtualNetwork
            crossed = next(step for step in reversed(walk.steps) if step.route is not None)
            peering = self.placement.peerings[into][self.placement.ports[crossed.place].virtualNetwork]
            at = ("virtualNetworks", into, "virtualNetworkPeerings", peering.name)
            self._note((*at, "allowForwardedTraffic"), "forwarded-traffic-refused", path)

    def _note(self, place: Path, finding: str, route: Path) -> None:
        routes = self.stopped.setdefault((place, finding), [])
        name = f"{route[1]}/{route[3]}"
        if name not in routes:
            routes.append(name)

    @staticmethod
    def _path(port: Port, route: EffectiveRoute) -> Path:
        return ("routeTables", str(port.nic.subnet.routeTable), "routes", str(route.name))

    def tell(self) -> None:
        """Tell what stopped packets."""
        for (place, finding), routes in self.stopped.items():
            by = f"{several(routes)} {'sends' if len(routes) == 1 else 'send'}"
            resource, within = place[:-1], str(place[-1])
            if finding == "route-loop":
                hop = self.subject.scenario.routeTables[str(place[1])].routes[str(place[3])].nextHopIpAddress
                self.subject.add(
                    place, "nextHopIpAddress", finding,
                    f"the appliance {hop} itself is in a subnet with this route: what it forwards comes back to it"
                    " until the TTL ends (NVA-1)",
                    "give the appliance's subnet another route table, or none",
                )  # fmt: skip
            elif within == "enableIPForwarding":
                what = f"{by} it packets of others, which it drops: enableIPForwarding is false (NIC-7)"
                self.subject.add(resource, within, finding, what, "set enableIPForwarding: true")
            elif within == "sysctls":
                what = f"{by} it packets of others, which its guest drops: net.ipv4.ip_forward is not 1 (NIC-9)"
                self.subject.add(resource, within, finding, what, "add `sysctls: {net.ipv4.ip_forward: 1}`")
            else:
                what = f"{by} packets here that the other side only forwards: they are dropped (PEER-11)"
                self.subject.add(resource, within, finding, what, "set allowForwardedTraffic: true")
        for path, told in self.asymmetric.items():
            self._asymmetric(path, told)

    def _asymmetric(self, path: Path, told: list[tuple[Subnet, Subnet, str, str]]) -> None:
        near, far, via, back = told[0]
        others = sorted({subnet.path for _, subnet, _, _ in told})
        hop = self.subject.scenario.routeTables[str(path[1])].routes[str(path[3])].nextHopIpAddress
        self.subject.add(
            path, "", "asymmetric-route",
            f"what {near.path} sends to {several(others)} goes through {via}, the answers "
            + (f"through {back}" if back else "come directly")
            + ": a stateful firewall drops them (RT-18)",
            f"route {near.prefix} through {hop} in {far.path} as well",
        )  # fmt: skip

    def forgotten(self, nic: str) -> None:
        """An appliance that no packet has reached, but whose guest would drop all the same."""
        machine = self.subject.network.nics[nic].machine
        if (("virtualMachines", machine, "sysctls"), FORWARDING) not in self.stopped:
            self.subject.add(
                ("virtualMachines", machine), "enableIPForwarding", FORWARDING,
                f"`{nic}` has enableIPForwarding, but its guest drops the packets of others: net.ipv4.ip_forward is"
                " not 1 (NIC-9)",
                "add `sysctls: {net.ipv4.ip_forward: 1}`",
            )  # fmt: skip


def _public_ips(subject: Subject) -> None:
    """RT-21, OUT-22: who comes in by a public IP is answered by the default route."""
    for port in subject.placement.ports.values():
        default = next(
            route for route in port.routes.routes if route.addressPrefix == DEFAULT_ROUTE and route.state == "Active"
        )
        if default.nextHopType == "Internet":
            continue
        for config in port.nic.ipConfigs:
            if config.publicIP is not None:
                subject.add(
                    ("publicIPAddresses", config.publicIP.name), "", "public-ip-without-return",
                    f"nobody who comes in by it is answered: `{port.nic.subnet.routeTable}/{default.name}` sends the"
                    f" answers of {config.address} to {default.nextHopIpAddress or default.nextHopType} (OUT-22)",
                    "route those who come in to the Internet, or let them in by the appliance",
                )  # fmt: skip
