"""Guests without a QEMU."""

from __future__ import annotations

import stat
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from playing import PLAYER, make_kernel

from netemu.guest.kernel import Kernel


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    return make_kernel(tmp_path / "kernel", "6.1.0-1-amd64")


@pytest.fixture
def qemu(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Let QEMU do what a text in Python says."""
    programs = tmp_path / "programs"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs), prepend=":")

    def play(text: str) -> None:
        for name, content in (("qemu-system-x86_64", PLAYER + textwrap.dedent(text)), ("busybox", "static")):
            (programs / name).write_text(content)
            (programs / name).chmod(stat.S_IRWXU)

    return play
