"""Records what client and daemon say to each other, and makes of it what does not change from run to run.

A transcript is {"shows", "title", "lines"}: `shows` is "method NAME" or "error KIND", each line {"client": CALL},
{"client_text": TEXT} (no JSON, or not strict) or {"server": MESSAGE}. Everything that is true of one run only goes
through stable(), whose rules are below; nothing else is changed, and applied twice it changes nothing more.
"""

from __future__ import annotations

import hashlib
import json
import re
from contextlib import contextmanager
from typing import Any, Callable, Dict, Iterator, List, Tuple

from harness.client import Client

Json = Dict[str, Any]

TIME = "2026-01-31T12:34:56.789Z"
# Measured: any number there becomes this one.
MEASURED = {
    "uptime_ms": 60123, "link_busy_ms": 812, "duration_ms": 250, "retry_in_ms": 500, "expected_wait_ms": 59990,
    "clients": 1, "clients_total": 4, "requests": 6, "connection": 3, "bytes_in": 612, "bytes_out": 20480,
}
# Random ids, by the member that holds them; the n-th of a transcript becomes the same in every run.
IDS = ("operation", "stage", "lease", "watch", "token")
# Of the document of rpc.discover the first method, and what must be there.
DISCOVERED = ("openrpc", "info", "methods")
TOKEN = "ocdmux_" + 64 * "5"
RULES: List[Tuple[str, str]] = [
    (r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", TIME),
    (r"\b127\.0\.0\.1:\d+", "127.0.0.1:6666"),
    (r"ocdmux_[0-9a-f]{64}", TOKEN),
    (r"\bin \d+ ms: ", "in 250 ms: "),
]


def is_id(text: Any) -> bool:
    """Whether it looks like one of the daemon's random ids."""
    return isinstance(text, str) and re.fullmatch(r"[0-9a-f]{16,64}", text) is not None


def find_ids(value: Any, found: Dict[str, str]) -> None:
    """Notes every random id with what stands for it, in the order of appearance."""
    if isinstance(value, dict):
        for key, item in value.items():
            if key in IDS and is_id(item) and item not in found:
                count = sum(1 for name in found.values() if name.startswith(f"{key} ")) + 1
                found[item] = f"{key} {count}"
            find_ids(item, found)
    elif isinstance(value, list):
        for item in value:
            find_ids(item, found)


def stand_in(name: str, length: int) -> str:
    """What stands for the random id `name` ("stage 1"): as long, and the same in every run."""
    return hashlib.sha256(name.encode()).hexdigest()[:length]


class Stabiliser:
    """The rules, with what is known of one run: `places` are paths and texts with what stands for them."""

    def __init__(self, places: Dict[str, str]) -> None:
        self.places = places

    def text(self, text: str, ids: Dict[str, str]) -> str:
        for found, standing in [*self.places.items(), *ids.items()]:
            text = text.replace(found, standing)
        for pattern, standing in RULES:
            text = re.sub(pattern, standing, text)
        return text

    def value(self, value: Any, ids: Dict[str, str], key: str = "") -> Any:
        if isinstance(value, str):
            return self.text(value, ids)
        if isinstance(value, dict):
            if "openrpc" in value:
                method = {name: value["methods"][0][name] for name in ("name", "summary")}
                value = {**{name: value[name] for name in DISCOVERED}, "methods": [method]}
            return {name: self.value(item, ids, name) for name, item in value.items()}
        if isinstance(value, list):
            return [self.value(item, ids) for item in value]
        if key in MEASURED and isinstance(value, int):
            return MEASURED[key]
        return value

    def lines(self, lines: List[Json]) -> List[Json]:
        """A transcript's lines by the rules."""
        names: Dict[str, str] = {}
        find_ids(lines, names)
        ids = {found: stand_in(name, len(found)) for found, name in names.items()}
        # What stands there already stays: ids are told from stand-ins by being none.
        known = {stand_in(f"{kind} {n}", len(found)) for kind in IDS for n in range(1, 20) for found in names}
        ids = {found: standing for found, standing in ids.items() if found not in known}
        return [self.value(line, ids) for line in few_progress(lines)]


def few_progress(lines: List[Json]) -> List[Json]:
    """Of the progress of each call the first and the last notification: the others depend on the time."""
    def token(line: Json) -> Any:
        message = line.get("server", {})
        is_progress = isinstance(message, dict) and message.get("method") == "progress"
        return json.dumps(message["params"]["token"]) if is_progress else None

    tokens = [token(line) for line in lines]
    ends = set()
    for each in set(tokens) - {None}:
        places = [i for i, other in enumerate(tokens) if other == each]
        ends |= {places[0], places[-1]}
    return [line for i, line in enumerate(lines) if tokens[i] is None or i in ends]


class RecordingClient(Client):
    """A client whose lines are kept in `lines`, in the order in which they went and came."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.lines: List[Json] = []
        super().__init__(*arguments, **options)

    def send_bytes(self, data: bytes) -> None:
        for line in data.decode().splitlines():
            try:
                message = json.loads(line)
                self.lines.append({"client": message} if json.dumps(message) == line else {"client_text": line})
            except ValueError:
                self.lines.append({"client_text": line})
        super().send_bytes(data)

    def begin_anew(self) -> None:
        """Forgets the lines, and counts its calls from 1 again; none is in flight."""
        self.lines.clear()
        self._last_id = 0

    def receive(self) -> Any:
        message = super().receive()
        self.lines.append({"server": message})
        return message


class Recorder:
    """All transcripts of a run. `connect` opens a RecordingClient; each transcript has a connection of its own unless
    it is recorded with one that is given."""

    def __init__(self, connect: Callable[[], RecordingClient], places: Dict[str, str], into: List[Json]) -> None:
        self.connect = connect
        self.stabiliser = Stabiliser(places)
        self.transcripts = into

    @contextmanager
    def take(self, shows: str, title: str, client: Any = None) -> Iterator[RecordingClient]:
        """What is said over the connection while it is entered."""
        own = client is None
        client = self.connect() if own else client
        client.begin_anew()
        yield client
        lines = self.stabiliser.lines(client.lines)
        self.transcripts.append({"shows": shows, "title": title, "lines": lines})
        if own:
            client.close()

    def call(self, method: str, title: str, /, **params: Any) -> Json:
        """A call of a method that succeeds; its result as it came."""
        with self.take(f"method {method}", title) as client:
            return client.call(method, **params)

    def fail(self, kind: str, title: str, method: str, /, **params: Any) -> None:
        """A call that fails with an error of that kind."""
        with self.take(f"error {kind}", title) as client:
            error = client.fail(method, **params)
            assert error.kind == kind, f"{method} failed with {error}, not with {kind}"
