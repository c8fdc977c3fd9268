"""Virtual machines: a namespace each, configured as Azure's DHCP would (NIC-4, PLT-5)."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from netemu.azure.network import PLATFORM_ADDRESS, Machine, Network, Subnet
from netemu.compile.fabric import port_end
from netemu.compile.numbering import FABRIC_MAC, Numbering
from netemu.compile.routes import IMDS_ADDRESS
from netemu.linux.state import Address, End, Namespace, Neighbour, Program, Route, Veth

HOST_SYSCTLS = {
    "ipv4/ip_forward": "0",
    "ipv4/conf/all/rp_filter": "0",
    "ipv4/conf/default/rp_filter": "0",
    "ipv6/conf/default/disable_ipv6": "1",
}
"""A guest does not forward until it is told to, and may have several NICs. IPv6 is out of scope (ARP-12)."""

APPLIANCE_SYSCTLS = {
    **HOST_SYSCTLS,
    "ipv4/conf/all/send_redirects": "0",
    "ipv4/conf/default/send_redirects": "0",
}
"""An appliance with one NIC would otherwise tell its clients to go past it. They would not listen: a redirect counts
only when it comes from the gateway in use (net/ipv4/route.c, __ip_do_redirect), and that is the fabric."""

SEVERAL_ADDRESSES = {"ipv4/conf/all/arp_announce": "2"}
"""Linux asks for a neighbour in the name of any of its addresses, unless told to take the one of that subnet and
interface; the fabric answers nobody who asks with an address of another NIC (ARP-2)."""

FIRST_INDEX = 2


def compile_machines(network: Network, numbers: Numbering) -> tuple[list[Namespace], list[Veth]]:
    """The namespaces of all VMs and their NICs' pairs."""
    namespaces, veths = [], []
    for machine in network.machines.values():
        namespace = _machine(network, machine)
        reached: set[str] = set()
        for nic in machine.nics:
            index = FIRST_INDEX + nic.index
            mac = bytes.fromhex(nic.macAddress.replace(":", ""))
            veths.append(Veth(End(machine.name, f"eth{nic.index}", index, mac), port_end(nic, numbers)))
            namespace.addresses.append(Address(index, int(nic.address), nic.subnet.prefix.prefixlen))
            gateway = int(nic.subnet.gateway)
            namespace.neighbours.append(Neighbour(index, gateway, FABRIC_MAC))
            if nic.subnet.path not in reached:  # of two NICs in a subnet Linux takes the first
                reached.add(nic.subnet.path)
                namespace.routes.extend(_by_gateway(index, nic.subnet))
            if nic.index == 0:
                namespace.routes.extend(  # PLT-5, option 121
                    Route(index, destination, length, gateway=gateway, onlink=True)
                    for destination, length in ((0, 0), (int(PLATFORM_ADDRESS), 32), (int(IMDS_ADDRESS), 32))
                )
        namespaces.append(namespace)
    return namespaces, veths


def _by_gateway(index: int, subnet: Subnet) -> Iterator[Route]:
    """The subnet in two halves, so that its neighbours are reached by the gateway, whose MAC they have anyhow (ARP-1).

    Otherwise the kernel would keep an entry for each of them, of 1024 for the whole machine: one VM that scans its
    subnet would stop the traffic of others, and of other labs.
    """
    for half in subnet.prefix.subnets():
        yield Route(index, int(half.network_address), half.prefixlen, gateway=int(subnet.gateway), onlink=True)


def _machine(network: Network, machine: Machine) -> Namespace:
    primary = machine.nics[0]
    owner = network.virtualNetworks[primary.subnet.virtualNetwork]
    servers = (
        [server for nic in machine.nics for server in nic.dnsServers]
        if any(nic.dnsServers for nic in machine.nics)
        else [str(PLATFORM_ADDRESS)]
    )
    search = owner.internalDomainNameSuffix if not primary.dnsServers else "reddog.microsoft.com"
    resolver = f"search {search}\n" + "".join(f"nameserver {server}\n" for server in dict.fromkeys(servers))
    settings = {key.removeprefix("net.").removeprefix("net/").replace(".", "/"): value
                for key, value in machine.sysctls.items()}  # fmt: skip
    return Namespace(
        name=machine.name,
        sysctls=_sysctls(machine),
        settings=settings,
        hostname=machine.computerName,
        files={"resolv.conf": resolver, "hosts": "127.0.0.1 localhost\n"},
        programs=programs(machine.name, machine.run),
    )


def _sysctls(machine: Machine) -> dict[str, str]:
    """As few as are needed: each costs time, and most machines have one NIC, one address and nothing to forward."""
    chosen = APPLIANCE_SYSCTLS if any(nic.enableIPForwarding for nic in machine.nics) else HOST_SYSCTLS
    several = sum(len(nic.ipConfigs) for nic in machine.nics) > 1
    return {**chosen, **SEVERAL_ADDRESSES} if several else dict(chosen)


def programs(machine: str, run: tuple[str, ...]) -> list[Program]:
    """The programs of `run:`; the first one's log is called like the machine, and no machine has a + in its name."""
    return [
        Program(machine if position == 0 else f"{machine}+{position + 1}", tuple(shlex.split(line)))
        for position, line in enumerate(run)
    ]
