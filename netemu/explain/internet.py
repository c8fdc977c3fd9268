"""Flows that end at the internet's edge: no translation, private addresses, public ones that nobody has.

Sources: Azure rules OUT-1, OUT-4…OUT-8, OUT-16, VN-13, RT-14, NVA-4.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address
from itertools import count

from netemu.azure.flow import TCP, UDP, dotted, protocol_name
from netemu.azure.network import IPConfig, Nic
from netemu.explain.balancers import not_let_out
from netemu.explain.case import Case
from netemu.explain.edits import GONE, Edit
from netemu.explain.explanation import Obstacle, Remedy

MASQUERADE = (
    "`nft 'add table ip nat; add chain ip nat out {{ type nat hook postrouting priority 100; }};"
    " add rule ip nat out oifname {interface} masquerade'`"
)


def untranslated(case: Case) -> Obstacle:
    """Nothing gives the packet a public source."""
    port = case.port
    assert port is not None
    nic = port.nic
    source = dotted(case.packet.source)
    remedies: tuple[Remedy, ...] = ()
    hints: tuple[str, ...] = ()
    config = port.addresses.get(case.packet.source)
    if config is None:
        what = (
            f"is dropped at the internet's edge: `{nic.machine}` sends it with the source {source}, which is not its"
            " own, so nothing translates it (NVA-4)"
        )
        hints = (
            f"an appliance must put its own address on what it forwards to the internet: inside `{nic.machine}`, for"
            f" example, {MASQUERADE.format(interface=f'eth{nic.index}')}",
        )
    elif config.defaultOutbound is not None:
        name = protocol_name(case.packet.protocol)
        what = (
            f"is dropped at the internet's edge: `{nic.name}` has no public IP, and default outbound access carries"
            f" Tcp and Udp only, no {name} (OUT-7)"
        )
        remedies = tuple(_public_ip(case, nic, config))
    else:
        why, more = _no_outbound(case, nic, config)
        what = f"is dropped at the internet's edge: nothing translates {source} of `{nic.name}` {why}"
        remedies = (*more, *_public_ip(case, nic, config))
    return Obstacle(
        way=case.way,
        stage=case.verdict.stage,
        what=what,
        place=nic.name,
        hints=hints,
        remedies=remedies,
        direction="Outbound",
    )


def _no_outbound(case: Case, nic: Nic, config: IPConfig) -> tuple[str, list[Remedy]]:
    machine = case.network.machines[nic.machine]
    public = [c.publicIP.name for each in machine.nics for c in each.ipConfigs if c.publicIP is not None]
    if not config.primary:
        return "a secondary address without a public IP of its own (OUT-8)", []
    if nic.subnet.natGateway is not None:
        name = protocol_name(case.packet.protocol)
        return f"behind NAT gateway `{nic.subnet.natGateway}`, which carries Tcp and Udp only, no {name} (OUT-41)", []
    balancer = case.engine.placement.balancing.members.get((nic.name, case.packet.source))
    if balancer is not None and not public:
        return not_let_out(case, nic, case.network.loadBalancers[balancer])
    if not nic.subnet.defaultOutboundAccess:
        remedies = []
        if case.packet.protocol in (TCP, UDP):
            path = (*case.subnet_path(nic.subnet), "defaultOutboundAccess")
            text = f"defaultOutboundAccess: true for subnet `{nic.subnet.path}` would let it out"
            remedies = [Remedy(text, (Edit(path, value=True),))]
        return (
            f"in private subnet `{nic.subnet.path}`: no public IP, and defaultOutboundAccess is false (OUT-1)",
            remedies,
        )
    if public:
        return f"as `{public[0]}` on another NIC of `{nic.machine}` takes its default outbound access away (OUT-6)", []
    return "with a public address: no public IP, no default outbound access (OUT-1, OUT-4)", []


def _public_ip(case: Case, nic: Nic, config: IPConfig, *, called: bool = False) -> Iterator[Remedy]:
    """A public IP of its own, of the SKU that the VM has already (OUT-16); to go out by, or to be called by."""
    taken = case.scenario.publicIPAddresses
    names = (f"{nic.machine}-ip" if number == 1 else f"{nic.machine}-ip-{number}" for number in count(1))
    name = next(each for each in names if each not in taken)
    skus = {c.publicIP.sku for each in case.network.machines[nic.machine].nics for c in each.ipConfigs if c.publicIP}
    yield Remedy(
        f"a public IP for `{nic.name}`, by which to call it"
        if called
        else f"a public IP for `{nic.name}` would let it out",
        (
            Edit(("publicIPAddresses", name), {"sku": "Basic"} if skus == {"Basic"} else {}),
            Edit((*case.config_path(nic.name, config.name), "publicIPAddress"), name),
        ),
        to=name if called else None,
    )


def private(case: Case) -> Obstacle:
    """A private address at the internet's edge."""
    destination = dotted(case.packet.destination)
    remedies: list[Remedy] = []
    route, step = case.last_route, case.route_step
    if route is not None and step is not None:
        subnet = case.sender_of(step).nic.subnet
        what = (
            f"is dropped at the internet's edge: {route} of subnet `{subnet.path}` sends it to the internet, which"
            " carries nothing private (VN-13, RT-14)"
        )
        if route.name is not None:
            path = ("routeTables", str(subnet.routeTable), "routes", route.name)
            remedies.append(Remedy(f"without route `{route.name}` it would get through", (Edit(path, GONE),)))
    else:
        what = (
            f"is dropped at the internet's edge: {destination} is private, nobody reaches it from the internet (VN-13)"
        )
        for nic in case.owners(case.packet.destination):
            public = case.config_of(nic, case.packet.destination).publicIP
            if public is not None:
                remedies.append(Remedy(f"call `{nic.machine}` by `{public.name}`, {public.address}", to=public.name))
            else:
                remedies += _public_ip(case, nic, case.config_of(nic, case.packet.destination), called=True)
    return Obstacle(
        way=case.way, stage=case.verdict.stage, what=what, place=case.end.place,
        remedies=tuple(remedies), direction=case.end.direction,
    )  # fmt: skip


def unknown(case: Case) -> Obstacle:
    """A public address that nobody has."""
    destination = IPv4Address(case.packet.destination)
    hints: list[str] = []
    for nic, config in case.network.addresses():
        if config.defaultOutbound == destination:
            hints.append(
                f"it is the address that Azure lends `{nic.machine}` to go out; nobody can come in by it (OUT-5)"
            )
    for name, public in case.network.publicIPs.items():
        if public.address == destination:
            hints.append(f"it is `{name}`, which is attached to nothing")
    return Obstacle(
        way=case.way,
        stage=case.verdict.stage,
        what=f"is dropped at the internet's edge: nobody has {destination}",
        place=case.end.place,
        hints=tuple(hints) or ("who is on the lab's internet is written in `internet.hosts`",),
        direction=case.end.direction,
    )
