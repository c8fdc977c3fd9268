"""Moves bytes between a guest's sockets and our descriptors, never waiting for either side."""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import termios
import tty
from typing import Any

CHUNK = 1 << 16


class Relay:
    """What moves them, step by step: `register` what can go on, wait, `pass_on` what went on.

    Of the sockets, `output` and `input`, or `terminal` for both and `window` for its size, belong to the command; the
    others are only read.
    """

    def __init__(self, sockets: dict[str, socket.socket], source: int | None, sink: int) -> None:
        self._sockets = dict(sockets)
        self._source, self._sink = source, sink
        self._on_terminal = "terminal" in sockets
        self._output = "terminal" if self._on_terminal else "output"
        self._input = "terminal" if self._on_terminal else "input"
        self._pending = b""
        """Read from our source, and not yet taken by the guest."""
        self._before: list[Any] | None = None
        """Settings of our terminal, once it passes everything on."""
        self._window: os.terminal_size | None = None
        """The size of our terminal that the guest knows."""
        self._begun = False

    def __enter__(self) -> Relay:
        return self

    def __exit__(self, *exception: object) -> None:
        if self._before is not None:
            assert self._source is not None
            termios.tcsetattr(self._source, termios.TCSADRAIN, self._before)

    def begin(self) -> None:
        """The command has started: from now on it gets what we read, Ctrl-C included if it is on a terminal."""
        if self._begun:
            return
        self._begun = True
        if self._source is None:
            self._end_input()
        elif self._on_terminal:
            self._before = termios.tcgetattr(self._source)
            tty.setraw(self._source)

    def is_open(self, name: str) -> bool:
        """Has the guest's side not ended?"""
        return name in self._sockets

    def register(self, selector: selectors.BaseSelector) -> None:
        """Watch what can go on now, each by its name; `source` is ours."""
        self._follow_window()
        for key in list(selector.get_map().values()):
            selector.unregister(key.fileobj)
        for name, ours in self._sockets.items():
            waiting = selectors.EVENT_WRITE if name == self._input and self._pending else 0
            selector.register(ours, selectors.EVENT_READ | waiting, name)
        if self._begun and self._source is not None and not self._pending and self._input in self._sockets:
            selector.register(self._source, selectors.EVENT_READ, "source")

    def pass_on(self, name: str) -> bytes:
        """Do what can be done for one of those; what has come by a socket."""
        if name == "source":
            self._read_source()
            return b""
        data = self._receive(name)
        if name == self._input and name in self._sockets:
            with contextlib.suppress(BlockingIOError, BrokenPipeError):
                self._pending = self._pending[self._sockets[name].send(self._pending) :]
        if name == self._output:
            self._write(data)
        return data

    def _follow_window(self) -> None:
        """Tell the guest when our terminal has another size than it knows of."""
        if self._before is not None and self._source is not None and self.is_open("window"):
            window = os.get_terminal_size(self._source)
            if window != self._window:
                self._window = window
                with contextlib.suppress(BlockingIOError, BrokenPipeError):
                    self._sockets["window"].send(f"{window.lines or 24} {window.columns or 80}\n".encode())

    def _read_source(self) -> None:
        assert self._source is not None
        self._pending = os.read(self._source, CHUNK)
        if not self._pending and not self._on_terminal:
            self._source = None
            self._end_input()

    def _receive(self, name: str) -> bytes:
        try:
            data = self._sockets[name].recv(CHUNK)
        except BlockingIOError:
            return b""
        except ConnectionResetError:
            data = b""
        if not data:
            del self._sockets[name]
        return data

    def _write(self, data: bytes) -> None:
        while data:
            data = data[os.write(self._sink, data) :]

    def _end_input(self) -> None:
        """The command reads an end of file, after all that it has not read yet: QEMU drops it on a full close."""
        if self._input in self._sockets:
            self._sockets[self._input].shutdown(socket.SHUT_WR)
