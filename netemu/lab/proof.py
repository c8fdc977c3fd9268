"""Verification of a running lab."""

from __future__ import annotations

import contextlib
import time
from typing import TYPE_CHECKING

from msgspec import Struct

from netemu.errors import PersonError
from netemu.lab.folder import LabFolder
from netemu.lab.probing import START_PATIENCE, read_checks, read_findings
from netemu.lab.requirements import require_root
from netemu.lab.source import resolve_source
from netemu.lab.up import digest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from netemu.azure.network import Network
    from netemu.verify.compare import Result
    from netemu.verify.matrix import Outcome, Plan
    from netemu.verify.names import NameResult

    Progress = Callable[[int, int, str], None]


class Proof(Struct, frozen=True):
    """What became of the lines of `expect`."""

    lab: str
    results: list[Result | NameResult]
    """In the order of the lines."""
    unproved: int
    """Lines that were not come to, because the person pressed Ctrl-C."""

    @property
    def failed(self) -> list[Result | NameResult]:
        """Those that disagree."""
        return [result for result in self.results if not result.passed]


def prove(what: str | None, progress: Progress = lambda *_: None) -> Proof:
    """Prove the expectations of a scenario file, or those of a lab, on the lab that is up.

    Ctrl-C ends it with what has been found till then.
    """
    network, folder = _running(what)
    from netemu.verify.prove import verify

    settle(folder)
    namespaces = {node: folder.namespace(node) for node in folder.nodes()}
    resolvers = {node: folder.etc / node / "resolv.conf" for node in namespaces}
    results: list[Result | NameResult] = []
    with contextlib.suppress(KeyboardInterrupt):
        for result in verify(network, namespaces, progress, lambda: frozenset(folder.health().sick()), resolvers):
            results.append(result)  # extend() would lose them all
    results.sort(key=lambda result: result.number)
    return Proof(network.name, results, len(network.scenario.expect) - len(results))


def prove_matrix(what: str | None, progress: Progress = lambda *_: None) -> tuple[str, Plan, Outcome]:
    """Ask every pair of a lab that is up everything. Ctrl-C ends it with what has been found till then."""
    network, namespaces = running(what)
    from netemu.verify import matrix

    plan, outcome = matrix.run(network, namespaces, progress)
    return network.name, plan, outcome


def settle(folder: LabFolder) -> None:
    """Wait until the agent knows of every backend whether it is up: after `up`, programs take a moment to start."""
    checks = read_checks(folder)
    deadline = time.monotonic() + max((check.timeout for check in checks), default=0.0) + START_PATIENCE + 1.0
    while time.monotonic() < deadline:
        known = read_findings(folder)
        states = [known.get(check.watch, {}).get(check.member) for check in checks]
        if all(finding is not None and finding.state != "starting" for finding in states):
            return
        time.sleep(0.02)


def running(what: str | None) -> tuple[Network, dict[str, Path]]:
    """The network that a file or a lab is about, and the namespaces of the lab, which runs just that."""
    network, folder = _running(what)
    return network, {node: folder.namespace(node) for node in folder.nodes()}


def _running(what: str | None) -> tuple[Network, LabFolder]:
    require_root("verify")
    network, folder = resolve_source(what)
    if folder is None:
        raise PersonError(f"lab {network.name} is not up; bring it up with `netemu up {what}`")
    record = folder.read()
    if record is None or record.state != "running":
        raise PersonError(f"lab {network.name} is not whole; `netemu up` completes it, `netemu down` removes it")
    if record.digest != digest(network.scenario):
        raise PersonError(f"{what} is not what is running; apply it with `netemu up {what}`")
    return network, folder
