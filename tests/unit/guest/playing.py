"""A QEMU that plays what a test wants, and a kernel for it."""

from __future__ import annotations

import sys
from pathlib import Path

from netemu.guest.kernel import FULL, MODULES, Kernel

PLAYER = f"""#!{sys.executable} -SE
import os, signal, socket, sys, time
wires = {{}}
for word in sys.argv:
    if word.startswith("socket,id="):
        name, number = (part.split("=")[1] for part in word.split(",")[1:])
        wires[name] = socket.socket(fileno=int(number))
def say(name, text):
    wires[name].sendall(text.encode())
"""


def make_kernel(
    root: Path, version: str, names: tuple[str, ...] = (*MODULES, *FULL), image: bytes = b"image"
) -> Kernel:
    """Files as a kernel's package has them."""
    modules = root / "lib/modules" / version
    modules.mkdir(parents=True)
    (root / "boot").mkdir(exist_ok=True)
    (root / "boot" / f"vmlinuz-{version}").write_bytes(image)
    for name in names:
        (modules / f"{name}.ko").write_bytes(f"module {name}".encode())
    (modules / "modules.dep").write_text("".join(f"{name}.ko:\n" for name in names))
    (modules / "modules.builtin").write_text("")
    return Kernel(root / "boot" / f"vmlinuz-{version}", modules)
