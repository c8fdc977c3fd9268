"""What a lab has besides its namespaces: files, names for other tools, daemons, programs. What of it must change."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

from netemu.compile.numbering import FABRIC
from netemu.lab import names
from netemu.lab.folder import LabFolder, ProcessRecord, Record
from netemu.lab.missing import is_alive
from netemu.lab.probing import checks_file, checks_text
from netemu.lab.start import AGENT
from netemu.linux.difference import Action, Change, File, Thing
from netemu.linux.state import Lab, Namespace, Program

ENOUGH = 1 << 16
"""Bytes that nearly every file of a lab is shorter than."""


def files(namespace: Namespace, folder: LabFolder) -> Iterator[tuple[str, str]]:
    """Every file of a namespace: its path and its content. Paths are plain strings: a large lab has thousands."""
    if namespace.files:
        directory = f"{folder.etc}/{namespace.name}"
        for name, content in namespace.files.items():
            yield f"{directory}/{name}", content
        yield f"{directory}/hostname", f"{namespace.hostname}\n"
    for name, content in namespace.daemon_files.items():
        yield f"{folder.daemons}/{name}", content


def checks(lab: Lab, folder: LabFolder) -> tuple[str, str]:
    """The file of what the agent asks: its path and its content."""
    return str(checks_file(folder)), checks_text(lab.checks)


def part_changes(lab: Lab, folder: LabFolder, record: Record) -> list[Change]:
    """What has to be done to the files, names, daemons and programs of a lab that is there."""
    return [*_files(lab, folder), *_names(lab, folder), *_processes(lab, record, folder), *_agent(record)]


def _files(lab: Lab, folder: LabFolder) -> Iterator[Change]:
    of_nodes = ((each.name, *file) for each in lab.namespaces.values() for file in files(each, folder))
    for node, path, content in (*of_nodes, (FABRIC, *checks(lab, folder))):
        there = content_of(path)
        if there != content:
            yield Change(node, "+" if there is None else "~", File(path))
    yield from _strays(lab, folder)


def _strays(lab: Lab, folder: LabFolder) -> Iterator[Change]:
    """What daemons have had in their directories and have no more."""
    for namespace in lab.namespaces.values():
        for directory in sorted({os.path.dirname(name) for name in namespace.daemon_files} - {""}):
            with contextlib.suppress(FileNotFoundError):
                for name in sorted(os.listdir(f"{folder.daemons}/{directory}")):
                    if f"{directory}/{name}" not in namespace.daemon_files:
                        yield Change(namespace.name, "-", File(f"{folder.daemons}/{directory}/{name}"))


def content_of(path: str) -> str | None:
    """A file's content; None when it cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        content = os.read(descriptor, ENOUGH)
        while len(content) >= ENOUGH and (more := os.read(descriptor, ENOUGH)):
            content += more
    except OSError:
        return None
    finally:
        os.close(descriptor)
    return content.decode(errors="replace")


def _names(lab: Lab, folder: LabFolder) -> Iterator[Change]:
    action: Action
    with_files = [namespace.name for namespace in lab.namespaces.values() if namespace.files]
    wanted = set(names.paths(folder, lab.namespaces, with_files))
    there = set(names.published(folder))
    for action, paths in (("+", wanted - there), ("-", there - wanted)):
        for path in sorted(paths):
            yield Change(path.rpartition("/")[2].removeprefix(f"{folder.name}."), action, File(path))


def _processes(lab: Lab, record: Record, folder: LabFolder) -> Iterator[Change]:
    for kind, recorded in (("programs", record.programs), ("daemons", record.daemons)):
        old = {(process.machine, process.name): process for process in recorded}
        for namespace in lab.namespaces.values():
            wanted: list[Program] = getattr(namespace, kind)
            for program in wanted:
                yield from _process(namespace, program, old.pop((namespace.name, program.name), None), folder)
        for process in old.values():
            yield Change(process.machine, "-", Program(process.name, process.argv))


def _agent(record: Record) -> Iterator[Change]:
    if record.agent is None or not is_alive(record.agent):
        yield Change(FABRIC, "+", AGENT)


def _process(
    namespace: Namespace, program: Program, process: ProcessRecord | None, folder: LabFolder
) -> Iterator[Change]:
    def change(action: Action, before: Thing | None = None) -> Change:
        return Change(namespace.name, action, program, before)

    reloaded = {name for daemon in namespace.daemons for name in daemon.reloads}

    if process is None or not is_alive(process):
        yield change("+")
    elif process.argv != program.argv:
        yield change("~", Program(process.name, process.argv))
    elif program in namespace.daemons and any(
        name not in reloaded and content_of(f"{folder.daemons}/{name}") != content
        for name, content in namespace.daemon_files.items()
    ):
        yield change("~", program)
