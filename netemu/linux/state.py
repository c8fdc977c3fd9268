"""The vocabulary of a desired state: plain values, in the kernel's own words.

Addresses are 32-bit integers and MAC addresses six bytes, the forms in which they go out on netlink; a lab of 1000
machines has tens of thousands of them.
"""

from __future__ import annotations

from msgspec import Struct, field


class End(Struct, frozen=True):
    """One end of a veth pair. The index is ours to choose, so nothing has to be read back."""

    namespace: str
    name: str
    index: int
    mac: bytes
    noarp: bool = False
    """On a link between two routers: no ARP; both ends carry the same MAC."""
    proxy_arp: bool = False
    """Answer ARP for every address that is routed by another device."""


class Veth(Struct, frozen=True):
    """A veth pair. `near` is created up in its own namespace; `far` is raised with the rest of its namespace."""

    near: End
    far: End


class Address(Struct, frozen=True):
    """An IPv4 address of an interface."""

    index: int
    address: int
    prefix_length: int


class Route(Struct, frozen=True):
    """A unicast route: out of the device, by a gateway when there is one."""

    index: int
    destination: int
    prefix_length: int
    table: int = 254
    gateway: int | None = None
    onlink: bool = False
    metric: int = 0
    """Ours have none; what somebody has given another one to is another route."""


class Rule(Struct, frozen=True):
    """`ip rule add pref P fwmark M/MASK lookup TABLE`, or by interface or source where there is no mask."""

    priority: int
    mark: int
    mask: int
    table: int
    iif: str | None = None
    source: int | None = None


class Neighbour(Struct, frozen=True):
    """A permanent neighbour: no ARP is sent for it and it does not count against gc_thresh3."""

    index: int
    address: int
    mac: bytes


class Destination(Struct, frozen=True):
    """Where an IPVS service sends connections."""

    member: int
    """Its number in the groups of its namespace; not known to the kernel."""
    address: int
    port: int


class VirtualService(Struct, frozen=True):
    """An IPVS service. Destinations are in the order in which the schedulers of the kernel have them."""

    protocol: int
    address: int
    port: int
    scheduler: str
    flags: int
    destinations: tuple[Destination, ...]
    group: str = ""
    """Whose health its destinations share; not known to the kernel."""


class VirtualTimeouts(Struct, frozen=True):
    """Seconds that IPVS keeps a connection without a packet."""

    tcp: int
    tcp_fin: int
    udp: int


class Group(Struct, frozen=True):
    """Members that new flows are spread over, and whose health is one thing."""

    name: str
    members: tuple[int, ...]
    labels: tuple[str, ...]
    """What each member is called by those who know its health."""
    rules: tuple[int, ...]
    """Numbers of the rules that spread over it, as they stand in connections' marks."""
    slots: int
    """Size of its table of slots, a map in nftables; 0 when nobody asks for one."""
    revives: bool
    """When all are down, all count as up."""
    lasts: bool
    """When all are down, established connections of TCP go on."""


class Balancing(Struct, frozen=True):
    """What spreads flows in a namespace. Which members are down is not in it: that changes while the lab runs."""

    groups: tuple[Group, ...]
    services: tuple[VirtualService, ...] = ()
    timeouts: VirtualTimeouts | None = None
    """None where IPVS is not used."""
    rules: tuple[int, ...] = ()
    """Every rule that flows may have in their marks: those of others are forgotten."""
    resets: dict[int, int] = field(default_factory=dict)
    """Rules whose TCP connections are reset at both ends when they are forgotten for idleness, with the seconds."""
    ways: dict[int, tuple[str, str]] = field(default_factory=dict)
    """Interfaces by member: what is for it goes out by the one, what it answers comes and goes by the other."""


Down = dict[str, tuple[int, ...]]
"""The members that are down, by group."""


class Check(Struct, frozen=True):
    """Asks one place again and again whether it is up. Times are seconds."""

    namespace: str
    """Where it is asked from."""
    watch: str
    """What the health of those who are asked alike goes by; with `member` it is the name of this check."""
    member: str
    kind: str
    """`tcp`: a handshake will do; `http` and `https`: the answer to a GET has to be 200."""
    source: int
    address: int
    port: int
    path: str
    interval: float
    timeout: float
    fall: int
    """Failures in a row after which what was up is down."""
    rise: int
    """Successes in a row after which what was down is up."""


class Program(Struct, frozen=True):
    """A program that runs in a namespace from `up` to `down`."""

    name: str
    """Names its log file and its place in messages."""
    argv: tuple[str, ...]
    reloads: tuple[str, ...] = ()
    """Names of a daemon's files that it reads again on SIGHUP; other files take a new start."""
    ready: str = ""
    """Words that a daemon's log has when it serves, and when it has read its files again."""


class Namespace(Struct):
    """A network namespace as it should be."""

    name: str
    addresses: list[Address] = field(default_factory=list)
    routes: list[Route] = field(default_factory=list)
    rules: list[Rule] = field(default_factory=list)
    neighbours: list[Neighbour] = field(default_factory=list)
    sysctls: dict[str, str] = field(default_factory=dict)
    """Below /proc/sys/net, for example `ipv4/ip_forward`; written before any interface is made."""
    settings: dict[str, str] = field(default_factory=dict)
    """The same, but written when the interfaces are there."""
    ruleset: str = ""
    """nftables text; one transaction. `Lab.ruleset` adds what health decides."""
    balancing: Balancing | None = None
    hostname: str | None = None
    files: dict[str, str] = field(default_factory=dict)
    """Contents of files that programs inside see in /etc."""
    daemons: list[Program] = field(default_factory=list)
    """Parts of the lab itself: `up` waits until each is ready to serve."""
    daemon_files: dict[str, str] = field(default_factory=dict)
    """Files that the daemons read, by name below the lab's folder."""
    programs: list[Program] = field(default_factory=list)


class Lab(Struct):
    """Everything that a lab should be, in the order in which it is built."""

    name: str
    namespaces: dict[str, Namespace] = field(default_factory=dict)
    veths: list[Veth] = field(default_factory=list)
    down: Down = field(default_factory=dict)
    checks: tuple[Check, ...] = ()
    """What the agent asks, and so finds out who is down."""

    def ends(self) -> dict[str, list[tuple[End, Veth]]]:
        """The veth ends of each namespace."""
        result: dict[str, list[tuple[End, Veth]]] = {name: [] for name in self.namespaces}
        for veth in self.veths:
            result[veth.near.namespace].append((veth.near, veth))
            result[veth.far.namespace].append((veth.far, veth))
        return result


class Applied(Struct):
    """What was last loaded into nftables: text and the kernel's count of transactions thereafter, by namespace."""

    rulesets: dict[str, str] = field(default_factory=dict)
    generations: dict[str, int] = field(default_factory=dict)
    balancing: dict[str, Balancing] = field(default_factory=dict)


class Loaded(Struct):
    """The same of one namespace, since its members' health has changed."""

    ruleset: str
    generation: int
