"""Random valid networks and flows: everything that this version knows, in small numbers."""

from __future__ import annotations

import random
from ipaddress import IPv4Address, IPv4Network
from itertools import pairwise
from typing import Any

from netemu.azure.flow import Flow
from netemu.azure.network import Network

SERVICE_PORTS = (22, 80, 443, 8080)


def scenario(seed: int, name: str) -> dict[str, Any]:
    """A scenario as plain data, ready for YAML; equal seeds give equal scenarios."""
    rng = random.Random(seed)
    networks = {f"net{i}": _virtual_network(rng, i) for i in range(rng.randint(1, 4))}
    subnets = [f"{net}/{subnet}" for net, body in networks.items() for subnet in body["subnets"]]
    machines: dict[str, Any] = {}
    for i in range(rng.randint(3, 9)):
        machine: dict[str, Any] = {"subnet": rng.choice(subnets)}
        if rng.random() < 0.35:
            machine["enableIPForwarding"] = True
            if rng.random() < 0.8:
                machine["sysctls"] = {"net.ipv4.ip_forward": 1}
        if rng.random() < 0.5:
            machine["networkSecurityGroup"] = rng.choice(["nsg0", "nsg1", "nsg2"])
        if rng.random() < 0.3:
            machine["publicIPAddress"] = f"ip{i}"
        machines[f"vm{i}"] = machine
    public = {
        machine["publicIPAddress"]: {"sku": rng.choice(["Standard", "Basic"])}
        for machine in machines.values()
        if "publicIPAddress" in machine
    }
    _peer(rng, networks)
    addresses = _addresses(networks, machines)
    tables = {f"table{i}": {"routes": _routes(rng, addresses)} for i in range(2)}
    for body in networks.values():
        for subnet in body["subnets"].values():
            if rng.random() < 0.4:
                subnet["routeTable"] = rng.choice(list(tables))
            if rng.random() < 0.5:
                subnet["networkSecurityGroup"] = rng.choice(["nsg0", "nsg1", "nsg2"])
    return {
        "name": name,
        "virtualNetworks": networks,
        "networkSecurityGroups": {f"nsg{i}": {"securityRules": _rules(rng, addresses)} for i in range(3)},
        "routeTables": tables,
        "publicIPAddresses": public,
        "virtualMachines": machines,
        "internet": {"hosts": {"host0": {"ipAddress": "198.51.100.7"}, "host1": {"ipAddress": "203.0.113.9"}}},
    }


def _virtual_network(rng: random.Random, i: int) -> dict[str, Any]:
    third = 0 if rng.random() < 0.3 else i  # sometimes the same space as another network's
    return {
        "addressSpace": [f"10.{third}.0.0/16"],
        "subnets": {f"s{j}": {"addressPrefix": f"10.{third}.{j}.0/24"} for j in range(rng.randint(1, 2))},
    }


def _peer(rng: random.Random, networks: dict[str, Any]) -> None:
    names = list(networks)
    for a, b in pairwise(names):
        spaces = {tuple(networks[n]["addressSpace"]) for n in names}
        if len(spaces) < len(names) or rng.random() < 0.2:
            continue
        for near, far in ((a, b), (b, a)):
            if rng.random() < 0.9:
                networks[near].setdefault("virtualNetworkPeerings", {})[f"to-{far}"] = {
                    "remoteVirtualNetwork": far,
                    "allowForwardedTraffic": rng.random() < 0.6,
                    "allowVirtualNetworkAccess": rng.random() < 0.9,
                }


def _addresses(networks: dict[str, Any], machines: dict[str, Any]) -> list[str]:
    """The addresses that the machines will get: the lowest free ones, in the order of the file (IP-3, IP-4)."""
    used: dict[str, int] = {}
    result = []
    for machine in machines.values():
        net, subnet = machine["subnet"].split("/")
        prefix = IPv4Network(networks[net]["subnets"][subnet]["addressPrefix"])
        used[machine["subnet"]] = used.get(machine["subnet"], 3) + 1
        result.append(str(prefix[used[machine["subnet"]]]))
    return result


def _routes(rng: random.Random, addresses: list[str]) -> dict[str, Any]:
    routes: dict[str, Any] = {}
    prefixes = [
        "0.0.0.0/0",
        "10.0.0.0/8",
        "10.0.0.0/16",
        "10.1.0.0/16",
        "10.1.1.0/24",
        "198.51.100.0/24",
        "10.2.0.0/16",
    ]
    for i, prefix in enumerate(rng.sample(prefixes, rng.randint(1, 3))):
        kind = rng.choice(
            ["VirtualAppliance", "VirtualAppliance", "VirtualAppliance", "None", "Internet", "VnetLocal",
             "VirtualNetworkGateway"]
        )  # fmt: skip
        routes[f"r{i}"] = {"addressPrefix": prefix, "nextHopType": kind}
        if kind == "VirtualAppliance":
            routes[f"r{i}"]["nextHopIpAddress"] = rng.choice([*addresses, "10.0.0.250"])
    return routes


def _rules(rng: random.Random, addresses: list[str]) -> dict[str, Any]:
    rules: dict[str, Any] = {}
    places = ["*", "VirtualNetwork", "Internet", "AzureLoadBalancer", "AzureCloud", "10.0.0.0/16", "10.1.0.0/24",
              *addresses[:3]]  # fmt: skip
    for i in range(rng.randint(1, 5)):
        protocol = rng.choice(["Tcp", "Udp", "Icmp", "*", "*"])
        any_port = protocol == "Icmp" or rng.random() < 0.4
        rules[f"rule{i}"] = {
            "priority": 100 + i * 10,
            "direction": rng.choice(["Inbound", "Outbound"]),
            "access": rng.choice(["Allow", "Allow", "Deny"]),
            "protocol": protocol,
            "sourceAddressPrefix": rng.choice(places),
            "destinationAddressPrefix": rng.choice(places),
            "sourcePortRange": "*",
            "destinationPortRange": "*" if any_port else rng.choice([22, 80, "80-443", [22, 8080], "0-1023"]),
        }
    return rules


def flows(seed: int, network: Network, count: int) -> list[Flow]:
    """Flows between everything and everything, wrong addresses and false sources included."""
    rng = random.Random(seed)
    sources = [*network.machines, *network.hosts]
    targets = [
        *(config.address for _, config in network.addresses()),
        *(ip.address for ip in network.publicIPs.values()),
        *(host.address for host in network.hosts.values()),
        IPv4Address("10.0.0.200"), IPv4Address("10.9.9.9"), IPv4Address("192.168.7.7"), IPv4Address("203.0.113.77"),
    ]  # fmt: skip
    own = {m.name: {c.address for nic in m.nics for c in nic.ipConfigs} for m in network.machines.values()}
    result = []
    for _ in range(count):
        source = rng.choice(sources)
        target = rng.choice(targets)
        false_source = source in network.machines and target not in own[source] and rng.random() < 0.08
        result.append(
            Flow(
                source=source,
                destinationAddress=target,
                protocol=rng.choice(["Tcp", "Tcp", "Udp", "Icmp"]),
                destinationPort=rng.choice(SERVICE_PORTS),
                sourcePort=rng.randrange(20000, 60000),
                sourceAddress=IPv4Address("10.0.0.99") if false_source else None,
            )
        )
    return result
