"""Brings a lab up: all of it, or nothing is left behind."""

from __future__ import annotations

import contextlib
import os
import resource
import time
from collections.abc import Callable
from hashlib import blake2s
from pathlib import Path

import msgspec

import netemu
from netemu.azure.network import Network, resolve
from netemu.azure.resources import Scenario
from netemu.compile.lab import compile_lab
from netemu.errors import SystemRefusal
from netemu.lab import names
from netemu.lab.down import remove
from netemu.lab.folder import RECORD_VERSION, LabFolder, Lock, ProcessRecord, Record
from netemu.lab.interrupts import Interrupts
from netemu.lab.requirements import require_library, require_root, require_tool
from netemu.linux import processes
from netemu.linux.build import Builder, BuildError
from netemu.linux.state import Lab, Namespace

Progress = Callable[[int, int, str], None]
"""Called with steps done, steps in all, and what is being done."""


class Outcome(msgspec.Struct, frozen=True):
    """What `up` did: `built`, `rebuilt` or `unchanged`."""

    folder: LabFolder
    network: Network
    did: str


def digest(scenario: Scenario) -> str:
    """Equal digests mean equal labs."""
    content = msgspec.json.encode(scenario) + netemu.__version__.encode()
    return blake2s(content, digest_size=16).hexdigest()


def up(scenario: Scenario, source: Path, progress: Progress, tell: Callable[[str], None]) -> Outcome:
    """Bring the lab of a valid scenario up; `source` is the file it came from.

    A lab that is up as described is left alone. One that is half there, or was built from another version of the
    scenario, is removed first. If anything fails or interrupts, what was built is removed again.
    """
    require_root("up")
    require_library()
    folder = LabFolder(scenario.name)
    network = resolve(scenario)
    with Lock(scenario.name), Interrupts() as interrupts:
        did = "built"
        if folder.exists():
            record = folder.read() if folder.is_mounted() else None
            if record is not None and record.digest == digest(scenario) and _is_whole(folder, record):
                return Outcome(folder, network, "unchanged")
            tell("the lab is up in another version" if record is not None and record.state == "running"
                 else "the lab is only half there")  # fmt: skip
            tell("removing it first")
            remove(folder, tell)
            did = "rebuilt"
        lab = compile_lab(network, str(folder.daemons))
        for namespace in lab.namespaces.values():
            for daemon in namespace.daemons:
                require_tool(daemon.argv[0], "dnsmasq-base", "it answers DNS on 168.63.129.16")
        names.refuse_foreign(folder, lab.namespaces)
        try:
            _build(lab, network, folder, source, progress, interrupts)
        except BaseException as error:
            remove(folder, lambda _: None)
            if isinstance(error, BuildError):
                raise SystemRefusal(f"lab {scenario.name}: {error}; nothing was left behind") from error
            if isinstance(error, OSError):
                raise SystemRefusal(
                    f"lab {scenario.name}: {error.strerror or error}"
                    f"{f' ({error.filename})' if error.filename else ''}; nothing was left behind"
                ) from error
            raise
        return Outcome(folder, network, did)


def _is_whole(folder: LabFolder, record: Record) -> bool:
    """Is everything there that `up` made, as far as names and processes go?"""
    if record.state != "running":
        return False
    there = set(folder.nodes())
    links = {path.name for path in names.published(folder)}
    return (
        there.issuperset([*record.machines, *record.hosts])
        and all(f"{folder.name}.{node}" in links for node in there)
        and all(processes.start_time(process.pid) == process.started for process in record.processes if not process.name)
    )


def _build(
    lab: Lab, network: Network, folder: LabFolder, source: Path, progress: Progress, interrupts: Interrupts
) -> None:
    _raise_file_limit(len(lab.namespaces))
    folder.create()
    record = Record(
        version=RECORD_VERSION,
        name=lab.name,
        scenario=str(source.absolute()),
        digest=digest(network.scenario),
        state="building",
        created=time.time(),
        machines=list(network.machines),
        hosts=list(network.hosts),
    )
    folder.write(record)
    folder.scenario.write_bytes(source.read_bytes())
    with_files = [namespace.name for namespace in lab.namespaces.values() if namespace.files]
    for namespace in lab.namespaces.values():
        _write_files(namespace, folder)
    names.publish(folder, lab.namespaces, with_files)
    done, steps = 0, len(lab.namespaces) * 2

    def step(what: str) -> None:
        nonlocal done
        interrupts.check()
        done += 1
        progress(min(done, steps), steps, what)

    with Builder(lab, folder.namespaces, step) as builder:
        builder.build()
        for namespace in lab.namespaces.values():
            for daemon in namespace.daemons:
                interrupts.check()
                _start_daemon(namespace, daemon.argv, builder.descriptors[namespace.name], folder)
    for namespace in lab.namespaces.values():
        for program in namespace.programs:
            interrupts.check()
            record.processes.append(_start_program(namespace, program.name, program.argv, folder, source))
    interrupts.check()
    record.state = "running"
    folder.write(record)


def _write_files(namespace: Namespace, folder: LabFolder) -> None:
    if namespace.files:
        directory = folder.etc / namespace.name
        directory.mkdir()
        for name, content in namespace.files.items():
            (directory / name).write_text(content)
        (directory / "hostname").write_text(f"{namespace.hostname}\n")
    for name, content in namespace.daemon_files.items():
        (folder.daemons / name).write_text(content)


def _start_daemon(namespace: Namespace, argv: tuple[str, ...], descriptor: int, folder: LabFolder) -> None:
    try:
        processes.run_daemon(argv, descriptor, folder.daemons)
    except processes.StartError as error:
        raise SystemRefusal(f"{namespace.name}: {argv[0]} did not start: {error.strerror}; nothing was left behind") from error


def _start_program(namespace: Namespace, name: str, argv: tuple[str, ...], folder: LabFolder, source: Path) -> ProcessRecord:
    extra = {"NETEMU_LAB": folder.name, "NETEMU_NODE": namespace.name}
    around = surroundings(folder, namespace.name)
    try:
        pid = processes.start(argv, around, folder.logs / f"{name}.log", source.absolute().parent, extra)
    except processes.StartError as error:
        raise SystemRefusal(
            f"virtualMachines/{namespace.name}/run: cannot start {argv[0]!r}: {error.strerror}; "
            "install it, or correct `run`; nothing was left behind"
        ) from error
    return ProcessRecord(namespace.name, name, " ".join(argv), pid, processes.start_time(pid) or 0)


def surroundings(folder: LabFolder, node: str) -> processes.Surroundings:
    """What a program in a node of a lab finds around it."""
    etc = folder.etc / node
    hostname = None
    with contextlib.suppress(FileNotFoundError):
        hostname = (etc / "hostname").read_text().strip()
    return processes.Surroundings(folder.namespace(node), hostname, etc if hostname is not None else None)


def _raise_file_limit(namespaces: int) -> None:
    """One descriptor a namespace while building, and some for the rest."""
    needed = namespaces + 64
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < needed:
        if hard != resource.RLIM_INFINITY and hard < needed:
            raise SystemRefusal(
                f"the lab needs {needed} open files and the limit is {hard}; raise it with `ulimit -Hn {needed}`"
            )
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
    os.umask(0o022)
