"""Whether KVM works here, which is tried: nested in another hypervisor a /dev/kvm may be good for nothing.

The answer is kept for as long as the machine runs, in $XDG_CACHE_HOME/netemu/kvm.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

from netemu.guest.initramfs import Task
from netemu.guest.kernel import Kernel
from netemu.guest.qemu import KVM, TCG, Size
from netemu.guest.run import Guest, GuestFailure, Limits
from netemu.lab.interrupts import Interrupts

DEVICE = Path("/dev/kvm")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
PATIENCE = 12.0
"""Seconds for a whole guest that does nothing; with a KVM that works it takes two."""


def choose(kernel: Kernel, interrupts: Interrupts) -> str:
    """KVM where a guest really boots with it, else TCG."""
    if not os.access(DEVICE, os.R_OK | os.W_OK):
        return TCG
    note = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "netemu" / "kvm"
    boot = BOOT_ID.read_text().strip()
    with contextlib.suppress(OSError, ValueError):
        noted, answer = note.read_text().split()
        if noted == boot and answer in (KVM, TCG):
            return answer
    answer = KVM if works(kernel, interrupts) else TCG
    with contextlib.suppress(OSError):  # it is asked again next time, then
        note.parent.mkdir(parents=True, exist_ok=True)
        note.write_text(f"{boot} {answer}\n")
    return answer


def works(kernel: Kernel, interrupts: Interrupts) -> bool:
    """Does a guest boot with KVM, and soon?"""
    nothing = Task(("true",), Path("/"), {"PATH": "/usr/bin:/bin"})
    sink = os.open(os.devnull, os.O_WRONLY)
    try:
        with Guest(kernel, KVM, nothing, Size(processors=1)) as guest:
            return guest.live(Limits(PATIENCE, PATIENCE), None, sink, interrupts) == 0
    except GuestFailure:
        return False
    finally:
        os.close(sink)
