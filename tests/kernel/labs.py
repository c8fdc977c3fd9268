"""Labs for tests with packets: brought up when a module needs one, and always taken down."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import Lab

_numbers = itertools.count(1)


def _laboratory(directory: Path) -> Iterator[Callable[[str], Lab]]:
    labs: list[Lab] = []

    def start(text: str) -> Lab:
        lab = Lab(text, f"t{os.getpid()}-{next(_numbers)}", directory)
        labs.append(lab)
        return lab

    before = os.environ.get("NETEMU_STATE_DIR")
    os.environ["NETEMU_STATE_DIR"] = str(directory / "state")
    try:
        yield start
    finally:
        os.environ["NETEMU_STATE_DIR"] = str(directory / "state")
        for lab in labs:
            lab.down()
        if before is None:
            del os.environ["NETEMU_STATE_DIR"]
        else:
            os.environ["NETEMU_STATE_DIR"] = before


@pytest.fixture(scope="session")
def _state(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("labs")


@pytest.fixture(scope="module")
def laboratory(_state: Path) -> Iterator[Callable[[str], Lab]]:
    """Bring labs up from YAML without a name; they share nothing with other labs but the machine."""
    yield from _laboratory(_state)


@pytest.fixture
def single(_state: Path) -> Iterator[Callable[[str], Lab]]:
    """The same, for a lab that only one test uses."""
    yield from _laboratory(_state)
