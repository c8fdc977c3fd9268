"""The scenario that the tests of this directory start from: one with most kinds of resource, and valid."""

from __future__ import annotations

import pytest

GOLDEN = """\
name: shop
location: westeurope

virtualNetworks:
  shop-vnet:
    addressSpace: [10.0.0.0/16]
    subnets:
      web: {addressPrefix: 10.0.1.0/24, networkSecurityGroup: web-nsg}
      db:  {addressPrefix: 10.0.2.0/24, networkSecurityGroup: db-nsg, routeTable: through-firewall, natGateway: out}

networkSecurityGroups:
  web-nsg:
    securityRules:
      allow-http: {priority: 100, direction: Inbound, access: Allow, protocol: Tcp,
                   sourceAddressPrefix: Internet, sourcePortRange: "*",
                   destinationAddressPrefix: "*", destinationPortRange: [80, 8080-8090]}
  db-nsg:

routeTables:
  through-firewall:
    routes:
      default: {addressPrefix: 0.0.0.0/0, nextHopType: VirtualAppliance, nextHopIpAddress: 10.0.3.4}

publicIPAddresses: {lb-ip: {}, nat-ip: {},
  web-ip: {sku: Standard}}

virtualMachines:
  web1: {subnet: shop-vnet/web, run: python3 -m http.server 80, publicIPAddress: web-ip}
  web2: {subnet: shop-vnet/web, run: python3 -m http.server 80}
  db1:
    networkInterfaces: [db1-nic]

networkInterfaces:
  db1-nic: {subnet: shop-vnet/db, privateIPAddress: 10.0.2.10, loadBalancerBackendAddressPools: db-lb/db, loadBalancerInboundNatPools: [db-lb/ssh]}

internet:
  hosts:
    visitor: {ipAddress: 198.51.100.7, location: northeurope}

expect:
  - {from: visitor, to: web-ip, protocol: Tcp, port: 80, access: Allow}
  - {from: visitor, to: web-ip, protocol: Tcp, port: 22, access: Deny, rule: DenyAllInBound}
  - {from: web1, to: db1, protocol: Tcp, port: 5432, access: Allow}
  - {from: visitor, to: web-lb, protocol: Tcp, port: 80, access: Allow, backends: [web1, web2], sourceSeenAs: 198.51.100.7}

publicIPPrefixes: {nat-range: {prefixLength: 30}}
natGateways: {out: {publicIPAddresses: nat-ip, publicIPPrefixes: [nat-range]}}

loadBalancers:
  web-lb:
    sku: Standard
    frontendIPConfigurations: {public: {publicIPAddress: lb-ip}}
    backendAddressPools: {web: [web1, web2-nic/ipconfig1]}
    probes: {http: {protocol: Http, port: 80, requestPath: /, intervalInSeconds: 5, probeThreshold: 1}}
    loadBalancingRules:
      http: {frontendIPConfiguration: public, backendAddressPool: web, probe: http, protocol: Tcp,
             frontendPort: 80, backendPort: 80, loadDistribution: SourceIP, disableOutboundSnat: true}
    inboundNatRules:
      ssh: {frontendIPConfiguration: public, protocol: Tcp, frontendPort: 50001, backendPort: 22, backend: web1}
    outboundRules:
      out: {frontendIPConfigurations: [public], backendAddressPool: web, protocol: All, allocatedOutboundPorts: 1024}
  db-lb:
    frontendIPConfigurations: {internal: {subnet: shop-vnet/db, privateIPAddress: 10.0.2.100}}
    backendAddressPools: {db: }
    loadBalancingRules:
      sql: {frontendIPConfiguration: internal, backendAddressPool: db, protocol: Tcp, frontendPort: 5432}
    inboundNatPools:
      ssh: {frontendIPConfiguration: internal, protocol: Tcp, frontendPortRangeStart: 6000, frontendPortRangeEnd: 6009,
            backendPort: 22}
"""


@pytest.fixture(scope="session")
def golden() -> str:
    return GOLDEN
