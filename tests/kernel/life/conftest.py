"""Machines to run netemu on."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from host import Host


@pytest.fixture
def host() -> Iterator[Host]:
    """A machine of the test's own, with a directory that everybody may read."""
    with tempfile.TemporaryDirectory() as directory:
        Path(directory).chmod(0o755)
        machine = Host(Path(directory))
        yield machine
        machine.close()
