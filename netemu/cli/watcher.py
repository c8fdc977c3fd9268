"""next-hop, routes, rules, topology: Network Watcher's questions about the network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from netemu.cli.options import complete_labs, complete_nodes, file_or_lab_options, output_option

if TYPE_CHECKING:
    from netemu.verify.readback.rules import RuleRow


@click.command("next-hop")
@click.argument("source", shell_complete=complete_nodes, metavar="VM|NIC")
@click.option("--to", required=True, metavar="NAME|ADDRESS", help="The destination.")
@file_or_lab_options
@output_option
def next_hop_command(source: str, to: str, file: str | None, lab: str | None, form: str) -> None:
    r"""Say where packets from a VM to an address go next, and by whose route.

    \b
    Example:  netemu next-hop web1 --to 10.0.2.10
              netemu next-hop web1 --to 8.8.8.8 --file scenarios/udr-firewall.yaml -o json
    """
    from netemu.azure.blocked import PLATFORM_ADDRESSES
    from netemu.azure.verdict import Engine
    from netemu.cli.looking import chosen, conclude, kernel_data
    from netemu.cli.output import az_table, emit
    from netemu.watcher import question
    from netemu.watcher.routes import next_hop

    watched = chosen(file, lab)
    engine = Engine(watched.network)
    nic, destination = question.towards(engine, source, to)
    answer = next_hop(engine, nic, destination)
    text, found = "", list[str]()
    with watched.plane() as plane:
        if plane is not None:
            from netemu.verify.readback import questions

            text, found = questions.next_hop(plane, engine, nic, int(destination))
            answer |= kernel_data(found, nextHop=text)
    if form != "table":
        emit(answer, form)
    else:
        names = ["nextHopIpAddress", "nextHopType", "routeTableId"]
        headings = [name[0].upper() + name[1:] for name in names]
        row = [answer.get(name, "") for name in names]
        if watched.folder is not None:
            headings.append("Kernel")
            row.append(f"{'✗ ' if found else ''}{text}")
        az_table(headings, [row])
        if int(destination) in PLATFORM_ADDRESSES:
            click.echo(
                f"\nThat is what the routes say; {destination} is the platform's, which no route diverts (RT-24)."
            )
    conclude(watched, found, quiet=form != "table")


@click.command("routes")
@click.argument("nic", shell_complete=complete_nodes, metavar="NIC|VM")
@file_or_lab_options
@output_option
def routes_command(nic: str, file: str | None, lab: str | None, form: str) -> None:
    r"""Show the effective routes of a NIC, those that user-defined routes have made Invalid too.

    \b
    Example:  netemu routes web1-nic
              netemu routes client1 --file scenarios/udr-firewall.yaml
    """
    from netemu.azure.verdict import Engine
    from netemu.cli.looking import chosen, conclude, kernel_data
    from netemu.cli.output import az_table, emit
    from netemu.watcher import question
    from netemu.watcher.routes import effective_route_table, in_azures_order

    watched = chosen(file, lab)
    engine = Engine(watched.network)
    which = question.nic_named(engine.network, nic)
    answer = effective_route_table(engine, which)
    kernel: list[tuple[str, bool]] = []
    found: list[str] = []
    with watched.plane() as plane:
        if plane is not None:
            from netemu.verify.readback import questions

            rows, found = questions.effective_routes(plane, engine, which)
            by_route = {row.route: row for row in rows}
            ordered = [by_route.get(route) for route in in_azures_order(engine.effective_routes(which.subnet))]
            kernel = [(row.kernel, row.difference is None) if row is not None else ("", False) for row in ordered]
            answer |= kernel_data(found, routes=[{"kernel": text, "same": same} for text, same in kernel])
    if form != "table":
        emit(answer, form)
    else:
        lines = [
            [
                route["source"], route["state"], " ".join(route["addressPrefix"]), route["nextHopType"],
                " ".join(route["nextHopIpAddress"]),
            ]
            for route in answer["value"]
        ]  # fmt: skip
        headings = ["Source", "State", "Address Prefix", "Next Hop Type", "Next Hop IP"]
        if watched.folder is not None:
            headings.append("Kernel")
            for line, (text, same) in zip(lines, kernel, strict=True):
                line.append(text if same else f"✗ {text}")
        az_table(headings, lines)
    conclude(watched, found, quiet=form != "table")


@click.command("rules")
@click.argument("nic", shell_complete=complete_nodes, metavar="NIC|VM")
@file_or_lab_options
@output_option
def rules_command(nic: str, file: str | None, lab: str | None, form: str) -> None:
    r"""Show the effective security rules of a NIC, or the security group view of a VM, every tag expanded.

    \b
    Example:  netemu rules web1-nic
              netemu rules web1 -o json --file scenarios/three-tier.yaml
    """
    from netemu.azure.verdict import Engine
    from netemu.cli.looking import chosen, conclude, kernel_data
    from netemu.cli.output import emit
    from netemu.watcher import question
    from netemu.watcher.rules import effective_security_groups, security_group_view

    watched = chosen(file, lab)
    engine = Engine(watched.network)
    network = engine.network
    whole = form != "table" and nic not in network.nics and nic in network.machines
    nics = network.machines[nic].nics if whole else (question.nic_named(network, nic),)
    answer = security_group_view(engine, network.machines[nic]) if whole else effective_security_groups(engine, nics[0])
    found: list[str] = []
    rows: list[RuleRow] = []
    with watched.plane() as plane:
        if plane is not None:
            from netemu.verify.readback import questions

            for each in nics:
                more, differences = questions.effective_rules(plane, engine, each)
                rows += more
                found += differences
            answer |= kernel_data(found, rules=[_kernel_rule(row) for row in rows])
    if form != "table":
        emit(answer, form)
    else:
        _show_rules(nics[0].name, answer, rows if watched.folder is not None else None)
    conclude(watched, found, quiet=form != "table")


def _kernel_rule(row: RuleRow) -> dict[str, Any]:
    from netemu.watcher.flow import named

    return {
        "networkSecurityGroup": row.networkSecurityGroup,
        "place": row.place,
        "direction": row.direction,
        "name": named(row.name),
        "packets": row.packets,
        "same": row.difference is None,
    }


def _show_rules(nic: str, answer: dict[str, Any], kernel: list[RuleRow] | None) -> None:
    from netemu.cli.output import az_table
    from netemu.watcher.flow import named

    by_rule = {(row.networkSecurityGroup, row.direction, named(row.name)): row for row in kernel or ()}
    rows = []
    for group in answer["value"]:
        places = {kind: resource["id"].rpartition("/")[2] for kind, resource in group["association"].items()}
        name = group["networkSecurityGroup"]["id"].rpartition("/")[2]
        names = [places.get("networkInterface", "-"), places.get("subnet", "-"), name]
        for rule in group["effectiveSecurityRules"]:
            what = [rule["name"], rule["protocol"], rule["direction"], rule["access"], str(rule["priority"])]
            ends = [
                f"{' '.join(dict.fromkeys(rule[f'{side}AddressPrefixes']))} {' '.join(rule[f'{side}PortRanges'])}"
                for side in ("source", "destination")
            ]
            rows.append([*names, *what, *ends])
            if kernel is not None:
                rows[-1].append(_kernel_cell(by_rule.get((name, rule["direction"], rule["name"]))))
            names = ["", "", ""]
    if not rows:
        click.echo(f"no NSG applies to {nic}: everything passes, but a Standard public IP is closed (OUT-17)")
        return
    headings = ["NIC", "Subnet", "NSG", "Rule Name", "Protocol", "Direction", "Access", "Priority"]
    az_table([*headings, "Source", "Destination", *(["Kernel"] if kernel is not None else [])], rows)


def _kernel_cell(row: RuleRow | None) -> str:
    if row is None:
        return "✗"
    plural = "" if row.packets == 1 else "s"
    counted = f"{row.packets} packet{plural}" if row.packets is not None else "matches nothing"
    return counted if row.difference is None else f"✗ {counted if row.packets is not None else 'not there'}"


@click.command("topology")
@click.argument("what", required=False, shell_complete=complete_labs, metavar="[FILE|LAB]")
@output_option
def topology_command(what: str | None, form: str) -> None:
    r"""Show every resource and how they hang together, in Network Watcher's shape.

    \b
    Example:  netemu topology scenarios/three-tier.yaml -o json
    """
    from datetime import UTC, datetime

    from netemu.cli.looking import conclude, kernel_data
    from netemu.cli.output import az_table, emit
    from netemu.lab.rootless import step_inside_for
    from netemu.lab.watch import watched_either
    from netemu.watcher.topology import topology

    step_inside_for(what)
    watched = watched_either(what)
    answer = topology(watched.network, datetime.now(UTC), watched.modified)
    found: list[str] = []
    with watched.plane() as plane:
        if plane is not None:
            import msgspec

            from netemu.verify.readback import questions

            attached, found = questions.topology(plane)
            answer |= kernel_data(found, networkInterfaces=[msgspec.to_builtins(each) for each in attached])
    if form != "table":
        emit(answer, form)
        conclude(watched, found, quiet=True)
        return
    rows: list[list[object]] = []
    for resource in answer["resources"]:
        kind = resource["id"].split("/")[-2]
        names = [resource["name"], kind, resource["location"]]
        for other in resource["associations"] or [{"associationType": "", "name": ""}]:
            rows.append([*names, other["associationType"], other["name"]])
            names = ["", "", ""]
    az_table(["Name", "Type", "Location", "Association", "With"], rows)
    conclude(watched, found)
