"""Service tags and the prefixes they stand for (NSG-13, NSG-25…NSG-28).

The tags of Azure's services are a small editable table of real ranges, not the weekly published list: enough that a
rule naming a tag means some addresses and not others. `VirtualNetwork`, `Internet` and `AzureLoadBalancer` depend on
where a rule is applied and are worked out by those who apply it.
"""

from __future__ import annotations

from ipaddress import IPv4Network

CONTEXT_TAGS = ("VirtualNetwork", "Internet", "AzureLoadBalancer")
"""Tags whose meaning depends on the virtual network in which a rule applies, or on the platform."""

PLATFORM_TAGS = {"AzurePlatformDNS": 53, "AzurePlatformIMDS": 80, "AzurePlatformLKM": 1688}
"""Tags that stop platform traffic, which no other rule does (PLT-4); the port each one stands for."""

NOT_PUBLIC = tuple(
    IPv4Network(text)
    for text in (
        "0.0.0.0/8",
        "10.0.0.0/8",
        "100.64.0.0/10",
        "127.0.0.0/8",
        "169.254.0.0/16",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "168.63.129.16/32",
        "224.0.0.0/3",
    )
)
"""What the tag Internet never covers, whatever the virtual network looks like (NSG-26, NSG-27)."""

_SERVICES: dict[str, tuple[str, ...]] = {
    "AzureCloud": ("20.0.0.0/8", "40.64.0.0/10", "52.224.0.0/11", "13.64.0.0/11", "104.40.0.0/13"),
    "AzureCloud.westeurope": ("20.61.0.0/16", "20.62.0.0/16", "40.68.0.0/14", "52.232.0.0/17", "13.69.0.0/17"),
    "AzureCloud.northeurope": ("20.50.64.0/20", "40.69.0.0/18", "52.138.128.0/17", "13.74.0.0/16"),
    "AzureCloud.eastus": ("20.42.0.0/17", "40.71.0.0/16", "52.224.0.0/16", "13.82.0.0/16"),
    "Storage": ("20.60.0.0/16", "20.150.0.0/17", "52.239.128.0/17", "13.88.144.240/28"),
    "Storage.westeurope": ("20.60.26.0/23", "20.150.8.0/23", "52.239.140.0/22"),
    "Storage.northeurope": ("20.60.40.0/23", "20.150.26.0/24", "52.239.136.0/22"),
    "Storage.eastus": ("20.60.0.0/24", "20.150.32.0/23", "52.239.152.0/22"),
    "Sql": ("40.68.37.158/32", "52.236.184.0/24", "13.69.104.0/22", "40.71.8.0/21", "40.79.153.0/24"),
    "Sql.westeurope": ("40.68.37.158/32", "52.236.184.0/24", "13.69.104.0/22"),
    "Sql.eastus": ("40.71.8.0/21", "40.79.153.0/24"),
    "AzureTrafficManager": ("40.68.30.66/32", "40.68.31.178/32", "13.75.124.254/32", "52.240.144.45/32"),
    "GatewayManager": ("20.61.240.0/24", "40.70.146.224/29", "13.69.227.80/29"),
    "AzureActiveDirectory": ("20.190.128.0/18", "40.126.0.0/18"),
    "AzureMonitor": ("20.50.65.80/28", "40.71.12.224/28", "13.69.51.175/32", "13.69.67.60/30"),
    "AzureKeyVault": ("20.61.103.224/28", "40.70.186.91/32", "52.236.189.80/29"),
    "AppService": ("20.50.2.0/23", "40.71.0.179/32", "52.233.128.61/32"),
    "EventHub": ("20.50.72.64/26", "40.68.35.230/32", "13.69.64.0/26"),
    "ServiceBus": ("20.50.72.0/26", "40.68.127.68/32", "13.69.64.64/29"),
    "AzureCosmosDB": ("20.61.97.0/25", "40.68.44.85/32", "13.69.112.0/25"),
    "AzureContainerRegistry": ("20.61.97.128/25", "40.71.10.204/30", "13.69.64.88/29"),
    "AzureResourceManager": ("20.61.98.192/27", "40.71.13.224/28", "13.69.67.32/28"),
}

_BY_LOWER_CASE = {name.lower(): name for name in (*CONTEXT_TAGS, *PLATFORM_TAGS, *_SERVICES)}


def canonical(text: str) -> str | None:
    """The tag's name as Azure spells it, or None when there is no such tag. Case does not matter (NSG-28)."""
    return _BY_LOWER_CASE.get(text.lower())


def names() -> tuple[str, ...]:
    """Every tag that a rule may name."""
    return tuple(_BY_LOWER_CASE.values())


def service_prefixes(tag: str) -> tuple[IPv4Network, ...]:
    """The prefixes of a service's tag, given in its canonical spelling."""
    return tuple(IPv4Network(text) for text in _SERVICES[tag])
