"""What of a lab is there."""

from __future__ import annotations

from typing import Any

from netemu.azure.network import Network
from netemu.lab import names
from netemu.lab.folder import LabFolder, ProcessRecord, Record
from netemu.lab.missing import is_alive, missing
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
    return "incomplete" if missing(folder, record) else "running"


def status(folder: LabFolder, network: Network | None) -> dict[str, Any]:
    """A lab in full: its machines with addresses and programs, its daemons, what is missing."""
    record = folder.read()
    present = set(folder.nodes())
    identities = {processes.identity(folder.namespace(node)): node for node in sorted(present)}
    running: dict[str, list[dict[str, Any]]] = {}
    for pid, identity in processes.inside(set(identities)):
        running.setdefault(identities[identity], []).append({"pid": pid, "command": processes.command_line(pid)})
    published = {path.name for path in names.published(folder)}
    result = {**summary(folder), "missing": missing(folder, record).texts(), "nodes": []}
    expected = list(dict.fromkeys([*record.machines, *record.hosts, *record.namespaces])) if record else []
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
    def of(process: ProcessRecord, log: str) -> dict[str, Any]:
        state = "running" if is_alive(process) else "ended"
        return {"command": process.command, "pid": process.pid, "state": state, "log": log}

    if record is None:
        return []
    return [
        *(of(p, str(folder.logs / f"{p.name}.log")) for p in record.programs if p.machine == node),
        *(of(p, str(folder.daemons / f"{p.name}.log")) for p in record.daemons if p.machine == node),
    ]
