"""NICs and their IP configurations; all private addresses (IP-1…IP-6, IP-9, IP-12, NIC-1, NIC-11, OUT-14, VN-16)."""

from __future__ import annotations

import re

from netemu.azure import resources as arm
from netemu.azure.allocation import SHORT_FORM
from netemu.scenario import codes
from netemu.scenario.report import quoted
from netemu.scenario.tree import Path
from netemu.scenario.validate.context import Context
from netemu.scenario.validate.networks import RESERVED_SUBNETS, dns_servers

HOST_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
"""A name in the network's internal DNS zone (DNS-5)."""

_RESERVED_FOLDED = {name.lower() for name in RESERVED_SUBNETS}


def check(context: Context) -> None:
    """Check every NIC, written or made by a VM."""
    for name, nic in context.scenario.networkInterfaces.items():
        _nic(context, ("networkInterfaces", name), nic)
    for nic_name, name, config, path in context.configs():
        _config(context, path, config)
        context.use_public_ip(path, "publicIPAddress", config.publicIPAddress, f"{nic_name}/{name}")
    _addresses(context)


def _nic(context: Context, path: Path, nic: arm.NetworkInterface) -> None:
    context.reference(
        path, "networkSecurityGroup", nic.networkSecurityGroup, "networkSecurityGroup",
        context.scenario.networkSecurityGroups, "networkSecurityGroups",
    )  # fmt: skip
    if nic.dnsSettings is not None:
        where = (*path, "dnsSettings")
        dns_servers(context, where, nic.dnsSettings.dnsServers)
        label = nic.dnsSettings.internalDnsNameLabel
        if label and not HOST_NAME.fullmatch(label):
            context.add(
                where, "internalDnsNameLabel", f"{quoted(label)} cannot be a host name",
                "lower-case letters, digits and inner `-`, at most 63", codes.INVALID_COMPUTER_NAME,
            )  # fmt: skip
    if nic.ipConfigurations is None:
        if nic.subnet is None and not context.gap(path, "ipConfigurations"):
            context.add(
                path, "subnet", "the NIC has no address", "add `subnet: network/subnet` or ipConfigurations",
                codes.MISSING_PROPERTY,
            )  # fmt: skip
        return
    long_form_only(context, path, nic, "ipConfigurations", SHORT_FORM)
    if not nic.ipConfigurations:
        context.add(
            path, "ipConfigurations", "ipConfigurations is empty", "at least one IP configuration", codes.ONE_PRIMARY
        )
        return
    _primary(context, path, nic.ipConfigurations)
    _one_subnet(context, path, nic.ipConfigurations)


def long_form_only(
    context: Context, path: Path, resource: arm.NetworkInterface | arm.VirtualMachine, long: str, short: tuple[str, ...]
) -> None:
    """Report what is in the long form's place already: a resource is written in one of the two forms."""
    for prop in short:
        if getattr(resource, prop) not in (None, (), False):
            context.add(
                path, prop, f"{prop} and {long} exclude each other", f"write {prop} in what {long} names",
                codes.CONFLICTING_PROPERTIES,
            )  # fmt: skip


def _primary(context: Context, path: Path, configs: dict[str, arm.IPConfiguration]) -> None:
    """One primary IP configuration; the first one when none is marked (IP-9)."""
    marked = [name for name, config in configs.items() if config.primary]
    for name in marked[1:]:
        context.add(
            (*path, "ipConfigurations", name), "primary", f"{marked[0]} is primary already",
            "exactly one primary IP configuration", codes.ONE_PRIMARY,
        )  # fmt: skip
    # The first configuration becomes primary when none is marked, unless it says that it is not.
    first, config = next(iter(configs.items()))
    if not marked and config.primary is False:
        context.add(
            (*path, "ipConfigurations", first), "primary", "no IP configuration is primary",
            "write primary: true in one of them", codes.ONE_PRIMARY,
        )  # fmt: skip


def _one_subnet(context: Context, path: Path, configs: dict[str, arm.IPConfiguration]) -> None:
    known = [(name, config.subnet) for name, config in configs.items() if config.subnet in context.subnet_paths]
    for name, subnet in known[1:]:
        if subnet != known[0][1]:
            context.add(
                (*path, "ipConfigurations", name), "subnet", f"{subnet} is not the NIC's subnet {known[0][1]}",
                "all IP configurations of a NIC are in one subnet", codes.CONFIGS_IN_SEVERAL_SUBNETS,
            )  # fmt: skip


def _config(context: Context, path: Path, config: arm.IPConfiguration) -> None:
    private_address(context, path, config, "NIC")


def private_address(
    context: Context, path: Path, config: arm.IPConfiguration | arm.FrontendIPConfiguration, what: str
) -> None:
    """Check the subnet and the private address of an IP configuration or a frontend."""
    if context.subnet(path, config.subnet) and config.subnet is not None:
        name = config.subnet.partition("/")[2]
        if name.lower() in _RESERVED_FOLDED:
            context.add(path, "subnet", f"no {what} can be in {name}", "another subnet", codes.RESERVED_SUBNET)
    context.address(path, "privateIPAddress", config.privateIPAddress)
    if config.privateIPAddress is not None and config.privateIPAllocationMethod == "Dynamic":
        context.add(
            path, "privateIPAllocationMethod", "a Dynamic address cannot be chosen",
            "Static, or remove privateIPAddress", codes.CONFLICTING_PROPERTIES,
        )  # fmt: skip


_PROPERTY_OF_CODE = {
    codes.SUBNET_IS_FULL: "subnet",
    codes.ADDRESS_MISSING: "privateIPAllocationMethod",
}
"""Which property a refusal of `allocate` is about, when it is not the address."""


def _addresses(context: Context) -> None:
    for refusal in context.allocation.refusals:
        claim = refusal.claim
        if claim.kind == "networkInterfaces":
            path = context.config_path(claim.owner, claim.name)
        else:
            path = ("loadBalancers", claim.owner, "frontendIPConfigurations", claim.name)
        prop = _PROPERTY_OF_CODE.get(refusal.code, "privateIPAddress")
        context.add(path, prop, refusal.what, refusal.instead, refusal.code)
