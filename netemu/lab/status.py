"""What of a lab is there."""

from __future__ import annotations

import os
from typing import Any

import msgspec

from netemu.azure.network import Network
from netemu.azure.resources import Scenario
from netemu.lab import names
from netemu.lab.events import events
from netemu.lab.folder import LabFolder, ProcessRecord, Record
from netemu.lab.missing import is_alive, missing
from netemu.lab.ownership import resource_of, resources
from netemu.lab.present import is_there
from netemu.lab.requirements import has_root
from netemu.lab.survey import Desired, desire, survey
from netemu.linux import processes
from netemu.linux.describe import change_text
from netemu.linux.difference import Change, Whole
from netemu.linux.state import Veth


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


def status(folder: LabFolder, scenario: Scenario | None) -> dict[str, Any]:
    """A lab in full: its machines with addresses and programs, its resources and how they differ from the scenario.

    What takes root to see (everything inside the namespaces) is left out without it.
    """
    record = folder.read()
    desired = desire(scenario, folder) if scenario is not None else None
    network = desired.network if desired is not None else None
    present = set(folder.nodes())
    identities = {processes.identity(folder.namespace(node)): node for node in sorted(present)}
    running: dict[str, list[dict[str, Any]]] = {}
    for pid, identity in processes.inside(set(identities)):
        running.setdefault(identities[identity], []).append({"pid": pid, "command": processes.command_line(pid)})
    published = {os.path.basename(path) for path in names.published(folder)}
    result = {**summary(folder), "missing": missing(folder, record).texts(), "nodes": []}
    if desired is not None and record is not None and is_there(folder, record) and has_root():
        result.update(_differences(desired, folder, record))
        if any(resource["state"] != AS_DESCRIBED for resource in result["resources"]) and result["state"] == "running":
            result["state"] = "different"
    result["events"] = [msgspec.to_builtins(event) for event in events(folder)]
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


AS_DESCRIBED = "as described"


def _differences(desired: Desired, folder: LabFolder, record: Record) -> dict[str, Any]:
    """Each resource held against the kernel, and what is somebody else's."""
    found = survey(desired, folder, record)
    by_resource: dict[str, list[Change]] = {name: [] for name in resources(desired.network)}
    for change in found.changes:
        by_resource.setdefault(resource_of(desired, change), []).append(change)
    return {
        "resources": [
            {"resource": name, "state": _state_of(changes), "differences": [change_text(c) for c in changes]}
            for name, changes in by_resource.items()
        ],
        "foreign": found.foreign,
    }


def _state_of(changes: list[Change]) -> str:
    if not changes:
        return AS_DESCRIBED
    return "missing" if any(c.action == "+" and isinstance(c.thing, Whole | Veth) for c in changes) else "different"


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
