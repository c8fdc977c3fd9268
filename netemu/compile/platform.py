"""168.63.129.16 of each virtual network: a namespace that answers DNS (PLT-1, DNS-1…DNS-5).

dnsmasq serves; one per virtual network, because names of one network do not resolve in another (DNS-3) and networks
may have equal addresses.
"""

from __future__ import annotations

from netemu.azure.network import PLATFORM_ADDRESS, Network
from netemu.compile.fabric import ROUTER_SYSCTLS, TABLE
from netemu.compile.numbering import platform_namespace
from netemu.linux.state import Address, Namespace, Program, Route

LINK_INDEX = 2
TTL = 10
"""Seconds; what registered names have on Azure (DNS-17)."""


def compile_platform(network: Network, folder: str) -> list[Namespace]:
    """One namespace for each virtual network; their daemons' files lie in `folder`."""
    return [_platform(network, name, folder) for name in network.virtualNetworks]


def _platform(network: Network, virtual_network: str, folder: str) -> Namespace:
    daemon = f"dns.{virtual_network}"
    path = f"{folder}/{daemon}"
    return Namespace(
        name=platform_namespace(virtual_network),
        sysctls={**ROUTER_SYSCTLS, "ipv4/ip_forward": "0"},
        addresses=[Address(1, int(PLATFORM_ADDRESS), 32)],
        routes=[Route(LINK_INDEX, 0, 0)],
        ruleset=f"""table ip {TABLE} {{
chain services {{
 type filter hook input priority 0; policy drop;
 iifname "lo" accept
 ip daddr {PLATFORM_ADDRESS} meta l4proto {{ tcp, udp }} th dport 53 accept
 counter comment "not a service of 168.63.129.16"
}}
}}
""",
        daemons=[Program(daemon, ("dnsmasq", f"--conf-file={path}.conf"))],
        daemon_files={f"{daemon}.conf": dns_configuration(network, virtual_network, path)},
    )


def dns_configuration(network: Network, virtual_network: str, path: str) -> str:
    """dnsmasq's configuration for one virtual network.

    The internal zone has each VM's host name and its NICs' extra names (DNS-2) and nothing else (DNS-5); a reverse
    lookup gives `<host>.internal.cloudapp.net` (DNS-4); hosts of the lab's internet have their plain names. Whatever
    is not here does not exist (`local=/#/`): NXDOMAIN, never a refusal.
    """
    suffix = network.virtualNetworks[virtual_network].internalDomainNameSuffix
    lines = [
        "no-resolv", "no-hosts", "no-poll", "bind-interfaces", f"listen-address={PLATFORM_ADDRESS}",
        "cache-size=10000", "user=root", "group=", f"pid-file={path}.pid", f"log-facility={path}.log",
        f"local-ttl={TTL}", "local=/#/",
    ]  # fmt: skip
    for machine in network.machines.values():
        primary = machine.nics[0]
        if primary.subnet.virtualNetwork != virtual_network:
            continue
        lines.append(f"ptr-record={primary.address.reverse_pointer},{machine.computerName}.internal.cloudapp.net")
        names = [machine.computerName]
        names += [nic.internalDnsNameLabel for nic in machine.nics if nic.internalDnsNameLabel]
        lines += [f"host-record={name}.{suffix},{primary.address}" for name in names]
    lines += [f"host-record={host.name},{host.address}" for host in network.hosts.values()]
    return "\n".join(lines) + "\n"
