"""verify, report."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from netemu.cli.options import complete_labs, output_option

if TYPE_CHECKING:
    from netemu.lab.proof import Proof


@click.command("verify")
@click.argument("what", required=False, shell_complete=complete_labs, metavar="[FILE|LAB]")
@output_option
@click.option("--junit", type=click.Path(), metavar="FILE", help="Write JUnit XML to FILE as well.")
@click.option("--matrix", is_flag=True, help="Ask every pair, on both sides of every boundary of a rule or route.")
@click.option("--html", "page", type=click.Path(), metavar="FILE", help="With --matrix: write a page to keep.")
def verify_command(what: str | None, form: str, junit: str | None, *, matrix: bool, page: str | None) -> None:
    r"""Prove with packets what the scenario expects.

    For every line of `expect` a crafted packet is sent. What the scenario expects, what Azure's rules say and what the
    packet did must agree. Exits with 1 when they do not. Ctrl-C ends it with what has been found till then.

    \b
    Example:  sudo netemu verify
              sudo netemu verify scenarios/three-tier.yaml --junit report.xml
              sudo netemu verify --matrix --html matrix.html
    """
    if matrix:
        from netemu.cli.matrix import verify_matrix

        verify_matrix(what, form, junit, page)
        return
    from netemu.cli.output import Progress, emit, write
    from netemu.lab.proof import prove
    from netemu.lab.rootless import step_inside_for
    from netemu.verify.report import as_data, as_junit

    step_inside_for(what)
    progress = Progress("proving")
    try:
        proof = prove(what, progress)
    finally:
        progress.clear()
    if junit is not None:
        write(junit, as_junit(proof.lab, proof.results, proof.unproved))
    if form != "table":
        emit(as_data(proof.lab, proof.results, proof.unproved), form)
    elif not proof.results and not proof.unproved:
        click.echo(f"{proof.lab}: nothing to verify; add lines to `expect` in the scenario")
    else:
        _screen(proof)
    if proof.unproved:
        raise click.exceptions.Exit(130)
    if proof.failed:
        raise click.exceptions.Exit(1)


def _screen(proof: Proof) -> None:
    """The results as a table, and then each disagreement."""
    from netemu.cli.output import table
    from netemu.verify.report import cells

    rows = [["ok" if result.passed else "FAIL", *cells(result)] for result in proof.results]
    table(["", "FLOW", "EXPECTED", "AZURE", "PACKET", "SEEN"], rows)
    for result in proof.failed:
        click.echo()
        click.echo(click.style(f"FAIL {result.number}. {result.title}", fg="red", bold=True))
        for disagreement in result.disagreements:
            click.echo(f"  {disagreement}")
        for step in result.reading:
            click.echo(f"    by Azure's rules: {step}")
    agree = len(proof.results) - len(proof.failed)
    left = f"; interrupted: {proof.unproved} lines were not proved" if proof.unproved else ""
    colour = "red" if proof.failed else "yellow" if left else "green"
    click.echo(click.style(f"\n{proof.lab}: {agree} of {len(proof.results)} agree{left}", fg=colour, bold=True))


@click.command("report")
@click.argument("lab", required=False, shell_complete=complete_labs)
@click.option("-w", "--write", "target", type=click.Path(), metavar="FILE", help="Write to FILE.  [LAB-report.tar.gz]")
def report_command(lab: str | None, target: str | None) -> None:
    r"""Gather all that is needed to find a bug in netemu: scenario, versions, kernel, and every flow's evidence.

    Asks what `verify` and `verify --matrix` ask, reads what is in the kernel, and writes one file to attach to an
    issue. The scenario is in it, with the commands of `run`.

    \b
    Example:  sudo netemu report shop
    """
    from netemu.cli.output import Progress
    from netemu.lab.folder import find
    from netemu.lab.report import write_report
    from netemu.lab.rootless import step_inside

    step_inside(lab)
    folder = find(lab)
    file = Path(target or f"{folder.name}-report.tar.gz")
    progress = Progress("asking")
    try:
        wrong = write_report(folder, file, progress)
    finally:
        progress.clear()
    found = f"{wrong} flows disagree with Azure's rules" if wrong else "every flow that was asked agrees"
    click.echo(f"{file} is written ({found}); look through it before you give it away: your scenario is in it")
