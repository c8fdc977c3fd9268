"""Virtual machines (NIC-1, NIC-2, NIC-3, NIC-9, OUT-16, DNS-2, DNS-5)."""

from __future__ import annotations

import re
import shlex

from netemu.azure import resources as arm
from netemu.azure.allocation import SHORT_FORM
from netemu.azure.network import host_name
from netemu.scenario import codes
from netemu.scenario.report import quoted
from netemu.scenario.tree import Path
from netemu.scenario.validate.context import Context
from netemu.scenario.validate.interfaces import HOST_NAME, long_form_only

_SHORT_FORM = (*SHORT_FORM, "networkSecurityGroup", "enableIPForwarding")
_SYSCTL = re.compile(r"net(?:[./][A-Za-z0-9_-]+)+", re.ASCII)


def check(context: Context) -> None:
    """Check every virtual machine."""
    for name, machine in context.scenario.virtualMachines.items():
        path = ("virtualMachines", name)
        if machine.networkInterfaces is None:
            _short(context, path, machine)
        else:
            long_form_only(context, path, machine, "networkInterfaces", _SHORT_FORM)
            _attached(context, path, name, machine.networkInterfaces)
        _skus(context, path, name)
        programs(context, path, machine.run)
        _sysctls(context, path, machine.sysctls)
    _host_names(context)


def _short(context: Context, path: Path, machine: arm.VirtualMachine) -> None:
    if machine.subnet is None and not context.gap(path, "networkInterfaces"):
        context.add(
            path, "subnet", "the VM has no NIC", "add `subnet: network/subnet` or networkInterfaces", codes.NO_NIC
        )
    context.reference(
        path, "networkSecurityGroup", machine.networkSecurityGroup, "networkSecurityGroup",
        context.scenario.networkSecurityGroups, "networkSecurityGroups",
    )  # fmt: skip


def _attached(context: Context, path: Path, machine: str, nics: arm.Strings) -> None:
    prop = "networkInterfaces"
    if not nics:
        context.add(path, prop, "the VM has no NIC", "name at least one", codes.NO_NIC)
    first: tuple[str, str] | None = None
    seen: set[str] = set()
    for index, nic in enumerate(nics):
        within = (prop, index)
        again = nic in seen
        seen.add(nic)
        if nic in context.generated:
            holder = context.generated[nic]
        elif not context.reference(path, within, nic, "networkInterface", context.scenario.networkInterfaces, prop):
            continue
        else:
            holder = context.holders[nic]
        if holder != machine or again:
            context.add(
                path, within, f"NIC {nic} is used by VM {holder}", "a NIC of its own for each VM", codes.NIC_IN_USE
            )
            continue
        network = _network_of(context, nic)
        if network is None:
            continue
        if first is None:
            first = (nic, network)
        elif first[1] != network:
            context.add(
                path, within, f"NIC {nic} is in {network}, but {first[0]} is in {first[1]}",
                "all NICs of a VM are in one virtual network", codes.NICS_IN_SEVERAL_NETWORKS,
            )  # fmt: skip


def _network_of(context: Context, nic: str) -> str | None:
    configs = context.expanded.nics[nic].ipConfigurations or {}
    known = (config.subnet for config in configs.values() if config.subnet in context.subnet_paths)
    subnet = next(known, None)
    return subnet.partition("/")[0] if subnet is not None else None


def _skus(context: Context, path: Path, machine: str) -> None:
    """All public IPs of a VM are Basic, or all are Standard (OUT-16)."""
    first: tuple[str, str] | None = None
    for nic in context.expanded.machine_nics[machine]:
        written = context.expanded.nics.get(nic)
        for config in ((written and written.ipConfigurations) or {}).values():
            public = context.scenario.publicIPAddresses.get(config.publicIPAddress or "")
            if public is None or not public.sku or config.publicIPAddress is None:
                continue
            if first is None:
                first = (config.publicIPAddress, public.sku)
            elif first[1] != public.sku:
                prop = "publicIPAddress" if nic in context.generated else "networkInterfaces"
                context.add(
                    path, prop, f"{config.publicIPAddress} is {public.sku}, but {first[0]} is {first[1]}",
                    "public IPs of one sku for each VM", codes.SKUS_DIFFER,
                )  # fmt: skip
                return


def programs(context: Context, path: Path, run: arm.Strings) -> None:
    """Report what cannot be split into the words of a program."""
    for index, text in enumerate(run):
        try:
            words = shlex.split(text)
        except ValueError as error:
            context.add(
                path, ("run", index), f"run {quoted(text)} cannot be split into words: {str(error).lower()}",
                "close every quotation", codes.INVALID_PARAMETER,
            )  # fmt: skip
            continue
        if not words or not words[0]:
            context.add(path, ("run", index), "run names no program", "remove it", codes.INVALID_PARAMETER)


def _sysctls(context: Context, path: Path, sysctls: dict[str, str]) -> None:
    seen: dict[str, str] = {}
    for key, value in sysctls.items():
        within = ("sysctls", key)
        if not _SYSCTL.fullmatch(key):
            context.add(
                path, within, f"{quoted(key)} cannot be set in a VM", "settings below net, such as net.ipv4.ip_forward",
                codes.INVALID_PARAMETER,
            )  # fmt: skip
        if "\n" in value:
            context.add(path, within, f"the value of {quoted(key)} has several lines", "one", codes.INVALID_PARAMETER)
        first = seen.setdefault(key.replace("/", "."), key)
        if first != key:
            context.add(
                path, within, f"{quoted(key)} and {quoted(first)} are one setting", "remove one",
                codes.DUPLICATE_PROPERTY,
            )  # fmt: skip


def _host_names(context: Context) -> None:
    """Host names are valid, and each is there once in its network, where DNS finds it (DNS-2, DNS-5)."""
    taken: dict[tuple[str, str], str] = {}
    for name, machine in context.scenario.virtualMachines.items():
        path = ("virtualMachines", name)
        computer = machine.computerName or host_name(name)
        if not HOST_NAME.fullmatch(computer):
            context.add(
                path, "computerName", f"{quoted(computer)} cannot be a host name",
                "add a computerName of lower-case letters, digits and inner `-`, at most 63",
                codes.INVALID_COMPUTER_NAME,
            )  # fmt: skip
            continue
        network = None
        for nic in context.expanded.machine_nics[name]:
            if nic not in context.expanded.nics:
                continue
            network = _network_of(context, nic)
            settings = context.expanded.nics[nic].dnsSettings
            label = settings.internalDnsNameLabel if settings is not None else None
            if network is not None and label is not None:
                _take(context, taken, (network, label.lower()), name, (*context.nic_path(nic), "dnsSettings"))
        if network is not None:
            _take(context, taken, (network, computer), name, path)


def _take(context: Context, taken: dict[tuple[str, str], str], key: tuple[str, str], machine: str, path: Path) -> None:
    holder = taken.setdefault(key, machine)
    if holder != machine:
        prop = "internalDnsNameLabel" if path[-1] == "dnsSettings" else "computerName"
        context.add(
            path, prop, f"{key[1]} is the host name of VM {holder} in {key[0]} already", "another name",
            codes.COMPUTER_NAME_IN_USE,
        )  # fmt: skip
