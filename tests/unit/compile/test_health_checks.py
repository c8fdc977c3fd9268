"""Which questions follow from a scenario's health probes."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest
from compiling import lab_of

TEXT = """
timeScale: %s
virtualNetworks:
  net: {addressSpace: 10.0.0.0/16, subnets: {web: {addressPrefix: 10.0.1.0/24}, front: {addressPrefix: 10.0.2.0/24}}}
loadBalancers:
  inner:
    frontendIPConfigurations: {one: {subnet: net/front}, two: {subnet: net/front}}
    backendAddressPools: {web: [web1, web2], none: []}
    probes:
      tcp: {protocol: Tcp, port: 81, intervalInSeconds: 60}
      http: {protocol: Http, port: 80, requestPath: /health, intervalInSeconds: 60, numberOfProbes: 2}
      https: {protocol: Https, port: 443, requestPath: /, intervalInSeconds: 20, probeThreshold: 3}
      unused: {protocol: Tcp, port: 82}
    loadBalancingRules:
      a: {frontendIPConfiguration: one, backendAddressPool: web, probe: tcp, protocol: Tcp, frontendPort: 1, backendPort: 11}
      b: {frontendIPConfiguration: one, backendAddressPool: web, probe: http, protocol: Tcp, frontendPort: 2, backendPort: 12}
      c: {frontendIPConfiguration: two, backendAddressPool: web, probe: http, protocol: Tcp, frontendPort: 2, backendPort: 13}
      d: {frontendIPConfiguration: one, backendAddressPool: web, probe: https, protocol: Tcp, frontendPort: 4, backendPort: 14}
      e: {frontendIPConfiguration: one, backendAddressPool: none, probe: http, protocol: Tcp, frontendPort: 5, backendPort: 15}
      f: {frontendIPConfiguration: one, backendAddressPool: web, protocol: Tcp, frontendPort: 6, backendPort: 16}
virtualMachines:
  web1: {subnet: net/web}
  web2: {subnet: net/web}
"""


def checks(scale="1"):
    return {(check.watch, check.member): check for check in lab_of(TEXT % scale).checks}


@pytest.mark.azure("LB-25", "LB-26")
def test_every_member_is_asked_once_by_every_probe_that_some_rule_names():
    members = ("web1-nic/ipconfig1", "web2-nic/ipconfig1")
    assert set(checks()) == {(f"inner/{probe}", member) for probe in ("tcp", "http", "https") for member in members}


@pytest.mark.azure("LB-26")
def test_it_is_asked_from_the_platform_address_of_its_network_at_its_own_address_and_the_probe_s_port():
    check = checks()["inner/http", "web2-nic/ipconfig1"]
    assert check.namespace == "@slb.net"
    assert IPv4Address(check.source) == IPv4Address("168.63.129.16")
    assert (IPv4Address(check.address), check.port, check.path) == (IPv4Address("10.0.1.5"), 80, "/health")


@pytest.mark.azure("LB-27", "LB-28")
def test_an_http_answer_may_take_no_longer_than_the_interval_or_thirty_seconds():
    found = checks()
    member = "web1-nic/ipconfig1"
    assert [found[f"inner/{probe}", member].timeout for probe in ("tcp", "http", "https")] == [60, 30, 20]
    assert [found[f"inner/{probe}", member].kind for probe in ("tcp", "http", "https")] == ["tcp", "http", "https"]


@pytest.mark.azure("LB-29")
def test_thresholds_are_as_the_probe_says_in_either_form():
    found = checks()
    member = "web1-nic/ipconfig1"
    assert [(found[f"inner/{probe}", member].fall, found[f"inner/{probe}", member].rise) for probe in ("tcp", "http", "https")] == [
        (1, 1), (2, 1), (3, 3),
    ]  # fmt: skip


def test_time_scale_shortens_intervals_and_the_time_for_an_answer_but_not_below_what_programs_need():
    found = checks("0.1")["inner/http", "web1-nic/ipconfig1"]
    assert (found.interval, found.timeout) == (pytest.approx(6), pytest.approx(3))
    found = checks("0.01")["inner/http", "web1-nic/ipconfig1"]
    assert (found.interval, found.timeout) == (pytest.approx(0.6), 1)
