"""Load balancers: what Azure refuses, with its code, and where."""

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
    frontendIPConfigurations: {public: {publicIPAddress: pi}}
    backendAddressPools: {web: [web1, wep2, web1-nic/ipconfig2, x-nic/ipconfig1, 10.0.1.4]}
    probes: {http: {protocol: Tcp, port: 80}}
    loadBalancingRules:
      r: {frontendIPConfiguration: publc, backendAddressPool: wbe, probe: https, protocol: Tcp, frontendPort: 80}
    inboundNatRules: {n: {frontendIPConfiguration: x, protocol: Tcp, frontendPort: 1, backendPort: 1, backend: wbe1}}
    outboundRules: {o: {frontendIPConfigurations: [x], backendAddressPool: x, protocol: All}}
networkInterfaces:
  nic: {subnet: net/web, loadBalancerBackendAddressPools: [lb/wep, lx/web, web], loadBalancerInboundNatRules: lb/m, loadBalancerInboundNatPools: lb/p}
""",
        [
            "lab.yaml:7:58: loadBalancers/lb/frontendIPConfigurations/public: no publicIPAddress `pi`; did you mean `ip`? (InvalidResourceReference)",
            "lab.yaml:8:39: loadBalancers/lb: no VM or NIC `wep2`; did you mean `web2`? (InvalidResourceReference)",
            "lab.yaml:8:45: loadBalancers/lb: no ipConfiguration `web1-nic/ipconfig2`; did you mean `web1-nic/ipconfig1`? (InvalidResourceReference)",
            "lab.yaml:8:65: loadBalancers/lb: no ipConfiguration `x-nic/ipconfig1`; known: `nic`, `web1-nic`, `web2-nic`, `far-nic`, `pip-nic` (InvalidResourceReference)",
            "lab.yaml:8:82: loadBalancers/lb: 10.0.1.4 is an address; pools of addresses are not supported yet; name the VM, the NIC or NIC/ipConfiguration that has it (NotSupported)",
            "lab.yaml:11:36: loadBalancers/lb/loadBalancingRules/r: no frontendIPConfiguration `publc`; did you mean `public`? (InvalidResourceReference)",
            "lab.yaml:11:63: loadBalancers/lb/loadBalancingRules/r: no backendAddressPool `wbe`; did you mean `web`? (InvalidResourceReference)",
            "lab.yaml:11:75: loadBalancers/lb/loadBalancingRules/r: no probe `https`; did you mean `http`? (InvalidResourceReference)",
            "lab.yaml:12:52: loadBalancers/lb/inboundNatRules/n: no frontendIPConfiguration `x`; known: `public` (InvalidResourceReference)",
            "lab.yaml:12:112: loadBalancers/lb/inboundNatRules/n: no VM or NIC `wbe1`; did you mean `web1`? (InvalidResourceReference)",
            "lab.yaml:13:52: loadBalancers/lb/outboundRules/o: no frontendIPConfiguration `x`; known: `public` (InvalidResourceReference)",
            "lab.yaml:13:76: loadBalancers/lb/outboundRules/o: no backendAddressPool `x`; known: `web` (InvalidResourceReference)",
            "lab.yaml:15:60: networkInterfaces/nic: no backendAddressPool `lb/wep`; did you mean `lb/web`? (InvalidResourceReference)",
            "lab.yaml:15:68: networkInterfaces/nic: no backendAddressPool `lx/web`; did you mean `lb/web`? (InvalidResourceReference)",
            "lab.yaml:15:76: networkInterfaces/nic: no backendAddressPool `web`; known: `lb/web` (InvalidResourceReference)",
            "lab.yaml:15:111: networkInterfaces/nic: no inboundNatRule `lb/m`; did you mean `lb/n`? (InvalidResourceReference)",
            "lab.yaml:15:146: networkInterfaces/nic: no inboundNatPool `lb/p`; the scenario has none (InvalidResourceReference)",
        ],
        id="references",
        marks=pytest.mark.azure("LB-10", "LB-17"),
    ),
    pytest.param(
        """\
loadBalancers:
  none: {frontendIPConfigurations: {a: {}}}
  both: {frontendIPConfigurations: {a: {publicIPAddress: ip, subnet: net/web}}}
  mixed: {frontendIPConfigurations: {a: {publicIPAddress: ip2}, b: {subnet: net/web}}}
  networks: {frontendIPConfigurations: {a: {subnet: net/web}, b: {subnet: other/web}}}
  empty: {backendAddressPools: {a: [web1]}}
  nothing: {}
  private: {frontendIPConfigurations: {a: {publicIPAddress: ip, privateIPAddress: 10.0.1.9}}}
  sku: {frontendIPConfigurations: {a: {publicIPAddress: basic2}}}
  oldsku: {sku: Basic, frontendIPConfigurations: {a: {publicIPPrefix: pre}}}
publicIPPrefixes: {pre: {prefixLength: 31}}
""",
        [
            "lab.yaml:6:37: loadBalancers/none/frontendIPConfigurations/a: it has no address; add publicIPAddress, or subnet for an internal one (FrontendIPConfigHasNoSubnetOrPublicIP)",
            "lab.yaml:7:70: loadBalancers/both/frontendIPConfigurations/a: publicIPAddress and subnet exclude each other; write one of them (FrontendIPConfigHasBothSubnetAndPublicIP)",
            "lab.yaml:8:65: loadBalancers/mixed/frontendIPConfigurations/b: b is internal, but a is public; frontends of one kind, and another load balancer for the others (LoadBalancerHasBothPublicAndInternalFrontendIPConfigs)",
            "lab.yaml:9:75: loadBalancers/networks/frontendIPConfigurations/b: b is in other, but a is in net; frontends in one virtual network (FrontendIPConfigsInDifferentVirtualNetworks)",
            "lab.yaml:10:3: loadBalancers/empty: it has no frontend; add one (LoadBalancerWithoutFrontendIPCantHaveChildResources)",
            "lab.yaml:12:61: loadBalancers/private/frontendIPConfigurations/a: ip is in use by loadBalancers/both/a; another public IP (PublicIPAddressInUse)",
            "lab.yaml:12:83: loadBalancers/private/frontendIPConfigurations/a: privateIPAddress is for internal frontends; remove it (ConflictingProperties)",
            "lab.yaml:13:57: loadBalancers/sku/frontendIPConfigurations/a: basic2 is Basic, the load balancer is Standard; a Standard public IP (PublicIPAndLBSkuDoNotMatch)",
            "lab.yaml:14:71: loadBalancers/oldsku/frontendIPConfigurations/a: Basic load balancers have no public IP prefixes; sku: Standard (FeatureNotSupportedByBasicSkuLoadBalancer)",
        ],
        id="frontends",
        marks=pytest.mark.azure("LB-12", "OUT-16", "OUT-14"),
    ),
    pytest.param(
        """\
loadBalancers:
  lb:
    frontendIPConfigurations:
      a: {subnet: net/web, privateIPAddress: 10.0.1.1}
      b: {subnet: net/web, privateIPAddress: 10.0.2.4}
      c: {subnet: net/web, privateIPAddress: 10.0.1.9}
      d: {subnet: net/web, privateIPAddress: 10.0.1.9}
      e: {subnet: net/web, privateIPAllocationMethod: Static}
      f: {subnet: net/web, privateIPAddress: 10.0.1.10, privateIPAllocationMethod: Dynamic}
      g: {subnet: net/wep}
      h: {subnet: net/web, privateIPAddress: x}
networkInterfaces: {nic: {subnet: net/web, privateIPAddress: 10.0.1.10}}
""",
        [
            "lab.yaml:8:46: loadBalancers/lb/frontendIPConfigurations/a: 10.0.1.1 is one of the five addresses that Azure reserves; an address from 10.0.1.4 to 10.0.1.254 (PrivateIPAddressInReservedRange)",
            "lab.yaml:9:46: loadBalancers/lb/frontendIPConfigurations/b: 10.0.2.4 is not in subnet net/web (10.0.1.0/24); an address from 10.0.1.4 to 10.0.1.254 (PrivateIPAddressNotInSubnet)",
            "lab.yaml:11:46: loadBalancers/lb/frontendIPConfigurations/d: 10.0.1.9 is already allocated to lb/c; another address (PrivateIPAddressIsAllocated)",
            "lab.yaml:12:55: loadBalancers/lb/frontendIPConfigurations/e: privateIPAllocationMethod Static needs an address; add privateIPAddress (PrivateIPAddressMissing)",
            "lab.yaml:13:46: loadBalancers/lb/frontendIPConfigurations/f: 10.0.1.10 is already allocated to nic/ipconfig1; another address (PrivateIPAddressIsAllocated)",
            "lab.yaml:13:84: loadBalancers/lb/frontendIPConfigurations/f: a Dynamic address cannot be chosen; Static, or remove privateIPAddress (ConflictingProperties)",
            "lab.yaml:14:19: loadBalancers/lb/frontendIPConfigurations/g: no subnet `net/wep`; did you mean `net/web`? (InvalidResourceReference)",
            "lab.yaml:15:46: loadBalancers/lb/frontendIPConfigurations/h: `x` is not an IPv4 address; write one such as 10.0.0.4 (InvalidIPAddress)",
        ],
        id="addresses of internal frontends",
        marks=pytest.mark.azure("IP-12", "IP-6"),
    ),
    pytest.param(
        """\
loadBalancers:
  lb:
    frontendIPConfigurations: {public: {publicIPAddress: ip}}
    probes:
      a: {protocol: Http, port: 80}
      b: {protocol: Tcp, port: 80, requestPath: /}
      c: {protocol: Http, port: 25, requestPath: /}
      d: {protocol: Https, port: 993, requestPath: /}
      e: {protocol: Tcp, port: 25}
      f: {protocol: Tcp, port: 0}
      g: {protocol: Tcp, port: 65535, intervalInSeconds: 4}
      h: {protocol: Tcp, port: 65536, intervalInSeconds: 5}
      i: {protocol: Tcp, port: 1, numberOfProbes: 0, probeThreshold: 101}
      j: {protocol: Tcp, port: 1, numberOfProbes: 1, probeThreshold: 100}
      k: {protocol: Http, port: 1, requestPath: health}
      l: {protocol: Udp, port: 1}
      m: {protocol: Http, port: 1, requestPath: "/a b"}
""",
        [
            "lab.yaml:9:7: loadBalancers/lb/probes/a: Http probes need a requestPath; add `requestPath: /` (InvalidHealthProbe)",
            "lab.yaml:10:49: loadBalancers/lb/probes/b: Tcp probes have no requestPath; remove it, or protocol: Http (InvalidHealthProbe)",
            "lab.yaml:11:33: loadBalancers/lb/probes/c: Http probes cannot use port 25; another port, or protocol: Tcp (InvalidHealthProbe)",
            "lab.yaml:12:34: loadBalancers/lb/probes/d: Https probes cannot use port 993; another port, or protocol: Tcp (InvalidHealthProbe)",
            "lab.yaml:14:32: loadBalancers/lb/probes/f: port cannot be 0; 1 to 65535 (InvalidLoadBalancerPort)",
            "lab.yaml:15:58: loadBalancers/lb/probes/g: intervalInSeconds cannot be 4; 5 or more (InvalidHealthProbe)",
            "lab.yaml:16:32: loadBalancers/lb/probes/h: port cannot be 65536; 1 to 65535 (InvalidLoadBalancerPort)",
            "lab.yaml:17:51: loadBalancers/lb/probes/i: numberOfProbes cannot be 0; 1 or more (InvalidHealthProbe)",
            "lab.yaml:17:70: loadBalancers/lb/probes/i: probeThreshold cannot be 101; 1 to 100 (InvalidHealthProbe)",
            "lab.yaml:19:49: loadBalancers/lb/probes/k: `health` is no path; one such as /health (InvalidHealthProbe)",
            "lab.yaml:20:21: loadBalancers/lb/probes/l: protocol cannot be `Udp`; known: `Tcp`, `Http`, `Https` (InvalidParameter)",
            "lab.yaml:21:49: loadBalancers/lb/probes/m: `/a b` is no path; one such as /health (InvalidHealthProbe)",
        ],
        id="probes",
        marks=pytest.mark.azure("LB-25", "LB-34"),
    ),
    pytest.param(
        """\
loadBalancers:
  lb:
    frontendIPConfigurations: {public: {publicIPAddress: ip}}
    backendAddressPools: {web: [web1, web2]}
    loadBalancingRules:
      a: {frontendIPConfiguration: public, backendAddressPool: web, protocol: Tcp, frontendPort: 0}
      b: {frontendIPConfiguration: public, backendAddressPool: web, protocol: Tcp, frontendPort: 65535}
      c: {frontendIPConfiguration: public, backendAddressPool: web, protocol: Tcp, frontendPort: 65534, backendPort: 65536}
      d: {frontendIPConfiguration: public, backendAddressPool: web, protocol: Udp, frontendPort: 65534, backendPort: 65535, idleTimeoutInMinutes: 31}
      e: {frontendIPConfiguration: public, backendAddressPool: web, protocol: Tcp, frontendPort: 9, idleTimeoutInMinutes: 3}
      f: {frontendIPConfiguration: public, backendAddressPool: web, protocol: All, frontendPort: 80}
      g: {frontendIPConfiguration: public, backendAddressPool: web, protocol: Icmp, frontendPort: 80}
    inboundNatRules:
      a: {frontendIPConfiguration: public, protocol: Tcp, frontendPort: 0, backendPort: 0, backend: web1}
      b: {frontendIPConfiguration: public, protocol: Tcp, frontendPortRangeStart: 70, frontendPortRangeEnd: 69, backendPort: 22, backendAddressPool: web}
    inboundNatPools:
      a: {frontendIPConfiguration: public, protocol: Tcp, frontendPortRangeStart: 0, frontendPortRangeEnd: 65535, backendPort: 23}
""",
        [
            "lab.yaml:10:98: loadBalancers/lb/loadBalancingRules/a: frontendPort cannot be 0; 1 to 65534 (InvalidLoadBalancerPort)",
            "lab.yaml:11:98: loadBalancers/lb/loadBalancingRules/b: frontendPort cannot be 65535; 1 to 65534 (InvalidLoadBalancerPort)",
            "lab.yaml:12:118: loadBalancers/lb/loadBalancingRules/c: backendPort cannot be 65536; 1 to 65535 (InvalidLoadBalancerPort)",
            "lab.yaml:13:147: loadBalancers/lb/loadBalancingRules/d: idleTimeoutInMinutes cannot be 31; 4 to 30 (InvalidIdleTimeout)",
            "lab.yaml:14:123: loadBalancers/lb/loadBalancingRules/e: idleTimeoutInMinutes cannot be 3; 4 to 30 (InvalidIdleTimeout)",
            "lab.yaml:15:98: loadBalancers/lb/loadBalancingRules/f: frontendPort is 80, and protocol All is for HA ports; 0, or a rule for Tcp and one for Udp (HAPortsRuleNotSupported)",
            "lab.yaml:16:79: loadBalancers/lb/loadBalancingRules/g: protocol cannot be `Icmp`; known: `Tcp`, `Udp`, `All` (InvalidParameter)",
            "lab.yaml:18:73: loadBalancers/lb/inboundNatRules/a: frontendPort cannot be 0; 1 to 65534 (InvalidLoadBalancerPort)",
            "lab.yaml:18:89: loadBalancers/lb/inboundNatRules/a: backendPort cannot be 0; 1 to 65535 (InvalidLoadBalancerPort)",
            "lab.yaml:19:109: loadBalancers/lb/inboundNatRules/b: the range 70-69 is empty; 70 or more (InvalidLoadBalancerPort)",
            "lab.yaml:21:83: loadBalancers/lb/inboundNatPools/a: frontendPortRangeStart cannot be 0; 1 to 65534 (InvalidLoadBalancerPort)",
            "lab.yaml:21:108: loadBalancers/lb/inboundNatPools/a: frontendPortRangeEnd cannot be 65535; 1 to 65534 (InvalidLoadBalancerPort)",
        ],
        id="ports",
        marks=pytest.mark.azure("LB-2", "LB-17", "LB-23"),
    ),
    pytest.param(
        """\
loadBalancers:
  lb:
    frontendIPConfigurations: {one: {publicIPAddress: ip}, two: {publicIPAddress: ip2}}
    backendAddressPools: {web: [web1, web2]}
    loadBalancingRules:
      a: {frontendIPConfiguration: one, backendAddressPool: web, protocol: Tcp, frontendPort: 80, backendPort: 80}
      b: {frontendIPConfiguration: one, backendAddressPool: web, protocol: Udp, frontendPort: 80, backendPort: 80}
      c: {frontendIPConfiguration: two, backendAddressPool: web, protocol: Tcp, frontendPort: 80, backendPort: 81}
      d: {frontendIPConfiguration: one, backendAddressPool: web, protocol: Tcp, frontendPort: 80, backendPort: 82}
    inboundNatRules:
      e: {frontendIPConfiguration: one, protocol: All, frontendPort: 80, backendPort: 83, backend: web1}
      f: {frontendIPConfiguration: one, protocol: Tcp, frontendPortRangeStart: 90, frontendPortRangeEnd: 99, backendPort: 84, backendAddressPool: web}
      g: {frontendIPConfiguration: one, protocol: Tcp, frontendPort: 99, backendPort: 85, backend: web1}
      h: {frontendIPConfiguration: one, protocol: Tcp, frontendPort: 100, backendPort: 86, backend: web1}
    inboundNatPools:
      i: {frontendIPConfiguration: one, protocol: Udp, frontendPortRangeStart: 70, frontendPortRangeEnd: 80, backendPort: 87}
""",
        [
            "lab.yaml:13:95: loadBalancers/lb/loadBalancingRules/d: loadBalancingRules/a takes Tcp 80 of one already; another port or frontend (RulesUseSameFrontendPortProtocolAndIPConfig)",
            "lab.yaml:17:70: loadBalancers/lb/inboundNatRules/g: inboundNatRules/f takes Tcp 90-99 of one already; another port or frontend (RulesUseSameFrontendPortProtocolAndIPConfig)",
            "lab.yaml:20:80: loadBalancers/lb/inboundNatPools/i: inboundNatRules/e takes Tcp and Udp 80 of one already; another port or frontend (RulesUseSameFrontendPortProtocolAndIPConfig)",
            "lab.yaml:20:80: loadBalancers/lb/inboundNatPools/i: loadBalancingRules/b takes Udp 80 of one already; another port or frontend (RulesUseSameFrontendPortProtocolAndIPConfig)",
        ],
        id="same frontend port",
        marks=pytest.mark.azure("LB-15"),
    ),
    pytest.param(
        """\
loadBalancers:
  lb:
    frontendIPConfigurations: {one: {publicIPAddress: ip}, two: {publicIPAddress: ip2}}
    backendAddressPools: {web: [web1, web2], again: [web2], floats: [web1]}
    loadBalancingRules:
      a: {frontendIPConfiguration: one, backendAddressPool: web, protocol: Tcp, frontendPort: 80}
      b: {frontendIPConfiguration: two, backendAddressPool: web, protocol: Tcp, frontendPort: 80}
      c: {frontendIPConfiguration: one, backendAddressPool: web, protocol: Udp, frontendPort: 80}
      d: {frontendIPConfiguration: two, backendAddressPool: again, protocol: Udp, frontendPort: 80}
      e: {frontendIPConfiguration: one, backendAddressPool: floats, protocol: Tcp, frontendPort: 81, enableFloatingIP: true}
      f: {frontendIPConfiguration: two, backendAddressPool: floats, protocol: Tcp, frontendPort: 81, enableFloatingIP: true}
    inboundNatRules:
      g: {frontendIPConfiguration: one, protocol: Tcp, frontendPort: 5000, backendPort: 80, backend: web1}
      h: {frontendIPConfiguration: one, protocol: Tcp, frontendPort: 5001, backendPort: 22, backend: web1}
      i: {frontendIPConfiguration: one, protocol: All, frontendPort: 5002, backendPort: 22, backend: web1}
      j: {frontendIPConfiguration: one, protocol: Tcp, frontendPort: 5003, backendPort: 22, backend: web2}
""",
        [
            "lab.yaml:11:7: loadBalancers/lb/loadBalancingRules/b: loadBalancingRules/a of lb sends to port 80 of pool web already; another backendPort, another pool, or enableFloatingIP in both (RulesUseSameBackendPortProtocolAndPool)",
            "lab.yaml:13:7: loadBalancers/lb/loadBalancingRules/d: loadBalancingRules/c of lb sends to port 80 of web2-nic/ipconfig1 already; another backendPort, another pool, or enableFloatingIP in both (RulesOfSameLoadBalancerTypeUseSameBackendPortProtocolAndIPConfig)",
            "lab.yaml:17:89: loadBalancers/lb/inboundNatRules/g: loadBalancingRules/a of lb sends to port 80 of web1-nic/ipconfig1 already; another backendPort, another pool, or enableFloatingIP in both (RulesOfSameLoadBalancerTypeUseSameBackendPortProtocolAndIPConfig)",
            "lab.yaml:19:89: loadBalancers/lb/inboundNatRules/i: inboundNatRules/h of lb sends to port 22 of web1-nic/ipconfig1 already; another backendPort, another pool, or enableFloatingIP in both (RulesOfSameLoadBalancerTypeUseSameBackendPortProtocolAndIPConfig)",
        ],
        id="same backend port",
        marks=pytest.mark.azure("LB-15"),
    ),
    pytest.param(
        """\
loadBalancers:
  lb:
    frontendIPConfigurations: {one: {subnet: net/web}, two: {subnet: net/web}}
    backendAddressPools: {web: [web1], floats: [web2]}
    loadBalancingRules:
      a: {frontendIPConfiguration: one, backendAddressPool: web, protocol: All, frontendPort: 0, backendPort: 0}
      b: {frontendIPConfiguration: two, backendAddressPool: web, protocol: All, frontendPort: 0}
      c: {frontendIPConfiguration: one, backendAddressPool: web, protocol: Tcp, frontendPort: 80}
      d: {frontendIPConfiguration: one, backendAddressPool: floats, protocol: All, frontendPort: 0, enableFloatingIP: true}
    inboundNatRules:
      e: {frontendIPConfiguration: two, protocol: Tcp, frontendPort: 5000, backendPort: 22, backend: web1}
  floating:
    frontendIPConfigurations: {one: {subnet: net/web}, two: {subnet: net/web}}
    backendAddressPools: {floats: []}
    loadBalancingRules:
      a: {frontendIPConfiguration: one, backendAddressPool: floats, protocol: All, frontendPort: 0, enableFloatingIP: true}
      b: {frontendIPConfiguration: two, backendAddressPool: floats, protocol: All, frontendPort: 0, enableFloatingIP: true}
  basic:
    sku: Basic
    frontendIPConfigurations: {one: {subnet: net/web}}
    backendAddressPools: {web: []}
    loadBalancingRules:
      a: {frontendIPConfiguration: one, backendAddressPool: web, protocol: All, frontendPort: 0}
  public:
    frontendIPConfigurations: {one: {publicIPAddress: ip}}
    backendAddressPools: {web: }
    loadBalancingRules:
      a: {frontendIPConfiguration: one, backendAddressPool: web, protocol: All, frontendPort: 0, backendPort: 80}
      b: {frontendIPConfiguration: one, backendAddressPool: web, protocol: All, frontendPort: 0}
""",
        [
            "lab.yaml:11:76: loadBalancers/lb/loadBalancingRules/b: loadBalancingRules/a of lb sends to every port of pool web already; another backendPort, another pool, or enableFloatingIP in both (RulesUseSameBackendPortProtocolAndPool)",
            "lab.yaml:12:76: loadBalancers/lb/loadBalancingRules/c: loadBalancingRules/a of lb sends to every port of pool web already; another backendPort, another pool, or enableFloatingIP in both (RulesUseSameBackendPortProtocolAndPool)",
            "lab.yaml:12:95: loadBalancers/lb/loadBalancingRules/c: loadBalancingRules/a takes every port of one already; another port or frontend (RulesUseSameFrontendPortProtocolAndIPConfig)",
            "lab.yaml:13:98: loadBalancers/lb/loadBalancingRules/d: loadBalancingRules/a takes every port of one already; another port or frontend (RulesUseSameFrontendPortProtocolAndIPConfig)",
            "lab.yaml:15:51: loadBalancers/lb/inboundNatRules/e: loadBalancingRules/a of lb sends to every port of web1-nic/ipconfig1 already; another backendPort, another pool, or enableFloatingIP in both (RulesOfSameLoadBalancerTypeUseSameBackendPortProtocolAndIPConfig)",
            "lab.yaml:15:70: loadBalancers/lb/inboundNatRules/e: loadBalancingRules/b takes every port of two already; another port or frontend (RulesUseSameFrontendPortProtocolAndIPConfig)",
            "lab.yaml:27:76: loadBalancers/basic/loadBalancingRules/a: Basic load balancers have no HA ports; sku: Standard (FeatureNotSupportedByBasicSkuLoadBalancer)",
            "lab.yaml:32:111: loadBalancers/public/loadBalancingRules/a: backendPort is 80, and protocol All is for HA ports; 0, or a rule for Tcp and one for Udp (HAPortsRuleNotSupported)",
            "lab.yaml:33:76: loadBalancers/public/loadBalancingRules/b: loadBalancingRules/a of public sends to port 80 of pool web already; another backendPort, another pool, or enableFloatingIP in both (RulesUseSameBackendPortProtocolAndPool)",
            "lab.yaml:33:76: loadBalancers/public/loadBalancingRules/b: one is public; HA ports are for internal frontends; rules for single ports, or a frontend with a subnet (HAPortsRuleNotSupported)",
            "lab.yaml:33:95: loadBalancers/public/loadBalancingRules/b: loadBalancingRules/a takes every port of one already; another port or frontend (RulesUseSameFrontendPortProtocolAndIPConfig)",
        ],
        id="ha ports",
        marks=pytest.mark.azure("LB-18"),
    ),
    pytest.param(
        """\
loadBalancers:
  lb:
    sku: Basic
    frontendIPConfigurations: {one: {publicIPAddress: basic2}}
    backendAddressPools: {web: []}
    probes: {p: {protocol: Https, port: 443, requestPath: /}}
    loadBalancingRules:
      a: {frontendIPConfiguration: one, backendAddressPool: web, protocol: Tcp, frontendPort: 80, enableTcpReset: true, disableOutboundSnat: true}
    outboundRules: {o: {frontendIPConfigurations: one, backendAddressPool: web, protocol: All}}
""",
        [
            "lab.yaml:10:28: loadBalancers/lb/probes/p: Basic load balancers have no Https probes; sku: Standard (FeatureNotSupportedByBasicSkuLoadBalancer)",
            "lab.yaml:12:115: loadBalancers/lb/loadBalancingRules/a: Basic load balancers have no TCP reset; sku: Standard (FeatureNotSupportedByBasicSkuLoadBalancer)",
            "lab.yaml:12:142: loadBalancers/lb/loadBalancingRules/a: Basic load balancers have no disableOutboundSnat; sku: Standard (FeatureNotSupportedByBasicSkuLoadBalancer)",
            "lab.yaml:13:21: loadBalancers/lb/outboundRules/o: Basic load balancers have no outbound rules; sku: Standard (FeatureNotSupportedByBasicSkuLoadBalancer)",
        ],
        id="what Basic lacks",
        marks=pytest.mark.azure("LB-38"),
    ),
    pytest.param(
        """\
loadBalancers:
  lb:
    frontendIPConfigurations: {one: {publicIPAddress: ip}}
    backendAddressPools: {web: [web1, web1-nic], more: [web2, far], joined: [web2]}
  second:
    frontendIPConfigurations: {one: {publicIPAddress: ip2}}
    backendAddressPools: {web: [web1]}
  internal:
    frontendIPConfigurations: {one: {subnet: other/web}}
    backendAddressPools: {web: [web1]}
  old:
    sku: Basic
    frontendIPConfigurations: {one: {subnet: net/web}}
    backendAddressPools: {web: [web2]}
  pips:
    frontendIPConfigurations: {one: {subnet: net/web}}
    backendAddressPools: {web: [pip]}
  unused: {frontendIPConfigurations: {one: {subnet: net/web}}, backendAddressPools: {web: [lone, lone/b]}}
networkInterfaces:
  lone: {ipConfigurations: {a: {subnet: net/web}, b: {subnet: net/web}}}
""",
        [
            "lab.yaml:8:39: loadBalancers/lb: `web1-nic` is in the pool already, as `web1`; each once (DuplicateProperty)",
            "lab.yaml:8:63: loadBalancers/lb: far-nic/ipconfig1 is in other, but web1-nic/ipconfig1 of lb is in net; backends of one virtual network (LoadBalancerBackendsInDifferentVirtualNetworks)",
            "lab.yaml:11:33: loadBalancers/second: NIC web1-nic is behind the public load balancer lb already; one public and one internal load balancer for each NIC (NetworkInterfaceUsesMultipleLoadBalancersOfSameType)",
            "lab.yaml:14:33: loadBalancers/internal: web1-nic/ipconfig1 is in net, but one of internal is in other; backends of one virtual network (LoadBalancerBackendsInDifferentVirtualNetworks)",
            "lab.yaml:18:33: loadBalancers/old: old is Basic, but load balancer lb of VM web2 is Standard; one sku for all load balancers and public IPs of a VM (DifferentSkuLoadBalancersAndPublicIPAddressNotAllowed)",
            "lab.yaml:21:33: loadBalancers/pips: pips is Standard, but public IP basic of VM pip is Basic; one sku for all load balancers and public IPs of a VM (DifferentSkuLoadBalancersAndPublicIPAddressNotAllowed)",
        ],
        id="members",
        marks=pytest.mark.azure("LB-10", "LB-13", "OUT-16"),
    ),
    pytest.param(
        """\
loadBalancers:
  lb:
    frontendIPConfigurations: {one: {publicIPAddress: ip}}
    backendAddressPools: {web: [web1, web2]}
    inboundNatRules:
      a: {frontendIPConfiguration: one, protocol: Tcp, frontendPort: 1, backendPort: 1}
      b: {frontendIPConfiguration: one, protocol: Tcp, frontendPort: 2, backendPort: 2, backend: web1, backendIPConfiguration: web1-nic/ipconfig1}
      c: {frontendIPConfiguration: one, protocol: Tcp, backendPort: 3, backend: web1}
      d: {frontendIPConfiguration: one, protocol: Tcp, frontendPort: 4, backendPort: 4, backend: web1, backendAddressPool: web}
      e: {frontendIPConfiguration: one, protocol: Tcp, frontendPortRangeStart: 5, backendPort: 5, backendAddressPool: web}
      f: {frontendIPConfiguration: one, protocol: Tcp, frontendPortRangeStart: 50, frontendPortRangeEnd: 50, backendPort: 6, backendAddressPool: web}
      g: {frontendIPConfiguration: one, protocol: Tcp, frontendPort: 7, backendPort: 7, backend: web1}
      h: {frontendIPConfiguration: one, protocol: Tcp, frontendPort: 8, backendPort: 8}
      i: {frontendIPConfiguration: one, protocol: Tcp, frontendPortRangeStart: 60, frontendPortRangeEnd: 69, backendPort: 9}
    inboundNatPools:
      p: {frontendIPConfiguration: one, protocol: Tcp, frontendPortRangeStart: 100, frontendPortRangeEnd: 100, backendPort: 10}
networkInterfaces:
  nic: {subnet: net/web, loadBalancerInboundNatRules: [lb/g, lb/h, lb/f], loadBalancerInboundNatPools: lb/p}
  nic2: {subnet: net/web, loadBalancerInboundNatPools: lb/p}
""",
        [
            "lab.yaml:10:7: loadBalancers/lb/inboundNatRules/a: it leads to nobody; add `backend: …`, or loadBalancerInboundNatRules to a NIC (MissingProperty)",
            "lab.yaml:11:98: loadBalancers/lb/inboundNatRules/b: backendIPConfiguration and backend exclude each other; write one of them (ConflictingProperties)",
            "lab.yaml:12:7: loadBalancers/lb/inboundNatRules/c: frontendPort is missing; add `frontendPort: …` (MissingProperty)",
            "lab.yaml:13:70: loadBalancers/lb/inboundNatRules/d: backendAddressPool and frontendPort exclude each other; a frontendPort with one backend, or a range with a backendAddressPool (ConflictingProperties)",
            "lab.yaml:13:98: loadBalancers/lb/inboundNatRules/d: backendAddressPool and backend exclude each other; a frontendPort with one backend, or a range with a backendAddressPool (ConflictingProperties)",
            "lab.yaml:14:7: loadBalancers/lb/inboundNatRules/e: frontendPortRangeEnd is missing; add `frontendPortRangeEnd: …` (MissingProperty)",
            "lab.yaml:15:106: loadBalancers/lb/inboundNatRules/f: 2 backends, and the range has 1; 51 or more (InboundNatPortRangeTooSmall)",
            "lab.yaml:18:7: loadBalancers/lb/inboundNatRules/i: backendAddressPool is missing; add `backendAddressPool: …` (MissingProperty)",
            "lab.yaml:20:107: loadBalancers/lb/inboundNatPools/p: 2 backends, and the range has 1; 101 or more (InboundNatPortRangeTooSmall)",
            "lab.yaml:22:56: networkInterfaces/nic: lb/g leads to web1-nic/ipconfig1 already; a rule for each backend (InboundNatRuleBackendConflict)",
            "lab.yaml:22:68: networkInterfaces/nic: lb/f is for the pool web; join the pool (InboundNatRuleBackendConflict)",
        ],
        id="NAT rules",
        marks=pytest.mark.azure("LB-17"),
    ),
    pytest.param(
        """\
loadBalancers:
  lb: {frontendIPConfigurations: {one: {subnet: net/web}, two: {subnet: net/web}}}
  web1: {frontendIPConfigurations: {one: {subnet: net/web}}}
  single: {frontendIPConfigurations: {one: {subnet: net/web}}}
natGateways: {gw: {}}
publicIPPrefixes: {pre: {prefixLength: 30}}
expect:
  - {from: web2, to: lb/one, port: 80, access: Allow, backends: [web1, web1-nic], sourceSeenAs: gw}
  - {from: web2, to: lb, port: 80, access: Allow}
  - {from: web2, to: lb/on, port: 80, access: Allow, backends: wep1}
  - {from: web2, to: single, port: 80, access: Allow, sourceSeenAs: pre}
  - {from: web2, to: web1, port: 80, access: Allow}
  - {from: web2, to: singel, port: 80, access: Allow, sourceSeenAs: prx}
  - {from: lb, to: single/one, port: 80, access: Allow}
  - {from: web2, to: single, port: 80, access: Deny, backends: web1}
""",
        [
            "lab.yaml:13:22: expect/2: lb has 2 frontends; known: `lb/one`, `lb/two` (InvalidResourceReference)",
            "lab.yaml:14:22: expect/3: no frontendIPConfiguration `lb/on`; did you mean `lb/one`? (InvalidResourceReference)",
            "lab.yaml:14:64: expect/3: nothing is called `wep1`; did you mean `web1`? (InvalidResourceReference)",
            "lab.yaml:16:22: expect/5: `web1` is a load balancer and something else as well; give one another name (InvalidResourceReference)",
            "lab.yaml:17:22: expect/6: nothing is called `singel`; did you mean `single`? (InvalidResourceReference)",
            "lab.yaml:17:69: expect/6: no publicIPAddress, publicIPPrefix or natGateway `prx`; did you mean `pre`? (InvalidResourceReference)",
            "lab.yaml:18:12: expect/7: nothing is called `lb`; known: `web1`, `web2`, `far`, `pip`, `web1-nic`, `web2-nic` and 2 more (InvalidResourceReference)",
            "lab.yaml:19:64: expect/8: no backend gets a packet that is denied; remove backends (ConflictingProperties)",
        ],
        id="expectations",
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
