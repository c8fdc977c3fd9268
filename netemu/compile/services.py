"""What 168.63.129.16 serves, as nftables text: the parts of a ruleset that every platform namespace has."""

from __future__ import annotations

from netemu.azure.network import PLATFORM_ADDRESS

DNS = f"ip daddr {PLATFORM_ADDRESS} meta l4proto {{ tcp, udp }} th dport 53"
"""Questions to the resolver."""
RATE = "1000/second burst 1000 packets"
"""DNS queries that a machine may send (DNS-7)."""
TOO_MANY = "more than 1000 DNS queries a second"
NO_SERVICE = "not a service of 168.63.129.16"

SETS = ("set queries {", " type ipv4_addr", " size 65535", " flags dynamic,timeout", " timeout 10s", "}")
RULES = (
    'iifname "lo" accept',
    f"ip daddr {PLATFORM_ADDRESS} udp dport 53 update @queries {{ ip saddr limit rate over {RATE} }} "
    f'counter drop comment "{TOO_MANY}"',
    f"{DNS} accept",
)
"""For a chain in the input hook."""
LAST_RULE = f'counter comment "{NO_SERVICE}"'
INPUT = "type filter hook input priority 0; policy drop;"
