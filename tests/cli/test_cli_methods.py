"""Every method of the protocol can be reached from the command line, and the table that says how is true."""

import hashlib
import json
from typing import Any, Dict

import pytest

# One line for each command that asks a server, such that each method of its row is called by one of them.
LINES = {
    "flash": ["flash fw.bin", "flash big.bin"],
    "verify": ["verify fw.bin", "verify big.bin"],
    "load": ["load fw.bin --address 0x20000000", "load big.bin --address 0x20000000"],
    "erase": ["erase 0-1", "erase --all"],
    "protect": ["protect on 0"],
    "banks": ["banks"],
    "info": ["info"],
    "read-bank": ["read-bank 0 3 out.bin"],
    "write-bank": ["write-bank 0 fw.bin", "write-bank 0 big.bin --erase"],
    "upload": ["upload big.bin"],
    "download": ["download stage0 out.bin", "download --bank 0 out.bin"],
    "stages": ["stages", "stages --delete stage0"],
    "read": ["read 0", "read 0 --width 8", "read 0 --width 16 --cacheable", "read 0 --width 64"],
    "write": ["write 0 1", "write 0 1 --width 8", "write 0 1 --width 16", "write 0 1 --width 64"],
    "hexdump": ["hexdump 0 16 --consistent"],
    "search": ["search 00 0 16 --consistent"],
    "dump": ["dump 0 3 out.bin --consistent", "dump 0 65536 --to-stage"],
    "load-bytes": ["load-bytes 0 fw.bin"],
    "write-bytes": ["write-bytes 0 fw.bin"],
    "halt": ["halt"],
    "resume": ["resume"],
    "reset": ["reset"],
    "step": ["step"],
    "wait-for": ["wait-for halted"],
    "state": ["state"],
    "registers": ["registers", "registers --list"],
    "register": ["register r0=1"],
    "break": ["break 0"],
    "unbreak": ["unbreak 0"],
    "breakpoints": ["breakpoints"],
    "targets": ["targets"],
    "status": ["status"],
    "boards": ["boards"],
    "stats": ["stats"],
    "whoami": ["whoami"],
    "operations": ["operations", "operations op-7"],
    "wait": ["wait op-7"],
    "cancel": ["cancel op-7"],
    "lease": ["lease acquire", "lease renew", "lease release", "lease status", "lease break"],
    "events": ["events"],
    "discover": ["discover"],
    "openocd": ["openocd version"],
}
# What runs longer than a line, or is a program of its own; their own tests show what they call.
ELSEWHERE = {"shell", "with-lease", "watch", "top", "gdb"}
ALWAYS = {"server.hello"}


@pytest.fixture(name="table")
def fixture_table(bare) -> Dict[str, Any]:
    """What `ocdmux commands --json` says."""
    outcome = bare.run("commands", "--json")
    assert outcome.status == 0
    return json.loads(outcome.out)


def test_every_method_has_a_command_or_a_reason(table, server) -> None:
    called = {method for command in table["commands"] for method in command["methods"]}
    without = table["without_command"]
    assert all(reason for reason in without.values())
    methods = set(server.contract.methods)
    assert methods - called - set(without) == set(), "methods without a command: add them to methods.c"
    assert (called | set(without)) - methods == set(), "methods.c names what the protocol does not have"
    assert not called & set(without)


def test_every_command_is_in_the_table(table, bare) -> None:
    asking = {command["name"] for command in table["commands"] if command["methods"]}
    plain = {command["name"] for command in table["commands"] if not command["methods"]}
    assert plain == {"token", "stdio", "call", "commands", "complete"}, "a command without a row in methods.c"
    assert asking == set(LINES) | ELSEWHERE, "a command without a line here"
    listed = bare.run("commands").out.splitlines()[1:]
    assert [line.split()[0] for line in listed] == [command["name"] for command in table["commands"]]


@pytest.mark.parametrize("name", LINES)
def test_commands_call_what_the_table_says(table, tool, server, examples, stages, name) -> None:
    row = next(command for command in table["commands"] if command["name"] == name)
    (tool.directory / "fw.bin").write_bytes(b"abc")
    (tool.directory / "big.bin").write_bytes(bytes(100_000))
    kept = stages.add(b"abc")
    server.on("flash.read_to_file", {**examples["flash.read_to_file"], "stage": kept, "size": 3,
                                     "sha256": hashlib.sha256(b"abc").hexdigest()})
    for line in LINES[name]:
        process = tool.start(*line.split())
        if name == "events":
            assert process.stdout.readline() != b""
            process.terminate()
        tool.finish(process)
    called = {request["method"] for request in server.requests} - (ALWAYS - set(row["methods"]))
    assert called == set(row["methods"])
