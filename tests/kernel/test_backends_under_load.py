"""Real web servers behind a load balancer, under load, while they are stopped and started."""

from __future__ import annotations

import contextlib
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from backends import becomes, eventually
from balancing import ENGINES
from harness import VISITOR, Lab, rule

MACHINES = ("web1", "web2", "web3")

SCENARIO = f"""
loadBalancerEngine: ENGINE
timeScale: 0.01
virtualNetworks:
  net: {{addressSpace: 10.0.0.0/16, subnets: {{web: {{addressPrefix: 10.0.1.0/24, networkSecurityGroup: nsg}}}}}}
networkSecurityGroups:
  nsg: {{securityRules: {{web: {rule(200, "Inbound", "Allow", "Tcp", source="Internet", port="80")}}}}}
publicIPAddresses: {{front: {{sku: Standard, ipAddress: 20.61.0.10}}}}
loadBalancers:
  lb:
    frontendIPConfigurations: {{public: {{publicIPAddress: front}}}}
    backendAddressPools: {{web: [{", ".join(MACHINES)}]}}
    probes: {{probe: {{protocol: Http, port: 80, requestPath: /health, intervalInSeconds: 5, probeThreshold: 1}}}}
    loadBalancingRules:
      web: {{frontendIPConfiguration: public, backendAddressPool: web, probe: probe, protocol: Tcp, frontendPort: 80, backendPort: 80}}
virtualMachines: {{{", ".join(f"{name}: {{subnet: net/web}}" for name in MACHINES)}}}
{VISITOR}"""

CONFIGURATION = """
daemon off; master_process off; pid {directory}/pid; error_log {directory}/error.log;
events {{ worker_connections 256; }}
http {{
  access_log off; client_body_temp_path {directory}/t1; proxy_temp_path {directory}/t2; fastcgi_temp_path {directory}/t3;
  uwsgi_temp_path {directory}/t4; scgi_temp_path {directory}/t5;
  server {{ listen 80; root {directory}/www; location = / {{ return 200 "{name}"; }} }}
}}
"""


class Nginx:
    """An nginx in a machine of a lab. It is healthy while there is a file that it serves at /health."""

    def __init__(self, lab: Lab, name: str, directory: Path) -> None:
        self.lab, self.name, self.directory = lab, name, directory / name
        self.health = self.directory / "www" / "health"
        self.health.parent.mkdir(parents=True)
        self.health.write_text("fine")
        for path in (directory, self.directory, self.health.parent):
            path.chmod(0o755)
        (self.directory / "nginx.conf").write_text(CONFIGURATION.format(directory=self.directory, name=name))
        self.start()

    def start(self) -> None:
        node = f"{self.lab.name}.{self.name}"
        argv = ["ip", "netns", "exec", node, "nginx", "-c", str(self.directory / "nginx.conf")]
        self.process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def stop(self) -> None:
        """At once, whatever it is doing."""
        self.process.kill()
        self.process.wait()


@pytest.fixture(params=ENGINES)
def lab(single, request):
    return single(SCENARIO.replace("ENGINE", request.param))


def flows(lab: Lab) -> int:
    """New flows that the rule has given to a backend."""
    return sum(count for (chain, name), count in lab.counters("@slb.net").items() if chain.startswith("rule/lb/web") and name == "web")


@pytest.fixture
def servers(lab, tmp_path) -> Iterator[dict[str, Nginx]]:
    for path in tmp_path.parents[:2]:
        path.chmod(0o755)
    made = {name: Nginx(lab, name, tmp_path) for name in MACHINES}
    try:
        becomes(lab, **dict.fromkeys(MACHINES, "up"))
        yield made
    finally:
        for server in made.values():
            server.stop()


class Load:
    """What `ab` has found out."""

    complete = failed = 0


@contextlib.contextmanager
def load(lab: Lab) -> Iterator[Load]:
    """A few connections at a time, one request each, as long as a `with`."""
    argv = ["ip", "netns", "exec", f"{lab.name}.visitor", "ab", "-q", "-r", "-s", "5", "-c", "4", "-n", "60000",
            "-t", "60", "http://20.61.0.10/"]  # fmt: skip
    found = Load()
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    try:
        served = flows(lab)
        eventually(lambda: flows(lab) > served, "requests are sent")
        yield found
    finally:
        process.send_signal(signal.SIGINT)
        report = process.communicate(timeout=20)[0]
    for field, name in (("complete", "Complete requests"), ("failed", "Failed requests")):
        counted = re.search(rf"^{name}: +([0-9]+)$", report, re.MULTILINE)
        assert counted, report
        setattr(found, field, int(counted[1]))


@pytest.mark.azure("LB-5", "LB-31")
def test_no_request_fails_while_one_backend_after_the_other_is_taken_out_stopped_and_started_again(lab, servers):
    with load(lab) as found:
        for name, server in servers.items():
            server.health.unlink()
            becomes(lab, **{name: "down"})
            idle = flows(lab)
            # The requests that it still had have been answered when as many others have come and gone.
            eventually(lambda idle=idle: flows(lab) > idle + 100, "they go on")
            server.stop()
            idle = flows(lab)
            eventually(lambda idle=idle: flows(lab) > idle + 300, "they go on")
            server.start()
            server.health.write_text("fine")
            becomes(lab, **{name: "up"})
    assert found.complete > 1000
    assert found.failed == 0


@pytest.mark.azure("LB-29", "LB-31")
def test_a_backend_that_is_killed_fails_its_own_requests_only_and_none_once_its_probe_has(lab, servers):
    with load(lab):
        servers["web2"].stop()
        becomes(lab, web2="down")
    with load(lab) as afterwards:
        start = flows(lab)
        eventually(lambda: flows(lab) > start + 1000, "requests go on")
    assert afterwards.complete > 1000
    assert afterwards.failed == 0
