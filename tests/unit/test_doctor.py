"""doctor: what a machine has, what is missing, and what it says about it."""

from __future__ import annotations

import errno
import json
import os
import subprocess
from pathlib import Path

import pytest
from click.testing import CliRunner

from netemu.cli.machine import doctor_command
from netemu.errors import SystemRefusal
from netemu.lab import doctor
from netemu.linux import features, netlink_probes
from netemu.linux.features import Answer, MissingError, UnknownError


def answer_all(monkeypatch: pytest.MonkeyPatch, **different: Answer) -> None:
    """Let every probe be present but these."""
    answers = dict.fromkeys(doctor.KERNEL, Answer("present")) | {
        name.replace("_", "-"): answer for name, answer in different.items()
    }
    monkeypatch.setattr(doctor, "probe_kernel", lambda: answers)


def test_every_probe_has_a_purpose_and_every_purpose_a_probe() -> None:
    assert set(features.nothing_can_be_probed("x")) == set(doctor.KERNEL)


def test_every_row_says_what_its_absence_costs_and_how_to_get_it() -> None:
    for feature in doctor.KERNEL.values():
        assert feature.need in ("needed", "optional")
        assert feature.cost
        assert feature.remedy or feature.option


def test_a_machine_with_everything_needed_is_fine(monkeypatch: pytest.MonkeyPatch) -> None:
    answer_all(monkeypatch, wireguard=Answer("missing", "unknown interface type"))
    done = CliRunner().invoke(doctor_command)
    assert done.exit_code == 0, done.output
    assert "all that netemu needs is here" in done.output
    assert "WireGuard (missing): WireGuard inside a VM needs wireguard-go" in done.output
    assert "modprobe wireguard" in done.output
    assert "a kernel that has everything, without root: netemu boot" in done.output


def test_a_machine_that_lacks_nothing_is_not_sent_to_another_kernel(monkeypatch: pytest.MonkeyPatch) -> None:
    answer_all(monkeypatch)
    monkeypatch.setattr(doctor.user_namespaces, "why_not", lambda: "")
    assert "netemu boot" not in CliRunner().invoke(doctor_command).output


def test_a_needed_feature_that_is_missing_is_a_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    answer_all(monkeypatch, nftables_nat=Answer("missing", "No such file or directory"))
    done = CliRunner().invoke(doctor_command)
    assert done.exit_code == 3
    assert "nftables: NAT (missing): no lab can be brought up" in done.output
    assert "modprobe nft_chain_nat, or a kernel with CONFIG_NFT_NAT" in done.output
    assert "labs cannot be brought up on this machine yet" in done.output


def test_what_could_not_be_probed_is_said_and_is_no_refusal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "probe_kernel", lambda: features.nothing_can_be_probed("needs root"))
    done = CliRunner().invoke(doctor_command)
    assert done.exit_code == 0
    assert "veth (unknown)" in done.output
    assert "run doctor as root" in done.output


def test_a_tool_that_is_needed_and_missing_comes_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    answer_all(monkeypatch)

    def refuse(*_: object) -> str:
        raise SystemRefusal("missing")

    monkeypatch.setattr(doctor, "require_tool", refuse)
    done = CliRunner().invoke(doctor_command)
    assert done.exit_code == 3
    assert "apt-get install unbound" in done.output


def test_a_machine_that_forbids_labs_without_root_says_which_setting_and_is_no_refusal(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    answer_all(monkeypatch)
    monkeypatch.setattr(doctor.user_namespaces, "why_not", lambda: "user.max_user_namespaces=0 forbids them")
    done = CliRunner().invoke(doctor_command)
    assert done.exit_code == 0
    assert "labs without root (missing): an ordinary user cannot bring labs up" in done.output
    assert "user.max_user_namespaces=0 forbids them" in done.output


def test_what_labs_without_root_do_without_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor.user_namespaces, "why_not", lambda: "")
    monkeypatch.setattr(doctor, "largest_transaction", lambda: 425_984)
    monkeypatch.setattr("shutil.which", lambda _: None)
    row = doctor._without_root()
    assert row.state == "present"
    assert "rulesets of at most 416 kB (net.core.wmem_max)" in row.detail
    assert "programs cannot become other users (apt-get install uidmap)" in row.detail
    monkeypatch.setattr("shutil.which", lambda name: f"/usr/bin/{name}")
    assert "uidmap" not in doctor._without_root().detail


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_programs_can_read_it(monkeypatch: pytest.MonkeyPatch, form: str) -> None:
    import yaml

    answer_all(monkeypatch)
    done = CliRunner().invoke(doctor_command, ["-o", form])
    rows = json.loads(done.output) if form == "json" else yaml.safe_load(done.output)
    assert {row["kind"] for row in rows} == {"kernel", "tool", "python", "limit"}
    assert set(rows[0]) == {"name", "kind", "need", "state", "detail", "cost", "remedy"}


def test_a_failed_up_is_explained_by_what_the_kernel_lacks(monkeypatch: pytest.MonkeyPatch) -> None:
    answer_all(monkeypatch)
    assert doctor.explain_missing(OSError("no")) == ""
    answer_all(monkeypatch, veth=Answer("missing"), vrf=Answer("missing"))
    text = doctor.explain_missing(OSError("web1: link eth0"))
    assert text.startswith("web1: link eth0; this kernel lacks veth (get it by: modprobe veth")
    assert "VRF" not in text
    assert "\n" not in text


def test_limits_count_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("resource.getrlimit", lambda _: (1024, 4096))
    monkeypatch.setattr(doctor, "_available_memory", lambda: 3 << 30)
    details = {row.name: row.detail for row in doctor._limits()}
    assert details["open files"] == "4096: labs of at most 4032 VMs"
    assert details["free memory"].startswith("3072 MB: about 10485 VMs")


def test_this_machine_has_what_is_needed_and_keeps_nothing_of_the_probes() -> None:
    def trace() -> tuple[list[str], list[str], str]:
        links = sorted(os.listdir("/sys/class/net"))
        mounts = Path("/proc/self/mountinfo").read_text().splitlines()
        # Labs of others come and go meanwhile.
        mounts = [line for line in mounts if " - tmpfs netemu:" not in line and " - nsfs " not in line]
        return links, mounts, Path("/proc/net/route").read_text()

    before = trace()
    answers = doctor.probe_kernel()
    assert trace() == before
    lacking = {key: answer for key, answer in answers.items() if answer.state != "present"}
    assert not {key: answer for key, answer in lacking.items() if doctor.KERNEL[key].need == "needed"}


def test_without_rights_the_kernel_is_probed_in_a_user_namespace_or_not_at_all() -> None:
    without = ["setpriv", "--bounding-set=-all", "--inh-caps=-all", "--no-new-privs"]
    import sys

    done = subprocess.run(
        [*without, sys.executable, "-m", "netemu.linux.features"],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2],
    )  # fmt: skip
    answers = json.loads(done.stdout)
    assert set(answers) == set(doctor.KERNEL)
    assert answers["veth"]["state"] in ("present", "unknown")
    assert answers["nftables"]["state"] in ("present", "unknown")


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (MissingError("no such kind"), Answer("missing", "no such kind")),
        (UnknownError("needs root"), Answer("unknown", "needs root")),
        (PermissionError(errno.EPERM, "Operation not permitted"), Answer("unknown", "needs root")),
        (OSError(errno.EOPNOTSUPP, "Operation not supported"), Answer("missing", "Operation not supported")),
    ],
)
def test_what_a_probe_raises_becomes_an_answer(raised: Exception, expected: Answer) -> None:
    def probe() -> None:
        raise raised

    assert features._ask(probe) == expected


def test_a_security_association_has_the_size_that_the_kernel_checks(monkeypatch: pytest.MonkeyPatch) -> None:
    sent: list[bytes] = []
    monkeypatch.setattr(netlink_probes, "_request", lambda *arguments: sent.append(arguments[3]) or 0)
    assert netlink_probes.esp() == 0
    assert len(sent[0]) == 224 + 4 + 64 + 8 + 20
