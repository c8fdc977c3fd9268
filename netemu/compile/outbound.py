"""Which public address and ports a machine's own flows leave with, where it has no public IP of its own (OUT-1).

A NAT gateway gives any of its addresses, and ports on demand. A load balancer gives each member of a pool ports of its
frontend in advance, and no more than those: when all are taken towards a destination, a new flow is dropped (OUT-29).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address

from netemu.azure.network import InboundNatRule, LoadBalancer, LoadBalancingRule, Member, Network
from netemu.compile.nft_text import chain, named_map
from netemu.compile.numbering import Numbering

BLOCK = 8
"""Ports are given out in blocks; the port of a rule takes its whole block away (OUT-27)."""
FIRST, LAST = 1024, 65535
SHARES = ((50, 1024), (100, 512), (200, 256), (400, 128), (800, 64))
"""Members of a pool, and the ports that each gets (OUT-25); 32 above."""
LEAST = 32

WORDS = {"Tcp": ("tcp",), "Udp": ("udp",), "All": ("tcp", "udp")}

Share = tuple[IPv4Address, int, int]
"""Public address, first and last port."""


def share_of(members: int) -> int:
    """Ports for each member of a pool, where nobody has said how many."""
    return next((ports for most, ports in SHARES if members <= most), LEAST)


def shares(network: Network) -> dict[tuple[str, str], Share]:
    """`<NIC>/<IP configuration>` and protocol to what load balancers give it (OUT-8, OUT-32, OUT-33).

    Outbound rules come before rules that let out by the way; of several frontends the first serves (OUT-31).
    """
    result: dict[tuple[str, str], Share] = {}
    for balancer in network.loadBalancers.values():
        if balancer.is_public:
            for members, words, address, ports in _grants(balancer):
                for word in words:
                    waiting = [member for member in members if (member.path, word) not in result]
                    windows = _windows(ports, _taken(balancer, address))
                    for member, (first, last) in zip(waiting, windows, strict=False):
                        if member.ipConfig.primary:
                            result[member.path, word] = address, first, last
    return result


def _grants(balancer: LoadBalancer) -> Iterator[tuple[tuple[Member, ...], tuple[str, ...], IPv4Address, int]]:
    for outbound in balancer.outboundRules.values():
        members = outbound.pool.members
        ports = outbound.allocatedOutboundPorts or share_of(len(members))
        yield members, WORDS[outbound.protocol], outbound.frontends[0].address, ports
    for rule in balancer.loadBalancingRules.values():
        if not rule.disableOutboundSnat:
            members = rule.pool.members
            words = WORDS[rule.protocol if balancer.sku == "Standard" else "All"]
            yield members, words, rule.frontend.address, share_of(len(members))


def _taken(balancer: LoadBalancer, address: IPv4Address) -> set[int]:
    """The blocks that rules of a frontend have taken."""
    rules: tuple[LoadBalancingRule | InboundNatRule, ...] = (
        *balancer.loadBalancingRules.values(),
        *balancer.inboundNatRules.values(),
    )
    return {rule.frontendPort // BLOCK for rule in rules if rule.frontend.address == address}


def _windows(size: int, taken: set[int]) -> Iterator[tuple[int, int]]:
    """Ranges of ports without a block that is taken."""
    first = FIRST
    while first + size - 1 <= LAST:
        last = first + size - 1
        met = [block for block in taken if first // BLOCK <= block <= last // BLOCK]
        if met:
            first = (max(met) + 1) * BLOCK
            continue
        yield first, last
        first = last + 1


def gateway_addresses(network: Network) -> Iterator[tuple[IPv4Address, str]]:
    """The addresses of NAT gateways in use, and the virtual network that each belongs to."""
    for subnet in network.subnets():
        if subnet.natGateway is not None:
            for address in network.natGateways[subnet.natGateway].addresses:
                yield address, subnet.virtualNetwork


def compile_outbound(network: Network, numbers: Numbering) -> Iterator[str]:
    """The maps that the edge asks: `gateways` and `shares`."""
    used: dict[str, None] = {}
    behind: list[str] = []
    given: list[str] = []
    granted = shares(network)
    for nic, config in network.addresses():
        key = f'"{numbers.edge_link[nic.subnet.virtualNetwork]}" . {config.address}'
        gateway = nic.subnet.natGateway
        if gateway is not None:
            used[gateway] = None
            behind.append(f"{key} : goto gateway/{gateway}")
        elif config.publicIP is None:
            for word in ("tcp", "udp"):
                share = granted.get((f"{nic.name}/{config.name}", word))
                if share is not None:
                    address, first, last = share
                    given.append(f"{key} . {word} : {address} . {first}-{last}")
    for name in used:
        yield from _gateway(name, network.natGateways[name].addresses)
    yield from named_map("gateways", "ifname . ipv4_addr : verdict", behind)
    yield from named_map("shares", "ifname . ipv4_addr . inet_proto : interval ipv4_addr . inet_service", given)


def _gateway(name: str, addresses: Iterable[IPv4Address]) -> Iterator[str]:
    """OUT-40, OUT-41: TCP and UDP only, by any of the addresses."""
    choice = dict(enumerate(addresses))
    yield from named_map(f"addresses/{name}", "mark : ipv4_addr", (f"{number} : {a}" for number, a in choice.items()))
    yield from chain(
        f"gateway/{name}",
        [
            f"meta mark set numgen random mod {len(choice)}",  # nothing asks the mark any more
            f"meta l4proto {{ tcp, udp }} snat to meta mark map @addresses/{name}",
            'counter drop comment "protocol"',
        ],
    )
