"""A network as a Graphviz graph, with a cluster per virtual network and subnet.

Identifiers are numbered and names appear in quoted labels only, where a quotation mark and a backslash are escaped.
"""

from __future__ import annotations

from netemu.azure.network import LoadBalancer, Network, Nic, Subnet
from netemu.draw.relations import appliance_routes, backends, balancer_key, home, peering_pairs, public_ips_in_use

_GRAPH = """  compound=true; rankdir=TB; fontname="Helvetica"; bgcolor="#ffffff"; nodesep=0.35; ranksep=0.6;
  node [shape=box, style="rounded,filled", fillcolor="#ffffff", color="#0078d4", fontname="Helvetica", fontsize=11];
  edge [color="#0078d4", fontname="Helvetica", fontsize=10];"""


def dot(network: Network) -> str:
    """Draw the graph."""
    networks = {name: f"v{number}" for number, name in enumerate(network.virtualNetworks)}
    subnets = {subnet.path: f"s{number}" for number, subnet in enumerate(network.subnets())}
    nics = {name: f"n{number}" for number, name in enumerate(network.nics)}
    nics |= {balancer_key(each): f"b{number}" for number, each in enumerate(network.loadBalancers.values())}
    lines = [f"digraph {_quoted(network.name)} {{", _GRAPH, *_internet(network)]
    lines += [f"  {_balancer(each, nics)}" for each in network.loadBalancers.values() if home(each) is None]
    for virtual_network in network.virtualNetworks.values():
        identifier = networks[virtual_network.name]
        spaces = " ".join(map(str, virtual_network.addressSpace))
        lines.append(f"  subgraph cluster_{identifier} {{")
        lines.append(f'    label={_quoted(virtual_network.name, spaces)}; style=rounded; color="#0078d4";')
        # Peerings join clusters, which Graphviz does through a node of each.
        lines.append(f"    {identifier} [shape=point, style=invis];")
        for subnet in virtual_network.subnets.values():
            lines += _subnet(network, subnet, subnets[subnet.path], nics)
        lines.append("  }")
    lines += _edges(network, networks, subnets, nics)
    return "\n".join([*lines, "}"]) + "\n"


def _internet(network: Network) -> list[str]:
    inside = [
        f'    h{number} [label={_quoted(host.name, str(host.address))}, color="#5b6b7f"];'
        for number, host in enumerate(network.hosts.values())
    ]
    inside += [
        f'    p{number} [label={_quoted(ip.name, str(ip.address))}, shape=ellipse, color="#6b3fa0"];'
        for number, ip in enumerate(network.publicIPs.values())
    ]
    head = ["  subgraph cluster_internet {", '    label="Internet"; style="rounded,filled"; color="#b9cde0";',
            '    fillcolor="#e4edf6";']  # fmt: skip
    return [*head, *inside, "  }"] if inside else []


def _subnet(network: Network, subnet: Subnet, identifier: str, nics: dict[str, str]) -> list[str]:
    texts = [f"{subnet.name} {subnet.prefix}"]
    if subnet.networkSecurityGroup:
        texts.append(f"NSG {subnet.networkSecurityGroup}")
    if subnet.natGateway:
        texts.append(f"NAT gateway {subnet.natGateway}")
    lines = [
        f"    subgraph cluster_{identifier} {{",
        f'      label={_quoted(*texts)}; style="rounded,filled"; color="#cfe2f3"; fillcolor="#f3f8fd";',
        f"      {identifier} [shape=point, style=invis];",
    ]
    if subnet.routeTable:
        lines.append(f'      r{identifier[1:]} [label={_quoted(subnet.routeTable)}, shape=cds, color="#b8560f"];')
    for balancer in network.loadBalancers.values():
        if home(balancer) == subnet:
            lines.append(f"      {_balancer(balancer, nics)}")
    for name, nic in network.nics.items():
        if nic.subnet.path == subnet.path:
            colour = ', fillcolor="#fff7ef", color="#d8792b"' if nic.enableIPForwarding else ""
            lines.append(f"      {nics[name]} [label={_quoted(*_nic(nic))}{colour}];")
    return [*lines, "    }"]


def _balancer(balancer: LoadBalancer, nodes: dict[str, str]) -> str:
    texts = [balancer.name, *(str(each.address) for each in balancer.frontends.values() if each.subnet is not None)]
    shape = 'shape=hexagon, fillcolor="#f0faf9", color="#0b7a75"'
    return f"{nodes[balancer_key(balancer)]} [label={_quoted(*texts)}, {shape}];"


def _nic(nic: Nic) -> list[str]:
    title = nic.machine if nic.index == 0 else f"{nic.machine} eth{nic.index}"
    texts = [title, *(str(config.address) for config in nic.ipConfigs)]
    if nic.networkSecurityGroup:
        texts.append(f"NSG {nic.networkSecurityGroup}")
    return texts


def _edges(network: Network, networks: dict[str, str], subnets: dict[str, str], nics: dict[str, str]) -> list[str]:
    public = {name: f"p{number}" for number, name in enumerate(network.publicIPs)}
    lines = [f'  {public[one.config.publicIP.name]} -> {nics[one.nic.name]} [dir=none, color="#6b3fa0"];'
             for one in public_ips_in_use(network) if one.config.publicIP]  # fmt: skip
    for balancer in network.loadBalancers.values():
        node = nics[balancer_key(balancer)]
        ips = (each.publicIP for each in balancer.frontends.values())
        lines += [f'  {public[ip.name]} -> {node} [dir=none, color="#6b3fa0"];' for ip in ips if ip is not None]
        lines += [f'  {node} -> {nics[member.nic.name]} [color="#0b7a75"];' for member in backends(balancer)]
    for machine in network.machines.values():
        first, *further = machine.nics
        lines += [f"  {nics[first.name]} -> {nics[nic.name]} [dir=none, style=dotted];" for nic in further]
    for pair in peering_pairs(network):
        a, b = networks[pair.first], networks[pair.second]
        style = "dir=both, penwidth=2" if pair.carries_traffic else "dir=none, style=dashed"
        label = "peering" if pair.carries_traffic else pair.label
        lines.append(f"  {a} -> {b} [ltail=cluster_{a}, lhead=cluster_{b}, {style}, label={_quoted(label)}];")
    for route in appliance_routes(network):
        start = f"r{subnets[route.subnet.path][1:]}"
        label = _quoted(*route.prefixes)
        lines.append(f'  {start} -> {nics[route.hop.key]} [color="#b8560f", label={label}];')
    return lines


def _quoted(*texts: str) -> str:
    r"""A quoted label of several lines, which Graphviz separates by \n."""
    escaped = (" ".join(text.split()).replace("\\", "\\\\").replace('"', '\\"') for text in texts)
    return '"' + "\\n".join(escaped).replace("\0", "") + '"'
