"""What a guest's kernel starts with: a newc archive of busybox, five modules and our two scripts.

Source: Documentation/driver-api/early-userspace/buffer-format.rst of Linux.
"""

from __future__ import annotations

import shlex
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from msgspec import Struct

from netemu.errors import SystemRefusal
from netemu.guest.kernel import Kernel, load_order
from netemu.lab.requirements import require_tool

HERE = Path(__file__).parent
CONSOLE = (5, 1)


class Task(Struct, frozen=True):
    """What a guest is to do."""

    argv: tuple[str, ...]
    directory: Path
    """Where it starts."""
    environment: Mapping[str, str]
    before: tuple[str, ...] = ()
    """A command that must succeed before; its failure is the guest's."""
    writable: tuple[Path, ...] = ()
    """Directories whose contents are this machine's own in the guest, too."""
    on_terminal: bool = False
    """Whether it has our terminal, or else our standard input and output."""


class Entry(Struct, frozen=True):
    """One file of the archive."""

    name: str
    mode: int
    content: bytes = b""
    device: tuple[int, int] = (0, 0)


def initramfs(kernel: Kernel, task: Task) -> bytes:
    """The archive for a task."""
    shares = "".join(f"share writable{n} {shlex.quote(str(path))}\n" for n, path in enumerate(task.writable))
    busybox = Path(require_tool("busybox", "busybox-static", "the guest starts with it")).read_bytes()
    if b"/ld-linux" in busybox[:4096]:
        raise SystemRefusal("busybox is not static; `apt-get install busybox-static`")
    entries = [
        *(Entry(name, stat.S_IFDIR | 0o755) for name in ("bin", "dev", "proc", "sys", "modules")),
        Entry("dev/console", stat.S_IFCHR | 0o600, device=CONSOLE),
        Entry("bin/busybox", stat.S_IFREG | 0o755, busybox),
        Entry("init", stat.S_IFREG | 0o755, (HERE / "init").read_bytes()),
        Entry("settle", stat.S_IFREG | 0o644, (HERE / "settle").read_bytes()),
        Entry("command", stat.S_IFREG | 0o644, command(task).encode(errors="surrogateescape")),
        Entry("shares", stat.S_IFREG | 0o644, shares.encode(errors="surrogateescape")),
        Entry("modules-of-the-kernel", stat.S_IFREG | 0o644, f"{kernel.modules}\n".encode()),
    ]
    for number, (name, content) in enumerate(load_order(kernel)):
        entries.append(Entry(f"modules/{number:02}-{name}.ko", stat.S_IFREG | 0o644, content))
    return archive(entries)


def command(task: Task) -> str:
    """The script that does a task."""
    lines = [f"export {name}={shlex.quote(value)}" for name, value in sorted(task.environment.items())]
    lines.append(f"cd {shlex.quote(str(task.directory))} || exit")
    if task.before:
        lines.append(f"{shlex.join(task.before)} || exit")
    return "\n".join([*lines, f"exec {shlex.join(task.argv)}", ""])


def archive(entries: Iterable[Entry]) -> bytes:
    """A newc archive."""
    out = bytearray()
    for number, entry in enumerate([*entries, Entry("TRAILER!!!", 0)], 1):
        name = entry.name.encode() + b"\0"
        major, minor = entry.device
        fields = (number, entry.mode, 0, 0, 1, 0, len(entry.content), 0, 0, major, minor, len(name), 0)
        out += b"070701" + b"".join(b"%08X" % field for field in fields)
        for part in (name, entry.content):
            out += part
            out += bytes(-len(out) % 4)
    return bytes(out)
