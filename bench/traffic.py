"""What rules cost: connections a second behind a long NSG, and throughput through the fabric."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from ipaddress import IPv4Address
from pathlib import Path

import topology
from measure import Netemu, Table, compiled, run, started

from netemu.linux.build import Builder
from netemu.linux.state import Address, End, Lab, Namespace, Route, Veth

ROUNDS = 15
SECONDS = "0.5"
RULES = 1000


def measure(table: Table, netemu: Netemu, folder: Path) -> None:
    """Two pairs of VMs, one behind an empty NSG and one behind a long one; and a plain path beside them."""
    load = str(compiled("load", folder))
    file = folder / "traffic.yaml"
    file.write_text(topology.two_pairs("traffic", RULES))
    netemu("up", str(file))

    def in_vm(name: str) -> list[str]:
        return [str(word) for word in ("nsenter", f"--net={folder}/state/traffic/netns/{name}", load)]

    with plain_path(folder) as plain:

        def in_plain(name: str) -> list[str]:
            return ["nsenter", f"--net={plain / name}", load]

        servers = [
            started([*where, *what])
            for where in (in_vm("empty"), in_vm("many"), in_plain("server"))
            for what in (("accept", "80"), ("sink", "81"))
        ]
        try:
            addresses = {"empty": "10.0.0.5", "many": "10.0.0.6"}
            behind: dict[str, list[float]] = {"empty": [], "many": []}
            through: list[float] = []
            plainly: list[float] = []
            for number in range(ROUNDS + 1):  # first, while the fabric has few flows to remember
                fabric = _rate(in_vm("client"), "send", addresses["many"], "81")
                bare = _rate(in_plain("client"), "send", "10.9.1.2", "81")
                if number:
                    through.append(fabric)
                    plainly.append(bare)
            for number in range(ROUNDS + 1):
                for name, address in addresses.items():
                    rate = _rate(in_vm("client"), "connect", address, "80")
                    if number:
                        behind[name].append(rate)
        finally:
            end(servers)
    netemu("down", "traffic")
    table.row(f"connections/s, NSG of {RULES} rules", behind["many"], behind["empty"], "empty NSG", least=0.9)
    table.row(f"TCP, NSG of {RULES} rules, Mbit/s", through, plainly, "plain routed path", least=0.9)


def _rate(where: list[str], *what: str) -> float:
    return float(run(*where, *what, SECONDS).stdout)


def end(servers: list[subprocess.Popen[str]]) -> None:
    """End them."""
    for server in servers:
        server.kill()
        server.wait()


@contextmanager
def plain_path(folder: Path) -> Iterator[Path]:
    """Client, router and server, each a namespace, with addresses and routes and nothing else."""
    names = folder / "plain"
    names.mkdir()
    number: Callable[[str], int] = lambda text: int(IPv4Address(text))  # noqa: E731 -- a short name for many uses

    def side(host: str, index: int, network: str) -> tuple[Namespace, Veth, Address]:
        near = End(host, "eth0", 2, bytes((2, 0, 0, 0, index, 1)))
        far = End("router", f"eth{index}", index, bytes((2, 0, 0, 0, index, 2)))
        namespace = Namespace(
            host,
            addresses=[Address(2, number(f"{network}.2"), 24)],
            routes=[Route(2, 0, 0, gateway=number(f"{network}.1"))],
        )
        return namespace, Veth(near, far), Address(index, number(f"{network}.1"), 24)

    client, first, near = side("client", 2, "10.9.0")
    server, second, far = side("server", 3, "10.9.1")
    router = Namespace("router", addresses=[near, far], sysctls={"ipv4/ip_forward": "1"})
    lab = Lab("plain", {item.name: item for item in (router, client, server)}, [first, second])
    with Builder(lab, names, lambda _: None) as builder:
        builder.build()
    try:
        yield names
    finally:
        for name in lab.namespaces:
            run("umount", str(names / name))
            os.unlink(names / name)
