"""Programs and kernel settings that a scenario asks of this machine, looked at before anything is made."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Collection, Iterator
from pathlib import Path

from netemu.errors import PersonError
from netemu.linux.state import Lab, Namespace

_OF_A_DEVICE = re.compile(r"/(conf|neigh)/[^/]+/")


def refuse_impossible(lab: Lab, hosts: Collection[str], directory: Path) -> None:
    """Refuse programs that are not there and settings that this kernel has not.

    `hosts` are the machines of the internet; `directory` is where programs start.
    """
    wrong = [line for namespace in lab.namespaces.values() for line in _wrong(namespace, hosts, directory)]
    if wrong:
        raise PersonError("\n".join(f"lab {lab.name}: {line}; nothing was changed" for line in wrong))


def _wrong(namespace: Namespace, hosts: Collection[str], directory: Path) -> Iterator[str]:
    where = f"{'internet/hosts' if namespace.name in hosts else 'virtualMachines'}/{namespace.name}"
    for program in namespace.programs:
        wanted = program.argv[0]
        path = directory / wanted
        if shutil.which(path if "/" in wanted else wanted) is None:
            number = errno.EACCES if "/" in wanted and path.exists() else errno.ENOENT
            yield f"{where}/run: cannot start {wanted!r}: {os.strerror(number)}; install it, or correct `run`"
    for name in namespace.settings:
        if where.startswith("virtual") and not _comes_with_a_module(name) and not _is_here(name):
            yield f"{where}/sysctls: this kernel has no net.{name.replace('/', '.')}; correct it"


def _comes_with_a_module(setting: str) -> bool:
    """Is it there once a ruleset that asks for connection tracking has been loaded, as every lab's is?"""
    return setting.startswith("netfilter/nf_conntrack")


def _is_here(setting: str) -> bool:
    return os.path.exists(f"/proc/sys/net/{_anywhere(setting)}")


def _anywhere(setting: str) -> str:
    """A setting of an interface, as every namespace has it: the machine's interfaces are not there yet."""
    kind = _OF_A_DEVICE.search(f"/{setting}")
    if kind is None:
        return setting
    return _OF_A_DEVICE.sub("/conf/all/" if kind[1] == "conf" else "/neigh/lo/", f"/{setting}")[1:]
