"""A packet in one line, in tcpdump's manner: enough to follow a conversation."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable

ETHERNET_HEADER = 14
IPV4, ARP, VLAN, IPV6 = 0x0800, 0x0806, 0x8100, 0x86DD
ICMP, TCP, UDP = 1, 6, 17
TCP_FLAGS = ((0x02, "S"), (0x01, "F"), (0x04, "R"), (0x08, "P"), (0x10, "."), (0x20, "U"), (0x40, "E"), (0x80, "W"))
UNREACHABLE = ("net", "host", "protocol", "port", "need to frag", "source route failed")
PROTOCOLS = {2: "IGMP", 4: "IP-in-IP", 41: "IPv6-in-IP", 47: "GRE", 50: "ESP", 51: "AH", 89: "OSPF", 112: "VRRP"}


def describe(frame: bytes, has_ethernet_header: bool) -> str:
    """One line about a frame; never raises, whatever the frame holds."""
    try:
        if not has_ethernet_header:
            return _ipv4(frame) if frame[0] >> 4 == 4 else _ipv6(frame)
        (kind,) = struct.unpack_from("!H", frame, 12)
        payload = frame[ETHERNET_HEADER:]
        if kind == VLAN:
            tag, kind = struct.unpack_from("!HH", payload)
            return f"vlan {tag & 0xFFF}, {_network(kind, payload[4:])}"
        return _network(kind, payload)
    except (struct.error, IndexError, ValueError, OSError):
        return f"truncated, {len(frame)} bytes"


def _network(kind: int, payload: bytes) -> str:
    if kind == IPV4:
        return _ipv4(payload)
    if kind == ARP:
        return _arp(payload)
    if kind == IPV6:
        return _ipv6(payload)
    return f"ethertype 0x{kind:04x}, length {len(payload)}"


def _arp(payload: bytes) -> str:
    (operation,) = struct.unpack_from("!H", payload, 6)
    sender, target = socket.inet_ntoa(payload[14:18]), socket.inet_ntoa(payload[24:28])
    if operation == 1:
        return f"ARP Request who-has {target} tell {sender}"
    return f"ARP Reply {sender} is-at {payload[8:14].hex(':')}"


def _ipv4(packet: bytes) -> str:
    header = (packet[0] & 15) * 4
    length, _, fragment = struct.unpack_from("!HHH", packet, 2)
    protocol = packet[9]
    source, target = socket.inet_ntoa(packet[12:16]), socket.inet_ntoa(packet[16:20])
    size = length - header
    if offset := (fragment & 0x1FFF) * 8:
        return f"IP {source} > {target}: fragment at {offset}, length {size}"
    more = " (first fragment)" if fragment & 0x2000 else ""
    return "IP " + _transport(protocol, source, target, packet[header:], size) + more


def _ipv6(packet: bytes) -> str:
    size, protocol = struct.unpack_from("!HB", packet, 4)
    source = socket.inet_ntop(socket.AF_INET6, packet[8:24])
    target = socket.inet_ntop(socket.AF_INET6, packet[24:40])
    return "IP6 " + _transport(protocol, source, target, packet[40:], size)


def _transport(protocol: int, source: str, target: str, segment: bytes, size: int) -> str:
    known: dict[int, Callable[[str, str, bytes, int], str]] = {TCP: _tcp, UDP: _udp, ICMP: _icmp}
    if protocol in known:
        return known[protocol](source, target, segment, size)
    return f"{source} > {target}: {PROTOCOLS.get(protocol, f'protocol {protocol}')}, length {size}"


def _tcp(source: str, target: str, segment: bytes, size: int) -> str:
    from_port, to_port, sequence, acknowledged, offset, bits, window = struct.unpack_from("!HHIIBBH", segment)
    length = size - (offset >> 4) * 4
    flags = "".join(letter for bit, letter in TCP_FLAGS if bits & bit) or "none"
    parts = [f"Flags [{flags}]"]
    if length or bits & 0x07:
        parts.append(f"seq {sequence}:{sequence + length & 0xFFFFFFFF}" if length else f"seq {sequence}")
    if bits & 0x10:
        parts.append(f"ack {acknowledged}")
    parts += [f"win {window}", f"length {length}"]
    return f"{source}.{from_port} > {target}.{to_port}: {', '.join(parts)}"


def _udp(source: str, target: str, segment: bytes, size: int) -> str:
    from_port, to_port = struct.unpack_from("!HH", segment)
    return f"{source}.{from_port} > {target}.{to_port}: UDP, length {size - 8}"


def _icmp(source: str, target: str, segment: bytes, size: int) -> str:
    kind, code, _, identifier, sequence = struct.unpack_from("!BBHHH", segment)
    if kind in (0, 8):
        what = f"echo {'request' if kind == 8 else 'reply'}, id {identifier}, seq {sequence}"
    elif kind == 3:
        reason = UNREACHABLE[code] if code < len(UNREACHABLE) else f"code {code}"
        what = f"{reason} unreachable" if code != 4 else f"unreachable: need to frag, mtu {sequence}"
    elif kind == 11:
        what = "time exceeded in-transit" if code == 0 else "ip reassembly time exceeded"
    elif kind == 5:
        what = "redirect"
    else:
        what = f"type {kind} code {code}"
    return f"{source} > {target}: ICMP {what}, length {size}"
