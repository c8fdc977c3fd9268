"""Brings a lab up: all of it, or nothing is left behind."""

from __future__ import annotations

import errno
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
from netemu.errors import NetemuError, SystemRefusal
from netemu.lab import names, start
from netemu.lab.down import remove
from netemu.lab.folder import RECORD_VERSION, LabFolder, Lock, Record
from netemu.lab.interrupts import Interrupted, Interrupts
from netemu.lab.missing import missing
from netemu.lab.requirements import require_library, require_root, require_tool
from netemu.linux.build import Builder, BuildError
from netemu.linux.state import Lab, Namespace

Progress = Callable[[int, int, str], None]
"""Called with steps done, steps in all, and what is being done."""

TOLD = 5
"""How many missing things are told one by one."""


class Outcome(msgspec.Struct, frozen=True):
    """What `up` did: `built`, `rebuilt`, `repaired` or `unchanged`."""

    folder: LabFolder
    network: Network
    did: str


def digest(scenario: Scenario) -> str:
    """Equal digests mean equal labs, whatever is expected of them."""
    content = msgspec.json.encode(msgspec.structs.replace(scenario, expect=())) + netemu.__version__.encode()
    return blake2s(content, digest_size=16).hexdigest()


def up(
    scenario: Scenario, source: Path, progress: Progress, tell: Callable[[str], None], content: bytes | None = None
) -> Outcome:
    """Bring the lab of a valid scenario up; `source` is the file it came from, `content` its text if a pipe.

    A lab that is up as described is left alone. If only programs of it have ended they are started again. One that is
    half there, or was built from another version of the scenario, is removed first, but not before everything that
    can be checked beforehand has been. If anything fails or interrupts, what was built is removed again.
    """
    require_root("up")
    folder = LabFolder(scenario.name)
    network = resolve(scenario)
    with Interrupts() as interrupts, Lock(scenario.name):
        require_library()
        folder.refuse_foreign()
        record = folder.read() if folder.is_mounted() else None
        same = record is not None and record.digest == digest(scenario)
        gone = missing(folder, record)
        if same and not gone:
            _keep(folder, content if content is not None else source.read_bytes())
            return Outcome(folder, network, "unchanged")
        lab = compile_lab(network, str(folder.daemons))
        for namespace in lab.namespaces.values():
            for daemon in namespace.daemons:
                require_tool(daemon.argv[0], "dnsmasq-base", "it answers DNS on 168.63.129.16")
        names.refuse_foreign(folder, lab.namespaces)
        _raise_file_limit(len(lab.namespaces))
        interrupts.check("nothing was changed")
        if record is not None and same and not gone.parts:
            _tell_all(f"lab {scenario.name} is not whole, starting again what has ended:", gone.texts(), tell)
            start.again(lab, folder, record, gone)
            return Outcome(folder, network, "repaired")
        did = "built"
        if folder.path.exists():
            if record is not None and record.state == "running" and not same:
                tell(f"lab {scenario.name} is up in another version; building it anew")
            else:
                _tell_all(f"lab {scenario.name} is only half there; building it anew:", gone.texts(), tell)
            remove(folder, tell)
            did = "rebuilt"
        try:
            _build(lab, network, folder, source, content, progress, interrupts)
        except BaseException as error:
            left = _remove_remains(folder)
            if interrupts.received is not None and isinstance(error, (NetemuError, BuildError, OSError)):
                raise Interrupted(interrupts.received, left) from error
            if isinstance(error, BuildError):
                raise SystemRefusal(f"lab {scenario.name}: {_explained(error)}; {left}") from error
            if isinstance(error, NetemuError):
                raise type(error)(f"lab {scenario.name}: {error}; {left}") from error
            if isinstance(error, OSError):
                where = f" ({error.filename})" if error.filename else ""
                raise SystemRefusal(f"lab {scenario.name}: {error.strerror or error}{where}; {left}") from error
            raise
        return Outcome(folder, network, did)


def _keep(folder: LabFolder, text: bytes) -> None:
    """Keep the scenario's text when it has changed: what is expected of the same lab may be new."""
    if folder.scenario.read_bytes() != text:
        draft = folder.path / "scenario.yaml.new"
        draft.write_bytes(text)
        draft.rename(folder.scenario)


OF_THE_MOMENT = {
    errno.EPERM, errno.EACCES, errno.ENOSPC, errno.EMFILE, errno.ENFILE, errno.EBUSY, errno.ENOBUFS, errno.ENOMEM,
    errno.EEXIST, errno.EINTR, errno.EAGAIN,
}  # fmt: skip
"""Errors that say nothing of the kernel's features."""


def _explained(error: BuildError) -> str:
    """The error, and the feature that the kernel lacks if that is why."""
    if error.error.errno in OF_THE_MOMENT:
        return str(error)
    from netemu.lab.doctor import explain_missing

    return explain_missing(error) or str(error)


def _tell_all(heading: str, details: list[str], tell: Callable[[str], None]) -> None:
    """A heading and what is behind it; not all of it, when a thousand machines are gone."""
    tell(heading)
    for detail in details[:TOLD]:
        tell(f"  {detail}")
    if len(details) > TOLD:
        tell(f"  and {len(details) - TOLD} more")


def _remove_remains(folder: LabFolder) -> str:
    """After a failure: remove what was built; says how that went."""
    try:
        remove(folder, lambda _: None)
    except (OSError, NetemuError) as error:
        return f"some of it is left ({error}); `netemu down {folder.name}` removes it"
    return "nothing was left behind"


def _build(
    lab: Lab, network: Network, folder: LabFolder, source: Path, content: bytes | None,
    progress: Progress, interrupts: Interrupts,
) -> None:  # fmt: skip
    text = content if content is not None else source.read_bytes()
    folder.create()
    with_files = [namespace.name for namespace in lab.namespaces.values() if namespace.files]
    record = Record(
        version=RECORD_VERSION,
        name=lab.name,
        scenario=str(source.absolute()),
        directory=str(source.absolute().parent if content is None else Path.cwd()),
        digest=digest(network.scenario),
        state="building",
        created=time.time(),
        machines=list(network.machines),
        hosts=list(network.hosts),
        with_files=with_files,
    )
    folder.write(record)
    folder.scenario.write_bytes(text)
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
        record.namespaces = {node: os.fstat(descriptor).st_ino for node, descriptor in builder.descriptors.items()}
    for namespace in lab.namespaces.values():
        for daemon in namespace.daemons:
            interrupts.check()
            record.daemons.append(start.daemon(namespace, daemon, folder))
    for namespace in lab.namespaces.values():
        for program in namespace.programs:
            interrupts.check()
            record.programs.append(start.program(namespace, program, folder, record))
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
