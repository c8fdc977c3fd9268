"""up, down, ls, status."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import click

from netemu.cli.options import complete_labs, output_option, scenario_argument


@click.command("up")
@click.argument("file", type=click.Path(), metavar="FILE", required=False)
@click.option("--plan-file", type=click.Path(), metavar="PLAN", help="Carry out exactly this plan, or nothing.")
@click.option(
    "--engine", type=click.Choice(["auto", "ipvs", "nftables"]),
    help="What spreads flows over the backends of load balancers; else what the scenario says.",
)
def up_command(file: str | None, plan_file: str | None, engine: str | None) -> None:
    r"""Bring up the network that FILE describes.

    When it is up already, only what differs is changed: `netemu plan` shows it beforehand. If a new lab cannot be
    built, nothing is left behind.

    \b
    Example:  sudo netemu up scenarios/three-tier.yaml
    """
    if (file is None) == (plan_file is None):
        raise click.UsageError("give a scenario FILE, or a plan with --plan-file.")
    if engine is not None and plan_file is not None:
        raise click.UsageError("a plan has its engine; say --engine with a scenario FILE.")

    from msgspec.structs import replace

    from netemu.cli.output import Progress
    from netemu.lab.rootless import become_root_of_a_new_lab
    from netemu.lab.source import planned, read_once
    from netemu.lab.up import up

    order = read_once(Path(file)) if file is not None else planned(Path(plan_file or ""))
    order = replace(order, engine=engine)
    scenario = order.scenario
    become_root_of_a_new_lab(scenario.name)
    progress = Progress(f"building {scenario.name}")
    try:
        outcome = up(order, progress, progress.tell)
    finally:
        progress.clear()
    network = outcome.network
    if outcome.did == "unchanged":
        click.echo(f"{scenario.name} is up as described; nothing to do")
        return
    if outcome.did == "repaired":
        click.echo(f"{scenario.name} is up as described again")
        return
    if outcome.did == "changed":
        click.echo(f"{scenario.name} is up in its new version")
        return
    click.echo(
        f"{scenario.name} is up: {_count(network.machines, 'virtual machine')} in "
        f"{_count(network.virtualNetworks, 'virtual network')}, {_count(network.hosts, 'internet host')}"
    )
    if network.loadBalancers:
        click.echo(f"load balancers spread flows by {outcome.engine}")
    click.echo("next: netemu status, netemu verify, netemu exec VM -- COMMAND, netemu down")


def _count(things: Any, noun: str) -> str:
    return f"{len(things)} {noun}{'' if len(things) == 1 else 's'}"


@click.command("plan")
@scenario_argument
@output_option
@click.option("--out", type=click.Path(), metavar="PLAN", help="Keep the plan for `netemu up --plan-file PLAN`.")
def plan_command(file: str, form: str, out: str | None) -> None:
    r"""Show what `netemu up FILE` would change, in Azure's words and in the kernel's. Changes nothing.

    Exits with 0 when there is nothing to change, 2 when there is, 1 when that cannot be told.

    \b
    Example:  sudo netemu plan scenarios/three-tier.yaml
    """
    from netemu.cli.output import emit
    from netemu.errors import NetemuError
    from netemu.lab.plan import make_plan, plan_data, write_plan
    from netemu.lab.rootless import step_inside
    from netemu.lab.source import read_once
    from netemu.plan import text

    try:
        order = read_once(Path(file))
        step_inside(order.scenario.name)
        plan = make_plan(order.scenario, order.source, order.text.decode("utf-8-sig"))
        if out is not None:
            write_plan(plan, Path(out))
    except NetemuError as error:
        click.echo(f"netemu: {error}" if "\n" not in str(error) else str(error), err=True)
        raise click.exceptions.Exit(1) from None
    if form != "table":
        emit(plan_data(plan), form)
    elif plan:
        for line in text(plan.azure):
            click.echo(line)
        click.echo(f"{chr(10) if plan.azure else ''}in the kernel:")
        for line in plan.kernel:
            click.echo(f"  {line}")
    else:
        click.echo(f"{plan.lab} is up as described; nothing to do")
    raise click.exceptions.Exit(2 if plan else 0)


@click.command("down")
@click.argument("lab", required=False, shell_complete=complete_labs)
@click.option("--all", "everything", is_flag=True, help="Every lab.")
def down_command(lab: str | None, everything: bool) -> None:
    r"""Remove a lab: its processes, namespaces, files, and nothing else.

    \b
    Example:  sudo netemu down shop
    """
    from netemu.errors import PersonError
    from netemu.lab import rootless
    from netemu.lab.down import down
    from netemu.lab.folder import find, labs, remove_base
    from netemu.lab.requirements import has_root

    if everything and lab is not None:
        raise click.UsageError("name a lab or say --all, not both.")
    if everything and not has_root():
        lab, everything = rootless.one_by_one(), False  # in a child, inside that lab
        if lab is None:
            return
    elif not everything and (cleared := rootless.clear(lab)) is not None:
        click.echo(f"{cleared} is down")
        return
    else:
        rootless.step_inside(lab)
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
    from netemu.lab.rootless import ask_each
    from netemu.lab.status import summary

    summaries = [*(summary(folder) for folder in labs()), *ask_each(summary)]
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
    r"""Show a lab: its machines, addresses, programs, and what is missing or different from the scenario.

    Exits with 1 when something is.

    \b
    Example:  netemu status shop
    """
    from netemu.cli.output import emit, table
    from netemu.errors import NetemuError
    from netemu.lab.folder import find
    from netemu.lab.rootless import step_inside
    from netemu.lab.status import AS_DESCRIBED, status
    from netemu.scenario import read_scenario

    step_inside(lab)
    folder = find(lab)
    try:
        scenario = read_scenario(folder.scenario)
    except NetemuError:
        scenario = None
    data = status(folder, scenario)
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
        different = [r for r in data.get("resources", ()) if r["state"] != AS_DESCRIBED]
        for resource in different:
            click.echo(f"{resource['state']}: {resource['resource']}")
            for line in resource["differences"]:
                click.echo(f"  {line}")
        for namespace, things in data.get("foreign", {}).items():
            for thing in things:
                click.echo(f"not netemu's, left alone: {namespace}: {thing}")
        for event in data["events"][-EVENTS:]:
            detail = f": {event['detail']}" if event["detail"] else ""
            when = datetime.fromtimestamp(event["time"])
            click.echo(f"{when:%H:%M:%S} {event['subject']} {event['what']}{detail}")
        if data["missing"] or different:
            click.echo(f"`netemu up {file or 'FILE'}` puts it back, `netemu down {data['name']}` removes the lab")
    if data["state"] != "running":
        raise click.exceptions.Exit(1)


EVENTS = 5
"""How many of the last events are shown."""


def _running(node: dict[str, Any]) -> str:
    ended = [f"ended: {run['command']} (see {run['log']})" for run in node["run"] if run["state"] == "ended"]
    commands = [process["command"] for process in node["processes"]]
    shown = [command if len(command) <= 48 else command[:47] + "…" for command in commands[:2]]
    more = [f"and {len(commands) - 2} more"] if len(commands) > 2 else []
    return "; ".join([*shown, *more, *ended])
