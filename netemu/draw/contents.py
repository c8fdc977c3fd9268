"""What is written on the cards of a picture: one per machine, further NIC, load balancer and internet host."""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

from netemu.azure.network import Frontend, InternetHost, IPConfig, LoadBalancer, Machine, Network, Nic, PublicIP
from netemu.draw.relations import balancer_key, pools_of
from netemu.draw.text import BOLD, MONO, REGULAR, width

RowKind = Literal["address", "public", "nsg", "asg", "pool", "nic", "rule", "run"]
CardKind = Literal["machine", "nic", "host", "public", "balancer"]

TITLE_SIZE = 13.0
ROW_SIZE = {
    "address": 11.5, "public": 11.0, "nsg": 10.5, "asg": 10.5, "pool": 10.5, "nic": 10.5, "rule": 10.5, "run": 9.5
}  # fmt: skip
ROW_FACE = {
    "address": MONO, "public": REGULAR, "nsg": REGULAR, "asg": REGULAR, "pool": REGULAR, "nic": MONO, "rule": REGULAR,
    "run": MONO,
}  # fmt: skip
ROW_ICON = ("public", "nsg", "asg", "pool")
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
    """NIC name, host name, `loadBalancers/<name>`: what connectors refer to."""
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


def machine_content(network: Network, machine: Machine) -> Content:
    """The card of a virtual machine, which stands in the subnet of its primary NIC."""
    nic = machine.nics[0]
    several = len(machine.nics) > 1
    rows = [Row("nic", f"eth{one.index} {one.address} {one.name}") for one in machine.nics] if several else []
    rows += _configurations(nic, with_primary=not several)
    rows += _nic_rows(network, nic)
    rows += _limited([Row("run", f"▸ {command}") for command in machine.run])
    return Content(
        key=nic.name,
        kind="machine",
        title=machine.name,
        rows=tuple(rows),
        appliance=nic.enableIPForwarding,
        tooltip=_machine_tooltip(machine),
    )


def nic_content(network: Network, nic: Nic) -> Content:
    """The card of a NIC beyond the primary one, which stands in the NIC's own subnet."""
    rows = [*_configurations(nic, with_primary=True), Row("nic", nic.name), *_nic_rows(network, nic)]
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


def balancer_content(balancer: LoadBalancer) -> Content:
    """The card of a load balancer: on the internet when it is public, else in the subnet of its first frontend."""
    kind: RowKind = "public" if balancer.is_public else "address"
    frontends = [Row(kind, _frontend_text(frontend)) for frontend in balancer.frontends.values()]
    rules = [
        Row(
            "rule",
            f"{_port(rule.protocol, rule.frontendPort)} → {rule.pool.name} {_port('', rule.backendPort)}".rstrip(),
        )
        for rule in balancer.loadBalancingRules.values()
    ]
    nats = [
        Row("rule", f"{_port(rule.protocol, rule.frontendPort)} → {rule.member.nic.machine} {rule.backendPort}")
        for rule in balancer.inboundNatRules.values()
    ]
    return Content(
        key=balancer_key(balancer),
        kind="balancer",
        title=balancer.name,
        rows=(*_limited(frontends), *_limited(rules), *_limited(nats)),
        appliance=False,
        tooltip=_balancer_tooltip(balancer),
    )


def _port(protocol: str, port: int) -> str:
    """`Tcp 80`; HA ports have none."""
    return " ".join(
        part for part in ("HA ports" if protocol == "All" and not port else protocol, str(port or "")) if part
    )


def _frontend_text(frontend: Frontend) -> str:
    if frontend.publicIPPrefix is not None:
        return f"{frontend.publicIPPrefix.name} {frontend.publicIPPrefix.prefix}"
    return f"{frontend.publicIP.name} {frontend.address}" if frontend.publicIP else str(frontend.address)


def _balancer_tooltip(balancer: LoadBalancer) -> str:
    lines = [f"load balancer {balancer.name} ({balancer.sku}, {'public' if balancer.is_public else 'internal'})"]
    lines += [f"frontend {each.name}: {_frontend_text(each)}" for each in balancer.frontends.values()]
    for rule in balancer.loadBalancingRules.values():
        probe = f" · probe {rule.probe.name}" if rule.probe is not None else ""
        port = f" {_port(rule.protocol, rule.frontendPort)}"
        lines.append(
            f"rule {rule.name}: {rule.frontend.name}{port} → {rule.pool.name} {_port('', rule.backendPort)}{probe}"
        )
    for nat in balancer.inboundNatRules.values():
        port = _port(nat.protocol, nat.frontendPort)
        lines.append(f"NAT rule {nat.name}: {nat.frontend.name} {port} → {nat.member.path} {nat.backendPort}")
    for pool in balancer.pools.values():
        lines.append(f"pool {pool.name}: {', '.join(member.path for member in pool.members) or 'empty'}")
    for outbound in balancer.outboundRules.values():
        frontends = ", ".join(frontend.name for frontend in outbound.frontends)
        lines.append(f"outbound rule {outbound.name}: {outbound.pool.name} by {frontends} ({outbound.protocol})")
    return "\n".join(lines)


def unassociated(network: Network) -> list[PublicIP]:
    """Public IPs that nobody has; they stand on the internet."""
    attached = {subnet.natGateway for subnet in network.subnets() if subnet.natGateway}
    used = {config.publicIP.name for _, config in network.addresses() if config.publicIP}
    used |= {frontend.publicIP.name for frontend in network.frontends() if frontend.publicIP}
    used |= {name for gateway in attached for name in network.scenario.natGateways[gateway].publicIPAddresses}
    return [ip for name, ip in network.publicIPs.items() if name not in used]


def _configurations(nic: Nic, *, with_primary: bool) -> list[Row]:
    rows = [Row("address", str(nic.address))] if with_primary else []
    return rows + _limited([Row("nic", f"{config.address} {config.name}") for config in nic.ipConfigs[1:]])


def _nic_rows(network: Network, nic: Nic) -> list[Row]:
    rows = [Row("public", _public_text(config)) for config in nic.ipConfigs if config.publicIP]
    if nic.networkSecurityGroup:
        rows.append(Row("nsg", nic.networkSecurityGroup))
    groups = sorted({group for config in nic.ipConfigs for group in config.applicationSecurityGroups})
    rows += _limited([Row("asg", group) for group in groups])
    return rows + _limited([Row("pool", pool) for pool in pools_of(network, nic)])


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
