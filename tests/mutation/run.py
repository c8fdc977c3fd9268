"""Break the compiler in every way that `mutants` knows, and see that the matrix finds each.

make mutants                       all of them
python tests/mutation/run.py zone  those whose name has the word
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from mutants import MUTANTS, Mutant

HERE = Path(__file__).parent
PACKAGE = HERE.parent.parent / "netemu"
PATIENCE = 120
"""Seconds for one mutant; it takes three."""


class NotApplicableError(Exception):
    """The compiler's text is not what the mutant changes any more; the mutant has to follow it."""


def broken(mutant: Mutant, text: str) -> str:
    """The module with the mistake in it."""
    if mutant.old not in text:
        raise NotApplicableError(f"{mutant.module}: {mutant.name}: its text is not there any more: {mutant.old!r}")
    return text.replace(mutant.old, mutant.new, 1)


def ask(package: Path, mutant: Mutant | None, name: str) -> tuple[int, str]:
    """Disagreements that the matrix finds in the arena with one mutant, or with the compiler as it is; and the first."""
    with tempfile.TemporaryDirectory(prefix="netemu-mutant-") as directory:
        copy = Path(directory) / "netemu"
        shutil.copytree(package, copy, ignore=shutil.ignore_patterns("__pycache__"))
        if mutant is not None:
            module = copy / "compile" / f"{mutant.module}.py"
            module.write_text(broken(mutant, module.read_text()))
        done = subprocess.run(
            [sys.executable, str(HERE / "arena.py"), name, directory],
            env={**os.environ, "PYTHONPATH": directory, "PYTHONDONTWRITEBYTECODE": "1"},
            capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
    if done.returncode != 0:
        return -1, f"it does not run: {done.stderr.strip().splitlines()[-1]}"
    count, _, first = done.stdout.partition(" ")
    return int(count), first.strip()


def run(mutants: Sequence[Mutant | None]) -> Iterator[tuple[Mutant | None, int, str]]:
    """Every mutant with what was found, two at a time; None is the compiler as it is."""
    names = [f"mut{os.getpid()}x{number}" for number in range(len(mutants))]
    with tempfile.TemporaryDirectory(prefix="netemu-mutants-") as directory, ThreadPoolExecutor(2) as pool:
        package = Path(directory) / "netemu"  # somebody may be changing the real one meanwhile
        shutil.copytree(PACKAGE, package, ignore=shutil.ignore_patterns("__pycache__"))
        answers = pool.map(ask, [package] * len(mutants), mutants, names)
        for mutant, (count, first) in zip(mutants, answers, strict=True):
            yield mutant, count, first


def main(words: Sequence[str]) -> None:
    """Print the table; exit 1 when one gets away."""
    if os.geteuid() != 0:
        sys.exit("mutants: needs root: namespaces are made")
    chosen = [mutant for mutant in MUTANTS if all(word in f"{mutant.module} {mutant.name}" for word in words)]
    start = time.monotonic()
    found = 0
    sound = False
    for mutant, count, first in run([None, *chosen]):
        if mutant is None:
            sound = count == 0
            print(f"the compiler as it is: {count} disagreements; {first}", flush=True)
            continue
        found += count > 0
        said = "found  " if count > 0 else "ESCAPED" if count == 0 else "BROKEN "
        print(f"{said}  {mutant.module:<14} {mutant.name}: {count}: {first}"[:200], flush=True)
    print(f"{found} of {len(chosen)} found in {time.monotonic() - start:.0f} s")
    sys.exit(found < len(chosen) or not sound)


if __name__ == "__main__":
    main(sys.argv[1:])
