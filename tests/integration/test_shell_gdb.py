"""`ocdmux shell` says what gdb says: the same lines, on the same board, byte for byte.

gdb-multiarch is attached to OpenOCD's own gdb port, without a program. The lines are those where both should agree;
where the shell differs on purpose (OpenOCD tells gdb that unreadable memory is zero, the shell tells of the error; there
is no disassembler) test_shell.py says how.
"""

import base64
import os
import random
import re
import struct
import subprocess
from pathlib import Path
from typing import Any, Dict, Iterator, List

import pytest

from arm_program import build_counter
from harness.paths import build_file
from harness.stack import KIB, RAM_BASE, Stack, make_image

LIMIT_S = 120.0


def content() -> bytes:
    """2 KiB: noise, strings of every kind, floats, and words to find."""
    data = bytearray(random.Random(7).randbytes(256))
    data += b'hello\0\0world, this is\ta "test"\\ \x01\x7f\x80\xff1 \x1b[0m\n\0' + b"a" * 25 + b"\0xy" + b"z" * 12
    data += b"w" * 30 + b"\0" + b"q" * 250 + b"\0" + b"r" * 200 + b"\0"
    data = data.ljust(0x300, b"\0")
    data += "\uffff1A\u12341a\u30311".encode("utf-16-le") + b"\0\0" + "\U000120ac1g".encode("utf-32-le") + bytes(4)
    data = data.ljust(0x400, b"\0")
    data += struct.pack("<8f", 1.5, -2.25, 3.14159274, 1e30, float("inf"), float("-inf"), float("nan"), -0.0)
    data += struct.pack("<4d", 1.1, -1e300, float("nan"), 5e-324)
    data = data.ljust(2 * KIB, b"\xaa")
    for place in (0x4B2, 0x4B3, 0x4B4, 0x708):
        data[place : place + 4] = b"\xef\xbe\xad\xde"
    return bytes(data)


EXAMINE = [f"x/{count}{letter}{size} 0x20000000" for letter in "xduotcz" for size, count in zip("bhwg", (9, 9, 5, 3))]
EXAMINE += """
x/8fw 0x20000400
x/4fg 0x20000420
x/3fb 0x20000000
x/3fh 0x20000000
x/5a 0x20000000
x/2ab 0x20000000
x/2ah 0x20000000
x/3xw 0x20000001
x/s 0x20000100
x
x/3s
x/4s 0x20000130
x/s 0x20000274
x/2hs 0x20000300
x/2ws 0x20000316
x/x 0x20000100
x/c
x/f 0x20000400
x/xw 0x20000100
x/f 0x20000400
x/a
x/d
x/o
x/t
x/0x 0x20000100
x/-2xw 0x20000108
x
x/2wx 0x20000000
x/2xw0x20000000
x /2xh 0x20000000
x/3
p $_
p $__
x/xw $sp-4
x/2xh $pc
x/xw (int*)0x20000000
x/xw &*(int*)0x20000004
x/3uw 0x20000000+4*2
x/zz9 0x20000000
x/x2w 0x20000000
""".strip().splitlines()

VALUES = ["0", "-1", "65", "321", "200", "10", "(char)200", "(signed char)200", "(short)-5", "(unsigned short)70000",
          "0xffffffff", "5ll", "(unsigned long long)-1", "'a'", "3.5", "1.5f", "(int*)0x20000041", "$pc", "$r0",
          "*(int*)0x20000000", "*(float*)0x20000404", "*(unsigned char*)0x20000100@12", "*(short*)0x20000000@5"]
PRINT = [f"p{'/' if letter else ''}{letter} {value}" for value in VALUES for letter in ["", *"xduotcafsz"]
         if (letter, value) not in {("a", "*(unsigned char*)0x20000100@12")}]

EXPRESSIONS = """
p 1+2*3<<1
p 7&3|8^1
p ~5
p !5
p -5/2
p 10 % -3
p (unsigned)-10 / 3
p 5u - 6
p 1<<31
p 1ll<<40
p -1>>1
p 0xffffffff>>4
p 2147483647+1
p 4294967295+1
p -1 < 1u
p 5 > 3 > 1
p 1 ? 2 : 3 ? 4 : 5
p 0 && 1/0
p 1 || 1/0
p 0 ? 1/0 : 7
p 1,2
p 5 - -3
p 010
p 0b101
p 9223372036854775808
p 0x8000000000000000
whatis 2147483648
whatis 0xffffffff
whatis 9223372036854775808
whatis 1.5f*2
whatis 1.5f*2.0
whatis 'a'
p 7/2.0
p 1/3.0f
p 5/0.0
p 1e400
p .5
p 0x1p3
p 1.5e-3f
p (int)-2.9
p (unsigned char)300.7
p (float)16777217
p '\\n'
p '\\0'
p '\\x41'
p '\\''
p '"'
p '\\\\'
p '\\e'
p sizeof(int)*2
p sizeof(char*)
p (int*)0x20000000+1
p (int*)0x20000010-(int*)0x20000000
p (int*)0x20000004 > (int*)0x20000000
p ((int*)0x20000000)[1]
p {int}0x20000000
p {short}0x20000000
p/x {long long}0x20000000
p {char[6]}0x20000100
p {int[2]}0x20000000
p/x {unsigned short[4]}0x20000000
p &{int}0x20000000
p *0x20000000
p (char*)0x20000100
p (unsigned char*)0x20000100
p (char*)0x20000107
p (char*)0
p *(char*)0x20000100@6
p *(char*)0x20000100@7
p *(char*)0x20000130@60
p *(char*)0x20000174@200
p *(unsigned char*)0x20000000@220
p/x *(short*)0x20000000@300
p *(int*)0x20000720@10
p *(int*)0x20000720@11
p *(int*)0x20000700@20
p *(float*)0x20000400@8
p *(double*)0x20000420@4
p $
p $$
p $$3
p $1
p
p/x
p $nope
set $foo = 5
p $foo*2
p $foo += 2
p $q = 1.5
p $q*2
set $p = (int*)0x20000000
p *$p@2
p $p[1]
set var $foo = 3
p $foo
set $r0 = 5
p $r0
p $r1 = $r0 + 1
set $sp = $sp - 16
p $sp
set $pc = 0x08000042
p $pc
set *(int*)0x20000600 = 0x12345678
x/xw 0x20000600
p/x *(char*)0x20000600 = 300
set {short}0x20000602 = -2
p *(float*)0x20000604 = 1.5
set *(double*)0x20000608 = 2
x/6xw 0x20000600
p $pc+4
p $sp-4
p $sp == 0x20004ff0
p/x (int)$pc & ~1
whatis $pc
whatis $sp
whatis $r0
whatis $primask
info registers
info registers r0 $pc sp
info registers foo
i r r1
p 1/0
p 1%0
p 5+
p )
p 5 5
p 0xzz
p 09
p 99999999999999999999
p 5=6
p &5
p *(void*)5
p (int*)1.5
p 5@2
p *(int*)0x20000000@0
p *(int*)0x20000000@100000
p ''
p 'ab'
p $sp & 1
p ~1.5
p 1.5%2
p 5[3]
p $9999
p 5 #
p/i 5
p/w 5
p/2x 5
""".strip().splitlines()

SEARCHES = """
find 0x20000000, +2048, 0xdeadbeef
p $_
p $numfound
find /b 0x20000000, +2048, 0xef, 0xbe
find /h 0x20000000, 0x200007ff, 0xbeef, 0xdead
find /g 0x20000000, 0x200007ff, 0xdeadbeef
find 0x20000000, 0x200007ff, "hello"
find 0x20000000, 0x200007ff, 'h', 'e'
find /1w 0x20000000, +2048, 0xdeadbeef
find/w2 0x20000000, +2048, 0xdeadbeef
find 0x20000000, +2048, (short)0xbeef
find 0x20000000, +2048, (char)0x68, "el\\154o"
find 0x20000000, +2048, 1.5f
find /b 0x20000000, +512, 300
find &*(int*)0x20000000, +sizeof(int)*512, 0xdeadbeef
find 0x20000000, +2048, "nothing here"
find 0x20000000, +4, 0xdeadbeef, 1
find 0x20000000, +0, 1
find 0x20000000, 0x1fffffff, 1
find /x 0x20000000, +5, 1
find 0x20000000, +2048
find
""".strip().splitlines()

FILES = """
dump binary memory {}/one.bin 0x20000000 0x20000010
dump memory {}/two.bin 0x20000000 0x20000000+300
dump memory {}/none.bin 0x20000010 0x20000010
dump memory {}/none.bin 0x20000000
restore {}/one.bin binary 0x20000700
restore {}/one.bin binary 0x20000710 2 6
restore {}/one.bin binary 0x20000720 2
restore {}/one.bin binary 0x20000700 99
restore {}/one.bin binary 0x20000700 6 2
restore
x/16xw 0x20000700
break *0x08000042
hbreak *0x08000044
watch *(int*)0x20000000
rwatch *(int*)0x20000004
awatch *(char*)0x20000008
watch 5
info breakpoints
delete 2 5
delete 99
info break
delete
info break
stepi
stepi 3
frobnicate
info nonsense
""".strip().splitlines()


@pytest.fixture(scope="module", name="board")
def fixture_board(tmp_path_factory: pytest.TempPathFactory, validator: Any) -> Iterator[Stack]:
    """A board of its own, whose OpenOCD lets gdb in."""
    with Stack(tmp_path_factory.mktemp("gdb"), validator, image=make_image(128 * KIB), openocd_then=["gdb_port 0"],
               daemon_flags=["--anonymous-role", "admin"]) as stack:
        yield stack


def reset(board: Stack) -> None:
    """Memory and registers as both should find them."""
    client = board.client()
    client.call("target.reset", mode="halt")
    data = content().ljust(20 * KIB, b"\0")
    client.call("memory.write_bytes", address=RAM_BASE, data=base64.b64encode(data).decode())


def answers(command: List[str], before: str, lines: List[str], home: Path) -> List[str]:
    """What a program says to each of the lines."""
    script = before + "".join(f"echo @@\\n\n{line}\n" for line in lines) + "echo @@\\n\n"
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LC_ALL": "C"}
    environment.update({key: value for key, value in os.environ.items() if key.startswith(("ASAN_", "UBSAN_", "LSAN_"))})
    done = subprocess.run(command, input=script.encode(), env=environment, cwd=home, timeout=LIMIT_S,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    pieces = done.stdout.decode("latin-1").split("@@\n")
    assert len(pieces) == len(lines) + 2, done.stdout.decode("latin-1")[-2000:]
    return pieces[1:-1]


def by_gdb(board: Stack, lines: List[str], home: Path) -> List[str]:
    """What gdb says. With `fpu vfp` its doubles are those of today's Arm, which it would know from a program."""
    port = board.openocd.wait_for_line(r"Listening on port (\d+) for gdb").group(1)
    before = (f"set prompt\nset confirm off\nset pagination off\nset width 0\nset architecture armv7\nset arm fpu vfp\n"
              f"target extended-remote 127.0.0.1:{port}\n")
    said = answers(["gdb-multiarch", "-nx", "-q"], before, lines, home)
    # gdb's notes about itself, which come with the first access of a kind.
    return [re.sub(r"^(Note: automatically using|warning: Invalid state).*\n", "", text, flags=re.MULTILINE)
            for text in said]


def by_shell(board: Stack, lines: List[str], home: Path) -> List[str]:
    """What the shell says."""
    command = [str(build_file("ocdmux")), "--server", board.daemon.address, "shell", "--keep-going"]
    said = answers(command, "", lines, home)
    return [re.sub(r"^ocdmux: line \d+ failed\n", "", text, flags=re.MULTILINE) for text in said]


@pytest.fixture(scope="module", name="said")
def fixture_said(board: Stack, tmp_path_factory: pytest.TempPathFactory) -> Dict[str, Any]:
    """All lines, said to gdb first and then to the shell, each in a directory of its own."""
    homes = [tmp_path_factory.mktemp(name) for name in ("of-gdb", "of-shell")]
    blocks = {"examine": EXAMINE, "print": PRINT, "expressions": EXPRESSIONS, "searches": SEARCHES}
    lines = [line for block in blocks.values() for line in block]
    both = []
    for home, ask in zip(homes, (by_gdb, by_shell)):
        reset(board)
        said = ask(board, lines + [line.replace("{}", str(home)) for line in FILES], home)
        both.append([text.replace(str(home), "{}") for text in said])
    result, place = {}, 0
    for name, block in {**blocks, "files": FILES}.items():
        result[name] = list(zip(block, both[0][place:], both[1][place:]))
        place += len(block)
    return {"homes": homes, **result}


@pytest.mark.parametrize("block", ["examine", "print", "expressions", "searches", "files"])
def test_shell_says_what_gdb_says(said: Dict[str, Any], block: str) -> None:
    different = [(line, gdb, own) for line, gdb, own in said[block] if gdb != own]
    assert different == []
    assert len(said[block]) > 15 and any(gdb for _, gdb, _ in said[block])


def test_dumps_are_the_same(said: Dict[str, Any]) -> None:
    for name, size in (("one.bin", 16), ("two.bin", 300)):
        files = [(home / name).read_bytes() for home in said["homes"]]
        assert files[0] == files[1] == content()[:size]
    assert not any((home / "none.bin").exists() for home in said["homes"])


def test_sections_in_flash_are_loaded_and_compared_as_gdb_compares_them(
    board: Stack, said: Dict[str, Any], tmp_path: Path
) -> None:
    elf = build_counter(tmp_path, 0x08001000, 0x08001100)
    gdb, own = said["homes"]
    loaded = by_shell(board, [f"load {elf}", "compare-sections", "p $pc"], own)
    assert loaded[0].endswith("Start address 0x08001001\n") and loaded[2] == "$1 = (void (*)()) 0x8001000\n"
    assert by_gdb(board, [f"file {elf}", "compare-sections"], gdb)[1] == loaded[1]
    assert loaded[1].count("matched.") == 2
    broken = build_counter(tmp_path, 0x08001000, 0x08001104)
    differ = by_shell(board, [f"compare-sections {broken}"], own)[0]
    assert by_gdb(board, [f"file {broken}", "compare-sections"], gdb)[1] == differ
    assert "Section .data, range 0x8001104 -- 0x800110c: MIS-MATCHED!\n" in differ
