"""Lets everybody come to some paths, in this mount namespace: a closed directory in between shows the way only.

python reachable.py PATH...
"""

from __future__ import annotations

import os
import stat
import sys

from netemu.linux import namespaces as ns

# Let everybody come to some paths, in this host: a directory in between that is closed to others shows the way only.
while True:
    closed = {}
    for path in map(os.path.realpath, sys.argv[1:]):
        parts = path.split("/")[1:]
        for depth in range(1, len(parts)):
            above = "/" + "/".join(parts[:depth])
            if not os.stat(above).st_mode & stat.S_IXOTH:
                closed.setdefault(above, set()).add(parts[depth])
                break
    if not closed:
        break
    for directory, entries in closed.items():
        behind = os.open(directory, os.O_PATH)
        ns.mount("way", directory, "tmpfs", 0, "mode=0755")
        for entry in entries:
            os.mkdir(f"{directory}/{entry}")
            ns.mount(f"/proc/self/fd/{behind}/{entry}", f"{directory}/{entry}", None, ns.MS_BIND | ns.MS_REC)
