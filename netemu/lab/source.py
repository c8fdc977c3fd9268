"""A network by the file that describes it, or by the lab that is up."""

from __future__ import annotations

from pathlib import Path

from netemu.azure.network import Network, resolve
from netemu.azure.resources import Scenario
from netemu.errors import PersonError
from netemu.lab.folder import LabFolder, find, labs


def network_of(text: str | None) -> Network:
    """The network that `text` means: the name of a lab, else a scenario file; the only lab when absent."""
    return resolve_source(text)[0]


def resolve_source(text: str | None) -> tuple[Network, LabFolder | None]:
    """The network, and the lab of that name if it is up."""
    from netemu.scenario import read_scenario

    up = {folder.name: folder for folder in labs()}
    if text is None or text in up:
        folder = find(text)
        if not folder.scenario.is_file():
            raise PersonError(f"lab {folder.name} is broken: its scenario cannot be read; remove it with `netemu down`")
        return resolve(read_scenario(folder.scenario)), folder
    if "/" not in text and "." not in text and not Path(text).exists():
        there = f"these labs are up: {', '.join(up)}" if up else "no lab is up"
        raise PersonError(f"{text!r} is neither a lab nor a file; {there}")
    network = resolve(read_scenario(Path(text)))
    return network, up.get(network.name)


def read_once(path: Path) -> tuple[Scenario, bytes | None]:
    """A scenario and, when it comes from a pipe, which can be read only once, its text."""
    from netemu.scenario import LARGEST, read_scenario, read_text

    if not path.is_fifo():
        return read_scenario(path), None
    with path.open("rb") as pipe:
        content = pipe.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise PersonError(f"{path}: larger than {LARGEST // 1024 // 1024} MiB, which no scenario is")
    try:
        return read_text(content.decode("utf-8-sig"), str(path)), content
    except UnicodeDecodeError:
        raise PersonError(f"{path}: not UTF-8 text") from None
