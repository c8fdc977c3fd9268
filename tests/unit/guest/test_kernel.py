"""Which kernel is booted, which modules it starts with, and how its image is unpacked."""

from __future__ import annotations

import gzip
import lzma
import os
from pathlib import Path

import pytest
from playing import make_kernel

from netemu.errors import SystemRefusal
from netemu.guest.kernel import MODULES, Kernel, find_kernel, load_order, uncompressed

ELF = b"\x7fELF" + bytes(range(256)) * 40


def test_the_newest_full_kernel_of_the_first_place_is_taken(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    make_kernel(first, "6.9.0-1-amd64")
    newest = make_kernel(first, "6.10.0-1-amd64")
    make_kernel(second, "7.1.0-1-amd64")
    assert find_kernel(places=[first, second]) == newest
    assert find_kernel(places=[tmp_path / "nothing", second]).version == "7.1.0-1-amd64"


def test_a_kernel_without_the_features_is_passed_over(tmp_path: Path) -> None:
    full = make_kernel(tmp_path, "6.1.0-1-amd64")
    make_kernel(tmp_path, "6.2.0-1-cloud-amd64", names=MODULES)
    (tmp_path / "lib/modules/6.3.0-1-amd64").mkdir()  # removed, but for what somebody had put there
    assert find_kernel(places=[tmp_path]) == full


def test_without_a_full_kernel_the_refusal_says_how_to_get_one(tmp_path: Path) -> None:
    with pytest.raises(SystemRefusal, match=r"no full kernel.*make vm.*apt-get install linux-image-amd64"):
        find_kernel(places=[tmp_path])


def test_a_kernel_that_is_only_roots_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = make_kernel(tmp_path, "6.1.0-1-generic")

    opened = Path.open

    def refuse(self: Path, mode: str = "r", *others: object, **named: object) -> object:
        if self == kernel.image:
            raise PermissionError
        return opened(self, mode, *others, **named)  # type: ignore[arg-type]  # as they came

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(SystemRefusal) as refusal:
        find_kernel(places=[tmp_path])
    assert str(refusal.value) == f"{kernel.image} is root's; as root: chmod a+r {kernel.image}"


def test_an_image_that_is_asked_for_has_its_modules_beside_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = make_kernel(tmp_path, "6.1.0-1-amd64", names=MODULES)
    assert find_kernel(kernel.image) == kernel
    monkeypatch.chdir(tmp_path / "boot")
    assert find_kernel(Path("vmlinuz-6.1.0-1-amd64")) == kernel
    with pytest.raises(SystemRefusal, match="its modules are neither in"):
        find_kernel(tmp_path / "boot" / "vmlinuz-6.2.0")
    with pytest.raises(SystemRefusal, match="its modules are neither in"):
        find_kernel(Path("/vmlinuz-6.2.0"))


def test_modules_are_loaded_after_what_they_need_and_once(tmp_path: Path) -> None:
    for name in ("9pnet", "netfs", "9p", "overlay"):
        (tmp_path / f"{name}.ko").write_bytes(name.encode())
    (tmp_path / "9pnet-virtio.ko.xz").write_bytes(lzma.compress(b"packed"))
    (tmp_path / "modules.builtin").write_text("kernel/drivers/virtio_pci.ko\n")
    (tmp_path / "modules.dep").write_text(
        "9p.ko: 9pnet.ko netfs.ko\n9pnet-virtio.ko.xz: 9pnet.ko\n9pnet.ko:\nnetfs.ko:\noverlay.ko:\n"
    )
    loaded = load_order(Kernel(tmp_path / "vmlinuz", tmp_path), ("virtio_pci", "9p", "9pnet_virtio", "overlay"))
    assert [name for name, _ in loaded] == ["netfs", "9pnet", "9p", "9pnet_virtio", "overlay"]
    assert dict(loaded)["9pnet_virtio"] == b"packed"


@pytest.mark.parametrize("pack", [lzma.compress, gzip.compress], ids=["xz", "gzip"])
def test_the_program_in_a_compressed_image_is_found_behind_false_starts(pack: object) -> None:
    assert callable(pack)
    image = b"MZ setup " + b"\xfd7zXZ\0 no stream" + b"\x1f\x8b\x08 none either" + pack(ELF) + b"\xfd7zXZ\0"
    assert uncompressed(image + os.urandom(100)) == ELF


def test_an_image_with_nothing_in_it_is_left_to_the_machine() -> None:
    assert uncompressed(b"MZ" + bytes(1000)) == b"MZ" + bytes(1000)
