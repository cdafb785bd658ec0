"""status: everything that the server knows, for people and for scripts."""

import json
from typing import Any, Dict

import pytest

from fake_server import RpcError
from test_cli_daemon import fixture_board, fixture_daemon  # noqa: F401  pylint: disable=unused-import

CLIENTS = ("\nidentity  client        role   transport  address          since                     in flight    in    out"
           "  subscribed to\n"
           "alice     ocdmux 0.1.0  admin  tcp        127.0.0.1:40312  2026-01-31T12:34:56.789Z          1  4211  90133"
           "  operation\n")


def test_one_board_and_who_is_connected(tool, server, examples) -> None:
    outcome = tool.run("status")
    assert (outcome.status, outcome.error) == (0, "")
    assert outcome.out == (
        "board: board\nopenocd: 127.0.0.1:6666\nlink: busy\nversion: 0.12.0\nqueued: 1\n"
        "connected_since: 2026-01-31T12:00:00.000Z\nstaging: shared\nrequire_lease: false\n"
        "target: stm32.cpu (cortex_m) halted, current\n"
        "bank: 0 stm32.flash at 0x08000000, 131072 bytes\n"
        "running: op-7 memory.read_bytes by alice (ocdmux 0.1.0), read 4096 of 65536 bytes\n"
        "queue: alice 1\n"
        "lease: anonymous (ci): nightly tests, held until 2026-01-31T12:35:56.789Z\n"
        "lease queue: 1 anonymous, in 41 s or sooner\n"
        "watches: 1, of 20 bytes, every 100 ms (reached: 100 ms)\n" + CLIENTS)
    assert [call["method"] for call in server.requests] == [
        "server.hello", "board.list", "board.status", "operation.list", "client.list", "server.stats"]


def test_a_board_whose_openocd_died(tool, server, examples) -> None:
    when = "2026-01-31T12:00:00.000Z"
    process = {"state": "waiting", "since": when, "restarts": 3, "restart_in_ms": 400, "lines": ["one", "Error: two\u202e"],
               "last_end": {"time": when, "status": 1}}
    problem = {"kind": "probe_missing", "message": "OpenOCD finds no debug probe: two"}
    server.on("board.status", {**examples["board.status"], "process": process, "problem": problem})
    outcome = tool.run("status")
    assert (outcome.status, outcome.error) == (0, "")
    assert (f"\nproblem: probe_missing: OpenOCD finds no debug probe: two\n"
            f"process: waiting since {when}, starts in 400 ms, restarts 3\n"
            f"last end: exit status 1 at {when}\n  one\n  Error: two\\u202e\ntarget: ") in outcome.out
    running = {"state": "running", "since": when, "pid": 77, "restarts": 0, "lines": ["one"],
               "last_end": {"time": when, "signal": 9}}
    server.on("board.status", {**examples["board.status"], "process": running})
    assert (f"\nprocess: running since {when}, pid 77, restarts 0\nlast end: signal 9 at {when}\n"
            "target: ") in tool.run("status").out


def test_a_named_board(tool, server, examples) -> None:
    assert tool.run("status", "--board", "lab1").status == 0
    assert server.params("board.status") == {"board": "lab1"} and server.params("operation.list") == {"board": "lab1"}
    assert server.called("board.list") == []


def several(server: Any, examples: Dict[str, Any]) -> Dict[str, Any]:
    """Two boards."""
    idle = {**examples["board.status"], "board": "b\u202e", "operations": [], "queue": [], "queued": 0, "targets": [],
            "lease_queue": [], "pending_repairs": [{"bank": "x", "base": "0x00000000", "offset": 0, "size": 1,
                                                    "since": "2026-01-31T12:34:56.789Z"}]}
    del idle["running"], idle["lease"]
    boards = {"a": {**examples["board.status"], "board": "a"}, "b\u202e": idle}
    row = examples["board.list"]["boards"][0]
    server.on("board.list", {"boards": [{**row, "board": name} for name in boards]})
    server.on("board.status", lambda call: boards[call.params["board"]])
    return boards


def test_several_boards_are_a_table(tool, server, examples) -> None:
    several(server, examples)
    server.on("client.list", {**examples["client.list"], "total": 5})
    outcome = tool.run("status")
    assert (outcome.status, outcome.error) == (0, "")
    assert outcome.out == (
        "board    link  targets           lease                      queued  repairs    running\n"
        "a        busy  stm32.cpu halted  anonymous (ci), 1 waiting       1  -          "
        "memory.read_bytes by alice (ocdmux 0.1.0), read 4096 of 65536 bytes\n"
        "b\\u202e  busy  -                 -                               0  1 pending  -\n" + CLIENTS + "and 4 more\n")


def test_one_document_for_scripts(tool, server, examples) -> None:
    boards = several(server, examples)
    outcome = tool.run("status", "--json")
    assert (outcome.status, outcome.error) == (0, "") and outcome.out.count("\n") == 1
    assert json.loads(outcome.out) == {
        "server": server.url,
        "boards": list(boards.values()),
        "operations": examples["operation.list"]["operations"],
        "operations_truncated": False,
        "clients": examples["client.list"]["clients"],
        "clients_total": 1,
        "stats": examples["server.stats"],
    }
    told = tool.run("status", "--help").out
    for member in json.loads(outcome.out):
        assert f"`{member}`" in told


@pytest.mark.parametrize("method, result", [
    ("board.list", {"boards": [{"board": 5}]}), ("board.status", {"link": 5}), ("client.list", {"clients": {}}),
    ("operation.list", {}), ("server.stats", [1])])
@pytest.mark.parametrize("json_too", [[], ["--json"]])
def test_a_strange_result_is_told(tool, server, examples, method, result, json_too) -> None:
    server.check_results = False
    server.on(method, lambda call: result)
    outcome = tool.run("status", *json_too)
    assert (outcome.status, outcome.out) == (3, "")
    assert outcome.error == f"ocdmux: protocol_error: the result of {method} is not what the protocol says\n"


def test_a_refusal_is_told(tool, server, examples) -> None:
    server.on("client.list", RpcError("forbidden", "no", role="observer"))
    for line in (["status"], ["status", "--json"]):
        outcome = tool.run(*line)
        assert (outcome.status, outcome.out) == (1, "") and outcome.error == "ocdmux: forbidden: no\n  role: observer\n"


def test_status_of_a_daemon(daemon) -> None:
    found = json.loads(daemon.run("status", "--json").out)
    assert [board["board"] for board in found["boards"]] == ["board"] and found["stats"]["clients"] == 1
    assert [client["you"] for client in found["clients"]] == [True] and found["operations"] == []
    assert "\nanonymous  ocdmux 0.1.0  admin  unix       unix     2" in daemon.run("status").out
