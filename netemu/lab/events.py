"""What happened in a lab since `up`: a line of JSON each, in the lab's folder."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

import msgspec
from msgspec import Struct

from netemu.lab.folder import LabFolder


class Event(Struct, frozen=True):
    """Something that happened without being asked for."""

    time: float
    """Seconds since the epoch."""
    what: str
    """`ended`, `started` or `failed`; `chosen` for what spreads flows over the backends of load balancers; `up` or
    `down` for a backend."""
    subject: str
    """For example `dns.shop-vnet`, or `<load balancer>/<probe> <NIC>/<IP configuration>`."""
    detail: str = ""


def note(folder: LabFolder, what: str, subject: str, detail: str = "") -> None:
    """Add an event. One write to a file opened for appending: lines of several writers never mix."""
    line = msgspec.json.encode(Event(time.time(), what, subject, detail)) + b"\n"
    descriptor = os.open(folder.path / "events.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
    try:
        os.write(descriptor, line)
    finally:
        os.close(descriptor)


def events(folder: LabFolder) -> Iterator[Event]:
    """All events, the oldest first; what a crash has cut off is passed over."""
    try:
        content = (folder.path / "events.jsonl").read_bytes()
    except OSError:
        return
    for line in content.splitlines():
        try:
            yield msgspec.json.decode(line, type=Event)
        except msgspec.MsgspecError:
            continue
