"""The network that a question is about: of a scenario file, or of a lab that is up."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from netemu.azure.network import Network, resolve
from netemu.errors import PersonError, SystemRefusal
from netemu.lab.folder import LabFolder, find, labs
from netemu.lab.present import CORE
from netemu.lab.requirements import has_root
from netemu.lab.source import resolve_source

if TYPE_CHECKING:
    from netemu.verify.readback.plane import Plane


class Watched(Struct, frozen=True):
    """What is looked at."""

    network: Network
    folder: LabFolder | None
    """The lab, when it is one that is looked at."""
    modified: datetime
    """When the file was, or the lab came to be as it is."""

    @contextlib.contextmanager
    def plane(self) -> Iterator[Plane | None]:
        """The lab's namespaces, opened for reading; None for a file."""
        folder = self.folder
        if folder is None:
            yield None
            return
        if not has_root():
            raise SystemRefusal(
                f"lab {folder.name} is root's, and only root can read it back from the kernel; run netemu with sudo, "
                "or ask about the scenario alone with --file FILE"
            )
        if not self._is_running():
            raise PersonError(f"lab {folder.name} is not whole; `netemu up` completes it, `netemu down` removes it")
        from netemu.linux.nftables import RulesetError
        from netemu.verify.readback.plane import Plane

        changing = SystemRefusal(f"lab {folder.name} is being changed while it is read; ask again")
        try:
            with Plane(self.network, {node: folder.namespace(node) for node in folder.nodes()}) as opened:
                yield opened
        except (RulesetError, FileNotFoundError) as error:  # what was there a moment ago is not there now
            raise changing from error
        if not self._is_running():
            raise changing

    def _is_running(self) -> bool:
        """Is the lab whole, and is what we know of it what runs?"""
        from netemu.lab.up import digest

        assert self.folder is not None, "a file does not run"
        record = self.folder.read()
        whole = record is not None and record.state == "running" and set(CORE) <= set(self.folder.nodes())
        return whole and record is not None and record.digest == digest(self.network.scenario)


def watched(file: str | None, lab: str | None) -> Watched:
    """By `--file FILE` the scenario in it and nothing else; else the lab of that name, or the only one."""
    if file is not None:
        from netemu.scenario import read_scenario

        network = resolve(read_scenario(Path(file)))
        return Watched(network, None, datetime.fromtimestamp(Path(file).stat().st_mtime, UTC))
    if lab is None and not any(True for _ in labs()):
        raise PersonError("no lab is up; start one with `netemu up SCENARIO.yaml`, or name a file with --file FILE")
    folder = find(lab)
    network, _ = resolve_source(folder.name)
    return Watched(network, folder, datetime.fromtimestamp(folder.scenario.stat().st_mtime, UTC))


def watched_either(what: str | None) -> Watched:
    """The name of a lab, else a scenario file; the only lab when absent."""
    names = {folder.name for folder in labs()}
    return watched(None, what) if what is None or what in names else watched(_file(what, names), None)


def _file(text: str, labs_up: set[str]) -> str:
    """A path, unless it can only have been meant as the name of a lab."""
    if "/" in text or "." in text or Path(text).exists():
        return text
    there = f"these labs are up: {', '.join(sorted(labs_up))}" if labs_up else "no lab is up"
    raise PersonError(f"{text!r} is neither a lab nor a file; {there}")
