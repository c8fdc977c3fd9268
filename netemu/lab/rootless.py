"""Labs of ordinary users: each in a household (netemu.linux.user_namespaces) that a process, its holder, keeps.

Outside it, in the user's state directory ($NETEMU_STATE_DIR, $XDG_RUNTIME_DIR/netemu or /tmp/netemu-<user id>), lies
beside the lab's lock

    <lab>.netemu-holder    id and start time of the holder; everybody who is inside holds a shared lock on it

and a lock on the directory itself covers looking for a holder, making one and ending one. A command steps inside and
goes on as if root: the parent of what goes on there waits, and ends the holder if the lab is gone then. A holder that
is killed takes all of its lab along; one whose record vanishes (as /run/user does when a person logs out) ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import select
import signal
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from netemu.errors import PersonError, SystemRefusal
from netemu.lab.folder import LOCK, STATE_DIRECTORY, LabFolder, find
from netemu.lab.holder import HOLDER, alive, make
from netemu.linux import user_namespaces as users
from netemu.linux.stand_in import go_on_in_child
from netemu.linux.user_namespaces import Standing, standing

MADE_BY_NETEMU = 0o1700
"""Mode of a state directory that we have made. The sticky bit says that it may be removed when it is empty."""
PATIENCE = 2.0
"""Seconds that the last command of a lab waits for others who are still inside, before it leaves the end to them."""


# ---- the state directory ---------------------------------------------------------------------------------------------


def state_directory() -> Path:
    """Where the calling user's labs are, whether it is there or not."""
    given = os.environ.get(STATE_DIRECTORY)
    if given:
        return Path(os.path.realpath(given))
    user = os.getuid()
    for runtime in (os.environ.get("XDG_RUNTIME_DIR") or "", f"/run/user/{user}"):
        if os.path.isabs(runtime) and _is_safe(Path(os.path.realpath(runtime))):
            return Path(os.path.realpath(runtime)) / "netemu"
    return Path(f"/tmp/netemu-{user}")  # noqa: S108  # checked by _is_safe before it is believed


def _is_safe(directory: Path) -> bool:
    """Is it a directory, no link to one, that nobody but us can write?"""
    try:
        status = directory.lstat()
    except OSError:
        return False
    return stat.S_ISDIR(status.st_mode) and status.st_uid == os.getuid() and not status.st_mode & 0o022


def _make_state_directory() -> Path:
    base = state_directory()
    umask = os.umask(0)
    try:
        with contextlib.suppress(FileExistsError):
            base.mkdir(MADE_BY_NETEMU)
    except OSError as error:
        raise SystemRefusal(f"cannot make {base}: {error.strerror}; say another with {STATE_DIRECTORY}") from error
    finally:
        os.umask(umask)
    if not _is_safe(base):
        raise PersonError(f"{base} cannot hold labs: it must be a directory that only you can write")
    return base


def own_labs() -> list[str]:
    """The names of the calling user's labs; none for root, whose labs are made without all this."""
    base = state_directory()
    if standing() is not Standing.ORDINARY or not _is_safe(base):
        return []
    names = (entry.name for entry in base.iterdir())
    return sorted({name.removesuffix(end) for name in names for end in (HOLDER, LOCK) if name.endswith(end)})


@contextlib.contextmanager
def _alone(base: Path) -> Iterator[None]:
    """Nobody else looks for a holder meanwhile."""
    while True:
        descriptor = os.open(base, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(descriptor), base.stat()):  # it has not been removed while we waited
                yield
                return
        finally:
            os.close(descriptor)


# ---- going in --------------------------------------------------------------------------------------------------------


def step_inside(name: str | None) -> None:
    """Go on inside the lab of that name (the only one when None), as its root, when it is an ordinary user's own.

    Returns in a child then, with NETEMU_STATE_DIR set. Otherwise nothing happens: for root, and for labs of root's,
    which the rest of a command finds and refuses as ever.
    """
    own = own_labs()
    if not own or (name is not None and name not in own):
        return
    base = state_directory()
    os.environ[STATE_DIRECTORY] = str(base)
    chosen = name if name is not None else find(None).name
    with _alone(base):
        process = alive(base, chosen)
        if process is None:
            raise PersonError(
                f"lab {chosen} is gone: the process that held it has ended; `netemu up` makes it afresh, "
                f"`netemu down {chosen}` removes what is left"
            )
        visitors = _visit(base, chosen)
    _go_in(base, chosen, process, visitors)


def step_inside_for(what: str | None) -> None:
    """The same for what may be the name of a lab or a scenario file, as `verify` and `graph` take it."""
    from netemu.scenario import read_scenario

    own = own_labs()
    if own and what is not None and what not in own and Path(what).is_file():
        what = read_scenario(Path(what)).name
    step_inside(what)


def become_root_of_a_new_lab(name: str) -> None:
    """Go on inside the lab of that name, as its root, making a place for it if there is none; for `up`.

    Returns in a child then, with NETEMU_STATE_DIR set. For root nothing happens.
    """
    if standing() is not Standing.ORDINARY:
        return
    base = _make_state_directory()
    with _alone(base):
        process = alive(base, name)
        if process is None:
            _remove_remains(base, name)
            process = make(base, name)
        visitors = _visit(base, name)
    _go_in(base, name, process, visitors)


def _visit(base: Path, name: str) -> int:
    """Be seen as one who is inside, as long as the descriptor is open."""
    visitors = os.open(base / f"{name}{HOLDER}", os.O_RDONLY | os.O_CLOEXEC)
    fcntl.flock(visitors, fcntl.LOCK_SH)
    return visitors


def _go_in(base: Path, name: str, process: int, visitors: int) -> None:
    here = None
    with contextlib.suppress(OSError):
        here = os.getcwd()
    try:
        users.enter(process)
    except OSError as error:
        raise SystemRefusal(f"cannot enter lab {name}: {error.strerror}") from error
    os.environ[STATE_DIRECTORY] = str(base)
    if here is not None:
        with contextlib.suppress(OSError):
            os.chdir(here)
    go_on_in_child(lambda: _leave(base, name, process, visitors))
    os.close(visitors)
    os.close(process)


def _leave(base: Path, name: str, process: int, visitors: int) -> None:
    """End the holder if its lab is gone and nobody else is inside. We are in its mount namespace: we see its mounts."""
    os.close(visitors)
    if (base / name).is_mount():
        return
    with contextlib.suppress(FileNotFoundError), _alone(base):
        others = os.open(base / f"{name}{HOLDER}", os.O_RDONLY | os.O_CLOEXEC)
        try:
            if not _nobody_else(others) or (base / name).is_mount():
                return
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(process, signal.SIGKILL)
            select.select([process], (), ())
            _remove_remains(base, name)
        finally:
            os.close(others)
    _remove_directory(base)


def _nobody_else(others: int) -> bool:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            fcntl.flock(others, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        except BlockingIOError:
            if time.monotonic() >= deadline:
                return False
            time.sleep(0.01)  # flock(2) knows no time limit


# ---- what is left ----------------------------------------------------------------------------------------------------


def _remove_remains(base: Path, name: str) -> None:
    """What a lab leaves outside when its holder has ended: the mount point, the lock, the record."""
    with contextlib.suppress(OSError):  # with something in it, it is not ours; `up` says so
        (base / name).rmdir()
    for end in (LOCK, HOLDER, f"{HOLDER}.new"):
        (base / f"{name}{end}").unlink(missing_ok=True)


def _remove_directory(base: Path) -> None:
    with contextlib.suppress(OSError):
        if stat.S_IMODE(base.stat().st_mode) == MADE_BY_NETEMU:
            base.rmdir()


# ---- for `ls` and `down` ---------------------------------------------------------------------------------------------


def ask_each(question: Callable[[LabFolder], Any]) -> list[Any]:
    """Ask each of the calling user's labs a question, inside; of one whose holder has ended, from outside.

    The answers must be plain data. A lab that ends meanwhile, or is not there yet, gives none.
    """
    own = own_labs()
    answers = []
    if own:
        os.environ[STATE_DIRECTORY] = str(state_directory())
    for name in own:
        folder = LabFolder(name)
        process = alive(state_directory(), name)
        if process is None:
            answers.append(question(folder))
            continue
        said = _ask(process, folder, question)
        os.close(process)
        if said:
            answers.append(msgspec.json.decode(said))
    return answers


def _ask(process: int, folder: LabFolder, question: Callable[[LabFolder], Any]) -> bytes:
    reader, writer = os.pipe2(os.O_CLOEXEC)
    child = os.fork()
    if child == 0:
        try:
            users.enter(process)
            if os.fork() == 0:
                os.write(writer, msgspec.json.encode(question(folder)) if folder.is_mounted() else b"")
            else:
                os.wait()
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        said = pipe.read()
    os.waitpid(child, 0)
    return said


def clear(name: str | None) -> str | None:
    """Remove what is left of an ordinary user's lab whose holder has ended; its name, or None if there is none such."""
    own = own_labs()
    chosen = own[0] if name is None and len(own) == 1 else name
    if chosen not in own:
        return None
    base = state_directory()
    with _alone(base):
        process = alive(base, chosen)
        if process is not None:
            os.close(process)
            return None
        _remove_remains(base, chosen)
    _remove_directory(base)
    return chosen


def one_by_one() -> str | None:
    """For `down --all`: returns inside each of the calling user's labs, in a child, with its name; then outside, None.

    Ends with a child's exit code when that is not 0.
    """
    failed = 0
    for name in own_labs():
        if clear(name) is not None:
            continue
        child = os.fork()
        if child == 0:
            step_inside(name)
            return name
        failed = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) or failed
    if failed:
        sys.exit(failed if failed > 0 else 128 - failed)
    return None
