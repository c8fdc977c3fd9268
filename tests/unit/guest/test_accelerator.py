"""KVM is used where it works, which is found out once."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from netemu.guest import accelerator
from netemu.guest.kernel import Kernel
from netemu.guest.qemu import KVM, TCG
from netemu.lab.interrupts import Interrupts

WORKS = 'say("state", "stage files\\nstage settling\\nstage command\\nstatus 0\\n")\n'
COUNT = 'open({!r}, "a").write(sys.argv[sys.argv.index("-accel") + 1] + "\\n")\n'


@pytest.fixture
def tries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[str]]:
    """A /dev/kvm and a cache of this test's own; says how often QEMU was started, and with what."""
    device = tmp_path / "kvm"
    device.touch()
    monkeypatch.setattr(accelerator, "DEVICE", device)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    log = tmp_path / "log"
    return lambda: log.read_text().split() if log.exists() else []


def choose(kernel: Kernel) -> str:
    with Interrupts() as interrupts:
        return accelerator.choose(kernel, interrupts)


def test_a_kvm_that_boots_a_guest_is_used_and_tried_once(
    qemu: Callable[[str], None], kernel: Kernel, tries: Callable[[], list[str]], tmp_path: Path
) -> None:
    qemu(COUNT.format(str(tmp_path / "log")) + WORKS)
    assert [choose(kernel) for _ in range(3)] == [KVM] * 3
    assert tries() == ["kvm"]


@pytest.mark.parametrize("play", ["signal.pause()", "sys.exit(1)", 'say("state", "stage files\\n")\nsignal.pause()'])
def test_a_kvm_that_does_not_is_not_and_is_tried_once_until_the_machine_boots_again(
    qemu: Callable[[str], None], kernel: Kernel, tries: Callable[[], list[str]], tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, play: str,
) -> None:  # fmt: skip
    monkeypatch.setattr(accelerator, "PATIENCE", 0.5)
    qemu(COUNT.format(str(tmp_path / "log")) + play)
    assert [choose(kernel) for _ in range(2)] == [TCG] * 2
    assert tries() == ["kvm"]
    other = tmp_path / "boot_id"
    other.write_text("another-boot\n")
    monkeypatch.setattr(accelerator, "BOOT_ID", other)
    qemu(COUNT.format(str(tmp_path / "log")) + WORKS)
    assert choose(kernel) == KVM
    assert tries() == ["kvm", "kvm"]


def test_without_a_kvm_that_we_may_open_none_is_tried(
    qemu: Callable[[str], None], kernel: Kernel, tries: Callable[[], list[str]], tmp_path: Path
) -> None:
    qemu(COUNT.format(str(tmp_path / "log")) + WORKS)
    os.unlink(accelerator.DEVICE)
    assert choose(kernel) == TCG
    assert tries() == []
    assert not (tmp_path / "cache").exists()


def test_a_cache_that_cannot_be_written_or_read_is_no_matter(
    qemu: Callable[[str], None], kernel: Kernel, tries: Callable[[], list[str]], tmp_path: Path
) -> None:
    qemu(COUNT.format(str(tmp_path / "log")) + WORKS)
    (tmp_path / "cache").write_text("a file")
    assert choose(kernel) == KVM
    (tmp_path / "cache").unlink()
    (tmp_path / "cache/netemu").mkdir(parents=True)
    (tmp_path / "cache/netemu/kvm").write_bytes(b"\xff nonsense")
    assert choose(kernel) == KVM
    assert tries() == ["kvm", "kvm"]
