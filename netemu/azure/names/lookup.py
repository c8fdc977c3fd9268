"""Looking a name up in a set of zones (RFC 1034, RFC 4592)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from msgspec import Struct, field

from netemu.azure.network import RecordSet

Status = Literal["NOERROR", "NXDOMAIN", "SERVFAIL"]
Rdata = tuple[str, ...]

LONGEST_CHAIN = 11
"""How many names in a row may be other names of the next one; resolvers give up then."""


class Answer(Struct, frozen=True):
    """What a resolver answers. NOERROR without records: the name exists, but has none of this type."""

    status: Status
    records: frozenset[Rdata] = frozenset()
    """Of the type that was asked for, whatever the order."""
    chain: tuple[str, ...] = ()
    """The canonical names that led to them."""
    ttl: int | None = None


class Zone(Struct):
    """A zone's record sets by name and type. Names between the apex and a name with records exist, too."""

    name: str
    names: dict[str, dict[str, RecordSet]] = field(default_factory=dict)

    def add(self, record_set: RecordSet) -> None:
        """Add a record set, in place of another one of its name and type."""
        self.names.setdefault(record_set.name, {})[record_set.type] = record_set
        for each in (record_set.name, *ancestors(record_set.name)):
            self.names.setdefault(each, {})
            if each == self.name:
                break

    def find(self, name: str) -> dict[str, RecordSet] | None:
        """The record sets of a name, be it by a wildcard; None when there is no such name."""
        if name in self.names:
            return self.names[name]
        for above in ancestors(name):
            if above in self.names:  # the closest encloser: only its own wildcard counts
                return self.names.get(f"*.{above}" if above else "*")
        return None

    def is_delegated(self, name: str) -> bool:
        """Is the name, or one above it, below a name server record that is not the zone's own?"""
        for each in (name, *ancestors(name)):
            if each == self.name:
                return False
            if "NS" in self.names.get(each, {}):
                return True
        return False


class Zones:
    """All zones that a resolver knows; the one with the longest name that fits is asked (DNS-13)."""

    def __init__(self, zones: Iterable[Zone]) -> None:
        self._zones = {zone.name: zone for zone in zones}

    def answer(self, name: str, kind: str) -> Answer:
        """Look a name up. Names are absolute, in any case, with or without the dot at the end."""
        asked = name.lower().rstrip(".")
        chain: list[str] = []
        ttls: list[int] = []
        for _ in range(LONGEST_CHAIN + 1):
            zone = self.closest(asked)
            found = zone.find(asked)
            if zone.is_delegated(asked):
                return Answer("SERVFAIL")  # to servers that are not there: what is there is a zone of its own
            if found is None:
                return Answer("NXDOMAIN", chain=tuple(chain))
            if kind in found or "CNAME" not in found:
                wanted = found.get(kind)
                records = frozenset(wanted.records) if wanted is not None else frozenset()
                ttls += [wanted.ttl] if wanted is not None else []
                return Answer("NOERROR", records, tuple(chain), min(ttls) if wanted is not None else None)
            ttls.append(found["CNAME"].ttl)
            asked = found["CNAME"].records[0][0]
            chain.append(asked)
        return Answer("SERVFAIL")

    def closest(self, name: str) -> Zone:
        """The zone that a name is in: the root's at last."""
        return next(self._zones[each] for each in (name, *ancestors(name)) if each in self._zones)


def ancestors(name: str) -> Iterable[str]:
    """Every name above, the root ("") last."""
    while name:
        name = name.partition(".")[2]
        yield name
