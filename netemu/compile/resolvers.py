"""Resolvers and name servers: unbound, one for each view of the names, with files that it reads again on SIGHUP.

It answers from the zone files alone and asks nobody. It remembers nothing either: what a file says is answered from the
next query on, with the file's TTL.
"""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address

from netemu.compile.zone_files import ROOT_FILE, Files
from netemu.linux.state import Namespace, Program

READY = "start of service"
"""What unbound's log says when it serves, and after it has read its files again."""

ORDINARY_NAMES = ("test", "invalid", "onion", "home.arpa", "resolver.arpa", "service.arpa", "use-application-dns.net")
"""Names that unbound would answer for by itself; on Azure they are names like all others."""


def add_resolver(
    namespace: Namespace, name: str, folder: str, listen: Iterable[IPv4Address], zones: Files, *, authoritative: bool
) -> None:
    """Let a server answer in a namespace. Its files lie in `folder`; `name` tells them from others'.

    A resolver looks in the zones for whatever it takes to answer a question; an authoritative server answers what its
    own zones say, with authority, and refuses the rest.
    """
    directory = f"zones.{name}"
    configuration = f"dns.{name}.conf"
    files = {f"{directory}/{zone}": text for zone, text in zones.items()}
    files[configuration] = _configuration(f"{folder}/{directory}", listen, zones, authoritative=authoritative)
    namespace.daemon_files |= files
    namespace.daemons.append(
        Program(
            f"dns.{name}",
            ("unbound", "-d", "-c", f"{folder}/{configuration}"),
            reloads=tuple(files),
            ready=READY,
        )
    )


def _configuration(directory: str, listen: Iterable[IPv4Address], zones: Files, *, authoritative: bool) -> str:
    server = {
        "interface": [str(address) for address in listen],
        "access-control": [f"0.0.0.0/0 {'refuse_non_local' if authoritative else 'allow'}"],
        "do-ip6": ["no"],
        "do-not-query-address": ["0.0.0.0/0", "::/0"],
        "module-config": ['"iterator"'],
        "username": ['""'],
        "chroot": ['""'],
        "directory": ['""'],
        "pidfile": ['""'],
        "use-syslog": ["no"],
        "logfile": ['""'],
        "verbosity": ["0"],
        "num-threads": ["1"],
        "msg-cache-size": ["0"],
        "rrset-cache-size": ["0"],
        "msg-cache-slabs": ["1"],
        "rrset-cache-slabs": ["1"],
        "infra-cache-slabs": ["1"],
        "infra-cache-numhosts": ["1"],
        "hide-identity": ["yes"],
        "hide-version": ["yes"],
        "unblock-lan-zones": ["yes"],
        "insecure-lan-zones": ["yes"],
        "local-zone": [f'"{name}." nodefault' for name in ORDINARY_NAMES],
        "outgoing-range": ["16"],
        "num-queries-per-thread": ["512"],
    }
    if authoritative:
        server["local-zone"] += ['"." refuse', *(f'"{zone}." transparent' for zone in zones)]
    lines = ["server:", *(f" {key}: {value}" for key, values in server.items() for value in values)]
    for zone in zones:
        lines += [
            "auth-zone:",
            f' name: "{"" if zone == ROOT_FILE else zone}."',
            f' zonefile: "{directory}/{zone}"',
            f" for-downstream: {'yes' if authoritative else 'no'}",
            f" for-upstream: {'no' if authoritative else 'yes'}",
            " fallback-enabled: no",
        ]
    return "\n".join([*lines, "remote-control:", " control-enable: no", ""])
