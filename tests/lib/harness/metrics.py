"""The pages of a daemon for machines, and Prometheus's text format, read strictly."""

from __future__ import annotations

import http.client
import re
from typing import Dict, FrozenSet, List, Tuple

from harness.processes import Daemon

LIMIT_S = 30.0
_LABEL = r'[a-zA-Z_]\w*="(?:[^"\\\n]|\\[\\"n])*"'
_SAMPLE = re.compile(rf"([a-zA-Z_:][\w:]*)(?:\{{({_LABEL}(?:,{_LABEL})*)\}})? ([0-9.]+|\+Inf)")
_SUFFIXES = {"histogram": ("_bucket", "_sum", "_count"), "counter": ("",), "gauge": ("",)}

Labels = FrozenSet[Tuple[str, str]]


def metrics_port(daemon: Daemon) -> int:
    """Where the daemon's pages are."""
    return int(daemon.wait_for_line(r"metrics and health at http://127\.0\.0\.1:(\d+)$").group(1))


def get(port: int, path: str, method: str = "GET") -> Tuple[int, "http.client.HTTPMessage", bytes]:
    """Status, header fields and body."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)
    try:
        connection.request(method, path)
        response = connection.getresponse()
        return response.status, response.headers, response.read()
    finally:
        connection.close()


class Page:
    """One look at /metrics. Raises AssertionError where it breaks the format."""

    def __init__(self, port: int) -> None:
        status, headers, body = get(port, "/metrics")
        assert status == 200 and headers["Content-Type"] == "text/plain; version=0.0.4; charset=utf-8"
        self.text = body.decode("utf-8")
        self.types: Dict[str, str] = {}
        self.samples: Dict[Tuple[str, Labels], float] = {}
        assert self.text.endswith("\n")
        helped: List[str] = []
        for line in self.text.splitlines():
            if line.startswith("# HELP "):
                helped.append(line.split(" ", 3)[2])
            elif line.startswith("# TYPE "):
                name, kind = line.split(" ")[2:]
                assert helped[-1] == name and name not in self.types, line
                self.types[name] = kind
            else:
                self._take_sample(line, list(self.types)[-1])
        assert helped == list(self.types)

    def _take_sample(self, line: str, family: str) -> None:
        found = _SAMPLE.fullmatch(line)
        assert found, line
        assert found.group(1) in [family + each for each in _SUFFIXES[self.types[family]]], line
        pairs = [each.split("=", 1) for each in re.findall(_LABEL, found.group(2) or "")]
        key = (found.group(1), frozenset((name, text[1:-1]) for name, text in pairs))
        assert key not in self.samples, line
        self.samples[key] = float(found.group(3))

    def value(self, name: str, **labels: str) -> float:
        """The sample of exactly these labels."""
        return self.samples[(name, frozenset(labels.items()))]

    def label_names(self, name: str) -> FrozenSet[str]:
        """Of all samples of that name."""
        return frozenset(label for (each, labels) in self.samples if each == name for label, _ in labels)
