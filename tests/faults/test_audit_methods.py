"""The audit, driven from the protocol: each method that changes something leaves its lines, however it ends and whoever
asks, and nothing that is secret, or was moved, gets into them."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List, Tuple

import pytest

from conftest import VALIDATOR
from harness.client import Client, RpcError
from harness.tokens import make_token
from rig import FLASH, RAM, Rig
from test_roles import METHODS, parameters

CHANGING = [name for name, method in METHODS.items() if method.get("x-changes")]
LEASES = ["lease.acquire", "lease.release", "lease.break"]
ROLES = ["admin", "observer", "user"]
LEFT_OUT = ("lease", "token", "data", "values", "text", "log", "progress")
LONGEST_LINE = 8192
HOUR = 3600 * 1000
# What is moved, in each form that it may take.
PAYLOAD = bytes([0xD1, 0xE2, 0xC3, 0xB4, 0xA5, 0x96, 0x87, 0x78] * 4)
VALUE = 0xB4
HOSTILE = ['"', "\\", "\n", '"}\n{"event":"login"', "\x1b[2J", "\u2028", "%s%n", "x" * 65536, "\ufffe", "]", "'"]


class Audited:
    """A daemon with an audit file, and who may do what."""

    def __init__(self, rig: Rig, path: Path, tokens: Dict[str, str]) -> None:
        self.rig = rig
        self.path = path
        self.tokens = tokens
        self.secrets: List[str] = list(tokens.values())
        self.seen = 0

    def login(self, name: str) -> Client:
        client = self.rig.client()
        if name != "none":
            client.call("server.hello", token=self.tokens[name], client=f"{name}'s tool")
        return client

    def lines(self) -> List[Dict[str, Any]]:
        """What has come since this was asked last; each must be a whole JSON object of a sensible length."""
        data = self.path.read_bytes()
        fresh, self.seen = data[self.seen :], len(data)
        assert fresh == b"" or fresh.endswith(b"\n")
        rows = fresh.decode("utf-8").split("\n")[:-1]
        assert all(len(row) <= LONGEST_LINE for row in rows)
        return [json.loads(row) for row in rows]

    def of(self, method: str) -> List[Dict[str, Any]]:
        """The fresh ones of that method."""
        return [line for line in self.lines() if line.get("method") == method]

    def assert_nothing_secret(self) -> None:
        text = self.path.read_text()
        payloads = [PAYLOAD.hex(), PAYLOAD.hex().upper(), base64.b64encode(PAYLOAD).decode(), str(PAYLOAD)[2:-1]]
        payloads += [PAYLOAD[:8].hex(), base64.b64encode(PAYLOAD).decode()[:10], "[180,", f"[{VALUE}", "180, 180", "0xb4b4"]
        for secret in [*self.secrets, *payloads]:
            assert secret not in text, f"{secret} is in the audit"


@pytest.fixture(name="lab", scope="module")
def fixture_lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Audited]:
    """One for all tests."""
    made = {name: make_token(name, role=name) for name in ROLES}
    directory = tmp_path_factory.mktemp("audit")
    extra = {"tokens": [entry for _, entry in made.values()], "audit": {"path": str(directory / "lines"), "required": True}}
    extra["image_roots"] = [str(directory)]
    rig = Rig(directory, VALIDATOR, role="none", extra=extra, wait=False)
    try:
        lab = Audited(rig, directory / "lines", {name: token for name, (token, _) in made.items()})
        lab.login("admin").call("target.halt", board="b0")
        yield lab
    finally:
        rig.close()


@pytest.fixture(name="clean", autouse=True)
def fixture_clean(lab: Audited) -> Iterator[None]:
    """Behind each test nothing secret is in the file, and nobody holds the lease."""
    rig = lab.rig
    rig.mock.clear_faults()
    rig.mock.target_state("halted")
    rig.mock.protect(0, 31, False)
    yield
    rig.mock.clear_faults()
    admin = lab.login("admin")
    admin.call("lease.break", board="b0")
    assert admin.call("memory.read_u8", board="b0", address=RAM)["values"]
    lab.assert_nothing_secret()
    for client in rig.clients:
        client.close()
    rig.clients.clear()
    lab.lines()


def call_of(name: str) -> Dict[str, Any]:
    """The parameters of its example, with what is moved in the place of theirs."""
    params = {**parameters(METHODS[name]), "timeout_ms": 5000}
    own = {param.get("name") for param in METHODS[name]["params"]}
    if "data" in own:
        params.pop("stage", None)
        params.update(data=PAYLOAD.hex(), encoding="hex")
        if name == "memory.load_image":
            params.update(format="bin", address=RAM)
        if name == "flash.write_image":
            params.update(format="bin", address=FLASH)
    if name == "openocd.command":
        params["command"] = "set audited 1"
    if "values" in own:
        params["values"] = [VALUE] * len(params["values"]) if name == "register.write" else [VALUE] * 4
    return params


def ask(client: Client, name: str, params: Dict[str, Any]) -> Tuple[str, Dict[str, Any]]:
    """How it ended: "done" with the result, or the kind of its error."""
    try:
        return "done", client.call(name, **params)
    except RpcError as error:
        return error.kind, {"message": error.message}


def assert_who(line: Dict[str, Any], client: Client, name: str) -> None:
    host, port = client._socket.getsockname()  # noqa: SLF001
    assert (line["identity"], line["client"], line["peer"]) == (name, f"{name}'s tool", f"{host}:{port}")
    assert line["time"].endswith("Z")


def assert_lines(lab: Audited, client: Client, name: str, params: Dict[str, Any], outcome: str) -> None:
    """A beginning and an end that say the same call, and what came of it."""
    begun, ended = lab.of(name)
    assert (begun["event"], ended["event"]) == ("begun", "ended") and begun["call"] == ended["call"] > 0
    for line in (begun, ended):
        assert_who(line, client, "user" if METHODS[name]["x-role"] != "admin" else "admin")
        assert line["board"] == "b0"
        told = {key for key, value in params.items() if key not in LEFT_OUT and (key == "names" or not isinstance(value, list))}
        assert set(line["params"]) == told
        assert all(line["params"][key] == params[key] for key in told)
    if outcome == "done":
        assert ended["outcome"] == "done" and "error" not in ended
        assert not set(ended["result"]) & set(LEFT_OUT)
    else:
        assert ended["outcome"] == "failed" and ended["error"]["kind"] == outcome
    if "data" in params and name != "memory.write_bytes" and name != "flash.write":
        assert begun["image"]["size"] == len(PAYLOAD)


@pytest.mark.parametrize("name", CHANGING)
def test_what_is_done_under_a_lease(lab: Audited, name: str) -> None:
    """And what fails with the words of OpenOCD, and of which nobody knows how it ended."""
    client = lab.login("user" if METHODS[name]["x-role"] != "admin" else "admin")
    lease = client.call("lease.acquire", board="b0", ttl_ms=HOUR)["lease"]
    lab.secrets.append(lease)
    lab.lines()
    params = {**call_of(name), "lease": lease, "progress": "progress-token"}
    outcome, _ = ask(client, name, params)
    assert_lines(lab, client, name, params, outcome)
    match = "set audited" if name == "openocd.command" else ""
    lab.rig.mock.fault("fail", match=match, times=0, code=1, text="no way")
    outcome, said = ask(client, name, params)
    assert outcome != "done" or name == "openocd.command", said
    assert_lines(lab, client, name, params, outcome)
    lab.rig.mock.clear_faults()


def test_all_of_them_are_done(lab: Audited) -> None:
    """So that the test above is not one of failures alone."""
    client = lab.login("admin")
    outcomes = {}
    for name in CHANGING:
        lab.rig.mock.target_state("halted")
        lab.rig.mock.protect(0, 31, False)
        outcomes[name] = ask(client, name, call_of(name))
    failed = {name: said for name, (outcome, said) in outcomes.items() if outcome != "done"}
    assert failed == {}


@pytest.mark.parametrize("name", [*CHANGING, *LEASES])
def test_what_a_role_may_not_do(lab: Audited, name: str) -> None:
    """One line, of who asked and what he lacks."""
    for who, kind in (("none", "unauthenticated"), ("observer", "forbidden")):
        client = lab.login(who)
        lab.lines()
        assert ask(client, name, call_of(name))[0] == kind
        (line,) = lab.of(name)
        assert line["event"] == "refused" and line["error"]["kind"] == kind
        if who != "none":
            assert_who(line, client, who)


@pytest.mark.parametrize("name", CHANGING)
def test_what_another_ones_lease_forbids(lab: Audited, name: str) -> None:
    """Also where it is named by somebody else."""
    holder, client = lab.login("admin"), lab.login("admin" if METHODS[name]["x-role"] == "admin" else "user")
    lease = holder.call("lease.acquire", board="b0", ttl_ms=HOUR)["lease"]
    lab.secrets.append(lease)
    for more, kind in (({}, "board_busy"), ({"lease": "0" * 32}, "lease_lost"), ({"lease": lease}, "forbidden")):
        if kind == "forbidden" and METHODS[name]["x-role"] == "admin":
            continue
        lab.lines()
        params = {**call_of(name), **more}
        assert ask(client, name, params)[0] == kind
        (line,) = lab.of(name)
        assert line["event"] == "refused" and line["error"]["kind"] == kind and line["board"] == "b0"
        assert_who(line, client, "admin" if METHODS[name]["x-role"] == "admin" else "user")


def test_who_takes_gives_and_breaks_a_lease(lab: Audited) -> None:
    """The holder is in the line of what happened, who asked in that of the call."""
    user, admin = lab.login("user"), lab.login("admin")
    lab.lines()
    lab.secrets.append(user.call("lease.acquire", board="b0", reason="a night")["lease"])
    user.call("lease.renew", board="b0")
    assert user.fail("lease.break", board="b0").kind == "forbidden"
    admin.call("lease.break", board="b0")
    assert user.fail("lease.release", board="b0").kind == "lease_lost"
    lab.secrets.append(user.call("lease.acquire", board="b0")["lease"])
    user.call("lease.release", board="b0")
    lines = lab.lines()
    events = [(line["kind"], line["identity"]) for line in lines if line["event"] == "lease"]
    assert events == [("granted", "user"), ("renewed", "user"), ("broken", "user"), ("granted", "user"), ("released", "user")]
    calls = [(line["event"], line["method"], line["identity"]) for line in lines if "method" in line]
    assert calls == [
        ("done", "lease.acquire", "user"),
        ("refused", "lease.break", "user"),
        ("done", "lease.break", "admin"),
        ("refused", "lease.release", "user"),
        ("done", "lease.acquire", "user"),
        ("done", "lease.release", "user"),
    ]
    assert all(line["board"] == "b0" for line in lines if line["event"] == "done")


def test_logins_and_those_that_fail(lab: Audited) -> None:
    lab.lines()
    user = lab.login("user")
    wrong = "ocdmux_" + "5" * 64
    lab.secrets.append(wrong)
    assert lab.rig.client().fail("server.hello", token=wrong).kind == "unauthenticated"
    right, failed = [line for line in lab.lines() if line["event"] == "login" and line["by"] == "token"]
    host, port = user._socket.getsockname()  # noqa: SLF001
    assert (right["identity"], right["peer"]) == ("user", f"{host}:{port}")
    assert "identity" not in failed and failed["error"] == "the token is wrong" and failed["peer"]


def text_places() -> List[Tuple[str, str]]:
    """Each parameter of a method that is written of which takes a text, beside the example's."""
    places = [("server.hello", "client"), ("lease.acquire", "reason")]
    for name in [*CHANGING, *LEASES]:
        own = [param.get("name", param.get("$ref", "").rpartition("/")[2]) for param in METHODS[name]["params"]]
        places += [(name, param) for param in own if param != "progress"]
    return places


def test_hostile_texts_stay_in_their_line(lab: Audited) -> None:
    """In each parameter of each method: whatever comes of the call, the file has whole lines of what happened, none
    that somebody else made up."""
    client = lab.login("admin")
    lab.lines()
    tried = 0
    for name, param in text_places():
        for text in HOSTILE:
            params = call_of(name) if name != "server.hello" else {}
            ask(client, name, {**params, "timeout_ms": 300, param: text} if "board" in params else {**params, param: text})
            tried += 1
    lines = lab.lines()
    assert tried > 1000 and lines
    assert {line["event"] for line in lines} <= {"begun", "ended", "refused", "done", "lease", "login"}
    logins = [line for line in lines if line["event"] == "login"]
    assert all("error" in line or line["identity"] == "admin" for line in logins)
    assert all(line["identity"] in ("admin", "anonymous") for line in lines if "identity" in line)


@pytest.mark.parametrize("raw", [b"\\u0000", b"\xff", b"\xc0\x80", b"\xed\xa0\x80", b"\xf5\x80\x80\x80", b"\x80", b"\n"])
def test_bytes_that_are_no_text_write_nothing(lab: Audited, raw: bytes) -> None:
    """The line is refused as a whole; the connection works."""
    client = lab.login("admin")
    lab.lines()
    call = b'{"jsonrpc":"2.0","id":1,"method":"openocd.command","params":{"board":"b0","command":"set x ' + raw + b'"}}\n'
    client.send_bytes(call)
    assert client.error(None).kind == "parse_error"
    assert lab.lines() == []
    if raw == b"\n":
        assert client.error(None).kind == "parse_error"  # its second half
    client.call("openocd.command", board="b0", command="set x 1")
    begun, _ = lab.of("openocd.command")
    assert begun["params"] == {"board": "b0", "command": "set x 1"}


def test_what_openocd_says_is_not_in_it(lab: Audited) -> None:
    """Neither the answer of a raw command nor its output, which may be memory."""
    client = lab.login("admin")
    lab.rig.mock.poke(RAM, PAYLOAD)
    lab.lines()
    for command in (f"read_memory {RAM:#x} 8 8", f"mdb {RAM:#x} 8", f"echo {PAYLOAD.hex()[:0]}[read_memory {RAM:#x} 32 2]"):
        ask(client, "openocd.command", {"board": "b0", "command": command})
    lines = lab.of("openocd.command")
    assert len(lines) == 6 and all(set(line.get("result", {})) <= {"code"} for line in lines)
    text = json.dumps(lines)
    for shape in ("0xd1 0xe2", "d1 e2 c3", "0xb4c3e2d1", "b4c3e2d1"):
        assert shape not in text
