"""The capture file, read back by scapy's reader and block by block."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from netemu.linux.packet_filter import FilterError, compile_filter
from netemu.linux.packet_line import describe
from netemu.linux.pcapng import LINKTYPE_ETHERNET, LINKTYPE_RAW, PcapngWriter

NOW = 1_800_000_000_123_456_789


def blocks(content: bytes) -> list[tuple[int, bytes]]:
    """The blocks of a file; checks that both lengths agree and are whole words."""
    found = []
    offset = 0
    while offset < len(content):
        kind, size = struct.unpack_from("=II", content, offset)
        assert size % 4 == 0
        assert struct.unpack_from("=I", content, offset + size - 4) == (size,)
        found.append((kind, content[offset + 8 : offset + size - 4]))
        offset += size
    return found


def options(data: bytes) -> dict[int, bytes]:
    """The options at the end of a block."""
    found = {}
    offset = 0
    while True:
        code, size = struct.unpack_from("=HH", data, offset)
        if code == 0:
            assert offset + 4 == len(data)
            return found
        found[code] = data[offset + 4 : offset + 4 + size]
        offset += 4 + (size + 3 & ~3)


def written(packets: list[tuple[int, bytes, int]]) -> bytes:
    stream = BytesIO()
    writer = PcapngWriter(stream, "netemu 1", "Linux 6")
    assert writer.add_interface("eth0", "web-nic of web in lab shop", LINKTYPE_ETHERNET, 262144) == 0
    assert writer.add_interface("wg0", "tunnel", LINKTYPE_RAW, 262144) == 1
    for interface, data, flags in packets:
        writer.packet(interface, NOW, data, len(data), flags)
    writer.statistics(0, NOW, len(packets), 3)
    writer.flush()
    return stream.getvalue()


def test_the_section_header_names_netemu() -> None:
    kind, body = blocks(written([]))[0]
    assert kind == 0x0A0D0D0A
    assert struct.unpack_from("=IHHq", body) == (0x1A2B3C4D, 1, 0, -1)
    assert options(body[16:]) == {3: b"Linux 6", 4: b"netemu 1"}


def test_each_interface_has_a_block_with_name_and_nanoseconds() -> None:
    first, second = (body for kind, body in blocks(written([])) if kind == 1)
    assert struct.unpack_from("=HHI", first) == (1, 0, 262144)
    assert options(first[8:]) == {2: b"eth0", 3: b"web-nic of web in lab shop", 9: b"\x09"}
    assert struct.unpack_from("=H", second) == (101,)


def test_a_packet_has_its_time_and_direction() -> None:
    (body,) = (body for kind, body in blocks(written([(1, b"abcde", 2)])) if kind == 6)
    interface, high, low, captured, length = struct.unpack_from("=IIIII", body)
    assert (interface, high << 32 | low, captured, length) == (1, NOW, 5, 5)
    assert body[20:25] == b"abcde"
    assert options(body[28:]) == {2: struct.pack("=I", 2)}


def test_statistics_tell_what_is_missing() -> None:
    (body,) = (body for kind, body in blocks(written([])) if kind == 5)
    assert options(body[12:]) == {4: struct.pack("=Q", 0), 5: struct.pack("=Q", 3)}


@given(st.lists(st.tuples(st.integers(0, 1), st.binary(min_size=20, max_size=99), st.integers(1, 2)), max_size=5))
def test_scapy_reads_every_packet_back(packets: list[tuple[int, bytes, int]]) -> None:
    from scapy.utils import RawPcapNgReader

    reader: Any = RawPcapNgReader(BytesIO(written(packets)))
    found = [(data, meta.tshigh << 32 | meta.tslow, meta.ifname) for data, meta in reader]
    assert found == [(data, NOW, (b"eth0", b"wg0")[interface]) for interface, data, _ in packets]


def test_a_filter_becomes_instructions() -> None:
    assert len(compile_filter("tcp port 80", LINKTYPE_ETHERNET, 262144)) % 8 == 0


def test_a_wrong_filter_is_explained_in_the_librarys_words() -> None:
    try:
        compile_filter("tcp prt 80", LINKTYPE_ETHERNET, 262144)
    except FilterError as error:
        assert "syntax error" in str(error)
    else:
        raise AssertionError("the filter was taken")


def frame(ethertype: int, payload: bytes) -> bytes:
    return bytes(12) + struct.pack("!H", ethertype) + payload


def ipv4(protocol: int, segment: bytes) -> bytes:
    header = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(segment), 1, 0, 64, protocol, 0)
    return header + bytes((10, 0, 1, 4)) + bytes((10, 0, 2, 4)) + segment


def test_lines_are_like_tcpdumps() -> None:
    syn = struct.pack("!HHIIBBHHH", 40000, 80, 7, 0, 0x50, 0x02, 64240, 0, 0)
    assert (
        describe(frame(0x800, ipv4(6, syn)), True)
        == "IP 10.0.1.4.40000 > 10.0.2.4.80: Flags [S], seq 7, win 64240, length 0"
    )
    udp = struct.pack("!HHHH", 5353, 53, 12, 0) + b"abcd"
    assert describe(ipv4(17, udp), False) == "IP 10.0.1.4.5353 > 10.0.2.4.53: UDP, length 4"
    echo = struct.pack("!BBHHH", 8, 0, 0, 5, 1)
    assert describe(ipv4(1, echo), False) == "IP 10.0.1.4 > 10.0.2.4: ICMP echo request, id 5, seq 1, length 8"
    too_big = struct.pack("!BBHHH", 3, 4, 0, 0, 1400)
    assert describe(ipv4(1, too_big), False) == (
        "IP 10.0.1.4 > 10.0.2.4: ICMP unreachable: need to frag, mtu 1400, length 8"
    )
    arp = struct.pack("!HHBBH", 1, 0x800, 6, 4, 1) + bytes(6) + bytes((10, 0, 1, 4)) + bytes(6) + bytes((10, 0, 1, 1))
    assert describe(frame(0x806, arp), True) == "ARP Request who-has 10.0.1.1 tell 10.0.1.4"
    assert describe(ipv4(50, b"12345678"), False) == "IP 10.0.1.4 > 10.0.2.4: ESP, length 8"


@given(st.binary(max_size=80), st.booleans())
def test_a_line_comes_out_of_any_frame(data: bytes, has_ethernet_header: bool) -> None:
    assert describe(data, has_ethernet_header)


@given(st.sampled_from([0x800, 0x806, 0x86DD, 0x8100]), st.binary(max_size=60))
def test_a_line_comes_out_of_any_payload(ethertype: int, payload: bytes) -> None:
    assert describe(frame(ethertype, payload), True)
