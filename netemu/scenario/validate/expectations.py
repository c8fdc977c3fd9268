"""Expectations: who is meant, which port, and whether what is expected can be at all."""

from __future__ import annotations

from ipaddress import IPv4Address

from netemu.azure import resources as arm
from netemu.scenario import codes
from netemu.scenario.report import quoted
from netemu.scenario.tree import Path
from netemu.scenario.validate import resolutions
from netemu.scenario.validate.addresses import read_address
from netemu.scenario.validate.context import Context, silent
from netemu.scenario.validate.security import DEFAULT_RULES


def check(context: Context) -> None:
    """Check every expectation."""
    parties = _Parties(context)
    rules = _rule_names(context.scenario)
    for index, expectation in enumerate(context.scenario.expect):
        path = ("expect", index)
        if expectation.resolvesTo is not None:
            resolutions.check(context, path, expectation)
            continue
        _is_of_a_flow(context, path, expectation)
        parties.check_from(path, expectation.from_)
        parties.check_to(path, expectation.to)
        _ports(context, path, expectation)
        _outcome(context, path, expectation)
        _many(context, path, expectation)
        for step, name in enumerate(expectation.via or ()):
            parties.check_via(path, ("via", step), name)
        for index, name in enumerate(expectation.backends or ()):
            parties.check_via(path, ("backends", index), name)
        if expectation.failover:
            parties.check_via(path, ("failover",), expectation.failover)
        if expectation.sourceSeenAs:
            _seen_as(context, path, expectation.sourceSeenAs)
        _rule(context, path, expectation.rule, rules)


class _Parties:
    """The names that an expectation can use."""

    def __init__(self, context: Context) -> None:
        self.context = context
        scenario = context.scenario
        self.machines = scenario.virtualMachines
        self.nics = context.expanded.nics
        self.hosts = scenario.internet.hosts
        self.public = scenario.publicIPAddresses
        self.balancers = scenario.loadBalancers
        self.addresses: dict[str, list[IPv4Address]] = {name: [] for name in self.machines}
        for (nic, _), address in context.allocation.addresses.items():
            machine = context.holders.get(nic)
            if machine is not None and machine in self.addresses:
                self.addresses[machine].append(address)

    def check_from(self, path: Path, text: str) -> None:
        if self._known(path, "from", text):
            return
        if text in self.public:
            self._report(path, "from", f"public IP {quoted(text)} cannot send", "name the VM that has it")
        elif text and silent(read_address, text) is not None:
            self._report(path, "from", f"from cannot be an address: {text}", "name a VM, NIC or host, or VM/address")
        else:
            self._missing(path, "from", text, [*self.machines, *self.hosts, *self.nics])

    def check_to(self, path: Path, text: str) -> None:
        balancer = text.partition("/")[0]
        if balancer in self.balancers:
            if balancer in self.machines or balancer in self.nics or balancer in self.hosts or balancer in self.public:
                what = f"{quoted(balancer)} is a load balancer and something else as well"
                self._report(path, "to", what, "give one another name")
            else:
                self._frontend(path, balancer, text)
            return
        if self._known(path, "to", text):
            if text in self.public and (text in self.machines or text in self.nics or text in self.hosts):
                self._report(
                    path, "to", f"{quoted(text)} is a public IP and something else as well", "give one another name"
                )
            return
        if text in self.public or (text and silent(read_address, text) is not None):
            return
        if text and (":" in text or text.replace(".", "").isdigit()):
            self.context.address(path, "to", text)
            return
        self._missing(path, "to", text, [*self.machines, *self.hosts, *self.public, *self.balancers, *self.nics])

    def _frontend(self, path: Path, balancer: str, text: str) -> None:
        """`lb/frontend`, or `lb` when it has one."""
        if self.context.gap(("loadBalancers", balancer), "frontendIPConfigurations"):
            return
        known = [f"{balancer}/{name}" for name in self.balancers[balancer].frontendIPConfigurations]
        if text == balancer and len(known) > 1:
            self._report(
                path, "to", f"{balancer} has {len(known)} frontends", self.context.suggestions.instead_of(text, known)
            )
        elif text == balancer and not known:
            self._report(path, "to", f"{balancer} has no frontend", "add one")
        elif text != balancer:
            self.context.reference(path, "to", text, "frontendIPConfiguration", known, "loadBalancers")

    def check_via(self, path: Path, within: Path, name: str) -> None:
        if name in self.machines or self._attached(name):
            return
        if name in self.nics:
            self._unattached(path, within, name)
        else:
            self._missing(path, within, name, [*self.machines, *self.nics])

    def _known(self, path: Path, prop: str, text: str) -> bool:
        """Is it a VM, a NIC, a host or a VM's address? Problems that are clear already are reported."""
        if "/" in text:
            machine, _, address = text.partition("/")
            if machine not in self.machines:
                self._missing(path, prop, machine, self.machines)
            else:
                self._own_address(path, prop, machine, address)
            return True
        if text in self.nics and text not in self.machines:
            if not self._attached(text):
                self._unattached(path, prop, text)
            return True
        if text in self.nics and not self._belongs(text, text):
            self._report(path, prop, f"{quoted(text)} is a VM and a NIC of another", "give one of them another name")
        return text in self.machines or text in self.hosts

    def _own_address(self, path: Path, prop: str, machine: str, text: str) -> None:
        address = self.context.address(path, prop, text or "''")
        own = self.addresses[machine]
        if address is not None and address not in own:
            known = ", ".join(f"`{machine}/{each}`" for each in own[:6])
            self._report(
                path, prop, f"VM {machine} does not have the address {address}", f"known: {known}" if known else ""
            )

    def _unattached(self, path: Path, within: str | Path, nic: str) -> None:
        self._report(path, within, f"NIC {quoted(nic)} belongs to no VM", "name one that a VM has")

    def _attached(self, nic: str) -> bool:
        return nic in self.context.holders and nic in self.nics

    def _belongs(self, nic: str, machine: str) -> bool:
        return self.context.holders.get(nic) == machine

    def _missing(self, path: Path, within: str | Path, text: str, names: object) -> None:
        if not text:
            return
        known = list(dict.fromkeys(names))  # type: ignore[call-overload]
        sections = (
            ("virtualMachines",),
            ("networkInterfaces",),
            ("internet",),
            ("internet", "hosts"),
            ("publicIPAddresses",),
            ("loadBalancers",),
        )
        if self.context.unreadable.isdisjoint(sections):
            self._report(
                path, within, f"nothing is called {quoted(text)}", self.context.suggestions.instead_of(text, known)
            )

    def _report(self, path: Path, within: str | Path, what: str, instead: str) -> None:
        self.context.add(path, within, what, instead, codes.INVALID_RESOURCE_REFERENCE)


def _is_of_a_flow(context: Context, path: Path, expectation: arm.Expectation) -> None:
    if context.gap(path, "resolvesTo"):
        return
    if expectation.access is None and not context.gap(path, "access"):
        context.add(path, "", "access is missing", "add `access: …`, or resolvesTo for a name", codes.MISSING_PROPERTY)
    if expectation.recordType != "A":
        context.add(
            path, "recordType", "recordType is for names", "add resolvesTo, or remove it", codes.CONFLICTING_PROPERTIES
        )


def _ports(context: Context, path: Path, expectation: arm.Expectation) -> None:
    if context.gap(path, "protocol"):
        return
    icmp = expectation.protocol == "Icmp"
    for prop, port in (("port", expectation.port), ("sourcePort", expectation.sourcePort)):
        if port is None:
            continue
        if icmp:
            context.add(path, prop, "Icmp has no ports", f"remove {prop}", codes.INVALID_PARAMETER)
        elif not 1 <= port <= 65535:
            context.add(path, prop, f"{prop} cannot be {port}", "1 to 65535", codes.INVALID_PARAMETER)
    if expectation.flows is not None and not 1 <= expectation.flows <= MOST_FLOWS:
        what = f"flows cannot be {expectation.flows}"
        context.add(path, "flows", what, f"1 to {MOST_FLOWS}", codes.INVALID_PARAMETER)
    if not icmp and expectation.port is None:
        context.add(
            path, "port", f"port is missing for {expectation.protocol}", "add `port: …`", codes.MISSING_PROPERTY
        )


MOST_FLOWS = 10_000


def _many(context: Context, path: Path, expectation: arm.Expectation) -> None:
    """Report what cannot be proved with several flows: one that has to have its own source port, or none at all."""
    for prop in ("flows", "failover"):
        if getattr(expectation, prop) is None:
            continue
        if expectation.sourcePort is not None:
            what = f"{prop} takes flows from many ports, and sourcePort is given"
            context.add(path, prop, what, f"remove {prop} or sourcePort", codes.CONFLICTING_PROPERTIES)
        elif expectation.protocol == "Icmp":
            context.add(path, prop, "Icmp has no ports", f"remove {prop}", codes.INVALID_PARAMETER)
    if expectation.failover and expectation.backends and expectation.failover not in expectation.backends:
        what = f"failover {quoted(expectation.failover)} is not among backends"
        context.add(path, "failover", what, "name one of them", codes.CONFLICTING_PROPERTIES)
    if expectation.failover is not None and expectation.access == "Deny":
        context.add(
            path, "failover", "no backend gets a packet that is denied", "remove failover",
            codes.CONFLICTING_PROPERTIES,
        )  # fmt: skip


def _outcome(context: Context, path: Path, expectation: arm.Expectation) -> None:
    """Report what cannot be: a packet that does not arrive has no reply, and nobody sees its source."""
    if expectation.access != "Deny":
        return
    if expectation.reply == "Allow":
        context.add(path, "reply", "a packet that is denied has no reply", "remove reply", codes.CONFLICTING_PROPERTIES)
    if expectation.sourceSeenAs is not None:
        context.add(
            path, "sourceSeenAs", "nobody sees a packet that is denied", "remove sourceSeenAs",
            codes.CONFLICTING_PROPERTIES,
        )  # fmt: skip
    if expectation.backends:
        context.add(
            path, "backends", "no backend gets a packet that is denied", "remove backends",
            codes.CONFLICTING_PROPERTIES,
        )  # fmt: skip


def _seen_as(context: Context, path: Path, text: str) -> None:
    scenario = context.scenario
    known = [*scenario.publicIPAddresses, *scenario.publicIPPrefixes, *scenario.natGateways]
    if text in known or silent(read_address, text) is not None:
        return
    if ":" in text or text.replace(".", "").isdigit():
        context.address(path, "sourceSeenAs", text)
        return
    what = "publicIPAddress, publicIPPrefix or natGateway"
    if not {("publicIPPrefixes",), ("natGateways",)} & context.unreadable:
        context.reference(path, "sourceSeenAs", text, what, known, "publicIPAddresses")


def _rule_names(scenario: arm.Scenario) -> dict[str, set[str]]:
    """Rule names, each with the NSGs that have such a rule; the default rules are in all."""
    result = {name: set(scenario.networkSecurityGroups) for name in DEFAULT_RULES}
    for group, nsg in scenario.networkSecurityGroups.items():
        for name in nsg.securityRules:
            result.setdefault(name, set()).add(group)
    return result


def _rule(context: Context, path: Path, text: str | None, rules: dict[str, set[str]]) -> None:
    """`rule`, or `nsg/rule`."""
    if not text:
        return
    group, slash, name = text.rpartition("/")
    if slash and not context.reference(
        path, "rule", group, "networkSecurityGroup", context.scenario.networkSecurityGroups, "networkSecurityGroups"
    ):
        return
    among = {rule: groups for rule, groups in rules.items() if not slash or group in groups}
    context.reference(path, "rule", name, "security rule", among, "networkSecurityGroups")
