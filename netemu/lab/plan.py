"""What `up` would do, on two floors: Azure's resources and the kernel's objects. A plan can be kept and carried out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

import netemu
from netemu.azure.changes import ResourceChange, azure_changes
from netemu.azure.resources import Scenario
from netemu.errors import NetemuError, PersonError
from netemu.lab.folder import LabFolder
from netemu.lab.present import is_there
from netemu.lab.requirements import require_root
from netemu.lab.survey import desire, fingerprint, survey
from netemu.linux.describe import change_text
from netemu.linux.difference import Change, Whole

PLAN_VERSION = 1


class Plan(Struct, frozen=True):
    """A plan, as `netemu plan --out` writes it."""

    version: int
    netemu: str
    lab: str
    source: str
    """Absolute path of the scenario file that the plan was made from."""
    scenario: str
    """Its text."""
    azure: tuple[ResourceChange, ...]
    kernel: tuple[str, ...]
    """One line for each object of the kernel."""
    fingerprint: str
    """Of everything that would be done, in full: equal ones do the same to the same."""

    def __bool__(self) -> bool:
        return bool(self.azure or self.kernel)


def make_plan(scenario: Scenario, source: Path, text: str) -> Plan:
    """Compare a scenario with the lab of its name, as it really is. Changes nothing; takes no lock."""
    folder = LabFolder(scenario.name)
    folder.refuse_foreign()
    record = folder.read() if folder.is_mounted() else None
    desired = desire(scenario, folder)
    old: Scenario | None = None
    if record is not None and is_there(folder, record):
        require_root("plan")
        found = survey(desired, folder, record)
        changes, print_of = found.changes, fingerprint(desired.lab, found)
        old = _running(folder)
    else:
        changes = [Change(name, "+", Whole(name)) for name in desired.lab.namespaces]
        print_of = fingerprint(desired.lab, None)
    return Plan(
        PLAN_VERSION, netemu.__version__, scenario.name, str(source.absolute()), text,
        tuple(azure_changes(old, scenario)), tuple(change_text(change) for change in changes), print_of,
    )  # fmt: skip


def _running(folder: LabFolder) -> Scenario | None:
    """The scenario that the lab was built from; None when that cannot be read any more."""
    from netemu.scenario import read_scenario

    try:
        return read_scenario(folder.scenario)
    except NetemuError:
        return None


def plan_data(plan: Plan) -> dict[str, Any]:
    """A plan for `-o json`: resources as `netemu.plan` describes them, and a line for each object of the kernel."""
    return {"lab": plan.lab, "resources": msgspec.to_builtins(plan.azure), "kernel": list(plan.kernel)}


def write_plan(plan: Plan, path: Path) -> None:
    """Keep a plan for `up --plan-file`."""
    try:
        path.write_bytes(msgspec.json.format(msgspec.json.encode(plan)))
    except OSError as error:
        raise PersonError(f"{path}: {error.strerror}") from error


def read_plan(path: Path) -> Plan:
    """Read a plan that `netemu plan --out` has written."""
    try:
        plan = msgspec.json.decode(path.read_bytes(), type=Plan)
    except OSError as error:
        raise PersonError(f"{path}: {error.strerror}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise PersonError(f"{path}: not a plan of `netemu plan --out` ({error})") from error
    if plan.version != PLAN_VERSION or plan.netemu != netemu.__version__:
        raise PersonError(f"{path}: the plan was made by netemu {plan.netemu}; make a new one with `netemu plan`")
    return plan
