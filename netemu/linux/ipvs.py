"""IPVS: virtual services and their destinations, in the namespace that a socket belongs to.

Encoded here like `rtnetlink`, for the same reasons; a test decodes these bytes with pyroute2.

Sources: linux/ip_vs.h, linux/genetlink.h.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterable, Iterator

from msgspec import Struct

from netemu.linux import namespaces as ns
from netemu.linux.state import Destination, VirtualService, VirtualTimeouts

NETLINK_GENERIC, GENL_ID_CTRL, CTRL_CMD_GETFAMILY = 16, 16, 3
CTRL_ATTR_FAMILY_ID, CTRL_ATTR_FAMILY_NAME = 1, 2
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP = 0x1, 0x4, 0x300
NLMSG_ERROR, NLMSG_DONE = 2, 3
NESTED = 0x8000
VERSION = 1

NEW_SERVICE, SET_SERVICE, DEL_SERVICE, GET_SERVICE, NEW_DEST, SET_DEST, DEL_DEST, GET_DEST = range(1, 9)
SET_CONFIG, GET_CONFIG = 12, 13
ATTR_SERVICE, ATTR_DEST, ATTR_TIMEOUT_TCP, ATTR_TIMEOUT_TCP_FIN, ATTR_TIMEOUT_UDP = 1, 2, 4, 5, 6
SVC_AF, SVC_PROTOCOL, SVC_ADDR, SVC_PORT, SVC_FWMARK, SVC_SCHED_NAME, SVC_FLAGS, SVC_TIMEOUT, SVC_NETMASK = range(1, 10)
DEST_ADDR, DEST_PORT, DEST_FWD_METHOD, DEST_WEIGHT, DEST_U_THRESH, DEST_L_THRESH = range(1, 7)
DEST_ACTIVE_CONNS, DEST_INACT_CONNS = 7, 8
SVC_F_HASHED = 0x2
"""The kernel's own flag: the service is in its table."""
MASQUERADING = 0
HOST_MASK = 0xFFFFFFFF
DATAGRAM = 65536

_header = struct.Struct("=IHHII").pack
_genl = struct.Struct("=BBH").pack
_u16 = struct.Struct("=H").pack
_u32 = struct.Struct("=I").pack
_be16 = struct.Struct("!H").pack
_be32 = struct.Struct("!I").pack


class IPVSError(OSError):
    """The kernel refused a command; `about` is what the command was for."""

    def __init__(self, code: int, about: object) -> None:
        super().__init__(code, os.strerror(code))
        self.about = about


class Command(Struct, frozen=True):
    """One encoded command; `about` names its object in errors."""

    number: int
    body: bytes
    about: object


class Connections(Struct, frozen=True):
    """What a destination has to do now."""

    active: int
    inactive: int


class Found(Struct, frozen=True):
    """A service as the kernel has it. Destinations are in the kernel's order, in which the schedulers take them."""

    service: VirtualService
    weights: dict[tuple[int, int], int]
    """By address and port."""
    connections: dict[tuple[int, int], Connections]


def _attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", len(data) + 4, kind) + data + bytes(-len(data) % 4)


def _key(item: VirtualService) -> bytes:
    return (
        _attribute(SVC_AF, _u16(socket.AF_INET))
        + _attribute(SVC_PROTOCOL, _u16(item.protocol))
        + _attribute(SVC_ADDR, _be32(item.address) + bytes(12))
        + _attribute(SVC_PORT, _be16(item.port))
    )


def _service(item: VirtualService) -> bytes:
    body = (
        _key(item)
        + _attribute(SVC_SCHED_NAME, item.scheduler.encode() + b"\0")
        + _attribute(SVC_FLAGS, struct.pack("=II", item.flags, HOST_MASK))
        + _attribute(SVC_TIMEOUT, _u32(0))
        + _attribute(SVC_NETMASK, _u32(HOST_MASK))
    )
    return _attribute(ATTR_SERVICE | NESTED, body)


def _destination(item: Destination, weight: int) -> bytes:
    body = (
        _attribute(DEST_ADDR, _be32(item.address) + bytes(12))
        + _attribute(DEST_PORT, _be16(item.port))
        + _attribute(DEST_FWD_METHOD, _u32(MASQUERADING))
        + _attribute(DEST_WEIGHT, _u32(weight))
        + _attribute(DEST_U_THRESH, _u32(0))
        + _attribute(DEST_L_THRESH, _u32(0))
    )
    return _attribute(ATTR_DEST | NESTED, body)


def add_service(item: VirtualService) -> Command:
    """Make a service, without its destinations."""
    return Command(NEW_SERVICE, _service(item), item)


def change_service(item: VirtualService) -> Command:
    """Give a service another scheduler or other flags."""
    return Command(SET_SERVICE, _service(item), item)


def remove_service(item: VirtualService) -> Command:
    """Remove a service with its destinations; their connections end."""
    return Command(DEL_SERVICE, _attribute(ATTR_SERVICE | NESTED, _key(item)), item)


def add_destination(service: VirtualService, item: Destination, weight: int) -> Command:
    """Add a destination; with weight 0 it gets no new connections."""
    key = _attribute(ATTR_SERVICE | NESTED, _key(service))
    return Command(NEW_DEST, key + _destination(item, weight), item)


def weigh(service: VirtualService, item: Destination, weight: int) -> Command:
    """Give a destination another weight."""
    key = _attribute(ATTR_SERVICE | NESTED, _key(service))
    return Command(SET_DEST, key + _destination(item, weight), item)


def remove_destination(service: VirtualService, item: Destination) -> Command:
    """Remove a destination; with net.ipv4.vs.expire_nodest_conn its connections go elsewhere."""
    key = _attribute(ATTR_SERVICE | NESTED, _key(service))
    return Command(DEL_DEST, key + _destination(item, 0), item)


def set_timeouts(item: VirtualTimeouts) -> Command:
    """How long connections live without a packet, in this namespace."""
    body = (
        _attribute(ATTR_TIMEOUT_TCP, _u32(item.tcp))
        + _attribute(ATTR_TIMEOUT_TCP_FIN, _u32(item.tcp_fin))
        + _attribute(ATTR_TIMEOUT_UDP, _u32(item.udp))
    )
    return Command(SET_CONFIG, body, item)


class IPVS:
    """A socket to IPVS. It stays in the namespace that the thread was in when it was made."""

    def __init__(self) -> None:
        """Raises IPVSError with ENOENT where the kernel has no IPVS."""
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_GENERIC)
        try:
            self._family = self._find_family()
        except OSError:
            self._socket.close()
            raise

    def __enter__(self) -> IPVS:
        return self

    def __exit__(self, *exception: object) -> None:
        self._socket.close()

    def _find_family(self) -> int:
        body = _genl(CTRL_CMD_GETFAMILY, 1, 0) + _attribute(CTRL_ATTR_FAMILY_NAME, b"IPVS\0")
        self._socket.send(_header(16 + len(body), GENL_ID_CTRL, NLM_F_REQUEST, 0, 0) + body)
        answer = self._socket.recv(DATAGRAM)
        (kind,) = struct.unpack_from("=H", answer, 4)
        if kind == NLMSG_ERROR:
            raise IPVSError(-struct.unpack_from("=i", answer, 16)[0], "IPVS")
        attributes = dict(_attributes(answer, 20, struct.unpack_from("=I", answer)[0]))
        return int(struct.unpack("=H", attributes[CTRL_ATTR_FAMILY_ID][:2])[0])

    def carry_out(self, commands: Iterable[Command], tolerated: Iterable[int] = ()) -> None:
        """One after the other; raises IPVSError for the first that the kernel refuses.

        Errors whose numbers are `tolerated` do not count.
        """
        accepted = {0, *tolerated}
        for command in commands:
            body = _genl(command.number, VERSION, 0) + command.body
            flags = NLM_F_REQUEST | NLM_F_ACK
            self._socket.send(_header(16 + len(body), self._family, flags, 0, 0) + body)
            answer = self._socket.recv(DATAGRAM)
            code = -struct.unpack_from("=i", answer, 16)[0]
            if code not in accepted:
                raise IPVSError(code, command.about)

    def services(self) -> list[Found]:
        """Every service of the namespace, with its destinations."""
        found = []
        for message in list(self._dump(GET_SERVICE, b"")):
            service = _read_service(message[ATTR_SERVICE])
            if service is None:
                continue
            key = _attribute(ATTR_SERVICE | NESTED, _key(service))
            destinations, weights, connections = [], {}, {}
            for answer in self._dump(GET_DEST, key):
                item, weight, busy = _read_destination(answer[ATTR_DEST])
                destinations.append(item)
                weights[item.address, item.port] = weight
                connections[item.address, item.port] = busy
            whole = VirtualService(
                service.protocol, service.address, service.port, service.scheduler, service.flags, tuple(destinations)
            )
            found.append(Found(whole, weights, connections))
        return found

    def timeouts(self) -> VirtualTimeouts:
        """How long connections live without a packet."""
        body = _genl(GET_CONFIG, VERSION, 0)
        self._socket.send(_header(16 + len(body), self._family, NLM_F_REQUEST, 0, 0) + body)
        answer = self._socket.recv(DATAGRAM)
        if struct.unpack_from("=H", answer, 4)[0] == NLMSG_ERROR:
            raise IPVSError(-struct.unpack_from("=i", answer, 16)[0], "time-outs")
        told = dict(_attributes(answer, 20, struct.unpack_from("=I", answer)[0]))
        kinds = (ATTR_TIMEOUT_TCP, ATTR_TIMEOUT_TCP_FIN, ATTR_TIMEOUT_UDP)
        return VirtualTimeouts(*(struct.unpack("=I", told[kind])[0] for kind in kinds))

    def _dump(self, number: int, body: bytes) -> Iterator[dict[int, bytes]]:
        body = _genl(number, VERSION, 0) + body
        self._socket.send(_header(16 + len(body), self._family, NLM_F_REQUEST | NLM_F_DUMP, 0, 0) + body)
        while True:
            answer = self._socket.recv(DATAGRAM)
            offset = 0
            while offset < len(answer):
                length, kind = struct.unpack_from("=IH", answer, offset)
                if kind == NLMSG_DONE:
                    return
                if kind == NLMSG_ERROR:
                    raise IPVSError(-struct.unpack_from("=i", answer, offset + 16)[0], "reading")
                yield dict(_attributes(answer, offset + 20, offset + length))
                offset += length + 3 & ~3


PROBE = VirtualService(socket.IPPROTO_TCP, 0xC0000201, 80, "mh", 0, ())
"""192.0.2.1, in a namespace that is gone at once."""


def why_not() -> str:
    """Why IPVS cannot be used; empty when it can. Really tried, in a namespace of its own."""
    descriptor = ns.anonymous()
    try:
        with ns.entered(descriptor):
            try:
                with IPVS() as ipvs:
                    ipvs.carry_out([set_timeouts(VirtualTimeouts(900, 120, 300))])
            except OSError as error:
                if error.errno == errno.ENOENT:
                    return "this kernel has no IPVS (or `modprobe ip_vs` first)"
                if error.errno == errno.EPERM:
                    return "IPVS is the machine's root's alone"
                return f"IPVS cannot be asked ({error.strerror})"
            try:
                ns.read_sysctl("ipv4/vs/conntrack")
            except OSError:
                return "this kernel's IPVS does not track connections (CONFIG_IP_VS_NFCT)"
            try:
                with IPVS() as ipvs:
                    ipvs.carry_out([add_service(PROBE), remove_service(PROBE)])
            except OSError:
                return "this kernel's IPVS cannot hash (CONFIG_IP_VS_MH)"
    finally:
        os.close(descriptor)
    return ""


def _attributes(buffer: bytes, offset: int, end: int) -> Iterator[tuple[int, bytes]]:
    while offset + 4 <= end:
        size, kind = struct.unpack_from("=HH", buffer, offset)
        if size < 4:
            return
        yield kind & 0x3FFF, buffer[offset + 4 : offset + size]
        offset += size + 3 & ~3


def _read_service(data: bytes) -> VirtualService | None:
    """None for what is not ours to have: IPv6, and services by mark."""
    told = dict(_attributes(data, 0, len(data)))
    if struct.unpack("=H", told[SVC_AF])[0] != socket.AF_INET or SVC_FWMARK in told:
        return None
    (flags,) = struct.unpack_from("=I", told[SVC_FLAGS])
    return VirtualService(
        protocol=struct.unpack("=H", told[SVC_PROTOCOL])[0],
        address=struct.unpack_from("!I", told[SVC_ADDR])[0],
        port=struct.unpack("!H", told[SVC_PORT])[0],
        scheduler=told[SVC_SCHED_NAME].rstrip(b"\0").decode(),
        flags=flags & ~SVC_F_HASHED,
        destinations=(),
    )


def _read_destination(data: bytes) -> tuple[Destination, int, Connections]:
    told = dict(_attributes(data, 0, len(data)))
    (address,) = struct.unpack_from("!I", told[DEST_ADDR])
    (port,) = struct.unpack("!H", told[DEST_PORT])
    numbers = [struct.unpack("=I", told[kind])[0] for kind in (DEST_WEIGHT, DEST_ACTIVE_CONNS, DEST_INACT_CONNS)]
    return Destination(0, address, port), numbers[0], Connections(numbers[1], numbers[2])
