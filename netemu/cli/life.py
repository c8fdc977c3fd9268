"""up, down, ls, status."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from netemu.cli.options import complete_labs, output_option, scenario_argument


@click.command("up")
@scenario_argument
def up_command(file: str) -> None:
    r"""Bring up the network that FILE describes.

    Does nothing when it is up already. If anything fails, nothing is left behind.

    \b
    Example:  sudo netemu up scenarios/three-tier.yaml
    """
    from netemu.cli.output import Progress
    from netemu.lab.source import read_once
    from netemu.lab.up import up

    source = Path(file)
    scenario, content = read_once(source)
    progress = Progress(f"building {scenario.name}")
    try:
        outcome = up(scenario, source, progress, progress.tell, content)
    finally:
        progress.clear()
    network = outcome.network
    if outcome.did == "unchanged":
        click.echo(f"{scenario.name} is up as described; nothing to do")
        return
    if outcome.did == "repaired":
        click.echo(f"{scenario.name} is up as described again")
        return
    click.echo(
        f"{scenario.name} is up: {_count(network.machines, 'virtual machine')} in "
        f"{_count(network.virtualNetworks, 'virtual network')}, {_count(network.hosts, 'internet host')}"
    )
    click.echo("next: netemu status, netemu verify, netemu exec VM -- COMMAND, netemu down")


def _count(things: Any, noun: str) -> str:
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"


@click.command("down")
@click.argument("lab", required=False, shell_complete=complete_labs)
@click.option("--all", "everything", is_flag=True, help="Every lab.")
def down_command(lab: str | None, everything: bool) -> None:
    r"""Remove a lab: its processes, namespaces, files, and nothing else.

    \b
    Example:  sudo netemu down shop
    """
    from netemu.errors import PersonError
    from netemu.lab.down import down
    from netemu.lab.folder import find, labs, remove_base

    if everything and lab is not None:
        raise click.UsageError("name a lab or say --all, not both.")
    try:
        folders = list(labs()) if everything else [find(lab)]
    except PersonError:
        remove_base()  # which a killed `down` may have left
        raise
    for folder in folders:
        down(folder, lambda text: click.echo(text, err=True))
        click.echo(f"{folder.name} is down")


@click.command("ls")
@output_option
def ls_command(form: str) -> None:
    r"""List the labs that are up.

    \b
    Example:  netemu ls -o json
    """
    from netemu.cli.output import emit, table
    from netemu.lab.folder import labs
    from netemu.lab.status import summary

    summaries = [summary(folder) for folder in labs()]
    if form != "table":
        emit(summaries, form)
    elif summaries:
        rows = [[s["name"], s["state"], s["machines"], s["scenario"]] for s in summaries]
        table(["LAB", "STATE", "VMS", "SCENARIO"], rows)
    else:
        click.echo("no lab is up; start one with `netemu up SCENARIO.yaml`")


@click.command("status")
@click.argument("lab", required=False, shell_complete=complete_labs)
@output_option
def status_command(lab: str | None, form: str) -> None:
    r"""Show a lab: its machines, addresses, programs, and what is missing.

    Exits with 1 when something is missing.

    \b
    Example:  netemu status shop
    """
    from netemu.azure.network import resolve
    from netemu.cli.output import emit, table
    from netemu.errors import NetemuError
    from netemu.lab.folder import find
    from netemu.lab.status import status
    from netemu.scenario import read_scenario

    folder = find(lab)
    try:
        network = resolve(read_scenario(folder.scenario))
    except NetemuError:
        network = None
    data = status(folder, network)
    file = data["scenario"]
    if form != "table":
        emit(data, form)
    else:
        click.echo(f"{data['name']}: {data['state']}{f'  ({file})' if file else ''}\n")
        table(
            ["NAME", "KIND", "STATE", "ADDRESS", "PUBLIC", "RUNNING"],
            [
                [
                    node["name"], node["kind"], node["state"], ", ".join(node["addresses"]),
                    ", ".join(node["publicIPAddresses"]), _running(node),
                ]
                for node in data["nodes"]
            ],
        )  # fmt: skip
        for text in data["missing"]:
            click.echo(f"missing: {text}")
        if data["missing"]:
            click.echo(f"`netemu up {file or 'FILE'}` puts it back, `netemu down {data['name']}` removes the lab")
    if data["state"] != "running":
        raise click.exceptions.Exit(1)


def _running(node: dict[str, Any]) -> str:
    ended = [f"ended: {run['command']} (see {run['log']})" for run in node["run"] if run["state"] == "ended"]
    commands = [process["command"] for process in node["processes"]]
    shown = [command if len(command) <= 48 else command[:47] + "…" for command in commands[:2]]
    more = [f"and {len(commands) - 2} more"] if len(commands) > 2 else []
    return "; ".join([*shown, *more, *ended])
