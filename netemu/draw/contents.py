"""What is written on the cards of a picture: one card per machine, per further NIC, per internet host."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from netemu.azure.network import InternetHost, IPConfig, Machine, Network, Nic, PublicIP
from netemu.draw.text import BOLD, MONO, REGULAR, width

RowKind = Literal["address", "public", "nsg", "asg", "nic", "run"]
CardKind = Literal["machine", "nic", "host", "public"]

TITLE_SIZE = 13.0
ROW_SIZE = {"address": 11.5, "public": 11.0, "nsg": 10.5, "asg": 10.5, "nic": 10.5, "run": 9.5}
ROW_FACE = {"address": MONO, "public": REGULAR, "nsg": REGULAR, "asg": REGULAR, "nic": MONO, "run": MONO}
ROW_ICON = ("public", "nsg", "asg")
"""Rows that begin with an icon."""

ICON_ROOM = 16.0
TITLE_ICON_ROOM = 22.0
BADGE_ROOM = 24.0
PADDING = 11.0
_MOST_ROWS_OF_A_KIND = 4


class Row(Struct, frozen=True):
    """A line of a card."""

    kind: RowKind
    text: str


class Content(Struct, frozen=True):
    """All that is written on a card."""

    key: str
    """NIC name or host name: what connectors refer to."""
    kind: CardKind
    title: str
    rows: tuple[Row, ...]
    appliance: bool
    tooltip: str

    def wanted_width(self) -> float:
        """Width at which nothing of it need be shortened."""
        title = TITLE_ICON_ROOM + width(self.title, TITLE_SIZE, BOLD) + (BADGE_ROOM if self.appliance else 0)
        rows = [
            width(row.text, ROW_SIZE[row.kind], ROW_FACE[row.kind]) + (ICON_ROOM if row.kind in ROW_ICON else 0)
            for row in self.rows
        ]
        return max([title, *rows]) + 2 * PADDING + 2

    def height(self) -> float:
        """Height of the card."""
        return 34.0 + sum(row_height(row) for row in self.rows) + (7 if self.rows else 0)


def row_height(row: Row) -> float:
    """Height of one line."""
    return 17.0 if row.kind in ("address", "public") else 15.5


def machine_content(machine: Machine) -> Content:
    """The card of a virtual machine, which stands in the subnet of its primary NIC."""
    nic = machine.nics[0]
    several = len(machine.nics) > 1
    rows = [Row("nic", f"eth{one.index} {one.address} {one.name}") for one in machine.nics] if several else []
    rows += _configurations(nic, with_primary=not several)
    rows += _nic_rows(nic)
    rows += _limited([Row("run", f"▸ {command}") for command in machine.run])
    return Content(
        key=nic.name,
        kind="machine",
        title=machine.name,
        rows=tuple(rows),
        appliance=nic.enableIPForwarding,
        tooltip=_machine_tooltip(machine),
    )


def nic_content(nic: Nic) -> Content:
    """The card of a NIC beyond the primary one, which stands in the NIC's own subnet."""
    rows = [*_configurations(nic, with_primary=True), Row("nic", nic.name), *_nic_rows(nic)]
    return Content(
        key=nic.name,
        kind="nic",
        title=f"{nic.machine} eth{nic.index}",
        rows=tuple(rows),
        appliance=nic.enableIPForwarding,
        tooltip=_nic_tooltip(nic),
    )


def host_content(host: InternetHost) -> Content:
    """The card of a machine on the internet."""
    rows = [Row("address", str(host.address)), *_limited([Row("run", f"▸ {command}") for command in host.run])]
    tooltip = "\n".join([f"internet host {host.name} {host.address}", *host.run])
    return Content(key=host.name, kind="host", title=host.name, rows=tuple(rows), appliance=False, tooltip=tooltip)


def public_content(ip: PublicIP) -> Content:
    """The card of a public IP that no NIC has."""
    return Content(
        key=ip.name,
        kind="public",
        title=ip.name,
        rows=(Row("address", str(ip.address)),),
        appliance=False,
        tooltip=f"public IP {ip.name} {ip.address} ({ip.sku}), not associated",
    )


def unassociated(network: Network) -> list[PublicIP]:
    """Public IPs that nobody has; they stand on the internet."""
    used = {config.publicIP.name for _, config in network.addresses() if config.publicIP}
    return [ip for name, ip in network.publicIPs.items() if name not in used]


def _configurations(nic: Nic, *, with_primary: bool) -> list[Row]:
    rows = [Row("address", str(nic.address))] if with_primary else []
    return rows + _limited([Row("nic", f"{config.address} {config.name}") for config in nic.ipConfigs[1:]])


def _nic_rows(nic: Nic) -> list[Row]:
    rows = [Row("public", _public_text(config)) for config in nic.ipConfigs if config.publicIP]
    if nic.networkSecurityGroup:
        rows.append(Row("nsg", nic.networkSecurityGroup))
    groups = sorted({group for config in nic.ipConfigs for group in config.applicationSecurityGroups})
    return rows + _limited([Row("asg", group) for group in groups])


def _public_text(config: IPConfig) -> str:
    assert config.publicIP is not None
    suffix = " · Basic" if config.publicIP.sku == "Basic" else ""
    return f"{config.publicIP.name} {config.publicIP.address}{suffix}"


def _limited(rows: list[Row]) -> list[Row]:
    """The first few of many rows; the tooltip has all."""
    if len(rows) <= _MOST_ROWS_OF_A_KIND:
        return rows
    kept = rows[: _MOST_ROWS_OF_A_KIND - 1]
    return [*kept, Row(rows[0].kind, f"… and {len(rows) - len(kept)} more")]


def _machine_tooltip(machine: Machine) -> str:
    lines = [f"virtual machine {machine.name}"]
    lines += [_nic_tooltip(nic) for nic in machine.nics]
    lines += [f"runs {command}" for command in machine.run]
    lines += [f"{key} = {value}" for key, value in sorted(machine.sysctls.items())]
    return "\n".join(lines)


def _nic_tooltip(nic: Nic) -> str:
    lines = [f"NIC {nic.name} (eth{nic.index} of {nic.machine}) in {nic.subnet.path}, {nic.macAddress}"]
    for config in nic.ipConfigs:
        public = f" · public IP {config.publicIP.name} {config.publicIP.address}" if config.publicIP else ""
        groups = "".join(f" · {group}" for group in sorted(config.applicationSecurityGroups))
        lines.append(f"{config.name} {config.address}{public}{groups}")
    if nic.networkSecurityGroup:
        lines.append(f"NSG {nic.networkSecurityGroup}")
    if nic.enableIPForwarding:
        lines.append("enableIPForwarding: true")
    return "\n".join(lines)
