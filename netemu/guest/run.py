"""A guest's life: started, listened to, and gone, whatever happens.

No file is made on this machine, and QEMU dies with us, so that nothing is left even when we are killed.
"""

from __future__ import annotations

import collections
import contextlib
import ctypes
import functools
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
from netemu.guest.relay import CHUNK, Relay
from netemu.lab.interrupts import Interrupts
from netemu.lab.requirements import require_tool

PR_SET_PDEATHSIG = 1
TICK = 0.2
"""Seconds between two looks at signals and limits."""
LAST_WORDS, KEPT_WORDS = 12, 200
"""Lines of the guest's console that a failure shows, and among which it looks for a panic."""
PANIC = "Kernel panic"
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
        self._console: collections.deque[bytes] = collections.deque(maxlen=KEPT_WORDS)
        self._unfinished = {"state": b"", "console": b""}
        """Lines whose end has not come yet."""
        self._held = contextlib.ExitStack()

    def __enter__(self) -> Guest:
        program = require_tool(qemu.PROGRAM, qemu.PACKAGE, "the guest runs in it")
        image = self.kernel.image.read_bytes()
        if self.accelerator == qemu.TCG:
            image = uncompressed(image)
        names = ["console", "state", *(["terminal", "window"] if self.task.on_terminal else ["output", "input"])]
        with contextlib.ExitStack() as held, contextlib.ExitStack() as theirs:
            pairs = {name: socket.socketpair() for name in names}
            self._sockets = {name: held.enter_context(ours) for name, (ours, _) in pairs.items()}
            self._complaints = held.enter_context(memory_file(b""))
            wires = qemu.Wires(
                kernel=theirs.enter_context(memory_file(image)),
                initramfs=theirs.enter_context(memory_file(initramfs(self.kernel, self.task))),
                **{name: theirs.enter_context(other).fileno() for name, (_, other) in pairs.items()},
            )
            self._started = time.monotonic()
            self._process = subprocess.Popen(
                qemu.arguments(program, self.accelerator, self.size, wires, self.task.writable),
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=self._complaints, pass_fds=wires.all(),
                start_new_session=True, preexec_fn=functools.partial(_die_with, os.getpid()),
            )  # fmt: skip
            held.callback(self._end)
            for ours in self._sockets.values():
                ours.setblocking(False)
            self._held = held.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.close()

    def _end(self) -> None:
        self._process.kill()
        self._process.wait()

    def live(self, limits: Limits, source: int | None, sink: int, interrupts: Interrupts) -> int:
        """Pass data between the command and our descriptors until it has ended; its exit status.

        Raises TimeOut, GuestFailure, Interrupted, and OSError when nobody reads `sink` any more.
        """
        with Relay(self._sockets, source, sink) as relay, selectors.PollSelector() as selector:
            while relay.is_open("state"):
                interrupts.check()
                self._keep_to(limits)
                relay.register(selector)
                for name in [key.data for key, _ in selector.select(TICK)]:
                    self._hear(name, relay.pass_on(name))
                if self.stage == "command":
                    relay.begin()
            for name in ("output", "terminal", "console"):  # what was said last
                while relay.is_open(name) and (data := relay.pass_on(name)):
                    self._hear(name, data)
        if self.status is None:
            raise GuestFailure(self._obituary("the guest died while it was"))
        return self.status

    def _keep_to(self, limits: Limits) -> None:
        taken = time.monotonic() - self._started
        for limit in (limits.whole, limits.boot if self.stage != "command" else None):
            if limit is not None and taken > limit:
                raise TimeOut(self._obituary(f"time-out after {limit:g} s; the guest was"))

    def _hear(self, name: str, data: bytes) -> None:
        """Take in what the guest says of itself."""
        if name not in self._unfinished:
            return
        *lines, self._unfinished[name] = (self._unfinished[name] + data).split(b"\n")
        if name == "console":
            self._console.extend(line.rstrip() for line in lines if line.strip())
            return
        for line in lines:
            word, _, value = line.decode(errors="replace").partition(" ")
            if word == "stage" and value in STAGES:
                self.stage = value
            elif word == "status" and value.isdigit():
                self.status = int(value)

    def _obituary(self, what: str) -> str:
        """A failure, the stage in which it came, and what the kernel and QEMU said last."""
        self._end()
        complaints = os.pread(self._complaints, CHUNK, 0).splitlines()
        console = [line.decode(errors="replace") for line in [*self._console, self._unfinished["console"]]]
        words = [line for line in console if PANIC in line] + console[-LAST_WORDS:]
        words += [line.decode(errors="replace") for line in complaints]
        command = shlex.join(self.task.argv)
        stage = STAGES[self.stage].format(command=command if len(command) < 80 else f"{command[:77]}...")
        told = f"{what} {stage} (kernel {self.kernel.version}, QEMU, {self.accelerator.upper()})"
        lines = [f"  {word}" for word in dict.fromkeys(words) if word]
        return "\n".join([f"netemu: {told}", *lines]) if lines else told  # one line gets its prefix where it is printed


@contextlib.contextmanager
def memory_file(content: bytes) -> Iterator[int]:
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


def _die_with(parent: int) -> None:
    """In QEMU, before it is QEMU: be killed when our parent is."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    if os.getppid() != parent:  # it was killed before we could ask for that
        os._exit(1)
