"""Which address each IP configuration gets (IP-1…IP-6, IP-12), and the expansion of the short forms.

Both are needed by validation (which reports refusals with their place in the file) and by `resolve`.
"""

from __future__ import annotations

from ipaddress import IPv4Address, IPv4Network

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


class Refusal(Struct, frozen=True):
    """An address that Azure would not give."""

    nic: str
    config: str
    code: str
    what: str
    instead: str


class Allocation(Struct):
    """Addresses by (NIC, IP configuration), and what was refused."""

    addresses: dict[tuple[str, str], IPv4Address] = field(default_factory=dict)
    refusals: list[Refusal] = field(default_factory=list)


SHORT_FORM = ("subnet", "privateIPAddress", "publicIPAddress", "applicationSecurityGroups")
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
                subnet=vm.subnet,
                privateIPAddress=vm.privateIPAddress,
                publicIPAddress=vm.publicIPAddress,
                applicationSecurityGroups=vm.applicationSecurityGroups,
                networkSecurityGroup=vm.networkSecurityGroup,
                enableIPForwarding=vm.enableIPForwarding,
            )
        )
    for name, nic in result.nics.items():
        configs = nic.ipConfigurations or {}
        marked = [key for key, config in configs.items() if config.primary]
        if configs:
            result.primary_config[name] = marked[0] if marked else next(iter(configs))
    return result


def _long_form(nic: arm.NetworkInterface) -> arm.NetworkInterface:
    if nic.ipConfigurations is not None:
        return nic
    configs = {}
    if nic.subnet is not None:
        configs["ipconfig1"] = arm.IPConfiguration(
            subnet=nic.subnet,
            privateIPAddress=nic.privateIPAddress,
            publicIPAddress=nic.publicIPAddress,
            applicationSecurityGroups=nic.applicationSecurityGroups,
            primary=True,
        )
    return structs.replace(
        nic,
        ipConfigurations=configs,
        subnet=None,
        privateIPAddress=None,
        publicIPAddress=None,
        applicationSecurityGroups=(),
    )


def allocate(scenario: arm.Scenario, given: Given = Given()) -> Allocation:  # noqa: B008 -- it is immutable
    """Give every IP configuration its address: static ones first, then what is given, then the lowest free one.

    IP-3, IP-4, IP-5.

    IP configurations whose subnet does not exist are passed over; validation reports those.
    """
    result = Allocation()
    used: dict[str, dict[int, str]] = {}
    dynamic: list[tuple[str, str, arm.IPConfiguration]] = []
    for nic_name, nic in expand(scenario).nics.items():
        for config_name, config in (nic.ipConfigurations or {}).items():
            if config.privateIPAddress is None:
                if config.privateIPAllocationMethod == "Static":
                    result.refusals.append(
                        Refusal(
                            nic_name,
                            config_name,
                            "PrivateIPAddressMissing",
                            "privateIPAllocationMethod Static needs an address",
                            "add privateIPAddress",
                        )
                    )
                else:
                    dynamic.append((nic_name, config_name, config))
                continue
            _static(scenario, result, used, nic_name, config_name, config)
    fresh = []
    for nic_name, config_name, config in dynamic:
        old = given.addresses.get(f"{nic_name}/{config_name}")
        prefix = subnet_prefix(scenario, config.subnet)
        taken = used.setdefault(config.subnet, {})
        if prefix is None or old is None or old not in prefix or is_reserved(old, prefix) or int(old) in taken:
            fresh.append((nic_name, config_name, config))
        else:
            taken[int(old)] = f"{nic_name}/{config_name}"
            result.addresses[nic_name, config_name] = old
    lowest: dict[str, int] = {}
    for nic_name, config_name, config in fresh:
        prefix = subnet_prefix(scenario, config.subnet)
        if prefix is None:
            continue
        taken = used.setdefault(config.subnet, {})
        start = lowest.get(config.subnet, int(prefix[0]) + 4)  # what is below has been found taken before
        free = next((n for n in range(start, int(prefix[-1])) if n not in taken), None)
        lowest[config.subnet] = int(prefix[-1]) if free is None else free + 1
        if free is None:
            result.refusals.append(
                Refusal(
                    nic_name,
                    config_name,
                    "SubnetIsFull",
                    f"subnet {config.subnet} with address prefix {prefix} has no free address",
                    f"a larger subnet ({usable(prefix)} addresses are usable in a /{prefix.prefixlen})",
                )
            )
            continue
        taken[free] = f"{nic_name}/{config_name}"
        result.addresses[nic_name, config_name] = IPv4Address(free)
    return result


def _static(
    scenario: arm.Scenario,
    result: Allocation,
    used: dict[str, dict[int, str]],
    nic: str,
    name: str,
    config: arm.IPConfiguration,
) -> None:
    prefix = subnet_prefix(scenario, config.subnet)
    try:
        address = IPv4Address(config.privateIPAddress or "")
    except ValueError:
        return
    if prefix is None:
        return
    taken = used.setdefault(config.subnet, {})

    def refuse(code: str, what: str, instead: str) -> None:
        result.refusals.append(Refusal(nic, name, code, what, instead))

    if address not in prefix:
        refuse(
            "PrivateIPAddressNotInSubnet",
            f"{address} is not in subnet {config.subnet} ({prefix})",
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
        taken[int(address)] = f"{nic}/{name}"
        result.addresses[nic, name] = address


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
