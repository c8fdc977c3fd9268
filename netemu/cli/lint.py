"""lint."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from netemu.lint import Outcome


@click.command("lint")
@click.argument("files", nargs=-1, required=True, type=click.Path(), metavar="FILE…")
@click.option(
    "-o", "--output", "form", type=click.Choice(["table", "json", "yaml", "github"]), default="table",
    show_default=True, help="How to print the data; github: annotations of a pull request.",
)  # fmt: skip
@click.option("--junit", type=click.Path(), metavar="FILE", help="Write JUnit XML to FILE as well.")
@click.option("--witnesses", is_flag=True, help="Show a packet for every security rule that decides it.")
def lint_command(files: tuple[str, ...], form: str, junit: str | None, *, witnesses: bool) -> None:
    r"""Look for what is valid, but hardly meant: rules that decide nothing, routes that lead nowhere, open ports….

    Needs no root. Exits with 1 when something is found. What is meant is silenced by its name in the scenario:

    \b
        lint:
          ignore:
            networkSecurityGroups/web-nsg/securityRules/allow-ssh/open-management-port: the jump host

    \b
    Example:  netemu lint scenarios/three-tier.yaml
              netemu lint -o github scenarios/*.yaml
    """
    from netemu.cli.output import emit
    from netemu.errors import PersonError
    from netemu.lint import lint
    from netemu.lint.report import as_data, as_github, as_junit
    from netemu.scenario import read_document

    outcomes = []
    broken = False
    for file in files:
        try:
            outcomes.append(lint(read_document(Path(file))))
        except PersonError as error:
            broken = True
            click.echo(str(error), err=True)
    if junit is not None:
        try:
            Path(junit).write_text(as_junit(outcomes), encoding="utf-8")
        except OSError as error:
            raise PersonError(f"cannot write {junit}: {error.strerror}") from error
    if form in ("json", "yaml"):
        emit([as_data(outcome) for outcome in outcomes], form)
    for outcome in outcomes:
        if form == "github":
            click.echo("".join(f"{line}\n" for line in as_github(outcome)), nl=False)
        elif form == "table":
            _tell(outcome, witnesses=witnesses)
    if broken or any(outcome.findings for outcome in outcomes):
        raise click.exceptions.Exit(2 if broken else 1)


def _tell(outcome: Outcome, *, witnesses: bool) -> None:
    for finding in outcome.findings:
        click.echo(str(finding))
    if witnesses:
        for resource, packet in outcome.witnesses.items():
            click.echo(f"{outcome.file}: {resource} decides {packet or 'nothing'}")
    count = len(outcome.findings)
    told = "nothing found" if not count else f"{count} finding{'s' if count > 1 else ''}"
    silenced = f" ({len(outcome.silenced)} silenced)" if outcome.silenced else ""
    click.echo(click.style(f"{outcome.file}: {told}{silenced}", fg="red" if count else "green", bold=True))
