"""Where the program begins.

`netemu up FILE` is run again and again, by people and by their scripts, mostly with nothing to do. That is told before
the command line is parsed in earnest: importing what parses it would take an eighth of the time.
"""

from __future__ import annotations

import gc
import os
import sys
from pathlib import Path


def main() -> None:
    """Run the command line."""
    words = sys.argv[1:]
    if len(words) == 2 and words[0] == "up" and not words[1].startswith("-"):
        gc.disable()  # a large lab is a million objects and hardly any garbage; this process ends soon
        if (lab := unchanged_lab(Path(words[1]))) is not None and _is_said(f"{lab} is up as described; nothing to do"):
            os._exit(0)  # all that is left to do is to free those objects

    from netemu.cli.main import main as run

    run()


def unchanged_lab(file: Path) -> str | None:
    """The name of the lab that is up just as a file says, when that can be told without compiling it."""
    from netemu.lab.unchanged import unchanged

    try:
        folder = unchanged(file.read_bytes()) if file.is_file() else None
    except (OSError, ValueError):
        return None  # which reading it in earnest will explain
    return folder.name if folder is not None else None


def _is_said(line: str) -> bool:
    try:
        sys.stdout.write(line + "\n")
        sys.stdout.flush()
    except OSError:
        return False  # which the command itself will explain
    return True
