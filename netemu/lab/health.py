"""The health of load balancers' backends: who is down is kept in the lab's folder, and carried out at once.

A change of health is some elements of maps, some weights, some flows that end; never a rule, never a ruleset. `up` and
`status` know what is kept, so for them it is no difference; and they keep to it when they make anything anew.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from msgspec import Struct

from netemu.errors import SystemRefusal
from netemu.lab.folder import Health, LabFolder, Lock
from netemu.linux import conntrack, nftables
from netemu.linux.balancing import (
    down_of,
    forgotten,
    live_refresh,
    live_text,
    live_transaction,
    watched_by,
    weighing,
)
from netemu.linux.ipvs import IPVS
from netemu.linux.namespaces import entered
from netemu.linux.services import lead
from netemu.linux.state import Applied, Balancing, Down, Lab, Loaded


class Report(Struct, frozen=True):
    """What is known of one member."""

    load_balancer: str
    probe: str
    member: str
    """`<NIC>/<IP configuration>`."""
    up: bool


def add_health(lab: Lab, folder: LabFolder) -> None:
    """Say which members are down now: what health decides is compared, too, and is no difference by itself."""
    balancing = [namespace.balancing for namespace in lab.namespaces.values() if namespace.balancing is not None]
    lab.down = down_of(balancing, folder.health().sick()) if balancing else {}


def set_backend_state(folder: LabFolder, load_balancer: str, probe: str, member: str, up: bool) -> bool:
    """Take a backend out of the rotation of the rules with that probe, or bring it back. Whether that was news."""
    return set_backend_states(folder, [Report(load_balancer, probe, member, up)])


def set_backend_states(folder: LabFolder, reports: Iterable[Report]) -> bool:
    """The same for several at once. Waits for an `up` that is at work; raises SystemRefusal when the lab is gone.

    A member that no rule knows any more, or not yet, is kept all the same: `up` may be about to add it.
    """
    with Lock(folder.name, patient=True):
        if folder.read() is None:
            raise SystemRefusal(f"lab {folder.name} is gone")
        before = folder.health()
        after = Health({watch: list(members) for watch, members in before.down.items()})
        for report in reports:
            watch = f"{report.load_balancer}/{report.probe}"
            members = after.down.setdefault(watch, [])
            if report.up and report.member in members:
                members.remove(report.member)
            elif not report.up and report.member not in members:
                members.append(report.member)
        after.down = {watch: members for watch, members in after.down.items() if members}
        if after.sick() == before.sick():
            return False
        _carry_out(folder, before, after)
        folder.write_health(after)
        return True


def _carry_out(folder: LabFolder, before: Health, after: Health) -> None:
    applied = folder.applied()
    for node, balancing in applied.balancing.items():
        old, new = down_of([balancing], before.sick()), down_of([balancing], after.sick())
        if old != new:
            _change(folder, applied, node, balancing, old, new)


def _change(folder: LabFolder, applied: Applied, node: str, balancing: Balancing, old: Down, new: Down) -> None:
    descriptor = os.open(folder.namespace(node), os.O_RDONLY | os.O_CLOEXEC)
    try:
        unseen = nftables.generation(descriptor) == applied.generations.get(node)
        if balancing.services:
            with entered(descriptor):
                _weigh(balancing, old, new)
        text = live_transaction(balancing, old, new)
        if text:
            try:
                nftables.apply(descriptor, text)
            except nftables.RulesetError:  # somebody has altered the maps, or a crash came between them and the record
                nftables.apply(descriptor, live_refresh(balancing, new))
                unseen = False
        conntrack.forget(descriptor, forgotten(balancing, old, new))
        if text and unseen:
            rest = applied.rulesets[node].removeprefix(live_text(balancing, old))
            folder.write_loaded(node, Loaded(live_text(balancing, new) + rest, nftables.generation(descriptor)))
    finally:
        os.close(descriptor)


def _weigh(balancing: Balancing, old: Down, new: Down) -> None:
    try:
        with IPVS() as kernel:
            kernel.carry_out(weighing(balancing, old, new))
    except OSError:  # somebody has altered the services, or a crash came between them and the record
        lead(balancing, new)


def prune(folder: LabFolder, lab: Lab) -> None:
    """Forget the health of those that no rule of the lab knows any more."""
    health = folder.health()
    known = {
        (watched_by(group), label)
        for namespace in lab.namespaces.values()
        if namespace.balancing is not None
        for group in namespace.balancing.groups
        for label in group.labels
    }
    down: dict[str, list[str]] = {}
    for watch, member in health.sick() & known:
        down.setdefault(watch, []).append(member)
    if health.sick() - known:
        folder.write_health(Health(down))
