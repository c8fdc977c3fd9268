"""Listens at a port in each of the namespaces of a directory, and answers every handshake; says when it does.

`answers.py DIRECTORY PREFIX PORT`. A line on standard input, the name of a namespace, ends listening there.
"""

from __future__ import annotations

import select
import socket
import sys
from pathlib import Path

from netemu.linux.namespaces import entered


def main(directory: str, prefix: str, port: str) -> None:
    """Accept and close, for ever."""
    epoll = select.epoll()
    listeners: dict[int, socket.socket] = {}
    by_name: dict[str, socket.socket] = {}
    for path in sorted(Path(directory).iterdir()):
        if path.name.startswith(prefix):
            with entered(path):
                listener = socket.create_server(("0.0.0.0", int(port)))
            listener.setblocking(False)
            listeners[listener.fileno()] = by_name[path.name] = listener
            epoll.register(listener, select.EPOLLIN)
    epoll.register(sys.stdin, select.EPOLLIN)
    print(len(listeners), flush=True)
    while True:
        for descriptor, _ in epoll.poll():
            if descriptor in listeners:
                listeners[descriptor].accept()[0].close()
            elif line := sys.stdin.readline():
                by_name[line.strip()].close()
                print("closed", flush=True)
            else:
                return


if __name__ == "__main__":
    main(*sys.argv[1:])
