"""A network as a Mermaid flowchart, for Markdown pages that render it.

Identifiers are numbered, names appear in labels only: there a quotation mark, a hash or an angle bracket is written
as an entity, so that no name can end its label.
"""

from __future__ import annotations

from netemu.azure.network import LoadBalancer, Network, Nic, Subnet
from netemu.draw.relations import appliance_routes, backends, balancer_key, home, peering_pairs, public_ips_in_use

_ENTITIES = {
    ord("#"): "#35;", ord("&"): "#amp;", ord('"'): "#quot;", ord("<"): "#lt;", ord(">"): "#gt;", ord("`"): "#96;",
    ord("\\"): "#92;", ord("|"): "#124;", ord(";"): "#59;",
}  # fmt: skip


def mermaid(network: Network) -> str:
    """Draw a flowchart: a subgraph per virtual network and subnet, peerings and routes to appliances as edges."""
    networks = {name: f"v{number}" for number, name in enumerate(network.virtualNetworks)}
    subnets = {subnet.path: f"s{number}" for number, subnet in enumerate(network.subnets())}
    nics = {name: f"n{number}" for number, name in enumerate(network.nics)}
    nics |= {balancer_key(each): f"b{number}" for number, each in enumerate(network.loadBalancers.values())}
    lines = ["flowchart TB", *_internet(network)]
    lines += [f"  {_balancer(each, nics)}" for each in network.loadBalancers.values() if home(each) is None]
    for virtual_network in network.virtualNetworks.values():
        spaces = " ".join(map(str, virtual_network.addressSpace))
        lines.append(f"  subgraph {networks[virtual_network.name]}[{_label(virtual_network.name, spaces)}]")
        for subnet in virtual_network.subnets.values():
            lines += _subnet(network, subnet, subnets[subnet.path], nics)
        lines.append("  end")
    lines += _edges(network, networks, subnets, nics)
    appliances = [nics[name] for name, nic in network.nics.items() if nic.enableIPForwarding]
    if appliances:
        lines.append("  classDef appliance fill:#fff7ef,stroke:#d8792b,color:#1b2a3d")
        lines.append(f"  class {','.join(appliances)} appliance")
    return "\n".join(lines) + "\n"


def _internet(network: Network) -> list[str]:
    inside = [
        f"    h{number}[{_label(host.name, str(host.address))}]" for number, host in enumerate(network.hosts.values())
    ]
    inside += [
        f"    p{number}([{_label(ip.name, str(ip.address))}])" for number, ip in enumerate(network.publicIPs.values())
    ]
    return ['  subgraph internet["Internet"]', *inside, "  end"] if inside else []


def _subnet(network: Network, subnet: Subnet, identifier: str, nics: dict[str, str]) -> list[str]:
    texts = [f"{subnet.name} {subnet.prefix}"]
    if subnet.networkSecurityGroup:
        texts.append(f"NSG {subnet.networkSecurityGroup}")
    if subnet.natGateway:
        texts.append(f"NAT gateway {subnet.natGateway}")
    lines = [f"    subgraph {identifier}[{_label(*texts)}]"]
    if subnet.routeTable:
        # A node of its own: Mermaid cannot draw an edge from a subgraph to a node inside it.
        lines.append(f"      r{identifier[1:]}[/{_label(subnet.routeTable)}/]")
    for balancer in network.loadBalancers.values():
        if home(balancer) == subnet:
            lines.append(f"      {_balancer(balancer, nics)}")
    for name, nic in network.nics.items():
        if nic.subnet.path == subnet.path:
            lines.append(f"      {nics[name]}[{_label(*_nic(nic))}]")
    return [*lines, "    end"]


def _balancer(balancer: LoadBalancer, nodes: dict[str, str]) -> str:
    texts = [balancer.name, *(str(each.address) for each in balancer.frontends.values() if each.subnet is not None)]
    return f"{nodes[balancer_key(balancer)]}{{{{{_label(*texts)}}}}}"


def _nic(nic: Nic) -> list[str]:
    title = nic.machine if nic.index == 0 else f"{nic.machine} eth{nic.index}"
    texts = [title, *(str(config.address) for config in nic.ipConfigs)]
    if nic.networkSecurityGroup:
        texts.append(f"NSG {nic.networkSecurityGroup}")
    return texts


def _edges(network: Network, networks: dict[str, str], subnets: dict[str, str], nics: dict[str, str]) -> list[str]:
    public = {name: f"p{number}" for number, name in enumerate(network.publicIPs)}
    lines = [f"  {public[one.config.publicIP.name]} --- {nics[one.nic.name]}"
             for one in public_ips_in_use(network) if one.config.publicIP]  # fmt: skip
    for balancer in network.loadBalancers.values():
        node = nics[balancer_key(balancer)]
        ips = (each.publicIP for each in balancer.frontends.values())
        lines += [f"  {public[ip.name]} --- {node}" for ip in ips if ip is not None]
        lines += [f"  {node} ==> {nics[member.nic.name]}" for member in backends(balancer)]
    for machine in network.machines.values():
        first, *further = machine.nics
        lines += [f"  {nics[first.name]} -.- {nics[nic.name]}" for nic in further]
    for pair in peering_pairs(network):
        arrow = "<-->" if pair.carries_traffic else "-.-"
        text = "peering" if pair.carries_traffic else pair.label
        lines.append(f"  {networks[pair.first]} {arrow}|{_label(text)}| {networks[pair.second]}")
    for route in appliance_routes(network):
        start = f"r{subnets[route.subnet.path][1:]}"
        lines.append(f"  {start} -->|{_label(*route.prefixes)}| {nics[route.hop.key]}")
    return lines


def _label(*texts: str) -> str:
    """A quoted label of several lines."""
    return '"' + "<br/>".join(" ".join(text.split()).translate(_ENTITIES) for text in texts) + '"'
