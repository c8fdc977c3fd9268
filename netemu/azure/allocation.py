"""Which address each IP configuration and each internal frontend gets (IP-1…IP-6, IP-12), and what short forms mean.

Both are needed by validation (which reports refusals with their place in the file) and by `resolve`.
"""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import IPv4Address, IPv4Network
from typing import Any, Literal

from msgspec import Struct, field, structs

from netemu.azure import resources as arm
from netemu.azure.given import Given


class Expanded(Struct):
    """The NICs of a scenario in their long form, and who has them."""

    nics: dict[str, arm.NetworkInterface] = field(default_factory=dict)
    """Every NIC, with `ipConfigurations` always there and the short form's properties gone."""
    machine_nics: dict[str, tuple[str, ...]] = field(default_factory=dict)
    """NIC names of each VM, primary first."""
    primary_config: dict[str, str] = field(default_factory=dict)
    """Name of each NIC's primary IP configuration."""


class Claim(Struct, frozen=True):
    """Who wants an address of a subnet: an IP configuration of a NIC, or a frontend of a load balancer (IP-12)."""

    kind: Literal["networkInterfaces", "loadBalancers"]
    owner: str
    """The NIC or the load balancer."""
    name: str
    """The IP configuration or the frontend."""
    subnet: str
    address: str | None
    """A static one as written."""
    method: arm.AllocationMethod | None

    @property
    def key(self) -> str:
        """`<owner>/<name>`, as messages and `Given` have it."""
        return f"{self.owner}/{self.name}"


class Refusal(Struct, frozen=True):
    """An address that Azure would not give."""

    claim: Claim
    code: str
    what: str
    instead: str


class Allocation(Struct):
    """Private addresses, and what was refused."""

    addresses: dict[tuple[str, str], IPv4Address] = field(default_factory=dict)
    """By (NIC, IP configuration)."""
    frontends: dict[tuple[str, str], IPv4Address] = field(default_factory=dict)
    """By (load balancer, frontend), of the internal ones."""
    refusals: list[Refusal] = field(default_factory=list)

    def give(self, claim: Claim, address: IPv4Address) -> None:
        """Note whose an address is."""
        given = self.addresses if claim.kind == "networkInterfaces" else self.frontends
        given[claim.owner, claim.name] = address


SHORT_FORM = (
    "subnet", "privateIPAddress", "publicIPAddress", "applicationSecurityGroups", "loadBalancerBackendAddressPools",
    "loadBalancerInboundNatRules", "loadBalancerInboundNatPools",
)  # fmt: skip
"""Properties that a NIC or a VM may carry itself when it has a single IP configuration."""


def expand(scenario: arm.Scenario) -> Expanded:
    """Write out the short forms: `virtualMachines.web1.subnet` becomes the NIC web1-nic with one ipconfig1."""
    result = Expanded()
    for name, nic in scenario.networkInterfaces.items():
        result.nics[name] = _long_form(nic)
    for name, vm in scenario.virtualMachines.items():
        if vm.networkInterfaces is not None:
            result.machine_nics[name] = vm.networkInterfaces
            continue
        nic_name = f"{name}-nic"
        result.machine_nics[name] = (nic_name,)
        result.nics[nic_name] = _long_form(
            arm.NetworkInterface(
                networkSecurityGroup=vm.networkSecurityGroup,
                enableIPForwarding=vm.enableIPForwarding,
                **_short_form(vm),
            )
        )
    for name, nic in result.nics.items():
        configs = nic.ipConfigurations or {}
        marked = [key for key, config in configs.items() if config.primary]
        if configs:
            result.primary_config[name] = marked[0] if marked else next(iter(configs))
    return result


def _short_form(resource: arm.NetworkInterface | arm.VirtualMachine) -> dict[str, Any]:
    return {name: getattr(resource, name) for name in SHORT_FORM}


def _long_form(nic: arm.NetworkInterface) -> arm.NetworkInterface:
    if nic.ipConfigurations is not None:
        return nic
    configs = {}
    if nic.subnet is not None:
        configs["ipconfig1"] = arm.IPConfiguration(primary=True, **_short_form(nic))
    return structs.replace(nic, ipConfigurations=configs, **_short_form(arm.NetworkInterface()))


def allocate(scenario: arm.Scenario, given: Given = Given()) -> Allocation:  # noqa: B008 -- it is immutable
    """Give everyone an address: static ones first, then what is given, then the lowest free one; NICs before frontends.

    IP-3, IP-4, IP-5, IP-12.

    Claims on a subnet that does not exist are passed over; validation reports those.
    """
    result = Allocation()
    used: dict[str, dict[int, str]] = {}
    dynamic: list[Claim] = []
    for claim in _claims(scenario):
        if claim.address is not None:
            _static(scenario, result, used, claim)
        elif claim.method == "Static":
            what = "privateIPAllocationMethod Static needs an address"
            result.refusals.append(Refusal(claim, "PrivateIPAddressMissing", what, "add privateIPAddress"))
        else:
            dynamic.append(claim)
    fresh = []
    for claim in dynamic:
        old = (given.addresses if claim.kind == "networkInterfaces" else given.frontends).get(claim.key)
        prefix = subnet_prefix(scenario, claim.subnet)
        taken = used.setdefault(claim.subnet, {})
        if prefix is None or old is None or old not in prefix or is_reserved(old, prefix) or int(old) in taken:
            fresh.append(claim)
        else:
            taken[int(old)] = claim.key
            result.give(claim, old)
    lowest: dict[str, int] = {}
    for claim in fresh:
        prefix = subnet_prefix(scenario, claim.subnet)
        if prefix is None:
            continue
        taken = used.setdefault(claim.subnet, {})
        start = lowest.get(claim.subnet, int(prefix[0]) + 4)  # what is below has been found taken before
        free = next((n for n in range(start, int(prefix[-1])) if n not in taken), None)
        lowest[claim.subnet] = int(prefix[-1]) if free is None else free + 1
        if free is None:
            result.refusals.append(
                Refusal(
                    claim,
                    "SubnetIsFull",
                    f"subnet {claim.subnet} with address prefix {prefix} has no free address",
                    f"a larger subnet ({usable(prefix)} addresses are usable in a /{prefix.prefixlen})",
                )
            )
            continue
        taken[free] = claim.key
        result.give(claim, IPv4Address(free))
    return result


def _claims(scenario: arm.Scenario) -> Iterator[Claim]:
    for owner, nic in expand(scenario).nics.items():
        for name, config in (nic.ipConfigurations or {}).items():
            address, method = config.privateIPAddress, config.privateIPAllocationMethod
            yield Claim("networkInterfaces", owner, name, config.subnet, address, method)
    for owner, balancer in scenario.loadBalancers.items():
        for name, frontend in balancer.frontendIPConfigurations.items():
            if frontend.subnet is not None:
                address, method = frontend.privateIPAddress, frontend.privateIPAllocationMethod
                yield Claim("loadBalancers", owner, name, frontend.subnet, address, method)


def _static(scenario: arm.Scenario, result: Allocation, used: dict[str, dict[int, str]], claim: Claim) -> None:
    prefix = subnet_prefix(scenario, claim.subnet)
    try:
        address = IPv4Address(claim.address or "")
    except ValueError:
        return
    if prefix is None:
        return
    taken = used.setdefault(claim.subnet, {})

    def refuse(code: str, what: str, instead: str) -> None:
        result.refusals.append(Refusal(claim, code, what, instead))

    if address not in prefix:
        refuse(
            "PrivateIPAddressNotInSubnet",
            f"{address} is not in subnet {claim.subnet} ({prefix})",
            f"an address from {prefix[4]} to {prefix[-2]}",
        )
    elif is_reserved(address, prefix):
        refuse(
            "PrivateIPAddressInReservedRange",
            f"{address} is one of the five addresses that Azure reserves",
            f"an address from {prefix[4]} to {prefix[-2]}",
        )
    elif int(address) in taken:
        refuse(
            "PrivateIPAddressIsAllocated", f"{address} is already allocated to {taken[int(address)]}", "another address"
        )
    else:
        taken[int(address)] = claim.key
        result.give(claim, address)


def subnet_prefix(scenario: arm.Scenario, path: str) -> IPv4Network | None:
    """The prefix of `network/subnet`, or None when there is no such subnet or its prefix cannot be read."""
    network, _, name = path.partition("/")
    if network not in scenario.virtualNetworks or name not in scenario.virtualNetworks[network].subnets:
        return None
    try:
        prefix = IPv4Network(scenario.virtualNetworks[network].subnets[name].addressPrefix)
    except ValueError:
        return None
    return prefix if prefix.prefixlen <= 29 else None


def is_reserved(address: IPv4Address, prefix: IPv4Network) -> bool:
    """Is it one of the five addresses of a subnet that nobody can have (IP-1, IP-2)?"""
    return int(address) - int(prefix[0]) < 4 or address == prefix[-1]


def usable(prefix: IPv4Network) -> int:
    """How many addresses of a subnet can be given out (IP-1)."""
    return prefix.num_addresses - 5
