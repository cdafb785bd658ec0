"""Completion: what `complete` says, and real shells that ask it."""

import os
import pty
import re
import select
import shutil
import subprocess
import time
from pathlib import Path
from typing import Any, List

import pytest

COMPLETIONS = Path(__file__).resolve().parents[2] / "tools" / "completions"
LIMIT_S = 10.0

# words, what is offered
CASES = [
    (["fla"], ["flash"]),
    (["unb"], ["unbreak"]),
    (["lease", ""], ["acquire", "renew", "release", "status", "break"]),
    (["lease", "re"], ["renew", "release"]),
    (["protect", ""], ["on", "off"]),
    (["protect", "on", ""], []),
    (["reset", "h"], ["halt"]),
    (["events", "lease", "t"], ["target"]),
    (["token", ""], ["new"]),
    (["flash", ""], [":files"]),
    (["flash", "a", ""], []),
    (["dump", "0", "1", ""], [":files"]),
    (["with-lease", ""], [":commands"]),
    (["with-lease", "make", "--t"], [":files"]),
    (["with-lease", "--ttl", "5", ""], [":commands"]),
    (["flash", "--prep"], ["--prepare"]),
    (["flash", "--prepare", "reset_"], ["reset_halt", "reset_init"]),
    (["flash", "--prepare", "=", "no"], ["none"]),
    (["flash", "--prepare", "="], ["none", "halt", "reset_halt", "reset_init"]),
    (["flash", "--prepare=no"], ["--prepare=none"]),
    (["flash", "--no-verify", ""], [":files"]),
    (["--ca", ""], [":files"]),
    (["--json", "--board", "b", "boar"], ["boards"]),
    (["boards", "--bo"], []),
    (["status", "--bo"], ["--board"]),
    (["status", "--targ"], []),
    (["read", "--", "--wi"], []),
    (["call", "memory.read_u"], [f"memory.read_u{bits}" for bits in (8, 16, 32, 64)]),
    (["nonsense", ""], []),
    (["--nonsense", "boar"], ["boards"]),
]


@pytest.mark.parametrize("words, offered", CASES, ids=[" ".join(case[0]) for case in CASES])
def test_complete_offers(bare, words, offered) -> None:
    outcome = bare.run("complete", "--", *words)
    assert (outcome.status, outcome.error) == (0, "")
    assert [line.split("\t")[0] for line in outcome.out.splitlines()] == offered


def test_complete_offers_every_command_and_option(bare) -> None:
    offered = [line.split("\t")[0] for line in bare.run("complete", "--", "").out.splitlines()]
    listed = [line.split()[0] for line in bare.run("commands").out.splitlines()[1:]]
    assert offered == listed
    options = bare.run("complete", "--", "flash", "--").out
    assert all(f"--{name}\t" in options for name in ("prepare", "server", "json", "board", "target", "lease"))


def in_bash(tool: Any, line: str) -> List[str]:
    """What a real bash offers behind `line`."""
    script = (f'source {COMPLETIONS}/ocdmux.bash; COMP_WORDS=({line}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); '
              'COMPREPLY=(); _ocdmux; printf "%s\\n" "${COMPREPLY[@]}"')
    out = subprocess.run(["bash", "--norc", "-c", script], cwd=tool.directory, env=tool.environment, timeout=LIMIT_S,
                         stdout=subprocess.PIPE, check=True).stdout
    return sorted(out.decode().split())


def test_bash_offers_the_same(bare) -> None:
    bare.set(PATH=f"{bare.program.parent}:{bare.environment['PATH']}")
    (bare.directory / "app.elf").write_bytes(b"")
    (bare.directory / "app dir").mkdir()
    assert in_bash(bare, 'ocdmux lease ""') == ["acquire", "break", "release", "renew", "status"]
    assert in_bash(bare, 'ocdmux flash --prepare = reset_') == ["reset_halt", "reset_init"]
    assert in_bash(bare, 'ocdmux flash app.') == ["app.elf"]
    assert "bash" in in_bash(bare, 'ocdmux with-lease bas')
    assert in_bash(bare, 'ocdmux nonsense ""') == []


def typed(argv: List[str], environment: Any, directory: Path, setup: str, keys: str, wanted: str) -> str:
    """What a shell on a terminal has printed once `wanted` is there, after `setup`, a line, and `keys`."""
    process, leader = pty.fork()
    if process == 0:
        os.chdir(directory)
        os.execvpe(argv[0], argv, environment)
    got = ""
    try:
        os.write(leader, (setup + "; echo rea''dy\n").encode())
        deadline = time.monotonic() + LIMIT_S
        sent = False
        while time.monotonic() < deadline:
            if not select.select([leader], [], [], 1.0)[0]:
                continue
            got += os.read(leader, 4096).decode("utf-8", "replace")
            if not sent and "ready\r\n" in got:
                os.write(leader, keys.encode())
                got, sent = got.split("ready\r\n")[1], True
            # A shell may write a blank and take it back.
            if sent and wanted in re.sub(" \x08", "", got):
                return got
        raise AssertionError(f"no {wanted!r} in {got!r}")
    finally:
        os.kill(process, 9)
        os.waitpid(process, 0)
        os.close(leader)


def test_tab_in_a_real_bash(bare) -> None:
    environment = {**bare.environment, "PATH": f"{bare.program.parent}:{bare.environment['PATH']}", "PS1": "$ "}
    typed(["bash", "--norc", "--noprofile", "-i"], environment, bare.directory, f"source {COMPLETIONS}/ocdmux.bash",
          "ocdmux prot\tof\t3 --ba\t", "ocdmux protect off 3 --bank ")


@pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh")
def test_tab_in_a_real_zsh(bare) -> None:
    environment = {**bare.environment, "PATH": f"{bare.program.parent}:{bare.environment['PATH']}", "TERM": "dumb"}
    setup = f"fpath=({COMPLETIONS} $fpath); autoload -Uz compinit; compinit -D -u"
    typed(["zsh", "-f", "-i"], environment, bare.directory, setup, "ocdmux protec\tof\t3 --boar\t", "ocdmux protect off 3 --board ")
