"""Prints, as JSON, everything of a host that netemu must leave as it is. Runs inside the host."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

CHANGES_BY_ITSELF = ("nf_conntrack_count", "/random", "stable_secret", "/nf_log")
DIRECTORIES = ("/run", "/etc", "/var/run", "/dev/shm")


def said(*argv: str) -> str:
    """What a command says."""
    return subprocess.run(argv, capture_output=True, text=True, check=True).stdout


def sysctls() -> dict[str, str]:
    """Every value under /proc/sys/net."""
    values = {}
    for directory, _, names in os.walk("/proc/sys/net"):
        for name in names:
            path = f"{directory}/{name}"
            if not any(word in path for word in CHANGES_BY_ITSELF):
                try:
                    values[path] = Path(path).read_text()
                except OSError:
                    continue
    return values


def files() -> list[str]:
    """Every file with mode, owner, size and target."""
    found = []
    for top in DIRECTORIES:
        for directory, names, others in os.walk(top):
            for name in (*names, *others, "."):
                path = f"{directory}/{name}"
                status = os.lstat(path)
                size = status.st_size if os.path.isfile(path) and not path.endswith((".log", ".netemu-lock")) else 0  # a process id has as many digits as it has
                target = os.readlink(path) if os.path.islink(path) else ""
                found.append(f"{path} {status.st_mode:o} {status.st_uid} {size} {target}")
    return sorted(found)


def processes() -> list[str]:
    """Every process but this one and the zombies."""
    found = []
    for entry in os.listdir("/proc"):
        if entry.isdigit() and int(entry) not in (os.getpid(), os.getppid()):
            try:
                state = Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[0]
                if state != "Z":
                    found.append(f"{entry} {Path(f'/proc/{entry}/cmdline').read_text()}")
            except OSError:
                continue
    return sorted(found)


def mounts() -> list[str]:
    """Every mount that we see."""
    return sorted(Path("/proc/self/mountinfo").read_text().splitlines())


sys.stdout.write(
    json.dumps(
        {
            "processes": processes(),
            "links": said("ip", "-d", "link"),
            "addresses": said("ip", "address"),
            "routes": said("ip", "-4", "route", "show", "table", "all") + said("ip", "-6", "route", "show", "table", "all"),
            "rules": said("ip", "-4", "rule") + said("ip", "-6", "rule"),
            "neighbours": said("ip", "neigh"),
            "ruleset": said("nft", "list", "ruleset"),
            "sysctls": sysctls(),
            "mounts": mounts(),
            "files": files(),
        }
    )
)
