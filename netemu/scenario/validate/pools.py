"""Who is behind which load balancer, as either side says it, and who may be (LB-10, LB-13, LB-17, OUT-16)."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator

from netemu.azure import resources as arm
from netemu.azure.network.balancing import member_of
from netemu.scenario import codes
from netemu.scenario.report import quoted
from netemu.scenario.tree import Path
from netemu.scenario.validate.addresses import read_address
from netemu.scenario.validate.context import Context, silent
from netemu.scenario.validate.shared_ports import Mention, is_public, shared_ports

POOL_SIZE = {"Standard": 1000, "Basic": 300}
"""(unverified) LB-38"""


def check(context: Context) -> None:
    """Check memberships, and the rules that meet at one backend."""
    pools = [*_named(context), *_joined(context, "loadBalancerBackendAddressPools", "backendAddressPools")]
    nat_pools = list(_joined(context, "loadBalancerInboundNatPools", "inboundNatPools"))
    nat_rules = [*_nat_backends(context), *_joined(context, "loadBalancerInboundNatRules", "inboundNatRules")]
    _nat_conflicts(context, nat_rules)
    _sizes(context, pools, nat_pools)
    mentions = [*pools, *nat_pools, *nat_rules]
    _networks(context, mentions)
    _one_of_each_type(context, mentions)
    _skus(context, mentions)
    shared_ports(context, {"pool": pools, "nat": nat_rules, "spread": nat_pools})


# ---- who is meant ----------------------------------------------------------------------------------------------------


def _named(context: Context) -> Iterator[Mention]:
    """The members that pools name."""
    for name, balancer in context.scenario.loadBalancers.items():
        path = ("loadBalancers", name)
        for key, members in balancer.backendAddressPools.items():
            seen: dict[tuple[str, str], str] = {}
            for index, text in enumerate(members):
                within = ("backendAddressPools", key, index)
                config = backend(context, path, within, text)
                if config is None:
                    continue
                if config in seen:
                    context.add(
                        path, within, f"{quoted(text)} is in the pool already, as {quoted(seen[config])}", "each once",
                        codes.DUPLICATE_PROPERTY,
                    )  # fmt: skip
                    continue
                seen[config] = text
                yield Mention(name, key, *config, path, within)


def _nat_backends(context: Context) -> Iterator[Mention]:
    """The single backends that NAT rules name."""
    for name, balancer in context.scenario.loadBalancers.items():
        for key, rule in balancer.inboundNatRules.items():
            path = ("loadBalancers", name, "inboundNatRules", key)
            if rule.backend is not None and rule.backendIPConfiguration is not None:
                context.add(
                    path, "backend", "backendIPConfiguration and backend exclude each other", "write one of them",
                    codes.CONFLICTING_PROPERTIES,
                )  # fmt: skip
                continue
            for within in ("backend", "backendIPConfiguration"):
                text = getattr(rule, within)
                config = backend(context, path, (within,), text) if text else None
                if config is not None:
                    yield Mention(name, key, *config, path, (within,))


def _joined(context: Context, prop: str, kind: str) -> Iterator[Mention]:
    """What IP configurations say that they belong to."""
    what = kind.removesuffix("s")
    known = {
        f"{name}/{key}": (name, key)
        for name, each in context.scenario.loadBalancers.items()
        for key in getattr(each, kind)
    }
    for nic, key, config, path in context.configs():
        for index, text in enumerate(getattr(config, prop)):
            name = text.partition("/")[0]
            if context.gap(("loadBalancers",), name) or context.gap(("loadBalancers", name), kind):
                continue
            if context.reference(path, (prop, index), text, what, known, "loadBalancers"):
                yield Mention(*known[text], nic, key, path, (prop, index))


def backend(context: Context, path: Path, within: Path, text: str) -> tuple[str, str] | None:
    """NIC and IP configuration that a member's name means; reported when it means nothing."""
    nic, slash, config = text.partition("/")
    long = context.expanded
    if not slash and silent(read_address, text) is not None:
        context.add(
            path, within, f"{text} is an address; pools of addresses are not supported yet",
            "name the VM, the NIC or NIC/ipConfiguration that has it", codes.UNSUPPORTED,
        )  # fmt: skip
        return None
    if slash:
        if nic in long.nics and config in (long.nics[nic].ipConfigurations or {}):
            return nic, config
        known = (
            [f"{nic}/{key}" for key in (long.nics[nic].ipConfigurations or {})] if nic in long.nics else [*long.nics]
        )
        what = "ipConfiguration"
    elif text in long.machine_nics and text in long.nics and context.holders.get(text) != text:
        context.add(
            path, within, f"{quoted(text)} is a VM and a NIC of another", "for the NIC, write NIC/ipConfiguration",
            codes.INVALID_RESOURCE_REFERENCE,
        )  # fmt: skip
        return None
    elif text in long.machine_nics or text in long.nics:
        try:
            return member_of(long, text)
        except (KeyError, IndexError):  # the VM has no NIC, or the NIC no address; that has been said
            return None
    else:
        known, what = [*long.machine_nics, *long.nics], "VM or NIC"
    if not {("virtualMachines",), ("networkInterfaces",)} & context.unreadable:
        context.reference(path, within, text, what, list(dict.fromkeys(known)), "networkInterfaces")
    return None


# ---- what may not be -------------------------------------------------------------------------------------------------


def _nat_conflicts(context: Context, mentions: list[Mention]) -> None:
    """A NAT rule leads to one backend, and to one at all (LB-17)."""
    first: dict[tuple[str, str], Mention] = {}
    for mention in mentions:
        rule = context.scenario.loadBalancers[mention.balancer].inboundNatRules[mention.target]
        if rule.backendAddressPool is not None:
            if mention.path[0] == "loadBalancers":
                continue  # said of the rule
            what = f"{mention.balancer}/{mention.target} is for the pool {rule.backendAddressPool}"
            context.add(mention.path, mention.within, what, "join the pool", codes.NAT_RULE_BACKEND)
            continue
        known = first.setdefault((mention.balancer, mention.target), mention)
        if known.config != mention.config:
            context.add(
                mention.path, mention.within, f"{mention.balancer}/{mention.target} leads to {known.config} already",
                "a rule for each backend", codes.NAT_RULE_BACKEND,
            )  # fmt: skip
    for name, balancer in context.scenario.loadBalancers.items():
        for key, rule in balancer.inboundNatRules.items():
            path = ("loadBalancers", name, "inboundNatRules", key)
            has_pool = rule.backendAddressPool is not None or rule.frontendPortRangeStart is not None
            has_one = rule.backend is not None or rule.backendIPConfiguration is not None
            if not has_pool and not has_one and (name, key) not in first and not context.gap(path, "backend"):
                context.add(
                    path, "", "it leads to nobody", "add `backend: …`, or loadBalancerInboundNatRules to a NIC",
                    codes.MISSING_PROPERTY,
                )  # fmt: skip


def _sizes(context: Context, pools: list[Mention], nat_pools: list[Mention]) -> None:
    members: defaultdict[tuple[str, str], dict[str, Mention]] = defaultdict(dict)
    for mention in pools:
        members[mention.balancer, mention.target].setdefault(mention.config, mention)
    ranges: defaultdict[tuple[str, str], set[str]] = defaultdict(set)
    for mention in nat_pools:
        ranges[mention.balancer, mention.target].add(mention.config)
    for name, balancer in context.scenario.loadBalancers.items():
        most = POOL_SIZE[balancer.sku or "Standard"]
        for key in balancer.backendAddressPools:
            count = len(members[name, key])
            if count > most:
                path, within = ("loadBalancers", name), ("backendAddressPools", key)
                context.add(path, within, f"{count} members", f"at most {most}", codes.POOL_SIZE)
        for key, rule in balancer.inboundNatRules.items():
            if rule.backendAddressPool is not None:
                count = len(members[name, rule.backendAddressPool])
                _range_size(context, ("loadBalancers", name, "inboundNatRules", key), rule, count)
        for key, pool in balancer.inboundNatPools.items():
            _range_size(context, ("loadBalancers", name, "inboundNatPools", key), pool, len(ranges[name, key]))


def _range_size(context: Context, path: Path, written: arm.InboundNatRule | arm.InboundNatPool, count: int) -> None:
    first, last = written.frontendPortRangeStart, written.frontendPortRangeEnd
    if first and last and first <= last < first + count - 1:
        context.add(
            path, "frontendPortRangeEnd", f"{count} backends, and the range has {last - first + 1}",
            f"{first + count - 1} or more", codes.NAT_RANGE,
        )  # fmt: skip


def _network_of(context: Context, mention: Mention) -> str | None:
    configs = context.expanded.nics[mention.nic].ipConfigurations or {}
    config = configs.get(mention.name)
    return config.subnet.partition("/")[0] if config is not None and config.subnet in context.subnet_paths else None


def _networks(context: Context, mentions: list[Mention]) -> None:
    """The backends of a load balancer, and its internal frontends, are in one virtual network (LB-10, LB-12)."""
    home: dict[str, tuple[str, str]] = {}
    for name, balancer in context.scenario.loadBalancers.items():
        for key, frontend in balancer.frontendIPConfigurations.items():
            if frontend.subnet is not None and frontend.subnet in context.subnet_paths:
                home.setdefault(name, (frontend.subnet.partition("/")[0], key))
    for mention in mentions:
        network = _network_of(context, mention)
        if network is None:
            continue
        known, whose = home.setdefault(mention.balancer, (network, mention.config))
        if known != network:
            context.add(
                mention.path, mention.within,
                f"{mention.config} is in {network}, but {whose} of {mention.balancer} is in {known}",
                "backends of one virtual network", codes.BACKENDS_IN_SEVERAL_NETWORKS,
            )  # fmt: skip


def _one_of_each_type(context: Context, mentions: list[Mention]) -> None:
    """A NIC has one public load balancer and one internal (LB-13)."""
    first: dict[tuple[str, bool], str] = {}
    for mention in mentions:
        balancer = context.scenario.loadBalancers[mention.balancer]
        if not balancer.frontendIPConfigurations:
            continue
        public = is_public(balancer)
        known = first.setdefault((mention.nic, public), mention.balancer)
        if known != mention.balancer:
            kind = "public" if public else "internal"
            context.add(
                mention.path, mention.within, f"NIC {mention.nic} is behind the {kind} load balancer {known} already",
                "one public and one internal load balancer for each NIC", codes.BALANCERS_OF_ONE_TYPE,
            )  # fmt: skip


def _skus(context: Context, mentions: list[Mention]) -> None:
    """Load balancers and public IPs of one VM have one SKU (OUT-16)."""
    public: dict[str, tuple[str, str]] = {}
    for machine, nics in context.expanded.machine_nics.items():
        for nic in nics:
            written = context.expanded.nics.get(nic)
            for config in ((written and written.ipConfigurations) or {}).values():
                ip = context.scenario.publicIPAddresses.get(config.publicIPAddress or "")
                if ip is not None and ip.sku:
                    public.setdefault(machine, (ip.sku, f"public IP {config.publicIPAddress}"))
    for mention in mentions:
        machine = context.holders.get(mention.nic, "")
        sku = context.scenario.loadBalancers[mention.balancer].sku
        if not machine or not sku:
            continue
        known, whose = public.setdefault(machine, (sku, f"load balancer {mention.balancer}"))
        if known != sku:
            context.add(
                mention.path, mention.within, f"{mention.balancer} is {sku}, but {whose} of VM {machine} is {known}",
                "one sku for all load balancers and public IPs of a VM", codes.MIXED_SKUS,
            )  # fmt: skip
