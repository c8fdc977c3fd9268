"""The names under which other tools find a lab's machines: /run/netns/<lab>.<node> and /etc/netns/<lab>.<node>.

Each is a symbolic link into the lab's folder, which `ip netns` follows; that is also how ours are told from others.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from netemu.errors import PersonError
from netemu.lab.folder import LabFolder, base

NETNS = Path("/run/netns")
ETC_NETNS = Path("/etc/netns")


def _marker(directory: Path) -> Path:
    return base() / ("." + "-".join(directory.parts[1:]) + ".made-by-netemu")


def refuse_foreign(folder: LabFolder, nodes: Iterable[str]) -> None:
    """Refuse to take a name that is somebody else's."""
    for node in nodes:
        for directory in (NETNS, ETC_NETNS):
            path = f"{directory}/{folder.name}.{node}"
            if os.path.lexists(path) and not _is_ours(folder, path):
                raise PersonError(
                    f"{path} is there already and is not netemu's; remove it or rename the lab or `{node}`"
                )


def _is_ours(folder: LabFolder, path: Path | str) -> bool:
    try:
        return os.readlink(path).startswith(f"{folder.path}/")
    except OSError:
        return False  # no symbolic link


def paths(folder: LabFolder, nodes: Iterable[str], with_files: Iterable[str]) -> Iterator[str]:
    """Every name that a lab should have."""
    for directory, chosen in ((NETNS, nodes), (ETC_NETNS, with_files)):
        for node in chosen:
            yield f"{directory}/{folder.name}.{node}"


def publish(folder: LabFolder, nodes: Iterable[str], with_files: Iterable[str]) -> None:
    """Make the names of a lab's nodes; those in `with_files` have files for /etc too."""
    with _alone():
        for directory, chosen, target in ((NETNS, nodes, folder.namespaces), (ETC_NETNS, with_files, folder.etc)):
            if not directory.is_dir():
                _marker(directory).touch()
                directory.mkdir()
            for node in chosen:
                path = f"{directory}/{folder.name}.{node}"
                try:
                    os.symlink(f"{target}/{node}", path)
                except FileExistsError:
                    if not _is_ours(folder, path):
                        raise PersonError(f"{path} is there already and is not netemu's") from None


def published(folder: LabFolder) -> Iterator[str]:
    """Every name that leads into a lab's folder."""
    for directory in (NETNS, ETC_NETNS):
        with contextlib.suppress(FileNotFoundError), os.scandir(directory) as entries:
            for entry in entries:
                if entry.name.startswith(f"{folder.name}.") and _is_ours(folder, entry.path):
                    yield entry.path


def unpublish(folder: LabFolder, node: str) -> None:
    """Remove the names of one node."""
    with _alone():
        for directory in (NETNS, ETC_NETNS):
            path = directory / f"{folder.name}.{node}"
            if _is_ours(folder, path):
                path.unlink()


def withdraw(folder: LabFolder) -> None:
    """Remove a lab's names, and the directories themselves if netemu made them and nobody else uses them."""
    with _alone():
        for path in list(published(folder)):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(path)
        for directory in (NETNS, ETC_NETNS):
            if _marker(directory).exists() and not _is_in_use(directory):
                with contextlib.suppress(OSError):  # what others have put there makes the directory theirs
                    directory.rmdir()
                _marker(directory).unlink()


def _is_in_use(directory: Path) -> bool:
    """Are there names of other labs?"""
    return directory.is_dir() and any(
        path.is_symlink() and str(path.readlink()).startswith(f"{base()}/") for path in directory.iterdir()
    )


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """No other lab makes or removes names meanwhile: they share the directories, wherever their state is."""
    descriptor = os.open(NETNS.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
