"""exec, shell, capture."""

from __future__ import annotations

import os

import click

from netemu.cli.options import complete_nodes, lab_option


@click.command("exec", context_settings={"ignore_unknown_options": True, "allow_interspersed_args": False})
@lab_option
@click.argument("machine", shell_complete=complete_nodes, metavar="VM")
@click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED, metavar="-- COMMAND…")
def exec_command(machine: str, command: tuple[str, ...], lab: str | None) -> None:
    r"""Run COMMAND inside VM: its network, host name, resolv.conf and hosts.

    Exit status, signals, standard input and terminal are the command's own.

    \b
    Example:  sudo netemu exec web1 -- curl -s http://app1:8080
    """
    from netemu.lab.enter import execute
    from netemu.lab.folder import find
    from netemu.lab.rootless import step_inside

    arguments = command[1:] if command[0] == "--" else command
    if not arguments:
        raise click.UsageError("Missing argument '-- COMMAND…'.")
    step_inside(lab)
    execute(find(lab), machine, arguments)


@click.command("shell")
@lab_option
@click.argument("machine", shell_complete=complete_nodes, metavar="VM")
def shell_command(machine: str, lab: str | None) -> None:
    r"""Open a shell inside VM.

    \b
    Example:  sudo netemu shell web1
    """
    from netemu.lab.enter import execute
    from netemu.lab.folder import find
    from netemu.lab.rootless import step_inside

    step_inside(lab)
    execute(find(lab), machine, (os.environ.get("SHELL") or "/bin/sh",))


@click.command("capture")
@lab_option
@click.argument("interface", shell_complete=complete_nodes, metavar="VM[/NIC]")
@click.argument("expression", nargs=-1, metavar="[FILTER]")
@click.option("-w", "--write", "target", metavar="FILE", help="Write pcapng to FILE (- for standard output).")
@click.option("-c", "--count", type=click.IntRange(min=1), metavar="N", help="Stop after N packets.")
def capture_command(
    interface: str, expression: tuple[str, ...], target: str | None, count: int | None, lab: str | None
) -> None:
    r"""Show or record the packets of VM, on all its NICs or on one.

    FILTER is tcpdump's. Stop with Ctrl-C.

    \b
    Example:  sudo netemu capture web1 tcp port 80
              sudo netemu capture web1/web1-nic -w web1.pcapng
              sudo netemu capture web1 -w - | wireshark -k -i -
    """
    from netemu.lab.capture import capture
    from netemu.lab.folder import find
    from netemu.lab.rootless import step_inside

    step_inside(lab)
    seen = capture(find(lab), interface, " ".join(expression), target, count, click.echo)
    written = f" written to {target}" if target not in (None, "-") else ""
    click.echo(f"{seen} packet{'' if seen == 1 else 's'}{written}", err=True)
