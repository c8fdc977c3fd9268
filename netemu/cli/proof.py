"""verify."""

from __future__ import annotations

from pathlib import Path

import click

from netemu.cli.options import complete_labs, output_option


@click.command("verify")
@click.argument("what", required=False, shell_complete=complete_labs, metavar="[FILE|LAB]")
@output_option
@click.option("--junit", type=click.Path(), metavar="FILE", help="Write JUnit XML to FILE as well.")
@click.option("--matrix", is_flag=True, help="Ask every pair, on both sides of every boundary of a rule or route.")
@click.option("--html", "page", type=click.Path(), metavar="FILE", help="With --matrix: write a page to keep.")
def verify_command(what: str | None, form: str, junit: str | None, *, matrix: bool, page: str | None) -> None:
    r"""Prove with packets what the scenario expects.

    For every line of `expect` a crafted packet is sent. What the scenario expects, what Azure's rules say and what the
    packet did must agree. Exits with 1 when they do not.

    \b
    Example:  sudo netemu verify
              sudo netemu verify scenarios/three-tier.yaml --junit report.xml
              sudo netemu verify --matrix --html matrix.html
    """
    if matrix:
        from netemu.cli.matrix import verify_matrix

        verify_matrix(what, form, junit, page)
        return
    from netemu.cli.output import emit, table
    from netemu.errors import PersonError
    from netemu.lab.proof import prove
    from netemu.lab.rootless import step_inside_for
    from netemu.verify.report import as_data, as_junit, cells

    step_inside_for(what)
    lab, results = prove(what)
    if junit is not None:
        try:
            Path(junit).write_text(as_junit(lab, results), encoding="utf-8")
        except OSError as error:
            raise PersonError(f"cannot write {junit}: {error.strerror}") from error
    failed = [result for result in results if not result.passed]
    if form != "table":
        emit(as_data(lab, results), form)
    elif not results:
        click.echo(f"{lab}: nothing to verify; add lines to `expect` in the scenario")
    else:
        rows = [["ok" if result.passed else "FAIL", *cells(result)] for result in results]
        table(["", "FLOW", "EXPECTED", "AZURE", "PACKET", "SEEN"], rows)
        for result in failed:
            click.echo()
            click.echo(click.style(f"FAIL {result.number}. {result.title}", fg="red", bold=True))
            for disagreement in result.disagreements:
                click.echo(f"  {disagreement}")
            for step in result.verdict.steps:
                click.echo(f"    by Azure's rules: {step.text}")
        colour = "red" if failed else "green"
        click.echo(click.style(f"\n{lab}: {len(results) - len(failed)} of {len(results)} agree", fg=colour, bold=True))
    if failed:
        raise click.exceptions.Exit(1)
