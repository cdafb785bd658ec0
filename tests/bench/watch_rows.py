"""The row about watching: what a hundred watchers of the same bytes cost the link, counted in commands."""

from __future__ import annotations

import json
import socket
import time
from typing import List

from harness.stack import RAM_BASE
from rows import Rig, Row

SIZE = 64
INTERVAL_MS = 20
WATCHERS = 100
SECONDS = 1.0


def watcher(rig: Rig) -> socket.socket:
    """A connection that watches; its notifications are left to the kernel."""
    host, _, port = rig.stack.daemon.address.removeprefix("tcp:").rpartition(":")
    connection = socket.create_connection((host, int(port)))
    params = {"ranges": [{"address": RAM_BASE, "size": SIZE}], "interval_ms": INTERVAL_MS}
    call = {"jsonrpc": "2.0", "id": 1, "method": "memory.watch", "params": params}
    connection.sendall(json.dumps(call).encode() + b"\n")
    answer = connection.recv(1 << 16)
    assert b'"result"' in answer, answer
    return connection


def cost(rig: Rig, watchers: int) -> float:
    """Thousands of commands a second while so many clients watch."""
    clients: List[socket.socket] = [watcher(rig) for _ in range(watchers)]
    while rig.ocdmux.call("board.status")["watches"].get("reached_ms") is None:
        time.sleep(0.001)
    assert rig.ocdmux.call("board.status")["watches"]["count"] == watchers
    before, begin = commands(rig), time.perf_counter()
    time.sleep(SECONDS)
    rate = (commands(rig) - before) / (time.perf_counter() - begin)
    for client in clients:
        client.close()
    while rig.ocdmux.call("board.status")["watches"]["count"] > 0:
        time.sleep(0.001)
    return rate / 1000


def commands(rig: Rig) -> int:
    """That went over the link so far."""
    return int(rig.ocdmux.call("server.stats")["boards"][0]["commands"])


WATCH_ROWS: List[Row] = [
    Row("watch", f"{WATCHERS} clients that watch the same {SIZE} bytes every {INTERVAL_MS} ms, in commands on the link",
        "one client that does", lambda rig: cost(rig, 1), lambda rig: cost(rig, WATCHERS), 1 / 1.10,
        "at most 1.1 times the commands of one", "commands/s"),
]
