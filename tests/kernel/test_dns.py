"""Names inside a lab, asked for by dig, getent, Python and curl: private zones, public ones, custom servers."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

import pytest
from harness import PLATFORM, Lab, wait_for

NETWORKS = """
virtualNetworks:
  net:
    addressSpace: 10.0.0.0/16
    subnets: {main: {addressPrefix: 10.0.1.0/24}}
    virtualNetworkPeerings: {to-far: {remoteVirtualNetwork: far}}
  far:
    addressSpace: 10.1.0.0/16
    subnets: {main: {addressPrefix: 10.1.1.0/24}}
    virtualNetworkPeerings: {to-net: {remoteVirtualNetwork: net}}
  custom:
    addressSpace: 10.0.0.0/16
    dhcpOptions: {dnsServers: [10.0.1.53]}
    subnets: {main: {addressPrefix: 10.0.1.0/24}}
"""
FORWARDER = (
    "dnsmasq --keep-in-foreground --no-hosts --no-resolv --user=root --group= --pid-file= --log-facility=- --bind-interfaces"
    " --listen-address=10.0.1.53 --server=168.63.129.16 --server=/away.example/198.51.100.53 --address=/own.corp/10.9.9.9"
)
SCENARIO = f"""{NETWORKS}
virtualMachines:
  web: {{subnet: net/main, privateIPAddress: 10.0.1.4, publicIPAddress: ip}}
  db: {{networkInterfaces: [db-nic, db-nic2]}}
  far: {{subnet: far/main, privateIPAddress: 10.1.1.4}}
  dns: {{networkInterfaces: dns-nic, run: "{FORWARDER}"}}
  customer: {{subnet: custom/main, privateIPAddress: 10.0.1.5}}
  outsider: {{networkInterfaces: outsider-nic}}
networkInterfaces:
  db-nic: {{subnet: net/main, privateIPAddress: 10.0.1.10}}
  db-nic2: {{subnet: net/main, privateIPAddress: 10.0.1.11}}
  dns-nic: {{subnet: custom/main, privateIPAddress: 10.0.1.53, dnsSettings: {{dnsServers: {PLATFORM}}}}}
  outsider-nic: {{subnet: net/main, dnsSettings: {{dnsServers: [8.8.8.8]}}}}
publicIPAddresses:
  ip: {{dnsSettings: {{domainNameLabel: my-app, reverseFqdn: www.contoso.com}}}}
privateDnsZones:
  corp.internal:
    virtualNetworkLinks:
      one: {{virtualNetwork: net, registrationEnabled: true}}
      two: {{virtualNetwork: custom}}
    recordSets:
      "@": {{mxRecords: [10 mail.contoso.com, 20 mail2.contoso.com]}}
      store: {{aRecords: [10.0.2.4, 10.0.2.5], aaaaRecords: "2001:db8::4", txtRecords: some text, ttl: 60}}
      www: {{cnameRecord: app.contoso.com, ttl: 30}}
      _ldap._tcp: {{srvRecords: 0 5 389 db.corp.internal}}
      "*.apps": {{aRecords: 10.0.3.9}}
      many: {{txtRecords: [{", ".join(str(number) * 200 for number in range(1, 10))}]}}
  shop.contoso.com:
    virtualNetworkLinks: {{one: {{virtualNetwork: net}}}}
    recordSets: {{api: {{aRecords: 10.0.4.4}}}}
  privatelink.blob.core.windows.net:
    virtualNetworkLinks: {{one: {{virtualNetwork: net}}}}
    recordSets: {{account: {{aRecords: 10.0.4.5}}}}
dnsZones:
  contoso.com:
    recordSets:
      "@": {{targetResource: ip}}
      www: {{targetResource: recordSets/app}}
      app: {{aRecords: 198.51.100.7, ttl: 300}}
      api.shop: {{aRecords: 198.51.100.8}}
      old.shop: {{aRecords: 198.51.100.8}}
      child: {{nsRecords: [ns1-01.azure-dns.com, ns2-01.azure-dns.net]}}
      away: {{nsRecords: ns.example.com}}
      caa: {{caaRecords: 0 issue letsencrypt.org}}
  child.contoso.com: {{recordSets: {{www: {{aRecords: 198.51.100.7}}}}}}
  blob.core.windows.net:
    recordSets:
      account: {{cnameRecord: account.privatelink.blob.core.windows.net, ttl: 60}}
      account.privatelink: {{aRecords: 198.51.100.9}}
internet:
  hosts:
    visitor: {{ipAddress: 198.51.100.7, run: python3 -m http.server 80}}
    away: {{ipAddress: 198.51.100.53}}
"""


@pytest.fixture(scope="module")
def lab(laboratory: Callable[[str], Lab]) -> Lab:
    lab = laboratory(SCENARIO)
    wait_until_answered(lab, "customer")
    return lab


def wait_until_answered(lab: Lab, machine: str) -> None:
    """The forwarder is a program of the guest: nobody else waits until it serves."""
    for _ in range(20):
        if dig(lab, machine, "own.corp")[0] != "no answer":
            return


def dig(lab: Lab, machine: str, *question: str) -> tuple[str, list[str]]:
    """The answer's status and the records, each `type data`, sorted."""
    run = lab.run(machine, "dig", "+tries=1", "+time=1", *question)
    if "status: " not in run.stdout:
        return "no answer", []
    status = run.stdout.split("status: ")[1].split(",")[0]
    lines = run.stdout.partition("ANSWER SECTION:\n")[2].partition("\n\n")[0].splitlines()
    return status, sorted(" ".join(line.split()[3:]) for line in lines)


def ttl(lab: Lab, machine: str, *question: str) -> list[int]:
    """The times to live of an answer's records."""
    run = lab.run(machine, "dig", "+tries=1", "+time=1", "+noall", "+answer", *question)
    return [int(line.split()[1]) for line in run.stdout.splitlines()]


@pytest.mark.azure("DNS-9", "DNS-14", "PEER-15")
def test_a_private_zone_is_seen_in_the_networks_that_have_a_link_peered_or_not(lab: Lab) -> None:
    answer = "NOERROR", ["A 10.0.2.4", "A 10.0.2.5"]
    assert dig(lab, "web", "store.corp.internal") == answer
    assert dig(lab, "dns", "store.corp.internal") == answer
    assert dig(lab, "far", "store.corp.internal") == ("NXDOMAIN", [])
    assert dig(lab, "visitor", "store.corp.internal") == ("NXDOMAIN", [])
    assert dig(lab, "web", "@8.8.8.8", "store.corp.internal") == ("NXDOMAIN", [])


@pytest.mark.azure("DNS-15")
@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (("store.corp.internal", "AAAA"), ("NOERROR", ["AAAA 2001:db8::4"])),
        (("store.corp.internal", "TXT"), ("NOERROR", ['TXT "some text"'])),
        (("store.corp.internal", "MX"), ("NOERROR", [])),
        (("STORE.corp.INTERNAL", "TXT"), ("NOERROR", ['TXT "some text"'])),
        (("corp.internal", "MX"), ("NOERROR", ["MX 10 mail.contoso.com.", "MX 20 mail2.contoso.com."])),
        (("_ldap._tcp.corp.internal", "SRV"), ("NOERROR", ["SRV 0 5 389 db.corp.internal."])),
        (("www.corp.internal",), ("NOERROR", ["A 198.51.100.7", "CNAME app.contoso.com."])),
        (("any.apps.corp.internal",), ("NOERROR", ["A 10.0.3.9"])),
        (("apps.corp.internal",), ("NOERROR", [])),
        (("_tcp.corp.internal",), ("NOERROR", [])),
        (("nothing.corp.internal",), ("NXDOMAIN", [])),
        (("caa.contoso.com", "CAA"), ("NOERROR", ['CAA 0 issue "letsencrypt.org"'])),
    ],
)
def test_records_of_every_kind_and_what_is_not_there(lab: Lab, question: tuple[str, ...], answer: object) -> None:
    assert dig(lab, "web", *question) == answer


@pytest.mark.azure("DNS-15", "DNS-17")
def test_records_live_as_long_as_they_say_and_registered_ones_ten_seconds(lab: Lab) -> None:
    for _ in range(2):
        assert ttl(lab, "web", "store.corp.internal") == [60, 60]
        assert ttl(lab, "web", "www.corp.internal") == [30, 300]
        assert ttl(lab, "web", "corp.internal", "MX") == [3600, 3600]
        assert ttl(lab, "web", "db.corp.internal") == [10]


@pytest.mark.azure("DNS-15")
def test_what_does_not_exist_is_remembered_as_long_as_the_zone_says(lab: Lab) -> None:
    for name, seconds in (("nothing.corp.internal", 10), ("nothing.contoso.com", 300)):
        said = lab.run("web", "dig", "+noall", "+authority", name).stdout.split()
        assert said[0] == f"{name.partition('.')[2]}." and said[3] == "SOA" and said[-1] == str(seconds)


@pytest.mark.azure("DNS-15")
def test_an_answer_too_long_for_a_datagram_comes_by_tcp(lab: Lab) -> None:
    status, records = dig(lab, "web", "many.corp.internal", "TXT")
    assert (status, len(records)) == ("NOERROR", 9)
    assert "TCP" in lab.run("web", "dig", "many.corp.internal", "TXT").stdout


@pytest.mark.azure("DNS-11", "DNS-12", "DNS-4")
def test_a_registration_link_registers_machines_by_their_primary_nic(lab: Lab) -> None:
    assert dig(lab, "web", "db.corp.internal") == ("NOERROR", ["A 10.0.1.10"])
    assert dig(lab, "dns", "db.corp.internal") == ("NOERROR", ["A 10.0.1.10"])
    assert dig(lab, "web", "customer.corp.internal") == ("NXDOMAIN", [])
    assert dig(lab, "web", "db.corp.internal", "AAAA") == ("NOERROR", [])
    both = ["PTR db.corp.internal.", "PTR db.internal.cloudapp.net."]
    assert dig(lab, "web", "-x", "10.0.1.10") == ("NOERROR", both)
    assert dig(lab, "web", "-x", "10.0.1.11") == ("NOERROR", ["PTR db.internal.cloudapp.net."])
    assert dig(lab, "dns", "-x", "10.0.1.5") == ("NOERROR", ["PTR customer.internal.cloudapp.net."])
    assert dig(lab, "far", "-x", "10.0.1.10") == ("NXDOMAIN", [])
    assert dig(lab, "web", "-x", "10.0.1.200") == ("NXDOMAIN", [])


@pytest.mark.azure("DNS-13")
def test_a_linked_zone_shadows_the_public_one_where_it_is_linked(lab: Lab) -> None:
    assert dig(lab, "web", "api.shop.contoso.com") == ("NOERROR", ["A 10.0.4.4"])
    assert dig(lab, "web", "old.shop.contoso.com") == ("NXDOMAIN", [])
    assert dig(lab, "far", "api.shop.contoso.com") == ("NOERROR", ["A 198.51.100.8"])
    assert dig(lab, "far", "old.shop.contoso.com") == ("NOERROR", ["A 198.51.100.8"])
    assert dig(lab, "web", "www.contoso.com") == ("NOERROR", ["A 198.51.100.7"])


@pytest.mark.azure("DNS-13")
def test_a_public_name_of_a_private_endpoint_leads_to_its_private_address_where_the_zone_is_linked(lab: Lab) -> None:
    name, alias = "account.blob.core.windows.net", "CNAME account.privatelink.blob.core.windows.net."
    assert dig(lab, "web", name) == ("NOERROR", ["A 10.0.4.5", alias])
    assert dig(lab, "far", name) == ("NOERROR", ["A 198.51.100.9", alias])
    assert dig(lab, "visitor", name) == ("NOERROR", ["A 198.51.100.9", alias])


@pytest.mark.azure("DNS-8", "OUT-23")
@pytest.mark.parametrize("machine", ["web", "far", "visitor", "outsider"])
def test_the_label_of_a_public_ip_is_known_everywhere_and_means_the_public_address(lab: Lab, machine: str) -> None:
    public = lab.address("ip")
    assert dig(lab, machine, "my-app.westeurope.cloudapp.azure.com") == ("NOERROR", [f"A {public}"])
    assert dig(lab, machine, "no-app.westeurope.cloudapp.azure.com") == ("NXDOMAIN", [])
    assert dig(lab, machine, "-x", public) == ("NOERROR", ["PTR www.contoso.com."])


@pytest.mark.azure("DNS-16")
def test_public_zones_have_aliases_delegations_and_name_servers_that_answer_with_authority(lab: Lab) -> None:
    for machine in ("far", "visitor"):
        assert dig(lab, machine, "contoso.com") == ("NOERROR", [f"A {lab.address('ip')}"])
        assert dig(lab, machine, "www.contoso.com") == ("NOERROR", ["A 198.51.100.7"])
        assert dig(lab, machine, "www.child.contoso.com") == ("NOERROR", ["A 198.51.100.7"])
        assert dig(lab, machine, "www.away.contoso.com") == ("SERVFAIL", [])
        servers = [f"NS ns{n}-01.azure-dns.{t}." for n, t in ((1, "com"), (2, "net"), (3, "org"), (4, "info"))]
        assert dig(lab, machine, "contoso.com", "NS") == ("NOERROR", servers)
        for server in ("ns1-01.azure-dns.com", "ns4-01.azure-dns.info"):
            told = lab.run(machine, "dig", f"@{server}", "app.contoso.com").stdout
            assert "flags: qr aa rd" in told and "198.51.100.7" in told
            assert "flags: qr rd" in lab.run(machine, "dig", f"@{server}", "www.child.contoso.com").stdout.replace(" aa", "")
            assert dig(lab, machine, f"@{server}", "db.corp.internal") == ("REFUSED", [])


@pytest.mark.azure("DNS-1", "DNS-2")
def test_programs_resolve_as_they_would_on_azure(lab: Lab) -> None:
    assert lab.run("web", "getent", "ahostsv4", "db").stdout.split()[0] == "10.0.1.10"
    assert lab.run("web", "getent", "hosts", "store.corp.internal").stdout.split()[1] == "store.corp.internal"
    assert lab.run("visitor", "getent", "ahostsv4", "www.contoso.com").stdout.split()[0] == "198.51.100.7"
    python = "import socket; print(socket.gethostbyname('www.corp.internal'), socket.gethostbyaddr('10.0.1.10')[0])"
    address, name = lab.run("web", "/usr/bin/python3", "-c", python).stdout.split()
    assert address == "198.51.100.7" and name.startswith("db.")
    for machine in ("web", "visitor"):
        assert lab.run(machine, "curl", "-s", "-o", "/dev/null", "-w", "%{http_code}", "http://www.contoso.com/").stdout == "200"


@pytest.mark.azure("DNS-6")
def test_a_machine_can_be_the_dns_server_of_a_network_and_hears_what_its_own_network_hears(lab: Lab) -> None:
    resolver = lab.run("customer", "cat", "/etc/resolv.conf").stdout
    assert resolver == "search reddog.microsoft.com\nnameserver 10.0.1.53\n"
    assert dig(lab, "customer", "own.corp") == ("NOERROR", ["A 10.9.9.9"])
    assert dig(lab, "customer", "store.corp.internal") == ("NOERROR", ["A 10.0.2.4", "A 10.0.2.5"])
    assert dig(lab, "customer", "api.shop.contoso.com") == ("NOERROR", ["A 198.51.100.8"])
    suffix = lab.network.virtualNetworks["custom"].internalDomainNameSuffix
    assert dig(lab, "customer", f"dns.{suffix}") == ("NOERROR", ["A 10.0.1.53"])
    assert dig(lab, "customer", "-x", "10.0.1.5") == ("NOERROR", ["PTR customer.internal.cloudapp.net."])
    assert dig(lab, "customer", f"@{PLATFORM}", "own.corp") == ("NXDOMAIN", [])


@pytest.mark.azure("DNS-6")
def test_custom_servers_are_asked_in_order_and_never_in_turn(single: Callable[[str], Lab]) -> None:
    lab = single("""
virtualNetworks:
  net: {addressSpace: 10.0.0.0/16, dhcpOptions: {dnsServers: [10.0.0.5, 168.63.129.16]}, subnets: {s: {addressPrefix: 10.0.0.0/24}}}
virtualMachines: {a: {subnet: net/s, privateIPAddress: 10.0.0.4}, b: {subnet: net/s, privateIPAddress: 10.0.0.5}}
""")
    heard = []
    with lab.socket("b", socket.SOCK_DGRAM) as server, lab.tap("@slb.net") as platform:
        server.bind(("0.0.0.0", 53))
        asking = threading.Thread(target=lambda: [lab.run("a", "getent", "ahostsv4", "b.example") for _ in range(3)])
        asking.start()
        while asking.is_alive():
            if wait_for(server, 0.1):
                question, client = server.recvfrom(512)
                server.sendto(question[:2] + b"\x81\x83" + question[4:], client)  # NXDOMAIN, which is an answer
                heard.append(question[12:])
        asking.join()
        assert platform.find(lambda frame: frame.haslayer("UDP")) is None
    assert [question[:11] for question in heard] == [b"\x01b\x07example\0", b"\x01b\x07example\x06"] * 3


@pytest.mark.azure("DNS-7")
def test_a_machine_that_asks_too_often_is_not_answered_every_time_and_others_are(lab: Lab) -> None:
    query = bytes.fromhex("7301010000010000000000000377777704636f72700869" + "6e7465726e616c0000010001")
    with lab.socket("far", socket.SOCK_DGRAM) as sock:
        sock.connect((PLATFORM, 53))
        for _ in range(4000):
            sock.send(query)
            while wait_for(sock, 0):
                sock.recv(512)
    assert lab.dropped("more than 1000 DNS queries a second", "@slb.far") > 500
    assert dig(lab, "web", "store.corp.internal")[0] == "NOERROR"


def test_a_change_of_zones_loses_no_query_and_is_known_when_up_returns(single: Callable[[str], Lab]) -> None:
    def version(address: str, more: str = "") -> str:
        return f"""{NETWORKS}
virtualMachines: {{a: {{subnet: net/main}}, f: {{subnet: far/main}}}}
internet: {{hosts: {{visitor: {{ipAddress: 198.51.100.7}}}}}}
privateDnsZones:
  corp.internal:
    virtualNetworkLinks: {{one: {{virtualNetwork: net, registrationEnabled: true}}}}
    recordSets: {{still: {{aRecords: 10.0.0.77}}, moving: {{aRecords: {address}}}}}
{more}"""

    lab = single(version("10.0.0.1"))
    stop, failures, asked = threading.Event(), list[str](), [0]
    name = b"".join(bytes([len(label)]) + label for label in (b"still", b"corp", b"internal")) + b"\0"

    def ask() -> None:
        with lab.socket("a", socket.SOCK_DGRAM) as resolver:
            resolver.connect((PLATFORM, 53))
            while not stop.wait(0.002):
                asked[0] += 1
                resolver.send(b"\x11\x11\x01\x00\0\1\0\0\0\0\0\0" + name + b"\0\1\0\1")
                answer = resolver.recv(512) if wait_for(resolver, 2.0) else b""
                if answer[-4:] != socket.inet_aton("10.0.0.77"):
                    failures.append(answer.hex())

    thread = threading.Thread(target=ask)
    thread.start()
    other = "  other.internal: {virtualNetworkLinks: {one: {virtualNetwork: net}}, recordSets: {x: {aRecords: 10.0.0.9}}}\n"
    public = "dnsZones: {contoso.com: {recordSets: {www: {aRecords: 198.51.100.7}}}}\n"
    try:
        for address, more, known in (
            ("10.0.0.2", "", ["NXDOMAIN", "NXDOMAIN"]),
            ("10.0.0.3", other, ["NOERROR", "NXDOMAIN"]),
            ("10.0.0.4", other + public, ["NOERROR", "NOERROR"]),
            ("10.0.0.5", public, ["NXDOMAIN", "NOERROR"]),
        ):
            assert lab.up(version(address, more)) == "changed"
            assert dig(lab, "a", "moving.corp.internal") == ("NOERROR", [f"A {address}"])
            assert [dig(lab, "a", name)[0] for name in ("x.other.internal", "www.contoso.com")] == known
            assert dig(lab, "visitor", "www.contoso.com")[0] == known[1]
            assert lab.up(version(address, more)) == "unchanged"
    finally:
        stop.set()
        thread.join()
    assert asked[0] > 50
    assert not failures
    assert lab.up(version("10.0.0.5", public).replace("net, registrationEnabled: true", "far")) == "changed"
    assert dig(lab, "a", "still.corp.internal") == ("NXDOMAIN", [])
    assert dig(lab, "f", "still.corp.internal") == ("NOERROR", ["A 10.0.0.77"])


@pytest.mark.azure("DNS-11")
def test_registration_follows_machines_that_come_move_and_go(single: Callable[[str], Lab]) -> None:
    def version(machines: str) -> str:
        zone = "corp.internal: {virtualNetworkLinks: {one: {virtualNetwork: net, registrationEnabled: true}}}"
        return f"{NETWORKS}\nvirtualMachines: {{a: {{subnet: net/main}}{machines}}}\nprivateDnsZones: {{{zone}}}\n"

    lab = single(version(""))
    assert dig(lab, "a", "b.corp.internal") == ("NXDOMAIN", [])
    lab.up(version(", b: {subnet: net/main, privateIPAddress: 10.0.1.50}"))
    assert dig(lab, "a", "b.corp.internal") == ("NOERROR", ["A 10.0.1.50"])
    lab.up(version(", b: {subnet: net/main, privateIPAddress: 10.0.1.60}"))
    assert dig(lab, "a", "b.corp.internal") == ("NOERROR", ["A 10.0.1.60"])
    assert dig(lab, "a", "-x", "10.0.1.50") == ("NXDOMAIN", [])
    lab.up(version(""))
    assert dig(lab, "a", "b.corp.internal") == ("NXDOMAIN", [])
