"""A network by the file that describes it, or by the lab that is up."""

from __future__ import annotations

from pathlib import Path

from msgspec import Struct

from netemu.azure.network import Network, resolve
from netemu.azure.resources import Scenario
from netemu.errors import PersonError
from netemu.lab.folder import LabFolder, find, labs


class Order(Struct, frozen=True):
    """What to bring up."""

    scenario: Scenario
    source: Path
    """The file that it came from."""
    text: bytes
    by_pipe: bool = False
    fingerprint: str | None = None
    """Of the plan that is to be carried out, and no other."""
    engine: str | None = None
    """What spreads flows over backends: `auto`, `ipvs` or `nftables`; as the scenario says when None."""


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
        return resolve(read_scenario(folder.scenario), folder.kept().given), folder
    if "/" not in text and "." not in text and not Path(text).exists():
        there = f"these labs are up: {', '.join(up)}" if up else "no lab is up"
        raise PersonError(f"{text!r} is neither a lab nor a file; {there}")
    network = resolve(read_scenario(Path(text)))
    return network, up.get(network.name)


def read_once(path: Path) -> Order:
    """A scenario with its text; from a pipe, too, which can be read only once."""
    from netemu.scenario import LARGEST, read_scenario, read_text

    if not path.is_fifo():
        return Order(read_scenario(path), path, path.read_bytes())
    with path.open("rb") as pipe:
        content = pipe.read(LARGEST + 1)
    if len(content) > LARGEST:
        raise PersonError(f"{path}: larger than {LARGEST // 1024 // 1024} MiB, which no scenario is")
    try:
        return Order(read_text(content.decode("utf-8-sig"), str(path)), path, content, by_pipe=True)
    except UnicodeDecodeError:
        raise PersonError(f"{path}: not UTF-8 text") from None


def planned(path: Path) -> Order:
    """The scenario of a plan that was kept."""
    from netemu.lab.plan import read_plan
    from netemu.scenario import read_text

    plan = read_plan(path)
    return Order(
        read_text(plan.scenario, plan.source), Path(plan.source), plan.scenario.encode(), fingerprint=plan.fingerprint
    )
