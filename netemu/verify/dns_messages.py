"""DNS messages: one question out, an answer in (RFC 1035). Records come as the texts that a zone file has."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from ipaddress import IPv4Address, IPv6Address

from msgspec import Struct

TYPES = {"A": 1, "NS": 2, "CNAME": 5, "SOA": 6, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33, "CAA": 257}
_NAMES = {number: name for name, number in TYPES.items()}
STATUS = {0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED"}
IN = 1
RECURSION_DESIRED = 0x0100
ANSWER, TRUNCATED, RCODE = 0x8000, 0x0200, 0x000F
MOST_POINTERS = 64


class Record(Struct, frozen=True):
    """A record of the answer section. Names are in lower case, without the dot at the end."""

    name: str
    type: str
    ttl: int
    data: tuple[str, ...]


class Message(Struct, frozen=True):
    """An answer."""

    status: str
    truncated: bool
    records: tuple[Record, ...]

    def of_type(self, kind: str) -> frozenset[tuple[str, ...]]:
        """The records of a type."""
        return frozenset(record.data for record in self.records if record.type == kind)


class MalformedError(ValueError):
    """What came is no DNS message."""


def question(number: int, name: str, kind: str) -> bytes:
    """A message that asks for a name. Raises ValueError for what cannot be a name."""
    labels = [label.encode() for label in name.rstrip(".").split(".") if name.rstrip(".")]
    if any(not 1 <= len(label) <= 63 for label in labels) or sum(map(len, labels)) + len(labels) > 254:
        raise ValueError(f"{name} cannot be a name")
    encoded = b"".join(bytes([len(label)]) + label for label in labels) + b"\0"
    return struct.pack("!HHHHHH", number, RECURSION_DESIRED, 1, 0, 0, 0) + encoded + struct.pack("!HH", TYPES[kind], IN)


def answer(data: bytes, number: int) -> Message | None:
    """Read an answer; None when it is one to another question. Raises MalformedError."""
    try:
        found, flags, questions, answers = struct.unpack_from("!HHHH", data)
        if found != number or not flags & ANSWER:
            return None
        at = 12
        for _ in range(questions):
            _, at = _name(data, at)
            at += 4
        records = tuple(_records(data, at, answers))
    except (struct.error, IndexError, UnicodeDecodeError, ValueError) as error:
        raise MalformedError(str(error)) from error
    return Message(STATUS.get(flags & RCODE, str(flags & RCODE)), bool(flags & TRUNCATED), records)


def _records(data: bytes, at: int, count: int) -> Iterator[Record]:
    for _ in range(count):
        name, at = _name(data, at)
        kind, _, ttl, size = struct.unpack_from("!HHIH", data, at)
        at += 10
        yield Record(name, _NAMES.get(kind, str(kind)), ttl, tuple(_data(data, at, size, kind)))
        at += size


def _data(data: bytes, at: int, size: int, kind: int) -> Iterator[str]:
    name = _NAMES.get(kind)
    if name == "A":
        yield str(IPv4Address(data[at : at + size]))
    elif name == "AAAA":
        yield str(IPv6Address(data[at : at + size]))
    elif name in ("CNAME", "NS", "PTR"):
        yield _name(data, at)[0]
    elif name in ("MX", "SRV"):
        numbers = struct.unpack_from("!H" if name == "MX" else "!HHH", data, at)
        yield from map(str, numbers)
        yield _name(data, at + 2 * len(numbers))[0]
    elif name == "TXT":
        end = at + size
        while at < end:
            yield data[at + 1 : at + 1 + data[at]].decode()
            at += 1 + data[at]
    elif name == "CAA":
        yield str(data[at])
        start = at + 2 + data[at + 1]
        yield data[at + 2 : start].decode()
        yield data[start : at + size].decode()
    else:
        yield data[at : at + size].hex()


def _name(data: bytes, at: int) -> tuple[str, int]:
    """A name, and where what follows it begins."""
    labels: list[str] = []
    after: int | None = None
    for _ in range(MOST_POINTERS + 128):
        length = data[at]
        if length >= 0xC0:
            after = at + 2 if after is None else after
            at = struct.unpack_from("!H", data, at)[0] & 0x3FFF
            continue
        if length == 0:
            return ".".join(labels), at + 1 if after is None else after
        labels.append(data[at + 1 : at + 1 + length].decode().lower())
        at += 1 + length
    raise ValueError("a name without an end")
