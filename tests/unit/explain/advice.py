"""Scenarios as plain data, and advice that is followed by writing it into them, apart from how netemu tries it out."""

from __future__ import annotations

import copy
from ipaddress import IPv4Address
from typing import Any

import yaml

from netemu.azure.flow import Flow, address_of
from netemu.azure.network import Network, resolve
from netemu.azure.steps import Verdict
from netemu.azure.verdict import Engine
from netemu.explain import Explanation, Remedy, explain
from netemu.scenario import read_text

Data = dict[str, Any]


def network_of(data: Data | str, before: Network | None = None) -> Network:
    """A scenario, read as from a file; dynamic addresses stay as they were."""
    text = data if isinstance(data, str) else yaml.safe_dump({"name": "lab", **data}, sort_keys=False)
    scenario = read_text(text)
    return resolve(scenario, before.given()) if before is not None else resolve(scenario)


def flow(network: Network, source: str, to: str, port: int | None = 80, protocol: str = "Tcp") -> Flow:
    """A flow by names."""
    return Flow(
        source=source,
        destinationAddress=address_of(network, to),
        protocol=protocol,
        destinationPort=(port or 0) if protocol in ("Tcp", "Udp") else 0,
    )


def why(data: Data | str, source: str, to: str, port: int | None = 80, protocol: str = "Tcp") -> Explanation:
    """The explanation of one flow."""
    network = network_of(data)
    return explain(network, flow(network, source, to, port, protocol))


def follow(data: Data, remedy: Remedy) -> Data:
    """The scenario with what a remedy says written into it."""
    changed = copy.deepcopy(data)
    for edit in remedy.edits:
        place = changed
        for step in edit.path[:-1]:
            if place.get(step) is None:
                place[step] = {}
            place = place[step]
        if edit.value is None:
            del place[edit.path[-1]]
        else:
            place[edit.path[-1]] = list(edit.value) if isinstance(edit.value, tuple) else edit.value
    return changed


def followed(data: Data, explanation: Explanation, remedies: list[Remedy]) -> tuple[Network, Flow]:
    """The network and the flow when all these remedies are followed."""
    network, to = network_of(data), explanation.flow.destinationAddress
    for remedy in remedies:
        data = follow(data, remedy)
        network = network_of(data, network)
        to = address_of(network, remedy.to) if remedy.to is not None else to
    old = explanation.flow
    asked = Flow(old.source, IPv4Address(to), old.protocol, old.destinationPort, old.sourcePort, old.sourceAddress)
    return network, asked


def verdict_after(data: Data, explanation: Explanation, remedies: list[Remedy]) -> Verdict:
    """What Azure does with the flow then."""
    network, asked = followed(data, explanation, remedies)
    return Engine(network).judge(asked)


def explain_after(data: Data, explanation: Explanation, remedies: list[Remedy]) -> Explanation:
    """The explanation of the flow then."""
    return explain(*followed(data, explanation, remedies))


def works(verdict: Verdict) -> bool:
    """The packet arrives, and its answer comes back."""
    return verdict.access == "Allow" and verdict.answered
