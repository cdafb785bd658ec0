"""Configuration: options before variables before the file, and who may read what holds a token."""

from pathlib import Path
from typing import Any

import pytest

from fake_server import FakeServer

DOWN = "unix:/nonexistent/nobody.sock"


def write_config(tool: Any, text: str, mode: int = 0o600) -> Path:
    """~/.config/ocdmux/config of the program's user."""
    path = tool.directory / ".config" / "ocdmux" / "config"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    path.chmod(mode)
    return path


def test_file_says_what_nothing_else_does(bare, server, examples) -> None:
    write_config(bare, f"# the lab\n\nserver = {server.url}\r\n  board=b1\ntarget = t1\ntimeout = 700\ntoken = sesame\n")
    assert bare.run("state").status == 0
    assert server.params("server.hello")["token"] == "sesame"
    assert server.params("target.state") == {"board": "b1", "target": "t1", "timeout_ms": 700}


def test_variables_count_before_the_file_and_options_before_both(bare, server, examples) -> None:
    write_config(bare, f"server = {DOWN}\nboard = b1\ntarget = t1\ntimeout = 700\n")
    bare.set(OCDMUX_SERVER=server.url, OCDMUX_BOARD="b2", OCDMUX_TARGET="t2", OCDMUX_TIMEOUT="800")
    assert bare.run("state").status == 0
    assert server.params("target.state") == {"board": "b2", "target": "t2", "timeout_ms": 800}
    bare.set(OCDMUX_SERVER=DOWN)
    options = ["--server", server.url, "--board", "b3", "--target", "t3", "--timeout", "900"]
    assert bare.run("state", *options).status == 0
    assert server.called("target.state")[1]["params"] == {"board": "b3", "target": "t3", "timeout_ms": 900}


def test_empty_variables_are_none(bare, server, examples) -> None:
    write_config(bare, f"server = {server.url}\nboard = b1\n")
    bare.set(OCDMUX_SERVER="", OCDMUX_BOARD="", OCDMUX_TARGET="", OCDMUX_TOKEN="", OCDMUX_TIMEOUT="")
    assert bare.run("state").status == 0
    assert server.params("target.state") == {"board": "b1"}


def test_where_the_file_is_looked_for(bare, server, examples, tmp_path) -> None:
    write_config(bare, f"server = {DOWN}\n")
    (tmp_path / "xdg" / "ocdmux").mkdir(parents=True)
    (tmp_path / "xdg" / "ocdmux" / "config").write_text(f"server = {server.url}\nboard = xdg\n")
    bare.set(XDG_CONFIG_HOME=str(tmp_path / "xdg"))
    assert bare.run("state").status == 0
    (tmp_path / "own").write_text(f"server = {server.url}\nboard = own\n")
    bare.set(OCDMUX_CONFIG=str(tmp_path / "own"))
    assert bare.run("state").status == 0
    assert [call["params"]["board"] for call in server.called("target.state")] == ["xdg", "own"]
    bare.set(OCDMUX_CONFIG="", OCDMUX_SERVER=server.url)
    assert bare.run("state").status == 0
    assert server.called("target.state")[2]["params"] == {}
    bare.set(OCDMUX_CONFIG=str(tmp_path / "missing"))
    outcome = bare.run("state")
    assert (outcome.status, outcome.error) == (2, f"ocdmux: {tmp_path}/missing: No such file or directory\n")


@pytest.mark.parametrize("text, reason", [
    ("server\n", ":1: this is not KEY = VALUE"),
    ("\n# x\nsever = tcp:x:1\n", ":3: there is no key 'sever'"),
    ("board =\n", ":1: board has no value"),
    ("board = a\x00b\n", ":1: this is no text: it holds a NUL byte"),
    ("\x1b[2J = 1\n", ":1: there is no key '\\x1b[2J'"),
    ("timeout = soon\n", "$OCDMUX_TIMEOUT is from 1 to 86400000, not 'soon'"),
])
def test_bad_configuration_is_bad_usage(bare, text, reason) -> None:
    write_config(bare, text)
    outcome = bare.run("state")
    assert outcome.status == 2 and reason in outcome.error, outcome
    assert bare.run("state", "--help").status == 0


@pytest.mark.parametrize("text, mode, reason", [
    ("token = x\n", 0o640, "holds a token and can be read by others: chmod 600 it"),
    ("token = x\n", 0o604, "holds a token and can be read by others: chmod 600 it"),
    ("board = x\n", 0o660, "can be written by others: chmod go-w it"),
    ("board = x\n", 0o602, "can be written by others: chmod go-w it"),
])
def test_file_that_others_may_use_is_refused(bare, server, examples, text, mode, reason) -> None:
    path = write_config(bare, f"server = {server.url}\n" + text, mode)
    outcome = bare.run("state")
    assert (outcome.status, outcome.error) == (2, f"ocdmux: {path}: {reason}\n")
    assert server.requests == []
    path.chmod(0o600)
    assert bare.run("state").status == 0


def test_file_without_a_token_may_be_read_by_all(bare, server, examples) -> None:
    write_config(bare, f"server = {server.url}\n", 0o644)
    assert bare.run("state").status == 0


def token_of(server: FakeServer) -> Any:
    """The token of the last hello."""
    return server.called("server.hello")[-1]["params"].get("token")


def test_tokens_in_files(bare, server, examples, tmp_path) -> None:
    bare.set(OCDMUX_SERVER=server.url)
    for name in ("one", "two", "three"):
        (tmp_path / name).write_text(f"token-{name}\n")
        (tmp_path / name).chmod(0o600)
    write_config(bare, f"token-file = {tmp_path}/one\n")
    assert bare.run("state").status == 0 and token_of(server) == "token-one"
    bare.set(OCDMUX_TOKEN_FILE=str(tmp_path / "two"))
    assert bare.run("state").status == 0 and token_of(server) == "token-two"
    bare.set(OCDMUX_TOKEN="plain")
    assert bare.run("state").status == 0 and token_of(server) == "plain"
    assert bare.run("--token-file", str(tmp_path / "three"), "state").status == 0 and token_of(server) == "token-three"


def test_token_in_the_environment_keeps_the_one_of_the_file_out(bare, server, examples, tmp_path) -> None:
    (tmp_path / "two").write_text("token-two")
    (tmp_path / "two").chmod(0o400)
    write_config(bare, f"server = {server.url}\ntoken = of-the-file\n")
    bare.set(OCDMUX_TOKEN_FILE=str(tmp_path / "two"))
    assert bare.run("state").status == 0 and token_of(server) == "token-two"


@pytest.mark.parametrize("content, mode, reason", [
    (b"secret\n", 0o644, "holds a token and can be read by others: chmod 600 it"),
    (b"secret\n", 0o620, "can be written by others: chmod go-w it"),
    (b"", 0o600, "holds no token: one word on one line"),
    (b"two words\n", 0o600, "holds no token: one word on one line"),
    (b"x" * 5000, 0o600, "is too large"),
    (None, 0o600, "No such file or directory"),
], ids=["read by others", "written by others", "empty", "two words", "too large", "missing"])
def test_bad_token_file_is_refused(bare, server, examples, tmp_path, content, mode, reason) -> None:
    path = tmp_path / "token"
    if content is not None:
        path.write_bytes(content)
        path.chmod(mode)
    outcome = bare.run("--server", server.url, "--token-file", str(path), "state")
    assert (outcome.status, outcome.error) == (2, f"ocdmux: {path}: {reason}\n")
    assert server.requests == []


def test_whoami_tells_identity_role_and_boards(tool, server) -> None:
    outcome = tool.run("whoami")
    assert outcome.status == 0
    assert "identity: anonymous\n" in outcome.out and "role: user\n" in outcome.out
    assert outcome.out.endswith("board: board\n")
    assert len(server.called("server.hello")) == 1


def test_completion_and_help_read_no_configuration(bare) -> None:
    write_config(bare, "nonsense\n")
    assert bare.run("complete", "--", "fla").out.startswith("flash\t")
    assert bare.run("--help").status == 0
