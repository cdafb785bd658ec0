/*
 * What OpenOCD prints of a target's registers, breakpoints and watchpoints (target/target.c:
 * handle_reg_command, handle_bp_command_list, handle_wp_command_list), as 0.12 and as newer ones word it.
 * Each parser takes the whole text, refuses what it does not know with openocd_error, and leaves its outputs
 * untouched then. Pure.
 */
#ifndef OCDMUX_OPENOCD_TARGET_TEXT_H
#define OCDMUX_OPENOCD_TARGET_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/err.h"
#include "base/strbuf.h"

#define OCD_REGISTER_NAME_SIZE 65
/* More, or wider ones, are refused: RISC-V has some 4,300, vector registers have up to 4,096 bits. */
#define OCD_REGISTERS_MAX 16384u
#define OCD_REGISTER_BITS_MAX 4096u
#define OCD_BREAKPOINTS_MAX 4096u

struct ocd_register {
    char name[OCD_REGISTER_NAME_SIZE];  /* no white space */
    char group[OCD_REGISTER_NAME_SIZE]; /* "arm v7m registers"; cut where it is longer, "" where there is none
                                         */
    unsigned bits;                      /* 1 to OCD_REGISTER_BITS_MAX */
};

/*
 * `reg` without a name: "===== GROUP" and "(NUMBER) NAME (/BITS)" with or without a value behind. The array
 * is the caller's (free()); none is a success with NULL and 0.
 */
bool ocd_parse_registers(const char *text, size_t length, struct ocd_register **ret_registers,
                         size_t *ret_count, struct err *err) __attribute__((warn_unused_result));

/*
 * "0x" and hex digits, of a value that fits `bits`: replaces what `ret_value` held by "0x" and two lower-case
 * digits for each byte that so many bits need. False, with it untouched, for anything else.
 */
bool ocd_register_value(const char *text, size_t length, unsigned bits, struct strbuf *ret_value)
    __attribute__((warn_unused_result));

enum ocd_breakpoint_kind {
    OCD_BREAKPOINT_HARDWARE,
    OCD_BREAKPOINT_SOFTWARE,
    OCD_WATCHPOINT_READ,
    OCD_WATCHPOINT_WRITE,
    OCD_WATCHPOINT_ACCESS,
};

/* As in the protocol: "hardware", "software", "read", "write", "access". */
const char *ocd_breakpoint_kind_name(enum ocd_breakpoint_kind kind);
bool ocd_breakpoint_is_data(enum ocd_breakpoint_kind kind);

struct ocd_breakpoint {
    enum ocd_breakpoint_kind kind;
    uint64_t address;
    uint64_t length; /* bytes */
    uint64_t value;  /* watchpoints; else 0 */
    uint64_t mask;   /* watchpoints: bits that do not count; else 0 */
};

/*
 * What `bp` and `wp` print without arguments, one behind the other. Breakpoints on a context, which have no
 * address, are left out. The array is the caller's (free()); none is a success with NULL and 0.
 */
bool ocd_parse_breakpoints(const char *text, size_t length, struct ocd_breakpoint **ret_breakpoints,
                           size_t *ret_count, struct err *err) __attribute__((warn_unused_result));

#endif
