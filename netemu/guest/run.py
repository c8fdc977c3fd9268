"""A guest's life: started, listened to, and gone, whatever happens.

No file is made on this machine, and QEMU dies with us, so that nothing is left even when we are killed.
"""

from __future__ import annotations

import collections
import contextlib
import ctypes
import os
import selectors
import shlex
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from types import TracebackType

from msgspec import Struct

from netemu.errors import SystemRefusal
from netemu.guest import qemu
from netemu.guest.initramfs import Task, initramfs
from netemu.guest.kernel import Kernel, uncompressed
from netemu.guest.relay import Relay
from netemu.lab.interrupts import Interrupts
from netemu.lab.requirements import require_tool

PR_SET_PDEATHSIG = 1
TICK = 0.2
"""Seconds between two looks at signals and limits."""
LAST_WORDS = 12
"""Lines of the guest's console that a failure shows."""
STAGES = {
    "kernel": "booting the kernel",
    "files": "getting this machine's files",
    "settling": "preparing devices and mounts",
    "command": "running {command}",
}
"""What a guest says that it has come to, and what it does from then on."""


class Limits(Struct, frozen=True):
    """Seconds that a guest may take."""

    boot: float = 180.0
    """Until the command starts; a guest without KVM takes about ten on an idle machine."""
    whole: float | None = None


class GuestFailure(SystemRefusal):
    """The guest never came up, or died before its command ended."""


class TimeOut(GuestFailure):
    """The guest has been ended because a limit was reached; exits as timeout(1) does."""

    exit_code = 124


class Guest:
    """A guest; starts with the context and is gone after it."""

    def __init__(self, kernel: Kernel, accelerator: str, task: Task, size: qemu.Size) -> None:
        self.kernel, self.accelerator, self.task, self.size = kernel, accelerator, task, size
        self.stage = "kernel"
        self.status: int | None = None
        self.booted_after: float | None = None
        self.console: collections.deque[bytes] = collections.deque(maxlen=LAST_WORDS)
        self._sockets: dict[str, socket.socket] = {}
        self._state = b""
        self._words = b""

    def __enter__(self) -> Guest:
        with contextlib.ExitStack() as ours:
            program = require_tool(qemu.PROGRAM, qemu.PACKAGE, "the guest runs in it")
            image = self.kernel.image.read_bytes()
            names = ["console", "state", *(["terminal"] if self.task.window else ["output", "input"])]
            kernel = ours.enter_context(_memory_file(image if self.accelerator == qemu.KVM else uncompressed(image)))
            first_files = ours.enter_context(_memory_file(initramfs(self.kernel, self.task)))
            theirs = {}
            for name in names:
                self._sockets[name], other = socket.socketpair()
                theirs[name] = ours.enter_context(other).fileno()
            wires = qemu.Wires(kernel, first_files, **theirs)
            self._started = time.monotonic()
            self._process = subprocess.Popen(
                qemu.arguments(program, self.accelerator, self.size, wires, self.task.writable),
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                pass_fds=wires.all(), start_new_session=True, preexec_fn=_die_with_parent,
            )  # fmt: skip
        for ours_ in self._sockets.values():
            ours_.setblocking(False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        if self._process.stderr is not None:
            self._process.stderr.close()
        for ours in self._sockets.values():
            ours.close()

    def live(self, limits: Limits, source: int | None, sink: int, interrupts: Interrupts) -> int:
        """Pass data between the command and our descriptors until it has ended; its exit status.

        Raises TimeOut, GuestFailure, Interrupted, and OSError when nobody reads `sink` any more.
        """
        relay = Relay(self._sockets, source, sink)
        with relay, selectors.PollSelector() as selector:
            while True:
                interrupts.check()
                self._keep_to(limits)
                relay.register(selector)
                for name in [key.data for key, _ in selector.select(TICK)]:
                    data = relay.pass_on(name)
                    if name == "state":
                        self._hear(data)
                        if self.stage == "command":
                            relay.begin()
                    elif name == "console":
                        self._note(data)
                if not relay.is_open("state"):
                    break
            relay.finish()
        if self.status is None:
            raise GuestFailure(self._obituary(f"the guest died {self._doing()}"))
        return self.status

    def _keep_to(self, limits: Limits) -> None:
        taken = time.monotonic() - self._started
        if self.stage != "command" and taken > limits.boot:
            raise TimeOut(self._obituary(f"time-out: {limits.boot:g} s were not enough; the guest was {self._doing()}"))
        if limits.whole is not None and taken > limits.whole:
            raise TimeOut(
                self._obituary(f"time-out: {limits.whole:g} s were not enough; the guest was {self._doing()}")
            )

    def _hear(self, data: bytes) -> None:
        *lines, self._state = (self._state + data).split(b"\n")
        for line in lines:
            word, _, value = line.decode(errors="replace").partition(" ")
            if word == "stage" and value in STAGES:
                self.stage = value
                if value == "command":
                    self.booted_after = time.monotonic() - self._started
            elif word == "status" and value.isdigit():
                self.status = int(value)

    def _note(self, data: bytes) -> None:
        *lines, self._words = (self._words + data).split(b"\n")
        self.console.extend(line.rstrip() for line in lines if line.strip())

    def _doing(self) -> str:
        command = shlex.join(self.task.argv)
        return STAGES[self.stage].format(command=command if len(command) < 80 else f"{command[:77]}...")

    def _obituary(self, what: str) -> str:
        """A failure, with what the kernel and QEMU said last."""
        self._process.kill()
        said = self._process.stderr.read() if self._process.stderr is not None else b""
        words = [line.decode(errors="replace") for line in [*self.console, self._words, *said.splitlines()] if line]
        lines = [f"netemu: {what} (kernel {self.kernel.version}, QEMU, {self.accelerator.upper()})"]
        return "\n".join([*lines, *(f"  {word}" for word in words[-LAST_WORDS:])])


@contextlib.contextmanager
def _memory_file(content: bytes) -> Iterator[int]:
    """A file without a name."""
    descriptor = os.memfd_create("netemu-guest", os.MFD_CLOEXEC)
    try:
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        os.lseek(descriptor, 0, os.SEEK_SET)
        yield descriptor
    finally:
        os.close(descriptor)


def _die_with_parent() -> None:
    """In QEMU, before it is QEMU."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
