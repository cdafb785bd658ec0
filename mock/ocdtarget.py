"""Target state, registers, notifications and the commands that speak of the whole program."""

from __future__ import annotations

import time
from typing import List, Optional

from ocdargs import number, on_off, parse, words_of
from ocdbase import (
    CLOSE_CONNECTION,
    SYNTAX_ERROR,
    TARGET_NOT_HALTED,
    OpenOCD,
    cut,
    fail,
)
from simboard import CORE_REGISTERS, RAM_BASE
from tclmini import TclError, to_dict, wrong_args
from tclparse import join_list, split_list

NAME = "vb.cpu"
_ROW = "%2d%c %-18s %-10s %-6s %-18s %s\n"
_HEADER = (
    "    TargetName         Type       Endian TapName            State       \n"
    "--  ------------------ ---------- ------ ------------------ ------------\n"
)
_CGET = (
    "-type, -event, -work-area-virt, -work-area-phys, -work-area-size, -work-area-backup, -endian, "
    "-coreid, -chain-position, -dbgbase, -rtos, -defer-examine, -gdb-port, or -gdb-max-connections"
)
_TAP_FOUND = (
    "JTAG tap: vb.cpu tap/device found: 0x3ba00477 (mfg: 0x23b (ARM Ltd), part: 0xba00, ver: 0x3)\n"
)
# Place of the register that lists leave out, and how many registers OpenOCD counts.
_HIDDEN = 19
_REGISTER_COUNT = 73


def arch_state(ocd: OpenOCD) -> str:
    """The two lines that tell of a halt."""
    return "[%s] halted due to %s, current mode: Thread \nxPSR: 0x%08x pc: 0x%08x msp: 0x%08x\n" % (
        NAME, ocd.halt_reason, ocd.cache["xPSR"], ocd.cache["pc"], ocd.cache["sp"],
    )


def enter_halt(ocd: OpenOCD) -> None:
    """The poll sees the core halted: its registers are read, everybody is told."""
    ocd.state = "halted"
    ocd.dirty.clear()
    ocd.cache = dict(ocd.board.registers)
    ocd.event("gdb-halt")
    ocd.log(arch_state(ocd))
    ocd.event("halted")


def poll_target(ocd: OpenOCD) -> None:
    """One poll of the target."""
    if ocd.reset_seen:
        ocd.reset_seen = False
        ocd.state = "reset"
        return
    if ocd.state in ("reset", "unknown"):
        ocd.state = "running"
    if ocd.board.halted and ocd.state == "running":
        enter_halt(ocd)
    elif not ocd.board.halted and ocd.state == "halted":
        ocd.state = "running"
        ocd.error("[%s] external resume detected" % NAME)
        ocd.event("resumed")


def _targets(ocd: OpenOCD, argv: List[str]) -> str:
    words = [cut(word) for word in argv[1:]]
    table = _HEADER + _ROW % (0, "*", NAME, "cortex_m", ocd.board.endian, NAME, ocd.state)
    if len(words) == 1:
        value, _ = parse(words[0], 32)
        if words[0] == NAME:
            return ""
        if value == 0:
            ocd.error("use '%s' as target identifier, not '%s'" % (NAME, words[0]))
            return ""
        if value is None:
            ocd.error("Invalid command argument")
        raise fail("Target: %s is unknown, try one of:\n\n" % words[0] + table)
    return table


def _target_names(ocd: OpenOCD, argv: List[str]) -> str:
    if len(argv) != 1:
        raise wrong_args(argv[:1], "Too many parameters")
    return NAME


def _target_types(ocd: OpenOCD, argv: List[str]) -> str:
    return "cortex_m"


def _curstate(ocd: OpenOCD, argv: List[str]) -> str:
    if len(argv) != 1:
        raise wrong_args(argv[:1], "[no parameters]")
    return ocd.state


def _was_examined(ocd: OpenOCD, argv: List[str]) -> str:
    return "1"


def _arp_poll(ocd: OpenOCD, argv: List[str]) -> str:
    poll_target(ocd)
    return ""


def _cget(ocd: OpenOCD, argv: List[str]) -> str:
    if len(argv) < 2:
        raise wrong_args(["missing:", "-option", "..."], "")
    values = {
        "-type": "cortex_m", "-endian": ocd.board.endian, "-chain-position": NAME,
        "-work-area-size": str(ocd.work_area),
        "-work-area-phys": str(RAM_BASE if ocd.work_area else 0), "-work-area-virt": "0",
        "-work-area-backup": "0", "-coreid": "0", "-rtos": "", "-dbgbase": "0", "-gdb-port": "",
    }
    if argv[1] == "-event":
        raise wrong_args(["-event"], "?event-name? ...")
    if argv[1] not in values:
        raise TclError("Unknown param: %s, try one of: %s" % (argv[1], _CGET))
    return values[argv[1]]


def _wait_halt(ocd: OpenOCD, milliseconds: int) -> None:
    poll_target(ocd)
    if ocd.state == "halted":
        return
    for _ in range(2):
        poll_target(ocd)
        if ocd.state == "halted":
            return
    # Nothing can change while this command runs, so waiting any longer would be for show.
    time.sleep(min(milliseconds, 50) / 1000.0)
    ocd.error("timed out while waiting for target halted")
    raise fail()


def _halt(ocd: OpenOCD, argv: List[str]) -> str:
    words = words_of(argv, 0, 99)
    if ocd.state != "halted":
        ocd.halt_reason = "debug-request"
        ocd.board.halted = True
    wait = 5000
    if len(words) == 1:
        value, _ = parse(words[0], 32)
        if value is None:
            ocd.error("Invalid command argument")
            raise fail("", SYNTAX_ERROR)
        if value == 0:
            return ""
        wait = value
    elif words:
        raise fail("", SYNTAX_ERROR)
    _wait_halt(ocd, wait)
    return ""


def _wait_halt_command(ocd: OpenOCD, argv: List[str]) -> str:
    words = words_of(argv, 0, 1)
    wait = 5000
    if words:
        value, _ = parse(words[0], 32)
        if value is None:
            ocd.error("Invalid command argument")
            raise fail("", SYNTAX_ERROR)
        wait = value
    _wait_halt(ocd, wait)
    return ""


def _start(ocd: OpenOCD, argv: List[str], verb: str) -> None:
    words = words_of(argv, 0, 1)
    address = number(ocd, words[0], "addr", 64) if words else None
    ocd.event(verb + "-start")
    if ocd.state != "halted":
        ocd.error("[%s] target not halted" % NAME)
        raise fail("", TARGET_NOT_HALTED)
    if address is not None:
        ocd.cache["pc"] = address & 0xFFFFFFFE
        ocd.dirty.add("pc")
    for name in ocd.dirty:
        ocd.board.registers[name] = ocd.cache[name]
    ocd.dirty.clear()


def _resume(ocd: OpenOCD, argv: List[str]) -> str:
    _start(ocd, argv, "resume")
    ocd.halt_reason = "breakpoint"
    ocd.board.resume()
    ocd.state = "running"
    ocd.event("resumed")
    ocd.event("resume-end")
    return ""


def _step(ocd: OpenOCD, argv: List[str]) -> str:
    _start(ocd, argv, "step")
    ocd.halt_reason = "single-step"
    ocd.event("resumed")
    if all(point.address != ocd.board.registers["pc"] for point in ocd.breakpoints):
        # OpenOCD steps with a breakpoint of its own.
        ocd.point_number += 1
    if not ocd.board.step():
        ocd.error("JTAG-DP STICKY ERROR")
        ocd.error("Failed to read memory at 0x%08x" % ocd.board.registers["pc"])
        ocd.error("can't add breakpoint: unknown reason")
    enter_halt(ocd)
    ocd.event("step-end")
    return ""


def _reset(ocd: OpenOCD, argv: List[str]) -> str:
    words = words_of(argv, 0, 1)
    mode = words[0] if words else "run"
    if mode not in ("run", "halt", "init"):
        raise fail("", SYNTAX_ERROR)
    ocd.reset_event(mode)
    ocd.log(_TAP_FOUND)
    ocd.board.reset()
    ocd.dirty.clear()
    ocd.state = "reset"
    ocd.halt_reason = "debug-request"
    if mode == "run":
        ocd.halt_reason = "breakpoint"
        ocd.board.resume()
        ocd.reset_seen = True
    else:
        ocd.board.halted = True
        poll_target(ocd)
    ocd.poll()
    return ""


def _bits(name: str) -> int:
    return dict(CORE_REGISTERS)[name]


def _text_of(ocd: OpenOCD, name: str) -> str:
    digits = (_bits(name) + 7) // 8 * 2
    return "0x%0*x" % (digits, ocd.cache[name])


def _value_of(text: str, bits: int) -> int:
    """What OpenOCD makes of a register value: digits of the radix, all else skipped."""
    radix, digits = 10, text
    if text[:2] in ("0x", "0X"):
        radix, digits = 16, text[2:]
    elif text[:1] == "0" and len(text) > 1:
        radix, digits = 8, text[1:]
    value = 0
    for char in digits:
        digit = "0123456789abcdef".find(char.lower())
        if 0 <= digit < radix:
            value = value * radix + digit
    return value & ((1 << bits) - 1)


def _set_register(ocd: OpenOCD, name: str, text: str) -> bool:
    """Change OpenOCD's copy of a register; false when the target runs."""
    if ocd.state != "halted":
        return False
    ocd.cache[name] = _value_of(text, _bits(name))
    ocd.dirty.add(name)
    return True


def _fetch_register(ocd: OpenOCD, name: str) -> bool:
    """Read a register from the core; false when the target runs."""
    if ocd.state != "halted":
        return False
    ocd.cache[name] = ocd.board.registers[name]
    ocd.dirty.discard(name)
    return True


def _reg_list(ocd: OpenOCD) -> str:
    out = "===== arm v7m registers\n"
    for position, (name, bits) in enumerate(CORE_REGISTERS):
        if position == _HIDDEN:
            continue
        row = "(%d) %s (/%d)" % (position, name, bits)
        if ocd.state == "halted":
            row += ": " + _text_of(ocd, name) + (" (dirty)" if name in ocd.dirty else "")
        out += row + "\n"
    return out + "===== Cortex-M DWT registers\n"


def _reg_name(ocd: OpenOCD, word: str) -> Optional[str]:
    """The register that a number or name stands for; "" when the number is too great."""
    if not word[:1].isdigit():
        return word if word in ocd.cache else None
    index = number(ocd, word, "num")
    if index >= _REGISTER_COUNT:
        return ""
    return CORE_REGISTERS[index][0] if index < len(CORE_REGISTERS) else None


def _reg(ocd: OpenOCD, argv: List[str]) -> str:
    words = [cut(word) for word in argv[1:]]
    if not words:
        return _reg_list(ocd)
    name = _reg_name(ocd, words[0])
    if name == "":
        return "%d is out of bounds, the current target has only %d registers (0 - %d)\n" % (
            number(ocd, words[0], "num"), _REGISTER_COUNT, _REGISTER_COUNT - 1,
        )
    if name is None:
        return "register %s not found in current target\n" % words[0]
    if len(words) > 2:
        raise fail("", SYNTAX_ERROR)
    if len(words) == 2 and words[1][:1].isdigit():
        if not _set_register(ocd, name, words[1]):
            ocd.error("Could not write to register '%s'" % name)
            raise fail("", TARGET_NOT_HALTED)
    elif ocd.state != "halted" or words[1:] == ["force"]:
        if not _fetch_register(ocd, name):
            ocd.error("Could not read register '%s'" % name)
            raise fail("", TARGET_NOT_HALTED)
    return "%s (/%d): %s\n" % (name, _bits(name), _text_of(ocd, name))


def _get_reg(ocd: OpenOCD, argv: List[str]) -> str:
    words = argv[1:]
    force = False
    if len(words) == 2:
        if words[0] != "-force":
            raise TclError("invalid option '%s'" % words[0])
        force = True
        words = words[1:]
    if len(words) != 1:
        raise wrong_args(argv[:1], "[-force] list")
    out: List[str] = []
    for item in split_list(words[0]):
        if item not in ocd.cache:
            raise TclError("unknown register '%s'" % item)
        if force and not _fetch_register(ocd, item):
            raise TclError("failed to read register '%s'" % item)
        out += [item, _text_of(ocd, item)]
    return join_list(out)


def _set_reg(ocd: OpenOCD, argv: List[str]) -> str:
    if len(argv) != 2:
        raise wrong_args(argv[:1], "dict")
    if not split_list(argv[1]):
        raise TclError("")
    for item, text in to_dict(argv[1]).items():
        if item not in ocd.cache:
            raise TclError("unknown register '%s'" % item)
        if not _set_register(ocd, item, text):
            raise TclError("failed to set '%s' to register '%s'" % (text, item))
    return ""


def _switch(ocd: OpenOCD, argv: List[str], field: str, label: str) -> str:
    words = words_of(argv, 0, 1)
    client = ocd.client
    assert client is not None
    if words:
        try:
            setattr(client, field, on_off(words[0]))
        except TclError:
            ocd.error("%s: argument '%s' is not valid" % (argv[0], words[0]))
            raise
    ocd.error("%s is %s" % (label, "enabled" if getattr(client, field) else "disabled"))
    return ""


def _notifications(ocd: OpenOCD, argv: List[str]) -> str:
    return _switch(ocd, argv, "notify", "Target Notification output ")


def _trace(ocd: OpenOCD, argv: List[str]) -> str:
    return _switch(ocd, argv, "trace", "Target trace output ")


def _poll(ocd: OpenOCD, argv: List[str]) -> str:
    words = words_of(argv, 0, 1)
    if words:
        ocd.polling = on_off(words[0])
        return ""
    out = "background polling: %s\nTAP: %s (enabled)\n" % ("on" if ocd.polling else "off", NAME)
    poll_target(ocd)
    if ocd.state == "halted":
        ocd.log(arch_state(ocd))
    return out


def _sleep(ocd: OpenOCD, argv: List[str]) -> str:
    words = words_of(argv, 1, 2)
    if len(words) == 2 and words[1] != "busy":
        raise fail("", SYNTAX_ERROR)
    value, code = parse(words[0], 64)
    if value is None:
        ocd.error("Invalid command argument")
        raise fail("", code)
    time.sleep(min(value, 10000) / 1000.0)
    return ""


def _adapter_name(ocd: OpenOCD, argv: List[str]) -> str:
    if len(argv) != 1:
        raise wrong_args(argv[:1], "(no params)")
    return "remote_bitbang"


def _shutdown(ocd: OpenOCD, argv: List[str]) -> str:
    ocd.error("shutdown command invoked")
    ocd.stop = True
    raise fail("", CLOSE_CONNECTION)


def _exit(ocd: OpenOCD, argv: List[str]) -> str:
    # Meant for telnet; the TCL server takes no notice of the code.
    raise fail("", CLOSE_CONNECTION)


def _expr(ocd: OpenOCD, argv: List[str]) -> str:
    if len(argv) < 3:
        return ocd.interp.expr(argv[1] if len(argv) == 2 else "")
    text = " ".join(argv[1:])
    ocd.error("DEPRECATED! use 'expr { %s }' not 'expr %s'" % (text, text))
    return ocd.interp.expr(text)


COMMANDS = {
    "exit": _exit, "expr": _expr, "targets": _targets, "target names": _target_names, "target current": _target_names,
    "target types": _target_types, "halt": _halt, "wait_halt": _wait_halt_command,
    "resume": _resume, "step": _step, "reset": _reset, "reg": _reg, "get_reg": _get_reg,
    "set_reg": _set_reg, "tcl_notifications": _notifications, "tcl_trace": _trace, "poll": _poll,
    "sleep": _sleep, "adapter name": _adapter_name, "shutdown": _shutdown,
    "vb.cpu curstate": _curstate, "vb.cpu was_examined": _was_examined, "vb.cpu cget": _cget,
    "vb.cpu arp_poll": _arp_poll, "vb.cpu get_reg": _get_reg, "vb.cpu set_reg": _set_reg,
}

# What the later head has beside these.
HEAD_COMMANDS = {"tcl notifications": _notifications, "tcl trace": _trace}
