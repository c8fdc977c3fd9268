"""Options and completions that several commands share."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import click

Command = TypeVar("Command", bound=Callable[..., Any])


def complete_labs(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Names of labs that are up."""
    from netemu.lab.folder import labs

    return [folder.name for folder in labs() if folder.name.startswith(incomplete)]


def complete_nodes(ctx: click.Context, parameter: click.Parameter, incomplete: str) -> list[str]:
    """Machines of the lab that the command would use."""
    from netemu.errors import NetemuError
    from netemu.lab.folder import find

    try:
        nodes = find(ctx.params.get("lab")).nodes()
    except NetemuError:
        return []
    return [node for node in nodes if node.startswith(incomplete) and (incomplete or node[0] != "@")]


def output_option(command: Command) -> Command:
    """`-o table|json|yaml`."""
    return click.option(
        "-o", "--output", "form", type=click.Choice(["table", "json", "yaml"]), default="table", show_default=True,
        help="How to print the data.",
    )(command)  # fmt: skip


def lab_option(command: Command) -> Command:
    """`--lab NAME`."""
    return click.option(
        "--lab", metavar="NAME", shell_complete=complete_labs, help="Which lab; not needed when only one is up."
    )(command)


def file_or_lab_options(command: Command) -> Command:
    """`--file FILE` or `--lab NAME`, for commands whose arguments are something else."""
    command = click.option(
        "--file", type=click.Path(), metavar="FILE", help="Ask about this scenario file; needs no root and no lab."
    )(command)
    return lab_option(command)


def scenario_argument(command: Command) -> Command:
    """A scenario file."""
    return click.argument("file", type=click.Path(), metavar="FILE")(command)
