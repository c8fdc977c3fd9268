"""Resource ids, as ARM writes them (ARM-1). A scenario is a resource group; there is one subscription, of zeros."""

from __future__ import annotations

import uuid

SUBSCRIPTION = "00000000-0000-0000-0000-000000000000"


class Ids:
    """The ids of one scenario's resources."""

    def __init__(self, scenario: str) -> None:
        self.group = f"/subscriptions/{SUBSCRIPTION}/resourceGroups/{scenario}"

    def _network(self, path: str) -> str:
        return f"{self.group}/providers/Microsoft.Network/{path}"

    def virtual_machine(self, name: str) -> str:
        """Of a virtual machine."""
        return f"{self.group}/providers/Microsoft.Compute/virtualMachines/{name}"

    def network_interface(self, name: str) -> str:
        """Of a NIC."""
        return self._network(f"networkInterfaces/{name}")

    def virtual_network(self, name: str) -> str:
        """Of a virtual network."""
        return self._network(f"virtualNetworks/{name}")

    def subnet(self, path: str) -> str:
        """Of a subnet, given as `network/subnet`."""
        network, _, name = path.partition("/")
        return self._network(f"virtualNetworks/{network}/subnets/{name}")

    def security_group(self, name: str) -> str:
        """Of an NSG."""
        return self._network(f"networkSecurityGroups/{name}")

    def security_rule(self, group: str, name: str, *, default: bool) -> str:
        """Of a rule of an NSG."""
        return f"{self.security_group(group)}/{rule_path(name, default=default)}"

    def application_security_group(self, name: str) -> str:
        """Of an ASG."""
        return self._network(f"applicationSecurityGroups/{name}")

    def route_table(self, name: str) -> str:
        """Of a route table."""
        return self._network(f"routeTables/{name}")

    def public_ip(self, name: str) -> str:
        """Of a public IP."""
        return self._network(f"publicIPAddresses/{name}")

    def load_balancer(self, path: str) -> str:
        """Of a load balancer, or of a part of it by `<load balancer>/<kind>/<name>`."""
        return self._network(f"loadBalancers/{path}")

    def nat_gateway(self, name: str) -> str:
        """Of a NAT gateway."""
        return self._network(f"natGateways/{name}")

    def public_ip_prefix(self, name: str) -> str:
        """Of a public IP prefix."""
        return self._network(f"publicIPPrefixes/{name}")

    def place(self, place: str) -> str:
        """Of a NIC, or of a subnet given by its path: what an NSG is associated to."""
        return self.subnet(place) if "/" in place else self.network_interface(place)

    def guid(self, what: str) -> str:
        """A GUID, always the same for the same thing of the same scenario."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{self.group}/{what}"))


def rule_path(name: str, *, default: bool) -> str:
    """A rule as effective rules and IP flow verify name it (NSG-35)."""
    return f"{'defaultSecurityRules' if default else 'securityRules'}/{name}"


def rule_label(name: str, *, default: bool) -> str:
    """A rule as flow logs and diagnostics name it (NSG-36)."""
    return f"{'DefaultRule' if default else 'UserRule'}_{name}"
