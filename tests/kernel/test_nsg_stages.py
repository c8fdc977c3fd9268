"""Long NSGs, which are decision trees in the kernel: packets, verdicts and counters agree about the rule that decides."""

from __future__ import annotations

import contextlib
import random
import socket
import sys
from collections import Counter
from pathlib import Path

import pytest
import yaml
from harness import FABRIC_MAC, allow, deny
from scapy.layers.inet import ICMP, IP, TCP, UDP
from scapy.layers.l2 import Ether

from netemu.azure.flow import Packet as Flow
from netemu.azure.flow import dotted
from netemu.azure.security import Classifier, Context, effective_rules
from netemu.linux.namespaces import entered
from netemu.verify.prove import verify

# The unit tests of the trees meet the same random NSGs in an interpreter.
sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "compile"))

from stages_interpreter import Packet
from stages_random import random_packet, scenario

RULES = 400
PACKETS = 1500


@pytest.fixture(scope="module")
def lab(laboratory):
    """Machines vm… behind many inbound rules; open… behind none; probes that send in any name, one of them watched."""
    content = scenario(random.Random(29), RULES, "Inbound")
    outbound = scenario(random.Random(23), RULES, "Outbound")["networkSecurityGroups"]["nsg"]
    content["networkSecurityGroups"]["watch"] = outbound
    content["virtualNetworks"]["net"]["subnets"]["open"] = {"addressPrefix": "10.0.1.0/24"}
    machines = content["virtualMachines"]
    for i in range(8):
        machines[f"open{i}"] = machines[f"vm{i}"] | {"subnet": "net/open"}
    machines["probe"] = {"subnet": "net/open", "enableIPForwarding": True}
    machines["watched"] = machines["probe"] | {"networkSecurityGroup": "watch"}
    del content["name"]
    return laboratory(yaml.safe_dump(content))


class Probes:
    """Sends packets in any name, and sees them arrive."""

    def __init__(self, lab, sender, targets):
        self.stack = contextlib.ExitStack()
        self.taps = {address: self.stack.enter_context(lab.tap(name)) for address, name in targets.items()}
        self.header = Ether(src=lab.mac(sender), dst=FABRIC_MAC)
        with entered(lab.namespace(sender)):
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        self.socket.bind(("eth0", 0))
        self.stack.callback(self.socket.close)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stack.close()

    def arrives(self, packet):
        """Does it? The kernel delivers before send() returns."""
        token = random.randrange(1, 65536)
        layer = {
            1: ICMP(id=token),
            6: TCP(sport=packet.source_port, dport=packet.destination_port, flags="S"),
            17: UDP(sport=packet.source_port, dport=packet.destination_port),
        }.get(packet.protocol, b"\x00" * 24)
        datagram = (
            IP(src=dotted(packet.source), dst=dotted(packet.destination), proto=packet.protocol, id=token) / layer
        )
        self.socket.send(bytes(self.header / datagram))
        return self.taps[packet.destination].find(lambda f: f.haslayer(IP) and f[IP].id == token) is not None


def flow(packet):
    """The packet in the verdict engine's words."""
    return Flow(
        packet.source, packet.destination, packet.protocol, packet.source_port or 0, packet.destination_port or 0
    )


@pytest.mark.azure("NSG-4", "NSG-10", "NSG-12", "NSG-13", "NSG-25", "NSG-26", "NSG-29")
@pytest.mark.parametrize(
    ("direction", "group", "sender", "receivers"),
    [("Inbound", "nsg", "probe", "vm"), ("Outbound", "watch", "watched", "open")],
)
def test_hundreds_of_overlapping_rules_decide_and_count_as_azures_do(lab, direction, group, sender, receivers):
    rng = random.Random(13)
    azure = Classifier(effective_rules(lab.network, group, Context("net", None), direction))
    owners = {int(machine.nics[0].address): name for name, machine in lab.network.machines.items()}
    targets = {address: name for address, name in owners.items() if name.startswith(receivers)}
    seen = set()  # a second packet of a flow would pass by its record
    expected = Counter()
    wrong = []
    before = counted(lab, direction, group)
    with Probes(lab, sender, targets) as probes:
        while len(seen) < PACKETS:
            packet = random_packet(rng)._replace(destination=rng.choice(sorted(targets)))
            if packet in seen or packet.source in owners or packet.source_port in (68, 65330):
                continue  # known as a flow, answered by a machine, or blocked by the platform
            seen.add(packet)
            rule = azure.decide(flow(packet))
            expected[rule.name] += 1
            if probes.arrives(packet) != (rule.access == "Allow"):
                wrong.append((str(flow(packet)), rule.name, rule.access))
    assert not wrong
    assert counted(lab, direction, group) - before == expected
    assert len(expected) > 40, "packets that say little"


def counted(lab, direction, group):
    """Packets by rule, all in the rules' own chains."""
    prefix = f"{direction.lower()}/{group}/"
    found = {key: count for key, count in lab.counters().items() if key[0].startswith(prefix)}
    assert len(found) > RULES / 2
    assert all(chain == f"{prefix}/{rule}" for chain, rule in found)
    return Counter({rule: count for (_, rule), count in found.items()})


@pytest.mark.azure("NSG-10", "NSG-4")
def test_protocols_without_ports_meet_the_rules_without_ports(lab):
    """The same pair of addresses, protocol by protocol: the trees for TCP and UDP are not the others'."""
    rng = random.Random(14)
    azure = Classifier(effective_rules(lab.network, "nsg", Context("net", None), "Inbound"))
    target = int(lab.network.machines["vm3"].nics[0].address)
    with Probes(lab, "probe", {target: "vm3"}) as probes:
        for last in rng.sample(range(30, 250), 60):
            for protocol in (1, 50, 51, 132, 6, 17):
                ports = (1234, 443) if protocol in (6, 17) else (None, None)
                packet = Packet(protocol, (10 << 24) + 512 + last, target, *ports)
                assert probes.arrives(packet) == (azure.decide(flow(packet)).access == "Allow"), str(flow(packet))


LONG = ", ".join(
    [
        *(
            f"r{i}: {allow('Inbound', 'Tcp', source=f'10.9.0.{i}', port='22').replace('200', str(200 + i), 1)}"
            for i in range(80)
        ),
        f"no-postgres: {deny('Inbound', 'Tcp', port='5432')}",
        f"web: {allow('Inbound', 'Tcp', port='80').replace('200', '190', 1)}",
    ]
)
VERIFIED = f"""
virtualNetworks: {{net: {{addressSpace: 10.0.0.0/16, subnets: {{s: {{addressPrefix: 10.0.0.0/24}}}}}}}}
networkSecurityGroups: {{nsg: {{securityRules: {{{LONG}}}}}}}
virtualMachines: {{a: {{subnet: net/s}}, b: {{subnet: net/s, networkSecurityGroup: nsg}}}}
expect:
  - {{from: a, to: b, port: 80, access: Allow, rule: nsg/web}}
  - {{from: a, to: b, port: 5432, access: Deny, rule: nsg/no-postgres}}
  - {{from: a, to: b, port: 22, access: Allow, rule: AllowVnetInBound}}
"""


@pytest.mark.azure("NSG-4", "NSG-35")
def test_verify_names_the_rule_of_a_long_nsg_that_decided(single):
    lab = single(VERIFIED)
    results = list(verify(lab.network, {node: lab.namespace(node) for node in lab.folder.nodes()}))
    assert [result.disagreements for result in results] == [(), (), ()]
    assert [str(result.decided_by) for result in results] == ["None", "nsg/no-postgres", "None"]
