"""Failover: a backend stops to serve, for a while, and is watched being taken out of the rotation and coming back.

Its machine refuses connections to the port of its probe, as if the program there had ended; the program itself is not
touched. Meanwhile flows are sent: some may go to the backend until its probe has failed often enough (LB-29), none
after that, and all others have to arrive (LB-31).
"""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from msgspec import Struct

from netemu.azure.network import LoadBalancingRule, Network
from netemu.azure.verdict import Target
from netemu.linux import nftables

SLACK = 0.2
"""Seconds beyond interval × threshold."""
PATIENCE = 3.0
"""Seconds after which what ought to have happened is given up."""
PAUSE = 0.02
ROUNDS = 5
"""A machine that is busy with something else is slow in other things, too: so many of our rounds may be added."""
TABLE = "ip netemu_failover"

Round = Callable[[], tuple[bool, list[str]]]
"""Sends some flows: did any go to the backend, and what went wrong with the others?"""


class Failover(Struct, frozen=True):
    """How it went. Seconds; None when it did not happen."""

    out: float | None
    """From the stop to the last flow that went there."""
    back: float | None
    """From the new start to the first flow that goes there again."""
    disagreements: tuple[str, ...]


def watch(
    network: Network, rule: LoadBalancingRule, target: Target, name: str, namespace: Path,
    down: Callable[[], frozenset[Target]], send: Round,
) -> Failover:  # fmt: skip
    """Stop a backend of a rule, and start it again."""
    probe = rule.probe
    assert probe is not None
    interval = probe.intervalInSeconds * network.scenario.timeScale
    wrong: dict[str, None] = {}
    limit = interval * probe.downAfter + SLACK
    with _refusing(namespace, probe.port):
        out, gone, slowest = _until(limit, send, wrong, lambda there: not there and target in down())
    if gone is None:
        wrong[f"{name} still gets new flows {limit + PATIENCE:.1f} s after it has stopped"] = None
    elif out > limit + ROUNDS * slowest:
        wrong[f"{name} got new flows until {out:.1f} s after it had stopped; {limit:.1f} s are allowed"] = None
    limit = interval * probe.upAfter + SLACK
    _, back, _ = _until(limit, send, wrong, lambda there: target not in down() and (there or _keeps_clients(rule)))
    if back is None:
        wrong[f"{name} gets no flows {limit + PATIENCE:.1f} s after it has started again"] = None
    return Failover(out if gone is not None else None, back, tuple(wrong))


def _keeps_clients(rule: LoadBalancingRule) -> bool:
    """Then the one client that asks may be another backend's."""
    return rule.loadDistribution != "Default"


def _until(
    limit: float, send: Round, wrong: dict[str, None], done: Callable[[bool], bool]
) -> tuple[float, float | None, float]:
    """Send until it is done: when a flow went to the backend last, and when it was done, in seconds from now.

    And what the slowest round took: a few milliseconds, where the machine has the time.
    """
    start = time.monotonic()
    last = slowest = 0.0
    while (now := time.monotonic() - start) < limit + PATIENCE:
        there, others = send()
        slowest = max(slowest, time.monotonic() - start - now)
        wrong |= dict.fromkeys(others)
        if there:
            last = now
        if done(there):
            return last, now, slowest
        time.sleep(PAUSE)
    return last, None, slowest


@contextlib.contextmanager
def _refusing(namespace: Path, port: int) -> Iterator[None]:
    """New connections to a port are refused in a machine, as if nobody listened."""
    descriptor = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    refuse = f"tcp dport {port} tcp flags & (syn | ack) == syn reject with tcp reset"
    chain = f"chain refuse {{\n type filter hook input priority -300; policy accept;\n {refuse}\n}}"
    anew = f"add table {TABLE}\ndelete table {TABLE}\n"
    try:
        nftables.apply(descriptor, f"{anew}table {TABLE} {{\n{chain}\n}}")
        try:
            yield
        finally:
            nftables.apply(descriptor, f"delete table {TABLE}")
    finally:
        os.close(descriptor)
