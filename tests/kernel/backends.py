"""Servers inside a lab that answer probes as a test wants them to, and what the lab has found out about them."""

from __future__ import annotations

import contextlib
import signal
import socket
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from harness import Lab

from netemu.lab.events import events
from netemu.lab.folder import LabFolder
from netemu.lab.missing import is_alive
from netemu.lab.probing import read_findings
from netemu.linux import processes
from netemu.linux.namespaces import entered

PATIENCE = 10.0
"""Seconds after which a test gives up."""
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok"


def eventually(seen: Callable[[], object], what: str) -> object:
    """Wait until something is so, and return it."""
    deadline = time.monotonic() + PATIENCE
    while not (found := seen()):
        assert time.monotonic() < deadline, what
        time.sleep(0.005)
    return found


class Server:
    """Accepts connections at a port of a machine. `answer` is sent to each; None: nothing is ever said."""

    def __init__(self, namespace: Path, port: int, answer: bytes | None, tls: ssl.SSLContext | None) -> None:
        self.answer, self._tls = answer, tls
        self.callers: list[str] = []
        self.requests: list[bytes] = []
        self.ends: list[str] = []
        """How each connection ended for us: `closed` or `reset`."""
        with entered(namespace):
            self._listener = socket.create_server(("0.0.0.0", port), backlog=512)
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        """Listen no more."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join(PATIENCE)
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, caller = self._listener.accept()
                self.callers.append(caller[0])
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
        try:
            if self._tls is not None:
                connection = self._tls.wrap_socket(connection, server_side=True)
            request = connection.recv(4096)
            if request and self.answer is not None:
                self.requests.append(request)
                connection.sendall(self.answer)
                connection.shutdown(socket.SHUT_WR)
            while connection.recv(4096):
                pass
            self.ends.append("closed")
        except ConnectionResetError:
            self.ends.append("reset")
        except OSError:
            self.ends.append("failed")
        finally:
            connection.close()


@contextlib.contextmanager
def serving(
    lab: Lab, machine: str, port: int = 80, answer: bytes | None = OK, tls: ssl.SSLContext | None = None
) -> Iterator[Server]:
    """A server for as long as a `with`."""
    server = Server(lab.namespace(machine), port, answer, tls)
    try:
        yield server
    finally:
        server.close()


def certificate(directory: Path) -> ssl.SSLContext:
    """What a server needs for TLS, with a certificate that nobody trusts and that is for another name."""
    files = [str(directory / name) for name in ("key.pem", "cert.pem")]
    make = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
            "-keyout", files[0], "-out", files[1], "-days", "1", "-subj", "/CN=elsewhere.example"]  # fmt: skip
    subprocess.run(make, check=True, capture_output=True, timeout=20)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(files[1], files[0])
    return context


def states(lab: Lab, watch: str = "lb/probe") -> dict[str, str]:
    """What is known of each member, by machine."""
    found = read_findings(lab.folder).get(watch, {})
    return {member.partition("/")[0].removesuffix("-nic"): finding.state for member, finding in found.items()}


def detail(lab: Lab, machine: str, watch: str = "lb/probe") -> str:
    """Why a member is not up."""
    return read_findings(lab.folder)[watch][f"{machine}-nic/ipconfig1"].detail


def sick(lab: Lab) -> set[str]:
    """The machines that get no new flows."""
    return {member.partition("/")[0].removesuffix("-nic") for _, member in lab.folder.health().sick()}


def becomes(lab: Lab, **wanted: str) -> None:
    """Wait until members are what is wanted, in what is known and for flows."""

    def so() -> bool:
        known = states(lab)
        out = sick(lab)
        return all(known.get(name) == state and (name in out) == (state != "up") for name, state in wanted.items())

    eventually(so, f"{wanted}, but {states(lab)}")


def happened(folder: LabFolder) -> list[tuple[str, str]]:
    """The changes of health that were told, as (machine, state)."""
    return [
        (event.subject.rpartition(" ")[2].partition("/")[0].removesuffix("-nic"), event.what)
        for event in events(folder)
        if event.what in ("up", "down")
    ]


def kill_agent(lab: Lab) -> None:
    """End the lab's agent without a word."""
    record = lab.folder.read()
    assert record is not None and record.agent is not None
    agent = record.agent
    processes.signal_one(agent.pid, agent.started, signal.SIGKILL)
    eventually(lambda: not is_alive(agent), "it dies")
