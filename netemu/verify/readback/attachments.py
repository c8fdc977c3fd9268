"""What hangs on each NIC by the kernel: the link to the fabric, NSGs, the public address."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address

from msgspec import Struct

from netemu.azure.network import Nic
from netemu.verify.readback.gates import FAMILY, TABLE, asked
from netemu.verify.readback.plane import EDGE, FABRIC, Plane

VIRTUAL_NETWORK = 0x0FFF0000
"""The bits of a mark that say to which virtual network a port belongs."""


class Attachment(Struct, frozen=True):
    """A NIC as it is."""

    nic: str
    connected: bool
    """A link with its MAC leads from its machine to the fabric."""
    networkSecurityGroups: tuple[str, ...]
    """Those that are asked about what it sends: its own, then its subnet's."""
    publicIPAddresses: tuple[str, ...]


def compare(plane: Plane) -> tuple[list[Attachment], list[str]]:
    """Every NIC of the lab, and how it differs from the model."""
    found: list[Attachment] = []
    differences: list[str] = []
    for nic in plane.network.nics.values():
        there = _attachment(plane, nic)
        found.append(there)
        differences += _differences(plane, nic, there)
    return found, differences


def _attachment(plane: Plane, nic: Nic) -> Attachment:
    near, port = plane.links(nic.machine).get(f"eth{nic.index}"), plane.port(nic)
    connected = near is not None and port is not None and near.mac.hex(":") == nic.macAddress
    groups = tuple(chain.split("/")[1] for _, chain in asked(plane, nic, "Outbound"))
    return Attachment(nic.name, connected, groups, tuple(_public(plane, nic)))


def _public(plane: Plane, nic: Nic) -> Iterator[str]:
    """The public addresses that the edge gives what the NIC sends, and whose packets lead back to the NIC."""
    port = plane.port(nic)
    if port is None or not plane.has(EDGE):
        return
    link = _edge_link(plane, port.name)
    outward = plane.view(EDGE).members(FAMILY, TABLE, "one_to_one")
    inward = plane.view(EDGE).members(FAMILY, TABLE, "inbound")
    for config in nic.ipConfigs:
        public = outward.find((link, int(config.address)))
        if public is not None and inward.find(int(IPv4Address(public))) == str(config.address):
            yield str(public)


def _edge_link(plane: Plane, port: str) -> str | None:
    """The link between fabric and edge of the virtual network that a port belongs to: their marks have the same."""
    marks = plane.view(FABRIC).members(FAMILY, TABLE, "ingress_mark")
    mine = marks.find(port)
    for name in plane.links(EDGE):
        theirs = marks.find(name)
        if isinstance(mine, int) and isinstance(theirs, int) and (mine ^ theirs) & VIRTUAL_NETWORK == 0:
            return name
    return None


def _differences(plane: Plane, nic: Nic, there: Attachment) -> Iterator[str]:
    if not there.connected:
        yield f"{nic.name}: no link with MAC {nic.macAddress} leads from eth{nic.index} of {nic.machine} to the fabric"
        return
    groups = tuple(g for g in (nic.networkSecurityGroup, nic.subnet.networkSecurityGroup) if g is not None)
    inward = tuple(chain.split("/")[1] for _, chain in asked(plane, nic, "Inbound"))
    for way, found in (("outbound", there.networkSecurityGroups), ("inbound", tuple(reversed(inward)))):
        if found != groups:
            yield f"{nic.name}, {way}: NSGs by the model {_list(groups)}, by the kernel {_list(found)}"
    public = tuple(str(config.publicIP.address) for config in nic.ipConfigs if config.publicIP is not None)
    if there.publicIPAddresses != public:
        yield f"{nic.name}: public IPs by the model {_list(public)}, by the kernel {_list(there.publicIPAddresses)}"


def _list(names: tuple[str, ...]) -> str:
    return ", ".join(names) or "none"
