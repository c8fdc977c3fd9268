"""A network that is up, from `with` to its end."""

from __future__ import annotations

import os
import re
import secrets
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from ipaddress import IPv4Address
from pathlib import Path
from typing import IO, Any, Literal, TypeVar

import msgspec

from netemu.api.answers import Matrix, Reach, Verification
from netemu.api.channel import Channel, Ended, raised
from netemu.api.machine import Machine, Process
from netemu.errors import PersonError, SystemRefusal
from netemu.scenario import read_text, text_of
from netemu.scenario.renaming import renamed

PATIENCE = 60
"""Seconds that a worker has to take its lab down when it is left by force."""
_NAME = re.compile(r"[a-z][a-z0-9-]{0,31}", re.ASCII)
_PREFIX = 22
"""Letters of a scenario's name in the name of a lab that is to have one of its own; names have at most 32."""
_WORKER = ("-P", "-m", "netemu.api.worker")

Answer = TypeVar("Answer")


class Lab:
    """A network with its machines, up from `with` to the end of it.

        with Lab("shop.yaml") as lab:
            assert lab.reaches("web1", "db1", port=5432)

    `scenario` is the path of a scenario file, or a scenario's text (in which there is a line break). The lab has a name
    of its own each time, which begins with the scenario's, so that any number can be up at once; with `name` it has
    that one. Works as root, and for ordinary users of a machine that permits user namespaces.

    Raises ScenarioError when the scenario is wrong, PersonError when what is asked for cannot be right, SystemRefusal
    when the machine refuses; all are NetemuErrors.
    """

    def __init__(self, scenario: str | os.PathLike[str], *, name: str | None = None) -> None:
        self._text, self._source = _scenario(scenario)
        written = read_text(self._text, self._source).name
        if name is not None and not _NAME.fullmatch(name):
            raise PersonError(f"{name!r} cannot be a lab's name: at most 32 lower-case letters, digits and -")
        self.name: str = name or f"{written[:_PREFIX].rstrip('-')}-{secrets.token_hex(4)}"
        self._begin("new")

    @classmethod
    def attach(cls, name: str) -> Lab:
        """A lab that is up already, and stays up afterwards."""
        lab = cls.__new__(cls)
        lab.name, lab._text, lab._source = name, "", ""
        lab._begin("attached")
        return lab

    def _begin(self, mode: str) -> None:
        self._mode = mode
        self._lock = threading.RLock()
        self._channel: Channel | None = None
        self._worker: subprocess.Popen[bytes] | None = None
        self._errors: IO[bytes] | None = None
        self._machines: dict[str, Machine] = {}
        self._addresses: dict[str, tuple[IPv4Address, ...]] = {}
        self.processes: list[Process] = []
        self.asked: list[Reach | Verification | Matrix] = []
        """The last answers, so that a test that fails can tell what it had asked."""
        self.questions = 0
        """How many have been answered."""

    def __repr__(self) -> str:
        return f"<lab {self.name}, {'up' if self._channel is not None else 'down'}>"

    # ---- its life ----------------------------------------------------------------------------------------------------

    def __enter__(self) -> Lab:
        self.up()
        return self

    def __exit__(self, *exception: object) -> None:
        self.down()

    def up(self) -> None:
        """Bring it up. When that cannot be done, nothing is left behind."""
        if self._channel is not None:
            raise PersonError(f"lab {self.name} is up already")
        self._hire()
        try:
            if self._mode == "attached":
                self._know(self.request("look"))
            else:
                self._know(self.request("up", text=renamed(self._text, self.name), source=self._source))
        except BaseException:
            self._dismiss()
            raise

    def change(self, scenario: str | os.PathLike[str]) -> str:
        """Lead it to another scenario; what both have goes on undisturbed.

        Says what it did: `changed`, `unchanged`, or `repaired` when something was not as the scenario said before.
        """
        text, source = _scenario(scenario)
        read_text(text, source)
        found = self.request("up", text=renamed(text, self.name), source=source)
        self._text, self._source = text, source
        self._know(found)
        return str(found["did"])

    def down(self) -> None:
        """Take it down, with every program in it. Does nothing when it is down."""
        try:
            for process in self.processes:
                process.stop()
            if self._channel is not None:
                self.request("down")
        finally:
            self.processes.clear()
            self._dismiss()

    # ---- what is in it -----------------------------------------------------------------------------------------------

    @property
    def machines(self) -> tuple[str, ...]:
        """Names of its virtual machines and internet hosts."""
        return tuple(self._machines)

    def vm(self, name: str) -> Machine:
        """A virtual machine or an internet host, to run programs in."""
        if name not in self._machines:
            there = f"there are: {', '.join(self._machines)}" if self._machines else "it is not up"
            raise PersonError(f"lab {self.name} has no machine {name!r}; {there}")
        return self._machines[name]

    def address(self, name: str) -> IPv4Address:
        """The (primary) address of a virtual machine, NIC, internet host or public IP."""
        if name not in self._addresses:
            raise PersonError(f"lab {self.name} has no machine, NIC, internet host or public IP {name!r}")
        return self._addresses[name][0]

    # ---- questions ---------------------------------------------------------------------------------------------------

    def reaches(
        self,
        source: str,
        to: str,
        *,
        port: int | None = None,
        protocol: Literal["Tcp", "Udp", "Icmp"] = "Tcp",
        source_port: int | None = None,
    ) -> Reach:
        """Does the first packet of a flow arrive, and an answer come back? No program needs to listen there.

        `source` is a virtual machine, NIC or internet host (`VM/address` when it has several), `to` one of them, a
        public IP or any address. The answer is true or false, and says why: print it, or look at its fields.
        """
        found = self.request("reach", source=source, to=to, port=port, protocol=protocol, source_port=source_port)
        return self._said(msgspec.convert(found, Reach))

    def explain(
        self,
        source: str,
        to: str,
        *,
        port: int | None = None,
        protocol: Literal["Tcp", "Udp", "Icmp"] = "Tcp",
        source_port: int | None = None,
    ) -> str:
        """Why such a flow works or not, in sentences, with evidence, and what would change that: `netemu explain`."""
        found = self.request("explain", source=source, to=to, port=port, protocol=protocol, source_port=source_port)
        return str(found)

    def verify(self) -> Verification:
        """Prove every line of the scenario's `expect` with packets. True when all are so; says what is not."""
        return self._said(msgspec.convert(self.request("verify"), Verification))

    def matrix(self) -> Matrix:
        """Ask every pair everything that any rule or route decides, and hold it against Azure's rules."""
        return self._said(msgspec.convert(self.request("matrix"), Matrix))

    def _said(self, answer: Answer) -> Answer:
        assert isinstance(answer, Reach | Verification | Matrix)
        self.questions += 1
        self.asked.append(answer)
        del self.asked[:-KEPT]
        return answer

    # ---- the worker --------------------------------------------------------------------------------------------------

    def request(self, what: str, descriptors: Sequence[int] = (), **arguments: object) -> Any:
        """Have the lab's worker do something; its answer. Used by the methods above."""
        with self._lock:
            channel = self._channel
            if channel is None:
                raise PersonError(f"lab {self.name} is not up; use it inside `with`, or call up()")
            try:
                channel.send([what, arguments], descriptors)
                answer, _ = channel.receive()
            except Ended:
                raise SystemRefusal(f"the process that held lab {self.name} has ended{self._dismiss()}") from None
            except BaseException:  # Ctrl-C: what is still under way cannot be waited for
                self._dismiss()
                raise
        if answer[0] == "error":
            raise raised(*answer[1:])
        return answer[1]

    def _hire(self) -> None:
        """Start the worker, out of the reach of the terminal's signals."""
        ours, theirs = socket.socketpair()
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115  # what it says is read when it has ended
        with theirs:
            self._worker = subprocess.Popen(
                [sys.executable, *_WORKER, str(theirs.fileno()), self.name, self._mode],
                pass_fds=[theirs.fileno()], start_new_session=True, stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=self._errors,
            )  # fmt: skip
        self._channel = Channel(ours)

    def _dismiss(self) -> str:
        """End the connection, and wait till the worker has left nothing behind; what it said in the end, for people."""
        channel, worker, errors = self._channel, self._worker, self._errors
        self._channel = self._worker = self._errors = None
        self._machines, self._addresses = {}, {}
        if channel is None or worker is None or errors is None:
            return ""
        channel.close()
        try:
            worker.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()
        with errors:
            errors.seek(0)
            said = errors.read().decode(errors="replace").strip()
        if worker.returncode != 0 and self._mode == "new":
            self._clean_up()
        return f": {said}" if said else ""

    def _clean_up(self) -> None:
        """The worker was killed: take down what it has left."""
        subprocess.run(
            [sys.executable, "-P", "-m", "netemu", "down", self.name], capture_output=True, check=False
        )  # fmt: skip

    def _know(self, found: dict[str, Any]) -> None:
        self._addresses = {name: tuple(map(IPv4Address, some)) for name, some in found["addresses"].items()}
        names = [*found["machines"], *found["hosts"]]
        self._machines = {name: Machine(self, name, self._addresses[name]) for name in names}


KEPT = 20
"""Answers that a lab remembers."""


def _scenario(given: str | os.PathLike[str]) -> tuple[str, str]:
    """A scenario's text, and the path that it came from."""
    if isinstance(given, str) and "\n" in given:
        return given, str(Path.cwd() / "<text>")
    path = Path(given)
    return text_of(path), str(path)
