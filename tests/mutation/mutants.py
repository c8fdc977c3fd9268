"""Ways to break the compiler: each is one change of its text, as somebody could make it by mistake."""

from __future__ import annotations

from typing import NamedTuple


class Mutant(NamedTuple):
    """Replace `old`, which is there, by `new`, once, in a module of netemu/compile."""

    name: str
    module: str
    old: str
    new: str


def _of(module: str, *changes: tuple[str, str, str]) -> list[Mutant]:
    return [Mutant(name, module, old, new) for name, old, new in changes]


MUTANTS = [
    *_of(
        "security",
        ("a rule's last port is left out", "ranges.append((int(low), int(high or low)))", "ranges.append((int(low), max(int(low), int(high or low) - 1)))"),
        ("a rule's first port is left out", "ranges.append((int(low), int(high or low)))", "ranges.append((min(int(low) + 1, int(high or low)), int(high or low)))"),
        ("a rule's last port is one too far", "ranges.append((int(low), int(high or low)))", "ranges.append((int(low), min(int(high or low) + 1, 65535)))"),
        ("source and destination ports are swapped", '"th sport"),\n        _ports(rule.destinationPortRange', '"th dport"),\n        _ports(rule.destinationPortRange'),
        ("ports of a rule for any protocol are for TCP only", 'protocol = "meta l4proto { tcp, udp } "', 'protocol = "meta l4proto tcp "'),
        ("rules are asked in the order of their names", "key=lambda item: item[1].priority", "key=lambda item: item[0]"),
        ("rules are asked last first", "key=lambda item: item[1].priority", "key=lambda item: -item[1].priority"),
        ("allow and deny are swapped", 'verdict = "return" if rule.allows', 'verdict = "drop" if rule.allows'),
        ("default rules come first", '65000, "Inbound", "Allow", "VirtualNetwork"', '99, "Inbound", "Allow", "VirtualNetwork"'),
        ("DenyAllInBound allows", '65500, "Inbound", "Deny"', '65500, "Inbound", "Allow"'),
        ("DenyAllOutBound is missing", '"DenyAllOutBound": _default(65500, "Outbound", "Deny", "*", "*"),', ""),
        ("AllowInternetOutBound means every address", '"Outbound", "Allow", "*", "Internet"', '"Outbound", "Allow", "*", "*"'),
        ("the tag VirtualNetwork forgets peers", "(virtual_network, *carried_peers(network, virtual_network)):\n        prefixes", "(virtual_network,):\n        prefixes"),
        ("the tag VirtualNetwork forgets all but the first prefix", "prefixes.extend(network.virtualNetworks[name].addressSpace)", "prefixes.extend(network.virtualNetworks[name].addressSpace[:1])"),
        ("the tag VirtualNetwork forgets the routes of the user", "prefixes.extend(IPv4Network(route.addressPrefix) for route in routes)", "list(routes)"),
        ("the tag Internet covers private ranges", "[*_virtual_network_prefixes(network, context), *tags.NOT_PUBLIC]", "_virtual_network_prefixes(network, context)"),
        ("the tag Internet covers the virtual network", "[*_virtual_network_prefixes(network, context), *tags.NOT_PUBLIC]", "tags.NOT_PUBLIC"),
        ("a prefix ends one address early", "covered.append((int(prefix.network_address), int(prefix.broadcast_address)))", "covered.append((int(prefix.network_address), max(int(prefix.network_address), int(prefix.broadcast_address) - 1)))"),
        ("a prefix begins one address late", "covered.append((int(prefix.network_address), int(prefix.broadcast_address)))", "covered.append((min(int(prefix.network_address) + 1, int(prefix.broadcast_address)), int(prefix.broadcast_address)))"),
        ("only the first of several prefixes counts", "for text in written:\n        if text == \"*\":", "for text in written[:1]:\n        if text == \"*\":"),
        ("a group's members are those of all addresses of its NICs", "if config.applicationSecurityGroups & set(groups)", "if any(c.applicationSecurityGroups & set(groups) for c in nic.ipConfigs)"),
        ("of several groups only the first counts", "config.applicationSecurityGroups & set(groups)", "config.applicationSecurityGroups & set(groups[:1])"),
        ("sources are looked for in the destination", 'rule.sourceApplicationSecurityGroups, "ip saddr"', 'rule.sourceApplicationSecurityGroups, "ip daddr"'),
        ("the NIC's NSG is left out", "((nic.networkSecurityGroup, chains.nic), (nic.subnet", "((nic.subnet.networkSecurityGroup, chains.nic), (nic.subnet"),
        ("the subnet's NSG is left out", "(nic.subnet.networkSecurityGroup, chains.subnet))", "(None, chains.subnet))"),
        ("NSGs are for what comes in only", 'for direction in ("outbound", "inbound"):\n                name = chain_name', 'for direction in ("inbound",):\n                name = chain_name'),
        ("an NSG means the same in all virtual networks", 'return "/".join((direction, group, *(part for part in context if part is not None)))', 'return "/".join((direction, group))'),
        ("rules that name platform tags are not asked", "if not lines:\n        return", "if lines or not lines:\n        return"),
        ("a NIC without NSG counts as if it had one", "return nic.networkSecurityGroup is not None or nic.subnet.networkSecurityGroup is not None", "return True"),
    ),
    *_of(
        "routes",
        ("peers are not reached", "return [p.remote for p in network.virtualNetworks[virtual_network].peerings if p.carries_traffic]", "return []"),
        ("a peering in one direction only is enough", "if p.carries_traffic]", "]"),
        ("only the first prefix of a network is local", "        for prefix in space:\n            policy[prefix]", "        for prefix in space[:1]:\n            policy[prefix]"),
        ("system routes win over the user's", "policy[IPv4Network(route.addressPrefix)] = (target, hop)", "policy.setdefault(IPv4Network(route.addressPrefix), (target, hop))"),
        ("the user's routes are forgotten", "policy[IPv4Network(route.addressPrefix)] = (target, hop)", "pass"),
        ("None leads to the internet", '"None": NONE,', '"None": INTERNET,'),
        ("an appliance is passed by", '"VirtualAppliance": APPLIANCE,', '"VirtualAppliance": LOCAL,'),
        ("the internet's route of the user is none", '"Internet": INTERNET,', '"Internet": NONE,'),
        ("private ranges have no None route", "policy[reserved] = (NONE, None)", "pass"),
        ("there is no way to the internet", "{EVERYTHING: (INTERNET, None)}", "{EVERYTHING: (NOWHERE, None)}"),
        ("a route of the user does not cover single NICs", "if next(target for base, mask, target in targets if value & mask == base) == delivered_by:", "if delivered_by:"),
        ("the shortest prefix wins for NICs", "key=lambda prefix: -prefix.prefixlen", "key=lambda prefix: prefix.prefixlen"),
        ("168.63.129.16 obeys routes", "for address in (PLATFORM_ADDRESS, IMDS_ADDRESS):", "for address in (IMDS_ADDRESS,):"),
        ("secondary addresses have no route", "for config in nic.ipConfigs:\n                yield", "for config in nic.ipConfigs[:1]:\n                yield"),
    ),
    *_of(
        "fabric",
        ("records are kept the wrong way round", '"ip saddr . ip daddr", "th sport . th dport", chains', '"ip daddr . ip saddr", "th sport . th dport", chains'),
        ("the source is not checked", ' counter drop comment "source address"', ' accept comment "source address"'),
        ("the platform's source is not checked", 'counter drop comment "platform source"', 'accept comment "platform source"'),
        ("GRE is carried", "ip protocol {{ 4, 47 }}", "ip protocol {{ 4 }}"),
        ("UDP from port 65330 is carried", "udp sport 65330 counter drop", "udp sport 65331 counter drop"),
        ("multicast is not stopped", "ip daddr 224.0.0.0-255.255.255.255 counter drop", "ip daddr 240.0.0.0-255.255.255.255 counter drop"),
        ("forwarded traffic of peers is always let in", "if peering.carries_traffic and not peering.allowForwardedTraffic", "if False"),
        ("what a peer sends itself counts as forwarded", " ip saddr != @space/{remote}", " ip saddr @space/{remote}"),
        ("a NIC without forwarding is given everything", ' counter drop comment "destination address"', ' accept comment "destination address"'),
        ("NICs that forward are given their own only", " oifname @forwarding", ' oifname "nobody"'),
        ("Basic public IPs are closed, too", 'and config.publicIP.sku == "Standard" and', "and"),
        ("appliances send to the internet in others' names", 'iifname . ip saddr != @own counter drop comment "foreign source to the internet"', 'iifname . ip saddr != @own accept'),
        ("all ports have the first virtual network's table", "nic.name: numbers.mark_of(nic) | FROM_NIC", "nic.name: numbers.mark_of(next(iter(network.nics.values()))) | FROM_NIC"),
    ),
    *_of(
        "gates",
        ("the subnet's NSG is asked first on the way out", 'order = ("nic", "subnet") if outbound else ("subnet", "nic")', 'order = ("subnet", "nic")'),
        ("the NIC's NSG is asked first on the way in", 'order = ("nic", "subnet") if outbound else ("subnet", "nic")', 'order = ("nic", "subnet")'),
        ("established flows are asked again", " {flow} @flows update @flows {{ {flow} }} goto {direction}_pass", ""),
        ("flows leave no record", "{rules}\n update @flows {{ {flow} }}", "{rules}"),
        ("an echo leaves no record", " icmp type echo-request update @{request} {{ {echo} }}\n {HASH}", " {HASH}"),
        ("echo records have no direction", '("asked", "was_asked") if outbound else ("was_asked", "asked")', '("asked", "asked")'),
        ("portless flows leave no record", "{rules}\n update @portless {{ {portless} }}", "{rules}"),
        ("a Standard public IP without NSG is open", 'insert(0, \' iifname @edge', 'insert(0, \' iifname "nobody"'),
    ),
    *_of(
        "edge",
        ("the zone is that of another network", "{a} : goto zone{numbers.vnet[v]}", "{a} : goto zone{numbers.vnet[v] % len(numbers.vnet) + 1}"),
        ("public addresses are not translated inwards", 'inbound.append(f"{config.publicIP.address} : {config.address}")', "pass"),
        ("public addresses are not translated outwards", "one_to_one.append(", "str("),
        ("default outbound access is for all protocols", '"{UPLINK}" meta l4proto {{ tcp, udp }} snat', '"{UPLINK}" snat'),
        ("default outbound access is for TCP only", 'meta l4proto {{ tcp, udp }} snat', "meta l4proto tcp snat"),
        ("there is no default outbound access", "shared.append(", "str("),
        ("public addresses lead to the wrong network", "for a, v in owned])\n", "for (a, _), (_, v) in zip(owned, owned[::-1], strict=True)])\n"),
    ),
    *_of(
        "stages",
        ("a tree's range ends one early", "changes[last + 1] = changes.get(last + 1, 0) ^ 1 << bit", "changes[last] = changes.get(last, 0) ^ 1 << bit"),
        ("a tree's range begins one late", "changes[first] = changes.get(first, 0) ^ 1 << bit\n                changes[last", "changes[first + 1] = changes.get(first + 1, 0) ^ 1 << bit\n                changes[last"),
        ("a tree forgets all but its first stage", "        start += size\n", "        start = len(conditions)\n"),
    ),
    *_of(
        "stages_chains",
        ("a tree's UDP is its TCP", "chosen = [line for line in lines if line.rule.protocol in (None, protocol)]", "chosen = [line for line in lines if line.rule.protocol in (None, TCP)]"),
        ("a stage that allows goes on", '!= 0 return"', '== 0x1 return"'),
        ("rules without ports miss those for any protocol", "portless = [line for line in lines if not line.rule.names_ports()]", "portless = [line for line in lines if not line.rule.names_ports() and line.rule.protocol is not None]"),
    ),
    *_of(
        "internet",
        ("hosts send as anybody", "iifname . ip saddr != @own counter drop", "iifname . ip saddr != @own accept"),
    ),
    *_of(
        "machines",
        ("a guest's default route is the wrong NIC's", "if nic.index == 0:", "if nic.index == len(machine.nics) - 1:"),
        ("guests forward", '"ipv4/ip_forward": "0"', '"ipv4/ip_forward": "1"'),
    ),
]  # fmt: skip
