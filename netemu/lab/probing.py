"""What the agent asks the backends of load balancers, and what it has found out; two files in the lab's folder.

    checks.json   written by `up`; the agent reads it when it starts and at a SIGHUP
    probed.json   written by the agent; a later agent goes on from it

What follows from it for flows is `health`'s matter.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Literal

import msgspec
from msgspec import Struct

from netemu.lab.folder import LabFolder
from netemu.linux.state import Check

State = Literal["starting", "up", "down"]
"""`starting`: has never been up since it was added, and is asked again soon. It gets no flows."""


START_PATIENCE = 3.0
"""Seconds that a member may take to begin to serve before it counts as down. Programs of `run:` start as the agent
does."""


class Finding(Struct, frozen=True):
    """What is known of one member, by one probe."""

    state: State
    since: float
    """Seconds since the epoch."""
    detail: str = ""
    """Why it is not up."""


Findings = dict[str, dict[str, Finding]]
"""By `<load balancer>/<probe>`, then by `<NIC>/<IP configuration>`. Who is not in it has not been asked yet."""


def checks_file(folder: LabFolder) -> Path:
    """Where the checks are."""
    return folder.path / "checks.json"


def checks_text(checks: tuple[Check, ...]) -> str:
    """The checks, one on a line."""
    return "".join(f"{msgspec.json.encode(check).decode()}\n" for check in checks)


def read_checks(folder: LabFolder) -> list[Check]:
    """The checks of a lab; none where there is no such file."""
    try:
        return msgspec.json.Decoder(Check).decode_lines(checks_file(folder).read_bytes())
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return []


def read_findings(folder: LabFolder) -> Findings:
    """What was found out; nothing where there is no such file."""
    try:
        return msgspec.json.decode((folder.path / "probed.json").read_bytes(), type=Findings)
    except (OSError, msgspec.MsgspecError, UnicodeDecodeError):
        return {}


def write_findings(folder: LabFolder, findings: Findings) -> None:
    """Write it, all of it or nothing."""
    path = folder.path / "probed.json"
    other = path.with_suffix(".new")
    other.write_bytes(msgspec.json.encode(findings))
    os.replace(other, path)
