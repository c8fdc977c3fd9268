"""Runs a program inside a lab, in place of ourselves: exit status, signals, terminal and stdin are its own."""

from __future__ import annotations

import contextlib
import difflib
import os

from netemu.errors import PersonError, SystemRefusal
from netemu.lab.folder import LabFolder
from netemu.lab.requirements import require_root
from netemu.lab.start import surroundings
from netemu.linux import processes


def node(folder: LabFolder, name: str) -> str:
    """The node of that name, or an error that names what there is."""
    nodes = folder.nodes()
    record = folder.read()
    ours = record.namespaces.get(name) if record is not None else None
    if name in nodes and ours in (None, processes.identity(folder.namespace(name))[1]):
        return name
    if record is not None and name in (*record.machines, *record.hosts, *record.namespaces):
        raise PersonError(f"{name} of lab {folder.name} is not there; `netemu up` puts back what is missing")
    close = difflib.get_close_matches(name, nodes, 1)
    there = f"did you mean {close[0]!r}?" if close else f"there are: {', '.join(n for n in nodes if n[0] != '@')}"
    raise PersonError(f"lab {folder.name} has no machine {name!r}; {there}")


def execute(folder: LabFolder, name: str, argv: tuple[str, ...]) -> None:
    """Become `argv` inside a node. Returns only by raising."""
    require_root("exec")
    around = surroundings(folder, node(folder, name))
    try:
        cwd = os.getcwd()
    except FileNotFoundError:
        cwd = "/"  # somebody has removed it
    os.environ["NETEMU_LAB"], os.environ["NETEMU_NODE"] = folder.name, name
    try:
        processes.enter(around)
        with contextlib.suppress(OSError):  # below /sys the new mount may not have it
            os.chdir(cwd)
        processes.default_signals()
    except OSError as error:
        raise SystemRefusal(f"cannot enter {name}: {error.strerror}") from error
    try:
        os.execvp(argv[0], argv)
    except (FileNotFoundError, ValueError):  # ValueError: an empty name, or one with a NUL
        raise PersonError(f"there is no program {argv[0]!r} on this machine") from None
    except OSError as error:
        raise PersonError(f"cannot run {argv[0]!r}: {error.strerror}") from error
