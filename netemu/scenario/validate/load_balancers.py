"""Load balancers by themselves: frontends, probes, rules and their ports (LB-2, LB-12, LB-15, LB-17, LB-18, LB-25)."""

from __future__ import annotations

from collections.abc import Iterator

from msgspec import Struct

from netemu.azure import resources as arm
from netemu.scenario import codes
from netemu.scenario.report import quoted
from netemu.scenario.tree import Path
from netemu.scenario.validate.context import Context
from netemu.scenario.validate.interfaces import private_address

FORBIDDEN_PROBE_PORTS = (19, 21, 25, 70, 110, 119, 143, 220, 993)
"""For Http and Https (LB-34)."""
SHORTEST_INTERVAL = 5
LAST_FRONTEND_PORT = 65534
IDLE_MINUTES = (4, 30)


class Listener(Struct, frozen=True):
    """What takes ports of a frontend."""

    frontend: str
    protocol: str
    first: int
    last: int
    path: Path
    within: str

    def meets(self, other: Listener) -> bool:
        """Do both take one port of one frontend? All takes those of Tcp and Udp."""
        return (
            self.frontend == other.frontend
            and (self.protocol == other.protocol or "All" in (self.protocol, other.protocol))
            and self.first <= other.last
            and other.first <= self.last
        )


def check(context: Context) -> None:
    """Check every load balancer."""
    for name, balancer in context.scenario.loadBalancers.items():
        path = ("loadBalancers", name)
        _frontends(context, path, name, balancer)
        for key, probe in balancer.probes.items():
            _probe(context, (*path, "probes", key), balancer, probe)
        for key, rule in balancer.loadBalancingRules.items():
            _rule(context, (*path, "loadBalancingRules", key), balancer, rule)
        for key, nat in balancer.inboundNatRules.items():
            _nat_rule(context, (*path, "inboundNatRules", key), balancer, nat)
        for key, pool in balancer.inboundNatPools.items():
            where = (*path, "inboundNatPools", key)
            _common(context, where, balancer, pool)
            _range(context, where, pool.frontendPortRangeStart, pool.frontendPortRangeEnd)
            _port(context, where, "backendPort", pool.backendPort)
        _listeners(context, path, balancer)


def _frontends(context: Context, path: Path, name: str, balancer: arm.LoadBalancer) -> None:
    if not balancer.frontendIPConfigurations:
        parts = (
            balancer.loadBalancingRules,
            balancer.inboundNatRules,
            balancer.outboundRules,
            balancer.inboundNatPools,
        )
        if any(parts) or balancer.backendAddressPools or balancer.probes:
            context.add(path, "frontendIPConfigurations", "it has no frontend", "add one", codes.NO_FRONTEND)
        return
    first: tuple[str, bool, str] | None = None
    for key, frontend in balancer.frontendIPConfigurations.items():
        where = (*path, "frontendIPConfigurations", key)
        public = _frontend(context, where, f"loadBalancers/{name}/{key}", balancer, frontend)
        if public is None:
            continue
        network = (frontend.subnet or "").partition("/")[0]
        if first is None:
            first = key, public, network
        elif first[1] != public:
            kinds = ("public", "internal") if public else ("internal", "public")
            context.add(
                where, "", f"{key} is {kinds[0]}, but {first[0]} is {kinds[1]}", "frontends of one kind, and another"
                " load balancer for the others", codes.FRONTENDS_DIFFER,
            )  # fmt: skip
        elif first[2] != network:
            context.add(
                where, "subnet", f"{key} is in {network}, but {first[0]} is in {first[2]}",
                "frontends in one virtual network", codes.FRONTENDS_IN_SEVERAL_NETWORKS,
            )  # fmt: skip


def _frontend(
    context: Context, path: Path, user: str, balancer: arm.LoadBalancer, frontend: arm.FrontendIPConfiguration
) -> bool | None:
    """Check one; is it public? None when nobody can say."""
    names = ("publicIPAddress", "publicIPPrefix", "subnet")
    if context.gap(path, *names):
        return None
    written = [name for name in names if getattr(frontend, name) is not None]
    if not written:
        context.add(
            path, "", "it has no address", "add publicIPAddress, or subnet for an internal one",
            codes.FRONTEND_OF_NEITHER_KIND,
        )  # fmt: skip
        return None
    for other in written[1:]:
        context.add(
            path, other, f"{written[0]} and {other} exclude each other", "write one of them",
            codes.FRONTEND_OF_BOTH_KINDS,
        )  # fmt: skip
    if frontend.subnet is not None:
        private_address(context, path, frontend, "frontend")
    else:
        for name in ("privateIPAddress", "privateIPAllocationMethod"):
            if getattr(frontend, name) is not None:
                context.add(path, name, f"{name} is for internal frontends", "remove it", codes.CONFLICTING_PROPERTIES)
    if context.use_public_ip(path, "publicIPAddress", frontend.publicIPAddress, user):
        sku = context.scenario.publicIPAddresses[frontend.publicIPAddress or ""].sku
        if sku != balancer.sku and sku and balancer.sku:
            context.add(
                path, "publicIPAddress", f"{frontend.publicIPAddress} is {sku}, the load balancer is {balancer.sku}",
                f"a {balancer.sku} public IP", codes.BALANCER_SKU,
            )  # fmt: skip
    if context.use_prefix(path, "publicIPPrefix", frontend.publicIPPrefix, user) and balancer.sku == "Basic":
        _basic(context, path, "publicIPPrefix", "public IP prefixes")
    return frontend.subnet is None


def _basic(context: Context, path: Path, within: str, what: str) -> None:
    context.add(path, within, f"Basic load balancers have no {what}", "sku: Standard", codes.BASIC_LACKS)


def _probe(context: Context, path: Path, balancer: arm.LoadBalancer, probe: arm.Probe) -> None:
    def wrong(prop: str, what: str, instead: str) -> None:
        context.add(path, prop, what, instead, codes.PROBE)

    _port(context, path, "port", probe.port, 65535)
    if probe.protocol == "Https" and balancer.sku == "Basic":
        _basic(context, path, "protocol", "Https probes")
    if probe.protocol == "Tcp" and probe.requestPath is not None:
        wrong("requestPath", "Tcp probes have no requestPath", "remove it, or protocol: Http")
    elif probe.protocol in ("Http", "Https"):
        if probe.requestPath is None:
            wrong("requestPath", f"{probe.protocol} probes need a requestPath", "add `requestPath: /`")
        elif probe.requestPath and not _is_request_path(probe.requestPath):
            wrong("requestPath", f"{quoted(probe.requestPath)} is no path", "one such as /health")
        if probe.port in FORBIDDEN_PROBE_PORTS:
            wrong("port", f"{probe.protocol} probes cannot use port {probe.port}", "another port, or protocol: Tcp")
    if not SHORTEST_INTERVAL <= probe.intervalInSeconds <= 2_147_483_646:
        wrong(
            "intervalInSeconds",
            f"intervalInSeconds cannot be {probe.intervalInSeconds}",
            f"{SHORTEST_INTERVAL} or more",
        )
    if probe.numberOfProbes is not None and not 1 <= probe.numberOfProbes <= 2_147_483_646:
        wrong("numberOfProbes", f"numberOfProbes cannot be {probe.numberOfProbes}", "1 or more")
    if probe.probeThreshold is not None and not 1 <= probe.probeThreshold <= 100:
        wrong("probeThreshold", f"probeThreshold cannot be {probe.probeThreshold}", "1 to 100")


def _is_request_path(text: str) -> bool:
    """Can it stand in a request line?"""
    return text.startswith("/") and text.isascii() and text.isprintable() and " " not in text


Rule = arm.LoadBalancingRule | arm.InboundNatRule | arm.InboundNatPool


def _common(context: Context, path: Path, balancer: arm.LoadBalancer, rule: Rule) -> None:
    """Check what load-balancing rules, NAT rules and NAT pools have in common."""
    name = rule.frontendIPConfiguration
    if context.reference(
        path, "frontendIPConfiguration", name, "frontendIPConfiguration", balancer.frontendIPConfigurations,
        "loadBalancers",
    ) and balancer.frontendIPConfigurations[name].publicIPPrefix is not None:  # fmt: skip
        context.add(
            path, "frontendIPConfiguration", f"{name} has a publicIPPrefix, which serves outbound rules only",
            "a frontend with a publicIPAddress", codes.OUTBOUND_RULE,
        )  # fmt: skip
    idle_minutes(context, path, rule.idleTimeoutInMinutes, *IDLE_MINUTES)
    if rule.enableTcpReset and balancer.sku == "Basic":
        _basic(context, path, "enableTcpReset", "TCP reset")


def idle_minutes(context: Context, path: Path, minutes: int, least: int, most: int) -> None:
    """Report an idle timeout that Azure does not take."""
    if not least <= minutes <= most:
        context.add(
            path, "idleTimeoutInMinutes", f"idleTimeoutInMinutes cannot be {minutes}", f"{least} to {most}",
            codes.IDLE_TIMEOUT,
        )  # fmt: skip


def _port(context: Context, path: Path, prop: str, port: int, most: int = 65535) -> None:
    if not 1 <= port <= most:
        context.add(path, prop, f"{prop} cannot be {port}", f"1 to {most}", codes.BALANCER_PORT)


def _rule(context: Context, path: Path, balancer: arm.LoadBalancer, rule: arm.LoadBalancingRule) -> None:
    _common(context, path, balancer, rule)
    context.reference(
        path, "backendAddressPool", rule.backendAddressPool, "backendAddressPool", balancer.backendAddressPools,
        "loadBalancers",
    )  # fmt: skip
    context.reference(path, "probe", rule.probe, "probe", balancer.probes, "loadBalancers")
    if rule.disableOutboundSnat and balancer.sku == "Basic":
        _basic(context, path, "disableOutboundSnat", "disableOutboundSnat")
    if context.gap(path, "protocol", "frontendPort", "backendPort"):
        return
    backend_port = rule.frontendPort if rule.backendPort is None else rule.backendPort
    if rule.protocol != "All":
        _port(context, path, "frontendPort", rule.frontendPort, LAST_FRONTEND_PORT)
        if rule.backendPort is not None:
            _port(context, path, "backendPort", backend_port)
        return
    for prop, port in (("frontendPort", rule.frontendPort), ("backendPort", backend_port)):
        if port != 0:
            context.add(
                path, prop, f"{prop} is {port}, and protocol All is for HA ports",
                "0, or a rule for Tcp and one for Udp", codes.HA_PORTS,
            )  # fmt: skip
            return
    if balancer.sku == "Basic":
        _basic(context, path, "protocol", "HA ports")
    frontend = balancer.frontendIPConfigurations.get(rule.frontendIPConfiguration)
    if frontend is not None and frontend.subnet is None:
        context.add(
            path, "protocol", f"{rule.frontendIPConfiguration} is public; HA ports are for internal frontends",
            "rules for single ports, or a frontend with a subnet", codes.HA_PORTS,
        )  # fmt: skip


def _nat_rule(context: Context, path: Path, balancer: arm.LoadBalancer, rule: arm.InboundNatRule) -> None:
    _common(context, path, balancer, rule)
    _port(context, path, "backendPort", rule.backendPort)
    for_pool = ("backendAddressPool", "frontendPortRangeStart", "frontendPortRangeEnd")
    for_one = ("frontendPort", "backend", "backendIPConfiguration")
    if context.gap(path, *for_pool, *for_one):
        return
    written = [prop for prop in (*for_pool, *for_one) if getattr(rule, prop) is not None]
    needed = (
        for_pool if rule.backendAddressPool is not None or written[:1] == ["frontendPortRangeStart"] else for_one[:1]
    )
    excluded = [prop for prop in written if prop in (for_one if needed is for_pool else for_pool)]
    for prop in needed if not excluded else ():
        if prop not in written:
            context.add(path, prop, f"{prop} is missing", f"add `{prop}: …`", codes.MISSING_PROPERTY)
    for prop in excluded:
        context.add(
            path, prop, f"{written[0]} and {prop} exclude each other",
            "a frontendPort with one backend, or a range with a backendAddressPool", codes.CONFLICTING_PROPERTIES,
        )  # fmt: skip
    if excluded:
        return
    if rule.backendAddressPool is not None:
        context.reference(
            path, "backendAddressPool", rule.backendAddressPool, "backendAddressPool", balancer.backendAddressPools,
            "loadBalancers",
        )  # fmt: skip
        if rule.frontendPortRangeStart is not None and rule.frontendPortRangeEnd is not None:
            _range(context, path, rule.frontendPortRangeStart, rule.frontendPortRangeEnd)
    elif rule.frontendPort is not None:
        _port(context, path, "frontendPort", rule.frontendPort, LAST_FRONTEND_PORT)


def _range(context: Context, path: Path, first: int, last: int) -> None:
    if context.gap(path, "frontendPortRangeStart", "frontendPortRangeEnd"):
        return
    _port(context, path, "frontendPortRangeStart", first, LAST_FRONTEND_PORT)
    _port(context, path, "frontendPortRangeEnd", last, LAST_FRONTEND_PORT)
    if last < first:
        context.add(
            path, "frontendPortRangeEnd", f"the range {first}-{last} is empty", f"{first} or more", codes.BALANCER_PORT
        )


def _listeners(context: Context, path: Path, balancer: arm.LoadBalancer) -> None:
    """One port of a frontend leads to one place (LB-15)."""
    known: dict[str, list[Listener]] = {}
    for listener in sorted(_every_listener(path, balancer), key=lambda each: each.first):
        # Those that reach this far; most take one port and are passed for good.
        near = [other for other in known.get(listener.frontend, ()) if other.last >= listener.first]
        clash = next((other for other in near if listener.meets(other)), None)
        if clash is not None:
            early, late = sorted((clash, listener), key=lambda each: _order(balancer, each))
            context.add(
                late.path, late.within,
                f"{early.path[-2]}/{early.path[-1]} takes {_ports(early)} of {early.frontend} already",
                "another port or frontend", codes.SAME_FRONTEND_PORT,
            )  # fmt: skip
        known[listener.frontend] = [*near, listener]


def _order(balancer: arm.LoadBalancer, listener: Listener) -> tuple[int, int]:
    kinds = ("loadBalancingRules", "inboundNatRules", "inboundNatPools")
    kind, name = listener.path[-2:]
    return kinds.index(str(kind)), list(getattr(balancer, str(kind))).index(str(name))


def _ports(listener: Listener) -> str:
    if listener.last - listener.first == 65535:
        return "every port"
    ports = f"{listener.first}" if listener.first == listener.last else f"{listener.first}-{listener.last}"
    return f"{'Tcp and Udp' if listener.protocol == 'All' else listener.protocol} {ports}"


def _every_listener(path: Path, balancer: arm.LoadBalancer) -> Iterator[Listener]:
    for key, rule in balancer.loadBalancingRules.items():
        where = (*path, "loadBalancingRules", key)
        bounds = (0, 65535) if (rule.protocol, rule.frontendPort) == ("All", 0) else (rule.frontendPort,) * 2
        if rule.protocol and bounds[1] > 0:
            yield Listener(rule.frontendIPConfiguration, rule.protocol, *bounds, where, "frontendPort")
    for kind in ("inboundNatRules", "inboundNatPools"):
        ranges: dict[str, arm.InboundNatRule | arm.InboundNatPool] = getattr(balancer, kind)
        for key, nat in ranges.items():
            first, last = nat.frontendPortRangeStart, nat.frontendPortRangeEnd
            within = "frontendPortRangeStart"
            if isinstance(nat, arm.InboundNatRule) and nat.frontendPort is not None:
                first = last = nat.frontendPort
                within = "frontendPort"
            if nat.protocol and first and last:
                yield Listener(nat.frontendIPConfiguration, nat.protocol, first, last, (*path, kind, key), within)
