"""The screen of `verify --matrix`."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from netemu.verify.matrix import Outcome
    from netemu.verify.matrix.reach import Cell, Grid

COLOURS = {"●": "green", "·": "bright_black"}


def verify_matrix(what: str | None, form: str, junit: str | None, page: str | None) -> None:
    """Ask everything, and say what came of it."""
    from netemu.cli.output import Progress, emit, write
    from netemu.lab.proof import prove_matrix
    from netemu.lab.rootless import step_inside_for
    from netemu.verify.matrix import report
    from netemu.verify.matrix.reach import grid

    step_inside_for(what)
    progress = Progress("asking")
    try:
        lab, plan, outcome = prove_matrix(what, progress)
    finally:
        progress.clear()
    if junit is not None:
        write(junit, report.as_junit(lab, plan, outcome))
    if page is not None:
        write(page, report.as_page(lab, plan, outcome))
    if form != "table":
        emit(report.as_data(lab, plan, outcome), form)
    else:
        _screen(grid(plan.pairs))
        _findings(lab, outcome)
        click.echo(click.style(report.summary(lab, outcome), fg="red" if outcome.findings else "green", bold=True))
    if outcome.unasked:
        raise click.exceptions.Exit(130)
    if outcome.findings:
        raise click.exceptions.Exit(1)


def _screen(shown: Grid) -> None:
    """The grid: columns by number, because names would not fit."""
    numbers = {name: str(place) for place, name in enumerate(shown.columns, start=1)}
    named = [f"{numbers.get(name, ''):>3} {name}" for name in shown.rows]
    width = max(map(len, named), default=0)
    column = max(2, len(str(len(shown.columns))))
    click.echo(" " * width + " " + " ".join(f"{number:>{column}}" for number in numbers.values()))
    for name, cells in zip(named, shown.cells, strict=True):
        click.echo(f"{name:<{width}} " + " ".join(_cell(cell, column) for cell in cells))
    others = [f"{numbers[name]:>3} {name}" for name in shown.columns if name not in shown.rows]
    if others:
        click.echo("\n".join(others))
    click.echo(f"\nrows ask, columns are asked{', subnet by subnet' if shown.folded else ''}: ● everything  · nothing")
    for mark, text in shown.legend.items():
        click.echo(f"  {click.style(mark, fg='yellow')}  {text}")


def _cell(cell: Cell, width: int) -> str:
    if cell.disagreements:
        return click.style(f"{'✗':>{width}}", fg="red", bold=True)
    return click.style(f"{cell.mark:>{width}}", fg=COLOURS.get(cell.mark, "yellow"))


def _findings(lab: str, outcome: Outcome) -> None:
    from netemu.verify.matrix import report

    for finding in outcome.findings:
        click.echo()
        click.echo(click.style(f"✗ {report.title(finding)}", fg="red", bold=True))
        for disagreement in finding.disagreements:
            click.echo(f"  {disagreement}")
        for step in finding.shot.verdict.steps:
            click.echo(f"    by Azure's rules: {step.text}")
    if outcome.findings:
        click.echo(f"\n{report.HOW_TO_REPORT.format(lab=lab)}")
    click.echo()
