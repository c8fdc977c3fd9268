"""What netemu needs of a machine, whether it is there, what its absence costs, and how to get it."""

from __future__ import annotations

import importlib.metadata
import re
import resource
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
from msgspec import Struct

from netemu.errors import SystemRefusal
from netemu.lab.requirements import require_tool
from netemu.linux import namespaces, packet_filter, user_namespaces
from netemu.linux.features import Answer, nothing_can_be_probed
from netemu.linux.socket_buffers import largest_transaction

NEEDED, OPTIONAL = "needed", "optional"
PRESENT, MISSING, UNKNOWN = "present", "missing", "unknown"
OLDEST_PYTHON = (3, 11)
MEMORY_OF_A_MACHINE = 300 << 10
"""Bytes of kernel memory for a VM's namespace and veth pair, measured with a thousand of them, rounded up."""
DESCRIPTORS_OF_A_LAB = 64
"""Open files that building a lab needs besides one for each VM."""


class Finding(Struct, frozen=True):
    """One row of what doctor tells."""

    name: str
    kind: str
    """`kernel`, `tool`, `python` or `limit`."""
    need: str
    state: str
    detail: str
    cost: str
    remedy: str


class KernelFeature(Struct, frozen=True):
    """What a probe of netemu.linux.features is for."""

    name: str
    need: str
    cost: str
    module: str = ""
    option: str = ""
    remedy: str = ""

    def how(self) -> str:
        """Say how to get it."""
        if self.remedy:
            return self.remedy
        load = f"modprobe {self.module}, or " if self.module else ""
        return f"{load}a kernel with {self.option} (a distribution's own kernel has it)"


_NO_LAB = "no lab can be brought up"
_LINUX = "Linux 5.6 or newer"
KERNEL = {
    "network-namespaces": KernelFeature("network namespaces", NEEDED, _NO_LAB, option="CONFIG_NET_NS"),
    "veth": KernelFeature("veth", NEEDED, _NO_LAB, "veth", "CONFIG_VETH"),
    "policy-routing": KernelFeature("routing by mark", NEEDED, _NO_LAB, option="CONFIG_IP_MULTIPLE_TABLES"),
    "nftables": KernelFeature("nftables", NEEDED, _NO_LAB, "nf_tables", "CONFIG_NF_TABLES_IPV4"),
    "nftables-nat": KernelFeature("nftables: NAT", NEEDED, _NO_LAB, "nft_chain_nat", "CONFIG_NFT_NAT"),
    "nftables-conntrack-zones": KernelFeature(
        "nftables: conntrack zones", NEEDED, _NO_LAB, "nft_ct", "CONFIG_NFT_CT and CONFIG_NF_CONNTRACK_ZONES"
    ),
    "nftables-verdict-maps": KernelFeature("nftables: verdict maps", NEEDED, _NO_LAB, option=_LINUX),
    "nftables-concatenated-sets": KernelFeature(
        "nftables: sets of several fields", NEEDED, _NO_LAB, option=f"{_LINUX}, and libnftables 1.0 or newer"
    ),
    "nftables-dynamic-sets": KernelFeature("nftables: sets with timeouts", NEEDED, _NO_LAB, option=_LINUX),
    "nftables-marks": KernelFeature("nftables: marks from maps", NEEDED, _NO_LAB, option=_LINUX),
    "nftables-arp": KernelFeature("nftables: ARP", NEEDED, _NO_LAB, option="CONFIG_NF_TABLES_ARP"),
    "user-namespaces": KernelFeature(
        "user namespaces", OPTIONAL, "without root, doctor cannot probe the kernel",
        remedy="sysctl user.max_user_namespaces and those that the detail names; or run doctor as root",
    ),
    "ipvs": KernelFeature(
        "IPVS", OPTIONAL, "load balancers spread flows by nftables instead", "ip_vs", "CONFIG_IP_VS"
    ),
    "netem": KernelFeature(
        "netem", OPTIONAL, "links (planned) cannot have delay, jitter or loss", "sch_netem", "CONFIG_NET_SCH_NETEM"
    ),
    "tbf": KernelFeature(
        "tbf", OPTIONAL, "links (planned) cannot have a limited bandwidth", "sch_tbf", "CONFIG_NET_SCH_TBF"
    ),
    "ifb": KernelFeature(
        "IFB", OPTIONAL, "delay and bandwidth (planned) only for what a NIC sends", "ifb", "CONFIG_IFB"
    ),
    "esp": KernelFeature(
        "IPsec ESP", OPTIONAL, "VPN gateways (planned) encrypt in user space", "esp4", "CONFIG_INET_ESP and CRYPTO_GCM"
    ),
    "xfrm-interface": KernelFeature(
        "IPsec interfaces", OPTIONAL, "VPN tunnels (planned) run in user space",
        "xfrm_interface", "CONFIG_XFRM_INTERFACE",
    ),
    "wireguard": KernelFeature(
        "WireGuard", OPTIONAL, "WireGuard inside a VM needs wireguard-go", "wireguard", "CONFIG_WIREGUARD"
    ),
    "vrf": KernelFeature("VRF", OPTIONAL, "an appliance inside a VM cannot use VRFs", "vrf", "CONFIG_NET_VRF"),
    "tun": KernelFeature("TUN", OPTIONAL, "VPN programs inside a VM cannot run", "tun", "CONFIG_TUN"),
    "overlay": KernelFeature(
        "overlayfs", OPTIONAL, "container tools inside a VM fall back to copies", "overlay", "CONFIG_OVERLAY_FS"
    ),
}  # fmt: skip


class Tool(Struct, frozen=True):
    """A program that netemu, or a person, uses with a lab."""

    program: str
    package: str
    need: str
    cost: str
    version: tuple[str, ...] = ("--version",)


TOOLS = (
    Tool("unbound", "unbound", NEEDED, "no lab can be brought up: it is the DNS of 168.63.129.16", ("-V",)),
    Tool("ip", "iproute2", OPTIONAL, "`ip netns exec LAB.VM` is not there; use `netemu exec`", ("-V",)),
    Tool("nft", "nftables", OPTIONAL, "a lab's rulesets cannot be read by hand"),
    Tool("tcpdump", "tcpdump", OPTIONAL, "files of `netemu capture -w` need another reader, such as Wireshark"),
    Tool("bird", "bird2", OPTIONAL, "no BGP between gateways, Route Server and appliances (planned)"),
    Tool("haproxy", "haproxy", OPTIONAL, "no Application Gateway (planned)", ("-v",)),
    Tool("swanctl", "strongswan-swanctl", OPTIONAL, "no site-to-site VPN (planned)"),
    Tool("openvpn", "openvpn", OPTIONAL, "no point-to-site VPN (planned)"),
)
PACKAGES = (("pyroute2", "netemu is not completely installed"),)


def examine() -> list[Finding]:
    """Everything that doctor looks at."""
    answers = probe_kernel()
    return [
        *(_of_kernel(feature, answers.get(key, Answer(UNKNOWN, "no answer"))) for key, feature in KERNEL.items()),
        _without_root(),
        *_libraries(),
        *map(_of_tool, TOOLS),
        _python(),
        *(_package(name, cost) for name, cost in PACKAGES),
        *_limits(),
    ]


def all_needed_are_present(findings: list[Finding]) -> bool:
    """Say whether labs can be brought up, as far as could be found out."""
    return not any(finding.need == NEEDED and finding.state == MISSING for finding in findings)


def explain_missing(error: Exception) -> str:
    """Say which needed features of the kernel are missing, now that `error` has stopped a lab; empty when none is."""
    answers = probe_kernel()
    missing = [
        f"{feature.name} (get it by: {feature.how()})"
        for key, feature in KERNEL.items()
        if feature.need == NEEDED and answers.get(key, Answer(UNKNOWN)).state == MISSING
    ]
    return f"{error}; this kernel lacks {'; '.join(missing)}" if missing else ""


def probe_kernel() -> dict[str, Answer]:
    """Ask the kernel, in a process that takes its namespaces with it."""
    done = subprocess.run(
        [sys.executable, "-m", "netemu.linux.features"],
        capture_output=True,
        check=False,
        cwd=Path(__file__).parents[2],
    )
    try:
        return msgspec.json.decode(done.stdout, type=dict[str, Answer])
    except msgspec.DecodeError:
        said = done.stderr.decode(errors="replace").strip().splitlines()
        return nothing_can_be_probed(said[-1] if said else "the probes ended without an answer")


def _of_kernel(feature: KernelFeature, answer: Answer) -> Finding:
    remedy = {PRESENT: "", MISSING: feature.how(), UNKNOWN: "run doctor as root"}[answer.state]
    return Finding(feature.name, "kernel", feature.need, answer.state, answer.detail, feature.cost, remedy)


def _without_root() -> Finding:
    """Really tried, by an ordinary user, or in the name of one; the detail is what such labs do without."""
    name, cost = "labs without root", "an ordinary user cannot bring labs up"
    forbidden = user_namespaces.why_not()
    if forbidden:
        return Finding(name, "kernel", OPTIONAL, MISSING, forbidden, cost, "what the detail says, or netemu with sudo")
    limits = [f"rulesets of at most {largest_transaction() >> 10} kB (net.core.wmem_max)"]
    if not (shutil.which("newuidmap") and shutil.which("newgidmap")):
        limits.append("programs cannot become other users (apt-get install uidmap)")
    tun = Path("/dev/net/tun")
    if tun.exists() and tun.stat().st_mode & 0o006 != 0o006:
        limits.append("no TUN devices (/dev/net/tun is root's)")
    return Finding(name, "kernel", OPTIONAL, PRESENT, "; ".join(limits), cost, "")


def _of_tool(tool: Tool) -> Finding:
    try:
        path = require_tool(tool.program, tool.package, "")
    except SystemRefusal:
        return Finding(tool.program, "tool", tool.need, MISSING, "", tool.cost, f"apt-get install {tool.package}")
    done = subprocess.run([path, *tool.version], capture_output=True, text=True, check=False, errors="replace")
    version = re.search(r"\d+\.\d+[\w.-]*", done.stdout + done.stderr)
    return Finding(tool.program, "tool", tool.need, PRESENT, version[0] if version else "", tool.cost, "")


def _libraries() -> Iterator[Finding]:
    try:
        import nftables

        nftables.Nftables()
        version = _soname("libnftables.so")
        yield Finding("libnftables", "tool", NEEDED, PRESENT, version, _NO_LAB, "")
    except (ImportError, OSError) as error:
        yield Finding("libnftables", "tool", NEEDED, MISSING, str(error), _NO_LAB, "apt-get install libnftables1")
    no_filters = "`netemu capture` takes no filter"
    try:
        packet_filter.load_library()
        yield Finding("libpcap", "tool", OPTIONAL, PRESENT, _soname("libpcap.so"), no_filters, "")
    except packet_filter.LibraryMissingError:
        yield Finding("libpcap", "tool", OPTIONAL, MISSING, "", no_filters, "apt-get install libpcap0.8")


def _soname(name: str) -> str:
    """The version in the file name of a library that this process has loaded."""
    with Path("/proc/self/maps").open(encoding="utf-8", errors="replace") as maps:
        for line in maps:
            _, found, version = line.strip().rpartition(f"/{name}.")
            if found:
                return f"library version {version}"
    return ""


def _python() -> Finding:
    state = PRESENT if sys.version_info >= OLDEST_PYTHON else MISSING
    version = ".".join(map(str, sys.version_info[:3]))
    return Finding("Python 3.11", "python", NEEDED, state, version, "netemu does not run", "" if state == PRESENT else
                   "apt-get install python3 (Debian 12 or newer)")  # fmt: skip


def _package(name: str, cost: str) -> Finding:
    try:
        return Finding(name, "python", NEEDED, PRESENT, importlib.metadata.version(name), cost, "")
    except importlib.metadata.PackageNotFoundError:
        return Finding(name, "python", NEEDED, MISSING, "", cost, f"pip install {name}")


def _limits() -> Iterator[Finding]:
    def limit(name: str, detail: str, cost: str) -> Finding:
        return Finding(name, "limit", OPTIONAL, PRESENT, detail, cost, "")

    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard == resource.RLIM_INFINITY:
        detail = "unlimited"
    else:
        detail = f"{hard}: labs of at most {max(0, hard - DESCRIPTORS_OF_A_LAB)} VMs"
    yield limit("open files", detail, "a larger lab needs a higher hard limit (ulimit -Hn)")
    threshold = _neighbours()
    yield limit(
        "ARP entries", f"{threshold} for the whole machine" if threshold else "only root in the host can see it",
        "netemu's own do not count; programs that scan a network may fill it (net.ipv4.neigh.default.gc_thresh3)",
    )  # fmt: skip
    free = _available_memory()
    yield limit(
        "free memory", f"{free >> 20} MB: about {free // MEMORY_OF_A_MACHINE} VMs, without what runs in them",
        "each VM takes 0.3 MB of the kernel's memory",
    )  # fmt: skip


def _neighbours() -> str:
    try:
        return namespaces.read_sysctl("ipv4/neigh/default/gc_thresh3")
    except OSError:
        return ""


def _available_memory() -> int:
    with Path("/proc/meminfo").open(encoding="ascii") as meminfo:
        for line in meminfo:
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) << 10
    return 0
