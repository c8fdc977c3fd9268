"""`netemu explain --file` as a person runs it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from advice import flow, network_of
from click.testing import CliRunner, Result

from netemu.azure.verdict import Engine
from netemu.cli.main import cli

SHOP = Path(__file__).parents[3] / "scenarios" / "three-tier.yaml"


def run(*words: str, file: Path = SHOP) -> Result:
    return CliRunner().invoke(cli, ["explain", *words, "--file", str(file)])


def test_a_denial_is_told_with_the_rule_in_yaml_that_would_change_it(tmp_path: Path) -> None:
    result = run("web1", "--to", "db1", "--port", "5432")
    assert result.exit_code == 1
    told = result.output.splitlines()
    assert told[0] == "web1 → db1 Tcp/5432 does not work."
    assert told[2] == (
        "The packet is denied by rule `deny-all-but-app` (4000) of `db-nsg` on subnet `shop-vnet/db`, inbound."
    )
    start = next(number for number, line in enumerate(told) if line.startswith("      networkSecurityGroups:"))
    advice = yaml.safe_load("\n".join(told[start : told.index("", start)]))
    data = yaml.safe_load(SHOP.read_text(encoding="utf-8"))
    data["networkSecurityGroups"]["db-nsg"]["securityRules"] |= advice["networkSecurityGroups"]["db-nsg"][
        "securityRules"
    ]
    network = network_of(yaml.safe_dump(data))
    assert Engine(network).judge(flow(network, "web1", "db1", 5432)).access == "Allow"
    assert told[-1] == "Then it works."


def test_what_works_is_told_with_the_rule_that_lets_it_pass() -> None:
    result = run("app1", "--to", "db1", "--port", "5432")
    assert result.exit_code == 0
    assert result.output == (
        "app1 → db1 Tcp/5432 works.\n\n"
        "The network carries it to db1, and the answer back; rule `allow-app` of `db-nsg` is the last that is asked, and"
        " lets it pass.\n"
    )


def test_data_has_obstacles_with_edits() -> None:
    result = run("web2", "--to", "visitor", "--protocol", "icmp", "-o", "json")
    assert result.exit_code == 1
    data = json.loads(result.output)
    assert (data["from"], data["to"], data["protocol"], data["port"]) == ("web2", "198.51.100.7", "Icmp", None)
    assert (data["works"], data["worksThen"]) == (False, True)
    (obstacle,) = data["obstacles"]
    assert (obstacle["stage"], obstacle["place"]) == ("edge-untranslated", "web2-nic")
    assert obstacle["remedies"][0]["scenario"] == {
        "publicIPAddresses": {"web2-ip": {}},
        "virtualMachines": {"web2": {"publicIPAddress": "web2-ip"}},
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("web1", "--to", "db1"), "Tcp has ports: add --port"),
        (("web1", "--to", "db1", "--protocol", "Icmp", "--port", "1"), "Icmp has no ports"),
        (("web9", "--to", "db1", "--port", "1"), "there is no virtual machine, NIC or internet host 'web9'"),
        (("web1", "--to", "db9", "--port", "1"), "did you mean `db1`?"),
        (("web1", "--to", "db1", "--port", "1", "--protocol", "Tpc"), "Tpc is not a protocol"),
    ],
)
def test_a_persons_mistake_is_one_message(words: tuple[str, ...], message: str) -> None:
    result = run(*words)
    assert result.exception is not None
    assert message in str(result.exception)
