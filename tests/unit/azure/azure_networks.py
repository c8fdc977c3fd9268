"""Networks for tests, in few words: a text of resources in ARM's JSON shape, resolved."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

import msgspec

from netemu.azure import resources as arm
from netemu.azure.flow import Flow, address_of
from netemu.azure.network import Network, resolve
from netemu.azure.verdict import Engine, Verdict

LISTS = {"addressSpace", "networkInterfaces", "applicationSecurityGroups", "dnsServers"}


def _as_lists(value: Any, key: str = "") -> Any:
    """A list may be written as a single value; the model holds lists."""
    if isinstance(value, dict):
        return {name: _as_lists(each, name) for name, each in value.items()}
    if isinstance(value, list | tuple):
        return [_as_lists(each) for each in value]
    many = key in LISTS or (
        key.startswith(("source", "destination")) and key.endswith(("Prefix", "Range", "Groups", "Prefixes", "Ranges"))
    )
    return [str(value)] if many else value


def network(**resources: Any) -> Network:
    """`network(virtualNetworks={...}, virtualMachines={...})`, resolved."""
    written = _as_lists({"name": "lab", **resources})
    return resolve(msgspec.convert(written, arm.Scenario))


def rule(
    priority: int,
    access: str,
    direction: str = "Inbound",
    *,
    protocol: str = "*",
    source: Any = "*",
    destination: Any = "*",
    port: Any = "*",
    sourcePort: Any = "*",  # noqa: N803
) -> dict[str, Any]:
    """A security rule; what is left out is `*`."""
    return {
        "priority": priority, "access": access, "direction": direction, "protocol": protocol,
        "sourceAddressPrefix": source, "destinationAddressPrefix": destination,
        "sourcePortRange": sourcePort, "destinationPortRange": port,
    }


def nsg(**rules: dict[str, Any]) -> dict[str, Any]:
    """An NSG with these rules."""
    return {"securityRules": rules}


def route(prefix: str, kind: str, hop: str | None = None) -> dict[str, Any]:
    """A user-defined route."""
    return {"addressPrefix": prefix, "nextHopType": kind, **({"nextHopIpAddress": hop} if hop else {})}


def routes(*all_routes: dict[str, Any]) -> dict[str, Any]:
    """A route table; the routes are named r0, r1…"""
    return {"routes": {f"r{index}": each for index, each in enumerate(all_routes)}}


FORWARDING = {"net.ipv4.ip_forward": "1"}
HOSTS = {"hosts": {"visitor": {"ipAddress": "198.51.100.7"}, "other": {"ipAddress": "203.0.113.9"}}}


class Lab:
    """A network and its engine, asked in the words of an expectation."""

    def __init__(self, **resources: Any) -> None:
        self.network = network(**resources)
        self.engine = Engine(self.network)

    def ask(
        self,
        source: str,
        to: str,
        port: int = 80,
        protocol: str = "Tcp",
        *,
        source_port: int = 49152,
        source_address: str | None = None,
    ) -> Verdict:
        """The verdict for one flow."""
        return self.engine.judge(
            Flow(
                source=source,
                destinationAddress=address_of(self.network, to),
                protocol=protocol,
                destinationPort=port,
                sourcePort=source_port,
                sourceAddress=IPv4Address(source_address) if source_address else None,
            )
        )

    def allowed(self, source: str, to: str, port: int = 80, protocol: str = "Tcp") -> bool:
        """Does the first packet arrive?"""
        return self.ask(source, to, port, protocol).access == "Allow"
