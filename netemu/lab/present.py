"""Which of a lab's namespaces are there."""

from __future__ import annotations

from netemu.compile.numbering import FABRIC, INTERNET
from netemu.lab.folder import LabFolder, Record
from netemu.linux import processes

CORE = (FABRIC, INTERNET)
"""Without one of these nothing of a lab works: every link ends in one of them. The lab is built anew."""


def is_there(folder: LabFolder, record: Record | None) -> bool:
    """Is enough of the lab there to change it, rather than to build it anew?"""
    return record is not None and not set(CORE) - set(our_nodes(folder, record))


def our_nodes(folder: LabFolder, record: Record) -> list[str]:
    """The nodes whose namespaces are there and are the ones that `up` made, as far as the record knows them.

    The machine's own namespace is never ours, whoever has mounted it where.
    """
    own = processes.namespace_of(1)
    result = []
    for node in folder.nodes():
        identity = processes.identity(folder.namespace(node))
        if identity != own and record.namespaces.get(node, identity[1]) == identity[1]:
            result.append(node)
    return result
