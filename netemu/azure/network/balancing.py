"""Resolves load balancers: who is in a pool, which port of a range is whose, what follows when nothing is written."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from ipaddress import IPv4Address

from netemu.azure import resources as arm
from netemu.azure.allocation import Expanded
from netemu.azure.given import Given
from netemu.azure.network.load_balancers import (
    BackendAddressPool,
    Frontend,
    InboundNatRule,
    LoadBalancer,
    LoadBalancingRule,
    Member,
    OutboundRule,
    Probe,
)  # fmt: skip
from netemu.azure.network.machines import Nic, PublicIP, PublicIPPrefix, Subnet
from netemu.azure.network.virtual_networks import region

Joined = dict[str, list[str]]
"""`<load balancer>/<pool or rule>` -> those that join it at their own side, as `<NIC>/<IP configuration>`."""


class Balancing:
    """What the load balancers of a scenario refer to."""

    def __init__(
        self,
        scenario: arm.Scenario,
        written: Expanded,
        nics: Mapping[str, Nic],
        subnets: Mapping[str, Subnet],
        publicIPs: Mapping[str, PublicIP],  # noqa: N803 -- as ARM spells it
        publicIPPrefixes: Mapping[str, PublicIPPrefix],  # noqa: N803
        frontends: Mapping[tuple[str, str], IPv4Address],
        given: Given,
    ) -> None:
        self.scenario = scenario
        self.written = written
        self.nics = nics
        self.subnets = subnets
        self.publicIPs = publicIPs
        self.publicIPPrefixes = publicIPPrefixes
        self.addresses = frontends
        self.natPorts = given.natPorts
        self.pools = joined(written, "loadBalancerBackendAddressPools")
        self.natRules = joined(written, "loadBalancerInboundNatRules")
        self.natPools = joined(written, "loadBalancerInboundNatPools")

    def resolve(self) -> dict[str, LoadBalancer]:
        """Every load balancer."""
        return {name: self._balancer(name, each) for name, each in self.scenario.loadBalancers.items()}

    def _balancer(self, name: str, written: arm.LoadBalancer) -> LoadBalancer:
        frontends = {
            key: self._frontend(name, key, written.sku, each) for key, each in written.frontendIPConfigurations.items()
        }
        pools = {
            key: BackendAddressPool(name, key, self._members((*members, *self.pools.get(f"{name}/{key}", ()))))
            for key, members in written.backendAddressPools.items()
        }
        probes = {key: _probe(name, key, each) for key, each in written.probes.items()}
        rules = {
            key: LoadBalancingRule(
                loadBalancer=name,
                name=key,
                frontend=frontends[each.frontendIPConfiguration],
                pool=pools[each.backendAddressPool],
                probe=probes[each.probe] if each.probe is not None else None,
                protocol=each.protocol,
                frontendPort=each.frontendPort,
                backendPort=each.frontendPort if each.backendPort is None else each.backendPort,
                loadDistribution=each.loadDistribution,
                idleTimeoutInMinutes=each.idleTimeoutInMinutes,
                enableTcpReset=each.enableTcpReset,
                enableFloatingIP=each.enableFloatingIP,
                disableOutboundSnat=each.disableOutboundSnat,
            )
            for key, each in written.loadBalancingRules.items()
        }
        outbound = {
            key: OutboundRule(
                loadBalancer=name,
                name=key,
                frontends=tuple(frontends[frontend] for frontend in each.frontendIPConfigurations),
                pool=pools[each.backendAddressPool],
                protocol=each.protocol,
                allocatedOutboundPorts=each.allocatedOutboundPorts,
                idleTimeoutInMinutes=each.idleTimeoutInMinutes,
                enableTcpReset=each.enableTcpReset,
            )
            for key, each in written.outboundRules.items()
        }
        nat = {rule.name: rule for rule in self._nat_rules(name, written, frontends, pools)}
        return LoadBalancer(
            name, written.sku, region(self.scenario, written.location), frontends, pools, probes, rules, nat, outbound
        )

    def _frontend(self, balancer: str, name: str, sku: arm.Sku, written: arm.FrontendIPConfiguration) -> Frontend:
        if written.publicIPAddress is not None:
            public = self.publicIPs[written.publicIPAddress]
            return Frontend(balancer, name, sku, (public.address,), publicIP=public)
        if written.publicIPPrefix is not None:
            prefix = self.publicIPPrefixes[written.publicIPPrefix]
            return Frontend(balancer, name, sku, tuple(prefix.prefix), publicIPPrefix=prefix)
        assert written.subnet is not None
        return Frontend(balancer, name, sku, (self.addresses[balancer, name],), subnet=self.subnets[written.subnet])

    def _members(self, names: Iterable[str]) -> tuple[Member, ...]:
        """Each once; a NIC that no VM has gets nothing (LB-35)."""
        found = (self._member(name) for name in names)
        return tuple({member.path: member for member in found if member is not None}.values())

    def _member(self, name: str) -> Member | None:
        nic_name, config_name = member_of(self.written, name)
        nic = self.nics.get(nic_name)
        if nic is None:
            return None
        return Member(nic, next(config for config in nic.ipConfigs if config.name == config_name))

    def _nat_rules(
        self,
        balancer: str,
        written: arm.LoadBalancer,
        frontends: Mapping[str, Frontend],
        pools: Mapping[str, BackendAddressPool],
    ) -> Iterator[InboundNatRule]:
        for name, rule in written.inboundNatRules.items():
            if rule.backendAddressPool is not None:
                assert rule.frontendPortRangeStart is not None
                assert rule.frontendPortRangeEnd is not None
                ports = range(rule.frontendPortRangeStart, rule.frontendPortRangeEnd + 1)
                members = pools[rule.backendAddressPool].members
                yield from self._spread(balancer, name, rule, frontends, ports, members)
                continue
            own = rule.backendIPConfiguration or rule.backend
            names = [*([own] if own is not None else []), *self.natRules.get(f"{balancer}/{name}", ())]
            for member in self._members(names):
                assert rule.frontendPort is not None
                yield _nat_rule(balancer, name, rule, frontends, member, rule.frontendPort, None)
        for name, pool in written.inboundNatPools.items():
            ports = range(pool.frontendPortRangeStart, pool.frontendPortRangeEnd + 1)
            members = self._members(self.natPools.get(f"{balancer}/{name}", ()))
            yield from self._spread(balancer, name, pool, frontends, ports, members)

    def _spread(
        self,
        balancer: str,
        name: str,
        written: arm.InboundNatRule | arm.InboundNatPool,
        frontends: Mapping[str, Frontend],
        ports: range,
        members: tuple[Member, ...],
    ) -> Iterator[InboundNatRule]:
        """One port for each member: what it had, else the lowest free one."""
        kept: dict[int, str] = {}
        for member in members:
            port = self.natPorts.get(f"{balancer}/{name}/{member.path}")
            if port is not None and port in ports and port not in kept:
                kept[port] = member.path
        mine = {path: port for port, path in kept.items()}
        free = (port for port in ports if port not in kept)
        for member in members:
            port = mine[member.path] if member.path in mine else next(free)
            yield _nat_rule(balancer, f"{name}.{member.path}", written, frontends, member, port, name)


def _nat_rule(
    balancer: str,
    name: str,
    written: arm.InboundNatRule | arm.InboundNatPool,
    frontends: Mapping[str, Frontend],
    member: Member,
    port: int,
    port_range: str | None,
) -> InboundNatRule:
    return InboundNatRule(
        loadBalancer=balancer,
        name=name,
        frontend=frontends[written.frontendIPConfiguration],
        member=member,
        protocol=written.protocol,
        frontendPort=port,
        backendPort=written.backendPort,
        idleTimeoutInMinutes=written.idleTimeoutInMinutes,
        enableTcpReset=written.enableTcpReset,
        enableFloatingIP=written.enableFloatingIP,
        portRange=port_range,
    )


def _probe(balancer: str, name: str, written: arm.Probe) -> Probe:
    """LB-29: probeThreshold counts both ways; numberOfProbes alone is the older form, where one success is enough."""
    threshold = written.probeThreshold
    return Probe(
        loadBalancer=balancer,
        name=name,
        protocol=written.protocol,
        port=written.port,
        requestPath=written.requestPath,
        intervalInSeconds=written.intervalInSeconds,
        downAfter=threshold or written.numberOfProbes or 1,
        upAfter=threshold or 1,
        noHealthyBackendsBehavior=written.noHealthyBackendsBehavior,
    )


def joined(written: Expanded, prop: str) -> Joined:
    """Who joins what in a property of its IP configuration."""
    result: Joined = {}
    for nic_name, nic in written.nics.items():
        for name, config in (nic.ipConfigurations or {}).items():
            for target in getattr(config, prop):
                result.setdefault(target, []).append(f"{nic_name}/{name}")
    return result


def member_of(written: Expanded, name: str) -> tuple[str, str]:
    """NIC and IP configuration that a member's name means: a VM, a NIC, or NIC/ipConfiguration."""
    nic, slash, config = name.partition("/")
    if slash:
        return nic, config
    if name in written.machine_nics:
        nic = written.machine_nics[name][0]
    return nic, written.primary_config[nic]


def standard_members(scenario: arm.Scenario, written: Expanded) -> set[str]:
    """NICs in a pool of a Standard load balancer: their VMs have no default outbound access (OUT-4, OUT-36)."""
    joining = joined(written, "loadBalancerBackendAddressPools")
    return {
        member_of(written, member)[0]
        for name, balancer in scenario.loadBalancers.items()
        if balancer.sku == "Standard"
        for key, members in balancer.backendAddressPools.items()
        for member in (*members, *joining.get(f"{name}/{key}", ()))
    }
