"""Random valid networks and flows: everything that this version knows, in small numbers."""

from __future__ import annotations

import itertools
import random
from ipaddress import IPv4Address, IPv4Network
from typing import Any

import yaml

from netemu.azure.flow import Flow
from netemu.azure.network import PLATFORM_ADDRESS, Network, resolve
from netemu.scenario import read_text

SERVICE_PORTS = (22, 79, 80, 443, 444, 1023, 1024, 8080)
GROUPS = ("nsg0", "nsg1", "nsg2")
HOSTS = {"host0": {"ipAddress": "198.51.100.7"}, "host1": {"ipAddress": "203.0.113.9"}}
LONG = 60
"""Rules of a long NSG, which is compiled in another way than short ones."""


def scenario(seed: int, name: str) -> dict[str, Any]:
    """A scenario as plain data, ready for YAML; equal seeds give equal scenarios."""
    rng = random.Random(seed)
    networks = {f"net{i}": _virtual_network(rng, i) for i in range(rng.randint(1, 4))}
    _peer(rng, networks)
    result: dict[str, Any] = {
        "name": name,
        "virtualNetworks": networks,
        "networkSecurityGroups": {group: {} for group in GROUPS},
        "applicationSecurityGroups": {f"asg-{net}-{letter}": {} for net in networks for letter in "ab"},
        "routeTables": {f"table{i}": {} for i in range(3)},
        "publicIPAddresses": {},
        "networkInterfaces": {},
        "virtualMachines": {},
        "internet": {"hosts": HOSTS},
    }
    for i in range(rng.randint(3, 12)):
        _machine(rng, result, f"vm{i}")
    for body in networks.values():
        for subnet in body["subnets"].values():
            if rng.random() < 0.4:
                subnet["routeTable"] = rng.choice(list(result["routeTables"]))
            if rng.random() < 0.5:
                subnet["networkSecurityGroup"] = rng.choice(GROUPS)
            if rng.random() < 0.1:
                subnet["defaultOutboundAccess"] = False
    # Rules and routes speak of the addresses that the machines get.
    network = resolve(read_text(yaml.safe_dump(result)))
    addresses = [str(config.address) for _, config in network.addresses()]
    appliances = [str(nic.address) for nic in network.nics.values() if nic.enableIPForwarding]
    for table in result["routeTables"].values():
        table["routes"] = _routes(rng, [*addresses, *appliances * 3])
        table["disableBgpRoutePropagation"] = rng.random() < 0.2
    for group in result["networkSecurityGroups"].values():
        count = LONG if rng.random() < 0.05 else rng.randint(1, 6)
        group["securityRules"] = {f"rule{i}": _rule(rng, i, addresses, list(networks)) for i in range(count)}
    return result


def _virtual_network(rng: random.Random, i: int) -> dict[str, Any]:
    second = 0 if rng.random() < 0.3 else i  # sometimes the same space as another network's
    space = [f"10.{second}.0.0/16"]
    subnets = {f"s{j}": {"addressPrefix": f"10.{second}.{j}.0/24"} for j in range(rng.randint(1, 3))}
    if rng.random() < 0.25:
        space.append(f"172.16.{i}.0/24")
        subnets["far"] = {"addressPrefix": f"172.16.{i}.64/{rng.choice((26, 28))}"}
    return {"addressSpace": space, "subnets": subnets}


def _peer(rng: random.Random, networks: dict[str, Any]) -> None:
    """Chains, stars and meshes; no network may meet two that overlap (PEER-9). Some have one side only (PEER-1)."""
    around: dict[str, list[str]] = {name: [name] for name in networks}

    def may(a: str, b: str) -> bool:
        spaces = {n: {IPv4Network(p) for p in networks[n]["addressSpace"]} for n in networks}
        both = ((a, b), (b, a))
        return all(not spaces[new] & spaces[old] for hub, new in both for old in around[hub])

    for a, b in itertools.combinations(networks, 2):
        if rng.random() < 0.3 or not may(a, b):
            continue
        around[a].append(b)
        around[b].append(a)
        for near, far in ((a, b), (b, a)):
            if rng.random() < 0.9:
                networks[near].setdefault("virtualNetworkPeerings", {})[f"to-{far}"] = {
                    "remoteVirtualNetwork": far,
                    "allowForwardedTraffic": rng.random() < 0.6,
                    "allowVirtualNetworkAccess": rng.random() < 0.9,
                }


def _machine(rng: random.Random, whole: dict[str, Any], name: str) -> None:
    """A machine in the short form, or one with NICs of several addresses."""
    network = rng.choice(list(whole["virtualNetworks"]))
    sku = rng.choice(["Standard", "Basic"])  # one for each machine (OUT-16)
    forwards = rng.random() < 0.35
    machine: dict[str, Any] = {}
    if forwards and rng.random() < 0.8:
        machine["sysctls"] = {"net.ipv4.ip_forward": 1}
    whole["virtualMachines"][name] = machine
    if rng.random() < 0.6:
        machine |= _address(rng, whole, network, f"{name}-ip", sku) | _port(rng, forwards)
        return
    machine["networkInterfaces"] = []
    for n in range(rng.choice((1, 2, 2, 3))):
        nic = f"{name}-nic{n}"
        first = _address(rng, whole, network, f"{nic}-ip0", sku)
        configs = {"first": first}
        for m in range(rng.choice((0, 0, 1, 2))):
            configs[f"more{m}"] = {**_address(rng, whole, network, f"{nic}-ip{m + 1}", sku), "subnet": first["subnet"]}
        if rng.random() < 0.3:
            rng.choice(list(configs.values()))["primary"] = True
        whole["networkInterfaces"][nic] = {"ipConfigurations": configs, **_port(rng, forwards)}
        machine["networkInterfaces"].append(nic)


def _port(rng: random.Random, forwards: bool) -> dict[str, Any]:
    result: dict[str, Any] = {"enableIPForwarding": True} if forwards else {}
    if rng.random() < 0.5:
        result["networkSecurityGroup"] = rng.choice(GROUPS)
    return result


def _address(rng: random.Random, whole: dict[str, Any], network: str, public: str, sku: str) -> dict[str, Any]:
    result: dict[str, Any] = {"subnet": f"{network}/{rng.choice(list(whole['virtualNetworks'][network]['subnets']))}"}
    if rng.random() < 0.3:
        result["publicIPAddress"] = public
        whole["publicIPAddresses"][public] = {"sku": sku}
    if rng.random() < 0.3:
        members = [f"asg-{network}-{letter}" for letter in "ab"]
        result["applicationSecurityGroups"] = rng.sample(members, rng.randint(1, 2))
    return result


def _routes(rng: random.Random, addresses: list[str]) -> dict[str, Any]:
    routes: dict[str, Any] = {}
    prefixes = [
        "0.0.0.0/0", "10.0.0.0/8", "10.0.0.0/16", "10.1.0.0/16", "10.1.1.0/24", "198.51.100.0/24", "10.2.0.0/16",
        "172.16.0.0/16", f"{rng.choice(addresses)}/32",
    ]  # fmt: skip
    for i, prefix in enumerate(rng.sample(prefixes, rng.randint(1, 4))):
        kind = rng.choice(
            ["VirtualAppliance", "VirtualAppliance", "VirtualAppliance", "None", "Internet", "VnetLocal",
             "VirtualNetworkGateway"]
        )  # fmt: skip
        routes[f"r{i}"] = {"addressPrefix": prefix, "nextHopType": kind}
        if kind == "VirtualAppliance":
            routes[f"r{i}"]["nextHopIpAddress"] = rng.choice([*addresses, "10.0.0.250"])
    return routes


def _rule(rng: random.Random, i: int, addresses: list[str], networks: list[str]) -> dict[str, Any]:
    protocol = rng.choice(["Tcp", "Udp", "Icmp", "*", "*", "*"] if rng.random() < 0.95 else ["Esp", "Ah"])
    home = rng.choice(networks)
    rule: dict[str, Any] = {
        "priority": 100 + i * 10,
        "direction": rng.choice(["Inbound", "Outbound"]),
        "access": rng.choice(["Allow", "Allow", "Deny"]),
        "protocol": protocol,
        **_side(rng, "source", addresses, home),
        **_side(rng, "destination", addresses, home),
    }
    any_port = protocol in ("Icmp", "Esp", "Ah") or rng.random() < 0.4
    rule["destinationPortRange"] = "*" if any_port else rng.choice([22, 80, "80-443", "0-1023"])
    if not any_port and rng.random() < 0.3:
        rule["destinationPortRanges"] = rng.choice([[22, 8080], ["22-79", "444-1023"], [80, "80-90", 85]])
        del rule["destinationPortRange"]
    rule["sourcePortRange"] = "*" if any_port or rng.random() < 0.8 else rng.choice(["20000-40000", "0-65535", 80])
    return rule


def _side(rng: random.Random, side: str, addresses: list[str], home: str) -> dict[str, Any]:
    """One address, tag or anything; or several; or groups."""
    drawn = rng.random()
    if drawn < 0.15:
        return {f"{side}ApplicationSecurityGroups": rng.choice([[f"asg-{home}-a"], [f"asg-{home}-a", f"asg-{home}-b"]])}
    if drawn < 0.35:
        several = ["10.0.0.0/17", "10.1.0.0/24", "198.51.100.0/24", "172.16.0.0/12", *addresses]
        chosen = rng.sample(several, rng.randint(2, 4))
        if rng.random() < 0.3:
            chosen.append(rng.choice(["VirtualNetwork", "Internet", "Storage.westeurope"]))
        return {f"{side}AddressPrefixes": chosen}
    places = ["*", "*", "VirtualNetwork", "Internet", "AzureLoadBalancer", "AzureCloud", "AzurePlatformDNS",
              "10.0.0.0/16", "10.1.0.0/24", *addresses[:4]]  # fmt: skip
    return {f"{side}AddressPrefix": rng.choice(places)}


def flows(seed: int, network: Network, count: int) -> list[Flow]:
    """Flows between everything and everything, wrong addresses and false sources included.

    Left out is what the guest's own system decides: a machine that calls an address of its own, except the primary
    ones, which it has by DHCP. And of the platform: pings, which it does not answer, and questions in another's name.
    """
    rng = random.Random(seed)
    several = [nic.name for machine in network.machines.values() if len(machine.nics) > 1 for nic in machine.nics]
    sources = [*network.machines, *network.hosts, *several]
    targets = [
        *(config.address for _, config in network.addresses()),
        *(ip.address for ip in network.publicIPs.values()),
        *(host.address for host in network.hosts.values()),
        IPv4Address("10.0.0.200"), IPv4Address("10.9.9.9"), IPv4Address("192.168.7.7"), IPv4Address("203.0.113.77"),
        PLATFORM_ADDRESS,
    ]  # fmt: skip
    by_nic = {nic.name: [c.address for c in nic.ipConfigs] for nic in network.nics.values()}
    own = {m.name: {a for nic in m.nics for a in by_nic[nic.name]} for m in network.machines.values()}
    primary = {m.name: {nic.address for nic in m.nics} for m in network.machines.values()}
    without = {**{m: own[m] - primary[m] for m in own}, **{n.name: own[n.machine] for n in network.nics.values()}}
    result = []
    for _ in range(count):
        source = rng.choice(sources)
        target = rng.choice([address for address in targets if address not in without.get(source, ())])
        address = None
        drawn = rng.random()
        if source not in network.hosts and target not in own.get(source, ()) and target != PLATFORM_ADDRESS:
            if drawn < 0.08:
                address = IPv4Address("10.0.0.99")
            elif drawn < 0.3:
                # Perhaps that of a secondary IP configuration, but of the NIC that the guest will send by.
                address = rng.choice(by_nic[_leaves_by(network, source, target)])
        result.append(
            Flow(
                source=source,
                destinationAddress=target,
                protocol=rng.choice(["Tcp", "Tcp", "Udp", "Udp" if target == PLATFORM_ADDRESS else "Icmp"]),
                destinationPort=53 if target == PLATFORM_ADDRESS else rng.choice(SERVICE_PORTS),
                sourcePort=rng.randrange(20000, 60000),
                sourceAddress=address,
            )
        )
    return result


def _leaves_by(network: Network, source: str, target: IPv4Address) -> str:
    if source in network.nics:
        return source
    nics = network.machines[source].nics
    return next((nic for nic in nics if target in nic.subnet.prefix), nics[0]).name
