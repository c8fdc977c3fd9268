"""flow, next-hop, routes, rules, topology: Network Watcher's questions."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from netemu.cli.options import complete_labs, file_or_lab_options, output_option

if TYPE_CHECKING:
    from netemu.azure.steps import Verdict
    from netemu.azure.verdict import Engine
    from netemu.lab.watch import Watched
    from netemu.watcher.question import Question


@click.command("flow")
@click.argument("source", metavar="VM|NIC|HOST")
@click.option("--to", metavar="NAME|ADDRESS", help="Outbound: whom it speaks to.")
@click.option("--from", "remote_name", metavar="NAME|ADDRESS", help="Inbound: who speaks to it.")
@click.option("--protocol", default="Tcp", show_default=True, help="Tcp, Udp, Icmp, Esp, Ah or a number.")
@click.option("--port", type=click.IntRange(0, 65535), metavar="N", help="The port that is spoken to.")
@click.option("--source-port", type=click.IntRange(0, 65535), metavar="N", help="The port of whoever speaks.")
@click.option("--direction", type=click.Choice(["Inbound", "Outbound"], case_sensitive=False), help="As az has it.")
@click.option("--local", metavar="ADDRESS:PORT", help="With --direction: the VM's end.")
@click.option("--remote", metavar="ADDRESS:PORT", help="With --direction: the other end; * for any port.")
@file_or_lab_options
@output_option
def flow_command(
    source: str, to: str | None, remote_name: str | None, protocol: str, port: int | None, source_port: int | None,
    direction: str | None, local: str | None, remote: str | None, file: str | None, lab: str | None, form: str,
) -> None:  # fmt: skip
    r"""Say what becomes of a flow: what the NSGs say (IP flow verify), its whole way, and the way of the reply.

    \b
    Example:  netemu flow web1 --to db1 --port 5432
              netemu flow web1 --from visitor --port 80
              netemu flow web1 --direction Inbound --local 10.0.1.4:22 --remote 198.51.100.7:* --protocol TCP
              netemu flow web1 --to 8.8.8.8 --protocol Icmp --file scenarios/three-tier.yaml -o json
    """
    if direction is not None:
        given = (to, remote_name, port, source_port)
        if local is None or remote is None or any(value is not None for value in given):
            raise click.UsageError("--direction takes --local and --remote, and neither --to, --from nor ports.")
    elif local is not None or remote is not None:
        raise click.UsageError("--local and --remote need --direction Inbound or Outbound.")
    elif (to is None) == (remote_name is None):
        raise click.UsageError("say where it goes with --to, or where it comes from with --from.")
    from netemu.azure.verdict import Engine
    from netemu.watcher import question

    watched = _watched(file, lab)
    engine = Engine(watched.network)
    if direction is not None:
        which: Any = direction.capitalize()
        asked = question.verify(engine, source, which, local or "", remote or "", protocol)
    else:
        ports = question.Ports(protocol, port, source_port)
        ask = question.outbound if to is not None else question.inbound
        asked = ask(engine, source, to or remote_name or "", ports)
    verdict = engine.judge(asked.flow) if asked.flow is not None else None
    if form == "table":
        _show_flow(engine, asked, verdict)
    else:
        _emit(form, _flow_data(engine, asked, verdict))


def _flow_data(engine: Engine, asked: Question, verdict: Verdict | None) -> dict[str, Any]:
    """What test-ip-flow, run-configuration-diagnostic and test-connectivity of az answer, and the walk."""
    from netemu.watcher.connectivity import connectivity_check
    from netemu.watcher.flow import configuration_diagnostic, ip_flow_verify
    from netemu.watcher.walk import verdict_data

    data: dict[str, Any] = {}
    if asked.nic is not None:
        data |= ip_flow_verify(engine, asked.nic, asked.direction, asked.packet)
        data |= configuration_diagnostic(engine, asked.nic, asked.direction, asked.packet)
    if asked.flow is not None and verdict is not None:
        data |= connectivity_check(engine, asked.flow, verdict)
        data["verdict"] = verdict_data(engine, verdict)
    return data


def _show_flow(engine: Engine, asked: Question, verdict: Verdict | None) -> None:
    from netemu.cli.output import az_table
    from netemu.watcher import text
    from netemu.watcher.flow import ip_flow_verify

    if asked.nic is not None:
        answer = ip_flow_verify(engine, asked.nic, asked.direction, asked.packet)
        az_table(["Access", "RuleName"], [[answer["access"], answer["ruleName"]]])
        click.echo(f"\nThat is what NSGs say to {asked.packet} {asked.direction.lower()} at {asked.nic.name}.")
    if verdict is None:
        click.echo("Nobody in the scenario has that address, so there is no way to follow.")
        return
    for title, shown in (("its way", verdict), ("the reply's", verdict.reply)):
        if shown is None:
            continue
        click.echo(f"\n{title}:")
        for number, (_, lines) in enumerate(text.walk_lines(shown), start=1):
            click.echo(f"{number:>3}. {lines[0]}")
            for line in lines[1:]:
                click.echo(f"     {line}")
    click.echo(f"\nverdict  {text.conclusion(verdict)}\nreply    {text.answer(verdict)}")


@click.command("next-hop")
@click.argument("source", metavar="VM|NIC")
@click.option("--to", required=True, metavar="NAME|ADDRESS", help="The destination.")
@file_or_lab_options
@output_option
def next_hop_command(source: str, to: str, file: str | None, lab: str | None, form: str) -> None:
    r"""Say where packets from a VM to an address go next, and by whose route.

    \b
    Example:  netemu next-hop web1 --to 10.0.2.10
              netemu next-hop web1 --to 8.8.8.8 --file scenarios/udr-firewall.yaml -o json
    """
    from netemu.azure.verdict import Engine
    from netemu.cli.output import az_table
    from netemu.watcher import question
    from netemu.watcher.routes import next_hop

    watched = _watched(file, lab)
    engine = Engine(watched.network)
    nic, destination = question.towards(engine, source, to)
    answer = next_hop(engine, nic, destination)
    if form != "table":
        _emit(form, answer)
        return
    names = ["nextHopIpAddress", "nextHopType", "routeTableId"]
    az_table([name[0].upper() + name[1:] for name in names], [[answer.get(name, "") for name in names]])


@click.command("routes")
@click.argument("nic", metavar="NIC|VM")
@file_or_lab_options
@output_option
def routes_command(nic: str, file: str | None, lab: str | None, form: str) -> None:
    r"""Show the effective routes of a NIC, those that user-defined routes have made Invalid too.

    \b
    Example:  netemu routes web1-nic
              netemu routes client1 --file scenarios/udr-firewall.yaml
    """
    from netemu.azure.verdict import Engine
    from netemu.cli.output import az_table
    from netemu.watcher import question
    from netemu.watcher.routes import effective_route_table

    watched = _watched(file, lab)
    engine = Engine(watched.network)
    answer = effective_route_table(engine, question.nic_named(engine.network, nic))
    if form != "table":
        _emit(form, answer)
        return
    rows = [
        [
            route["source"], route["state"], " ".join(route["addressPrefix"]), route["nextHopType"],
            " ".join(route["nextHopIpAddress"]),
        ]
        for route in answer["value"]
    ]  # fmt: skip
    az_table(["Source", "State", "Address Prefix", "Next Hop Type", "Next Hop IP"], rows)


@click.command("rules")
@click.argument("nic", metavar="NIC|VM")
@file_or_lab_options
@output_option
def rules_command(nic: str, file: str | None, lab: str | None, form: str) -> None:
    r"""Show the effective security rules of a NIC, or the security group view of a VM, every tag expanded.

    \b
    Example:  netemu rules web1-nic
              netemu rules web1 -o json --file scenarios/three-tier.yaml
    """
    from netemu.azure.verdict import Engine
    from netemu.watcher import question
    from netemu.watcher.rules import effective_security_groups, security_group_view

    watched = _watched(file, lab)
    engine = Engine(watched.network)
    network = engine.network
    if form != "table" and nic not in network.nics and nic in network.machines:
        _emit(form, security_group_view(engine, network.machines[nic]))
        return
    chosen = question.nic_named(network, nic)
    answer = effective_security_groups(engine, chosen)
    if form != "table":
        _emit(form, answer)
    else:
        _show_rules(chosen.name, answer)


def _show_rules(nic: str, answer: dict[str, Any]) -> None:
    from netemu.cli.output import az_table

    rows = []
    for group in answer["value"]:
        places = {kind: resource["id"].rpartition("/")[2] for kind, resource in group["association"].items()}
        names = [
            places.get("networkInterface", "-"), places.get("subnet", "-"),
            group["networkSecurityGroup"]["id"].rpartition("/")[2],
        ]  # fmt: skip
        for rule in group["effectiveSecurityRules"]:
            what = [rule["name"], rule["protocol"], rule["direction"], rule["access"], str(rule["priority"])]
            ends = [
                f"{' '.join(dict.fromkeys(rule[f'{side}AddressPrefixes']))} {' '.join(rule[f'{side}PortRanges'])}"
                for side in ("source", "destination")
            ]
            rows.append([*names, *what, *ends])
            names = ["", "", ""]
    if not rows:
        click.echo(f"no NSG applies to {nic}: everything passes, but a Standard public IP is closed (OUT-17)")
        return
    headings = ["NIC", "Subnet", "NSG", "Rule Name", "Protocol", "Direction", "Access", "Priority"]
    az_table([*headings, "Source", "Destination"], rows)


@click.command("topology")
@click.argument("what", required=False, shell_complete=complete_labs, metavar="[FILE|LAB]")
@output_option
def topology_command(what: str | None, form: str) -> None:
    r"""Show every resource and how they hang together, in Network Watcher's shape.

    \b
    Example:  netemu topology scenarios/three-tier.yaml -o json
    """
    from datetime import UTC, datetime

    from netemu.cli.output import az_table
    from netemu.lab.rootless import step_inside_for
    from netemu.lab.watch import watched_either
    from netemu.watcher.topology import topology

    step_inside_for(what)
    watched = watched_either(what)
    answer = topology(watched.network, datetime.now(UTC), watched.modified)
    if form != "table":
        _emit(form, answer)
        return
    rows: list[list[object]] = []
    for resource in answer["resources"]:
        kind = resource["id"].split("/")[-2]
        names = [resource["name"], kind, resource["location"]]
        for other in resource["associations"] or [{"associationType": "", "name": ""}]:
            rows.append([*names, other["associationType"], other["name"]])
            names = ["", "", ""]
    az_table(["Name", "Type", "Location", "Association", "With"], rows)


def _watched(file: str | None, lab: str | None) -> Watched:
    from netemu.lab.rootless import step_inside
    from netemu.lab.watch import watched

    if file is not None and lab is not None:
        raise click.UsageError("name a file or a lab, not both.")
    if file is None:
        step_inside(lab)
    return watched(file, lab)


def _emit(form: str, data: Any) -> None:
    from netemu.cli.output import emit

    emit(data, form)
