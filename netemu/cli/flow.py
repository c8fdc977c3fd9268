"""flow: what becomes of a flow, by Azure's rules and by the kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from netemu.cli.options import complete_nodes, file_or_lab_options, output_option

if TYPE_CHECKING:
    from netemu.azure.steps import Verdict
    from netemu.azure.verdict import Engine
    from netemu.verify.readback.questions import FlowAnswer
    from netemu.verify.readback.way import Way
    from netemu.watcher.question import Question


@click.command("flow")
@click.argument("source", shell_complete=complete_nodes, metavar="VM|NIC|HOST")
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

    Of a lab that is up, the kernel is asked as well; exits with 1 when it disagrees with Azure's rules.

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
    from netemu.cli.looking import chosen, conclude
    from netemu.watcher import question

    watched = chosen(file, lab)
    engine = Engine(watched.network)
    if direction is not None:
        which: Any = direction.capitalize()
        asked = question.verify(engine, source, which, local or "", remote or "", protocol)
    else:
        ports = question.Ports(protocol, port, source_port)
        ask = question.outbound if to is not None else question.inbound
        asked = ask(engine, source, to or remote_name or "", ports)
    verdict = engine.judge(asked.flow) if asked.flow is not None else None
    found: FlowAnswer | None = None
    with watched.plane() as plane:
        if plane is not None:
            from netemu.verify.readback import questions

            found = questions.flow(plane, engine, asked, verdict)
    if form == "table":
        _show(engine, asked, verdict, found)
    else:
        from netemu.cli.output import emit

        emit(_data(engine, asked, verdict, found), form)
    conclude(watched, found.disagreements if found is not None else (), quiet=form != "table")


# ---- for programs ----------------------------------------------------------------------------------------------------


def _data(engine: Engine, asked: Question, verdict: Verdict | None, found: FlowAnswer | None) -> dict[str, Any]:
    """What test-ip-flow, run-configuration-diagnostic and test-connectivity of az answer, the walk, and the kernel."""
    from netemu.cli.looking import kernel_data
    from netemu.watcher.connectivity import connectivity_check
    from netemu.watcher.flow import configuration_diagnostic, ip_flow_verify, named
    from netemu.watcher.walk import verdict_data

    data: dict[str, Any] = {}
    if asked.nic is not None:
        data |= ip_flow_verify(engine, asked.nic, asked.direction, asked.packet)
        data |= configuration_diagnostic(engine, asked.nic, asked.direction, asked.packet)
    if asked.flow is not None and verdict is not None:
        data |= connectivity_check(engine, asked.flow, verdict)
        data["verdict"] = verdict_data(engine, verdict)
    if found is not None:
        more: dict[str, Any] = {}
        if found.said is not None:
            last = found.said[-1] if found.said else None
            more["access"] = last.access if last is not None else "Allow"
            more["ruleName"] = named(last.rule) if last is not None else ""
        if found.way is not None:
            more["verdict"] = _way_data(found.way, found.reply)
        data |= kernel_data(found.disagreements, **more)
    return data


def _way_data(way: Way, reply: Way | None) -> dict[str, Any]:
    from netemu.watcher.walk import packet_data

    steps = [
        {"kind": step.kind, "networkInterface": step.nic, "packet": packet_data(step.packet), "text": step.text}
        for step in way.steps
    ]
    return {
        "access": way.access,
        "stage": way.stage,
        "receiver": way.receiver,
        "steps": steps,
        "reply": _way_data(reply, None) if reply is not None else None,
    }


# ---- for people ------------------------------------------------------------------------------------------------------


def _show(engine: Engine, asked: Question, verdict: Verdict | None, found: FlowAnswer | None) -> None:
    from netemu.watcher import text

    if asked.nic is not None:
        _show_verification(engine, asked, found)
    if verdict is None:
        click.echo("Nobody in the scenario has that address, so there is no way to follow.")
        return
    ways = (found.way, found.reply) if found is not None else (None, None)
    for title, shown, way in (("its way", verdict, ways[0]), ("the reply's", verdict.reply, ways[1])):
        if shown is not None:
            click.echo(f"\n{title}:")
            _show_way(engine, shown, way)
    click.echo(f"\nverdict  {text.conclusion(verdict)}\nreply    {text.answer(verdict)}")


def _show_verification(engine: Engine, asked: Question, found: FlowAnswer | None) -> None:
    from netemu.cli.output import az_table
    from netemu.verify.readback.gates import counted
    from netemu.watcher.flow import ip_flow_verify, named

    assert asked.nic is not None, "without a NIC there is nothing to verify"
    answer = ip_flow_verify(engine, asked.nic, asked.direction, asked.packet)
    headings, row = ["Access", "RuleName"], [answer["access"], answer["ruleName"]]
    if found is not None and found.said is not None:
        last = found.said[-1] if found.said else None
        by_kernel = (last.access, named(last.rule)) if last is not None else ("Allow", "")
        count = counted(last.packets if last is not None else None)
        headings.append("Kernel")
        row.append(f"the same{count}" if by_kernel == (row[0], row[1]) else f"✗ {' '.join(by_kernel)}{count}")
    az_table(headings, [row])
    click.echo(f"\nThat is what NSGs say to {asked.packet} {asked.direction.lower()} at {asked.nic.name}.")


def _show_way(engine: Engine, verdict: Verdict, way: Way | None) -> None:
    """The steps by Azure's rules, with what the kernel does below each."""
    from netemu.verify.readback.beside import Pair, pairs
    from netemu.watcher.text import step_lines

    both = (
        pairs(engine.placement, verdict, way)
        if way is not None
        else [Pair(step, None, same=True) for step in verdict.steps]
    )
    for number, pair in enumerate(both, start=1):
        lines = step_lines(pair.model) if pair.model is not None else ["by Azure's rules: nothing more"]
        click.echo(f"{number:>3}. {lines[0]}")
        for line in lines[1:]:
            click.echo(f"     {line}")
        if pair.kernel is not None:
            click.echo(f"     {_mark(same=pair.same)} kernel: {pair.kernel.text}")
        elif not pair.same:
            click.echo(f"     {_mark(same=False)} kernel: does nothing like it")


def _mark(*, same: bool) -> str:
    return click.style("=", fg="green") if same else click.style("✗", fg="red", bold=True)
