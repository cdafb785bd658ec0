"""The clients that look after the daemon: metrics, signals, and Tcl of an admin, which must run once each."""

from __future__ import annotations

import os
import signal
from typing import Optional

from actor import Actor, Lost
from harness.client import Client, RpcError
from harness.metrics import Page, get
from programs import CLOSED


class Scraper(Actor):
    """Reads the pages for machines as Prometheus does; now and then the daemon is told to read its configuration
    anew."""

    WAYS = (("unix", "root"),)

    def step(self, client: Client) -> None:
        since = self.world.clock.tick()
        port = self.world.programs.metrics_port
        try:
            Page(port)
            status, _, body = get(port, "/healthz")
            assert status == 200, body
            status, _, body = get(port, "/readyz")
            assert status in (200, 503), body
        except CLOSED as reason:
            if not self.world.faults.explain("closed", since):
                raise
            self.note(f"scrape: {reason!r}")
        self.world.count["scrapes"] += 1
        if self.chance.random() < 0.2:
            try:
                os.kill(self.world.programs.daemon.pid, signal.SIGHUP)
            except ProcessLookupError:
                assert self.world.faults.explain("closed", since)
            self.world.count["reloads"] += 1
        self.call(client, "server.stats")
        self.pause(2.0)


class Counter(Actor):
    """Counts in OpenOCD: a script that is acknowledged ran once, one that is not ran once or not at all."""

    WAYS = (("unix", "root"), ("tcp", "root"))

    def __init__(self, *arguments: object) -> None:
        super().__init__(*arguments)  # type: ignore[arg-type]
        self.least: Optional[int] = None
        self.unsure = 0
        self.asked = 0

    def step(self, client: Client) -> None:
        self.pause(1.5)
        name = f"::soak_{self.number}"
        since = self.world.clock.tick()
        before, self.unsure = self.unsure, self.unsure + 1
        try:
            done = self.call(client, "openocd.command", also=("board_busy",),
                             command=f"if {{![info exists {name}]}} {{set {name} 0}}; incr {name}")
        except RpcError as error:
            if error.kind == "board_busy":
                self.unsure = before
            if self.world.faults.explain("state-lost", since):
                self.least = None
            return
        except Lost:
            self.least = None
            raise
        count = int(done["text"])
        if self.least is not None and not self.world.faults.explain("state-lost", self.asked):
            assert self.least < count <= self.least + 1 + before, f"{self.name}: {count} behind {self.least}+{before}"
            self.world.count["scripts"] += 1
        self.least, self.unsure, self.asked = count, 0, since
