"""Verification of a running lab."""

from __future__ import annotations

from typing import TYPE_CHECKING

from netemu.errors import PersonError
from netemu.lab.requirements import require_root
from netemu.lab.source import resolve_source
from netemu.lab.up import digest

if TYPE_CHECKING:
    from netemu.verify.compare import Result


def prove(what: str | None) -> tuple[str, list[Result]]:
    """Prove the expectations of a scenario file, or those of a lab, on the lab that is up."""
    require_root("verify")
    network, folder = resolve_source(what)
    if folder is None:
        raise PersonError(f"lab {network.name} is not up; bring it up with `netemu up {what}`")
    record = folder.read()
    if record is None or record.state != "running":
        raise PersonError(f"lab {network.name} is not whole; `netemu up` completes it, `netemu down` removes it")
    if record.digest != digest(network.scenario):
        raise PersonError(f"{what} is not what is running; apply it with `netemu up {what}`")
    from netemu.verify.compare import verify

    namespaces = {node: folder.namespace(node) for node in folder.nodes()}
    return network.name, list(verify(network, namespaces))
