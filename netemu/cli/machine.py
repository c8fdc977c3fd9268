"""doctor, completion."""

from __future__ import annotations

import click

from netemu.cli.options import output_option


@click.command("doctor")
@output_option
def doctor_command(form: str) -> None:
    r"""Say what this machine has for netemu, what is missing, what that costs and how to get it.

    Works without root, and then says what could not be found out. Exits with 3 when something needed is missing.

    \b
    Example:  sudo netemu doctor
    """
    import msgspec

    from netemu.cli.output import emit, table
    from netemu.lab.doctor import all_needed_are_present, examine

    findings = examine()
    if form != "table":
        emit([msgspec.to_builtins(finding) for finding in findings], form)
    else:
        table(["NAME", "NEED", "STATE", "DETAIL"], [[f.name, f.need, f.state, f.detail] for f in findings])
        for finding in findings:
            if finding.state != "present":
                style = "red" if finding.need == "needed" and finding.state == "missing" else "yellow"
                click.echo(f"\n{click.style(f'{finding.name} ({finding.state})', fg=style, bold=True)}: {finding.cost}")
                click.echo(f"  to get it: {finding.remedy}")
        if any(finding.kind == "kernel" and finding.state == "missing" for finding in findings):
            click.echo("\na kernel that has everything, without root: netemu boot (in a clone: make vm)")
        if not all_needed_are_present(findings):
            click.echo("\nlabs cannot be brought up on this machine yet")
        elif any(finding.need == "needed" and finding.state == "unknown" for finding in findings):
            click.echo("\nnothing needed is known to be missing; as root, doctor can say for sure")
        else:
            click.echo("\nall that netemu needs is here")
    if not all_needed_are_present(findings):
        raise click.exceptions.Exit(3)


@click.command("completion")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion_command(shell: str) -> None:
    r"""Print the script that makes SHELL complete netemu's commands, labs, machines and options.

    \b
    Example:  netemu completion bash | sudo tee /etc/bash_completion.d/netemu
              netemu completion zsh > ~/.zfunc/_netemu
              netemu completion fish > ~/.config/fish/completions/netemu.fish
    """
    from click.shell_completion import get_completion_class

    from netemu.cli.main import cli

    kind = get_completion_class(shell)
    assert kind is not None
    click.echo(kind(cli, {}, "netemu", "_NETEMU_COMPLETE").source())
