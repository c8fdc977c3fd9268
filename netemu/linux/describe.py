"""Objects of the kernel in words, as `ip` and `nft` would say them."""

from __future__ import annotations

from ipaddress import IPv4Address

from netemu.linux.difference import Change, File, RulesetObject, Sysctl, Whole
from netemu.linux.observe import Link
from netemu.linux.state import (
    Address,
    End,
    Neighbour,
    Program,
    Route,
    Rule,
    Veth,
    VirtualService,
)


def describe(about: object) -> str:
    """What an object is, without its details."""
    match about:
        case Veth(near=near, far=far):
            return f"link {near.name} to {far.namespace}"
        case End(name=name) | Link(name=name):
            return f"interface {name}"
        case Address(address=address, prefix_length=length):
            return f"address {IPv4Address(address)}/{length}"
        case Route(destination=destination, prefix_length=length, table=table):
            return f"route {IPv4Address(destination)}/{length} in table {'main' if table == 254 else table}"
        case Neighbour(address=address):
            return f"neighbour {IPv4Address(address)}"
        case Rule() as rule:
            return _rule(rule)
        case VirtualService(protocol=protocol, address=address, port=port):
            return f"IPVS service {_PROTOCOL[protocol]} {IPv4Address(address)}:{port}"
        case Sysctl(name=name):
            return f"sysctl net.{name.replace('/', '.')}"
        case RulesetObject(table=table, kind=kind, name=name):
            return f"nft {kind} {table} {name}"
        case File(path=path):
            return f"file {path}"
        case Program(argv=argv):
            return f"program {' '.join(argv)!r}"
        case _:
            return "namespace" if isinstance(about, Whole) else str(about)


_PROTOCOL = {6: "TCP", 17: "UDP"}


def _rule(rule: Rule) -> str:
    if rule.mask:
        way = f"fwmark {rule.mark:#x}/{rule.mask:#x}"
    else:
        way = f"iif {rule.iif}" if rule.iif else f"from {IPv4Address(rule.source or 0)}"
    return f"rule {way} lookup {rule.table}"


def change_text(change: Change) -> str:
    """A change in one line: `~ web1: route 0.0.0.0/0 in table main: dev 2 via 10.0.1.1 (is: dev 2 via 10.0.1.9)`."""
    after, before = _details(change.thing), _details(change.before)
    text = f"{change.action} {change.namespace}: {describe(change.thing)}"
    if change.before is not None and after != before:
        return f"{text}: {after} (is: {before})"
    return text


def _details(thing: object) -> str:
    match thing:
        case Route(index=index, gateway=gateway):
            return f"dev {index}" + (f" via {IPv4Address(gateway)}" if gateway is not None else "")
        case Neighbour(mac=mac):
            return mac.hex(":")
        case Sysctl(value=value):
            return value
        case End(proxy_arp=proxy):
            return "up" + (", proxy_arp" if proxy else "")
        case Link(up=up, router=router, proxy_arp=proxy):
            words = ["up" if up else "down", "" if router else "rp_filter or redirects", "proxy_arp" if proxy else ""]
            return ", ".join(word for word in words if word)
        case Program(argv=argv):
            return " ".join(argv)
        case _:
            return ""
