"""What of a lab should be there and is not: killed programs, removed namespaces and names."""

from __future__ import annotations

from msgspec import Struct

from netemu.lab import names
from netemu.lab.folder import LabFolder, ProcessRecord, Record
from netemu.linux import processes


class Missing(Struct, frozen=True):
    """Empty when the lab is as `up` left it."""

    parts: list[str]
    """Namespaces, names and files; only building the lab anew brings them back."""
    programs: list[ProcessRecord]
    """Programs of `run:` that have ended."""
    daemons: list[ProcessRecord]

    def __bool__(self) -> bool:
        return bool(self.parts or self.programs or self.daemons)

    def texts(self) -> list[str]:
        """One line for each, for a person."""
        return [
            *self.parts,
            *(f"{daemon.name} in {daemon.machine} has ended" for daemon in self.daemons),
            *(f"{program.command!r} in {program.machine} has ended" for program in self.programs),
        ]


def missing(folder: LabFolder, record: Record | None) -> Missing:
    """Compare a lab's record with what is there."""
    if record is None:
        return Missing(["the lab's record cannot be read"], [], [])
    parts = [] if record.state == "running" else ["`up` did not finish"]
    there = set(folder.nodes())
    for node, inode in record.namespaces.items():
        if node not in there or processes.identity(folder.namespace(node))[1] != inode:
            parts.append(f"the namespace of {node} is not there")
    published = set(names.published(folder))
    parts += [f"{path} is not there" for path in names.paths(folder, record.namespaces, record.with_files)
              if path not in published]  # fmt: skip
    files = [folder.scenario, *(folder.etc / node for node in record.with_files)]
    parts += [f"{path} is not there" for path in files if not path.exists()]
    agents = [record.agent] if record.agent is not None else []
    return Missing(parts, _ended(record.programs), _ended([*record.daemons, *agents]))


def _ended(records: list[ProcessRecord]) -> list[ProcessRecord]:
    return [record for record in records if not is_alive(record)]


def is_alive(record: ProcessRecord) -> bool:
    """Does the very process that `up` started still run?"""
    return processes.start_time(record.pid) == record.started
