"""A bad network: a relay that passes on in small pieces, late, or not at all for a while, and that cuts."""

from __future__ import annotations

import random
import socket
import threading

from harness.relay import Relay

PIECES = 400  # so many bytes at the start of what is passed on go one by one


class BadNetwork(Relay):
    """A relay whose both ways can be stalled, split and delayed."""

    def __init__(self, upstream_port: int, seed: str) -> None:
        self._chance = random.Random(seed)
        self._open = threading.Event()
        self._open.set()
        self.split = False
        super().__init__(upstream_port)

    def stall(self, stop: threading.Event, seconds: float) -> None:
        """Nothing passes for so long."""
        self._open.clear()
        try:
            stop.wait(seconds)
        finally:
            self._open.set()

    def _pass(self, data: bytes, to: socket.socket) -> None:
        self._open.wait(60.0)
        if not self.split:
            to.sendall(data)
            return
        at = 0
        while at < len(data):
            size = self._chance.randrange(1, 9) if at < PIECES else len(data)
            to.sendall(data[at : at + size])
            at += size

    def _pass_up(self, data: bytes, upstream: socket.socket) -> None:
        self._pass(data, upstream)

    def _pump_down(self, client: socket.socket, upstream: socket.socket) -> None:
        self._pump(upstream, client)

    def _pump_up(self, client: socket.socket, upstream: socket.socket) -> None:
        self._pump(client, upstream)

    def _pump(self, source: socket.socket, to: socket.socket) -> None:
        """Until either ends; an end is passed on as one."""
        try:
            while True:
                data = source.recv(1 << 16)
                if not data:
                    break
                self._pass(data, to)
        except OSError:
            pass
        for each in (source, to):
            try:
                each.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            each.close()

    def forget(self) -> None:
        """Drops what is kept of connections that have ended."""
        self._pairs = [pair for pair in self._pairs if pair[0].fileno() >= 0]
        self._threads = [thread for thread in self._threads if thread.is_alive()]
