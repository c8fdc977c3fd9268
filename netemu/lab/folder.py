"""A lab's folder: a tmpfs of its own below /run/netemu, where everything that the lab makes lies.

    <lab>/lab.json       the record: what this is, and how far it got
    <lab>/scenario.yaml  the scenario as it was read
    <lab>/netns/<node>   the namespaces, bind-mounted
    <lab>/etc/<node>/    resolv.conf, hosts and hostname of a machine
    <lab>/logs/<name>    output of `run:` programs
    <lab>/daemons/       configuration of the lab's own daemons

A namespace or a mount below this folder is netemu's; a name elsewhere is netemu's when it is a symbolic link into it.
Removing the lab is one umount, and nothing of it outlives a reboot.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from netemu.errors import PersonError, SystemRefusal
from netemu.linux import namespaces as ns

STATE_DIRECTORY = "NETEMU_STATE_DIR"
RECORD_VERSION = 1


class ProcessRecord(Struct, frozen=True):
    """A program that `up` started; id and start time together name it for ever."""

    machine: str
    name: str
    command: str
    pid: int
    started: int


class Record(Struct):
    """lab.json."""

    version: int
    name: str
    scenario: str
    """Absolute path of the scenario file."""
    digest: str
    """Of the scenario and of netemu's version: equal digests, equal labs."""
    state: str
    """`building` or `running`."""
    created: float
    machines: list[str] = []
    hosts: list[str] = []
    processes: list[ProcessRecord] = []


def base() -> Path:
    """Where all labs are."""
    return Path(os.environ.get(STATE_DIRECTORY, "/run/netemu"))


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

    def namespace(self, node: str) -> Path:
        """The file of a node's namespace."""
        return self.namespaces / node

    def is_mounted(self) -> bool:
        """Is there anything of this lab?"""
        return bool(ns.mounts_below(self.path))

    def exists(self) -> bool:
        """Is there anything of this lab, be it only an empty folder?"""
        return self.path.is_dir()

    def nodes(self) -> list[str]:
        """The nodes whose namespaces are there."""
        return sorted(entry.name for entry in self.namespaces.iterdir()) if self.namespaces.is_dir() else []

    def create(self) -> None:
        """Make and mount the folder. Private, so that the namespaces below it are not copied into other mounts."""
        self.path.mkdir(parents=True, exist_ok=True)
        ns.mount(f"netemu:{self.name}", str(self.path), "tmpfs", 0, "mode=0755")
        ns.mount(None, str(self.path), None, ns.MS_PRIVATE)
        for directory in (self.namespaces, self.etc, self.logs, self.daemons):
            directory.mkdir()

    def read(self) -> Record | None:
        """The record, or None when there is none that can be read: then only `down` makes sense."""
        try:
            return msgspec.json.decode((self.path / "lab.json").read_bytes(), type=Record)
        except (OSError, msgspec.DecodeError):
            return None

    def write(self, record: Record) -> None:
        """Write the record, all of it or nothing."""
        draft = self.path / "lab.json.new"
        draft.write_bytes(msgspec.json.format(msgspec.json.encode(record)))
        draft.rename(self.path / "lab.json")


class Lock:
    """Only one command changes a lab at a time. Readers need no lock."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.path = base() / f"{name}.lock"
        self._descriptor = -1

    def __enter__(self) -> Lock:
        try:
            base().mkdir(parents=True, exist_ok=True)
            while True:
                descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    holder = os.read(descriptor, 32).decode(errors="replace").strip() or "another one"
                    os.close(descriptor)
                    raise SystemRefusal(
                        f"lab {self.name} is being changed by process {holder}; try again when it has ended"
                    ) from None
                if self._is_still(descriptor):
                    break
                os.close(descriptor)  # its last holder removed the file between our open and our lock
            os.truncate(descriptor, 0)
            os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)
        except PermissionError as error:
            raise SystemRefusal(f"cannot write {error.filename}: run netemu as root (sudo)") from error
        self._descriptor = descriptor
        return self

    def _is_still(self, descriptor: int) -> bool:
        try:
            there = self.path.stat()
        except FileNotFoundError:
            return False
        return there.st_ino == os.fstat(descriptor).st_ino

    def __exit__(self, *exception: object) -> None:
        if not LabFolder(self.name).exists():
            self.path.unlink(missing_ok=True)
        os.close(self._descriptor)
        try:
            base().rmdir()
        except OSError:
            return  # other labs are there


def labs() -> Iterator[LabFolder]:
    """Every lab of which anything is there."""
    if base().is_dir():
        for entry in sorted(base().iterdir()):
            if entry.is_dir() and not entry.name.startswith("."):
                yield LabFolder(entry.name)


def find(name: str | None) -> LabFolder:
    """The lab of that name, or the only one there is."""
    if name is not None:
        folder = LabFolder(name) if "/" not in name and not name.startswith(".") else None
        if folder is None or not folder.exists():
            raise PersonError(f"there is no lab {name!r}; {_existing()}")
        return folder
    present = list(labs())
    if not present:
        raise PersonError("no lab is up; start one with `netemu up SCENARIO.yaml`")
    if len(present) > 1:
        names = ", ".join(folder.name for folder in present)
        raise PersonError(f"several labs are up ({names}); say which one with --lab NAME")
    return present[0]


def _existing() -> str:
    names = ", ".join(folder.name for folder in labs())
    return f"these are up: {names}" if names else "none is up"
