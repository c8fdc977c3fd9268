"""Flows that end at a load balancer: no rule for them, nobody behind it, or the caller itself.

Sources: Azure rules LB-8, LB-9, LB-18, LB-21, LB-24, PEER-17, OUT-4, OUT-32, OUT-36.
"""

from __future__ import annotations

from netemu.azure.flow import TCP, UDP, protocol_name
from netemu.azure.load_balancing import Listener
from netemu.azure.network import LoadBalancer, Nic
from netemu.explain.case import Case
from netemu.explain.edits import Edit
from netemu.explain.explanation import Obstacle, Remedy

LISTED = 6
"""So many rules are named."""


def no_rule(case: Case) -> Obstacle:
    """The frontend has no rule for it."""
    listener, hop = _listener(case)
    balancer = case.network.loadBalancers[listener.frontend.loadBalancer]
    frontend, path = listener.frontend, f"`{listener.frontend.path}`"
    protocol, port = case.packet.protocol, case.packet.destinationPort
    remedies: list[Remedy] = []
    if protocol not in (TCP, UDP):
        what = f"is dropped: load balancers carry Tcp and Udp only, no {protocol_name(protocol)} (LB-9)"
        hints = ("call a backend by its own address",) if not hop else ()
    elif hop:
        what = f"is dropped: a route sends it to {path}, which takes what is for others by HA ports only (LB-18)"
        hints = ("HA ports are a rule with `protocol: All` and `frontendPort: 0`, on a Standard load balancer",)
    else:
        what = f"is dropped: {path} has no rule for {case.service} (LB-8)"
        known = [
            f"{rule.protocol} {rule.frontendPort} (`{name}`)"
            for rules in (balancer.loadBalancingRules, balancer.inboundNatRules)
            for name, rule in rules.items()
            if rule.frontend.name == frontend.name
        ]
        more = f" and {len(known) - LISTED} more" if len(known) > LISTED else ""
        hints = (f"it has rules for {', '.join(known[:LISTED])}{more}" if known else "it has no rules at all",)
        pools = [name for name, pool in balancer.pools.items() if pool.members]
        if pools:
            name = f"{protocol_name(protocol).lower()}-{port}"
            rule = {
                "frontendIPConfiguration": frontend.name, "backendAddressPool": pools[0],
                "protocol": protocol_name(protocol), "frontendPort": port,
            }  # fmt: skip
            text = f"a rule for {case.service} to pool `{pools[0]}` would take it"
            remedies.append(Remedy(text, (Edit(("loadBalancers", balancer.name, "loadBalancingRules", name), rule),)))
    return _obstacle(case, what, hints, tuple(remedies))


def no_backend(case: Case) -> Obstacle:
    """Nobody is in the pool, or up."""
    listener, hop = _listener(case)
    service = listener.find_hop(case.packet) if hop else listener.find(case.packet)
    assert service is not None
    if service.backends:
        return _obstacle(case, f"is dropped: no backend of rule `{service.path}` is up (LB-24, LB-32)")
    hint = "name VMs or NICs in its backendAddressPools, or the pool in their loadBalancerBackendAddressPools"
    return _obstacle(case, f"is dropped: nobody is in the pool of rule `{service.path}` (LB-24)", (hint,))


def hairpin(case: Case) -> Obstacle:
    """The load balancer has chosen the machine that calls."""
    rule = case.verdict.chosen[-1].rule
    options = len(case.verdict.ways)
    if options > 1:
        hint = f"of {options} backends one is the caller: so many of its connections fail, the others work"
    else:
        hint = "it is the only backend: none of its connections works"
    what = f"comes back to `{case.verdict.chosen[-1].machine}` by rule `{rule}`, which drops what has its own address"
    return _obstacle(case, f"{what} (LB-21)", (hint,))


def global_peering(case: Case) -> Obstacle:
    """A Basic frontend in another region."""
    listener, _ = _listener(case)
    name = listener.frontend.loadBalancer
    return _obstacle(case, f"is dropped: `{name}` is Basic, which nobody reaches from another region (PEER-17)")


def not_let_out(case: Case, nic: Nic, balancer: LoadBalancer) -> tuple[str, list[Remedy]]:
    """Why a member of a pool does not get out, and what would let it (OUT-36)."""
    protocol = protocol_name(case.packet.protocol)
    why = f"in a pool of `{balancer.name}`, which does not let {protocol} out (OUT-4, OUT-32, OUT-36)"
    if case.packet.protocol not in (TCP, UDP):
        return why, []
    address = _free(f"{nic.subnet.name}-gw-ip", case.scenario.publicIPAddresses)
    gateway = _free(f"{nic.subnet.name}-gw", case.scenario.natGateways)
    edits = (
        Edit(("publicIPAddresses", address), {}),
        Edit(("natGateways", gateway), {"publicIPAddresses": address}),
        Edit((*case.subnet_path(nic.subnet), "natGateway"), gateway),
    )
    return why, [Remedy(f"a NAT gateway for subnet `{nic.subnet.path}` would let it out", edits)]


def _free(wanted: str, taken: object) -> str:
    assert isinstance(taken, dict)
    names = [wanted, *(f"{wanted}-{number}" for number in range(2, len(taken) + 2))]
    return next(name for name in names if name not in taken)


def _listener(case: Case) -> tuple[Listener, bool]:
    """The frontend at which it ended; and whether a route has sent it there as to an appliance."""
    balancing = case.engine.placement.balancing
    address = case.packet.destination
    if address in balancing.public:
        return balancing.public[address], False
    route = case.last_route
    hop = route.nextHopIpAddress if route is not None else None
    wanted = address if hop is None else int(hop)
    near = case.port.virtualNetwork if case.port is not None else ""
    order = sorted(balancing.internal, key=lambda name: name != near)
    return next(
        balancing.internal[name][wanted] for name in order if wanted in balancing.internal[name]
    ), hop is not None


def _obstacle(
    case: Case, what: str, hints: tuple[str, ...] = (), remedies: tuple[Remedy, ...] = ()
) -> Obstacle:  # fmt: skip
    return Obstacle(
        way=case.way, stage=case.verdict.stage, what=what, place=case.end.place, hints=hints, remedies=remedies,
        direction=case.end.direction,
    )  # fmt: skip
