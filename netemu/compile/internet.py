"""The lab's internet: a router, and a namespace for each host on it. Nothing of the real one."""

from __future__ import annotations

from collections.abc import Iterator

from netemu.azure.network import DEFAULT_OUTBOUND_POOL, PLATFORM_ADDRESS, PUBLIC_POOL, InternetHost, Network
from netemu.compile.edge import public_addresses
from netemu.compile.fabric import PRIVATE, ROUTER_SYSCTLS, TABLE
from netemu.compile.machines import HOST_SYSCTLS, programs
from netemu.compile.numbering import INTERNET, LINK_MAC, NEXT_HOP, Numbering
from netemu.compile.resolvers import add_resolver
from netemu.compile.routes import by_link
from netemu.compile.zone_files import authoritative_files, internet_files
from netemu.linux.state import Address, End, Namespace, Neighbour, Route, Veth

LOOPBACK_INDEX, EDGE_INDEX = 1, 2


def compile_internet(network: Network, numbers: Numbering, folder: str) -> tuple[list[Namespace], list[Veth]]:
    """The internet's router, with its name servers, and its hosts; the files of daemons lie in `folder`."""
    router = Namespace(
        name=INTERNET, sysctls=dict(ROUTER_SYSCTLS), neighbours=[Neighbour(EDGE_INDEX, NEXT_HOP, LINK_MAC)]
    )
    namespaces, veths = [router], []
    own = []
    for host in network.hosts.values():
        index, port = numbers.host_index[host.name], numbers.host[host.name]
        mac = bytes.fromhex(f"0200c0{index:06x}")
        own.append(f'"{port}" . {host.address}')
        router.routes.append(Route(index, int(host.address), 32))
        router.neighbours.append(Neighbour(index, int(host.address), mac))
        veths.append(
            Veth(
                End(host.name, "eth0", 2, mac),
                End(INTERNET, port, index, LINK_MAC),
            )
        )
        namespaces.append(_host(network, host))
    pools = [PUBLIC_POOL, DEFAULT_OUTBOUND_POOL]
    for pool in pools:
        router.routes.append(by_link(EDGE_INDEX, int(pool.network_address), pool.prefixlen))
    for address in sorted({address for address, _ in public_addresses(network)}):
        if not any(address in pool for pool in pools):
            router.routes.append(by_link(EDGE_INDEX, int(address), 32))
    router.ruleset = "\n".join(_ruleset(network, own))
    _add_name_servers(network, router, folder)
    return namespaces, veths


def _host(network: Network, host: InternetHost) -> Namespace:
    resolver = "".join(f"nameserver {address}\n" for address in network.publicResolvers[:1])
    return Namespace(
        name=host.name,
        sysctls=dict(HOST_SYSCTLS),
        addresses=[Address(2, int(host.address), 32)],
        routes=[Route(2, 0, 0, gateway=NEXT_HOP, onlink=True)],
        neighbours=[Neighbour(2, NEXT_HOP, LINK_MAC)],
        hostname=host.name,
        files={"hosts": "127.0.0.1 localhost\n", "resolv.conf": resolver},
        programs=programs(host.name, host.run),
    )


def _add_name_servers(network: Network, router: Namespace, folder: str) -> None:
    """DNS as everybody on the internet sees it, and the name servers of public zones (DNS-16)."""
    servers = tuple(network.nameServers.values())
    router.addresses += [Address(LOOPBACK_INDEX, int(address), 32) for address in (*network.publicResolvers, *servers)]
    if network.publicResolvers:
        zones = internet_files(network)
        add_resolver(router, INTERNET, folder, network.publicResolvers, zones, authoritative=False)
    if servers:
        add_resolver(router, "@name-servers", folder, servers, authoritative_files(network), authoritative=True)


def _ruleset(network: Network, own_addresses: list[str]) -> Iterator[str]:
    known = [str(PUBLIC_POOL), str(DEFAULT_OUTBOUND_POOL)]
    own = {host.address for host in network.hosts.values()} | {address for address, _ in public_addresses(network)}
    own |= {*network.publicResolvers, *network.nameServers.values()}
    known += [str(a) for a in sorted(own) if a not in PUBLIC_POOL and a not in DEFAULT_OUTBOUND_POOL]
    elements = f" elements = {{ {', '.join(own_addresses)} }}\n" if own_addresses else ""
    yield f"""table ip {TABLE} {{
set known {{
 type ipv4_addr
 flags interval
 elements = {{ {", ".join(known)} }}
}}
set own {{
 type ifname . ipv4_addr
{elements}}}
chain host {{
 type filter hook prerouting priority -310; policy accept;
 iifname != "edge" iifname . ip saddr != @own counter drop comment "source address"
}}
chain route {{
 type filter hook prerouting priority -300; policy accept;
 ip daddr {{ {PRIVATE}, {PLATFORM_ADDRESS} }} counter drop comment "private destination"
 ip daddr != @known counter drop comment "no such host"
}}
}}
"""
