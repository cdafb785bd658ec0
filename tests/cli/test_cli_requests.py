"""Every command: what it asks the server for, and what it prints of the answer."""

import json
from typing import Any, Dict, List

import pytest

from fake_server import NO_ANSWER

DAY_MS = 86400000

# command line, method, parameters on the wire (without `progress`), standard output
CASES = [
    ("read 0x08000000", "memory.read_u32", {"address": "0x08000000", "count": 1}, "0x08000000: 0x12345678\n"),
    ("read 0x08000000 --physical", "memory.read_u32", {"address": "0x08000000", "count": 1, "physical": True}, None),
    ("read 134217728 6", "memory.read_u32", {"address": "0x08000000", "count": 6}, None),
    ("read 0x08000000 10 --width 8", "memory.read_u8", {"address": "0x08000000", "count": 10}, None),
    ("read 0x08000000 --width=16", "memory.read_u16", {"address": "0x08000000", "count": 1}, None),
    (
        "write 0x20000000 1 0xffffffff",
        "memory.write_u32",
        {"address": "0x20000000", "values": [1, 4294967295]},
        "2 values written\n",
    ),
    ("write 0x20000000 255 --width 8", "memory.write_u8", {"address": "0x20000000", "values": [255]}, "1 value written\n"),
    (
        "write 0x20000000 9007199254740991 9007199254740992 1000000000000000 --width 64 --physical",
        "memory.write_u64",
        {
            "address": "0x20000000",
            "values": [9007199254740991, "0x20000000000000", 1000000000000000],
            "physical": True,
        },
        "3 values written\n",
    ),
    ("halt", "target.halt", {}, "stm32.cpu: halted\n"),
    ("halt --target stm32.cpu --board b --timeout 500", "target.halt",
     {"target": "stm32.cpu", "board": "b", "timeout_ms": 500}, "stm32.cpu: halted\n"),
    ("resume", "target.resume", {}, "stm32.cpu: running\n"),
    ("resume 0x08000100", "target.resume", {"address": "0x08000100"}, "stm32.cpu: running\n"),
    ("reset", "target.reset", {}, "stm32.cpu: halted\n"),
    ("reset init", "target.reset", {"mode": "init"}, "stm32.cpu: halted\n"),
    ("step", "target.step", {"count": 1}, None),
    ("step 2", "target.step", {"count": 2}, "stm32.cpu: halted, pc 0x08000044\n"),
    ("step 10 --address 0x08000040", "target.step", {"count": 10, "address": "0x08000040"},
     "stm32.cpu: halted, pc 0x08000044, after 2 of 10 steps\n"),
    ("wait-for halted", "target.wait", {"state": "halted", "timeout_ms": DAY_MS}, "stm32.cpu: halted\n"),
    ("wait-for running --timeout 9000 --target t", "target.wait",
     {"state": "running", "timeout_ms": 9000, "target": "t"}, None),
    ("registers", "register.read", {}, None),
    (
        "registers pc sp",
        "register.read",
        {"names": ["pc", "sp"]},
        "register  bits  value\npc          32  0x08000040\nsp          32  0x20005000\n",
    ),
    (
        "registers --list",
        "register.list",
        {},
        "register  bits  group\nr0          32  arm v7m registers\nprimask      1  arm v7m registers\n",
    ),
    (
        "register r0=42 pc=0x08000040 d0=0xffffffffffffffff q0=0x112233445566778899AABBCCDDEEFF00",
        "register.write",
        {
            "names": ["r0", "pc", "d0", "q0"],
            "values": [42, 0x08000040, "0xffffffffffffffff", "0x112233445566778899AABBCCDDEEFF00"],
        },
        "register  bits  value\nr0          32  0x0000002a\n",
    ),
    (
        "breakpoints",
        "breakpoint.list",
        {},
        "address     length  kind      value       mask\n"
        "0x08000100       2  hardware  -           -\n"
        "0x20000100       4  write     0x00000000  0xffffffff\n",
    ),
    ("break 0x08000100", "breakpoint.add", {"address": "0x08000100"},
     "address     length  kind      value  mask\n0x08000100       2  hardware  -      -\n"),
    ("break 0x20000000 --kind write --length 8 --value 0 --mask 0xff", "breakpoint.add",
     {"address": "0x20000000", "kind": "write", "length": 8, "value": 0, "mask": 255}, None),
    ("unbreak 0x08000100", "breakpoint.remove", {"address": "0x08000100"}, None),
    ("unbreak 0x08000100 --kind access", "breakpoint.remove", {"address": "0x08000100", "kind": "access"}, None),
    (
        "targets",
        "target.list",
        {},
        "target     type      state   endian  current\nstm32.cpu  cortex_m  halted  little  *\n",
    ),
    (
        "banks",
        "flash.banks",
        {},
        "bank  name         driver    base          size  bus  chip  target\n"
        "   0  stm32.flash  stm32f1x  0x08000000  131072    0     0  stm32.cpu\n",
    ),
    ("info 0", "flash.info", {"bank": 0}, None),
    ("info", "flash.info", {}, None),
    ("boards", "board.list", {}, "board  openocd         link  version\nboard  127.0.0.1:6666  idle  0.12.0\n"),
    ("stats", "server.stats", {}, None),
    (
        "operations",
        "operation.list",
        {},
        "operation  board  method             state    client  created                   progress\n"
        "op-7       board  flash.write_image  running  ci      2026-01-31T12:34:56.789Z  program 16384 of 65536 bytes\n",
    ),
    ("operations --board b", "operation.list", {"board": "b"}, None),
    (
        "wait op-7",
        "operation.wait",
        {"operation": "op-7", "timeout_ms": DAY_MS},
        "operation: op-7\nboard: board\nmethod: memory.read_bytes\nstate: done\ncreated: 2026-01-31T12:34:56.789Z\n"
        'result: {"size":4,"data":"AFAAIA==","disturbed":false,"operation":"op-7"}\n',
    ),
    ("wait op-7 --timeout 9000", "operation.wait", {"operation": "op-7", "timeout_ms": 9000}, None),
    ("cancel op-7", "operation.cancel", {"operation": "op-7"}, "cancelled\n"),
    (
        "lease acquire --reason night --board b",
        "lease.acquire",
        {"ttl_ms": 600000, "wait_ms": 0, "reason": "night", "detach": True, "board": "b"},
        "6f1c0a52b7de93480c41f29a5e8b7d36\n",
    ),
    ("lease acquire --ttl 1 --wait 86400", "lease.acquire", {"ttl_ms": 1000, "wait_ms": DAY_MS, "detach": True}, None),
    ("lease renew", "lease.renew", {}, "expires: 2026-01-31T12:36:16.789Z\n"),
    ("lease renew --lease 12 --ttl 86400", "lease.renew", {"lease": "12", "ttl_ms": DAY_MS}, None),
    ("lease release --lease 12", "lease.release", {"lease": "12"}, ""),
    (
        "lease status",
        "lease.status",
        {},
        "lease: anonymous (ci): nightly tests, held until 2026-01-31T12:35:56.789Z\n",
    ),
    ("lease break", "lease.break", {}, "broken\n"),
    ("halt --lease 12", "target.halt", {"lease": "12"}, None),
    ("openocd version", "openocd.command", {"command": "version"}, "Open On-Chip Debugger 0.12.0\n"),
    ("openocd flash write_image --json -x", "openocd.command", {"command": "flash write_image --json -x"}, None),
    (
        "hexdump 0x08000000 16",
        "memory.hexdump",
        {"address": "0x08000000", "size": 16, "stream": True, "timeout_ms": DAY_MS},
        "08000000: 00 50 00 20 A1 01 00 08  AB 01 00 08 AD 01 00 08  |.P. ............|\n",
    ),
    (
        "search deadbeef 0 0x100",
        "memory.search",
        {"pattern": "deadbeef", "encoding": "hex", "start": "0x00000000", "end": "0x00000100", "timeout_ms": DAY_MS},
        "0x08000000\n",
    ),
    (
        "search AB 0 0x100 --text --align 4 --limit 7 --mask FFFE --physical --timeout 5000",
        "memory.search",
        {
            "pattern": "4142",
            "mask": "fffe",
            "encoding": "hex",
            "start": "0x00000000",
            "end": "0x00000100",
            "align": 4,
            "limit": 7,
            "physical": True,
            "timeout_ms": 5000,
        },
        "0x08000000\n",
    ),
    (
        "dump 0x08000000 64K --on-server lab/flash.bin",
        "memory.dump",
        {"address": "0x08000000", "size": 65536, "path": "lab/flash.bin", "timeout_ms": DAY_MS},
        "lab/flash.bin: 65536 bytes, SHA-256 de2f256064a0af797747c2b97505dc0b9f3df0de4f489eac731c23ae9ca9cc31\n",
    ),
    ("erase 2", "flash.erase_sector", {"first": 2, "last": 2}, "4 sectors erased\n"),
    ("erase 0x0-3 --bank 1 --target t", "flash.erase_sector", {"bank": 1, "first": 0, "last": 3, "target": "t"}, None),
    ("erase --all", "flash.erase_all", {}, "128 sectors erased\n"),
    ("erase --all --bank 2 --timeout 7000", "flash.erase_all", {"bank": 2, "timeout_ms": 7000}, None),
    (
        "protect on 0-3",
        "flash.protect",
        {"first": 0, "last": 3, "on": True},
        "sector  offset  size  protected\n     0       0  1024  no\n"
        "takes effect with the next reset of the chip: see 'ocdmux reset'\n",
    ),
    ("protect off 7 --bank 1", "flash.protect", {"bank": 1, "first": 7, "last": 7, "on": False}, None),
    (
        "stages",
        "stage.list",
        {},
        "stage             name      size  uploaded  state     expires                   sha256\n"
        "3f2a9c0d5e6b7a81  app.elf  65536     65536  complete  2026-01-31T13:00:00.000Z  "
        "de2f256064a0af797747c2b97505dc0b9f3df0de4f489eac731c23ae9ca9cc31\n"
        "65536 of 268435456 bytes used\n",
    ),
    ("stages --delete 3f2a9c0d5e6b7a81", "stage.delete", {"stage": "3f2a9c0d5e6b7a81"}, "deleted\n"),
    ("call server.stats", "server.stats", {}, None),
    ('call target.halt {"board":"b"}', "target.halt", {"board": "b"}, None),
]


def answers(server: Any) -> None:
    """Sets the answers of methods whose result depends on the request."""

    def read(width: int) -> Any:
        def handler(call: Any) -> Dict[str, Any]:
            values: List[Any] = [(0x12345678 + index) & ((1 << min(width, 32)) - 1) for index in range(call.params["count"])]
            return {"values": [f"0x{value:08x}" for value in values] if width == 64 else values}

        return handler

    for width in (8, 16, 32, 64):
        server.on(f"memory.read_u{width}", read(width))
        server.on(f"memory.write_u{width}", lambda call: {"count": len(call.params["values"])})


@pytest.mark.parametrize("line, method, params, out", CASES, ids=[case[0] for case in CASES])
def test_command_sends_and_prints(tool, server, examples, line, method, params, out) -> None:
    answers(server)
    outcome = tool.run(*line.split(" "))
    assert outcome.status == 0, outcome
    sent = server.params(method)
    sent.pop("progress", None)
    assert sent == params
    if out is not None:
        assert outcome.out == out
    assert [request["method"] for request in server.requests] == ["server.hello", method]
    assert outcome.error == ""


@pytest.mark.parametrize("line", sorted({case[0] for case in CASES if case[0].split()[0] not in ("hexdump", "call", "openocd")}))
def test_json_prints_result_unchanged(tool, server, examples, line) -> None:
    answers(server)
    raw = {}

    def keep(method: str) -> None:
        inner = server.handlers[method]

        def handler(call: Any) -> Any:
            # Unusual white space and a number that a double cannot hold: only the bytes themselves pass this.
            text = json.dumps(inner(call))
            raw["text"] = text[:1] + ' "big" : 18446744073709551615,  ' + text[1:]
            call.send_raw(b'{"jsonrpc":"2.0","id":%d,"result":%s}\n' % (call.id, raw["text"].encode()))
            return NO_ANSWER

        server.on(method, handler)

    for method in list(server.handlers):
        if method not in ("server.hello", "request.cancel"):
            keep(method)
    outcome = tool.run("--json", *line.split(" "))
    assert (outcome.status, outcome.out, outcome.error) == (0, raw["text"] + "\n", "")


@pytest.mark.parametrize(
    "width, count, lines",
    [
        (8, 9, ["0x08000000: 0x00 0x01 0x02 0x03 0x04 0x05 0x06 0x07", "0x08000008: 0x08"]),
        (16, 9, ["0x08000000: 0x0000 0x0001 0x0002 0x0003 0x0004 0x0005 0x0006 0x0007", "0x08000010: 0x0008"]),
        (32, 5, ["0x08000000: 0x00000000 0x00000001 0x00000002 0x00000003", "0x08000010: 0x00000004"]),
        (64, 3, ["0x08000000: 0x0000000000000000 0x0000000000000001", "0x08000010: 0x0000000000000002"]),
    ],
)
def test_read_prints_columns(tool, server, width, count, lines) -> None:
    values = [f"0x{index:08x}" for index in range(count)] if width == 64 else list(range(count))
    server.on(f"memory.read_u{width}", {"values": values})
    outcome = tool.run("read", "0x8000000", str(count), "--width", str(width))
    assert outcome.out.splitlines() == lines


def test_read_keeps_all_64_bits_and_long_addresses(tool, server) -> None:
    server.on("memory.read_u64", {"values": ["0xfedcba9876543211"]})
    outcome = tool.run("read", "0xffffffff80000000", "--width", "64")
    assert server.params("memory.read_u64")["address"] == "0xffffffff80000000"
    assert outcome.out == "0xffffffff80000000: 0xfedcba9876543211\n"


def test_info_prints_sectors_and_protection(tool, examples) -> None:
    lines = tool.run("info").out.splitlines()
    assert lines[2] == "STM32F10x (Medium Density)"
    assert lines[4] == "sector  address     offset  size  protected"
    assert lines[6] == "     1  0x08000400    1024  1024  unknown"
    assert lines[-3:] == [
        "protection block  address     offset  size  protected",
        "               0  0x08000000       0  4096  no",
        "               1  0x08001000    4096  4096  yes",
    ]


def test_stats_prints_each_board(tool, examples) -> None:
    out = tool.run("stats").out
    assert out.startswith("uptime_ms: 60123\nclients: 2\n")
    assert "\n\nboard: board\nlink: idle\ncommands: 57\n" in out


def test_cancel_says_when_it_was_too_late(tool, server) -> None:
    server.on("operation.cancel", {"found": False})
    outcome = tool.run("cancel", "op-9")
    assert (outcome.status, outcome.out) == (0, "it had ended already\n")


def test_wait_reports_the_failure_of_the_operation(tool, server) -> None:
    server.on("operation.wait", {
        "operation": "op-7", "board": "b", "method": "flash.write_image", "state": "failed",
        "created": "2026-01-31T12:34:56.789Z",
        "error": {"code": -32000, "message": "it broke",
                  "data": {"kind": "flash_error", "openocd": {"code": -902, "text": "timed out"}}},
    })
    outcome = tool.run("wait", "op-7")
    assert outcome.status == 1
    assert outcome.error == "ocdmux: flash_error: it broke\n  OpenOCD (-902): timed out\n"
    assert "state: failed\n" in outcome.out


def test_wait_fails_for_a_cancelled_operation(tool, server) -> None:
    server.on("operation.wait", {"operation": "op-7", "board": "b", "method": "memory.search", "state": "cancelled",
                                 "created": "2026-01-31T12:34:56.789Z"})
    assert tool.run("wait", "op-7").status == 1


def test_search_without_match_is_no_failure(tool, server) -> None:
    server.on("memory.search", {"matches": [], "truncated": False, "scanned": 256, "disturbed": False, "operation": "op-1"})
    outcome = tool.run("search", "00 11", "0", "256")
    assert (outcome.status, outcome.out, outcome.error) == (0, "", "no match\n")
    assert server.params("memory.search")["pattern"] == "0011"


def test_search_tells_of_more_and_of_disturbance(tool, server) -> None:
    server.on("memory.search", {"matches": ["0x00000004", "0x123456789a"], "truncated": True, "scanned": 99,
                                "disturbed": True, "operation": "op-1"})
    outcome = tool.run("search", "00", "0", "256", "--limit", "2")
    assert (outcome.status, outcome.out) == (0, "0x00000004\n0x123456789a\n")
    assert outcome.error == ("note: stopped at the limit of 2 matches after 99 bytes; there may be more\n"
                             "note: the board was changed while this was read\n")


def test_openocd_fails_with_its_code(tool, server) -> None:
    server.on("openocd.command", {"code": -4, "text": "no such thing\n", "log": "Error: really\n"})
    outcome = tool.run("openocd", "flash  probe 9")
    assert server.params("openocd.command") == {"command": "flash  probe 9"}
    assert (outcome.status, outcome.out) == (1, "")
    assert outcome.error == "Error: really\nocdmux: openocd_error: the command failed\n  OpenOCD (-4): no such thing\n"
    outcome = tool.run("--json", "openocd", "flash  probe 9")
    assert (outcome.status, outcome.error) == (1, "") and '"code": -4' in outcome.out


def test_openocd_prints_text_and_log(tool, server) -> None:
    server.on("openocd.command", {"code": 0, "text": "two\nlines", "log": "Info : done\n"})
    outcome = tool.run("openocd", "x")
    assert (outcome.status, outcome.out, outcome.error) == (0, "two\nlines\n", "Info : done\n")


def test_openocd_takes_a_return_for_success(tool, server) -> None:
    server.on("openocd.command", {"code": 2, "text": "", "log": ""})
    assert tool.run("openocd", "return").status == 0


def test_call_sends_parameters_as_they_are(tool, server) -> None:
    server.check_calls = False
    server.check_results = False
    server.on("some.method", {"ok": True})
    outcome = tool.run("call", "some.method", "-", given=b'{ "big": 18446744073709551615,\n "x": 1.50 }\n')
    assert outcome.status == 0, outcome
    assert b'"params":{ "big": 18446744073709551615,  "x": 1.50 }}\n' in server.lines[-1]


def test_call_prints_result_unchanged(tool, server) -> None:
    server.check_calls = False

    def handler(call: Any) -> object:
        call.send_raw(b'{"result":[1.50,  {"n":18446744073709551615}],"id":%d,"jsonrpc":"2.0"}\n' % call.id)
        return NO_ANSWER

    server.on("some.method", handler)
    assert tool.run("call", "some.method").out == '[1.50,  {"n":18446744073709551615}]\n'


def test_hello_names_the_client_and_shows_the_token(tool, server, examples) -> None:
    tool.set(OCDMUX_TOKEN="s3cret")
    outcome = tool.run("boards")
    hello = server.params("server.hello")
    assert hello == {"client": tool.run("--version").out.strip(), "token": "s3cret"}
    assert "s3cret" not in outcome.out + outcome.error


def test_hexdump_prints_the_stream_in_order(tool, server) -> None:
    lines = [f"{0x20000000 + 16 * i:08X}: " + "00 " * 8 + " " + "00 " * 8 + " |................|\n" for i in range(4)]

    def handler(call: Any) -> Dict[str, Any]:
        call.data(0, text=lines[0] + lines[1])
        call.data(32, text=lines[2] + lines[3])
        return {"size": 64, "disturbed": True, "operation": "op-1"}

    server.on("memory.hexdump", handler)
    outcome = tool.run("hexdump", "0x20000000", "64")
    assert (outcome.status, outcome.out) == (0, "".join(lines))
    assert outcome.error == "note: the board was changed while this was read\n"


def test_hexdump_json_asks_for_the_text_in_the_result(tool, server, examples) -> None:
    outcome = tool.run("hexdump", "0x08000000", "16", "--json")
    assert "stream" not in server.params("memory.hexdump")
    assert json.loads(outcome.out) == examples["memory.hexdump"]
