"""flow, next-hop, routes, rules and topology on a file, as a person runs them: no root, no lab."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from netemu.cli.main import main

SCENARIO = """
name: shop
virtualNetworks:
  net:
    addressSpace: 10.0.0.0/16
    subnets:
      web: {addressPrefix: 10.0.1.0/24, networkSecurityGroup: web-nsg, routeTable: rt}
      db: {addressPrefix: 10.0.2.0/24}
networkSecurityGroups:
  web-nsg:
    securityRules:
      http: {priority: 100, direction: Inbound, access: Allow, protocol: Tcp, sourceAddressPrefix: "*",
             sourcePortRange: "*", destinationAddressPrefix: "*", destinationPortRange: 80}
routeTables:
  rt: {routes: {nowhere: {addressPrefix: 203.0.113.0/24, nextHopType: None}}}
publicIPAddresses: {web-ip: {ipAddress: 20.61.0.10}}
virtualMachines:
  web1: {subnet: net/web, publicIPAddress: web-ip}
  db1: {networkInterfaces: [db1-a, db1-b]}
networkInterfaces:
  db1-a: {subnet: net/db, privateIPAddress: 10.0.2.10}
  db1-b: {subnet: net/db, privateIPAddress: 10.0.2.11}
internet: {hosts: {visitor: {ipAddress: 198.51.100.7}}}
"""

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Run a command with `--file` and return its exit code and what it wrote."""
    monkeypatch.setenv("NETEMU_STATE_DIR", str(tmp_path / "state"))
    (tmp_path / "shop.yaml").write_text(SCENARIO)
    monkeypatch.chdir(tmp_path)

    def start(*words: str, file: bool = True) -> tuple[int, str, str]:
        monkeypatch.setattr("sys.argv", ["netemu", *words, *(("--file", "shop.yaml") if file else ())])
        with pytest.raises(SystemExit) as ended:
            main()
        return ended.value.code or 0, *capsys.readouterr()  # type: ignore[return-value]

    return start


def data(run: Run, *words: str, file: bool = True) -> Any:
    code, out, err = run(*words, "-o", "json", file=file)
    assert (code, err) == (0, "")
    return json.loads(out)


def test_flow_answers_as_three_commands_of_az_do_and_with_the_walk(run: Run) -> None:
    answer = data(run, "flow", "web1", "--to", "db1", "--port", "5432")
    assert (answer["access"], answer["ruleName"]) == ("Allow", "defaultSecurityRules/AllowVnetOutBound")
    assert answer["results"][0]["profile"]["destinationPort"] == "5432"
    assert answer["connectionStatus"] == "Reachable"
    assert answer["verdict"]["receiver"] == "db1"
    assert answer["verdict"]["reply"]["access"] == "Allow"


def test_flow_takes_the_words_of_az_as_well(run: Run) -> None:
    words = ("--direction", "inbound", "--local", "10.0.1.4:80", "--remote", "198.51.100.7:*", "--protocol", "TCP")
    answer = data(run, "flow", "web1", *words)
    assert (answer["access"], answer["ruleName"]) == ("Allow", "securityRules/http")
    assert answer == data(run, "flow", "web1", "--from", "visitor", "--port", "80")
    words = ("--direction", "Outbound", "--local", "10.0.1.4:50000", "--remote", "203.0.113.5:443", "--protocol", "6")
    answer = data(run, "flow", "web1-nic", *words)
    assert answer["ruleName"] == "defaultSecurityRules/AllowVnetOutBound"  # a route names the prefix (NSG-25)
    assert answer["verdict"]["stage"] == "route-none"
    assert answer["verdict"]["steps"][0]["packet"]["sourcePort"] == 50000


def test_flow_from_an_address_that_nobody_has_is_answered_by_the_nsgs_alone(run: Run) -> None:
    answer = data(run, "flow", "web1", "--from", "192.0.2.1", "--port", "22")
    assert answer["ruleName"] == "defaultSecurityRules/DenyAllInBound"
    assert "verdict" not in answer
    _, out, _ = run("flow", "web1", "--from", "192.0.2.1", "--port", "22")
    assert "Nobody in the scenario has that address" in out


def test_flow_of_an_internet_host_is_verified_where_it_arrives(run: Run) -> None:
    answer = data(run, "flow", "visitor", "--to", "web-ip", "--port", "22")
    assert (answer["access"], answer["verdict"]["networkInterface"]) == ("Deny", "web1-nic")
    answer = data(run, "flow", "visitor", "--to", "20.61.0.99", "--port", "22")
    assert "access" not in answer
    assert answer["verdict"]["stage"] == "edge-unknown"


def test_flow_as_a_table_begins_like_az_and_tells_the_whole_way(run: Run) -> None:
    code, out, _ = run("flow", "web1", "--to", "visitor", "--port", "443")
    assert code == 0
    lines = out.splitlines()
    assert lines[:3] == [
        "Access    RuleName",
        "--------  ------------------------------------------",
        "Allow     defaultSecurityRules/AllowInternetOutBound",
    ]
    assert "65000 AllowVnetOutBound: destination 198.51.100.7 is not in its destinations" in out
    assert "becomes Tcp 20.61.0.10:49152 -> 198.51.100.7:443 (source translation by public IP web-ip (OUT-1))" in out
    assert lines[-2:] == ["verdict  Allow: delivered to visitor", "reply    Allow: comes back to the sender"]


def test_routes_look_like_azs(run: Run) -> None:
    _, out, _ = run("routes", "web1-nic")
    assert out.splitlines()[:4] == [
        "Source    State    Address Prefix    Next Hop Type    Next Hop IP",
        "--------  -------  ----------------  ---------------  -------------",
        "Default   Active   10.0.0.0/16       VnetLocal",
        "Default   Active   0.0.0.0/0         Internet",
    ]
    assert data(run, "routes", "web1")["value"][-1]["name"] == "nowhere"


def test_next_hop_names_the_route_table_or_says_system_route(run: Run) -> None:
    assert data(run, "next-hop", "web1", "--to", "8.8.8.8") == {
        "nextHopType": "Internet",
        "routeTableId": "System Route",
    }
    _, out, _ = run("next-hop", "web1", "--to", "203.0.113.1")
    assert out.splitlines()[0].split() == ["NextHopIpAddress", "NextHopType", "RouteTableId"]
    assert out.splitlines()[2].split()[-1].endswith("/routeTables/rt")


def test_rules_of_a_nic_and_the_view_of_a_vm(run: Run) -> None:
    _, out, _ = run("rules", "web1")
    assert out.splitlines()[0].split("  ")[0] == "NIC"
    assert "securityRules/http" in out
    assert list(data(run, "rules", "web1-nic")) == ["value"]
    assert list(data(run, "rules", "web1")) == ["networkInterfaces"]
    assert "no NSG applies to db1-a" in run("rules", "db1-a")[1]


def test_topology_takes_a_file_or_a_lab(run: Run) -> None:
    answer = data(run, "topology", "shop.yaml", file=False)
    assert answer["resources"][0]["name"] == "web1"
    _, out, _ = run("topology", "shop.yaml", file=False)
    assert out.splitlines()[0].split() == ["Name", "Type", "Location", "Association", "With"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["flow", "web2", "--to", "db1", "--port", "1"], "there is no virtual machine, NIC or internet host 'web2'; did you mean `web1`?"),
        (["flow", "web1", "--to", "db", "--port", "1"], "'db' is neither an IPv4 address nor a virtual machine, NIC, internet host, public IP or load balancer; did you mean `db1`?"),
        (["flow", "web1", "--to", "10.0.0.256", "--port", "1"], "'10.0.0.256' is neither an IPv4 address"),
        (["flow", "web1", "--to", "db1"], "Tcp has ports: add --port"),
        (["flow", "web1", "--to", "db1", "--protocol", "Icmp", "--port", "7"], "Icmp has no ports; leave them out"),
        (["flow", "web1", "--to", "db1", "--protocol", "Sctp", "--port", "7"], "Sctp is not a protocol"),
        (["flow", "web1", "--to", "db1", "--port", "65536"], "65536 is not in the range"),
        (["flow", "web1", "--port", "1"], "say where it goes with --to"),
        (["flow", "web1", "--to", "db1", "--from", "db1", "--port", "1"], "say where it goes with --to"),
        (["flow", "web1", "--local", "10.0.1.4:1"], "--local and --remote need --direction"),
        (["flow", "web1", "--direction", "Inbound", "--local", "10.0.1.4:1"], "--direction takes --local and --remote"),
        (["flow", "web1", "--direction", "Up", "--local", "10.0.1.4:1"], "'Up' is not one of"),
        (["flow", "web1", "--direction", "Inbound", "--local", "10.0.1.5:1", "--remote", "8.8.8.8:1"], "10.0.1.5 is not an address of web1, which has 10.0.1.4"),
        (["flow", "web1", "--direction", "Inbound", "--local", "10.0.1.4:x", "--remote", "8.8.8.8:1"], "--local 10.0.1.4:x: 'x' is no port"),
        (["flow", "web1", "--direction", "Inbound", "--local", "10.0.1.4:*", "--remote", "8.8.8.8:1"], "--local 10.0.1.4:*: name the port that is spoken to"),
        (["flow", "visitor", "--from", "web1", "--port", "1"], "there is no virtual machine or NIC 'visitor'"),
        (["flow", "web1/10.0.0.x", "--to", "db1", "--port", "1"], "'10.0.0.x' is no IPv4 address"),
        (["next-hop", "visitor", "--to", "web1"], "there is no virtual machine or NIC 'visitor'"),
        (["next-hop", "web1"], "Missing option '--to'"),
        (["routes", "db1"], "db1 has several NICs; name one: db1-a, db1-b"),
        (["routes", "web1-nic2"], "there is no NIC 'web1-nic2'; did you mean `web1-nic`?"),
        (["rules", "visitor"], "there is no NIC 'visitor'"),
    ],
)  # fmt: skip
def test_a_persons_mistake_is_one_message_and_exit_code_2(run: Run, words: list[str], message: str) -> None:
    code, out, err = run(*words)
    assert code == 2, err
    assert out == ""
    assert message in err
    assert "Traceback" not in err


def test_what_to_ask_about_must_be_clear(run: Run) -> None:
    for words in (["routes", "web1"], ["flow", "web1", "--to", "db1", "--port", "1"], ["topology"]):
        code, out, err = run(*words, file=False)
        assert (code, out) == (2, "")
        assert err.startswith("netemu: no lab is up; start one with `netemu up SCENARIO.yaml`, or name a file"), err
    code, _, err = run("routes", "web1", "--lab", "shop")
    assert code == 2
    assert "name a file or a lab, not both" in err
    code, _, err = run("routes", "web1", "--lab", "shop", file=False)
    assert (code, err) == (2, "netemu: there is no lab 'shop'; none is up\n")
    code, _, err = run("routes", "web1", "--file", "nothing.yaml", file=False)
    assert code == 2
    assert err.startswith("netemu: nothing.yaml")
    code, _, err = run("topology", "nothing", file=False)
    assert (code, err) == (2, "netemu: 'nothing' is neither a lab nor a file; no lab is up\n")
