"""Finds a kernel that can be booted with this machine's files as its own, and what it needs to see them.

A kernel lies as its Debian package has it: boot/vmlinuz-VERSION beside lib/modules/VERSION. `tools/setup --vm` unpacks
one below .kernel/ in the clone; else the machine's own are looked at.
"""

from __future__ import annotations

import contextlib
import lzma
import re
import subprocess
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from msgspec import Struct

from netemu.errors import SystemRefusal
from netemu.lab.requirements import require_tool

CLONE = Path(__file__).parents[2]
PLACES = (CLONE / ".kernel", Path("/"))
HOW_TO_GET = "in a clone `make vm` gets Debian's; elsewhere `apt-get install linux-image-amd64`"
MODULES = ("virtio_pci", "virtio_console", "overlay", "9p", "9pnet_virtio")
"""What the guest needs before it has this machine's files: its ports, the files, and memory to lay over them."""
FULL = ("ip_vs", "sch_netem", "esp4", "vrf", "wireguard")
"""Modules by which a kernel is known to be a full one; clouds' kernels and this machine's own may lack them."""
_COMPRESSED = {".xz": lzma.decompress, ".gz": lambda data: zlib.decompress(data, 31)}


class Kernel(Struct, frozen=True):
    """A kernel's image and the directory of its modules."""

    image: Path
    modules: Path

    @property
    def version(self) -> str:
        """As `uname -r` says it."""
        return self.modules.name


def find_kernel(image: Path | None = None, places: Iterable[Path] = PLACES) -> Kernel:
    """The kernel of an image, or the newest full one of the first place that has any. Raises SystemRefusal."""
    if image is not None:
        version = image.name.removeprefix("vmlinuz-")
        roots = [image.absolute().parents[1], Path("/")] if len(image.absolute().parents) > 1 else [Path("/")]
        for root in roots:
            if (root / "lib/modules" / version / "modules.dep").is_file():
                return Kernel(image.absolute(), root / "lib/modules" / version)
        raise SystemRefusal(f"{image}: its modules are neither in {roots[0]}/lib/modules nor in /lib/modules")
    unreadable = []
    for place in places:
        for kernel in _newest_first(place):
            try:
                kernel.image.open("rb").close()
            except PermissionError:
                unreadable.append(kernel.image)
            else:
                return kernel
    if unreadable:
        raise SystemRefusal(f"{unreadable[0]} is root's; as root: chmod a+r {unreadable[0]}")
    raise SystemRefusal(f"there is no full kernel to boot; {HOW_TO_GET}")


def _newest_first(place: Path) -> Iterator[Kernel]:
    found = []
    for modules in (place / "lib/modules").glob("*"):
        kernel = Kernel(place / "boot" / f"vmlinuz-{modules.name}", modules)
        with contextlib.suppress(OSError):
            if kernel.image.exists() and set(FULL) | set(MODULES) <= _names(kernel):
                found.append(kernel)
    yield from sorted(found, key=lambda kernel: [int(n) for n in re.findall(r"\d+", kernel.version)], reverse=True)


def _name(path: str) -> str:
    return path.rpartition("/")[2].partition(".ko")[0].replace("-", "_")


def _built_in(kernel: Kernel) -> set[str]:
    return {_name(line) for line in (kernel.modules / "modules.builtin").read_text().split()}


def _dependencies(kernel: Kernel) -> dict[str, list[str]]:
    """For each module, by name, the files to load, in order: what it needs and itself (modules.dep(5))."""
    files = {}
    for line in (kernel.modules / "modules.dep").read_text().splitlines():
        path, _, needed = line.partition(":")
        files[_name(path)] = [*reversed(needed.split()), path]
    return files


def _names(kernel: Kernel) -> set[str]:
    return _built_in(kernel) | set(_dependencies(kernel))


def load_order(kernel: Kernel, names: Iterable[str] = MODULES) -> list[tuple[str, bytes]]:
    """Modules and all that they need, each once: name and uncompressed content, in the order to load them."""
    files, built_in = _dependencies(kernel), _built_in(kernel)
    paths: list[str] = []
    for name in names:
        if name not in built_in:
            paths += [path for path in files[name] if path not in paths]
    return [(_name(path), _content(kernel.modules / path)) for path in paths]


def _content(path: Path) -> bytes:
    data = path.read_bytes()
    if path.suffix == ".zst":
        return _zstd(data)
    return _COMPRESSED[path.suffix](data) if path.suffix in _COMPRESSED else data


def uncompressed(image: bytes) -> bytes:
    """The ELF file inside a compressed kernel image, or the image itself when none is found.

    Without hardware virtualization the guest takes twelve seconds to unpack it, and Python half a one.
    """
    for magic in (b"\xfd7zXZ\0", b"\x1f\x8b\x08", b"\x28\xb5\x2f\xfd"):
        start = image.find(magic)
        while start > 0:
            content = _unpacked(magic, image[start:])
            if content.startswith(b"\x7fELF"):
                return content
            start = image.find(magic, start + 1)
    return image


def _unpacked(magic: bytes, data: bytes) -> bytes:
    """What a stream with something behind it contains; nothing when it is none."""
    try:
        if magic.startswith(b"\xfd"):
            return lzma.LZMADecompressor().decompress(data)
        if magic.startswith(b"\x1f"):
            return zlib.decompressobj(31).decompress(data)
        return _zstd(data)
    except (lzma.LZMAError, zlib.error):
        return b""


def _zstd(data: bytes) -> bytes:
    """By the program, as Python has no decoder before 3.14; it complains of what follows a stream; no matter."""
    program = require_tool("zstd", "zstd", "it unpacks this kernel")
    return subprocess.run([program, "-dc"], input=data, capture_output=True, check=False).stdout
