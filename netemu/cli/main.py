"""The `netemu` command. Exit codes: 0 fine, 1 the answer is no, 2 the person's mistake, 3 the system refused."""

from __future__ import annotations

import errno
import os
import signal
import sys
from importlib import import_module

import click

import netemu
from netemu.errors import NetemuError

COMMANDS = {
    "up": "life", "plan": "life", "down": "life", "ls": "life", "status": "life",
    "exec": "inside", "shell": "inside", "capture": "inside",
    "validate": "files", "lint": "lint", "schema": "files", "graph": "files",
    "lb": "lb",
    "verify": "proof", "explain": "explain", "report": "proof",
    "flow": "flow", "next-hop": "watcher", "routes": "watcher", "rules": "watcher", "topology": "watcher",
    "doctor": "machine", "boot": "boot", "completion": "machine",
}  # fmt: skip
"""Command to the module of this package that has it."""


def with_paragraphs(command: click.Command) -> click.Command:
    r"""Let click see the \\b of our raw docstrings: the paragraph behind it is not wrapped."""
    if command.help is not None:
        command.help = command.help.replace("\\b\n", "\b\n")
    return command


class Commands(click.Group):
    """Commands that are imported when they are used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of a lab's life, not of the alphabet."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        """Import a command's module."""
        if name not in COMMANDS:
            return None
        module = import_module(f"netemu.cli.{COMMANDS[name]}")
        command: click.Command = getattr(module, f"{name.replace('-', '_')}_command")
        return with_paragraphs(command)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Suggest a command for a mistyped one."""
        try:
            return super().resolve_command(ctx, args)
        except click.UsageError as error:
            import difflib

            close = difflib.get_close_matches(args[0], COMMANDS, 1)
            if not close:
                raise
            raise click.UsageError(f"{error.message} Did you mean {close[0]!r}?", ctx) from None


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(netemu.__version__, prog_name="netemu")
def cli() -> None:
    r"""Azure networking with real packets, on one Linux machine.

    \b
    Try:  sudo netemu up scenarios/three-tier.yaml
          sudo netemu verify
          sudo netemu exec web1 -- curl -s http://app1:8080
          sudo netemu down
    """


with_paragraphs(cli)


def _discard_output() -> None:
    """What is still to be flushed at the end cannot be written either."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def main() -> None:
    """Run the command line; every error that is meant for a person becomes one message and an exit code."""
    try:
        code = cli(standalone_mode=False)  # the code of click.exceptions.Exit, or what the command returned: None
    except NetemuError as error:
        click.echo(f"netemu: {error}" if "\n" not in str(error) else str(error), err=True)
        sys.exit(error.exit_code)
    except click.ClickException as error:
        error.show()
        sys.exit(2)
    except (click.Abort, KeyboardInterrupt):
        click.echo("netemu: interrupted", err=True)
        sys.exit(130)
    except SystemExit:
        if not type(sys.stdout).__name__.endswith("PacifyFlushWrapper"):
            raise
        sys.exit(128 + signal.SIGPIPE)  # click has seen that nobody reads any more, and would say 1: "the answer is no"
    except OSError as error:
        if error.filename is not None or error.errno not in (errno.ENOSPC, errno.EIO, errno.EDQUOT, errno.EBADF):
            raise
        _discard_output()
        click.echo(f"netemu: the output cannot be written: {error.strerror}", err=True)
        sys.exit(3)
    sys.exit(code or 0)
