"""Public IPs and hosts on the internet."""

from __future__ import annotations

import pytest

from netemu.errors import ScenarioError
from netemu.scenario import read_text

CASES = [
    pytest.param(
        """\
name: lab
publicIPAddresses:
  a: {sku: Standard, publicIPAllocationMethod: Dynamic}
  b: {sku: Standard, publicIPAllocationMethod: Static}
  c: {sku: Basic, publicIPAllocationMethod: Dynamic}
  d: {sku: Basic, publicIPAllocationMethod: Static}
  e: {publicIPAllocationMethod: Dynamic}
  f: {sku: Premium, publicIPAllocationMethod: Dynamic}
""",
        [
            "lab.yaml:3:48: publicIPAddresses/a: a Standard public IP cannot be Dynamic; Static, or sku: Basic (StandardSkuPublicIPAddressMustBeStatic)",
            "lab.yaml:7:33: publicIPAddresses/e: a Standard public IP cannot be Dynamic; Static, or sku: Basic (StandardSkuPublicIPAddressMustBeStatic)",
            "lab.yaml:8:12: publicIPAddresses/f: sku cannot be `Premium`; known: `Basic`, `Standard` (InvalidParameter)",
        ],
        id="skus and methods",
        marks=pytest.mark.azure("OUT-11"),
    ),
    pytest.param(
        """\
name: lab
publicIPAddresses:
  a: {idleTimeoutInMinutes: 3}
  b: {idleTimeoutInMinutes: 4}
  c: {idleTimeoutInMinutes: 30}
  d: {idleTimeoutInMinutes: 31}
""",
        [
            "lab.yaml:3:29: publicIPAddresses/a: idleTimeoutInMinutes cannot be 3; 4 to 30 (InvalidIdleTimeout)",
            "lab.yaml:6:29: publicIPAddresses/d: idleTimeoutInMinutes cannot be 31; 4 to 30 (InvalidIdleTimeout)",
        ],
        id="idle time-outs",
        marks=pytest.mark.azure("OUT-15"),
    ),
    pytest.param(
        """\
name: lab
virtualNetworks: {net: {addressSpace: 52.1.0.0/16}}
publicIPAddresses:
  a: {ipAddress: 10.0.0.4}
  b: {ipAddress: 52.0.0.1}
  c: {ipAddress: 52.0.0.1}
  d: {ipAddress: 52.1.0.1}
  e: {ipAddress: 168.63.129.16}
  f: {ipAddress: 20.62.0.1}
  g: {ipAddress: 20.61.0.1}
  h: {ipAddress: 'fd00::1'}
  i: {ipAddress: x}
""",
        [
            "lab.yaml:4:18: publicIPAddresses/a: 10.0.0.4 is not public (10.0.0.0/8); one such as 198.51.100.7 (InvalidIPAddress)",
            "lab.yaml:6:18: publicIPAddresses/c: 52.0.0.1 belongs to publicIPAddresses/b already; another address (IPAddressInUse)",
            "lab.yaml:7:18: publicIPAddresses/d: 52.1.0.1 is in virtualNetworks/net (52.1.0.0/16); an address outside of it (IPAddressInUse)",
            "lab.yaml:8:18: publicIPAddresses/e: 168.63.129.16 is not public (168.63.129.16/32); one such as 198.51.100.7 (InvalidIPAddress)",
            "lab.yaml:9:18: publicIPAddresses/f: 20.62.0.1 is among the addresses of default outbound access (20.62.0.0/16); one such as 198.51.100.7 (IPAddressInUse)",
            "lab.yaml:11:18: publicIPAddresses/h: `fd00::1` is an IPv6 address; use IPv4; netemu has no IPv6 (ARP-12) (IPv6NotSupported)",
            "lab.yaml:12:18: publicIPAddresses/i: `x` is not an IPv4 address; write one such as 10.0.0.4 (InvalidIPAddress)",
        ],
        id="addresses of public IPs",
        marks=pytest.mark.azure("OUT-12", "VN-2", "ARP-12"),
    ),
    pytest.param(
        """\
name: lab
publicIPAddresses: {pip: {ipAddress: 52.0.0.1}}
internet:
  hosts:
    a: {ipAddress: 10.0.0.4}
    b: {ipAddress: 52.0.0.1}
    c: {ipAddress: 198.51.100.1}
    d: {ipAddress: 198.51.100.1}
    e: {ipAddress: 20.61.0.1}
    f: {ipAddress: 20.62.0.1}
    g: {ipAddress: 168.63.129.16}
    h: {ipAddress: 127.0.0.1}
    i: {ipAddress: 8.8.8.8, run: "sleep '"}
    j: {}
""",
        [
            "lab.yaml:5:20: internet/hosts/a: 10.0.0.4 is not public (10.0.0.0/8); one such as 198.51.100.7 (InvalidIPAddress)",
            "lab.yaml:6:20: internet/hosts/b: 52.0.0.1 belongs to publicIPAddresses/pip already; another address, such as 198.51.100.7 (IPAddressInUse)",
            "lab.yaml:8:20: internet/hosts/d: 198.51.100.1 belongs to internet/hosts/c already; another address, such as 198.51.100.7 (IPAddressInUse)",
            "lab.yaml:9:20: internet/hosts/e: 20.61.0.1 belongs to the range from which public IPs get theirs (20.61.0.0/16); another address, such as 198.51.100.7 (IPAddressInUse)",
            "lab.yaml:10:20: internet/hosts/f: 20.62.0.1 is among the addresses of default outbound access (20.62.0.0/16); one such as 198.51.100.7 (IPAddressInUse)",
            "lab.yaml:11:20: internet/hosts/g: 168.63.129.16 is not public (168.63.129.16/32); one such as 198.51.100.7 (InvalidIPAddress)",
            "lab.yaml:12:20: internet/hosts/h: 127.0.0.1 is not public (127.0.0.0/8); one such as 198.51.100.7 (InvalidIPAddress)",
            "lab.yaml:13:34: internet/hosts/i: run `sleep '` cannot be split into words: no closing quotation; close every quotation (InvalidParameter)",
            "lab.yaml:14:5: internet/hosts/j: ipAddress is missing; add `ipAddress: …` (MissingProperty)",
        ],
        id="addresses of hosts",
        marks=pytest.mark.azure("PLT-1"),
    ),
]


@pytest.mark.parametrize(("text", "problems"), CASES)
def test_the_file_is_read_or_refused_with_exactly_these_lines(text: str, problems: list[str]) -> None:
    try:
        read_text(text, "lab.yaml")
        found = []
    except ScenarioError as error:
        found = str(error).splitlines()
    assert found == problems
