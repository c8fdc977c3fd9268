"""A lab's folder: a tmpfs of its own below /run/netemu, where everything that the lab makes lies.

    <lab>/lab.json       the record: what this is, and how far it got
    <lab>/scenario.yaml  the scenario as it was read
    <lab>/kept.json      addresses and numbers that stay when the scenario changes
    <lab>/applied        the rulesets as they were loaded last; applied.<node> when health has changed since
    <lab>/health.json    which backends of load balancers are down
    <lab>/checks.json    what the agent asks backends; probed.json: what it has found out
    <lab>/desired        the compiled state that the lab was brought to, and from which text
    <lab>/netns/<node>   the namespaces, bind-mounted
    <lab>/etc/<node>/    resolv.conf, hosts and hostname of a machine
    <lab>/logs/<name>    output of `run:` programs
    <lab>/daemons/       configuration of the lab's own daemons
    <lab>/events.jsonl   what has happened by itself

A namespace or a mount below this folder is netemu's; a name elsewhere is netemu's when it is a symbolic link into it.
Removing the lab is one umount, and nothing of it outlives a reboot.

Beside it lies <lab>.netemu-lock, from the beginning of `up` to the end of `down`: where it is, a lab is or was being
made.
"""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import os
import re
import stat
import time
from collections.abc import Iterator
from hashlib import blake2s
from pathlib import Path

import msgspec
from msgspec import Struct

import netemu
from netemu.azure.given import Given
from netemu.compile.numbering import Numbering
from netemu.errors import PersonError, SystemRefusal
from netemu.lab.engine import Engine
from netemu.linux import namespaces as ns
from netemu.linux.state import Applied, Lab, Loaded

STATE_DIRECTORY = "NETEMU_STATE_DIR"
RECORD_VERSION = 4
_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}", re.ASCII)
_PLAIN = re.compile(r"[A-Za-z0-9/._+-]+", re.ASCII)
LOCK = ".netemu-lock"
"""Ending of lock files: nobody else's file is called so."""
_MADE_BY_NETEMU = 0o1755
"""Mode of the directory of all labs when netemu makes it. The sticky bit, which changes nothing in a directory that
only root writes, is set by mkdir itself: no crash can come between the directory and the sign that it may go."""


ATTEMPTS = 100
"""How often the directory of all labs may vanish while we open a file in it, as other labs end."""


class ProcessRecord(Struct, frozen=True):
    """A program or daemon that `up` started; id and start time together name it for ever."""

    machine: str
    name: str
    argv: tuple[str, ...]
    pid: int
    started: int
    ready: str = ""
    """What a daemon's log says when it serves."""

    @property
    def command(self) -> str:
        """The command line, for a person."""
        return " ".join(self.argv)


class Record(Struct):
    """lab.json."""

    version: int
    name: str
    scenario: str
    """Absolute path of the scenario file."""
    directory: str
    """Where programs of `run:` start: the scenario's directory, or where `up` was when it came by a pipe."""
    digest: str
    """Of the scenario and of netemu's version: equal digests, equal labs."""
    state: str
    """`building`, `changing` or `running`."""
    created: float
    machines: list[str] = []
    hosts: list[str] = []
    namespaces: dict[str, int] = {}
    """Inode of every node's namespace."""
    with_files: list[str] = []
    """The nodes that have files for /etc."""
    programs: list[ProcessRecord] = []
    daemons: list[ProcessRecord] = []
    agent: ProcessRecord | None = None


class Kept(Struct, frozen=True):
    """kept.json: what a lab has chosen by itself, so that the next version of its scenario chooses the same."""

    given: Given = Given()
    numbering: Numbering | None = None
    engine: Engine | None = None


class Health(Struct):
    """health.json: what probes have found out. Who is not named is up, or not probed."""

    down: dict[str, list[str]] = {}
    """`<load balancer>/<probe>` to the members that are down, as `<NIC>/<IP configuration>`."""

    def sick(self) -> set[tuple[str, str]]:
        """The same, as pairs."""
        return {(watch, member) for watch, members in self.down.items() for member in members}


class Compiled(Struct, frozen=True):
    """desired: a compiled state, and a digest of all that it was compiled from."""

    key: bytes
    lab: Lab


def base() -> Path:
    """Where all labs are; without symbolic links, as the kernel's table of mounts has it."""
    path = os.path.realpath(os.environ.get(STATE_DIRECTORY) or "/run/netemu")
    if not _PLAIN.fullmatch(path):
        raise PersonError(
            f"{STATE_DIRECTORY}={path!r} cannot be used: it goes into daemons' files; "
            "use letters, digits and / . _ + - only"
        )
    return Path(path)


def make_base() -> None:
    """Make the directory of all labs if it is not there."""
    umask = os.umask(0o022)
    try:
        with contextlib.suppress(FileExistsError):
            base().mkdir(_MADE_BY_NETEMU)
    finally:
        os.umask(umask)


def remove_base() -> None:
    """Remove the directory of all labs if netemu made it and nothing is left in it."""
    with contextlib.suppress(OSError):
        if stat.S_IMODE(base().stat().st_mode) == _MADE_BY_NETEMU:
            base().rmdir()


MOMENT = 0.1
"""Seconds until somebody other than the agent is believed to hold a lab."""


class LabFolder:
    """The folder of one lab, whether it exists or not."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = base() / name
        self.namespaces = self.path / "netns"
        self.etc = self.path / "etc"
        self.logs = self.path / "logs"
        self.daemons = self.path / "daemons"
        self.scenario = self.path / "scenario.yaml"
        self.lock = base() / f"{name}{LOCK}"

    def namespace(self, node: str) -> Path:
        """The file of a node's namespace."""
        return self.namespaces / node

    def _source(self) -> str:
        return f"netemu:{self.name}"

    def is_mounted(self) -> bool:
        """Is the lab's own file system there?"""
        return ns.mount_source(self.path) == self._source()

    def exists(self) -> bool:
        """Is there anything of this lab, be it only what a crash left of its beginning or end?"""
        return self.lock.exists() or self.is_mounted()

    def is_foreign(self) -> bool:
        """Is there something with this lab's path that netemu did not make?"""
        if not os.path.lexists(self.path) or self.is_mounted():
            return False
        return self.path.is_symlink() or not self.path.is_dir() or self.path.is_mount() or any(self.path.iterdir())

    def refuse_foreign(self) -> None:
        """Neither build on what is somebody else's nor remove it."""
        if self.is_foreign():
            raise PersonError(f"{self.path} is there already and is not netemu's; remove it or rename the lab")

    def nodes(self) -> list[str]:
        """The nodes whose namespaces are there: really mounted, not just files with their names."""
        prefix = f"{self.namespaces}/"
        mounted = {point.removeprefix(prefix) for point in ns.mounts_below(self.namespaces)}
        return sorted(node for node in mounted if "/" not in node)

    def create(self) -> None:
        """Make and mount the folder. Private, so that the namespaces below it are not copied into other mounts."""
        self.path.mkdir(exist_ok=True)
        ns.mount(self._source(), str(self.path), "tmpfs", 0, "mode=0755")
        ns.mount(None, str(self.path), None, ns.MS_PRIVATE)
        for directory in (self.namespaces, self.etc, self.logs, self.daemons):
            directory.mkdir()

    def read(self) -> Record | None:
        """The record, or None when there is none that can be read: then only `down` makes sense."""
        try:
            record = msgspec.json.decode((self.path / "lab.json").read_bytes(), type=Record)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return None
        return record if record.version == RECORD_VERSION and record.name == self.name else None

    def write(self, record: Record) -> None:
        """Write the record, all of it or nothing."""
        self._replace("lab.json", msgspec.json.format(msgspec.json.encode(record)))

    def kept(self) -> Kept:
        """What the lab has chosen; nothing when there is no such lab."""
        try:
            content = (self.path / "kept.json").read_bytes()
            return msgspec.json.decode(content, type=Kept, dec_hook=lambda kind, text: kind(text))
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return Kept()

    def keep(self, kept: Kept) -> None:
        """Write what the lab has chosen, if it is something new."""
        if kept != self.kept():
            self._replace("kept.json", msgspec.json.encode(kept, enc_hook=str))

    def applied(self) -> Applied:
        """The rulesets as they were loaded last; what is not known is compared with the kernel object by object."""
        try:
            found = msgspec.msgpack.decode((self.path / "applied").read_bytes(), type=Applied)
        except (OSError, msgspec.MsgspecError):
            return Applied()
        for node in found.balancing:
            with contextlib.suppress(OSError, msgspec.MsgspecError):
                later = msgspec.msgpack.decode((self.path / f"applied.{node}").read_bytes(), type=Loaded)
                found.rulesets[node], found.generations[node] = later.ruleset, later.generation
        return found

    def write_applied(self, applied: Applied) -> None:
        """Write which rulesets are loaded."""
        self._replace("applied", msgspec.msgpack.encode(applied))
        for path in self.path.glob("applied.@*"):
            path.unlink()

    def write_loaded(self, node: str, loaded: Loaded) -> None:
        """Write which ruleset a single namespace has: a change of health is a small thing in a large lab."""
        self._replace(f"applied.{node}", msgspec.msgpack.encode(loaded))

    def health(self) -> Health:
        """Which backends are down."""
        try:
            return msgspec.json.decode((self.path / "health.json").read_bytes(), type=Health)
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
            return Health()

    def write_health(self, health: Health) -> None:
        """Write which backends are down."""
        self._replace("health.json", msgspec.json.encode(health))

    def desired(self, text: bytes) -> Lab | None:
        """The compiled state that the lab was brought to, if it was compiled from just this text by this netemu."""
        try:
            cached = msgspec.msgpack.decode((self.path / "desired").read_bytes(), type=Compiled)
        except (OSError, msgspec.MsgspecError):
            return None
        return cached.lab if cached.key == self._key(text) else None

    def write_desired(self, text: bytes, lab: Lab) -> None:
        """Keep the compiled state, for the next `up` with the same text."""
        plain = msgspec.structs.replace(lab, down={})
        self._replace("desired", msgspec.msgpack.encode(Compiled(self._key(text), plain)))

    def _key(self, text: bytes) -> bytes:
        kept = (self.path / "kept.json").read_bytes()
        return blake2s(b"\0".join((netemu.__version__.encode(), kept, text)), digest_size=16).digest()

    def write_scenario(self, text: bytes) -> None:
        """Keep the scenario's text, if it is another one than before."""
        if not self.scenario.is_file() or self.scenario.read_bytes() != text:
            self._replace(self.scenario.name, text)

    def _replace(self, name: str, content: bytes) -> None:
        """Write a file, all of it or nothing."""
        draft = self.path / f"{name}.new"
        draft.write_bytes(content)
        draft.rename(self.path / name)


class Lock:
    """Only one command changes a lab at a time. Readers need no lock."""

    def __init__(self, name: str, patient: bool = False) -> None:
        """`patient`: wait for the command that has it, instead of refusing."""
        self.folder = LabFolder(name)
        self.path = self.folder.lock
        self._patient = patient
        self._descriptor = -1

    def __enter__(self) -> Lock:
        try:
            self._descriptor = self._take()
            os.truncate(self._descriptor, 0)
            os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)
        except OSError as error:
            if self._descriptor >= 0:
                self.__exit__()
            remove_base()
            advice = "run netemu as root (sudo)" if isinstance(error, PermissionError) else "nothing was changed"
            raise SystemRefusal(f"cannot write {self.path}: {error.strerror}; {advice}") from error
        return self

    def _take(self) -> int:
        """Open and lock the file; again when its last holder removed it, or its directory, in between."""
        deadline = time.monotonic() + MOMENT
        for attempt in itertools.count():
            make_base()
            try:
                descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
            except FileNotFoundError:
                if attempt < ATTEMPTS:
                    continue
                raise  # a directory in which nobody can make files, such as /proc
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self._is_still(descriptor):
                    return descriptor
            except BlockingIOError:
                holder = os.read(descriptor, 32).decode(errors="replace").strip() or "another one"
                agent = record.agent if (record := self.folder.read()) is not None else None
                if self._patient or (agent is not None and str(agent.pid) == holder):
                    fcntl.flock(descriptor, fcntl.LOCK_EX)
                    if self._is_still(descriptor):
                        return descriptor
                elif time.monotonic() < deadline:  # it may be the agent, which has not yet written so
                    time.sleep(0.002)
                else:
                    os.close(descriptor)
                    raise SystemRefusal(
                        f"lab {self.folder.name} is being changed by process {holder}; try again when it has ended"
                    ) from None
            except OSError:
                os.close(descriptor)
                raise
            os.close(descriptor)
        raise AssertionError("unreachable: the loop has no end")

    def _is_still(self, descriptor: int) -> bool:
        try:
            there = self.path.stat()
        except FileNotFoundError:
            return False
        return there.st_ino == os.fstat(descriptor).st_ino

    def __exit__(self, *exception: object) -> None:
        if not self.folder.path.is_dir() or self.folder.is_foreign():
            self.path.unlink(missing_ok=True)
        os.close(self._descriptor)
        remove_base()


def labs() -> Iterator[LabFolder]:
    """Every lab of which anything is there."""
    try:
        entries = {entry.name.removesuffix(LOCK) for entry in base().iterdir()}
    except OSError:
        return
    for name in sorted(entries):
        if _NAME.fullmatch(name) and (folder := LabFolder(name)).exists():
            yield folder


def find(name: str | None) -> LabFolder:
    """The lab of that name, or the only one there is."""
    if name is not None:
        if not _NAME.fullmatch(name) or not (folder := LabFolder(name)).exists():
            raise PersonError(f"there is no lab {name!r}; {_existing()}")
        return folder
    present = list(labs())
    if not present:
        raise PersonError("no lab is up; start one with `netemu up SCENARIO.yaml`")
    if len(present) > 1:
        names = ", ".join(folder.name for folder in present)
        raise PersonError(f"several labs are up ({names}); name one (where that is no argument: --lab NAME)")
    return present[0]


def _existing() -> str:
    names = ", ".join(folder.name for folder in labs())
    return f"these are up: {names}" if names else "none is up"
