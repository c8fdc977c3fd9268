"""Networks that nobody thought of, as plain data: a hub and two others, an appliance, NSGs, routes, peerings."""

from __future__ import annotations

from hypothesis import strategies as st

ADDRESSES = (
    "*", "10.0.0.0/16", "10.0.1.0/24", "10.0.1.4", "10.0.2.0/24", "10.1.0.0/16", "VirtualNetwork", "Internet",
    "198.51.100.0/24", "AzurePlatformDNS", "20.61.0.9", "10.0.3.4",
)  # fmt: skip

some_rules = st.builds(
    lambda access, direction, protocol, source, to, port, sport: {
        "direction": direction, "access": access, "protocol": protocol, "sourceAddressPrefix": source,
        "sourcePortRange": "*" if protocol == "Icmp" else sport, "destinationAddressPrefix": to,
        "destinationPortRange": "*" if protocol == "Icmp" else port,
    },
    st.sampled_from(("Allow", "Deny")),
    st.sampled_from(("Inbound", "Outbound")),
    st.sampled_from(("Tcp", "Udp", "Icmp", "*")),
    st.sampled_from(ADDRESSES),
    st.sampled_from(ADDRESSES),
    st.sampled_from(("*", "80", "0-443", "443")),
    st.sampled_from(("*", "*", "*", "1024-2048")),
)  # fmt: skip


@st.composite
def security_groups(draw):
    """Rules whose priorities begin at 100, so that there may be no room before them."""
    rules = draw(st.lists(some_rules, max_size=4))
    priorities = draw(st.lists(st.integers(100, 106), min_size=len(rules), max_size=len(rules), unique=True))
    return {
        "securityRules": {f"r{i}": {"priority": p, **r} for i, (p, r) in enumerate(zip(priorities, rules, strict=True))}
    }


hops = st.sampled_from(
    (
        {"nextHopType": "VirtualAppliance", "nextHopIpAddress": "10.0.3.4"},
        {"nextHopType": "VirtualAppliance", "nextHopIpAddress": "10.1.0.4"},
        {"nextHopType": "VirtualAppliance", "nextHopIpAddress": "10.0.9.9"},
        {"nextHopType": "VnetLocal"}, {"nextHopType": "Internet"}, {"nextHopType": "None"},
        {"nextHopType": "VirtualNetworkGateway"},
    )
)  # fmt: skip
prefixes = st.sampled_from(("0.0.0.0/0", "10.0.0.0/16", "10.0.2.0/24", "10.1.0.0/16", "10.0.0.0/8", "198.51.100.0/24"))
tables = st.dictionaries(prefixes, hops, max_size=3).map(
    lambda chosen: {"routes": {f"r{i}": {"addressPrefix": p, **hop} for i, (p, hop) in enumerate(chosen.items())}}
)


def optional(draw, **choices):
    """Properties that are written or not."""
    return {name: value for name, value in choices.items() if draw(st.booleans())}


@st.composite
def scenarios(draw):
    def subnet(prefix):
        return {
            "addressPrefix": prefix,
            "defaultOutboundAccess": draw(st.booleans()),
            **optional(draw, networkSecurityGroup=draw(st.sampled_from(("nn", "mm"))), routeTable="tt"),
        }

    def network(space, **subnets):
        return {"addressSpace": space, "subnets": {name: subnet(prefix) for name, prefix in subnets.items()}}

    networks = {
        "hub": network("10.0.0.0/16", x="10.0.1.0/24", y="10.0.2.0/24", m="10.0.3.0/24"),
        "spoke": network("10.1.0.0/16", z="10.1.0.0/24"),
        "other": network("10.2.0.0/16", o="10.2.0.0/24"),
    }
    for near, far in (("hub", "spoke"), ("spoke", "hub"), ("hub", "other"), ("other", "hub")):
        if draw(st.integers(0, 3)):
            flags = {name: draw(st.booleans()) for name in ("allowForwardedTraffic", "allowVirtualNetworkAccess")}
            flags["allowVirtualNetworkAccess"] |= draw(st.booleans())
            peerings = networks[near].setdefault("virtualNetworkPeerings", {})
            peerings[f"to-{far}"] = {"remoteVirtualNetwork": far, **flags}

    def forwarding():
        return {"enableIPForwarding": draw(st.booleans()), **optional(draw, sysctls={"net.ipv4.ip_forward": "1"})}

    return {
        "virtualNetworks": networks,
        "networkSecurityGroups": {"nn": draw(security_groups()), "mm": draw(security_groups())},
        "routeTables": {"tt": draw(tables)},
        "publicIPAddresses": {"pp": {"sku": draw(st.sampled_from(("Basic", "Standard"))), "ipAddress": "20.61.0.9"}},
        "virtualMachines": {
            "aa": {"subnet": "hub/x", "publicIPAddress": "pp"},
            "bb": {"subnet": "hub/y", **optional(draw, networkSecurityGroup="mm")},
            "nva": {"subnet": "hub/m", **forwarding()},
            "far": {"subnet": "spoke/z", **forwarding()},
            "out": {"networkInterfaces": "out-nic"},
        },
        "networkInterfaces": {"out-nic": {"subnet": "other/o"}},
        "internet": {"hosts": {"visitor": {"ipAddress": "198.51.100.7"}}},
    }
