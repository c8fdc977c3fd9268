"""What of a lab is there."""

from __future__ import annotations

from typing import Any

from netemu.azure.network import Network
from netemu.lab import names
from netemu.lab.folder import LabFolder, Record
from netemu.linux import namespaces as ns
from netemu.linux import processes


def summary(folder: LabFolder) -> dict[str, Any]:
    """One lab as a line of `netemu ls`."""
    record = folder.read()
    return {
        "name": folder.name,
        "state": _state(folder, record),
        "machines": len(record.machines) if record else 0,
        "scenario": record.scenario if record else "",
        "folder": str(folder.path),
    }


def _state(folder: LabFolder, record: Record | None) -> str:
    if record is None:
        return "broken"
    missing = {*record.machines, *record.hosts} - _present(folder)
    return "incomplete" if missing or record.state != "running" else "running"


def _present(folder: LabFolder) -> set[str]:
    """Nodes whose namespace is really mounted, not just named."""
    mounted = set(ns.mounts_below(folder.path))
    return {node for node in folder.nodes() if str(folder.namespace(node)) in mounted}


def status(folder: LabFolder, network: Network | None) -> dict[str, Any]:
    """A lab in full: its machines with addresses and programs, its daemons, what is missing."""
    record = folder.read()
    present = _present(folder)
    identities = {processes.identity(folder.namespace(node)): node for node in sorted(present)}
    running: dict[str, list[dict[str, Any]]] = {}
    for pid, identity in processes.inside(set(identities)):
        running.setdefault(identities[identity], []).append({"pid": pid, "command": processes.command_line(pid)})
    published = {path.name for path in names.published(folder)}
    result = {**summary(folder), "nodes": []}
    expected = [*(record.machines if record else []), *(record.hosts if record else [])]
    for node in [*expected, *sorted(present - set(expected))]:
        addresses, public = _addresses(network, node)
        result["nodes"].append(
            {
                "name": node,
                "kind": _kind(node, record),
                "state": "up" if node in present else "missing",
                "addresses": addresses,
                "publicIPAddresses": public,
                "namespace": f"{folder.name}.{node}" if f"{folder.name}.{node}" in published else None,
                "processes": running.get(node, []),
                "run": _programs(folder, record, node),
            }
        )
    return result


def _kind(node: str, record: Record | None) -> str:
    if node.startswith("@"):
        return "platform"
    return "internet host" if record and node in record.hosts else "virtual machine"


def _addresses(network: Network | None, node: str) -> tuple[list[str], list[str]]:
    if network is None:
        return [], []
    if node in network.hosts:
        return [str(network.hosts[node].address)], []
    if node not in network.machines:
        return [], []
    configs = [config for nic in network.machines[node].nics for config in nic.ipConfigs]
    return [str(c.address) for c in configs], [str(c.publicIP.address) for c in configs if c.publicIP]


def _programs(folder: LabFolder, record: Record | None, node: str) -> list[dict[str, Any]]:
    return [
        {
            "command": process.command,
            "pid": process.pid,
            "state": "running" if processes.start_time(process.pid) == process.started else "ended",
            "log": str(folder.logs / f"{process.name}.log"),
        }
        for process in (record.processes if record else [])
        if process.machine == node
    ]
