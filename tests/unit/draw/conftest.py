"""Networks to draw: those of the scenarios, a large one, and one whose names try to break out of the picture."""

from __future__ import annotations

from pathlib import Path

import msgspec
import pytest

from netemu.azure import resources as arm
from netemu.azure.network import Network, resolve
from netemu.scenario import read_scenario

SCENARIOS = sorted((Path(__file__).parents[3] / "scenarios").glob("*.yaml"))
HOSTILE = "<svg>\"'&<script>]]>\\n; end --> \x00\x1b\ufffe|`#quot;"
WORSE = HOSTILE + "</g></svg>\ud800"


def large(machines: int, networks: int = 3) -> Network:
    """A hub and spokes with many machines, public IPs on some of them."""
    spaces = {
        f"vnet{v}": arm.VirtualNetwork(
            addressSpace=(f"10.{v}.0.0/16",),
            subnets={f"subnet{s}": arm.Subnet(addressPrefix=f"10.{v}.{s}.0/24") for s in range(4)},
            virtualNetworkPeerings={
                f"to-{other}": arm.VirtualNetworkPeering(remoteVirtualNetwork=f"vnet{other}")
                for other in ([0] if v else range(1, networks))
            },
        )
        for v in range(networks)
    }
    return resolve(
        arm.Scenario(
            name="large",
            virtualNetworks=spaces,
            publicIPAddresses={f"ip{i}": arm.PublicIPAddress() for i in range(0, machines, 10)},
            virtualMachines={
                f"vm{i}": arm.VirtualMachine(
                    subnet=f"vnet{i % networks}/subnet{i // networks % 4}",
                    publicIPAddress=f"ip{i}" if i % 10 == 0 else None,
                    run=("python3 -m http.server 80",) * (i % 7),
                )
                for i in range(machines)
            },
            internet=arm.Internet(hosts={f"host{i}": arm.InternetHost(ipAddress=f"198.51.100.{i}") for i in range(9)}),
        )
    )


def hostile() -> Network:
    """Every name is an attack, and long. Validation would refuse most of them; `run` may be anything."""
    name = HOSTILE
    return resolve(
        arm.Scenario(
            name=name,
            virtualNetworks={
                name: arm.VirtualNetwork(
                    addressSpace=("10.0.0.0/16",),
                    subnets={name: arm.Subnet(addressPrefix="10.0.0.0/24", networkSecurityGroup=name, routeTable=name)},
                    virtualNetworkPeerings={name: arm.VirtualNetworkPeering(remoteVirtualNetwork="other" * 30)},
                ),
                "other" * 30: arm.VirtualNetwork(addressSpace=("10.1.0.0/16",)),
            },
            networkSecurityGroups={
                name: arm.NetworkSecurityGroup(
                    securityRules={
                        name: arm.SecurityRule(priority=100, direction="Inbound", access="Deny", protocol="*")
                    }
                )
            },
            applicationSecurityGroups={name: arm.ApplicationSecurityGroup()},
            routeTables={
                name: arm.RouteTable(
                    routes={
                        name: arm.Route(
                            addressPrefix="0.0.0.0/0", nextHopType="VirtualAppliance", nextHopIpAddress="10.0.0.4"
                        )
                    }
                )
            },
            publicIPAddresses={
                name: arm.PublicIPAddress(),
                "idle": arm.PublicIPAddress(),
                f"{name}2": arm.PublicIPAddress(),
            },
            loadBalancers={
                f"{name}2": arm.LoadBalancer(
                    frontendIPConfigurations={name: arm.FrontendIPConfiguration(publicIPAddress=f"{name}2")},
                    backendAddressPools={name * 9: (name,)},
                    probes={f"{name}2": arm.Probe(protocol="Tcp", port=80)},
                    loadBalancingRules={
                        f"{name}2": arm.LoadBalancingRule(
                            frontendIPConfiguration=name,
                            backendAddressPool=name * 9,
                            protocol="Tcp",
                            frontendPort=80,
                            probe=f"{name}2",
                        )
                    },
                )
            },
            virtualMachines={
                name: arm.VirtualMachine(
                    subnet=f"{name}/{name}",
                    publicIPAddress=name,
                    networkSecurityGroup=name,
                    applicationSecurityGroups=(name,),
                    enableIPForwarding=True,
                    run=(WORSE * 20, "漢字 " * 40),
                    sysctls={name: WORSE},
                )
            },
            internet=arm.Internet(hosts={name: arm.InternetHost(ipAddress="198.51.100.7", run=(WORSE,))}),
        )
    )


def balanced(backends: int = 3) -> Network:
    """Public and internal load balancers, one as a next hop, a NAT gateway; and some that nobody is behind."""
    rule = {"frontendIPConfiguration": "f", "backendAddressPool": "pool"}
    tcp = arm.LoadBalancingRule(**rule, protocol="Tcp", frontendPort=80, backendPort=8080)
    every = arm.LoadBalancingRule(**rule, protocol="All", frontendPort=0)

    def balancer(
        frontend: arm.FrontendIPConfiguration, members: list[str], one: arm.LoadBalancingRule
    ) -> arm.LoadBalancer:
        return arm.LoadBalancer(
            frontendIPConfigurations={"f": frontend}, backendAddressPools={"pool": tuple(members)},
            loadBalancingRules={"r": one},
        )  # fmt: skip

    inside = arm.FrontendIPConfiguration(subnet="net/app", privateIPAddress="10.0.2.100")
    subnets = {
        "web": arm.Subnet(addressPrefix="10.0.1.0/24"),
        "app": arm.Subnet(addressPrefix="10.0.2.0/24", natGateway="gw", routeTable="rt"),
        "fw": arm.Subnet(addressPrefix="10.0.3.0/24"),
    }
    names = [f"web{i}" for i in range(backends)]
    return resolve(
        arm.Scenario(
            name="balanced",
            virtualNetworks={
                "net": arm.VirtualNetwork(addressSpace=("10.0.0.0/16",), subnets=subnets),
                "far": arm.VirtualNetwork(addressSpace=("10.1.0.0/16",)),
            },
            routeTables={"rt": arm.RouteTable(routes={"r": arm.Route(
                addressPrefix="10.9.0.0/16", nextHopType="VirtualAppliance", nextHopIpAddress="10.0.3.100")})},
            publicIPAddresses={name: arm.PublicIPAddress() for name in ("ip", "idle", "gw", "unused")},
            publicIPPrefixes={"range": arm.PublicIPPrefix(prefixLength=30)},
            natGateways={
                "gw": arm.NatGateway(publicIPAddresses=("gw",), publicIPPrefixes=("range",)),
                "lone": arm.NatGateway(publicIPAddresses=("unused",)),
            },
            loadBalancers={
                "public": msgspec.structs.replace(
                    balancer(arm.FrontendIPConfiguration(publicIPAddress="ip"), names, tcp),
                    inboundNatRules={"ssh": arm.InboundNatRule(
                        frontendIPConfiguration="f", protocol="Tcp", frontendPort=50001, backendPort=22, backend=names[0])},
                ),
                "internal": balancer(inside, ["app1", names[0]], tcp),
                "hop": balancer(arm.FrontendIPConfiguration(subnet="net/fw", privateIPAddress="10.0.3.100"), ["fw"], every),
                "empty": arm.LoadBalancer(frontendIPConfigurations={"f": arm.FrontendIPConfiguration(publicIPAddress="idle")}),
            },
            virtualMachines={
                **{name: arm.VirtualMachine(subnet="net/web") for name in names},
                "app1": arm.VirtualMachine(subnet="net/app"), "fw": arm.VirtualMachine(subnet="net/fw", enableIPForwarding=True),
            },
        )
    )  # fmt: skip


NETWORKS = {
    **{path.stem: resolve(read_scenario(path)) for path in SCENARIOS},
    "nothing": resolve(arm.Scenario(name="nothing")),
    "one machine": large(1, 1),
    "100 machines": large(100),
    "300 machines": large(300, 1),
    "20 networks": large(40, 20),
    "load balancers": balanced(),
    "200 backends": balanced(200),
    "hostile": hostile(),
}


@pytest.fixture(params=NETWORKS)
def network(request: pytest.FixtureRequest) -> Network:
    return NETWORKS[request.param]
