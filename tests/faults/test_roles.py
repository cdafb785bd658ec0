"""Every method of the protocol with every role: what is not allowed is refused, and leaves no trace on the link."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any, Callable, Dict, Iterator, List

import pytest

from harness.client import Client, RpcError
from harness.paths import PROTOCOL
from harness.tokens import make_token
from harness.waiting import wait_until
from rig import RAM, Rig

DOCUMENT = json.loads(Path(PROTOCOL).read_text(encoding="utf-8"))
METHODS: Dict[str, Dict[str, Any]] = {method["name"]: method for method in DOCUMENT["methods"]}
ROLES = ["none", "observer", "user", "admin"]
REFUSALS = ("forbidden", "unauthenticated")


def takes_board(method: Dict[str, Any]) -> bool:
    """Whether a call names the board that it is about."""
    own = any(param.get("name", param.get("$ref", "").rpartition("/")[2]) == "board" for param in method["params"])
    return bool(method.get("x-board")) or own


def parameters(method: Dict[str, Any]) -> Dict[str, Any]:
    """Those of the method's first example, about board b0."""
    result = {param["name"]: param["value"] for param in method["examples"][0]["params"]}
    if takes_board(method):
        result["board"] = "b0"
    if method.get("x-board"):
        result["timeout_ms"] = 500
    return result


@pytest.fixture(scope="module", name="tokens")
def fixture_tokens() -> Dict[str, Any]:
    """By name, a token and its entry: each role on both boards, and each on b0 by one who is admin on b1."""
    made = {role: make_token(role, role=role) for role in ROLES}
    for role in ROLES:
        made[f"{role}-there"] = make_token(f"{role}-there", boards={"b0": role, "b1": "admin"})
    return made


@pytest.fixture(name="roles_rig")
def fixture_roles_rig(make_rig: Callable[..., Rig], tokens: Dict[str, Any]) -> Iterator[Rig]:
    """Two boards; who says nothing is an admin, for the rig's own looks."""
    rig = make_rig(boards=2, extra={"tokens": [entry for _, entry in tokens.values()]})
    yield rig
    rig.assert_works()


def login(rig: Rig, tokens: Dict[str, Any], name: str) -> Client:
    client = rig.client()
    assert client.call("server.hello", token=tokens[name][0])["identity"] == name
    return client


def refusals(client: Client, methods: List[str]) -> List[RpcError]:
    """The errors of these methods, all of which must be refused for who asks."""
    errors = [client.fail(method, **parameters(METHODS[method])) for method in methods]
    for method, error in zip(methods, errors):
        assert error.kind in REFUSALS, f"{method}: {error}"
    return errors


def assert_untouched(rig: Rig, before: List[int]) -> None:
    """That no board got anything since: what goes out next is one's own."""
    with Client(rig.daemon.address, rig.validator) as client:
        for i, mock in enumerate(rig.mocks):
            client.call("memory.read_u8", board=f"b{i}", address=RAM)
            sent = mock.scripts()[before[i] :]
            assert len(sent) == 1 and "read_memory 0x20000000 8 1" in sent[0], sent


def sent_so_far(rig: Rig) -> List[int]:
    return [len(mock.scripts()) for mock in rig.mocks]


@pytest.mark.parametrize("role", ROLES)
def test_what_a_role_may_not_do(roles_rig: Rig, tokens: Dict[str, Any], role: str) -> None:
    """The same role everywhere."""
    lacking = [name for name, method in METHODS.items()
        if name != "server.hello" and ROLES.index(role) < ROLES.index(method["x-role"])]
    assert (lacking == []) == (role == "admin")
    client = login(roles_rig, tokens, role)
    before = sent_so_far(roles_rig)
    for method, error in zip(lacking, refusals(client, lacking)):
        assert error.kind == "forbidden" and error.data["role"] == METHODS[method]["x-role"], (method, error)
    assert_untouched(roles_rig, before)
    assert client.call("server.hello")["role"] == role


@pytest.mark.parametrize("role", ROLES)
def test_what_a_role_on_one_board_may_not_do_there(roles_rig: Rig, tokens: Dict[str, Any], role: str) -> None:
    """An admin of b1 has no more than his own role on b0."""
    lacking = [name for name, method in METHODS.items()
        if takes_board(method) and ROLES.index(role) < ROLES.index(method["x-role"])]
    client = login(roles_rig, tokens, f"{role}-there")
    before = sent_so_far(roles_rig)
    for method, error in zip(lacking, refusals(client, lacking)):
        assert error.kind == "forbidden" and error.data["role"] == METHODS[method]["x-role"], (method, error)
        assert "b0" in error.message
    assert_untouched(roles_rig, before)
    assert client.call("openocd.command", board="b1", command="set x 1")["code"] == 0


@pytest.mark.parametrize("name", ROLES[1:] + [f"{role}-there" for role in ROLES[1:]])
def test_what_a_role_may_do(roles_rig: Rig, tokens: Dict[str, Any], name: str) -> None:
    """Whatever comes of the call, it is not refused for who asks."""
    role = name.partition("-")[0]
    allowed = [method for method in METHODS if ROLES.index(role) >= ROLES.index(METHODS[method]["x-role"])]
    for method in allowed:
        client = login(roles_rig, tokens, name)
        if method == "server.hello":
            client.call(method)
            continue
        try:
            client.call(method, **parameters(METHODS[method]))
        except RpcError as error:
            assert error.kind not in REFUSALS, f"{method}: {error}"
        client.close()


def test_who_is_nobody_may_say_hello_alone(make_rig: Callable[..., Rig], tokens: Dict[str, Any]) -> None:
    """anonymous_role none: every method is unauthenticated, until a token comes."""
    entries = [entry for _, entry in tokens.values()]
    rig = make_rig(boards=2, role="none", extra={"tokens": entries}, wait=False)
    watcher = login(rig, tokens, "admin")
    for board in ("b0", "b1"):
        wait_until(lambda: watcher.call("board.status", board=board)["link"] == "idle", f"the link of {board}")
    client = rig.client()
    assert client.call("server.hello")["role"] == "none"
    before = sent_so_far(rig)
    methods = [name for name in METHODS if name != "server.hello"]
    assert {error.kind for error in refusals(client, methods)} == {"unauthenticated"}
    assert sent_so_far(rig) == before
    assert client.call("server.hello", token=tokens["admin"][0])["role"] == "admin"
    assert client.call("memory.read_u8", board="b0", address=RAM)["values"] == [0]


def test_a_batch_is_refused_call_by_call(roles_rig: Rig, tokens: Dict[str, Any]) -> None:
    client = login(roles_rig, tokens, "observer")
    before = sent_so_far(roles_rig)
    calls = [client.make_call(name, parameters(METHODS[name]), i) for i, name in
        enumerate(["memory.write_u32", "target.reset", "openocd.command", "board.list"])]
    client.send_text(json.dumps(calls))
    replies = {reply["id"]: reply for reply in client.batch()}
    assert [replies[i].get("error", {}).get("data", {}).get("kind") for i in range(4)] == ["forbidden"] * 3 + [None]
    assert_untouched(roles_rig, before)


def test_boards_without_a_role_are_not_shown(roles_rig: Rig, tokens: Dict[str, Any]) -> None:
    client = login(roles_rig, tokens, "none-there")
    hello = client.call("server.hello")
    assert hello["boards"] == ["b1"] and hello["roles"] == {"b1": "admin"} and hello["role"] == "admin"
    assert [board["board"] for board in client.call("board.list")["boards"]] == ["b1"]
    assert [board["board"] for board in client.call("server.stats")["boards"]] == ["b1"]
    snapshot = client.call("events.subscribe", topics=["operation"])["snapshot"]
    assert [board["board"] for board in snapshot["boards"]] == ["b1"]
    other = login(roles_rig, tokens, "admin")
    other.call("memory.read_bytes", board="b0", address=RAM, size=4)
    seen = other.call("memory.read_bytes", board="b1", address=RAM, size=4)["operation"]
    event = client.wait_notification(lambda note: note["method"] == "event")
    assert event["params"]["operation"] == seen


def test_operations_of_others_are_for_admins(roles_rig: Rig, tokens: Dict[str, Any]) -> None:
    user = login(roles_rig, tokens, "user")
    operation = user.call("memory.read_bytes", board="b0", address=RAM, size=4)["operation"]
    assert login(roles_rig, tokens, "user").call("operation.status", operation=operation)["state"] == "done"
    assert login(roles_rig, tokens, "admin").call("operation.status", operation=operation)["state"] == "done"
    for name in ("observer", "user-there"):
        other = login(roles_rig, tokens, name)
        for method in ("operation.status", "operation.cancel", "operation.wait"):
            error = other.fail(method, operation=operation)
            assert error.kind == "forbidden" and error.data["role"] == "admin"
        assert other.call("operation.list")["operations"] == []
    assert operation in [each["operation"] for each in user.call("operation.list")["operations"]]


def test_stages_belong_to_an_identity(roles_rig: Rig, tokens: Dict[str, Any]) -> None:
    user = login(roles_rig, tokens, "user")
    stage = user.call("stage.create", name="a", size=1)["stage"]
    admin = login(roles_rig, tokens, "admin")
    assert admin.fail("stage.read", stage=stage, offset=0, size=1).kind == "not_found"
    assert admin.call("stage.list")["stages"] == []
    assert login(roles_rig, tokens, "user").call("stage.list")["stages"][0]["stage"] == stage


def test_turns_go_by_identity(roles_rig: Rig, tokens: Dict[str, Any]) -> None:
    """Three connections of one identity get no more than the one of another."""
    many = [login(roles_rig, tokens, "user") for _ in range(3)]
    one = login(roles_rig, tokens, "observer")
    holder = roles_rig.client()
    roles_rig.stall(holder, r"read_memory 0x20000ff0 8 1\Z", "memory.read_u8", board="b0", address=RAM + 0xFF0)
    before = len(roles_rig.mock.scripts())
    sent = []
    for number, client in enumerate((*many, one)):
        sent += [(client, client.send("memory.read_u8", board="b0", address=RAM + 0x100 * number + i)) for i in range(8)]
        client.call("server.hello")
    roles_rig.mock.release()
    for client, identifier in sent:
        client.result(identifier)
    text = "\n".join(roles_rig.mock.scripts()[before:])
    order = [int(found, 16) // 0x100 % 0x10 for found in re.findall(r"read_memory 0x(2000[0-9a-f]{4}) 8 1", text)]
    assert len(order) == 32
    last = max(i for i, number in enumerate(order) if number == 3)
    assert 14 <= last <= 17, order  # its eight, and as many of all the others
