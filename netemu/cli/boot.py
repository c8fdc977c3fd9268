"""boot."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click

PASSED_ON = ("HOME", "LANG", "LC_ALL", "TERM", "COLORTERM", "NO_COLOR")
"""What the command's environment has of ours; and PATH, with this netemu's own directory in front."""


@click.command("boot", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@click.option("--up", "scenario", type=click.Path(), metavar="FILE", help="Bring this scenario up there first.")
@click.option("--writable", type=click.Path(exists=True, file_okay=False), multiple=True, metavar="DIR",
              help="What is written in DIR stays; all else ends with the guest.")  # fmt: skip
@click.option("--kernel", "image", type=click.Path(), metavar="VMLINUZ", help="Another kernel; its modules beside it.")
@click.option("--accelerator", type=click.Choice(["auto", "kvm", "tcg"]), default="auto", show_default=True,
              help="auto: KVM where it works, else emulation.")  # fmt: skip
@click.option("--memory", type=click.IntRange(min=256), default=2048, show_default=True, metavar="MIB")
@click.option("--processors", type=click.IntRange(min=1), default=2, show_default=True, metavar="N")
@click.option("--timeout", type=click.FloatRange(min=0, min_open=True), metavar="SECONDS", help="For everything.")
@click.argument("command", nargs=-1, type=click.UNPROCESSED, metavar="[-- COMMAND…]")
def boot_command(
    scenario: str | None, writable: tuple[str, ...], image: str | None, accelerator: str, memory: int,
    processors: int, timeout: float | None, command: tuple[str, ...],
) -> None:  # fmt: skip
    r"""Boot a full kernel in QEMU and run COMMAND there as root, or a shell. Needs no root here.

    For a machine whose kernel lacks what `netemu doctor` names. This machine's files are there at their own paths;
    what is written goes into the guest's memory. Exit status, standard input and terminal are the command's own; 124
    when the time is up.

    \b
    Example:  netemu boot
              netemu boot --up scenarios/three-tier.yaml
              netemu boot --up scenarios/three-tier.yaml -- netemu verify
    """
    from netemu.guest.accelerator import choose
    from netemu.guest.initramfs import Task
    from netemu.guest.kernel import find_kernel
    from netemu.guest.qemu import Size
    from netemu.guest.run import Guest, Limits
    from netemu.lab.interrupts import Interrupts

    on_terminal = sys.stdin is not None and sys.stdin.isatty() and sys.stdout is not None and sys.stdout.isatty()
    task = Task(
        argv=(command[1:] if command[:1] == ("--",) else command) or (os.environ.get("SHELL") or "/bin/sh",),
        directory=Path.cwd(),
        environment=_environment(),
        before=("netemu", "up", os.path.abspath(scenario)) if scenario is not None else (),
        writable=tuple(Path(directory).resolve() for directory in writable),
        on_terminal=on_terminal,
    )
    kernel = find_kernel(Path(image) if image is not None else None)
    with Interrupts() as interrupts:
        how = choose(kernel, interrupts) if accelerator == "auto" else accelerator
        if on_terminal:
            click.echo(f"booting {kernel.version} (QEMU, {how.upper()}) ...", err=True)
        with Guest(kernel, how, task, Size(memory, processors)) as guest:
            source = sys.stdin.fileno() if sys.stdin is not None else None
            status = guest.live(Limits(whole=timeout), source, 1, interrupts)
    raise click.exceptions.Exit(status)


def _environment() -> dict[str, str]:
    path = [os.path.dirname(os.path.abspath(sys.argv[0])), *os.environ.get("PATH", "").split(":")]
    path += [directory for directory in ("/usr/sbin", "/sbin", "/usr/bin", "/bin") if directory not in path]
    passed = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
    return {"LANG": "C.UTF-8", **passed, "PATH": ":".join(path)}
