"""Lines of `expect` that are about a name: what is expected, what Azure's DNS answers, what the machine hears."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from ipaddress import AddressValueError, IPv4Address
from pathlib import Path

from msgspec import Struct

from netemu.azure.names import Names, Resolution
from netemu.azure.network import Network
from netemu.azure.resources import Expectation
from netemu.azure.verdict import Engine
from netemu.verify.asking import Asker, Heard, read_configuration

PATIENCE, IMPATIENCE = 2.0, 0.25
"""Seconds for the answer of a server: where one is due, and where by Azure's rules none can come."""

NO_SUCH_NAME, NO_SUCH_RECORD, NO_ANSWER = "NXDOMAIN", "NODATA", "TIMEOUT"


class NameResult(Struct, frozen=True):
    """One line, what Azure's DNS answers, what the machine heard, and where they part."""

    number: int
    """Position in `expect`, from 1."""
    expectation: Expectation
    expected: frozenset[str]
    resolution: Resolution
    heard: Heard
    disagreements: tuple[str, ...]

    @property
    def passed(self) -> bool:
        """Do they agree?"""
        return not self.disagreements

    @property
    def title(self) -> str:
        """The question in a line."""
        return f"{self.expectation.from_} → {self.expectation.to} {self.expectation.recordType}"

    @property
    def answered(self) -> frozenset[str]:
        """What Azure's DNS answers, as an expectation says it."""
        return answered(self.resolution, self.expectation.recordType)

    @property
    def came(self) -> frozenset[str]:
        """What the machine heard, as an expectation says it."""
        return came(self.heard, self.expectation.recordType)

    @property
    def reading(self) -> tuple[str, ...]:
        """How Azure's answer comes about."""
        resolution = self.resolution
        if resolution.answer is None:
            return ("no server answers",)
        whose = f", which {resolution.guest} forwards it to" if resolution.guest is not None else ""
        names = (resolution.name, *resolution.answer.chain)
        return (f"{resolution.server}{whose} is asked for {' → '.join(names)}: {spoken(self.answered)}",)


def prove_names(
    network: Network, engine: Engine, namespaces: Mapping[str, Path], resolvers: Mapping[str, Path]
) -> Iterator[NameResult]:
    """Prove the lines of `expect` with `resolvesTo`. `resolvers` are the machines' resolv.conf."""
    names = Names(network, engine)
    for number, expectation in enumerate(network.scenario.expect, start=1):
        if expectation.resolvesTo is None:
            continue
        machine, kind = expectation.from_, expectation.recordType
        asked = question_of(expectation)
        resolution = names.resolve(machine, asked, kind)
        patience = IMPATIENCE if resolution.server is None else PATIENCE
        asker = Asker(namespaces[machine], read_configuration(resolvers[machine]), patience)
        heard = asker.resolve(asked, kind)
        expected = expected_of(network, expectation)
        parted = tuple(disagreements(expected, resolution, heard, kind))
        yield NameResult(number, expectation, expected, resolution, heard, parted)


def question_of(expectation: Expectation) -> str:
    """The name that is asked for: of an address, when its PTR record is wanted, the name for reverse lookups."""
    if expectation.recordType == "PTR":
        try:
            return IPv4Address(expectation.to).reverse_pointer + "."
        except AddressValueError:
            pass
    return expectation.to


def expected_of(network: Network, expectation: Expectation) -> frozenset[str]:
    """What is expected, with the addresses of those who are named."""
    values = expectation.resolvesTo or (NO_SUCH_RECORD,)
    if expectation.recordType in ("A", "AAAA"):
        return frozenset(_address(network, text) for text in values)
    if expectation.recordType in ("TXT", "CAA"):
        return frozenset(values)
    return frozenset(text if text.isupper() else text.lower().rstrip(".") for text in values)


def _address(network: Network, text: str) -> str:
    if text in network.publicIPs:
        return str(network.publicIPs[text].address)
    if text in network.machines:
        return str(network.machines[text].nics[0].address)
    return str(network.hosts[text].address) if text in network.hosts else text


def answered(resolution: Resolution, kind: str) -> frozenset[str]:
    """What Azure's DNS answers, as an expectation says it."""
    if resolution.answer is None:
        return frozenset({NO_ANSWER})
    return _said(resolution.answer.status, resolution.answer.records, kind)


def came(heard: Heard, kind: str) -> frozenset[str]:
    """What the machine heard, as an expectation says it."""
    if heard.message is None:
        return frozenset({NO_ANSWER})
    return _said(heard.message.status, heard.message.of_type(kind), kind)


def _said(status: str, records: frozenset[tuple[str, ...]], kind: str) -> frozenset[str]:
    if status != "NOERROR":
        return frozenset({status})
    if not records:
        return frozenset({NO_SUCH_RECORD})
    return frozenset(("" if kind == "TXT" else " ").join(record) for record in records)


def spoken(values: frozenset[str]) -> str:
    """A set of answers, for a person."""
    return ", ".join(sorted(values))


def disagreements(expected: frozenset[str], resolution: Resolution, heard: Heard, kind: str) -> Iterator[str]:
    """Where expectation, Azure's DNS and what was heard part, in words.

    What a guest's own server answers is its own matter: Azure's answer is only what it gets when it forwards (DNS-6).
    """
    azure, ear = answered(resolution, kind), came(heard, kind)
    if resolution.guest is not None:
        if expected != ear:
            yield f"expected {spoken(expected)}, but {_heard(heard, ear)}"
        return
    if expected != azure:
        yield f"expected {spoken(expected)}, but Azure's DNS answers {spoken(azure)}"
    if azure != ear:
        yield f"Azure's DNS answers {spoken(azure)}, but {_heard(heard, ear)}"


def _heard(heard: Heard, ear: frozenset[str]) -> str:
    if heard.message is None:
        return f"the machine heard nothing ({heard.error})"
    return f"the machine heard {spoken(ear)} from {heard.server}"
