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
      db:  {addressPrefix: 10.0.2.0/24, networkSecurityGroup: db-nsg, routeTable: through-firewall}

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

publicIPAddresses:
  web-ip: {sku: Standard}

virtualMachines:
  web1: {subnet: shop-vnet/web, run: python3 -m http.server 80, publicIPAddress: web-ip}
  web2: {subnet: shop-vnet/web, run: python3 -m http.server 80}
  db1:
    networkInterfaces: [db1-nic]

networkInterfaces:
  db1-nic: {subnet: shop-vnet/db, privateIPAddress: 10.0.2.10}

internet:
  hosts:
    visitor: {ipAddress: 198.51.100.7, location: northeurope}

expect:
  - {from: visitor, to: web-ip, protocol: Tcp, port: 80, access: Allow}
  - {from: visitor, to: web-ip, protocol: Tcp, port: 22, access: Deny, rule: DenyAllInBound}
  - {from: web1, to: db1, protocol: Tcp, port: 5432, access: Allow}
"""


@pytest.fixture(scope="session")
def golden() -> str:
    return GOLDEN
