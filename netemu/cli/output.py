"""Data for people (tables) and for programs (JSON, YAML)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click


def emit(data: Any, form: str) -> None:
    """Print data as JSON or YAML."""
    data = _readable(data)
    if form == "json":
        import msgspec

        click.echo(msgspec.json.format(msgspec.json.encode(data), indent=2).decode())
    else:
        import yaml

        click.echo(yaml.safe_dump(data, sort_keys=False, allow_unicode=True), nl=False)


def write(path: str, text: str) -> None:
    """Write a file that the person has asked for."""
    from netemu.errors import PersonError

    try:
        Path(path).write_text(text, encoding="utf-8")
    except OSError as error:
        raise PersonError(f"cannot write {path}: {error.strerror}") from error


def _readable(data: Any) -> Any:
    """The same with a replacement character for what is not UTF-8: names of files may be anything."""
    if isinstance(data, str):
        return data.encode(errors="surrogateescape").decode(errors="replace")
    if isinstance(data, dict):
        return {_readable(key): _readable(value) for key, value in data.items()}
    if isinstance(data, list | tuple):
        return [_readable(item) for item in data]
    return data


def table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print rows in columns that are as wide as they need to be."""
    texts = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(headings, *texts, strict=True)]
    click.echo(click.style(_line(headings, widths), bold=True))
    for row in texts:
        click.echo(_line(row, widths))


def az_table(headings: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Print a table as `az … -o table` does: a rule below the headings, columns two wider than their headings."""
    texts = [[str(cell) for cell in row] for row in rows]
    columns = zip(headings, *texts, strict=True)
    widths = [max(len(heading) + 2, *map(len, cells), 0) for heading, *cells in columns]
    click.echo(_line(headings, widths))
    click.echo("  ".join("-" * width for width in widths))
    for row in texts:
        click.echo(_line(row, widths))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    return "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)).rstrip()


class Progress:
    """A line that counts on a terminal; silence elsewhere, where only `tell` speaks."""

    def __init__(self, what: str) -> None:
        import sys

        self.what = what
        self.live = sys.stderr is not None and sys.stderr.isatty()  # None when it is closed
        self._shown = -1

    def __call__(self, done: int, steps: int, item: str) -> None:
        """Show how far we are; drawn at most a hundred times."""
        share = done * 100 // max(steps, 1)
        if self.live and share != self._shown:
            self._shown = share
            click.echo(f"\r\033[K{self.what}  {share:3d} %  {item}", err=True, nl=False)

    def tell(self, text: str) -> None:
        """Say something in a line of its own."""
        self.clear()
        click.echo(text, err=True)

    def clear(self) -> None:
        """Take the counting line away."""
        if self.live and self._shown >= 0:
            click.echo("\r\033[K", err=True, nl=False)
            self._shown = -1
