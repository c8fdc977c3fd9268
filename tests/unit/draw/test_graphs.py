"""Mermaid and Graphviz: every node and edge is there, and no name leaves its label."""

from __future__ import annotations

import re
import subprocess

from netemu.azure.network import Network
from netemu.draw.dot import dot
from netemu.draw.mermaid import mermaid
from netemu.draw.relations import appliance_routes, backends, peering_pairs, public_ips_in_use

DOT_STRING = r'"(?:[^"\\]|\\.)*"'


def edges_of(network: Network) -> int:
    """As many as there are peerings, routes to appliances, public IPs in use, further NICs and backends."""
    further = sum(len(machine.nics) - 1 for machine in network.machines.values())
    used = len(list(public_ips_in_use(network)))
    behind = sum(len(backends(balancer)) for balancer in network.loadBalancers.values())
    frontends = sum(frontend.publicIP is not None for frontend in network.frontends())
    return len(peering_pairs(network)) + len(appliance_routes(network)) + used + further + behind + frontends


def test_mermaid_has_a_node_for_every_nic_host_load_balancer_and_public_ip(network: Network) -> None:
    text = mermaid(network)
    assert len(re.findall(r'^ +n\d+\["', text, re.M)) == len(network.nics)
    assert len(re.findall(r'^ +h\d+\["', text, re.M)) == len(network.hosts)
    assert len(re.findall(r'^ +p\d+\(\["', text, re.M)) == len(network.publicIPs)
    assert len(re.findall(r'^ +b\d+\{\{"', text, re.M)) == len(network.loadBalancers)
    assert len(re.findall(r"^ +v\d+ \S+\|", text, re.M)) == len(peering_pairs(network))
    for _, config in network.addresses():
        assert str(config.address) in text


def test_mermaid_has_every_edge_and_closes_every_subgraph(network: Network) -> None:
    text = re.sub(r'"[^"\n]*"', "", mermaid(network))
    assert len(re.findall(r"---|-\.-|<-->|-->|==>", text)) == edges_of(network)
    assert len(re.findall(r"^ +subgraph ", text, re.M)) == len(re.findall(r"^ +end$", text, re.M))


def test_a_mermaid_label_holds_no_character_that_could_end_it(network: Network) -> None:
    for label in re.findall(r'"([^"\n]*)"', mermaid(network)):
        plain = label.replace("<br/>", "")
        assert not set(plain) & set('<>"`|\\')
        assert re.fullmatch(r"[^#;]*(#\w+;[^#;]*)*", plain)
    assert all(line.count('"') in (0, 2) for line in mermaid(network).splitlines())


def test_dot_has_a_node_for_every_nic_host_load_balancer_and_public_ip(network: Network) -> None:
    text = dot(network)
    every = (("n", network.nics), ("h", network.hosts), ("p", network.publicIPs), ("b", network.loadBalancers))
    for letter, things in every:
        assert len(re.findall(rf"^ +{letter}\d+ \[label=", text, re.M)) == len(things)
    clusters = len(network.virtualNetworks) + len(list(network.subnets())) + bool(network.hosts or network.publicIPs)
    assert text.count("subgraph cluster_") == clusters


def test_dot_has_every_edge(network: Network) -> None:
    text = re.sub(DOT_STRING, '""', dot(network))
    assert len(re.findall(r"^ +\w+ -> \w+ \[", text, re.M)) == edges_of(network)


def test_dot_is_quoted_and_balanced(network: Network) -> None:
    text = re.sub(DOT_STRING, "", dot(network))
    assert '"' not in text
    assert "\\" not in text
    assert text.count("{") == text.count("}")
    assert text.count("[") == text.count("]")


def test_graphviz_reads_it(network: Network) -> None:
    text = dot(network).encode("utf-8", "replace")
    done = subprocess.run(["dot", "-Tcanon"], input=text, capture_output=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr


def test_both_are_deterministic(network: Network) -> None:
    assert mermaid(network) == mermaid(network)
    assert dot(network) == dot(network)
