"""The process that holds a lab for a Lab of the Python API: `python -m netemu.api.worker DESCRIPTOR NAME MODE`.

It answers one request after the other. When the connection ends, it takes the lab down that it has brought up, unless
MODE is `attached`: then the lab was there before, and stays.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import traceback
from collections.abc import Callable
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

from netemu.api import launch, telling
from netemu.api.channel import Channel, Ended, error_message
from netemu.azure.network import Network
from netemu.errors import NetemuError, PersonError
from netemu.lab import proof, rootless
from netemu.lab.down import down
from netemu.lab.enter import node
from netemu.lab.folder import LabFolder, find
from netemu.lab.source import Order
from netemu.lab.start import surroundings
from netemu.lab.up import digest, up
from netemu.linux.listeners import is_listening
from netemu.scenario import read_text

NEW, ATTACHED = "new", "attached"


class Worker:
    """Does what is asked for, with one lab."""

    def __init__(self, name: str, *, attached: bool) -> None:
        self.name, self.attached = name, attached
        self.folder = LabFolder(name)
        self._asking: telling.Asking | None = None
        self._ours = False

    # ---- the lab's life ----------------------------------------------------------------------------------------------

    def up(self, text: str, source: str) -> dict[str, Any]:
        """Bring the lab up, or lead it to another version of its scenario."""
        if not self.attached and not self._ours and self.folder.exists():
            raise PersonError(f"lab {self.name} is up already; `Lab.attach({self.name!r})` uses it as it is")
        self._forget()
        scenario = read_text(text, source)
        self._ours = True
        outcome = up(Order(scenario, Path(source), text.encode()), lambda *_: None, lambda _: None)
        return {"did": outcome.did, **_described(outcome.network)}

    def look(self) -> dict[str, Any]:
        """The lab as it is."""
        return _described(self._ask().network)

    def down(self) -> None:
        """Take the lab down, if it is ours."""
        self._forget()
        if not self.attached and self._ours and self.folder.exists():
            down(self.folder, lambda _: None)
        self._ours = False

    # ---- questions ---------------------------------------------------------------------------------------------------

    def reach(self, **asked: Any) -> Any:
        """What becomes of one flow."""
        return self._ask().reach(**asked)

    def explain(self, **asked: Any) -> str:
        """Why it does."""
        return self._ask().explain(**asked)

    def verify(self) -> Any:
        """Every line of `expect`."""
        return telling.verification(proof.prove(self.name))

    def matrix(self) -> Any:
        """Every pair."""
        return telling.matrix(*proof.prove_matrix(self.name))

    def _ask(self) -> telling.Asking:
        """Taps and the network, kept from one question to the next while the lab is the same."""
        record = self.folder.read()
        if self._asking is not None and (record is None or record.digest != digest(self._asking.network.scenario)):
            self._forget()
        if self._asking is None:
            self._asking = telling.Asking(*proof.running(self.name))
        return self._asking

    def _forget(self) -> None:
        if self._asking is not None:
            self._asking.close()
            self._asking = None

    # ---- programs ----------------------------------------------------------------------------------------------------

    def start(
        self, machine: str, argv: list[str], environment: dict[str, str], directory: str, descriptors: list[int]
    ) -> None:
        """Start a program in a machine; the descriptors are its standard ones, and the attendant's socket."""
        around = surroundings(self.folder, node(self.folder, machine))
        extra = {"NETEMU_LAB": self.name, "NETEMU_NODE": machine}
        program = launch.Program(tuple(argv), {**environment, **extra}, directory, around)
        *standard, attendant = descriptors
        descriptors.clear()  # they are launch's now
        launch.launch(program, standard, attendant)

    def listens(self, machine: str, port: int, protocol: str) -> bool:
        """Does any program in a machine listen there?"""
        return is_listening(self.folder.namespace(node(self.folder, machine)), protocol.lower(), port)


def _described(network: Network) -> dict[str, Any]:
    addresses: dict[str, list[IPv4Address]] = {}
    for machine in network.machines.values():
        addresses[machine.name] = [config.address for nic in machine.nics for config in nic.ipConfigs]
    for nic in network.nics.values():
        addresses.setdefault(nic.name, [config.address for config in nic.ipConfigs])
    for host in network.hosts.values():
        addresses.setdefault(host.name, [host.address])
    for public in network.publicIPs.values():
        addresses.setdefault(public.name, [public.address])
    return {"machines": [*network.machines], "hosts": [*network.hosts], "addresses": addresses}


def serve(channel: Channel, worker: Worker) -> None:
    """Answer until the other side is gone."""
    actions: dict[str, Callable[..., Any]] = {
        action.__name__: action
        for action in (worker.up, worker.look, worker.down, worker.reach, worker.explain, worker.verify, worker.matrix,
                       worker.start, worker.listens)
    }  # fmt: skip
    while True:
        (what, arguments), descriptors = channel.receive()
        try:
            given = {**arguments, "descriptors": descriptors} if descriptors else arguments
            answer = ["is", actions[what](**given)]
        except NetemuError as error:
            answer = error_message(error)
        except Exception:
            answer = ["error", "Bug", traceback.format_exc(), ()]
        for descriptor in descriptors:
            os.close(descriptor)
        channel.send(answer)


def main(descriptor: int, name: str, mode: str) -> None:
    """Become root of the lab's household if need be, serve, and leave nothing behind."""
    os.set_inheritable(descriptor, False)  # programs in the lab have no part in it, and must not keep it open
    channel = Channel(socket.socket(fileno=descriptor))
    try:
        if mode == NEW:
            rootless.become_root_of_a_new_lab(name)
        else:
            rootless.step_inside(name)
            find(name)
    except NetemuError as error:
        with contextlib.suppress(Ended):
            channel.receive()
            channel.send(error_message(error))
        return
    worker = Worker(name, attached=mode == ATTACHED)
    try:
        serve(channel, worker)
    except Ended:
        pass
    finally:
        worker.down()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    main(int(sys.argv[1]), sys.argv[2], sys.argv[3])
