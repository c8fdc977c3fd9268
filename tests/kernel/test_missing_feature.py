"""A kernel without a feature is told in one line, with the feature's name and how to get it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from netemu.errors import SystemRefusal
from netemu.lab import doctor
from netemu.lab.folder import LabFolder
from netemu.lab.source import Order
from netemu.lab.up import up
from netemu.linux import nftables
from netemu.scenario import read_text

TEXT = """
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {s: {addressPrefix: 10.0.0.0/24}}}}
virtualMachines: {vm: {subnet: net/s}}
"""


def test_a_ruleset_that_the_kernel_cannot_have_names_the_missing_feature_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(handle: nftables.Handle, ruleset: str) -> None:
        raise nftables.RulesetError("Error: Could not process rule: Operation not supported")

    feature = next(key for key, value in doctor.KERNEL.items() if "NAT" in value.name)
    monkeypatch.setenv("NETEMU_STATE_DIR", str(tmp_path / "state"))
    monkeypatch.setattr(nftables.Handle, "apply", refuse)
    monkeypatch.setattr(doctor, "probe_kernel", lambda: {feature: doctor.Answer(doctor.MISSING)})
    file = tmp_path / "lab.yaml"
    file.write_text(f"name: lacking{os.getpid()}\n{TEXT}")
    scenario = read_text(file.read_text(), str(file))
    with pytest.raises(SystemRefusal) as refusal:
        up(Order(scenario, file, file.read_bytes()), lambda *_: None, lambda _: None)
    message = str(refusal.value)
    assert "this kernel lacks nftables: NAT (get it by: " in message
    assert message.endswith("nothing was left behind")
    assert refusal.value.exit_code == 3
    assert not LabFolder(scenario.name).path.exists()
