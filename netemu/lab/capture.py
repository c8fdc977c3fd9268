"""Shows or records the packets of a node of a lab, until a signal, a count, a reader that leaves or the node's end."""

from __future__ import annotations

import contextlib
import difflib
import os
import platform
import select
import signal
import socket
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from msgspec import Struct

import netemu
from netemu.azure.network import Network
from netemu.compile.numbering import FABRIC, number
from netemu.errors import NetemuError, PersonError, SystemRefusal
from netemu.lab.enter import node
from netemu.lab.folder import LabFolder
from netemu.lab.requirements import require_root
from netemu.lab.source import network_of
from netemu.linux import capture as packets
from netemu.linux import packet_filter, processes
from netemu.linux.packet_line import describe
from netemu.linux.pcapng import LINKTYPE_ETHERNET, PcapngWriter

MOUNTS = Path("/proc/self/mountinfo")
"""Polls as an error whenever a mount comes or goes: then the node may have gone."""
SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Point(Struct, frozen=True):
    """Where to listen: a node, and its interfaces with their link types and what the scenario calls them."""

    lab: str
    machine: str
    linktypes: dict[str, int]
    names: dict[str, str]


def capture(
    folder: LabFolder,
    interface: str,
    expression: str,
    target: str | None,
    count: int | None,
    write_line: Callable[[str], None],
) -> int:
    """Capture at `interface` (`VM` or `VM/NIC`) what matches a tcpdump filter; returns how many packets.

    Without `target`, a line for each packet goes to `write_line`; else pcapng goes to that file, `-` being standard
    output. Ends quietly with Ctrl-C, SIGTERM, after `count` packets, when the reader of the output leaves, and when
    the node is taken down.
    """
    require_root("capture")
    machine, _, nic = interface.partition("/")
    path = folder.namespace(node(folder, machine))
    namespace = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        point = _point(folder, machine, nic, packets.linktypes(namespace))
        tap = _tap(namespace, point, expression)
    finally:
        os.close(namespace)
    with tap, contextlib.ExitStack() as stack:
        identity = processes.identity(path)

        def gone() -> bool:
            with contextlib.suppress(OSError):
                if processes.identity(path) == identity:
                    return False
            sys.stderr.write(f"{machine} has gone\n")
            return True

        output = _Lines(point, write_line) if target is None else stack.enter_context(_recording(target, point))
        try:
            seen = _run(tap, interface, output, count, gone)
            output.close(tap.dropped())
        except BrokenPipeError:
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # so that nothing complains while we exit
            seen = output.seen
        return seen


def _tap(namespace: int, point: Point, expression: str) -> packets.Tap:
    try:
        return packets.Tap(namespace, point.linktypes, expression)
    except packet_filter.FilterError as error:
        raise PersonError(f"the filter {expression!r} is not tcpdump's: {error}") from error
    except packet_filter.LibraryMissingError as error:
        raise SystemRefusal(
            "libpcap is missing: it reads capture filters; install it with `apt-get install libpcap0.8`, "
            "or capture without a filter"
        ) from error


# ---- which interfaces ------------------------------------------------------------------------------------------------


def _point(folder: LabFolder, machine: str, nic: str, linktypes: dict[str, int]) -> Point:
    try:
        network = network_of(folder.name)
    except NetemuError:
        network = None  # of a broken lab: its interfaces are there under their own names
    names = _scenario_names(network, machine, folder) if network is not None else {}
    names = {interface: name for interface, name in names.items() if interface in linktypes}
    if not nic:
        if not linktypes:
            raise PersonError(f"{machine} has no network interface")
        return Point(folder.name, machine, linktypes, names)
    by_name = {interface: interface for interface in linktypes} | {name: interface for interface, name in names.items()}
    if nic not in by_name:
        close = difflib.get_close_matches(nic, by_name, 1)
        there = f"did you mean {machine}/{close[0]}?" if close else f"it has {', '.join(names.values() or linktypes)}"
        raise PersonError(f"{machine} of lab {folder.name} has no NIC {nic!r}; {there}")
    chosen = by_name[nic]
    return Point(folder.name, machine, {chosen: linktypes[chosen]}, names)


def _scenario_names(network: Network, machine: str, folder: LabFolder) -> dict[str, str]:
    """Interface in the node to what the scenario calls it."""
    if machine in network.machines:
        return {f"eth{nic.index}": nic.name for nic in network.machines[machine].nics}
    if machine == FABRIC:
        return {port: nic for nic, port in number(network, folder.kept().numbering).port.items()}
    return {}


# ---- output ----------------------------------------------------------------------------------------------------------


class _Lines:
    """A line for each packet."""

    def __init__(self, point: Point, write_line: Callable[[str], None]) -> None:
        self.seen = 0
        self.descriptor = 1
        self._write_line = write_line
        self._linktypes = point.linktypes
        self._width = max(map(len, point.linktypes))

    def write(self, packet: packets.Packet) -> None:
        """Print a packet."""
        seconds, nanoseconds = divmod(packet.nanoseconds, 1_000_000_000)
        clock = f"{time.strftime('%H:%M:%S', time.localtime(seconds))}.{nanoseconds // 1000:06d}"
        direction = "out" if packet.is_outbound else "in "
        text = describe(packet.data, self._linktypes[packet.interface] == LINKTYPE_ETHERNET)
        self._write_line(f"{clock} {packet.interface:{self._width}} {direction} {text}")
        self.seen += 1

    def flush(self) -> None:
        """Lines are flushed as they are written."""

    def close(self, dropped: int) -> None:
        """Say what is missing."""
        if dropped:
            sys.stderr.write(f"{dropped} more came faster than they could be shown\n")


class _Recording:
    """pcapng on a stream."""

    def __init__(self, stream: BinaryIO, point: Point) -> None:
        self.seen = 0
        self.descriptor = stream.fileno()
        self._writer = PcapngWriter(stream, f"netemu {netemu.__version__}", f"Linux {platform.release()}")
        self._numbers = {
            interface: self._writer.add_interface(
                interface,
                f"{point.names.get(interface, interface)} of {point.machine} in lab {point.lab}",
                linktype,
                packets.SNAP_LENGTH,
            )
            for interface, linktype in point.linktypes.items()
        }
        self._received = dict.fromkeys(self._numbers, 0)
        self._writer.flush()

    def write(self, packet: packets.Packet) -> None:
        """Record a packet."""
        number_ = self._numbers[packet.interface]
        self._writer.packet(number_, packet.nanoseconds, packet.data, packet.length, packet.flags)
        self._received[packet.interface] += 1
        self.seen += 1

    def flush(self) -> None:
        """Hand over what was recorded, so that a reader at the other end sees it at once."""
        self._writer.flush()

    def close(self, dropped: int) -> None:
        """End the section with the interfaces' statistics. The kernel counts what it drops for all together."""
        for position, (interface, number_) in enumerate(self._numbers.items()):
            self._writer.statistics(number_, time.time_ns(), self._received[interface], 0 if position else dropped)
        self._writer.flush()
        if dropped:
            sys.stderr.write(f"{dropped} more came faster than they could be written\n")


@contextlib.contextmanager
def _recording(target: str, point: Point) -> Iterator[_Recording]:
    if target == "-":
        if sys.stdout.isatty():
            raise PersonError("pcapng is not for a terminal; redirect standard output, or give a file: -w FILE")
        yield _Recording(sys.stdout.buffer, point)
        return
    try:
        stream = Path(target).open("wb")  # noqa: SIM115 (closed below; its own errors are explained here)
    except OSError as error:
        raise PersonError(f"cannot write {target}: {error.strerror}") from error
    try:
        with stream:
            yield _Recording(stream, point)
    except BrokenPipeError:
        return  # a named pipe whose reader has left
    except OSError as error:
        raise SystemRefusal(f"cannot write {target}: {error.strerror}; what it holds is readable") from error


# ---- the loop --------------------------------------------------------------------------------------------------------


class _Stop:
    """Ends the loop at a signal. A second one ends us even while an output is stuck."""

    def __init__(self) -> None:
        self.reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        self._asked = False
        self._previous: dict[int, object] = {}

    def __enter__(self) -> _Stop:
        self._wakeup = signal.set_wakeup_fd(self._writer.fileno(), warn_on_full_buffer=False)
        for number_ in SIGNALS:
            self._previous[number_] = signal.signal(number_, self._note)
        return self

    def __exit__(self, *exception: object) -> None:
        for number_, handler in self._previous.items():
            signal.signal(number_, handler)  # type: ignore[arg-type]  # what signal.signal() itself returned
        signal.set_wakeup_fd(self._wakeup)
        self.reader.close()
        self._writer.close()

    def _note(self, *_: object) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True


def _run(
    tap: packets.Tap, place: str, output: _Lines | _Recording, count: int | None, gone: Callable[[], bool]
) -> int:
    with _Stop() as stop, MOUNTS.open("rb") as mounts:
        poll = select.poll()
        poll.register(stop.reader, select.POLLIN)
        poll.register(mounts, select.POLLPRI)
        if _can_be_left(output.descriptor):
            poll.register(output.descriptor, 0)  # a reader that leaves is reported without being asked for
        for descriptor in tap.sockets:
            poll.register(descriptor, select.POLLIN)
        if gone():
            return output.seen
        sys.stderr.write(f"capturing at {place}; Ctrl-C stops\n")
        sys.stderr.flush()
        while True:
            ready = dict(poll.poll())
            for descriptor in tap.sockets:
                if descriptor in ready:
                    for packet in tap.receive(descriptor):
                        output.write(packet)
                        if output.seen == count:
                            return output.seen
            output.flush()
            if stop.reader.fileno() in ready or output.descriptor in ready:
                return output.seen
            if mounts.fileno() in ready and gone():
                return output.seen


def _can_be_left(descriptor: int) -> bool:
    """Say whether it is a pipe or a socket, whose other end may close."""
    kind = os.fstat(descriptor).st_mode
    return stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind)
