"""What a load balancer costs, on each engine that the kernel has: next to the same backends without one."""

from __future__ import annotations

from pathlib import Path

from measure import Netemu, Table, compiled, run, started
from traffic import ROUNDS, SECONDS, end

from netemu.lab.folder import LabFolder
from netemu.lab.health import set_backend_state
from netemu.linux import ipvs

BACKENDS = 3
MANY = 200
FRONTEND = "10.0.1.200"

SCENARIO = """
name: {name}
loadBalancerEngine: {engine}
virtualNetworks:
  net:
    addressSpace: 10.0.0.0/16
    subnets: {{web: {{addressPrefix: 10.0.0.0/23}}, clients: {{addressPrefix: 10.0.2.0/24}}}}
loadBalancers:
  lb:
    frontendIPConfigurations: {{main: {{subnet: net/web, privateIPAddress: 10.0.1.200}}}}
    backendAddressPools: {{web: [{members}]}}
    probes: {{alive: {{protocol: Tcp, port: 9, intervalInSeconds: 100000}}}}
    loadBalancingRules:
      new: {{frontendIPConfiguration: main, backendAddressPool: web, protocol: Tcp, frontendPort: 80{probe}}}
      bulk: {{frontendIPConfiguration: main, backendAddressPool: web, protocol: Tcp, frontendPort: 81{probe}}}
virtualMachines:
  client: {{subnet: net/clients, privateIPAddress: 10.0.2.4}}
{machines}
"""


def scenario(name: str, engine: str, backends: int, probe: str = "") -> str:
    """A client and backends behind one internal load balancer."""
    machines = "\n".join(f"  w{n}: {{subnet: net/web}}" for n in range(1, backends + 1))
    members = ", ".join(f"w{n}" for n in range(1, backends + 1))
    return SCENARIO.format(name=name, engine=engine, members=members, machines=machines, probe=probe)


def measure(table: Table, netemu: Netemu, folder: Path) -> None:
    """Each engine in turn; IPVS where the kernel has it."""
    load = str(compiled("load", folder))
    for engine in ("nftables", "ipvs"):
        missing = ipvs.why_not() if engine == "ipvs" else ""
        if missing:
            table.left_out("load balancer, ipvs", missing)
            continue
        _traffic(table, netemu, folder, load, engine)
        _health(table, netemu, folder, engine)


def _traffic(table: Table, netemu: Netemu, folder: Path, load: str, engine: str) -> None:
    file = folder / "balanced.yaml"
    file.write_text(scenario("balanced", engine, BACKENDS))
    netemu("up", str(file))

    def inside(name: str) -> list[str]:
        return ["nsenter", f"--net={folder}/state/balanced/netns/{name}", load]

    backends = [f"w{n}" for n in range(1, BACKENDS + 1)]
    servers = [started([*inside(name), *what]) for name in backends for what in (("accept", "80"), ("sink", "81"))]
    direct = "10.0.0.4"
    try:
        rates: dict[tuple[str, str], list[float]] = {}
        for what, port in (("send", "81"), ("connect", "80")):
            for number in range(ROUNDS + 1):
                for address in (FRONTEND, direct):
                    rate = float(run(*inside("client"), what, address, port, SECONDS).stdout)
                    if number:
                        rates.setdefault((what, address), []).append(rate)
    finally:
        end(servers)
    netemu("down", "balanced")
    table.row(
        f"connections/s through a load balancer, {engine}",
        rates["connect", FRONTEND], rates["connect", direct], "direct", least=0.6,
    )  # fmt: skip
    table.row(
        f"TCP through a load balancer, {engine}, Mbit/s",
        rates["send", FRONTEND], rates["send", direct], "direct", least=0.8,
    )  # fmt: skip


def _health(table: Table, netemu: Netemu, folder: Path, engine: str) -> None:
    """A backend of 200 goes out of the rotation and comes back: told, until the kernel has it."""
    from measure import timed

    file = folder / "many.yaml"
    file.write_text(scenario("many", engine, MANY, ", probe: alive"))
    netemu("up", str(file))
    lab = LabFolder("many")
    times = []
    for number in range(ROUNDS + 1):
        for up in (False, True):
            times.append(timed(lambda up=up, number=number: set_backend_state(  # type: ignore[misc]
                lab, "lb", "alive", f"w{number + 1}-nic/ipconfig1", up=up)))  # fmt: skip
    netemu("down", "many")
    table.row(f"one of {MANY} backends down or up, {engine}, ms", times[2:], [200.0], "a probe's slack", most=0.5)
