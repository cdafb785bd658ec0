"""Colour: where a terminal shows it and nobody has forbidden it."""

import pytest

from fake_server import RpcError
from test_cli_terminal import run_on_terminal

PLAIN = "board        openocd         link  version\r\nstm32-lab-1  127.0.0.1:6666  idle  -\r\n"
COLOURED = ("\x1b[1mboard\x1b[0m        \x1b[1mopenocd\x1b[0m         \x1b[1mlink\x1b[0m  \x1b[1mversion\x1b[0m\r\n"
            "stm32-lab-1  127.0.0.1:6666  \x1b[32midle\x1b[0m  -\r\n")


@pytest.fixture(name="boards")
def fixture_boards(server) -> None:
    """One board."""
    server.on("board.list", {"boards": [{"board": "stm32-lab-1", "openocd": "127.0.0.1:6666", "link": "idle"}]})


@pytest.mark.parametrize("variables, options, coloured", [
    ({"TERM": "xterm"}, [], True),
    ({}, [], False),
    ({"TERM": "dumb"}, [], False),
    ({"TERM": "xterm", "NO_COLOR": "1"}, [], False),
    ({"TERM": "xterm", "NO_COLOR": ""}, [], True),
    ({"TERM": "xterm"}, ["--color", "never"], False),
    ({"TERM": "xterm", "OCDMUX_COLOR": "never"}, [], False),
    ({"TERM": "xterm", "OCDMUX_COLOR": "never"}, ["--color", "auto"], True),
    ({"NO_COLOR": "1"}, ["--color", "always"], True),
])
def test_color_on_a_terminal(tool, server, boards, variables, options, coloured) -> None:
    tool.set(**variables)
    assert run_on_terminal(tool, "boards", *options) == (0, COLOURED if coloured else PLAIN)


def test_no_color_in_a_pipe(tool, server, boards) -> None:
    tool.set(TERM="xterm")
    assert tool.run("boards").out == PLAIN.replace("\r", "")
    assert tool.run("boards", "--color", "always").out == COLOURED.replace("\r", "")
    assert "\x1b" not in tool.run("boards", "--json", "--color", "always").out


def test_errors_are_red_on_a_terminal(tool, server) -> None:
    tool.set(TERM="xterm")
    server.on("target.halt", RpcError("cancelled", "stopped"))
    seen = run_on_terminal(tool, "halt", which="stderr")[1]
    assert seen.startswith("\x1b[31mocdmux: cancelled: \x1b[0mstopped\r\n")
