"""Drives netemu from inside its process, for what cannot be reached from a command line: each step's failure or death.

Runs inside a test's host, as `driver.py FUNCTION ARGUMENTS`, and prints its answer as JSON. Nothing of netemu knows
of it: an audit hook of Python and the wrapped system calls of netemu.linux (mounts and namespaces, netlink, nftables)
are the steps.
"""

from __future__ import annotations

import contextlib
import errno
import gc
import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from netemu.agent.supervise import Supervisor, run
from netemu.errors import NetemuError
from netemu.lab.down import down
from netemu.lab.folder import LabFolder
from netemu.lab.source import read_once
from netemu.lab.up import up
from netemu.linux import namespaces, nftables
from netemu.linux.processes import end_all
from netemu.linux.rtnetlink import Rtnetlink, RtnetlinkError

CHANGES = {
    "os.mkdir", "os.symlink", "os.rename", "os.remove", "os.rmdir", "os.truncate", "os.fork", "fcntl.flock",
    "subprocess.Popen", "socket.__new__",
}  # fmt: skip
SYSTEM_CALLS = ("mount", "unmount", "unshare", "setns")


class Steps:
    """Counts what a command does to the machine, in the process `of`; at step `at`, does `then`."""

    def __init__(self) -> None:
        self.count = 0
        self.at = -1
        self.of = 0
        self.then: Callable[[], None] = lambda: None
        sys.addaudithook(self._audit)
        for name in SYSTEM_CALLS:
            setattr(namespaces, name, self._wrapped(getattr(namespaces, name)))
        for owner, name, refused in (
            (Rtnetlink, "_flush", lambda error, args: RtnetlinkError(error.errno, "", args[1][0].about)),
            (Rtnetlink, "dump", lambda error, args: RtnetlinkError(error.errno, "", f"objects of kind {args[1]}")),
            (Rtnetlink, "get", lambda error, args: error),
            (nftables.Handle, "apply", lambda error, args: nftables.RulesetError(f"Error: {error.strerror}")),
            (nftables, "_list", lambda error, args: nftables.RulesetError(f"Error: {error.strerror}")),
            (nftables, "generation", lambda error, args: error),
        ):
            setattr(owner, name, self._wrapped(getattr(owner, name), refused))

    def _wrapped(
        self, function: Callable[..., Any], refused: Callable[[OSError, Any], OSError] = lambda error, _: error
    ) -> Callable[..., Any]:
        def call(*args: Any, **options: Any) -> Any:
            try:
                self._step()
            except OSError as error:
                raise refused(error, args) from None
            return function(*args, **options)

        return call

    def _audit(self, event: str, args: tuple[Any, ...]) -> None:
        if event in CHANGES or (event == "open" and isinstance(args[2], int) and args[2] & (os.O_WRONLY | os.O_RDWR)):
            self._step()

    def _step(self) -> None:
        if self.at < 0 or self.of != os.getpid():
            return
        self.count += 1
        if self.count == self.at:
            self.then()


STEPS = Steps()


def bring_up(file: str) -> None:
    """`up` without words."""
    up(read_once(Path(file)), lambda *_: None, lambda _: None)


def take_down(name: str) -> None:
    """`down` without words."""
    down(LabFolder(name), lambda _: None)


def forked(do: Callable[[], None], at: int = 0, then: Callable[[], None] | None = None) -> tuple[int, int, str]:
    """Do something in a child, with a mishap at one step; its wait status, its steps and its words.

    A mishap at step 0 never comes.
    """
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reader)
        if then is not None:
            STEPS.then = then
        STEPS.count, STEPS.at, STEPS.of = 0, at, os.getpid()
        code, words = 0, ""
        try:
            do()
        except NetemuError as error:
            code, words = error.exit_code, str(error)
        except BaseException as error:
            code, words = 99, f"{type(error).__name__}: {error}"
        count, STEPS.at = STEPS.count, -1
        os.write(writer, json.dumps([count, words]).encode())
        os._exit(code)
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        answer = pipe.read()
    _, status = os.waitpid(child, 0)
    count, words = json.loads(answer) if answer else (0, "")
    return os.waitstatus_to_exitcode(status), count, words


def remains() -> list[str]:
    """What there is of labs: files, mounts, processes in namespaces other than ours."""
    found = []
    for top in ("/run", "/etc/netns"):
        for directory, names, others in os.walk(top):
            found += [f"{directory}/{name}" for name in (*names, *others)]
    found += [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if "netemu" in line]
    home = os.readlink("/proc/self/ns/net")
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                if os.readlink(f"/proc/{entry}/ns/net") != home:
                    found.append(f"process {Path(f'/proc/{entry}/cmdline').read_text()}")
            except OSError:
                continue
    return sorted(found)


def difference(empty: list[str]) -> list[str]:
    """What is there that was not, or the other way round."""
    return sorted(set(remains()) ^ set(empty))


def kill_up(file: str, name: str) -> dict[str, Any]:
    """Kill `up` before every step; then alternately complete it with `up`, or remove it with `down` at once."""
    empty = remains()
    code, steps, words = forked(lambda: bring_up(file))
    assert code == 0, words
    whole = len(remains())
    take_down(name)
    wrong = []
    for at in range(1, steps + 1):
        code, _, words = forked(lambda: bring_up(file), at, lambda: os.kill(os.getpid(), signal.SIGKILL))
        if code != -signal.SIGKILL:
            wrong.append(f"step {at}: not killed but {code} {words}")
        if at % 3 == 0:
            code, _, words = forked(lambda: bring_up(file))
            if code != 0 or len(remains()) != whole:
                wrong.append(f"step {at}: up: {code} {words} {remains()}")
        _clear(name)
        if remains() != empty:
            wrong.append(f"step {at}: left {difference(empty)}")
    return {"steps": steps, "wrong": wrong}


def kill_down(file: str, name: str) -> dict[str, Any]:
    """Kill `down` before every step; then remove the lab again, or bring it up again and remove it."""
    empty = remains()
    bring_up(file)
    whole = len(remains())
    code, steps, words = forked(lambda: take_down(name))
    assert code == 0, words
    wrong = []
    for at in range(1, steps + 1):
        bring_up(file)
        code, _, words = forked(lambda: take_down(name), at, lambda: os.kill(os.getpid(), signal.SIGKILL))
        if code != -signal.SIGKILL:
            wrong.append(f"step {at}: not killed but {code} {words}")
        if at % 2:
            bring_up(file)
            if len(remains()) != whole:
                wrong.append(f"step {at}: up: {remains()}")
        _clear(name)
        if remains() != empty:
            wrong.append(f"step {at}: left {difference(empty)}")
    return {"steps": steps, "wrong": wrong}


def kill_change(old: str, new: str, name: str, first: str, stride: str) -> dict[str, Any]:
    """Kill `up` to another version before every step; then complete it, go back to the old one, or take it down."""
    empty = remains()
    bring_up(old)
    code, steps, words = forked(lambda: bring_up(new))
    assert code == 0, words
    wrong = [] if not differences(new) else [f"at once: {differences(new)}"]
    take_down(name)
    for at in range(int(first), steps + 1, int(stride)):
        bring_up(old)
        code, _, words = forked(lambda: bring_up(new), at, lambda: os.kill(os.getpid(), signal.SIGKILL))
        if code != -signal.SIGKILL:
            wrong.append(f"step {at}: not killed but {code} {words}")
        for wanted in ((new,), (old,), ())[at % 3]:
            code, _, words = forked(lambda file=wanted: bring_up(file))
            if code != 0 or differences(wanted):
                wrong.append(f"step {at}: then {code} {words} {differences(wanted)}")
        _clear(name)
        if remains() != empty:
            wrong.append(f"step {at}: left {difference(empty)}")
    return {"steps": steps, "wrong": wrong}


def fail_change(old: str, new: str, name: str, error: str, stride: str) -> dict[str, Any]:
    """Let steps of a change fail, one at a time; it is told in one line, and `up` completes it."""
    number = getattr(errno, error)
    CHANGES.discard("fcntl.flock")
    empty = remains()
    bring_up(old)
    _, steps, _ = forked(lambda: bring_up(new))
    take_down(name)

    def fail() -> None:
        raise OSError(number, os.strerror(number))

    wrong, refused = [], 0
    for at in range(1, steps + 1, int(stride)):
        bring_up(old)
        code, _, words = forked(lambda: bring_up(new), at, fail)
        if code == 3:
            refused += 1
            if "\n" in words or os.strerror(number) not in words:
                wrong.append(f"step {at}: says {words!r}")
        elif code != 0:
            wrong.append(f"step {at}: {code} {words}")
        code, _, words = forked(lambda: bring_up(new))
        if code != 0 or differences(new):
            wrong.append(f"step {at}: then {code} {words} {differences(new)}")
        _clear(name)
        if remains() != empty:
            wrong.append(f"step {at}: left {difference(empty)}")
    return {"steps": steps, "refused": refused, "wrong": wrong}


class Healed(Exception):
    """The agent has nothing left to do."""


def heal(name: str) -> None:
    """Be the lab's agent until every daemon runs again."""
    wait = Supervisor._wait

    def until_healed(supervisor: Supervisor, watched: list[int]) -> None:
        if not supervisor.due:
            raise Healed
        wait(supervisor, watched)

    Supervisor._wait = until_healed  # type: ignore[method-assign]
    with contextlib.suppress(Healed):
        run(name)


def kill_agent(file: str, name: str) -> dict[str, Any]:
    """Kill the agent before every step of starting a dead daemon again; then complete with `up`, or take it down."""
    empty = remains()
    steps, wrong = 1, []
    at = 0  # the first time, no mishap comes
    while at <= steps:
        bring_up(file)
        record = LabFolder(name).read()
        assert record is not None and record.agent is not None
        end_all(set(), {process.pid: process.started for process in (record.agent, record.daemons[0])})
        code, count, words = forked(lambda: heal(name), at, lambda: os.kill(os.getpid(), signal.SIGKILL))
        if at == 0:
            steps = count
        if code != (-signal.SIGKILL if at else 0):
            wrong.append(f"step {at}: {code} {words}")
        if at % 2 == 0:
            code, _, words = forked(lambda: bring_up(file))
            if code != 0 or differences(file):
                wrong.append(f"step {at}: then {code} {words} {differences(file)}")
        _clear(name)
        if remains() != empty:
            wrong.append(f"step {at}: left {difference(empty)}")
        at += 1
    return {"steps": steps, "wrong": wrong}


def differences(file: str) -> list[str]:
    """What a lab that is up has otherwise than its file says, and programs that run more than once."""
    from netemu.lab.start import MARK
    from netemu.lab.survey import desire, survey
    from netemu.linux.describe import change_text
    from netemu.linux.processes import environment

    scenario = read_once(Path(file)).scenario
    folder = LabFolder(scenario.name)
    record = folder.read()
    assert record is not None
    home = os.readlink("/proc/self/ns/net")
    names = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and MARK in (mark := environment(int(entry))):
            with contextlib.suppress(OSError):
                if os.readlink(f"/proc/{entry}/ns/net") != home:
                    names.append(f"{mark['NETEMU_NODE']}: {mark[MARK]}")
    twice = [name for name in set(names) if names.count(name) > 1]
    return [change_text(c) for c in survey(desire(scenario, folder), folder, record).changes] + twice


def _clear(name: str) -> None:
    """`netemu down NAME`, by the command line's own function: there may be no such lab."""
    from click.testing import CliRunner

    from netemu.cli.life import down_command

    CliRunner().invoke(down_command, [name])


def fail_up(file: str, name: str, error: str, stride: str) -> dict[str, Any]:
    """Let steps of `up` fail, one at a time, with an error."""
    number = getattr(errno, error)
    CHANGES.discard("fcntl.flock")  # which cannot fail so, and whose file cannot be told from one in use
    empty = remains()
    _, steps, _ = forked(lambda: bring_up(file))
    take_down(name)

    def fail() -> None:
        raise OSError(number, os.strerror(number))

    wrong, refused, words_of = [], 0, set()
    for at in range(1, steps + 1, int(stride)):
        code, _, words = forked(lambda: bring_up(file), at, fail)
        if code == 3:
            refused += 1
            words_of.add(words)
            if "\n" in words or os.strerror(number) not in words:
                wrong.append(f"step {at}: says {words!r}")
        elif code == 0:
            take_down(name)
        else:
            wrong.append(f"step {at}: {code} {words}")
        if remains() != empty:
            wrong.append(f"step {at}: {words}: left {difference(empty)}")
            _clear(name)
    return {"steps": steps, "refused": refused, "wrong": wrong, "words": sorted(words_of)}


def clash(file: str, name: str) -> str:
    """What `up` says when an object that it makes is there already."""
    from netemu.lab import survey as module

    def twice(*args: Any) -> Any:
        lab = compile_lab(*args)
        lab.namespaces["a"].addresses *= 2
        return lab

    compile_lab = module.compile_lab
    module.compile_lab = twice
    empty = remains()
    code, _, words = forked(lambda: bring_up(file))
    assert (code, remains()) == (3, empty)
    return words


def half_there(file: str, name: str, damages: str, repair: str) -> dict[str, Any]:
    """Damage a lab behind its back, ask for its status, and complete or remove it."""
    from click.testing import CliRunner

    from netemu.cli.life import status_command

    answers = {}
    for what, command in json.loads(Path(damages).read_text()).items():
        empty = remains()
        bring_up(file)
        count = len(remains())
        subprocess.run(command, check=True)
        said = CliRunner().invoke(status_command, [name, "-o", "json"])
        state = json.loads(said.output)
        repaired: tuple[int, int, str] = (0, 0, "")
        whole = True
        if repair == "up":
            repaired = forked(lambda: bring_up(file))
            lost = what == "the folder's mount is gone"
            whole = lost or len(remains()) == count
            whole = whole and CliRunner().invoke(status_command, [name]).exit_code == 0
        _clear(name)
        answers[what] = {
            "status": said.exit_code, "state": state["state"], "missing": state["missing"],
            "repaired": [repaired[0], repaired[2]], "whole": whole, "left": difference(empty),
        }  # fmt: skip
    return answers


def interrupt_up(file: str, name: str, signal_name: str, stride: str) -> dict[str, Any]:
    """Send `up` a signal before steps; it must end as a shell expects it, and leave nothing or all."""
    number = signal.Signals[signal_name]
    empty = remains()
    _, steps, _ = forked(lambda: bring_up(file))
    take_down(name)
    codes = []
    wrong = []
    for at in range(1, steps + 1, int(stride)):
        code, _, words = forked(lambda: bring_up(file), at, lambda: os.kill(os.getpid(), number))
        codes.append(code)
        if code == 0:
            take_down(name)
        elif words not in [f"interrupted by {signal_name}; nothing was {end}" for end in ("changed", "left behind")]:
            wrong.append(f"step {at}: {words}")
        if remains() != empty:
            wrong.append(f"step {at}: {code} {words}: left {difference(empty)}")
            _clear(name)
    return {"steps": steps, "codes": codes, "wrong": wrong}


def cycles(file: str, times: str) -> dict[str, Any]:
    """Bring a lab up, verify it and take it down in one process, many times; what there is after a few and the last."""
    from netemu.lab.proof import prove_matrix

    name = read_once(Path(file)).scenario.name
    counts: list[dict[str, Any]] = []
    resident: list[int] = []
    for _ in range(int(times)):
        bring_up(file)
        _, _, outcome = prove_matrix(name)
        assert outcome.judged and not outcome.findings
        take_down(name)
        gc.collect()
        counts.append(
            {
                "descriptors": len(os.listdir("/proc/self/fd")),
                "threads": threading.active_count(),
                "children": Path(f"/proc/self/task/{os.getpid()}/children").read_text(),
                "namespaces": len({os.readlink(f"/proc/{p}/ns/net") for p in os.listdir("/proc") if p.isdigit()}),
                "links": len(socket.if_nameindex()),
                "remains": remains(),
            }
        )
        resident.append(int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE"))
    return {"first": counts[0], "last": counts[-1], "grown": resident[-1] - resident[len(resident) // 10]}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(globals()[sys.argv[1]](*sys.argv[2:])))
