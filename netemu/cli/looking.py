"""What the commands that look at a network share: which network, and how they say whether the kernel agrees."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from netemu.lab.watch import Watched


def chosen(file: str | None, lab: str | None) -> Watched:
    """The network that `--file` or `--lab` means."""
    from netemu.lab.rootless import step_inside
    from netemu.lab.watch import watched

    if file is not None and lab is not None:
        raise click.UsageError("name a file or a lab, not both.")
    if file is None:
        step_inside(lab)
    return watched(file, lab)


def kernel_data(disagreements: Sequence[str], **more: Any) -> dict[str, Any]:
    """The kernel's part of an answer, beside ARM's fields."""
    return {"kernel": {"agrees": not disagreements, "disagreements": list(disagreements), **more}}


def conclude(watched: Watched, disagreements: Sequence[str], *, quiet: bool = False) -> None:
    """Say whether the kernel of a lab agrees; exit with 1 when it does not. `quiet`: the data have said it already."""
    if watched.folder is None:
        return
    if not quiet:
        if disagreements:
            click.echo(click.style("\nthe kernel disagrees:", fg="red", bold=True))
            for text in disagreements:
                click.echo(f"  ✗ {text}")
            click.echo(f"`netemu status {watched.folder.name}` says what was changed, `netemu up` puts it back")
        else:
            click.echo(click.style("\nthe kernel agrees", fg="green", bold=True))
    if disagreements:
        raise click.exceptions.Exit(1)
