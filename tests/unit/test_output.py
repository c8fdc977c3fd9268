"""Output for people and for programs."""

from __future__ import annotations

import pytest

from netemu.cli.output import emit


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_names_that_are_not_utf_8_are_shown_all_the_same(form: str, capsys: pytest.CaptureFixture[str]) -> None:
    emit({"file": b"caf\xe9.yaml".decode(errors="surrogateescape")}, form)
    assert "caf\ufffd.yaml" in capsys.readouterr().out
