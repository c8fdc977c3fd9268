"""`netemu up FILE` with a stopwatch: from the moment when it knows what differs to when nftables has taken it.

Prints the milliseconds, and those of exchanging the one rule of a chain in the same ruleset by hand.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable
from typing import Any

from netemu.cli.start import main
from netemu.lab.folder import LabFolder
from netemu.linux import nftables
from netemu.linux.reconcile import Reconciler

file, chain = sys.argv[1:]
decided: list[float] = []
loaded: list[float] = []


def noted(action: Callable[..., Any], before: list[float] | None, after: list[float] | None) -> Callable[..., Any]:
    """The same action, noting when it began or ended."""

    def act(*arguments: Any) -> Any:
        if before is not None:
            before.append(time.perf_counter())
        result = action(*arguments)
        if after is not None:
            after.append(time.perf_counter())
        return result

    return act


Reconciler.apply = noted(Reconciler.apply, decided, None)  # type: ignore[method-assign]
nftables.Handle.apply = noted(nftables.Handle.apply, None, loaded)  # type: ignore[method-assign]
sys.argv = ["netemu", "up", file]
try:
    main()
except SystemExit as ended:
    if ended.code:
        raise

taken = min(moment for moment in loaded if moment > decided[0])  # before that, drift is looked for elsewhere
fabric = os.open(LabFolder("bench").namespace("@fabric"), os.O_RDONLY)
loaded.clear()
start = time.perf_counter()
nftables.apply(fabric, f"flush chain ip netemu {chain}\nadd rule ip netemu {chain} counter drop")
print((taken - decided[0]) * 1000, (loaded[0] - start) * 1000)
