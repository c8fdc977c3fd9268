"""explain."""

from __future__ import annotations

import click

from netemu.cli.options import complete_nodes, file_or_lab_options, output_option


@click.command("explain")
@click.argument("source", shell_complete=complete_nodes, metavar="VM|NIC|HOST")
@click.option("--to", required=True, shell_complete=complete_nodes, metavar="NAME|ADDRESS", help="Whom it speaks to.")
@click.option("--port", type=click.IntRange(0, 65535), metavar="N", help="The port that is spoken to.")
@click.option("--protocol", default="Tcp", show_default=True, help="Tcp, Udp or Icmp.")
@file_or_lab_options
@output_option
def explain_command(
    source: str, to: str, port: int | None, protocol: str, file: str | None, lab: str | None, form: str
) -> None:
    r"""Say in plain sentences why a flow works or not, what stops it first, and what would change that.

    In a lab that is up a packet is sent as well: the explanation then has the counters that it moved, and whether a
    program listens where it arrives. Exits with 1 when the flow does not work.

    \b
    Example:  sudo netemu explain web1 --to db1 --port 5432
              netemu explain web1 --to db1 --port 5432 --file scenarios/three-tier.yaml
    """
    from netemu.azure.verdict import Engine
    from netemu.cli.looking import chosen
    from netemu.cli.output import emit
    from netemu.explain import explain
    from netemu.explain.data import as_data
    from netemu.explain.seen import seen
    from netemu.explain.text import lines
    from netemu.lab.explain import explain_in_lab
    from netemu.watcher import question

    watched = chosen(file, lab)
    asked = question.outbound(Engine(watched.network), source, to, question.Ports(protocol, port))
    assert asked.flow is not None
    service = f"{asked.flow.protocol}/{port}" if port is not None else asked.flow.protocol
    title = f"{source} → {to} {service}"
    found = trial = None
    if watched.folder is None:
        explanation = explain(watched.network, asked.flow, title)
    else:
        explanation, trial = explain_in_lab(watched.folder.name, asked.flow, title)
        found = seen(explanation, trial)
    if form == "table":
        for line in lines(explanation, found):
            click.echo(line)
    else:
        emit(as_data(explanation, found, trial), form)
    if not (explanation.works if found is None else found.works):
        raise click.exceptions.Exit(1)
