"""The command line itself: help, bad usage, and which server is taken."""

import json
import socket
from pathlib import Path
from typing import Any, Dict

import pytest

from fake_server import FakeServer

# command line, what the message says
BAD = [
    ("", "no command was given"),
    ("frobnicate", "there is no command 'frobnicate'"),
    ("read", "read needs ADDRESS [COUNT]"),
    ("read 1 2 3", "'3' is one too many"),
    ("read 0x", "ADDRESS is a number"),
    ("read 010", "ADDRESS is a number"),
    ("read 1K", "ADDRESS is a number"),
    ("read -- -1", "ADDRESS is a number"),
    ("read -1", "there is no option -1"),
    ("read 18446744073709551616", "ADDRESS is a number"),
    ("read 0x10000000000000000", "ADDRESS is a number"),
    ("read 0 0", "COUNT is from 1 to 65536, not 0"),
    ("read 0 65537", "COUNT is from 1 to 65536, not 65537"),
    ("read 0 --width 24", "--width is 8|16|32|64, not '24'"),
    ("read 0 --width", "--width needs 8|16|32|64"),
    ("read 0 --physical=yes", "--physical takes no value"),
    ("read 0 --erase", "there is no option --erase"),
    ("--timeout 0 halt", "--timeout is from 1 to 86400000, not 0"),
    ("--timeout 1s halt", "--timeout is a number"),
    ("write 0", "write needs ADDRESS VALUE..."),
    ("write 0 256 --width 8", "VALUE is from 0 to 255, not 256"),
    ("write 0 1 0x100000000", "VALUE is from 0 to 4294967295"),
    ("hexdump 0 0", "SIZE is from 1"),
    ("hexdump 0 17592186044416M", "SIZE is a number (decimal or 0x..., K, M)"),
    ("search xyz 0 1", "PATTERN is pairs of hex digits"),
    ("search abc 0 1", "PATTERN is pairs of hex digits"),
    ("search 00 0 1 --text --hex", "--text and --hex exclude each other"),
    ("search 0011 0 1 --mask ff", "--mask has 1 bytes and PATTERN 2"),
    ("search 00 0 1 --limit 200001", "--limit is from 1 to 200000"),
    ("search 00 0 1 --align 0", "--align is from 1"),
    ("dump 0 1", "dump needs one of FILE, --on-server PATH and --to-stage"),
    ("dump 0 1 x --on-server y", "dump needs one of FILE, --on-server PATH and --to-stage"),
    ("dump 0 1 x --to-stage", "dump needs one of FILE, --on-server PATH and --to-stage"),
    ("read-bank 0 0 f", "SIZE is from 1"),
    ("read-bank 0 4 f --bank 1024", "--bank is from 0 to 1023, not 1024"),
    ("read-bank 0 4 - --json", "--json and '-' both want standard output"),
    ("write-bank 0", "write-bank needs one of FILE and --stage STAGE"),
    ("write-bank 0 f --stage s", "write-bank needs one of FILE and --stage STAGE"),
    ("write-bank x f", "OFFSET is a number"),
    ("download --bank 0 --on-server p f", "--on-server takes the place of FILE"),
    ("download s --on-server p", "--on-server belongs to --bank"),
    ("state now", "'now' is one too many"),
    ("operations a b", "'b' is one too many"),
    ("shell --json", "shell takes no --json"),
    ("shell x", "'x' is one too many"),
    ("shell -c", "--command needs LINE"),
    ("read 0 -c 1", "there is no option -c"),
    ("boards --color blue", "--color is auto|always|never, not 'blue'"),
    ("dump 0 1 - --json", "--json and '-' both want standard output"),
    ("reset hard", "reset takes run, halt or init, not 'hard'"),
    ("step 0", "COUNT is from 1 to 1000, not 0"),
    ("step 1001", "COUNT is from 1 to 1000, not 1001"),
    ("step --address x", "--address is a number"),
    ("wait-for", "wait-for needs halted|running|reset|unknown"),
    ("wait-for asleep", "wait-for takes halted|running|reset|unknown, not 'asleep'"),
    ("registers --list pc", "--list takes no names"),
    ("register", "register needs NAME=VALUE..."),
    ("register pc", "register takes NAME=VALUE, not 'pc'"),
    ("register =5", "register takes NAME=VALUE, not '=5'"),
    ("register pc=", "VALUE is a number (decimal or 0x...), not ''"),
    ("register pc=0xg", "VALUE is a number (decimal or 0x...), not '0xg'"),
    ("register pc=18446744073709551616", "VALUE is a number (decimal or 0x...)"),
    ("break", "break needs ADDRESS"),
    ("break x", "ADDRESS is a number"),
    ("break 0 --kind hw", "--kind is hardware|software|read|write|access, not 'hw'"),
    ("break 0 --length 0", "--length is from 1 to 65536, not 0"),
    ("break 0 --value 0x100000000", "--value is from 0 to 4294967295"),
    ("unbreak 0 1", "'1' is one too many"),
    ("breakpoints 0", "'0' is one too many"),
    ("info 1024", "BANK is from 0 to 1023"),
    ("boards --board b", "boards takes no --board"),
    ("status --target t", "status takes no --target"),
    ("call x --board b", "call takes no --board"),
    ("call x [1]", "JSON-PARAMS is not a JSON object"),
    ("call x {]", "JSON-PARAMS is not a JSON object"),
    ("call x {}x", "JSON-PARAMS is not a JSON object"),
    ("events weather", "a topic is target, link, operation, lease, queue, memory, gdb or log, not 'weather'"),
    ("lease", "lease needs acquire|renew|release|status|break"),
    ("lease take", "lease takes acquire, renew, release, status or break, not 'take'"),
    ("lease acquire --ttl 0", "--ttl is from 1 to 86400, not 0"),
    ("lease acquire --wait 86401", "--wait is from 0 to 86400, not 86401"),
    ("lease renew --wait 1", "lease renew takes no --wait"),
    ("lease release --ttl 1", "lease release takes no --ttl"),
    ("lease break --reason x", "lease break takes no --reason"),
    ("with-lease", "with-lease needs COMMAND..."),
    ("with-lease --ttl 0 true", "--ttl is from 1 to 86400, not 0"),
    ("flash f --prepare maybe", "--prepare is none|halt|reset_halt|reset_init, not 'maybe'"),
    ("flash f --format hex", "--format is auto|bin|ihex|srec|elf|uf2, not 'hex'"),
    ("flash f --mode some", "--mode is changed|full, not 'some'"),
    ("flash f --mode changed --no-erase", "--mode changed erases, and --no-erase forbids it"),
    ("flash f --format elf --address 0", "--address is for plain bytes"),
    ("flash f --address 1K", "--address is a number"),
    ("flash", "flash needs one of FILE, --path PATH and --stage STAGE"),
    ("flash f --path p", "flash needs one of FILE, --path PATH and --stage STAGE"),
    ("verify --path p --stage s", "verify needs one of FILE, --path PATH and --stage STAGE"),
    ("verify f --bank 1024", "--bank is from 0 to 1023, not 1024"),
    ("verify f --format ihex --offset 4", "--bank and --offset are for plain bytes"),
    ("load", "load needs one of FILE, --path PATH and --stage STAGE"),
    ("load f --format bin", "plain bytes need --address"),
    ("load f --format uf2 --address 4", "--address is for plain bytes"),
    ("erase", "erase needs either SECTORS or --all"),
    ("erase 0 --all", "erase needs either SECTORS or --all"),
    ("erase 0-", "sectors are FIRST or FIRST-LAST, not '0-'"),
    ("erase x", "sectors are FIRST or FIRST-LAST, not 'x'"),
    ("erase 0-1-2", "sectors are FIRST or FIRST-LAST, not '0-1-2'"),
    ("erase 3-2", "sectors are from 0 to 1048575, the first before the last, not '3-2'"),
    ("erase 0-1048576", "sectors are from 0 to 1048575"),
    ("erase 0 --bank 1024", "--bank is from 0 to 1023, not 1024"),
    ("erase -- -1", "sectors are FIRST or FIRST-LAST, not '-1'"),
    ("protect on", "protect needs on|off SECTORS"),
    ("protect maybe 0", "protect takes on or off, not 'maybe'"),
    ("protect on x", "sectors are FIRST or FIRST-LAST, not 'x'"),
    ("download", "download needs either STAGE or --bank N, and at most one FILE"),
    ("download --bank 0 a b", "download needs either STAGE or --bank N, and at most one FILE"),
    ("download s f --size 4", "--size belongs to --bank"),
    ("download s f --board b", "--board belongs to --bank"),
    ("download --bank 0 f --size 0", "--size is from 1"),
    ("download s --json", "--json and the file both want standard output"),
    ("upload f --board b", "upload takes no --board"),
    ("--server nonsense halt", "nonsense: a server is tcp:HOST:PORT, tls:HOST:PORT, unix:PATH or ssh:HOST"),
    ("--server tcp:localhost halt", "not tcp:HOST:PORT"),
    ("--server tcp:localhost:0 halt", "not tcp:HOST:PORT"),
    ("--server tcp:localhost:65536 halt", "not tcp:HOST:PORT"),
    ("--server tcp:::1:80 halt", "not tcp:HOST:PORT"),
    ("--server unix: halt", "a socket's path has 1 to 107 bytes"),
]


@pytest.mark.parametrize("line, message", BAD, ids=[case[0] for case in BAD])
def test_bad_usage_is_told_without_a_server(bare, line, message) -> None:
    bare.set(OCDMUX_SERVER=f"unix:{bare.directory}/nobody.sock")
    outcome = bare.run(*line.split())
    assert outcome.status == 2, outcome
    assert outcome.error.startswith("ocdmux: bad usage: ") and message in outcome.error
    assert outcome.error.splitlines()[1].startswith("Try 'ocdmux ")
    assert outcome.out == ""


@pytest.mark.parametrize("line", ["flash fw.bin", "verify fw.bin", "load-bytes 0 fw.bin", "load fw.bin", "upload fw.bin"])
@pytest.mark.parametrize("content, message", [(None, "No such file or directory"), (b"", "is empty")])
def test_unusable_file_is_told_without_a_server(bare, line, content, message) -> None:
    bare.set(OCDMUX_SERVER=f"unix:{bare.directory}/nobody.sock")
    if content is not None:
        (bare.directory / "fw.bin").write_bytes(content)
    outcome = bare.run(*line.split())
    assert (outcome.status, outcome.error) == (2, f"ocdmux: fw.bin: {message}\n")


@pytest.mark.parametrize("command", ["flash", "verify", "load", "upload"])
def test_directory_is_no_file(bare, command) -> None:
    bare.set(OCDMUX_SERVER=f"unix:{bare.directory}/nobody.sock")
    (bare.directory / "folder").mkdir()
    outcome = bare.run(command, "folder")
    assert (outcome.status, outcome.error) == (2, "ocdmux: folder: Is a directory\n")


def commands_of(bare: Any) -> Dict[str, Any]:
    """The table of commands, by name, as the program tells it."""
    outcome = bare.run("commands", "--json")
    assert (outcome.status, outcome.error) == (0, "")
    return {command["name"]: command for command in json.loads(outcome.out)["commands"]}


def test_help_lists_every_command_and_option(bare) -> None:
    outcome = bare.run("--help")
    assert (outcome.status, outcome.error) == (0, "")
    lines = outcome.out.split("Commands:\n")[1].split("\n\n")[0].splitlines()
    listed = [line.split()[0] for line in lines if not line.startswith("   ")]
    assert listed == list(commands_of(bare)) and len(listed) > 40
    for option in ("--server URL", "--ca FILE", "--cert FILE", "--key FILE", "--board BOARD", "--target TARGET",
                   "--timeout MS", "--token-file FILE", "--color auto|always|never", "--json"):
        assert option in outcome.out


def test_each_command_has_help(bare) -> None:
    for name, command in commands_of(bare).items():
        outcome = bare.run(name, "--help")
        assert (outcome.status, outcome.error) == (0, ""), name
        assert outcome.out.startswith(f"Usage: ocdmux [OPTION...] {name}"), name
        assert "--server URL" in outcome.out and command["summary"] in outcome.out, name
        assert all(f"--{option['name']}" in outcome.out for option in command["options"]), name
        if command["methods"]:
            assert f"Methods of the protocol: {' '.join(command['methods'])}.\n" in outcome.out, name


def test_help_of_a_command_lists_its_own_options(bare) -> None:
    out = bare.run("--help", "flash").out
    assert "--no-verify" in out and "--prepare none|halt|reset_halt|reset_init" in out
    assert "--board" not in bare.run("boards", "--help").out


def test_no_server_is_status_3(bare) -> None:
    path = bare.directory / "nobody.sock"
    outcome = bare.run("--server", f"unix:{path}", "halt")
    assert outcome.status == 3
    assert outcome.error == f"ocdmux: connection_failed: cannot connect to unix:{path}: No such file or directory\n"


def test_refused_tcp_connection_is_status_3(bare) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    outcome = bare.run("--server", f"tcp:127.0.0.1:{port}", "halt")
    assert outcome.status == 3 and "Connection refused" in outcome.error


def test_tcp_server(bare) -> None:
    server = FakeServer()
    server.on("board.list", {"boards": []})
    outcome = bare.run("--server", server.url, "boards")
    server.close()
    assert (outcome.status, server.problems) == (0, [])


def test_default_server_is_the_socket_in_the_runtime_directory(bare, tmp_path: Path) -> None:
    server = FakeServer(str(tmp_path / "ocdmux.sock"))
    server.on("board.list", {"boards": []})
    bare.set(XDG_RUNTIME_DIR=str(tmp_path), OCDMUX_SERVER="")
    outcome = bare.run("boards")
    server.close()
    assert (outcome.status, server.problems) == (0, [])


def test_option_comes_before_environment(tool, server, examples) -> None:
    tool.set(OCDMUX_SERVER="unix:/nonexistent/socket")
    assert tool.run("boards").status == 3
    assert tool.run("boards", "--server", server.url).status == 0


def test_full_standard_output_is_a_failure(tool, examples) -> None:
    with open("/dev/full", "wb") as full:
        process = tool.start("boards", stdout=full)
        outcome_error = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 1
    assert outcome_error == "ocdmux: standard output: No space left on device\n"
