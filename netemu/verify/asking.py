"""Asks for a name from inside a machine, as its programs do: by the servers and the suffix in its resolv.conf."""

from __future__ import annotations

import itertools
import random
import time
from collections.abc import Iterator
from ipaddress import AddressValueError, IPv4Address
from pathlib import Path

from msgspec import Struct

from netemu.linux.datagrams import Asking
from netemu.verify import dns_messages
from netemu.verify.dns_messages import MalformedError, Message

DNS_PORT = 53
PAUSE = 0.05
"""Seconds until a server is asked again."""


class ResolverConfiguration(Struct, frozen=True):
    """What resolv.conf(5) says; what netemu and DHCP clients write into it, and a person may."""

    servers: tuple[IPv4Address, ...]
    search: tuple[str, ...]


class Heard(Struct, frozen=True):
    """What a machine heard."""

    message: Message | None
    """None: nobody answered."""
    server: IPv4Address | None
    name: str
    """What was asked for at last."""
    error: str = ""
    """Why nobody answered, as a socket has it."""


def read_configuration(path: Path) -> ResolverConfiguration:
    """Read a resolv.conf; a missing one says nothing."""
    servers: list[IPv4Address] = []
    search: tuple[str, ...] = ()
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    for line in lines:
        words = line.split()
        if len(words) < 2:
            continue
        if words[0] == "nameserver":
            try:
                servers.append(IPv4Address(words[1]))
            except AddressValueError:
                continue  # IPv6: the lab has none
        elif words[0] in ("search", "domain"):
            search = tuple(words[1:])
    return ResolverConfiguration(tuple(servers), search)


class Asker:
    """Asks from one machine. `patience`: seconds for an answer of one server."""

    def __init__(self, namespace: Path, configuration: ResolverConfiguration, patience: float) -> None:
        self.namespace, self.configuration, self.patience = namespace, configuration, patience

    def resolve(self, name: str, kind: str = "A") -> Heard:
        """As the resolver of the C library does (`ndots:1`)."""
        heard = []
        for asked in self._candidates(name):
            one = self.ask(asked, kind)
            if one.message is None or one.message.status not in ("NOERROR", "NXDOMAIN") or one.message.of_type(kind):
                return one
            heard.append(one)
        if "." in name:
            return heard[0]
        return next((one for one in heard if one.message and one.message.status == "NOERROR"), heard[-1])

    def ask(self, name: str, kind: str = "A") -> Heard:
        """Ask the servers in order for exactly this name, until one has an answer.

        A server that refuses is a program of a guest that may be starting: it is asked again for a while.
        """
        deadline = time.monotonic() + self.patience
        last = Heard(None, None, name, "resolv.conf names no server")
        while self.configuration.servers:
            for server in self.configuration.servers:
                last = self._ask(server, name, kind)
                if last.message is not None and last.message.status in ("NOERROR", "NXDOMAIN"):
                    return last
            if last.message is not None or time.monotonic() + PAUSE > deadline:
                break
            time.sleep(PAUSE)
        return last

    def _candidates(self, name: str) -> Iterator[str]:
        if name.endswith("."):
            return iter([name])
        extended = [f"{name}.{suffix}" for suffix in self.configuration.search]
        return itertools.chain([name], extended) if "." in name else itertools.chain(extended, [name])

    def _ask(self, server: IPv4Address, name: str, kind: str) -> Heard:
        asking, number = Asking(self.namespace, server, DNS_PORT, self.patience), random.getrandbits(16)
        request = dns_messages.question(number, name, kind)
        try:
            for data in asking.by_datagram(request):
                message = dns_messages.answer(data, number)
                if message is not None and message.truncated:
                    message = dns_messages.answer(asking.by_stream(request), number)
                if message is not None:
                    return Heard(message, server, name)
        except TimeoutError:
            return Heard(None, server, name, "no answer")
        except OSError as error:
            return Heard(None, server, name, error.strerror or str(error))
        except MalformedError as error:
            return Heard(None, server, name, f"no DNS message: {error}")
        return Heard(None, server, name, "no answer")
