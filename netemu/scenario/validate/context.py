"""What the checks share: the scenario, the report, and what is worked out once for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import cached_property
from ipaddress import IPv4Address, IPv4Network
from typing import TypeVar

from netemu.azure import resources as arm
from netemu.azure.allocation import Allocation, Expanded, allocate, expand
from netemu.scenario import codes
from netemu.scenario.report import Report, quoted
from netemu.scenario.tree import Path
from netemu.scenario.validate.addresses import Unreadable, read_address, read_prefix
from netemu.scenario.validate.spaces import Owners, Space

Read = TypeVar("Read")

PREFIXES_PER_NETWORK = 1000
"""How many prefixes an address space may have. (unverified) VN-14 has no figure; each is a route in every subnet."""


class Context:
    """One validation."""

    def __init__(self, scenario: arm.Scenario, report: Report) -> None:
        self.scenario = scenario
        self.add = report.add
        self.suggestions = report.suggestions
        self.unreadable = report.unreadable
        self._public_ip_users: dict[str, str] = {}
        self._prefix_users: dict[str, str] = {}

    @cached_property
    def expanded(self) -> Expanded:
        """The NICs with their short forms written out."""
        return expand(self.scenario)

    @cached_property
    def allocation(self) -> Allocation:
        """Private addresses, and why some are refused."""
        return allocate(self.scenario)

    @cached_property
    def spaces(self) -> dict[str, Space]:
        """The readable prefixes of each virtual network; nothing of one that has more than there may be."""
        result = {}
        for name, network in self.scenario.virtualNetworks.items():
            space = result[name] = Space()
            if len(network.addressSpace) > PREFIXES_PER_NETWORK:
                continue
            for text in network.addressSpace:
                prefix = silent(read_prefix, text)
                if prefix is not None:
                    space.add(prefix)
        return result

    @cached_property
    def owners(self) -> Owners:
        """Whose an address is."""
        return Owners(self.spaces)

    @cached_property
    def subnet_paths(self) -> dict[str, arm.Subnet]:
        """Subnets by `network/subnet`."""
        return {
            f"{name}/{key}": subnet
            for name, network in self.scenario.virtualNetworks.items()
            for key, subnet in network.subnets.items()
        }

    @cached_property
    def holders(self) -> dict[str, str]:
        """The VM that has a NIC, by NIC; the first one when several claim it."""
        result: dict[str, str] = {}
        for machine, nics in self.expanded.machine_nics.items():
            for nic in nics:
                result.setdefault(nic, machine)
        return result

    @cached_property
    def generated(self) -> dict[str, str]:
        """NICs that a VM's short form makes, with the VM."""
        return {f"{vm}-nic": vm for vm, it in self.scenario.virtualMachines.items() if it.networkInterfaces is None}

    def gap(self, resource: Path, *properties: str) -> bool:
        """Tell whether one of these properties is written, but could not be read; nothing follows from it then."""
        return any((*resource, name) in self.unreadable for name in properties)

    def nic_path(self, nic: str) -> Path:
        """Where a NIC is written: in `networkInterfaces`, or as the short form of a VM."""
        if nic in self.generated:
            return ("virtualMachines", self.generated[nic])
        return ("networkInterfaces", nic)

    def config_path(self, nic: str, config: str) -> Path:
        """Where an IP configuration is written: by itself, or in the short form of its NIC or VM."""
        written = self.scenario.networkInterfaces.get(nic)
        if nic not in self.generated and written is not None and written.ipConfigurations is not None:
            return ("networkInterfaces", nic, "ipConfigurations", config)
        return self.nic_path(nic)

    def configs(self) -> Iterator[tuple[str, str, arm.IPConfiguration, Path]]:
        """Every IP configuration: its NIC, its name, itself, and where it is written."""
        for nic_name, nic in self.expanded.nics.items():
            for name, config in (nic.ipConfigurations or {}).items():
                yield nic_name, name, config, self.config_path(nic_name, name)

    def address(self, resource: Path, within: str | Path, text: str | None) -> IPv4Address | None:
        """Read an address, or report why it is none."""
        return self._read(read_address, resource, within, text)

    def prefix(self, resource: Path, within: str | Path, text: str | None) -> IPv4Network | None:
        """Read a prefix, or report why it is none."""
        return self._read(read_prefix, resource, within, text)

    def _read(self, reader: Callable[[str], Read], resource: Path, within: str | Path, text: str | None) -> Read | None:
        if not text:
            return None
        try:
            return reader(text)
        except Unreadable as problem:
            self.add(resource, within, problem.what, problem.instead, problem.code)
            return None

    def reference(
        self, resource: Path, within: str | Path, name: str | None, kind: str, among: Iterable[str], section: str
    ) -> bool:
        """Tell whether a name refers to something, and report it when not. `section` is where such things are."""
        if not name:
            return False
        if name in (among if isinstance(among, dict) else (among := list(among))):
            return True
        if (section,) not in self.unreadable:
            self.add(
                resource,
                within,
                f"no {kind} {quoted(name)}",
                self.suggestions.instead_of(name, among),
                codes.INVALID_RESOURCE_REFERENCE,
            )
        return False

    def use_public_ip(self, resource: Path, within: str | Path, name: str | None, user: str) -> bool:
        """Report a public IP that does not exist or is used already (OUT-14); true when it exists."""
        public = self.scenario.publicIPAddresses
        if name is None or not self.reference(resource, within, name, "publicIPAddress", public, "publicIPAddresses"):
            return False
        first = self._public_ip_users.setdefault(name, user)
        if first != user:
            self.add(resource, within, f"{name} is in use by {first}", "another public IP", codes.PUBLIC_IP_IN_USE)
        return True

    def use_prefix(self, resource: Path, within: str | Path, name: str | None, user: str) -> bool:
        """Report a public IP prefix that does not exist or is used already (OUT-39); true when it exists."""
        known = self.scenario.publicIPPrefixes
        if name is None or not self.reference(resource, within, name, "publicIPPrefix", known, "publicIPPrefixes"):
            return False
        first = self._prefix_users.setdefault(name, user)
        if first != user:
            self.add(resource, within, f"{name} is in use by {first}", "another prefix", codes.PREFIX_IN_USE)
        return True

    def subnet(self, resource: Path, text: str | None) -> bool:
        """Report a `network/subnet` that does not exist; true when it does."""
        if not text or text in self.subnet_paths:
            return bool(text)
        network = text.partition("/")[0]
        if self.gap(("virtualNetworks",), network) or self.gap(("virtualNetworks", network), "subnets"):
            return False
        return self.reference(resource, "subnet", text, "subnet", self.subnet_paths, "virtualNetworks")


def silent(reader: Callable[[str], Read], text: str) -> Read | None:
    """Read without reporting: someone else does that."""
    try:
        return reader(text)
    except Unreadable:
        return None
