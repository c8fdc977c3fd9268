"""netemu on Debian's own kernel: a scenario of ours comes up there, is proved with packets, and goes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from harness import Lab

from netemu.verify.prove import verify

SCENARIO = Path(__file__).parents[2] / "scenarios" / "three-tier.yaml"


@pytest.mark.kernel_feature("debian")
def test_three_tiers_come_up_are_proved_come_up_again_and_go(single: Callable[[str], Lab]) -> None:
    text = re.sub(r"(?m)^name: .*\n", "", SCENARIO.read_text())
    lab = single(text)
    results = list(verify(lab.network, {node: lab.namespace(node) for node in lab.folder.nodes()}))
    assert len(results) >= 12
    assert [result.title for result in results if not result.passed] == []
    assert lab.up(text) == "unchanged"
    # A real connection, through the kernel's own TCP, from the internet to the web tier; and one that is denied.
    assert lab.tcp("visitor", "web-ip", 8081, at="web1").arrived is False
    assert lab.run("visitor", "curl", "-s", "-m", "20", f"http://{lab.address('web-ip')}").returncode == 0
