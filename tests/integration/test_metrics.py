"""/metrics beside real OpenOCD: Prometheus's own checker likes it, the numbers move, and the dashboard asks for what is
there."""

from __future__ import annotations

import json
import re
import subprocess
from typing import Any, Callable, Iterator

import pytest

from harness.client import Client
from harness.metrics import Page, get, metrics_port
from harness.paths import REPOSITORY
from harness.processes import Daemon
from harness.stack import FLASH_BASE, RAM_BASE

DASHBOARD = REPOSITORY / "tools/grafana/ocdmux.json"


@pytest.fixture(name="daemon")
def fixture_daemon(make_daemon: Callable[..., Daemon]) -> Daemon:
    return make_daemon("--metrics", "127.0.0.1:0", "--board", "lab")


def test_promtool_takes_every_line(daemon: Daemon, connect: Callable[..., Client]) -> None:
    client = connect(daemon)
    client.call("memory.read_u32", address=FLASH_BASE, count=4)
    client.fail("memory.read_u32", address="0x30000000")
    page = Page(metrics_port(daemon))
    done = subprocess.run(
        ["promtool", "check", "metrics"], input=page.text, capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_metrics_follow_what_clients_do(daemon: Daemon, connect: Callable[..., Client]) -> None:
    port, client = metrics_port(daemon), connect(daemon)
    client.call("memory.read_u32", address=FLASH_BASE, count=16)
    client.call("target.halt")
    before = Page(port)
    client.call("memory.read_u32", address=FLASH_BASE, count=16)
    client.call("memory.write_u32", address=RAM_BASE, values=[1, 2])
    client.fail("memory.read_u32", address="0x30000000")
    lease = client.call("lease.acquire", reason="counting")["lease"]
    client.call("memory.watch", ranges=[{"address": RAM_BASE, "size": 4}])
    after = Page(port)

    def grown(name: str, **labels: str) -> float:
        key = (name, frozenset(labels.items()))
        return after.samples[key] - before.samples.get(key, 0)

    assert grown("ocdmux_requests_total", method="memory.read_u32", outcome="ok") == 1
    assert grown("ocdmux_requests_total", method="memory.read_u32", outcome="target_error") == 1
    assert grown("ocdmux_requests_total", method="memory.write_u32", outcome="ok") == 1
    assert grown("ocdmux_read_bytes_total", board="lab") >= 64
    assert grown("ocdmux_written_bytes_total", board="lab") == 8
    assert grown("ocdmux_queue_wait_seconds_count", board="lab") == 3
    assert grown("ocdmux_command_duration_seconds_count", board="lab") >= 3
    assert grown("ocdmux_envelopes_total", board="lab") >= 3
    assert grown("ocdmux_link_busy_seconds_total", board="lab") > 0
    assert grown("ocdmux_lease_events_total", board="lab", event="granted") == 1
    assert after.value("ocdmux_lease_held", board="lab") == 1 and before.value("ocdmux_lease_held", board="lab") == 0
    assert after.value("ocdmux_watches", board="lab") == 1
    assert after.value("ocdmux_link_up", board="lab") == 1
    assert after.value("ocdmux_clients", transport="tcp") == 1
    counters = [name for name, kind in after.types.items() if kind == "counter"]
    assert all(after.samples[key] >= old for key, old in before.samples.items() if key[0] in counters)
    client.call("lease.release", lease=lease)


def test_metrics_agree_with_server_stats(daemon: Daemon, connect: Callable[..., Client]) -> None:
    client = connect(daemon)
    client.call("memory.read_u32", address=FLASH_BASE, count=4)
    stats = client.call("server.stats")
    page, board = Page(metrics_port(daemon)), stats["boards"][0]
    assert page.value("ocdmux_envelopes_total", board="lab") >= board["envelopes"]
    assert page.value("ocdmux_read_bytes_total", board="lab") == board["bytes_read"]
    assert page.value("ocdmux_link_restarts_total", board="lab") == board["reconnects"]
    answered = sum(value for (name, _), value in page.samples.items() if name == "ocdmux_requests_total")
    assert answered == stats["requests"]


def expressions(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, item in value.items():
            if name in ("expr", "definition") and isinstance(item, str):
                yield item
            else:
                yield from expressions(item)
    elif isinstance(value, list):
        for item in value:
            yield from expressions(item)


def test_dashboard_names_metrics_that_exist(daemon: Daemon, connect: Callable[..., Client]) -> None:
    connect(daemon).call("server.hello")
    page = Page(metrics_port(daemon))
    names = {name for name, _ in page.samples}
    found = list(expressions(json.loads(DASHBOARD.read_text(encoding="utf-8"))))
    assert len(found) >= 12
    for text in found:
        used = re.findall(r"\bocdmux_\w+", text)
        assert used and set(used) <= names, text
        labels = frozenset.union(*(page.label_names(name) for name in used))
        asked = re.findall(r"(\w+)[!=]=?~?\"", text) + re.findall(r"by \(([\w, ]+)\)", text)
        assert set(re.split(r", *", ", ".join(asked))) - {""} <= labels, text


def test_pages_that_are_not_there(daemon: Daemon) -> None:
    port = metrics_port(daemon)
    for path in ("/", "/metrics/", "/metric", "/..", "/metrics%00", "/" + "a" * 2000):
        assert get(port, path)[0] == 404
    assert get(port, "/metrics?name=x")[0] == 200
