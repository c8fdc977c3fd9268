"""Asks the kernel what it can do, by doing it in a throw-away namespace.

Run as a program of its own (`python -m netemu.linux.features`): its namespaces end with it and nothing is left behind.
Prints JSON, probe by probe: `present`, `missing` or `unknown`, and a detail. Without root a user namespace stands in
for it, where the kernel allows one.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import struct
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from netemu.linux import namespaces as ns
from netemu.linux import rtnetlink
from netemu.linux.netlink_probes import esp, family, link, queueing
from netemu.linux.rtnetlink import Rtnetlink, RtnetlinkError
from netemu.linux.state import End, Rule, Veth

CLONE_NEWUSER = 0x10000000
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
RULESETS = {
    "nftables": "chain c {{ type filter hook forward priority 0; policy drop; ip saddr 192.0.2.1 counter accept; }}",
    "nftables-nat": (
        "chain d {{ type nat hook prerouting priority -100; dnat to 192.0.2.1; }}\n"
        "chain s {{ type nat hook postrouting priority 100; ip protocol tcp snat to 192.0.2.1; }}"
    ),
    "nftables-conntrack-zones": (
        "chain c {{ type filter hook prerouting priority -300; ct zone set ip daddr map {{ 192.0.2.1 : 1 }}; }}"
    ),
    "nftables-verdict-maps": (
        "chain allowed {{ accept; }}\n"
        'map m {{ type ifname : verdict; elements = {{ "lo" : jump allowed }}; }}\n'
        "chain c {{ type filter hook forward priority 0; iifname vmap @m; }}"
    ),
    "nftables-concatenated-sets": (
        "set s {{ type ipv4_addr . inet_service; flags interval; elements = {{ 192.0.2.0/24 . 80-90 }}; }}\n"
        "chain c {{ type filter hook forward priority 0; ip saddr . tcp dport @s accept; }}"
    ),
    "nftables-dynamic-sets": (
        "set s {{ type ipv4_addr . inet_service; size 64; flags dynamic,timeout; timeout 4m; }}\n"
        "chain c {{ type filter hook forward priority 0; update @s {{ ip saddr . tcp dport }}; }}"
    ),
    "nftables-marks": (
        'map m {{ type ifname : mark; elements = {{ "lo" : 1 }}; }}\n'
        "chain c {{ type filter hook prerouting priority -150; meta mark set iifname map @m; }}"
    ),
}
"""A ruleset for each thing that the data plane asks of nftables; in table `ip probe`."""
USER_NAMESPACE_SETTINGS = {
    "user/max_user_namespaces": "0",
    "kernel/unprivileged_userns_clone": "0",
    "kernel/apparmor_restrict_unprivileged_userns": "1",
}
"""Sysctl and the value with which it forbids."""
ARP_RULESET = "table arp probe {\nchain c { type filter hook input priority 0; arp operation request accept; }\n}"


class Answer(Struct, frozen=True):
    """What a probe found."""

    state: str
    detail: str = ""


class MissingError(Exception):
    """The kernel cannot do it; the text is the kernel's reason."""


class UnknownError(Exception):
    """It cannot be found out; the text says why."""


def nothing_can_be_probed(reason: str) -> dict[str, Answer]:
    """Answer every probe with `unknown`."""
    return {name: Answer("unknown", reason) for name in ["network-namespaces", *_probes()]}


def probe_all() -> dict[str, Answer]:
    """Run every probe. Moves this process into namespaces of its own, for good."""
    try:
        _leave_the_machine()
    except OSError as error:
        if error.errno in (errno.EPERM, errno.EACCES):
            return nothing_can_be_probed("needs root")
        return nothing_can_be_probed("without namespaces") | {
            "network-namespaces": Answer("missing", error.strerror or str(error))
        }
    return {"network-namespaces": Answer("present")} | {name: _ask(probe) for name, probe in _probes().items()}


def _leave_the_machine() -> None:
    try:
        ns.unshare(ns.CLONE_NEWNET | ns.CLONE_NEWNS)
    except PermissionError:
        user, group = os.getuid(), os.getgid()
        ns.unshare(CLONE_NEWUSER | ns.CLONE_NEWNET | ns.CLONE_NEWNS)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    ns.mount(None, "/", None, ns.MS_REC | ns.MS_PRIVATE)


def _ask(probe: Callable[[], str | None]) -> Answer:
    try:
        return Answer("present", probe() or "")
    except MissingError as error:
        return Answer("missing", str(error))
    except UnknownError as error:
        return Answer("unknown", str(error))
    except PermissionError:
        return Answer("unknown", "needs root")
    except OSError as error:
        return Answer("missing", error.strerror or str(error))


def _probes() -> dict[str, Callable[[], str | None]]:
    def nft(text: str) -> Callable[[], None]:
        return lambda: _nftables(f"table ip probe {{\n{text.format()}\n}}")

    return {
        "veth": _veth,
        "policy-routing": _policy_routing,
        **{name: nft(text) for name, text in RULESETS.items()},
        "nftables-arp": lambda: _nftables(ARP_RULESET),
        "user-namespaces": _user_namespaces,
        "ipvs": lambda: _family("IPVS"),
        "netem": lambda: _queueing("netem"),
        "tbf": lambda: _queueing("tbf"),
        "ifb": lambda: _link("ifb"),
        "esp": _esp,
        "xfrm-interface": lambda: _link("xfrm"),
        "wireguard": lambda: _link("wireguard"),
        "vrf": lambda: _link("vrf"),
        "tun": _tun,
        "overlay": _overlay,  # hides /proc/sys: the last one
    }


@contextlib.contextmanager
def _netlink() -> Iterator[Rtnetlink]:
    with Rtnetlink() as netlink:
        try:
            yield netlink
        except RtnetlinkError as error:
            if error.errno in (errno.EPERM, errno.EACCES):
                raise UnknownError("needs root") from error
            raise


def _veth() -> None:
    here = ns.current()
    try:
        with _netlink() as netlink:
            near, far = (End("probe", name, 0, bytes((2, 0, 0, 0, 0, n))) for n, name in enumerate(("v0", "v1")))
            netlink.send([rtnetlink.loopback_up(), rtnetlink.veth(Veth(near, far), here)])
    finally:
        os.close(here)


def _policy_routing() -> None:
    with _netlink() as netlink:
        netlink.send([rtnetlink.rule(Rule(100, 1, 0x1FFF, 1001))])


def _nftables(text: str) -> None:
    try:
        import nftables

        handle = nftables.Nftables()
    except (ImportError, OSError, RuntimeError) as error:
        raise UnknownError("needs libnftables") from error
    code, _, said = handle.cmd(f"{text}\nflush ruleset")
    if code != 0:
        reason = said.strip().splitlines()[0].partition("Error: ")[2] or said.strip()
        raise UnknownError("needs root") if "not permitted" in reason else MissingError(reason)


def _link(kind: str) -> None:
    with _netlink() as netlink:
        try:
            netlink.send([link(kind)])
        except RtnetlinkError as error:
            if error.errno in (errno.EOPNOTSUPP, errno.ENOENT):
                raise MissingError("unknown interface type") from error
            if error.errno not in (errno.EINVAL, errno.EEXIST):  # it is known, and wants parameters
                raise


def _queueing(kind: str) -> None:
    with _netlink() as netlink:
        try:
            netlink.send([queueing(kind)])
        except RtnetlinkError as error:
            if error.errno in (errno.ENOENT, errno.EOPNOTSUPP):
                raise MissingError("unknown queueing discipline") from error
            if error.errno != errno.EINVAL:
                raise


def _family(name: str) -> None:
    if not family(name):
        raise MissingError("unknown netlink family")


def _esp() -> None:
    try:
        code = esp()
    except OSError as error:
        raise MissingError("no IPsec in this kernel") from error
    if code == errno.EPERM:
        raise UnknownError("needs root")
    if code:
        raise MissingError(os.strerror(code))


def _tun() -> None:
    try:
        descriptor = os.open("/dev/net/tun", os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError as error:
        raise MissingError("no /dev/net/tun") from error
    try:
        fcntl.ioctl(descriptor, TUNSETIFF, struct.pack("16sH22x", b"probe%d", IFF_TUN | IFF_NO_PI))
    finally:
        os.close(descriptor)


def _user_namespaces() -> None:
    if not Path("/proc/self/ns/user").exists():
        raise MissingError("not in this kernel")
    for name, forbids in USER_NAMESPACE_SETTINGS.items():
        setting = Path("/proc/sys") / name
        if setting.exists() and setting.read_text().strip() == forbids:
            raise MissingError(f"sysctl {name.replace('/', '.')} forbids them")


def _overlay() -> None:
    ns.mount("probe", "/proc/sys", "tmpfs", 0)  # a place that every machine has; seen by this process alone
    for name in ("lower", "upper", "work", "merged"):
        Path("/proc/sys", name).mkdir()
    layers = "lowerdir=/proc/sys/lower,upperdir=/proc/sys/upper,workdir=/proc/sys/work"
    try:
        ns.mount("overlay", "/proc/sys/merged", "overlay", 0, layers)
    except OSError as error:
        if error.errno == errno.ENODEV:
            raise MissingError("unknown file system") from error
        raise


def main() -> None:
    """Print every answer as JSON."""
    sys.stdout.write(msgspec.json.encode(probe_all()).decode())


if __name__ == "__main__":
    main()
