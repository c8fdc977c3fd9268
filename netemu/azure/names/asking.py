"""What a machine hears when it asks for a name as its programs do: by its own resolver (DNS-2, DNS-6, NIC-11)."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address

from msgspec import Struct

from netemu.azure.flow import Flow
from netemu.azure.names.lookup import Answer, Zones
from netemu.azure.names.zones import internet_zones, platform_zones
from netemu.azure.network import PLATFORM_ADDRESS, Network
from netemu.azure.verdict import Engine

DNS_PORT = 53
SUFFIX_WITH_CUSTOM_SERVERS = "reddog.microsoft.com"
"""PLT-5."""


class Resolution(Struct, frozen=True):
    """What the machine hears."""

    answer: Answer | None
    """None: nobody answers."""
    server: IPv4Address | None
    """Who answers."""
    guest: str | None = None
    """The machine whose own server answers, if it forwards what it does not know to 168.63.129.16 (DNS-6)."""
    name: str = ""
    """What was asked for at last: the name itself, or with the search suffix."""


class Names:
    """DNS of one network."""

    def __init__(self, network: Network, engine: Engine) -> None:
        self.network, self.engine = network, engine
        self._zones: dict[str | None, Zones] = {}

    def resolve(self, machine: str, name: str, kind: str = "A") -> Resolution:
        """Ask as the resolver of a VM or internet host does: its servers in order, the search suffix where it has to.

        A name with a dot is tried as it is first, another one with the suffix first. The first that has what is asked
        for counts; if none has, a name with a dot is what it is as it is, and another one exists if any of them does.
        """
        found: list[Resolution] = []
        for asked in self._candidates(machine, name):
            heard = self.ask(machine, asked, kind)
            if heard.answer is None or heard.answer.status == "SERVFAIL" or heard.answer.records:
                return heard
            found.append(heard)
        if "." in name:
            return found[0]
        return next((each for each in found if each.answer and each.answer.status == "NOERROR"), found[-1])

    def ask(self, machine: str, name: str, kind: str = "A") -> Resolution:
        """Ask the machine's servers for exactly this name: the next one when one fails or does not answer."""
        failed = Resolution(None, None, name=name)
        for server in self.servers(machine):
            heard = self._ask(machine, server, name, kind)
            if heard is not None and (heard.answer is None or heard.answer.status != "SERVFAIL"):
                return heard
            failed = heard or failed
        return failed

    def servers(self, machine: str) -> tuple[IPv4Address, ...]:
        """The DNS servers that a machine knows, in order."""
        if machine not in self.network.machines:
            return self.network.publicResolvers[:1]
        nics = self.network.machines[machine].nics
        custom = dict.fromkeys(IPv4Address(text) for nic in nics for text in nic.dnsServers)
        return tuple(custom) or (PLATFORM_ADDRESS,)

    def _candidates(self, machine: str, name: str) -> Iterator[str]:
        suffix = self._suffix(machine)
        as_it_is = [name.rstrip(".")]
        if suffix is None or name.endswith("."):
            return iter(as_it_is)
        extended = [f"{name}.{suffix}"]
        return iter(as_it_is + extended if "." in name else extended + as_it_is)

    def _suffix(self, machine: str) -> str | None:
        if machine not in self.network.machines:
            return None
        primary = self.network.machines[machine].nics[0]
        if primary.dnsServers:
            return SUFFIX_WITH_CUSTOM_SERVERS
        return self.network.virtualNetworks[primary.subnet.virtualNetwork].internalDomainNameSuffix

    def _ask(self, machine: str, server: IPv4Address, name: str, kind: str) -> Resolution | None:
        """Ask one server; None when nothing comes back."""
        verdict = self.engine.judge(Flow(machine, server, "Udp", DNS_PORT))
        if verdict.access == "Deny" or not verdict.answered:
            return None
        if verdict.stage == "platform":
            if server != PLATFORM_ADDRESS:
                return None
            return Resolution(self._platform(machine).answer(name, kind), server, name=name)
        if verdict.destinationSeenAs in self.network.publicResolvers:
            return Resolution(self._internet().answer(name, kind), server, name=name)
        receiver = verdict.receiver
        if receiver in self.network.machines:
            return Resolution(self._platform(receiver).answer(name, kind), server, receiver, name)
        return Resolution(None, server, receiver, name)

    def _platform(self, machine: str) -> Zones:
        network = self.network.machines[machine].nics[0].subnet.virtualNetwork
        if network not in self._zones:
            self._zones[network] = platform_zones(self.network, network)
        return self._zones[network]

    def _internet(self) -> Zones:
        if None not in self._zones:
            self._zones[None] = internet_zones(self.network)
        return self._zones[None]
