"""lb."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import click

from netemu.cli.options import complete_labs, output_option

if TYPE_CHECKING:
    from netemu.lab.balancers import Backend, Balancers, BalancerState, RuleState

HEALTH = {"up": "green", "down": "red", "starting": "yellow", "unknown": "yellow", "not probed": None}


@click.command("lb")
@click.argument("lab", required=False, shell_complete=complete_labs, metavar="[NAME]")
@output_option
@click.option("--watch", is_flag=True, help="Go on: a screen, or lines of what changes when it is no terminal.")
@click.option(
    "--interval", type=click.FloatRange(0.1, 3600), default=1.0, show_default=True, help="Seconds, with --watch."
)
def lb_command(lab: str | None, form: str, *, watch: bool, interval: float) -> None:
    r"""Show the load balancers of a lab: frontends, rules, backends, their health and connections.

    FLOWS are those that a rule has led to a backend, REFUSED the packets that found none. Exits with 1 when a rule has
    no backend that is up.

    \b
    Example:  sudo netemu lb
              sudo netemu lb shop --watch
              sudo netemu lb -o json
    """
    from netemu.azure.network import resolve
    from netemu.cli.output import emit
    from netemu.lab.balancers import Balancers
    from netemu.lab.folder import find
    from netemu.lab.requirements import require_root
    from netemu.lab.rootless import step_inside
    from netemu.scenario import read_scenario

    step_inside(lab)
    require_root("lb")
    folder = find(lab)
    balancers = Balancers(folder, resolve(read_scenario(folder.scenario), folder.kept().given))
    try:
        if watch:
            _watch(balancers, form, interval)
            return
        found = balancers.read()
    finally:
        balancers.close()
    if form != "table":
        emit(_data(balancers, found), form)
    else:
        _screen(balancers, found)
    if any(_is_out(rule) for each in found for rule in each.loadBalancingRules):
        raise click.exceptions.Exit(1)


def _is_out(rule: RuleState) -> bool:
    return not any(backend.health in ("up", "not probed") for backend in rule.backends)


def _data(balancers: Balancers, found: list[BalancerState]) -> dict[str, object]:
    import msgspec

    return {
        "lab": balancers.folder.name,
        "engine": balancers.engine.name if balancers.engine is not None else None,
        "time": time.time(),
        "loadBalancers": msgspec.to_builtins(found),
    }


def _screen(balancers: Balancers, found: list[BalancerState]) -> None:
    """Two tables for each load balancer: its rules, and who is behind them."""
    from netemu.cli.output import table

    click.echo(f"{balancers.folder.name}: load balancers spread flows by {balancers.engine}")
    for each in found:
        click.echo(f"\n{click.style(each.name, bold=True)}  {each.sku}, {each.kind}")
        rules = [*each.loadBalancingRules, *each.inboundNatRules]
        if not rules:
            click.echo("  no rules")
            continue
        table(
            ["RULE", "FRONTEND", "PORT", "TO", "KEEPS", "PROBE", "FLOWS", "REFUSED"],
            [
                [
                    rule.name, f"{rule.frontend} {rule.address}", _port(rule.protocol, rule.frontendPort),
                    rule.backendPort or "same", rule.loadDistribution or "", rule.probe or "-", rule.flows,
                    rule.refused,
                ]
                for rule in rules
            ],
        )  # fmt: skip
        rows = [_row(rule, backend) for rule in rules for backend in rule.backends]
        if rows:
            click.echo()
            table(["RULE", "BACKEND", "ADDRESS", "HEALTH", "SINCE", "CONNECTIONS", "WHY"], rows)


def _port(protocol: str, port: int) -> str:
    return f"{protocol} {port}" if port else "every port"


def _row(rule: RuleState, backend: Backend) -> list[object]:
    since = time.strftime("%H:%M:%S", time.localtime(backend.since)) if backend.since is not None else ""
    return [
        rule.name, backend.virtualMachine, backend.address, backend.health, since, backend.connections,
        backend.detail,
    ]  # fmt: skip


def _watch(balancers: Balancers, form: str, interval: float) -> None:
    """Until Ctrl-C, or until the lab is gone."""
    import sys

    import msgspec

    from netemu.cli.output import emit

    live = form == "table" and sys.stdout.isatty()
    told: dict[tuple[str, str, str], tuple[str, int]] = {}
    while balancers.folder.read() is not None:
        found = balancers.read()
        if live:
            click.echo("\033[H\033[J", nl=False)
            _screen(balancers, found)
        elif form == "json":
            click.echo(msgspec.json.encode(_data(balancers, found)).decode())
        elif form == "yaml":
            click.echo("---")
            emit(_data(balancers, found), form)
        else:
            _lines(found, told)
        time.sleep(interval)


def _lines(found: list[BalancerState], told: dict[tuple[str, str, str], tuple[str, int]]) -> None:
    """A line for each backend that is not as it was told last."""
    now = time.strftime("%H:%M:%S")
    for each in found:
        for rule in (*each.loadBalancingRules, *each.inboundNatRules):
            for backend in rule.backends:
                key, state = (each.name, rule.name, backend.member), (backend.health, backend.connections)
                if told.get(key) != state:
                    told[key] = state
                    why = f" ({backend.detail})" if backend.detail else ""
                    count = f"{backend.connections} connection{'s' if backend.connections != 1 else ''}"
                    click.echo(f"{now} {each.name}/{rule.name} {backend.virtualMachine} {backend.health}, {count}{why}")
