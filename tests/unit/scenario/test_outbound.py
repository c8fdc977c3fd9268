"""Outbound rules, NAT gateways and public IP prefixes: what Azure refuses, with its code, and where."""

from __future__ import annotations

import pytest

from netemu.errors import ScenarioError
from netemu.scenario import read_text

BASE = """\
name: lab
virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}}}, other: {addressSpace: 10.1.0.0/16, subnets: {web: {addressPrefix: 10.1.1.0/24}}}}
publicIPAddresses: {ip: {}, ip2: {}, basic: {sku: Basic}, basic2: {sku: Basic}}
virtualMachines: {web1: {subnet: net/web}, web2: {subnet: net/web}, far: {subnet: other/web}, pip: {subnet: net/web, publicIPAddress: basic}}
"""
"""What every case begins with, unless it has networks of its own."""

CASES = [
    pytest.param(
        """\
loadBalancers:
  lb:
    frontendIPConfigurations: {one: {publicIPAddress: ip}, two: {publicIPAddress: ip2}, range: {publicIPPrefix: pre}}
    backendAddressPools: {web: [web1, web2]}
    loadBalancingRules:
      r: {frontendIPConfiguration: one, backendAddressPool: web, protocol: Tcp, frontendPort: 80}
      s: {frontendIPConfiguration: two, backendAddressPool: web, protocol: Tcp, frontendPort: 81, disableOutboundSnat: true}
      t: {frontendIPConfiguration: range, backendAddressPool: web, protocol: Tcp, frontendPort: 82, disableOutboundSnat: true}
    outboundRules:
      a: {frontendIPConfigurations: one, backendAddressPool: web, protocol: All, allocatedOutboundPorts: 1001}
      b: {frontendIPConfigurations: two, backendAddressPool: web, protocol: Tcp, allocatedOutboundPorts: 32008}
      c: {frontendIPConfigurations: two, backendAddressPool: web, protocol: Udp, allocatedOutboundPorts: 32000, idleTimeoutInMinutes: 121}
      d: {frontendIPConfigurations: two, backendAddressPool: web, protocol: All, allocatedOutboundPorts: 64008}
      e: {frontendIPConfigurations: range, backendAddressPool: web, protocol: All, allocatedOutboundPorts: 64000, idleTimeoutInMinutes: 120}
      f: {frontendIPConfigurations: [], backendAddressPool: web, protocol: All, allocatedOutboundPorts: -8}
  internal:
    frontendIPConfigurations: {one: {subnet: net/web}}
    backendAddressPools: {web: []}
    outboundRules:
      a: {frontendIPConfigurations: one, backendAddressPool: web, protocol: All}
publicIPPrefixes: {pre: {prefixLength: 31}}
""",
        [
            "lab.yaml:10:7: loadBalancers/lb/loadBalancingRules/r: outbound rule a uses one; disableOutboundSnat: true, or another frontend (LoadBalancingRuleMustDisableSNATSinceSameFrontendIPConfigurationIsReferencedByOutboundRule)",
            "lab.yaml:12:36: loadBalancers/lb/loadBalancingRules/t: range has a publicIPPrefix, which serves outbound rules only; a frontend with a publicIPAddress (OutboundRuleNotSupported)",
            "lab.yaml:14:106: loadBalancers/lb/outboundRules/a: 1001 is no multiple of 8; 1000 or 1008, for example (SpecifiedAllocatedOutboundPortsForOutboundRuleIsNotAMultipleOfEight)",
            "lab.yaml:15:106: loadBalancers/lb/outboundRules/b: 32008 ports for 2 backends are 64016, and there are 64000; at most 32000, or more frontends (SpecifiedAllocatedOutboundPortsForOutboundRuleExceedsTotalNumberOfAvailablePorts)",
            "lab.yaml:16:135: loadBalancers/lb/outboundRules/c: idleTimeoutInMinutes cannot be 121; 4 to 120 (InvalidIdleTimeout)",
            "lab.yaml:17:37: loadBalancers/lb/outboundRules/d: outbound rule b uses two for Tcp; another frontend or protocol (MoreThanOneOutboundRuleUsingSameFrontendIPConfigurationAndProtocolIsNotSupported)",
            "lab.yaml:17:106: loadBalancers/lb/outboundRules/d: allocatedOutboundPorts cannot be 64008; at most 64000 (SpecifiedAllocatedOutboundPortsForOutboundRuleExceedsTotalNumberOfAllowedPortsPerRule)",
            "lab.yaml:19:11: loadBalancers/lb/outboundRules/f: it has no frontend; name one (OutboundRuleNotSupported)",
            "lab.yaml:19:105: loadBalancers/lb/outboundRules/f: -8 is no multiple of 8; 0 or 8, for example (SpecifiedAllocatedOutboundPortsForOutboundRuleIsNotAMultipleOfEight)",
            "lab.yaml:24:37: loadBalancers/internal/outboundRules/a: one is internal; a public frontend (OutboundRuleNotSupported)",
        ],
        id="outbound rules",
        marks=pytest.mark.azure("OUT-33", "OUT-34", "OUT-35"),
    ),
    pytest.param(
        """\
natGateways:
  a: {publicIPAddresses: [ip, ipx], publicIPPrefixes: pre}
  b: {publicIPAddresses: [ip, basic2], idleTimeoutInMinutes: 121}
  c: {publicIPPrefixes: [pre, large], idleTimeoutInMinutes: 3}
  d: {publicIPAddresses: ip2, publicIPPrefixes: full, idleTimeoutInMinutes: 4}
  e: {publicIPPrefixes: five, idleTimeoutInMinutes: 120}
  none:
  small: {publicIPAddresses: ip3}
publicIPPrefixes:
  pre: {prefixLength: 30}
  large: {prefixLength: 27}
  five: {prefixLength: 32}
  full: {prefixLength: 28}
  six: {prefixLength: 28, ipPrefix: 52.0.0.0/29}
  seven: {prefixLength: 28, ipPrefix: 52.0.0.1/28}
  eight: {prefixLength: 28, ipPrefix: 10.0.0.0/28}
  nine: {prefixLength: 28, ipPrefix: 52.0.0.0/28}
  ten: {prefixLength: 30, ipPrefix: 52.0.0.12/30}
  eleven: {prefixLength: 30, ipPrefix: 198.51.100.4/30}
virtualNetworks:
  own:
    addressSpace: 10.2.0.0/16
    subnets:
      a: {addressPrefix: 10.2.0.0/24, natGateway: small}
      b: {addressPrefix: 10.2.1.0/24, natGateway: smal}
      c: {addressPrefix: 10.2.2.0/24, natGateway: none}
      pip: {addressPrefix: 10.2.3.0/24, natGateway: small}
      pool: {addressPrefix: 10.2.4.0/24, natGateway: small}
      frontend: {addressPrefix: 10.2.5.0/24, natGateway: small}
      GatewaySubnet: {addressPrefix: 10.2.6.0/24, natGateway: small}
  also: {addressSpace: 10.3.0.0/16, subnets: {a: {addressPrefix: 10.3.0.0/24, natGateway: small}}}
virtualMachines: {pip: {subnet: own/pip, publicIPAddress: basic}, pooled: {subnet: own/pool}}
loadBalancers: {lb: {sku: Basic, frontendIPConfigurations: {a: {subnet: own/frontend}}, backendAddressPools: {web: pooled}}}
publicIPAddresses: {ip: {}, ip2: {}, ip3: {}, basic: {sku: Basic}, basic2: {sku: Basic}}
internet: {hosts: {h: {ipAddress: 198.51.100.7}}}
""",
        [
            "lab.yaml:3:31: natGateways/a: no publicIPAddress `ipx`; did you mean `ip`? (InvalidResourceReference)",
            "lab.yaml:4:27: natGateways/b: ip is in use by natGateways/a; another public IP (PublicIPAddressInUse)",
            "lab.yaml:4:31: natGateways/b: basic2 is Basic; a Standard public IP (NatGatewayRequiresStandardSkuPublicIPAddress)",
            "lab.yaml:4:62: natGateways/b: idleTimeoutInMinutes cannot be 121; 4 to 120 (InvalidIdleTimeout)",
            "lab.yaml:5:3: natGateways/c: 36 addresses; at most 16, prefixes included (NatGatewayPublicIPCountExceedsLimit)",
            "lab.yaml:5:26: natGateways/c: pre is in use by natGateways/a; another prefix (PublicIPPrefixInUse)",
            "lab.yaml:5:61: natGateways/c: idleTimeoutInMinutes cannot be 3; 4 to 120 (InvalidIdleTimeout)",
            "lab.yaml:6:26: natGateways/d: 17 addresses; at most 16, prefixes included (NatGatewayPublicIPCountExceedsLimit)",
            "lab.yaml:12:25: publicIPPrefixes/large: prefixLength cannot be 27; 28 to 31 (InvalidPublicIPPrefixLength)",
            "lab.yaml:13:24: publicIPPrefixes/five: prefixLength cannot be 32; 28 to 31 (InvalidPublicIPPrefixLength)",
            "lab.yaml:15:37: publicIPPrefixes/six: 52.0.0.0/29 is a /29; a /28, as prefixLength says (InvalidPublicIPPrefixLength)",
            "lab.yaml:16:39: publicIPPrefixes/seven: `52.0.0.1/28` has bits set behind its /28; did you mean `52.0.0.0/28`? (InvalidAddressPrefix)",
            "lab.yaml:17:39: publicIPPrefixes/eight: 10.0.0.0 is not public (10.0.0.0/8); one such as 198.51.100.7 (InvalidIPAddress)",
            "lab.yaml:19:37: publicIPPrefixes/ten: 52.0.0.12/30 overlaps publicIPPrefixes/nine; another prefix (IPAddressInUse)",
            "lab.yaml:20:40: publicIPPrefixes/eleven: 198.51.100.4/30 overlaps internet/hosts/h; another prefix (IPAddressInUse)",
            "lab.yaml:26:51: virtualNetworks/own/subnets/b: no natGateway `smal`; did you mean `small`? (InvalidResourceReference)",
            "lab.yaml:27:51: virtualNetworks/own/subnets/c: none has no address; publicIPAddresses or publicIPPrefixes in natGateways/none (NatGatewayHasNoPublicIPAddress)",
            "lab.yaml:28:53: virtualNetworks/own/subnets/pip: the subnet has the Basic public IP basic; Standard ones, or no natGateway (SubnetWithNatGatewayAndBasicSkuResourceNotAllowed)",
            "lab.yaml:29:54: virtualNetworks/own/subnets/pool: the subnet has the Basic load balancer lb; Standard ones, or no natGateway (SubnetWithNatGatewayAndBasicSkuResourceNotAllowed)",
            "lab.yaml:30:58: virtualNetworks/own/subnets/frontend: the subnet has the Basic load balancer lb; Standard ones, or no natGateway (SubnetWithNatGatewayAndBasicSkuResourceNotAllowed)",
            "lab.yaml:31:63: virtualNetworks/own/subnets/GatewaySubnet: GatewaySubnet cannot have a natGateway; remove it (SubnetReservedForService)",
            "lab.yaml:32:91: virtualNetworks/also/subnets/a: small is in own; a NAT gateway for each virtual network (NatGatewayInDifferentVirtualNetworks)",
        ],
        id="NAT gateways",
        marks=pytest.mark.azure("OUT-39", "OUT-41"),
    ),
]


@pytest.mark.parametrize(("text", "problems"), CASES)
def test_the_file_is_read_or_refused_with_exactly_these_lines(text: str, problems: list[str]) -> None:
    whole = ("name: lab\n" if "virtualNetworks:" in text else BASE) + text
    try:
        read_text(whole, "lab.yaml")
        found = []
    except ScenarioError as error:
        found = str(error).splitlines()
    assert found == problems
