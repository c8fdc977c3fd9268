"""The peer: N Mininet hosts on one Linux router, each by a link of its own. Prints the milliseconds until it runs.

Run by the system's Python, which is where Mininet is; nothing of netemu is used.
"""

from __future__ import annotations

import sys
import time

from mininet.net import Mininet
from mininet.node import Node


class Router(Node):
    """A host that forwards."""

    def config(self, **parameters: object) -> None:
        """Switch forwarding on."""
        super().config(**parameters)
        self.cmd("sysctl net.ipv4.ip_forward=1")


def main(count: int) -> None:
    """Build it, say how long that took, and take it down."""
    start = time.perf_counter()
    net = Mininet(controller=None, build=False)
    router = net.addHost("r0", cls=Router, ip=None)
    for number in range(count):
        high, low = divmod(number, 250)
        host = net.addHost(f"h{number}", ip=f"10.{high}.{low}.2/24", defaultRoute=f"via 10.{high}.{low}.1")
        net.addLink(host, router, intfName2=f"r0-{number}", params2={"ip": f"10.{high}.{low}.1/24"})
    net.build()
    net.start()
    print((time.perf_counter() - start) * 1000)
    net.stop()


main(int(sys.argv[1]))
