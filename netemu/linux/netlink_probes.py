"""Single netlink requests whose answer tells whether the kernel has a feature.

Sources: linux/if_link.h, linux/pkt_sched.h, linux/genetlink.h, linux/xfrm.h.
"""

from __future__ import annotations

import errno
import os
import socket
import struct

from netemu.linux.rtnetlink import NLM_F_CREATE, NLM_F_EXCL, NLM_F_REQUEST, Message

NLM_F_ACK = 4
NLMSG_ERROR = 2
IFLA_IFNAME, IFLA_LINKINFO, IFLA_INFO_KIND, IFLA_INFO_DATA = 3, 18, 1, 2
RTM_NEWLINK, RTM_NEWQDISC = 16, 36
TCA_KIND, TCA_OPTIONS, TC_H_ROOT = 1, 2, 0xFFFFFFFF
NETLINK_XFRM, NETLINK_GENERIC = 6, 16
GENL_ID_CTRL, CTRL_CMD_GETFAMILY, CTRL_ATTR_FAMILY_NAME = 16, 3, 2
XFRM_MSG_NEWSA, XFRMA_ALG_AEAD, XFRMA_IF_ID = 0x10, 18, 31
IPPROTO_ESP, XFRM_MODE_TUNNEL = 50, 1
XFRM_INF = 0xFFFFFFFFFFFFFFFF
PATIENCE = 5.0
_KIND_ATTRIBUTES = {"vrf": (1, 1001), "xfrm": (2, 42)}
"""What a kind of interface wants to know: IFLA_VRF_TABLE, IFLA_XFRM_IF_ID."""


def _attribute(kind: int, data: bytes) -> bytes:
    return struct.pack("=HH", len(data) + 4, kind) + data + bytes(-len(data) % 4)


def link(kind: str) -> Message:
    """Make an interface of a kind."""
    info = _attribute(IFLA_INFO_KIND, kind.encode())
    if kind in _KIND_ATTRIBUTES:
        number, value = _KIND_ATTRIBUTES[kind]
        info += _attribute(IFLA_INFO_DATA, _attribute(number, struct.pack("=I", value)))
    name = _attribute(IFLA_IFNAME, f"p-{kind}".encode() + b"\0")
    return Message(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, bytes(16) + name + _attribute(IFLA_LINKINFO, info), kind)


def queueing(kind: str) -> Message:
    """Put a queueing discipline on `lo`; without parameters, which the kernel misses only after it knows the kind."""
    body = struct.pack("=BxxxiIII", 0, 1, 0, TC_H_ROOT, 0) + _attribute(TCA_KIND, kind.encode() + b"\0")
    return Message(RTM_NEWQDISC, NLM_F_CREATE, body, kind)


def _request(protocol: int, kind: int, flags: int, body: bytes) -> int:
    """Send one request and return the error number of its answer, 0 when all is well."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, protocol) as netlink:
        netlink.settimeout(PATIENCE)
        netlink.send(struct.pack("=IHHII", 16 + len(body), kind, flags | NLM_F_REQUEST | NLM_F_ACK, 1, 0) + body)
        answer = netlink.recv(65536)
    (kind,) = struct.unpack_from("=H", answer, 4)
    return -int(struct.unpack_from("=i", answer, 16)[0]) if kind == NLMSG_ERROR else 0


def family(name: str) -> bool:
    """Say whether the kernel has a generic netlink family; asking loads its module."""
    body = struct.pack("=BBH", CTRL_CMD_GETFAMILY, 1, 0) + _attribute(CTRL_ATTR_FAMILY_NAME, name.encode() + b"\0")
    code = _request(NETLINK_GENERIC, GENL_ID_CTRL, 0, body)
    if code not in (0, errno.ENOENT):
        raise OSError(code, os.strerror(code))
    return code == 0


def esp() -> int:
    """Make a security association with ESP and AES-GCM; returns the error number, 0 when the kernel can."""
    here, there = (socket.inet_aton(text) + bytes(12) for text in ("192.0.2.1", "192.0.2.2"))
    selector = bytes(40) + struct.pack("=HBBBxxxiI", socket.AF_INET, 0, 0, 0, 0, 0)
    lifetimes = struct.pack("=8Q", *([XFRM_INF] * 4), 0, 0, 0, 0) + bytes(32) + bytes(12)
    association = (
        selector
        + there + b"\0\0\x10\0" + struct.pack("=Bxxx", IPPROTO_ESP)
        + here
        + lifetimes
        + struct.pack("=IIHBBB7x", 0, 0, socket.AF_INET, XFRM_MODE_TUNNEL, 32, 0)
    )  # fmt: skip
    algorithm = struct.pack("=64sII", b"rfc4106(gcm(aes))", 160, 128) + bytes(range(20))
    return _request(NETLINK_XFRM, XFRM_MSG_NEWSA, NLM_F_CREATE, association + _attribute(XFRMA_ALG_AEAD, algorithm))
