"""DNS messages, held against scapy's."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scapy.layers.dns import DNS, DNSQR, DNSRR, DNSRRMX, DNSRRSRV

from netemu.verify.dns_messages import MalformedError, answer, question


def test_a_question_is_what_scapy_makes_of_it() -> None:
    asked = DNS(id=4660, rd=1, qd=DNSQR(qname="db1.corp.internal", qtype="AAAA"))
    assert question(4660, "db1.corp.internal.", "AAAA") == bytes(asked)
    assert question(1, ".", "NS") == bytes(DNS(id=1, rd=1, qd=DNSQR(qname=".", qtype="NS")))


@pytest.mark.parametrize("name", ["a..b", "x" * 64 + ".b", ".".join(["abcdefgh"] * 32)])
def test_what_cannot_be_a_name_is_not_asked_for(name: str) -> None:
    with pytest.raises(ValueError, match="cannot be a name"):
        question(1, name, "A")


def test_an_answer_is_read_as_scapy_has_made_it() -> None:
    message = DNS(
        id=7, qr=1, rcode=3, qd=DNSQR(qname="a.b"),
        an=[
            DNSRR(rrname="A.b.", type="CNAME", ttl=30, rdata="C.d."),
            DNSRR(rrname="c.d.", type="A", ttl=60, rdata="10.0.0.4"),
            DNSRR(rrname="c.d.", type="AAAA", ttl=60, rdata="2001:db8::1"),
            DNSRR(rrname="c.d.", type="TXT", ttl=1, rdata=[b"one", b"two words"]),
            DNSRRMX(rrname="c.d.", ttl=1, preference=10, exchange="mail.d."),
            DNSRRSRV(rrname="c.d.", ttl=1, priority=1, weight=2, port=3, target="t.d."),
        ],
    )  # fmt: skip
    found = answer(bytes(message), 7)
    assert found is not None
    assert found.status == "NXDOMAIN" and not found.truncated
    assert [(record.name, record.type, record.ttl, record.data) for record in found.records] == [
        ("a.b", "CNAME", 30, ("c.d",)),
        ("c.d", "A", 60, ("10.0.0.4",)),
        ("c.d", "AAAA", 60, ("2001:db8::1",)),
        ("c.d", "TXT", 1, ("one", "two words")),
        ("c.d", "MX", 1, ("10", "mail.d")),
        ("c.d", "SRV", 1, ("1", "2", "3", "t.d")),
    ]
    assert answer(bytes(message), 8) is None
    assert answer(bytes(DNS(id=7, rd=1)), 7) is None


def test_a_compressed_name_is_followed_and_one_without_end_is_not() -> None:
    head = bytes.fromhex("000781800001000100000000") + b"\x03db1\x04corp\0" + bytes.fromhex("00010001")
    record = bytes.fromhex("00010001 0000003c 0004 0a000004".replace(" ", ""))
    found = answer(head + b"\xc0\x0c" + record, 7)
    assert found is not None and found.records[0].name == "db1.corp"
    with pytest.raises(MalformedError):
        answer(head + b"\xc0\x1a" + record, 7)


@given(st.binary(max_size=80))
def test_whatever_comes_is_an_answer_none_or_refused(data: bytes) -> None:
    with contextlib.suppress(MalformedError):
        answer(b"\x00\x07\x80\x00" + data, 7)
