"""One file with all that is needed to find out why a lab's packets do something else than Azure's would.

    scenario.yaml            as it is running
    versions.json            netemu, Python and its packages, kernel, distribution, and what `netemu doctor` says
    verify.json              every line of `expect`: verdict, packet, counters, hops
    matrix.json              every pair, and every disagreement with its evidence
    status.json              how the kernel's state differs from the compiled one
    lab.json, kept.json, events.jsonl, agent.log
    kernel/<namespace>.json  its links, addresses, routes, rules and neighbours
    kernel/<namespace>.nft   its ruleset with counters, without the elements of sets

What cannot be had is in <name>.missing, with the reason. Logs of the lab's programs are left out.
"""

from __future__ import annotations

import importlib.metadata
import io
import os
import platform
import sys
import tarfile
import time
import traceback
from collections.abc import Callable, Iterator
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import msgspec

import netemu
from netemu.errors import NetemuError, PersonError
from netemu.lab import proof
from netemu.lab.folder import LabFolder
from netemu.lab.requirements import require_root
from netemu.linux import nftables
from netemu.linux.namespaces import current, entered
from netemu.linux.observe import observe
from netemu.linux.rtnetlink import Rtnetlink

PACKAGES = ("click", "msgspec", "pip-nftables", "pyroute2", "PyYAML")
OF_THE_FOLDER = ("scenario.yaml", "lab.json", "kept.json", "events.jsonl", "agent.log")

Progress = Callable[[int, int, str], None]


def write_report(folder: LabFolder, target: Path, progress: Progress = lambda *_: None) -> int:
    """Write the report of a lab that is up as a .tar.gz; how many flows disagree with Azure's rules.

    Raises PersonError when it cannot be written.
    """
    require_root("report")
    asked: dict[str, Any] = {}
    try:
        with tarfile.open(target, "w:gz") as archive:
            for name, part in _parts(folder, progress):
                found, content = _content(name, part)
                _add(archive, f"{folder.name}-report/{found}", content)
                if found in ("verify.json", "matrix.json"):
                    asked[found] = msgspec.json.decode(content)
    except OSError as error:
        raise PersonError(f"cannot write {target}: {error.strerror}") from error
    wrong = int(asked["verify.json"]["failed"]) if "verify.json" in asked else 0
    return wrong + sum(int(found["alike"]) for found in asked.get("matrix.json", {}).get("disagreements", ()))


def _content(name: str, part: Callable[[], bytes]) -> tuple[str, bytes]:
    """A part and its name, or why it cannot be had."""
    try:
        return name, part()
    except (NetemuError, OSError) as error:
        return f"{name}.missing", f"{error}\n".encode()
    except Exception:  # a bug here is what the report may be about
        return f"{name}.missing", traceback.format_exc().encode()


def _add(archive: tarfile.TarFile, name: str, content: bytes) -> None:
    entry = tarfile.TarInfo(name)
    entry.size, entry.mtime = len(content), int(time.time())
    archive.addfile(entry, io.BytesIO(content))


def _parts(folder: LabFolder, progress: Progress) -> Iterator[tuple[str, Callable[[], bytes]]]:
    """What goes into the file, by its name. Packets come last: what is read before them is as it was found."""
    for name in OF_THE_FOLDER:
        if name != "events.jsonl" or (folder.path / name).exists():  # there have been no events
            yield name, (folder.path / name).read_bytes
    yield "versions.json", _versions
    yield "status.json", lambda: _status(folder)
    for node in folder.nodes():
        where = folder.namespace(node)
        yield f"kernel/{node}.json", lambda where=where: _namespace(where)  # type: ignore[misc]  # bound at once
        yield f"kernel/{node}.nft", lambda where=where: _ruleset(where)  # type: ignore[misc]
    yield "verify.json", lambda: _verify(folder, progress)
    yield "matrix.json", lambda: _matrix(folder, progress)


def _json(data: object) -> bytes:
    return msgspec.json.format(msgspec.json.encode(data, enc_hook=str)) + b"\n"


def _versions() -> bytes:
    from netemu.lab.doctor import examine

    packages = {name: _version(name) for name in PACKAGES}
    return _json(
        {
            "netemu": netemu.__version__,
            "python": sys.version,
            "packages": packages,
            "kernel": " ".join(os.uname()),
            "distribution": platform.freedesktop_os_release().get("PRETTY_NAME"),
            "user": os.getuid(),
            "doctor": [msgspec.to_builtins(finding) for finding in examine()],
        }
    )


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None  # Debian's binding of nftables is no package of PyPI's


def _status(folder: LabFolder) -> bytes:
    from netemu.lab.status import status
    from netemu.scenario import read_scenario

    return _json(status(folder, read_scenario(folder.scenario)))


def _verify(folder: LabFolder, progress: Progress) -> bytes:
    from netemu.verify.report import as_data

    proved = proof.prove(folder.name, progress)
    return _json(as_data(proved.lab, proved.results, proved.unproved))


def _matrix(folder: LabFolder, progress: Progress) -> bytes:
    from netemu.verify.matrix.report import as_data

    return _json(as_data(*proof.prove_matrix(folder.name, progress)))


def _namespace(where: Path) -> bytes:
    """What is in a namespace, in the words of linux/state.py; addresses for people."""
    with entered(where), Rtnetlink() as netlink:
        found = observe(netlink)
    return _json(
        {
            "links": [_readable(link) for link in found.links.values()],
            "addresses": [_readable(address) for address in found.addresses],
            "routes": [_readable(route) for route in found.routes.values()],
            "rules": [_readable(rule) for rule in found.rules],
            "neighbours": [
                {"index": index, "address": str(IPv4Address(address)), "mac": mac.hex(":")}
                for (index, address), mac in found.neighbours.items()
            ],
            "foreign": [_readable(thing) for thing in found.foreign],
        }
    )


ADDRESSES = ("address", "destination", "gateway")


def _readable(thing: msgspec.Struct) -> dict[str, Any]:
    data = {}
    for name in thing.__struct_fields__:
        value = getattr(thing, name)
        if name in ADDRESSES and value is not None:
            value = str(IPv4Address(value))
        data[name] = value.hex(":") if isinstance(value, bytes) else value
    return {"kind": type(thing).__name__, **data}


def _ruleset(where: Path) -> bytes:
    with entered(where):
        descriptor = current()
    with open(descriptor, closefd=True):
        return nftables.text(descriptor).encode()
