"""Machines of a lab, and programs that run in them."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from ipaddress import IPv4Address
from typing import IO, Any, Literal, Protocol

from netemu.api.launch import ENDED, NOTE, STARTED
from netemu.errors import PersonError, SystemRefusal

LOOK_AGAIN = 0.01
"""Seconds between two looks at what listens: the kernel tells nobody."""


class Holder(Protocol):
    """What a machine needs of its lab."""

    name: str
    processes: list[Process]
    """Those that have been started in it; they end with it."""

    def request(self, what: str, descriptors: Sequence[int] = (), **arguments: object) -> Any:
        """Have the lab's worker do something."""


class Machine:
    """A virtual machine or an internet host of a lab that is up."""

    def __init__(self, lab: Holder, name: str, addresses: tuple[IPv4Address, ...]) -> None:
        self._lab = lab
        self.name = name
        self.addresses = addresses
        """Its own addresses, as it has them itself, the primary one first."""

    @property
    def address(self) -> IPv4Address:
        """Its primary address."""
        return self.addresses[0]

    def __repr__(self) -> str:
        return f"<{self.name} of lab {self._lab.name}, {self.address}>"

    def run(
        self,
        argv: Sequence[str | os.PathLike[str]],
        *,
        input: str | None = None,  # noqa: A002  # as subprocess.run() has it
        timeout: float | None = None,
        check: bool = False,
        env: Mapping[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program inside to its end: with the machine's network, host name, resolv.conf and hosts.

        It finds the calling program's working directory and environment, to which `env` adds. All else is as with
        `subprocess.run(text=True, capture_output=True)`: raises TimeoutExpired, after having killed the program, and
        with `check` CalledProcessError. Raises PersonError when there is no such program.
        """
        with self._start(argv, input, env) as process:
            try:
                process.wait(timeout)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
                raise subprocess.TimeoutExpired(
                    process.args, timeout or 0, process.stdout.encode(), process.stderr.encode()
                ) from None
            done = subprocess.CompletedProcess(process.args, process.wait(), process.stdout, process.stderr)
        if check:
            done.check_returncode()
        return done

    def start(
        self,
        argv: Sequence[str | os.PathLike[str]],
        *,
        listens: int | None = None,
        protocol: Literal["Tcp", "Udp"] = "Tcp",
        timeout: float = 10,
        env: Mapping[str, str] | None = None,
    ) -> Process:
        """Start a program inside that goes on until it is stopped, or until the lab or the calling program ends.

        With `listens`, returns when something listens on that port; raises SystemRefusal with what the program said
        when it ends before, or when `timeout` seconds have passed.
        """
        process = self._start(argv, None, env)
        try:
            if listens is not None:
                self._await_port(listens, protocol, timeout, process)
        except BaseException:
            process.stop()
            raise
        return process

    def listens(self, port: int, protocol: Literal["Tcp", "Udp"] = "Tcp") -> bool:
        """Does any program in it listen on a port?"""
        return bool(self._lab.request("listens", machine=self.name, port=port, protocol=protocol))

    def wait_until_listens(self, port: int, protocol: Literal["Tcp", "Udp"] = "Tcp", timeout: float = 10) -> None:
        """Until any program in it listens on a port, such as one of the scenario's `run`.

        Raises SystemRefusal when none does after `timeout` seconds.
        """
        self._await_port(port, protocol, timeout, None)

    def _await_port(
        self, port: int, protocol: Literal["Tcp", "Udp"], timeout: float, process: Process | None
    ) -> None:
        deadline = time.monotonic() + timeout
        while not self.listens(port, protocol):
            what = f"{self.name}: {process.args[0] if process is not None else 'nobody'}"
            if process is not None and process.poll() is not None:
                said = f"ended with {process.returncode} before it listened on {protocol} port {port}"
                raise SystemRefusal(f"{what} {said}: {process.last_words}")
            if time.monotonic() >= deadline:
                late = "does not listen" if process is not None else "listens"
                words = f": {process.last_words}" if process is not None else ""
                raise SystemRefusal(f"{what} {late} on {protocol} port {port} after {timeout:g} s{words}")
            time.sleep(LOOK_AGAIN)

    def _start(
        self, argv: Sequence[str | os.PathLike[str]], given: str | None, env: Mapping[str, str] | None
    ) -> Process:
        if isinstance(argv, str | bytes) or not argv:
            raise PersonError(f"give the program and its arguments as a list, ['ping', '-c1', 'db1'], not as {argv!r}")
        words = [os.fspath(word) for word in argv]
        with contextlib.ExitStack() as stack:
            files = [stack.enter_context(tempfile.TemporaryFile()) for _ in range(3)]
            ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
            stack.enter_context(ours)
            with theirs:
                files[0].write((given or "").encode())
                files[0].seek(0)
                self._lab.request(
                    "start", [*(file.fileno() for file in files), theirs.fileno()], machine=self.name, argv=words,
                    environment={**os.environ, **(env or {})}, directory=os.getcwd(),
                )  # fmt: skip
            stack.pop_all()
        files[0].close()
        process = Process(words, self.name, ours, files[1], files[2])
        self._lab.processes.append(process)
        process.await_start()
        return process


class Process:
    """A program in a machine. As a context manager it is stopped at the end."""

    def __init__(self, args: list[str], machine: str, attendant: socket.socket, out: IO[bytes], err: IO[bytes]) -> None:
        self.args, self.machine = args, machine
        self.returncode: int | None = None
        """Exit status when it has ended; negative is the signal that ended it."""
        self._attendant, self._out, self._err = attendant, out, err
        self._said: tuple[str, str] | None = None

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *exception: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        state = "running" if self.poll() is None else f"ended with {self.returncode}"
        return f"<{' '.join(self.args)} in {self.machine}, {state}>"

    @property
    def stdout(self) -> str:
        """What it has written to its standard output till now."""
        return self._said[0] if self._said is not None else _all(self._out)

    @property
    def stderr(self) -> str:
        """What it has written to its standard error till now."""
        return self._said[1] if self._said is not None else _all(self._err)

    @property
    def last_words(self) -> str:
        """The end of what it has written, for an error message."""
        return (self.stderr or self.stdout).strip()[-2000:]

    def await_start(self) -> None:
        """Until it is known that it runs. Raises PersonError when it cannot."""
        kind, number = self._note()
        if kind == STARTED:
            return
        self.wait()
        self.stop()
        if number == errno.ENOENT:
            raise PersonError(f"{self.machine}: there is no program {self.args[0]!r} on this machine")
        raise PersonError(f"{self.machine}: cannot run {self.args[0]!r}: {os.strerror(abs(number))}")

    def poll(self) -> int | None:
        """Exit status, None while it runs."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Until it has ended: the exit status. Raises subprocess.TimeoutExpired."""
        deadline = None if timeout is None else time.monotonic() + timeout
        while self.returncode is None:
            left = None if deadline is None else max(deadline - time.monotonic(), 0)
            if not select.select([self._attendant], (), (), left)[0]:
                raise subprocess.TimeoutExpired(self.args, timeout or 0)
            kind, number = self._note()
            if kind == ENDED:
                self.returncode = number
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal to it and all that it has started."""
        with contextlib.suppress(OSError):
            self._attendant.send(bytes([number]))

    def terminate(self) -> None:
        """Ask it to end."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """End it."""
        self.send_signal(signal.SIGKILL)

    def stop(self, grace: float = 2.0) -> int:
        """End it, kindly at first: its exit status."""
        if self.poll() is None:
            self.terminate()
            try:
                self.wait(grace)
            except subprocess.TimeoutExpired:
                self.kill()
        status = self.wait()
        if self._said is None:
            self._said = _all(self._out), _all(self._err)
            for opened in (self._attendant, self._out, self._err):
                opened.close()
        return status

    def _note(self) -> tuple[int, int]:
        try:
            data = self._attendant.recv(NOTE.size)
        except ConnectionResetError:  # it has ended before it heard our signal, and left word all the same
            data = self._attendant.recv(NOTE.size)
        if not data:  # the lab's worker is gone, and everything with it
            return ENDED, -signal.SIGKILL
        kind, number = NOTE.unpack(data)
        return kind, number


def _all(file: IO[bytes]) -> str:
    descriptor = file.fileno()
    return os.pread(descriptor, os.fstat(descriptor).st_size, 0).decode(errors="replace")
