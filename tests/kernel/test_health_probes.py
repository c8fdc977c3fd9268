"""Health probes: what is asked, from where, which answer counts, and what becomes of backends (LB-25…LB-35)."""

from __future__ import annotations

import pytest
from backends import OK, becomes, certificate, detail, eventually, happened, kill_agent, serving, sick, states
from balancing import ENGINES
from harness import PLATFORM, VISITOR, rule

from netemu.lab.folder import LabFolder
from netemu.lab.probing import read_findings

IN = "Inbound"


def scenario(probe: str, machines: int = 2, rules: str = "", pool: str | None = None, extra: str = "") -> str:
    """A public load balancer in front of some machines; probes come every 50 ms."""
    names = [f"web{number + 1}" for number in range(machines)]
    virtual = "\n".join(f"  {name}: {{subnet: net/web}}" for name in names)
    return f"""
timeScale: 0.01
virtualNetworks:
  net: {{addressSpace: 10.0.0.0/16, subnets: {{web: {{addressPrefix: 10.0.0.0/23, networkSecurityGroup: nsg}}}}}}
networkSecurityGroups:
  nsg: {{securityRules: {{web: {rule(200, IN, "Allow", "Tcp", source="Internet", port="80")}{rules}}}}}
publicIPAddresses: {{front: {{sku: Standard}}}}
loadBalancers:
  lb:
    frontendIPConfigurations: {{public: {{publicIPAddress: front}}}}
    backendAddressPools: {{pool: [{pool if pool is not None else ", ".join(names)}]}}
    probes: {{probe: {{intervalInSeconds: 5, {probe}}}}}
    loadBalancingRules:
      web: {{frontendIPConfiguration: public, backendAddressPool: pool, probe: probe, protocol: Tcp, frontendPort: 80, backendPort: 80}}
virtualMachines:
{virtual}
{extra}{VISITOR}"""


TCP = "protocol: Tcp, port: 80"
HTTP = "protocol: Http, port: 80, requestPath: /health?full=1"
HTTPS = "protocol: Https, port: 443, requestPath: /"


def status(code: int) -> bytes:
    return b"HTTP/1.1 %d Whatever\r\nLocation: /\r\nContent-Length: 0\r\n\r\n" % code


@pytest.fixture(scope="module")
def http(laboratory):
    return laboratory(scenario(HTTP))


@pytest.mark.azure("LB-26", "LB-27")
def test_a_tcp_probe_is_a_handshake_and_a_quiet_end_from_the_platform_s_address(laboratory):
    lab = laboratory(scenario(TCP))
    with serving(lab, "web1", answer=None) as server:
        becomes(lab, web1="up", web2="down")
        eventually(lambda: len(server.ends) >= 3, "it is asked again and again")
        assert set(server.callers) == {PLATFORM}
        assert set(server.ends) == {"closed"} and not server.requests
        assert detail(lab, "web2") == "connection refused"
    becomes(lab, web1="down")


@pytest.mark.azure("LB-28")
def test_an_http_probe_asks_for_its_path_at_the_backend_s_address_and_reads_the_answer_to_its_end(http):
    with serving(http, "web1") as server:
        becomes(http, web1="up")
        eventually(lambda: len(server.ends) >= 3, "it is asked again and again")
    assert {request.split(b"\r\n")[0] for request in server.requests} == {b"GET /health?full=1 HTTP/1.1"}
    assert all(b"\r\nHost: %s\r\n" % http.address("web1").encode() in request for request in server.requests)
    assert set(server.ends) == {"closed"}, "no server is disturbed by a reset"


@pytest.mark.azure("LB-28", "CT-21")
@pytest.mark.parametrize(
    ("answer", "why"),
    [
        *((status(code), f"status {code}") for code in (100, 201, 204, 301, 302, 403, 404, 500, 503)),
        (b"HTTP/1.1 2000 Good\r\n\r\n", "no HTTP in the answer"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "no HTTP in the answer"),
        (b"", "closed without an answer"),
        (None, "no answer in 1 s"),
    ],
    ids=str,
)
def test_an_answer_other_than_200_takes_a_backend_out_and_one_200_brings_it_back(http, answer, why):
    with serving(http, "web1") as server:
        becomes(http, web1="up")
        server.answer = answer
        becomes(http, web1="down")
        assert detail(http, "web1") == why
        server.answer = OK
        becomes(http, web1="up")


@pytest.mark.azure("LB-28")
def test_a_status_that_comes_in_pieces_and_without_a_reason_is_one(http):
    with serving(http, "web1", answer=b"HTTP/1.0 200\r\n" + b"x" * 3_000_000):
        becomes(http, web1="up")


@pytest.mark.azure("LB-25", "LB-34")
def test_an_https_probe_takes_any_certificate_but_not_the_lack_of_one(laboratory, tmp_path):
    lab = laboratory(scenario(HTTPS))
    tls = certificate(tmp_path)
    with serving(lab, "web1", 443, tls=tls) as server, serving(lab, "web2", 443, answer=OK):
        becomes(lab, web1="up", web2="down")
        assert detail(lab, "web2").startswith("no TLS")
        server.answer = status(403)
        becomes(lab, web1="down")
        assert detail(lab, "web1") == "status 403"


@pytest.mark.azure("LB-33", "CT-22")
@pytest.mark.parametrize(
    "denial",
    [
        rule(100, IN, "Deny", source="AzureLoadBalancer"),
        rule(100, IN, "Deny", source="168.63.129.16"),
        rule(100, IN, "Deny", "Tcp", port="80"),
    ],
    ids=["tag", "address", "port"],
)
def test_an_nsg_that_denies_probes_takes_every_backend_out(laboratory, denial):
    lab = laboratory(scenario(HTTP))
    with serving(lab, "web1"), serving(lab, "web2"):
        becomes(lab, web1="up", web2="up")
        assert lab.up(scenario(HTTP, rules=f", closed: {denial}")) == "changed"
        becomes(lab, web1="down", web2="down")
        assert detail(lab, "web1") == "no answer in 1 s"
        lab.up(scenario(HTTP))
        becomes(lab, web1="up", web2="up")


@pytest.mark.azure("LB-31", "LB-24")
@pytest.mark.parametrize("engine", ENGINES)
def test_new_flows_go_only_to_who_is_up_and_no_ruleset_is_made_anew_for_it(laboratory, engine):
    lab = laboratory(f"loadBalancerEngine: {engine}\n{scenario(HTTP)}")
    with serving(lab, "web1") as one, serving(lab, "web2") as two:
        becomes(lab, web1="up", web2="up")
        before = lab.counters("@slb.net")
        one.answer = status(500)
        becomes(lab, web1="down", web2="up")
        one.callers.clear()
        two.callers.clear()
        for _ in range(20):
            with lab.socket("visitor", 1) as caller:
                caller.settimeout(5)
                caller.connect((lab.address("front"), 80))
        visitor = lab.address("visitor")
        eventually(lambda: two.callers.count(visitor) == 20, "all of them are served")
        assert visitor not in one.callers
        two.answer = status(500)
        becomes(lab, web2="down")
        with lab.socket("visitor", 1) as caller:
            caller.setblocking(False)
            caller.connect_ex((lab.address("front"), 80))
        eventually(lambda: lab.dropped("no healthy backend", "@slb.net") + lab.dropped("no healthy backend", "@edge") == 1, "it ends there")
        after = lab.counters("@slb.net")
        assert set(after) == set(before) and all(after[key] >= before[key] for key in before), "counters go on"


@pytest.mark.azure("LB-29")
def test_changes_of_health_are_events_and_the_lab_is_as_described_in_either_state(laboratory):
    text = scenario(HTTP)
    lab = laboratory(text)
    with serving(lab, "web1") as server:
        becomes(lab, web1="up")
        server.answer = status(500)
        becomes(lab, web1="down")
        assert lab.up(text) == "unchanged"
        server.answer = OK
        becomes(lab, web1="up")
        told = [what for name, what in happened(lab.folder) if name == "web1"]
        assert told[-3:] == ["up", "down", "up"]


def test_an_agent_that_is_started_again_goes_on_from_what_was_known(laboratory):
    text = scenario(HTTP)
    lab = laboratory(text)
    with serving(lab, "web1") as one:
        becomes(lab, web1="up", web2="down")
        told, known = happened(lab.folder), read_findings(lab.folder)
        kill_agent(lab)
        assert lab.up(text) == "repaired"
        asked = len(one.requests)
        eventually(lambda: len(one.requests) > asked + 2, "it asks again")
        assert happened(lab.folder) == told
        assert read_findings(lab.folder) == known
        one.answer = status(500)
        becomes(lab, web1="down")


def test_who_is_added_is_asked_at_once_and_who_is_removed_is_forgotten(laboratory):
    lab = laboratory(scenario(HTTP))
    with serving(lab, "web1"):
        becomes(lab, web1="up", web2="down")
        lab.up(scenario(HTTP, machines=3))
        with serving(lab, "web3"):
            becomes(lab, web1="up", web2="down", web3="up")
        lab.up(scenario(HTTP, machines=1))  # web2 was down, web3 is deleted while it is in use
        eventually(lambda: states(lab) == {"web1": "up"} and sick(lab) == set(), "the others are forgotten")
        lab.up(scenario(HTTP, machines=2))
        with serving(lab, "web2"):
            becomes(lab, web1="up", web2="up")


def test_a_probe_that_is_moved_to_a_port_where_nobody_listens_finds_everybody_down(laboratory):
    lab = laboratory(scenario(HTTP))
    with serving(lab, "web1"), serving(lab, "web2"):
        becomes(lab, web1="up", web2="up")
        lab.up(scenario("protocol: Tcp, port: 81"))
        becomes(lab, web1="down", web2="down")


@pytest.mark.azure("LB-24")
def test_an_empty_pool_asks_nobody_and_takes_members_later(laboratory):
    lab = laboratory(scenario(HTTP, machines=1, pool=""))
    assert states(lab) == {}
    with lab.socket("visitor", 1) as caller:
        caller.setblocking(False)
        caller.connect_ex((lab.address("front"), 80))
    lab.up(scenario(HTTP, machines=1))
    with serving(lab, "web1"):
        becomes(lab, web1="up")
    lab.up(scenario(HTTP, machines=1, pool=""))
    eventually(lambda: states(lab) == {}, "it is forgotten")


def test_two_hundred_backends_are_all_asked_and_those_that_answer_are_up(laboratory):
    lab = laboratory(scenario("protocol: Tcp, port: 80", machines=200))
    with serving(lab, "web7", answer=None), serving(lab, "web200", answer=None):
        eventually(lambda: len(states(lab)) == 200, "all are asked")
        becomes(lab, web7="up", web200="up")
        eventually(lambda: len(sick(lab)) == 198, "all others are out")


def test_a_lab_without_probes_has_an_agent_that_asks_nobody(laboratory):
    lab = laboratory("virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {all: {addressPrefix: 10.0.1.0/24}}}}\n")
    folder = LabFolder(lab.name)
    assert (folder.path / "checks.json").read_text() == ""
    assert not (folder.path / "probed.json").exists()
