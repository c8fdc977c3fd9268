"""What a machine must have before anything is touched."""

from __future__ import annotations

import os

from netemu.errors import SystemRefusal
from netemu.linux.user_namespaces import Standing, standing


def has_root() -> bool:
    """Have we the rights to make and enter namespaces and mounts, be it in a user namespace?"""
    return standing() is not Standing.ORDINARY


def require_root(command: str) -> None:
    """Refuse without those rights."""
    if not has_root():
        raise SystemRefusal(f"`netemu {command}` makes network namespaces, which needs root; run it with sudo")


def find_tool(name: str) -> str | None:
    """The path of a program, be it one that only root's PATH has."""
    for directory in [*os.environ.get("PATH", "").split(":"), "/usr/sbin", "/sbin"]:
        path = os.path.join(directory, name)
        if os.access(path, os.X_OK):
            return path
    return None


def require_tool(name: str, package: str, purpose: str) -> str:
    """The path of a program that a lab needs."""
    path = find_tool(name)
    if path is not None:
        return path
    raise SystemRefusal(f"{name} is missing: {purpose}; install it with `apt-get install {package}`")


def require_library() -> None:
    """Refuse without nf_tables in the kernel or libnftables, which the nftables binding loads."""
    from netemu.linux.build import require_netfilter

    try:
        require_netfilter()
    except OSError as error:
        raise SystemRefusal(
            f"the kernel gives no netfilter socket ({error.strerror}); nf_tables is needed (CONFIG_NF_TABLES)"
        ) from error
    try:
        import nftables

        nftables.Nftables()
    except (OSError, ImportError) as error:
        raise SystemRefusal(
            f"libnftables cannot be loaded ({error}); install it with `apt-get install libnftables1`"
        ) from error
