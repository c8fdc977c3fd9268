"""168.63.129.16 of each virtual network: a namespace that answers DNS (PLT-1, DNS-1…DNS-5).

dnsmasq serves; one per virtual network, because names of one network do not resolve in another (DNS-3) and networks
may have equal addresses.
"""

from __future__ import annotations

from netemu.azure.network import PLATFORM_ADDRESS, Network
from netemu.compile.director import direct
from netemu.compile.directors import directors
from netemu.compile.fabric import ROUTER_SYSCTLS, TABLE
from netemu.compile.numbering import LINK_MAC, NEXT_HOP, Numbering, platform_namespace
from netemu.compile.routes import by_link
from netemu.linux.state import Address, Namespace, Neighbour, Program

LINK_INDEX = 2
TTL = 10
"""Seconds; what registered names have on Azure (DNS-17)."""


def compile_platform(network: Network, folder: str, numbers: Numbering, engine: str) -> list[Namespace]:
    """One namespace for each virtual network; their daemons' files lie in `folder`.

    Where the network has load balancers it is their director, too.
    """
    busy = directors(network)
    result = []
    for name in network.virtualNetworks:
        namespace = _platform(network, name, folder)
        if name in busy:
            direct(namespace, network, busy[name], numbers, engine)
        result.append(namespace)
    return result


def _platform(network: Network, virtual_network: str, folder: str) -> Namespace:
    daemon = f"dns.{virtual_network}"
    path = f"{folder}/{daemon}"
    return Namespace(
        name=platform_namespace(virtual_network),
        sysctls={**ROUTER_SYSCTLS, "ipv4/ip_forward": "0"},
        addresses=[Address(1, int(PLATFORM_ADDRESS), 32)],
        routes=[by_link(LINK_INDEX, 0, 0)],
        neighbours=[Neighbour(LINK_INDEX, NEXT_HOP, LINK_MAC)],
        ruleset=f"""table ip {TABLE} {{
chain services {{
 type filter hook input priority 0; policy drop;
 iifname "lo" accept
 ip daddr {PLATFORM_ADDRESS} meta l4proto {{ tcp, udp }} th dport 53 accept
 counter comment "not a service of 168.63.129.16"
}}
}}
""",
        daemons=[Program(daemon, ("dnsmasq", f"--conf-file={path}.conf"), reloads=f"{daemon}.hosts")],
        daemon_files={
            f"{daemon}.conf": dns_configuration(path),
            f"{daemon}.hosts": dns_names(network, virtual_network),
        },
    )


def dns_configuration(path: str) -> str:
    """dnsmasq's configuration for one virtual network; the names are in a file of their own.

    Whatever is not there does not exist (`local=/#/`): NXDOMAIN, never a refusal.
    """
    return "\n".join(
        (
            "no-resolv", "no-hosts", f"addn-hosts={path}.hosts", "no-poll", "bind-interfaces",
            f"listen-address={PLATFORM_ADDRESS}", "cache-size=10000", "user=root", "group=", f"pid-file={path}.pid",
            f"log-facility={path}.log", f"local-ttl={TTL}", "local=/#/", "",
        )
    )  # fmt: skip


def dns_names(network: Network, virtual_network: str) -> str:
    """The names that one virtual network knows, as /etc/hosts has them.

    Each VM's host name and its NICs' extra names (DNS-2), nothing that a person adds (DNS-5); hosts of the lab's
    internet by their plain names. The first name of an address answers its reverse lookup: DNS-4's form.
    """
    lines = []
    suffix = network.virtualNetworks[virtual_network].internalDomainNameSuffix
    for machine in network.machines.values():
        primary = machine.nics[0]
        if primary.subnet.virtualNetwork != virtual_network:
            continue
        names = [machine.computerName]
        names += [nic.internalDnsNameLabel for nic in machine.nics if nic.internalDnsNameLabel]
        known = " ".join(f"{name}.{suffix}" for name in names)
        lines.append(f"{primary.address} {machine.computerName}.internal.cloudapp.net {known}\n")
    lines += [f"{host.address} {host.name}\n" for host in network.hosts.values()]
    return "".join(lines)
