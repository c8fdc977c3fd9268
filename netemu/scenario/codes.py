"""Every error code that the scenario reader gives, in one table.

Documented codes are Azure's own, with the rule that they come from. The others follow Azure's style where its code for
the case is not known to us: (unverified). Scripts may depend on these texts; they are part of netemu's interface.
"""

from __future__ import annotations

# The file itself (unverified)
INVALID_REQUEST_FORMAT = "InvalidRequestFormat"
"""Not YAML, an unknown property, a value of the wrong kind."""
DUPLICATE_PROPERTY = "DuplicateProperty"
MISSING_PROPERTY = "MissingProperty"
INVALID_PARAMETER = "InvalidParameter"
"""A value that is of the right kind but not one of those allowed."""
CONFLICTING_PROPERTIES = "ConflictingProperties"
"""Two properties that exclude each other."""
UNSUPPORTED = "NotSupported"
"""Azure has it, netemu has not."""

# Names and references
INVALID_RESOURCE_REFERENCE = "InvalidResourceReference"
"""Documented: ARM-6."""
INVALID_RESOURCE_NAME = "InvalidResourceName"
"""(unverified) VN-15"""
RESOURCE_NAME_IN_USE = "ResourceNameInUse"
"""(unverified) Azure ignores case in names; the machines of a lab share one namespace with its internet hosts."""
RESOURCE_LIMIT_EXCEEDED = "ResourceCountExceedsLimit"
"""(unverified) VN-14"""
INVALID_COMPUTER_NAME = "InvalidComputerName"
"""(unverified) DNS-5"""
COMPUTER_NAME_IN_USE = "ComputerNameInUse"
"""(unverified) DNS-2"""

# Addresses in general
INVALID_ADDRESS = "InvalidIPAddress"
"""(unverified)"""
INVALID_PREFIX = "InvalidAddressPrefix"
"""(unverified)"""
IPV6_UNSUPPORTED = "IPv6NotSupported"
"""(unverified) ARP-12"""

# Virtual networks, subnets, peerings
INVALID_ADDRESS_SPACE = "InvalidAddressSpace"
"""(unverified) VN-1, VN-3"""
INVALID_SUBNET = "NetcfgInvalidSubnet"
"""Documented: VN-5."""
SUBNET_RANGES_OVERLAP = "NetcfgSubnetRangesOverlap"
"""Documented: VN-6."""
RESERVED_SUBNET = "SubnetReservedForService"
"""(unverified) VN-16, NSG-32"""
ADDRESS_SPACES_OVERLAP = "VnetAddressSpacesOverlap"
"""Documented: PEER-9."""
OVERLAP_WITH_PEERED = "VnetAddressSpaceOverlapsWithAlreadyPeeredVnet"
"""Documented: PEER-9."""
ANOTHER_PEERING = "AnotherPeeringAlreadyReferencesRemoteVnet"
"""Documented: PEER-10."""
PEERED_WITH_ITSELF = "CannotPeerVnetWithItself"
"""(unverified)"""
NO_GATEWAY = "RemoteVnetHasNoGateways"
"""(unverified) PEER-12"""

# NICs and virtual machines
ADDRESS_MISSING = "PrivateIPAddressMissing"
"""Documented: IP-6 (as are the next four; `allocate` gives them)."""
ADDRESS_RESERVED = "PrivateIPAddressInReservedRange"
ADDRESS_ALLOCATED = "PrivateIPAddressIsAllocated"
ADDRESS_NOT_IN_SUBNET = "PrivateIPAddressNotInSubnet"
SUBNET_IS_FULL = "SubnetIsFull"
ONE_PRIMARY = "NetworkInterfaceMustHaveOnePrimaryIpConfiguration"
"""(unverified) IP-9"""
CONFIGS_IN_SEVERAL_SUBNETS = "IpConfigurationsOnSameNicCannotUseDifferentSubnets"
"""(unverified) NIC-1"""
NO_NIC = "NetworkProfileHasNoNetworkInterface"
"""(unverified) NIC-2"""
NIC_IN_USE = "NicInUse"
"""Documented: NIC-3."""
NICS_IN_SEVERAL_NETWORKS = "NetworkInterfacesInDifferentVirtualNetworks"
"""(unverified) NIC-1"""

# Security rules
RULE_CONFLICT = "SecurityRuleConflict"
"""Documented: NSG-5."""
RULE_PRIORITY = "SecurityRuleInvalidPriority"
"""Documented: NSG-6."""
RULE_ADDRESS = "SecurityRuleInvalidAddressPrefix"
"""Documented: NSG-28."""
RULE_PORT = "SecurityRuleInvalidPortRange"
"""(unverified) NSG-10, NSG-12"""
RULE_PARAMETERS = "SecurityRuleConflictingParameters"
"""(unverified) NSG-13, NSG-14"""
GROUPS_IN_SEVERAL_NETWORKS = "ApplicationSecurityGroupsInDifferentVirtualNetworks"
"""(unverified) NSG-29"""

# Routes
ROUTE_CONFLICT = "RouteConflict"
"""Documented, code (unverified): RT-8."""
INVALID_NEXT_HOP = "InvalidNextHopIpAddress"
"""(unverified) RT-7"""

# Public addresses
PUBLIC_IP_IN_USE = "PublicIPAddressInUse"
"""Documented: OUT-14."""
STANDARD_IS_STATIC = "StandardSkuPublicIPAddressMustBeStatic"
"""(unverified) OUT-11"""
SKUS_DIFFER = "PublicIPAddressSkusDiffer"
"""Documented without a code: OUT-16."""
IDLE_TIMEOUT = "InvalidIdleTimeout"
"""(unverified) OUT-15"""
ADDRESS_IN_USE = "IPAddressInUse"
"""(unverified) One public address for two owners."""
