"""Brings a lab up, from nothing or from whatever is there."""

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
from netemu.azure.network import Network
from netemu.azure.resources import Lint, Scenario
from netemu.compile.machines import HOST_SYSCTLS
from netemu.errors import NetemuError, PersonError, SystemRefusal
from netemu.lab import names, start
from netemu.lab.change import HALF_WAY, Changer
from netemu.lab.down import remove
from netemu.lab.engine import Engine
from netemu.lab.events import note
from netemu.lab.folder import RECORD_VERSION, LabFolder, Lock, Record
from netemu.lab.guest_requests import refuse_impossible
from netemu.lab.health import prune
from netemu.lab.interrupts import Interrupted, Interrupts
from netemu.lab.missing import missing
from netemu.lab.parts import checks, files, part_changes
from netemu.lab.present import is_there
from netemu.lab.requirements import require_library, require_root, require_tool
from netemu.lab.source import Order
from netemu.lab.survey import Desired, desire, fingerprint, reconciler, survey
from netemu.linux.balancing import ruleset_of
from netemu.linux.build import Builder, BuildError
from netemu.linux.describe import change_text
from netemu.linux.difference import Change
from netemu.linux.nursery import Nursery
from netemu.linux.state import Applied, Lab, Namespace

Progress = Callable[[int, int, str], None]
"""Called with steps done, steps in all, and what is being done."""

TOOLS = {"unbound": ("unbound", "it answers DNS on 168.63.129.16")}
"""The Debian package and the purpose of every daemon."""

TOLD = 5
"""How many missing things are told one by one."""


class Outcome(msgspec.Struct, frozen=True):
    """What `up` did: `built`, `rebuilt`, `changed`, `repaired` or `unchanged`."""

    folder: LabFolder
    network: Network
    did: str
    engine: Engine


def digest(scenario: Scenario) -> str:
    """Equal digests mean equal labs, whatever is expected or said of them."""
    built = msgspec.structs.replace(scenario, expect=(), lint=Lint())
    content = msgspec.json.encode(built) + netemu.__version__.encode()
    return blake2s(content, digest_size=16).hexdigest()


def up(order: Order, progress: Progress, tell: Callable[[str], None]) -> Outcome:
    """Bring the lab of a valid scenario up.

    A lab that is there is held against the scenario and changed where it differs, and nowhere else; one that has lost
    its core is built anew. When a new lab cannot be built, nothing of it is left behind; when a change cannot be
    finished, the lab is one that `up` completes and `down` removes.
    """
    require_root("up")
    scenario = order.scenario
    folder = LabFolder(scenario.name)
    with Interrupts() as interrupts, Lock(scenario.name):
        require_library()
        folder.refuse_foreign()
        record = folder.read() if folder.is_mounted() else None
        if record is not None and is_there(folder, record):
            desired = desire(scenario, folder, order.engine)
            did = _change(desired, folder, record, order, progress, tell, interrupts)
            return Outcome(folder, desired.network, did, desired.engine)
        return _anew(order, folder, record, progress, tell, interrupts)


def _anew(
    order: Order, folder: LabFolder, record: Record | None,
    progress: Progress, tell: Callable[[str], None], interrupts: Interrupts,
) -> Outcome:  # fmt: skip
    """Build a lab of which nothing is there, or too little."""
    scenario = order.scenario
    with Nursery(len(scenario.virtualMachines), HOST_SYSCTLS) as nursery:
        desired = desire(scenario, folder, order.engine)
        _as_planned(order, fingerprint(desired.lab, None))
        _check_guests(desired.lab, order)
        _check(desired.lab, folder, interrupts)
        did = "built"
        if folder.path.exists():
            gone = missing(folder, record).texts()
            _tell_all(f"lab {scenario.name} is only half there; building it anew:", gone, tell)
            remove(folder, tell)
            did = "rebuilt"
        try:
            _build(desired, folder, order, progress, interrupts, nursery)
            _note_engine(folder, desired, None)
            _remember(folder, order, desired)
        except BaseException as error:
            _give_up(folder.name, error, _remove_remains(folder), interrupts)
            raise
        return Outcome(folder, desired.network, did, desired.engine)


def _check_guests(lab: Lab, order: Order) -> None:
    refuse_impossible(lab, order.scenario.internet.hosts.keys(), Path(_where(order)[1]))


def _check(lab: Lab, folder: LabFolder, interrupts: Interrupts) -> None:
    """What can be known before anything is touched."""
    for namespace in lab.namespaces.values():
        for daemon in namespace.daemons:
            require_tool(daemon.argv[0], *TOOLS[daemon.argv[0]])
    names.refuse_foreign(folder, lab.namespaces)
    _raise_file_limit(len(lab.namespaces))
    interrupts.check("nothing was changed")


def _change(
    desired: Desired, folder: LabFolder, record: Record, order: Order,
    progress: Progress, tell: Callable[[str], None], interrupts: Interrupts,
) -> str:  # fmt: skip
    """Lead a lab that is there to what the scenario says."""
    engine = folder.kept().engine
    same = record.digest == digest(desired.network.scenario) and (engine is None or engine.name == desired.engine.name)
    if not same:
        _check_guests(desired.lab, order)
    try:
        kernel, parts = _read(desired, folder, record, order)
        if same and not kernel and not parts and record.state == "running":
            folder.write_scenario(order.text)
            _remember(folder, order, desired)
            return "unchanged"
    except (OSError, BuildError) as error:
        _give_up(folder.name, error, "nothing was changed", interrupts)
        raise
    _check(desired.lab, folder, interrupts)
    if Path(record.scenario) != Path(_where(order)[0]) and not same:
        tell(f"lab {folder.name} was brought up from {record.scenario}; it becomes what {order.source} says")
    if same:
        lines = [change_text(change) for change in (*kernel, *parts)]
        _tell_all(f"lab {folder.name} is not as described, putting it right:", lines, tell)
    try:
        Changer(desired, folder, record, interrupts, progress).change(kernel, parts)
        folder.write_scenario(order.text)
        record.digest, record.state = digest(desired.network.scenario), "running"
        record.scenario, record.directory = _where(order)
        prune(folder, desired.lab)
        _note_engine(folder, desired, engine)
        _remember(folder, order, desired)
        folder.write(record)
    except BaseException as error:
        _give_up(folder.name, error, HALF_WAY, interrupts)
        raise
    return "repaired" if same else "changed"


def _remember(folder: LabFolder, order: Order, desired: Desired) -> None:
    """What the next `up` may look up; not what only this command line has asked for."""
    if order.engine is None:
        folder.write_desired(order.text, desired.lab)


def _note_engine(folder: LabFolder, desired: Desired, before: Engine | None) -> None:
    if desired.network.loadBalancers and desired.engine != before:
        note(folder, "chosen", "load balancing", str(desired.engine))


def _read(desired: Desired, folder: LabFolder, record: Record, order: Order) -> tuple[list[Change], list[Change]]:
    """What differs: in the kernel, and in files and programs. A plan has to be exactly that."""
    if order.fingerprint is not None:
        found = survey(desired, folder, record)
        _as_planned(order, fingerprint(desired.lab, found))
        return found.kernel, found.parts
    with reconciler(desired, folder, record) as opened:
        kernel = opened.changes(thorough=False)
        if opened.learnt:
            folder.write_applied(opened.applied)
    return kernel, part_changes(desired.lab, folder, record)


def _as_planned(order: Order, found: str) -> None:
    if order.fingerprint is not None and order.fingerprint != found:
        raise PersonError("the lab or netemu has changed since the plan was made; make a new one with `netemu plan`")


def _where(order: Order) -> tuple[str, str]:
    """Path of the scenario, and where its programs start: beside it, or here when it came by a pipe."""
    return str(order.source.absolute()), str(Path.cwd() if order.by_pipe else order.source.absolute().parent)


def _give_up(name: str, error: BaseException, left: str, interrupts: Interrupts) -> None:
    """Say in one line what could not be done and how things are now; a bug keeps its traceback."""
    if isinstance(error, Interrupted):
        raise Interrupted(interrupts.received or 2, left) from error
    if interrupts.received is not None and isinstance(error, (NetemuError, BuildError, OSError)):
        raise Interrupted(interrupts.received, left) from error
    if isinstance(error, BuildError):
        raise SystemRefusal(f"lab {name}: {_explained(error)}; {left}") from error
    if isinstance(error, NetemuError):
        raise type(error)(f"lab {name}: {error}; {left}") from error
    if isinstance(error, OSError):
        where = f" ({error.filename})" if error.filename else ""
        raise SystemRefusal(f"lab {name}: {error.strerror or error}{where}; {left}") from error


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
    desired: Desired, folder: LabFolder, order: Order, progress: Progress, interrupts: Interrupts, nursery: Nursery
) -> None:
    lab, network = desired.lab, desired.network
    scenario, directory = _where(order)
    folder.create()
    with_files = [namespace.name for namespace in lab.namespaces.values() if namespace.files]
    record = Record(
        version=RECORD_VERSION,
        name=lab.name,
        scenario=scenario,
        directory=directory,
        digest=digest(network.scenario),
        state="building",
        created=time.time(),
        machines=list(network.machines),
        hosts=list(network.hosts),
        with_files=with_files,
    )
    folder.keep(desired.kept)
    folder.write_scenario(order.text)
    folder.write(record)
    for namespace in lab.namespaces.values():
        _write_files(namespace, folder)
    path, content = checks(lab, folder)
    Path(path).write_text(content)
    names.publish(folder, lab.namespaces, with_files)
    done, steps = 0, len(lab.namespaces) * 2

    def step(what: str) -> None:
        nonlocal done
        interrupts.check()
        done += 1
        progress(min(done, steps), steps, what)

    with Builder(lab, folder.namespaces, step, nursery=nursery) as builder:
        builder.build()
        record.namespaces = {node: os.fstat(descriptor).st_ino for node, descriptor in builder.descriptors.items()}
        rulesets = {name: ruleset_of(lab, lab.namespaces[name]) for name in builder.generations}
        spreading = {n.name: n.balancing for n in lab.namespaces.values() if n.balancing is not None}
        folder.write_applied(Applied(rulesets, builder.generations, spreading))
    wanted = [(namespace, daemon) for namespace in lab.namespaces.values() for daemon in namespace.daemons]
    start.daemons(wanted, folder, record.daemons, interrupts.check)
    for namespace in lab.namespaces.values():
        for program in namespace.programs:
            interrupts.check()
            record.programs.append(start.program(namespace, program, folder, record))
    interrupts.check()
    record.agent = start.agent(folder)
    record.state = "running"
    folder.write(record)


def _write_files(namespace: Namespace, folder: LabFolder) -> None:
    if namespace.files:
        os.mkdir(f"{folder.etc}/{namespace.name}")
    for directory in {os.path.dirname(name) for name in namespace.daemon_files} - {""}:
        os.mkdir(folder.daemons / directory)
    for path, content in files(namespace, folder):
        with open(path, "wb", buffering=0) as file:
            file.write(content.encode())


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
