"""tcpdump's filter language, compiled by libpcap to what SO_ATTACH_FILTER takes.

Called through ctypes: scapy's compile_filter wants most of scapy (a second) and swallows libpcap's explanation.
"""

from __future__ import annotations

import ctypes

LIBRARY_NAMES = ("libpcap.so.0.8", "libpcap.so.1", "libpcap.so")
"""Debian's name, everybody else's, and that of the development package."""
NETMASK_UNKNOWN = 0xFFFFFFFF
_DATA_LINK_TYPES = {101: 12}
"""Files say 101 for bare IP packets, the library's functions 12."""


class FilterError(ValueError):
    """A filter that libpcap does not understand; the text is libpcap's."""


class LibraryMissingError(OSError):
    """libpcap is not on this machine."""


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_uint), ("instructions", ctypes.c_void_p))


INSTRUCTION_SIZE = 8


def load_library() -> ctypes.CDLL:
    """Load libpcap."""
    for name in LIBRARY_NAMES:
        try:
            library = ctypes.CDLL(name)
        except OSError:
            continue
        library.pcap_open_dead.restype = ctypes.c_void_p
        library.pcap_close.argtypes = [ctypes.c_void_p]
        library.pcap_geterr.argtypes = [ctypes.c_void_p]
        library.pcap_geterr.restype = ctypes.c_char_p
        library.pcap_freecode.argtypes = [ctypes.POINTER(_Program)]
        library.pcap_compile.argtypes = [
            ctypes.c_void_p, ctypes.POINTER(_Program), ctypes.c_char_p, ctypes.c_int, ctypes.c_uint32,
        ]  # fmt: skip
        return library
    raise LibraryMissingError(f"none of {', '.join(LIBRARY_NAMES)} can be loaded")


def compile_filter(expression: str, linktype: int, snap_length: int) -> bytes:
    """Compile an expression to instructions (struct sock_filter[])."""
    library = load_library()
    handle = library.pcap_open_dead(_DATA_LINK_TYPES.get(linktype, linktype), snap_length)
    if not handle:
        raise MemoryError
    program = _Program()
    try:
        if library.pcap_compile(handle, ctypes.byref(program), expression.encode(), 1, NETMASK_UNKNOWN) != 0:
            raise FilterError(library.pcap_geterr(handle).decode(errors="replace"))
        code = ctypes.string_at(program.instructions, program.length * INSTRUCTION_SIZE)
        library.pcap_freecode(ctypes.byref(program))
    finally:
        library.pcap_close(handle)
    return code
