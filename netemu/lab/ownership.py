"""Which of Azure's resources an object of the kernel belongs to."""

from __future__ import annotations

from netemu.azure.network import Network
from netemu.compile.machines import FIRST_INDEX
from netemu.compile.numbering import EDGE, FABRIC, TABLE_BASE, Numbering, platform_namespace
from netemu.lab.survey import Desired
from netemu.linux.difference import Change, RulesetObject
from netemu.linux.observe import Link
from netemu.linux.state import Address, End, Neighbour, Route, Rule, Veth


def resources(network: Network) -> list[str]:
    """Every resource of a network, by its path in the scenario."""
    scenario = network.scenario
    return [
        *(f"virtualNetworks/{name}" for name in network.virtualNetworks),
        *(f"networkSecurityGroups/{name}" for name in scenario.networkSecurityGroups),
        *(f"routeTables/{name}" for name in scenario.routeTables),
        *(f"publicIPAddresses/{name}" for name in network.publicIPs),
        *(f"virtualMachines/{name}" for name in network.machines),
        *(f"networkInterfaces/{name}" for name in network.nics),
        *(f"internet/hosts/{name}" for name in network.hosts),
    ]


def resource_of(desired: Desired, change: Change) -> str:
    """The resource that a change is about; the name of the platform's part where it is about no single one."""
    network, numbering, namespace, index = desired.network, desired.numbering, change.namespace, _index(change)
    if namespace in network.machines:
        for nic in network.machines[namespace].nics:
            if index == FIRST_INDEX + nic.index:
                return f"networkInterfaces/{nic.name}"
        return f"virtualMachines/{namespace}"
    if namespace in network.hosts:
        return f"internet/hosts/{namespace}"
    for name in network.virtualNetworks:
        if namespace == platform_namespace(name) or (namespace == EDGE and index == numbering.edge_index[name]):
            return f"virtualNetworks/{name}"
    if namespace == FABRIC:
        return _of_fabric(numbering, change, index) or FABRIC
    return namespace


def _index(change: Change) -> int | None:
    match change.thing:
        case Veth(near=End(index=index)) | End(index=index) | Link(index=index) | Address(index=index):
            return index
        case Route(index=index) | Neighbour(index=index):
            return index
        case _:
            return None


def _of_fabric(numbering: Numbering, change: Change, index: int | None) -> str | None:
    thing = change.thing
    ports = {numbering.port_index[port]: nic for nic, port in numbering.port.items()}
    if index in ports and not (isinstance(thing, Route) and thing.prefix_length < 32):
        return f"networkInterfaces/{ports[index]}"
    if isinstance(thing, Route | Rule):
        owner = next((key for key, number in numbering.table.items() if TABLE_BASE + number == thing.table), None)
        if owner is not None:
            network, _, table = owner.partition("/")
            return f"routeTables/{table}" if table else f"virtualNetworks/{network}"
    if isinstance(thing, RulesetObject):
        kind, _, rest = thing.name.partition("/")
        name = rest.partition("/")[0]
        if kind in ("inbound", "outbound", "platform") and name:
            return f"networkSecurityGroups/{name}"
        if kind in ("vnet", "internet", "forwarded") and name:
            return f"virtualNetworks/{name}"
    for links in (numbering.edge_link, numbering.platform_link):
        for network, link in links.items():
            if index == numbering.port_index[link]:
                return f"virtualNetworks/{network}"
    return None
