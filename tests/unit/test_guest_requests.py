"""What a scenario asks of a machine whose modules are not loaded yet."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from netemu.errors import PersonError
from netemu.lab import guest_requests
from netemu.lab.guest_requests import refuse_impossible
from netemu.linux.state import Lab, Namespace


def lab(name: str, *settings: str) -> Lab:
    """A lab of one namespace with settings."""
    return Lab("shop", {name: Namespace(name, settings=dict.fromkeys(settings, "1"))})


@pytest.fixture
def fresh_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    """A kernel that has only what is built in."""
    there = os.path.exists
    monkeypatch.setattr(guest_requests.os.path, "exists", lambda path: "netfilter" not in str(path) and there(path))


@pytest.mark.usefixtures("fresh_kernel")
@pytest.mark.parametrize("name", ["@edge", "web1"])
def test_settings_of_connection_tracking_may_come_with_the_labs_own_rulesets(name: str) -> None:
    refuse_impossible(lab(name, "netfilter/nf_conntrack_udp_timeout"), (), Path())


@pytest.mark.usefixtures("fresh_kernel")
def test_other_settings_of_a_machine_must_be_there() -> None:
    with pytest.raises(PersonError, match=r"virtualMachines/web1/sysctls: this kernel has no net\.ipv4\.nonsense"):
        refuse_impossible(lab("web1", "ipv4/nonsense"), (), Path())
