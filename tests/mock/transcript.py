"""What is said to the mock and to real OpenOCD in the differential test.

A step is a script; it runs in an envelope and then bare, on both.  Each section
starts with a fresh board of 32 KiB of flash that runs RUNS_FOR_EVER.  DIR stands for a directory
with the files below.  `settle` names the target state to wait
for afterwards, where OpenOCD finds out by polling, whose moment is its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Dict, List, Optional, Union

from tclwire import quote

PATTERN = bytes((index * 7 + index // 256) & 0xFF for index in range(1301))

FILES: Dict[str, bytes] = {
    "odd.bin": PATTERN,
    "even.bin": PATTERN[:512],
    "empty.bin": b"",
    "short.bin": b"12345678",
    "s19like.bin": b"S1230000not really a record at all",
    "ones.bin": b"\xff" * 256,
    "image.hex": (
        b":020000040800F2\n:1002000000112233445566778899AABBCCDDEEFFF6\n"
        b":0402300001020304C0\n:00000001FF\n"
    ),
    "image.s19": b"S00600004844521B\nS3150800030000112233445566778899AABBCCDDEEFFE7\nS70508000000F2\n",
    "two words.bin": b"name with a blank",
}

RUNS_FOR_EVER = (
    # A vector table whose reset handler, at 0x40, is NOP, NOP, `b .`.
    b"\x00\x50\x00\x20" + b"\x41\x00\x00\x08" * 15 + b"\x00\xbf\x00\xbf\xfe\xe7\xff\xff"
)


@dataclass
class Step:
    """One script and what to wait for after it."""

    script: bytes
    settle: Optional[str] = None


def steps(*scripts: Union[str, bytes, Step]) -> List[Step]:
    """Steps from plain scripts."""
    out = []
    for script in scripts:
        if isinstance(script, Step):
            out.append(script)
        else:
            out.append(Step(script.encode("latin-1") if isinstance(script, str) else script))
    return out


TCL = steps(
    "", " ", "\n", "set a 5", "set a", "set nope", "set", "incr a", "incr a -2", "incr a zz", "incr fresh",
    "append a x y", "set a", "append a", "unset a", "unset a", "unset -nocomplain a", "info exists a",
    "expr 1+2", "expr {1 + 2 * 3}", "expr {(1+2)*3}", "expr {7/2} ", "expr {-7/2}", "expr {-7%3}",
    "expr {7.0/2}", "expr {1.5+1.5}", "expr {1/0}", "expr {5 > 3 && 2 < 1}", "expr {5 > 3 || 2 < 1}",
    "expr {!0}", "expr {~5}", "expr {1 ? 2 : 3}", "expr {0x10 | 0x01}", "expr {6 & 3}", "expr {6 ^ 3}",
    "expr {1 << 40}", "expr {1 << 63}", "expr {256 >> 4}", 'expr {"abc" eq "abc"}', 'expr {"abc" ne "abd"}',
    'expr {"abc" == "abc"}', 'expr {"a" in {a b c}}', 'expr {"z" ni {a b c}}', "expr {2 ** 10}",
    "expr {0x7fffffffffffffff + 1}", "expr {1 +}", "expr {}", "expr {foo}", "expr {1 2}", "expr {\"a\" + 1}",
    "expr 1 + 1", "expr {1e3}", "expr {1.0}", "expr {int(3.7)}", "expr {abs(-3)}", "expr {round(2.5)}",
    "set x 4; expr {$x * 2}", "expr {[llength {a b c}] + 1}",
    "if 1 {set r yes}", "if 0 {set r yes}", "if 0 {set r yes} else {set r no}",
    "if {$x == 4} then {set r four} elseif {$x == 5} {set r five} else {set r other}", "if", "if 1",
    "if {zz} {}", "set i 0; while {$i < 5} {incr i}; set i", "while 1 {break}", "while", "while {$nope} {}",
    "set i 0; set r {}; while {$i < 5} {incr i; if {$i == 2} continue; if {$i == 4} break; lappend r $i}; set r",
    "for {set i 0; set r {}} {$i < 3} {incr i} {lappend r $i}; set r", "for",
    "set r {}; foreach e {a b c} {lappend r <$e>}; set r", "foreach {a b} {1 2 3} {lappend r $a-$b}; set r",
    "foreach", "foreach {} {a} {}", "lmap e {1 2 3} {expr {$e * 2}}",
    "switch b {a {set r 1} b {set r 2} default {set r 3}}", "switch z {a - b {set r 1} default {set r 3}}",
    "switch -glob abc {a* {set r glob}}", "switch q {a {set r 1}}",
    "proc p {a {b 2} args} {return \"$a/$b/$args\"}", "p 1", "p 1 9", "p 1 9 8 7", "p", "proc q {} {}", "q", "q 1",
    "proc r1 {} {error inner}", "r1", "catch r1 m o; set o", "catch {r1} m; set m",
    "proc r2 {} {\n  set z 1\n  r1\n}", "r2", "catch r2 m o; set o", "proc r3 {} {\n\n  r2\n}",
    "catch r3 m o; set o", "r3",
    "proc rec {} {rec}", "catch rec m; set m", "proc ev {n} {eval {ev $n}}", "catch {ev 1} m; set m", "\n\nr3",
    "catch {\n\nr3} m o; set o",
    "proc pcode {} {return -code 7 seven}", "catch pcode m; set m", "catch pcode", "pcode",
    "proc pc {} {return -code error boo}", "catch pc m o; list $m $o", "proc pl {} {return -level 2 up}",
    "proc pl2 {} {pl; return not}", "pl2", "error boom", "error boom {a b 3}", "error",
    "catch {error boom} m o; set o",
    "catch {error boom {} {MY CODE}} m o; set o", "return", "return 5", "return -code 5 x", "return -code error y",
    "return -code break", "return -code foo x", "return -level 0 z", "return a b c",
    "break", "continue", "exit", "exit 3", "throw 5 five", "throw error bad", "throw",
    "catch {break}", "catch {continue}", "catch {return x} r; set r", "catch {error x}", "catch {set y 3} r; set r",
    "catch {exit 3}", "catch -exit {exit 3}", "catch", "catch {} a b c", "catch -foo {}",
    "catch -- {error q} m; set m",
    "catch {nosuchcommand a b} m; set m", "nosuchcommand a b", "::set a 9", "set ::a", "set {a b} c; set {a b}",
    "apply {{a b} {expr {$a + $b}}} 3 4", "apply {{a} {return $a}}", "apply foo", "apply",
    "proc up {} {upvar x y; incr y}; set x 1; up; set x", "proc gl {} {global x; incr x}; gl; set x",
    "proc ul {} {uplevel 1 {set fromul 3}}; ul; set fromul", "uplevel #0 {set top 4}; set top",
    "uplevel #5 {set a}",
    "uplevel", "upvar", "upvar 1 a b", "global", "eval set a 3", "eval {set a} 4", "eval", "eval {error evil}",
    "rename p pp; pp 1", "rename nope other", "rename set", "info commands lindex", "info procs pp",
    "info body pp", "info args pp", "info body set", "info level", "info exists x", "info exists", "info version",
    "subst {a $x [set x] \\n}", "list a {b c} {} \\{ \\\\ \"x y\" #", "list # a", "list {a\\} {b}} {[x} {x]} \\$ ;",
    "lindex {a b c} 1", "lindex {a b c} end", "lindex {a b c} end-1", "lindex {a b c} 9", "lindex {a b c} -1",
    "lindex {{a b} {c d}} 1 0", "lindex {a b c}", "lindex", "lindex {a b} zz", "llength {a b {c d}}", "llength",
    "llength {a {b}", "lappend l1 a {b c}", "lappend l1 {}", "lrange {a b c d} 1 2", "lrange {a b c d} 1 end",
    "lrange {a b c d} 3 1", "lrange {a b} 0", "lreverse {a b c}", "linsert {a b} 1 x", "lrepeat 3 a b",
    "lsearch {a b c} b", "lsearch {a b c} z", "lsort {b a c}", "lsort -integer {10 9 8}", "lassign {1 2 3} q1 q2",
    "concat a {b c} { d }", "join {a b c} ,", "join {a {b c}}", "split a,b,,c ,", "split {a b}", "split abc {}",
    "string length abc", "string length", "string bytelength \\xe4\\xf6", "string equal a a", "string equal a",
    "string compare a b", "string compare b a", "string repeat ab 3", "string repeat ab 0",
    "string map {a 1 b 2} abcab",
    "string map {a} abc", "string range abcdef 1 3", "string range abcdef 2 end", "string index abc 1",
    "string index abc end", "string first b abcb", "string last b abcb", "string first z abc",
    "string trim {  a b  }",
    "string trim xxaxx x", "string tolower ABC", "string toupper abc", "string match a*c abc",
    "string match {[ab]x} bx",
    "string is integer 12", "string is integer zz", "string reverse abc",
    "format %d 5", "format %5d| 5", "format %-5d| 5", "format %05d 5", "format %x 255", "format 0x%08x 4096",
    "format %s abc", "format %10s| abc", "format %c 65", "format %f 1.5", "format %.2f 1.555",
    "format %e 12345.678",
    "format %%", "format %u 5", "format %o 8", "format %d", "format %d zz", "format", "format {%s %s} a b",
    "format %s",
    "set b(x) 1", "set b(x)", "set b(y) 2; set b", "set b(z)", "set nope2(z)", "dict get {a 1 b 2} b",
    "dict get {a 1} z",
    "dict create a 1 b 2", "dict exists {a 1} a", "dict set dd k v", "set $", "set dollar a$ ; set dollar",
    "set v {a}b", "set v \"a\"b", "set v a{b}c", "set v {a", "set v [a", "set v \"a", "set v a\\", "# comment",
    "# c\nset v 2",
    "set v 1; # trailing", "set v {*}{a b}", "list {*}{a b} c", "list {*}$l1", "set v \\x41\\u0041\\101\\n\\t",
    "set v \\xzz",
    "set v a\\\n   b", "set v \"a\\\n   b\"", "set v {a\\\n   b}", "set v $(1+2)", "set v \"$(2*3) x\"",
    "set v ${x}",
    "set v ${no such}", "set v [list a\nlist b]", "set v \"[error in]\"", "set v \"a[break]b\"", "set v [break]",
    "set v \"a[return q]b\"", "set v [catch break]", "exists x", "range 1 4", "clock foo", "tailcall",
    "regexp {a(b)} xab m s; list $m $s",
)

FILES_STEPS = steps(
    "set f [open DIR/out1 wb]; $f puts -nonewline abc; $f close; file size DIR/out1",
    "set f [open DIR/out1 rb]; set d [$f read]; $f close; set d",
    "set f [open DIR/out1 rb]; $f seek 1; set d [$f read 1]; set p [$f tell]; $f close; list $d $p",
    "set f [open DIR/out1 rb]; $f read; set e [$f eof]; $f close; set e",
    "set f [open DIR/out1 a]; puts $f line; close $f; file size DIR/out1",
    "set f [open DIR/out1]; set d [gets $f]; close $f; set d",
    "set f [open DIR/out1 r]; set d [read $f]; close $f; set d",
    "set f [open DIR/out1 r]; set d [read -nonewline $f]; close $f; set d",
    "set f [open DIR/out1 r]; set d [read $f 2]; close $f; set d",
    "set f [open DIR/out1 r]; set d [$f read -nonewline]; close $f; set d",
    "open DIR/nope/x wb", "open DIR/nope rb", "open", "open DIR/out1 qq",
    "set f [open DIR/out1 rb]; catch {$f puts x} m; $f close; set m",
    "set f [open DIR/out1 rb]; catch {$f read -1} m; $f close; set m",
    "set f [open DIR/out1 rb]; catch {$f read zz} m; $f close; set m",
    "set f [open DIR/out1 rb]; catch {$f seek zz} m; $f close; set m",
    "set f [open DIR/out1 rb]; catch {$f seek -5} m; $f close; regsub {aio.handle[0-9]+} $m H",
    "close nosuch", "aio.handle99 read",
    "file exists DIR/out1", "file exists DIR/nope", "file size DIR/nope", "file size", "file isfile DIR/out1",
    "file isdirectory DIR",
    "file mkdir DIR/sub/deep", "file isdirectory DIR/sub/deep", "file mkdir DIR/out1/x",
    "file rename DIR/out1 DIR/out2",
    "file exists DIR/out1", "file rename DIR/nope DIR/n2", "file rename DIR/odd.bin DIR/even.bin",
    "file rename -force DIR/out2 DIR/out3",
    "file delete DIR/out3", "file delete DIR/out3", "file delete DIR/sub", "file delete -force DIR/sub",
    "file exists DIR/sub",
    "file foo", "file", "file tail /a/b.c", "file dirname /a/b.c", "file extension /a/b.c",
    "pack v 258 -intbe 16; set v", "pack w 258 -intle 32; set w", "unpack $v -uintbe 0 16", "pack",
    "unpack abc -str 8 8",
)

BINARY = steps(
    b"set v \x01\x02\x7f\x80\xfe\xff; string length $v",
    b"set v \"" + bytes(b for b in range(1, 256) if b not in b'\x1a"\\[$') + b"\"",
    b"format %s [string repeat ab 100000]", b"string repeat \\x00 70", b"string repeat \\x1a 70", b"set v \\x1a",
    b"set v a\\x00b",
    b"error a\\x00b", b"error a\\x1ab", b"return \\x00", b"error \\x1a", b"set v \"}\"", b"set v }", b"}", b"{",
    b"]", b"\"", b"\\", b"$", b"[", b"[]", b"set v [",
    b"set v {}}", b"set v {{}", b"# {", b"# }", b"# \"", b"set v ;}", b"list }{", b"list ][ ", b"return \\}",
    b"error \\{", b"list \\x00 a",
    Step(b"echo a\\x00b"), Step(b"set v a\0b"), Step(b"error \"x\0y\""), b"string bytelength \\x1a\\x00\\x1a",
    b"echo \\x1a",
    b"string repeat \\x1a\\x00}{ 20000", b"error [string repeat x 5000]", b"set \\x00 1", b"\\x00", b"nosuch\\x1a",
    b"list \x1a",
)

GENERAL = steps(
    "version", "version x", "echo hello", "echo -n hello", "echo", "echo a b", "echo -n",
    "capture {echo hi; set q 3}", "capture {set q 3}",
    "capture {error cap}", "capture {echo hi; error cap}", "capture", "capture {capture {echo in}; echo out}",
    "capture {return 5}",
    "catch {capture {flash info 9}} m; set m", "targets", "targets vb.cpu", "targets 0", "targets foo",
    "target names", "target current",
    "target names x", "target", "target foo", "vb.cpu", "vb.cpu foo", "vb.cpu curstate", "vb.cpu curstate x",
    "vb.cpu was_examined", "vb.cpu cget -endian",
    "vb.cpu cget -type", "vb.cpu cget", "vb.cpu cget -foo", "vb.cpu cget -work-area-size", "adapter name",
    "adapter name x",
    "tcl_notifications", "tcl_notifications on", "tcl_notifications foo", "tcl_notifications on off",
    "tcl_trace on", "tcl_trace off", "tcl_trace",
    "sleep 1", "sleep", "sleep zz", "sleep 1 busy", "sleep 1 foo", "poll off", "poll on", "poll foo", "poll on off",
    "flash", "flash foo", "flash banks x",
    "flash list x", "nosuch", "usage nosuch",
)

MEMORY = steps(
    "read_memory 0x20000000 32 4", "write_memory 0x20000000 32 {1 2 0x12345678 0xffffffff}",
    "read_memory 0x20000000 32 4",
    "read_memory 0x20000000 16 4", "read_memory 0x20000000 8 9", "read_memory 0x20000002 16 2",
    "read_memory 0x20000001 8 2",
    "vb.cpu read_memory 0x20000000 32 1", "vb.cpu write_memory 0x20000010 8 {1 2 3}", "read_memory 0x20000010 32 1",
    "read_memory 0x20000000 32 1 phys", "write_memory 0x20000004 32 7 phys", "read_memory 0x20000004 32 1",
    "write_memory 0x20000000 8 {0x1ff -1}", "read_memory 0x20000000 8 2", "write_memory 0x20000000 16 0x12345",
    "read_memory 0x20000000 16 1",
    "read_memory 0x20000000 32 0", "write_memory 0x20000000 32 {}", "read_memory 0x20000000 32 1025",
    "read_memory 536870912 32 2",
    "read_memory", "read_memory 0 32", "read_memory 0 32 1 2 3", "read_memory zz 32 1", "read_memory 0 zz 1",
    "read_memory 0 32 zz",
    "read_memory 0x20000000 31 1", "read_memory 0x20000000 0 1", "read_memory 0x20000000 32 65537",
    "read_memory 0x20000000 32 70000",
    "read_memory 0x20000000 32 -1", "read_memory 0xfffffffffffffff0 32 40", "read_memory -16 32 1",
    "read_memory 0x20000000 32 1 foo",
    "read_memory 0x20000000 64 1", "read_memory 0x20000001 32 1", "read_memory 0x20000001 16 2",
    "read_memory 0x20000002 32 1",
    "read_memory 0x30000000 32 1", "read_memory 0x30000000 16 1", "read_memory 0x30000000 8 4",
    "read_memory 0x20004ffc 32 2",
    "read_memory 0x20004ff0 8 32", "read_memory 0x20004000 32 2000", "read_memory 0x120000000 32 1",
    "read_memory 0x1ffff7e0 16 1",
    "read_memory 0xe0042000 32 1", "read_memory 0x1ffff800 16 8", "read_memory 0 32 4",
    "read_memory 0x08007ffc 32 1", "read_memory 0x08007ffc 32 2",
    "write_memory", "write_memory 0x20000000 32", "write_memory zz 32 1", "write_memory 0x20000000 31 1",
    "write_memory 0x20000000 32 1 foo",
    "write_memory 0x20000000 64 1", "write_memory 0x30000000 32 1", "write_memory 0x30000000 8 {1 2 3}",
    "write_memory 0x20000001 32 1",
    "write_memory 0x20004ffc 32 {5 6}", "read_memory 0x20004ffc 32 1", "write_memory 0x08000000 16 1",
    "write_memory 0x08000000 32 1",
    "write_memory 0x20000000 32 {9 zz 3}", "read_memory 0x20000000 32 3",
    "write_memory 0xfffffffffffffff0 32 {1 2 3 4 5 6 7}",
    "mdw 0x20000000 10", "mdh 0x20000000 3", "mdb 0x20000000 40", "mdw phys 0x20000000", "mdw", "mdw zz",
    "mdw 0x30000000", "mdw 0x20000000 zz",
    "mww 0x20000000 5 2", "mwh 0x20000000 6", "mwb 0x20000001 7", "mww", "mww 0x20000000", "mww 0x20000000 zz",
    "mww 0x30000000 1", "mdw 0x20000000 2",
    "load_image DIR/odd.bin 0x20000000 bin", "read_memory 0x20000000 8 16", "load_image DIR/image.s19 0x18000000",
    "load_image DIR/odd.bin 0x30000000 bin",
    "load_image DIR/nope 0x20000000 bin", "load_image DIR/short.bin 0x20000000",
    "load_image DIR/odd.bin 0x20000000 foo", "load_image", "load_image DIR zz",
    "load_image DIR/odd.bin 0x20000000 bin 0x20000100 16", "load_image DIR/odd.bin 0x20000000 bin 0x30000000",
    "load_image {DIR/two words.bin} 0x20000100 bin",
    "load_image DIR/empty.bin 0x20000000 bin", "load_image DIR/even.bin 0x20004f00 bin", "load_image DIR",
    "dump_image DIR/d1 0x20000000 5001", "dump_image DIR/d2 0x20004ff0 64", "dump_image DIR/d3 0x20000000 0",
    "dump_image DIR/nope/d 0x20000000 4", "dump_image DIR/d4",
    "dump_image DIR/d4 zz 4", "dump_image DIR/d5 0x20000001 7", "dump_image DIR/d6 0x08000000 4096",
)

# As the daemon asks: the target's state in the same command as what is read or written.
READ_REGISTERS = (
    "apply {{t n} {set s [$t curstate]; set v {}; if {$s eq {halted}} {set v [$t get_reg $n]};"
    ' list $s $v [$t curstate]}} "vb.cpu" [list "r0" "pc"]'
)
WRITE_REGISTERS = (
    "apply {{t n d} {set s [$t curstate]; set v {}; if {$s eq {halted}} {$t set_reg $d; set v [$t get_reg $n]};"
    ' list $s $v [$t curstate]}} "vb.cpu" [list "r5" "primask"] [list "r5" 0x12345678 "primask" 0x01]'
)
STEP_AND_LOOK = (
    'apply {{t s} {eval $s}} "vb.cpu" "step; set p {}; catch {set p \\[lindex \\[\\$t get_reg pc] 1]};'
    ' list \\[\\$t curstate] \\$p"'
)
LIST_POINTS = 'apply {{t s} {eval $s}} "vb.cpu" "set x \\[bp]; set y \\[wp]; set z \\"\\$x\\\\n\\$y\\""'
REMOVE_DATA = (
    'apply {{t s} {eval $s}} "vb.cpu" "if {\\[\\$t curstate] ne {halted}} {error \\"\\$t is not halted\\"};'
    ' rwp 0x20000010; "'
)

RUN_CONTROL = steps(
    "tcl_notifications on", "vb.cpu curstate", "get_reg pc", "reg pc", "reg r0 1", "set_reg {r0 1}", "reg", "poll",
    "halt", "halt", "halt 0", "halt 100", "wait_halt", "wait_halt 10", "halt zz", "wait_halt zz", "wait_halt 1 2",
    "vb.cpu curstate", "targets", "poll", "reg",
    "reg r0", "reg r0 0x55", "reg r0", "reg r0 zz", "reg r0 force", "reg 0", "reg 13", "reg 18", "reg 19", "reg 20",
    "reg 99", "reg 72", "reg 24", "reg nope", "reg {}",
    "reg r0 1 2", "reg pc", "reg primask", "reg control", "reg xPSR", "reg r1 077", "reg r1", "reg r1 10",
    "reg r1 0xffffffffff", "reg r1",
    "get_reg pc", "get_reg {pc sp r0}", "get_reg -force {r0 r1}", "get_reg -foo pc", "get_reg", "get_reg nope",
    "get_reg {}", "get_reg {r0 nope}", "vb.cpu get_reg r0",
    "set_reg {r2 0x1234}", "get_reg r2", "set_reg {r2 7 r3 8}", "get_reg {r2 r3}", "set_reg {r2 zz}", "get_reg r2",
    "set_reg {nope 1}", "set_reg {r2}", "set_reg {}", "set_reg",
    "vb.cpu set_reg {r4 4}", "reg r4", "reg", READ_REGISTERS, WRITE_REGISTERS, "reg r5",
    "resume", READ_REGISTERS, WRITE_REGISTERS, STEP_AND_LOOK,
    Step(b"resume"), Step(b"halt", settle="halted"), "resume 0x08000040", "vb.cpu curstate",
    Step(b"step"), "resume zz", "step zz", "resume 1 2",
    "get_reg -force pc", "set_reg {r0 1}", "wait_halt 10", Step(b"halt 0", settle="halted"), "vb.cpu curstate",
    "reg pc 0x08000040", STEP_AND_LOOK, READ_REGISTERS, "step", "step", "step", "step 0x08000040", "reg pc",
    "step 0x20000000 1", "reset halt", "vb.cpu curstate", "reg pc", "reset init",
    Step(b"reset run", settle="running"), "vb.cpu curstate", Step(b"reset", settle="running"),
    Step(b"halt", settle="halted"), "reset foo", "reset halt run", "reg",
    "mww 0x20000000 0xe7febf00", "step 0x20000000", "reg pc", "step", "reg pc", "reset halt",
)

BREAKPOINTS = steps(
    "tcl_notifications on", "bp", "wp", "bp 0x08000042 2 hw", "bp", Step(b"wp 0x20000080 4 r"), "rbp 0x08000042",
    "reset halt", "bp", "bp 0x08000000 2 hw", "bp 0x08000000 2 hw",
    "bp 0x20000000 2", "bp", "read_memory 0x20000000 16 1", "bp 0x20000100 2 hw", "bp 0x08000010",
    "bp 0x08000010 4", "bp 0x08000010 3 hw", "bp 0x08000020 2 foo", "bp zz 2 hw", "bp 0x08000000 zz",
    "bp 0x08000001 2 hw", "bp 0x30000000 2", "bp 0x08000200 2", "bp 1 2 3 4 5", "bp 0x08000100 1 2", "bp 0 1 2",
    "bp 5 2 hw_ctx", "bp 0x08000300 0 2", "bp", "rbp 0x08000000", "rbp 0x08000000", "rbp zz",
    "rbp", "rbp 1 2", "rbp all", "bp", "read_memory 0x20000000 16 1", "wp 0x20000000 4", "wp 0x20000000 4 r",
    "wp 0x20000000 4 a", "wp 0x20000010 4 w", "wp 0x20000020 4 a 0x55", "wp 0x20000030 4 r 0x55 0xff",
    "wp 0x20000040 4 x", "wp 0x20000041 4 r", "wp 0x20000050 3 r", "wp 0x20000060", "wp 1 2 3 4 5 6", "wp zz 4",
    "wp 0x20000060 zz", "wp 0x20000060 1 r", "wp 0x20000062 2 r", "wp 0x20000064 4 r", "wp", LIST_POINTS,
    "rwp 0x20000000", "rwp 0x20000000", "rwp", "rwp zz", "wp",
    "write_memory 0x20000200 16 {0xbf00 0xbf00 0xbf00 0xe7fe}", "bp 0x20000204 2", "rbp 0x20000204",
    "bp 0x08000042 2 hw", Step(b"resume 0x08000040", settle="halted"), "reg pc", "poll", "step", "rbp all",
    "bp 0x08000000 2 hw", "bp 0x08000000 2 hw", "rbp all", Step(b"resume", settle="running"),
    "bp 0x08000004 2 hw", "bp", LIST_POINTS, "rbp 0x08000004", REMOVE_DATA, "rwp 0x20000010", REMOVE_DATA, "wp",
    Step(b"halt", settle="halted"),
    "bp 0x08000000 2 hw", "bp 0x08000004 2 hw", "bp 0x08000008 2 hw", "bp 0x0800000c 2 hw", "bp 0x08000010 2 hw",
    "bp 0x08000014 2 hw", "bp 0x08000018 2 hw", "reset halt", "bp", "wp", "rbp all", "vb.cpu mdw 0x20000200 2",
    "vb.cpu mww 0x20000200 5", "vb.cpu mdw 0x20000200", "vb.cpu mdw", "vb.cpu mww",
)

FLASH = steps(
    "tcl_notifications on", "flash banks", "flash list", "flash info 0", "flash erase_check 0", "reset halt",
    "flash banks", "flash list", "flash probe 0", "flash probe vb.flash", "flash probe 9", "flash probe nope",
    "flash probe", "flash banks", "flash list",
    "flash info 0", "flash info 0 sectors", "flash info vb.flash", "flash info 9", "flash info nope", "flash info",
    "flash info 0 foo", "flash info {}", "flash info 0 sectors x",
    "flash erase_check 0", "flash erase_check 9", "flash erase_check", "flash erase_sector 0 4 7",
    "flash erase_sector 0 3 2", "flash erase_sector 0 0 32", "flash erase_sector 0 31 last",
    "flash erase_sector 0 4", "flash erase_sector 0 x 1", "flash erase_sector 0 1 x", "flash erase_sector 0 -1 2",
    "flash erase_sector 0 0x1ffffffff 2", "flash erase_sector 0 08 2",
    "flash erase_sector 9 0 1", "flash erase_sector nope 0 1", "flash erase_address 0x08001000 0x400",
    "flash erase_address 0x08001000 0x401", "flash erase_address pad 0x08001001 0x401",
    "flash erase_address 0x30000000 0x400", "flash erase_address 0x08001000 0", "flash erase_address",
    "flash erase_address foo 0x08001000 0x400", "flash erase_address unlock 0x08001000 0x1000",
    "flash erase_address pad unlock 0x08001010 0x10", "flash erase_address 0x08007c00 0x800",
    "flash erase_address zz 4", "flash erase_address 0x08001000 zz",
    "flash write_bank 0 DIR/even.bin 0x1000", "flash write_bank 0 DIR/even.bin 0x1000",
    "flash verify_bank 0 DIR/even.bin 0x1000", "flash verify_bank 0 DIR/even.bin 0x1004",
    "flash verify_bank 0 DIR/ones.bin 0x1000", "flash verify_bank 0 DIR/nope 0x1000",
    "flash verify_bank 0 DIR/empty.bin", "flash verify_bank 0 DIR/even.bin 0x7ff0",
    "flash verify_bank 0 DIR/even.bin 0x8001", "flash verify_bank 0", "flash verify_bank 9 DIR/even.bin",
    "flash write_bank 0 DIR/ones.bin 0x1000", "flash erase_sector 0 4 7",
    "flash write_bank 0 DIR/odd.bin 0x1001", "flash erase_sector 0 4 7", "flash write_bank 0 DIR/odd.bin 0x1001",
    "read_memory 0x08001000 8 8", "flash write_bank 0 DIR/odd.bin 0x8000",
    "flash write_bank 0 DIR/odd.bin 0x8001", "flash erase_sector 0 31 31", "flash write_bank 0 DIR/odd.bin 0x7ff0",
    "flash write_bank 0 DIR/nope 0", "flash write_bank 0 DIR/empty.bin 0",
    "flash write_bank 0", "flash write_bank 9 DIR/even.bin", "flash write_bank 0 DIR/even.bin zz",
    "flash write_bank 0 DIR",
    "flash read_bank 0 DIR/r1 0x1000 100", "flash read_bank 0 DIR/r2", "flash read_bank 0 DIR/r3 0x8000 16",
    "flash read_bank 0 DIR/r3 0x8001 16", "flash read_bank 0 DIR/r3 0 0x8001",
    "flash read_bank 0 DIR/nope/r 0 16", "flash read_bank 0 DIR/r4 0x7f00", "flash read_bank 0 DIR/r5 0 0",
    "flash read_bank 0", "flash read_bank 0 DIR/r5 zz",
    "flash erase_sector 0 4 20", "flash write_image DIR/odd.bin 0x08001000 bin",
    "flash write_image DIR/odd.bin 0x08001000 bin", "flash write_image erase DIR/odd.bin 0x08001000 bin",
    "flash write_image erase DIR/odd.bin 0x08001001 bin",
    "flash write_image erase unlock DIR/odd.bin 0x08001400 bin", "flash write_image DIR/odd.bin 0x30000000 bin",
    "flash write_image erase DIR/even.bin 0x08007f00 bin", "flash erase_sector 0 31 31",
    "flash write_image DIR/even.bin 0x08007f00 bin", "flash write_image DIR/nope 0x08000000 bin",
    "flash write_image DIR/odd.bin 0x08000000 foo", "flash write_image", "flash write_image erase",
    "flash write_image erase DIR/short.bin 0x08002000", "flash write_image erase DIR/short.bin 0x08002000 bin",
    "flash write_image DIR/empty.bin 0x08002000 bin", "flash write_image erase DIR/image.hex",
    "read_memory 0x08000200 8 64", "flash write_image erase DIR/image.hex 0x1000 ihex",
    "flash write_image erase DIR/image.s19", "flash write_image erase DIR/s19like.bin 0x08002000 bin",
    "flash write_image DIR 0x08000000 bin", "flash write_image DIR/odd.bin zz bin",
    "flash verify_image DIR/image.hex", "flash verify_image DIR/odd.bin 0x08001400 bin",
    "flash verify_image DIR/odd.bin 0x08001402 bin", "flash verify_image",
    "verify_image DIR/odd.bin 0x08001400 bin", "verify_image DIR/odd.bin 0x08001402 bin",
    "verify_image DIR/nope 0 bin", "verify_image", "verify_image_checksum DIR/odd.bin 0x08001400 bin",
    "verify_image_checksum DIR/odd.bin 0x08001402 bin", "verify_image DIR/even.bin 0x30000000 bin",
    "verify_image DIR/odd.bin 0x08001400 foo", "verify_image DIR/short.bin 0x08002000",
    "flash erase_sector 0 24 25", "flash fillw 0x08006000 0x12345678 4", "flash fillw 0x08006000 0x12345678 4",
    "flash fillh 0x08006100 0xabcd 3", "flash fillb 0x08006201 0x12 3",
    "flash filld 0x08006300 0x1122334455667788 1",
    "flash fillw 0x08007ff0 0x12345678 40", "flash fillh 0x08006100 0x12345 4", "flash fillw 0x30000000 1 1",
    "flash fillw 0x08006000 1 0", "flash fillw 0x08006000", "flash fillw zz 1 1", "flash fillw 0x08006000 zz 1",
    "read_memory 0x08006000 32 8", "read_memory 0x08006200 8 8", "flash erase_check 0",
    "flash protect 0 1 2 on", "flash info 0", "flash protect 0 2 1 on", "flash protect 0 0 8 on",
    "flash protect 0 0 last maybe", "flash protect 0 0 1", "flash protect 9 0 1 on", "flash protect 0 x 1 on",
    "reset halt", "flash info 0", "flash erase_sector 0 4 4", "flash erase_sector 0 0 4",
    "flash erase_sector 0 0 last", "flash write_bank 0 DIR/even.bin 0x1000",
    "flash write_image erase DIR/even.bin 0x08001000 bin",
    "flash erase_address 0x08001000 0x400", "flash protect 0 1 2 off", "flash erase_sector 0 4 4", "reset halt",
    "flash info 0", "flash erase_sector 0 4 4", "flash write_image erase unlock DIR/even.bin 0x08001000 bin",
    Step(b"resume", settle="running"), "flash erase_sector 0 4 4", "flash write_bank 0 DIR/even.bin 0x1000",
    "flash protect 0 1 2 on", "flash erase_check 0", "flash info 0", "flash read_bank 0 DIR/r6 0 64",
    "flash verify_bank 0 DIR/even.bin 0x1000", "flash fillw 0x08006000 1 1", "flash erase_address 0x08001000 0x400",
    "flash write_image erase DIR/even.bin 0x08001000 bin", Step(b"halt", settle="halted"),
    "flash erase_sector 0 1 last", "flash erase_sector 0 0 last", "flash erase_check 0",
    "flash verify_bank 0 DIR/ones.bin 0",
)

_GET = (
    "apply {{t b m s} {if {[catch {set p [file tempfile $m]} r]} {return -code 7700 $r};set c [catch $s r];"
    "set e $::errorCode;if {($c == 0 || $c == 2) && [catch {set f [open $p rb];set r [$f read];set d [$f close];set r} r]} {"
    "catch {$f close};set c 7700};catch {file delete -force $p};"
    "catch {set ::errorCode $e};return -code $c $r}} vb.cpu {} "
)
_PUT = (
    "apply {{t b m s n args} {set c [catch {set p [file tempfile $m];set f [open $p wb];"
    "foreach d $args {$f puts -nonewline $d};$f close;if {[file size $p] != $n} {error {it is cut short}}} r];"
    "if {$c} {catch {$f close};set c 7700} else {set c [catch {targets $t;eval $s} r];"
    "set e $::errorCode;catch {targets $b}};catch {file delete -force $p};catch {set ::errorCode $e};return -code $c $r}} vb.cpu vb.cpu "
)
_SHARED = (
    "apply {{t b m s n} {if {[catch {file size $m} r] || $r != $n || ![file readable $m] || ![file writable $m]} {"
    "return -code 7700 {it does not see the file that it was given}};set p $m;set c [catch $s r];"
    "set e $::errorCode;catch {set ::errorCode $e};return -code $c $r}} "
    "vb.cpu {} "
)
_PROBE_READ = "apply {p {if {![file isfile $p]} {return {}};set f [open $p rb];set d [$f read 100];$f close;return $d}} "
_PROBE_WRITE = "apply {{p d} {if {![file isfile $p]} {error {no file}};set f [open $p wb];$f puts -nonewline $d;$f close}} "
_ON_TARGET = "apply {{t b s} {targets $t; set c [catch $s r]; targets $b; return -code $c $r}} "
_RAW = bytes((index * 181 + index // 251) & 0xFF for index in range(65536))

# The shapes of script that a careful client sends.
CLIENT = steps(
    "apply {{} {set r {}; set cur {}; catch {set cur [target current]}; foreach t [target names] {"
    "set regs {}; catch {targets $t; set regs [reg]}; set bits {};"
    "regexp {\\) (?:pc|rip|eip|r15) \\(/([0-9]+)\\)} $regs -> bits;"
    "set endian little; catch {set endian [$t cget -endian]};"
    "lappend r [list $t [$t cget -type] $endian [$t curstate] $bits]};"
    "if {$cur ne {}} {targets $cur}; list $cur $r [flash list]}}",
    _GET + "DIR/tmp-XXXXXX {dump_image $p 0x20000000 16}", _GET + "DIR/tmp-XXXXXX {dump_image $p 0x30000000 16}",
    _GET + "DIR/tmp-XXXXXX {dump_image $p 0x20004ff0 64}", _GET + "DIR/tmp-XXXXXX {flash read_bank 0 $p 0x0 0x40}",
    _GET + "DIR/tmp-XXXXXX {flash read_bank 0 $p 0x8001 0x40}", _GET + "DIR/nope/tmp-XXXXXX {set p}",
    _GET + "DIR/tmp-XXXXXX {error mine}", _GET + "DIR/tmp-XXXXXX {file delete $p}",
    _PUT + "DIR/tmp-XXXXXX {load_image $p 0x20000000 bin} 4 ab cd", "read_memory 0x20000000 8 4", "halt",
    _PUT + "DIR/tmp-XXXXXX {flash write_bank 0 $p 0x1000} 4 abcd", _PUT + "DIR/tmp-XXXXXX {set p} 5 abcd",
    _PUT + "DIR/nope/tmp-XXXXXX {set p} 4 abcd", _PUT + "DIR/tmp-XXXXXX {error mine} 4 abcd",
    'uplevel #0 [list {*}"apply {{a args} {list \\$a \\$args}} \\"x y\\"" {*}{{1 2} 3}]',
    "set f [open DIR/shared wb]; $f puts -nonewline {5 byt}; $f close", _SHARED + "DIR/shared {file size $p} 5",
    _SHARED + "DIR/shared {flash write_bank 0 $p 0x1000} 5", _SHARED + "DIR/shared {set p} 4",
    _SHARED + "DIR/nope {set p} 0", _SHARED + "DIR/shared {dump_image $p 0x20000000 16} 5", _PROBE_READ + "DIR/shared",
    _PROBE_READ + "DIR/nope", _PROBE_READ + "DIR", _PROBE_WRITE + "DIR/shared 0123", _PROBE_READ + "DIR/shared",
    _PROBE_WRITE + "DIR/nope 0123", "file exists DIR/nope",
    "flash erase_sector 0 4 4", "file delete DIR/none", "file tempfile DIR/bad", "file tempfile DIR/XXXXX",
    _ON_TARGET + "vb.cpu vb.cpu {read_memory 0x20000000 32 2}",
    _ON_TARGET + "vb.cpu vb.cpu {read_memory 0x30000000 32 2}",
    _ON_TARGET + "vb.cpu vb.cpu {flash erase_sector 0 9 1}", _ON_TARGET + "vb.cpu vb.cpu {resume; step}",
    _ON_TARGET + "nope vb.cpu {set a}",
    "apply {{t s} {eval $s}} vb.cpu {vb.cpu curstate}", "apply {{t s} {eval $s}} vb.cpu {error in}",
    "set out {}; foreach s {{version} {nope} {read_memory 0x30000000 32 1} {set q 4}} {lappend out [list [catch -exit $s m o] $m $o]}; set out",
    b'set f [open DIR/raw wb]; $f puts -nonewline "' + quote(_RAW) + b'"; $f close; file size DIR/raw',
    "set f [open DIR/raw rb]; $f seek 60000; set d [$f read 100000]; $f close; set d",
    "catch {throw -304 mine} m o; list $m $o", "return -code -304 mine",
    "catch {return -code -304 mine} m o; list $m $o",
    "proc neg {} {return -code -304 mine}; neg", "catch neg m o; list $m $o",
)

GEOMETRY = steps(
    "flash list", "flash probe 0", "flash list", "flash banks", "flash info 0", "flash info 0 sectors",
    "reset halt",
    "flash protect 0 last last on", "flash protect 0 0 last on", "reset halt", "flash info 0",
    "flash erase_sector 0 last last",
    "flash erase_sector 0 0 last", "flash protect 0 0 last off", "reset halt", "flash erase_sector 0 0 last",
    "read_memory 0x1ffff7e0 16 1",
)

# What changes flash and looks at it, in the shapes that a careful client sends.
_GEOMETRY_OF = "flash probe 0; list [flash list] [flash info 0 sectors] [flash info 0]"
CHANGES = steps(
    "vb.cpu cget -work-area-size", "vb.cpu cget -work-area-phys", "vb.cpu cget -work-area-virt", _GEOMETRY_OF, "flash erase_sector 0 0 3",
    "flash protect 0 0 0 on", "verify_image_checksum DIR/odd.bin 0x08001400 bin",
    "verify_image DIR/even.bin 0x08001400 bin", "halt",
    "flash erase_sector 0 1 3", "flash erase_sector 0 4 7", "flash erase_sector 0 8 30", "flash erase_check 0",
    "flash write_bank 0 DIR/odd.bin 0x1000", "flash verify_bank 0 DIR/odd.bin 0x1000",
    "flash verify_bank 0 DIR/odd.bin 0x1002", "verify_image DIR/odd.bin 0x08001000 bin",
    "verify_image DIR/odd.bin 0x08001001 bin", "verify_image_checksum DIR/odd.bin 0x08001000 bin",
    "verify_image_checksum DIR/odd.bin 0x08001001 bin", "verify_image_checksum DIR/short.bin 0x08001000 bin",
    "verify_image_checksum DIR/nope 0x08001000 bin", "verify_image_checksum DIR/odd.bin zz bin",
    "verify_image_checksum DIR/odd.bin 0x08001000 foo", "verify_image_checksum", "verify_image_checksum DIR",
    "verify_image_checksum DIR/empty.bin 0x08001000 bin", "flash write_bank 0 DIR/even.bin 0x1003",
    "flash write_bank 0 DIR/even.bin 0x2001", "flash read_bank 0 DIR/back 0x1ffe 0x210", "flash erase_check 0",
    "load_image DIR/odd.bin 0x20002001 bin", "read_memory 0x20002000 8 32", "dump_image DIR/ram 0x20002000 1303",
    "verify_image DIR/odd.bin 0x20002001 bin", "load_image DIR/image.hex 0x18002000 ihex",
    "verify_image_checksum DIR/odd.bin 0x20002001 bin", "verify_image_checksum DIR/odd.bin 0x20002002 bin",
    "flash protect 0 1 1 on", _GEOMETRY_OF, "flash erase_sector 0 4 4", "flash protect 0 3 3 on", "reset halt",
    _GEOMETRY_OF, "flash protect 0 1 1 on", "reset halt", _GEOMETRY_OF, "flash erase_sector 0 2 5",
    "flash erase_sector 0 0 last", "flash write_bank 0 DIR/even.bin 0xff0", "flash write_bank 0 DIR/even.bin 0x1800",
    "flash fillw 0x08001c00 0x12345678 4", "flash fillw 0x08002800 0x12345678 4",
    "flash fillw 0x08002800 0x12345678 4", "flash fillb 0x08002901 0x12 3", "flash erase_address 0x08000800 0x800",
    "flash erase_address unlock 0x08001000 0x1000", "flash protect 0 0 last off", "reset halt", _GEOMETRY_OF,
    "flash erase_sector 0 4 12", "flash write_image erase DIR/odd.bin 0x08001001 bin",
    "flash write_image DIR/odd.bin 0x08001000 bin", "flash verify_image DIR/odd.bin 0x08001001 bin",
    "flash verify_image DIR/even.bin 0x08001001 bin", "flash write_image erase DIR/image.hex",
    "verify_image_checksum DIR/image.hex", "flash erase_sector 0 0 last", "flash erase_check 0", "reg r0", "reg pc",
)

SECTIONS = {
    "tcl": TCL, "client": CLIENT, "files": FILES_STEPS, "binary": BINARY, "general": GENERAL,
    "run control": RUN_CONTROL,
    "breakpoints": BREAKPOINTS, "memory": MEMORY, "flash": FLASH, "changes": CHANGES,
}

# Code on the target that reads where nothing is never comes back, which OpenOCD believes after 20 seconds.
_HANGS = b"verify_image DIR/even.bin 0x30000000 bin"
WORK_AREA_SECTIONS = {
    "flash": [step for step in FLASH if step.script != _HANGS], "changes": CHANGES,
}
