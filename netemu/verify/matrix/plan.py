"""The flows that are worth asking: for every ordered pair, and at every boundary that a rule or a route draws.

Nothing here is a list of ports. Each pair is asked for every class of ports that the security rules on its way make,
from both sides of every boundary between two classes. Where there are more classes than `PLENTY`, a pair whose NSGs and
rules are the same as an earlier pair's is asked for one flow of each outcome only: its boundaries have been asked.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from msgspec import Struct, field

from netemu.azure.flow import AH, ESP, ICMP, TCP, UDP, Packet
from netemu.azure.network import Network
from netemu.azure.placement import Placement, Port
from netemu.azure.prefixes import IntervalSet
from netemu.azure.survey import Asked, Class, Classes, Classifying, survey
from netemu.azure.verdict import Engine
from netemu.verify.matrix.limits import limits

PLENTY = 16
"""Classes of one pair and protocol that are asked of every pair; it takes a microsecond to plan one and 200 to ask."""

FRESH = 8192
"""So many source ports must be free to choose from for one to be fresh."""

PROTOCOLS = {"Tcp": TCP, "Udp": UDP, "Icmp": ICMP}
NOBODYS = "nobody's"
"""A protocol that no rule can name; every question has another one of `UNASSIGNED`, for which there is no record."""
UNASSIGNED = range(149, 253)
"""Protocol numbers of nobody's (IANA; 253 and 254 are for experiments)."""
WITHOUT_PORTS = {"Esp": ESP, "Ah": AH, NOBODYS: UNASSIGNED[0]}


class Place(Struct, frozen=True):
    """An end of a pair: an address of a NIC, a public address, or a host on the internet."""

    name: str
    """What a person calls it: NIC, public IP or host; with the address when the NIC has several."""
    group: str
    """Where it is: `network/subnet`, `public` or `internet`."""
    node: str
    """Virtual machine or internet host."""
    address: int
    nic: str | None = None


class Pair(Struct):
    """Who asks whom, and what was found out."""

    source: Place
    target: Place
    reach: dict[str, IntervalSet] = field(default_factory=dict)
    """Protocol → destination ports that arrive, by the verdicts; everything or nothing without ports."""
    unanswered: set[str] = field(default_factory=set)
    """Protocols whose answers do not come back."""
    flows: int = 0
    disagreements: int = 0


class Question(Struct, frozen=True, eq=False):
    """One flow to ask."""

    source: Place
    sourceAddress: int
    destination: int
    protocol: str
    sourcePorts: tuple[int, int]
    """First source port, and first one after: any of them will do."""
    destinationPort: int
    pair: Pair | None
    classes: Classes | None
    """The classes that it represents one of."""
    passes: bool
    """Do the NSGs let it pass?"""
    why: str
    """Which boundary it is at, for people."""

    @property
    def leaves_a_trace(self) -> bool:
        """Would the same question pass unseen for four minutes, and would its mirror image? (NSG-23)."""
        first, end = self.sourcePorts
        return self.protocol != "Icmp" and (self.protocol not in ("Tcp", "Udp") or end - first < FRESH)


class Plan(Struct):
    """All questions, and the pairs that they are about."""

    questions: list[Question]
    pairs: list[Pair]


def places(network: Network) -> tuple[list[Place], list[Place]]:
    """Senders, and receivers."""
    senders: list[Place] = []
    public: list[Place] = []
    for nic in network.nics.values():
        for config in nic.ipConfigs:
            name = nic.name if len(nic.ipConfigs) == 1 else f"{nic.name} {config.address}"
            senders.append(Place(name, nic.subnet.path, nic.machine, int(config.address), nic.name))
            if config.publicIP is not None:
                where = config.publicIP
                public.append(Place(where.name, "public", nic.machine, int(where.address), nic.name))
    hosts = [Place(host.name, "internet", host.name, int(host.address)) for host in network.hosts.values()]
    senders += hosts
    return senders, [*senders, *public]


class Planner:
    """Makes the plan of one network."""

    def __init__(self, engine: Engine) -> None:
        self.network = engine.network
        self.placement: Placement = engine.placement
        self.classifying = Classifying()
        self._asked: set[int] = set()
        self._outcomes: dict[int, list[Class]] = {}
        self._portless: set[tuple[object, ...]] = set()
        self.seen: set[tuple[object, ...]] = set()
        """Boundaries of addresses that have been asked at."""

    def plan(self) -> Plan:
        """Every question."""
        senders, receivers = places(self.network)
        result = Plan([], [])
        own = {
            machine.name: {int(config.address) for nic in machine.nics for config in nic.ipConfigs}
            for machine in self.network.machines.values()
        }
        own |= {host.name: {int(host.address)} for host in self.network.hosts.values() if host.name not in own}
        for source in senders:
            asked: set[int] = set()
            for target in receivers:
                if target.address in own[source.node] or target.address in asked:
                    continue  # local to the guest; or the same address in another network
                asked.add(target.address)
                pair = Pair(source, target)
                result.pairs.append(pair)
                result.questions += self._pair(pair)
            result.questions += limits(self, source)
        return result

    def waves(self, plan: Plan) -> list[list[Question]]:
        """The questions, apart from each other where one would pass by the record that another one leaves.

        That may be where a protocol has no ports, or a flow's are given, and the other way round is asked as well.
        """
        waves: list[list[Question]] = [[]]
        count: Counter[frozenset[str]] = Counter()
        for question in plan.questions:
            if not question.leaves_a_trace:
                waves[0].append(question)
                continue
            ends = frozenset((question.source.node, self._owner(question.destination)))
            count[ends] += 1
            if count[ends] == len(waves):
                waves.append([])
            waves[count[ends]].append(question)
        return waves

    def _owner(self, address: int) -> str:
        public = self.placement.public.get(address)
        owners = (found[address].machine for found in self.placement.owners.values() if address in found)
        return public[0].machine if public else self.placement.hosts.get(address) or next(owners, "")

    def sender(self, place: Place) -> Port | str:
        """The port of a NIC; a host by its name."""
        return self.placement.ports[place.nic] if place.nic is not None else place.name

    def _pair(self, pair: Pair) -> Iterator[Question]:
        for protocol, number in PROTOCOLS.items():
            classes = self.classes(pair.source, pair.source.address, pair.target.address, number)
            for each in self._worth(classes):
                yield self.question(pair.source, pair.target.address, protocol, classes, each, pair=pair, why="pair")
        for protocol, number in WITHOUT_PORTS.items():
            asked = self.asked(pair.source, pair.source.address, pair.target.address, number)
            key = (protocol, *((id(each.classifier), each.mask) for each in asked))
            if key not in self._portless:
                self._portless.add(key)
                classes = self.classifying.classes(asked, number)
                (only,) = classes.members
                yield self.question(pair.source, pair.target.address, protocol, classes, only, why="protocol")

    def classes(self, source: Place, address: int, destination: int, protocol: int) -> Classes:
        """The classes of the flows between two addresses."""
        return self.classifying.classes(self.asked(source, address, destination, protocol), protocol)

    def asked(self, source: Place, address: int, destination: int, protocol: int) -> list[Asked]:
        """The NSGs that flows between two addresses may be asked by."""
        ports = (49152, 1) if protocol in (TCP, UDP) else (0, 0)
        return survey(self.placement, self.sender(source), Packet(address, destination, protocol, *ports))

    def question(
        self, source: Place, destination: int, protocol: str, classes: Classes, each: Class,
        *, pair: Pair | None = None, why: str, address: int | None = None,
    ) -> Question:  # fmt: skip
        """A question for one class."""
        return Question(
            source, source.address if address is None else address, destination, protocol, each.sourcePorts,
            each.destinationPort, pair, classes, each.allowed, why,
        )  # fmt: skip

    def _worth(self, classes: Classes) -> Iterator[Class]:
        if len(classes.members) <= PLENTY or id(classes) not in self._asked:
            self._asked.add(id(classes))
            yield from classes.members
            return
        yield from self.outcomes(classes)

    def outcomes(self, classes: Classes) -> list[Class]:
        """One class of each outcome."""
        if classes.members and id(classes) not in self._outcomes:
            self._outcomes[id(classes)] = list(outcomes(classes))
        return self._outcomes[id(classes)]


def outcomes(classes: Classes) -> Iterator[Class]:
    """One class that passes, and one for each NSG that denies, with a fresh source port if there is one."""
    seen: set[tuple[int, bool]] = set()
    for each in sorted(classes.members, key=lambda member: member.sourcePorts[0] - member.sourcePorts[1]):
        outcome = len(each.decisions), each.allowed
        if outcome not in seen:
            seen.add(outcome)
            yield each
