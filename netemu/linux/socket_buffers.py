"""Large socket buffers: as large as asked for as root, as large as the machine permits in a user namespace.

SO_RCVBUFFORCE and SO_SNDBUFFORCE are for the machine's root only (EPERM in a user namespace, socket(7)); SO_RCVBUF and
SO_SNDBUF give what is asked for up to net.core.rmem_max and net.core.wmem_max, and say nothing when that is less.
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

SO_RCVBUFFORCE = 33
LARGEST = 1 << 28
"""More than any ruleset takes."""
Opened = TypeVar("Opened")


def receive_up_to(opened: socket.socket, size: int) -> None:
    """Let the kernel keep `size` bytes for us, or as many as it permits."""
    try:
        opened.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, size)
    except PermissionError:
        opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, size)


def send_large(make: Callable[[], Opened]) -> Opened:
    """What `make` returns, with a large send buffer for the netlink socket that it opens, which it does not show us.

    libnftables 1.0.6 asks for SO_SNDBUFFORCE only; refused, it keeps net.core.wmem_default, and a transaction larger
    than that fails with EMSGSIZE: about 500 rules. The calling process must have one thread.
    """
    free = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC)
    os.close(free)  # the next descriptor has this number
    made = make()
    with contextlib.suppress(OSError), socket.socket(fileno=os.dup(free)) as opened:
        if opened.family == socket.AF_NETLINK:
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LARGEST)
    return made


def largest_transaction() -> int:
    """Bytes that one netlink message may have without the machine's root: twice net.core.wmem_max (socket(7))."""
    return 2 * int(Path("/proc/sys/net/core/wmem_max").read_text())
