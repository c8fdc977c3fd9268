"""A machine for a test: a mount, network and process namespace of its own, in which netemu is run as a person does.

To what runs in it, it is the host: /run is empty, /etc is a copy, it has links, routes, a ruleset and processes of its
own that must stay as they are. It vanishes with everything in it when the test ends, however that ends.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
DEADLINE = 30.0
LONGEST = 3600.0 if os.environ.get("NETEMU_SWEEP") else 600.0
NSENTER = shutil.which("nsenter") or "/usr/bin/nsenter"

INIT = """
import signal, subprocess, sys
signal.signal(signal.SIGCHLD, signal.SIG_DFL)
for line in open('/proc/self/mountinfo', 'rb').read().splitlines():
    if b' - nsfs ' in line or b' - tmpfs netemu:' in line:  # of labs that are up on the real machine
        subprocess.run(['umount', '--lazy', line.split()[4]], check=False, stderr=subprocess.DEVNULL)
for line in '''
mount -t tmpfs -o mode=0755 tmpfs /run
tar --create --file=/run/etc.tar --directory=/etc --exclude=./netns .
mount -t tmpfs -o mode=0755 tmpfs /etc
tar --extract --file=/run/etc.tar --directory=/etc
rm /run/etc.tar
mount --make-rshared /
ip link set lo up
ip link add uplink type veth peer name uplink-far
ip address add 192.0.2.1/24 dev uplink
ip link set uplink addrgenmode none up
ip link set uplink-far addrgenmode none up
ip route add 10.0.0.0/8 via 192.0.2.254 onlink dev uplink
ip route add 198.51.100.0/24 via 192.0.2.254 dev uplink onlink table 1001
ip rule add fwmark 5 table 1001
ip neigh add 192.0.2.254 lladdr 02:00:00:00:00:09 dev uplink nud permanent
nft add table ip netemu
nft add chain ip netemu mine { type filter hook forward priority 0; policy accept; }
sysctl -qw net.ipv4.ip_forward=1
'''.strip().splitlines():
    subprocess.run(line.split(), check=True)
signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps orphans
print('ready', flush=True)
sys.stdin.read()
"""


def wait_for(what: Callable[[], Any], why: str, seconds: float = DEADLINE) -> Any:
    """The first true value of `what`; an error with `why` when there is none in time."""
    deadline = time.monotonic() + seconds
    while True:
        value = what()
        if value:
            return value
        assert time.monotonic() < deadline, f"in vain: {why}"
        os.sched_yield()


class Host:
    """See above. `directory` is where scenario files go."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._init = subprocess.Popen(
            ["unshare", "--mount", "--net", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private",
             sys.executable, "-c", INIT],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert self._init.stdout is not None
        if self._init.stdout.readline() != "ready\n":
            self.close()
            raise AssertionError("the machine of this test cannot be made; what it printed says why")
        self.pid = children(self._init.pid)[0]

    def close(self) -> None:
        """End everything in it."""
        assert self._init.stdin is not None and self._init.stdout is not None
        self._init.stdin.close()
        self._init.wait(DEADLINE)
        self._init.stdout.close()

    def command(self, *argv: str, uid: int | None = None, cwd: str | None = None) -> list[str]:
        """What runs `argv` in the host."""
        enter = [NSENTER, f"--target={self.pid}", "--mount", "--net", "--pid", f"--wdns={cwd or self.directory}"]
        drop = ["setpriv", f"--reuid={uid}", f"--regid={uid}", "--clear-groups"] if uid is not None else []
        return [*enter, *drop, *argv]

    def environment(self, extra: dict[str, str] | None = None) -> dict[str, str]:
        """The environment of everything that runs in it."""
        return {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1", **(extra or {})}

    def run(
        self,
        *argv: str,
        stdin: str = "",
        env: dict[str, str] | None = None,
        uid: int | None = None,
        cwd: str | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run a program to its end."""
        return subprocess.run(
            self.command(*argv, uid=uid, cwd=cwd), input=stdin, capture_output=True, text=True,
            timeout=LONGEST, env=self.environment(env), check=False,
        )  # fmt: skip

    def start(self, *argv: str, **options: Any) -> subprocess.Popen[str]:
        """Start a program."""
        return subprocess.Popen(
            self.command(*argv), stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
            env=self.environment(), **options,
        )  # fmt: skip

    def ok(self, *argv: str) -> str:
        """Run a program that must succeed; its output."""
        done = self.run(*argv)
        assert done.returncode == 0, (argv, done.stdout, done.stderr)
        return done.stdout

    def netemu(self, *args: str, **options: Any) -> subprocess.CompletedProcess[str]:
        """Run netemu as a person does."""
        return self.run(sys.executable, "-m", "netemu", *args, **options)

    def good(self, *args: str) -> str:
        """Run netemu, which must succeed."""
        done = self.netemu(*args)
        assert done.returncode == 0, (args, done.stdout, done.stderr)
        return done.stdout

    def refused(self, code: int, *args: str, **options: Any) -> str:
        """Run netemu, which must end with that exit code and say why in one line, without a traceback."""
        done = self.netemu(*args, **options)
        message = done.stderr.strip()
        assert done.returncode == code, (args, done.returncode, done.stdout, done.stderr)
        assert "Traceback" not in message
        assert len(message.splitlines()) == 1, message
        return message

    def write(self, text: str, name: str = "lab.yaml") -> str:
        """Write a scenario; its path."""
        path = self.directory / name
        path.write_text(text)
        return str(path)

    def drive(self, *args: str) -> Any:
        """Run a function of driver.py in the host; its JSON answer."""
        done = self.run(sys.executable, str(HERE / "driver.py"), *args)
        assert done.returncode == 0, (args, done.stdout[-3000:], done.stderr[-3000:])
        return json.loads(done.stdout)

    def digest(self) -> dict[str, Any]:
        """All of the host that netemu must not change, by kind."""
        done = self.ok(sys.executable, str(HERE / "digest.py"))
        digest: dict[str, Any] = json.loads(done)
        return digest

    def root(self) -> Path:
        """The host's files, as the test sees them."""
        return Path(f"/proc/{self.pid}/root")

    def inode(self, name: str) -> int:
        """Inode of the namespace behind a name of `ip netns`."""
        return int(self.ok("stat", "-L", "-c", "%i", f"/run/netns/{name}"))

    def pids(self, text: str) -> set[int]:
        """Processes of the host, zombies excepted, whose command line has `text`."""
        lines = self.ok("ps", "-e", "-o", "pid=,stat=,args=").splitlines()
        rows = [line.split(None, 2) for line in lines]
        return {int(row[0]) for row in rows if text in row[2] and row[1][0] != "Z"}


def children(pid: int) -> list[int]:
    """Process ids of a process's children."""
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def scenario(name: str, machines: str = "a: {subnet: net/main}", more: str = "") -> str:
    """A small scenario."""
    return (
        f"name: {name}\n"
        "virtualNetworks: {net: {addressSpace: 10.0.0.0/16, subnets: {main: {addressPrefix: 10.0.0.0/24}}}}\n"
        f"virtualMachines: {{{machines}}}\n{more}"
    )
