"""Writes pcapng (draft-ietf-opsawg-pcapng): several interfaces, nanoseconds, direction of each packet.

scapy's writer knows neither direction nor names for several interfaces, and takes a second to import.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import BinaryIO

SECTION_HEADER, INTERFACE_DESCRIPTION, INTERFACE_STATISTICS, ENHANCED_PACKET = 0x0A0D0D0A, 1, 5, 6
BYTE_ORDER_MAGIC = 0x1A2B3C4D
UNKNOWN_LENGTH = -1
LINKTYPE_ETHERNET, LINKTYPE_RAW = 1, 101

END_OF_OPTIONS = 0
SHB_OS, SHB_USERAPPL = 3, 4
IF_NAME, IF_DESCRIPTION, IF_TSRESOL = 2, 3, 9
EPB_FLAGS = 2
ISB_IFRECV, ISB_IFDROP = 4, 5
NANOSECONDS = 9

_PADDING = (b"", b"\0\0\0", b"\0\0", b"\0")
_packet_header = struct.Struct("=IIIIIII").pack
_packet_trailer = struct.Struct("=HHIHHI").pack
"""epb_flags, end of options, block length."""


class PcapngWriter:
    """A capture file in one section. Interfaces are numbered in the order in which they are added."""

    def __init__(self, stream: BinaryIO, application: str, system: str) -> None:
        self._stream = stream
        self._interfaces = 0
        options = [(SHB_OS, system.encode()), (SHB_USERAPPL, application.encode())]
        self._block(SECTION_HEADER, struct.pack("=IHHq", BYTE_ORDER_MAGIC, 1, 0, UNKNOWN_LENGTH), options)

    def add_interface(self, name: str, description: str, linktype: int, snap_length: int) -> int:
        """Describe an interface and return its number."""
        options = [
            (IF_NAME, name.encode()),
            (IF_DESCRIPTION, description.encode()),
            (IF_TSRESOL, bytes((NANOSECONDS,))),
        ]
        self._block(INTERFACE_DESCRIPTION, struct.pack("=HHI", linktype, 0, snap_length), options)
        self._interfaces += 1
        return self._interfaces - 1

    def packet(self, interface: int, nanoseconds: int, data: bytes, length: int, flags: int) -> None:
        """Write a packet; `length` is what it had on the wire, `flags` the epb_flags word."""
        padding = _PADDING[len(data) & 3]
        size = 28 + len(data) + len(padding) + 16
        self._stream.write(
            _packet_header(
                ENHANCED_PACKET, size, interface, nanoseconds >> 32, nanoseconds & 0xFFFFFFFF, len(data), length
            )
            + data
            + padding
            + _packet_trailer(EPB_FLAGS, 4, flags, END_OF_OPTIONS, 0, size)
        )

    def statistics(self, interface: int, nanoseconds: int, received: int, dropped: int) -> None:
        """Say how many packets an interface had, and how many of them are missing here."""
        body = struct.pack("=III", interface, nanoseconds >> 32, nanoseconds & 0xFFFFFFFF)
        options = [(ISB_IFRECV, struct.pack("=Q", received)), (ISB_IFDROP, struct.pack("=Q", dropped))]
        self._block(INTERFACE_STATISTICS, body, options)

    def flush(self) -> None:
        """Hand everything to the reader."""
        self._stream.flush()

    def _block(self, kind: int, body: bytes, options: Iterable[tuple[int, bytes]]) -> None:
        for code, value in options:
            body += struct.pack("=HH", code, len(value)) + value + _PADDING[len(value) & 3]
        body += struct.pack("=HH", END_OF_OPTIONS, 0)
        size = 12 + len(body)
        self._stream.write(struct.pack("=II", kind, size) + body + struct.pack("=I", size))
