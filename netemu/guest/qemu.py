"""How QEMU is started. Everything goes to it by descriptors, so that there is no file to leave behind."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

PROGRAM = "qemu-system-x86_64"
PACKAGE = "qemu-system-x86"
KVM, TCG = "kvm", "tcg"
COMMAND_LINE = (
    # An end is an end: a panic reboots at once, and a reboot ends QEMU.
    "console=ttyS0 quiet panic=-1 reboot=t "
    # What would only cost time here: measured under TCG, 24 s of booting become 9.
    "cryptomgr.notests tsc=reliable no_timer_check init_on_alloc=0 nokaslr mitigations=off nowatchdog audit=0 "
    "apparmor=0 selinux=0 random.trust_cpu=on rcupdate.rcu_expedited=1"
)


class Size(Struct, frozen=True):
    """What a guest gets of this machine."""

    memory: int = 2048
    """MiB; only what the guest touches is taken."""
    processors: int = 2


class Wires(Struct, frozen=True):
    """The descriptors that QEMU inherits."""

    kernel: int
    initramfs: int
    console: int
    """A socket for the kernel's own messages."""
    state: int
    """A socket for the guest's stages and the command's status."""
    output: int | None = None
    """A socket for what the command says, and ..."""
    input: int | None = None
    """... for what it is told; or neither, and instead:"""
    terminal: int | None = None
    """A socket for both, a terminal in the guest, and ..."""
    window: int | None = None
    """... one for its size: lines and columns, whenever they change."""

    def all(self) -> tuple[int, ...]:
        """Those that are there."""
        return tuple(getattr(self, name) for name in self.__struct_fields__ if getattr(self, name) is not None)


def arguments(program: str, accelerator: str, size: Size, wires: Wires, writable: tuple[Path, ...]) -> list[str]:
    """The command line."""
    argv = [
        program, "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-machine", "q35",
        "-m", str(size.memory), "-smp", str(size.processors),
        "-kernel", f"/proc/self/fd/{wires.kernel}", "-initrd", f"/proc/self/fd/{wires.initramfs}",
        "-append", COMMAND_LINE,
        "-chardev", f"socket,id=console,fd={wires.console}", "-serial", "chardev:console",
        "-device", "virtio-serial-pci",
    ]  # fmt: skip
    for name in ("state", "output", "input", "terminal", "window"):
        descriptor = getattr(wires, name)
        if descriptor is not None:
            kind = "virtconsole" if name == "terminal" else "virtserialport"
            argv += ["-chardev", f"socket,id={name},fd={descriptor}", "-device", f"{kind},chardev={name},name={name}"]
    # la57=off: five levels of page tables are slower to emulate, and KVM's own processor needs no telling.
    argv += ["-accel", "kvm", "-cpu", "host"] if accelerator == KVM else [
        "-accel", "tcg,thread=multi,tb-size=1024", "-cpu", "max,la57=off"]  # fmt: skip
    argv += _share("files", Path("/"), ",readonly=on")
    for number, directory in enumerate(writable):
        argv += _share(f"writable{number}", directory, "")
    return argv


def _share(tag: str, directory: Path, option: str) -> list[str]:
    """A directory of this machine for the guest, with the owners and modes that its files have here."""
    path = str(directory).replace(",", ",,")
    return ["-fsdev", f"local,id={tag},path={path},security_model=none,multidevs=remap{option}",
            "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}"]  # fmt: skip
