"""Networks for tests, in few words: a text of resources in ARM's JSON shape, resolved."""

from __future__ import annotations

from ipaddress import IPv4Address
from typing import Any

import msgspec

from netemu.azure import resources as arm
from netemu.azure.flow import Flow, address_of
from netemu.azure.network import Network, resolve
from netemu.azure.verdict import Engine, Verdict

LISTS = {"addressSpace", "applicationSecurityGroups"}
LIST_ENDINGS = ("Prefix", "Prefixes", "Range", "Ranges", "ApplicationSecurityGroups")


def _as_lists(value: Any, key: str = "") -> Any:
    """A list may be written as a single value; the model holds lists of texts."""
    if isinstance(value, dict):
        return {name: _as_lists(each, name) for name, each in value.items()}
    is_list = key in LISTS or (key.startswith(("source", "destination")) and key.endswith(LIST_ENDINGS))
    if not is_list:
        return value
    return [str(each) for each in value] if isinstance(value, list | tuple) else [str(value)]


def network(**resources: Any) -> Network:
    """`network(virtualNetworks={...}, virtualMachines={...})`, resolved."""
    written = _as_lists({"name": "lab", **resources})
    return resolve(msgspec.convert(written, arm.Scenario))


def vnet(space: str | list[str], *, peerings: dict[str, Any] | None = None, **subnets: Any) -> dict[str, Any]:
    """A virtual network; a subnet is its prefix, or a dictionary."""
    return {
        "addressSpace": space,
        "subnets": {
            name: each if isinstance(each, dict) else {"addressPrefix": each} for name, each in subnets.items()
        },
        "virtualNetworkPeerings": peerings or {},
    }


def peering(remote: str, **flags: bool) -> dict[str, Any]:
    """One side of a peering, named to-<remote>."""
    return {f"to-{remote}": {"remoteVirtualNetwork": remote, **flags}}


def subnet(prefix: str, *, nsg: str | None = None, table: str | None = None, **others: Any) -> dict[str, Any]:
    """A subnet with an NSG or a route table."""
    return {"addressPrefix": prefix, "networkSecurityGroup": nsg, "routeTable": table, **others}


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
        "priority": priority,
        "access": access,
        "direction": direction,
        "protocol": protocol,
        "sourceAddressPrefix": source,
        "destinationAddressPrefix": destination,
        "sourcePortRange": sourcePort,
        "destinationPortRange": port,
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
