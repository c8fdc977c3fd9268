"""Lets these tests use the vocabulary of the tests of Azure's rules, `azure_networks`."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "azure"))
