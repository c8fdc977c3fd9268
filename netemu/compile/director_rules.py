"""The ruleset of a director.

A packet meets, in the order of the hooks:

    prerouting -300  arrive    nothing but TCP and UDP (LB-9); the conntrack zone of what comes as a route's next hop
    prerouting -140  ttl       puts back what forwarding takes (ARP-7)
    prerouting -100  choose    once for each flow: its rule, its idle time, its member, and the translation (LB-2, LB-3)
    prerouting  -90  steer     flows without a rule end here (LB-8), and packets of flows that are forgotten (LB-23)
    input         0  services  what 168.63.129.16 serves
    input       200  unserved  what IPVS has not taken
    output        0  own       no word of the director's own: drops are silent (PIPE-8)
    postrouting   0  served    which member IPVS has chosen

Conntrack's mark of a flow says which rule and which member it has (see `numbering`). Replies need no rules: conntrack,
or IPVS, translates them back, and they leave by the link that they came in by.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence

from netemu.azure.network import PLATFORM_ADDRESS, InboundNatRule, LoadBalancingRule, Network
from netemu.compile import services
from netemu.compile.directors import HOP, REPLIES, Director
from netemu.compile.nft_text import chain, named_map, named_set, pairs
from netemu.compile.numbering import ANSWERED, RULE_SHIFT, UDP, UNCHANGED, Numbering
from netemu.compile.security import has_security_group
from netemu.compile.times import seconds
from netemu.compile.ttl import restore_ttl
from netemu.compile.virtual_services import group_name
from netemu.linux.balancing import DESERTED
from netemu.linux.slots import size_for

TABLE = "netemu"
PLATFORM_LINK = "eth0"
UDP_MINUTES = 4
"""A rule's idle time is TCP's (LB-23)."""
PROTOCOLS = {"Tcp": ("tcp",), "Udp": ("udp",), "All": ("tcp", "udp")}
NAME_LIMIT = 200
"""Characters of a name in nftables; the kernel takes 255."""
COMMENT_LIMIT = 120
"""Characters of a comment; 128 bytes are the most."""
RANGE = "seed 0x6e657465"
HASHED = {
    "Default": "ip saddr . ip daddr . ip protocol . th sport . th dport",
    "SourceIP": "ip saddr . ip daddr",
    "SourceIPProtocol": "ip saddr . ip daddr . ip protocol",
}
"""What stays together (LB-3)."""
NO_BACKEND, NO_RULE, NO_FLOW, CLOSED = "no healthy backend", "no load-balancing rule", "no flow", "Standard public IP"
"""Comments of the rules that drop."""

AnyRule = LoadBalancingRule | InboundNatRule


def director_rules(network: Network, each: Director, numbers: Numbering, served: Sequence[LoadBalancingRule]) -> str:
    """The ruleset of a director; `served` are the rules of IPVS."""
    table = _Table(network, each, numbers, {rule.path for rule in served})
    return "\n".join([f"table ip {TABLE} {{", *table.text(), "}", *restore_ttl(), ""])


def named(*parts: str, limit: int = NAME_LIMIT) -> str:
    """A name, with a digest in the place of its end where it would be too long."""
    name = "/".join(parts)
    if len(name) <= limit:
        return name
    return f"{name[: limit - 17]}~{hashlib.blake2s(name.encode(), digest_size=8).hexdigest()}"


def comment_of(rule: AnyRule) -> str:
    """What counts the flows that a rule has led to a backend is called."""
    return rule.name if len(rule.name) <= COMMENT_LIMIT else named(rule.name, limit=COMMENT_LIMIT)


def chains_of(rule: AnyRule) -> tuple[str, ...]:
    """The chains whose counters are this rule's: what it has passed on has its name as comment."""
    if isinstance(rule, InboundNatRule):
        return (named("nat", rule.loadBalancer, rule.name),)
    first = [named(kind, rule.loadBalancer, rule.name) for kind in ("rule", "hop")]
    return (*first, *(f"{name}/chosen" for name in first))


class _Table:
    """The parts of the table, collected rule by rule."""

    def __init__(self, network: Network, each: Director, numbers: Numbering, served: set[str]) -> None:
        self.network, self.each, self.numbers, self.served = network, each, numbers, served
        self.idle: dict[str, list[str]] = {}
        """Declarations of idle times."""
        self.chains: list[str] = []
        self.ways: dict[str, str] = {}
        """Frontend, protocol and port to where such a flow goes."""
        self.whole: dict[str, str] = {}
        """Frontend to where all its flows go (LB-18)."""
        self.hops: dict[str, str] = {}
        self.zones: dict[str, str] = {}
        self.chosen: dict[str, str] = {}
        """A flow's mark without member, and the destination that IPVS has chosen, to the whole mark."""
        self.closed: list[str] = []
        """Whole marks of flows that IPVS must not lead to where Standard is closed (OUT-17)."""

    def text(self) -> list[str]:
        members = self.each.members()
        for rule in self.each.rules:
            self._balance(rule)
        for nat in self.each.nat_rules:
            self._lead(nat)
        for path, rule in self.each.hops.items():
            self._pass_on(path, rule)
        links = self.each.links(self.numbers.tables_of(self.each.virtual_network))
        replies = [self.numbers.director_link[key] for key in links if key.startswith(f"{REPLIES}/")]
        addresses = {f"{self.numbers.member[path]:#x}": str(member.address) for path, member in members.items()}
        open_to_none = (path for path, member in members.items() if not has_security_group(member.nic))
        return [
            *services.SETS,
            *(line for declaration in self.idle.values() for line in declaration),
            *named_set("replies", "ifname", (f'"{link}"' for link in replies)),
            *named_set("unguarded", "mark", (f"{self.numbers.member[path]:#x}" for path in open_to_none)),
            *named_map("address", "mark : ipv4_addr", pairs(addresses)),
            *self.chains,
            *named_map("rules", "ipv4_addr . inet_proto . inet_service : verdict", pairs(self.ways)),
            *named_map("ha_ports", "ipv4_addr : verdict", pairs(self.whole)),
            *named_map("next_hops", "ifname : verdict", pairs(self.hops)),
            *named_map("zone_of_link", "ifname : verdict", pairs(self.zones)),
            *_hooks(bool(self.served), bool(self.hops)),
            *(self._served() if self.served else ()),
        ]

    # ---- rules -------------------------------------------------------------------------------------------------------

    def _balance(self, rule: LoadBalancingRule) -> None:
        name = named("rule", rule.loadBalancer, rule.name)
        frontend = rule.frontend.address
        for protocol in PROTOCOLS[rule.protocol] if not rule.is_ha_ports else ():
            self.ways[f"{frontend} . {protocol} . {rule.frontendPort}"] = f"goto {name}"
        if rule.is_ha_ports:
            self.whole[str(frontend)] = f"goto {name}"
        if rule.path in self.served:
            self.chains += chain(name, self._hand_over(rule))
            return
        last = f"{name}/chosen"
        self.chains += chain(last, [*self._note(rule, rule.enableFloatingIP), *self._translate(rule)])
        self.chains += chain(name, self._spread(rule, last))

    def _lead(self, rule: InboundNatRule) -> None:
        """An inbound NAT rule: one member, up or down (LB-17)."""
        name = named("nat", rule.loadBalancer, rule.name)
        for protocol in PROTOCOLS[rule.protocol]:
            self.ways[f"{rule.frontend.address} . {protocol} . {rule.frontendPort}"] = f"goto {name}"
        lines = [*self._idle_times(rule), f"meta mark set {self.numbers.member[rule.member.path]:#x}"]
        self.chains += chain(name, [*lines, *self._note(rule, rule.enableFloatingIP), *self._translate(rule)])

    def _pass_on(self, path: str, rule: LoadBalancingRule) -> None:
        """HA ports as a route's next hop: the packet goes on as it is, to one appliance in both directions (NVA-6).

        Each such frontend has a zone: a flow may pass several.
        """
        link, zone = self.numbers.director_link[f"{HOP}/{path}"], self._number(rule)
        name = named("hop", rule.loadBalancer, rule.name)
        last = f"{name}/chosen"
        self.chains += chain(last, self._note(rule, unchanged=True))
        self.chains += chain(name, self._spread(rule, last))
        self.chains += chain(f"zone{zone}", [f"ct zone set {zone}"])
        self.hops[f'"{link}"'], self.zones[f'"{link}"'] = f"goto {name}", f"jump zone{zone}"

    def _spread(self, rule: LoadBalancingRule, target: str) -> Iterator[str]:
        yield from self._idle_times(rule)
        size = size_for(len(rule.pool.members))
        yield f"meta mark set jhash {HASHED[rule.loadDistribution]} mod {size} {RANGE}"
        yield f"meta mark set meta mark map @slots/{group_name(rule)} goto {target}"
        yield f'counter drop comment "{NO_BACKEND}"'

    def _hand_over(self, rule: LoadBalancingRule) -> Iterator[str]:
        """IPVS chooses when the packet is to be delivered; what it has chosen is noted when it leaves."""
        yield from self._idle_times(rule)
        yield f'ip daddr . ip protocol . th dport @{DESERTED} counter drop comment "{NO_BACKEND}"'
        yield f'counter comment "{comment_of(rule)}"'
        mark = self._mark(rule) | (UDP if rule.protocol == "Udp" else 0)
        yield f"ct mark set {mark:#x}"
        for member in rule.pool.members:
            whole = f"{mark | self.numbers.member[member.path]:#x}"
            self.chosen[f"{mark:#x} . {member.address}"] = whole
            if self._may_be_closed(rule) and not has_security_group(member.nic):
                self.closed.append(whole)

    def _note(self, rule: AnyRule, unchanged: bool) -> Iterator[str]:
        """Write into the flow's mark whose it is; the member's number is in the packet's."""
        if self._may_be_closed(rule):
            yield f'meta mark @unguarded counter drop comment "{CLOSED}"'
        yield f'counter comment "{comment_of(rule)}"'
        mark = self._mark(rule) | (UNCHANGED if unchanged else 0)
        if "tcp" in PROTOCOLS[rule.protocol]:
            yield f"ct mark set meta mark | {mark:#x}"
        if "udp" in PROTOCOLS[rule.protocol]:
            yield f"{'meta l4proto udp ' if rule.protocol == 'All' else ''}ct mark set meta mark | {mark | UDP:#x}"

    def _translate(self, rule: AnyRule) -> Iterator[str]:
        """LB-2; with floating IP the address stays (LB-16)."""
        own = rule.frontendPort == rule.backendPort
        if rule.enableFloatingIP:
            if not own:
                yield f"meta l4proto {{ tcp, udp }} dnat ip to {rule.frontend.address}:{rule.backendPort}"
        elif own:
            yield "dnat ip to meta mark map @address"
        else:
            yield f"meta l4proto {{ tcp, udp }} dnat ip to meta mark map @address:{rule.backendPort}"

    def _idle_times(self, rule: AnyRule) -> Iterator[str]:
        for protocol in PROTOCOLS[rule.protocol]:
            minutes = rule.idleTimeoutInMinutes if protocol == "tcp" else UDP_MINUTES
            time = seconds(self.network, minutes)
            states = ("established", "close_wait") if protocol == "tcp" else ("unreplied", "replied")
            name = f"{protocol}-{time}"
            policy = ", ".join(f"{state} : {time}" for state in states)
            self.idle[name] = [f"ct timeout {name} {{", f" protocol {protocol}", f" policy = {{ {policy} }}", "}"]
            yield f'ct timeout set "{name}"'

    def _number(self, rule: AnyRule) -> int:
        return self.numbers.rule_of(self.each.virtual_network, rule)

    def _mark(self, rule: AnyRule) -> int:
        return self._number(rule) << RULE_SHIFT

    def _may_be_closed(self, rule: AnyRule) -> bool:
        """OUT-17: a Standard public frontend leads to nobody who has no NSG."""
        return rule.frontend.is_public and rule.frontend.sku == "Standard"

    def _served(self) -> Iterator[str]:
        yield from named_map("chosen", "mark . ipv4_addr : mark", pairs(self.chosen))
        yield from named_set("closed", "mark", self.closed)
        yield from chain(
            "served",
            [
                "ct mark set ct mark . ip daddr map @chosen",
                f'ct state new ct mark @closed counter drop comment "{CLOSED}"',
            ],
            "type filter hook postrouting priority 0; policy accept;",
        )
        yield from chain(
            "unserved",
            [f'iifname != {{ "lo", "{PLATFORM_LINK}" }} counter drop comment "{NO_FLOW}"'],
            "type filter hook input priority 200; policy accept;",
        )


def _hooks(ipvs: bool, hops: bool) -> Iterator[str]:
    yield from chain("from_guest", [f"{services.DNS} notrack"])
    yield from chain(
        "arrive",
        [
            f'iifname "{PLATFORM_LINK}" goto from_guest',
            *(["iifname vmap @zone_of_link"] if hops else []),
            "meta l4proto tcp accept",
            "meta l4proto udp accept",
            'counter drop comment "protocol"',
        ],
        "type filter hook prerouting priority -300; policy accept;",
    )
    yield from chain(
        "choose",
        ["iifname vmap @next_hops", "ip daddr . ip protocol . th dport vmap @rules", "ip daddr vmap @ha_ports"],
        "type nat hook prerouting priority -100; policy accept;",
    )
    yield from chain(
        "steer",
        [
            f"ct mark & {ANSWERED | UNCHANGED:#x} == {ANSWERED:#x} accept",  # what nearly every packet has
            f'iifname "{PLATFORM_LINK}" accept',
            f'ct state invalid counter drop comment "{NO_FLOW}"',
            f'ct mark 0 iifname @replies counter drop comment "{NO_FLOW}"',
            f'ct mark 0 counter drop comment "{NO_RULE}"',
            f"ct direction reply ct mark & {ANSWERED:#x} == 0 ct mark set ct mark | {ANSWERED:#x}",
            f"iifname != @replies ct mark & {UNCHANGED:#x} != 0 meta mark set ct mark",
        ],
        "type filter hook prerouting priority -90; policy accept;",
    )
    yield from chain(
        "services",
        [
            *services.RULES,
            f"ip daddr {PLATFORM_ADDRESS} ct state established,related accept",
            *([f'iifname != "{PLATFORM_LINK}" accept'] if ipvs else []),
            services.LAST_RULE,
        ],
        services.INPUT,
    )
    errors = "icmp type { destination-unreachable, time-exceeded, parameter-problem }"
    yield from chain("own", [f"{errors} drop"], "type filter hook output priority 0; policy accept;")
