"""Tells both ends of an idle TCP connection by a reset, where its load-balancing rule says so (LB-23).

The kernel forgets the connection; we hear of it and reset what is left of it at both ends. It looks for connections
that are due only now and then, and at all of them when somebody asks for a list: so somebody does.
"""

from __future__ import annotations

import contextlib
import os
import select
import time

from msgspec import Struct

from netemu.compile.numbering import ANSWERED, LINK_MAC, MEMBER_MASK, RULE_MASK, RULE_SHIFT
from netemu.lab.folder import LabFolder
from netemu.linux import conntrack
from netemu.linux.conntrack import Connection, Endings
from netemu.linux.state import Balancing
from netemu.linux.tcp_reset import Peer, reset

PARTS = 8
"""A connection is noticed within such a part of its idle time."""
SHORTEST, LONGEST = 0.1, 5.0
"""Bounds of that, in seconds."""
OPEN = (conntrack.TCP_ESTABLISHED, conntrack.TCP_CLOSE_WAIT)
"""What is left of other connections is not worth a reset."""


class _Director(Struct):
    """A namespace that is watched."""

    descriptor: int
    endings: Endings
    balancing: Balancing

    def close(self) -> None:
        self.endings.close()
        os.close(self.descriptor)


class Idleness:
    """The connections of a lab's load balancers, for a thread of its own."""

    def __init__(self, folder: LabFolder) -> None:
        self.folder = folder
        self.directors: list[_Director] = []
        self._wakeup, self._told = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)

    def reload(self) -> None:
        """Have the rules read again."""
        with contextlib.suppress(BlockingIOError):
            os.write(self._told, b"!")

    def run(self) -> None:
        """For ever."""
        self.open()
        while True:
            self.turn()

    def open(self) -> None:
        """Watch what there is to be watched."""
        for director in self.directors:
            director.close()
        self.directors = []
        for node, balancing in self.folder.applied().balancing.items():
            if balancing.resets:
                with contextlib.suppress(FileNotFoundError):  # `down` is at work
                    descriptor = os.open(self.folder.namespace(node), os.O_RDONLY | os.O_CLOEXEC)
                    self.directors.append(_Director(descriptor, Endings(descriptor), balancing))

    def turn(self) -> None:
        """Wait for connections to end, or for the time to look for them; reset those that were idle."""
        times = [seconds for director in self.directors for seconds in director.balancing.resets.values()]
        pause = min(max(min(times) / PARTS, SHORTEST), LONGEST) if times else None
        deadline = time.monotonic() + pause if pause is not None else None
        watched = [self._wakeup, *(director.endings.fileno() for director in self.directors)]
        while True:
            patience = None if deadline is None else max(0.0, deadline - time.monotonic())
            ready = select.select(watched, [], [], patience)[0]
            for director in self.directors:
                self._reset(director)
            if self._wakeup in ready:
                os.read(self._wakeup, 4096)
                self.open()
                return
            if not ready:
                break
        for director in self.directors:
            conntrack.notice_expiry(director.descriptor)
            self._reset(director)

    def _reset(self, director: _Director) -> None:
        peers = [peer for ended in director.endings.read() for peer in _peers(ended, director.balancing)]
        if peers:
            reset(director.descriptor, peers, LINK_MAC)


def _peers(ended: Connection, balancing: Balancing) -> list[Peer]:
    """The backend and the client of a connection, if they are to be told."""
    ways = balancing.ways.get(ended.mark & MEMBER_MASK)
    rule = (ended.mark & RULE_MASK) >> RULE_SHIFT
    if rule not in balancing.resets or ended.tcp_state not in OPEN or not ended.mark & ANSWERED or ways is None:
        return []
    way, reply = ended.way, ended.reply
    return [
        Peer(ways[0], way.source, way.source_port, reply.source, reply.source_port),
        Peer(ways[1], way.destination, way.destination_port, way.source, way.source_port),
    ]
