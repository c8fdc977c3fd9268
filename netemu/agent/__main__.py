"""`python -m netemu.agent LAB`."""

from __future__ import annotations

import sys

from netemu.agent.supervise import run

run(sys.argv[1])
