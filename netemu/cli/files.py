"""validate, schema, graph: what needs a file only."""

from __future__ import annotations

from pathlib import Path

import click

from netemu.cli.options import output_option


@click.command("validate")
@click.argument("files", nargs=-1, required=True, type=click.Path(), metavar="FILE…")
@output_option
def validate_command(files: tuple[str, ...], form: str) -> None:
    r"""Check scenario files, all rules of Azure that can be checked without a lab. Needs no root.

    \b
    Example:  netemu validate scenarios/three-tier.yaml
    """
    from netemu.cli.output import emit
    from netemu.errors import PersonError, ScenarioError
    from netemu.scenario import read_scenario

    failed = False
    results = []
    for file in files:
        problems: list[dict[str, object]] = []
        try:
            scenario = read_scenario(Path(file))
            if form == "table":
                click.echo(f"{file}: valid ({scenario.name}: {len(scenario.virtualMachines)} virtual machines)")
        except ScenarioError as error:
            failed = True
            problems = [{name: getattr(p, name) for name in p.__struct_fields__} for p in error.problems]
            if form == "table":
                click.echo(str(error), err=True)
        except PersonError as error:
            failed = True
            problems = [{"file": file, "what": str(error)}]
            if form == "table":
                click.echo(f"netemu: {error}", err=True)
        results.append({"file": file, "valid": not problems, "problems": problems})
    if form != "table":
        emit(results, form)
    if failed:
        raise click.exceptions.Exit(2)


@click.command("schema")
def schema_command() -> None:
    r"""Print the JSON Schema of scenario files, for completion in an editor.

    \b
    Example:  netemu schema > netemu.schema.json
              (first line of a scenario: # yaml-language-server: $schema=netemu.schema.json)
    """
    from netemu.cli.output import emit
    from netemu.scenario.schema import json_schema

    emit(json_schema(), "json")


@click.command("graph")
@click.argument("file", type=click.Path(), metavar="FILE|LAB")
@click.option(
    "-f", "--format", "form", type=click.Choice(["svg", "mermaid", "dot"]), default="svg", show_default=True,
    help="svg: a picture; mermaid: for Markdown; dot: for Graphviz.",
)  # fmt: skip
@click.option("-w", "--write", "target", type=click.Path(), metavar="FILE", help="Write to FILE.")
def graph_command(file: str, form: str, target: str | None) -> None:
    r"""Draw the network of a scenario file or of a lab that is up.

    \b
    Example:  netemu graph scenarios/hub-spoke.yaml -w hub-spoke.svg
    """
    from netemu.cli.output import write
    from netemu.draw import draw
    from netemu.lab.rootless import step_inside_for
    from netemu.lab.source import network_of

    step_inside_for(file)
    picture = draw(network_of(file), form)
    if target is None:
        click.echo(picture)
        return
    write(target, picture)
