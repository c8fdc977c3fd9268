"""Where the harness is, and its labs."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from labs import _state, laboratory, single

__all__ = ["_state", "laboratory", "single"]
