"""Packets that are carried nowhere, and those that the platform takes (ARP-3, ARP-4, PLT-1…PLT-5)."""

from __future__ import annotations

from netemu.azure.flow import GRE, IP_IN_IP, UDP, Packet
from netemu.azure.network import PLATFORM_ADDRESS
from netemu.azure.security import METADATA_ADDRESS

PLATFORM = int(PLATFORM_ADDRESS)
PLATFORM_ADDRESSES = frozenset((PLATFORM, int(METADATA_ADDRESS)))
"""These ignore routes and, but for platform tags, security rules (PLT-1, PLT-2, PLT-4, RT-24)."""

BROADCAST = 0xFFFFFFFF
MULTICAST, PAST_MULTICAST = 0xE0000000, 0xF0000000
HOST_RESERVED_PORT = 65330
DHCP_SERVER_PORT, DHCP_CLIENT_PORT = 67, 68


def is_dhcp(packet: Packet) -> bool:
    """A guest asks for its address: the one broadcast that is answered (ARP-3, PLT-5)."""
    return (
        packet.protocol == UDP
        and packet.sourcePort == DHCP_CLIENT_PORT
        and packet.destinationPort == DHCP_SERVER_PORT
        and packet.destination in (BROADCAST, PLATFORM)
    )


def blocked_protocol(packet: Packet) -> str | None:
    """Why its protocol is carried nowhere; None when it is."""
    if packet.protocol in (GRE, IP_IN_IP):
        return "GRE and IP in IP are blocked (ARP-4)"
    return None


def blocked(packet: Packet) -> str | None:
    """Why no virtual network carries it; None when they do (ARP-3, ARP-4)."""
    if packet.destination >= MULTICAST and (packet.destination < PAST_MULTICAST or packet.destination == BROADCAST):
        return "broadcast and multicast are not carried (ARP-3)"
    if packet.protocol == UDP:
        if packet.sourcePort == HOST_RESERVED_PORT:
            return "UDP source port 65330 is the host's (ARP-4)"
        if packet.sourcePort == DHCP_CLIENT_PORT and packet.destinationPort == DHCP_SERVER_PORT:
            # What is meant for the platform was taken before.
            return "DHCP goes to the platform only (ARP-4)"
    return blocked_protocol(packet)
